//! `memory`: bytes that a traced task needs beyond one of Tokio's, and what it takes longer to spawn.
//!
//! Bytes as the allocator was asked for them. Tokio rounds a task up to whole cache lines of 128 bytes, so futures of all sizes up to the
//! next line are weighed, and the goal is about their mean.

use std::future::pending;
use std::hint::black_box;

use tachograph::AwaitStacks;
use tokio::task::JoinHandle;

use super::lane::{By, Lane, Peers, Shape};
use crate::event::{self, Kept};
use crate::failure::Failure;
use crate::measure::Series;
use crate::sink::CountingSink;
use crate::sys::{bytes_kept, thread_cpu_ns};
use crate::table::{Goal, figure};

const DEFAULT_ROUNDS: u64 = 15;
const TASKS: usize = 100_000;
const SPAWNED: usize = 10_000;
/// Most bytes that a traced task may need beyond one of Tokio's.
const BYTES: f64 = 128.0;

/// Spawns so many futures that wait for ever.
type Spawn = fn(By, usize) -> Vec<JoinHandle<()>>;

/// One for each 16 bytes of a line.
const SIZES: [Spawn; 8] = [
    spawn::<0>,
    spawn::<16>,
    spawn::<32>,
    spawn::<48>,
    spawn::<64>,
    spawn::<80>,
    spawn::<96>,
    spawn::<112>,
];

fn spawn<const BYTES: usize>(by: By, tasks: usize) -> Vec<JoinHandle<()>> {
    let idle = |_| {
        let state = [0_u8; BYTES];
        by.spawn(async move {
            pending::<()>().await;
            black_box(&state);
        })
    };
    (0..tasks).map(idle).collect()
}

/// Measures and prints.
pub fn run(rounds: Option<u64>) -> Result<(), Failure> {
    let peers = Peers::start()?;
    let mut kept = Kept::default();
    weigh(&peers, &mut kept)?;
    println!();
    time(rounds.unwrap_or(DEFAULT_ROUNDS), &peers, &mut kept)?;
    println!();
    kept.print();
    Ok(())
}

/// Bytes for a task, with futures of each size.
fn bytes(by: By, peers: &Peers) -> Result<Vec<f64>, Failure> {
    let mut all = Vec::new();
    for spawn in SIZES {
        let lane = Lane::new(Shape::Current, by, peers)?;
        // What a runtime and a recorder have once.
        drop(lane.block_on(async move { spawn(by, 1000) }));
        let (bytes, handles) = bytes_kept(|| {
            lane.block_on(async move {
                let handles = spawn(by, TASKS);
                // Each is polled once, and keeps its waker.
                for _ in 0..TASKS / 10 {
                    tokio::task::yield_now().await;
                }
                handles
            })
        });
        all.push(bytes as f64 / TASKS as f64);
        drop(handles);
    }
    Ok(all)
}

fn weigh(peers: &Peers, kept: &mut Kept) -> Result<(), Failure> {
    let alone = bytes(By::Tokio, peers)?;
    let off = bytes(By::Ours, peers)?;
    let recording = event::recorder().start(CountingSink::default())?;
    let on = bytes(By::Ours, peers)?;
    kept.add(&recording.stop()?);
    println!(
        "bytes for each of {TASKS} idle tasks, futures of 0 to 112 bytes\n{:12}  {:>6}  beyond Tokio: mean, least, most  goal",
        "what", "mean"
    );
    println!("{:12}  {:>6}", "Tokio alone", figure(Some(mean(&alone))));
    let print = |what: &str, own: &[f64], goal: bool| {
        let beyond: Vec<f64> = own.iter().zip(&alone).map(|(a, b)| a - b).collect();
        let goal = goal.then(|| Goal {
            text: format!("bytes beyond, at most {BYTES}"),
            found: mean(&beyond),
            most: BYTES,
        });
        let least = beyond.iter().copied().min_by(f64::total_cmp);
        let most = beyond.iter().copied().max_by(f64::total_cmp);
        let line = format!(
            "{what:12}  {:>6}  {:>18}, {:>5}, {:>5}  {}",
            figure(Some(mean(own))),
            figure(Some(mean(&beyond))),
            figure(least),
            figure(most),
            goal.map(|goal| goal.verdict()).unwrap_or_default()
        );
        println!("{}", line.trim_end());
    };
    print("ours, off", &off, true);
    print("ours, on", &on, true);
    #[cfg(feature = "peers")]
    {
        peers.dial9().switch(true);
        let dial9 = bytes(By::Dial9, peers)?;
        peers.dial9().switch(false);
        print("dial9, on", &dial9, false);
    }
    Ok(())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// What is recorded while tasks are spawned.
#[derive(Clone, Copy, Debug)]
enum Mode {
    Off,
    On,
    #[cfg(feature = "peers")]
    Dial9,
}

fn time(rounds: u64, peers: &Peers, kept: &mut Kept) -> Result<(), Failure> {
    let mut variants = vec![
        ("Tokio alone", By::Tokio, Mode::Off, Series::default()),
        ("ours, off", By::Ours, Mode::Off, Series::default()),
        ("ours, on", By::Ours, Mode::On, Series::default()),
        #[cfg(feature = "peers")]
        ("dial9, on", By::Dial9, Mode::Dial9, Series::default()),
    ];
    for _ in 0..rounds {
        for (_, by, mode, series) in &mut variants {
            let ns = match mode {
                Mode::Off => spawn_ns(*by, peers)?,
                Mode::On => {
                    let recorder = event::recorder().await_stacks(AwaitStacks::Off);
                    let recording = recorder.start(CountingSink::default())?;
                    let ns = spawn_ns(*by, peers)?;
                    kept.add(&recording.stop()?);
                    ns
                }
                #[cfg(feature = "peers")]
                Mode::Dial9 => {
                    peers.dial9().switch(true);
                    let ns = spawn_ns(*by, peers)?;
                    peers.dial9().switch(false);
                    ns
                }
            };
            series.push(ns);
        }
    }
    println!(
        "ns for a spawn, {rounds} rounds of {SPAWNED}\n{:12}  {:>6}  {:>6}  added: quartiles",
        "what", "median", "added"
    );
    let alone = variants[0].3.clone();
    for (name, _, _, series) in &variants {
        let added = series.with(&alone, |with, without| with - without);
        println!(
            "{name:12}  {:>6}  {:>6}  {} to {}",
            figure(series.median()),
            figure(added.median()),
            figure(added.quantile(0.25)),
            figure(added.quantile(0.75))
        );
    }
    Ok(())
}

/// CPU time of a spawn, without what the task does then.
fn spawn_ns(by: By, peers: &Peers) -> Result<f64, Failure> {
    let lane = Lane::new(Shape::Current, by, peers)?;
    let spent = lane.block_on(async move {
        drop(spawn::<64>(by, 100));
        let start = thread_cpu_ns();
        drop(spawn::<64>(by, SPAWNED));
        thread_cpu_ns() - start
    });
    Ok(spent as f64 / SPAWNED as f64)
}
