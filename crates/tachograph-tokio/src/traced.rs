//! `future.traced("name")`: a named task where it is spawned, a region where it is part of a task.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tachograph_recorder::runtime::{HeldRegion, TracedTask, runs_task};
use tokio::task::JoinHandle;

use crate::named;
use crate::spawn::ours;
use crate::task::{TaskFuture, given, poll_and_drop};

/// Names futures.
pub trait FutureExt: Future + Sized {
    /// Names the future in traces. Spawned (by [`Traced::spawn`], or as it is by any executor), it is a task of that name. Polled as a
    /// part of a task (awaited, in `join!` or `select!`) it is a region of that task, from its first poll to its end, over all awaits.
    fn traced(self, name: impl Into<Cow<'static, str>>) -> Traced<Self> {
        named::register::<Traced<Self>>();
        Traced {
            head: Head {
                name: name.into(),
                state: State::New,
            },
            future: Some(self),
        }
    }
}

impl<F: Future> FutureExt for F {}

pin_project! {
    /// See [`FutureExt::traced`].
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    // N.B. `named` finds the head at the beginning.
    #[repr(C)]
    pub struct Traced<F> {
        head: Head,
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for Traced<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            match &mut this.head.state {
                State::Task(task) if this.future.is_some() => {
                    task.drop_with(|| this.future.set(None));
                }
                // Before the region that it is: what is named inside of it ends first.
                _ => this.future.set(None),
            }
        }
    }
}

/// All of a traced future but the future.
#[derive(Debug)]
pub(crate) struct Head {
    name: Cow<'static, str>,
    state: State,
}

// What `named` counts on.
const _: () = assert!(std::mem::offset_of!(Traced<std::future::Ready<()>>, head) == 0);

/// What the future has turned out to be.
#[derive(Debug)]
enum State {
    New,
    /// A task of its own.
    Task(TracedTask),
    /// A region of a task.
    Part(HeldRegion),
    /// All of a task, which has its name.
    Whole,
}

impl Head {
    /// Gives the name to the task that is all this future. None if it has been polled.
    pub(crate) fn give_name(&mut self) -> Option<Cow<'static, str>> {
        match self.state {
            State::New => {
                self.state = State::Whole;
                Some(std::mem::take(&mut self.name))
            }
            _ => None,
        }
    }
}

impl<F: Future> Traced<F> {
    /// Spawns the future on the current runtime as a task of this name.
    ///
    /// # Panics
    /// As `tokio::spawn`: outside of a runtime.
    #[track_caller]
    pub fn spawn(self) -> JoinHandle<F::Output>
    where
        F: Send + 'static,
        F::Output: Send + 'static,
    {
        let task = self.into_task();
        ours(|| tokio::spawn(task))
    }

    /// Spawns the future on the current `LocalSet` as a task of this name.
    ///
    /// # Panics
    /// As `tokio::task::spawn_local`: outside of a `LocalSet`.
    #[track_caller]
    pub fn spawn_local(self) -> JoinHandle<F::Output>
    where
        F: 'static,
        F::Output: 'static,
    {
        let task = self.into_task();
        ours(|| tokio::task::spawn_local(task))
    }

    /// The future as a task, created by the caller, for `JoinSet`s and executors of any kind.
    pub fn into_task(mut self) -> impl Future<Output = F::Output> + use<F> {
        let name = given(std::mem::take(&mut self.head.name));
        TaskFuture::of(self.future.take(), name)
    }
}

impl<F: Future> Future for Traced<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let (head, mut future) = (this.head, this.future);
        if let State::New = head.state {
            let name = std::mem::take(&mut head.name);
            head.state = match runs_task() {
                true => State::Part(HeldRegion::begin(name)),
                false => State::Task(TracedTask::spawn(given(name))),
            };
        }
        match &mut head.state {
            State::Task(task) => task.poll(cx, |cx| poll_and_drop(&mut future, cx)),
            State::Part(region) => {
                let polled = poll_and_drop(&mut future, cx);
                if polled.is_ready() {
                    region.end();
                }
                polled
            }
            State::New | State::Whole => poll_and_drop(&mut future, cx),
        }
    }
}
