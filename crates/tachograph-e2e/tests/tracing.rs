//! Spans and events of `tracing` are in the trace as the layer promises: roots as user tasks, entered spans as regions of them, fields and
//! events as logs. Read from the bytes by our reader; every trace goes through both validators. What becomes of spans
//! that go from thread to thread and from recording to recording is in `lives`.

#[path = "tracing/lives.rs"]
mod lives;

use std::collections::HashMap;
use std::fmt;

use tachograph::Recorder;
use tachograph_e2e::record::{Recorded, record, turn};
use tachograph_reader::{Kind, Reader};
use tachograph_tracing::TachographLayer;
use tracing::field::Empty;
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, Level, Span, debug, event, info, info_span, trace_span, warn};
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::prelude::*;

/// What the layer alone makes of `program`.
fn traced(name: &str, program: impl FnOnce()) -> Vec<String> {
    with_layer(name, TachographLayer::new(), program)
}

fn with_layer(name: &str, layer: TachographLayer, program: impl FnOnce()) -> Vec<String> {
    let subscriber = tracing_subscriber::registry().with(layer);
    subscribed(name, Dispatch::new(subscriber), program)
}

fn subscribed(name: &str, subscriber: Dispatch, program: impl FnOnce()) -> Vec<String> {
    let _turn = turn();
    let run = || tracing::dispatcher::with_default(&subscriber, program);
    let ((), recorded) = record(name, Recorder::new(), run);
    said(&recorded)
}

/// The trace's annotations in their order, one line each. `task: > name` begins a region, `task: < name` ends it.
fn said(recorded: &Recorded) -> Vec<String> {
    recorded.verify();
    let mut reader = Reader::new(&recorded.bytes[..]).expect("verified");
    let mut names = HashMap::new();
    let mut lines = Vec::new();
    while let Some(event) = reader.next_event().expect("verified") {
        let of = |task, names: &HashMap<_, String>| names.get(&task).cloned().unwrap_or_default();
        lines.push(match event.kind() {
            Kind::TaskBegin(task) => {
                assert_eq!(task.parent.map(|parent| of(parent, &names)), None);
                names.insert(task.id, task.name.to_string());
                format!("begin {}", task.name)
            }
            Kind::TaskEnd(task) => format!("end {}", task.name),
            Kind::RegionBegin(region) => format!("{}: > {}", of(region.task, &names), region.name),
            Kind::RegionEnd(region) => format!("{}: < {}", of(region.task, &names), region.name),
            Kind::Log(log) => {
                let task = of(log.task, &names);
                format!("{task}: {} | {}", log.category, log.message)
            }
            _ => continue,
        });
    }
    lines
}

#[test]
fn roots_are_tasks_and_entered_spans_are_regions_of_their_roots_task() {
    let lines = traced("tracing, roots", || {
        let request = info_span!("request").entered();
        info_span!("parse").in_scope(|| info_span!("header").in_scope(|| ()));
        // A root inside of another, by its own wish.
        info_span!(parent: None, "apart").in_scope(|| info_span!("part").in_scope(|| ()));
        drop(request);
        info_span!("never entered");
    });
    let wanted = [
        "begin request",
        "request: > request",
        "request: > parse",
        "request: > header",
        "request: < header",
        "request: < parse",
        "begin apart",
        "apart: > apart",
        "apart: > part",
        "apart: < part",
        "apart: < apart",
        "end apart",
        "request: < request",
        "end request",
        "begin never entered",
        "end never entered",
    ];
    assert_eq!(lines, wanted);
}

#[test]
fn an_explicit_parent_counts_and_the_span_around_does_not() {
    let lines = traced("tracing, explicit parents", || {
        let first = info_span!("first");
        let second = info_span!("second").entered();
        let child = info_span!(parent: &first, "child");
        drop(first);
        info!(parent: &child, "of the first");
        info!("of the second");
        info!(parent: None, "of nobody");
        child.in_scope(|| info!("of the first again"));
        // The child keeps its root open.
        drop(child);
        drop(second);
    });
    let wanted = [
        "begin first",
        "begin second",
        "second: > second",
        "first: INFO tracing | of the first",
        "second: INFO tracing | of the second",
        ": INFO tracing | of nobody",
        "first: > child",
        "first: INFO tracing | of the first again",
        "first: < child",
        "end first",
        "second: < second",
        "end second",
    ];
    assert_eq!(lines, wanted);
}

#[derive(Debug)]
#[expect(dead_code, reason = "its Debug is what is recorded")]
struct Point {
    x: i32,
    y: i32,
}

struct Shown;

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("shown")
    }
}

#[test]
fn fields_are_logs_of_the_spans_task_also_those_recorded_later() {
    let lines = traced("tracing, fields", || {
        let point = Point { x: 1, y: -2 };
        let shown = Shown;
        let span = info_span!(
            "job",
            id = 7_u64,
            name = "plain",
            text = "two words",
            share = 0.5,
            ready = true,
            ?point,
            %shown,
            later = Empty,
            never = Empty
        );
        span.record("later", "now");
        let child = info_span!(parent: &span, "step", n = Empty);
        child.record("n", 3);
        child.follows_from(&info_span!(parent: &span, "other step"));
    });
    let wanted = [
        "begin job",
        "job: job | id=7 name=plain text=\"two words\" share=0.5 ready=true point=Point { x: 1, y: -2 } shown=shown",
        "job: job | later=now",
        "job: step | n=3",
        "job: step | follows_from=\"other step\"",
        "end job",
    ];
    assert_eq!(lines, wanted);
}

