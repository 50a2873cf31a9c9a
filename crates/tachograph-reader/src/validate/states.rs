//! Who is in which state and on which thread, as far as delivered events tell.
//!
//! Owns the tables of tasks, procs and threads; [`validate`](super) feeds them. Tasks and procs obey the same rules, so there is one text for both.

use super::violation::{AnyState, Finding};
use crate::event::Resource;
use crate::state::{ProcState, TaskState};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use tachograph_wire::{ProcId, TaskId, ThreadId};

type Map<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

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
pub(super) struct Threads {
    slots: Map<ThreadId, u32>,
    all: Vec<Thread>,
    last: Option<(ThreadId, u32)>,
}

impl Threads {
    #[inline]
    fn slot(&mut self, thread: ThreadId) -> u32 {
        if let Some((last, slot)) = self.last
            && last == thread
        {
            return slot;
        }
        let all = &mut self.all;
        let slot = *self.slots.entry(thread).or_insert_with(|| {
            all.push(Thread {
                task: NOTHING,
                proc: NOTHING,
            });
            all.len() as u32 - 1
        });
        self.last = Some((thread, slot));
        slot
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
    known: Map<u64, Known<S>>,
    /// Highest id of those that ended and are forgotten.
    forgotten: Option<u64>,
}

impl<S> Default for Table<S> {
    fn default() -> Self {
        Self {
            known: Map::default(),
            forgotten: None,
        }
    }
}

impl<S: State> Table<S> {
    /// Whether there is or may have been such a thing.
    pub fn has_seen(&self, id: u64) -> bool {
        self.known.contains_key(&id) || self.forgotten.is_some_and(|forgotten| id <= forgotten)
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
            *forgotten = (*forgotten).max(ended.then_some(*id));
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
        report: &mut impl FnMut(Finding),
    ) {
        let Step { id, from, to } = step;
        let mut place = match self.known.entry(id) {
            Entry::Occupied(place) => {
                let wanted = place.get().state;
                if wanted != from {
                    report(old_state(step, wanted));
                }
                place
            }
            Entry::Vacant(place) => {
                if from != S::UNDETERMINED && from != S::NOT_EXIST {
                    report(Finding::FirstState {
                        resource: S::resource(id),
                        found: from.any(),
                    });
                }
                place.insert_entry(Known {
                    state: to,
                    thread: NOWHERE,
                })
            }
        };
        let known = place.get_mut();
        known.state = to;
        if to.runs() {
            starts(known, step, threads, on, report);
        } else if from.runs() {
            stops(known, step, threads, report);
        }
        if to == S::NOT_EXIST && !keeps_ended {
            self.forgotten = self.forgotten.max(Some(id));
            place.remove();
        }
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
    report: &mut impl FnMut(Finding),
) {
    let resource = S::resource(step.id);
    let Some(on) = on else {
        return report(Finding::RunsNowhere(resource));
    };
    let slot = threads.slot(on);
    let Some(thread) = threads.all.get_mut(slot as usize) else {
        return;
    };
    let runs = S::on(thread);
    if *runs != NOTHING && *runs != step.id {
        let with = S::resource(*runs);
        report(Finding::ThreadBusy { resource, with });
    }
    *runs = step.id;
    known.thread = slot;
}

#[inline]
fn stops<S: State>(
    known: &mut Known<S>,
    step: Step<S>,
    threads: &mut Threads,
    report: &mut impl FnMut(Finding),
) {
    let resource = S::resource(step.id);
    let slot = std::mem::replace(&mut known.thread, NOWHERE);
    let Some(thread) = threads.all.get_mut(slot as usize) else {
        return report(Finding::StopsNowhere(resource));
    };
    let runs = S::on(thread);
    if *runs != step.id {
        let found = (*runs != NOTHING).then(|| S::resource(*runs));
        report(Finding::StopsElsewhere { resource, found });
    }
    *runs = NOTHING;
}
