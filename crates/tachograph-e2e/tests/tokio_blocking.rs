//! Blocking code of asynchronous programs, in the trace: closures on threads of their own, sections in place, `block_on`.
//!
//! Whether a section loses its processor slot depends on how long it takes. Both are spelled alike: `syscall`, `return`.

use std::panic::resume_unwind;
use std::sync::mpsc;
use std::time::Duration;

use tachograph_e2e::load::tid;
use tachograph_e2e::record::turn;
use tachograph_e2e::seen::Seen;
use tachograph_e2e::stage::{Actor, KINDS, Kind, play, watch};
use tachograph_e2e::tasks::What;
use tachograph_tokio::{FutureExt, HandleExt};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

async fn wait_for(end: oneshot::Receiver<()>) {
    end.await.expect("sent");
}

/// Says on which thread it is, and goes on when told to.
fn stop_here(here: &mpsc::Sender<u64>, go_on: &mpsc::Receiver<()>) {
    here.send(tid()).expect("the driver waits");
    go_on.recv().expect("the driver says");
}

/// The thread on which the only task of that name has started last.
fn thread_of(seen: &Seen, name: &str) -> Option<u64> {
    let steps = seen.one(name).steps.iter();
    let start = steps.rev().find(|step| step.what == What::Start);
    start.and_then(|start| start.thread)
}

async fn await_closure(here: mpsc::Sender<u64>, go_on: mpsc::Receiver<()>) {
    let closure = tachograph_tokio::spawn_blocking(move || stop_here(&here, &go_on));
    closure.await.expect("no panic");
}

async fn await_fallen() {
    let closure = tachograph_tokio::spawn_blocking(|| resume_unwind(Box::new("a fall")));
    closure.await.map(|()| "no fall").expect_err("a fall");
}

#[test]
fn a_closure_is_a_task_on_a_thread_of_its_own() {
    let _turn = turn();
    play(
        "spawn_blocking",
        &KINDS,
        |stage| {
            let ((here, is_on), (go, go_on)) = (mpsc::channel(), mpsc::channel());
            let parent = stage.spawn("parent", await_closure(here, go_on));
            let thread = is_on.recv().expect("it runs");
            parent.paused(1);
            go.send(()).expect("it waits");
            assert!(parent.ended().is_some());
            assert!(stage.spawn("optimist", await_fallen()).ended().is_some());
            thread
        },
        |seen, thread| {
            let once = [
                "create by driver",
                "start",
                "block in await_closure: join",
                "wake by -",
                "start",
                "end",
            ];
            seen.expect("parent", &once);
            seen.expect("await_closure", &["create by parent", "start", "end"]);
            assert_eq!(
                thread_of(seen, "await_closure"),
                Some(thread),
                "{}",
                seen.name
            );
            assert_ne!(thread_of(seen, "parent"), Some(thread), "{}", seen.name);
            let fallen = ["create by optimist", "start", "label panicked", "end"];
            seen.expect("await_fallen", &fallen);
        },
    );
}

#[test]
fn a_closure_that_comes_too_late_ends_where_it_is_spawned() {
    let _turn = turn();
    play(
        "spawn_blocking, too late",
        &[Kind::Workers(1)],
        |_| {
            let mut builder = Builder::new_current_thread();
            let runtime = tachograph_tokio::instrument(&mut builder).build();
            let runtime = runtime.expect("a runtime");
            let handle = runtime.handle().clone();
            drop(runtime);
            drop(handle.spawn_blocking_traced(never_called));
        },
        |seen, ()| {
            let steps = ["create by driver", "start", "label aborted", "end"];
            seen.expect("never_called", &steps);
            let steps = ["create by -", "start", "yield", "start", "end"];
            seen.expect("driver", &steps);
        },
    );
}

fn never_called() {
    unreachable!("the runtime is gone");
}

/// Its end is that of the sender, which sends nothing.
async fn wait_for_drop(end: oneshot::Receiver<()>) {
    assert!(end.await.is_err());
}

fn holder(held: oneshot::Sender<()>) -> impl FnOnce() + Send {
    move || {
        drop(held);
        never_called();
    }
}

#[test]
fn what_an_uncalled_closure_holds_it_drops_itself() {
    let _turn = turn();
    play(
        "spawn_blocking, uncalled",
        &[Kind::Workers(1)],
        |stage| {
            let mut builder = Builder::new_current_thread();
            let runtime = tachograph_tokio::instrument(builder.max_blocking_threads(1)).build();
            let runtime = runtime.expect("a runtime");
            let [aborted, late] = ["aborted", "late"].map(|name| {
                let (held, end) = oneshot::channel();
                let waiting = stage.spawn(name, wait_for_drop(end));
                waiting.paused(1);
                (held, waiting)
            });
            // Behind one that runs.
            let ((here, is_on), (go, go_on)) = (mpsc::channel(), mpsc::channel());
            drop(runtime.spawn_blocking_traced(move || stop_here(&here, &go_on)));
            is_on.recv().expect("it runs");
            runtime.spawn_blocking_traced(holder(aborted.0)).abort();
            go.send(()).expect("it waits");
            assert!(aborted.1.ended().is_some());
            let handle = runtime.handle().clone();
            drop(runtime);
            drop(handle.spawn_blocking_traced(holder(late.0)));
            assert!(late.1.ended().is_some());
        },
        |seen, ()| {
            let (waits, wakes) = ("block in wait_for_drop: oneshot recv", "wake by holder");
            for name in ["aborted", "late"] {
                let steps = ["create by driver", "start", waits, wakes, "start", "end"];
                seen.expect(name, &steps);
            }
            let steps = ["create by driver", "start", "label aborted", "end"];
            seen.expect_all("holder", 2, &steps);
        },
    );
}

