//! What the registry keeps with a span that is in the trace, and how threads notice that it is gone.
//!
//! Owns the counters of closings. [`Recorded`] is made by `layer` and dropped by the registry, when the span closes.
//!
//! # Rules
//! 1. Whoever remembers a span by its id MUST remember its counter's value from before, and forget the span when it has changed.
//!    Otherwise the next span with that id gets its name and task: registries use ids again.
//! 2. A [`Recorded`] MUST count its drop. It is dropped before its id is used again, so whoever sees the new span sees the count.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tachograph_recorder::{Task, TaskHandle};
use tracing_core::span::Id;

const GROUPS: usize = 64;
const COUNTERS: usize = 16;

/// One group for each thread while there are few, so that creating and closing spans on one thread touches no other's cache lines.
#[derive(Debug)]
#[repr(align(128))]
struct Group([AtomicU64; COUNTERS]);

static GROUPS_OF_THREADS: [Group; GROUPS] =
    [const { Group([const { AtomicU64::new(0) }; COUNTERS]) }; GROUPS];

thread_local! {
    static GROUP: usize = {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        // Relaxed: two threads in one group are slower, not wrong.
        THREADS.fetch_add(1, Ordering::Relaxed) % GROUPS
    };
}

/// Counts closings of spans, of the one that it was made for among others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closings(&'static AtomicU64);

impl Closings {
    /// The counter for a span that is created on this thread.
    fn of(id: &Id) -> Self {
        // A thread that is ending shares the first group.
        let group = GROUP.try_with(|group| *group).unwrap_or(0);
        Self(&GROUPS_OF_THREADS[group].0[spread(id.into_u64()) % COUNTERS])
    }

    /// How many there were. Rule 1.
    #[inline]
    pub(crate) fn count(self) -> u64 {
        // Relaxed: the drop happens before the registry gives the id away again, that before the new span is entered.
        self.0.load(Ordering::Relaxed)
    }

    fn add(self) {
        // Relaxed: see `count`. A read-modify-write, because two threads may close at once.
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Ids of a registry are dense at the bottom and say at the top how often the place was used: mixes both.
#[inline]
pub(crate) fn spread(id: u64) -> usize {
    ((id ^ (id >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize
}

/// What is needed of a span to begin a region or write a log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// Static, so that the recorder writes it once a generation.
    pub(crate) name: &'static str,
    /// The user task of the span's root. One of an earlier recording counts as none.
    pub(crate) task: TaskHandle,
}

/// The part of a span that stands in its extensions.
#[derive(Debug)]
pub(crate) struct Recorded {
    task: TaskHandle,
    closings: Closings,
    /// A root's own task, which ends with the span.
    _own: Option<Task>,
}

impl Recorded {
    /// A span without a parent.
    pub(crate) fn root(own: Task, id: &Id) -> Self {
        Self {
            task: own.handle(),
            closings: Closings::of(id),
            _own: Some(own),
        }
    }

    /// A span of a task that is another's.
    pub(crate) fn part_of(task: TaskHandle, id: &Id) -> Self {
        Self {
            task,
            closings: Closings::of(id),
            _own: None,
        }
    }

    /// What others need to know of it.
    pub(crate) fn marks(&self) -> (TaskHandle, Closings) {
        (self.task, self.closings)
    }
}

/// Rule 2.
impl Drop for Recorded {
    fn drop(&mut self) {
        self.closings.add();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drop_is_counted_where_the_span_was_created_for() {
        let id = Id::from_u64(77);
        let recorded = Recorded::part_of(TaskHandle::BACKGROUND, &id);
        let (_, closings) = recorded.marks();
        let before = closings.count();
        // Other tests of this process close spans, too: the count may rise by more.
        std::thread::spawn(move || drop(recorded)).join().unwrap();
        assert!(closings.count() > before);
    }

    #[test]
    fn ids_that_differ_anywhere_spread() {
        let places = |ids: &mut dyn Iterator<Item = u64>| {
            let mut places: Vec<usize> = ids.map(|id| spread(id) % COUNTERS).collect();
            places.sort_unstable();
            places.dedup();
            places.len()
        };
        assert!(places(&mut (1..65)) >= COUNTERS / 2);
        assert!(places(&mut (0..64).map(|reuse| 1 | reuse << 51)) >= COUNTERS / 2);
    }
}
