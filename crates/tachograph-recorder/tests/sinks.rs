//! Sinks that fail and sinks that lag: the program goes on, memory stays bounded, and the end says what happened.

mod trace;

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tachograph_recorder::{Recorder, StopError, Symbols, log, region};
use tachograph_wire::metadata::Metadata;
use trace::{Memory, Trace, turn};

fn recorder() -> Recorder {
    Recorder::new()
        .symbols(Symbols::Offline)
        .generation_period(Duration::from_millis(5))
}

/// Takes `left` bytes, then fails for good.
struct Full {
    left: usize,
    refusals: Arc<AtomicUsize>,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.left == 0 {
            self.refusals.fetch_add(1, Ordering::Relaxed);
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        let taken = bytes.len().min(self.left);
        self.left -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Records into a sink that takes `left` bytes; what came out of `stop`.
fn record_into_full(left: usize) -> (StopError, usize) {
    let refusals = Arc::new(AtomicUsize::new(0));
    let sink = Full {
        left,
        refusals: refusals.clone(),
    };
    let recording = recorder().start(sink).expect("starts");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(100) {
        for _ in 0..500 {
            drop(region("into the void"));
        }
        thread::sleep(Duration::from_millis(1));
    }
    let error = recording.stop().expect_err("the sink is full");
    (error, refusals.load(Ordering::Relaxed))
}

#[test]
fn the_error_of_a_sink_comes_out_of_stop() {
    let _turn = turn();
    for left in [0, 1, 16, 1000, 100_000] {
        let (error, refusals) = record_into_full(left);
        let StopError::Sink { error, summary } = error else {
            panic!("{left} bytes: {error}");
        };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(
            summary.bytes <= left as u64,
            "{} of {left} bytes",
            summary.bytes
        );
        assert_eq!(refusals, 1, "the sink was called again after its error");
    }
}

#[test]
fn a_recording_after_a_failed_one_is_whole() {
    let _turn = turn();
    record_into_full(100);
    let running = trace::start(recorder());
    log("sinks", "whole");
    let (trace, _) = trace::stop("after-failure", running);
    assert_eq!(trace.logs("sinks"), ["whole"]);
}

/// A flush that fails is the sink's error too: a buffer's last bytes may be in it.
#[test]
fn a_failing_flush_comes_out_of_stop() {
    struct NoFlush;
    impl Write for NoFlush {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(io::Error::from(io::ErrorKind::BrokenPipe))
        }
    }
    let _turn = turn();
    let recording = recorder().start(NoFlush).expect("starts");
    let error = recording.stop().expect_err("the flush fails");
    assert!(
        matches!(error, StopError::Sink { error, .. } if error.kind() == io::ErrorKind::BrokenPipe)
    );
}

/// Takes a byte at a time, and is interrupted in between: `Write` allows both.
#[test]
fn short_writes_and_interruptions_are_not_errors() {
    struct Trickle(Memory, bool);
    impl Write for Trickle {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::Error::from(io::ErrorKind::Interrupted));
            }
            self.0.write(&bytes[..bytes.len().min(1)])
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let _turn = turn();
    let sink = Memory::default();
    let recording = recorder()
        .start(Trickle(sink.clone(), false))
        .expect("starts");
    log("sinks", "in pieces");
    let summary = recording.stop().expect("stops");
    let trace = Trace::checked("trickle", &sink.take(), &summary);
    assert_eq!(trace.logs("sinks"), ["in pieces"]);
}

/// Blocks every write while `shut`.
struct Gated {
    sink: Memory,
    shut: Arc<AtomicBool>,
}

impl Write for Gated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        while self.shut.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(1));
        }
        self.sink.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const LIMIT: usize = 1 << 20;

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("proc");
    let pages = statm.split_whitespace().nth(1).expect("a second field");
    pages.parse::<usize>().expect("a number") * 4096
}

/// Logs as fast as it can; the longest that one log took.
fn log_for(time: Duration, text: &str) -> Duration {
    let begun = Instant::now();
    let mut longest = Duration::ZERO;
    while begun.elapsed() < time {
        let before = Instant::now();
        log("sinks", text);
        longest = longest.max(before.elapsed());
    }
    longest
}

#[test]
fn a_sink_that_stands_still_makes_a_gap_and_no_flood() {
    let _turn = turn();
    let (sink, shut) = (Memory::default(), Arc::new(AtomicBool::new(false)));
    let gated = Gated {
        sink: sink.clone(),
        shut: shut.clone(),
    };
    let recorder = recorder().memory_limit(LIMIT);
    let recording = recorder.start(gated).expect("starts");
    log("sinks", "before");
    shut.store(true, Ordering::Relaxed);
    let before = resident_bytes();
    // Without a limit this would be tens of megabytes.
    let filler = "x".repeat(1000);
    let longest = log_for(Duration::from_millis(500), &filler);
    let grown = resident_bytes().saturating_sub(before);
    println!("grown by {grown} bytes, the longest log took {longest:?}");
    if !cfg!(tachograph_sanitizer) {
        assert!(grown < 6 * LIMIT, "{grown} bytes");
    }
    assert!(
        longest < Duration::from_millis(400),
        "a log took {longest:?}"
    );
    shut.store(false, Ordering::Relaxed);
    thread::sleep(Duration::from_millis(200));
    log("sinks", "after");
    let summary = recording.stop().expect("stops");
    assert!(summary.gaps >= 1, "{summary}");
    assert!(summary.gap_time >= Duration::from_millis(100), "{summary}");
    let trace = Trace::checked("gap", &sink.take(), &summary);
    let logs = trace.logs("sinks");
    assert_eq!(logs.first().map(String::as_str), Some("before"));
    assert_eq!(logs.iter().filter(|text| *text == "after").count(), 1);
    let gaps = trace.generations.iter().flat_map(|g| &g.metadata);
    let gaps = gaps.filter(|metadata| matches!(metadata, Metadata::Gap(_)));
    assert_eq!(gaps.count() as u64, summary.gaps);
}

#[test]
fn a_sink_that_always_lags_has_gaps_and_a_good_trace() {
    let _turn = turn();
    struct Slow(Memory);
    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            thread::sleep(Duration::from_millis(3));
            self.0.write(&bytes[..bytes.len().min(16 << 10)])
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let sink = Memory::default();
    let recorder = recorder().memory_limit(256 << 10).sample_cpu(1000);
    let recording = recorder.start(Slow(sink.clone())).expect("starts");
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let _region = region("through gaps");
                log_for(
                    Duration::from_millis(600),
                    "a line of some length, again and again",
                );
            });
        }
    });
    let summary = recording.stop().expect("stops");
    println!("{summary}");
    assert!(summary.gaps >= 1, "{summary}");
    // No sample stands for the time of a gap: its signals are among the lost.
    let samples = summary.samples.as_ref().expect("sampled");
    let signals = samples.process_cpu.as_secs_f64() * f64::from(samples.hz);
    let accounted = (samples.weight + samples.tally.lost()) as f64;
    assert!(accounted < 1.3 * signals + 20.0, "{summary}");
    Trace::checked("lag", &sink.take(), &summary);
}
