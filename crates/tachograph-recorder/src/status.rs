//! Who states a resource's status in a generation, and its sequence numbers there.
//!
//! One `Marks` stands by each task and each processor slot. Called by whoever writes an event about the resource (its owner, a
//! waker, the engine that takes it away) and by `advance` at the end of a generation.
//!
//! # Protocol (Go: `runtime/tracestatus.go`)
//! 1. The first event that mentions a resource in a generation MUST be preceded by its status, stated by the one thread that
//!    wins `claim`. Otherwise a reader cannot place the event.
//! 2. `claim` resets the sequence of its generation; every consuming event takes the next number: 1, 2, 3, .. over all threads.
//! 3. Two slots by parity are enough: a generation is closed before the one after the next is published (`advance`), and a slot
//!    holds the generation's number, so that nothing needs a reset.
//!
//! Modelled in `tests/loom_status.rs`, one case per rule.

use crate::sync::{AtomicU64, Ordering};

/// The marks of one resource.
#[derive(Debug)]
pub struct Marks {
    stated: [AtomicU64; 2],
    sequence: [AtomicU64; 2],
}

impl Marks {
    /// A resource that no generation has mentioned.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self {
            stated: [AtomicU64::new(0), AtomicU64::new(0)],
            sequence: [AtomicU64::new(0), AtomicU64::new(0)],
        }
    }

    /// A resource that no generation has mentioned.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self {
            stated: [AtomicU64::new(0), AtomicU64::new(0)],
            sequence: [AtomicU64::new(0), AtomicU64::new(0)],
        }
    }

    /// True for exactly one caller a generation: that caller MUST write the status event before anything else about the
    /// resource (rule 1). Creation events count as the status.
    #[must_use]
    pub fn claim(&self, generation: u64) -> bool {
        let slot = &self.stated[parity(generation)];
        // Relaxed: the compare-and-swap below decides.
        let seen = slot.load(Ordering::Relaxed);
        if seen == generation {
            return false;
        }
        // AcqRel: the winner's reset of the sequence happens before any later claim's view of it through the resource's own
        // hand-over; losers only need to know that they lost.
        let won = slot
            .compare_exchange(seen, generation, Ordering::AcqRel, Ordering::Acquire)
            .is_ok();
        if won {
            // Relaxed: only the owner of the resource takes numbers, and ownership is handed over with its own ordering.
            self.sequence[parity(generation)].store(0, Ordering::Relaxed);
        }
        won
    }

    /// The next sequence number in `generation` (rule 2). Only the resource's owner calls this.
    pub fn next_sequence(&self, generation: u64) -> u64 {
        // Relaxed: see `claim`.
        self.sequence[parity(generation)].fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Takes over what `other` holds: a task moves into the record of the thread that runs it.
    pub fn adopt(&self, other: &Self) {
        for slot in 0..2 {
            // Relaxed (all): both sides are owned by the adopting thread, inside its critical section.
            let stated = other.stated[slot].load(Ordering::Relaxed);
            let sequence = other.sequence[slot].load(Ordering::Relaxed);
            self.stated[slot].store(stated, Ordering::Relaxed);
            self.sequence[slot].store(sequence, Ordering::Relaxed);
        }
    }

    /// Forgets everything: the resource is reused by another owner, outside of any generation.
    pub fn clear(&self) {
        self.adopt(&Self::new());
    }
}

impl Default for Marks {
    fn default() -> Self {
        Self::new()
    }
}

fn parity(generation: u64) -> usize {
    (generation & 1) as usize
}
