//! Spans that are exited out of order, entered on many threads, outlived by their ids, and cut by recordings.

use std::sync::mpsc;
use std::thread;

use tachograph::Recorder;
use tachograph_e2e::record::{Running, record, turn};
use tachograph_tracing::TachographLayer;
use tracing::field::Empty;
use tracing::{Dispatch, Span, info, info_span};
use tracing_subscriber::prelude::*;

use super::{said, traced};

/// Readers demand that regions end innermost first: the inner one is closed and opened again.
#[test]
fn spans_may_be_exited_out_of_order() {
    let lines = traced("tracing, out of order", || {
        let outer = info_span!("outer").entered();
        let inner = info_span!("inner").entered();
        let outer = outer.exit();
        info!("inside of inner");
        drop(inner);
        drop(outer);
    });
    let wanted = [
        "begin outer",
        "outer: > outer",
        "outer: > inner",
        "outer: < inner",
        "outer: < outer",
        "outer: > inner",
        "outer: INFO tracing::lives | inside of inner",
        "outer: < inner",
        "end outer",
    ];
    assert_eq!(lines, wanted);
}

#[test]
fn a_span_may_be_entered_again_on_its_thread() {
    let lines = traced("tracing, recursion", || {
        let span = info_span!("again");
        span.in_scope(|| span.in_scope(|| span.in_scope(|| info!("three deep"))));
        span.in_scope(|| ());
    });
    let again = |mark: &str| format!("again: {mark} again");
    let mut wanted = vec!["begin again".to_owned()];
    wanted.extend([again(">"), again(">"), again(">")]);
    wanted.push("again: INFO tracing::lives | three deep".to_owned());
    wanted.extend([again("<"), again("<"), again("<"), again(">"), again("<")]);
    wanted.push("end again".to_owned());
    assert_eq!(lines, wanted);
}

/// As a future that is polled on whatever thread is free, and as one span on several at once.
#[test]
fn a_span_goes_from_thread_to_thread() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 50;
    let lines = traced("tracing, threads", || {
        let (request, audit) = (info_span!("request"), info_span!("audit"));
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        thread::scope(|threads| {
            for _ in 0..THREADS {
                threads.spawn(|| {
                    tracing::dispatcher::with_default(&dispatch, || {
                        for _ in 0..ROUNDS {
                            request.in_scope(|| info_span!("step").in_scope(|| ()));
                            audit.in_scope(|| ());
                        }
                    });
                });
            }
        });
    });
    let count = |wanted: &str| lines.iter().filter(|line| *line == wanted).count();
    for region in ["request: > request", "request: > step", "audit: > audit"] {
        assert_eq!(count(region), THREADS * ROUNDS, "{region}");
        assert_eq!(
            count(&region.replace('>', "<")),
            THREADS * ROUNDS,
            "{region}"
        );
    }
    assert_eq!(lines.len(), 4 + 6 * THREADS * ROUNDS);
    assert!(
        lines[lines.len() - 2..]
            .iter()
            .all(|line| line.starts_with("end "))
    );
}

/// Ids are used again, after some thousand spans. What a thread remembers of a span must not outlive it.
#[test]
fn a_span_whose_id_was_anothers_has_its_own_name_and_task() {
    let lines = traced("tracing, ids used again", || {
        let (spans, entered) = mpsc::channel::<Span>();
        let (done, dones) = mpsc::channel();
        let elsewhere = thread::spawn(move || {
            entered.iter().for_each(|span| {
                span.in_scope(|| ());
                done.send(span).expect("somebody waits");
            });
        });
        // Closed here, because a place is used again first by the thread that created the span before.
        let enter = |span| {
            spans.send(span).expect("the other thread waits");
            drop(dones.recv().expect("the other thread is at work"));
        };
        let first = info_span!("first");
        let id = first.id();
        enter(first);
        let mut seconds = (0..1 << 20).map(|_| info_span!("second"));
        let second = seconds.find(|second| second.id() == id);
        enter(second.expect("ids are used again by then"));
        drop(spans);
        elsewhere.join().expect("it only enters");
    });
    let others = ["begin second", "end second"];
    let before = lines.iter().filter(|line| others.contains(&line.as_str()));
    assert!(before.count() > 2, "the id was used at once");
    let regions: Vec<&String> = lines.iter().filter(|line| line.contains(": ")).collect();
    let wanted = [
        "first: > first",
        "first: < first",
        "second: > second",
        "second: < second",
    ];
    assert_eq!(regions, wanted);
}

