//! Procs that are taken, given up and stolen.

use super::table::Sequence;
use super::{Advanced, Model, Step, Turn, broken};
use crate::error::{Fault, Need};
use crate::state::ProcState;
use tachograph_wire::{ProcId, ProcStatus, ThreadId};

impl Model {
    /// The first mention of a proc in a generation.
    pub(super) fn proc_status(&mut self, turn: &mut Turn<'_>) -> Advanced {
        use ProcStatus as S;
        let [proc, status, ..] = turn.args();
        let proc = ProcId(proc);
        let Some(status) = S::from_wire(status) else {
            return broken(Fault::BadStatus(status));
        };
        if proc == ProcId::NONE {
            return broken(Fault::ReservedId("proc"));
        }
        let (slot, known) = self.state_proc(proc, status)?;
        if matches!(status, S::Running | S::Syscall) {
            self.threads.put_proc(turn.seat, proc, slot);
        }
        match known {
            // Lost sight of, but we have not: it is told where it is held, in the state that is known.
            Some(S::Syscall) if status == S::SyscallAbandoned => {
                let Some(holder) = self.threads.holder(proc) else {
                    return broken(Fault::Stolen {
                        proc,
                        from: None,
                        found: None,
                    });
                };
                turn.record.context = holder;
                turn.proc_goes(ProcState::Running, ProcState::Running)
            }
            Some(known) => turn.proc_goes(known.into(), status.into()),
            None if self.is_initial() => turn.proc_goes(ProcState::Undetermined, status.into()),
            None => turn.proc_goes(ProcState::NotExist, status.into()),
        }
    }

    /// Compares the status with what is known, and gives what was known.
    fn state_proc(
        &mut self,
        proc: ProcId,
        status: ProcStatus,
    ) -> Result<(u32, Option<ProcStatus>), Box<Fault>> {
        use ProcStatus as S;
        let epoch = self.epoch;
        let slot = self.procs.find(proc);
        let Some((slot, known)) = slot.and_then(|slot| Some((slot, self.procs.get(slot)?))) else {
            return Ok((self.procs.add(proc, status, epoch), None));
        };
        let promoted = (known.status, status) == (S::Syscall, S::SyscallAbandoned);
        if known.status != status && !promoted {
            return broken(Fault::ProcDisagrees {
                proc,
                found: status,
                wanted: known.status,
            });
        }
        known.sequence = Sequence::start(epoch);
        Ok((slot, Some(known.status)))
    }

    #[inline]
    pub(super) fn proc_start(&mut self, turn: &mut Turn<'_>) -> Advanced {
        let [id, number, ..] = turn.args();
        let id = ProcId(id);
        let epoch = self.epoch;
        let Some(slot) = self.procs.find(id) else {
            return Ok(Step::NotYet);
        };
        let Some(proc) = self.procs.get(slot) else {
            return Ok(Step::NotYet);
        };
        // With a proc in a system call, the thread has yet to lose that one.
        if proc.status != ProcStatus::Idle
            || !proc.sequence.precedes(epoch, number)
            || turn.context().has_proc()
        {
            return Ok(Step::NotYet);
        }
        turn.needs_thread()?;
        proc.status = ProcStatus::Running;
        proc.sequence = Sequence { epoch, number };
        self.threads.put_proc(turn.seat, id, slot);
        turn.proc_goes(ProcState::Idle, ProcState::Running)
    }

    #[inline]
    pub(super) fn proc_stop(&mut self, turn: &mut Turn<'_>) -> Advanced {
        let id = turn.needs_proc()?;
        let proc = self.own_proc(turn)?;
        if !matches!(proc.status, ProcStatus::Running | ProcStatus::Syscall) {
            return broken(Fault::ProcState {
                proc: id,
                found: proc.status,
                wanted: "Running or Syscall",
            });
        }
        proc.status = ProcStatus::Idle;
        self.threads.take_proc(turn.seat);
        turn.proc_goes(ProcState::Running, ProcState::Idle)
    }

    pub(super) fn proc_steal(&mut self, turn: &mut Turn<'_>) -> Advanced {
        let [id, number, victim, _] = turn.args();
        let (id, victim) = (ProcId(id), ThreadId(victim));
        let epoch = self.epoch;
        let Some(slot) = self.procs.find(id) else {
            return Ok(Step::NotYet);
        };
        let Some(proc) = self.procs.get(slot) else {
            return Ok(Step::NotYet);
        };
        let before = proc.status;
        if !matches!(before, ProcStatus::Syscall | ProcStatus::SyscallAbandoned)
            || !proc.sequence.precedes(epoch, number)
        {
            return Ok(Step::NotYet);
        }
        turn.needs_thread()?;
        proc.status = ProcStatus::Idle;
        proc.sequence = Sequence { epoch, number };
        if before == ProcStatus::SyscallAbandoned {
            // Who had it may be somebody else by now.
            return turn.proc_goes(ProcState::Idle, ProcState::Idle);
        }
        let seat = self.threads.find(victim);
        let holds = seat.map_or(ProcId::NONE, |seat| self.threads.context(seat).proc);
        if holds != id {
            return broken(Fault::Stolen {
                proc: id,
                from: Some(victim),
                found: (holds != ProcId::NONE).then_some(holds),
            });
        }
        self.threads.take_proc(seat);
        turn.proc_goes(ProcState::Running, ProcState::Idle)
    }

    /// The thread goes and leaves its proc behind.
    pub(super) fn abandon_proc(&mut self, turn: &Turn<'_>) -> Result<(), Box<Fault>> {
        let id = turn.context().proc;
        let proc = self.own_proc(turn)?;
        if proc.status != ProcStatus::Syscall {
            return broken(Fault::ProcState {
                proc: id,
                found: proc.status,
                wanted: "Syscall",
            });
        }
        proc.status = ProcStatus::SyscallAbandoned;
        self.threads.take_proc(turn.seat);
        Ok(())
    }

    /// The proc that the event's thread has.
    pub(super) fn own_proc(
        &mut self,
        turn: &Turn<'_>,
    ) -> Result<&mut super::table::Proc, Box<Fault>> {
        let id = turn.context().proc;
        let slot = self.current_proc(turn.seat, id);
        match slot.and_then(|slot| self.procs.get(slot)) {
            Some(proc) => Ok(proc),
            None if id == ProcId::NONE => broken(Fault::Context(Need::Proc)),
            None => broken(Fault::UnknownProc(id)),
        }
    }
}
