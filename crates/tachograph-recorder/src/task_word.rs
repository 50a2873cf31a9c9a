//! One task in one word: what it does, what the trace says that it does, and its numbers in the open generation.
//!
//! Stands in each `tasks::TaskRecord`. Changed by whoever polls, wakes, drops or states the task; never looked at by a signal handler.
//!
//! # Protocol
//! 1. What a task does and what is said of it change in one compare-and-swap, which also takes the event's sequence numbers. So exactly
//!    one thread makes each change, that one writes its events, and the numbers stand in the order of the changes.
//! 2. A word is changed only from a generation that is not older than the word's. A thread that finds the word in a later generation
//!    MUST leave its critical section and enter again. Otherwise an event would stand in a generation that ends before what caused it.
//! 3. The first change in a generation MUST state the task, as it was said before, ahead of its events (`status` rule 1).
//! 4. A change that finds the generation before its own unstated keeps what was said through that one, for the advancer, who states it
//!    there (rule 5). Nobody else can: the generation is closing.
//! 5. The advancer passes over every word once for each generation that is quiet. A word that nobody has moved since is claimed for that
//!    generation and stated. So a word in the trace is never more than two generations old, and part of the number is enough.
//! 6. What a thread could not say (it has no record, or nothing was recorded) is owed: what is said stays behind what is done,
//!    and the next change says both. So a trace may lack a wake's place, but never the wake.
//! 7. A task that is to be polled, or is and was woken, in a generation that has its status, is changed by nobody but whoever polls it: wakers
//!    find nothing to do, and the advancer has passed over the generation before or will (rule 5). So its poll may begin, and end as a
//!    yield, with a plain store. So may its end: a wake that is lost with it wakes nobody. This relies on the executor, which has one poll
//!    of a task happen before the next.
//! 8. Only `forget` takes what is said back, while nothing is recorded: a run has ended, or begins.
//!
//! Modelled in `tests/loom_task.rs`, one case per rule.

use crate::sync::{AtomicU64, Ordering, store_over};

/// What a task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Doing {
    /// Its last poll returned `Pending`, and nothing has woken it since.
    Waiting = 0,
    /// It is to be polled.
    Runnable = 1,
    /// It is being polled.
    Running = 2,
    /// It is being polled and was woken meanwhile.
    RunningWoken = 3,
    /// It has ended.
    Dead = 4,
}

/// What the trace says that a task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Said {
    /// The trace does not know the task.
    Nothing = 0,
    /// As `Doing`.
    Waiting = 1,
    /// As `Doing`.
    Runnable = 2,
    /// As `Doing`.
    Running = 3,
}

/// A change that the caller has made, and must write.
#[must_use = "the change stands in no trace before its events are written"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// What the task did before.
    pub was: Doing,
    /// What was said before.
    pub said: Said,
    /// Whether that has to be stated first (rule 3). Never for `Said::Nothing`.
    pub states: bool,
    /// The first of the sequence numbers that the change takes.
    pub number: u64,
}

/// What came of a try to change a word.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// It is changed.
    Changed(Change),
    /// It is changed, and there is nothing to write; what the task did before.
    Silent(Doing),
    /// There is nothing to change; what the task does.
    Unchanged(Doing),
    /// Rule 2: leave and enter again.
    Later,
}

/// What the advancer has to do about a task in a generation that is quiet.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// What nobody else has stated there.
    pub state: Option<Said>,
    /// The task has ended, and nobody will look at it again.
    pub dead: bool,
}

/// See the module's text.
#[derive(Debug)]
pub struct TaskWord(AtomicU64);

// Layout, from the lowest bit: doing 3, said 2, said through the generation before 2, generation 22, number 35.
const SAID: u32 = 3;
const BEFORE: u32 = 5;
const GENERATION: u32 = 7;
const NUMBER: u32 = 29;
const STATE_MASK: u64 = (1 << BEFORE) - 1;
const GENERATION_MASK: u64 = (1 << (NUMBER - GENERATION)) - 1;

/// What a task does and what is said of it, as they stand in a word.
const fn states(doing: Doing, said: Said) -> u64 {
    doing as u64 | (said as u64) << SAID
}

/// A change before it is tried.
enum Next {
    /// None.
    Nothing,
    /// One that stands in no trace.
    Do(Doing),
    /// One to be written, with so many sequence numbers.
    Say(Doing, Said, u64),
}

