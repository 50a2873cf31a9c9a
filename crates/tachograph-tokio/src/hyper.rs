//! hyper spawns what it needs through an executor: ours traces it.

use std::future::Future;

use crate::spawn::ours;
use crate::task::TaskFuture;

/// `hyper::rt::Executor` on the current Tokio runtime, traced as by [`crate::spawn`]; a task's name is its future's type alone, without the
/// place in hyper that spawns it.
#[derive(Clone, Copy, Debug, Default)]
pub struct HyperExecutor;

impl<F> hyper::rt::Executor<F> for HyperExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        let task = TaskFuture::named(future);
        drop(ours(|| tokio::spawn(task)));
    }
}
