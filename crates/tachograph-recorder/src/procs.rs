//! The processor slots ("P" on the wire) that threads run on.
//!
//! A thread takes one when it first has something to record and gives it back at its exit, or loses it to the engine in a long
//! blocking section. Owned by `core`. Ids are small and dense, and start over with each run.
//!
//! N.B. A slot is taken *outside* of a critical section: a thread that read generation N and only then took a slot which another
//! thread had released in N+1 would start it in the wrong generation (Go: `runtime/traceruntime.go`, rule on `acquirep`).

use crate::status::Marks;
use crate::sync::{Mutex, lock};

/// One processor slot. Never freed; a run reuses those of the one before.
#[derive(Debug)]
pub(crate) struct Proc {
    pub(crate) id: u64,
    pub(crate) marks: Marks,
}

#[derive(Debug, Default)]
struct State {
    run: u64,
    all: Vec<&'static Proc>,
    /// How many of `all` this run has used.
    used: usize,
    free: Vec<&'static Proc>,
}

/// All processor slots.
#[derive(Debug)]
pub(crate) struct Procs(Mutex<State>);

impl Procs {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(State {
            run: 0,
            all: Vec::new(),
            used: 0,
            free: Vec::new(),
        }))
    }

    /// Starts a run: nobody holds a slot.
    pub(crate) fn reset(&self, run: u64) {
        let mut state = lock(&self.0);
        state.run = run;
        state.used = 0;
        state.free.clear();
        for proc in &state.all {
            proc.marks.clear();
        }
    }

    /// Takes an idle slot, a new one if there is none, and says for which run it is good.
    pub(crate) fn take(&self) -> (&'static Proc, u64) {
        let mut state = lock(&self.0);
        if let Some(proc) = state.free.pop() {
            return (proc, state.run);
        }
        if state.used == state.all.len() {
            let proc = Box::leak(Box::new(Proc {
                id: state.all.len() as u64,
                marks: Marks::new(),
            }));
            state.all.push(proc);
            // `give` must not allocate: it runs where a traced allocator would come back to this lock.
            let slots = state.all.len();
            state.free.reserve(slots);
        }
        state.used += 1;
        (state.all[state.used - 1], state.run)
    }

    /// Gives an idle slot of `run` back; a later run has taken it back already.
    pub(crate) fn give(&self, proc: &'static Proc, run: u64) {
        let mut state = lock(&self.0);
        if state.run == run {
            state.free.push(proc);
        }
    }

    /// The slot with this id, if this run has used it.
    pub(crate) fn get(&self, id: u64) -> Option<&'static Proc> {
        let state = lock(&self.0);
        let id = usize::try_from(id).ok().filter(|id| *id < state.used)?;
        state.all.get(id).copied()
    }

    /// The slots that this run has used so far.
    pub(crate) fn used(&self) -> Vec<&'static Proc> {
        let state = lock(&self.0);
        state.all[..state.used].to_vec()
    }
}
