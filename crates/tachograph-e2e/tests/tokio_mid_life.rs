//! Recordings that begin and end while tasks are in the middle of their lives: waiting, woken, in a poll, not polled yet.
//!
//! Who is there at the begin has no creation in the trace. A task in whose poll recording began is created by its next event: nobody could
//! speak for it before.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tachograph_e2e::record::{Running, turn};
use tachograph_e2e::seen::Seen;
use tachograph_e2e::stage::{Actor, Kind, PERIODS, Stage, on_driver, recorder};
use tachograph_tokio::{FutureExt, HandleExt};
use tokio::sync::{Semaphore, mpsc as channel};

/// As a task that is waiting is spelled when the trace begins: it is woken once more, and ends.
const FROM_WAIT: [&str; 3] = ["wake by driver", "start", "end"];

async fn receive(inbox: &mut channel::UnboundedReceiver<()>) {
    inbox.recv().await.expect("there is a sender");
}

async fn receive_all(mut inbox: channel::UnboundedReceiver<()>, times: u32) {
    for _ in 0..times {
        receive(&mut inbox).await;
    }
}

/// Spawns a task that waits for so many messages.
fn receiver(
    stage: &Stage,
    name: &'static str,
    times: u32,
) -> (channel::UnboundedSender<()>, Actor<()>) {
    let (outbox, inbox) = channel::unbounded_channel();
    (outbox, stage.spawn(name, receive_all(inbox, times)))
}

/// In its first poll until it is told to go on, then waits for a message.
async fn stay(
    here: mpsc::Sender<()>,
    go_on: mpsc::Receiver<()>,
    mut inbox: channel::UnboundedReceiver<()>,
) {
    here.send(()).expect("the driver waits");
    go_on.recv().expect("the driver says");
    receive(&mut inbox).await;
}

struct Staying {
    go: mpsc::Sender<()>,
    outbox: channel::UnboundedSender<()>,
    actor: Actor<()>,
}

/// Spawns a task and waits until it is in its first poll.
fn staying(stage: &Stage, name: &'static str) -> Staying {
    let ((here, is_here), (go, go_on)) = (mpsc::channel(), mpsc::channel());
    let (outbox, inbox) = channel::unbounded_channel();
    let actor = stage.spawn(name, stay(here, go_on, inbox));
    is_here.recv().expect("it runs");
    Staying { go, outbox, actor }
}

impl Staying {
    fn goes_on_and_ends(self) {
        self.go.send(()).expect("it waits");
        self.actor.paused(1);
        self.outbox.send(()).expect("it waits");
        assert!(self.actor.ended().is_some());
    }
}

fn start(name: &str, period: Duration) -> Running {
    Running::start(name, recorder(period)).expect("a recording")
}

fn stop(running: Running) -> Seen {
    let recorded = running.stop();
    assert_eq!(
        (recorded.summary.gaps, recorded.summary.events_lost),
        (0, 0),
        "{}",
        recorded.name
    );
    let _ = recorded.verify();
    Seen::new(&recorded.name, recorded.bytes)
}

fn two_recordings(period: Duration) -> [Seen; 2] {
    let stage = Stage::new(Kind::Workers(4), period);
    let (old_box, old) = receiver(&stage, "old", 3);
    old.paused(1);
    let (idle_box, idle) = receiver(&stage, "idle", 1);
    idle.paused(1);
    let (gone_box, gone) = receiver(&stage, "gone", 1);
    gone.paused(1);
    let early = staying(&stage, "early");
    let undriven = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    drop(undriven.spawn_traced(never_polled()));

    let running = start(&format!("first of two, {period:?}"), period);
    stage.pass();
    old_box.send(()).expect("it waits");
    old.paused(2);
    early.goes_on_and_ends();
    let late = staying(&stage, "late");
    stage.pass();
    let first = stop(running);

    old_box.send(()).expect("it waits");
    old.paused(3);
    gone_box.send(()).expect("it waits");
    assert!(gone.ended().is_some());
    let (between_box, between) = receiver(&stage, "between", 1);
    between.paused(1);

    let running = start(&format!("second of two, {period:?}"), period);
    stage.pass();
    for (outbox, task, pause) in [
        (&old_box, &old, 3),
        (&between_box, &between, 1),
        (&idle_box, &idle, 1),
    ] {
        task.paused(pause);
        outbox.send(()).expect("it waits");
        assert!(task.ended().is_some());
    }
    late.goes_on_and_ends();
    drop(undriven);
    stage.strike();
    [first, stop(running)]
}

async fn never_polled() {}

