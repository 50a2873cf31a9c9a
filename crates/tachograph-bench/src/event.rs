//! `event`: what one event costs, beside the cheapest loop that could record it and beside other recorders.
//!
//! Recording on and off alternate in passes; within a pass all variants take turns, so that every ratio compares rounds that ran a few
//! hundred microseconds apart.

#[cfg(feature = "peers")]
mod dial9;
pub mod go;
mod ours;
pub mod reference;

use std::time::Duration;

use tachograph::{Recorder, Symbols};

use crate::args::Args;
use crate::failure::Failure;
use crate::machine;
use crate::measure::{Scale, Series, Variant, interleave};
use crate::sink::CountingSink;
use crate::table::{self, Goal, Row};

const DEFAULT_ROUNDS: u64 = 400;
const PASSES: u64 = 8;
/// Enough that the writer's thread never falls behind so far that recording pauses.
const MEMORY_LIMIT: usize = 1 << 30;

/// Most that a region's begin may cost, in references.
const BEGIN_RATIO: f64 = 1.3;
/// Most nanoseconds that an annotation may add while nothing is recorded.
const OFF_NS: f64 = 1.0;
/// Most that a region's begin may cost, in events of dial9.
const DIAL9_RATIO: f64 = 1.0 / 3.0;

/// Measures and prints.
pub fn run(args: &Args) -> Result<(), Failure> {
    let rounds = args.only("--rounds", DEFAULT_ROUNDS)?;
    machine::print();
    let scale = Scale::measure();
    let mut off = ours::off();
    let mut on = reference::variants();
    on.extend(ours::on());
    #[cfg(feature = "peers")]
    let dial9 = dial9::Dial9::start()?;
    #[cfg(feature = "peers")]
    on.extend(dial9.variants());

    let mut kept = Kept::default();
    for _ in 0..PASSES {
        let rounds = rounds.div_ceil(PASSES);
        interleave(&mut off, rounds, scale);
        let recording = recorder().start(CountingSink::default())?;
        interleave(&mut on, rounds, scale);
        kept.add(&recording.stop()?);
    }
    #[cfg(feature = "peers")]
    dial9.stop();

    let mut rows = rows(&on, &off);
    match go::measure()? {
        Some(go) => rows.extend(go),
        None => println!("Go: skipped: no Go on the PATH"),
    }
    if !cfg!(feature = "peers") {
        println!("dial9: not built: add `--features peers` after `-p tachograph-bench`");
    }
    kept.print();
    println!(
        "ratio: to the reference of the same round, median of all rounds; Go runs apart, so it has none\n"
    );
    table::print(&rows, "ratio");
    Ok(())
}

/// As the measured part of every subcommand records: nothing but events.
pub fn recorder() -> Recorder {
    Recorder::new()
        .generation_period(Duration::from_secs(1))
        .symbols(Symbols::Offline)
        .memory_limit(MEMORY_LIMIT)
}

/// Whether what was measured was recording at all.
#[derive(Debug, Default)]
pub struct Kept {
    events: u64,
    lost: u64,
    gaps: u64,
}

impl Kept {
    /// Adds a recording.
    pub fn add(&mut self, summary: &tachograph::Summary) {
        self.events += summary.events;
        self.lost += summary.events_lost;
        self.gaps += summary.gaps;
    }

    /// Prints the counts, with a warning where they are not whole.
    pub fn print(&self) {
        println!(
            "recorded {} events, {} lost, {} gaps{}",
            self.events,
            self.lost,
            self.gaps,
            match self.lost + self.gaps {
                0 => "",
                _ => ": DO NOT USE THESE FIGURES, part of them is not recording",
            }
        );
    }
}

fn rows(on: &[Variant], off: &[Variant]) -> Vec<Row> {
    let reference = series(on, reference::NAME);
    let mut rows: Vec<Row> = on
        .iter()
        .map(|variant| Row {
            goal: goal(variant, on),
            ratio: reference
                .and_then(|reference| variant.series.median_with(reference, |a, b| a / b)),
            ..row(variant)
        })
        .collect();
    let bare = series(off, ours::BARE);
    rows.extend(off.iter().map(|variant| {
        Row {
            goal: bare
                .filter(|_| variant.name != ours::BARE)
                .and_then(|bare| variant.series.median_with(bare, |a, b| a - b))
                .map(|found| Goal {
                    text: "ns above the bare loop, at most 1".to_owned(),
                    found,
                    most: OFF_NS,
                }),
            ..row(variant)
        }
    }));
    rows
}

fn row(variant: &Variant) -> Row {
    Row {
        what: variant.name.to_owned(),
        median_ns: variant.series.median(),
        min_ns: variant.series.min(),
        ..Row::default()
    }
}

fn series<'a>(variants: &'a [Variant], name: &str) -> Option<&'a Series> {
    let variant = variants.iter().find(|variant| variant.name == name)?;
    Some(&variant.series)
}

fn goal(variant: &Variant, on: &[Variant]) -> Option<Goal> {
    let (against, text, most) = match variant.name {
        ours::BEGIN => (reference::NAME, "x reference, at most 1.3", BEGIN_RATIO),
        DIAL9 => {
            let begin = series(on, ours::BEGIN)?;
            return Some(Goal {
                text: "our begin / dial9, at most 1/3".to_owned(),
                found: begin.median_with(&variant.series, |ours, dial9| ours / dial9)?,
                most: DIAL9_RATIO,
            });
        }
        _ => return None,
    };
    Some(Goal {
        text: text.to_owned(),
        found: variant
            .series
            .median_with(series(on, against)?, |a, b| a / b)?,
        most,
    })
}

/// dial9's event that our region's begin is held against.
const DIAL9: &str = "dial9 record_event with its clock";
