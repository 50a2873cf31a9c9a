//! Whether a thread is in a declared blocking section on the wire, and whether its processor slot was taken meanwhile.
//!
//! One word by each thread. Written by the thread (`section`), by the engine, which takes the slots of long sections, and by a worker's
//! successor, which takes the slot of a worker that blocks in place (`spare`).
//!
//! # Protocol
//! 1. What a taker needs to know (the slot, since when) MUST be stored before `begin`, which is its release.
//! 2. The thread's return and the engine's taking are decided by one compare-and-swap: exactly one of the two has the slot.
//! 3. A taken section stays taken until the thread has acknowledged it: the engine leaves it alone, and a later `begin` would
//!    otherwise look as if the slot were still there.
//! 4. The upper bits count the sections, so that the engine cannot take the slot of a later section than the one it looked at.
//! 5. The word says in which generation the slot was last left or stated, and a thread says so (`renew`) before it states a slot that it
//!    left. Whoever is in an earlier generation MUST NOT take it: the taker's event would stand before what it follows.
//!
//! Modelled in `tests/loom_session.rs`, one case per rule.

use crate::sync::{AtomicU64, Ordering, load_own};

/// See the module's text.
#[derive(Debug)]
pub struct Syscall(AtomicU64);

/// A section as the engine saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SectionSeen(u64);

/// What a returning thread finds.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    /// It was in no section.
    Outside,
    /// It kept its processor slot.
    Kept,
    /// The engine has taken the slot.
    Taken,
}

const OUTSIDE: u64 = 0;
const INSIDE: u64 = 1;
const TAKEN: u64 = 2;
const STATE: u64 = 3;
const GENERATION_SHIFT: u32 = 2;
const GENERATION_MASK: u64 = (1 << 22) - 1;
const COUNT_SHIFT: u32 = 24;

/// The low bits of `generation` in their place: a word in use is never more than a few generations old, or it is left alone by chance
/// for one.
fn in_generation(generation: u64) -> u64 {
    (generation & GENERATION_MASK) << GENERATION_SHIFT
}

impl Syscall {
    /// In no section.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self(AtomicU64::new(OUTSIDE))
    }

    /// In no section.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self(AtomicU64::new(OUTSIDE))
    }

    /// The thread goes in, with its slot.
    pub fn begin(&self, generation: u64) {
        // The engine writes only inside of a section.
        let count = load_own(&self.0) >> COUNT_SHIFT;
        let begun = (count + 1) << COUNT_SHIFT | in_generation(generation) | INSIDE;
        // Release: pairs with the Acquire in `look` (rule 1).
        self.0.store(begun, Ordering::Release);
    }

    /// The thread is about to state the slot of the open section in `generation` (rule 5). False if the slot has been taken.
    #[must_use]
    pub fn renew(&self, generation: u64) -> bool {
        // Acquire: pairs with the AcqRel in `take`.
        let seen = self.0.load(Ordering::Acquire);
        let renewed = seen >> COUNT_SHIFT << COUNT_SHIFT | in_generation(generation) | INSIDE;
        seen & STATE == INSIDE
            && self
                .0
                // AcqRel: against `take`; one of the two wins.
                .compare_exchange(seen, renewed, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
    }

    /// The thread comes back (rule 2). A taken section stays as it is until `acknowledge`.
    pub fn end(&self) -> Return {
        // Acquire: pairs with the AcqRel in `take`.
        let seen = self.0.load(Ordering::Acquire);
        match seen & STATE {
            OUTSIDE => Return::Outside,
            INSIDE
                if self
                    .0
                    // AcqRel: against `take`; one of the two wins.
                    .compare_exchange(seen, seen & !STATE, Ordering::AcqRel, Ordering::Acquire)
                    .is_ok() =>
            {
                Return::Kept
            }
            _ => Return::Taken,
        }
    }

    /// The thread has drawn the consequences of a taken section (rule 3), or the section belongs to an earlier run.
    pub fn acknowledge(&self) {
        // Relaxed: the engine leaves a taken section alone, and one of an earlier run as well.
        let seen = self.0.load(Ordering::Relaxed);
        // Release: pairs with the Acquire in `is_taken`; whoever sees this sees that the slot has been let go of.
        self.0.store(seen & !STATE, Ordering::Release);
    }

    /// Whether the slot has been taken from the section that is open now.
    pub fn is_taken(&self) -> bool {
        // Acquire: pairs with the AcqRel in `take`.
        self.0.load(Ordering::Acquire) & STATE == TAKEN
    }

    /// A taker in `generation` looks: the section that is open with its slot, if there is one, and that is not ahead (rule 5).
    pub fn look(&self, generation: u64) -> Option<SectionSeen> {
        // Acquire: pairs with the Release in `begin` (rule 1).
        let seen = self.0.load(Ordering::Acquire);
        let is_ahead = seen & GENERATION_MASK << GENERATION_SHIFT == in_generation(generation + 1);
        (seen & STATE == INSIDE && !is_ahead).then_some(SectionSeen(seen))
    }

    /// Whether the thread is in a section at all.
    pub fn is_inside(&self) -> bool {
        // Acquire: as in `look`.
        self.0.load(Ordering::Acquire) & STATE != OUTSIDE
    }

    /// The taker takes the slot away, unless the thread came back first (rules 2, 4 and 5).
    #[must_use]
    pub fn take(&self, seen: SectionSeen) -> bool {
        let taken = seen.0 & !STATE | TAKEN;
        self.0
            // AcqRel: against `end`.
            .compare_exchange(seen.0, taken, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

impl Default for Syscall {
    fn default() -> Self {
        Self::new()
    }
}
