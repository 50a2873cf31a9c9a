//! Models of `status`: who states a resource in a generation, and its sequence numbers. One case per rule of its protocol.
//!
//! Two threads pass one task (or processor slot) on around a boundary of generations; the engine notes it before, and states it after
//! if nobody else has (`notes` rules 1 and 2).
#![cfg(loom)]

mod model;

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;
use model::check;
use tachograph_recorder::model::{
    Entry, FenceKind, Gate, Marks, Return, Syscall, WriteFlag, heavy_fence,
};

/// One line of a trace about the resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// A status: the resource's holder as of then.
    Status(u64),
    /// An event: its number, and who holds the resource from then on.
    Event(u64, u64),
}

struct Resource {
    gate: Gate,
    flags: [WriteFlag; 2],
    marks: Marks,
    /// Who may write about it: the hand-over (for a slot, `procs`' lock).
    owner: Mutex<u64>,
    /// As the engine may read it any time.
    holder: AtomicU64,
    lines: [Mutex<Vec<Line>>; 4],
}

impl Resource {
    fn new() -> Arc<Self> {
        let resource = Self {
            gate: Gate::new(),
            flags: [WriteFlag::new(), WriteFlag::new()],
            marks: Marks::new(),
            owner: Mutex::new(0),
            holder: AtomicU64::new(0),
            lines: std::array::from_fn(|_| Mutex::new(Vec::new())),
        };
        resource.gate.publish(1);
        Arc::new(resource)
    }

    fn put(&self, generation: u64, line: Line) {
        self.lines[generation as usize].lock().unwrap().push(line);
    }

    /// Thread `me` takes the resource over, with a status if nobody has given one.
    ///
    /// N.B. The owner changes outside of the critical section, as slots do (`procs`).
    fn pass_to(&self, me: u64) {
        let mut owner = self.owner.lock().unwrap();
        let flag = &self.flags[me as usize - 1];
        let Entry::In(generation) = self.gate.enter(flag) else {
            panic!("recording is on");
        };
        if self.marks.claim(generation) {
            self.put(generation, Line::Status(*owner));
        }
        let number = self.marks.next_sequence(generation);
        self.put(generation, Line::Event(number, me));
        self.holder.store(me, Ordering::Relaxed);
        *owner = me;
        self.gate.leave(flag);
    }

    /// As `Engine::advance`: note, publish, wait, state what is not stated.
    fn close(&self, closing: u64) {
        let noted = self.holder.load(Ordering::Relaxed);
        self.gate.publish(closing + 1);
        heavy_fence(FenceKind::Full);
        for flag in &self.flags {
            flag.wait_until_clear();
        }
        if self.marks.claim(closing) {
            self.put(closing, Line::Status(noted));
        }
    }

    /// One status, first; numbers from 1 without gaps; every status as the events before left the resource.
    fn verify(&self, generations: std::ops::RangeInclusive<u64>) {
        let mut holder = 0;
        for generation in generations {
            let lines = self.lines[generation as usize].lock().unwrap();
            assert_eq!(
                lines.first(),
                Some(&Line::Status(holder)),
                "{generation}: {lines:?}"
            );
            for (number, line) in (1..).zip(&lines[1..]) {
                let Line::Event(found, next) = *line else {
                    panic!("a second status in generation {generation}: {lines:?}");
                };
                assert_eq!(found, number, "generation {generation}: {lines:?}");
                holder = next;
            }
        }
    }
}

/// Rules 1 and 2, and invariant 13: two threads and the engine around two boundaries.
#[test]
fn a_resource_is_stated_once_a_generation_and_as_it_is() {
    check(2, || {
        let resource = Resource::new();
        let threads = [1, 2].map(|me| {
            let shared = resource.clone();
            thread::spawn(move || shared.pass_to(me))
        });
        resource.close(1);
        resource.close(2);
        for thread in threads {
            thread.join().unwrap();
        }
        resource.close(3);
        resource.verify(1..=3);
    });
}

/// Rule 1: of all that want to state it, one does.
#[test]
fn one_of_many_claims_wins() {
    check(4, || {
        let marks = Arc::new(Marks::new());
        let others = [(); 2].map(|()| {
            let marks = marks.clone();
            thread::spawn(move || marks.claim(1))
        });
        let mine = marks.claim(1);
        let wins = others.map(|other| other.join().unwrap());
        assert_eq!(wins.into_iter().chain([mine]).filter(|won| *won).count(), 1);
    });
}

