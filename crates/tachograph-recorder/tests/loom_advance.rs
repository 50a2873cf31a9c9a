//! Models of `advance`: a sampled thread and the engine, which drains and advances, over several generations.
//!
//! One case per rule of its protocol. The engine's steps are those of `Engine::advance`, by
//! the parts that it uses; the thread's are those of the handler and of a section.
#![cfg(loom)]

mod model;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;
use model::{Thread, advance, check};
use tachograph_recorder::model::{Entry, FenceKind, Gate, Ring, Words, heavy_fence, interrupt_at};

const WORDS: usize = 8;
/// Words of a sample: two of them fill a ring.
const SAMPLE: usize = 3;

struct Sampled {
    gate: Gate,
    thread: Thread,
    rings: [Ring; 2],
    handled: [AtomicU64; 2],
    lost: [AtomicU64; 2],
}

/// What the trace got of one generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Account {
    handled: u64,
    emitted: u64,
    lost: u64,
}

impl Sampled {
    fn new() -> Arc<Self> {
        let zeros = || [AtomicU64::new(0), AtomicU64::new(0)];
        let world = Self {
            gate: Gate::new(),
            thread: Thread::new(),
            rings: [(); 2].map(|()| Ring::new(Words::tracked(WORDS))),
            handled: zeros(),
            lost: zeros(),
        };
        world.gate.publish(1);
        Arc::new(world)
    }

    /// As `sample::handler`; the generation of the signal, 0 for none.
    fn handler(&self) -> u64 {
        let Some(entry) = self.gate.enter_handler(&self.thread.flag) else {
            return 0;
        };
        let parity = (entry.generation & 1) as usize;
        bump(&self.handled[parity]);
        match self.rings[parity].reserve(SAMPLE) {
            None => bump(&self.lost[parity]),
            Some(place) => {
                for word in 0..SAMPLE {
                    let at = Ring::payload(place, word);
                    self.rings[parity].words().set(at, entry.generation);
                }
                self.rings[parity].commit(place, SAMPLE);
            }
        }
        self.gate.leave_handler(&self.thread.flag, entry);
        entry.generation
    }

    /// As `Drain::take`: every sample MUST be of the generation that is drained.
    fn drain(&self, generation: u64) -> u64 {
        let mut samples = 0;
        self.rings[(generation & 1) as usize].drain(|words, at, _| {
            assert_eq!(
                words.get(at),
                generation,
                "a sample in the wrong generation"
            );
            samples += 1;
        });
        samples
    }

    /// As `Engine::advance`.
    fn close(&self, closing: u64, next: u64, mut emitted: u64) -> Account {
        advance(&self.gate, next, [&self.thread]);
        let parity = (closing & 1) as usize;
        emitted += self.drain(closing);
        assert!(self.rings[parity].is_empty());
        self.rings[parity].rewind();
        Account {
            handled: self.handled[parity].swap(0, Ordering::Relaxed),
            emitted,
            lost: self.lost[parity].swap(0, Ordering::Relaxed),
        }
    }
}

