//! `tracing`: what a span costs with the `tracing` layer, beside the registry that every layer stands on.
//!
//! Recording on and off alternate in passes, as in `event`; within a pass all variants take turns. Each has a subscriber of its own, under
//! which its spans are created outside of the timed part, unless creation is what is timed.

#[cfg(feature = "peers")]
mod chrome;

use std::cell::Cell;

use tachograph_tracing::TachographLayer;
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, Span, Subscriber, dispatcher, info, info_span};
use tracing_subscriber::prelude::*;
use tracing_subscriber::{Layer, registry};

use crate::args::Args;
use crate::event::{self, Kept};
use crate::failure::Failure;
use crate::machine;
use crate::measure::{BATCH, Scale, Series, Variant, interleave, timed};
use crate::sink::CountingSink;
use crate::table::{self, Goal, Row};

const DEFAULT_ROUNDS: u64 = 400;
const PASSES: u64 = 8;
const BATCHES: usize = 32;

/// Most nanoseconds that the layer may add to an enter and exit while nothing is recorded.
const OFF_NS: f64 = 3.0;
/// Most that it may add while recording, in regions of ours.
const ON_RATIO: f64 = 1.5;

const REGION: &str = "region begin + end, by hand";
const REGISTRY: &str = "enter + exit: registry alone";
const ON: &str = "enter + exit: our layer";
const OFF_REGISTRY: &str = "off: enter + exit: registry alone";
const OFF: &str = "off: enter + exit: our layer";

/// More spans than a thread remembers.
const MANY: usize = 1024;

/// Measures and prints.
pub fn run(args: &Args) -> Result<(), Failure> {
    let rounds = args.only("--rounds", DEFAULT_ROUNDS)?;
    machine::print();
    let scale = Scale::measure();
    let mut off = off();
    let mut on = on();
    #[cfg(feature = "peers")]
    let chrome = chrome::Chrome::start();
    #[cfg(feature = "peers")]
    on.extend(chrome.variants());

    let mut kept = Kept::default();
    for _ in 0..PASSES {
        let rounds = rounds.div_ceil(PASSES);
        interleave(&mut off, rounds, scale);
        let recording = event::recorder().start(CountingSink::default())?;
        interleave(&mut on, rounds, scale);
        kept.add(&recording.stop()?);
    }
    if !cfg!(feature = "peers") {
        println!("tracing-chrome: not built: add `--features peers` after `-p tachograph-bench`");
    }
    kept.print();
    println!("ratio: to the registry's enter + exit of the same round, median of all rounds\n");
    table::print(&rows(&on, &off), "ratio");
    Ok(())
}

/// While nothing is recorded.
fn off() -> Vec<Variant> {
    // Before there is a subscriber: its callsite is never asked for anything.
    let none = info_span!("bench");
    let bare = Dispatch::new(registry());
    let empty = Dispatch::new(registry().with(Nothing));
    let ours = layer();
    vec![
        enters("off: enter + exit: no subscriber", none),
        enters(OFF_REGISTRY, root(&bare)),
        enters("off: enter + exit: a layer that does nothing", root(&empty)),
        enters(OFF, root(&ours)),
        creates("off: create + close: registry alone", &bare),
        creates("off: create + close: our layer", &ours),
        says("off: event: registry alone", &bare),
        says("off: event: our layer", &ours),
    ]
}

/// While recording.
fn on() -> Vec<Variant> {
    let bare = Dispatch::new(registry());
    let filtered = TachographLayer::new().with_filter(LevelFilter::INFO);
    let filtered = Dispatch::new(registry().with(filtered));
    let ours = layer();
    let many: Vec<Span> = (0..MANY).map(|_| root(&ours)).collect();
    let next = Cell::new(0);
    vec![
        events(REGION, || drop(tachograph::region("bench"))),
        enters(REGISTRY, root(&bare)),
        enters(ON, root(&ours)),
        events("  of 1024 spans in turn", move || {
            let at = next.replace((next.get() + 1) % MANY);
            many[at].in_scope(|| ());
        }),
        enters("  with a filter on the layer", root(&filtered)),
        creates("create + close: registry alone", &bare),
        creates("create + close: our layer", &ours),
        within("  with enter + exit", &ours, || {
            info_span!("bench").in_scope(|| ());
        }),
        within("  with two fields", &ours, || {
            info_span!("bench", id = 42, user = "anna").in_scope(|| ());
        }),
        says("event: registry alone", &bare),
        says("event: our layer", &ours),
    ]
}

fn layer() -> Dispatch {
    Dispatch::new(registry().with(TachographLayer::new()))
}

/// What any layer costs.
struct Nothing;

impl<S: Subscriber> Layer<S> for Nothing {}

fn root(subscriber: &Dispatch) -> Span {
    dispatcher::with_default(subscriber, || info_span!(parent: None, "bench"))
}

fn enters(name: &'static str, span: Span) -> Variant {
    events(name, move || span.in_scope(|| ()))
}

fn creates(name: &'static str, subscriber: &Dispatch) -> Variant {
    within(name, subscriber, || drop(info_span!("bench")))
}

fn says(name: &'static str, subscriber: &Dispatch) -> Variant {
    within(name, subscriber, || info!("said"))
}

fn within(name: &'static str, subscriber: &Dispatch, event: impl Fn() + 'static) -> Variant {
    let subscriber = subscriber.clone();
    Variant::new(name, BATCH, BATCHES, move || {
        dispatcher::with_default(&subscriber, || timed(|| (0..BATCH).for_each(|_| event())))
    })
}

fn events(name: &'static str, event: impl Fn() + 'static) -> Variant {
    Variant::new(name, BATCH, BATCHES, move || {
        timed(|| (0..BATCH).for_each(|_| event()))
    })
}

fn rows(on: &[Variant], off: &[Variant]) -> Vec<Row> {
    let mut rows = rows_of(on, REGISTRY);
    rows.extend(rows_of(off, OFF_REGISTRY));
    rows
}

fn rows_of(variants: &[Variant], registry: &str) -> Vec<Row> {
    let registry = series(variants, registry);
    let rows = variants.iter().map(|variant| Row {
        what: variant.name.to_owned(),
        median_ns: variant.series.median(),
        min_ns: variant.series.min(),
        ratio: registry.and_then(|registry| variant.series.median_with(registry, |a, b| a / b)),
        goal: registry.and_then(|registry| goal(variant, registry, variants)),
    });
    rows.collect()
}

fn goal(variant: &Variant, registry: &Series, variants: &[Variant]) -> Option<Goal> {
    let added = variant
        .series
        .median_with(registry, |with, without| with - without)?;
    let (text, found, most) = match variant.name {
        OFF => ("ns above the registry, at most 3", added, OFF_NS),
        ON => {
            let region = series(variants, REGION)?.median()?;
            let text = "regions above the registry, at most 1.5";
            (text, added / region, ON_RATIO)
        }
        _ => return None,
    };
    Some(Goal {
        text: text.to_owned(),
        found,
        most,
    })
}

fn series<'a>(variants: &'a [Variant], name: &str) -> Option<&'a Series> {
    let variant = variants.iter().find(|variant| variant.name == name)?;
    Some(&variant.series)
}