/// A word taken apart.
#[derive(Clone, Copy)]
struct Parts(u64);

impl Parts {
    #[inline(always)]
    fn doing(self) -> Doing {
        match self.0 & 7 {
            0 => Doing::Waiting,
            1 => Doing::Runnable,
            2 => Doing::Running,
            3 => Doing::RunningWoken,
            _ => Doing::Dead,
        }
    }

    #[inline(always)]
    fn said(self) -> Said {
        Said::of(self.0 >> SAID)
    }

    /// The word with other states, `numbers` later.
    #[inline(always)]
    fn moved(self, states: u64, numbers: u64) -> u64 {
        (self.0 & !STATE_MASK | states) + (numbers << NUMBER)
    }

    /// A change of this word in its own generation.
    #[inline(always)]
    fn change_here(self) -> Change {
        Change {
            was: self.doing(),
            said: self.said(),
            states: false,
            number: self.number() + 1,
        }
    }

    #[inline(always)]
    fn before(self) -> Said {
        Said::of(self.0 >> BEFORE)
    }

    #[inline(always)]
    fn generation(self) -> u64 {
        (self.0 >> GENERATION) & GENERATION_MASK
    }

    #[inline(always)]
    fn number(self) -> u64 {
        self.0 >> NUMBER
    }

    #[inline(always)]
    fn with_doing(self, doing: Doing) -> Self {
        Self(self.0 & !7 | doing as u64)
    }

    #[inline(always)]
    fn new(doing: Doing, said: Said, before: Said, generation: u64, number: u64) -> Self {
        Self(
            doing as u64
                | (said as u64) << SAID
                | (before as u64) << BEFORE
                | (generation & GENERATION_MASK) << GENERATION
                | number << NUMBER,
        )
    }

    /// Whether the word is of the generation after `generation`, in the trace.
    #[inline(always)]
    fn is_later(self, generation: u64) -> bool {
        self.said() != Said::Nothing && self.generation() == (generation + 1) & GENERATION_MASK
    }

    /// The word after a change in `generation` that takes `numbers`, and the change.
    #[inline(always)]
    fn changed(self, generation: u64, doing: Doing, said: Said, numbers: u64) -> (Self, Change) {
        let was_said = self.said();
        let own = self.generation() == generation & GENERATION_MASK;
        let known = was_said != Said::Nothing;
        let change = Change {
            was: self.doing(),
            said: was_said,
            states: known && !own,
            number: if known && own { self.number() + 1 } else { 1 },
        };
        let before = if known && own {
            self.before()
        } else if known && self.generation() != generation.wrapping_sub(1) & GENERATION_MASK {
            was_said
        } else {
            Said::Nothing
        };
        let number = change.number - 1 + numbers;
        (Self::new(doing, said, before, generation, number), change)
    }
}

impl From<Doing> for Said {
    fn from(doing: Doing) -> Self {
        match doing {
            Doing::Waiting => Self::Waiting,
            Doing::Runnable => Self::Runnable,
            Doing::Running | Doing::RunningWoken => Self::Running,
            Doing::Dead => Self::Nothing,
        }
    }
}

impl Said {
    #[inline(always)]
    fn of(bits: u64) -> Self {
        match bits & 3 {
            0 => Self::Nothing,
            1 => Self::Waiting,
            2 => Self::Runnable,
            _ => Self::Running,
        }
    }

    /// How many sequence numbers it takes to say that the task runs.
    #[inline(always)]
    fn numbers_to_run(self) -> u64 {
        match self {
            // Creation has no number.
            Self::Nothing | Self::Runnable => 1,
            Self::Waiting => 2,
            Self::Running => 0,
        }
    }
}

impl TaskWord {
    /// A task that the trace does not know.
    #[must_use]
    pub fn new(doing: Doing) -> Self {
        Self(AtomicU64::new(
            Parts::new(doing, Said::Nothing, Said::Nothing, 0, 0).0,
        ))
    }

    /// What the task does. May be out of date when it is looked at.
    #[inline(always)]
    pub fn doing(&self) -> Doing {
        // Relaxed: a hint.
        Parts(self.0.load(Ordering::Relaxed)).doing()
    }

