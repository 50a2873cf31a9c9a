//! Which event may be next: a model of the scheduler that every event must fit.
//!
//! Owns the state of all threads, procs, tasks, annotation tasks and of the collector, over the whole trace. Called by
//! `frontier`'s owner, the reader, with one candidate at a time. The rooms below hold one family of events each; the rules are those of
//! the ordering notes, §4 to §9, and the comments name them.
//!
//! # Protocol
//! 1. [`Model::advance`] with [`Step::NotYet`] has changed nothing that an event can see; the candidate may be offered again.
//! 2. With [`Step::Done`] it has put one to three records into the queue, with the context *before* the event.
//! 3. An error is final: nothing may be offered after it.
//! 4. Between generations [`Model::enter`] MUST be called, which makes names outlive the tables that they stand in.

mod annotations;
mod collector;
mod names;
mod procs;
mod queue;
mod ranges;
mod stuck;
mod syscalls;
mod table;
mod tasks;
mod threads;

pub(crate) use queue::Queue;

use crate::error::{Fault, Need};
use crate::generation::Generation;
use crate::record::{Context, Extra, Record};
use crate::state::{ProcState, TaskState};
use annotations::UserTasks;
use collector::Collector;
use table::{Procs, Tasks};
use tachograph_wire::{ByteOffset, EventKind, Nanos, ProcId, RawEvent, TaskId, ThreadId};
use threads::{Seat, Threads};

/// The order's state.
#[derive(Debug)]
pub(crate) struct Model {
    threads: Threads,
    procs: Procs,
    tasks: Tasks,
    user_tasks: UserTasks,
    collector: Collector,
    /// Counts generations from 1; part of every sequence number.
    epoch: u32,
}

/// What became of a candidate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Step {
    /// It happened; its records are in the queue.
    Done,
    /// Something else must happen before.
    NotYet,
}

/// Boxed, because it is large and never seen.
type Advanced = Result<Step, Box<Fault>>;

/// A thread's next event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub event: RawEvent,
    /// Raw, as the thread's clock had it.
    pub time: Nanos,
    pub offset: ByteOffset,
}

/// A candidate at work: where it happens and where its records go.
struct Turn<'a> {
    event: RawEvent,
    time: Nanos,
    offset: ByteOffset,
    /// Which thread's; `None` for the stream of no thread.
    seat: Option<Seat>,
    /// Before the event.
    context: Context,
    generation: &'a Generation,
    queue: &'a mut Queue,
}

impl Model {
    /// Nothing is known.
    pub fn new() -> Self {
        Self {
            threads: Threads::default(),
            procs: Procs::default(),
            tasks: Tasks::default(),
            user_tasks: UserTasks::default(),
            collector: Collector::default(),
            epoch: 0,
        }
    }

    /// Goes on to the next generation. `old` is the one so far, empty if there is none.
    pub fn enter(&mut self, old: &Generation, new: &mut Generation) {
        self.epoch += 1;
        let mut carrier = names::Carrier::new(old, new);
        self.user_tasks.carry(&mut carrier);
        self.tasks.carry(&mut carrier);
    }

    /// The seat of a thread, which is known from its first candidate on.
    pub fn seat(&mut self, thread: ThreadId) -> Option<Seat> {
        (thread != ThreadId::NONE).then(|| self.threads.seat(thread))
    }

    /// Whether this is the first generation, in which things may appear out of nowhere.
    fn is_initial(&self) -> bool {
        self.epoch == 1
    }

