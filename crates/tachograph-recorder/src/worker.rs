//! Threads of async runtimes: workers, blocking threads, and threads that drive a runtime for a while.
//!
//! Called by the hooks and wrappers of integrations, each on the thread that it is about; by `spare`, when such a thread takes a slot up.
//!
//! # Rules
//! 1. Between tasks nothing runs on them in the trace: what their runtime does there is nobody's.
//! 2. A worker holds a processor slot for life, takes it up when it leaves its park and puts it down when it parks. A blocking thread
//!    holds one as long as a closure runs.
//! 3. A worker that blocks in place leaves its number to another thread, which takes its slot from it (`spare`). When it comes back between
//!    tasks and finds its number taken, it puts down what slot it has (`leave_place`).
//! 4. Whether a thread is busy or parked is kept also while nothing is recorded (`coverage`), but nobody is registered for that: a thread
//!    without a record keeps it in `POOL`.

use std::cell::Cell;
use std::collections::BTreeMap;

use tachograph_wire::EventKind;

use crate::core::{CORE, aside, bound, this_thread};
use crate::flow::NO_STACK;
use crate::record::{Flow, NO_PROC, NO_WORKER, ThreadRecord};
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
    /// Whose thread this is, and since when it is busy (0: it is parked). For when it registers, which it does at its first event.
    static POOL: Cell<Option<(Pool, u64)>> = const { Cell::new(None) };
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
    record.shared.coverage.unpark(CORE.clock.now());
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

/// Runtimes that have threads, and how many: also of one that was never seen to park.
#[derive(Debug)]
pub(crate) struct Runtimes(Mutex<BTreeMap<u64, (Option<&'static str>, usize)>>);

impl Runtimes {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// Numbers and names.
    pub(crate) fn known(&self) -> Vec<(u64, Option<&'static str>)> {
        let all = lock(&self.0);
        all.iter()
            .map(|(runtime, (name, _))| (*runtime, *name))
            .collect()
    }
}

/// The calling thread belongs to a runtime from now on, until it says that it has stopped.
pub fn thread_started(pool: Pool) {
    POOL.set(Some((pool, CORE.clock.now())));
    aside(|| {
        lock(&CORE.runtimes.0)
            .entry(pool.runtime)
            .or_insert((pool.name, 0))
            .1 += 1;
    });
    if let Some(record) = bound()
        && record.flag.is_clear()
    {
        join_pool(record);
    }
}

/// The calling thread belongs to its runtime no more.
pub fn thread_stopped(pool: Pool) {
    let mut all = lock(&CORE.runtimes.0);
    if let Some((_, threads)) = all.get_mut(&pool.runtime) {
        *threads -= 1;
        if *threads == 0 {
            all.remove(&pool.runtime);
        }
    }
}

/// Tells a record what its thread is for. On that thread, outside of a critical section.
pub(crate) fn join_pool(record: &'static ThreadRecord) {
    if let Some((pool, since)) = POOL.get() {
        record.shared.coverage.join(pool.runtime);
        record.shared.coverage.begin(since);
        // SAFETY: own thread, outside of a critical section; the reference ends here.
        let owner = unsafe { record.owner() };
        owner.pool = Some(pool);
        *lock(&record.shared.pool) = Some(pool);
        if owner.flow == Flow::Own && owner.own.is_none() {
            owner.flow = Flow::Runtime;
        }
    }
}

/// The calling thread, which belongs to no runtime, is seen to drive one.
#[cold]
fn drive(record: &'static ThreadRecord, pool: Pool) {
    if !record.flag.is_clear() {
        return;
    }
    // SAFETY: own thread, outside of a critical section; the reference ends here.
    let owner = unsafe { record.owner() };
    if owner.pool.is_some() {
        return;
    }
    owner.drives = true;
    record.shared.coverage.join(pool.runtime);
    *lock(&record.shared.pool) = Some(pool);
    // Relaxed: for information.
    let proc = owner.proc.map_or(NO_PROC, |proc| proc.id);
    record.shared.runtime_proc.store(proc, Ordering::Relaxed);
}

/// The record of a thread that parks or unparks, if it has or needs one. What it does is known while nothing is recorded, too, so that a
/// recording that begins knows whether it is busy; but it is not registered for that.
fn heard(pool: Pool) -> Option<&'static ThreadRecord> {
    let record = match CORE.gate.is_on() {
        true => this_thread(),
        false => bound(),
    }?;
    if record.shared.coverage.runtime() != pool.runtime {
        drive(record, pool);
    }
    Some(record)
}

/// For when the thread registers: it is busy since then, or parked (0).
fn remember(busy_since: u64) {
    if let Some((pool, _)) = POOL.get() {
        POOL.set(Some((pool, busy_since)));
    }
}

/// The calling thread, which drives a runtime, has nothing to do: it puts its processor slot down.
pub fn thread_parks(pool: Pool) {
    let Some(record) = heard(pool) else {
        return remember(0);
    };
    let coverage = &record.shared.coverage;
    coverage.park(CORE.clock.now(), CORE.recording_began());
    if CORE.gate.is_on() {
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
    let now = CORE.clock.now();
    if bound().is_none() {
        remember(now);
    }
    let Some(record) = heard(pool) else { return };
    record.shared.coverage.unpark(now);
    if CORE.gate.is_on() {
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

/// The calling thread ends: it is busy for nobody, and a processor slot that it has put down is for others.
pub(crate) fn leave(record: &'static ThreadRecord) {
    give_place_up(record);
    let coverage = &record.shared.coverage;
    coverage.leave(CORE.clock.now(), CORE.recording_began());
    // SAFETY: own thread, outside of a critical section; the reference ends here.
    if let Some((proc, run)) = unsafe { record.owner() }.parked.take() {
        CORE.procs.give(proc, run);
    }
}

/// The calling thread is about to drive a current-thread runtime, with `block_on`.
pub fn thread_drives() {
    if let Some(record) = bound() {
        record.shared.coverage.unpark(CORE.clock.now());
    }
}

/// The calling thread has come back from a runtime, to which it went with `block_on`: its own flow goes on.
pub fn thread_returns() {
    let Some(record) = bound().filter(|record| record.flag.is_clear()) else {
        return;
    };
    // SAFETY: own thread, outside of a critical section; the reference ends here.
    let owner = unsafe { record.owner() };
    // A worker's own flow has nothing to say.
    if owner.pool.is_some() {
        return;
    }
    let coverage = &record.shared.coverage;
    coverage.leave(CORE.clock.now(), CORE.recording_began());
    if CORE.gate.is_on() && owner.flow == Flow::Runtime {
        drop(Section::begin(record));
    }
}

/// The calling thread has run a closure, and waits for another one: its processor slot is for others.
pub fn thread_rests() {
    if CORE.gate.is_on()
        && let Some(record) = bound()
    {
        let coverage = &record.shared.coverage;
        coverage.leave(CORE.clock.now(), CORE.recording_began());
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
