//! Threads and what is on them.
//!
//! A thread is known from its first candidate on and never forgotten; what is on it is kept with the slot of its table, so that most
//! events look up nothing.

use super::Model;
use crate::record::Context;
use std::collections::HashMap;
use tachograph_wire::{ProcId, TaskId, ThreadId};

/// Index of a thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Seat(u32);

/// All threads.
#[derive(Clone, Debug, Default)]
pub(super) struct Threads {
    by_id: HashMap<ThreadId, Seat, foldhash::fast::FixedState>,
    all: Vec<Thread>,
}

/// A thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Thread {
    pub context: Context,
    /// Where the proc was in its table when it came here; a hint.
    pub proc_slot: u32,
    /// Where the task was in its table when it came here; a hint.
    pub task_slot: u32,
}

impl Threads {
    /// The thread's seat; it gets one if it is new.
    pub fn seat(&mut self, thread: ThreadId) -> Seat {
        let all = &mut self.all;
        *self.by_id.entry(thread).or_insert_with(|| {
            all.push(Thread {
                context: Context::bare(thread),
                proc_slot: 0,
                task_slot: 0,
            });
            Seat(all.len() as u32 - 1)
        })
    }

    /// The thread's seat, if it has one.
    pub fn find(&self, thread: ThreadId) -> Option<Seat> {
        self.by_id.get(&thread).copied()
    }

    /// Thread, proc and task.
    #[inline]
    pub fn context(&self, seat: Seat) -> Context {
        match self.all.get(seat.0 as usize) {
            Some(thread) => thread.context,
            None => Context::NONE,
        }
    }

    #[inline]
    pub fn get(&self, seat: Seat) -> Option<&Thread> {
        self.all.get(seat.0 as usize)
    }

    /// Who holds a proc. Looks at every thread.
    pub fn holder(&self, proc: ProcId) -> Option<Context> {
        let mut contexts = self.all.iter().map(|thread| thread.context);
        contexts.find(|context| context.proc == proc)
    }

    /// Puts a task on the thread.
    #[inline]
    pub fn put_task(&mut self, seat: Option<Seat>, task: TaskId, slot: u32) {
        if let Some(thread) = self.thread(seat) {
            thread.context.task = task;
            thread.task_slot = slot;
        }
    }

    /// Takes the task off the thread.
    #[inline]
    pub fn take_task(&mut self, seat: Option<Seat>) {
        self.put_task(seat, TaskId::RESERVED, 0);
    }

    /// Puts a proc on the thread.
    #[inline]
    pub fn put_proc(&mut self, seat: Option<Seat>, proc: ProcId, slot: u32) {
        if let Some(thread) = self.thread(seat) {
            thread.context.proc = proc;
            thread.proc_slot = slot;
        }
    }

    /// Takes the proc off the thread.
    #[inline]
    pub fn take_proc(&mut self, seat: Option<Seat>) {
        self.put_proc(seat, ProcId::NONE, 0);
    }

    #[inline]
    fn thread(&mut self, seat: Option<Seat>) -> Option<&mut Thread> {
        self.all.get_mut(seat?.0 as usize)
    }
}

impl Model {
    /// The slot of the task on the thread, if it is alive.
    #[inline]
    pub(super) fn current_task(&self, seat: Option<Seat>, task: TaskId) -> Option<u32> {
        let hint = seat
            .and_then(|seat| self.threads.get(seat))
            .map_or(0, |thread| thread.task_slot);
        self.tasks.find_near(task, hint)
    }

    /// The slot of the proc on the thread, if it is known.
    #[inline]
    pub(super) fn current_proc(&self, seat: Option<Seat>, proc: ProcId) -> Option<u32> {
        let hint = seat
            .and_then(|seat| self.threads.get(seat))
            .map_or(0, |thread| thread.proc_slot);
        self.procs.find_near(proc, hint)
    }
}
