//! The one recorder of the process, and each thread's way to its record.
//!
//! There is one because signals, timers and thread-locals are the process's own. Protocol rooms (`gate`, `status`, `sample::ring`)
//! are values and know nothing of this one.

use std::cell::Cell;
use std::ptr;

use tachograph_wire::Generation;

use crate::clock::Clock;
use crate::gate::Gate;
use crate::procs::Procs;
use crate::queue::Queue;
use crate::record::ThreadRecord;
use crate::registry::Registry;
use crate::sample::Sampler;
use crate::slot::{IdSource, Outlet};
use crate::stack::EventWalk;
use crate::sync::{AtomicU64, Ordering};
use crate::tasks::Tasks;
use crate::worker::{Places, Runtimes};

/// Everything that outlives a recording.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) gate: Gate,
    pub(crate) clock: Clock,
    /// The run in progress: a stretch of generations at whose start the trace knows of nobody. Changes while nothing is recorded.
    run: AtomicU64,
    /// Counts recordings.
    recording: AtomicU64,
    recording_since: AtomicU64,
    /// When it began, in ticks.
    recording_began: AtomicU64,
    run_since: AtomicU64,
    /// The youngest generation that was ever opened: numbers are not used again, whatever becomes of a recording.
    pub(crate) last_generation: AtomicU64,
    pub(crate) ids: [IdSource; 2],
    pub(crate) queue: Queue,
    pub(crate) procs: Procs,
    pub(crate) registry: Registry,
    pub(crate) tasks: Tasks,
    pub(crate) places: Places,
    pub(crate) runtimes: Runtimes,
    pub(crate) sampler: Sampler,
    pub(crate) event_walk: EventWalk,
    next_task: AtomicU64,
    next_user_task: AtomicU64,
    /// Events dropped because their thread had run its last destructors, or because memory ran out.
    pub(crate) events_lost: AtomicU64,
}

pub(crate) static CORE: Core = Core {
    gate: Gate::new(),
    clock: Clock::new(),
    run: AtomicU64::new(0),
    recording: AtomicU64::new(0),
    recording_since: AtomicU64::new(0),
    recording_began: AtomicU64::new(0),
    run_since: AtomicU64::new(0),
    last_generation: AtomicU64::new(0),
    ids: [IdSource::new(), IdSource::new()],
    queue: Queue::new(),
    procs: Procs::new(),
    registry: Registry::new(),
    tasks: Tasks::new(),
    places: Places::new(),
    runtimes: Runtimes::new(),
    sampler: Sampler::new(),
    event_walk: EventWalk::new(),
    next_task: AtomicU64::new(1),
    next_user_task: AtomicU64::new(1),
    events_lost: AtomicU64::new(0),
};

const USER_TASK_BLOCK: u64 = 64;

impl Core {
    /// The run in progress. Stable inside a critical section.
    pub(crate) fn run(&self) -> u64 {
        // Relaxed: published by `Gate::publish`, read after `Gate::enter`.
        self.run.load(Ordering::Relaxed)
    }

    /// The recording in progress. Stable inside a critical section.
    pub(crate) fn recording(&self) -> u64 {
        // Relaxed: as `run`.
        self.recording.load(Ordering::Relaxed)
    }

    /// The generation before which nothing is of the recording in progress. Stable inside a critical section.
    pub(crate) fn recording_since(&self) -> u64 {
        // Relaxed: as `run`.
        self.recording_since.load(Ordering::Relaxed)
    }

    /// When the recording in progress began, in ticks.
    pub(crate) fn recording_began(&self) -> u64 {
        // Relaxed: as `run`.
        self.recording_began.load(Ordering::Relaxed)
    }

    /// The generation before which nothing is of the run in progress. Stable inside a critical section.
    pub(crate) fn run_since(&self) -> u64 {
        // Relaxed: as `run`.
        self.run_since.load(Ordering::Relaxed)
    }

