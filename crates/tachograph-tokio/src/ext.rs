//! Tokio's own types with traced ways to start something.

use std::future::Future;
use std::panic::Location;

use tokio::runtime::{Handle, Runtime};
use tokio::task::{AbortHandle, JoinHandle, JoinSet, LocalSet};

use crate::spawn::{Back, closure, ours};
use crate::task::{TaskFuture, site};

/// A runtime's handle, and a runtime.
pub trait HandleExt {
    /// As `Handle::spawn`, traced as by [`crate::spawn`].
    #[track_caller]
    fn spawn_traced<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// As `Handle::spawn_blocking`, traced as by [`crate::spawn_blocking`].
    #[track_caller]
    fn spawn_blocking_traced<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static;

    /// As `Handle::block_on`, traced as by [`crate::block_on`].
    #[track_caller]
    fn block_on_traced<F: Future>(&self, future: F) -> F::Output;
}

impl HandleExt for Handle {
    fn spawn_traced<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let task = TaskFuture::new(future, Location::caller());
        ours(|| self.spawn(task))
    }

    fn spawn_blocking_traced<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.spawn_blocking(closure(f, site::<F>(Location::caller())))
    }

    fn block_on_traced<F: Future>(&self, future: F) -> F::Output {
        let location = Location::caller();
        let _back = Back::new();
        self.block_on(TaskFuture::new(future, location))
    }
}

impl HandleExt for Runtime {
    fn spawn_traced<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle().spawn_traced(future)
    }

    fn spawn_blocking_traced<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.handle().spawn_blocking_traced(f)
    }

    fn block_on_traced<F: Future>(&self, future: F) -> F::Output {
        // N.B. Not the handle's, which would not drive a current-thread runtime.
        let location = Location::caller();
        let _back = Back::from(self);
        self.block_on(TaskFuture::new(future, location))
    }
}

/// A set of tasks that are joined together.
pub trait JoinSetExt<T> {
    /// As `JoinSet::spawn`, traced as by [`crate::spawn`].
    #[track_caller]
    fn spawn_traced<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send;

    /// As `JoinSet::spawn_on`, traced as by [`crate::spawn`].
    #[track_caller]
    fn spawn_traced_on<F>(&mut self, future: F, handle: &Handle) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send;

    /// As `JoinSet::spawn_local`, traced as by [`crate::spawn_local`].
    #[track_caller]
    fn spawn_local_traced<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static;

    /// As `JoinSet::spawn_local_on`, traced as by [`crate::spawn_local`].
    #[track_caller]
    fn spawn_local_traced_on<F>(&mut self, future: F, local_set: &LocalSet) -> AbortHandle
    where
        F: Future<Output = T> + 'static;

    /// As `JoinSet::spawn_blocking`, traced as by [`crate::spawn_blocking`].
    #[track_caller]
    fn spawn_blocking_traced<F>(&mut self, f: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send;

    /// As `JoinSet::spawn_blocking_on`, traced as by [`crate::spawn_blocking`].
    #[track_caller]
    fn spawn_blocking_traced_on<F>(&mut self, f: F, handle: &Handle) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send;
}

impl<T: 'static> JoinSetExt<T> for JoinSet<T> {
    fn spawn_traced<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        let task = TaskFuture::new(future, Location::caller());
        ours(|| self.spawn(task))
    }

    fn spawn_traced_on<F>(&mut self, future: F, handle: &Handle) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        let future = TaskFuture::new(future, Location::caller());
        ours(|| self.spawn_on(future, handle))
    }

    fn spawn_local_traced<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        let task = TaskFuture::new(future, Location::caller());
        ours(|| self.spawn_local(task))
    }

    fn spawn_local_traced_on<F>(&mut self, future: F, local_set: &LocalSet) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        let task = TaskFuture::new(future, Location::caller());
        ours(|| self.spawn_local_on(task, local_set))
    }

    fn spawn_blocking_traced<F>(&mut self, f: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        self.spawn_blocking(closure(f, site::<F>(Location::caller())))
    }

    fn spawn_blocking_traced_on<F>(&mut self, f: F, handle: &Handle) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        self.spawn_blocking_on(closure(f, site::<F>(Location::caller())), handle)
    }
}

/// A set of tasks that stay on one thread.
pub trait LocalSetExt {
    /// As `LocalSet::spawn_local`, traced as by [`crate::spawn_local`].
    #[track_caller]
    fn spawn_local_traced<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static;
}

impl LocalSetExt for LocalSet {
    fn spawn_local_traced<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let task = TaskFuture::new(future, Location::caller());
        ours(|| self.spawn_local(task))
    }
}
