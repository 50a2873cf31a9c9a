//! CPU seconds by samples (weight / rate) against the CPU clocks of threads and process.
//!
//! Each figure is printed. `TACHOGRAPH_LONG=1` adds the run at 99 Hz, which needs 11 CPU seconds for its 1,000 samples.

use std::collections::HashMap;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use tachograph::{Recorder, SampleSummary, SampleTimer, StartError};
use tachograph_e2e::decode::Trace;
use tachograph_e2e::load::{burn, process_cpu, thread_cpu, tid};
use tachograph_e2e::record::{Recorded, Running, turn};
use tachograph_e2e::report::{is_long, say};

const TIMERS: [SampleTimer; 2] = [SampleTimer::Posix, SampleTimer::PerfEvent];
const TOLERANCE: f64 = 0.02;

/// CPU time by thread.
type Clocks = HashMap<u64, f64>;

struct Measured {
    recorded: Recorded,
    trace: Trace,
    /// What threads said of themselves at their end.
    clocks: Clocks,
    /// CPU time of the process while the program ran.
    process: f64,
}

fn measure(
    name: &str,
    hz: u32,
    timer: SampleTimer,
    program: impl FnOnce(&Mutex<Clocks>),
) -> Option<Measured> {
    let recorder = Recorder::new().sample_cpu(hz).sample_timer(timer);
    let before = process_cpu();
    let running = match Running::start(name, recorder) {
        Err(StartError::PerfEventRefused) => {
            say(format!("skipped: no perf_event ({name})"));
            return None;
        }
        started => started.unwrap_or_else(|error| panic!("{name}: start: {error}")),
    };
    let clocks = Mutex::new(Clocks::new());
    program(&clocks);
    let recorded = running.stop();
    let process = (process_cpu() - before).as_secs_f64();
    let trace = recorded.verify();
    let clocks = clocks.into_inner().expect("no panics");
    Some(Measured {
        recorded,
        trace,
        clocks,
        process,
    })
}

impl Measured {
    fn samples(&self) -> &SampleSummary {
        let samples = self.recorded.summary.samples.as_ref();
        samples.expect("samples were asked for")
    }

    /// Samples and CPU seconds by samples, by thread.
    fn by_samples(&self) -> HashMap<u64, (u64, f64)> {
        let period = 1.0 / f64::from(self.samples().hz);
        let mut sums: HashMap<u64, (u64, f64)> = HashMap::new();
        for (_, seen) in self.trace.samples() {
            let sum = sums.entry(seen.sample.thread.0).or_default();
            sum.0 += 1;
            sum.1 += seen.weight as f64 * period;
        }
        sums
    }
}

fn off(found: f64, wanted: f64) -> f64 {
    found / wanted - 1.0
}

/// Runs `f` on the calling thread and notes its whole CPU time.
fn clocked(clocks: &Mutex<Clocks>, f: impl FnOnce()) {
    f();
    let mut clocks = clocks.lock().expect("no panics");
    clocks.insert(tid(), thread_cpu().as_secs_f64());
}

/// One thread that records, one that never calls us.
fn two_threads(clocks: &Mutex<Clocks>, cpu: Duration) {
    thread::scope(|scope| {
        scope.spawn(|| {
            clocked(clocks, || {
                let _region = tachograph::region("burn");
                burn(cpu);
            });
        });
        scope.spawn(|| clocked(clocks, || burn(cpu)));
    });
}

fn compare(hz: u32, timer: SampleTimer, cpu: Duration) {
    let name = format!("cpu time, {hz} Hz, {timer:?}");
    let Some(measured) = measure(&name, hz, timer, |clocks| two_threads(clocks, cpu)) else {
        return;
    };
    let by_samples = measured.by_samples();
    let (mut count, mut sampled, mut clock) = (0, 0.0, 0.0);
    for (thread, own) in &measured.clocks {
        let (samples, seconds) = by_samples.get(thread).copied().unwrap_or_default();
        say(format!(
            "{name}: thread {thread}: {seconds:.4} s by {samples} samples, {own:.4} s by its clock, {:+.2} %",
            100.0 * off(seconds, *own)
        ));
        count += samples;
        sampled += seconds;
        clock += own;
    }
    let sum = off(sampled, clock);
    say(format!(
        "{name}: {sampled:.4} s by {count} samples, {clock:.4} s by clocks, {:+.2} %",
        100.0 * sum
    ));
    assert_eq!(measured.clocks.len(), 2);
    assert!(sum.abs() <= TOLERANCE, "{name}: {:+.2} %", 100.0 * sum);
}

