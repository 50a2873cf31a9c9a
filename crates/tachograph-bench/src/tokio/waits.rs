//! `waits`: nanoseconds for a poll and the wake that led to it.
//!
//! Every variant runs the same tasks on a runtime of its own, which stays for all rounds. What counts is the CPU time of the runtime's
//! threads: on a busy machine the clock on the wall tells about others. What a recorder's own threads take stands beside it.

pub mod meter;
pub mod work;

use std::sync::Arc;

use tachograph::AwaitStacks;

use self::meter::{Meter, Reading};
use self::work::Work;
use super::counts::Counts;
use super::lane::{By, Lane, Peers, Shape};
use crate::event::{self, Kept};
use crate::failure::Failure;
use crate::measure::Series;
use crate::sink::{CountingSink, KeepingSink};
use crate::table::{Goal, figure};

const DEFAULT_ROUNDS: u64 = 15;
const SHAPES: [Shape; 3] = [Shape::Current, Shape::Workers(1), Shape::Workers(2)];
const TASKS: [usize; 2] = [10, 1000];
/// Polls of a run, all tasks together.
const POLLS: usize = 100_000;

/// Most nanoseconds that a poll and a wake may cost while recording, without stacks.
const PLAIN_NS: f64 = 100.0;
/// The same with stacks of 20 frames, where programs keep frame pointers.
const STACKS_NS: f64 = 180.0;

/// What is recorded during a run.
#[derive(Clone, Copy, Debug)]
enum Mode {
    Off,
    On(AwaitStacks),
    #[cfg(feature = "peers")]
    Dial9,
}

struct Variant {
    name: &'static str,
    by: By,
    mode: Mode,
    most_ns: Option<f64>,
    ns: Series,
    process_ns: Series,
}

/// Measures and prints.
pub fn run(rounds: Option<u64>, frame_pointers: bool) -> Result<(), Failure> {
    let rounds = rounds.unwrap_or(DEFAULT_ROUNDS);
    println!(
        "ns per poll and wake: CPU time of the runtime's threads; medians of {rounds} rounds, added: to Tokio alone in the same round, with quartiles"
    );
    let peers = Peers::start()?;
    let mut kept = Kept::default();
    for work in [Work::Yield, Work::PingPong] {
        for tasks in TASKS {
            for shape in SHAPES {
                let mut variants = variants(work, frame_pointers);
                let lanes = lanes(shape, &peers)?;
                for _ in 0..rounds {
                    for variant in &mut variants {
                        let lane = lanes.iter().find(|lane| lane.by == variant.by);
                        let lane = lane.expect("each has a lane");
                        let cost = variant.run(lane, work, tasks, &peers, &mut kept)?;
                        variant.ns.push(cost.cpu as f64 / POLLS as f64);
                        variant.process_ns.push(cost.process as f64 / POLLS as f64);
                    }
                }
                println!("\n{}", heading(work, tasks, shape)?);
                print(&variants);
            }
        }
    }
    println!();
    kept.print();
    Ok(())
}

fn variants(work: Work, frame_pointers: bool) -> Vec<Variant> {
    let with_stacks = (work == Work::PingPong && frame_pointers).then_some(STACKS_NS);
    let on = |stacks| Mode::On(stacks);
    let mut variants = vec![
        Variant::new("Tokio alone", By::Tokio, Mode::Off, None),
        Variant::new("ours, off", By::Ours, Mode::Off, None),
        Variant::new(
            "ours, no await stacks",
            By::Ours,
            on(AwaitStacks::Off),
            Some(PLAIN_NS),
        ),
        Variant::new(
            "ours, await and wake stacks",
            By::Ours,
            on(AwaitStacks::On),
            with_stacks,
        ),
    ];
    if !frame_pointers {
        variants.push(Variant::new(
            "ours, stacks as time allows",
            By::Ours,
            on(AwaitStacks::Auto),
            None,
        ));
    }
    #[cfg(feature = "peers")]
    variants.extend([
        Variant::new("dial9, off", By::Dial9, Mode::Off, None),
        Variant::new("dial9, tokio::spawn", By::Dial9Hooks, Mode::Dial9, None),
        Variant::new("dial9, its spawn", By::Dial9, Mode::Dial9, None),
    ]);
    variants
}

