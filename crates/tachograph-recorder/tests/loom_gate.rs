//! Models of `gate`: who may write into which generation, and when one is quiet. One case per rule of its protocol.
//!
//! One advancer, up to two writers, and a handler at every place of a critical section.
#![cfg(loom)]

mod model;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use model::{Thread, advance, check};
use tachograph_recorder::model::{Entry, FenceKind, Gate, heavy_fence, interrupt_at};

/// Signal points of a critical section, and one more: a signal that comes after it.
const POINTS: usize = 8;

/// The signal point behind the load of the generation.
const AFTER_LOAD: usize = 4;

struct World {
    gate: Gate,
    threads: [Thread; 2],
}

fn world() -> Arc<World> {
    let world = World {
        gate: Gate::new(),
        threads: [Thread::new(), Thread::new()],
    };
    world.gate.publish(1);
    Arc::new(world)
}

/// Rule 1.
#[test]
fn a_slot_is_not_written_after_its_generation_is_quiet() {
    check(4, || {
        let world = world();
        let shared = world.clone();
        let writer = thread::spawn(move || {
            let thread = &shared.threads[0];
            [thread.event(&shared.gate), thread.event(&shared.gate)]
        });
        let one = [&world.threads[0]];
        advance(&world.gate, 2, one);
        let mut sealed = [0, one[0].seal(1), 0, 0];
        advance(&world.gate, 3, one);
        sealed[2] = one[0].seal(2);
        let written = writer.join().unwrap();
        sealed[3] = one[0].seal(3);
        for generation in 1..=3 {
            let wrote = written.iter().filter(|g| **g == generation).count();
            assert_eq!(
                sealed[generation as usize], wrote,
                "generation {generation}"
            );
        }
    });
}

/// Rule 2, without the waiting: one of the two sides must see the other's store.
#[test]
fn writer_and_advancer_do_not_both_miss_the_other() {
    for light in [false, true] {
        check(4, move || {
            let world = world();
            world.gate.use_light_fences(light);
            let shared = world.clone();
            let writer = thread::spawn(move || shared.gate.enter(&shared.threads[0].flag));
            world.gate.publish(2);
            heavy_fence(FenceKind::Full);
            let seen_clear = world.threads[0].flag.is_clear();
            let entry = writer.join().unwrap();
            assert!(
                !(seen_clear && entry == Entry::In(1)),
                "a writer in generation 1 was missed"
            );
        });
    }
}

/// Rule 3: every flag, not only the first.
#[test]
fn both_writers_are_waited_for() {
    check(2, || {
        let world = world();
        let writers = [0, 1].map(|i| {
            let shared = world.clone();
            thread::spawn(move || shared.threads[i].event(&shared.gate))
        });
        advance(&world.gate, 2, &world.threads);
        let sealed = [0, 1].map(|i| world.threads[i].seal(1));
        for (writer, sealed) in writers.into_iter().zip(sealed) {
            let wrote = writer.join().unwrap();
            assert_eq!(sealed, usize::from(wrote == 1), "an event in {wrote}");
        }
    });
}

/// Rule 3: a flag that was seen clear once need not be looked at again.
#[test]
fn a_flag_that_was_seen_clear_can_only_enter_the_published_generation() {
    check(4, || {
        let world = world();
        let quiet = Arc::new(loom::sync::atomic::AtomicBool::new(false));
        let (shared, is_quiet) = (world.clone(), quiet.clone());
        let writer = thread::spawn(move || {
            let after = is_quiet.load(loom::sync::atomic::Ordering::Relaxed);
            (after, shared.threads[0].event(&shared.gate))
        });
        advance(&world.gate, 2, [&world.threads[0]]);
        quiet.store(true, loom::sync::atomic::Ordering::Relaxed);
        let (after, generation) = writer.join().unwrap();
        assert!(
            !after || generation == 2,
            "generation {generation} after it was quiet"
        );
    });
}

/// Rule 4.
#[test]
fn a_flag_seen_clear_hands_the_last_event_over() {
    check(4, || {
        let world = world();
        let shared = world.clone();
        let writer = thread::spawn(move || {
            let Entry::In(generation) = shared.gate.enter(&shared.threads[0].flag) else {
                panic!("recording is on");
            };
            shared.threads[0].put_event(generation);
            shared.gate.leave(&shared.threads[0].flag);
            generation
        });
        advance(&world.gate, 2, [&world.threads[0]]);
        let sealed = world.threads[0].seal(1);
        assert_eq!(sealed, usize::from(writer.join().unwrap() == 1));
    });
}

