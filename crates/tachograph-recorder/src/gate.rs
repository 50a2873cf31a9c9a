//! The generation word and the write flags: who may write into which generation, and when one is closed.
//!
//! Owns the protocol of Go's `traceAcquire` (`runtime/traceruntime.go`) with a cheaper fence. Called by every event, by the
//! signal handler and by `advance`; calls nothing.
//!
//! # Protocol
//! 1. A thread MUST set its `WriteFlag` before it reads the generation, and read the generation only while the flag is
//!    set. Otherwise `advance` can seal a buffer that is still being written.
//! 2. The store of the flag and the load of the generation MUST be ordered against the advancer's store of the generation
//!    and load of the flag (a store-buffering pair). The thread pays a compiler fence, the advancer a `membarrier`; where
//!    the kernel refuses `membarrier`, both pay a full fence. Otherwise both sides can miss each other's store.
//! 3. The advancer MUST wait for every flag that it sees set after it has published the next generation. A flag seen clear
//!    once is enough: the thread can then only enter the published generation.
//! 4. Clearing the flag is a release, seeing it clear an acquire. Otherwise the advancer can seal a buffer without its last
//!    event.
//! 5. A handler that lands inside a critical section MUST leave the flag set, and uses the generation that it reads itself:
//!    it may be newer than that of the interrupted code, and both are open.
//! 6. The generation word changes only under the session's advance right (`engine`), and never back to a value it had.
//!
//! Modelled in `tests/loom_gate.rs`, one case per rule.

use crate::sync::{
    AtomicBool, AtomicU64, Ordering, back_off, compiler_fence, fence, load_own_flag, signal_point,
};

/// The generation that is being recorded, 0 when nothing is.
///
/// Sits with its fence mode in one cache line that is written once a generation and otherwise only read.
#[repr(align(128))]
#[derive(Debug)]
pub struct Gate {
    generation: AtomicU64,
    full_fences: AtomicBool,
}

/// "I am writing": one per thread, set and cleared by that thread and by a handler that interrupts it.
#[derive(Debug)]
pub struct WriteFlag(AtomicBool);

/// What `Gate::enter` found.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Nothing is recorded; the flag is clear again.
    Off,
    /// This thread is inside a critical section already; the flag was left alone.
    Nested,
    /// Inside generation `.0`; `Gate::leave` is owed.
    In(u64),
}

/// A handler's right to write: gives the flag back as it was found (rule 5).
#[must_use]
#[derive(Clone, Copy, Debug)]
pub struct HandlerEntry {
    /// The open generation that the handler writes into.
    pub generation: u64,
    owns_flag: bool,
}

impl WriteFlag {
    /// A clear flag.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// A clear flag.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Whether the thread is outside of its critical section. The advancer's side of rule 4.
    #[inline]
    pub fn is_clear(&self) -> bool {
        // Acquire: pairs with the Release in `leave`; past this point the thread's slot of the closed generation is ours.
        !self.0.load(Ordering::Acquire)
    }

    /// Waits until the flag has been seen clear once (rule 3). A critical section takes well under a microsecond, unless its
    /// thread is preempted in it.
    pub fn wait_until_clear(&self) {
        let mut tries = 0;
        while !self.is_clear() {
            tries += 1;
            back_off(tries);
        }
    }
}

impl Default for WriteFlag {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// A gate with recording off, and full fences until `use_light_fences`.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self {
            generation: AtomicU64::new(0),
            full_fences: AtomicBool::new(true),
        }
    }

    /// A gate with recording off, and full fences until `use_light_fences`.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self {
            generation: AtomicU64::new(0),
            full_fences: AtomicBool::new(true),
        }
    }

    /// Lets the event path pay compiler fences only. The caller's `heavy_fence` must then be a process-wide barrier.
    pub fn use_light_fences(&self, light: bool) {
        // Relaxed: written before the first generation is published, by the same thread; `publish` is the release.
        self.full_fences.store(!light, Ordering::Relaxed);
    }

    /// A hint that may be stale either way; `enter` decides. One load and a branch.
    #[inline(always)]
    pub fn is_on(&self) -> bool {
        // Relaxed: only a hint.
        self.generation.load(Ordering::Relaxed) != 0
    }

    /// Begins a critical section (rules 1 and 2).
    #[inline(always)]
    pub fn enter(&self, flag: &WriteFlag) -> Entry {
        signal_point();
        if load_own_flag(&flag.0) {
            return Entry::Nested;
        }
        signal_point();
        self.raise(flag);
        signal_point();
        // Acquire: pairs with the Release in `publish`; what the advancer prepared for this generation is visible.
        let generation = self.generation.load(Ordering::Acquire);
        signal_point();
        match generation {
            0 => {
                self.leave(flag);
                Entry::Off
            }
            generation => Entry::In(generation),
        }
    }

    /// Ends the critical section that `enter` began (rule 4).
    #[inline(always)]
    pub fn leave(&self, flag: &WriteFlag) {
        signal_point();
        // Release: pairs with the Acquire in `WriteFlag::is_clear`.
        flag.0.store(false, Ordering::Release);
        signal_point();
    }

    /// Begins a handler's critical section on the interrupted thread, `None` when nothing is recorded (rule 5).
    #[inline(always)]
    pub fn enter_handler(&self, flag: &WriteFlag) -> Option<HandlerEntry> {
        let owns_flag = !load_own_flag(&flag.0);
        if owns_flag {
            // Relaxed: as in `raise`.
            flag.0.store(true, Ordering::Relaxed);
        }
        // N.B. Also when the interrupted code has set the flag: it may not have come to its own fence yet.
        self.fence();
        let entry = HandlerEntry {
            // Acquire: as in `enter`.
            generation: self.generation.load(Ordering::Acquire),
            owns_flag,
        };
        if entry.generation == 0 {
            self.leave_handler(flag, entry);
            return None;
        }
        Some(entry)
    }

    /// Ends the critical section that `enter_handler` began.
    #[inline(always)]
    pub fn leave_handler(&self, flag: &WriteFlag, entry: HandlerEntry) {
        if entry.owns_flag {
            self.leave(flag);
        }
    }

    /// Publishes `generation` (0 = off). The advancer's side of rule 2: a `heavy_fence` must follow before any flag is read.
    pub fn publish(&self, generation: u64) {
        // Release: pairs with the Acquire loads in `enter` and `enter_handler`.
        self.generation.store(generation, Ordering::Release);
    }

    #[inline(always)]
    fn raise(&self, flag: &WriteFlag) {
        // Relaxed: ordered by the fence below, whose partner is the advancer's heavy fence.
        flag.0.store(true, Ordering::Relaxed);
        signal_point();
        self.fence();
    }

    #[inline(always)]
    fn fence(&self) {
        // Relaxed: see `use_light_fences`.
        if self.full_fences.load(Ordering::Relaxed) {
            fence(Ordering::SeqCst);
        } else {
            compiler_fence();
        }
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}
