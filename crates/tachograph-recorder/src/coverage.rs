//! How much of a runtime's time is seen as tasks.
//!
//! A runtime that is instrumented says when its threads park, so what they do between parks is known; what of that is in no traced task
//! is time of tasks that nobody traces, or the runtime's own. Nobody should record nothing without noticing.
//!
//! Counted by each thread for itself, in its record, whether or not something is recorded: a recording that begins finds out who is busy.
//! Added up by the engine at the end of a generation.

use std::collections::BTreeMap;

use tachograph_wire::Ticks;
use tachograph_wire::metadata::{self, Count, Metadata};

use crate::record::ThreadRecord;
use crate::sync::{AtomicBool, AtomicU64, Ordering};

/// One thread's counts, since its registration. Times in ticks.
#[derive(Debug)]
pub(crate) struct Coverage {
    /// The runtime that it drives or works for, 0 for none.
    runtime: AtomicU64,
    /// 0 while it is parked, and before its first park is seen.
    busy_since: AtomicU64,
    /// Since when it is busy before its first park or unpark is seen. 0 once it has rested.
    began: AtomicU64,
    /// 0 between polls.
    poll_since: AtomicU64,
    counts: [AtomicU64; COUNTS],
    /// What the engine has reported.
    reported: [AtomicU64; COUNTS],
    /// Polls at the last unpark.
    polls_before: AtomicU64,
    /// A traced task was polled, on whoever's behalf.
    polled: AtomicBool,
}

const COUNTS: usize = 5;
const BUSY: usize = 0;
const TASKS: usize = 1;
const POLLS: usize = 2;
const UNPARKS: usize = 3;
const IDLE_UNPARKS: usize = 4;

/// Counts of a runtime over some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Covered {
    /// The runtime's.
    pub(crate) name: Option<&'static str>,
    pub(crate) counts: [u64; COUNTS],
}

/// By runtime.
pub(crate) type CoveredByRuntime = BTreeMap<u64, Covered>;

impl Coverage {
    pub(crate) fn new() -> Self {
        Self {
            runtime: AtomicU64::new(0),
            busy_since: AtomicU64::new(0),
            began: AtomicU64::new(0),
            poll_since: AtomicU64::new(0),
            counts: [const { AtomicU64::new(0) }; COUNTS],
            reported: [const { AtomicU64::new(0) }; COUNTS],
            polls_before: AtomicU64::new(0),
            polled: AtomicBool::new(false),
        }
    }

    // Relaxed, all of it: the thread is the only writer but of `reported`, and the engine's view may be a little old.

    #[inline(always)]
    fn add(&self, count: usize, more: u64) {
        let count = &self.counts[count];
        count.store(count.load(Ordering::Relaxed) + more, Ordering::Relaxed);
    }

    /// The runtime that the thread drives or works for, 0 for none.
    pub(crate) fn runtime(&self) -> u64 {
        self.runtime.load(Ordering::Relaxed)
    }

    /// The thread works for `runtime` from now on, or drives it.
    pub(crate) fn join(&self, runtime: u64) {
        self.runtime.store(runtime, Ordering::Relaxed);
    }

    /// The thread is busy from now on, unless it was.
    pub(crate) fn unpark(&self, now: u64) {
        if self.busy_since.load(Ordering::Relaxed) == 0 {
            let since = match self.began.load(Ordering::Relaxed) {
                0 => now,
                began => began,
            };
            self.busy_since.store(since, Ordering::Relaxed);
            self.add(UNPARKS, 1);
            let polls = self.counts[POLLS].load(Ordering::Relaxed);
            self.polls_before.store(polls, Ordering::Relaxed);
        }
    }

    /// The thread is busy since then, if it turns out to be one that parks.
    pub(crate) fn begin(&self, since: u64) {
        self.began.store(since, Ordering::Relaxed);
    }

    /// The thread is no worker any more, or drives no runtime.
    pub(crate) fn leave(&self, now: u64, recording_began: u64) -> bool {
        self.began.store(0, Ordering::Relaxed);
        let since = self.busy_since.swap(0, Ordering::Relaxed);
        if since != 0 {
            self.add(BUSY, now.saturating_sub(since.max(recording_began)));
        }
        since != 0
    }

    /// The thread parks.
    pub(crate) fn park(&self, now: u64, recording_began: u64) {
        if self.busy_since.load(Ordering::Relaxed) == 0 {
            let began = self.began.load(Ordering::Relaxed);
            self.busy_since.store(began, Ordering::Relaxed);
            self.add(UNPARKS, u64::from(began != 0));
        }
        if self.leave(now, recording_began) {
            let before = self.polls_before.load(Ordering::Relaxed);
            let idle = self.counts[POLLS].load(Ordering::Relaxed) == before;
            self.add(IDLE_UNPARKS, u64::from(idle));
        }
    }

    /// A traced task is polled, in whatever.
    #[inline(always)]
    pub(crate) fn polls(&self) {
        self.polled.store(true, Ordering::Relaxed);
    }

    /// Whether a traced task was polled since the last call.
    pub(crate) fn take_polled(&self) -> bool {
        self.polled.swap(false, Ordering::Relaxed)
    }

    /// A poll begins.
    #[inline(always)]
    pub(crate) fn poll_begins(&self, now: u64) {
        self.poll_since.store(now, Ordering::Relaxed);
    }

