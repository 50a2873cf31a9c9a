//! CPU time of tasks that share workers: what the samples say of each against the CPU clock around its work, and samples of nobody.
//!
//! A task's part of the samples is an estimate. Of n samples of which it has the part p, one standard deviation is sqrt((1-p)/(np)) of its own
//! figure, if the samples fall independently of what runs; with weights, n p is (sum of weights)^2 / (sum of squared weights). Tasks burn for
//! random times, so that they are in no step with the sampling. The short run is held to four deviations and 2 % for the clock's own cost;
//! `TACHOGRAPH_LONG=1` burns 60 CPU seconds, so that the claim itself, 5 %, is four deviations of the smallest part.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tachograph::{Recorder, SampleTimer};
use tachograph_e2e::decode::{FrameSeen, Trace};
use tachograph_e2e::load::{burn, thread_cpu};
use tachograph_e2e::record::{Recorded, record, turn};
use tachograph_e2e::report::{is_long, say};
use tachograph_e2e::seen::Seen;
use tachograph_e2e::stage::{Kind, Stage, on_driver};

const HZ: u32 = 999;
/// Names, and per cent of the CPU time.
const SHARES: [(&str, u64); 4] = [("10 %", 10), ("20 %", 20), ("30 %", 30), ("40 %", 40)];

/// A poll of `work`.
const WORK: &str = "tokio_cpu::work::{{closure}}";

/// Burns its share of `whole`, a little at a time; what that took by the clock, in nanoseconds.
async fn work(share: u64, whole: Duration, seed: u64) -> u64 {
    let (mut random, mut burnt) = (seed, Duration::ZERO);
    let wanted = whole * u32::try_from(share).unwrap_or(0) / 100;
    while burnt < wanted {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let before = thread_cpu();
        // 0.3 to 0.9 ms for 10 %: all get round about as often, and a poll is little beside it.
        burn(Duration::from_micros(share * (30 + random % 60)));
        burnt += thread_cpu() - before;
        tokio::task::yield_now().await;
    }
    burnt.as_nanos().try_into().unwrap_or(u64::MAX)
}

/// Yields, and does nothing else, until it has done so often enough.
async fn idle_about(times: u64, done: Arc<AtomicU64>) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
    done.fetch_add(times, Ordering::Relaxed);
}

/// What the samples say of one task.
#[derive(Clone, Copy, Debug, Default)]
struct Sampled {
    count: u64,
    weight: f64,
    squares: f64,
}

fn by_task(trace: &Trace) -> HashMap<u64, Sampled> {
    let mut tasks: HashMap<u64, Sampled> = HashMap::new();
    for (_, seen) in trace.samples() {
        let sampled = tasks.entry(seen.sample.task.0).or_default();
        sampled.count += 1;
        sampled.weight += seen.weight as f64;
        sampled.squares += (seen.weight * seen.weight) as f64;
    }
    tasks
}

fn sampled<T: Send>(name: &str, program: impl FnOnce(&Stage) -> T + Send) -> (T, Recorded, Trace) {
    let recorder = Recorder::new()
        .sample_cpu(HZ)
        .sample_timer(SampleTimer::Auto)
        .memory_limit(1 << 30);
    let (result, recorded) = record(name, recorder, || {
        on_driver(|| {
            let stage = Stage::new(Kind::Workers(2), Duration::from_secs(1));
            let result = program(&stage);
            stage.strike();
            result
        })
    });
    let trace = recorded.verify();
    (result, recorded, trace)
}

#[test]
fn samples_give_each_task_its_share() {
    let _turn = turn();
    let whole = Duration::from_secs(if is_long() { 60 } else { 3 });
    let name = "shares of CPU";
    let (clocks, recorded, trace) = sampled(name, |stage| {
        let tasks = SHARES.map(|(name, share)| stage.spawn(name, work(share, whole, 7 + share)));
        tasks.map(|task| task.ended().expect("no panic") as f64 / 1e9)
    });
    let seen = Seen::new(name, recorded.bytes);
    let tasks = by_task(&trace);
    let all: f64 = tasks.values().map(|sampled| sampled.weight).sum();
    for ((name, _), clock) in SHARES.iter().zip(clocks) {
        let (id, _) = seen
            .lives
            .iter()
            .find(|(_, life)| life.name == *name)
            .expect("a task");
        let sampled = tasks.get(id).copied().unwrap_or_default();
        let seconds = sampled.weight / f64::from(HZ);
        let off = seconds / clock - 1.0;
        let part = sampled.weight / all;
        let deviation = ((1.0 - part) * sampled.squares).sqrt() / sampled.weight;
        let bound = match is_long() {
            true => 0.05,
            false => 4.0 * deviation + 0.02,
        };
        say(format!(
            "{name}: {clock:.4} s by its clock, {seconds:.4} s by {} samples, {:+.2} % (one deviation {:.2} %)",
            sampled.count,
            100.0 * off,
            100.0 * deviation
        ));
        assert!(off.abs() <= bound, "{name}: {:+.2} %", 100.0 * off);
    }
}

fn is_in(frames: &[FrameSeen], part: &str) -> bool {
    frames.iter().any(|frame| frame.function.contains(part))
}

/// Inside of a task's function its samples are the task's; where no task of ours is on the stack, they are nobody's.
#[test]
fn samples_between_polls_are_nobodys() {
    let _turn = turn();
    let times = if is_long() { 1_000_000 } else { 150_000 };
    let name = "samples of the scheduler";
    let ((), recorded, trace) = sampled(name, |stage| {
        let done = Arc::new(AtomicU64::new(0));
        let tasks = [(); 4].map(|()| stage.spawn("idler", idle_about(times / 4, done.clone())));
        let worker = stage.spawn("worker", work(100, Duration::from_millis(300), 3));
        assert!(tasks.iter().all(|task| task.ended().is_some()));
        assert!(worker.ended().is_some());
        assert_eq!(done.load(Ordering::Relaxed), times);
    });
    let seen = Seen::new(name, recorded.bytes);
    let (mut working, mut scheduling) = (0, 0);
    for (generation, sample) in trace.samples() {
        let frames = generation.frames(&sample.sample);
        let task = Some(sample.sample.task.0).filter(|task| *task != 0);
        if is_in(frames, WORK) {
            working += 1;
            assert_eq!(seen.name_of(task), "worker", "{sample:?} {frames:#?}");
        } else if is_in(frames, "multi_thread::worker")
            && !is_in(frames, "achograph_")
            && !is_in(frames, "tokio_cpu")
        {
            scheduling += 1;
            assert_eq!(seen.name_of(task), "-", "{sample:?} {frames:#?}");
        }
    }
    say(format!(
        "{name}: {working} samples of work, {scheduling} of the scheduler"
    ));
    assert!(working > 50 && scheduling > 50);
}
