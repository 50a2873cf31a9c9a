//! What is known of one thread.
//!
//! Records live in `registry`'s table, are reused after a thread's exit and never freed, so that a signal that is still on its way
//! finds valid memory. Three parties touch one, each its own part:
//! * the thread itself (`Owner`, `Slot`), inside its critical section;
//! * its signal handler (`flag`, `context`, `sample`), on the same thread, between any two instructions;
//! * the engine (`Shared`), any time; and the sealed generation's `Slot`, once that generation is quiet.

use std::cell::UnsafeCell;
use std::ptr::NonNull;

use crate::awaits::Awaits;
use crate::chains::Chains;
use crate::coverage::Coverage;
use crate::gate::WriteFlag;
use crate::names::NameCache;
use crate::procs::Proc;
use crate::regions::{BACKGROUND, INHERITED, LeftOpen, OpenRegion, OpenRegions, SCOPE};
use crate::sample::state::SampleState;
use crate::slot::{Slot, Stamp};
use crate::stack::EventCache;
use crate::sync::{Arc, AtomicBool, AtomicU64, Mutex, Ordering, lock};
use crate::syscall::Syscall;
use crate::tasks::TaskRecord;
use crate::worker::Pool;

/// "No processor slot" in `Context::proc` and on the wire.
pub(crate) const NO_PROC: u64 = u64::MAX;
/// "No worker" in `Shared::worker`.
pub(crate) const NO_WORKER: u64 = u64::MAX;
/// "No task" in `Context::task` and in samples on the wire.
pub(crate) const NO_TASK: u64 = 0;

/// One thread.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct ThreadRecord {
    pub(crate) flag: WriteFlag,
    pub(crate) context: Context,
    owner: UnsafeCell<Owner>,
    slots: [UnsafeCell<Slot>; 2],
    pub(crate) shared: Shared,
    pub(crate) sample: SampleState,
    pub(crate) event_cache: EventCache,
    pub(crate) await_chains: Chains,
    pub(crate) wake_chains: Chains,
}

// SAFETY: `owner` and `slots` are accessed by one party at a time (module text; `gate` rules 1, 3 and 4); the rest is atomics
// and locks.
unsafe impl Sync for ThreadRecord {}

/// Processor slot and task that are current on the thread; what a sample is attributed to.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) proc: AtomicU64,
    pub(crate) task: AtomicU64,
}

/// The thread's own state.
#[derive(Debug)]
pub(crate) struct Owner {
    pub(crate) stamp: Stamp,
    /// The run in which the thread was introduced last.
    pub(crate) run: u64,
    /// The first generation of that run. N.B. Not of the introduction: a task's regions may have begun elsewhere before that.
    pub(crate) since: u64,
    /// The first generation of the recording of that introduction.
    pub(crate) recording_since: u64,
    /// The run in which the thread ran out of memory and fell silent.
    pub(crate) muted_run: u64,
    /// That run may be the one in progress: nothing but `prepare` lets the thread into a critical section to write.
    pub(crate) is_muted: bool,
    /// The slot that the thread holds, running.
    pub(crate) proc: Option<&'static Proc>,
    /// The slot that it holds while it is parked, and its run.
    pub(crate) parked: Option<(&'static Proc, u64)>,
    /// The thread's own flow waits for the end of a park.
    pub(crate) own_parks: bool,
    /// What runs on the thread now, whether or not the trace knows.
    pub(crate) flow: Flow,
    /// The thread's own flow as a task, once something of it has been recorded.
    pub(crate) own: Option<Arc<TaskRecord>>,
    /// What a runtime's thread is for.
    pub(crate) pool: Option<Pool>,
    /// It has been seen to drive a current-thread runtime.
    pub(crate) drives: bool,
    /// The thread's slot was taken in a blocking section: another thread may have its place as a worker.
    pub(crate) lost_slot: bool,
    /// Where the poll in progress has parked.
    pub(crate) awaits: Awaits,
    pub(crate) names: NameCache,
    pub(crate) regions: OpenRegions,
    /// Depth of open blocking sections.
    pub(crate) blocking: u32,
    pub(crate) user_tasks: (u64, u64),
}

/// What the engine may look at while the thread runs.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) tid: AtomicU64,
    /// The run in which the thread is part of the trace, 0 when it is not.
    pub(crate) run: AtomicU64,
    /// Id of the processor slot that the thread got last in `run`; `syscall` says whether it was taken away since.
    pub(crate) proc: AtomicU64,
    /// Id of the thread's own flow, once it is a task.
    pub(crate) own_task: AtomicU64,
    pub(crate) syscall: Syscall,
    /// When the open section began, in ticks.
    pub(crate) syscall_since: AtomicU64,
    pub(crate) registered: AtomicBool,
    /// Set once the thread is gone; the engine then reaps the record.
    pub(crate) exited: AtomicBool,
    pub(crate) name: Mutex<String>,
    /// Events that the thread itself handed over at its exit, by generation parity.
    pub(crate) events_at_exit: [AtomicU64; 2],
    pub(crate) reentrant: AtomicU64,
    /// Stacks of awaits and wakes that the thread could not afford.
    pub(crate) stacks_left_out: AtomicU64,
    pub(crate) cpu: Cpu,
    pub(crate) coverage: Coverage,
    /// The slot that the thread held last as a runtime's, and which worker it was; `NO_PROC` and `NO_WORKER` for none.
    pub(crate) runtime_proc: AtomicU64,
    pub(crate) worker: AtomicU64,
    pub(crate) pool: Mutex<Option<Pool>>,
}

