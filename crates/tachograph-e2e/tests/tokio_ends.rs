//! How tasks end, in the trace: by completion, by a panic, aborted, dropped, with their runtime; polled or not.
//!
//! What a task drops at its end it drops as part of itself: a task that ends outside of a poll gets a thread for that.

use std::panic::resume_unwind;
use std::sync::{Arc, mpsc};

use tachograph_e2e::record::turn;
use tachograph_e2e::seen::Seen;
use tachograph_e2e::stage::{Actor, KINDS, Kind, play, watch};
use tachograph_tokio::FutureExt;
use tokio::runtime::Builder;
use tokio::sync::{Mutex, Notify, oneshot};
use tokio::task::JoinSet;

/// The end of a task that was aborted, and of one that went with its runtime.
const ABORTED: &str = "label aborted";
const SHUT_DOWN: &str = "label runtime shutdown";
const DROPPED: &str = "label dropped";
const PANICKED: &str = "label panicked";

async fn wait_forever() {
    Notify::new().notified().await;
}

async fn wait_for(end: oneshot::Receiver<()>) {
    end.await.expect("sent");
}

/// Waits once, in `function`, is woken by nobody to be dropped, and ends under `label`.
fn expect_dropped(seen: &Seen, name: &str, count: usize, function: &str, label: &str) {
    let steps = [
        "create by driver",
        "start",
        function,
        "wake by -",
        "start",
        label,
        "end",
    ];
    seen.expect_all(name, count, &steps);
}

/// Tells that it runs, keeps its thread until it is told to go on, and waits.
async fn hog(runs: mpsc::Sender<()>, go_on: mpsc::Receiver<()>) {
    runs.send(()).expect("the driver waits");
    go_on.recv().expect("the driver says");
    wait_forever().await;
}

#[test]
fn an_aborted_task_ends_when_it_does_not_run() {
    let _turn = turn();
    // One thread, so that a task that is spawned while another one runs waits for its first poll.
    play(
        "abort",
        &[Kind::CurrentThread, Kind::Workers(1)],
        |stage| {
            let waiting = stage.spawn("waiting", wait_forever());
            waiting.paused(1);
            waiting.abort();
            assert!(waiting.ended().is_none());

            let ((runs, running), (go, go_on)) = (mpsc::channel(), mpsc::channel());
            let running_one = stage.spawn("running", hog(runs, go_on));
            running.recv().expect("it runs");
            let unpolled = stage.spawn("unpolled", wait_forever());
            unpolled.abort();
            running_one.abort();
            stage.pass();
            go.send(()).expect("it waits");
            assert!(unpolled.ended().is_none() && running_one.ended().is_none());

            let done = stage.spawn("done", async {});
            assert!(done.ended().is_some());
            done.abort();
        },
        |seen, ()| {
            expect_dropped(seen, "waiting", 1, "block in wait_forever: notify", ABORTED);
            expect_dropped(seen, "running", 1, "block in hog", ABORTED);
            seen.expect("unpolled", &["create by driver", "start", ABORTED, "end"]);
            seen.expect("done", &["create by driver", "start", "end"]);
        },
    );
}

async fn hold(lock: Arc<Mutex<u32>>) {
    let _held = lock.lock().await;
    wait_forever().await;
}

async fn contend(lock: Arc<Mutex<u32>>) {
    let _held = lock.lock().await;
}

#[test]
fn what_an_aborted_task_drops_it_drops_itself() {
    let _turn = turn();
    play(
        "abort mid-await",
        &KINDS,
        |stage| {
            let lock = Arc::new(Mutex::new(0));
            let holder = stage.spawn("holder", hold(lock.clone()));
            holder.paused(1);
            let contender = stage.spawn("contender", contend(lock));
            contender.paused(1);
            holder.abort();
            assert!(holder.ended().is_none() && contender.ended().is_some());
        },
        |seen, ()| {
            expect_dropped(seen, "holder", 1, "block in wait_forever: notify", ABORTED);
            seen.expect(
                "contender",
                &[
                    "create by driver",
                    "start",
                    "block in contend: mutex",
                    "wake by holder",
                    "start",
                    "end",
                ],
            );
        },
    );
}

