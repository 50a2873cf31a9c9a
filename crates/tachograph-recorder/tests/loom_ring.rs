//! Models of `sample::ring`: one producer, one consumer, eight words. One case per rule of its protocol.
//!
//! There is no overflow record here: what does not fit is counted by the producer.
#![cfg(loom)]

mod model;

use loom::sync::Arc;
use loom::thread;
use model::{Thread, advance, check};
use tachograph_recorder::model::{Gate, Ring, Words};

const WORDS: usize = 8;

/// An empty ring whose words hold what earlier records left.
fn ring() -> Arc<Ring> {
    let ring = Ring::new(Words::tracked(WORDS));
    for word in 0..WORDS {
        ring.words().set(word, 1);
    }
    Arc::new(ring)
}

/// Writes a record of `words` words, all `value`.
fn push(ring: &Ring, value: u64, words: usize) -> bool {
    let Some(place) = ring.reserve(words) else {
        return false;
    };
    // Writers fill a record through one pointer.
    assert!(
        Ring::payload(place, 0) + words <= WORDS,
        "a record is split"
    );
    for word in 0..words {
        ring.words().set(Ring::payload(place, word), value);
    }
    ring.commit(place, words);
    true
}

/// Everything that waits, as (value, words); a record of two values is torn.
fn drain(ring: &Ring) -> Vec<(u64, usize)> {
    let mut records = Vec::new();
    ring.drain(|words, at, len| {
        let values: Vec<u64> = (at..at + len).map(|i| words.get(i)).collect();
        assert!(values.iter().all(|v| *v == values[0]), "torn: {values:?}");
        records.push((values[0], len));
    });
    records
}

/// Rule 1: loom fails where a word is read and written at once.
#[test]
fn records_come_out_whole_and_in_order() {
    check(4, || {
        let ring = ring();
        let producer = ring.clone();
        let producer = thread::spawn(move || [1, 2, 3].map(|i| push(&producer, i, 2)));
        let mut taken = drain(&ring);
        taken.extend(drain(&ring));
        let kept = producer.join().unwrap();
        taken.extend(drain(&ring));
        let wanted: Vec<(u64, usize)> = (1..=3)
            .zip(kept)
            .filter(|(_, kept)| *kept)
            .map(|(i, _)| (i, 2))
            .collect();
        assert_eq!(taken, wanted);
    });
}

/// Rule 2: a record at every distance from the end of the array, with a consumer behind it.
#[test]
fn a_record_that_does_not_fit_before_the_end_starts_at_the_front() {
    for before in 1..WORDS {
        check(4, move || {
            let ring = ring();
            assert!(push(&ring, 9, before - 1) || before > WORDS / 2);
            ring.drain(|_, _, _| ());
            let producer = ring.clone();
            // Half of the ring at most: an empty ring has room for it wherever it stands (`reserve`).
            let producer = thread::spawn(move || [push(&producer, 1, 3), push(&producer, 2, 2)]);
            let mut taken = drain(&ring);
            let kept = producer.join().unwrap();
            taken.extend(drain(&ring));
            assert!(kept[0], "an empty ring refused a record");
            let second = kept[1].then_some((2, 2));
            let wanted: Vec<_> = [Some((1, 3)), second].into_iter().flatten().collect();
            assert_eq!(taken, wanted);
        });
    }
}

/// Rule 3: accepted and refused are all that was tried, and a refusal harms nothing.
#[test]
fn a_full_ring_refuses_and_takes_again() {
    check(3, || {
        let ring = ring();
        let producer = ring.clone();
        let producer = thread::spawn(move || {
            let mut kept = Vec::new();
            for i in 1..=4 {
                if push(&producer, i, 2) {
                    kept.push((i, 2));
                }
            }
            kept
        });
        let mut taken = drain(&ring);
        let kept = producer.join().unwrap();
        taken.extend(drain(&ring));
        assert_eq!(taken, kept);
        assert!(
            kept.len() >= 2,
            "a ring of {WORDS} words holds two records of 3"
        );
        assert!(push(&ring, 5, 3), "an empty ring refused a record");
        assert_eq!(drain(&ring), [(5, 3)]);
    });
}

/// Rule 4: one drain after the producer's end leaves nothing, wherever the records lie.
#[test]
fn one_drain_leaves_nothing_behind() {
    check(4, || {
        let ring = ring();
        assert!(push(&ring, 9, 3));
        assert_eq!(drain(&ring).len(), 1);
        let producer = ring.clone();
        // The first stands before the end of the array, the second at its front.
        let producer = thread::spawn(move || [push(&producer, 1, 2), push(&producer, 2, 3)]);
        let early = drain(&ring).len();
        let kept = producer.join().unwrap().into_iter().filter(|k| *k).count();
        let late = drain(&ring).len();
        assert_eq!(early + late, kept);
        assert!(ring.is_empty());
    });
}

/// Rule 5: rewound when its generation is quiet, the ring starts over, and nothing of a later generation is lost.
#[test]
fn a_ring_is_rewound_between_its_generations() {
    struct World {
        gate: Gate,
        thread: Thread,
        rings: [Ring; 2],
    }
    check(3, || {
        let world = Arc::new(World {
            gate: Gate::new(),
            thread: Thread::new(),
            rings: [(); 2].map(|()| Ring::new(Words::tracked(WORDS))),
        });
        world.gate.publish(1);
        let sampled = world.clone();
        let producer = thread::spawn(move || {
            [0; 2].map(|_| {
                let entry = sampled.gate.enter_handler(&sampled.thread.flag).unwrap();
                let ring = &sampled.rings[(entry.generation & 1) as usize];
                assert!(push(ring, entry.generation, 3));
                sampled.gate.leave_handler(&sampled.thread.flag, entry);
                entry.generation
            })
        });
        let mut taken = Vec::new();
        for generation in 1..=2 {
            advance(&world.gate, generation + 1, [&world.thread]);
            let ring = &world.rings[(generation & 1) as usize];
            taken.extend(
                drain(ring)
                    .into_iter()
                    .map(|(value, _)| (value, generation)),
            );
            ring.rewind();
        }
        let written = producer.join().unwrap();
        taken.extend(
            drain(&world.rings[1])
                .into_iter()
                .map(|(value, _)| (value, 3)),
        );
        assert_eq!(taken, written.map(|generation| (generation, generation)));
    });
}
