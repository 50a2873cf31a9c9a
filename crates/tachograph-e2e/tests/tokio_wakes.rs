//! Who wakes whom, in the trace: tasks, threads that have nothing to do with a runtime, a task itself; too early, twice, too late.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Poll, Waker};

use tachograph_e2e::record::turn;
use tachograph_e2e::stage::{KINDS, on_thread, play};
use tokio::sync::oneshot;

/// Gives its waker away and waits; what its second poll returns.
async fn give_waker(wakers: mpsc::Sender<Waker>) {
    let mut polled = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut polled, true) {
            return Poll::Ready(());
        }
        wakers.send(cx.waker().clone()).expect("somebody waits");
        Poll::Pending
    })
    .await;
}

#[test]
fn a_thread_of_no_runtime_wakes_in_its_own_name() {
    let _turn = turn();
    play(
        "wake by a stranger",
        &KINDS,
        |stage| {
            let (wakers, given) = mpsc::channel();
            let task = stage.spawn("task", give_waker(wakers));
            task.paused(1);
            let waker = given.recv().expect("a waker");
            on_thread("stranger", || waker.wake());
            assert!(task.ended().is_some());
        },
        |seen, ()| {
            seen.expect(
                "task",
                &[
                    "create by driver",
                    "start",
                    "block in give_waker",
                    "wake by stranger",
                    "start",
                    "end",
                ],
            );
            seen.expect("stranger", &["create by -", "start", "end"]);
        },
    );
}

async fn tell(outbox: oneshot::Sender<()>) {
    outbox.send(()).expect("it waits");
}

async fn wait_for(end: oneshot::Receiver<()>) {
    end.await.expect("sent");
}

#[test]
fn a_task_and_a_closure_wake_in_their_names() {
    let _turn = turn();
    play(
        "wake by a task",
        &KINDS,
        |stage| {
            let (outbox, inbox) = oneshot::channel();
            let waiting = stage.spawn("waiting", wait_for(inbox));
            waiting.paused(1);
            let telling = stage.spawn("telling", tell(outbox));
            assert!(telling.ended().is_some() && waiting.ended().is_some());

            let (outbox, inbox) = oneshot::channel();
            let waiting = stage.spawn("waiting for a closure", wait_for(inbox));
            waiting.paused(1);
            let context = stage.handle().enter();
            drop(tachograph_tokio::spawn_blocking(move || {
                outbox.send(()).expect("it waits");
            }));
            drop(context);
            assert!(waiting.ended().is_some());
        },
        |seen, ()| {
            let mut steps = [
                "create by driver",
                "start",
                "block in wait_for: oneshot recv",
                "wake by telling",
                "start",
                "end",
            ];
            seen.expect("waiting", &steps);
            let waiting = seen.one("waiting for a closure");
            let waker = waiting.steps[3].by.map(|task| &seen.lives[&task].name);
            let is_closure = waker.is_some_and(|name| name.contains("a_task_and_a_closure"));
            assert!(is_closure, "{}: woken by {waker:?}", seen.name);
            let by = format!("wake by {}", seen.name_of(waiting.steps[3].by));
            steps[3] = &by;
            seen.expect_life(waiting, &steps);
        },
    );
}

/// Wakes itself in its poll, so many times.
async fn wake_oneself(times: u32) {
    let mut left = times;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        cx.waker().wake_by_ref();
        // Once more is no more.
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

async fn yield_twice() {
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
}

#[test]
fn a_task_that_wakes_itself_yields() {
    let _turn = turn();
    play(
        "self-wake, yield",
        &KINDS,
        |stage| {
            assert!(stage.spawn("self-waker", wake_oneself(3)).ended().is_some());
            assert!(stage.spawn("yielder", yield_twice()).ended().is_some());
        },
        |seen, ()| {
            seen.expect(
                "self-waker",
                &[
                    "create by driver",
                    "start",
                    "yield",
                    "start",
                    "yield",
                    "start",
                    "yield",
                    "start",
                    "end",
                ],
            );
            // Tokio's worker takes the waker and uses it between its tasks.
            seen.expect(
                "yielder",
                &[
                    "create by driver",
                    "start",
                    "block in yield_twice: yield",
                    "wake by -",
                    "start",
                    "block in yield_twice: yield",
                    "wake by -",
                    "start",
                    "end",
                ],
            );
        },
    );
}

/// Does not return from its first poll before it is told to.
async fn run_until(wakers: mpsc::Sender<Waker>, go_on: mpsc::Receiver<()>) {
    let mut give = pin!(give_waker(wakers));
    let mut polled = false;
    poll_fn(move |cx| {
        let ready = give.as_mut().poll(cx);
        if !std::mem::replace(&mut polled, true) {
            go_on.recv().expect("the driver says");
        }
        ready
    })
    .await;
}

#[test]
fn a_wake_while_the_task_runs_is_a_yield() {
    let _turn = turn();
    play(
        "wake while running",
        &KINDS,
        |stage| {
            let ((wakers, given), (go, go_on)) = (mpsc::channel(), mpsc::channel());
            let task = stage.spawn("task", run_until(wakers, go_on));
            let waker = given.recv().expect("a waker");
            waker.wake_by_ref();
            stage.pass();
            waker.wake();
            go.send(()).expect("it waits");
            assert!(task.ended().is_some());
        },
        |seen, ()| {
            seen.expect(
                "task",
                &["create by driver", "start", "yield", "start", "end"],
            );
        },
    );
}

#[test]
fn only_the_wake_that_ends_a_wait_is_told() {
    let _turn = turn();
    play(
        "wakes too many",
        &KINDS,
        |stage| {
            let (wakers, given) = mpsc::channel();
            let task = stage.spawn("task", give_waker(wakers));
            task.paused(1);
            let waker = given.recv().expect("a waker");
            waker.wake_by_ref();
            waker.wake_by_ref();
            assert!(task.ended().is_some());
            stage.pass();
            // It is no more, and neither is what ran it.
            waker.wake_by_ref();
            let again = waker.clone();
            again.wake();
            waker
        },
        |seen, waker| {
            waker.wake();
            seen.expect(
                "task",
                &[
                    "create by driver",
                    "start",
                    "block in give_waker",
                    "wake by driver",
                    "start",
                    "end",
                ],
            );
        },
    );
}
