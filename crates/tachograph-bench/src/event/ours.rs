//! Our events, as a program makes them: through the facade, with `'static` names unless said.

use std::array;
use std::hint::black_box;

use tachograph::{Region, blocking, log, region, task};

use crate::measure::{BATCH, Variant, timed};

/// The row that the goals are about.
pub const BEGIN: &str = "region begin";
/// A loop without annotations.
pub const BARE: &str = "off: bare loop";

const BATCHES: usize = 32;
/// A turn of a loop that records nothing is a fraction of a nanosecond.
const LONG_BATCH: usize = 4096;

/// While recording.
pub fn on() -> Vec<Variant> {
    vec![
        Variant::new(BEGIN, BATCH, BATCHES, begin),
        Variant::new("region end", BATCH, BATCHES, end),
        events("region begin + end", || drop(region("bench"))),
        events("region begin + end, owned name", || {
            drop(region(String::from(black_box("bench-owned"))));
        }),
        events("task begin + end", || drop(task("bench"))),
        events("log, 5 bytes", || log("bench", black_box("id=42"))),
        Variant::new("blocking section", BATCH, 2, || {
            timed(|| (0..BATCH).for_each(|_| blocking("bench", || ())))
        }),
    ]
}

/// While nothing is recorded.
pub fn off() -> Vec<Variant> {
    vec![
        idle(BARE, || ()),
        idle("off: region begin + end", || drop(region("bench"))),
        idle("off: log", || log("bench", black_box("id=42"))),
        idle("off: task begin + end", || drop(task("bench"))),
    ]
}

fn events(name: &'static str, event: impl Fn() + 'static) -> Variant {
    Variant::new(name, BATCH, BATCHES, move || {
        timed(|| (0..BATCH).for_each(|_| event()))
    })
}

fn idle(name: &'static str, event: impl Fn() + 'static) -> Variant {
    Variant::new(name, LONG_BATCH, 1, move || {
        timed(|| {
            for turn in 0..LONG_BATCH {
                event();
                black_box(turn);
            }
        })
    })
}

fn open() -> [Region; BATCH] {
    array::from_fn(|_| region("bench"))
}

fn close(regions: [Region; BATCH]) {
    regions.into_iter().rev().for_each(drop);
}

/// Times `BATCH` nested begins and ends them afterwards.
fn begin() -> u64 {
    let mut regions = None;
    let cycles = timed(|| regions = Some(open()));
    if let Some(regions) = regions {
        close(regions);
    }
    cycles
}

/// Times the ends of `BATCH` nested regions, innermost first.
fn end() -> u64 {
    let regions = open();
    timed(|| close(regions))
}
