//! What one thread needs to be sampled: rings, rule cache, stack bounds, counters, timer.
//!
//! Part of `ThreadRecord`. The memory is taken at the first arming and kept for the record's next thread.

use tachograph_unwind::{RuleCache, StackBounds};

use super::counters::Counters;
use super::ring::Ring;
use super::timer::Timer;
use super::words::Words;
use crate::buffer;
use crate::sync::{AtomicPtr, AtomicU64, Mutex, Ordering, lock};

/// See the module's text.
#[derive(Debug)]
pub(crate) struct SampleState {
    /// A leaked `Rings`, null before the first arming. Taken away only while nothing is recorded: not only the handler looks at
    /// them, but the thread too, when it walks its own stack.
    rings: AtomicPtr<Rings>,
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
            rings: AtomicPtr::new(std::ptr::null_mut()),
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
        // SAFETY: null, or a leaked `Rings` that is freed only while nobody is in a critical section (`fit`).
        unsafe { rings.as_ref() }
    }

    /// Makes sure that there are rings; `words` is the size of this recording. Under the timer's lock.
    pub(crate) fn ready(&self, words: usize) -> bool {
        if self.rings().is_some() {
            return true;
        }
        let Some(rings) = Rings::map(words) else {
            return false;
        };
        // Release: pairs with the Acquire in `rings`.
        self.rings
            .store(Box::into_raw(Box::new(rings)), Ordering::Release);
        true
    }

    /// Gives up rings of another size than `words`. Only while nothing is recorded.
    pub(crate) fn fit(&self, words: usize) {
        if let Some(rings) = self.rings() {
            for ring in &rings.rings {
                // Empty, unless the engine of the recording before has died.
                ring.drain(|_, _, _| ());
                ring.rewind();
            }
        }
        let fits = |rings: &Rings| rings.rings[0].words().len() == words;
        if self.rings().is_none_or(fits) {
            return;
        }
        // Acquire: pairs with the Release in `ready`.
        let old = self.rings.swap(std::ptr::null_mut(), Ordering::Acquire);
        // SAFETY: made by `Box::into_raw` in `ready`; whoever enters a section now finds nothing recorded and looks no further.
        drop(unsafe { Box::from_raw(old) });
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
