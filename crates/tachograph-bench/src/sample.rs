//! `sample`: what our SIGPROF handler costs beyond the delivery of the signal.
//!
//! A thread recurses to a depth and raises SIGPROF at itself, in turn with our handler, with one that does nothing, and with pprof-rs's
//! (feature `peers`). Every signal is timed; the difference of the medians is the handler. Code and stack are warm, as they are not at
//! 99 Hz. Batches are small and the engine drains between them, so that no ring overflows.

#[cfg(feature = "peers")]
mod pprof;

use std::time::Duration;

use tachograph::{Recording, SampleTimer, Summary};
use tachograph_recorder::bench_hooks;

use crate::args::Args;
use crate::event::recorder;
use crate::failure::Failure;
use crate::machine;
use crate::measure::{Scale, Series, timed};
use crate::sink::CountingSink;
use crate::sys::{Action, TimerSignal, backtrace_frames};
use crate::table::{self, Goal, Row};

const DEFAULT_ROUNDS: u64 = 40;
/// Levels of recursion, with the most nanoseconds that we want to take there.
const DEPTHS: [(usize, Option<f64>); 3] = [(10, None), (30, Some(500.0)), (100, Some(1500.0))];
const SIGNALS_PER_BATCH: usize = 100;
/// The first signals of a batch find the handler's code and the unwinder's cache cold.
const WARM_UP: usize = 5;
/// Many times what a batch needs.
const RING_BYTES: usize = 1 << 20;
/// The engine drains every 100 ms.
const DRAIN: Duration = Duration::from_millis(110);

/// Measures and prints.
pub fn run(args: &Args) -> Result<(), Failure> {
    let rounds = args.only("--rounds", DEFAULT_ROUNDS)?;
    machine::print();
    // Small stacks of its own, so that depth means recursion and not the program's start.
    let thread = std::thread::spawn(move || measure(rounds));
    let finished = thread
        .join()
        .map_err(|_| Failure::Judged("the measured thread panicked".to_owned()))?;
    let (depths, summary) = finished?;
    print_counts(&summary);
    if !cfg!(feature = "peers") {
        println!("pprof-rs: not built: add `--features peers` after `-p tachograph-bench`");
    }
    println!(
        "framehop and frame pointers: `cargo run --release -p tachograph-unwind --example walk_cost`"
    );
    println!("ratio: to the delivery of a signal to an empty handler\n");
    let rows: Vec<Row> = depths.iter().flat_map(Depth::rows).collect();
    table::print(&rows, "ratio");
    Ok(())
}

/// One way to handle the signal.
struct Handler {
    name: &'static str,
    action: Action,
}

/// What was measured at one depth: a series of nanoseconds per signal for each handler, the empty one first.
struct Depth {
    levels: usize,
    frames: usize,
    most_ns: Option<f64>,
    handlers: Vec<(&'static str, Series)>,
}

const EMPTY: &str = "delivery, empty handler, return";
const OURS: &str = "our handler";

fn measure(rounds: u64) -> Result<(Vec<Depth>, Summary), Failure> {
    let scale = Scale::measure();
    let recording = start()?;
    // The engine arms this thread (its ring) at its next look.
    let signal = TimerSignal::new(bench_hooks::record_address());
    std::thread::sleep(DRAIN);
    let mut handlers = vec![
        Handler {
            name: EMPTY,
            action: Action::empty(),
        },
        Handler {
            name: OURS,
            action: current()?,
        },
    ];
    let peer = Peer::start(&mut handlers)?;
    let mut depths: Vec<Depth> = DEPTHS
        .iter()
        .map(|&(levels, most_ns)| Depth {
            levels,
            frames: 0,
            most_ns,
            handlers: handlers
                .iter()
                .map(|handler| (handler.name, Series::default()))
                .collect(),
        })
        .collect();
    for _ in 0..rounds {
        for depth in &mut depths {
            for (handler, (_, series)) in handlers.iter().zip(&mut depth.handlers) {
                install(&handler.action)?;
                let mut batch = Batch {
                    signal: &signal,
                    scale,
                    series,
                    frames: 0,
                };
                descend(depth.levels, &mut batch).map_err(Failure::io("raising SIGPROF"))?;
                depth.frames = batch.frames;
            }
        }
        std::thread::sleep(DRAIN);
    }
    peer.stop();
    install(&handlers[1].action)?;
    Ok((depths, recording.stop()?))
}

/// A timer signal a second of CPU time, and the memory for many more.
fn start() -> Result<Recording, Failure> {
    let recorder = recorder()
        .sample_cpu(1)
        .sample_timer(SampleTimer::Posix)
        .sample_ring_bytes(RING_BYTES);
    Ok(recorder.start(CountingSink::default())?)
}

fn current() -> Result<Action, Failure> {
    Action::current().map_err(Failure::io("asking for the SIGPROF handler"))
}

fn install(action: &Action) -> Result<(), Failure> {
    action
        .install()
        .map_err(Failure::io("changing the SIGPROF handler"))
}

/// pprof-rs, when it was built.
struct Peer {
    #[cfg(feature = "peers")]
    profiler: pprof::Profiler,
}

impl Peer {
    #[cfg(feature = "peers")]
    fn start(handlers: &mut Vec<Handler>) -> Result<Self, Failure> {
        let profiler = pprof::Profiler::start()?;
        handlers.push(Handler {
            name: pprof::NAME,
            action: current()?,
        });
        Ok(Self { profiler })
    }