    #[inline(always)]
    fn update(&self, generation: u64, next: impl Fn(Parts) -> Next) -> Tried {
        // Acquire (here and below): pairs with the Release of whoever changed it last; a poll sees what its wake has seen.
        let mut seen = self.0.load(Ordering::Acquire);
        loop {
            let parts = Parts(seen);
            let (new, tried) = match next(parts) {
                Next::Nothing => return Tried::Unchanged(parts.doing()),
                Next::Do(doing) => (parts.with_doing(doing), Tried::Silent(parts.doing())),
                Next::Say(..) if parts.is_later(generation) => return Tried::Later,
                Next::Say(doing, said, numbers) => {
                    let (new, change) = parts.changed(generation, doing, said, numbers);
                    (new, Tried::Changed(change))
                }
            };
            // AcqRel: as above, and on to whoever is next.
            match self
                .0
                .compare_exchange_weak(seen, new.0, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return tried,
                Err(found) => seen = found,
            }
        }
    }

    /// Whether a change in `generation` would need the task's name: for its creation, or its status.
    #[inline(always)]
    pub fn is_due(&self, generation: u64) -> bool {
        // Relaxed: a hint; the change decides.
        let parts = Parts(self.0.load(Ordering::Relaxed));
        parts.said() == Said::Nothing || parts.generation() != generation & GENERATION_MASK
    }

    /// Creation, which counts as the status. Said is what the task does: it waits or is runnable; `Unchanged` for one that runs, whose
    /// thread creates it with its next event, and for one that is known.
    pub fn create(&self, generation: u64) -> Tried {
        self.update(generation, |parts| match (parts.said(), parts.doing()) {
            (Said::Nothing, Doing::Waiting) => Next::Say(Doing::Waiting, Said::Waiting, 0),
            (Said::Nothing, Doing::Runnable) => Next::Say(Doing::Runnable, Said::Runnable, 0),
            _ => Next::Nothing,
        })
    }

    /// The word, if it is of `generation` and its states are among `from`.
    #[inline(always)]
    fn plain(&self, generation: u64, from: &[u64]) -> Option<Parts> {
        // Acquire: as in `update`.
        let seen = Parts(self.0.load(Ordering::Acquire));
        let own = (generation & GENERATION_MASK) << GENERATION;
        let found = seen.0 & (STATE_MASK | GENERATION_MASK << GENERATION);
        from.iter()
            .any(|states| found == own | states)
            .then_some(seen)
    }

    /// Rule 7: changes the states without a compare-and-swap.
    #[inline(always)]
    fn store(&self, seen: Parts, to: u64, numbers: u64) -> Change {
        // Release: as in `update`.
        store_over(&self.0, seen.moved(to, numbers), Ordering::Release);
        seen.change_here()
    }

    /// Changes the states with one compare-and-swap; `None` if that fails.
    #[inline(always)]
    fn swap(&self, seen: Parts, to: u64, numbers: u64) -> Option<Change> {
        let new = seen.moved(to, numbers);
        // AcqRel: as in `update`.
        self.0
            .compare_exchange(seen.0, new, Ordering::AcqRel, Ordering::Relaxed)
            .ok()
            .map(|_| seen.change_here())
    }

    /// The plain case of `start`, with nothing but GoStart to write: its number.
    #[inline(always)]
    pub fn start_plainly(&self, generation: u64) -> Option<u64> {
        const RUNNABLE: u64 = states(Doing::Runnable, Said::Runnable);
        const RUNNING: u64 = states(Doing::Running, Said::Running);
        let seen = self.plain(generation, &[RUNNABLE])?;
        Some(self.store(seen, RUNNING, 1).number)
    }

    /// The plain case of `wake`, with nothing but GoUnblock to write: its number.
    #[inline(always)]
    pub fn wake_plainly(&self, generation: u64) -> Option<u64> {
        const WAITING: u64 = states(Doing::Waiting, Said::Waiting);
        const RUNNABLE: u64 = states(Doing::Runnable, Said::Runnable);
        let seen = self.plain(generation, &[WAITING])?;
        Some(self.swap(seen, RUNNABLE, 1)?.number)
    }

