//! Tasks that are created, start, stop, wait, wake, switch and end.

use super::table::Sequence;
use super::{Advanced, Model, Step, Turn, broken};
use crate::error::Fault;
use crate::record::{Context, NONE, Record};
use crate::state::{ProcState, TaskState};
use tachograph_wire::{EventKind, TaskId, TaskStatus, ThreadId};

impl Model {
    /// The slot of the current task, which must be in this state (O7).
    #[inline]
    pub(super) fn task_in(
        &mut self,
        turn: &Turn<'_>,
        wanted: TaskStatus,
    ) -> Result<u32, Box<Fault>> {
        let task = turn.context().task;
        let Some(slot) = self.current_task(turn.seat, task) else {
            return broken(Fault::UnknownTask(task));
        };
        match self.tasks.get(slot).map(|task| task.status) {
            Some(found) if found != wanted => broken(Fault::TaskState {
                task,
                found,
                wanted,
            }),
            _ => Ok(slot),
        }
    }

    #[inline]
    pub(super) fn set_task(&mut self, slot: u32, status: TaskStatus) {
        if let Some(task) = self.tasks.get(slot) {
            task.status = status;
        }
    }

    /// Moves the task from one state to another if its sequence says that it is its turn, and gives its slot.
    #[inline]
    fn move_in_sequence(
        &mut self,
        task: TaskId,
        number: u64,
        from: TaskStatus,
        to: TaskStatus,
    ) -> Option<u32> {
        let slot = self.tasks.find(task)?;
        let epoch = self.epoch;
        let task = self.tasks.get(slot)?;
        if task.status != from || !task.sequence.precedes(epoch, number) {
            return None;
        }
        task.status = to;
        task.sequence = Sequence { epoch, number };
        Some(slot)
    }

    #[inline]
    pub(super) fn go_start(&mut self, turn: &mut Turn<'_>) -> Advanced {
        let [task, number, ..] = turn.args();
        let task = TaskId(task);
        let (from, to) = (TaskStatus::Runnable, TaskStatus::Running);
        let Some(slot) = self.move_in_sequence(task, number, from, to) else {
            return Ok(Step::NotYet);
        };
        turn.needs_proc()?;
        turn.needs_no_task()?;
        self.threads.put_task(turn.seat, task, slot);
        turn.task_goes(TaskState::Runnable, TaskState::Running)
    }

    #[inline]
    pub(super) fn go_unblock(&mut self, turn: &mut Turn<'_>) -> Advanced {
        let [task, number, ..] = turn.args();
        let (from, to) = (TaskStatus::Waiting, TaskStatus::Runnable);
        match self.move_in_sequence(TaskId(task), number, from, to) {
            Some(_) => turn.task_goes(TaskState::Waiting, TaskState::Runnable),
            None => Ok(Step::NotYet),
        }
    }

    /// `GoBlock`, `GoStop`, `GoDestroy`.
    #[inline]
    pub(super) fn go_off(&mut self, turn: &mut Turn<'_>) -> Advanced {
        turn.needs_task()?;
        let slot = self.task_in(turn, TaskStatus::Running)?;
        self.threads.take_task(turn.seat);
        let to = match turn.record.kind {
            Some(EventKind::GoBlock) => {
                self.set_task(slot, TaskStatus::Waiting);
                TaskState::Waiting
            }
            Some(EventKind::GoStop) => {
                self.set_task(slot, TaskStatus::Runnable);
                TaskState::Runnable
            }
            _ => {
                self.tasks.remove(slot);
                TaskState::NotExist
            }
        };
        turn.task_goes(TaskState::Running, to)
    }

    #[inline]
    pub(super) fn go_create(&mut self, turn: &mut Turn<'_>) -> Advanced {
        turn.needs_proc()?;
        let creator = turn.context().task;
        if turn.context().has_task()
            && let Some(slot) = self.current_task(turn.seat, creator)
            && let Some(found) = self.tasks.get(slot).map(|task| task.status)
            && found != TaskStatus::Running
        {
            return broken(Fault::TaskState {
                task: creator,
                found,
                wanted: TaskStatus::Running,
            });
        }
        let (status, state) = match turn.record.kind {
            Some(EventKind::GoCreateBlocked) => (TaskStatus::Waiting, TaskState::Waiting),
            _ => (TaskStatus::Runnable, TaskState::Runnable),
        };
        self.new_task(TaskId(turn.args()[0]), status)?;
        turn.task_goes(TaskState::NotExist, state)
    }

    /// A task that was not there (O8).
    #[inline]
    pub(super) fn new_task(&mut self, task: TaskId, status: TaskStatus) -> Result<u32, Box<Fault>> {
        if task == TaskId::RESERVED {
            return broken(Fault::ReservedId("task"));
        }
        match self.tasks.create(task, status, self.epoch) {
            Some(slot) => Ok(slot),
            None => broken(Fault::Exists(task)),
        }
    }

