//! The figures of a recording as they add up on the engine's thread.

use tachograph_wire::metadata::Gap;

use crate::clock::{NANOS_PER_TICK, clock_nanos, monotonic_nanos};
use crate::core::CORE;
use crate::coverage::CoveredByRuntime;
use crate::engine::TICK;
use crate::record::ThreadRecord;
use crate::sample::arm::read_clock;
use crate::sample::counters::Tally;
use crate::sync::Ordering;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Totals {
    started_ns: u64,
    process_cpu_at_start_ns: u64,
    pub(crate) elapsed_ns: u64,
    pub(crate) generations: u64,
    pub(crate) events: u64,
    pub(crate) events_lost: u64,
    pub(crate) samples: Tally,
    pub(crate) weight: u64,
    pub(crate) coverage: CoveredByRuntime,
    /// A traced task was polled.
    pub(crate) polled: bool,
    pub(crate) stacks_left_out: u64,
    pub(crate) gaps: u64,
    pub(crate) gap_ns: u64,
    pub(crate) threads_sampled: u64,
    pub(crate) process_cpu_ns: u64,
    pub(crate) sampled_threads_cpu_ns: u64,
}

impl Totals {
    pub(crate) fn begin() -> Self {
        for record in CORE.registry.live() {
            record.shared.coverage.begin_recording();
        }
        Self {
            started_ns: monotonic_nanos(),
            process_cpu_at_start_ns: process_cpu_ns(),
            elapsed_ns: 0,
            generations: 0,
            events: 0,
            events_lost: 0,
            samples: Tally::default(),
            weight: 0,
            coverage: CoveredByRuntime::new(),
            polled: false,
            stacks_left_out: 0,
            gaps: 0,
            gap_ns: 0,
            threads_sampled: 0,
            process_cpu_ns: 0,
            sampled_threads_cpu_ns: 0,
        }
    }

    pub(crate) fn add_generation(&mut self, events: u64, samples: u64, weight: u64) {
        self.generations += 1;
        self.events += events + samples;
        self.weight += weight;
    }

    pub(crate) fn add_coverage(&mut self, covered: &CoveredByRuntime) {
        for (runtime, more) in covered {
            self.coverage.entry(*runtime).or_default().add(more);
        }
    }

    pub(crate) fn add_gap(&mut self, gap: &Gap) {
        self.gaps += 1;
        self.gap_ns += (gap.end.0 - gap.start.0) * NANOS_PER_TICK;
    }

    /// A thread has ended, or the recording has.
    pub(crate) fn add_thread(&mut self, record: &ThreadRecord) {
        self.polled |= record.shared.coverage.take_polled();
        let left_out = &record.shared.stacks_left_out;
        self.stacks_left_out += left_out.swap(0, Ordering::Relaxed);
        let cpu = &record.shared.cpu;
        // Relaxed (all): the engine's own.
        let weight = cpu.weight.swap(0, Ordering::Relaxed);
        if weight == 0 {
            return;
        }
        let base = cpu.base.load(Ordering::Relaxed);
        let by_clock = cpu.last.load(Ordering::Relaxed).saturating_sub(base);
        // A thread that does not tell us of its end was last looked at up to a tick before it.
        let registered = record.shared.registered.load(Ordering::Relaxed);
        let by_samples = match registered {
            true => 0,
            false => weight * CORE.sampler.period_ns(),
        };
        self.threads_sampled += 1;
        self.sampled_threads_cpu_ns +=
            by_clock.max(by_samples.min(by_clock + TICK.as_nanos() as u64));
    }

    /// The recording is over.
    pub(crate) fn finish(&mut self) {
        for record in CORE.registry.live() {
            if !record.shared.exited.load(Ordering::Acquire) {
                read_clock(record);
            }
            self.add_thread(record);
        }
        for (runtime, name) in CORE.runtimes.known() {
            self.coverage.entry(runtime).or_default().name = name;
        }
        self.elapsed_ns = monotonic_nanos() - self.started_ns;
        self.process_cpu_ns = process_cpu_ns().saturating_sub(self.process_cpu_at_start_ns);
    }
}

fn process_cpu_ns() -> u64 {
    clock_nanos(libc::CLOCK_PROCESS_CPUTIME_ID).unwrap_or(0)
}
