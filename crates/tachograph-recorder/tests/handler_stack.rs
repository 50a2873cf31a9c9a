//! How much of the interrupted thread's stack the signal handler takes.
//!
//! A thread paints the stack below itself, burns CPU without calling anything while samples land, and looks how far down the paint
//! is gone. The same with an empty handler gives the share of the kernel's signal frame.

use std::hint::black_box;
use std::time::{Duration, Instant};

use tachograph_recorder::{Recorder, region};

const PAINTED_BYTES: usize = 64 * 1024;
/// Own frame and red zone: not painted, so that the painter keeps its feet.
const MARGIN_BYTES: usize = 512;
const PAINT: u8 = 0xa5;

/// Bytes below this frame that `work` has overwritten. `work` must be shallow.
#[inline(never)]
fn depth_of(work: impl Fn()) -> usize {
    let here = 0u8;
    let top = std::ptr::from_ref(&here) as usize - MARGIN_BYTES;
    for address in top - PAINTED_BYTES..top {
        // SAFETY: this thread's own stack, below everything in use; the thread has a megabyte.
        unsafe { (address as *mut u8).write_volatile(PAINT) };
    }
    work();
    let lowest = (top - PAINTED_BYTES..top)
        // SAFETY: as above.
        .find(|&address| unsafe { (address as *const u8).read_volatile() } != PAINT)
        .unwrap_or(top);
    top - lowest
}

#[inline(never)]
fn burn(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        for i in 0..10_000u64 {
            black_box(i);
        }
    }
}

extern "C" fn empty_handler(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}

fn install_empty() {
    // SAFETY: a handler that does nothing, for a signal that nobody else uses here.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = empty_handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        libc::sigaction(libc::SIGUSR2, &action, std::ptr::null_mut());
    }
}

/// Sends the calling thread signals from another one while it burns, so that only the signal's frame is on top of `burn`.
fn bare_depth() -> usize {
    // SAFETY: no arguments, no failure.
    let painter = unsafe { libc::pthread_self() } as usize;
    let sender = std::thread::spawn(move || {
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(2));
            // SAFETY: the painter outlives this thread, which it joins.
            unsafe { libc::pthread_kill(painter as libc::pthread_t, libc::SIGUSR2) };
        }
    });
    let depth = depth_of(|| burn(Duration::from_millis(60)));
    sender.join().expect("no panic");
    depth
}

fn on_a_big_stack(measure: impl FnOnce() -> usize + Send + 'static) -> usize {
    std::thread::Builder::new()
        .stack_size(1 << 20)
        .spawn(measure)
        .expect("a thread")
        .join()
        .expect("no panic")
}

#[test]
#[cfg_attr(
    tachograph_sanitizer,
    ignore = "a sanitized frame is another frame, and paint is not allowed on it"
)]
fn handler_needs_little_stack() {
    install_empty();
    let bare = on_a_big_stack(bare_depth);
    let recording = Recorder::new()
        .sample_cpu(1000)
        .start(std::io::sink())
        .expect("a recording");
    let sampled = on_a_big_stack(|| {
        let _region = region("painted");
        let depths = (0..5).map(|_| depth_of(|| burn(Duration::from_millis(60))));
        depths.max().unwrap_or(0)
    });
    let summary = recording.stop().expect("an orderly end");
    let samples = summary.samples.expect("samples were asked for");
    assert!(samples.tally.emitted > 20, "{samples:?}");
    let own = sampled.saturating_sub(bare);
    println!("signal frame {bare} bytes, handler {own} bytes more");
    // A debug build keeps every temporary.
    let most = if cfg!(debug_assertions) { 12 } else { 5 } * 1024;
    assert!(
        own <= most,
        "handler takes {own} bytes, wanted at most {most}"
    );
    assert!(own > 0, "no sample landed in the painted frames");
}
