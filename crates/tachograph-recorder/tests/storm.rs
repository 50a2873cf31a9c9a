//! Everything at once: threads that come and go, every kind of event, a storm of signals, generations without pause, 20 starts and stops.

mod trace;

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tachograph_recorder::{
    Recorder, SampleTimer, StartError, Symbols, blocking, log, region, task,
};
use trace::{Memory, SLOW, Trace, turn};

const CYCLES: usize = 20;
const WORKERS: usize = 3;
const CYCLE: Duration = Duration::from_millis(if SLOW { 60 } else { 30 });

fn burn(rounds: u64) -> u64 {
    (0..rounds).fold(1, |sum, i| black_box(sum ^ (i * 0x9e37_79b9)))
}

/// A bit of everything.
fn work(round: u64) {
    let request = task("request");
    let _handling = request.region("handle");
    {
        let _inner = region(format!("step {}", round % 7));
        black_box(burn(200 + round % 500));
        log("storm", "a message");
    }
    if round.is_multiple_of(4) {
        let child = request.child("part");
        child.log("storm", "of a part");
        blocking("yield", thread::yield_now);
    }
    if round.is_multiple_of(64) {
        blocking("sleep", || {
            // An event in the middle of a blocking section.
            let _inside = region("inside");
            thread::sleep(Duration::from_micros(200));
        });
    }
}

/// A signal that no timer of ours has sent. Only once the handler is installed: the default action would end us.
fn foreign_signal() {
    // SAFETY: raise takes a number.
    unsafe {
        libc::raise(libc::SIGPROF);
    }
}

fn worker(done: &AtomicBool, raised: &AtomicU64) {
    let mut round = 0;
    while !done.load(Ordering::Relaxed) {
        round += 1;
        work(round);
        if round.is_multiple_of(50) {
            foreign_signal();
            raised.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Threads that live for a moment, half of them spawned through us, some of them silent.
fn churn(done: &AtomicBool) {
    let mut round = 0u64;
    while !done.load(Ordering::Relaxed) {
        round += 1;
        let ours = tachograph_recorder::thread::spawn(move || work(round * 64));
        let plain = thread::spawn(move || match round % 3 {
            0 => drop(black_box(burn(5_000))),
            _ => work(round),
        });
        ours.join().expect("no panic");
        plain.join().expect("no panic");
    }
}

/// Records `CYCLES` times while the threads never rest.
fn storm(name: &str, recorder: &Recorder) {
    let _turn = turn();
    let (done, raised) = (AtomicBool::new(false), AtomicU64::new(0));
    // The first recording installs the handler.
    match recorder.clone().start(Memory::default()) {
        Err(StartError::PerfEventRefused) => {
            eprintln!("{name}: skipped, no perf_event here");
            return;
        }
        first => drop(first.expect("starts")),
    }
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| worker(&done, &raised));
        }
        scope.spawn(|| churn(&done));
        let (mut samples, mut generations, mut foreign) = (0, 0, 0);
        for cycle in 0..CYCLES {
            let sink = Memory::default();
            let recording = recorder.clone().start(sink.clone()).expect("starts");
            let end = Instant::now() + CYCLE;
            while Instant::now() < end {
                let _region = region("main");
                thread::sleep(Duration::from_millis(1));
            }
            let summary = recording.stop().expect("stops");
            let trace = Trace::checked(&format!("{name}-{cycle}"), &sink.take(), &summary);
            let (begins, _) = trace.nested_regions();
            assert!(begins > 0, "{name} {cycle}: no regions\n{summary}");
            samples += trace.samples();
            generations += summary.generations;
            foreign += summary.samples.expect("sampled").foreign_signals;
        }
        done.store(true, Ordering::Relaxed);
        println!("{name}: {generations} generations, {samples} samples, {foreign} foreign signals");
        assert!(samples > 0, "{name}: no samples");
        assert!(foreign > 0, "{name}: no foreign signals");
        assert!(
            generations > CYCLES as u64,
            "{name}: {generations} generations"
        );
    });
}

fn recorder(hz: u32, timer: SampleTimer, period: Duration) -> Recorder {
    Recorder::new()
        .sample_cpu(hz)
        .sample_timer(timer)
        .generation_period(period)
        .symbols(Symbols::Offline)
}

#[test]
fn perf_signals_at_10000_hz_and_generations_without_pause() {
    let recorder = recorder(10_000, SampleTimer::PerfEvent, Duration::ZERO);
    storm("storm-perf", &recorder);
}

#[test]
fn timer_signals_at_4000_hz_and_generations_without_pause() {
    let recorder = recorder(4_000, SampleTimer::Posix, Duration::ZERO);
    storm("storm-posix", &recorder);
}

#[test]
fn tiny_rings_overflow_and_every_loss_is_counted() {
    let recorder = recorder(10_000, SampleTimer::Auto, Duration::from_millis(10));
    storm("storm-tiny", &recorder.sample_ring_bytes(256));
}
