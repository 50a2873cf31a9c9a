//! A future that is a task of the trace.

use std::any::type_name;
use std::borrow::Cow;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tachograph_recorder::runtime::{TaskName, TracedTask};

use crate::named;

pin_project! {
    /// See the module's text. Dropped before it is done, it drops its future as part of the task.
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub(crate) struct TaskFuture<F> {
        #[pin]
        future: Option<F>,
        task: TracedTask,
    }

    impl<F> PinnedDrop for TaskFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() {
                this.task.drop_with(|| this.future.set(None));
            }
        }
    }
}

impl<F> TaskFuture<F> {
    /// Creates the task, by the caller, under the future's own name or else its type and `location`.
    #[inline(always)]
    pub(crate) fn new(mut future: F, location: &'static Location<'static>) -> Self {
        let name = named::take(&mut future).unwrap_or_else(|| site::<F>(location));
        Self::of(Some(future), name)
    }

    /// Creates the task, by the caller, under the future's own name or else its type: where nobody knows who spawns it.
    #[cfg(feature = "hyper")]
    pub(crate) fn named(mut future: F) -> Self {
        let name = named::take(&mut future).unwrap_or_else(|| {
            // As in the names of sites.
            TaskName::Static(type_name::<F>().trim_end_matches("::{{closure}}"))
        });
        Self::of(Some(future), name)
    }

    /// Creates the task under a name. Without a future it can't be polled.
    #[inline(always)]
    pub(crate) fn of(future: Option<F>, name: TaskName) -> Self {
        Self {
            task: TracedTask::spawn(name),
            future,
        }
    }
}

impl<F: Future> Future for TaskFuture<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut future = this.future;
        this.task.poll(cx, |cx| poll_and_drop(&mut future, cx))
    }
}

/// Polls a future and drops it when it is done, as part of what polls it.
///
/// # Panics
/// When it has been dropped.
#[inline(always)]
pub(crate) fn poll_and_drop<F: Future>(
    future: &mut Pin<&mut Option<F>>,
    cx: &mut Context<'_>,
) -> Poll<F::Output> {
    let Some(running) = future.as_mut().as_pin_mut() else {
        panic!("a traced future is polled after its end");
    };
    let polled = running.poll(cx);
    if polled.is_ready() {
        future.set(None);
    }
    polled
}

/// The name of a task without one: its type, and where it was spawned.
#[inline(always)]
pub(crate) fn site<F>(location: &'static Location<'static>) -> TaskName {
    TaskName::Site(type_name::<F>, location)
}

/// A name that was given.
pub(crate) fn given(name: Cow<'static, str>) -> TaskName {
    match name {
        Cow::Borrowed(name) => TaskName::Static(name),
        Cow::Owned(name) => TaskName::Owned(name.into()),
    }
}
