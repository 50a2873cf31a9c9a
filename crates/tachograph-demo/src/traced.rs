//! How the demonstration asks for a runtime, a task, a blocking section: one door to what Tachograph has for Tokio.
//!
//! Owns nothing. All of `service` goes through it, so that which of Tokio's functions are traced, and by whom, is said once.
//! What is here goes straight to Tokio; only user tasks are in the trace.

use std::borrow::Cow;
use std::future::Future;
use std::pin::pin;
use tachograph::Task;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// Lets a runtime's workers say when they run and rest.
pub fn instrument(builder: &mut Builder) -> &mut Builder {
    builder
}

/// Spawns a task on the runtime around.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(future)
}

/// Runs a closure that blocks on a thread for such.
pub fn spawn_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    tokio::task::spawn_blocking(work)
}

/// Runs a closure that blocks on this thread, which hands its place as a worker to another.
pub fn block_in_place<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}

/// Runs a future on the calling thread.
pub fn block_on<F: Future>(runtime: &Runtime, future: F) -> F::Output {
    runtime.block_on(future)
}

/// Names futures.
pub trait FutureExt: Future + Sized {
    /// The name of the task that is spawned with this future; inside a task, of a region.
    fn traced(self, _name: impl Into<Cow<'static, str>>) -> Self {
        self
    }
}

impl<F: Future> FutureExt for F {}

/// Runs a future as a part of a user task, which ends with it.
pub async fn in_task<F: Future>(task: Task, future: F) -> F::Output {
    let mut future = pin!(future);
    // Regions belong to threads, so each poll has its own; what is logged within belongs to the task.
    std::future::poll_fn(|context| {
        let _region = task.region("poll");
        future.as_mut().poll(context)
    })
    .await
}

/// Spawns what hyper wants to have run.
#[derive(Clone, Copy, Debug, Default)]
pub struct HyperExecutor;

impl<F> hyper::rt::Executor<F> for HyperExecutor
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, future: F) {
        spawn(future);
    }
}
