//! What became of the signals of one thread in one generation, by cause.
//!
//! Written by the thread's own handler inside the generation, read and cleared by the engine once the generation is quiet. One
//! writer: plain load and store, no read-modify-write.

use tachograph_wire::metadata::Cause;

use crate::sync::{AtomicU64, Ordering};

const CAUSES: usize = Cause::ALL.len();

/// The counters of one thread and generation parity.
#[derive(Debug)]
pub(crate) struct Counters {
    handled: AtomicU64,
    causes: [AtomicU64; CAUSES],
}

/// What became of profiling signals: how many were handled, how many samples they gave, and why the rest is missing or incomplete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Signals that the handler saw.
    pub handled: u64,
    /// Samples that reached the trace.
    pub emitted: u64,
    /// Signals without a sample and samples without a whole stack, by cause.
    causes: [u64; CAUSES],
}

impl Tally {
    /// The count of one cause.
    #[must_use]
    pub fn get(&self, cause: Cause) -> u64 {
        self.causes[cause as usize]
    }

    /// Raises the count of one cause.
    pub(crate) fn count(&mut self, cause: Cause, signals: u64) {
        self.causes[cause as usize] += signals;
    }

    /// All causes with their counts.
    pub fn causes(&self) -> impl Iterator<Item = (Cause, u64)> {
        Cause::ALL.into_iter().map(|cause| (cause, self.get(cause)))
    }

    /// Signals that left no sample.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.causes()
            .filter(|(cause, _)| cause.loses_sample())
            .map(|(_, count)| count)
            .sum()
    }

    /// Adds another tally.
    pub fn add(&mut self, other: &Self) {
        self.handled += other.handled;
        self.emitted += other.emitted;
        for (sum, value) in self.causes.iter_mut().zip(other.causes) {
            *sum += value;
        }
    }
}

impl Counters {
    pub(crate) const fn new() -> Self {
        Self {
            handled: AtomicU64::new(0),
            causes: [const { AtomicU64::new(0) }; CAUSES],
        }
    }

    #[inline(always)]
    pub(crate) fn count_handled(&self) {
        bump(&self.handled);
    }

    #[inline(always)]
    pub(crate) fn count(&self, cause: Cause) {
        bump(&self.causes[cause as usize]);
    }

    /// Reads and clears. Only after the generation is quiet.
    pub(crate) fn take(&self) -> Tally {
        // Relaxed: `gate` rule 4 ordered the handler's last store before this.
        let take = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed);
        Tally {
            handled: take(&self.handled),
            emitted: 0,
            causes: std::array::from_fn(|i| take(&self.causes[i])),
        }
    }
}

#[inline(always)]
fn bump(counter: &AtomicU64) {
    // Relaxed: one writer.
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}
