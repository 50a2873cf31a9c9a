//! Code that is not Rust's: C library functions that a sample may land in, called the way that programs call them.
//!
//! Called by `unwinding`.

use std::ffi::{c_char, c_int, c_void};
use std::hint::black_box;

extern "C" fn compare(a: *const c_void, b: *const c_void) -> c_int {
    // SAFETY: `qsort` hands out pointers to elements of the slice, which are `u64`.
    let (a, b) = unsafe { (*a.cast::<u64>(), *b.cast::<u64>()) };
    a.cmp(&b) as c_int
}

/// Sorts with the C library's `qsort` and a Rust callback.
pub fn qsort(values: &mut [u64]) {
    // SAFETY: base, count and size are those of the slice, and `compare` reads two elements.
    unsafe {
        libc::qsort(
            values.as_mut_ptr().cast(),
            values.len(),
            size_of::<u64>(),
            Some(compare),
        );
    }
}

/// Formats with the C library's `snprintf`; returns the length of the text.
pub fn snprintf(number: u64, fraction: f64) -> usize {
    let mut text = [0 as c_char; 128];
    // SAFETY: the buffer's size is passed on, and the arguments are those of the format.
    let written = unsafe {
        libc::snprintf(
            text.as_mut_ptr(),
            text.len(),
            c"%llu of %s: %.9g".as_ptr(),
            number,
            c"something".as_ptr(),
            fraction,
        )
    };
    black_box(&text);
    usize::try_from(written).unwrap_or(0)
}

/// Takes a block from the C library's heap and gives it back.
pub fn malloc_free(bytes: usize) {
    // SAFETY: the block is freed once, whether it is there or not.
    unsafe { libc::free(black_box(libc::malloc(bytes))) }
}
