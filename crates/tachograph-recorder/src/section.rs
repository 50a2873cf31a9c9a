//! A thread's critical section: everything between `Gate::enter` and `Gate::leave`, ready to write events.
//!
//! Called by `annotate`, `blocking`, `spawn`, `poll`, `wake`, `worker` and thread exit. The fast way in is a flag, a load and two
//! comparisons; everything that happens once a generation, once a run or once a block goes through `Section::prepare`. What runs on the
//! thread is `flow`'s.
//!
//! # Rules (continuing `gate` and `status`)
//! 1. The first event of a thread in a run is its introduction: processor slot, and the task that runs there is created and started.
//!    Nobody else speaks for it before that. A runtime's thread is introduced without a task between polls, and without a slot where
//!    the event needs none.
//! 2. The first event of a thread in a later generation is preceded by the status of its slot and its task, as of just before.
//! 3. A processor slot is taken outside of the critical section and used only if the run has not changed meanwhile.
//! 4. An event inside a blocking section ends the section on the wire, is written, and begins a new one: an event needs a
//!    running task, and the engine may take the slot of a section at any time. A wake needs none, and leaves the section alone.
//! 5. A thread that gets no memory says nothing more in this run (it is muted): a hole in its events could not be placed. The
//!    engine then ends the run.

mod ids;

use tachograph_wire::{EventKind, ProcStatus};

use crate::core::{CORE, aside};
use crate::gate::Entry;
use crate::procs::Proc;
use crate::record::{Flow, NO_PROC, Owner, ThreadRecord};
use crate::slot::{MAX_EVENT_BYTES, MAX_SEQUENCE_BYTES, Slot};
use crate::spare::{Spare, SpareProc, give_back};
use crate::sync::{Ordering, lock};
use crate::syscall::Return;
use crate::task_word::Doing;
use crate::tasks::{TaskName, TaskRecord};

/// See the module's text. Dropping it ends the critical section.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) record: &'static ThreadRecord,
    pub(crate) owner: &'static mut Owner,
    pub(crate) slot: &'static mut Slot,
    pub(crate) generation: u64,
    pub(crate) now: u64,
    /// A blocking section was ended for this event (rule 4).
    resumes_blocking: bool,
}

/// A section as `prepare` leaves it, in two registers.
#[derive(Clone, Copy)]
struct Prepared {
    /// 0 = the critical section has been left.
    generation: u64,
    resumes_blocking: bool,
}

impl Prepared {
    const NOTHING: Self = Self {
        generation: 0,
        resumes_blocking: false,
    };
}

/// What an event needs around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// A task that runs. Between a runtime's tasks that is the thread's own.
    Task,
    /// A processor slot.
    Proc,
    /// Nothing but the thread.
    Thread,
}

/// Why a section is not ready.
enum NotReady {
    /// Nothing is recorded, or the thread is muted.
    Closed,
    /// A processor slot is needed first (rule 3).
    WantsProc,
    /// The thread's own flow must become a task first, which allocates.
    WantsOwn,
}

impl Drop for Section {
    #[inline(always)]
    fn drop(&mut self) {
        if self.resumes_blocking {
            self.resume_blocking();
        }
        CORE.gate.leave(&self.record.flag);
    }
}

impl Section {
    /// Begins a critical section in which one event may be written; `None` when nothing is recorded or the thread can't.
    #[inline(always)]
    pub(crate) fn begin(record: &'static ThreadRecord) -> Option<Self> {
        match CORE.gate.enter(&record.flag) {
            Entry::In(generation) => {
                // SAFETY: inside the critical section of `generation`.
                if unsafe { record.slot(generation) }.is_ready(generation) {
                    return Some(Self::of(record, generation));
                }
                // N.B. The slow way takes and returns numbers, not a section: one that lived in memory would cost the fast way
                // a dozen nanoseconds.
                Self::prepared(record, Self::prepare(record, generation, Need::Task))
            }
            Entry::Off => None,
            Entry::Nested => {
                count_reentrant(record);
                None
            }
        }
    }

