//! A task's polls: it begins to run on this thread, and waits, yields or ends there.
//!
//! Called by integrations of async runtimes through `TracedTask`, by `spawn` for threads. The hot path besides regions: a poll is two
//! critical sections of one event each.
//!
//! # Rules (continuing `section` and `task_word`)
//! 1. Whatever ran on the thread makes way before the task's GoStart, and runs again after the task's last event of the poll: a task
//!    that polls another is stopped meanwhile, and so is whoever drops one; a thread's own flow that polls is blocked until the thread has
//!    something to say for itself; between a runtime's tasks nothing runs.
//! 2. What runs on the thread (`Owner::flow`) is kept up whether or not something is recorded, by whoever recorded the poll's begin.
//! 3. A poll whose begin could not be recorded says nothing at its end either (`task_word` rule 6).
//! 4. A task that ends without completing says why: a label before GoDestroy.

use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::task::{Context, Poll};

use tachograph_unwind::Registers;
use tachograph_wire::EventKind;

use crate::classify::{AWAIT, DROPPED};
use crate::core::{CORE, aside, bound, this_thread};
use crate::flow::{Interrupted, NO_STACK};
use crate::package::StackKind;
use crate::record::{Flow, ThreadRecord};
use crate::section::{Need, Section};
use crate::stack::{EventStack, NO_POLL};
use crate::sync::Arc;
use crate::task_word::{Doing, Tried};
use crate::tasks::{TaskName, TaskRecord};
use crate::{wake, worker};

/// Events of the longest way into a poll: what ran makes way, the task is stated, unblocked, started.
const BEGIN_EVENTS: usize = 6;

/// A task of the trace, held by whoever polls or runs it. Dropping it ends the task.
#[derive(Debug)]
pub struct TracedTask(Arc<TaskRecord>);

thread_local! {
    /// Polls on this thread whose begin was not recorded.
    static UNRECORDED: Cell<u32> = const { Cell::new(0) };
}

/// Whether the calling thread is in a poll whose begin was not recorded.
pub(crate) fn is_unrecorded() -> bool {
    UNRECORDED.get() > 0
}

/// Whether the calling thread is in some task's poll.
#[must_use]
pub fn runs_task() -> bool {
    UNRECORDED.get() > 0 || bound().is_some_and(runs_recorded_task)
}

fn runs_recorded_task(record: &'static ThreadRecord) -> bool {
    // SAFETY: own thread; the reference ends here.
    record.flag.is_clear() && matches!(unsafe { record.owner() }.flow, Flow::Task(_))
}

impl Why {
    #[inline(always)]
    fn stack_pointer(self) -> u64 {
        match self {
            Self::Poll(stack_pointer) => stack_pointer,
            Self::Drop => NO_POLL,
        }
    }
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
    /// Costs some 20 ns with its wake while nothing is recorded: what the task does is known to a recording that begins later.
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
        run.finish(|run| run.end_with(End::Dropped));
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

/// A poll that has begun. Dropped by a panic, it ends the task.
#[must_use]
struct Run<'a> {
    task: &'a TaskRecord,
    /// None where the begin was not recorded (rule 3).
    began: Option<Began>,
}

/// Why a task gets a thread.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    /// To go on; the stack pointer of whoever polls.
    Poll(u64),
    /// To be dropped, by whoever runs there.
    Drop,
}

/// How a task ends.
#[derive(Clone, Copy)]
enum End {
    Done,
    Panicked,
    Dropped,
}

/// A poll whose begin was recorded.
#[derive(Debug)]
struct Began {
    record: &'static ThreadRecord,
    /// What made way and runs again afterwards; none between a runtime's tasks.
    outer: Option<Box<Outer>>,
}

#[derive(Debug)]
struct Outer {
    interrupted: Interrupted,
    /// Of its regions.
    base: usize,
    /// The poll that it is in.
    poll: u64,
}