    /// Makes the candidate happen if it may.
    ///
    /// # Errors
    /// If it never may.
    #[inline]
    pub fn advance(
        &mut self,
        seat: Option<Seat>,
        candidate: &Candidate,
        generation: &Generation,
        queue: &mut Queue,
    ) -> Advanced {
        use EventKind as E;
        let context = match seat {
            Some(seat) => self.threads.context(seat),
            None => Context::NONE,
        };
        let mut turn = Turn {
            event: candidate.event,
            time: candidate.time,
            offset: candidate.offset,
            seat,
            context,
            generation,
            queue,
        };
        let turn = &mut turn;
        match turn.event.kind {
            E::GoStart => self.go_start(turn),
            E::GoBlock | E::GoStop | E::GoDestroy => self.go_off(turn),
            E::GoUnblock => self.go_unblock(turn),
            E::GoCreate | E::GoCreateBlocked => self.go_create(turn),
            E::GoSwitch | E::GoSwitchDestroy => self.go_switch(turn),
            E::GoStatus | E::GoStatusStack => self.go_status(turn),
            E::GoSyscallBegin => self.syscall_begin(turn),
            E::GoSyscallEnd => self.syscall_end(turn),
            E::GoSyscallEndBlocked => self.syscall_end_blocked(turn),
            E::GoCreateSyscall => self.go_create_syscall(turn),
            E::GoDestroySyscall => self.go_destroy_syscall(turn),
            E::ProcStart => self.proc_start(turn),
            E::ProcStop => self.proc_stop(turn),
            E::ProcSteal => self.proc_steal(turn),
            E::ProcStatus => self.proc_status(turn),
            E::STWBegin => self.stop_begin(turn),
            E::STWEnd => self.stop_end(turn),
            E::GCMarkAssistBegin => self.assist_begin(turn),
            E::GCMarkAssistActive => self.assist_active(turn),
            E::GCMarkAssistEnd => self.assist_end(turn),
            E::GCSweepBegin => self.sweep_begin(turn),
            E::GCSweepActive => self.sweep_active(turn),
            E::GCSweepEnd => self.sweep_end(turn),
            E::GCActive => self.gc_active(turn),
            E::GCBegin => self.gc_begin(turn),
            E::GCEnd => self.gc_end(turn),
            E::HeapAlloc | E::HeapGoal => {
                turn.needs_proc()?;
                turn.done()
            }
            E::ProcsChange | E::GoLabel | E::UserLog => {
                turn.needs_task()?;
                turn.done()
            }
            E::UserTaskBegin => self.user_task_begin(turn),
            E::UserTaskEnd => self.user_task_end(turn),
            E::UserRegionBegin => self.region_begin(turn),
            E::UserRegionEnd => self.region_end(turn),
            kind if kind.is_experimental() => {
                turn.needs_thread()?;
                turn.done()
            }
            _ => broken(Fault::NotOrdered),
        }
    }
}

impl Turn<'_> {
    /// The event as it stands in the trace, in the context before it.
    fn record(&self) -> Record {
        Record {
            time: self.time,
            offset: self.offset,
            context: self.context,
            args: self.event.args,
            kind: Some(self.event.kind),
            extra: Extra::NONE,
        }
    }

    /// The event happens as it stands there.
    #[inline]
    fn done(&mut self) -> Advanced {
        let record = self.record();
        self.queue.push(record);
        Ok(Step::Done)
    }

    /// The event happens and changes the state of a task.
    #[inline]
    fn task_goes(&mut self, from: TaskState, to: TaskState) -> Advanced {
        let record = self.record().with_change(from as u8, to as u8);
        self.queue.push(record);
        Ok(Step::Done)
    }

    /// The event happens and changes the state of a proc.
    #[inline]
    fn proc_goes(&mut self, from: ProcState, to: ProcState) -> Advanced {
        let record = self.record().with_change(from as u8, to as u8);
        self.queue.push(record);
        Ok(Step::Done)
    }

    #[inline]
    fn needs_thread(&self) -> Result<(), Box<Fault>> {
        if self.context.has_thread() {
            return Ok(());
        }
        broken(Fault::Context(Need::Thread))
    }

    #[inline]
    fn needs_proc(&self) -> Result<ProcId, Box<Fault>> {
        self.needs_thread()?;
        if self.context.has_proc() {
            return Ok(self.context.proc);
        }
        broken(Fault::Context(Need::Proc))
    }

    /// Thread, proc and task.
    #[inline]
    fn needs_task(&self) -> Result<TaskId, Box<Fault>> {
        self.needs_proc()?;
        self.needs_task_alone()
    }

    /// Thread and task; there may be a proc.
    #[inline]
    fn needs_task_alone(&self) -> Result<TaskId, Box<Fault>> {
        self.needs_thread()?;
        if self.context.has_task() {
            return Ok(self.context.task);
        }
        broken(Fault::Context(Need::Task))
    }

    #[inline]
    fn needs_no_task(&self) -> Result<(), Box<Fault>> {
        if !self.context.has_task() {
            return Ok(());
        }
        broken(Fault::Context(Need::NoTask(self.context.task)))
    }
}

#[cold]
fn broken<T>(fault: Fault) -> Result<T, Box<Fault>> {
    Err(Box::new(fault))
}