    #[cfg(not(feature = "peers"))]
    fn start(_: &mut Vec<Handler>) -> Result<Self, Failure> {
        Ok(Self {})
    }

    fn stop(self) {
        #[cfg(feature = "peers")]
        self.profiler.stop();
    }
}

struct Batch<'a> {
    signal: &'a TimerSignal,
    scale: Scale,
    series: &'a mut Series,
    frames: usize,
}

#[inline(never)]
fn descend(levels: usize, batch: &mut Batch<'_>) -> std::io::Result<()> {
    let result = match levels {
        0 => raise_all(batch),
        _ => descend(levels - 1, batch),
    };
    // Not a tail call: each level keeps its frame.
    std::hint::black_box(result)
}

#[inline(never)]
fn raise_all(batch: &mut Batch<'_>) -> std::io::Result<()> {
    batch.frames = backtrace_frames();
    for turn in 0..SIGNALS_PER_BATCH + WARM_UP {
        let mut result = Ok(());
        let cycles = timed(|| result = batch.signal.raise());
        result?;
        if turn >= WARM_UP {
            batch.series.push(batch.scale.ns(cycles, 1));
        }
    }
    Ok(())
}

impl Depth {
    fn rows(&self) -> Vec<Row> {
        let delivery = self
            .handlers
            .first()
            .and_then(|(_, series)| series.median());
        let rows = self.handlers.iter().map(|(name, series)| {
            let beyond = |value: Option<f64>| Some(value? - delivery?);
            let is_delivery = *name == EMPTY;
            Row {
                what: match is_delivery {
                    true => format!("+{} levels, {} frames: {name}", self.levels, self.frames),
                    false => format!("    {name} beyond that"),
                },
                median_ns: if is_delivery {
                    delivery
                } else {
                    beyond(series.median())
                },
                min_ns: match is_delivery {
                    true => series.min(),
                    false => self
                        .handlers
                        .first()
                        .and_then(|(_, empty)| Some(series.min()? - empty.min()?)),
                },
                ratio: beyond(series.median())
                    .zip(delivery)
                    .map(|(beyond, delivery)| beyond / delivery),
                goal: self.goal(name, beyond(series.median())),
            }
        });
        rows.collect()
    }

    fn goal(&self, name: &str, found: Option<f64>) -> Option<Goal> {
        let most = self.most_ns.filter(|_| name == OURS)?;
        Some(Goal {
            text: format!("ns, at most {most}"),
            found: found?,
            most,
        })
    }
}

fn print_counts(summary: &Summary) {
    match &summary.samples {
        Some(samples) => println!(
            "signals handled {}, samples emitted {}, lost {}, incomplete {}",
            samples.tally.handled,
            samples.tally.emitted,
            samples.tally.lost(),
            samples
                .tally
                .causes()
                .filter(|(cause, _)| !cause.loses_sample())
                .map(|(_, count)| count)
                .sum::<u64>()
        ),
        None => println!("no samples were asked for"),
    }
}