/// As `sample::counters`: one writer.
fn bump(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

fn count(written: &[u64], generation: u64) -> u64 {
    written.iter().filter(|g| **g == generation).count() as u64
}

/// Rule 3: drained to the end after the generation is quiet, counted there, over four generations and the end.
#[test]
fn every_sample_is_emitted_once_in_its_generation() {
    check(3, || {
        let world = Sampled::new();
        let sampled = world.clone();
        let thread = thread::spawn(move || [0; 3].map(|_| sampled.handler()));
        let mut accounts = [Account::default(); 5];
        for generation in 1..=4u64 {
            let early = match generation {
                1 => world.drain(1),
                _ => 0,
            };
            let next = (generation + 1) % 5;
            accounts[generation as usize] = world.close(generation, next, early);
        }
        let written = thread.join().unwrap();
        for generation in 1..=4 {
            let Account {
                handled,
                emitted,
                lost,
            } = accounts[generation as usize];
            assert_eq!(
                handled,
                count(&written, generation),
                "generation {generation}"
            );
            assert_eq!(handled, emitted + lost);
        }
    });
}

/// Rule 3 with a ring that overflows: what is refused is counted in the generation of the signal.
#[test]
fn every_signal_is_a_sample_or_a_loss_of_its_generation() {
    check(2, || {
        let world = Sampled::new();
        let sampled = world.clone();
        let thread = thread::spawn(move || [0; 4].map(|_| sampled.handler()));
        let early = world.drain(1);
        let first = world.close(1, 2, early);
        let written = thread.join().unwrap();
        let second = world.close(2, 0, 0);
        for (generation, account) in [(1, first), (2, second)] {
            assert_eq!(account.handled, count(&written, generation));
            assert_eq!(account.handled, account.emitted + account.lost);
        }
    });
}

/// Rules 2 and 3 with a signal inside of a critical section: event and sample may be of two generations, both open.
#[test]
fn a_signal_in_a_section_is_emitted_in_the_generation_that_it_read() {
    for point in 1..7 {
        check(2, move || {
            let world = Sampled::new();
            let sampled = world.clone();
            let thread = thread::spawn(move || {
                let written = Arc::new(AtomicU64::new(0));
                let (inner, result) = (sampled.clone(), written.clone());
                interrupt_at(point, move || {
                    result.store(inner.handler(), Ordering::Relaxed)
                });
                let event = sampled.thread.event(&sampled.gate);
                (event, written.load(Ordering::Relaxed))
            });
            let early = world.drain(1);
            let accounts = [world.close(1, 2, early), world.close(2, 3, 0)];
            let (_, sample) = thread.join().unwrap();
            for (generation, account) in (1..).zip(accounts) {
                assert_eq!(account.handled, u64::from(sample == generation));
                assert_eq!(account.emitted, account.handled);
            }
        });
    }
}

/// Rule 1: what a generation needs is there when it is entered, although the one before is still open.
#[test]
fn a_generation_is_entered_only_when_it_is_ready() {
    struct World {
        gate: Gate,
        thread: Thread,
        ready: [UnsafeCell<u64>; 2],
    }
    check(3, || {
        let world = Arc::new(World {
            gate: Gate::new(),
            thread: Thread::new(),
            ready: [UnsafeCell::new(0), UnsafeCell::new(1)],
        });
        world.gate.publish(1);
        let shared = world.clone();
        let writer = thread::spawn(move || {
            for _ in 0..2 {
                if let Entry::In(generation) = shared.gate.enter(&shared.thread.flag) {
                    let ready = &shared.ready[(generation & 1) as usize];
                    // SAFETY: loom checks that nobody writes it.
                    assert_eq!(ready.with(|ready| unsafe { *ready }), generation);
                    shared.gate.leave(&shared.thread.flag);
                }
            }
        });
        for next in 2..=3u64 {
            // SAFETY: loom checks that nobody else is active (rule 4: the generation of this parity is closed).
            world.ready[(next & 1) as usize].with_mut(|ready| unsafe { *ready = next });
            advance(&world.gate, next, [&world.thread]);
        }
        writer.join().unwrap();
    });
}

/// Rule 2: the list of threads is taken after the fence, so that it has every thread that could enter the old generation.
#[test]
fn a_thread_that_registers_meanwhile_is_waited_for_or_enters_the_new_generation() {
    struct World {
        gate: Gate,
        threads: [Thread; 2],
        live: Mutex<Vec<usize>>,
    }
    check(3, || {
        let world = Arc::new(World {
            gate: Gate::new(),
            threads: [Thread::new(), Thread::new()],
            live: Mutex::new(vec![0]),
        });
        world.gate.publish(1);
        let shared = world.clone();
        let newcomer = thread::spawn(move || {
            shared.live.lock().unwrap().push(1);
            shared.threads[1].event(&shared.gate)
        });
        world.gate.publish(2);
        heavy_fence(FenceKind::Full);
        let live = world.live.lock().unwrap().clone();
        for thread in &live {
            world.threads[*thread].flag.wait_until_clear();
        }
        let sealed: usize = live.iter().map(|t| world.threads[*t].seal(1)).sum();
        let wrote = newcomer.join().unwrap();
        assert_eq!(
            sealed,
            usize::from(wrote == 1),
            "an event in generation {wrote}"
        );
    });
}

/// Rule 4: two parities are enough, because a generation is closed before the one after the next is published.
#[test]
fn a_slot_is_empty_when_its_parity_comes_again() {
    check(3, || {
        let world = Sampled::new();
        let shared = world.clone();
        let writer = thread::spawn(move || [0; 3].map(|_| shared.thread.event(&shared.gate)));
        let mut sealed = [0; 4];
        for generation in 1..=3 {
            advance(&world.gate, (generation + 1) % 4, [&world.thread]);
            // Fails if the slot holds another generation of the parity.
            sealed[generation as usize] = world.thread.seal(generation);
        }
        let written = writer.join().unwrap();
        for generation in 1..=3 {
            assert_eq!(
                sealed[generation as usize] as u64,
                count(&written, generation)
            );
        }
    });
}

/// Rule 5: old unwind tables are freed after everybody who could have found them is out.
#[test]
fn tables_are_freed_only_when_no_handler_can_read_them() {
    struct World {
        gate: Gate,
        thread: Thread,
        current: AtomicU64,
        tables: [UnsafeCell<bool>; 2],
    }
    check(3, || {
        let world = Arc::new(World {
            gate: Gate::new(),
            thread: Thread::new(),
            current: AtomicU64::new(0),
            tables: [UnsafeCell::new(true), UnsafeCell::new(true)],
        });
        world.gate.publish(1);
        let sampled = world.clone();
        let handler = thread::spawn(move || {
            if let Some(entry) = sampled.gate.enter_handler(&sampled.thread.flag) {
                let current = sampled.current.load(Ordering::Acquire) as usize;
                // SAFETY: loom checks that nobody frees them meanwhile.
                assert!(sampled.tables[current].with(|table| unsafe { *table }));
                sampled.gate.leave_handler(&sampled.thread.flag, entry);
            }
        });
        world.current.store(1, Ordering::Release);
        advance(&world.gate, 2, [&world.thread]);
        // SAFETY: loom checks that nobody reads them.
        world.tables[0].with_mut(|table| unsafe { *table = false });
        handler.join().unwrap();
    });
}

/// A thread that exits inside of a generation hands its slot over itself, and is taken off the list after its last generation.
#[test]
fn what_an_exiting_thread_wrote_is_in_the_trace() {
    struct World {
        gate: Gate,
        thread: Thread,
        exited: AtomicBool,
        queue: Mutex<Vec<u64>>,
    }
    check(3, || {
        let world = Arc::new(World {
            gate: Gate::new(),
            thread: Thread::new(),
            exited: AtomicBool::new(false),
            queue: Mutex::new(Vec::new()),
        });
        world.gate.publish(1);
        let shared = world.clone();
        let leaver = thread::spawn(move || {
            let event = shared.thread.event(&shared.gate);
            let mut last = 0;
            if let Entry::In(generation) = shared.gate.enter(&shared.thread.flag) {
                shared.thread.put_event(generation);
                let events = shared.thread.seal(generation) as u64;
                let mut queue = shared.queue.lock().unwrap();
                queue.extend((0..events).map(|_| generation));
                drop(queue);
                shared.gate.leave(&shared.thread.flag);
                last = generation;
            }
            shared.exited.store(true, Ordering::Release);
            [event, last]
        });
        let mut at_close = [0; 3];
        let mut reaped = false;
        for generation in 1..=2 {
            let leaves = !reaped && world.exited.load(Ordering::Acquire);
            let live = (!reaped).then_some(&world.thread);
            advance(&world.gate, generation + 1, live);
            if let Some(thread) = live {
                let sealed = thread.seal(generation);
                let mut queue = world.queue.lock().unwrap();
                queue.extend((0..sealed).map(|_| generation));
            }
            at_close[generation as usize] = count(&world.queue.lock().unwrap(), generation);
            if leaves {
                // The record is another thread's from here on.
                assert_eq!(world.thread.seal(1) + world.thread.seal(2), 0);
                reaped = true;
            }
        }
        let written = leaver.join().unwrap();
        let queued = world.queue.lock().unwrap().clone();
        let left = match reaped {
            false => world.thread.seal(3) as u64,
            true => 0,
        };
        for generation in 1..=2 {
            assert_eq!(count(&queued, generation), count(&written, generation));
            // What is handed over after the close would be lost.
            assert_eq!(count(&queued, generation), at_close[generation as usize]);
        }
        assert_eq!(count(&queued, 3) + left, count(&written, 3));
    });
}
