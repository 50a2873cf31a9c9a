//! Annotations that follow a future over its awaits and threads: scopes of user tasks, and regions of the task that is polled.

use std::borrow::Cow;
use std::future::Future;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::annotate::{OFF, TaskHandle, end_region, make_room, region};
use crate::core::{CORE, bound, this_thread};
use crate::poll::is_unrecorded;
use crate::record::NO_TASK;
use crate::regions::{OpenRegion, SCOPE};
use crate::section::Section;
use crate::sync::Ordering;

/// A future as a part of a user task: see [`Task::run`](crate::Task::run).
#[must_use = "futures do nothing unless polled"]
#[derive(Debug)]
pub struct InTask<F> {
    task: TaskHandle,
    future: F,
}

impl<F> InTask<F> {
    pub(crate) fn new(task: TaskHandle, future: F) -> Self {
        Self { task, future }
    }
}

impl<F: Future> Future for InTask<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let task = self.task;
        // SAFETY: `future` is never moved out of a pinned `InTask`, which has no `Drop` and is `Unpin` only with it.
        let future = unsafe { self.map_unchecked_mut(|this| &mut this.future) };
        let _scope = Scope::enter(task);
        future.poll(cx)
    }
}

/// What has no user task of its own belongs to this one, on this thread, until the drop.
struct Scope {
    serial: u64,
    _not_send: PhantomData<*const ()>,
}

impl Scope {
    #[inline]
    fn enter(task: TaskHandle) -> Self {
        let serial = match CORE.gate.is_on() {
            true => begin_scope(task.current_id()).unwrap_or(OFF),
            false => OFF,
        };
        Self {
            serial,
            _not_send: PhantomData,
        }
    }
}

impl Drop for Scope {
    #[inline]
    fn drop(&mut self) {
        if self.serial != OFF {
            end_scope(self.serial);
        }
    }
}

/// A scope is an open region that the trace does not show.
fn begin_scope(task: u64) -> Option<u64> {
    let record = this_thread()?;
    make_room(record);
    let section = Section::begin(record)?;
    // As a begin's time would be: no event of the thread has it.
    section.owner.stamp.0 += 1;
    let serial = section.owner.stamp.0;
    section.owner.regions.push(OpenRegion {
        task,
        name: Cow::Borrowed(""),
        generation: section.generation,
        name_id: SCOPE,
        serial,
    });
    Some(serial)
}

fn end_scope(serial: u64) {
    let Some(record) = bound() else { return };
    if record.flag.is_clear() {
        // SAFETY: own thread, outside of a critical section.
        let regions = unsafe { &mut record.owner().regions };
        if let Some(depth) = regions.inside(serial) {
            regions.remove(depth);
        }
    }
}

/// A region of the task that is being polled, over all its polls until its end, whatever threads they are on.
#[must_use = "the region ends where its guard is dropped"]
#[derive(Debug)]
pub struct HeldRegion {
    serial: u64,
    /// The task it belongs to.
    task: u64,
}

impl HeldRegion {
    /// Begins a region in the task that runs on the calling thread.
    pub fn begin(name: impl Into<Cow<'static, str>>) -> Self {
        // In a poll that the trace does not have, it would be the thread's own, and stay.
        if is_unrecorded() {
            return Self {
                serial: OFF,
                task: NO_TASK,
            };
        }
        let region = ManuallyDrop::new(region(name));
        Self {
            serial: region.serial,
            task: current_task(),
        }
    }

    /// Ends it. Elsewhere than in its task nothing happens: it then ends with the task.
    pub fn end(&mut self) {
        let serial = std::mem::replace(&mut self.serial, OFF);
        if serial != OFF && self.task != NO_TASK && self.task == current_task() {
            end_region(serial);
        }
    }
}

impl Drop for HeldRegion {
    fn drop(&mut self) {
        self.end();
    }
}

/// The number of the task that runs on the calling thread, 0 for none.
fn current_task() -> u64 {
    // Relaxed: the thread's own.
    bound().map_or(NO_TASK, |record| {
        record.context.task.load(Ordering::Relaxed)
    })
}
