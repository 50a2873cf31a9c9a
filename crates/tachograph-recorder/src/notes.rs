//! What the advancer says for threads and tasks that are silent through a whole generation.
//!
//! # Protocol (Go: the untraced goroutines in `traceAdvance`, `runtime/trace.go`)
//! 1. `Notes::take` runs before the next generation is published, so no note can show what a thread did in that one.
//! 2. A note is used only if, once the generation is quiet, its task or slot has no status there yet: the thread then wrote nothing
//!    in it, and what was noted is exact, because a thread's slot and task change only in critical sections that write.
//! 3. Slots that no note holds are idle.
//! 4. A thread's status goes under its own name, because that binds task and slot to it; what has no thread goes under none.
//! 5. Tasks need no notes: each one's word says what to state (`task_word` rules 4 and 5). Of one that runs, a note knows the thread.

use std::collections::HashMap;

use tachograph_wire::{EventKind, ProcStatus, TaskStatus};

use crate::core::CORE;
use crate::flow::NO_THREAD;
use crate::own_task::OwnTask;
use crate::procs::Proc;
use crate::record::{NO_TASK, ThreadRecord};
use crate::sync::{Arc, Ordering};
use crate::tables::{Stream, Tables};
use crate::task_word::{Said, Tried};
use crate::tasks::TaskRecord;

/// What the threads hold, as seen before a generation ends.
#[derive(Debug)]
pub(crate) struct Notes {
    threads: Vec<ThreadNote>,
    procs: Vec<&'static Proc>,
}

/// Tasks that run and that nobody has stated, by id.
type Running = HashMap<u64, Arc<TaskRecord>>;

#[derive(Debug)]
pub(crate) struct ThreadNote {
    record: &'static ThreadRecord,
    proc: Option<&'static Proc>,
    /// The task that runs on it.
    task: u64,
    inside: bool,
    taken: bool,
}

impl ThreadNote {
    /// The thread's state now; `None` when it is not part of the run.
    fn of(record: &'static ThreadRecord, run: u64, procs: &[&'static Proc]) -> Option<Self> {
        let shared = &record.shared;
        // Acquire: pairs with the Release in `Section::introduce`.
        if shared.run.load(Ordering::Acquire) != run {
            return None;
        }
        // Before the slot: a thread that comes back from a taken section lets go of the slot first (`Section::leave_blocking`), so
        // that a section that is not taken is never seen with a slot that was. Nobody else might speak for that one (rule 2).
        let taken = shared.syscall.is_taken();
        // Relaxed: a torn view is of a thread that writes, and its note is not used (rule 2).
        let proc = shared.proc.load(Ordering::Relaxed);
        Some(Self {
            record,
            proc: usize::try_from(proc)
                .ok()
                .and_then(|id| procs.get(id).copied()),
            // Relaxed: as above.
            task: record.context.task.load(Ordering::Relaxed),
            inside: shared.syscall.is_inside(),
            taken,
        })
    }

    /// Writes the statuses that nobody has written in the generation.
    fn state(&self, tables: &mut Tables, stream: &mut Stream, running: &mut Running) {
        let generation = tables.generation;
        if let Some(proc) = self.proc
            && !self.taken
            && proc.marks.claim(generation)
        {
            let status = match self.inside {
                true => ProcStatus::Syscall,
                false => ProcStatus::Running,
            };
            stream.event(tables, EventKind::ProcStatus, &[proc.id, status.to_wire()]);
        }
        if let Some(task) = running.remove(&self.task) {
            let status = match self.inside {
                true => TaskStatus::Syscall,
                false => TaskStatus::Running,
            };
            let stack = tables.task_name(&task);
            stream.event(
                tables,
                EventKind::GoStatusStack,
                &[task.id, self.record.tid(), status.to_wire(), stack],
            );
        }
    }

    /// Takes the thread and the task that runs on it out of the trace; its state is final, and stated.
    fn end(&self, tables: &mut Tables, stream: &mut Stream) {
        if self.inside && self.taken {
            stream.event(tables, EventKind::GoDestroySyscall, &[]);
            return;
        }
        if self.inside {
            stream.event(tables, EventKind::GoSyscallEnd, &[]);
        }
        if self.task != NO_TASK {
            stream.event(tables, EventKind::GoDestroy, &[]);
        }
        if self.proc.is_some() {
            stream.event(tables, EventKind::ProcStop, &[]);
        }
    }
}

