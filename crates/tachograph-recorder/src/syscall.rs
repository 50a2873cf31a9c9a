//! Whether a thread is in a declared blocking section on the wire, and whether its processor slot was taken meanwhile.
//!
//! One word by each thread. Written by the thread (`section`) and by the engine, which takes the slots of long sections.
//!
//! # Protocol
//! 1. What a taker needs to know (the slot, since when) MUST be stored before `begin`, which is its release.
//! 2. The thread's return and the engine's taking are decided by one compare-and-swap: exactly one of the two has the slot.
//! 3. A taken section stays taken until the thread has acknowledged it: the engine leaves it alone, and a later `begin` would
//!    otherwise look as if the slot were still there.
//! 4. The upper bits count the sections, so that the engine cannot take the slot of a later section than the one it looked at.
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
const COUNT_SHIFT: u32 = 2;

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
    pub fn begin(&self) {
        // The engine writes only inside of a section.
        let count = load_own(&self.0) >> COUNT_SHIFT;
        // Release: pairs with the Acquire in `look` (rule 1).
        self.0
            .store((count + 1) << COUNT_SHIFT | INSIDE, Ordering::Release);
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

    /// The engine looks: the section that is open with its slot, if there is one.
    pub fn look(&self) -> Option<SectionSeen> {
        // Acquire: pairs with the Release in `begin` (rule 1).
        let seen = self.0.load(Ordering::Acquire);
        (seen & STATE == INSIDE).then_some(SectionSeen(seen))
    }

    /// Whether the thread is in a section at all.
    pub fn is_inside(&self) -> bool {
        // Acquire: as in `look`.
        self.0.load(Ordering::Acquire) & STATE != OUTSIDE
    }

    /// The engine takes the slot away, unless the thread came back first (rules 2 and 4).
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
