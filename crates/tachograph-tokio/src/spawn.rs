//! Tokio's ways to start something, each of them a task of the trace. Handles, outputs, panics and cancellation are Tokio's own.

use std::future::Future;
use std::panic::Location;

use tachograph_recorder::runtime::{
    TaskName, TracedTask, thread_drives, thread_rests, thread_returns,
};
use tokio::runtime::{Runtime, RuntimeFlavor};
use tokio::task::JoinHandle;

use crate::task::{TaskFuture, site};

/// As `tokio::spawn`. The task's name is its future's type and the caller's place; `future.traced("name").spawn()` gives it another.
///
/// Costs about 0.3 us more than `tokio::spawn` while recording, most of it the caller's stack; 70 ns while not.
///
/// # Panics
/// As `tokio::spawn`: outside of a runtime.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let task = TaskFuture::new(future, Location::caller());
    ours(|| tokio::spawn(task))
}

/// As `tokio::task::spawn_local`.
///
/// # Panics
/// As `tokio::task::spawn_local`: outside of a `LocalSet`.
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let task = TaskFuture::new(future, Location::caller());
    ours(|| tokio::task::spawn_local(task))
}

/// As `tokio::task::spawn_blocking`: the closure is a task, runnable until a thread of the pool has time for it.
///
/// # Panics
/// As `tokio::task::spawn_blocking`: outside of a runtime.
#[track_caller]
pub fn spawn_blocking<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    tokio::task::spawn_blocking(closure(f, site::<F>(Location::caller())))
}

/// A closure that is a task of the trace, created by the caller.
#[inline(always)]
pub(crate) fn closure<F, T>(f: F, name: TaskName) -> impl FnOnce() -> T + Send + 'static
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let closure = Closure {
        task: Some(TracedTask::spawn(name)),
        f: Some(f),
    };
    move || {
        let _rest = Rest;
        closure.call()
    }
}

/// Dropped before it is called, it drops what the closure holds as part of the task.
struct Closure<F> {
    /// Both of them until it is called.
    task: Option<TracedTask>,
    f: Option<F>,
}

impl<F> Closure<F> {
    #[inline(always)]
    fn call<T>(mut self) -> T
    where
        F: FnOnce() -> T,
    {
        let (Some(task), Some(f)) = (self.task.take(), self.f.take()) else {
            unreachable!("a closure is called once");
        };
        task.run(f)
    }
}

impl<F> Drop for Closure<F> {
    fn drop(&mut self) {
        if let (Some(task), Some(f)) = (&mut self.task, self.f.take()) {
            task.drop_with(|| drop(f));
        }
    }
}

/// The pool's thread has no task when this is dropped.
struct Rest;

impl Drop for Rest {
    fn drop(&mut self) {
        thread_rests();
    }
}

/// As `tokio::task::block_in_place`: a blocking section of the task, whose worker's slot goes on with another thread.
///
/// # Panics
/// As `tokio::task::block_in_place`: on a current-thread runtime.
pub fn block_in_place<F, T>(f: F) -> T
where
    F: FnOnce() -> T,
{
    tachograph_recorder::blocking("block_in_place", || tokio::task::block_in_place(f))
}

/// As `Runtime::block_on`: the future is a task, for which the calling thread's own flow waits.
///
/// # Panics
/// As `Runtime::block_on`: inside of a runtime.
#[track_caller]
pub fn block_on<F: Future>(runtime: &Runtime, future: F) -> F::Output {
    let location = Location::caller();
    let _back = Back::from(runtime);
    runtime.block_on(TaskFuture::new(future, location))
}

/// Spawns what is traced already, past the hooks for what is not.
#[track_caller]
#[inline(always)]
pub(crate) fn ours<T>(spawn: impl FnOnce() -> T) -> T {
    #[cfg(tokio_unstable)]
    return crate::others::ours(spawn);
    #[cfg(not(tokio_unstable))]
    spawn()
}

/// The thread goes to a runtime, and is its own again when this is dropped.
pub(crate) struct Back(());

impl Back {
    /// To one that another thread may drive.
    pub(crate) fn new() -> Self {
        Self(())
    }

    /// To one that the thread drives if no other does.
    pub(crate) fn from(runtime: &Runtime) -> Self {
        if runtime.handle().runtime_flavor() == RuntimeFlavor::CurrentThread {
            thread_drives();
        }
        Self(())
    }
}

impl Drop for Back {
    fn drop(&mut self) {
        thread_returns();
    }
}
