//! A task as integrations of async runtimes hold it: created, polled, dropped.
//!
//! What its polls say is `poll`'s.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::task::{Context, Poll};

use tachograph_unwind::Registers;
use tachograph_wire::EventKind;

use crate::core::{CORE, bound, this_thread};
use crate::package::StackKind;
use crate::poll::{Began, Run, Why, is_unrecorded};
use crate::record::{Flow, ThreadRecord};
use crate::section::{Need, Section};
use crate::stack::{EventStack, NO_POLL};
use crate::sync::Arc;
use crate::task_word::{Doing, Tried};
use crate::tasks::{TaskName, TaskRecord};
use crate::wake;

/// A task of the trace, held by whoever polls or runs it. Dropping it ends the task.
#[derive(Debug)]
pub struct TracedTask(Arc<TaskRecord>);

/// Whether the calling thread is in some task's poll.
#[must_use]
pub fn runs_task() -> bool {
    is_unrecorded() || bound().is_some_and(runs_recorded_task)
}

fn runs_recorded_task(record: &'static ThreadRecord) -> bool {
    // SAFETY: own thread; the reference ends here.
    record.flag.is_clear() && matches!(unsafe { record.owner() }.flow, Flow::Task(_))
}

impl TracedTask {
    /// A new task, runnable, created by the caller with its stack. Known to later recordings, too, if nothing is recorded now.
    ///
    /// Costs an allocation and a place in a list; while recording one stack walk and 30 ns more.
    #[must_use]
    #[inline(never)]
    pub fn spawn(name: TaskName) -> Self {
        if CORE.gate.is_on()
            && let Some(record) = this_thread()
        {
            let creator = EventStack::capture(record);
            return Self::created(record, name, creator.pcs());
        }
        Self(TaskRecord::register(name, Doing::Runnable))
    }

    /// A new task, created by the calling thread.
    pub(crate) fn created(record: &'static ThreadRecord, name: TaskName, creator: &[u64]) -> Self {
        let task = TaskRecord::register(name, Doing::Runnable);
        say_creation(record, &task, creator);
        Self(task)
    }

    /// The task's number in the trace.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// Polls the task: `f` is given a waker of ours, which has `cx`'s wake the task and records the wake.
    ///
    /// Costs 20 to 50 ns with its wake while nothing is recorded, some 90 while something is and 150 with stacks in a build with frame pointers: what the task does is known to a recording that begins later.
    #[inline]
    pub fn poll<T>(
        &mut self,
        cx: &Context<'_>,
        f: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.0.outer.set(cx.waker());
        let waker = wake::borrowed(&self.0);
        let run = Run::begin(&self.0, Why::Poll(Registers::capture().sp));
        let polled = f(&mut Context::from_waker(&waker));
        match polled {
            Poll::Pending => run.pause(),
            Poll::Ready(_) => run.end(),
        }
        polled
    }

    /// Runs the task to its end on this thread: a closure.
    pub fn run<T>(self, f: impl FnOnce() -> T) -> T {
        let run = Run::begin(&self.0, Why::Poll(Registers::capture().sp));
        let result = f();
        run.end();
        result
    }

    /// The task ends unfinished: `f` drops what it consists of, as the last thing that it does.
    #[cold]
    pub fn drop_with(&mut self, f: impl FnOnce()) {
        if self.0.word.doing() == Doing::Dead {
            // Its last poll panicked.
            return f();
        }
        let run = Run::begin(&self.0, Why::Drop);
        f();
        run.drop_task();
    }

    /// A poll that others do begins on this thread: see [`Entered`].
    ///
    /// # Safety
    /// * The poll ends on this thread, and polls on a thread end in the reverse order of their beginnings: those that [`Self::poll`] and
    ///   [`Self::run`] make are among them.
    pub unsafe fn enter(self) -> Entered {
        let mut run = ManuallyDrop::new(Run::begin(&self.0, Why::Poll(NO_POLL)));
        let began = run.began.take();
        Entered {
            task: Some(self),
            began,
            _not_send: PhantomData,
        }
    }

    /// The record, for a thread whose own flow this is to be.
    pub(crate) fn into_record(self) -> Arc<TaskRecord> {
        let handle = ManuallyDrop::new(self);
        // SAFETY: read once; the handle is not dropped.
        unsafe { std::ptr::read(&handle.0) }
    }
}

impl Drop for TracedTask {
    #[inline]
    fn drop(&mut self) {
        if self.0.word.doing() != Doing::Dead {
            self.drop_with(|| {});
        }
    }
}

/// A poll between two hooks of a runtime, without a waker of ours: of a task that somebody else has wrapped. Dropped, it ends the task.
#[must_use = "the poll ends on this thread"]
#[derive(Debug)]
pub struct Entered {
    /// None once the poll has ended.
    task: Option<TracedTask>,
    began: Option<Began>,
    _not_send: PhantomData<*const ()>,
}

impl Entered {
    /// The task is to be polled again, some time.
    #[must_use = "a task that is dropped ends"]
    pub fn pause(mut self) -> Option<TracedTask> {
        self.finish(|run| run.pause())
    }

    /// The task is done.
    pub fn end(mut self) {
        drop(self.finish(|run| run.end()));
    }

    fn finish(&mut self, how: impl FnOnce(Run<'_>)) -> Option<TracedTask> {
        let task = self.task.take()?;
        how(Run {
            task: &task.0,
            began: self.began.take(),
        });
        Some(task)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // As a poll that panics.
        drop(self.finish(|run| drop(run)));
    }
}

fn say_creation(record: &'static ThreadRecord, task: &TaskRecord, creator: &[u64]) -> Option<()> {
    // SAFETY: own thread; the reference ends here.
    let is_worker = record.flag.is_clear() && unsafe { record.owner() }.pool.is_some();
    let need = match is_worker {
        // Between its tasks the runtime creates, or a task that nobody traces.
        true => Need::Proc,
        // A thread that has driven a runtime is its own again.
        false => Need::Task,
    };
    let mut section = Section::begin_for(record, need, 1)?;
    let name = section.task_name(task)?;
    let (stack, _) = section.telling_stack(StackKind::Spawn, creator)?;
    // `Unchanged` where the engine was faster: a run has just begun.
    if let Tried::Changed(_) = task.word.create(section.generation) {
        section.write(EventKind::GoCreate, [task.id, name, stack]);
    }
    Some(())
}
