//! `size`: bytes of a trace for an event, a poll and a wake, and what a million idle tasks add.

use std::future::pending;
use std::time::{Duration, Instant};

use tachograph::{AwaitStacks, Recorder, Symbols};
use tachograph_wire::EventKind;

use super::counts::Counts;
use super::lane::{By, Lane, Peers, Shape};
use super::waits::{drive, work::Work};
use crate::event::{self, Kept};
use crate::failure::Failure;
use crate::sink::KeepingSink;
use crate::table::{Goal, figure};

const TASKS: usize = 100;
const TURNS: usize = 10_000;
const IDLE: usize = 1_000_000;
const BUSY_TASKS: usize = 100;
const TIME: Duration = Duration::from_secs(8);
const PERIOD: Duration = Duration::from_secs(1);

/// Most bytes of a trace for an event.
const BYTES: f64 = 8.0;
/// Most of a trace that statuses of tasks may be, in percent, unless generations are longer than asked for.
const STATUS_SHARE: f64 = 5.0;

const STATUSES: [EventKind; 2] = [EventKind::GoStatus, EventKind::GoStatusStack];
/// Of which a poll consists, without its wake.
const POLL: [EventKind; 3] = [EventKind::GoStart, EventKind::GoBlock, EventKind::GoStop];

/// Measures and prints.
pub fn run() -> Result<(), Failure> {
    let mut kept = Kept::default();
    println!(
        "bytes of the trace, {TASKS} tasks with {TURNS} polls and wakes each on 1 worker\n{:44}  {:>8}  {:>6}  {:>6}  {:>6}  goal",
        "what", "M events", "event", "poll", "wake"
    );
    for (work, name) in [
        (Work::Yield, "yield_now"),
        (Work::PingPong, "wait and wake in pairs"),
    ] {
        for (stacks, how) in [
            (AwaitStacks::Off, "no await stacks"),
            (AwaitStacks::On, "await and wake stacks"),
        ] {
            ours(work, stacks, &format!("ours, {name}, {how}"), &mut kept)?;
        }
        #[cfg(feature = "peers")]
        dial9(work, &format!("dial9, {name}, its spawn"))?;
    }
    println!();
    idle(&mut kept)?;
    println!();
    kept.print();
    Ok(())
}

fn ours(work: Work, stacks: AwaitStacks, what: &str, kept: &mut Kept) -> Result<(), Failure> {
    let lane = Lane::new(Shape::Workers(1), By::Ours, &Peers::default())?;
    let sink = KeepingSink::default();
    let recorder = event::recorder()
        .await_stacks(stacks)
        .symbols(Symbols::InProcess);
    let recording = recorder.start(sink.clone())?;
    let driven = drive(&lane, work, TASKS, TURNS);
    kept.add(&recording.stop()?);
    driven?;
    let counts = Counts::of(&sink.take())?;
    let polls = counts.of_kind(EventKind::GoStart).0;
    let poll_bytes: u64 = POLL.iter().map(|&kind| counts.of_kind(kind).1).sum();
    let (wakes, wake_bytes) = counts.of_kind(EventKind::GoUnblock);
    let event = ratio(counts.bytes(), counts.events());
    let goal = Goal {
        text: format!("bytes an event, at most {BYTES}"),
        found: event,
        most: BYTES,
    };
    row(
        what,
        counts.events(),
        event,
        ratio(poll_bytes, polls),
        ratio(wake_bytes, wakes),
        &goal.verdict(),
    );
    Ok(())
}

