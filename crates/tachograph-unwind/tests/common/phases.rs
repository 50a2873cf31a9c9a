//! Kinds of work that a profiler meets, each in a function of its own.

use std::ffi::{c_int, c_void};
use std::hint::black_box;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use crate::sampler::ACTIVE;

/// 0.5 s, or what `TACHOGRAPH_PHASE_MS` says.
fn phase_length() -> Duration {
    let asked = std::env::var("TACHOGRAPH_PHASE_MS")
        .ok()
        .and_then(|text| text.parse().ok());
    Duration::from_millis(asked.unwrap_or(500))
}

pub const PHASES: &[(&str, fn())] = &[
    ("recursion", recursion),
    ("malloc", malloc),
    ("memory", memory),
    ("vdso", vdso),
    ("syscalls", syscalls),
    ("qsort", qsort),
    ("snprintf", snprintf),
    ("format", format),
    ("collections", collections),
];

/// Repeats `work` for the length of a phase. Inlined, so that the phase itself is the caller.
#[inline(always)]
fn repeat(mut work: impl FnMut(u64)) {
    let (started, length) = (Instant::now(), phase_length());
    let mut turn = 0;
    while started.elapsed() < length {
        ACTIVE.store(true, SeqCst);
        for _ in 0..32 {
            work(turn);
            turn += 1;
        }
        ACTIVE.store(false, SeqCst);
    }
    black_box(turn);
}

#[inline(never)]
fn recursion() {
    repeat(|turn| {
        black_box(down(20 + turn % 30, turn));
    });
}

#[inline(never)]
fn down(depth: u64, seed: u64) -> u64 {
    if depth == 0 {
        return (0..black_box(50)).fold(seed, |sum, i| sum.rotate_left(5) ^ i);
    }
    let kept = black_box(seed ^ depth);
    down(depth - 1, seed.wrapping_mul(31)) ^ kept
}

#[inline(never)]
fn malloc() {
    let mut held = [std::ptr::null_mut::<c_void>(); 64];
    repeat(|turn| {
        let size = [16, 24, 100, 700, 4000, 30_000, 200_000][turn as usize % 7];
        let slot = &mut held[(turn * 7) as usize % 64];
        // SAFETY: every slot is null or holds a block of malloc's.
        unsafe {
            libc::free(*slot);
            *slot = libc::malloc(black_box(size));
        }
    });
    // SAFETY: as above; the slots aren't used again.
    held.iter().for_each(|block| unsafe { libc::free(*block) });
}

#[inline(never)]
fn memory() {
    let (mut from, mut to) = (vec![1u8; 1 << 18], vec![2u8; 1 << 18]);
    repeat(|turn| {
        let size = [8, 100, 3000, 70_000, 1 << 18][turn as usize % 5];
        to[..size].copy_from_slice(black_box(&from[..size]));
        black_box(&mut from)[..size].fill(turn as u8);
        black_box(to[..size] == from[..size]);
    });
}

#[inline(never)]
fn vdso() {
    repeat(|turn| {
        let mut now = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let clock = if turn % 2 == 0 {
            libc::CLOCK_MONOTONIC
        } else {
            libc::CLOCK_REALTIME
        };
        // SAFETY: `now` is writable.
        unsafe { libc::clock_gettime(clock, &mut now) };
        black_box(now.tv_nsec);
    });
}

#[inline(never)]
fn syscalls() {
    // SAFETY: plain system calls on a local buffer and a descriptor of our own.
    unsafe {
        let zero = libc::open(c"/dev/zero".as_ptr(), libc::O_RDONLY);
        let mut buffer = [0u8; 4096];
        repeat(|_| {
            black_box(libc::getppid());
            black_box(libc::read(zero, buffer.as_mut_ptr().cast(), buffer.len()));
        });
        libc::close(zero);
    }
}

extern "C" fn compare(a: *const c_void, b: *const c_void) -> c_int {
    // SAFETY: qsort hands over pointers to elements.
    unsafe { (*a.cast::<u32>()).cmp(&*b.cast::<u32>()) as c_int }
}

#[inline(never)]
fn qsort() {
    let mut numbers = [0u32; 300];
    repeat(|turn| {
        let mut seed = turn as u32 | 1;
        for number in &mut numbers {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *number = seed >> 8;
        }
        // SAFETY: the array has 300 elements of 4 bytes.
        unsafe { libc::qsort(numbers.as_mut_ptr().cast(), 300, 4, Some(compare)) };
        black_box(numbers[0]);
    });
}

#[inline(never)]
fn snprintf() {
    let mut text = [0 as std::ffi::c_char; 200];
    repeat(|turn| {
        let number = turn as f64 * 1.37;
        // SAFETY: the format matches the arguments and the buffer's length is given.
        unsafe {
            let format = c"%d %10.4f %s %e".as_ptr();
            let name = c"a name".as_ptr();
            libc::snprintf(
                text.as_mut_ptr(),
                200,
                format,
                turn as c_int,
                number,
                name,
                number,
            );
        }
        black_box(text[0]);
    });
}

#[inline(never)]
fn format() {
    repeat(|turn| {
        let text = format!("{turn:>8} {:?} {:.3}", Some(turn), turn as f64 / 7.0);
        let number: f64 = black_box(text.rsplit(' ').next().unwrap_or("0"))
            .parse()
            .unwrap_or(0.0);
        black_box(number);
    });
}

#[inline(never)]
fn collections() {
    let mut map = std::collections::BTreeMap::new();
    repeat(|turn| {
        map.insert(
            turn.wrapping_mul(0x9e37_79b9) % 5000,
            vec![turn; turn as usize % 40],
        );
        if turn % 3 == 0 {
            black_box(map.remove(&(turn % 5000)));
        }
        let mut keys: Vec<u64> = map.keys().rev().take(20).copied().collect();
        keys.sort_by_key(|key| key ^ 0x55);
        black_box(keys.iter().map(|key| key.to_string()).collect::<String>());
    });
}
