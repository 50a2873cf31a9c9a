//! The table of all thread records, and how threads come and go.
//!
//! Records stand in one mapping that is never given back, so a pointer that a timer carries is valid for good and can be checked.
//! A record belongs to a thread from its registration (its first event, or the engine's discovery of a thread that never called
//! us) until the engine has reaped it after the thread's exit.

use std::collections::HashMap;
use std::ptr::NonNull;

use crate::core::{self, CORE};
use crate::record::{Flow, ThreadRecord};
use crate::section::{Need, Section};
use crate::sync::{AtomicU32, AtomicUsize, Mutex, MutexGuard, Ordering, lock};
use crate::task_word::Doing;
use crate::{buffer, os, sample, worker};

/// Most threads that can be known at a time; the memory is touched only as far as it is used.
const MAX_RECORDS: usize = 32 * 1024;
const MIN_RECORDS: usize = 64;
/// "No pthread key yet".
const NO_KEY: u32 = u32::MAX;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Registry {
    state: Mutex<State>,
    /// Address of the first record, 0 before the first recording.
    start: AtomicUsize,
    capacity: AtomicUsize,
    exit_key: AtomicU32,
}

#[derive(Debug)]
struct State {
    by_tid: Option<HashMap<u64, &'static ThreadRecord>>,
    live: Vec<&'static ThreadRecord>,
    free: Vec<&'static ThreadRecord>,
    used: usize,
}

impl Registry {
    pub(crate) const fn new() -> Self {
        Self {
            state: Mutex::new(State {
                by_tid: None,
                live: Vec::new(),
                free: Vec::new(),
                used: 0,
            }),
            start: AtomicUsize::new(0),
            capacity: AtomicUsize::new(0),
            exit_key: AtomicU32::new(NO_KEY),
        }
    }

    /// Maps the table, once a process. False when the kernel gives no memory.
    pub(crate) fn prepare(&self) -> bool {
        let mut state = lock(&self.state);
        if state.by_tid.is_some() {
            return true;
        }
        let mut capacity = MAX_RECORDS;
        let start = loop {
            match table_memory(capacity * size_of::<ThreadRecord>()) {
                Some(start) => break start,
                None if capacity > MIN_RECORDS => capacity /= 2,
                None => return false,
            }
        };
        if let Some(key) = os::exit_hook(on_thread_exit) {
            // Relaxed: published by the lock.
            self.exit_key.store(key, Ordering::Relaxed);
        }
        self.capacity.store(capacity, Ordering::Relaxed);
        // Release: pairs with the Acquire in `checked`.
        self.start.store(start.as_ptr() as usize, Ordering::Release);
        state.by_tid = Some(HashMap::new());
        true
    }

    /// The record at an address that came from outside (a signal's value), if there is one. Signal safe.
    #[inline]
    pub(crate) fn checked(&self, address: usize) -> Option<&'static ThreadRecord> {
        // Acquire: pairs with the Release in `prepare`.
        let start = self.start.load(Ordering::Acquire);
        let offset = address.wrapping_sub(start);
        // Relaxed: stored before `start`.
        let end = self.capacity.load(Ordering::Relaxed) * size_of::<ThreadRecord>();
        if start == 0 || offset >= end || !offset.is_multiple_of(size_of::<ThreadRecord>()) {
            return None;
        }
        // SAFETY: a record's place in the table. Only initialised records are ever given to a timer.
        NonNull::new(address as *mut ThreadRecord).map(|record| unsafe { record.as_ref() })
    }

    /// Registers the calling thread. `None` when the table is full or was never mapped.
    pub(crate) fn register_this_thread(&self) -> Option<&'static ThreadRecord> {
        let tid = os::tid();
        let name = os::thread_name();
        // A SIGPROF that lands between arming and binding finds a whole record, but no half-made one.
        let was_blocked = os::block_sigprof();
        let record = {
            let mut state = lock(&self.state);
            let record = state.find_or_create(self, tid);
            if let Some(record) = record {
                // Relaxed (all): published by the lock.
                record.shared.registered.store(true, Ordering::Relaxed);
                *lock(&record.shared.name) = name;
                record.sample.learn_bounds();
                core::bind(record);
                os::arm_exit_hook(self.exit_key.load(Ordering::Relaxed), record);
                worker::join_pool(record);
                CORE.sampler.thread_registered(record, &state_guard(&state));
            }
            record
        };
        // A program that blocks SIGPROF and is not sampled may wait for it itself.
        if !was_blocked {
            os::unblock_sigprof();
        } else if CORE.sampler.plan().is_some() {
            os::unblock_sigprof();
            CORE.sampler.count_unblocked();
        }
        record
    }

    /// The record of a thread that the engine has discovered.
    pub(crate) fn discover(&self, tid: u64) -> Option<(&'static ThreadRecord, bool)> {
        let mut state = lock(&self.state);
        let known = state.by_tid.as_ref()?.contains_key(&tid);
        let record = state.find_or_create(self, tid)?;
        Some((record, !known))
    }

    /// All records in use.
    pub(crate) fn live(&self) -> Vec<&'static ThreadRecord> {
        lock(&self.state).live.clone()
    }

    /// Runs `f` while no thread registers or is reaped.
    pub(crate) fn locked<T>(&self, f: impl FnOnce(&RegistryLock<'_>) -> T) -> T {
        let state = lock(&self.state);
        f(&state_guard(&state))
    }

    /// Gives up all sample rings that do not have `words`. Only while nothing is recorded.
    pub(crate) fn fit_rings(&self, words: usize) {
        let state = lock(&self.state);
        for record in state.live.iter().chain(&state.free) {
            record.sample.fit(words);
        }
    }

    /// Takes a thread that is gone off the tid index at once, so that a new thread with its tid gets a record of its own.
    pub(crate) fn forget_tid(&self, record: &'static ThreadRecord) {
        let mut state = lock(&self.state);
        let tid = record.tid();
        if let Some(by_tid) = &mut state.by_tid
            && by_tid.get(&tid).is_some_and(|r| std::ptr::eq(*r, record))
        {
            by_tid.remove(&tid);
        }
    }

    /// Gives a record back. Its thread is gone and all its generations are closed.
    pub(crate) fn reap(&self, record: &'static ThreadRecord) {
        self.forget_tid(record);
        let mut state = lock(&self.state);
        state.live.retain(|r| !std::ptr::eq(*r, record));
        record.retire();
        state.free.push(record);
    }
}

