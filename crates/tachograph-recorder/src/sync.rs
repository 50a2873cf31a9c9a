//! The one door to atomics: std in a program, loom under its model checker.
//!
//! Nothing else in this crate names `std::sync::atomic`. Protocol rooms (`gate`, `sample::ring`, `status`) use only what
//! stands here, so that `tests/loom_*.rs` can model them.

#[cfg(not(any(loom, tachograph_sanitizer)))]
use std::sync::PoisonError;
#[cfg(not(any(loom, tachograph_sanitizer)))]
use std::time::Duration;

#[cfg(not(loom))]
pub(crate) use std::sync::Arc;
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};
#[cfg(not(any(loom, tachograph_sanitizer)))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};

#[cfg(tachograph_sanitizer)]
pub(crate) use crate::visible::{Condvar, Mutex, MutexGuard, lock, wait, wait_timeout};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
#[cfg(loom)]
pub use model_signal::interrupt_at;

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
#[cfg(not(any(loom, tachograph_sanitizer)))]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a notification; poison as in `lock`.
#[cfg(not(any(loom, tachograph_sanitizer)))]
pub(crate) fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condvar.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a notification or until `timeout` is over.
#[cfg(not(any(loom, tachograph_sanitizer)))]
pub(crate) fn wait_timeout<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    timeout: Duration,
) -> MutexGuard<'a, T> {
    let waited = condvar.wait_timeout(guard, timeout);
    waited.unwrap_or_else(PoisonError::into_inner).0
}

/// Loads a word that only the calling thread writes.
///
/// loom then checks exactly that. And it misses no switch: of the accesses to a word it remembers the last only, so that a writer's
/// own load would hide the other side's load before it.
#[inline(always)]
pub(crate) fn load_own(word: &AtomicU64) -> u64 {
    #[cfg(not(loom))]
    // Relaxed: no other thread writes it.
    return word.load(Ordering::Relaxed);
    #[cfg(loom)]
    // SAFETY: loom fails when another thread's store has not happened before.
    unsafe {
        word.unsync_load()
    }
}

/// As `load_own`, for a flag.
#[inline(always)]
pub(crate) fn load_own_flag(flag: &AtomicBool) -> bool {
    #[cfg(not(loom))]
    // Relaxed: no other thread writes it.
    return flag.load(Ordering::Relaxed);
    #[cfg(loom)]
    // SAFETY: as in `load_own`.
    unsafe {
        flag.unsync_load()
    }
}

/// Stores to a word that others change by compare-and-swap, and in whose present state they do not.
///
/// loom does not know that what a compare-and-swap writes comes right behind what it has read, and so before the next store of whoever wrote
/// that. Its models swap, which is as blind to what was there.
#[inline(always)]
pub(crate) fn store_over(word: &AtomicU64, value: u64, order: Ordering) {
    #[cfg(not(loom))]
    word.store(value, order);
    #[cfg(loom)]
    word.swap(value, order);
}

/// Passes the time of one try in a loop that waits for another thread.
pub(crate) fn back_off(tries: u32) {
    #[cfg(loom)]
    {
        let _ = tries;
        loom::thread::yield_now();
    }
    #[cfg(not(loom))]
    match tries {
        0..=100 => std::hint::spin_loop(),
        101..=200 => std::thread::yield_now(),
        _ => std::thread::sleep(std::time::Duration::from_micros(50)),
    }
}

/// A place between two steps of a protocol where a model can let a signal land. Nothing in a program.
#[inline(always)]
pub(crate) fn signal_point() {
    #[cfg(loom)]
    model_signal::pass();
}

/// A signal handler in a model: a function that runs at one of the thread's signal points.
#[cfg(loom)]
mod model_signal {
    use std::cell::RefCell;

    type Handler = Box<dyn FnOnce()>;

    loom::thread_local! {
        static PENDING: RefCell<Option<(usize, Handler)>> = RefCell::new(None);
    }

    /// Lets `handler` interrupt the calling thread at its `point`-th signal point from now on.
    pub fn interrupt_at(point: usize, handler: impl FnOnce() + 'static) {
        PENDING.with(|pending| *pending.borrow_mut() = Some((point, Box::new(handler))));
    }

    pub(super) fn pass() {
        let due = PENDING.with(|pending| {
            let mut pending = pending.borrow_mut();
            match pending.take() {
                Some((0, handler)) => Some(handler),
                Some((points, handler)) => {
                    *pending = Some((points - 1, handler));
                    None
                }
                None => None,
            }
        });
        if let Some(handler) = due {
            handler();
        }
    }
}
