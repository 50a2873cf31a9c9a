//! What the advancer says for threads and tasks that are silent through a whole generation.
//!
//! # Protocol (Go: the untraced goroutines in `traceAdvance`, `runtime/trace.go`)
//! 1. `Notes::take` runs before the next generation is published, so no note can show what a thread did in that one.
//! 2. A note is used only if, once the generation is quiet, its task or slot has no status there yet: the thread then wrote nothing
//!    in it, and what was noted is exact, because a thread's slot and task change only in critical sections that write.
//! 3. Slots that no note holds are idle.
//! 4. A thread's status goes under its own name, because that binds task and slot to it; what has no thread goes under none.

use std::sync::Arc;

use tachograph_wire::{EventKind, ProcStatus, TaskStatus, ThreadId};

use crate::core::CORE;
use crate::own_task::OwnTask;
use crate::procs::Proc;
use crate::record::ThreadRecord;
use crate::spawn::Newborn;
use crate::sync::{Ordering, lock};
use crate::tables::{Stream, Tables};

const NO_THREAD: u64 = ThreadId::NONE.0;

/// Everything that exists in the trace, as seen before a generation ends.
#[derive(Debug)]
pub(crate) struct Notes {
    threads: Vec<ThreadNote>,
    newborns: Vec<Arc<Newborn>>,
    procs: Vec<&'static Proc>,
}

#[derive(Debug)]
pub(crate) struct ThreadNote {
    record: &'static ThreadRecord,
    proc: Option<&'static Proc>,
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
            inside: shared.syscall.is_inside(),
            taken,
        })
    }

    /// Writes the statuses that nobody has written in the generation.
    fn state(&self, tables: &mut Tables, stream: &mut Stream) {
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
        if self.record.shared.task.marks.claim(generation) {
            let status = match self.inside {
                true => TaskStatus::Syscall,
                false => TaskStatus::Running,
            };
            let name = lock(&self.record.shared.name).clone();
            let stack = tables.name_stack(&name);
            let (task, tid) = (self.record.task_id(), self.record.tid());
            stream.event(
                tables,
                EventKind::GoStatusStack,
                &[task, tid, status.to_wire(), stack],
            );
        }
    }

    /// Takes the thread out of the trace; its state is final.
    fn end(&self, tables: &mut Tables, stream: &mut Stream) {
        self.state(tables, stream);
        if self.inside && self.taken {
            stream.event(tables, EventKind::GoDestroySyscall, &[]);
            return;
        }
        if self.inside {
            stream.event(tables, EventKind::GoSyscallEnd, &[]);
        }
        stream.event(tables, EventKind::GoDestroy, &[]);
        stream.event(tables, EventKind::ProcStop, &[]);
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
        Self {
            threads,
            newborns: CORE.newborns.of_run(run),
            procs,
        }
    }

    /// Rules 2 to 4, for a generation that is quiet.
    pub(crate) fn state(&self, tables: &mut Tables, own: &OwnTask) {
        for note in &self.threads {
            let mut stream = tables.stream(note.record.tid());
            note.state(tables, &mut stream);
            tables.push(stream);
        }
        let mut stream = tables.stream(NO_THREAD);
        own.state(tables, &mut stream);
        for newborn in &self.newborns {
            if newborn.marks.claim(tables.generation) {
                let stack = tables.name_stack(&newborn.name);
                let status = TaskStatus::Runnable.to_wire();
                let args = [newborn.task, NO_THREAD, status, stack];
                stream.event(tables, EventKind::GoStatusStack, &args);
            }
        }
        for proc in &self.procs {
            if proc.marks.claim(tables.generation) {
                let idle = ProcStatus::Idle.to_wire();
                stream.event(tables, EventKind::ProcStatus, &[proc.id, idle]);
            }
        }
        tables.push(stream);
    }

    /// Ends everything that is part of `run`, whose last generation is quiet: nobody writes any more, so this view is exact.
    pub(crate) fn end_run(run: u64, tables: &mut Tables, own: &mut OwnTask) {
        let now = Self::take(run);
        for note in &now.threads {
            let mut stream = tables.stream(note.record.tid());
            note.end(tables, &mut stream);
            tables.push(stream);
            // Release: pairs with the Acquire in `ThreadNote::of`.
            note.record.shared.run.store(0, Ordering::Release);
        }
        own.end_run(tables, &now.newborns);
        let mut stream = tables.stream(NO_THREAD);
        for proc in &now.procs {
            if proc.marks.claim(tables.generation) {
                let idle = ProcStatus::Idle.to_wire();
                stream.event(tables, EventKind::ProcStatus, &[proc.id, idle]);
            }
        }
        tables.push(stream);
    }
}