fn lanes(shape: Shape, peers: &Peers) -> Result<Vec<Lane>, Failure> {
    let all = [
        By::Tokio,
        By::Ours,
        #[cfg(feature = "peers")]
        By::Dial9Hooks,
        #[cfg(feature = "peers")]
        By::Dial9,
    ];
    all.into_iter()
        .map(|by| Lane::new(shape, by, peers))
        .collect()
}

impl Variant {
    fn new(name: &'static str, by: By, mode: Mode, most_ns: Option<f64>) -> Self {
        Self {
            name,
            by,
            mode,
            most_ns,
            ns: Series::default(),
            process_ns: Series::default(),
        }
    }

    fn run(
        &self,
        lane: &Lane,
        work: Work,
        tasks: usize,
        peers: &Peers,
        kept: &mut Kept,
    ) -> Result<Reading, Failure> {
        let turns = POLLS / tasks;
        match self.mode {
            Mode::Off => drive(lane, work, tasks, turns),
            Mode::On(stacks) => {
                let recorder = event::recorder().await_stacks(stacks);
                let recording = recorder.start(CountingSink::default())?;
                let cost = drive(lane, work, tasks, turns);
                kept.add(&recording.stop()?);
                cost
            }
            #[cfg(feature = "peers")]
            Mode::Dial9 => {
                peers.dial9().switch(true);
                let cost = drive(lane, work, tasks, turns);
                peers.dial9().switch(false);
                cost
            }
        }
        .inspect(|_| {
            // Without the other recorders there is nothing in it.
            let _ = peers;
        })
    }
}

/// One run.
pub fn drive(lane: &Lane, work: Work, tasks: usize, turns: usize) -> Result<Reading, Failure> {
    let meter = Arc::new(Meter::new(&lane.threads, tasks));
    lane.block_on(work.run(lane.by, tasks, turns, Arc::clone(&meter)));
    meter
        .passed()
        .ok_or_else(|| Failure::Judged("a task did not come to its end".to_owned()))
}

fn heading(work: Work, tasks: usize, shape: Shape) -> Result<String, Failure> {
    let shape = shape.name();
    Ok(match work {
        Work::Yield => format!("yield_now, {tasks} tasks, {shape}"),
        Work::PingPong => {
            let (awaits, wakes) = frames()?;
            format!(
                "wait and wake in pairs, {tasks} tasks, {shape}; stacks of {awaits} (await) and {wakes} (wake) frames"
            )
        }
    })
}

/// How many frames the stacks of the pairs' awaits and wakes have, where all are kept.
fn frames() -> Result<(usize, usize), Failure> {
    let lane = Lane::new(Shape::Current, By::Ours, &Peers::default())?;
    let sink = KeepingSink::default();
    let recorder = event::recorder().await_stacks(AwaitStacks::On);
    let recording = recorder.start(sink.clone())?;
    let driven = drive(&lane, Work::PingPong, 2, 100);
    recording.stop()?;
    driven?;
    Ok(Counts::of(&sink.take())?.usual_frames())
}

fn print(variants: &[Variant]) {
    let Some(alone) = variants.first() else {
        return;
    };
    println!(
        "{:28}  {:>6}  {:>6}  {:>6}  {:>13}  {:>13}  goal",
        "what", "median", "min", "added", "quartiles", "whole process"
    );
    for variant in variants {
        let added = variant.ns.with(&alone.ns, |with, without| with - without);
        let process = variant
            .process_ns
            .median_with(&alone.process_ns, |with, without| with - without);
        let goal = variant.most_ns.zip(added.median()).map(|(most, found)| {
            let goal = Goal {
                text: format!("ns added, at most {most}"),
                found,
                most,
            };
            goal.verdict()
        });
        let line = format!(
            "{:28}  {:>6}  {:>6}  {:>6}  {:>13}  {:>13}  {}",
            variant.name,
            figure(variant.ns.median()),
            figure(variant.ns.min()),
            figure(added.median()),
            format!(
                "{} to {}",
                figure(added.quantile(0.25)),
                figure(added.quantile(0.75))
            ),
            figure(process),
            goal.unwrap_or_default()
        );
        println!("{}", line.trim_end());
    }
}
