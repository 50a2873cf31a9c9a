//! Who is in which state and on which thread, as far as delivered events tell.
//!
//! Owns the tables of tasks, procs and threads; [`validate`](super) feeds them. Tasks and procs obey the same rules, so there is one text for both.

use super::slots::Slots;
use super::violation::{AnyState, Finding};
use crate::event::Resource;
use crate::state::{ProcState, TaskState};
use tachograph_wire::{ProcId, TaskId, ThreadId};

/// A thread that runs nothing of a kind.
const NOTHING: u64 = u64::MAX;
/// Something that no thread runs.
const NOWHERE: u32 = u32::MAX;

/// The states of tasks, or those of procs.
pub(super) trait State: Copy + Eq {
    const UNDETERMINED: Self;
    const NOT_EXIST: Self;
    fn runs(self) -> bool;
    fn any(self) -> AnyState;
    fn resource(id: u64) -> Resource;
    /// What the thread runs of this kind.
    fn on(thread: &mut Thread) -> &mut u64;
}

impl State for TaskState {
    const UNDETERMINED: Self = Self::Undetermined;
    const NOT_EXIST: Self = Self::NotExist;

    fn runs(self) -> bool {
        self.is_executing()
    }

    fn any(self) -> AnyState {
        AnyState::Task(self)
    }

    fn resource(id: u64) -> Resource {
        Resource::Task(TaskId(id))
    }

    fn on(thread: &mut Thread) -> &mut u64 {
        &mut thread.task
    }
}

impl State for ProcState {
    const UNDETERMINED: Self = Self::Undetermined;
    const NOT_EXIST: Self = Self::NotExist;

    fn runs(self) -> bool {
        self.is_executing()
    }

    fn any(self) -> AnyState {
        AnyState::Proc(self)
    }

    fn resource(id: u64) -> Resource {
        Resource::Proc(ProcId(id))
    }

    fn on(thread: &mut Thread) -> &mut u64 {
        &mut thread.proc
    }
}

/// What a thread runs.
#[derive(Debug)]
pub(super) struct Thread {
    task: u64,
    proc: u64,
}

/// All threads that ever ran something.
#[derive(Debug, Default)]
pub(super) struct Threads(Slots<Thread>);

impl Threads {
    #[inline]
    fn place(&mut self, thread: ThreadId) -> u32 {
        let nothing = Thread {
            task: NOTHING,
            proc: NOTHING,
        };
        let place = self.0.find(thread.0);
        place.unwrap_or_else(|| self.0.insert(thread.0, nothing))
    }
}

#[derive(Clone, Copy, Debug)]
struct Known<S> {
    state: S,
    thread: u32,
}

/// A change of state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step<S> {
    pub id: u64,
    pub from: S,
    pub to: S,
}

/// The tasks, or the procs.
#[derive(Debug)]
pub(super) struct Table<S> {
    known: Slots<Known<S>>,
    /// Highest id of those that ended and are forgotten.
    forgotten: Option<u64>,
}

impl<S> Default for Table<S> {
    fn default() -> Self {
        Self {
            known: Slots::default(),
            forgotten: None,
        }
    }
}

impl<S: State> Table<S> {
    /// Whether there is or may have been such a thing.
    pub fn has_seen(&self, id: u64) -> bool {
        self.known.has(id) || self.forgotten.is_some_and(|forgotten| id <= forgotten)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Forgets what has ended. A new thing with the same id is then as good as another; in the first generation, where things appear
    /// out of nowhere, it would not be.
    pub fn forget_ended(&mut self) {
        let forgotten = &mut self.forgotten;
        self.known.retain(|id, known| {
            let ended = known.state == S::NOT_EXIST;
            *forgotten = (*forgotten).max(ended.then_some(id));
            !ended
        });
    }

    /// Lets it happen (V8, V10, V11). `keeps_ended`: it is remembered beyond its end.
    #[inline]
    pub fn step(
        &mut self,
        step: Step<S>,
        threads: &mut Threads,
        on: Option<ThreadId>,
        keeps_ended: bool,
        report: &mut Vec<Finding>,
    ) {
        let place = match self.known.find(step.id) {
            Some(place) => place,
            None => self.appears(step, report),
        };
        let Some(known) = self.known.get_mut(place) else {
            return;
        };
        if known.state != step.from {
            report.push(old_state(step, known.state));
        }
        known.state = step.to;
        if step.to.runs() {
            starts(known, step, threads, on, report);
        } else if step.from.runs() {
            stops(known, step, threads, report);
        }
        if step.to == S::NOT_EXIST && !keeps_ended {
            self.forgotten = self.forgotten.max(Some(step.id));
            self.known.remove(place);
        }
    }

    fn appears(&mut self, step: Step<S>, report: &mut Vec<Finding>) -> u32 {
        let (resource, found) = (S::resource(step.id), step.from.any());
        if step.from != S::UNDETERMINED && step.from != S::NOT_EXIST {
            report.push(Finding::FirstState { resource, found });
        }
        let (state, thread) = (step.from, NOWHERE);
        self.known.insert(step.id, Known { state, thread })
    }
}

#[cold]
fn old_state<S: State>(step: Step<S>, wanted: S) -> Finding {
    Finding::OldState {
        resource: S::resource(step.id),
        found: step.from.any(),
        wanted: wanted.any(),
    }
}

#[inline]
fn starts<S: State>(
    known: &mut Known<S>,
    step: Step<S>,
    threads: &mut Threads,
    on: Option<ThreadId>,
    report: &mut Vec<Finding>,
) {
    let resource = S::resource(step.id);
    let Some(on) = on else {
        return report.push(Finding::RunsNowhere(resource));
    };
    let place = threads.place(on);
    let Some(thread) = threads.0.get_mut(place) else {
        return;
    };
    let runs = S::on(thread);
    if *runs != NOTHING && *runs != step.id {
        let with = S::resource(*runs);
        report.push(Finding::ThreadBusy { resource, with });
    }
    *runs = step.id;
    known.thread = place;
}

#[inline]
fn stops<S: State>(
    known: &mut Known<S>,
    step: Step<S>,
    threads: &mut Threads,
    report: &mut Vec<Finding>,
) {
    let resource = S::resource(step.id);
    let place = std::mem::replace(&mut known.thread, NOWHERE);
    let Some(thread) = threads.0.get_mut(place) else {
        return report.push(Finding::StopsNowhere(resource));
    };
    let runs = S::on(thread);
    if *runs != step.id {
        let found = (*runs != NOTHING).then(|| S::resource(*runs));
        report.push(Finding::StopsElsewhere { resource, found });
    }
    *runs = NOTHING;
}
