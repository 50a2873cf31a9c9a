//! A task's wakers: what futures wake instead of the executor's own.
//!
//! A waker is a counted reference to the task's record. Waking it records who woke the task, if that was waiting, and passes the wake on to
//! the executor, always: what is recorded never decides what runs.

use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::task::{RawWaker, RawWakerVTable, Waker};

use tachograph_wire::EventKind;

use crate::awaits::{note_await, wake_stack};
use crate::chains::Chain;
use crate::core::{CORE, bound, this_thread};
use crate::record::{Flow, ThreadRecord};
use crate::section::{Need, Section};
use crate::sync::Arc;
use crate::task_word::{Doing, Tried};
use crate::tasks::TaskRecord;

/// Two tables that clone into each other: `Waker::will_wake` compares tables, so that a future that parks finds a waker it does not have
/// yet, and clones it where its stack can be seen.
static TABLES: [RawWakerVTable; 2] = [
    RawWakerVTable::new(clone_into_second, wake_owned, wake_borrowed, release),
    RawWakerVTable::new(clone_into_first, wake_owned, wake_borrowed, release),
];

/// The task's waker for the time of a poll, without a count of its own.
#[inline(always)]
pub(crate) fn borrowed(task: &Arc<TaskRecord>) -> ManuallyDrop<Waker> {
    let data = Arc::as_ptr(task).cast::<()>();
    // SAFETY: the tables' functions keep the contract for a record in an `Arc`; this waker is never dropped, and the record outlives the
    // poll.
    ManuallyDrop::new(unsafe { Waker::from_raw(RawWaker::new(data, &TABLES[0])) })
}

unsafe fn clone_into_second(data: *const ()) -> RawWaker {
    // SAFETY: as the caller's.
    unsafe { clone(data, &TABLES[1]) }
}

unsafe fn clone_into_first(data: *const ()) -> RawWaker {
    // SAFETY: as the caller's.
    unsafe { clone(data, &TABLES[0]) }
}

/// # Safety
/// * `data` is of an `Arc<TaskRecord>` that is alive.
unsafe fn clone(data: *const (), table: &'static RawWakerVTable) -> RawWaker {
    // SAFETY: owed by the caller.
    unsafe { Arc::increment_strong_count(data.cast::<TaskRecord>()) };
    if CORE.event_walk.has_awaits()
        && CORE.gate.is_on()
        && let Some(record) = bound()
        && let Some(task) = NonNull::new(data.cast_mut().cast::<TaskRecord>())
    {
        note_await(record, Flow::Task(task));
    }
    RawWaker::new(data, table)
}

unsafe fn wake_owned(data: *const ()) {
    // SAFETY: the waker's own count, given up at the end.
    let task = unsafe { Arc::from_raw(data.cast::<TaskRecord>()) };
    wake(&task);
}

unsafe fn wake_borrowed(data: *const ()) {
    // SAFETY: the waker keeps the record alive.
    wake(unsafe { &*data.cast::<TaskRecord>() });
}

unsafe fn release(data: *const ()) {
    // SAFETY: the waker's own count.
    drop(unsafe { Arc::from_raw(data.cast::<TaskRecord>()) });
}

#[inline(always)]
fn wake(task: &TaskRecord) {
    if task.word.wake_running() {
        wake_running(task);
    } else {
        wake_waiting(task);
    }
    task.outer.wake();
}

/// Tells a task that wakes itself from one that others wake.
#[inline(never)]
fn wake_running(task: &TaskRecord) {
    if CORE.gate.is_on()
        && let Some(record) = bound()
        && record.flag.is_clear()
    {
        // SAFETY: own thread, outside of a critical section; the reference ends here.
        let owner = unsafe { record.owner() };
        if owner.flow == Flow::Task(NonNull::from(task)) {
            owner.awaits.woke_itself = true;
        }
    }
}

#[inline(never)]
fn wake_waiting(task: &TaskRecord) {
    let said = match CORE.gate.is_on() {
        true => this_thread().and_then(|record| say_wake(record, task)),
        false => None,
    };
    if said.is_none() {
        let _ = task.word.unsaid(|doing| match doing {
            Doing::Waiting => Some(Doing::Runnable),
            Doing::Running => Some(Doing::RunningWoken),
            _ => None,
        });
    }
}

#[inline(always)]
fn say_wake(record: &'static ThreadRecord, task: &TaskRecord) -> Option<()> {
    let chain = wake_stack(record);
    {
        let mut section = Section::begin_for(record, Need::Thread, 2)?;
        let stack = section.wake_stack(chain)?;
        if let Some(number) = task.word.wake_plainly(section.generation) {
            section.write(EventKind::GoUnblock, [task.id, number, stack]);
            return Some(());
        }
    }
    say_any_wake(record, task, chain)
}

#[cold]
fn say_any_wake(
    record: &'static ThreadRecord,
    task: &TaskRecord,
    chain: Option<NonNull<Chain>>,
) -> Option<()> {
    loop {
        let mut section = Section::begin_for(record, Need::Thread, 2)?;
        let name = section.name_if_due(task)?;
        let stack = section.wake_stack(chain)?;
        match task.word.wake(section.generation) {
            Tried::Later => continue,
            Tried::Changed(change) => section.write_wake(task, change, name, stack),
            Tried::Silent(_) | Tried::Unchanged(_) => {}
        }
        return Some(());
    }
}
