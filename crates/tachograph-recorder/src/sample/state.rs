//! What one thread needs to be sampled: rings, rule cache, stack bounds, counters, timer.
//!
//! Part of `ThreadRecord`. The memory is taken at the first arming and kept for the record's next thread.

use tachograph_unwind::{RuleCache, StackBounds};

use super::counters::Counters;
use super::ring::Ring;
use super::timer::Timer;
use super::words::Words;
use crate::buffer;
use crate::sync::{AtomicU64, Mutex, Ordering, lock};

/// See the module's text.
#[derive(Debug)]
pub(crate) struct SampleState {
    /// A leaked `Rings`, null before the first arming. Replaced only while the thread has no timer.
    rings: std::sync::atomic::AtomicPtr<Rings>,
    bounds_low: AtomicU64,
    bounds_high: AtomicU64,
    pub(crate) counters: [Counters; 2],
    /// CPU time up to which a perf_event sampler has accounted, in ns of the thread's clock.
    pub(crate) accounted_ns: AtomicU64,
    pub(crate) timer: Mutex<Option<Timer>>,
}

/// The memory of a sampled thread.
#[derive(Debug)]
pub(crate) struct Rings {
    pub(crate) rings: [Ring; 2],
    pub(crate) cache: *mut RuleCache,
}

impl Rings {
    fn map(words: usize) -> Option<Self> {
        Some(Self {
            rings: [Ring::new(Words::map(words)?), Ring::new(Words::map(words)?)],
            cache: buffer::map_pages(size_of::<RuleCache>())?.as_ptr().cast(),
        })
    }
}

impl Drop for Rings {
    fn drop(&mut self) {
        // SAFETY: mapped in `map` with this length; the owner has no timer any more.
        unsafe {
            libc::munmap(self.cache.cast(), size_of::<RuleCache>());
        }
    }
}

impl SampleState {
    pub(crate) fn new() -> Self {
        Self {
            rings: std::sync::atomic::AtomicPtr::new(std::ptr::null_mut()),
            bounds_low: AtomicU64::new(0),
            bounds_high: AtomicU64::new(0),
            counters: [Counters::new(), Counters::new()],
            accounted_ns: AtomicU64::new(0),
            timer: Mutex::new(None),
        }
    }

    /// The rings and the cache, if the thread was ever armed. Signal safe.
    #[inline(always)]
    pub(crate) fn rings(&self) -> Option<&Rings> {
        // Acquire: pairs with the Release in `ready`.
        let rings = self.rings.load(Ordering::Acquire);
        // SAFETY: null, or a leaked `Rings` that is replaced only while no handler can use it (`ready`).
        unsafe { rings.as_ref() }
    }

    /// Makes sure that there are rings of `words`. Only while the thread has no timer and its rings are drained.
    pub(crate) fn ready(&self, words: usize) -> bool {
        if self
            .rings()
            .is_some_and(|rings| rings.rings[0].words().len() == words)
        {
            return true;
        }
        let Some(rings) = Rings::map(words) else {
            return false;
        };
        // AcqRel: pairs with the Acquire in `rings`.
        let old = self
            .rings
            .swap(Box::into_raw(Box::new(rings)), Ordering::AcqRel);
        if !old.is_null() {
            // SAFETY: made by `Box::into_raw` above, at an earlier arming; without a timer no handler enters.
            drop(unsafe { Box::from_raw(old) });
        }
        true
    }

    /// Remembers the calling thread's stack.
    pub(crate) fn learn_bounds(&self) {
        if let Some(bounds) = StackBounds::of_current_thread() {
            self.set_bounds(bounds);
        }
    }

    /// Remembers a stack. `high` last: a handler that sees it sees both.
    pub(crate) fn set_bounds(&self, bounds: StackBounds) {
        // Relaxed, Release: pairs with the Acquire in `bounds`.
        self.bounds_low.store(bounds.low, Ordering::Relaxed);
        self.bounds_high.store(bounds.high, Ordering::Release);
    }

    /// The thread's stack, if it is known. Signal safe.
    #[inline(always)]
    pub(crate) fn bounds(&self) -> Option<StackBounds> {
        // Acquire: pairs with the Release in `set_bounds`.
        let high = self.bounds_high.load(Ordering::Acquire);
        // Relaxed: stored before `high`.
        let low = self.bounds_low.load(Ordering::Relaxed);
        (high != 0).then_some(StackBounds { low, high })
    }

    /// Readies the state for another thread.
    pub(crate) fn retire(&self) {
        // Relaxed: the thread is gone.
        self.bounds_high.store(0, Ordering::Relaxed);
        self.bounds_low.store(0, Ordering::Relaxed);
        *lock(&self.timer) = None;
    }
}
