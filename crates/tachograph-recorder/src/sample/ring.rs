//! The way of samples out of the signal handler: a single-producer, single-consumer ring of words.
//!
//! Each thread has two, by generation parity; the handler on that thread is the only producer, the engine the only consumer.
//! So a handler never waits and never shares a cache line with another thread's handler.
//!
//! # Protocol
//! 1. The producer writes words only between `tail + capacity` and `head`, and publishes them by moving `head` (release). The
//!    consumer reads only between `tail` and `head`, and frees by moving `tail` (release).
//! 2. A record is never split: where it might not fit before the end of the array, a 0 stands in place of its length and the
//!    record starts at the front. The skipped words count as used.
//! 3. What does not fit is not written, and the producer is told, who counts it. There is no state of "overflow" to get stuck in.
//! 4. The consumer drains until it finds nothing, past the wrap: no remainder waits for the next use of the ring (Go 1.27.3
//!    reads one contiguous piece, and emits the rest two generations late).
//! 5. `rewind` MUST be called only while no producer can enter: after the ring's generation is quiet. It keeps the pages that a
//!    slow sampler touches few.
//!
//! Modelled in `tests/loom_ring.rs`, one case per rule.

use super::words::Words;
use crate::sync::{AtomicU64, Ordering, load_own};

/// A ring over `Words`.
#[derive(Debug)]
pub struct Ring {
    words: Words,
    /// Words written since the last rewind.
    head: AtomicU64,
    /// Words freed since the last rewind.
    tail: AtomicU64,
}

/// A reserved, contiguous place for one record. The first word belongs to the ring.
#[must_use]
#[derive(Clone, Copy, Debug)]
pub struct Place {
    start: u64,
    index: usize,
}

impl Ring {
    /// An empty ring over `words`.
    pub fn new(words: Words) -> Self {
        Self {
            words,
            head: AtomicU64::new(0),
            tail: AtomicU64::new(0),
        }
    }

    /// The memory behind the ring.
    pub fn words(&self) -> &Words {
        &self.words
    }

    /// Reserves a record of at most `payload` words besides its length; `None` when it would not fit (rule 3).
    ///
    /// Producer only.
    #[inline]
    pub fn reserve(&self, payload: usize) -> Option<Place> {
        let capacity = self.words.len();
        let wanted = payload + 1;
        let head = load_own(&self.head);
        // Acquire: pairs with the Release in `drain`; the freed words have been read.
        let tail = self.tail.load(Ordering::Acquire);
        let mut index = self.words.index(head);
        let mut start = head;
        if capacity - index < wanted {
            start += (capacity - index) as u64;
            index = 0;
        }
        if wanted > capacity || start + wanted as u64 - tail > capacity as u64 {
            return None;
        }
        if start != head {
            // Rule 2.
            self.words.set(self.words.index(head), 0);
        }
        Some(Place { start, index })
    }

    /// The index of payload word `word` of a reserved place.
    #[inline]
    pub fn payload(place: Place, word: usize) -> usize {
        place.index + 1 + word
    }

    /// Publishes a reserved record of which `payload` words have been written (rule 1).
    ///
    /// Producer only; `payload` is at most what was reserved.
    #[inline]
    pub fn commit(&self, place: Place, payload: usize) {
        let len = payload as u64 + 1;
        self.words.set(place.index, len);
        // Release: pairs with the Acquire in `drain`; the record is complete.
        self.head.store(place.start + len, Ordering::Release);
    }

    /// Gives every record, oldest first, to `take` as (index of its first payload word, payload words), until none is left
    /// (rule 4). Returns how many there were.
    ///
    /// Consumer only.
    pub fn drain(&self, mut take: impl FnMut(&Words, usize, usize)) -> usize {
        let mut records = 0;
        let mut tail = load_own(&self.tail);
        // Acquire: pairs with the Release in `commit`.
        while tail != self.head.load(Ordering::Acquire) {
            let index = self.words.index(tail);
            let len = self.words.get(index);
            if len == 0 {
                tail += (self.words.len() - index) as u64;
            } else {
                take(&self.words, index + 1, len as usize - 1);
                records += 1;
                tail += len;
            }
            // Release: pairs with the Acquire in `reserve`; the words are free.
            self.tail.store(tail, Ordering::Release);
        }
        records
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        // Acquire: as in `drain`.
        load_own(&self.tail) == self.head.load(Ordering::Acquire)
    }

    /// Starts over at the front (rule 5).
    pub fn rewind(&self) {
        debug_assert!(self.is_empty(), "a ring was rewound with records in it");
        // Relaxed: no producer can run; the next generation is published after this.
        self.head.store(0, Ordering::Relaxed);
        self.tail.store(0, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn push(ring: &Ring, payload: &[u64]) -> bool {
        let Some(place) = ring.reserve(payload.len()) else {
            return false;
        };
        for (i, &word) in payload.iter().enumerate() {
            ring.words().set(Ring::payload(place, i), word);
        }
        ring.commit(place, payload.len());
        true
    }

    fn drain(ring: &Ring) -> Vec<Vec<u64>> {
        let mut records = Vec::new();
        ring.drain(|words, at, len| records.push((at..at + len).map(|i| words.get(i)).collect()));
        records
    }

    fn ring(words: usize) -> Ring {
        Ring::new(Words::map(words).expect("memory"))
    }

    #[test]
    fn returns_records_in_order_across_many_wraps() {
        let ring = ring(16);
        let mut next = 0u64;
        for round in 0..200 {
            let mut pushed = Vec::new();
            for len in [round % 5, (round * 7) % 4] {
                let record: Vec<u64> = (0..len)
                    .map(|_| {
                        next += 1;
                        next
                    })
                    .collect();
                assert!(push(&ring, &record));
                pushed.push(record);
            }
            assert_eq!(drain(&ring), pushed);
        }
    }

    #[test]
    fn one_drain_takes_what_lies_on_both_sides_of_the_wrap() {
        let ring = ring(16);
        assert!(push(&ring, &[1; 5]) && push(&ring, &[2; 5]));
        drain(&ring);
        assert!(push(&ring, &[3; 2]) && push(&ring, &[4; 6]));
        assert_eq!(drain(&ring), [vec![3; 2], vec![4; 6]]);
        assert!(ring.is_empty());
    }

    #[test]
    fn refuses_what_does_not_fit_and_takes_it_after_a_drain() {
        let ring = ring(16);
        assert!(push(&ring, &[1; 7]));
        assert!(push(&ring, &[2; 7]));
        assert!(!push(&ring, &[3]));
        assert_eq!(drain(&ring).len(), 2);
        assert!(push(&ring, &[3]));
        assert_eq!(drain(&ring), [[3]]);
    }
}
