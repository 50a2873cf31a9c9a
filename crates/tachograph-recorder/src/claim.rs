//! The claim on what there is one of: the process's recording.
//!
//! Called by `session`.
//!
//! # Protocol
//! 1. `take` is true for one caller until `give_back`; the others touch nothing.
//! 2. `give_back` is a release and `take` an acquire: a recording finds everything as the one before has left it.
//!
//! Modelled in `tests/loom_session.rs`, one case per rule.

use crate::sync::{AtomicBool, Ordering};

/// See the module's text.
#[derive(Debug)]
pub struct Claim(AtomicBool);

impl Claim {
    /// Nobody's.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Nobody's.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// True for the one caller that has it now (rule 1).
    #[must_use]
    pub fn take(&self) -> bool {
        self.0
            // Acquire: pairs with the Release in `give_back` (rule 2).
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Gives it back. Only by whom `take` gave it.
    pub fn give_back(&self) {
        // Release: pairs with the Acquire in `take` (rule 2).
        self.0.store(false, Ordering::Release);
    }
}

impl Default for Claim {
    fn default() -> Self {
        Self::new()
    }
}