impl Notes {
    /// Rule 1.
    pub(crate) fn take(run: u64) -> Self {
        // The slots first: a thread noted below may hold a slot made since, and then has written in the open generation.
        let procs = CORE.procs.used();
        let threads = CORE
            .registry
            .live()
            .into_iter()
            .filter_map(|record| ThreadNote::of(record, run, &procs))
            .collect();
        Self { threads, procs }
    }

    /// Rules 2 to 5, for a generation that is quiet.
    pub(crate) fn state(&self, tables: &mut Tables, own: &mut OwnTask) {
        let mut stream = tables.stream(NO_THREAD);
        own.state(tables, &mut stream);
        let (mut running, unburied) = state_tasks(tables, &mut stream);
        for note in &self.threads {
            let mut stream = tables.stream(note.record.tid());
            note.state(tables, &mut stream, &mut running);
            tables.push(stream);
        }
        debug_assert!(running.is_empty(), "{running:?} run on no thread");
        for proc in &self.procs {
            if proc.marks.claim(tables.generation) {
                let idle = ProcStatus::Idle.to_wire();
                stream.event(tables, EventKind::ProcStatus, &[proc.id, idle]);
            }
        }
        tables.push(stream);
        own.end_tasks(tables, &unburied);
    }

    /// Ends everything that is part of `run`, whose last generation is quiet and stated: nobody writes any more, so this view is exact.
    pub(crate) fn end_run(run: u64, tables: &mut Tables, own: &mut OwnTask) {
        let now = Self::take(run);
        for note in &now.threads {
            let mut stream = tables.stream(note.record.tid());
            note.end(tables, &mut stream);
            tables.push(stream);
            // Release: pairs with the Acquire in `ThreadNote::of`.
            note.record.shared.run.store(0, Ordering::Release);
        }
        let mut left = Vec::new();
        CORE.tasks.walk(|task| {
            left.push(Arc::clone(task));
            true
        });
        own.end_tasks(tables, &left);
        own.end_run(tables);
    }
}

/// Rule 5. What is left: the tasks that run, and those that have ended without the trace's knowledge.
fn state_tasks(tables: &mut Tables, stream: &mut Stream) -> (Running, Vec<Arc<TaskRecord>>) {
    let (mut running, mut unburied) = (Running::new(), Vec::new());
    CORE.tasks.walk(|task| {
        let closed = task.word.close(tables.generation);
        match closed.state {
            None | Some(Said::Nothing) => {}
            Some(Said::Running) => {
                running.insert(task.id, Arc::clone(task));
            }
            Some(said) => {
                let name = tables.task_name(task);
                let args = [task.id, NO_THREAD, said.status().to_wire(), name];
                stream.event(tables, EventKind::GoStatusStack, &args);
            }
        }
        if task.word.is_unburied() {
            unburied.push(Arc::clone(task));
        }
        !closed.dead
    });
    (running, unburied)
}

/// Takes `task` out of the trace. In a generation that is quiet, from a stream in which no task runs.
pub(crate) fn end_task(task: &TaskRecord, tables: &mut Tables, stream: &mut Stream) {
    let Tried::Changed(change) = task.word.retract(tables.generation) else {
        return;
    };
    let mut number = change.number;
    match change.said {
        // Its thread has ended it.
        Said::Nothing | Said::Running => return,
        Said::Waiting => {
            stream.event(tables, EventKind::GoUnblock, &[task.id, number, 0]);
            number += 1;
        }
        Said::Runnable => {}
    }
    stream.event(tables, EventKind::GoStart, &[task.id, number]);
    stream.event(tables, EventKind::GoDestroy, &[]);
}
