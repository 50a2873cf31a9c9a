//! A task's polls: it begins to run on this thread, and waits, yields or ends there.
//!
//! Called by `traced_task`, for integrations of async runtimes and for threads. The hot path besides regions: a poll is two critical
//! sections of one event each.
//!
//! # Rules (continuing `section` and `task_word`)
//! 1. Whatever ran on the thread makes way before the task's GoStart, and runs again after the task's last event of the poll: a task
//!    that polls another is stopped meanwhile, and so is whoever drops one; a thread's own flow that polls is blocked until the thread has
//!    something to say for itself; between a runtime's tasks nothing runs.
//! 2. What runs on the thread (`Owner::flow`) is kept up whether or not something is recorded, by whoever recorded the poll's begin.
//! 3. A poll whose begin could not be recorded says nothing at its end either (`task_word` rule 6).
//! 4. A task that ends without completing says why: a label before GoDestroy.

use std::cell::Cell;
use std::mem::ManuallyDrop;

use tachograph_wire::EventKind;

use crate::awaits::note_await;
use crate::classify::{AWAIT, DROPPED};
use crate::core::{CORE, aside, this_thread};
use crate::flow::{Interrupted, NO_STACK};
use crate::package::StackKind;
use crate::record::{Flow, ThreadRecord};
use crate::regions::LeftOpen;
use crate::section::{Need, Section};
use crate::stack::{EventStack, NO_POLL};
use crate::task_word::{Doing, Tried};
use crate::tasks::TaskRecord;
use crate::worker;

/// Events of the longest way into a poll: what ran makes way, the task is stated, unblocked, started.
const BEGIN_EVENTS: usize = 6;

thread_local! {
    /// Polls on this thread whose begin was not recorded.
    static UNRECORDED: Cell<u32> = const { Cell::new(0) };
}

/// Whether the calling thread is in a poll whose begin was not recorded.
pub(crate) fn is_unrecorded() -> bool {
    UNRECORDED.get() > 0
}

impl Why {
    #[inline(always)]
    fn stack_pointer(self) -> u64 {
        match self {
            Self::Poll(stack_pointer) => stack_pointer,
            Self::Drop => NO_POLL,
        }
    }
}

/// A poll that has begun. Dropped by a panic, it ends the task.
#[must_use]
pub(crate) struct Run<'a> {
    pub(crate) task: &'a TaskRecord,
    /// None where the begin was not recorded (rule 3).
    pub(crate) began: Option<Began>,
}

/// Why a task gets a thread.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// To go on; the stack pointer of whoever polls.
    Poll(u64),
    /// To be dropped, by whoever runs there.
    Drop,
}

/// How a task ends.
#[derive(Clone, Copy)]
enum End {
    Done,
    Panicked,
    Dropped,
}

/// A poll whose begin was recorded.
#[derive(Debug)]
pub(crate) struct Began {
    record: &'static ThreadRecord,
    /// What made way and runs again afterwards; none between a runtime's tasks.
    host: Option<Box<Host>>,
}

#[derive(Debug)]
struct Host {
    interrupted: Interrupted,
    /// Of its regions.
    base: usize,
    /// The poll that it is in, and where that has parked so far.
    poll: u64,
    awaits: Box<[u64]>,
}

impl<'a> Run<'a> {
    #[inline(always)]
    pub(crate) fn begin(task: &'a TaskRecord, why: Why) -> Self {
        let began = match CORE.gate.is_on() {
            true => this_thread().and_then(|record| {
                Self::say_plain_begin(record, task, why)
                    .or_else(|| Self::say_any_begin(record, task, why))
            }),
            false => None,
        };
        if began.is_none() {
            let _ = task.word.unsaid(|doing| match doing {
                Doing::Waiting | Doing::Runnable => Some(Doing::Running),
                Doing::Running | Doing::RunningWoken | Doing::Dead => None,
            });
            UNRECORDED.set(UNRECORDED.get() + 1);
        }
        Self { task, began }
    }

    /// Between a runtime's tasks, for a task that is known and to be polled.
    #[inline(always)]
    fn say_plain_begin(
        record: &'static ThreadRecord,
        task: &TaskRecord,
        why: Why,
    ) -> Option<Began> {
        // SAFETY: this thread polls the task.
        if LeftOpen::is_any(unsafe { task.regions() }) {
            return None;
        }
        let mut section = Section::begin_between(record)?;
        let number = task.word.start_plainly(section.generation)?;
        section.write(EventKind::GoStart, [task.id, number]);
        section.runs(task);
        record.shared.coverage.poll_begins(section.now);
        section.enter_poll(task, why.stack_pointer());
        Some(Began { record, host: None })
    }