    /// Wakes the next task, takes the current one off, puts the next one on: three records.
    pub(super) fn go_switch(&mut self, turn: &mut Turn<'_>) -> Advanced {
        turn.needs_task()?;
        let current = self.task_in(turn, TaskStatus::Running)?;
        let [next, number, ..] = turn.args();
        let next = TaskId(next);
        let (from, to) = (TaskStatus::Waiting, TaskStatus::Running);
        let Some(slot) = self.move_in_sequence(next, number, from, to) else {
            return Ok(Step::NotYet);
        };
        let wake = *turn.record;
        let (kind, left) = if wake.kind == Some(EventKind::GoSwitch) {
            self.set_task(current, TaskStatus::Waiting);
            (EventKind::GoBlock, TaskState::Waiting)
        } else {
            self.tasks.remove(current);
            (EventKind::GoDestroy, TaskState::NotExist)
        };
        self.threads.put_task(turn.seat, next, slot);

        let off = Record {
            kind: Some(kind),
            args: [0; 4],
            ..wake
        };
        let on = Record {
            kind: Some(EventKind::GoStart),
            context: Context {
                task: TaskId::RESERVED,
                ..wake.context
            },
            ..wake
        };
        use TaskState as S;
        turn.done_as(&[
            (wake, S::Waiting as u8, S::Runnable as u8),
            (off, S::Running as u8, left as u8),
            (on, S::Runnable as u8, S::Running as u8),
        ])
    }

    /// The first mention of a task in a generation.
    pub(super) fn go_status(&mut self, turn: &mut Turn<'_>) -> Advanced {
        let [task, thread, status, _] = turn.args();
        let task = TaskId(task);
        let Some(status) = TaskStatus::from_wire(status) else {
            return broken(Fault::BadStatus(status));
        };
        let (slot, from) = self.state_task(task, status)?;
        match status {
            TaskStatus::Running => self.threads.put_task(turn.seat, task, slot),
            TaskStatus::Syscall => self.status_in_syscall(turn, task, slot, ThreadId(thread))?,
            TaskStatus::Runnable | TaskStatus::Waiting => {}
        }
        turn.task_goes(from, status.into())
    }

    /// Compares the status with what is known, or takes it as the first that is known.
    fn state_task(
        &mut self,
        task: TaskId,
        status: TaskStatus,
    ) -> Result<(u32, TaskState), Box<Fault>> {
        let epoch = self.epoch;
        let known = self.tasks.find(task);
        if let Some(slot) = known
            && let Some(known) = self.tasks.get(slot)
        {
            if known.status != status {
                return broken(Fault::TaskDisagrees {
                    task,
                    found: status,
                    wanted: known.status,
                });
            }
            known.sequence = Sequence::start(epoch);
            return Ok((slot, status.into()));
        }
        if !self.is_initial() {
            return broken(Fault::NeverCreated(task));
        }
        let slot = self.new_task(task, status)?;
        Ok((slot, TaskState::Undetermined))
    }

    /// A task that sits in a system call, on this thread or on another that is silent.
    fn status_in_syscall(
        &mut self,
        turn: &mut Turn<'_>,
        task: TaskId,
        slot: u32,
        thread: ThreadId,
    ) -> Result<(), Box<Fault>> {
        let misplaced = |found: Option<TaskId>, thread| {
            broken(Fault::SyscallThread {
                task,
                thread,
                found: found.filter(|found| *found != TaskId::RESERVED),
            })
        };
        if thread == ThreadId::NONE {
            return misplaced(None, None);
        }
        if thread == turn.context().thread {
            if !self.is_initial() && turn.context().task != task {
                return misplaced(Some(turn.context().task), Some(thread));
            }
            self.threads.put_task(turn.seat, task, slot);
            return Ok(());
        }
        match self.threads.find(thread) {
            Some(seat) => {
                let found = self.threads.context(seat).task;
                if found != task {
                    return misplaced(Some(found), Some(thread));
                }
                turn.record.context.task = task;
            }
            None => {
                let seat = self.threads.seat(thread);
                self.threads.put_task(Some(seat), task, slot);
            }
        }
        // Told where the task sits, not where that was written down.
        turn.record.context.thread = thread;
        Ok(())
    }

    /// A foreign thread enters as a task of its own.
    pub(super) fn go_create_syscall(&mut self, turn: &mut Turn<'_>) -> Advanced {
        turn.needs_thread()?;
        turn.needs_no_task()?;
        let task = TaskId(turn.args()[0]);
        let slot = self.new_task(task, TaskStatus::Syscall)?;
        self.threads.put_task(turn.seat, task, slot);
        turn.task_goes(TaskState::NotExist, TaskState::Syscall)
    }

    /// A foreign thread leaves. Its proc is lost with it: its id may come back as another thread, which could steal it from
    /// itself.
    pub(super) fn go_destroy_syscall(&mut self, turn: &mut Turn<'_>) -> Advanced {
        turn.needs_task_alone()?;
        let slot = self.task_in(turn, TaskStatus::Syscall)?;
        let has_proc = turn.context().has_proc();
        if has_proc {
            self.abandon_proc(turn)?;
        }
        self.tasks.remove(slot);
        self.threads.take_task(turn.seat);
        let (from, to) = (TaskState::Syscall, TaskState::NotExist);
        if !has_proc {
            return turn.task_goes(from, to);
        }
        let gone = *turn.record;
        let stolen = Record {
            kind: Some(EventKind::ProcSteal),
            args: [gone.context.proc.0, 0, NONE, 0],
            ..gone
        };
        turn.done_as(&[
            (stolen, ProcState::Running as u8, ProcState::Idle as u8),
            (gone, from as u8, to as u8),
        ])
    }
}
