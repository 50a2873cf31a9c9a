//! The calling thread's stack, for events that carry one (spawn, blocking sections).
//!
//! Taken before the critical section begins, by the same walker and tables as CPU samples.

use tachograph_unwind::Registers;

use crate::record::ThreadRecord;
use crate::sample::walker;

/// Frames kept of an event's stack; the wire allows 128 after inlines are expanded.
pub(crate) const MAX_EVENT_FRAMES: usize = 64;

/// Lookup addresses, leaf first.
#[derive(Debug)]
pub(crate) struct EventStack {
    pcs: [u64; MAX_EVENT_FRAMES],
    len: usize,
}

impl EventStack {
    /// The stack of the caller's caller: whoever asks for an event is not part of it. About 10 ns a frame.
    #[inline(always)]
    pub(crate) fn capture(record: &ThreadRecord) -> Self {
        let mut stack = Self {
            pcs: [0; MAX_EVENT_FRAMES],
            len: 0,
        };
        // SAFETY: the registers and the bounds are this thread's own; the array has room for as many frames as we say.
        let walk = unsafe {
            walker::walk_own(
                record,
                Registers::capture(),
                stack.pcs.as_mut_ptr(),
                MAX_EVENT_FRAMES,
            )
        };
        stack.len = walk;
        stack
    }

    pub(crate) fn pcs(&self) -> &[u64] {
        self.pcs[..self.len].get(1..).unwrap_or_default()
    }
}
