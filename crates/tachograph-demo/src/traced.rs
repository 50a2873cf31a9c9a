//! How the demonstration asks for a runtime, a task, a blocking section: one door to what Tachograph has for Tokio.
//!
//! Owns nothing. All of `service` goes through it, so that which of Tokio's functions are traced is said once.

use std::future::Future;

use tachograph::Task;

pub use tachograph::tokio::{HyperExecutor, Instrument, block_on};
pub use tachograph::{FutureExt, block_in_place, spawn, spawn_blocking};

/// Runs a future as a part of a user task, which ends with it.
pub async fn in_task<F: Future>(task: Task, future: F) -> F::Output {
    task.run(future).await
}
