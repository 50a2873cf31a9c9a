//! A sink that can't keep up: the recording is suspended and goes on, and Go reads what is left as one trace.
//!
//! While the sink dawdles, threads are in every state that a suspension may find them in: computing, inside regions and tasks, in
//! blocking sections of which some are long, born but not yet running, exiting. All of it ends in the trace at the gap and begins
//! anew behind it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tachograph::{Recorder, Summary};
use tachograph_e2e::check::verify;
use tachograph_e2e::record::{Dawdler, Memory, turn};
use tachograph_e2e::report::say;

static DONE: AtomicBool = AtomicBool::new(false);

fn talk() {
    let request = tachograph::task("request");
    while !DONE.load(Ordering::Relaxed) {
        let _outer = request.region("outer");
        for _ in 0..500 {
            let _inner = tachograph::region("inner");
        }
        tachograph::log(
            "note",
            "many words for a sink that has no time to read them",
        );
    }
}

fn block() {
    while !DONE.load(Ordering::Relaxed) {
        tachograph::blocking("short", || std::thread::sleep(Duration::from_millis(1)));
        tachograph::blocking("long", || std::thread::sleep(Duration::from_millis(150)));
        tachograph::blocking("interrupted", || tachograph::log("inside", "a section"));
    }
}

fn come_and_go() {
    while !DONE.load(Ordering::Relaxed) {
        let threads: Vec<_> = (0..4)
            .map(|_| tachograph::thread::spawn(|| drop(tachograph::region("brief"))))
            .collect();
        for thread in threads {
            thread.join().expect("no panic");
        }
    }
}

fn stay_silent() {
    let _once = tachograph::region("once");
    while !DONE.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn program(time: Duration) {
    DONE.store(false, Ordering::Relaxed);
    tachograph::thread::scope(|threads| {
        for body in [talk, talk, block, block, come_and_go, stay_silent] {
            threads.spawn(body);
        }
        std::thread::sleep(time);
        DONE.store(true, Ordering::Relaxed);
    });
}

fn record_slowly(period: Duration, bytes_per_second: f64) -> (Summary, Vec<u8>) {
    let memory = Memory::default();
    let sink = Dawdler {
        memory: memory.clone(),
        bytes_per_second,
    };
    let recording = Recorder::new()
        .sample_cpu(250)
        .generation_period(period)
        .memory_limit(512 << 10)
        .start(sink)
        .expect("a recording");
    program(Duration::from_millis(1500));
    let asked = Instant::now();
    let summary = recording.stop().expect("the sink is slow, not broken");
    say(format!(
        "period {period:?}: {} gaps of {:?} in all, {} events, {} lost, stop took {:?}",
        summary.gaps,
        summary.gap_time,
        summary.events,
        summary.events_lost,
        asked.elapsed()
    ));
    (summary, memory.take())
}

#[test]
fn a_trace_with_gaps_is_valid_at_every_period() {
    let _turn = turn();
    for period in [1000, 20, 0].map(Duration::from_millis) {
        let (summary, bytes) = record_slowly(period, 4e6);
        assert!(summary.gaps > 0, "the sink kept up: {summary}");
        let name = format!("suspension-{}", period.as_millis());
        let trace = verify(&name, &bytes, Some(&summary));
        assert!(trace.generations.len() as u64 == summary.generations);
    }
}