#[test]
fn events_are_logs_under_their_level_and_target() {
    let lines = traced("tracing, events", || {
        info!("outside of all spans");
        let _job = info_span!("job").entered();
        warn!(target: "app::db", rows = 3, table = "users", "slow query, {} ms", 12);
        debug!(rows = 3);
        // As the bridge from the log crate puts it.
        event!(target: "log", Level::WARN, log.target = "hyper", log.line = 7, "from afar");
        // The region around may be one of the program's own.
        let query = tachograph::task("query");
        let _region = query.region("rows");
        info!("inside");
    });
    let wanted = [
        ": INFO tracing | outside of all spans",
        "begin job",
        "job: > job",
        "job: WARN app::db | slow query, 12 ms rows=3 table=users",
        "job: DEBUG tracing | rows=3",
        "job: WARN hyper | from afar",
        "begin query",
        "query: > rows",
        "query: INFO tracing | inside",
        "query: < rows",
        "end query",
        "job: < job",
        "end job",
    ];
    assert_eq!(lines, wanted);
}

#[test]
fn fields_and_events_can_be_left_out() {
    struct Untouchable;
    impl fmt::Debug for Untouchable {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("formatted, though nobody wants it")
        }
    }
    let layer = TachographLayer::new().fields(false).events(false);
    let lines = with_layer("tracing, bare spans", layer, || {
        let value = Untouchable;
        let span = info_span!("job", ?value, later = Empty).entered();
        span.record("later", tracing::field::debug(&value));
        span.follows_from(Span::current());
        info!(?value, "unheard");
    });
    assert_eq!(lines, ["begin job", "job: > job", "job: < job", "end job"]);
}

#[test]
fn a_filter_on_the_layer_takes_spans_out_and_joins_what_is_left() {
    let targets = Targets::new()
        .with_target("app", LevelFilter::INFO)
        .with_target("app::db", LevelFilter::TRACE);
    let layer = TachographLayer::new().with_filter(targets);
    // Another layer sees everything, so that the spans exist.
    let subscriber = tracing_subscriber::registry()
        .with(layer)
        .with(filter_fn(|_| true));
    let lines = subscribed("tracing, filtered", Dispatch::new(subscriber), || {
        let _outside = info_span!(target: "elsewhere", "outside").entered();
        let _root = info_span!(target: "app", "root").entered();
        let _middle = trace_span!(target: "app", "middle").entered();
        let _query = trace_span!(target: "app::db", "query").entered();
        info!(target: "app", "heard");
        info!(target: "elsewhere", "unheard");
    });
    let wanted = [
        "begin root",
        "root: > root",
        "root: > query",
        "root: INFO app | heard",
        "root: < query",
        "root: < root",
        "end root",
    ];
    assert_eq!(lines, wanted);
}

#[test]
fn a_filter_by_level_alone_works_too() {
    let layer = TachographLayer::new().with_filter(LevelFilter::INFO);
    let subscriber = tracing_subscriber::registry().with(layer);
    let lines = subscribed("tracing, level", Dispatch::new(subscriber), || {
        let _span = info_span!("kept").entered();
        trace_span!("dropped").in_scope(|| info!("kept"));
        debug!("dropped");
    });
    let wanted = [
        "begin kept",
        "kept: > kept",
        "kept: INFO tracing | kept",
        "kept: < kept",
        "end kept",
    ];
    assert_eq!(lines, wanted);
}

/// A value whose `Debug` uses a span. (New ones it gets only where the subscriber is the global one.)
struct Talkative(Span);

impl fmt::Debug for Talkative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let recorded = || self.0.record("inner", 1);
        self.0.in_scope(recorded);
        f.write_str("done")
    }
}

#[test]
fn a_value_that_traces_while_it_is_formatted_disturbs_nothing() {
    let lines = traced("tracing, talkative values", || {
        let value = Talkative(info_span!("format", inner = Empty));
        let _job = info_span!("job", before = 1, ?value, after = 2).entered();
    });
    let wanted = [
        "begin format",
        "begin job",
        "format: > format",
        "format: format | inner=1",
        "format: < format",
        "job: job | before=1 value=done after=2",
        "job: > job",
        "job: < job",
        "end job",
        "end format",
    ];
    assert_eq!(lines, wanted);
}

#[test]
fn nothing_is_formatted_while_nothing_is_recorded() {
    struct Untouchable;
    impl fmt::Debug for Untouchable {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("formatted, though nothing is recorded")
        }
    }
    let _turn = turn();
    let subscriber = tracing_subscriber::registry().with(TachographLayer::new());
    tracing::subscriber::with_default(subscriber, || {
        let value = Untouchable;
        let span = info_span!("job", ?value, later = Empty).entered();
        span.record("later", tracing::field::debug(&value));
        info!(?value, "unheard");
    });
}