#[test]
fn samples_add_up_at_1000_hz() {
    let _turn = turn();
    for timer in TIMERS {
        // Above the tick a POSIX timer's sample stands for several periods: it takes longer to 1,000 samples.
        let ms = if timer == SampleTimer::Posix && is_long() {
            2500
        } else {
            1000
        };
        compare(1000, timer, Duration::from_millis(ms));
    }
}

#[test]
fn samples_add_up_at_4000_hz() {
    let _turn = turn();
    for timer in TIMERS {
        let ms = if timer == SampleTimer::Posix && is_long() {
            2500
        } else {
            1000
        };
        compare(4000, timer, Duration::from_millis(ms));
    }
}

#[test]
fn samples_add_up_at_99_hz() {
    let _turn = turn();
    if !is_long() {
        say("skipped: 11 CPU seconds for each timer (set TACHOGRAPH_LONG=1)");
        return;
    }
    for timer in TIMERS {
        compare(99, timer, Duration::from_millis(5500));
    }
}

/// 2,000 threads of half a millisecond: too short for any source. Sampled threads by their clocks and the rest as told close the sum.
#[test]
fn short_threads_close_the_sum() {
    let _turn = turn();
    for timer in TIMERS {
        let name = format!("2000 short threads, {timer:?}");
        let each = Duration::from_micros(500);
        let Some(measured) = measure(&name, 1000, timer, |clocks| {
            for _ in 0..2000 {
                thread::scope(|scope| {
                    scope.spawn(|| clocked(clocks, || burn(each)));
                });
            }
        }) else {
            continue;
        };
        let samples = measured.samples();
        let by_samples = measured.by_samples();
        let estimated: f64 = by_samples.values().map(|(_, seconds)| seconds).sum();
        let clocks: f64 = measured.clocks.values().sum();
        // Threads that told their clock, and the two that did not (this one and the harness) by the summary's.
        let own: f64 = by_samples
            .keys()
            .filter_map(|thread| measured.clocks.get(thread))
            .sum();
        let never = samples.never_sampled_cpu().as_secs_f64();
        let process = samples.process_cpu.as_secs_f64();
        let sampled = samples.sampled_threads_cpu.as_secs_f64();
        say(format!(
            "{name}: {clocks:.4} s by the threads' clocks; {estimated:.4} s by samples on {} threads, {own:.4} s by clocks of those of them \
             that told; summary: process {process:.4} s = {sampled:.4} s sampled threads + {never:.4} s never sampled; process around it {:.4} s",
            by_samples.len(),
            measured.process,
        ));
        let sum = off(sampled + never, process);
        assert!(sum.abs() <= TOLERANCE, "{name}: {:+.2} %", 100.0 * sum);
        closes(&name, &measured, sampled);
    }
}

/// The summary's CPU time of sampled threads is what those threads said themselves.
fn closes(name: &str, measured: &Measured, sampled: f64) {
    let told: f64 = measured
        .by_samples()
        .keys()
        .filter_map(|thread| measured.clocks.get(thread))
        .sum();
    let others: f64 = measured
        .by_samples()
        .iter()
        .filter(|(thread, _)| !measured.clocks.contains_key(thread))
        .map(|(_, (_, seconds))| seconds)
        .sum();
    let never = measured.samples().never_sampled_cpu().as_secs_f64();
    let process = measured.samples().process_cpu.as_secs_f64();
    let sum = off(told + others + never, process);
    say(format!(
        "{name}: {told:.4} s told by sampled threads + {others:.4} s of others by samples + {never:.4} s never sampled = {:.4} s of {process:.4} s, \
         {:+.2} %; the summary has {sampled:.4} s for the sampled",
        told + others + never,
        100.0 * sum
    ));
    assert!(sum.abs() <= TOLERANCE, "{name}: {:+.2} %", 100.0 * sum);
}
