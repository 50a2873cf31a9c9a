//! Models of start and stop: `claim`, `gate` and the hand-over of blocks together, and of `syscall`. One case per rule.
//!
//! Starters, a stopper, the engine and a thread that exits (a deadlock fails every model).
#![cfg(loom)]

mod model;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use model::{Thread, advance, check};
use tachograph_recorder::model::{Claim, Entry, Gate, Return, Syscall};

/// `claim` rule 1.
#[test]
fn one_of_two_starters_records() {
    check(4, || {
        let claim = Arc::new(Claim::new());
        let other = claim.clone();
        let other = thread::spawn(move || other.take());
        let mine = claim.take();
        assert!(mine != other.join().unwrap());
    });
}

/// `claim` rule 2.
#[test]
fn a_recording_finds_what_the_one_before_has_left() {
    check(4, || {
        let world = Arc::new((Claim::new(), UnsafeCell::new(0u64)));
        let record = |world: &(Claim, UnsafeCell<u64>)| {
            if !world.0.take() {
                return false;
            }
            // SAFETY: loom checks that nobody else is active.
            world.1.with_mut(|state| unsafe { *state += 1 });
            world.0.give_back();
            true
        };
        let shared = world.clone();
        let other = thread::spawn(move || record(&shared));
        let mine = record(&world);
        let both = u64::from(mine) + u64::from(other.join().unwrap());
        assert!(both >= 1);
        // SAFETY: nobody else is left.
        assert_eq!(world.1.with(|state| unsafe { *state }), both);
    });
}

/// The process: what outlives a recording.
struct Process {
    claim: Claim,
    gate: Gate,
    last_generation: AtomicU64,
    thread: Thread,
    /// As `queue`: blocks that threads handed over, and what the engine was asked.
    handed: Mutex<Vec<u64>>,
    stop: (Mutex<bool>, Condvar),
}

impl Process {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            claim: Claim::new(),
            gate: Gate::new(),
            last_generation: AtomicU64::new(0),
            thread: Thread::new(),
            handed: Mutex::new(Vec::new()),
            stop: (Mutex::new(false), Condvar::new()),
        })
    }

    fn call_stop(&self) {
        *self.stop.0.lock().unwrap() = true;
        self.stop.1.notify_one();
    }

    fn wait_for_stop(&self) {
        let mut stop = self.stop.0.lock().unwrap();
        while !*stop {
            stop = self.stop.1.wait(stop).unwrap();
        }
        *stop = false;
    }

    fn begin(&self) -> u64 {
        let generation = self.last_generation.load(Ordering::Relaxed) + 1;
        self.gate.publish(generation);
        generation
    }

    /// The last generation: closes the gate, seals. What was handed over comes out.
    fn end(&self, generation: u64) -> Vec<u64> {
        advance(&self.gate, 0, [&self.thread]);
        let sealed = self.thread.seal(generation);
        let mut output = std::mem::take(&mut *self.handed.lock().unwrap());
        output.extend((0..sealed).map(|_| generation));
        self.last_generation.store(generation, Ordering::Relaxed);
        output
    }

    /// Thread exit: the last event, and the slot into the queue.
    fn exit(&self) -> u64 {
        let Entry::In(generation) = self.gate.enter(&self.thread.flag) else {
            return 0;
        };
        self.thread.put_event(generation);
        let events = self.thread.seal(generation);
        let mut handed = self.handed.lock().unwrap();
        handed.extend((0..events).map(|_| generation));
        drop(handed);
        self.gate.leave(&self.thread.flag);
        generation
    }
}

/// `session` rules 2 and 3: an engine, somebody who stops twice, a thread that exits meanwhile. After the end nothing is written.
#[test]
fn stop_takes_everything_out_and_nothing_comes_after() {
    check(2, || {
        let process = Process::new();
        assert!(process.claim.take());
        let generation = process.begin();
        let (recorded, left) = (process.clone(), process.clone());
        let engine = thread::spawn(move || {
            recorded.wait_for_stop();
            recorded.end(generation)
        });
        let leaver = thread::spawn(move || [left.thread.event(&left.gate), left.exit()]);
        process.call_stop();
        process.call_stop();
        let output = engine.join().unwrap();
        assert!(process.handed.lock().unwrap().is_empty());
        process.claim.give_back();
        let written = leaver.join().unwrap();
        let kept = written.iter().filter(|g| **g == generation).count();
        assert_eq!(output.len(), kept, "{written:?}");
        // Invariant 31: nothing is left behind, and nobody writes.
        assert_eq!(process.thread.seal(0) + process.thread.seal(1), 0);
        assert!(process.handed.lock().unwrap().is_empty());
    });
}

