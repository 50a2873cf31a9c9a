//! Says what a candidate waits for, for the error that shows why nothing can be next.

use super::Model;
use crate::record::Record;
use std::fmt::Write;
use tachograph_wire::{EventKind, ProcId, TaskId};

impl Model {
    /// What would have to be so that the candidate could happen.
    pub fn waits_for(&mut self, candidate: &Record) -> String {
        use EventKind as E;
        let [id, number, ..] = candidate.args;
        let Some(kind) = candidate.kind else {
            return String::new();
        };
        match kind {
            E::GoStart => self.task_wait(TaskId(id), number, "Runnable"),
            E::GoUnblock | E::GoSwitch | E::GoSwitchDestroy => {
                self.task_wait(TaskId(id), number, "Waiting")
            }
            E::ProcStart => self.proc_wait(ProcId(id), number, "Idle, on a thread without one"),
            E::ProcSteal => self.proc_wait(ProcId(id), number, "in a system call"),
            E::GoSyscallEndBlocked => "its thread to lose its proc".to_owned(),
            E::GCActive | E::GCBegin | E::GCEnd => {
                format!("number {id} of the collector, {}", self.collector.tells())
            }
            _ => "its turn".to_owned(),
        }
    }

    fn task_wait(&mut self, id: TaskId, number: u64, wanted: &str) -> String {
        let mut text = format!("task {id} to be {wanted} before number {number}, now ");
        let slot = self.tasks.find(id);
        let epoch = self.epoch;
        let _ = match slot.and_then(|slot| self.tasks.get(slot)) {
            None => write!(text, "unknown"),
            Some(task) if task.sequence.epoch != epoch => {
                write!(
                    text,
                    "{:?} without a status in this generation",
                    task.status
                )
            }
            Some(task) => write!(text, "{:?} at number {}", task.status, task.sequence.number),
        };
        text
    }

    fn proc_wait(&mut self, id: ProcId, number: u64, wanted: &str) -> String {
        let mut text = format!("proc {id} to be {wanted} before number {number}, now ");
        let slot = self.procs.find(id);
        let epoch = self.epoch;
        let _ = match slot.and_then(|slot| self.procs.get(slot)) {
            None => write!(text, "unknown"),
            Some(proc) if proc.sequence.epoch != epoch => {
                write!(
                    text,
                    "{:?} without a status in this generation",
                    proc.status
                )
            }
            Some(proc) => write!(text, "{:?} at number {}", proc.status, proc.sequence.number),
        };
        text
    }
}
