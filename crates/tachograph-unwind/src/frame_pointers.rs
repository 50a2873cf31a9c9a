//! The walk along frame pointers.
//!
//! Owns [`walk_frame_pointers`]. For event stacks of programs that are built with frame pointers. Runs
//! in signal handlers: rules 1 to 3 of `lib.rs`.

use crate::memory::{LiveStack, Memory};
use crate::walk::is_frame_size;
use crate::{Registers, StackBounds, Walk, WalkEnd};

/// Like [`walk`](crate::walk), along the chain of frame pointers: no tables, about 1.5 ns a frame, but
/// blind to every function that keeps no frame pointer.
///
/// # Safety
/// * `registers` are those of the calling thread: interrupted by the signal that is being handled, or
///   captured in a frame that has not returned.
/// * The part of `bounds` at and above `registers.sp` is readable while this runs.
/// * `out` points to `capacity` words that may be written to.
#[inline]
pub unsafe fn walk_frame_pointers(
    registers: Registers,
    bounds: StackBounds,
    out: *mut u64,
    capacity: usize,
) -> Walk {
    // SAFETY: the caller keeps the same promises.
    unsafe { walk_frame_pointers_in(&LiveStack, registers, bounds, out, capacity) }
}

/// [`walk_frame_pointers`] over any memory, such as a copy of a stack.
///
/// # Safety
/// * `memory` can load any aligned word within `bounds`, at or above `registers.sp`.
/// * `out` points to `capacity` words that may be written to.
#[inline(always)]
pub unsafe fn walk_frame_pointers_in<M: Memory>(
    memory: &M,
    registers: Registers,
    bounds: StackBounds,
    out: *mut u64,
    capacity: usize,
) -> Walk {
    let done = |frames, end| Walk {
        frames,
        end,
        guesses: 0,
        left_modules: false,
    };
    if capacity == 0 {
        return done(0, WalkEnd::Truncated);
    }
    // SAFETY: capacity is at least 1.
    unsafe { out.write(registers.ip) };
    let bounds = bounds.usable();
    let (mut sp, mut fp) = (registers.sp, registers.fp);
    if !bounds.contains(sp) || !sp.is_multiple_of(8) {
        return done(1, WalkEnd::BadFrame);
    }
    let mut written = 1;
    loop {
        memory.uses_fp();
        // From 8 on for every fp at or above sp, and 0 for none.
        let size = fp.wrapping_sub(sp).wrapping_add(8);
        if !is_frame_size(size) || fp + 16 > bounds.high {
            let end = if fp == 0 {
                WalkEnd::Root
            } else {
                WalkEnd::BadFrame
            };
            return done(written, end);
        }
        // SAFETY: sp <= fp < sp + MAX_FRAME_BYTES, fp + 16 <= high, and both are aligned.
        let (caller_fp, return_address) = unsafe { (memory.load_fp(fp), memory.load(fp + 8)) };
        memory.restores_fp();
        if return_address == 0 {
            return done(written, WalkEnd::Root);
        }
        if written == capacity {
            return done(written, WalkEnd::Truncated);
        }
        // SAFETY: written < capacity.
        unsafe { out.add(written).write(return_address - 1) };
        written += 1;
        (sp, fp) = (fp + 16, caller_fp);
    }
}
