//! The stack memory that a walk may read.
//!
//! Owns [`StackBounds`]. Made at thread registration, handed to every walk of that thread.

/// The address range of a thread's stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackBounds {
    /// The lowest address of the stack.
    pub low: u64,
    /// One past the highest address of the stack.
    pub high: u64,
}

impl StackBounds {
    /// The bounds of the calling thread's stack, or `None` where the platform doesn't say.
    ///
    /// Not signal safe: libc allocates, and reads `/proc/self/maps` for the main thread (17 us there,
    /// 0.3 us on other threads). Call it once per thread.
    pub fn of_current_thread() -> Option<Self> {
        current_thread()
    }

    /// Whether `address` lies on the stack.
    #[inline(always)]
    pub fn contains(self, address: u64) -> bool {
        address >= self.low && address < self.high
    }

    /// Whole words only, and none in the upper half, which no user stack reaches. So nothing within
    /// the bounds plus a frame wraps around.
    #[inline(always)]
    pub(crate) fn usable(self) -> Self {
        Self {
            low: self.low,
            high: (self.high & !7).min(1 << 63),
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn current_thread() -> Option<StackBounds> {
    let mut base = std::ptr::null_mut();
    let mut size = 0;
    // SAFETY: `attr` is initialised by pthread_getattr_np before it is read, and destroyed once.
    let status = unsafe {
        let mut attr = std::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
        if libc::pthread_getattr_np(libc::pthread_self(), attr.as_mut_ptr()) != 0 {
            return None;
        }
        let status = libc::pthread_attr_getstack(attr.as_ptr(), &mut base, &mut size);
        libc::pthread_attr_destroy(attr.as_mut_ptr());
        status
    };
    let low = base.addr() as u64;
    let high = low.checked_add(size as u64)? & !7;
    (status == 0 && low != 0 && low < high).then_some(StackBounds { low, high })
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn current_thread() -> Option<StackBounds> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn locals_lie_within_bounds_on_every_kind_of_thread() {
        let check = || {
            let local = 0u64;
            let bounds = StackBounds::of_current_thread().expect("bounds");
            assert!(bounds.contains((&raw const local).addr() as u64));
        };
        check();
        std::thread::spawn(check).join().expect("joins");
    }
}