impl Shared {
    /// Whose thread it is.
    pub(crate) fn pool(&self) -> Option<Pool> {
        *lock(&self.pool)
    }
}

/// What runs on a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Its own flow: the code that called us is nobody else's.
    Own,
    /// A task that is being polled. Valid while it is: whoever polls has it.
    Task(NonNull<TaskRecord>),
    /// Code of a runtime, between tasks.
    Runtime,
}

/// CPU time of the thread, in nanoseconds of its own clock.
#[derive(Debug)]
pub(crate) struct Cpu {
    pub(crate) base: AtomicU64,
    pub(crate) last: AtomicU64,
    /// Samples times weight, in the current recording.
    pub(crate) weight: AtomicU64,
}

impl Cpu {
    fn clear(&self) {
        for value in [&self.base, &self.last, &self.weight] {
            // Relaxed: the engine's own.
            value.store(0, Ordering::Relaxed);
        }
    }
}

impl ThreadRecord {
    pub(crate) fn new() -> Self {
        Self {
            flag: WriteFlag::new(),
            context: Context {
                proc: AtomicU64::new(NO_PROC),
                task: AtomicU64::new(NO_TASK),
            },
            owner: UnsafeCell::new(Owner::new()),
            slots: [UnsafeCell::new(Slot::new()), UnsafeCell::new(Slot::new())],
            shared: Shared {
                tid: AtomicU64::new(0),
                run: AtomicU64::new(0),
                proc: AtomicU64::new(NO_PROC),
                own_task: AtomicU64::new(NO_TASK),
                syscall: Syscall::new(),
                syscall_since: AtomicU64::new(0),
                registered: AtomicBool::new(false),
                exited: AtomicBool::new(false),
                name: Mutex::new(String::new()),
                events_at_exit: [AtomicU64::new(0), AtomicU64::new(0)],
                reentrant: AtomicU64::new(0),
                stacks_left_out: AtomicU64::new(0),
                cpu: Cpu {
                    base: AtomicU64::new(0),
                    last: AtomicU64::new(0),
                    weight: AtomicU64::new(0),
                },
                coverage: Coverage::new(),
                runtime_proc: AtomicU64::new(NO_PROC),
                worker: AtomicU64::new(NO_WORKER),
                pool: Mutex::new(None),
            },
            sample: SampleState::new(),
            event_cache: EventCache::new(),
            await_chains: Chains::new(),
            wake_chains: Chains::new(),
        }
    }