    /// Begins a critical section for up to `events` events that need less than a running task.
    #[inline(always)]
    pub(crate) fn begin_for(
        record: &'static ThreadRecord,
        need: Need,
        events: usize,
    ) -> Option<Self> {
        match CORE.gate.enter(&record.flag) {
            Entry::In(generation) => {
                // SAFETY: inside the critical section of `generation`.
                let fits = unsafe { record.slot(generation) }.fits(generation, events);
                // SAFETY: inside the critical section; the reference ends here.
                let owner = unsafe { record.owner() };
                let has = match need {
                    _ if owner.is_muted => false,
                    Need::Thread => true,
                    _ if owner.proc.is_none() || record.shared.syscall.is_inside() => false,
                    Need::Proc => true,
                    Need::Task => owner.flow != Flow::Runtime,
                };
                if fits && has {
                    return Some(Self::of(record, generation));
                }
                Self::prepared(record, Self::prepare(record, generation, need))
            }
            Entry::Off => None,
            Entry::Nested => {
                count_reentrant(record);
                None
            }
        }
    }

    /// Begins a critical section for one event, between a runtime's tasks, if nothing has to be seen to first.
    #[inline(always)]
    pub(crate) fn begin_between(record: &'static ThreadRecord) -> Option<Self> {
        let Entry::In(generation) = CORE.gate.enter(&record.flag) else {
            return None;
        };
        // SAFETY: inside the critical section of `generation`.
        let fits = unsafe { record.slot(generation) }.fits(generation, 1);
        // SAFETY: inside the critical section; the reference ends here.
        let owner = unsafe { record.owner() };
        // A runtime between tasks is in no blocking section.
        if fits && owner.flow == Flow::Runtime && owner.proc.is_some() && !owner.is_muted {
            return Some(Self::of(record, generation));
        }
        CORE.gate.leave(&record.flag);
        None
    }

    #[inline(always)]
    fn prepared(record: &'static ThreadRecord, prepared: Prepared) -> Option<Self> {
        (prepared.generation != 0).then(|| {
            let mut section = Self::of(record, prepared.generation);
            section.resumes_blocking = prepared.resumes_blocking;
            section
        })
    }

    #[inline(always)]
    fn of(record: &'static ThreadRecord, generation: u64) -> Self {
        Self {
            record,
            // SAFETY: inside the critical section, and `enter` refuses a nested one.
            owner: unsafe { record.owner() },
            // SAFETY: inside the critical section of `generation`.
            slot: unsafe { record.slot(generation) },
            generation,
            now: CORE.clock.now(),
            resumes_blocking: false,
        }
    }

    /// Writes the event for which the section was begun.
    #[inline(always)]
    pub(crate) fn write<const N: usize>(&mut self, kind: EventKind, args: [u64; N]) {
        // SAFETY: `begin` left room for an event, and `more` asks for each further one.
        unsafe {
            self.slot.write(&mut self.owner.stamp, self.now, kind, args);
        }
    }

    /// Makes room for `events` more; false (and the thread is muted) when there is no memory.
    #[must_use]
    pub(crate) fn more(&mut self, events: usize) -> bool {
        if self.owner.is_muted {
            return false;
        }
        let room = self.slot.room(
            CORE.outlet(self.record),
            &mut self.owner.stamp,
            self.now,
            events * MAX_EVENT_BYTES,
        );
        if !room {
            self.mute();
        }
        room
    }

    /// Rule 5.
    fn mute(&mut self) {
        self.owner.muted_run = CORE.run();
        self.owner.is_muted = true;
        self.slot.drop_limit();
        CORE.count_lost_event();
        CORE.queue.mute();
    }

    /// Does what must be done before the event, inside the critical section that the caller has begun; leaves it if that fails.
    #[cold]
    #[inline(never)]
    fn prepare(record: &'static ThreadRecord, generation: u64, need: Need) -> Prepared {
        let mut section = Self::of(record, generation);
        let mut spare: Spare = None;
        loop {
            let why = match section.try_prepare(need, &mut spare) {
                Ok(()) => {
                    give_back(spare);
                    return section.hand_over();
                }
                Err(why) => why,
            };
            let section_inside = record.shared.syscall.is_inside();
            drop(section);
            match why {
                NotReady::Closed => {
                    give_back(spare);
                    return Prepared::NOTHING;
                }
                NotReady::WantsProc => {
                    give_back(spare);
                    spare = Some(SpareProc::take(record, section_inside));
                }
                NotReady::WantsOwn => make_own(record),
            }
            let Entry::In(generation) = CORE.gate.enter(&record.flag) else {
                give_back(spare);
                return Prepared::NOTHING;
            };
            section = Self::of(record, generation);
        }
    }

