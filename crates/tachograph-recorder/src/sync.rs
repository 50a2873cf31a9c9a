//! The one door to atomics: std in a program, loom under its model checker.
//!
//! Nothing else in this crate names `std::sync::atomic`. Protocol rooms (`gate`, `sample::ring`, `status`) use only what
//! stands here, so that `tests/loom_*.rs` can model them.

#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};
#[cfg(not(loom))]
pub(crate) use std::sync::{Arc, Condvar, Mutex, MutexGuard};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

/// Keeps the compiler from moving memory accesses across this point; costs nothing at run time.
///
/// loom has no compiler fence, so its models pay the full one: the asymmetric pair is then a symmetric pair.
#[inline(always)]
pub(crate) fn compiler_fence() {
    #[cfg(not(loom))]
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
    #[cfg(loom)]
    fence(Ordering::SeqCst);
}

/// Locks, whether or not another thread panicked while it held the lock: a tracer must outlive its host's panics.
#[cfg(not(loom))]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
