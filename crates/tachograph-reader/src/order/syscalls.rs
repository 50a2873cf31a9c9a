//! System calls and other blocking sections, and the proc that may be lost in one.

use super::table::Sequence;
use super::{Advanced, Model, Step, Turn, broken};
use crate::error::Fault;
use crate::state::TaskState;
use tachograph_wire::{ProcStatus, TaskStatus};

impl Model {
    /// The proc's sequence number makes clear which of several calls a proc was stolen in, whatever the clocks say. The
    /// thread owns the proc, so a wrong number can't become right by waiting.
    #[inline]
    pub(super) fn syscall_begin(&mut self, turn: &mut Turn<'_>) -> Advanced {
        let id = turn.needs_proc()?;
        turn.needs_task()?;
        let slot = self.task_in(turn, TaskStatus::Running)?;
        let number = turn.args()[0];
        let epoch = self.epoch;
        let proc = self.own_proc(turn)?;
        if !proc.sequence.precedes(epoch, number) {
            let known = proc.sequence;
            return broken(Fault::Sequence {
                proc: id,
                found: number,
                wanted: (known.epoch == epoch).then(|| known.number.saturating_add(1)),
            });
        }
        proc.status = ProcStatus::Syscall;
        proc.sequence = Sequence { epoch, number };
        self.set_task(slot, TaskStatus::Syscall);
        turn.task_goes(TaskState::Running, TaskState::Syscall)
    }

    #[inline]
    pub(super) fn syscall_end(&mut self, turn: &mut Turn<'_>) -> Advanced {
        let id = turn.needs_proc()?;
        turn.needs_task()?;
        let slot = self.task_in(turn, TaskStatus::Syscall)?;
        let proc = self.own_proc(turn)?;
        if proc.status != ProcStatus::Syscall {
            return broken(Fault::ProcState {
                proc: id,
                found: proc.status,
                wanted: "Syscall",
            });
        }
        proc.status = ProcStatus::Running;
        self.set_task(slot, TaskStatus::Running);
        turn.task_goes(TaskState::Syscall, TaskState::Running)
    }

    /// Waits while the thread has the proc that, as we know from this event, it is going to lose.
    #[inline]
    pub(super) fn syscall_end_blocked(&mut self, turn: &mut Turn<'_>) -> Advanced {
        if turn.context().has_proc() && self.own_proc(turn)?.status == ProcStatus::Syscall {
            return Ok(Step::NotYet);
        }
        turn.needs_task_alone()?;
        let slot = self.task_in(turn, TaskStatus::Syscall)?;
        self.set_task(slot, TaskStatus::Runnable);
        self.threads.take_task(turn.seat);
        turn.task_goes(TaskState::Syscall, TaskState::Runnable)
    }
}