    /// Gives the critical section to the caller, who has the record.
    fn hand_over(self) -> Prepared {
        let prepared = Prepared {
            generation: self.generation,
            resumes_blocking: self.resumes_blocking,
        };
        std::mem::forget(self);
        prepared
    }

    fn try_prepare(&mut self, need: Need, spare: &mut Spare) -> Result<(), NotReady> {
        let run = CORE.run();
        if self.owner.muted_run == run {
            CORE.count_lost_event();
            return Err(NotReady::Closed);
        }
        self.owner.is_muted = false;
        let introduced = self.owner.run == run;
        let syscall = &self.record.shared.syscall;
        let inside = introduced && syscall.is_inside();
        let has_proc = introduced && self.owner.proc.is_some() && !syscall.is_taken();
        let between = self.owner.flow == Flow::Runtime;
        let wants_proc = !has_proc && (need != Need::Thread || !(introduced || between));
        let wants_own = self.owner.flow == Flow::Own || between && need == Need::Task;
        if wants_own && self.owner.own.is_none() {
            return Err(NotReady::WantsOwn);
        }
        if wants_proc && !spare.is_some_and(|spare| spare.run == run) {
            return Err(NotReady::WantsProc);
        }
        if self.slot.generation != self.generation {
            self.slot.begin(self.generation);
        }
        let room = self.slot.room(
            CORE.outlet(self.record),
            &mut self.owner.stamp,
            self.now,
            MAX_SEQUENCE_BYTES,
        );
        if !room {
            self.mute();
            return Err(NotReady::Closed);
        }
        let spare_proc = match wants_proc && !inside {
            true => self.steal(spare).or_else(|| Some(spare.take()?.proc)),
            false => None,
        };
        if introduced {
            self.state().ok_or(NotReady::Closed)?;
            if inside && need != Need::Thread {
                self.leave_blocking(spare)?;
            } else if let Some(proc) = spare_proc {
                self.start_proc(proc);
            }
        } else {
            self.introduce(run, spare_proc).ok_or(NotReady::Closed)?;
        }
        if between && need == Need::Task {
            self.run_own().ok_or(NotReady::Closed)?;
        }
        self.set_limit();
        Ok(())
    }

    /// Lets events that need a task pass only where one runs.
    #[inline(always)]
    pub(crate) fn set_limit(&mut self) {
        let inside = self.record.shared.syscall.is_inside();
        match self.owner.flow != Flow::Runtime && !inside && !self.owner.is_muted {
            true => self.slot.lift_limit(),
            false => self.slot.drop_limit(),
        }
    }

    /// Rule 1.
    fn introduce(&mut self, run: u64, proc: Option<&'static Proc>) -> Option<()> {
        // Whatever section the thread is in, it began before this run: it is not part of the trace.
        self.record.shared.syscall.acknowledge();
        // So is its slot, also where it needs none now: the advancer would find that in a note.
        self.hold_proc(None);
        // First what may fail.
        let name = match self.current() {
            Some(task) => self.task_name(task)?,
            None => 0,
        };
        if let Some(proc) = proc {
            self.start_proc(proc);
        }
        if let Some(task) = self.current() {
            let tried = match self.owner.flow {
                Flow::Task(_) => task.word.introduce(self.generation),
                _ => task.word.start(self.generation),
            };
            self.write_run(task, tried, name);
        }
        self.owner.run = run;
        self.owner.since = CORE.run_since();
        self.owner.recording_since = CORE.recording_since();
        // Release: pairs with the Acquire in `ThreadNote::of`.
        self.record.shared.run.store(run, Ordering::Release);
        self.more(1).then_some(())
    }

    /// Rule 2.
    fn state(&mut self) -> Option<()> {
        let syscall = &self.record.shared.syscall;
        let inside = syscall.is_inside();
        if let Some(proc) = self.owner.proc
            && (!inside || syscall.renew(self.generation))
            && proc.marks.claim(self.generation)
        {
            let status = if inside {
                ProcStatus::Syscall
            } else {
                ProcStatus::Running
            };
            self.write(EventKind::ProcStatus, [proc.id, status.to_wire()]);
        }
        match self.current() {
            Some(task) => self.state_running(task, inside),
            None => Some(()),
        }
    }

