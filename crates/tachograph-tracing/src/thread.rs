//! What a thread knows: the regions that it has open, and the spans that it saw last.
//!
//! Called by `layer` at each enter and exit. Nothing in here calls anything that could come back, but a traced allocator: what it enters
//! while the thread's room is in use is not recorded.

use std::cell::{Cell, RefCell};

use tachograph_recorder::Region;

use crate::span::{Closings, Known, spread};

/// A span, among all layers of the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Key {
    pub(crate) layer: u64,
    pub(crate) span: u64,
}

/// Direct mapped and overwritten on collision: a miss costs a look into the registry.
const REMEMBERED: usize = 32;

thread_local! {
    /// As many as are in `Thread::open`. Apart, because a place without a destructor is read by one load: all that an exit does
    /// while nothing is recorded.
    static DEPTH: Cell<usize> = const { Cell::new(0) };

    static THREAD: RefCell<Thread> = const {
        RefCell::new(Thread {
            open: Vec::new(),
            remembered: [const { None }; REMEMBERED],
        })
    };
}

struct Thread {
    /// Innermost last, in the order in which spans were entered; the recorder sees to exits out of order.
    open: Vec<Open>,
    remembered: [Option<Remembered>; REMEMBERED],
}

struct Open {
    key: Key,
    _region: Region,
}

struct Remembered {
    key: Key,
    known: Known,
    closings: Closings,
    /// The count when it was remembered.
    count: u64,
}

/// What the thread remembers of a span.
#[inline]
pub(crate) fn find(key: Key) -> Option<Known> {
    with(|thread| thread.find(key)).flatten()
}

/// Keeps what was found of a span that is open now.
pub(crate) fn remember(key: Key, known: Known, closings: Closings) {
    with(|thread| {
        thread.remembered[place(key)] = Some(Remembered {
            key,
            known,
            closings,
            count: closings.count(),
        });
    });
}

/// Begins a region of a span, if the thread remembers it; whether it does.
#[inline]
pub(crate) fn enter_remembered(key: Key) -> bool {
    // Without a room there is nothing to record in: not worth looking elsewhere.
    with(|thread| match thread.find(key) {
        Some(known) => {
            thread.enter(key, known);
            true
        }
        None => false,
    })
    .unwrap_or(true)
}

/// Begins a region of a span.
pub(crate) fn enter(key: Key, known: Known) {
    with(|thread| thread.enter(key, known));
}

/// Ends the innermost region of a span, if there is one.
#[inline]
pub(crate) fn exit(key: Key) {
    if DEPTH.get() != 0 {
        exit_open(key);
    }
}

/// Not inlined, for those who have nothing open.
#[inline(never)]
fn exit_open(key: Key) {
    with(|thread| thread.exit(key));
}

/// How many regions are open.
#[cfg(test)]
pub(crate) fn depth() -> usize {
    DEPTH.get()
}

/// `None` on a thread that has run its last destructors, and inside of itself.
#[inline]
fn with<T>(f: impl FnOnce(&mut Thread) -> T) -> Option<T> {
    let used = THREAD.try_with(|thread| {
        thread
            .try_borrow_mut()
            .ok()
            .map(|mut thread| f(&mut thread))
    });
    used.ok().flatten()
}

#[inline]
fn place(key: Key) -> usize {
    spread(key.span) % REMEMBERED
}

impl Thread {
    #[inline]
    fn find(&self, key: Key) -> Option<Known> {
        let found = self.remembered[place(key)].as_ref()?;
        let holds = found.key == key && found.closings.count() == found.count;
        holds.then_some(found.known)
    }

    #[inline]
    fn enter(&mut self, key: Key, known: Known) {
        self.open.push(Open {
            key,
            _region: known.task.region(known.name),
        });
        DEPTH.set(self.open.len());
    }

    #[inline]
    fn exit(&mut self, key: Key) {
        if self.open.last().is_some_and(|open| open.key == key) {
            self.open.pop();
        } else {
            self.exit_out_of_order(key);
        }
        DEPTH.set(self.open.len());
    }

    /// A span that was entered before the recording has no region here.
    #[cold]
    fn exit_out_of_order(&mut self, key: Key) {
        if let Some(at) = self.open.iter().rposition(|open| open.key == key) {
            self.open.remove(at);
        }
    }
}

/// Innermost first: the other way round, each end would close and reopen all regions inside.
impl Drop for Thread {
    fn drop(&mut self) {
        while self.open.pop().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use tachograph_recorder::TaskHandle;
    use tracing_core::span::Id;

    use super::*;
    use crate::span::Recorded;

    fn key(span: u64) -> Key {
        Key {
            layer: u64::MAX,
            span,
        }
    }

    fn known(name: &'static str) -> Known {
        Known {
            name,
            task: TaskHandle::BACKGROUND,
        }
    }

    fn open() -> Vec<u64> {
        with(|thread| thread.open.iter().map(|open| open.key.span).collect()).unwrap()
    }

    #[test]
    fn forgets_a_span_that_was_closed() {
        let recorded = Recorded::part_of(TaskHandle::BACKGROUND, &Id::from_u64(7));
        remember(key(7), known("first"), recorded.marks().1);
        drop(recorded);
        assert!(find(key(7)).is_none());
    }

    #[test]
    fn tells_spans_and_layers_apart_that_share_a_place() {
        let recorded = Recorded::part_of(TaskHandle::BACKGROUND, &Id::from_u64(7));
        // Another test may close a span of the same counter in between.
        let found = (0..100).find_map(|_| {
            remember(key(7), known("first"), recorded.marks().1);
            find(key(7))
        });
        assert_eq!(found.map(|known| known.name), Some("first"));
        let other = Key { layer: 3, span: 7 };
        assert_eq!(place(other), place(key(7)));
        assert!(find(other).is_none());
        let neighbour = (8..).find(|&span| place(key(span)) == place(key(7)));
        assert!(find(key(neighbour.unwrap())).is_none());
    }

    #[test]
    fn exits_end_the_innermost_region_of_their_span() {
        for span in [1, 2, 1, 3] {
            enter(key(span), known("span"));
        }
        exit(key(1));
        assert_eq!(open(), [1, 2, 3]);
        exit(key(9));
        assert_eq!(open(), [1, 2, 3]);
        exit(key(1));
        exit(key(3));
        exit(key(2));
        assert_eq!(open(), []);
    }
}