    /// The plain case of `pause`: whether it is a yield.
    #[inline(always)]
    pub fn pause_plainly(&self, generation: u64) -> Option<bool> {
        const WAITING: u64 = states(Doing::Waiting, Said::Waiting);
        const RUNNABLE: u64 = states(Doing::Runnable, Said::Runnable);
        const RUNNING: u64 = states(Doing::Running, Said::Running);
        const WOKEN: u64 = states(Doing::RunningWoken, Said::Running);
        let seen = self.plain(generation, &[RUNNING, WOKEN])?;
        if seen.0 & STATE_MASK == RUNNING && self.swap(seen, WAITING, 0).is_some() {
            return Some(false);
        }
        // It was, or has just been, woken: nobody else changes it now.
        let seen = self.plain(generation, &[WOKEN])?;
        let _ = self.store(seen, RUNNABLE, 0);
        Some(true)
    }

    /// A poll begins. The caller is the one that polls. Its events, after the status: `Nothing`: created, started (1 number);
    /// `Waiting`: unblocked, started (2); `Runnable`: started (1).
    #[inline(always)]
    pub fn start(&self, generation: u64) -> Tried {
        self.update(generation, |parts| match (parts.doing(), parts.said()) {
            (Doing::Dead, _) => Next::Nothing,
            // On another thread, which has fallen silent: the trace will not have this poll.
            (_, Said::Running) => Next::Do(Doing::Running),
            (_, said) => Next::Say(Doing::Running, Said::Running, said.numbers_to_run()),
        })
    }

    /// The task runs, unknown to the trace, because recording began meanwhile: created and started (1 number).
    pub fn introduce(&self, generation: u64) -> Tried {
        self.update(generation, |parts| match parts.said() {
            Said::Running => Next::Nothing,
            said => Next::Say(parts.doing(), Said::Running, said.numbers_to_run()),
        })
    }

    /// A poll ends with `Pending`: a wait, or a yield if the change's `was` is `RunningWoken`.
    #[inline(always)]
    pub fn pause(&self, generation: u64) -> Tried {
        self.update(generation, |parts| {
            let (doing, said) = match parts.doing() {
                Doing::RunningWoken => (Doing::Runnable, Said::Runnable),
                _ => (Doing::Waiting, Said::Waiting),
            };
            match parts.said() {
                Said::Running => Next::Say(doing, said, 0),
                _ => Next::Do(doing),
            }
        })
    }

    /// A wake: unblocked (1 number), after the status. `Unchanged` when the task does not wait; one that runs is then marked as woken.
    #[inline(always)]
    pub fn wake(&self, generation: u64) -> Tried {
        self.update(generation, |parts| match (parts.doing(), parts.said()) {
            (Doing::Waiting, Said::Waiting) => Next::Say(Doing::Runnable, Said::Runnable, 1),
            (Doing::Waiting, _) => Next::Do(Doing::Runnable),
            (Doing::Running, _) => Next::Do(Doing::RunningWoken),
            _ => Next::Nothing,
        })
    }

    /// The part of `wake` that is no event: a task that runs is marked as woken. False when it waits.
    #[inline(always)]
    pub fn wake_running(&self) -> bool {
        // Acquire: as in `update`.
        let mut seen = self.0.load(Ordering::Acquire);
        loop {
            let parts = Parts(seen);
            match parts.doing() {
                Doing::Waiting => return false,
                Doing::Runnable | Doing::RunningWoken | Doing::Dead => return true,
                Doing::Running => {}
            }
            let woken = parts.with_doing(Doing::RunningWoken).0;
            // AcqRel: as in `update`.
            match self
                .0
                .compare_exchange_weak(seen, woken, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return true,
                Err(found) => seen = found,
            }
        }
    }

    /// The task's end: it has completed, or is dropped. Its events, after the status: those of `start`, then destroyed; none for
    /// `Nothing`. The caller alone has the task.
    #[inline(always)]
    pub fn end(&self, generation: u64) -> Tried {
        const RUNNING: u64 = states(Doing::Running, Said::Running);
        const WOKEN: u64 = states(Doing::RunningWoken, Said::Running);
        if let Some(seen) = self.plain(generation, &[RUNNING, WOKEN]) {
            let dead = states(Doing::Dead, Said::Nothing);
            return Tried::Changed(self.store(seen, dead, 0));
        }
        self.update(generation, |parts| match parts.said() {
            Said::Nothing => Next::Do(Doing::Dead),
            said => Next::Say(Doing::Dead, Said::Nothing, said.numbers_to_run()),
        })
    }