impl<'a> Run<'a> {
    #[inline(always)]
    fn begin(task: &'a TaskRecord, why: Why) -> Self {
        let began = match CORE.gate.is_on() {
            true => this_thread().and_then(|record| {
                Self::say_plain_begin(record, task, why)
                    .or_else(|| Self::say_any_begin(record, task, why))
            }),
            false => None,
        };
        if began.is_none() {
            let _ = task.word.unsaid(|doing| match doing {
                Doing::Waiting | Doing::Runnable => Some(Doing::Running),
                Doing::Running | Doing::RunningWoken | Doing::Dead => None,
            });
            UNRECORDED.set(UNRECORDED.get() + 1);
        }
        Self { task, began }
    }

    /// Between a runtime's tasks, for a task that is known and to be polled.
    #[inline(always)]
    fn say_plain_begin(
        record: &'static ThreadRecord,
        task: &TaskRecord,
        why: Why,
    ) -> Option<Began> {
        let mut section = Section::begin_between(record)?;
        let number = task.word.start_plainly(section.generation)?;
        section.write(EventKind::GoStart, [task.id, number]);
        section.runs(task);
        record.shared.coverage.poll_begins(section.now);
        section.enter_poll(task, why.stack_pointer());
        Some(Began {
            record,
            outer: None,
        })
    }

    #[cold]
    #[inline(never)]
    fn say_any_begin(record: &'static ThreadRecord, task: &TaskRecord, why: Why) -> Option<Began> {
        loop {
            let mut section = Section::begin_for(record, Need::Proc, BEGIN_EVENTS)?;
            let name = section.name_if_due(task)?;
            let tried = task.word.start(section.generation);
            match tried {
                Tried::Changed(_) => {}
                Tried::Later => continue,
                // It has ended; or it runs elsewhere to the trace, on a thread that has fallen silent (rule 3).
                Tried::Unchanged(_) | Tried::Silent(_) => return None,
            }
            let interrupted = match section.owner.flow {
                Flow::Runtime => Interrupted::RUNTIME,
                _ => make_way(&mut section, why),
            };
            section.write_run(task, tried, name);
            let (base, poll) = section.enter_poll(task, why.stack_pointer());
            let nested = interrupted.flow() != Flow::Runtime;
            if !nested {
                record.shared.coverage.poll_begins(section.now);
            }
            drop(section);
            let outer = nested.then(|| {
                aside(|| {
                    Box::new(Outer {
                        interrupted,
                        base,
                        poll,
                    })
                })
            });
            return Some(Began { record, outer });
        }
    }

    /// The poll returned `Pending`.
    #[inline(always)]
    fn pause(self) {
        self.finish(|run| {
            let said = run.began.as_ref().and_then(|began| run.say_pause(began));
            run.leave_place();
            if said.is_none() {
                run.unsaid(|doing| match doing {
                    Doing::RunningWoken => Some(Doing::Runnable),
                    _ => Some(Doing::Waiting),
                });
            }
        });
    }

    /// Ends the poll by `how`, and not as a panic does.
    #[inline(always)]
    fn finish(self, how: impl FnOnce(&Self)) {
        let mut run = ManuallyDrop::new(self);
        how(&run);
        drop(run.began.take());
    }

    #[inline(always)]
    fn say_pause(&self, began: &Began) -> Option<()> {
        let mut section = Section::begin(began.record)?;
        section.stay_outside();
        // First what may fail.
        let (stack, word) = section.await_stack()?;
        // A wake that comes between here and the change makes a wait a yield: its reason is then what it would have waited for.
        let reason = match (self.task.word.doing(), word) {
            (Doing::RunningWoken, _) => section.name(YIELD)?,
            (_, 0) => section.name(AWAIT)?,
            (_, word) => word,
        };
        let yields = match self.task.word.pause_plainly(section.generation) {
            Some(yields) => Some(yields),
            None => self.pause_anyhow(section.generation),
        };
        match yields {
            Some(true) => section.write(EventKind::GoStop, [reason, stack]),
            Some(false) => section.write(EventKind::GoBlock, [reason, stack]),
            None => {}
        }
        self.give_way(&mut section, began);
        Some(())
    }

    /// Whether the task yields, if that has to be said.
    #[cold]
    fn pause_anyhow(&self, generation: u64) -> Option<bool> {
        match self.task.word.pause(generation) {
            Tried::Changed(change) => Some(change.was == Doing::RunningWoken),
            _ => None,
        }
    }

