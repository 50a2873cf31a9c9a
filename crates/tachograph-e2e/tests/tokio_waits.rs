//! What tasks wait for, in the trace: each kind of wait of Tokio's, with who ended it, on each kind of runtime, with generations of each
//! length.
//!
//! Each wait stands in a function of its own, whose name is spelled with the wait.

use std::future::pending;
use std::time::Duration;

use tachograph_e2e::record::turn;
use tachograph_e2e::stage::{KINDS, play};
use tachograph_tokio::FutureExt;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior};

/// Longer than a busy machine keeps a thread from the step between a timer's making and its first poll.
const WHILE: Duration = Duration::from_millis(100);

async fn nap() {
    tokio::time::sleep(WHILE).await;
}

async fn nap_until() {
    tokio::time::sleep_until(Instant::now() + WHILE).await;
}

/// N.B. Not from now on: a first tick that is due at once waits up to a millisecond, or not.
async fn two_ticks() {
    let mut interval = tokio::time::interval_at(Instant::now() + WHILE, WHILE);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for _ in 0..2 {
        interval.tick().await;
    }
}

async fn too_late() {
    let timeout = tokio::time::timeout(WHILE, pending::<()>()).await;
    timeout.expect_err("nothing comes");
}

async fn in_time(end: oneshot::Receiver<()>) {
    let timeout = tokio::time::timeout(Duration::from_secs(3600), end).await;
    timeout.expect("in time").expect("sent");
}

#[test]
fn timers_wake_by_nobody() {
    let _turn = turn();
    play(
        "timers",
        &KINDS,
        |stage| {
            let (tell, told) = oneshot::channel();
            let in_time = stage.spawn("in time", in_time(told));
            let others = [
                stage.spawn("nap", nap()),
                stage.spawn("nap until", nap_until()),
                stage.spawn("ticks", two_ticks()),
                stage.spawn("too late", too_late()),
            ];
            in_time.paused(1);
            tell.send(()).expect("it waits");
            assert!(in_time.ended().is_some());
            for other in others {
                assert!(other.ended().is_some());
            }
        },
        |seen, ()| {
            let mut once = [
                "create by driver",
                "start",
                "block in nap: sleep",
                "wake by -: timer",
                "start",
                "end",
            ];
            seen.expect("nap", &once);
            once[2] = "block in nap_until: sleep";
            seen.expect("nap until", &once);
            once[2] = "block in too_late: timeout";
            seen.expect("too late", &once);
            once[2..4].copy_from_slice(&["block in in_time: oneshot recv", "wake by driver"]);
            seen.expect("in time", &once);
            seen.expect(
                "ticks",
                &[
                    "create by driver",
                    "start",
                    "block in two_ticks: interval",
                    "wake by -: timer",
                    "start",
                    "block in two_ticks: interval",
                    "wake by -: timer",
                    "start",
                    "end",
                ],
            );
        },
    );
}

async fn receive_two(mut inbox: mpsc::Receiver<u32>) {
    assert_eq!(inbox.recv().await, Some(1));
    assert_eq!(inbox.recv().await, Some(2));
}

async fn receive_nothing(mut inbox: mpsc::UnboundedReceiver<u32>) {
    assert_eq!(inbox.recv().await, None);
}

async fn send_two(outbox: mpsc::Sender<u32>) {
    outbox.send(1).await.expect("there is a receiver");
    outbox.send(2).await.expect("there is a receiver");
}

#[test]
fn mpsc_waits_end_with_the_message_the_room_or_the_last_sender() {
    let _turn = turn();
    play(
        "mpsc",
        &KINDS,
        |stage| {
            let (outbox, inbox) = mpsc::channel(4);
            let receiver = stage.spawn("receiver", receive_two(inbox));
            for number in [1, 2] {
                receiver.paused(number);
                outbox.try_send(number as u32).expect("there is room");
            }
            assert!(receiver.ended().is_some());

            let (outbox, mut inbox) = mpsc::channel(1);
            let sender = stage.spawn("sender", send_two(outbox));
            sender.paused(1);
            assert_eq!(inbox.try_recv(), Ok(1));
            assert!(sender.ended().is_some());

            let (outbox, inbox) = mpsc::unbounded_channel();
            let orphan = stage.spawn("orphan", receive_nothing(inbox));
            orphan.paused(1);
            drop(outbox);
            assert!(orphan.ended().is_some());
        },
        |seen, ()| {
            seen.expect(
                "receiver",
                &[
                    "create by driver",
                    "start",
                    "block in receive_two: mpsc recv",
                    "wake by driver",
                    "start",
                    "block in receive_two: mpsc recv",
                    "wake by driver",
                    "start",
                    "end",
                ],
            );
            let mut once = [
                "create by driver",
                "start",
                "block in send_two: mpsc send",
                "wake by driver",
                "start",
                "end",
            ];
            seen.expect("sender", &once);
            once[2] = "block in receive_nothing: mpsc recv";
            seen.expect("orphan", &once);
        },
    );
}

async fn receive_one(end: oneshot::Receiver<()>) {
    end.await.expect("sent");
}

async fn see_change(mut value: watch::Receiver<u32>) {
    value.changed().await.expect("there is a sender");
    assert_eq!(*value.borrow(), 1);
}

async fn hear(mut news: broadcast::Receiver<u32>) {
    assert_eq!(news.recv().await, Ok(1));
}