    #[cold]
    #[inline(never)]
    fn say_any_begin(record: &'static ThreadRecord, task: &TaskRecord, why: Why) -> Option<Began> {
        let awaits = make_room(record, task);
        loop {
            let mut section = Section::begin_for(record, Need::Proc, BEGIN_EVENTS)?;
            let name = section.name_if_due(task)?;
            let tried = task.word.start(section.generation);
            match tried {
                Tried::Changed(_) => {}
                Tried::Later => continue,
                // It has ended; or it runs elsewhere to the trace, on a thread that has fallen silent (rule 3).
                Tried::Unchanged(_) | Tried::Silent(_) => return None,
            }
            let interrupted = match section.owner.flow {
                Flow::Runtime => Interrupted::RUNTIME,
                _ => make_way(&mut section, why),
            };
            section.write_run(task, tried, name);
            let (base, poll) = section.enter_poll(task, why.stack_pointer());
            let nested = interrupted.flow() != Flow::Runtime;
            if !nested {
                record.shared.coverage.poll_begins(section.now);
            }
            drop(section);
            let host = nested.then(|| {
                aside(|| {
                    Box::new(Host {
                        interrupted,
                        base,
                        poll,
                        awaits,
                    })
                })
            });
            return Some(Began { record, host });
        }
    }

    /// The poll returned `Pending`.
    #[inline(always)]
    pub(crate) fn pause(self) {
        self.finish(|run| {
            let said = run.began.as_ref().and_then(|began| {
                run.make_room_to_leave(began);
                run.say_pause(began)
            });
            run.leave_place();
            if said.is_none() {
                run.unsaid(|doing| match doing {
                    Doing::RunningWoken => Some(Doing::Runnable),
                    _ => Some(Doing::Waiting),
                });
            }
            run.host_parks();
        });
    }

    /// The poll that this one was part of waits for this task.
    #[inline(always)]
    fn host_parks(&self) {
        if let Some(Began {
            record,
            host: Some(host),
        }) = &self.began
        {
            note_await(record, host.interrupted.flow());
        }
    }

    /// What the task has open goes with it, for which a critical section must not allocate.
    #[inline(always)]
    fn make_room_to_leave(&self, began: &Began) {
        if began.record.flag.is_clear() {
            // SAFETY: own thread, outside of a critical section; the reference ends here.
            let owner = unsafe { began.record.owner() };
            if owner.regions.has_open() {
                // SAFETY: this thread polls the task.
                aside(|| owner.regions.make_room_in(unsafe { self.task.regions() }));
            }
        }
    }

    /// Ends the poll by `how`, and not as a panic does.
    #[inline(always)]
    fn finish(self, how: impl FnOnce(&Self)) {
        let mut run = ManuallyDrop::new(self);
        how(&run);
        drop(run.began.take());
    }

    #[inline(always)]
    fn say_pause(&self, began: &Began) -> Option<()> {
        let mut section = Section::begin(began.record)?;
        section.stay_outside();
        // First what may fail.
        let (stack, word) = section.await_stack()?;
        // A wake that comes between here and the change makes a wait a yield: its reason is then what it would have waited for.
        let woken = self.task.word.doing() == Doing::RunningWoken;
        let (reason, stack) = match (woken, word) {
            // Where it parked before that has nothing to do with it.
            (true, _) if section.owner.awaits.woke_itself => (section.name(YIELD)?, NO_STACK),
            (true, _) => (section.name(WOKEN)?, stack),
            (false, 0) => (section.name(AWAIT)?, stack),
            (false, word) => (word, stack),
        };
        let yields = match self.task.word.pause_plainly(section.generation) {
            Some(yields) => Some(yields),
            None => self.pause_anyhow(section.generation),
        };
        match yields {
            Some(true) => section.write(EventKind::GoStop, [reason, stack]),
            Some(false) => section.write(EventKind::GoBlock, [reason, stack]),
            None => {}
        }
        self.give_way(&mut section, began);
        Some(())
    }

    /// Whether the task yields, if that has to be said.
    #[cold]
    fn pause_anyhow(&self, generation: u64) -> Option<bool> {
        match self.task.word.pause(generation) {
            Tried::Changed(change) => Some(change.was == Doing::RunningWoken),
            _ => None,
        }
    }

    /// The poll returned `Ready`.
    #[inline(always)]
    pub(crate) fn end(self) {
        self.finish(|run| run.end_with(End::Done));
    }

    /// The task ends unfinished.
    pub(crate) fn drop_task(self) {
        self.finish(|run| run.end_with(End::Dropped));
    }

    fn end_with(&self, end: End) {
        let began = self.began.as_ref();
        let said = began.and_then(|began| {
            self.make_room_to_leave(began);
            self.say_end(began, end)
        });
        self.leave_place();
        if said.is_none() {
            self.unsaid(|_| Some(Doing::Dead));
        }
        CORE.tasks.remove(self.task);
    }