    /// The poll returned `Ready`.
    #[inline(always)]
    fn end(self) {
        self.finish(|run| run.end_with(End::Done));
    }

    fn end_with(&self, end: End) {
        let began = self.began.as_ref();
        let said = began.and_then(|began| self.say_end(began, end));
        self.leave_place();
        if said.is_none() {
            self.unsaid(|_| Some(Doing::Dead));
        }
        CORE.tasks.remove(self.task);
    }

    fn say_end(&self, began: &Began, end: End) -> Option<()> {
        let mut stack = EventStack::none();
        if let End::Dropped = end {
            stack.capture_end(began.record);
        }
        let mut section = Section::begin(began.record)?;
        section.stay_outside();
        let label = match end {
            End::Done => 0,
            End::Panicked => section.name(PANICKED)?,
            End::Dropped => match section.telling_stack(StackKind::End, stack.pcs())? {
                (_, 0) => section.name(DROPPED)?,
                (_, word) => word,
            },
        };
        if label != 0 {
            section.write(EventKind::GoLabel, [label]);
        }
        if !section.more(1) {
            return None;
        }
        if let Tried::Changed(_) = self.task.word.end(section.generation) {
            section.write(EventKind::GoDestroy, []);
        }
        self.give_way(&mut section, began);
        Some(())
    }

    /// Rule 1.
    #[inline(always)]
    fn give_way(&self, section: &mut Section, began: &Began) {
        // SAFETY: this thread polls the task.
        let left = unsafe { self.task.regions() };
        match &began.outer {
            None => {
                section.owner.leave_poll(left, 0, NO_POLL);
                section.record.shared.coverage.poll_ends(section.now);
                section.nothing_runs();
            }
            Some(outer) => {
                section.owner.leave_poll(left, outer.base, outer.poll);
                go_on(section, outer.interrupted);
            }
        }
    }

    /// A thread that has lost its place as a worker has no use for a slot behind the poll.
    #[inline(always)]
    fn leave_place(&self) {
        if let Some(began) = &self.began {
            // SAFETY: own thread, outside of a critical section; the reference ends here.
            let lost = unsafe { began.record.owner() }.lost_slot;
            if lost {
                worker::leave_place(began.record);
            }
        }
    }

    /// Rules 2 and 3.
    #[cold]
    fn unsaid(&self, next: impl Fn(Doing) -> Option<Doing>) {
        let _ = self.task.word.unsaid(next);
        let Some(began) = &self.began else {
            UNRECORDED.set(UNRECORDED.get() - 1);
            return;
        };
        if began.record.flag.is_clear() {
            // SAFETY: own thread, outside of a critical section; the reference ends here.
            let owner = unsafe { began.record.owner() };
            // SAFETY: this thread polls the task.
            let left = unsafe { self.task.regions() };
            let (base, poll, flow) = match &began.outer {
                None => (0, NO_POLL, Flow::Runtime),
                Some(outer) => (outer.base, outer.poll, outer.interrupted.flow()),
            };
            owner.leave_poll(left, base, poll);
            owner.flow = flow;
        }
    }
}

impl Drop for Run<'_> {
    #[cold]
    fn drop(&mut self) {
        self.end_with(End::Panicked);
    }
}

const YIELD: &str = "yield";
const PANICKED: &str = "panicked";
const INSIDE: &str = "task inside";
const RUNTIME: &str = "block_on";

/// Rule 1.
#[cold]
fn make_way(section: &mut Section, why: Why) -> Interrupted {
    section.stay_outside();
    if section.owner.flow == Flow::Own && why != Why::Drop {
        let reason = section.name(RUNTIME).unwrap_or_default();
        section.block_own(reason, NO_STACK);
        return Interrupted::RUNTIME;
    }
    let reason = section.name(INSIDE).unwrap_or_default();
    section.interrupt(reason)
}

/// Rule 1.
#[cold]
fn go_on(section: &mut Section, interrupted: Interrupted) {
    if !section.more(4) {
        // Rule 2. What was polled may be gone any time.
        section.nothing_runs();
        section.owner.flow = interrupted.flow();
        return;
    }
    section.resume(interrupted);
    if section.owner.blocking > 0 {
        section.begin_blocking(NO_STACK);
    }
}