#[cfg(feature = "peers")]
fn dial9(work: Work, what: &str) -> Result<(), Failure> {
    use dial9_trace_format::decoder::Decoder;
    use std::collections::HashMap;

    let peers = Peers::start()?;
    let lane = Lane::new(Shape::Workers(1), By::Dial9, &peers)?;
    peers.dial9().switch(true);
    drive(&lane, work, TASKS, TURNS)?;
    drop(lane);
    let segments = peers.finish_dial9();
    let bytes: usize = segments.iter().map(Vec::len).sum();
    let mut kinds = HashMap::<String, u64>::new();
    for segment in &segments {
        let mut decoder = Decoder::new(segment)
            .ok_or_else(|| Failure::Judged("dial9's trace has no header".to_owned()))?;
        decoder
            .for_each_event(|event| *kinds.entry(event.name.to_owned()).or_default() += 1)
            .map_err(|error| Failure::Judged(format!("dial9's trace: {error:?}")))?;
    }
    let events: u64 = kinds.values().sum();
    let mut found: Vec<_> = kinds.iter().collect();
    found.sort();
    let found: Vec<_> = found
        .iter()
        .map(|(kind, count)| format!("{kind} {count}"))
        .collect();
    row(
        what,
        events,
        ratio(bytes as u64, events),
        f64::NAN,
        f64::NAN,
        &format!(
            "{} a poll and wake; {}",
            figure(Some(bytes as f64 / (TASKS * TURNS) as f64)),
            found.join(", ")
        ),
    );
    Ok(())
}

fn row(what: &str, events: u64, event: f64, poll: f64, wake: f64, rest: &str) {
    let figure = |value: f64| figure(Some(value).filter(|value| value.is_finite()));
    println!(
        "{what:44}  {:>8.2}  {:>6}  {:>6}  {:>6}  {rest}",
        events as f64 / 1e6,
        figure(event),
        figure(poll),
        figure(wake)
    );
}

fn ratio(a: u64, b: u64) -> f64 {
    a as f64 / b as f64
}

/// A million tasks that wait, and a few that work.
fn idle(kept: &mut Kept) -> Result<(), Failure> {
    let lane = Lane::new(Shape::Workers(1), By::Ours, &Peers::default())?;
    let handles = lane.block_on(async {
        let spawn = |_| By::Ours.spawn(pending::<()>());
        (0..IDLE).map(spawn).collect::<Vec<_>>()
    });
    let sink = KeepingSink::default();
    let recording = Recorder::new()
        .generation_period(PERIOD)
        .start(sink.clone())?;
    let start = Instant::now();
    lane.block_on(busy());
    let elapsed = start.elapsed();
    let summary = recording.stop()?;
    kept.add(&summary);
    drop(handles);
    let counts = Counts::of(&sink.take())?;
    let (statuses, status_bytes) = STATUSES
        .iter()
        .map(|&kind| counts.of_kind(kind))
        .fold((0, 0), |sum, kind| (sum.0 + kind.0, sum.1 + kind.1));
    let share = ratio(status_bytes, counts.bytes()) * 100.0;
    let generations = counts.generations();
    let length = elapsed.as_secs_f64() / generations as f64;
    let stretched = length > 1.5 * PERIOD.as_secs_f64();
    let verdict = match share <= STATUS_SHARE || stretched {
        true => "met",
        false => "MISSED",
    };
    println!(
        "{IDLE} idle tasks, {BUSY_TASKS} busy ones, {:.1} s, a generation each {PERIOD:?}\n\
         {generations} generations of {length:.2} s; {:.1} MB, {} events without statuses; {statuses} statuses of {} bytes",
        elapsed.as_secs_f64(),
        counts.bytes() as f64 / 1e6,
        counts.events() - statuses,
        figure(Some(ratio(status_bytes, statuses))),
    );
    println!(
        "statuses: {share:.1} % of the bytes; goal: at most {STATUS_SHARE} %, or generations stretched{}: {verdict}",
        match stretched {
            true => " (they are)",
            false => "",
        }
    );
    let kinds = EventKind::ALL
        .iter()
        .map(|&kind| (kind, counts.of_kind(kind)));
    let mut kinds: Vec<_> = kinds.filter(|(_, (count, _))| *count > 0).collect();
    kinds.sort_by_key(|(_, (_, bytes))| std::cmp::Reverse(*bytes));
    for (kind, (count, bytes)) in kinds.into_iter().take(8) {
        println!(
            "  {:16} {count:>10}  {:>6.1} MB",
            kind.name(),
            bytes as f64 / 1e6
        );
    }
    Ok(())
}

/// Some 100,000 polls a second.
async fn busy() {
    let tick = |_| {
        By::Ours.spawn(async {
            let start = Instant::now();
            while start.elapsed() < TIME {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
    };
    for task in (0..BUSY_TASKS).map(tick).collect::<Vec<_>>() {
        // A panic would show in the trace.
        let _ = task.await;
    }
}
