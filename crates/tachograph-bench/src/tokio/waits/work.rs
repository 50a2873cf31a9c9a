//! Tasks that do nothing but wait: yields, and pairs that wake each other from deep inside of nested futures.

use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::yield_now;

use super::meter::Meter;
use crate::tokio::lane::By;

/// What the tasks of a run do; one turn is one poll and one wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// They yield.
    Yield,
    /// They wake their partner and wait for it, below nested futures.
    PingPong,
}

type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Work {
    /// Runs so many tasks, each with so many turns.
    pub async fn run(self, by: By, tasks: usize, turns: usize, meter: Arc<Meter>) {
        let mut handles = Vec::with_capacity(tasks);
        match self {
            Self::Yield => {
                for _ in 0..tasks {
                    handles.push(by.spawn(yields(turns, Arc::clone(&meter))));
                }
            }
            Self::PingPong => {
                for _ in 0..tasks / 2 {
                    let bells = Arc::new([Notify::new(), Notify::new()]);
                    for side in 0..2 {
                        let player = play(side, Arc::clone(&bells), turns, Arc::clone(&meter));
                        handles.push(by.spawn(nested(Box::pin(player))));
                    }
                }
            }
        }
        for handle in handles {
            // A panic shows in the meter, which then never stops.
            let _ = handle.await;
        }
    }
}

async fn begin(meter: &Meter) {
    meter.arrive();
    while !meter.runs() {
        yield_now().await;
    }
}

async fn yields(turns: usize, meter: Arc<Meter>) {
    begin(&meter).await;
    for _ in 0..turns {
        yield_now().await;
    }
    meter.leave();
}

async fn play(side: usize, bells: Arc<[Notify; 2]>, turns: usize, meter: Arc<Meter>) {
    begin(&meter).await;
    let (own, other) = (&bells[side], &bells[1 - side]);
    if side == 0 {
        other.notify_one();
    }
    for turn in 0..turns {
        own.notified().await;
        // The first one began, so the second one ends.
        if side == 1 || turn + 1 < turns {
            other.notify_one();
        }
    }
    meter.leave();
}

/// One level, a function of its own: equal ones would be made one, and be dear only once to whoever walks them.
fn level<const N: usize>(inner: Boxed) -> Boxed {
    Box::pin(async move {
        inner.await;
        black_box(N);
    })
}

const LEVELS: [fn(Boxed) -> Boxed; 15] = [
    level::<0>,
    level::<1>,
    level::<2>,
    level::<3>,
    level::<4>,
    level::<5>,
    level::<6>,
    level::<7>,
    level::<8>,
    level::<9>,
    level::<10>,
    level::<11>,
    level::<12>,
    level::<13>,
    level::<14>,
];

fn nested(innermost: Boxed) -> Boxed {
    LEVELS.iter().fold(innermost, |inner, level| level(inner))
}