    /// Starts a recording and returns its number. Only while nothing is recorded.
    pub(crate) fn begin_recording(&self) -> u64 {
        self.events_lost.store(0, Ordering::Relaxed);
        self.recording_began
            .store(self.clock.now(), Ordering::Relaxed);
        let last = self.last_generation.load(Ordering::Relaxed);
        self.recording_since
            .store(Generation(last).next().0, Ordering::Relaxed);
        self.recording.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Starts a run: nobody is part of the trace yet. Only while nothing is recorded.
    pub(crate) fn begin_run(&self) {
        // Relaxed: see `run`.
        let run = self.run.load(Ordering::Relaxed) + 1;
        self.run.store(run, Ordering::Relaxed);
        let last = self.last_generation.load(Ordering::Relaxed);
        self.run_since
            .store(Generation(last).next().0, Ordering::Relaxed);
        self.procs.reset(run);
        // A run that failed may have left something.
        self.tasks.forget();
        for record in self.registry.live() {
            record.leave_run();
        }
    }

    /// A task id that no task of this process had before.
    pub(crate) fn new_task_id(&self) -> u64 {
        // Relaxed: only uniqueness matters.
        self.next_task.fetch_add(1, Ordering::Relaxed)
    }

    /// A user task id that no user task of this process had before; `block` is the calling thread's supply.
    pub(crate) fn new_user_task_id(&self, block: &mut (u64, u64)) -> u64 {
        if block.0 == block.1 {
            // Relaxed: only uniqueness matters.
            block.0 = self
                .next_user_task
                .fetch_add(USER_TASK_BLOCK, Ordering::Relaxed);
            block.1 = block.0 + USER_TASK_BLOCK;
        }
        block.0 += 1;
        block.0 - 1
    }

    pub(crate) fn outlet(&self, record: &ThreadRecord) -> Outlet<'_> {
        Outlet {
            queue: &self.queue,
            ids: &self.ids,
            thread: record.tid(),
        }
    }

    pub(crate) fn count_lost_event(&self) {
        // Relaxed: a counter.
        self.events_lost.fetch_add(1, Ordering::Relaxed);
    }
}

thread_local! {
    /// Null before the first event; `GONE` once the thread must not record any more.
    static RECORD: Cell<*const ThreadRecord> = const { Cell::new(ptr::null()) };
}

/// In place of a record: the thread is one of the recorder's own, which has nothing to say.
const OURS: *const ThreadRecord = ptr::without_provenance(1);
/// In place of a record: the thread is past its last destructor, or must not be disturbed now.
const GONE: *const ThreadRecord = ptr::without_provenance(2);

/// The calling thread's record; registers the thread at its first call. `None` when it must not record.
#[inline(always)]
pub(crate) fn this_thread() -> Option<&'static ThreadRecord> {
    let record = RECORD.get();
    if record > GONE {
        // SAFETY: records are never freed.
        return Some(unsafe { &*record });
    }
    first_event(record)
}

#[cold]
fn first_event(record: *const ThreadRecord) -> Option<&'static ThreadRecord> {
    if record == OURS {
        return None;
    }
    if record == GONE {
        CORE.count_lost_event();
        return None;
    }
    // Registration allocates: the events of a traced allocator must not come back here.
    RECORD.set(GONE);
    let record = CORE.registry.register_this_thread();
    if record.is_none() {
        RECORD.set(ptr::null());
        CORE.count_lost_event();
    }
    record
}

/// Runs `f`, which may allocate, without events of this thread: those of a traced allocator are dropped and counted.
pub(crate) fn aside<T>(f: impl FnOnce() -> T) -> T {
    let record = RECORD.replace(GONE);
    let result = f();
    RECORD.set(record);
    result
}

/// Binds a record to the calling thread.
pub(crate) fn bind(record: &'static ThreadRecord) {
    RECORD.set(record);
}

/// Whether the calling thread has a record.
pub(crate) fn bound() -> Option<&'static ThreadRecord> {
    let record = RECORD.get();
    // SAFETY: records are never freed.
    (record > GONE).then(|| unsafe { &*record })
}

/// The calling thread is one of the recorder's own: what a traced allocator does on it is no event of the program.
pub(crate) fn claim_for_recorder() {
    RECORD.set(OURS);
}

/// The calling thread records nothing from now on.
pub(crate) fn unbind() {
    RECORD.set(GONE);
}
