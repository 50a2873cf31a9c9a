//! Asynchronous programs that can be followed from the outside, pause by pause, and what their traces have.
//!
//! [`play`] records a program on each kind of runtime with generations of each length. The program runs on a plain thread, "driver", and
//! has a [`Stage`]: a runtime and a way to spawn tasks whose pauses the driver waits for ([`Actor::paused`]). A task pauses when the
//! recorder has said so, not when its future has returned: what the driver does next comes after that in every trace.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Barrier, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use tachograph::{AwaitStacks, Recorder};
use tachograph_tokio::FutureExt;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::load::tid;
use crate::record::record;
use crate::seen::Seen;

/// The lengths of generations that everything is recorded with.
pub const PERIODS: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_millis(10),
    Duration::ZERO,
];

/// A kind of runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// All on the thread that drives it.
    CurrentThread,
    /// With so many workers.
    Workers(usize),
}

/// The kinds on which most programs do the same.
pub const KINDS: [Kind; 2] = [Kind::CurrentThread, Kind::Workers(2)];

/// How long a program waits for what must happen before it gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A runtime for a program.
#[derive(Debug)]
pub struct Stage {
    /// Its kind.
    pub kind: Kind,
    pace: Duration,
    handle: Handle,
    threads: Arc<Mutex<Vec<u64>>>,
    house: Option<House>,
}

#[derive(Debug)]
enum House {
    Workers(Runtime),
    /// The thread that drives the runtime until it is told to drop it.
    Home(oneshot::Sender<()>, thread::JoinHandle<()>),
}

/// A task that the driver follows.
#[derive(Debug)]
pub struct Actor<T> {
    name: &'static str,
    polls: Arc<Polls<T>>,
    pace: Duration,
    abort: Option<AbortHandle>,
}

/// What is known of a task's polls.
#[derive(Debug)]
struct Polls<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    pauses: u64,
    output: Option<T>,
    gone: bool,
}

/// A future around a task: what it sees of a poll has been said.
#[derive(Debug)]
pub struct Watched<F: Future> {
    // In this order: dropped before it is told to be gone.
    task: Pin<Box<F>>,
    end: TellsEnd<F::Output>,
}

#[derive(Debug)]
struct TellsEnd<T>(Arc<Polls<T>>);

/// Records `program` on a runtime of each kind with generations of each length, verifies each trace and has `check` look at what is in it.
///
/// # Panics
/// If a trace is not valid, lacks something, or `check` does.
pub fn play<T: Send>(
    name: &str,
    kinds: &[Kind],
    program: impl Fn(&Stage) -> T + Sync,
    check: impl Fn(&Seen, T),
) {
    for kind in kinds {
        for period in PERIODS {
            let name = format!("{name}, {kind:?}, {period:?}");
            let recorder = recorder(period);
            let (result, recorded) = record(&name, recorder, || {
                on_driver(|| {
                    let stage = Stage::new(*kind, period);
                    let result = program(&stage);
                    stage.strike();
                    result
                })
            });
            let summary = &recorded.summary;
            assert_eq!((summary.gaps, summary.events_lost), (0, 0), "{name}");
            let _ = recorded.verify();
            check(&Seen::new(&name, recorded.bytes), result);
        }
    }
}

/// A recorder that has room for everything, and takes all stacks.
pub fn recorder(period: Duration) -> Recorder {
    Recorder::new()
        .generation_period(period)
        .await_stacks(AwaitStacks::On)
        .memory_limit(1 << 30)
}

/// Runs `f` on a plain thread that is called "driver".
///
/// # Panics
/// As `f` does.
pub fn on_driver<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    on_thread("driver", f)
}

