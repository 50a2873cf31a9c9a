//! CPU samples: per-thread timers, the signal handler, the rings, the way into the trace.
//!
//! The only signal context of the crate. `arm` (engine, registering threads) makes timers; `handler` turns their signals into records
//! in the thread's own `ring` of the open generation; `drain` (engine) turns those into samples of that generation.

pub(crate) mod arm;
pub(crate) mod counters;
pub(crate) mod drain;
pub(crate) mod handler;
pub(crate) mod maps;
pub(crate) mod perf;
pub mod ring;
pub(crate) mod state;
pub(crate) mod timer;
pub(crate) mod walker;
pub mod words;

use crate::record::ThreadRecord;
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use timer::{Plan, SampleSource};
use walker::Published;

/// What all threads' sampling shares.
#[derive(Debug)]
pub(crate) struct Sampler {
    pub(crate) tables: Published,
    enabled: AtomicBool,
    /// That of the last recording that sampled.
    period_ns: AtomicU64,
    uses_perf: AtomicBool,
    /// The engine has looked at all threads once: one that registers now is new.
    newcomers: AtomicBool,
    /// The engine can't see the threads of the process: one that registers may be old, too.
    blind: AtomicBool,
    /// When the engine last began to list the threads.
    last_look_ns: AtomicU64,
    ring_words: AtomicUsize,
    /// Recording is suspended, not off.
    suspended: AtomicBool,
    pub(crate) late: AtomicU64,
    pub(crate) while_suspended: AtomicU64,
    /// Threads that had SIGPROF blocked when they registered.
    unblocked: AtomicU64,
    /// Threads that the kernel gave no timer.
    pub(crate) refused: AtomicU64,
}

impl Sampler {
    pub(crate) const fn new() -> Self {
        Self {
            tables: Published::new(),
            enabled: AtomicBool::new(false),
            period_ns: AtomicU64::new(0),
            uses_perf: AtomicBool::new(false),
            newcomers: AtomicBool::new(false),
            blind: AtomicBool::new(false),
            last_look_ns: AtomicU64::new(0),
            ring_words: AtomicUsize::new(0),
            suspended: AtomicBool::new(false),
            late: AtomicU64::new(0),
            while_suspended: AtomicU64::new(0),
            unblocked: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Threads that register from now on are armed with `plan`.
    pub(crate) fn enable(&self, plan: Plan, ring_words: usize) {
        // Relaxed (all): read under the registry's lock, or as hints.
        self.ring_words.store(ring_words, Ordering::Relaxed);
        self.uses_perf
            .store(plan.source == SampleSource::PerfEvent, Ordering::Relaxed);
        self.period_ns.store(plan.period_ns, Ordering::Relaxed);
        self.enabled.store(true, Ordering::Relaxed);
    }

    /// No thread is armed from now on.
    pub(crate) fn disable(&self) {
        self.newcomers.store(false, Ordering::Relaxed);
        self.enabled.store(false, Ordering::Relaxed);
    }

    /// Threads that register from now on arm themselves. `blind`: they may have been there before.
    pub(crate) fn arm_newcomers(&self, blind: bool) {
        self.blind.store(blind, Ordering::Relaxed);
        self.newcomers.store(true, Ordering::Relaxed);
    }

    /// A list of threads that was begun at `started_ns` is complete.
    pub(crate) fn note_look(&self, started_ns: u64) {
        self.last_look_ns.store(started_ns, Ordering::Relaxed);
    }

    fn since_last_look_ns(&self) -> u64 {
        let last = self.last_look_ns.load(Ordering::Relaxed);
        crate::clock::monotonic_nanos().saturating_sub(last)
    }

    fn is_blind(&self) -> bool {
        self.blind.load(Ordering::Relaxed)
    }

    fn arms_newcomers(&self) -> bool {
        self.newcomers.load(Ordering::Relaxed)
    }

    /// Starts the counts of a recording.
    pub(crate) fn reset_counts(&self) {
        self.set_suspended(false);
        for counter in [
            &self.late,
            &self.while_suspended,
            &self.unblocked,
            &self.refused,
            &handler::FOREIGN,
        ] {
            // Relaxed: counters.
            counter.store(0, Ordering::Relaxed);
        }
    }

    /// The plan in force.
    pub(crate) fn plan(&self) -> Option<Plan> {
        let period_ns = self.period_ns.load(Ordering::Relaxed);
        self.enabled.load(Ordering::Relaxed).then_some(Plan {
            source: if self.uses_perf.load(Ordering::Relaxed) {
                SampleSource::PerfEvent
            } else {
                SampleSource::PosixTimer
            },
            period_ns,
        })
    }

    /// CPU time between two signals; stays after the end of sampling.
    pub(crate) fn period_ns(&self) -> u64 {
        self.period_ns.load(Ordering::Relaxed)
    }

    pub(crate) fn ring_words(&self) -> usize {
        self.ring_words.load(Ordering::Relaxed)
    }

    pub(crate) fn set_suspended(&self, suspended: bool) {
        self.suspended.store(suspended, Ordering::Relaxed);
    }

    /// Counts a signal that landed while nothing is recorded. Signal safe.
    #[cold]
    pub(crate) fn count_outside(&self, _record: &ThreadRecord) {
        let counter = if self.suspended.load(Ordering::Relaxed) {
            &self.while_suspended
        } else {
            &self.late
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_unblocked(&self) {
        self.unblocked.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn unblocked(&self) -> u64 {
        self.unblocked.load(Ordering::Relaxed)
    }
}

/// The kernel's timer tick in Hz: other systems are not sampled.
#[cfg(not(target_os = "linux"))]
pub(crate) fn kernel_tick_hz() -> u64 {
    0
}

/// The kernel's timer tick in Hz, as its coarse clock shows it.
#[cfg(target_os = "linux")]
pub(crate) fn kernel_tick_hz() -> u64 {
    let mut resolution = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `resolution` is a valid place.
    let result = unsafe { libc::clock_getres(libc::CLOCK_MONOTONIC_COARSE, &mut resolution) };
    if result != 0 || resolution.tv_nsec <= 0 {
        return 250;
    }
    1_000_000_000 / resolution.tv_nsec as u64
}
