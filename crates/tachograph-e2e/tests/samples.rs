//! The two-phase test: every signal is accounted for, exactly, and every sample stands in the generation in which it was taken.
//!
//! The exact accounts (per thread and generation `handled` = `emitted` + lost, `emitted` = samples in the trace, none outside of
//! published..=quiet, times in order) are rules 5 to 7 of `check::verify`, which every run here goes through; the runs differ in rate,
//! timer, period, depth and ring. `TACHOGRAPH_LONG=1` takes 100,000 samples
//! where the short run takes 20,000.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tachograph::{Cause, Recorder, SampleTimer, StartError, Symbols};
use tachograph_e2e::decode::{Generation, Trace};
use tachograph_e2e::load::{burn, deep, thread_cpu};
use tachograph_e2e::record::{Recorded, Running, turn};
use tachograph_e2e::report::{is_long, say};
use tachograph_wire::EventKind;

const RATES: [u32; 3] = [99, 1000, 4000];
const TIMERS: [SampleTimer; 2] = [SampleTimer::Posix, SampleTimer::PerfEvent];
const PERIODS: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_millis(50),
    Duration::ZERO,
];

#[inline(never)]
fn phase_hot(cpu: Duration) {
    let task = tachograph::task("job");
    let _region = task.region("hot");
    burn(cpu);
}

#[inline(never)]
fn phase_cold(cpu: Duration) {
    burn(cpu);
    // Not a tail call: the frame stays.
    black_box(cpu);
}

/// Two threads: in and out of the region, the second under `depth` more frames.
fn two_phases(cpu: Duration, depth: u32) {
    let start = Barrier::new(2);
    thread::scope(|scope| {
        for number in 0..2u32 {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                deep(number * depth, &mut || {
                    phase_hot(cpu);
                    phase_cold(cpu);
                });
            });
        }
    });
}

/// Records `program`; `None` (and a word) where perf_event is not permitted.
fn record(name: &str, recorder: Recorder, program: impl FnOnce()) -> Option<(Recorded, Trace)> {
    let running = match Running::start(name, recorder) {
        Err(StartError::PerfEventRefused) => {
            say(format!("skipped: no perf_event ({name})"));
            return None;
        }
        started => started.unwrap_or_else(|error| panic!("{name}: start: {error}")),
    };
    program();
    let recorded = running.stop();
    let trace = recorded.verify();
    Some((recorded, trace))
}

fn tell(recorded: &Recorded) -> (u64, u64) {
    let samples = recorded
        .summary
        .samples
        .as_ref()
        .expect("samples were asked for");
    let tally = &samples.tally;
    let causes: Vec<String> = tally
        .causes()
        .filter(|(_, count)| *count > 0)
        .map(|(cause, count)| format!("{} {count}", cause.word()))
        .collect();
    say(format!(
        "{}: {} handled = {} samples + {} lost; weight {}, {} generations; {}",
        recorded.name,
        tally.handled,
        tally.emitted,
        tally.lost(),
        samples.weight,
        recorded.summary.generations,
        causes.join(", ")
    ));
    assert_eq!(tally.handled, tally.emitted + tally.lost());
    assert_eq!(tally.get(Cause::NoRecord), 0);
    (tally.emitted, tally.lost())
}

#[test]
fn every_signal_is_a_sample_or_a_counted_loss() {
    let _turn = turn();
    for timer in TIMERS {
        for hz in RATES {
            for period in PERIODS {
                let name = format!("two phases, {timer:?}, {hz} Hz, {period:?}");
                let recorder = Recorder::new()
                    .sample_cpu(hz)
                    .sample_timer(timer)
                    .generation_period(period);
                let program = || two_phases(Duration::from_millis(120), 0);
                let Some((recorded, trace)) = record(&name, recorder, program) else {
                    continue;
                };
                let (emitted, _) = tell(&recorded);
                assert!(emitted > 0, "{name}");
                phases_are_told_apart(&name, &trace);
            }
        }
    }
}

#[test]
fn deep_stacks_are_cut_and_counted() {
    let _turn = turn();
    for timer in TIMERS {
        let name = format!("200 frames, {timer:?}");
        let recorder = Recorder::new().sample_cpu(1000).sample_timer(timer);
        let program = || two_phases(Duration::from_millis(150), 200);
        let Some((recorded, trace)) = record(&name, recorder, program) else {
            continue;
        };
        tell(&recorded);
        let full = trace.samples().filter(|(generation, seen)| {
            let frames = generation.frames(&seen.sample);
            let deep = frames
                .iter()
                .filter(|frame| frame.function.contains("load::deep"));
            deep.count() > 100
        });
        let cut = recorded
            .summary
            .samples
            .as_ref()
            .map_or(0, |s| s.tally.get(Cause::Truncated));
        let full = full.count() as u64;
        assert!(full > 0 && cut == full, "{name}: {full} deep, {cut} cut");
    }
}

#[test]
fn a_tiny_ring_overflows_and_counts() {
    let _turn = turn();
    for timer in TIMERS {
        for period in PERIODS {
            let name = format!("tiny ring, {timer:?}, {period:?}");
            let recorder = Recorder::new()
                .sample_cpu(4000)
                .sample_timer(timer)
                .sample_ring_bytes(256)
                .generation_period(period);
            let program = || two_phases(Duration::from_millis(150), 50);
            let Some((recorded, _)) = record(&name, recorder, program) else {
                continue;
            };
            let (emitted, lost) = tell(&recorded);
            assert!(emitted > 0 && (lost > 0 || period.is_zero()), "{name}");
        }
    }
}

