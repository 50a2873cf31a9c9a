//! Locks whose order ThreadSanitizer sees; stand-ins for std's in a sanitized build only.
//!
//! The standard library is not instrumented, so a `Mutex` of it orders nothing in the sanitizer's eyes. These pass every lock and
//! unlock through an atomic of ours besides. What they guard can then be left unsuppressed: a report about it is a real race.

use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// As `std::sync::Mutex`.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T> {
    order: AtomicBool,
    inner: std::sync::Mutex<T>,
}

/// As `std::sync::MutexGuard`.
#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T> {
    order: &'a AtomicBool,
    /// None only while the guard is taken apart.
    inner: Option<std::sync::MutexGuard<'a, T>>,
}

/// As `std::sync::Condvar`.
#[derive(Debug)]
pub(crate) struct Condvar(std::sync::Condvar);

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self {
            order: AtomicBool::new(false),
            inner: std::sync::Mutex::new(value),
        }
    }
}

impl<'a, T> MutexGuard<'a, T> {
    fn new(order: &'a AtomicBool, inner: std::sync::MutexGuard<'a, T>) -> Self {
        // Acquire: pairs with the Release in `drop` and `release`.
        let _ = order.load(Ordering::Acquire);
        Self {
            order,
            inner: Some(inner),
        }
    }

    fn release(mut self) -> (&'a AtomicBool, std::sync::MutexGuard<'a, T>) {
        // Release: pairs with the Acquire in `new`.
        self.order.store(true, Ordering::Release);
        let inner = self.inner.take();
        (self.order, inner.expect("taken apart once"))
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        if self.inner.is_some() {
            // Release: pairs with the Acquire in `new`. The lock itself is let go of after this.
            self.order.store(true, Ordering::Release);
        }
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.inner.as_ref().expect("not taken apart")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.inner.as_mut().expect("not taken apart")
    }
}

impl Condvar {
    pub(crate) const fn new() -> Self {
        Self(std::sync::Condvar::new())
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }
}

/// As `sync::lock`.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    let inner = mutex.inner.lock().unwrap_or_else(PoisonError::into_inner);
    MutexGuard::new(&mutex.order, inner)
}

/// As `sync::wait`.
pub(crate) fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    let (order, inner) = guard.release();
    let inner = condvar.0.wait(inner);
    MutexGuard::new(order, inner.unwrap_or_else(PoisonError::into_inner))
}

/// As `sync::wait_timeout`.
pub(crate) fn wait_timeout<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    timeout: Duration,
) -> MutexGuard<'a, T> {
    let (order, inner) = guard.release();
    let waited = condvar.0.wait_timeout(inner, timeout);
    MutexGuard::new(order, waited.unwrap_or_else(PoisonError::into_inner).0)
}
