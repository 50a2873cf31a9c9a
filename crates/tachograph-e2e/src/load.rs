//! What the recorded programs do: burn CPU, call deeply, annotate, block, spawn.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// CPU time that the calling thread has used.
pub fn thread_cpu() -> Duration {
    clock(ClockId::ThreadCPUTime)
}

/// CPU time that the process has used.
pub fn process_cpu() -> Duration {
    clock(ClockId::ProcessCPUTime)
}

fn clock(id: ClockId) -> Duration {
    let time = clock_gettime(id);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// The calling thread's id as the trace has it.
pub fn tid() -> u64 {
    rustix::thread::gettid()
        .as_raw_nonzero()
        .get()
        .unsigned_abs()
        .into()
}

/// Some arithmetic that the compiler can't leave out.
#[inline(never)]
pub fn spin(rounds: u64) -> u64 {
    let mut sum = 1u64;
    for i in 0..rounds {
        sum = black_box(sum ^ i).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    sum
}

/// Computes until the calling thread has used `cpu` more CPU time.
#[inline(never)]
pub fn burn(cpu: Duration) {
    let end = thread_cpu() + cpu;
    while thread_cpu() < end {
        black_box(spin(2000));
    }
}

/// Computes until `end`, whatever CPU time that takes.
#[inline(never)]
pub fn burn_until(end: Instant) {
    while Instant::now() < end {
        black_box(spin(2000));
    }
}

/// Calls `f` under `depth` frames of this function.
#[inline(never)]
pub fn deep(depth: u32, f: &mut dyn FnMut()) {
    match depth {
        0 => f(),
        _ => deep(depth - 1, f),
    }
    // Not a tail call: the frame stays.
    black_box(depth);
}

/// One round of everything a thread can say: regions, a task with a child, logs, a short blocking section.
pub fn annotate_round(round: u64) {
    let task = tachograph::task("round");
    let outer = task.region("outer");
    {
        let _inner = tachograph::region("inner");
        task.log("round", "inside");
        black_box(spin(200));
    }
    let child = task.child(format!("child {}", round % 5));
    let early = child.region("early");
    let late = tachograph::region("late");
    if round.is_multiple_of(3) {
        // Out of order: the recorder closes and reopens.
        drop(early);
        drop(late);
    } else {
        drop(late);
        drop(early);
    }
    drop(outer);
    tachograph::blocking("pause", || {
        tachograph::log("blocked", "an event inside of a blocking section");
        std::thread::sleep(Duration::from_micros(200));
    });
}
