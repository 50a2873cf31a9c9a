//! The reference: the least that recording an event in this format can cost, and what two other choices would add.
//!
//! A time, a kind and three varints (the delta and two arguments) into a thread-local buffer of 64 KiB that wraps around, between the
//! two stores of a flag. No names, no generations, nobody reads it. A room with unsafe code.

use std::cell::{Cell, UnsafeCell};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering, compiler_fence};

use crate::measure::{BATCH, Variant, timed};
use crate::sys::{cycles, monotonic_ns};

/// The row that all ratios refer to.
pub const NAME: &str = "reference: rdtsc, kind, 3 varints, plain flag";

const BUFFER_BYTES: usize = 64 * 1024;
/// A kind and three varints.
const MOST_EVENT_BYTES: usize = 1 + 3 * 10;
const BATCHES: usize = 32;

struct State {
    flag: AtomicBool,
    last: Cell<u64>,
    at: Cell<usize>,
    buffer: UnsafeCell<[u8; BUFFER_BYTES]>,
}

thread_local! {
    static STATE: State = const {
        State {
            flag: AtomicBool::new(false),
            last: Cell::new(0),
            at: Cell::new(0),
            buffer: UnsafeCell::new([0; BUFFER_BYTES]),
        }
    };
}

/// How "I am writing" is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flag {
    Plain,
    SeqCst,
}

/// The reference and its relatives.
pub fn variants() -> Vec<Variant> {
    vec![
        Variant::new("rdtsc alone", BATCH, BATCHES, || timed(|| each(counter))),
        Variant::new(NAME, BATCH, BATCHES, || timed(|| each(plain))),
        Variant::new("  with a SeqCst flag", BATCH, BATCHES, || {
            timed(|| each(seq_cst))
        }),
        Variant::new("  with clock_gettime", BATCH, BATCHES, || {
            timed(|| each(kernel_clock))
        }),
    ]
}

#[inline(always)]
fn each(event: impl Fn(u8, u64, u64)) {
    for _ in 0..BATCH {
        event(black_box(17), black_box(3), black_box(9));
    }
}

#[inline(never)]
fn counter(_kind: u8, _first: u64, _second: u64) {
    black_box(cycles());
}

/// One event of the reference.
#[inline(never)]
pub fn plain(kind: u8, first: u64, second: u64) {
    write(Flag::Plain, cycles, kind, first, second);
}

#[inline(never)]
fn seq_cst(kind: u8, first: u64, second: u64) {
    write(Flag::SeqCst, cycles, kind, first, second);
}

#[inline(never)]
fn kernel_clock(kind: u8, first: u64, second: u64) {
    write(Flag::Plain, monotonic_ns, kind, first, second);
}

#[inline(always)]
fn write(flag: Flag, clock: impl Fn() -> u64, kind: u8, first: u64, second: u64) {
    STATE.with(|state| {
        match flag {
            Flag::Plain => {
                state.flag.store(true, Ordering::Relaxed);
                compiler_fence(Ordering::SeqCst);
            }
            Flag::SeqCst => state.flag.store(true, Ordering::SeqCst),
        }
        let now = clock();
        let delta = now.wrapping_sub(state.last.replace(now));
        let at = match state.at.get() {
            at if at > BUFFER_BYTES - MOST_EVENT_BYTES => 0,
            at => at,
        };
        // SAFETY: this thread's own buffer, to which no reference exists; `MOST_EVENT_BYTES` fit behind `at`.
        unsafe {
            let start = state.buffer.get().cast::<u8>();
            let mut p = start.add(at);
            *p = kind;
            p = varint(p.add(1), delta);
            p = varint(p, first);
            p = varint(p, second);
            state.at.set(p as usize - start as usize);
        }
        match flag {
            Flag::Plain => state.flag.store(false, Ordering::Release),
            Flag::SeqCst => state.flag.store(false, Ordering::SeqCst),
        }
    });
}

/// # Safety
/// * `p` is writable for ten bytes.
#[inline(always)]
unsafe fn varint(mut p: *mut u8, mut value: u64) -> *mut u8 {
    // SAFETY: ten groups of seven bits hold any u64; owed by the caller.
    unsafe {
        while value >= 0x80 {
            *p = value as u8 | 0x80;
            p = p.add(1);
            value >>= 7;
        }
        *p = value as u8;
        p.add(1)
    }
}
