//! Where values come from: one worker behind a queue.
//!
//! Owns the channel to the worker and its way back. Called by `handlers` for a route of its own, and by `cache` for what is
//! missing there.

use super::work::{self, Digest};
use crate::traced::{self, FutureExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Questions on their way to the worker.
const ROOM: usize = 16;
/// Questions that the worker takes at a time.
const BATCH: usize = 8;

/// A way to the worker; it ends when the last one is dropped.
#[derive(Clone)]
pub struct Origin {
    jobs: mpsc::Sender<Job>,
}

/// The worker has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Closed;

struct Job {
    key: u64,
    reply: oneshot::Sender<Digest>,
}

impl Origin {
    /// Starts the worker; its handle gives how many questions it has answered.
    pub fn start() -> (Self, JoinHandle<u64>) {
        let (jobs, taken) = mpsc::channel(ROOM);
        let worker = traced::spawn(answer(taken).traced("origin"));
        (Self { jobs }, worker)
    }

    /// The value of a key.
    pub async fn ask(&self, key: u64) -> Result<Digest, Closed> {
        let (reply, answer) = oneshot::channel();
        self.jobs
            .send(Job { key, reply })
            .await
            .map_err(|_| Closed)?;
        answer.await.map_err(|_| Closed)
    }
}

async fn answer(mut jobs: mpsc::Receiver<Job>) -> u64 {
    let mut batch = Vec::with_capacity(BATCH);
    let mut answered = 0;
    while jobs.recv_many(&mut batch, BATCH).await > 0 {
        let _region = tachograph::region("batch");
        for Job { key, reply } in batch.drain(..) {
            // Who has stopped waiting needs no answer.
            let _ = reply.send(work::value_of(key));
            answered += 1;
        }
    }
    answered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_everybody_and_ends_when_nobody_can_ask() {
        let (origin, worker) = Origin::start();
        let asking: Vec<_> = (0..100)
            .map(|key| {
                let origin = origin.clone();
                tokio::spawn(async move { (key, origin.ask(key).await) })
            })
            .collect();
        drop(origin);
        for asked in asking {
            let (key, answer) = asked.await.unwrap();
            assert_eq!(answer, Ok(work::value_of(key)));
        }
        assert_eq!(worker.await.unwrap(), 100);
    }
}