#[test]
fn oneshot_watch_and_broadcast_waits_end_with_the_message() {
    let _turn = turn();
    play(
        "oneshot, watch, broadcast",
        &KINDS,
        |stage| {
            let (tell, told) = oneshot::channel();
            let receiver = stage.spawn("oneshot", receive_one(told));
            receiver.paused(1);
            tell.send(()).expect("it waits");
            assert!(receiver.ended().is_some());

            let (value, changes) = watch::channel(0);
            let watchers =
                [changes.clone(), changes].map(|changes| stage.spawn("watch", see_change(changes)));
            watchers.iter().for_each(|watcher| watcher.paused(1));
            value.send(1).expect("they wait");
            assert!(watchers.iter().all(|watcher| watcher.ended().is_some()));

            let (news, _) = broadcast::channel(4);
            let hearers = [(); 2].map(|()| stage.spawn("broadcast", hear(news.subscribe())));
            hearers.iter().for_each(|hearer| hearer.paused(1));
            news.send(1).expect("they wait");
            assert!(hearers.iter().all(|hearer| hearer.ended().is_some()));
        },
        |seen, ()| {
            let mut once = [
                "create by driver",
                "start",
                "block in receive_one: oneshot recv",
                "wake by driver",
                "start",
                "end",
            ];
            seen.expect("oneshot", &once);
            once[2] = "block in see_change: watch changed";
            seen.expect_all("watch", 2, &once);
            once[2] = "block in hear: broadcast recv";
            seen.expect_all("broadcast", 2, &once);
        },
    );
}

async fn either(first: oneshot::Receiver<()>, second: oneshot::Receiver<()>) -> u32 {
    tokio::select! {
        _ = first => 1,
        _ = second => 2,
    }
}

async fn both(first: oneshot::Receiver<()>, second: oneshot::Receiver<()>) {
    let (first, second) = tokio::join!(first, second);
    first.and(second).expect("sent");
}

async fn both_or_error(first: oneshot::Receiver<()>, second: oneshot::Receiver<()>) {
    tokio::try_join!(first, second).expect_err("the second is never sent");
}

#[test]
fn select_waits_once_and_join_once_for_each() {
    let _turn = turn();
    play(
        "select, join",
        &KINDS,
        |stage| {
            let channels = || (oneshot::channel(), oneshot::channel());
            let ((_first, told_first), (second, told_second)) = channels();
            let selector = stage.spawn("select", either(told_first, told_second));
            selector.paused(1);
            second.send(()).expect("it waits");
            assert_eq!(selector.ended(), Some(2));

            let ((first, told_first), (second, told_second)) = channels();
            let joiner = stage.spawn("join", both(told_first, told_second));
            joiner.paused(1);
            second.send(()).expect("it waits");
            joiner.paused(2);
            first.send(()).expect("it waits");
            assert!(joiner.ended().is_some());

            let ((_first, told_first), (second, told_second)) = channels();
            let joiner = stage.spawn("try_join", both_or_error(told_first, told_second));
            joiner.paused(1);
            drop(second);
            assert!(joiner.ended().is_some());
        },
        |seen, ()| {
            let mut once = [
                "create by driver",
                "start",
                "block in either: oneshot recv",
                "wake by driver",
                "start",
                "end",
            ];
            seen.expect("select", &once);
            once[2] = "block in both_or_error: oneshot recv";
            seen.expect("try_join", &once);
            seen.expect(
                "join",
                &[
                    "create by driver",
                    "start",
                    "block in both: oneshot recv",
                    "wake by driver",
                    "start",
                    "block in both: oneshot recv",
                    "wake by driver",
                    "start",
                    "end",
                ],
            );
        },
    );
}

/// Waits for a message and, in the same poll, for a task of its own.
async fn beside_a_part(message: oneshot::Receiver<()>, part: oneshot::Receiver<()>) {
    let part = async { part.await.expect("sent") }.traced("part");
    let (message, ()) = tokio::join!(message, part.into_task());
    message.expect("sent");
}

#[test]
fn a_task_inside_of_another_leaves_the_outer_ones_waits_alone() {
    let _turn = turn();
    play(
        "a part",
        &KINDS,
        |stage| {
            let ((message, told), (tell_part, part)) = (oneshot::channel(), oneshot::channel());
            let host = stage.spawn("host", beside_a_part(told, part));
            host.paused(1);
            tell_part.send(()).expect("it waits");
            host.paused(2);
            message.send(()).expect("it waits");
            assert!(host.ended().is_some());
        },
        |seen, ()| {
            seen.expect(
                "host",
                &[
                    "create by driver",
                    "start",
                    "yield: task inside",
                    "start",
                    "block in beside_a_part: oneshot recv",
                    "wake by driver",
                    "start",
                    "yield: task inside",
                    "start",
                    "block in beside_a_part: oneshot recv",
                    "wake by driver",
                    "start",
                    "end",
                ],
            );
            seen.expect(
                "part",
                &[
                    "create by host",
                    "start",
                    "block in beside_a_part: oneshot recv",
                    "wake by driver",
                    "start",
                    "end",
                ],
            );
        },
    );
}

/// Looks for a change, which does not come, and naps.
async fn look_and_nap(mut changes: watch::Receiver<()>) {
    tokio::select! {
        biased;
        _ = changes.changed() => unreachable!("nobody changes it"),
        () = std::future::ready(()) => {}
    }
    nap().await;
}

#[test]
fn what_a_task_has_gone_past_is_nothing_that_it_waits_for() {
    let _turn = turn();
    play(
        "gone past",
        &KINDS,
        |stage| {
            let (change, changes) = watch::channel(());
            let looks = stage.spawn("looks", look_and_nap(changes));
            assert!(looks.ended().is_some());
            drop(change);
        },
        |seen, ()| {
            seen.expect(
                "looks",
                &[
                    "create by driver",
                    "start",
                    "block in nap: sleep",
                    "wake by -: timer",
                    "start",
                    "end",
                ],
            );
        },
    );
}