/// Generations as fast as they go: no sample is misplaced, of 20,000 in the short run and of 100,000 in the long one.
#[test]
fn no_sample_is_misplaced() {
    let _turn = turn();
    let wanted: u64 = if is_long() { 100_000 } else { 20_000 };
    let (mut samples, mut generations) = (0, 0);
    for round in 0.. {
        let period = [Duration::ZERO, Duration::from_millis(10)][round % 2];
        let timer = [SampleTimer::Auto, SampleTimer::Posix][usize::from(round % 8 == 7)];
        let name = format!("misplaced, round {round}, {timer:?}, {period:?}");
        let recorder = Recorder::new()
            .sample_cpu(10_000)
            .sample_timer(timer)
            // Names cost more than the generations.
            .symbols(Symbols::Offline)
            .generation_period(period);
        let program = || storm(Duration::from_millis(400));
        let (recorded, trace) = record(&name, recorder, program).expect("chosen by the recorder");
        let (emitted, _) = tell(&recorded);
        samples += emitted;
        generations += trace.generations.len();
        if samples >= wanted || round > 200 {
            break;
        }
    }
    say(format!(
        "misplaced samples: 0 of {samples} in {generations} generations"
    ));
    let few = generations < 20 || (is_long() && samples < wanted);
    assert!(!few, "{samples} samples, {generations} generations");
}

/// Recordings that begin and end while signals land everywhere, on threads that come and go as well.
#[test]
fn recordings_in_a_storm_of_signals() {
    let _turn = turn();
    let rounds = if is_long() { 200 } else { 12 };
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let _over = Over(&over);
        for number in 0..4 {
            let over = &over;
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let child = thread::spawn(move || {
                        if number % 2 == 0 {
                            tachograph::log("child", "speaks");
                        }
                        burn(Duration::from_micros(300 + 900 * number));
                    });
                    let _region = tachograph::region("waits");
                    deep(10, &mut || burn(Duration::from_micros(200)));
                    child.join().expect("child");
                }
            });
        }
        for round in 0..rounds {
            let timer = [SampleTimer::Auto, SampleTimer::Posix][round % 2];
            let name = format!("storm, round {round}, {timer:?}");
            let recorder = Recorder::new()
                .sample_cpu([10_000, 20_000, 997][round % 3])
                .sample_timer(timer)
                .symbols(Symbols::Offline)
                .generation_period(Duration::from_millis([0, 1, 20][round % 3]));
            let length = Duration::from_millis(10 + 7 * (round as u64 % 20));
            let program = || thread::sleep(length);
            let (recorded, _) = record(&name, recorder, program).expect("chosen by the recorder");
            tell(&recorded);
        }
    });
}

/// Ends the load when it is dropped, also by a panic: the load's scope waits for it.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Two threads that compute: one in deep frames, one that also writes events.
fn storm(cpu: Duration) {
    thread::scope(|scope| {
        scope.spawn(|| deep(20, &mut || burn(cpu)));
        scope.spawn(|| {
            let end = thread_cpu() + cpu;
            while thread_cpu() < end {
                let _region = tachograph::region("short");
                burn(Duration::from_micros(50));
            }
        });
    });
}

/// Samples in the region "hot" are in its function, on the thread's own task and slot; those after it are not.
fn phases_are_told_apart(name: &str, trace: &Trace) {
    let regions = hot_regions(trace);
    let (mut hot, mut cold) = (0, 0);
    for (generation, seen) in trace.samples() {
        let thread = seen.sample.thread.0;
        let Some(&(begin, end)) = regions.get(&thread) else {
            continue;
        };
        let frames = generation.frames(&seen.sample);
        let is_in = |function: &str| frames.iter().any(|frame| frame.function.contains(function));
        let time = seen.sample.time.0;
        if (begin..=end).contains(&time) {
            hot += 1;
            assert!(
                is_in("phase_hot") && !is_in("phase_cold"),
                "{name}: {frames:?}"
            );
            let task = task_of(generation, thread);
            assert_eq!(Some(seen.sample.task.0), task, "{name}: task of {seen:?}");
            assert_ne!(seen.sample.proc.0, u64::MAX, "{name}: slot of {seen:?}");
        } else if is_in("phase_cold") {
            cold += 1;
            assert!(time > end, "{name}: {seen:?} is not after {end}");
        }
    }
    assert!(hot > 0 && cold > 0, "{name}: {hot} hot, {cold} cold");
}

/// Begin and end of the region "hot", by thread.
fn hot_regions(trace: &Trace) -> HashMap<u64, (u64, u64)> {
    let mut regions: HashMap<u64, (u64, u64)> = HashMap::new();
    for generation in &trace.generations {
        for (kind, is_end) in [
            (EventKind::UserRegionBegin, false),
            (EventKind::UserRegionEnd, true),
        ] {
            for (thread, event) in generation.of_kind(kind) {
                if generation.text_of(event, 0) != "hot" {
                    continue;
                }
                let region = regions.entry(thread).or_insert((0, u64::MAX));
                match is_end {
                    true => region.1 = event.time,
                    false => region.0 = event.time,
                }
            }
        }
    }
    regions
}

/// The task that stands for a thread, as the events of the generation bind them.
fn task_of(generation: &Generation, thread: u64) -> Option<u64> {
    generation.metadata.iter().find_map(|record| match record {
        tachograph_wire::Metadata::Thread(one) if one.thread.0 == thread => Some(one.task?.0),
        _ => None,
    })
}