async fn block_and_wait(
    here: mpsc::Sender<u64>,
    go_on: mpsc::Receiver<()>,
    end: oneshot::Receiver<()>,
) {
    tachograph_tokio::block_in_place(|| stop_here(&here, &go_on));
    wait_for(end).await;
}

/// With one worker, so that who goes on while it blocks does so in its place.
#[test]
fn a_section_in_place_leaves_the_worker_to_others() {
    let _turn = turn();
    play(
        "block_in_place",
        &[Kind::Workers(1)],
        |stage| {
            let ((here, is_on), (go, go_on)) = (mpsc::channel(), mpsc::channel());
            let (tell, told) = oneshot::channel();
            let blocker = stage.spawn("blocker", block_and_wait(here, go_on, told));
            let thread = is_on.recv().expect("it runs");
            stage.pass();
            assert!(stage.spawn("other", async {}).ended().is_some());
            go.send(()).expect("it waits");
            blocker.paused(1);
            tell.send(()).expect("it waits");
            assert!(blocker.ended().is_some());
            thread
        },
        |seen, thread| {
            seen.expect(
                "blocker",
                &[
                    "create by driver",
                    "start",
                    "syscall",
                    "return",
                    "block in wait_for",
                    "wake by driver",
                    "start",
                    "end",
                ],
            );
            seen.expect("other", &["create by driver", "start", "end"]);
            assert_ne!(thread_of(seen, "other"), Some(thread), "{}", seen.name);
        },
    );
}

async fn block_on_region(told: oneshot::Receiver<()>) {
    let handle = tokio::runtime::Handle::current();
    tachograph_tokio::block_in_place(|| handle.block_on(wait_for(told).traced("inside")));
}

async fn block_on_task(
    told: oneshot::Receiver<()>,
    pace: Duration,
    births: mpsc::Sender<Actor<()>>,
) {
    let handle = tokio::runtime::Handle::current();
    tachograph_tokio::block_in_place(|| {
        let (task, actor) = watch("inside", pace, wait_for(told).traced("inside").into_task());
        births.send(actor).expect("the driver waits");
        handle.block_on(task);
    });
}

#[test]
fn what_is_blocked_on_in_place_is_a_region_or_a_task_inside() {
    let _turn = turn();
    play(
        "block_on in block_in_place",
        &[Kind::Workers(1), Kind::Workers(2)],
        |stage| {
            let (tell, told) = oneshot::channel();
            let outer = stage.spawn("with region", block_on_region(told));
            stage.pass();
            tell.send(()).expect("it waits");
            assert!(outer.ended().is_some());

            let (births, born) = mpsc::channel();
            let (tell, told) = oneshot::channel();
            let outer = stage.spawn("with task", block_on_task(told, stage.pace(), births));
            born.recv().expect("it runs").paused(1);
            tell.send(()).expect("it waits");
            assert!(outer.ended().is_some());
        },
        |seen, ()| {
            seen.expect(
                "with region",
                &[
                    "create by driver",
                    "start",
                    "syscall",
                    "return",
                    "+inside",
                    "syscall",
                    "return",
                    "-inside",
                    "syscall",
                    "return",
                    "end",
                ],
            );
            // It goes out of its section for what it says, and makes way for each poll of the task inside.
            seen.expect(
                "with task",
                &[
                    "create by driver",
                    "start",
                    "syscall",
                    "return",
                    "syscall",
                    "return",
                    "yield",
                    "start",
                    "syscall",
                    "return",
                    "yield",
                    "start",
                    "syscall",
                    "return",
                    "end",
                ],
            );
            let waits = "block in wait_for";
            let wakes = "wake by driver";
            let steps = ["create by with task", "start", waits, wakes, "start", "end"];
            seen.expect("inside", &steps);
        },
    );
}

async fn yield_once() {
    tokio::task::yield_now().await;
}

#[test]
fn a_thread_that_blocks_on_a_future_waits_for_it() {
    let _turn = turn();
    play(
        "block_on",
        &[Kind::Workers(1)],
        |_| {
            let thread = tid();
            let mut builder = Builder::new_current_thread();
            let runtime = tachograph_tokio::instrument(&mut builder).build();
            tachograph_tokio::block_on(&runtime.expect("a runtime"), yield_once());
            drop(tachograph::region("between"));
            let mut builder = Builder::new_multi_thread();
            let runtime = tachograph_tokio::instrument(builder.worker_threads(1)).build();
            let runtime = runtime.expect("a runtime");
            runtime.block_on(yield_once().traced("main"));
            drop(tachograph::region("after"));
            thread
        },
        |seen, thread| {
            seen.expect(
                "driver",
                &[
                    "create by -",
                    "start",
                    "block",
                    "wake by -",
                    "start",
                    "+between",
                    "-between",
                    "block",
                    "wake by -",
                    "start",
                    "+after",
                    "-after",
                    "end",
                ],
            );
            let yields = "block in yield_once: yield";
            let steps = [
                "create by driver",
                "start",
                yields,
                "wake by -",
                "start",
                "end",
            ];
            seen.expect("yield_once", &steps);
            // Outside of a worker a yield is a wake at once.
            seen.expect(
                "main",
                &["create by driver", "start", "yield", "start", "end"],
            );
            for name in ["yield_once", "main"] {
                assert_eq!(thread_of(seen, name), Some(thread), "{}", seen.name);
            }
        },
    );
}
