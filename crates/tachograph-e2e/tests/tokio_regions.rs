//! Futures that are named inside of a task, and regions that are held over awaits, in the trace: they belong to the task, wherever it goes.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::time::Duration;

use tachograph_e2e::record::turn;
use tachograph_e2e::stage::{KINDS, Kind, on_thread, play};
use tachograph_tokio::FutureExt;
use tokio::sync::oneshot;
use tokio::task::LocalSet;

type Told = oneshot::Receiver<()>;

async fn wait_for(end: Told) {
    end.await.expect("sent");
}

async fn inner(first: Told, second: Told) {
    wait_for(first).await;
    wait_for(second).await;
}

async fn outer(first: Told, second: Told, third: Told) {
    inner(first, second).traced("inner").await;
    wait_for(third).await;
}

#[test]
fn named_futures_nest_over_waits() {
    let _turn = turn();
    play(
        "nested",
        &KINDS,
        |stage| {
            let [first, second, third] = [(); 3].map(|()| oneshot::channel());
            let future = outer(first.1, second.1, third.1).traced("outer");
            let task = stage.spawn("task", future);
            for (number, tell) in [first.0, second.0, third.0].into_iter().enumerate() {
                task.paused(number as u64 + 1);
                tell.send(()).expect("it waits");
            }
            assert!(task.ended().is_some());
        },
        |seen, ()| {
            seen.expect(
                "task",
                &[
                    "create by driver",
                    "start",
                    "+outer",
                    "+inner",
                    "block in wait_for",
                    "wake by driver",
                    "start",
                    "block in wait_for",
                    "wake by driver",
                    "start",
                    "-inner",
                    "block in wait_for",
                    "wake by driver",
                    "start",
                    "-outer",
                    "end",
                ],
            );
        },
    );
}

async fn both(first: Told, second: Told) {
    let (one, other) = (
        wait_for(first).traced("one"),
        wait_for(second).traced("other"),
    );
    tokio::join!(one, other);
}

async fn the_sooner(told: Told) {
    tokio::select! {
        biased;
        () = pending().traced("loser") => unreachable!("it waits for ever"),
        () = wait_for(told).traced("winner") => {}
    }
}

#[test]
fn futures_side_by_side_end_in_any_order() {
    let _turn = turn();
    play(
        "side by side",
        &KINDS,
        |stage| {
            let [first, second, third] = [(); 3].map(|()| oneshot::channel());
            let joiner = stage.spawn("join", both(first.1, second.1));
            joiner.paused(1);
            first.0.send(()).expect("it waits");
            joiner.paused(2);
            second.0.send(()).expect("it waits");
            assert!(joiner.ended().is_some());
            let selector = stage.spawn("select", the_sooner(third.1));
            selector.paused(1);
            third.0.send(()).expect("it waits");
            assert!(selector.ended().is_some());
        },
        |seen, ()| {
            // The region around another one ends: the inner one is closed and opened again.
            seen.expect(
                "join",
                &[
                    "create by driver",
                    "start",
                    "+one",
                    "+other",
                    "block in both",
                    "wake by driver",
                    "start",
                    "-other",
                    "-one",
                    "+other",
                    "block in both",
                    "wake by driver",
                    "start",
                    "-other",
                    "end",
                ],
            );
            seen.expect(
                "select",
                &[
                    "create by driver",
                    "start",
                    "+loser",
                    "+winner",
                    "block in the_sooner",
                    "wake by driver",
                    "start",
                    "-winner",
                    "-loser",
                    "end",
                ],
            );
        },
    );
}

#[test]
fn regions_of_a_task_that_is_aborted_end_in_it() {
    let _turn = turn();
    play(
        "aborted inside",
        &KINDS,
        |stage| {
            let future = pending::<()>().traced("inner").traced("outer");
            let task = stage.spawn("task", future);
            task.paused(1);
            task.abort();
            assert!(task.ended().is_none());
        },
        |seen, ()| {
            seen.expect(
                "task",
                &[
                    "create by driver",
                    "start",
                    "+outer",
                    "+inner",
                    "block",
                    "wake by -",
                    "start",
                    "-inner",
                    "-outer",
                    "label aborted",
                    "end",
                ],
            );
        },
    );
}