#[test]
fn two_registries_with_the_same_ids_are_told_apart() {
    let other = Dispatch::new(tracing_subscriber::registry().with(TachographLayer::new()));
    let lines = traced("tracing, two registries", || {
        let here = info_span!("here").entered();
        let there = tracing::dispatcher::with_default(&other, || info_span!("there"));
        assert_eq!(here.id(), there.id(), "not what this test is about");
        there.in_scope(|| drop(here));
    });
    let wanted = [
        "begin here",
        "here: > here",
        "begin there",
        "there: > there",
        "there: < there",
        "here: < here",
        "there: > there",
        "end here",
        "there: < there",
        "end there",
    ];
    assert_eq!(lines, wanted);
}

/// The layers exit in the order in which they enter, so the second's region is closed and opened again around the end of the first's.
#[test]
fn a_second_layer_shares_the_task_and_has_its_own_regions() {
    let _turn = turn();
    let subscriber = tracing_subscriber::registry()
        .with(TachographLayer::new())
        .with(TachographLayer::new().fields(false).events(false));
    let ((), recorded) = record("tracing, two layers", Recorder::new(), || {
        tracing::subscriber::with_default(subscriber, || {
            info_span!("root").in_scope(|| info_span!("child").in_scope(|| info!("once")));
        });
    });
    let wanted = [
        "begin root",
        "root: > root",
        "root: > root",
        "root: > child",
        "root: > child",
        "root: INFO tracing::lives | once",
        "root: < child",
        "root: < child",
        "root: > child",
        "root: < child",
        "root: < root",
        "root: < root",
        "root: > root",
        "root: < root",
        "end root",
    ];
    assert_eq!(said(&recorded), wanted);
}

/// Twice, so that what the first recording left behind meets the second.
#[test]
fn spans_across_a_recordings_start_and_end_belong_to_nobody_and_end_nothing() {
    let _turn = turn();
    let subscriber = tracing_subscriber::registry().with(TachographLayer::new());
    tracing::subscriber::with_default(subscriber, || {
        let old = info_span!("old").entered();
        let idle = info_span!("idle", field = Empty);
        for round in 0..2 {
            let name = format!("tracing, start and end {round}");
            let running = Running::start(&name, Recorder::new()).expect("nothing runs");
            info!("in the old one");
            idle.in_scope(|| info_span!("inside").in_scope(|| ()));
            idle.record("field", 1);
            let outlives = info_span!("outlives");
            let entered = outlives.clone().entered();
            let wanted = [
                ": INFO tracing::lives | in the old one",
                ": > idle",
                ": > inside",
                ": < inside",
                ": < idle",
                ": idle | field=1",
                ": > outlives",
            ];
            assert_eq!(said(&running.stop()), wanted, "{name}");
            info!("unheard");
            let running = Running::start(&name, Recorder::new()).expect("nothing runs");
            drop(entered);
            outlives.in_scope(|| info!("no longer its task"));
            drop(outlives);
            let wanted = [
                ": > outlives",
                ": INFO tracing::lives | no longer its task",
                ": < outlives",
            ];
            assert_eq!(said(&running.stop()), wanted, "{name}, afterwards");
        }
        drop(old);
    });
}

/// What was remembered in one recording is not taken for true in the next, when the span was closed in between.
#[test]
fn a_span_that_takes_an_id_over_between_recordings_has_its_own_name() {
    let _turn = turn();
    let subscriber = tracing_subscriber::registry().with(TachographLayer::new());
    tracing::subscriber::with_default(subscriber, || {
        let running = Running::start("tracing, first", Recorder::new()).expect("nothing runs");
        (0..200).for_each(|_| info_span!("first").in_scope(|| ()));
        running.stop().verify();
        let spans: Vec<Span> = (0..200).map(|_| info_span!("second")).collect();
        let running = Running::start("tracing, second", Recorder::new()).expect("nothing runs");
        spans.iter().for_each(|span| span.in_scope(|| ()));
        let lines = said(&running.stop());
        assert_eq!(lines.len(), 400);
        let own = |line: &String| line == ": > second" || line == ": < second";
        assert!(lines.iter().all(own), "{lines:?}");
    });
}

#[test]
fn a_thread_that_ends_inside_of_spans_leaves_a_valid_trace() {
    let lines = traced("tracing, leaked", || {
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        let leaves = move || {
            let _default = tracing::dispatcher::set_default(&dispatch);
            std::mem::forget(info_span!("outer").entered());
            std::mem::forget(info_span!("inner").entered());
        };
        thread::spawn(leaves).join().expect("it only leaves");
    });
    let wanted = [
        "begin outer",
        "outer: > outer",
        "outer: > inner",
        "outer: < inner",
        "outer: < outer",
    ];
    assert_eq!(lines, wanted);
}
