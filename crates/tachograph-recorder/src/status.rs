//! Who states a resource's status in a generation, and its sequence numbers there.
//!
//! One `Marks` stands by each processor slot, and by the engine's own task; other tasks have their `task_word`. Called by whoever writes an
//! event about the resource (its owner, the engine or a successor that takes it away) and by `advance` at the end of a generation.
//!
//! # Protocol (Go: `runtime/tracestatus.go`)
//! 1. The first event that mentions a resource in a generation MUST be preceded by its status, stated by the one thread that
//!    wins `claim`. Otherwise a reader cannot place the event.
//! 2. Every consuming event takes the next number of its generation: 1, 2, 3, .. over all threads. Mark and number are one word, so
//!    that whoever loses the claim finds the numbers begun anew: a thread may state its slot while the engine takes the slot away.
//! 3. Two words by parity are enough: a generation is closed before the one after the next is published (`advance`), and a word
//!    holds the generation's number, so that nothing needs a reset. Its lower bits are enough, because `advance` states everything
//!    that lives in every generation: a mark is two generations old at most.
//! 4. Who may take a slot in which generation is for `syscall` to say (rule 5 there).
//!
//! Modelled in `tests/loom_status.rs`, one case per rule.

use crate::sync::{AtomicU64, Ordering};

/// The marks of one resource: by parity, the generation that has its status and the numbers given out in it.
#[derive(Debug)]
pub struct Marks([AtomicU64; 2]);

/// Bits of a word for the numbers; the generation has the rest.
const NUMBER_BITS: u32 = 40;
/// The words of a resource that was never mentioned: each names a generation of the other parity.
const NEVER: [u64; 2] = [1 << NUMBER_BITS, 0];

impl Marks {
    /// A resource that no generation has mentioned.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self([AtomicU64::new(NEVER[0]), AtomicU64::new(NEVER[1])])
    }

    /// A resource that no generation has mentioned.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self([AtomicU64::new(NEVER[0]), AtomicU64::new(NEVER[1])])
    }

    /// True for exactly one caller a generation: that caller MUST write the status event before anything else about the
    /// resource (rule 1). Creation events count as the status.
    #[must_use]
    pub fn claim(&self, generation: u64) -> bool {
        let word = &self.0[parity(generation)];
        let begun = generation << NUMBER_BITS;
        // Relaxed: the compare-and-swap below decides.
        let seen = word.load(Ordering::Relaxed);
        seen >> NUMBER_BITS != begun >> NUMBER_BITS
            && word
                // Relaxed: only the word itself is decided here; what else belongs to the resource has its own hand-over.
                .compare_exchange(seen, begun, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// The next sequence number in `generation` (rule 2). Only the resource's owner calls this, after somebody's `claim`.
    pub fn next_sequence(&self, generation: u64) -> u64 {
        // Relaxed: as in `claim`; ownership is handed over with its own ordering.
        let before = self.0[parity(generation)].fetch_add(1, Ordering::Relaxed);
        debug_assert_eq!(
            before >> NUMBER_BITS,
            (generation << NUMBER_BITS) >> NUMBER_BITS
        );
        (before & ((1 << NUMBER_BITS) - 1)) + 1
    }

    /// Forgets everything: the resource is reused by another owner, outside of any generation.
    pub fn clear(&self) {
        for (word, never) in self.0.iter().zip(NEVER) {
            // Relaxed: outside of any generation.
            word.store(never, Ordering::Relaxed);
        }
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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_new_resource_is_unstated_in_every_generation() {
        for generation in [1, 2, (1 << 24) - 1, 1 << 24, (1 << 24) + 1, 1 << 40] {
            let marks = Marks::new();
            assert!(marks.claim(generation), "generation {generation}");
            assert!(!marks.claim(generation), "generation {generation}");
            assert_eq!(
                [
                    marks.next_sequence(generation),
                    marks.next_sequence(generation)
                ],
                [1, 2]
            );
        }
    }
}
