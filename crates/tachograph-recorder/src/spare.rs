//! A processor slot on its way to a thread: taken outside of the critical section that is to start it (`section` rule 3).
//!
//! Called by `section`. A worker takes the slot that it has put down, or that of the thread which was this worker before and blocks in place.

use tachograph_wire::{EventKind, ProcStatus};

use crate::core::{CORE, aside};
use crate::procs::Proc;
use crate::record::ThreadRecord;
use crate::section::Section;
use crate::sync::Ordering;
use crate::worker;

/// A processor slot that was taken for a section, and the run that it is good for.
pub(crate) type Spare = Option<SpareProc>;

/// See the module's text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpareProc {
    pub(crate) proc: &'static Proc,
    pub(crate) run: u64,
    /// Who held the slot of the worker that the thread is now.
    predecessor: Option<&'static ThreadRecord>,
}

impl SpareProc {
    /// Takes the slot that the thread has put down, or one from the list. `returns`: from a blocking section that has lost its slot; then
    /// another thread may be the worker that this one was.
    pub(crate) fn take(record: &'static ThreadRecord, returns: bool) -> Self {
        // SAFETY: own thread, outside of its critical section; the reference ends here.
        let (parked, pool) = unsafe {
            let owner = record.owner();
            (owner.parked.take(), owner.pool)
        };
        let predecessor = match pool {
            Some(pool) if !returns => aside(|| worker::take_place(record, pool)),
            _ => None,
        };
        let (proc, run) = match parked {
            Some(parked) if parked.1 == CORE.run() => parked,
            _ => aside(|| CORE.procs.take()),
        };
        Self {
            proc,
            run,
            predecessor,
        }
    }
}

impl Section {
    /// Takes the slot of the worker that this thread has become from the one that it was, if that is in a blocking section. The spare one
    /// is then left over.
    pub(crate) fn steal(&mut self, spare: &Spare) -> Option<&'static Proc> {
        let victim = spare.as_ref()?.predecessor?;
        let shared = &victim.shared;
        // Acquire: pairs with the Release in `Section::introduce`.
        if shared.run.load(Ordering::Acquire) != CORE.run() {
            return None;
        }
        let seen = shared.syscall.look(self.generation)?;
        // Relaxed: stored before the section's begin, which `look` has acquired.
        let proc = CORE.procs.get(shared.proc.load(Ordering::Relaxed))?;
        if !shared.syscall.take(seen) {
            return None;
        }
        if proc.marks.claim(self.generation) {
            let abandoned = ProcStatus::SyscallAbandoned.to_wire();
            self.write(EventKind::ProcStatus, [proc.id, abandoned]);
        }
        let sequence = proc.marks.next_sequence(self.generation);
        self.write(EventKind::ProcSteal, [proc.id, sequence, victim.tid()]);
        Some(proc)
    }
}

/// Gives back what was not needed.
pub(crate) fn give_back(spare: Spare) {
    if let Some(spare) = spare {
        CORE.procs.give(spare.proc, spare.run);
    }
}