/// Zeroed memory for good, touched only as it is used.
#[cfg(not(tachograph_sanitizer))]
fn table_memory(bytes: usize) -> Option<NonNull<u8>> {
    buffer::map_pages(bytes)
}

/// From the allocator, whose memory AddressSanitizer guards and searches for what is still reachable.
#[cfg(tachograph_sanitizer)]
fn table_memory(bytes: usize) -> Option<NonNull<u8>> {
    let layout = std::alloc::Layout::from_size_align(bytes, align_of::<ThreadRecord>()).ok()?;
    // SAFETY: the layout is not empty.
    NonNull::new(unsafe { std::alloc::alloc_zeroed(layout) })
}

/// Proof that the registry is locked.
#[derive(Debug)]
pub(crate) struct RegistryLock<'a>(std::marker::PhantomData<&'a ()>);

fn state_guard<'a>(_: &'a MutexGuard<'_, State>) -> RegistryLock<'a> {
    RegistryLock(std::marker::PhantomData)
}

impl State {
    fn find_or_create(&mut self, registry: &Registry, tid: u64) -> Option<&'static ThreadRecord> {
        if let Some(record) = self.by_tid.as_ref()?.get(&tid) {
            return Some(record);
        }
        let record = match self.free.pop() {
            Some(record) => record,
            None => self.create(registry)?,
        };
        // Relaxed: the record is not published yet.
        record.shared.tid.store(tid, Ordering::Relaxed);
        self.live.push(record);
        self.by_tid.as_mut()?.insert(tid, record);
        Some(record)
    }

    fn create(&mut self, registry: &Registry) -> Option<&'static ThreadRecord> {
        // Relaxed: under the lock.
        if self.used == registry.capacity.load(Ordering::Relaxed) {
            return None;
        }
        let start = registry.start.load(Ordering::Relaxed) as *mut ThreadRecord;
        // SAFETY: place `used` lies inside the mapping and has never been used.
        let record = unsafe {
            let place = start.add(self.used);
            place.write(ThreadRecord::new());
            &*place
        };
        self.used += 1;
        Some(record)
    }
}

/// Runs on a thread after its last thread-local destructor: pthread keys come after those.
extern "C" fn on_thread_exit(record: *mut libc::c_void) {
    let Some(record) = CORE.registry.checked(record as usize) else {
        return;
    };
    if os::is_forked_child() {
        return;
    }
    os::block_sigprof();
    sample::arm::disarm_self(record);
    retire_from_trace(record);
    forget_own_task(record);
    worker::leave(record);
    core::unbind();
    CORE.registry.forget_tid(record);
    // Release: pairs with the Acquire in `advance::exited_threads`; everything above is done.
    record.shared.exited.store(true, Ordering::Release);
}

/// Writes the thread's last events and hands its open generation's blocks over; the one before is the engine's to seal.
fn retire_from_trace(record: &'static ThreadRecord) {
    // SAFETY: own thread, its last code here; the section below makes its own reference later.
    let run = unsafe { record.owner() }.run;
    if run == 0 || run != CORE.run() {
        return;
    }
    // SAFETY: as above.
    let owner = unsafe { record.owner() };
    let need = match (owner.flow, &owner.own) {
        (Flow::Runtime, None) => Need::Thread,
        (Flow::Runtime, Some(_)) => Need::Proc,
        _ => Need::Task,
    };
    let Some(mut section) = Section::begin_for(record, need, 1) else {
        return;
    };
    section.stay_outside();
    // `begin` may have found another run and introduced the thread anew: it retires all the same.
    let run = section.owner.run;
    if !section.more(5) {
        return;
    }
    let proc = section.retire();
    let events = section.slot.seal(&CORE.queue);
    // Relaxed: a counter, read after the generation is quiet.
    record.shared.events_at_exit[(section.generation & 1) as usize]
        .fetch_add(events, Ordering::Relaxed);
    drop(section);
    if let Some(proc) = proc {
        CORE.procs.give(proc, run);
    }
}

/// The thread's own flow has ended.
fn forget_own_task(record: &'static ThreadRecord) {
    // SAFETY: own thread, its last code here.
    if let Some(own) = unsafe { record.owner() }.own.take() {
        // Nothing, where the trace knows.
        let _ = own.word.unsaid(|_| Some(Doing::Dead));
        CORE.tasks.remove(&own);
    }
}