/// What the advancer has readied for a generation is seen by whoever enters it (`publish`).
#[test]
fn who_enters_a_generation_sees_what_was_readied_for_it() {
    struct Readied {
        gate: Gate,
        thread: Thread,
        ids: UnsafeCell<u64>,
    }
    for handler in [false, true] {
        check(4, move || {
            let world = Arc::new(Readied {
                gate: Gate::new(),
                thread: Thread::new(),
                ids: UnsafeCell::new(0),
            });
            let shared = world.clone();
            let writer = thread::spawn(move || {
                let generation = match handler {
                    false => shared.thread.event(&shared.gate),
                    true => shared.thread.handler(&shared.gate),
                };
                if generation != 0 {
                    // SAFETY: loom checks that nobody writes it.
                    assert_eq!(shared.ids.with(|ids| unsafe { *ids }), 7);
                }
            });
            // SAFETY: loom checks that nobody else is active.
            world.ids.with_mut(|ids| unsafe { *ids = 7 });
            world.gate.publish(1);
            writer.join().unwrap();
        });
    }
}

/// Rule 5, a handler at every place of a critical section.
#[test]
fn a_handler_leaves_the_flag_and_its_sample_is_in_an_open_generation() {
    for point in 0..POINTS {
        check(3, move || {
            let world = world();
            let shared = world.clone();
            let writer = thread::spawn(move || {
                let sampled = Arc::new(loom::sync::atomic::AtomicU64::new(0));
                let (interrupted, sample) = (shared.clone(), sampled.clone());
                interrupt_at(point, move || {
                    let generation = interrupted.threads[0].handler(&interrupted.gate);
                    sample.store(generation, loom::sync::atomic::Ordering::Relaxed);
                });
                let wrote = shared.threads[0].event(&shared.gate);
                assert!(shared.threads[0].flag.is_clear());
                let sampled = sampled.load(loom::sync::atomic::Ordering::Relaxed);
                if point >= AFTER_LOAD && wrote != 0 && sampled != 0 {
                    assert!(sampled >= wrote, "{sampled} after {wrote}");
                }
                [wrote, sampled]
            });
            let one = [&world.threads[0]];
            advance(&world.gate, 2, one);
            let first = one[0].seal(1);
            advance(&world.gate, 0, one);
            let second = one[0].seal(2);
            let written = writer.join().unwrap();
            let count = |generation| written.iter().filter(|g| **g == generation).count();
            assert_eq!([first, second], [count(1), count(2)], "{written:?}");
        });
    }
}

/// Rule 5: the recorder itself may be called again inside of a critical section, by a traced allocator for one.
#[test]
fn a_section_inside_of_a_section_is_refused() {
    for point in 2..6 {
        check(3, move || {
            let world = world();
            let shared = world.clone();
            let writer = thread::spawn(move || {
                let inner = shared.clone();
                interrupt_at(point, move || {
                    assert_eq!(inner.gate.enter(&inner.threads[0].flag), Entry::Nested);
                    assert!(!inner.threads[0].flag.is_clear());
                });
                shared.threads[0].event(&shared.gate)
            });
            advance(&world.gate, 2, [&world.threads[0]]);
            let sealed = world.threads[0].seal(1);
            assert_eq!(sealed, usize::from(writer.join().unwrap() == 1));
        });
    }
}

/// Rule 6: a thread sees generations go up only, and nothing between a stop and the next start.
#[test]
fn generations_go_up_and_an_end_is_an_end() {
    check(4, || {
        let world = world();
        let shared = world.clone();
        let writer = thread::spawn(move || {
            let thread = &shared.threads[0];
            [0; 3].map(|_| thread.event(&shared.gate))
        });
        let one = [&world.threads[0]];
        advance(&world.gate, 0, one);
        let first = one[0].seal(1);
        // Nothing is recorded: no slot is written, of either parity.
        assert_eq!(one[0].seal(2), 0);
        world.gate.publish(3);
        let written = writer.join().unwrap();
        let kept: Vec<u64> = written.into_iter().filter(|g| *g != 0).collect();
        assert!(kept.is_sorted(), "{written:?}");
        assert_eq!(first, kept.iter().filter(|g| **g == 1).count());
        assert_eq!(one[0].seal(3), kept.iter().filter(|g| **g == 3).count());
    });
}
