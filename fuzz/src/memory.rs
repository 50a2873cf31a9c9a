//! Counts the bytes that are allocated, and bounds them by the bytes of the input.
//!
//! The only room here with unsafe code: an allocator has no other form.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What reading may allocate beyond [`PER_INPUT_BYTE`]: tables of a fixed size.
pub const FIXED: usize = 2 << 20;
/// What each byte of a trace may cost. An event of two bytes in a batch of its own needs the most: batch, stream and cursor.
pub const PER_INPUT_BYTE: usize = 64;

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// Relaxed: counts, which order nothing. Targets read on one thread.
fn grows(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Relaxed).wrapping_add(bytes);
    PEAK.fetch_max(live, Relaxed);
}

fn shrinks(bytes: usize) {
    LIVE.fetch_sub(bytes, Relaxed);
}

// SAFETY: everything goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grows(layout.size());
        // SAFETY: the caller's promises are those that `System` wants.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grows(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        shrinks(layout.size());
        // SAFETY: as above; the block is one of `System`'s.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grows(size);
        shrinks(layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }
}

/// Runs `work` on an input of so many bytes.
///
/// # Panics
/// If it allocates more than the bound: [`FIXED`], and [`PER_INPUT_BYTE`] for each byte.
pub fn bounded<T>(input_bytes: usize, work: impl FnOnce() -> T) -> T {
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = work();
    let used = PEAK.load(Relaxed).saturating_sub(before);
    let bound = FIXED + PER_INPUT_BYTE * input_bytes;
    assert!(
        used <= bound,
        "{input_bytes} bytes of input took {used} bytes of memory, wanted {bound} at most"
    );
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_memory_that_was_given_back() {
        bounded(0, || drop(vec![1u8; FIXED / 2]));
        let over = std::panic::catch_unwind(|| bounded(0, || drop(vec![1u8; FIXED + 1])));
        assert!(over.is_err());
    }
}