    fn say_end(&self, began: &Began, end: End) -> Option<()> {
        let mut stack = EventStack::none();
        if let End::Dropped = end {
            stack.capture_end(began.record);
        }
        let mut section = Section::begin(began.record)?;
        section.stay_outside();
        let label = match end {
            End::Done => 0,
            End::Panicked => section.name(PANICKED)?,
            End::Dropped => match section.telling_stack(StackKind::End, stack.pcs())? {
                (_, 0) => section.name(DROPPED)?,
                (_, word) => word,
            },
        };
        if label != 0 {
            section.write(EventKind::GoLabel, [label]);
        }
        if !section.more(1) {
            return None;
        }
        if let Tried::Changed(_) = self.task.word.end(section.generation) {
            section.write(EventKind::GoDestroy, []);
        }
        self.give_way(&mut section, began);
        Some(())
    }

    /// Rule 1.
    #[inline(always)]
    fn give_way(&self, section: &mut Section, began: &Began) {
        // SAFETY: this thread polls the task.
        let left = unsafe { self.task.regions() };
        match &began.host {
            None => {
                section.owner.leave_poll(left, 0, NO_POLL);
                section.record.shared.coverage.poll_ends(section.now);
                section.nothing_runs();
            }
            Some(host) => {
                section.owner.leave_poll(left, host.base, host.poll);
                section.owner.awaits.restore(&host.awaits);
                go_on(section, host.interrupted);
            }
        }
    }

    /// A thread that has lost its place as a worker has no use for a slot behind the poll.
    #[inline(always)]
    fn leave_place(&self) {
        if let Some(began) = &self.began {
            // SAFETY: own thread, outside of a critical section; the reference ends here.
            let lost = unsafe { began.record.owner() }.lost_slot;
            if lost {
                worker::leave_place(began.record);
            }
        }
    }

    /// Rules 2 and 3.
    #[cold]
    fn unsaid(&self, next: impl Fn(Doing) -> Option<Doing>) {
        let _ = self.task.word.unsaid(next);
        let Some(began) = &self.began else {
            UNRECORDED.set(UNRECORDED.get() - 1);
            return;
        };
        if began.record.flag.is_clear() {
            // SAFETY: own thread, outside of a critical section; the reference ends here.
            let owner = unsafe { began.record.owner() };
            // SAFETY: this thread polls the task.
            let left = unsafe { self.task.regions() };
            let flow = match &began.host {
                None => {
                    owner.leave_poll(left, 0, NO_POLL);
                    Flow::Runtime
                }
                Some(host) => {
                    owner.leave_poll(left, host.base, host.poll);
                    owner.awaits.restore(&host.awaits);
                    host.interrupted.flow()
                }
            };
            owner.flow = flow;
            // N.B. `Context::task` stays: for the trace the task runs here until the engine says that it does not.
            if began.host.is_none() {
                began.record.shared.coverage.poll_ends(CORE.clock.now());
            }
        }
    }
}

impl Drop for Run<'_> {
    #[cold]
    fn drop(&mut self) {
        self.end_with(End::Panicked);
    }
}

const YIELD: &str = "yield";
const WOKEN: &str = "woken while running";
const PANICKED: &str = "panicked";
const INSIDE: &str = "task inside";
const RUNTIME: &str = "block_on";

/// Takes what happens in the critical sections of a poll's begin from the allocator now. Where the poll in progress has parked.
fn make_room(record: &'static ThreadRecord, task: &TaskRecord) -> Box<[u64]> {
    if !record.flag.is_clear() {
        return Box::default();
    }
    aside(|| {
        // SAFETY: own thread, outside of a critical section; the reference ends here.
        let owner = unsafe { record.owner() };
        // SAFETY: this thread polls the task.
        owner.regions.make_room_for(unsafe { task.regions() });
        owner.awaits.all().into()
    })
}

/// Rule 1.
#[cold]
fn make_way(section: &mut Section, why: Why) -> Interrupted {
    section.stay_outside();
    if section.owner.flow == Flow::Own && why != Why::Drop {
        let reason = section.name(RUNTIME).unwrap_or_default();
        section.block_own(reason, NO_STACK);
        return Interrupted::RUNTIME;
    }
    let reason = section.name(INSIDE).unwrap_or_default();
    section.interrupt(reason)
}

/// Rule 1.
#[cold]
fn go_on(section: &mut Section, interrupted: Interrupted) {
    if !section.more(4) {
        // Rule 2. What was polled may be gone any time.
        section.nothing_runs();
        section.owner.flow = interrupted.flow();
        return;
    }
    section.resume(interrupted);
    if section.owner.blocking > 0 {
        section.begin_blocking(NO_STACK);
    }
}