    /// The thread takes a processor slot up.
    pub(crate) fn start_proc(&mut self, proc: &'static Proc) {
        if proc.marks.claim(self.generation) {
            self.write(EventKind::ProcStatus, [proc.id, ProcStatus::Idle.to_wire()]);
        }
        let sequence = proc.marks.next_sequence(self.generation);
        self.write(EventKind::ProcStart, [proc.id, sequence]);
        self.hold_proc(Some(proc));
    }

    pub(crate) fn hold_proc(&mut self, proc: Option<&'static Proc>) {
        self.owner.proc = proc;
        let id = proc.map_or(NO_PROC, |proc| proc.id);
        // Relaxed: read by this thread's handler and, through the section's end, by the advancer.
        self.record.context.proc.store(id, Ordering::Relaxed);
        self.record.shared.proc.store(id, Ordering::Relaxed);
        if proc.is_some() && (self.owner.pool.is_some() || self.owner.drives) {
            self.record.shared.runtime_proc.store(id, Ordering::Relaxed);
        }
    }

    /// Ends the blocking section on the wire, if one is open there.
    fn leave_blocking(&mut self, spare: &mut Spare) -> Result<(), NotReady> {
        match self.record.shared.syscall.end() {
            Return::Outside => return Ok(()),
            Return::Kept => self.write(EventKind::GoSyscallEnd, []),
            Return::Taken => {
                // N.B. Without a spare the engine took the slot a moment ago: nothing has changed, the next pass has one.
                let proc = spare.take().ok_or(NotReady::WantsProc)?.proc;
                self.owner.lost_slot = true;
                // In this order (`ThreadNote::of`).
                self.hold_proc(None);
                self.record.shared.syscall.acknowledge();
                self.write(EventKind::GoSyscallEndBlocked, []);
                self.start_proc(proc);
                self.start_again();
            }
        }
        self.resumes_blocking = true;
        self.more(2).then_some(()).ok_or(NotReady::Closed)
    }

    /// Begins a blocking section with `stack`. The caller has seen to room for the event.
    pub(crate) fn begin_blocking(&mut self, stack: u64) {
        let Some(proc) = self.owner.proc else { return };
        let sequence = proc.marks.next_sequence(self.generation);
        self.write(EventKind::GoSyscallBegin, [sequence, stack]);
        // Relaxed: a hint for the engine.
        self.record
            .shared
            .syscall_since
            .store(self.now, Ordering::Relaxed);
        self.record.shared.syscall.begin(self.generation);
        self.slot.drop_limit();
    }

    /// Rule 4. `leave_blocking` made room for this event.
    #[cold]
    fn resume_blocking(&mut self) {
        self.resumes_blocking = false;
        if self.more(1) {
            self.begin_blocking(0);
        }
    }

    /// Does not resume the blocking section that was ended for this event.
    pub(crate) fn stay_outside(&mut self) {
        self.resumes_blocking = false;
    }

    /// Takes the thread out of the trace. The caller has seen to room for the events of a task that ends, and one more.
    pub(crate) fn retire(&mut self) -> Option<&'static Proc> {
        self.end_own();
        if self.owner.proc.is_some() {
            self.write(EventKind::ProcStop, []);
        }
        // Release: pairs with the Acquire in `ThreadNote::of`.
        self.record.shared.run.store(0, Ordering::Release);
        self.owner.run = 0;
        let proc = self.owner.proc;
        self.hold_proc(None);
        proc
    }
}

/// Makes the thread's own flow a task, under the thread's name.
fn make_own(record: &'static ThreadRecord) {
    let own = aside(|| {
        let name = TaskName::Owned(lock(&record.shared.name).as_str().into());
        TaskRecord::register(name, Doing::Running)
    });
    // Relaxed: for metadata.
    record.shared.own_task.store(own.id, Ordering::Relaxed);
    // SAFETY: own thread, outside of its critical section; the reference ends here.
    unsafe { record.owner() }.own = Some(own);
}

#[cold]
fn count_reentrant(record: &ThreadRecord) {
    // Relaxed: a counter.
    record.shared.reentrant.fetch_add(1, Ordering::Relaxed);
}