/// Runs `f` on a plain thread of that name.
///
/// # Panics
/// As `f` does.
pub fn on_thread<T: Send>(name: &str, f: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name(name.to_owned());
        let thread = thread.spawn_scoped(scope, f).expect("a thread");
        match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

impl Stage {
    /// A runtime of that kind. `period`: of the generations, so that what pauses does so over the end of one, if that is not long.
    ///
    /// # Panics
    /// If the system gives no threads.
    pub fn new(kind: Kind, period: Duration) -> Self {
        let threads: Arc<Mutex<Vec<u64>>> = Arc::default();
        let mut builder = match kind {
            Kind::CurrentThread => Builder::new_current_thread(),
            Kind::Workers(_) => Builder::new_multi_thread(),
        };
        if let Kind::Workers(workers) = kind {
            builder.worker_threads(workers);
        }
        let started = Arc::clone(&threads);
        let instrument =
            tachograph_tokio::Instrument::new().on_thread_start(move || lock(&started).push(tid()));
        let runtime = instrument
            .apply(builder.enable_all())
            .build()
            .expect("a runtime");
        let handle = runtime.handle().clone();
        let house = match kind {
            Kind::CurrentThread => at_home(runtime, Arc::clone(&threads)),
            Kind::Workers(_) => House::Workers(runtime),
        };
        Self {
            kind,
            pace: pace(period),
            handle,
            threads,
            house: Some(house),
        }
    }

    /// The runtime's handle.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Threads that have worked for the runtime.
    pub fn threads(&self) -> Vec<u64> {
        lock(&self.threads).clone()
    }

    /// Spawns a task by the caller.
    pub fn spawn<F>(&self, name: &'static str, future: F) -> Actor<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (watched, mut actor) = self.watch(name, future.traced(name).into_task());
        actor.abort = Some(self.handle.spawn(watched).abort_handle());
        actor
    }

    /// Has the driver follow a task that somebody else spawns.
    pub fn watch<F: Future>(&self, name: &'static str, task: F) -> (Watched<F>, Actor<F::Output>) {
        watch(name, self.pace, task)
    }

    /// How long a pause takes.
    pub fn pace(&self) -> Duration {
        self.pace
    }

    /// Waits until every thread of the runtime is through with what it was polling: a pause is told before the runtime has put the task
    /// down, and a task that is shut down before that is one that was aborted.
    pub fn settle(&self) {
        let threads = match self.kind {
            Kind::CurrentThread => 1,
            Kind::Workers(workers) => workers,
        };
        // All at once: each of them keeps a thread until the last one is there.
        let all = Arc::new(Barrier::new(threads + 1));
        for _ in 0..threads {
            let all = Arc::clone(&all);
            drop(self.handle.spawn(async move { all.wait().is_leader() }));
        }
        all.wait();
    }

    /// Lets generations pass.
    pub fn pass(&self) {
        thread::sleep(self.pace);
    }

    /// Drops the runtime, and waits until it is gone.
    ///
    /// # Panics
    /// If the thread that drove it did.
    pub fn strike(mut self) {
        self.strike_house();
    }

    fn strike_house(&mut self) {
        match self.house.take() {
            Some(House::Home(stop, thread)) => {
                drop(stop);
                thread.join().expect("no panics at home");
            }
            Some(House::Workers(runtime)) => drop(runtime),
            None => {}
        }
    }
}

/// How long a pause takes: over the end of a generation, where that is near.
pub fn pace(period: Duration) -> Duration {
    match period.as_millis() {
        0 => Duration::from_millis(1),
        ms if ms < 100 => period + Duration::from_millis(1),
        _ => Duration::ZERO,
    }
}

/// Drives a current-thread runtime on a thread of its own.
fn at_home(runtime: Runtime, threads: Arc<Mutex<Vec<u64>>>) -> House {
    let (stop, stopped) = oneshot::channel();
    let home = move || {
        lock(&threads).push(tid());
        let _ = tachograph_tokio::block_on(&runtime, stopped);
        drop(runtime);
    };
    let thread = thread::Builder::new().name("home".to_owned());
    House::Home(stop, thread.spawn(home).expect("a thread"))
}

/// Has the driver follow a task.
pub fn watch<F: Future>(
    name: &'static str,
    pace: Duration,
    task: F,
) -> (Watched<F>, Actor<F::Output>) {
    let polls = Arc::new(Polls {
        state: Mutex::new(State {
            pauses: 0,
            output: None,
            gone: false,
        }),
        changed: Condvar::new(),
    });
    let watched = Watched {
        task: Box::pin(task),
        end: TellsEnd(Arc::clone(&polls)),
    };
    let actor = Actor {
        name,
        polls,
        pace,
        abort: None,
    };
    (watched, actor)
}

impl<T> Actor<T> {
    /// Waits until the task has paused so many times in all.
    ///
    /// # Panics
    /// If that takes too long.
    pub fn paused(&self, times: u64) {
        self.pauses(times);
        thread::sleep(self.pace);
    }

    /// As `paused`, and takes no longer than that.
    ///
    /// # Panics
    /// If that takes too long.
    pub fn pauses(&self, times: u64) {
        drop(self.wait("a pause", |state| state.pauses >= times));
    }

    /// Waits until the task is through; what it returned. `None` if it was dropped before that.
    ///
    /// # Panics
    /// If that takes too long.
    pub fn ended(&self) -> Option<T> {
        let mut state = self.wait("the end", |state| state.gone);
        state.output.take()
    }

    /// Aborts the task.
    ///
    /// # Panics
    /// If somebody else spawned it.
    pub fn abort(&self) {
        self.abort.as_ref().expect("spawned by the stage").abort();
    }

    fn wait(&self, what: &str, until: impl Fn(&State<T>) -> bool) -> MutexGuard<'_, State<T>> {
        let state = lock(&self.polls.state);
        let (state, timeout) = self
            .polls
            .changed
            .wait_timeout_while(state, PATIENCE, |state| !until(state))
            .unwrap_or_else(PoisonError::into_inner);
        assert!(
            !timeout.timed_out(),
            "{}: no sign of {what}, {} pauses",
            self.name,
            state.pauses
        );
        state
    }
}

impl<T> Polls<T> {
    fn change(&self, change: impl FnOnce(&mut State<T>)) {
        change(&mut lock(&self.state));
        self.changed.notify_all();
    }
}

impl<F: Future> Future for Watched<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.task.as_mut().poll(cx) {
            Poll::Pending => {
                self.end.0.change(|state| state.pauses += 1);
                Poll::Pending
            }
            Poll::Ready(output) => {
                self.end.0.change(|state| state.output = Some(output));
                Poll::Ready(())
            }
        }
    }
}

impl<T> Drop for TellsEnd<T> {
    fn drop(&mut self) {
        self.0.change(|state| state.gone = true);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
