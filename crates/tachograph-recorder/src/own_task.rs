//! The engine's own task in the trace: it carries what must stand in some task's context.
//!
//! Waiting on no processor slot most of the time; for each `block` it wakes itself, takes its slot, speaks and waits again. Losses are
//! logged here, where Go's tools show them too.

use tachograph_wire::{EventKind, ProcStatus, TaskStatus, ThreadId};

use crate::core::CORE;
use crate::notes::end_task;
use crate::procs::Proc;
use crate::status::Marks;
use crate::sync::Arc;
use crate::tables::{Stream, Tables};
use crate::task_word::{Said, Tried};
use crate::tasks::TaskRecord;

const NAME: &str = "tachograph engine";
const NO_THREAD: u64 = ThreadId::NONE.0;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct OwnTask {
    tid: u64,
    task: u64,
    marks: Marks,
    proc: Option<&'static Proc>,
}

/// What the engine says in its task's context.
#[derive(Debug)]
pub(crate) enum Line {
    /// The number of processors, without which Go's utilisation curves stay empty.
    ProcsChange(u64),
    /// A log.
    Log { category: String, message: String },
}

impl OwnTask {
    pub(crate) fn new(tid: u64) -> Self {
        Self {
            tid,
            task: CORE.new_task_id(),
            marks: Marks::new(),
            proc: None,
        }
    }

    pub(crate) fn tid(&self) -> u64 {
        self.tid
    }

    pub(crate) fn task(&self) -> u64 {
        self.task
    }

    /// A new run knows nothing of the task.
    pub(crate) fn begin_run(&mut self) {
        self.marks.clear();
        self.proc = None;
    }

    /// Says `lines` in the generation of `tables`.
    pub(crate) fn block(&mut self, tables: &mut Tables, lines: &[Line]) {
        let mut stream = tables.stream(self.tid);
        let proc = self.wake(tables, &mut stream);
        for line in lines {
            line.write(tables, &mut stream);
        }
        self.wait(tables, &mut stream, proc);
        tables.push(stream);
    }

    /// States the task in a generation in which it said nothing.
    pub(crate) fn state(&self, tables: &mut Tables, stream: &mut Stream) {
        if self.proc.is_some() && self.marks.claim(tables.generation) {
            self.write_status(tables, stream);
        }
    }

    /// Tells the trace of tasks that were there before this run, and of which no thread has said anything yet. `first`: the trace
    /// begins with this generation, so their statuses are enough.
    pub(crate) fn introduce_tasks(&mut self, tables: &mut Tables, first: bool) {
        let generation = tables.generation;
        let mut stream = match first {
            true => tables.stream(NO_THREAD),
            false => tables.stream(self.tid),
        };
        let proc = (!first).then(|| self.wake(tables, &mut stream));
        CORE.tasks.walk(|task| {
            if let Tried::Changed(change) = task.word.create(generation) {
                let name = tables.task_name(task);
                let said = Said::from(change.was);
                let (kind, args): (_, &[u64]) = match (first, said) {
                    (true, _) => (
                        EventKind::GoStatusStack,
                        &[task.id, NO_THREAD, said.status().to_wire(), name],
                    ),
                    (false, Said::Waiting) => (EventKind::GoCreateBlocked, &[task.id, name, 0]),
                    (false, _) => (EventKind::GoCreate, &[task.id, name, 0]),
                };
                stream.event(tables, kind, args);
            }
            true
        });
        if let Some(proc) = proc {
            self.wait(tables, &mut stream, proc);
        }
        tables.push(stream);
    }

    /// Takes tasks out of the trace that run on no thread, in a generation that is quiet.
    pub(crate) fn end_tasks(&mut self, tables: &mut Tables, tasks: &[Arc<TaskRecord>]) {
        if tasks.is_empty() {
            return;
        }
        let mut stream = tables.stream(self.tid);
        let proc = self.wake(tables, &mut stream);
        let reason = tables.text("sleep");
        stream.event(tables, EventKind::GoBlock, &[reason, 0]);
        for task in tasks {
            end_task(task, tables, &mut stream);
        }
        stream.event(tables, EventKind::ProcStop, &[]);
        self.proc = Some(proc);
        tables.push(stream);
    }

    /// The last words of a run.
    pub(crate) fn end_run(&mut self, tables: &mut Tables) {
        let mut stream = tables.stream(self.tid);
        self.wake(tables, &mut stream);
        stream.event(tables, EventKind::GoDestroy, &[]);
        stream.event(tables, EventKind::ProcStop, &[]);
        tables.push(stream);
        self.proc = None;
    }

    fn wait(&mut self, tables: &mut Tables, stream: &mut Stream, proc: &'static Proc) {
        let reason = tables.text("sleep");
        stream.event(tables, EventKind::GoBlock, &[reason, 0]);
        stream.event(tables, EventKind::ProcStop, &[]);
        self.proc = Some(proc);
    }

    fn wake(&mut self, tables: &mut Tables, stream: &mut Stream) -> &'static Proc {
        let generation = tables.generation;
        let known = self.proc;
        let proc = known.unwrap_or_else(|| CORE.procs.take().0);
        if known.is_some() {
            if self.marks.claim(generation) {
                self.write_status(tables, stream);
            }
            let sequence = self.marks.next_sequence(generation);
            stream.event(tables, EventKind::GoUnblock, &[self.task, sequence, 0]);
        }
        if proc.marks.claim(generation) {
            let idle = ProcStatus::Idle.to_wire();
            stream.event(tables, EventKind::ProcStatus, &[proc.id, idle]);
        }
        let sequence = proc.marks.next_sequence(generation);
        stream.event(tables, EventKind::ProcStart, &[proc.id, sequence]);
        if known.is_none() {
            // Creation counts as the status (`status` rule 1).
            let _ = self.marks.claim(generation);
            let stack = tables.name_stack(NAME);
            stream.event(tables, EventKind::GoCreate, &[self.task, stack, 0]);
        }
        let sequence = self.marks.next_sequence(generation);
        stream.event(tables, EventKind::GoStart, &[self.task, sequence]);
        proc
    }

    fn write_status(&self, tables: &mut Tables, stream: &mut Stream) {
        let stack = tables.name_stack(NAME);
        let args = [self.task, NO_THREAD, TaskStatus::Waiting.to_wire(), stack];
        stream.event(tables, EventKind::GoStatusStack, &args);
    }
}

impl Line {
    fn write(&self, tables: &mut Tables, stream: &mut Stream) {
        match self {
            Self::ProcsChange(procs) => stream.event(tables, EventKind::ProcsChange, &[*procs, 0]),
            Self::Log { category, message } => {
                let args = [0, tables.text(category), tables.text(message), 0];
                stream.event(tables, EventKind::UserLog, &args);
            }
        }
    }
}
