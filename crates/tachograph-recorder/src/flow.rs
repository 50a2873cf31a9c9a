//! What runs on a thread, and how the trace is told: tasks that begin and cease to run there.
//!
//! The events of `task_word`'s changes, in the critical section in which the change was made. Called by `section` (introduction, blocking
//! sections), `poll`, `wake`, `spawn` and thread exit.

use std::ptr::NonNull;

use tachograph_wire::{EventKind, StackId, TaskStatus, ThreadId};

use crate::record::{Flow, NO_TASK};
use crate::section::Section;
use crate::sync::Ordering;
use crate::task_word::{Change, Said, Tried};
use crate::tasks::{TaskName, TaskRecord};

pub(crate) const NO_THREAD: u64 = ThreadId::NONE.0;
pub(crate) const NO_STACK: u64 = StackId::NONE.0;

/// The task that lost its thread for a while to one inside of it.
#[must_use]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interrupted(Flow);

impl Said {
    /// As a status on the wire.
    pub(crate) fn status(self) -> TaskStatus {
        match self {
            Self::Waiting => TaskStatus::Waiting,
            Self::Running => TaskStatus::Running,
            Self::Runnable | Self::Nothing => TaskStatus::Runnable,
        }
    }
}

impl Section {
    /// The task that runs here.
    #[inline(always)]
    pub(crate) fn current(&self) -> Option<&'static TaskRecord> {
        // SAFETY: `flow` names it until its poll ends, which is a section of its own; a thread's own task stays for the thread's life.
        self.owner
            .current()
            .map(|task| unsafe { NonNull::from(task).as_ref() })
    }

    /// A stack whose only frame is the task's name. `None` (and the thread is muted) when there is no memory.
    pub(crate) fn task_name(&mut self, task: &TaskRecord) -> Option<u64> {
        let known = task.name().key();
        let leaf = match known.and_then(|key| self.owner.names.find_key(self.generation, key)) {
            Some(id) => id,
            None => self.new_task_name(task.name(), known)?,
        };
        self.stack(leaf, &[])
    }

    fn new_task_name(&mut self, name: &TaskName, key: Option<(usize, usize)>) -> Option<u64> {
        let id = name.with(|text| self.text(text))?;
        if let Some(key) = key {
            self.owner.names.put_key(self.generation, key, id);
        }
        Some(id)
    }

    /// A task's name, if a change of its word is to need it: taken first, because it may fail and a change can't be taken back.
    #[inline(always)]
    pub(crate) fn name_if_due(&mut self, task: &TaskRecord) -> Option<u64> {
        match task.word.is_due(self.generation) {
            true => self.task_name(task),
            false => Some(NO_STACK),
        }
    }

    /// States a task that has no thread.
    fn write_status(&mut self, task: &TaskRecord, said: Said, name: u64) {
        let args = [task.id, NO_THREAD, said.status().to_wire(), name];
        self.write(EventKind::GoStatusStack, args);
    }

    /// The status of the task that runs here, if that is due.
    pub(crate) fn state_running(&mut self, task: &TaskRecord, inside: bool) -> Option<()> {
        let name = self.name_if_due(task)?;
        if let Tried::Changed(_) = task.word.claim(self.generation) {
            let status = match inside {
                true => TaskStatus::Syscall,
                false => TaskStatus::Running,
            };
            let args = [task.id, self.record.tid(), status.to_wire(), name];
            self.write(EventKind::GoStatusStack, args);
        }
        Some(())
    }

    /// The thread's samples are the task's from now on.
    #[inline(always)]
    pub(crate) fn runs(&self, task: &TaskRecord) {
        // Relaxed: read by this thread's handler, and by the advancer, who orders it.
        self.record.context.task.store(task.id, Ordering::Relaxed);
    }

    /// The thread is in a poll of `task`, called at this stack pointer. What `Owner::leave_poll` is owed: the base of the regions and the poll
    /// before.
    #[inline(always)]
    pub(crate) fn enter_poll(&mut self, task: &TaskRecord, poll: u64) -> (usize, u64) {
        self.owner.flow = Flow::Task(NonNull::from(task));
        if !self.owner.is_muted {
            self.slot.lift_limit();
        }
        self.record.shared.coverage.polls();
        // SAFETY: this thread polls the task.
        let base = self.owner.regions.enter(unsafe { task.regions() });
        (base, self.owner.awaits.begin(poll))
    }

    /// The events after which `task` runs here. At most three.
    #[inline(always)]
    pub(crate) fn write_run(&mut self, task: &TaskRecord, tried: Tried, name: u64) {
        if let Tried::Changed(change) = tried {
            match change {
                Change {
                    said: Said::Runnable,
                    states: false,
                    number,
                    ..
                } => self.write(EventKind::GoStart, [task.id, number]),
                _ => self.write_long_run(task, change, name),
            }
        }
        self.runs(task);
    }

    #[cold]
    fn write_long_run(&mut self, task: &TaskRecord, change: Change, name: u64) {
        let mut number = change.number;
        if change.states {
            self.write_status(task, change.said, name);
        }
        match change.said {
            Said::Nothing => self.write(EventKind::GoCreate, [task.id, name, 0]),
            Said::Waiting => {
                self.write(EventKind::GoUnblock, [task.id, number, 0]);
                number += 1;
            }
            Said::Runnable => {}
            Said::Running => return,
        }
        self.write(EventKind::GoStart, [task.id, number]);
    }

    /// A wake's event. The caller has seen to room for two.
    #[inline(always)]
    pub(crate) fn write_wake(&mut self, task: &TaskRecord, change: Change, name: u64, stack: u64) {
        if change.states {
            self.write_status(task, change.said, name);
        }
        self.write(EventKind::GoUnblock, [task.id, change.number, stack]);
    }

    /// A task that ran starts again here, after a blocking section that lost its slot.
    pub(crate) fn start_again(&mut self) {
        if let Some(task) = self.current() {
            let number = task.word.next_number(self.generation);
            self.write(EventKind::GoStart, [task.id, number]);
        }
    }

    /// Between a runtime's tasks the thread speaks for itself: its own flow runs. The caller has seen to room.
    pub(crate) fn run_own(&mut self) -> Option<()> {
        if self.owner.flow == Flow::Own {
            return Some(());
        }
        self.owner.flow = Flow::Own;
        let own = self.current()?;
        let name = self.name_if_due(own)?;
        let tried = own.word.start(self.generation);
        self.write_run(own, tried, name);
        Some(())
    }

    /// The thread's own flow waits for `reason`: a runtime has the thread now.
    pub(crate) fn block_own(&mut self, reason: u64, stack: u64) {
        if self.owner.flow == Flow::Own
            && let Some(own) = self.current()
            && let Tried::Changed(_) = own.word.pause(self.generation)
        {
            self.write(EventKind::GoBlock, [reason, stack]);
        }
        self.nothing_runs();
    }

    /// The thread is between tasks.
    #[inline(always)]
    pub(crate) fn nothing_runs(&mut self) {
        self.owner.flow = Flow::Runtime;
        // Relaxed: as in `write_run`.
        self.record.context.task.store(NO_TASK, Ordering::Relaxed);
        self.slot.drop_limit();
    }

    /// The last words of the thread's own flow. Up to four events.
    pub(crate) fn end_own(&mut self) {
        let Some(own) = self.owner.own.clone() else {
            return;
        };
        let name = self.name_if_due(&own).unwrap_or(NO_STACK);
        let tried = own.word.end(self.generation);
        self.write_end(&own, tried, name);
    }

    /// What it takes to end a task, whatever is said of it.
    pub(crate) fn write_end(&mut self, task: &TaskRecord, tried: Tried, name: u64) {
        if let Tried::Changed(change) = tried {
            self.write_run(task, Tried::Changed(change), name);
            self.write(EventKind::GoDestroy, []);
        }
        // Relaxed: as in `write_run`.
        self.record.context.task.store(NO_TASK, Ordering::Relaxed);
    }

    /// What runs here makes way for a task inside of it. One event.
    pub(crate) fn interrupt(&mut self, reason: u64) -> Interrupted {
        let flow = self.owner.flow;
        if let Some(task) = self.current()
            && let Tried::Changed(_) = task.word.suspend(self.generation)
        {
            self.write(EventKind::GoStop, [reason, NO_STACK]);
        }
        // Relaxed: as in `runs`. A sample that lands here is nobody's.
        self.record.context.task.store(NO_TASK, Ordering::Relaxed);
        Interrupted(flow)
    }

    /// The task inside is through: what made way for it runs again. Up to two events.
    pub(crate) fn resume(&mut self, interrupted: Interrupted) {
        self.owner.flow = interrupted.0;
        match self.current() {
            Some(task) => {
                let name = self.name_if_due(task).unwrap_or(NO_STACK);
                let tried = task.word.resume(self.generation);
                self.write_run(task, tried, name);
                self.set_limit();
            }
            None => self.nothing_runs(),
        }
    }
}

impl Interrupted {
    /// Nothing made way.
    pub(crate) const RUNTIME: Self = Self(Flow::Runtime);

    /// What made way.
    pub(crate) fn flow(self) -> Flow {
        self.0
    }
}