    /// The thread's own state.
    ///
    /// # Safety
    /// * The caller is the thread itself, outside of signal handlers.
    /// * No other reference from here is alive: `flag` is set by the caller, or nothing in between can record.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn owner(&self) -> &mut Owner {
        // SAFETY: owed by the caller.
        unsafe { &mut *self.owner.get() }
    }

    /// The slot of `generation`'s parity.
    ///
    /// # Safety
    /// * The caller is the thread itself inside a critical section of `generation`, or the engine after that generation is
    ///   quiet.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn slot(&self, generation: u64) -> &mut Slot {
        // SAFETY: owed by the caller.
        unsafe { &mut *self.slots[(generation & 1) as usize].get() }
    }

    /// A new run knows nothing of the thread yet: its samples name no slot and no task. Only while nothing is recorded.
    pub(crate) fn leave_run(&self) {
        // Relaxed (both): the thread's handler looks at them inside a generation only, whose publication orders them.
        self.context.proc.store(NO_PROC, Ordering::Relaxed);
        self.context.task.store(NO_TASK, Ordering::Relaxed);
    }

    /// Readies the record for another thread. The engine's, once the thread is gone and all its generations are closed.
    pub(crate) fn retire(&self) {
        // SAFETY: the thread is gone.
        unsafe { self.owner() }.reset();
        let shared = &self.shared;
        // Relaxed (all): the registry's lock publishes them.
        shared.tid.store(0, Ordering::Relaxed);
        shared.run.store(0, Ordering::Relaxed);
        shared.proc.store(NO_PROC, Ordering::Relaxed);
        shared.own_task.store(NO_TASK, Ordering::Relaxed);
        shared.syscall.acknowledge();
        shared.registered.store(false, Ordering::Relaxed);
        shared.exited.store(false, Ordering::Relaxed);
        shared.cpu.clear();
        shared.coverage.clear();
        shared.runtime_proc.store(NO_PROC, Ordering::Relaxed);
        shared.worker.store(NO_WORKER, Ordering::Relaxed);
        *lock(&shared.pool) = None;
        self.leave_run();
        self.sample.retire();
    }

    pub(crate) fn tid(&self) -> u64 {
        // Relaxed: set before the record is published, under the registry's lock.
        self.shared.tid.load(Ordering::Relaxed)
    }
}

impl Owner {
    fn new() -> Self {
        Self {
            stamp: Stamp::default(),
            run: 0,
            since: 0,
            recording_since: 0,
            muted_run: 0,
            is_muted: false,
            proc: None,
            parked: None,
            own_parks: false,
            flow: Flow::Own,
            own: None,
            pool: None,
            drives: false,
            lost_slot: false,
            awaits: Awaits::new(),
            names: NameCache::new(),
            regions: OpenRegions::new(),
            blocking: 0,
            user_tasks: (0, 0),
        }
    }

    /// The user task that `task` means here: what `INHERITED` stands for, if that is of this recording.
    #[inline(always)]
    pub(crate) fn resolve_task(&self, task: u64) -> u64 {
        if task != INHERITED {
            return task;
        }
        match self.regions.last() {
            Some(region) if region.generation >= self.recording_since => region.task,
            _ => BACKGROUND,
        }
    }

    /// Whether the region's begin stands in this run's trace: generations only ever rise, over all recordings.
    #[inline(always)]
    pub(crate) fn is_of_this_run(&self, region: &OpenRegion) -> bool {
        region.generation >= self.since && region.name_id != SCOPE
    }

    /// The poll is over: what the task leaves open goes with it.
    #[inline(always)]
    pub(crate) fn leave_poll(&mut self, left: &mut Option<Box<LeftOpen>>, base: usize, poll: u64) {
        self.regions.leave(base, left);
        self.awaits.begin(poll);
    }

    /// The task that runs on the thread, if that is one that something has been recorded of.
    #[inline(always)]
    pub(crate) fn current(&self) -> Option<&TaskRecord> {
        match self.flow {
            Flow::Own => self.own.as_deref(),
            // SAFETY: valid as long as `flow` names it.
            Flow::Task(task) => Some(unsafe { task.as_ref() }),
            Flow::Runtime => None,
        }
    }

    /// Readies the state for another thread; the clock goes on, because the tid may be the same.
    pub(crate) fn reset(&mut self) {
        let stamp = self.stamp;
        *self = Self::new();
        self.stamp = stamp;
    }
}
