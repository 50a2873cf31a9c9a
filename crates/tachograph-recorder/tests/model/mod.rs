//! What the models share: how far loom searches, and threads whose memory it watches.

#![allow(dead_code)]

pub mod reader;
pub mod task;

use loom::cell::UnsafeCell;
use tachograph_recorder::model::{Entry, FenceKind, Gate, HandlerEntry, WriteFlag, heavy_fence};

/// Checks every execution with at most `preemptions` forced switches between threads.
pub fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    if builder.preemption_bound.is_none() {
        builder.preemption_bound = Some(preemptions);
    }
    builder.check(model);
}

/// A recorded thread: its flag, and by generation parity the generations of the events and samples that it wrote.
pub struct Thread {
    pub flag: WriteFlag,
    events: [UnsafeCell<Vec<u64>>; 2],
    samples: [UnsafeCell<Vec<u64>>; 2],
}

impl Thread {
    pub fn new() -> Self {
        let empty = || [UnsafeCell::new(Vec::new()), UnsafeCell::new(Vec::new())];
        Self {
            flag: WriteFlag::new(),
            events: empty(),
            samples: empty(),
        }
    }

    /// Writes one event; the generation in which it was written, 0 for none.
    pub fn event(&self, gate: &Gate) -> u64 {
        match gate.enter(&self.flag) {
            Entry::In(generation) => {
                self.put_event(generation);
                assert!(!self.flag.is_clear(), "a handler cleared the flag");
                gate.leave(&self.flag);
                generation
            }
            Entry::Off => 0,
            Entry::Nested => panic!("the flag was left set"),
        }
    }

    /// Writes one event of `generation`, inside of a critical section.
    pub fn put_event(&self, generation: u64) {
        put(&self.events, generation);
    }

    /// What the signal handler does; the generation of its sample, 0 for none.
    pub fn handler(&self, gate: &Gate) -> u64 {
        let was_clear = self.flag.is_clear();
        let generation = match gate.enter_handler(&self.flag) {
            Some(entry) => {
                let HandlerEntry { generation, .. } = entry;
                put(&self.samples, generation);
                gate.leave_handler(&self.flag, entry);
                generation
            }
            None => 0,
        };
        assert_eq!(self.flag.is_clear(), was_clear);
        generation
    }

    /// Takes the events of `closing`, which is quiet. loom fails if the thread can still touch them.
    pub fn seal(&self, closing: u64) -> usize {
        take(&self.events, closing) + take(&self.samples, closing)
    }
}

fn put(slots: &[UnsafeCell<Vec<u64>>; 2], generation: u64) {
    // SAFETY: loom checks that nobody else is active.
    slots[(generation & 1) as usize].with_mut(|slot| unsafe { (*slot).push(generation) });
}

fn take(slots: &[UnsafeCell<Vec<u64>>; 2], closing: u64) -> usize {
    // SAFETY: as in `put`.
    let taken =
        slots[(closing & 1) as usize].with_mut(|slot| unsafe { std::mem::take(&mut *slot) });
    assert!(
        taken.iter().all(|generation| *generation == closing),
        "{taken:?} in {closing}"
    );
    taken.len()
}

/// Publishes `next` and waits until the generation before it is quiet, as `advance` does.
pub fn advance<'a>(gate: &Gate, next: u64, threads: impl IntoIterator<Item = &'a Thread>) {
    gate.publish(next);
    heavy_fence(FenceKind::Full);
    for thread in threads {
        thread.flag.wait_until_clear();
    }
}
