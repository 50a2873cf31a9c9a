//! A program whose allocator records: the recorder must not come back to itself through it.
//!
//! Every path of the recorder that allocates (registration, a thread's last event, growth of its lists) may land here. An event in the
//! midst of another is dropped and counted; nothing hangs.

mod trace;

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::mpsc;
use std::time::Duration;

use tachograph_recorder::{Recorder, log, region, thread};

struct Traced;

// SAFETY: everything is the system allocator's; recording neither unwinds nor changes what it gives.
unsafe impl GlobalAlloc for Traced {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _region = region("alloc");
        // SAFETY: passed on from the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        log("free", "");
        // SAFETY: passed on from the caller.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Traced = Traced;

fn churn(rounds: usize) {
    for size in 0..rounds {
        let _regions: Vec<_> = (0..size % 80).map(|_| region("nested")).collect();
        black_box(vec![0u8; 16 + size]);
    }
}

fn storm() {
    for _ in 0..40 {
        let threads: Vec<_> = (0..8).map(|_| thread::spawn(|| churn(40))).collect();
        for thread in threads {
            thread.join().expect("no panic");
        }
    }
}

#[test]
fn threads_of_a_traced_allocator_come_and_go() {
    let (done, ended) = mpsc::channel();
    std::thread::spawn(move || {
        let running = trace::start(
            Recorder::new()
                .sample_cpu(1000)
                .generation_period(Duration::from_millis(2)),
        );
        storm();
        let (_, summary) = trace::stop("traced-allocator", running);
        done.send(summary).expect("a listener");
    });
    let summary = ended
        .recv_timeout(Duration::from_secs(100))
        .expect("the recorder does not wait for itself, and its trace is well formed");
    assert!(summary.events > 10_000, "{summary}");
    assert!(summary.events_lost > 0, "the allocator never came back");
}
