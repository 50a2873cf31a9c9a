//! Which threads have a timer.
//!
//! All threads of the process are armed from one place: those that record when they register, the others when the engine finds them.
//! The first expiry is random, so that short threads are sampled in proportion; a thread that was born during the recording and is
//! found late gets its missed periods as the first signal's overruns, because its timer starts at its birth.

use std::collections::HashSet;

use super::timer::{Timer, cpu_nanos};
use crate::clock::monotonic_nanos;
use crate::core::CORE;
use crate::os;
use crate::record::ThreadRecord;
use crate::registry::RegistryLock;
use crate::sync::{Ordering, lock};

/// The engine's view of the threads of the process.
#[derive(Debug, Default)]
pub(crate) struct Armory {
    random: Random,
    /// Threads that were there at the last look.
    known: HashSet<u64>,
    /// Threads found by the first look were there before the recording; the CPU time of all others began at 0.
    first_look: bool,
}

/// What a look at the process's threads has found.
#[derive(Debug, Default)]
pub(crate) struct Look {
    started_ns: u64,
    news: Vec<u64>,
    now: HashSet<u64>,
}

impl Look {
    /// Whether there are threads that were not there at the last look.
    pub(crate) fn has_news(&self) -> bool {
        !self.news.is_empty()
    }
}

/// xorshift64*; only the spread of first expiries depends on it.
#[derive(Debug)]
struct Random(u64);

impl Default for Random {
    fn default() -> Self {
        Self(monotonic_nanos() | 1)
    }
}

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) % bound.max(1)
    }
}

impl Armory {
    pub(crate) fn new() -> Self {
        Self {
            first_look: true,
            ..Self::default()
        }
    }

    /// Looks for threads that came or went without a word.
    pub(crate) fn look(&mut self) -> Look {
        let started_ns = monotonic_nanos();
        let now: HashSet<u64> = os::all_threads().into_iter().collect();
        if now.is_empty() {
            return Look::default();
        }
        for record in CORE.registry.live() {
            // Acquire: pairs with the Release at the thread's exit. Its tid may be another thread's by now.
            if record.shared.exited.load(Ordering::Acquire) {
                self.known.remove(&record.tid());
            }
        }
        let mut news: Vec<u64> = now.difference(&self.known).copied().collect();
        news.sort_unstable();
        Look {
            started_ns,
            news,
            now,
        }
    }

    /// Arms those that came, and gives up those that went. The tables should know the stacks of those that came.
    pub(crate) fn act(&mut self, look: Look) {
        if look.now.is_empty() {
            // /proc can't be read: those that record arm themselves, the others are never sampled.
            CORE.sampler.arm_newcomers(self.first_look);
            return;
        }
        let first = std::mem::replace(&mut self.first_look, false);
        for tid in look.news {
            self.meet(tid, first);
        }
        self.known = look.now;
        CORE.sampler.note_look(look.started_ns);
        CORE.sampler.arm_newcomers(false);
        self.miss();
    }

    fn meet(&mut self, tid: u64, was_there: bool) {
        let Some((record, is_new)) = CORE.registry.discover(tid) else {
            // Relaxed: a counter.
            CORE.sampler.refused.fetch_add(1, Ordering::Relaxed);
            return;
        };
        if is_new && let Some(name) = os::name_of(tid) {
            *lock(&record.shared.name) = name;
        }
        let first_ns = self.random.below(CORE.sampler.period_ns()) + 1;
        CORE.registry.locked(|_| arm(record, was_there, first_ns));
    }

    /// Gives up unregistered threads that are not there any more.
    fn miss(&self) {
        for record in CORE.registry.live() {
            let shared = &record.shared;
            // Acquire (both): pair with the Release at registration and exit.
            if shared.registered.load(Ordering::Acquire) || shared.exited.load(Ordering::Acquire) {
                continue;
            }
            read_clock(record);
            // A listing of many threads may leave one out that lives.
            if !self.known.contains(&record.tid()) && cpu_nanos(record.tid()).is_none() {
                *lock(&record.sample.timer) = None;
                CORE.registry.forget_tid(record);
                // Release: pairs with the Acquire in `advance::exited_threads`.
                shared.exited.store(true, Ordering::Release);
            }
        }
    }
}

impl super::Sampler {
    /// Arms a thread that registers itself. SIGPROF is blocked on it and the registry locked.
    pub(crate) fn thread_registered(
        &self,
        record: &'static ThreadRecord,
        _lock: &RegistryLock<'_>,
    ) {
        if self.arms_newcomers() {
            let first_ns = Random::default().below(self.period_ns()) + 1;
            // The first look is over: the thread was armed by it, or is new.
            arm(record, self.is_blind(), first_ns);
        }
    }
}

/// Arms `record`'s thread, if it has no timer. Under the registry's lock.
///
/// `was_there`: the thread's CPU time until now was spent before the recording.
fn arm(record: &'static ThreadRecord, was_there: bool, first_ns: u64) {
    let sampler = &CORE.sampler;
    let Some(plan) = sampler.plan() else { return };
    let mut timer = lock(&record.sample.timer);
    if timer.is_some() {
        return;
    }
    let tid = record.tid();
    let Some(cpu_ns) = cpu_nanos(tid) else { return };
    let base_ns = match was_there {
        true => cpu_ns,
        // A new thread has used no more CPU time than has passed since it was not there yet. One that was overlooked or refused then
        // is charged no more either.
        false => cpu_ns.saturating_sub(sampler.since_last_look_ns()),
    };
    let cpu = &record.shared.cpu;
    // Relaxed (all): the engine's own bookkeeping, and the handler's before it can run.
    cpu.base.store(base_ns, Ordering::Relaxed);
    cpu.last.store(cpu_ns, Ordering::Relaxed);
    cpu.weight.store(0, Ordering::Relaxed);
    // The first period of a perf_event ends after a whole one; its handler reads the clock, so a random start does as well.
    record.sample.accounted_ns.store(
        (base_ns + first_ns).wrapping_sub(plan.period_ns),
        Ordering::Relaxed,
    );
    if sampler.ring_words() == 0 || !record.sample.ready(sampler.ring_words()) {
        sampler.refused.fetch_add(1, Ordering::Relaxed);
        return;
    }
    *timer = Timer::start(plan, tid, record, base_ns, first_ns);
    if timer.is_none() {
        sampler.refused.fetch_add(1, Ordering::Relaxed);
    }
}

/// The calling thread exits: takes its timer away and reads its CPU clock for the last time. SIGPROF is blocked.
pub(crate) fn disarm_self(record: &ThreadRecord) {
    *lock(&record.sample.timer) = None;
    read_clock(record);
}

/// Takes all timers away.
pub(crate) fn disarm_all() {
    CORE.registry.locked(|_| CORE.sampler.disable());
    for record in CORE.registry.live() {
        *lock(&record.sample.timer) = None;
        read_clock(record);
    }
}

/// Notes how much CPU time the thread has used by now, if it is still there.
pub(crate) fn read_clock(record: &ThreadRecord) {
    if let Some(cpu_ns) = cpu_nanos(record.tid()) {
        // Relaxed: a figure for the summary.
        record.shared.cpu.last.store(cpu_ns, Ordering::Relaxed);
    }
}
