//! Threads of async runtimes: workers and blocking threads.
//!
//! Between tasks nothing runs on them in the trace: what their runtime does there is nobody's. A worker holds a processor slot for
//! life, takes it up when it leaves its park and puts it down when it parks; a blocking thread holds one as long as a closure runs.

use std::cell::Cell;
use std::collections::BTreeMap;

use tachograph_wire::EventKind;

use crate::core::{CORE, bound, this_thread};
use crate::flow::NO_STACK;
use crate::record::{Flow, NO_WORKER, ThreadRecord};
use crate::section::{Need, Section};
use crate::sync::{Mutex, Ordering, lock};

/// Whose a thread is.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    /// The runtime's number, from 1 on.
    pub runtime: u64,
    /// The runtime's name.
    pub name: Option<&'static str>,
    /// Which of the runtime's workers the calling thread is now, if any.
    pub worker: fn() -> Option<usize>,
}

thread_local! {
    /// Whose thread this is. For when it registers, which it does at its first event.
    static POOL: Cell<Option<Pool>> = const { Cell::new(None) };
}

const PARK: &str = "park";

/// Which thread is which runtime's which worker. A worker that blocks in place leaves its place to another thread.
#[derive(Debug)]
pub(crate) struct Places(Mutex<BTreeMap<(u64, usize), &'static ThreadRecord>>);

impl Places {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }
}

/// The thread takes a slot up, as a worker if it is one. Who had that worker's place before.
pub(crate) fn take_place(
    record: &'static ThreadRecord,
    pool: Pool,
) -> Option<&'static ThreadRecord> {
    let worker = (pool.worker)();
    // Relaxed: for metadata.
    record.shared.worker.store(
        worker.map_or(NO_WORKER, |worker| worker as u64),
        Ordering::Relaxed,
    );
    let worker = worker?;
    record
        .shared
        .coverage
        .unpark(pool.runtime, CORE.clock.now());
    let before = lock(&CORE.places.0).insert((pool.runtime, worker), record)?;
    (!std::ptr::eq(before, record)).then_some(before)
}

/// The thread's slot was taken while it blocked in place, and it is between tasks again: if another thread is the worker now, this one
/// needs no slot any more.
#[cold]
pub(crate) fn leave_place(record: &'static ThreadRecord) {
    // SAFETY: own thread, outside of a critical section; the reference ends here.
    let owner = unsafe { record.owner() };
    if owner.flow != Flow::Runtime {
        return;
    }
    owner.lost_slot = false;
    let (Some(pool), Some(worker)) = (owner.pool, owner.pool.and_then(|pool| (pool.worker)()))
    else {
        return;
    };
    let holder = lock(&CORE.places.0).get(&(pool.runtime, worker)).copied();
    if holder.is_some_and(|holder| !std::ptr::eq(holder, record)) {
        thread_rests();
    }
}

/// The thread ends, or its record does.
fn give_place_up(record: &'static ThreadRecord) {
    lock(&CORE.places.0).retain(|_, holder| !std::ptr::eq(*holder, record));
}

/// The calling thread belongs to a runtime from now on, until its end.
pub fn thread_started(pool: Pool) {
    POOL.set(Some(pool));
    if let Some(record) = bound()
        && record.flag.is_clear()
    {
        join_pool(record);
    }
}

/// Tells a record what its thread is for. On that thread, outside of a critical section.
pub(crate) fn join_pool(record: &'static ThreadRecord) {
    if let Some(pool) = POOL.get() {
        // SAFETY: own thread, outside of a critical section; the reference ends here.
        let owner = unsafe { record.owner() };
        owner.pool = Some(pool);
        *lock(&record.shared.pool) = Some(pool);
        if owner.flow == Flow::Own && owner.own.is_none() {
            owner.flow = Flow::Runtime;
        }
    }
}

/// The calling thread, which drives a runtime, has nothing to do: it puts its processor slot down.
pub fn thread_parks() {
    if CORE.gate.is_on()
        && let Some(record) = bound()
    {
        record.shared.coverage.park(CORE.clock.now());
        park(record);
    }
}

fn park(record: &'static ThreadRecord) -> Option<()> {
    let mut section = Section::begin_for(record, Need::Thread, 2)?;
    if section.owner.proc.is_none() || section.record.shared.syscall.is_inside() {
        return None;
    }
    let own = section.owner.flow == Flow::Own;
    if own {
        let reason = section.name(PARK)?;
        section.block_own(reason, NO_STACK);
    }
    section.owner.own_parks = own;
    if let Some(proc) = section.owner.proc
        && section.owner.flow == Flow::Runtime
    {
        section.write(EventKind::ProcStop, []);
        section.hold_proc(None);
        section.owner.parked = Some((proc, CORE.run()));
    }
    Some(())
}

/// The calling thread has something to do again: it takes its processor slot up.
pub fn thread_unparks(pool: Pool) {
    if CORE.gate.is_on()
        && let Some(record) = this_thread()
    {
        record
            .shared
            .coverage
            .unpark(pool.runtime, CORE.clock.now());
        unpark(record);
    }
}

fn unpark(record: &'static ThreadRecord) -> Option<()> {
    let mut section = Section::begin_for(record, Need::Proc, 4)?;
    if section.owner.own_parks {
        section.owner.own_parks = false;
        section.run_own()?;
        section.set_limit();
    }
    Some(())
}

/// The calling thread ends: a processor slot that it has put down is for others.
pub(crate) fn leave_slot(record: &'static ThreadRecord) {
    give_place_up(record);
    // SAFETY: own thread, outside of a critical section; the reference ends here.
    if let Some((proc, run)) = unsafe { record.owner() }.parked.take() {
        CORE.procs.give(proc, run);
    }
}

/// The calling thread has come back from a runtime, which it drove with `block_on`: its own flow goes on.
pub fn thread_returns() {
    if CORE.gate.is_on()
        && let Some(record) = bound()
        && record.flag.is_clear()
    {
        // SAFETY: own thread, outside of a critical section; the reference ends here.
        let owner = unsafe { record.owner() };
        // A worker's own flow has nothing to say.
        if owner.flow == Flow::Runtime && owner.pool.is_none() {
            drop(Section::begin(record));
        }
    }
}

/// The calling thread has run a closure, and waits for another one: its processor slot is for others.
pub fn thread_rests() {
    if CORE.gate.is_on()
        && let Some(record) = bound()
    {
        record.shared.coverage.leave(CORE.clock.now());
        if let Some((proc, run)) = rest(record) {
            CORE.procs.give(proc, run);
        }
    }
}

fn rest(record: &'static ThreadRecord) -> Option<(&'static crate::procs::Proc, u64)> {
    let mut section = Section::begin_for(record, Need::Thread, 1)?;
    if section.owner.flow != Flow::Runtime {
        return None;
    }
    let proc = section.owner.proc?;
    section.write(EventKind::ProcStop, []);
    section.hold_proc(None);
    Some((proc, CORE.run()))
}