/// Leaves with its set what still waits.
async fn abandon(births: mpsc::Sender<Actor<()>>, end: oneshot::Receiver<()>) {
    let mut set = JoinSet::new();
    for _ in 0..2 {
        let task = wait_forever().traced("member").into_task();
        let (task, member) = watch("member", Default::default(), task);
        births.send(member).expect("the driver waits");
        set.spawn(task);
    }
    wait_for(end).await;
}

#[test]
fn a_join_set_takes_its_members_along() {
    let _turn = turn();
    play(
        "join set dropped",
        &KINDS,
        |stage| {
            let ((births, born), (tell, told)) = (mpsc::channel(), oneshot::channel());
            let parent = stage.spawn("parent", abandon(births, told));
            let members = [(); 2].map(|()| born.recv().expect("a member"));
            parent.paused(1);
            members.iter().for_each(|member| member.paused(1));
            tell.send(()).expect("it waits");
            assert!(parent.ended().is_some());
            assert!(members.iter().all(|member| member.ended().is_none()));
        },
        |seen, ()| {
            seen.expect_all(
                "member",
                2,
                &[
                    "create by parent",
                    "start",
                    "block in wait_forever: notify",
                    "wake by -",
                    "start",
                    ABORTED,
                    "end",
                ],
            );
        },
    );
}

/// Without a message on the screen, which `panic!` has.
fn fall() {
    resume_unwind(Box::new("a fall"));
}

async fn fall_later(end: oneshot::Receiver<()>) {
    wait_for(end).await;
    fall();
}

struct FallsInDrop;

impl Drop for FallsInDrop {
    fn drop(&mut self) {
        fall();
    }
}

async fn fall_in_drop() {
    let _falls = FallsInDrop;
    wait_forever().await;
}

#[test]
fn a_panic_ends_its_task_under_a_label() {
    let _turn = turn();
    play(
        "panic",
        &KINDS,
        |stage| {
            let at_once = stage.spawn("at once", async { fall() });
            assert!(at_once.ended().is_none());

            let (tell, told) = oneshot::channel();
            let later = stage.spawn("later", fall_later(told));
            later.paused(1);
            tell.send(()).expect("it waits");
            assert!(later.ended().is_none());

            let in_drop = stage.spawn("in drop", fall_in_drop());
            in_drop.paused(1);
            in_drop.abort();
            assert!(in_drop.ended().is_none());

            let after = stage.spawn("after", async {});
            assert!(after.ended().is_some());
        },
        |seen, ()| {
            seen.expect("at once", &["create by driver", "start", PANICKED, "end"]);
            seen.expect(
                "later",
                &[
                    "create by driver",
                    "start",
                    "block in wait_for",
                    "wake by driver",
                    "start",
                    PANICKED,
                    "end",
                ],
            );
            expect_dropped(
                seen,
                "in drop",
                1,
                "block in wait_forever: notify",
                PANICKED,
            );
            seen.expect("after", &["create by driver", "start", "end"]);
        },
    );
}

#[test]
fn tasks_that_wait_end_with_their_runtime() {
    let _turn = turn();
    play(
        "shutdown",
        &KINDS,
        |stage| {
            for _ in 0..20 {
                let waiting = stage.spawn("waiting", wait_forever());
                waiting.paused(1);
            }
            // Then the stage takes its runtime down.
            stage.settle();
        },
        |seen, ()| {
            expect_dropped(
                seen,
                "waiting",
                20,
                "block in wait_forever: notify",
                SHUT_DOWN,
            )
        },
    );
}

#[test]
fn a_task_that_nobody_polls_ends_where_it_is_dropped() {
    let _turn = turn();
    play(
        "never polled",
        &[Kind::Workers(1)],
        |_| {
            drop(wait_forever().traced("unspawned").into_task());
            let mut builder = Builder::new_current_thread();
            let runtime = tachograph_tokio::instrument(&mut builder)
                .build()
                .expect("a runtime");
            drop(runtime.spawn(wait_forever().traced("undriven").into_task()));
            drop(runtime);
        },
        |seen, ()| {
            seen.expect("unspawned", &["create by driver", "start", DROPPED, "end"]);
            seen.expect("undriven", &["create by driver", "start", SHUT_DOWN, "end"]);
            // Whoever drops a task is stopped meanwhile.
            seen.expect(
                "driver",
                &[
                    "create by -",
                    "start",
                    "yield",
                    "start",
                    "yield",
                    "start",
                    "end",
                ],
            );
        },
    );
}
