//! Exactness under stress: what a program counts of its polls, wakes and completions is what the trace has, to the last one.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tachograph::Recorder;
use tachograph_e2e::record::{record, turn};
use tachograph_e2e::report::say;
use tachograph_e2e::tasks::{What, lives};
use tachograph_tokio::FutureExt;

/// As the program counts.
#[derive(Debug, Default)]
struct Counts {
    polls: AtomicU64,
    /// Wakes of a waker that a parked or parking task had left.
    wakes: AtomicU64,
    pending: AtomicU64,
    completions: AtomicU64,
}

/// A box of tokens that tasks throw to each other. Whoever finds none leaves a waker.
#[derive(Debug, Default)]
struct Mailbox(Mutex<(u64, Option<Waker>)>);

struct Receive<'a>(&'a Mailbox);

impl Mailbox {
    fn throw(&self, counts: &Counts) {
        let waker = {
            let mut state = self.0.lock().expect("no panics");
            state.0 += 1;
            state.1.take()
        };
        if let Some(waker) = waker {
            // Relaxed: read after everybody has been joined.
            counts.wakes.fetch_add(1, Ordering::Relaxed);
            waker.wake();
        }
    }
}

impl Future for Receive<'_> {
    type Output = u64;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u64> {
        let mut state = self.0.0.lock().expect("no panics");
        if state.0 > 0 {
            return Poll::Ready(std::mem::take(&mut state.0));
        }
        state.1 = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Counts its polls from the outside.
struct Counted<F>(F, Arc<Counts>);

impl<F: Future + Unpin> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.1.polls.fetch_add(1, Ordering::Relaxed);
        let polled = Pin::new(&mut self.0).poll(cx);
        match polled {
            Poll::Pending => self.1.pending.fetch_add(1, Ordering::Relaxed),
            Poll::Ready(_) => self.1.completions.fetch_add(1, Ordering::Relaxed),
        };
        polled
    }
}

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

const TASKS: usize = 64;

/// How long, and how often a task is slowed down so that a long run's events can still be held in memory: every so many turns, by 50 us.
#[derive(Clone, Copy)]
struct Run {
    time: Duration,
    breath: u64,
}

async fn play(me: usize, boxes: Arc<Vec<Mailbox>>, counts: Arc<Counts>, end: Instant, breath: u64) {
    let mut seed = me as u64 + 1;
    while Instant::now() < end {
        let tokens = Receive(&boxes[me]).await;
        if breath > 0 && random(&mut seed).is_multiple_of(breath) {
            // In the poll, which is one all the same.
            std::thread::sleep(Duration::from_micros(50));
        }
        for _ in 0..tokens.min(3) {
            boxes[random(&mut seed) as usize % TASKS].throw(&counts);
        }
        if random(&mut seed).is_multiple_of(7) {
            // It wakes itself, once.
            counts.wakes.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    }
    for other in boxes.iter() {
        other.throw(&counts);
    }
}

fn ping_pong(workers: usize, run: Run) -> Arc<Counts> {
    let counts = Arc::new(Counts::default());
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = tachograph_tokio::instrument(builder.worker_threads(workers))
        .build()
        .expect("a runtime");
    let end = Instant::now() + run.time;
    let boxes: Arc<Vec<Mailbox>> = Arc::new((0..TASKS).map(|_| Mailbox::default()).collect());
    let stop = Arc::new(AtomicBool::new(false));
    let outside = {
        let (boxes, counts, stop) = (boxes.clone(), counts.clone(), stop.clone());
        std::thread::spawn(move || {
            let mut seed = 99;
            while !stop.load(Ordering::Relaxed) {
                boxes[random(&mut seed) as usize % TASKS].throw(&counts);
                std::thread::sleep(Duration::from_micros(50));
            }
        })
    };
    let _context = runtime.enter();
    let tasks: Vec<_> = (0..TASKS)
        .map(|me| {
            let play = play(me, boxes.clone(), counts.clone(), end, run.breath);
            let play = Box::pin(play);
            Counted(play, counts.clone()).traced("player").spawn()
        })
        .collect();
    tachograph_tokio::block_on(&runtime, async {
        for task in tasks {
            task.await.expect("no panics");
        }
    });
    stop.store(true, Ordering::Relaxed);
    outside.join().expect("no panics");
    counts
}

#[test]
fn polls_wakes_and_completions_are_what_the_program_counts() {
    let _turn = turn();
    let run = match std::env::var_os("TACHOGRAPH_LONG") {
        Some(_) => Run {
            time: Duration::from_secs(10),
            breath: 10,
        },
        None => Run {
            time: Duration::from_millis(700),
            breath: 0,
        },
    };
    for period in [
        Duration::from_secs(1),
        Duration::from_millis(10),
        Duration::ZERO,
    ] {
        for workers in [1, 4] {
            let name = format!("ping-pong, {period:?}, {workers} workers");
            let recorder = Recorder::new()
                .generation_period(period)
                .memory_limit(1 << 30);
            let (counts, recorded) = record(&name, recorder, || ping_pong(workers, run));
            assert_eq!(
                (recorded.summary.gaps, recorded.summary.events_lost),
                (0, 0),
                "{name}"
            );
            let _ = recorded.verify();
            let lives = lives(&recorded.bytes);
            let players = || lives.values().filter(|life| life.name == "player");
            let sum = |what| players().map(|life| life.count(what)).sum::<u64>();
            say(format!(
                "{name}: {counts:?}, {} generations",
                recorded.summary.generations
            ));
            assert_eq!(players().count(), TASKS, "{name}");
            assert_eq!(
                sum(What::Start),
                counts.polls.load(Ordering::Relaxed),
                "{name}: polls"
            );
            let pending = sum(What::Block) + sum(What::Yield);
            assert_eq!(
                pending,
                counts.pending.load(Ordering::Relaxed),
                "{name}: pending"
            );
            assert_eq!(sum(What::Block), sum(What::Wake), "{name}: wakes of waits");
            let woken = sum(What::Wake) + sum(What::Yield);
            assert_eq!(woken, counts.wakes.load(Ordering::Relaxed), "{name}: wakes");
            assert_eq!(sum(What::End), TASKS as u64, "{name}: ends");
            assert_eq!(counts.completions.load(Ordering::Relaxed), TASKS as u64);
        }
    }
}