/// Rule 2: numbers begin at 1 for whoever takes them, be it the loser of the claim.
///
/// A thread in a blocking section may be stating its slot while the engine takes the slot away.
#[test]
fn numbers_of_a_slot_begin_at_one_also_for_who_lost_the_claim() {
    check(4, || {
        let marks = Arc::new(Marks::new());
        // An earlier generation of the parity has left numbers.
        assert!(marks.claim(1));
        assert_eq!(marks.next_sequence(1), 1);
        let syscall = Arc::new(Syscall::new());
        syscall.begin(1);
        let (slot, section) = (marks.clone(), syscall.clone());
        let thread = thread::spawn(move || {
            let claimed = section.renew(3) && slot.claim(3);
            let number = match section.end() {
                Return::Kept => Some(slot.next_sequence(3)),
                _ => None,
            };
            (claimed, number)
        });
        let mut engine = (false, None);
        if let Some(seen) = syscall.look(3)
            && syscall.take(seen)
        {
            engine = (marks.claim(3), Some(marks.next_sequence(3)));
        }
        let thread = thread.join().unwrap();
        assert!(thread.0 != engine.0, "stated {thread:?} {engine:?}");
        assert_eq!(thread.1.or(engine.1), Some(1), "{thread:?} {engine:?}");
        assert!(thread.1.is_none() || engine.1.is_none());
    });
}

/// Rule 3: a mark of the generation before does not speak for this one, nor one of two before.
#[test]
fn marks_of_the_other_open_generation_are_left_alone() {
    check(4, || {
        let marks = Arc::new(Marks::new());
        assert!(marks.claim(1));
        let old = marks.clone();
        // The engine closes 1 while a thread writes in 2 already.
        let engine = thread::spawn(move || [old.claim(1), old.next_sequence(1) == 1]);
        assert!(marks.claim(2));
        assert_eq!([marks.next_sequence(2), marks.next_sequence(2)], [1, 2]);
        assert_eq!(engine.join().unwrap(), [false, true]);
        assert!(marks.claim(3));
        assert_eq!(marks.next_sequence(3), 1);
        assert!(!marks.claim(2));
    });
}

/// `syscall` rule 5: a worker's successor takes its slot only in the generation in which the blocking section began or was last stated, or
/// a later one.
///
/// Without the generation in the word, the successor's steal can stand in generation 1, and the section's begin or its statement in 2.
#[test]
fn a_slot_is_not_taken_before_what_was_said_of_it() {
    struct Place {
        gate: Gate,
        flags: [WriteFlag; 2],
        marks: Marks,
        syscall: Syscall,
    }
    check(3, || {
        let place = Arc::new(Place {
            gate: Gate::new(),
            flags: [WriteFlag::new(), WriteFlag::new()],
            marks: Marks::new(),
            syscall: Syscall::new(),
        });
        place.gate.publish(1);
        let shared = place.clone();
        let worker = thread::spawn(move || {
            let enter = || match shared.gate.enter(&shared.flags[0]) {
                Entry::In(generation) => generation,
                _ => panic!("recording is on"),
            };
            // As `Section::begin_blocking`.
            let begun = enter();
            let _ = shared.marks.claim(begun);
            let _ = shared.marks.next_sequence(begun);
            shared.syscall.begin(begun);
            shared.gate.leave(&shared.flags[0]);
            // A wake from inside, as `Section::state`.
            let generation = enter();
            let stated = shared.syscall.renew(generation) && shared.marks.claim(generation);
            shared.gate.leave(&shared.flags[0]);
            if stated { generation } else { begun }
        });
        let shared = place.clone();
        let successor = thread::spawn(move || {
            let Entry::In(generation) = shared.gate.enter(&shared.flags[1]) else {
                panic!("recording is on");
            };
            // As `Section::steal`.
            let seen = shared.syscall.look(generation);
            let taken = seen.is_some_and(|seen| shared.syscall.take(seen));
            shared.gate.leave(&shared.flags[1]);
            taken.then_some(generation)
        });
        place.gate.publish(2);
        let (said, taken) = (worker.join().unwrap(), successor.join().unwrap());
        assert!(taken.is_none_or(|taken| taken >= said), "{said} {taken:?}");
    });
}
