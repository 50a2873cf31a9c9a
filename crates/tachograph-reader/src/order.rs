//! Which event may be next: a model of the scheduler that every event must fit.
//!
//! Owns the state of all threads, procs, tasks, annotation tasks and of the collector, over the whole trace. Called by
//! `sequence` with one candidate at a time. The rooms below hold one family of events each; the rules are those of
//! docs/READING.md, and the comments name them.
//!
//! # Protocol
//! 1. [`Model::advance`] with [`Step::NotYet`] has changed nothing that an event can see; the candidate may be offered again.
//! 2. With [`Step::Done`] it has completed the record in place, with the context *before* the event. With [`Step::DoneAs`] it has put
//!    two or three records into the queue instead.
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
pub(crate) use threads::Seat;

use crate::error::{Fault, Need};
use crate::generation;
use crate::record::{Context, Record};
use crate::state::{ProcState, TaskState};
use annotations::UserTasks;
use collector::Collector;
use table::{Procs, Tasks};
use tachograph_wire::limits::MAX_EVENT_ARGS;
use tachograph_wire::{EventKind, Generation, ProcId, TaskId, ThreadId};
use threads::Threads;

/// The order's state.
#[derive(Debug)]
pub(crate) struct Model {
    threads: Threads,
    procs: Procs,
    tasks: Tasks,
    user_tasks: UserTasks,
    collector: Collector,
    /// Number of the generation, which is part of every sequence number.
    epoch: Generation,
    /// The number of the first one.
    initial: Option<Generation>,
}

/// What became of a candidate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Step {
    /// It happened, as the record that was offered.
    Done,
    /// It happened, as the records in the queue.
    DoneAs,
    /// Something else must happen before.
    NotYet,
}

/// Boxed, because it is large and never seen.
type Advanced = Result<Step, Box<Fault>>;

/// A candidate at work: where it happens and where its records go.
struct Turn<'a> {
    /// The event, whose context is the one before it.
    record: &'a mut Record,
    /// Which thread's; `None` for the stream of no thread.
    seat: Option<Seat>,
    generation: &'a generation::Generation,
    /// For events that become several.
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
            epoch: Generation::NONE,
            initial: None,
        }
    }

    /// Goes on to the next generation. `old` is the one so far, empty if there is none.
    pub fn enter(&mut self, old: &generation::Generation, new: &generation::Generation) {
        self.epoch = new.number();
        self.initial.get_or_insert(self.epoch);
        let mut carrier = names::Carrier::new(old);
        self.user_tasks.carry(&mut carrier);
        self.tasks.carry(&mut carrier);
        carrier.hand_to(new);
    }

    /// The seat of a thread, which is known from its first candidate on. The stream of no thread has none.
    #[cold]
    pub fn seat(&mut self, thread: ThreadId) -> Option<Seat> {
        (thread != ThreadId::NONE).then(|| self.threads.seat(thread))
    }

    /// Whether this is the first generation, in which things may appear out of nowhere.
    fn is_initial(&self) -> bool {
        self.initial == Some(self.epoch)
    }

    /// Makes the candidate happen if it may.
    ///
    /// # Errors
    /// If it never may.
    #[inline]
    pub fn advance(
        &mut self,
        seat: Option<Seat>,
        record: &mut Record,
        generation: &generation::Generation,
        queue: &mut Queue,
    ) -> Advanced {
        use EventKind as E;
        record.context = match seat {
            Some(seat) => self.threads.context(seat),
            None => Context::NONE,
        };
        let Some(kind) = record.kind else {
            return broken(Fault::NotOrdered);
        };
        let turn = &mut Turn {
            record,
            seat,
            generation,
            queue,
        };
        match kind {
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
    /// The event's arguments.
    #[inline]
    fn args(&self) -> [u64; MAX_EVENT_ARGS] {
        self.record.args
    }

    /// The context before the event.
    #[inline]
    fn context(&self) -> &Context {
        &self.record.context
    }

    /// The event happens as it stands there.
    #[inline]
    fn done(&mut self) -> Advanced {
        Ok(Step::Done)
    }

    /// The event happens and changes the state of a task.
    #[inline]
    fn task_goes(&mut self, from: TaskState, to: TaskState) -> Advanced {
        (self.record.extra.from, self.record.extra.to) = (from as u8, to as u8);
        Ok(Step::Done)
    }

    /// The event happens and changes the state of a proc.
    #[inline]
    fn proc_goes(&mut self, from: ProcState, to: ProcState) -> Advanced {
        (self.record.extra.from, self.record.extra.to) = (from as u8, to as u8);
        Ok(Step::Done)
    }

    /// The event happens as all that was queued, and not as itself.
    fn done_as(&mut self, records: &[(Record, u8, u8)]) -> Advanced {
        for (record, from, to) in records {
            self.queue.push(record.with_change(*from, *to));
        }
        Ok(Step::DoneAs)
    }

    #[inline]
    fn needs_thread(&self) -> Result<(), Box<Fault>> {
        if self.record.context.has_thread() {
            return Ok(());
        }
        broken(Fault::Context(Need::Thread))
    }

    #[inline]
    fn needs_proc(&self) -> Result<ProcId, Box<Fault>> {
        self.needs_thread()?;
        if self.record.context.has_proc() {
            return Ok(self.record.context.proc);
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
        if self.record.context.has_task() {
            return Ok(self.record.context.task);
        }
        broken(Fault::Context(Need::Task))
    }

    #[inline]
    fn needs_no_task(&self) -> Result<(), Box<Fault>> {
        if !self.record.context.has_task() {
            return Ok(());
        }
        broken(Fault::Context(Need::NoTask(self.record.context.task)))
    }
}

#[cold]
fn broken<T>(fault: Fault) -> Result<T, Box<Fault>> {
    Err(Box::new(fault))
}