    /// The poll that began last ends.
    #[inline(always)]
    pub(crate) fn poll_ends(&self, now: u64) {
        let since = self.poll_since.load(Ordering::Relaxed);
        self.poll_since.store(0, Ordering::Relaxed);
        // A blocking thread's closures are nothing that a worker is busy with.
        if since != 0 && self.busy_since.load(Ordering::Relaxed) != 0 {
            self.add(TASKS, now.saturating_sub(since));
            self.add(POLLS, 1);
        }
    }

    /// The record is for another thread.
    pub(crate) fn clear(&self) {
        let singles = [
            &self.runtime,
            &self.busy_since,
            &self.began,
            &self.poll_since,
            &self.polls_before,
        ];
        for value in singles
            .into_iter()
            .chain(&self.counts)
            .chain(&self.reported)
        {
            value.store(0, Ordering::Relaxed);
        }
    }

    /// A recording begins: what was before is not of it.
    pub(crate) fn begin_recording(&self) {
        let _ = self.take_polled();
        for (count, reported) in self.counts.iter().zip(&self.reported) {
            reported.store(count.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// What is new since the last call. The engine's.
    fn take(&self, now: u64, recording_began: u64) -> [u64; COUNTS] {
        std::array::from_fn(|count| {
            let since = match count {
                BUSY => self.busy_since.load(Ordering::Relaxed),
                TASKS => self.poll_since.load(Ordering::Relaxed),
                _ => 0,
            };
            let going_on = match since {
                0 => 0,
                since => now.saturating_sub(since.max(recording_began)),
            };
            let all = self.counts[count].load(Ordering::Relaxed) + going_on;
            let reported = self.reported[count].load(Ordering::Relaxed);
            // A view of a moment in which the thread ends a poll may be a little ahead: it is reported once.
            self.reported[count].store(all.max(reported), Ordering::Relaxed);
            all.saturating_sub(reported)
        })
    }
}

/// Adds up what all threads did since the last call.
pub(crate) fn take(
    live: &[&'static ThreadRecord],
    now: u64,
    recording_began: u64,
) -> CoveredByRuntime {
    let mut all = CoveredByRuntime::new();
    for record in live {
        let coverage = &record.shared.coverage;
        let runtime = coverage.runtime();
        if runtime == 0 {
            continue;
        }
        let counts = coverage.take(now, recording_began);
        // A thread that is gone, or that drives something else now, has nothing to say of it.
        if counts != [0; COUNTS] {
            let name = record.shared.pool().and_then(|pool| pool.name);
            all.entry(runtime)
                .or_default()
                .add(&Covered { name, counts });
        }
    }
    all
}

impl Covered {
    pub(crate) fn add(&mut self, other: &Self) {
        self.name = self.name.or(other.name);
        for (sum, value) in self.counts.iter_mut().zip(other.counts) {
            *sum += value;
        }
    }

    /// As a record of the trace.
    pub(crate) fn metadata(&self, runtime: u64) -> Metadata {
        Metadata::Coverage(metadata::Coverage {
            runtime,
            busy: Ticks(self.counts[BUSY]),
            tasks: Ticks(self.counts[TASKS]),
            polls: Count(self.counts[POLLS]),
            unparks: Count(self.counts[UNPARKS]),
            idle_unparks: Count(self.counts[IDLE_UNPARKS]),
            unknown: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_between_parks_is_busy_and_polls_are_tasks() {
        let coverage = Coverage::new();
        coverage.unpark(100);
        coverage.poll_begins(110);
        coverage.poll_ends(130);
        coverage.park(200, 50);
        coverage.unpark(300);
        coverage.park(310, 50);
        assert_eq!(coverage.take(400, 50), [110, 20, 1, 2, 1]);
        assert_eq!(coverage.take(500, 50), [0; COUNTS]);
    }

    #[test]
    fn a_thread_that_parks_first_was_busy_from_its_beginning() {
        let coverage = Coverage::new();
        coverage.begin(100);
        coverage.park(150, 50);
        assert_eq!(coverage.take(200, 50), [50, 0, 0, 1, 1]);
        // It was parked when the next park was seen: nobody knows since when.
        coverage.park(300, 50);
        assert_eq!(coverage.take(300, 50), [0; COUNTS]);
    }

    #[test]
    fn what_goes_on_is_reported_once() {
        let coverage = Coverage::new();
        coverage.unpark(100);
        coverage.poll_begins(100);
        assert_eq!(coverage.take(150, 50), [50, 50, 0, 1, 0]);
        coverage.poll_ends(170);
        coverage.park(180, 50);
        assert_eq!(coverage.take(200, 50), [30, 20, 1, 0, 0]);
    }

    #[test]
    fn a_recording_has_nothing_of_what_was_before_it() {
        let coverage = Coverage::new();
        coverage.unpark(100);
        coverage.poll_begins(110);
        assert_eq!(coverage.take(200, 50), [100, 90, 0, 1, 0]);
        // The recording ends; the next one begins at 1000. The thread never parked, and what it polls is in no trace.
        coverage.poll_ends(900);
        coverage.begin_recording();
        assert_eq!(coverage.take(1100, 1000), [100, 0, 0, 0, 0]);
        coverage.park(1200, 1000);
        assert_eq!(coverage.take(1300, 1000), [100, 0, 0, 0, 0]);
    }
}
