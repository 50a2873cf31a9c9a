//! hyper spawns what it needs through an executor: ours traces it.

use std::future::Future;
use std::panic::Location;

use crate::spawn::ours;
use crate::task::TaskFuture;

/// `hyper::rt::Executor` on the current Tokio runtime, traced as by [`crate::spawn`].
#[derive(Clone, Copy, Debug, Default)]
pub struct HyperExecutor;

impl<F> hyper::rt::Executor<F> for HyperExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        let task = TaskFuture::new(future, Location::caller());
        drop(ours(|| tokio::spawn(task)));
    }
}
