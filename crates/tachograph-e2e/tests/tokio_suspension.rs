//! Tasks over a gap in the recording: all of them end at it in the trace, and those that live begin anew behind it.
//!
//! The sink stands still until the recorder gives up, and goes on when the program says so: what happens in the gap is known.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::Duration;

use tachograph::Recording;
use tachograph_e2e::check::verify;
use tachograph_e2e::record::{Memory, turn};
use tachograph_e2e::seen::Seen;
use tachograph_e2e::stage::{Actor, Kind, PERIODS, Stage, on_driver, recorder};
use tachograph_tokio::FutureExt;
use tokio::sync::mpsc as channel;

/// Lets bytes through while it is open.
#[derive(Clone, Default)]
struct Valve {
    memory: Memory,
    shut: Arc<(Mutex<bool>, Condvar)>,
}

impl Valve {
    fn set(&self, shut: bool) {
        *self.shut.0.lock().expect("no panics") = shut;
        self.shut.1.notify_all();
    }
}

impl Write for Valve {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let shut = self.shut.0.lock().expect("no panics");
        drop(self.shut.1.wait_while(shut, |shut| *shut));
        self.memory.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Speaks until nothing is recorded any more.
fn until_it_stops(valve: &Valve) {
    valve.set(true);
    let words = "words ".repeat(150);
    while tachograph::is_recording() {
        tachograph::log("noise", &words);
        std::thread::sleep(Duration::from_micros(50));
    }
}

fn until_it_goes_on(valve: &Valve) {
    valve.set(false);
    while !tachograph::is_recording() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

type Outbox = channel::UnboundedSender<()>;

async fn receive(mut inbox: channel::UnboundedReceiver<()>, times: u32) {
    for _ in 0..times {
        inbox.recv().await.expect("there is a sender");
    }
}

async fn receive_in_region(inbox: channel::UnboundedReceiver<()>, times: u32) {
    receive(inbox, times).traced("region").await;
}

fn receiver(stage: &Stage, name: &'static str, times: u32) -> (Outbox, Actor<()>) {
    let (outbox, inbox) = channel::unbounded_channel();
    let actor = stage.spawn(name, receive(inbox, times));
    actor.paused(1);
    (outbox, actor)
}

fn tell(to: &(Outbox, Actor<()>)) {
    to.0.send(()).expect("it waits");
}

/// Keeps its thread until it is told to go on, in a section or not, and waits.
async fn stay(
    place: Place,
    here: mpsc::Sender<()>,
    go_on: mpsc::Receiver<()>,
    inbox: channel::UnboundedReceiver<()>,
) {
    let stay = move || {
        here.send(()).expect("the driver waits");
        go_on.recv().expect("the driver says");
    };
    match place {
        Place::Poll => stay(),
        Place::Section => tachograph_tokio::block_in_place(stay),
    }
    receive(inbox, 1).await;
}

#[derive(Clone, Copy)]
enum Place {
    Poll,
    Section,
}

struct Staying(mpsc::Sender<()>, (Outbox, Actor<()>));

fn staying(stage: &Stage, name: &'static str, place: Place) -> Staying {
    let ((here, is_here), (go, go_on)) = (mpsc::channel(), mpsc::channel());
    let (outbox, inbox) = channel::unbounded_channel();
    let actor = stage.spawn(name, stay(place, here, go_on, inbox));
    is_here.recv().expect("it runs");
    Staying(go, (outbox, actor))
}

impl Staying {
    fn goes_on(&self) {
        self.0.send(()).expect("it waits");
        self.1.1.paused(1);
    }
}

fn program(stage: &Stage, valve: &Valve) {
    let waiting = receiver(stage, "waiting", 1);
    let woken = receiver(stage, "woken", 2);
    let ending = receiver(stage, "ending", 1);
    let aborted = receiver(stage, "aborted", 1);
    let (outbox, inbox) = channel::unbounded_channel();
    let region = (
        outbox,
        stage.spawn("with region", receive_in_region(inbox, 1)),
    );
    region.1.paused(1);
    let running = staying(stage, "running", Place::Poll);
    let pausing = staying(stage, "pausing", Place::Poll);
    let section = staying(stage, "section", Place::Section);

    until_it_stops(valve);
    tell(&woken);
    woken.1.paused(2);
    tell(&ending);
    aborted.1.abort();
    assert!(ending.1.ended().is_some() && aborted.1.ended().is_none());
    let born = receiver(stage, "born", 1);
    pausing.goes_on();
    until_it_goes_on(valve);

    stage.pass();
    running.goes_on();
    section.goes_on();
    for task in [
        &waiting, &woken, &born, &region, &running.1, &pausing.1, &section.1,
    ] {
        tell(task);
        assert!(task.1.ended().is_some());
    }
}

fn record(period: Duration) -> Seen {
    let valve = Valve::default();
    let recorder = recorder(period).memory_limit(512 << 10);
    let recording: Recording = recorder.start(valve.clone()).expect("a recording");
    on_driver(|| {
        let stage = Stage::new(Kind::Workers(4), period);
        program(&stage, &valve);
        stage.strike();
    });
    let summary = recording.stop().expect("the sink is slow, not broken");
    let name = format!("tasks over a gap, {period:?}");
    assert_eq!(
        (summary.gaps, summary.events_lost),
        (1, 0),
        "{name}: {summary}"
    );
    let bytes = valve.memory.take();
    let _ = verify(&name, &bytes, Some(&summary));
    Seen::new(&name, bytes)
}

#[test]
fn tasks_end_at_a_gap_and_begin_anew_behind_it() {
    let _turn = turn();
    const BORN: [&str; 3] = ["create by driver", "start", "block in receive: mpsc recv"];
    // The engine's last words for a task that waits.
    const BURIED: [&str; 3] = ["wake by -", "start", "end"];
    const BEHIND: [&str; 4] = [
        "create by tachograph engine",
        "wake by driver",
        "start",
        "end",
    ];
    // Its own thread brings it back.
    const BACK: [&str; 6] = [
        "create by -",
        "start",
        "block in receive: mpsc recv",
        "wake by driver",
        "start",
        "end",
    ];
    for period in PERIODS {
        let seen = record(period);
        for name in ["waiting", "woken"] {
            seen.expect(name, &[&BORN[..], &BURIED, &BEHIND].concat());
        }
        for name in ["ending", "aborted"] {
            seen.expect(name, &[BORN, BURIED].concat());
        }
        seen.expect("born", &BEHIND);
        let region = [BORN[0], BORN[1], "+region", BORN[2]];
        seen.expect("with region", &[&region[..], &BURIED, &BEHIND].concat());
        seen.expect(
            "running",
            &[&["create by driver", "start", "end"][..], &BACK].concat(),
        );
        seen.expect(
            "pausing",
            &[&["create by driver", "start", "end"][..], &BEHIND].concat(),
        );
        let section = seen.spell(seen.one("section"));
        let ended_inside = ["create by driver", "start", "syscall", "end"];
        let ended_outside = ["create by driver", "start", "syscall", "return", "end"];
        let begun = [&ended_inside[..], &ended_outside[..]].map(|steps| [steps, &BACK].concat());
        match begun.iter().find(|steps| without_places(steps) == section) {
            Some(steps) => seen.expect("section", steps),
            None => seen.expect("section", &begun[0]),
        }
    }
}

fn without_places(steps: &[&str]) -> Vec<String> {
    let step = |step: &&str| step.split(" in ").next().unwrap_or_default().to_owned();
    steps.iter().map(step).collect()
}