/// Guards that no thread may give away are held over waits, each in its task, in turns.
async fn hold_guard(told: Told) {
    let _outer = tachograph::region("outer");
    let _inner = tachograph::region("inner");
    wait_for(told).await;
}

#[test]
fn guards_are_held_over_waits_of_local_tasks() {
    let _turn = turn();
    play(
        "guards",
        &[Kind::Workers(1)],
        |stage| {
            let (births, born) = mpsc::channel();
            let [first, second, last] = [(); 3].map(|()| oneshot::channel());
            let (home_stage, told) = (stage, [first.1, second.1]);
            std::thread::scope(|scope| {
                let home = std::thread::Builder::new().name("home".to_owned());
                let home = home.spawn_scoped(scope, move || {
                    let local = LocalSet::new();
                    for (name, told) in ["one", "other"].into_iter().zip(told) {
                        let task = hold_guard(told).traced(name).into_task();
                        let (task, actor) = home_stage.watch(name, task);
                        births.send(actor).expect("the driver waits");
                        local.spawn_local(task);
                    }
                    let mut builder = tokio::runtime::Builder::new_current_thread();
                    let runtime = tachograph_tokio::instrument(&mut builder).build();
                    local.block_on(&runtime.expect("a runtime"), async {
                        let _ = last.1.await;
                    });
                });
                let actors = [(); 2].map(|()| born.recv().expect("a task"));
                for (actor, tell) in actors.iter().zip([first.0, second.0]) {
                    actors.iter().for_each(|actor| actor.paused(1));
                    tell.send(()).expect("it waits");
                    assert!(actor.ended().is_some());
                }
                drop(last.0);
                home.expect("a thread").join().expect("no panic");
            });
        },
        |seen, ()| {
            for name in ["one", "other"] {
                seen.expect(
                    name,
                    &[
                        "create by home",
                        "start",
                        "+outer",
                        "+inner",
                        "block in wait_for",
                        "wake by driver",
                        "start",
                        "-inner",
                        "-outer",
                        "end",
                    ],
                );
            }
        },
    );
}

/// A task that is polled by hand, each time on a thread that nobody has seen before, generations apart.
#[test]
fn a_region_ends_on_a_thread_that_was_not_there_at_its_begin() {
    let _turn = turn();
    play(
        "region on new threads",
        &[Kind::Workers(1)],
        |stage| {
            let [first, second, third] = [(); 3].map(|()| oneshot::channel());
            let task = outer(first.1, second.1, third.1).traced("outer");
            let mut task: Pin<Box<dyn Future<Output = ()> + Send>> =
                Box::pin(task.traced("task").into_task());
            let mut poll = |name: &str| {
                stage.pass();
                on_thread(name, || {
                    let polled = task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                    polled.is_ready()
                })
            };
            assert!(!poll("first"));
            for (name, tell) in ["second", "third"].iter().zip([first.0, second.0]) {
                tell.send(()).expect("it waits");
                assert!(!poll(name));
            }
            third.0.send(()).expect("it waits");
            assert!(poll("fourth"));
            std::thread::sleep(Duration::from_millis(1));
        },
        |seen, ()| {
            seen.expect(
                "task",
                &[
                    "create by driver",
                    "start",
                    "+outer",
                    "+inner",
                    "block in wait_for",
                    "wake by driver",
                    "start",
                    "block in wait_for",
                    "wake by driver",
                    "start",
                    "-inner",
                    "block in wait_for",
                    "wake by driver",
                    "start",
                    "-outer",
                    "end",
                ],
            );
        },
    );
}