    /// The trace is to forget the task, whatever it does: a run ends, or nobody could say that it did. As `end` on the wire.
    pub fn retract(&self, generation: u64) -> Tried {
        self.update(generation, |parts| match parts.said() {
            Said::Nothing => Next::Nothing,
            said => Next::Say(parts.doing(), Said::Nothing, said.numbers_to_run()),
        })
    }

    /// The thread that runs the task runs another one inside of it: said to be runnable meanwhile.
    pub fn suspend(&self, generation: u64) -> Tried {
        self.update(generation, |parts| match parts.said() {
            Said::Running => Next::Say(parts.doing(), Said::Runnable, 0),
            _ => Next::Nothing,
        })
    }

    /// The end of `suspend`: started again (1 number).
    pub fn resume(&self, generation: u64) -> Tried {
        self.introduce(generation)
    }

    /// The task runs and is said to: its status, if that is due, and no event. `Unchanged` if it is not due.
    #[inline(always)]
    pub fn claim(&self, generation: u64) -> Tried {
        self.update(generation, |parts| {
            let due =
                parts.said() != Said::Nothing && parts.generation() != generation & GENERATION_MASK;
            match due {
                true => Next::Say(parts.doing(), parts.said(), 0),
                false => Next::Nothing,
            }
        })
    }

    /// Another number for a task that runs, in a generation that has its status: it starts anew after a blocking section.
    pub fn next_number(&self, generation: u64) -> u64 {
        let say = |parts: Parts| Next::Say(parts.doing(), parts.said(), 1);
        match self.update(generation, say) {
            Tried::Changed(change) => change.number,
            // It runs on the calling thread: nobody else can be ahead.
            Tried::Unchanged(_) | Tried::Silent(_) | Tried::Later => 1,
        }
    }

    /// A change of which nothing can be said: what is said stays behind (rule 6).
    #[inline]
    pub fn unsaid(&self, next: impl Fn(Doing) -> Option<Doing>) -> Option<Doing> {
        let mut seen = self.0.load(Ordering::Acquire);
        loop {
            let parts = Parts(seen);
            let new = parts.with_doing(next(parts.doing())?).0;
            // AcqRel: as in `update`.
            match self
                .0
                .compare_exchange_weak(seen, new, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return Some(parts.doing()),
                Err(found) => seen = found,
            }
        }
    }

    /// Rule 5. The advancer's, once for each generation that is quiet.
    pub fn close(&self, generation: u64) -> Closed {
        let mut seen = self.0.load(Ordering::Acquire);
        loop {
            let parts = Parts(seen);
            let dead = parts.doing() == Doing::Dead && parts.said() == Said::Nothing;
            if parts.generation() == (generation + 1) & GENERATION_MASK
                && (parts.said() != Said::Nothing || dead)
            {
                let before = parts.before();
                return Closed {
                    state: (before != Said::Nothing).then_some(before),
                    dead,
                };
            }
            if parts.said() == Said::Nothing || parts.generation() == generation & GENERATION_MASK {
                return Closed { state: None, dead };
            }
            let stated = Parts::new(parts.doing(), parts.said(), Said::Nothing, generation, 0);
            // AcqRel: as in `update`.
            match self
                .0
                .compare_exchange_weak(seen, stated.0, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => {
                    return Closed {
                        state: Some(parts.said()),
                        dead,
                    };
                }
                Err(found) => seen = found,
            }
        }
    }

    /// Whether the task's end left nothing for the advancer to say: it may then be forgotten at once (rule 4).
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let parts = Parts(self.0.load(Ordering::Acquire));
        parts.doing() == Doing::Dead
            && parts.said() == Said::Nothing
            && parts.before() == Said::Nothing
    }

    /// The task has ended, and the trace does not say so (rule 6): the engine will. One that is said to run ends with its thread.
    #[must_use]
    pub fn is_unburied(&self) -> bool {
        let parts = Parts(self.0.load(Ordering::Acquire));
        parts.doing() == Doing::Dead && matches!(parts.said(), Said::Waiting | Said::Runnable)
    }

    /// Rule 8.
    pub fn forget(&self) {
        let mut seen = self.0.load(Ordering::Acquire);
        loop {
            let new = Parts::new(Parts(seen).doing(), Said::Nothing, Said::Nothing, 0, 0).0;
            // AcqRel: as in `update`.
            match self
                .0
                .compare_exchange_weak(seen, new, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return,
                Err(found) => seen = found,
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