/// Invariant 33: a recording begins with new generation numbers and has nothing of the one before.
#[test]
fn a_second_recording_has_nothing_of_the_first() {
    check(3, || {
        let process = Process::new();
        let shared = process.clone();
        let writer = thread::spawn(move || [0; 2].map(|_| shared.thread.event(&shared.gate)));
        let mut outputs = Vec::new();
        for _ in 0..2 {
            assert!(process.claim.take());
            let generation = process.begin();
            outputs.push((generation, process.end(generation)));
            process.claim.give_back();
        }
        let written = writer.join().unwrap();
        assert_ne!(outputs[0].0, outputs[1].0);
        for (generation, output) in outputs {
            let kept = written.iter().filter(|g| **g == generation).count();
            assert_eq!(output, vec![generation; kept], "{written:?}");
        }
    });
}

/// A starter that comes while another recording ends either loses or finds everything in order.
#[test]
fn a_start_during_a_stop_loses_or_comes_after() {
    check(3, || {
        let process = Process::new();
        assert!(process.claim.take());
        let generation = process.begin();
        let other = process.clone();
        let starter = thread::spawn(move || {
            if !other.claim.take() {
                return 0;
            }
            let generation = other.begin();
            other.end(generation);
            other.claim.give_back();
            generation
        });
        process.end(generation);
        process.claim.give_back();
        let second = starter.join().unwrap();
        assert!(second == 0 || second == generation + 1, "{second}");
    });
}

/// A blocking section with what goes with it: who has the slot, and since when.
struct Blocked {
    word: Syscall,
    since: AtomicU64,
    slot: UnsafeCell<u64>,
}

impl Blocked {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            word: Syscall::new(),
            since: AtomicU64::new(0),
            slot: UnsafeCell::new(0),
        })
    }

    fn use_slot(&self) {
        // SAFETY: loom checks that nobody else is active.
        self.slot.with_mut(|slot| unsafe { *slot += 1 });
    }

    fn begin(&self, since: u64) {
        self.use_slot();
        self.since.store(since, Ordering::Relaxed);
        self.word.begin(1);
    }
}

/// `syscall` rule 1.
#[test]
fn a_taker_sees_what_was_stored_before_the_section_began() {
    check(4, || {
        let section = Blocked::new();
        let thread = section.clone();
        let thread = thread::spawn(move || thread.begin(7));
        if let Some(seen) = section.word.look(1) {
            assert_eq!(section.since.load(Ordering::Relaxed), 7);
            assert!(section.word.take(seen));
            section.use_slot();
        }
        thread.join().unwrap();
    });
}

/// `syscall` rule 2: loom fails if both have the slot.
#[test]
fn either_the_thread_or_the_engine_has_the_slot() {
    check(4, || {
        let section = Blocked::new();
        section.begin(1);
        let thread = section.clone();
        let thread = thread::spawn(move || {
            let end = thread.word.end();
            if end == Return::Kept {
                thread.use_slot();
            }
            end
        });
        let seen = section.word.look(1);
        let taken = seen.is_some_and(|seen| section.word.take(seen));
        if taken {
            section.use_slot();
        }
        let end = thread.join().unwrap();
        assert_eq!(end, if taken { Return::Taken } else { Return::Kept });
        assert_eq!(section.word.is_taken(), taken);
    });
}

/// `syscall` rule 3, with a thread that goes in again.
#[test]
fn a_taken_section_stays_taken_until_it_is_acknowledged() {
    check(4, || {
        let section = Blocked::new();
        section.begin(1);
        let thread = section.clone();
        let done = Arc::new(AtomicBool::new(false));
        let finished = done.clone();
        let thread = thread::spawn(move || {
            let first = thread.word.end();
            if first == Return::Taken {
                // It acquired what the taker did before: the slot is the engine's.
                assert!(thread.word.is_taken() && thread.word.is_inside());
                thread.word.acknowledge();
            }
            assert_eq!(thread.word.end(), Return::Outside);
            finished.store(true, Ordering::Release);
            first
        });
        let seen = section.word.look(1);
        let taken = seen.is_some_and(|seen| section.word.take(seen));
        if taken {
            let inside = section.word.is_taken();
            assert!(inside || section.word.look(1).is_none());
            assert!(inside || !section.word.is_inside());
        }
        let first = thread.join().unwrap();
        assert!(done.load(Ordering::Acquire));
        assert_eq!(first == Return::Taken, taken);
        assert!(!section.word.is_inside());
    });
}

/// `syscall` rule 4: a look at one section is no right to the next.
#[test]
fn the_engine_does_not_take_the_slot_of_a_later_section() {
    check(4, || {
        let section = Blocked::new();
        section.begin(1);
        let thread = section.clone();
        let thread = thread::spawn(move || {
            let end = thread.word.end();
            if end == Return::Kept {
                thread.begin(2);
            }
            end
        });
        if let Some(seen) = section.word.look(1) {
            let since = section.since.load(Ordering::Relaxed);
            if section.word.take(seen) {
                assert_eq!(section.since.load(Ordering::Relaxed), since);
                section.use_slot();
            }
        }
        if thread.join().unwrap() == Return::Kept && section.word.end() == Return::Kept {
            section.use_slot();
        }
    });
}