#[test]
fn what_lives_through_recordings_is_in_each() {
    let _turn = turn();
    for period in PERIODS {
        let [first, second] = on_driver(|| two_recordings(period));
        let wait = "block in receive: mpsc recv";
        first.expect("old", &["wake by driver", "start", wait]);
        first.expect("early", &["create by -", "start", "end"]);
        first.expect("late", &["create by driver", "start"]);
        for name in ["idle", "gone", "never_polled"] {
            first.expect(name, &[]);
        }

        for name in ["old", "between", "idle"] {
            second.expect(name, &FROM_WAIT);
        }
        let late = [
            "create by -",
            "start",
            wait,
            "wake by driver",
            "start",
            "end",
        ];
        second.expect("late", &late);
        second.expect("never_polled", &["start", "label runtime shutdown", "end"]);
        assert!(second.all("gone").is_empty() && second.all("early").is_empty());
    }
}

/// One worker, which a task keeps: who is woken meanwhile is runnable when the recording begins.
#[test]
fn who_is_woken_before_the_recording_starts_in_it() {
    let _turn = turn();
    for period in PERIODS {
        let seen = on_driver(|| {
            let stage = Stage::new(Kind::Workers(1), period);
            let (outbox, woken) = receiver(&stage, "woken", 1);
            woken.paused(1);
            let staying = staying(&stage, "staying");
            outbox.send(()).expect("it waits");
            let unpolled = stage.spawn("unpolled", async {});
            let running = start(&format!("woken before, {period:?}"), period);
            stage.pass();
            staying.goes_on_and_ends();
            assert!(woken.ended().is_some() && unpolled.ended().is_some());
            stage.strike();
            stop(running)
        });
        seen.expect("woken", &["start", "end"]);
        seen.expect("unpolled", &["start", "end"]);
        seen.expect("staying", &["create by -", "start", "end"]);
    }
}

const BUSY: usize = 16;

/// Takes and gives permits, in a region, as often as there is time.
async fn bustle(permits: Arc<Semaphore>, over: Arc<AtomicBool>) {
    while !over.load(Ordering::Relaxed) {
        let permit = permits.acquire().await.expect("open");
        async { tokio::task::yield_now().await }
            .traced("inside")
            .await;
        drop(permit);
    }
}

fn spawn_nested(left: u32) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        if left > 0 {
            let child = spawn_nested(left - 1).traced("child").spawn();
            child.await.expect("no panic");
        }
    })
}

/// Recordings that begin and end anywhere in the lives of busy tasks are valid, each for itself.
#[test]
fn recordings_begin_and_end_anywhere() {
    let _turn = turn();
    on_driver(|| {
        let stage = Stage::new(Kind::Workers(2), PERIODS[0]);
        let permits = Arc::new(Semaphore::new(2));
        let over = Arc::new(AtomicBool::new(false));
        let busy: Vec<_> = (0..BUSY)
            .map(|_| stage.spawn("busy", bustle(permits.clone(), over.clone())))
            .collect();
        for round in 0..12u64 {
            let period = PERIODS[round as usize % 3];
            let running = start(&format!("anywhere, round {round}, {period:?}"), period);
            let family = stage.spawn("family", spawn_nested(5));
            std::thread::sleep(Duration::from_millis(3 + round % 5 * 4));
            let seen = stop(running);
            // A poll that nobody saw begin is not told of, nor the wait behind it.
            let known = seen.all("busy").len();
            assert!((BUSY - 2..=BUSY).contains(&known), "{}: {known}", seen.name);
            assert!(family.ended().is_some());
        }
        over.store(true, Ordering::Relaxed);
        assert!(busy.iter().all(|task| task.ended().is_some()));
        stage.strike();
    });
}

/// An executor that never polls.
struct Idle;

impl std::task::Wake for Idle {
    fn wake(self: Arc<Self>) {}
}

/// A task that is there when a recording ends may end later, and no recording need ever begin again.
#[test]
fn a_task_that_outlives_its_recording_lets_go_of_its_executor() {
    let _turn = turn();
    let executor = Arc::new(Idle);
    let held = Arc::downgrade(&executor);
    let waker = std::task::Waker::from(executor);
    let mut poll = std::task::Context::from_waker(&waker);
    let [mut waits, mut ends] = ["waits", "ends"].map(|name| {
        let (end, told) = tokio::sync::oneshot::channel::<()>();
        let task = async { told.await.expect("sent") };
        (Some(end), Box::pin(task.traced(name).into_task()))
    });
    let running = Running::start("outlives", recorder(PERIODS[0])).expect("a recording");
    assert!(waits.1.as_mut().poll(&mut poll).is_pending());
    assert!(ends.1.as_mut().poll(&mut poll).is_pending());
    let _ = running.stop().verify();
    drop(waits);
    ends.0.take().map(|end| end.send(()));
    assert!(ends.1.as_mut().poll(&mut poll).is_ready());
    drop(ends);
    drop(waker);
    assert!(held.upgrade().is_none(), "{} left", held.strong_count());
}
