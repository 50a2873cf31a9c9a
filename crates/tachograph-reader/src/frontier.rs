//! Each thread's next event, the earliest first.
//!
//! Owns a cursor for each thread and a binary heap over them. Called by `sequence`.
//!
//! # Protocol
//! 1. Within a thread, the order of the trace is the truth; times only say which thread to try first.
//! 2. The heap compares times alone, sifts as Go's does and breaks no ties of its own, so that equal times come out in Go's order:
//!    the same file always gives the same events, and Go's order (but for rule 3).
//! 3. When the first candidate must wait, the heap is sorted (a sorted array is a heap) and the others are tried in the order of
//!    their times. Among equal times the earlier in the heap goes first, as with Go up to twelve threads; beyond that, Go's sort is not stable.

use crate::generation::Generation;
use crate::order::Seat;
use crate::pass::Supply;
use crate::record::Record;
use tachograph_wire::{Nanos, ThreadId, WireError};

/// A thread's place among its events.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<P> {
    /// The thread's next event. The model completes it in place: an event is written once, and never copied.
    pub record: Record,
    pub thread: ThreadId,
    /// The thread's seat, once it has one.
    pub seat: Option<Seat>,
    place: P,
}

/// A cursor in the heap, with the time of its next event.
#[derive(Clone, Copy, Debug)]
struct Head {
    time: Nanos,
    cursor: u32,
}

/// All cursors that have a next event.
#[derive(Clone, Debug)]
pub(crate) struct Frontier<P> {
    heap: Vec<Head>,
    cursors: Vec<Cursor<P>>,
}

impl<P> Cursor<P> {
    /// Reads the next event, and gives its time if there is one.
    #[inline]
    fn refill<S: Supply<Place = P>>(
        &mut self,
        supply: &mut S,
        generation: &Generation,
    ) -> Result<Option<Nanos>, WireError> {
        let more = supply.event(&mut self.place, generation, &mut self.record)?;
        Ok(more.then_some(self.record.time))
    }
}

impl<P> Default for Frontier<P> {
    fn default() -> Self {
        Self {
            heap: Vec::new(),
            cursors: Vec::new(),
        }
    }
}

impl<P> Frontier<P> {
    /// Begins a generation.
    ///
    /// # Errors
    /// If the first event of a thread can't be read: the first such thread. The others are in the frontier.
    pub fn enter<S: Supply<Place = P>>(
        &mut self,
        supply: &mut S,
        generation: &Generation,
    ) -> Result<(), (ThreadId, WireError)> {
        self.heap.clear();
        self.cursors.clear();
        let mut entered = Ok(());
        for (number, stream) in generation.streams.all.iter().enumerate() {
            let mut cursor = Cursor {
                record: Record::EMPTY,
                thread: stream.thread,
                seat: None,
                place: S::place(number, stream),
            };
            match cursor.refill(supply, generation) {
                Ok(Some(time)) => self.insert(cursor, time),
                Ok(None) => {}
                Err(error) => entered = entered.and(Err((stream.thread, error))),
            }
        }
        entered
    }

    fn insert(&mut self, cursor: Cursor<P>, time: Nanos) {
        self.heap.push(Head {
            time,
            cursor: self.cursors.len() as u32,
        });
        self.cursors.push(cursor);
        self.sift_up(self.heap.len() - 1);
    }

    /// Raw time of the first candidate.
    #[inline]
    pub fn earliest(&self) -> Option<Nanos> {
        self.heap.first().map(|head| head.time)
    }

    /// How many threads have a next event.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// The cursor with this number, which a place of the heap has.
    #[inline]
    pub fn cursor(&self, number: u32) -> Option<&Cursor<P>> {
        self.cursors.get(number as usize)
    }

    /// The cursor at a place of the heap.
    #[inline]
    pub fn get(&self, place: usize) -> Option<&Cursor<P>> {
        let head = self.heap.get(place)?;
        self.cursors.get(head.cursor as usize)
    }

    /// The same with its number, to write to.
    #[inline]
    pub fn get_mut(&mut self, place: usize) -> Option<(u32, &mut Cursor<P>)> {
        let number = self.heap.get(place)?.cursor;
        Some((number, self.cursors.get_mut(number as usize)?))
    }

    /// Sorts the heap by time; the earlier in the heap goes first among equals.
    #[cold]
    pub fn sort(&mut self) {
        self.heap.sort_by_key(|head| head.time);
    }

    /// Goes on to the next event of the thread at this place of the heap.
    ///
    /// # Errors
    /// If it can't be read. The thread is then out of the frontier.
    #[inline]
    pub fn step<S: Supply<Place = P>>(
        &mut self,
        place: usize,
        supply: &mut S,
        generation: &Generation,
    ) -> Result<(), (ThreadId, WireError)> {
        let Some(head) = self.heap.get_mut(place) else {
            return Ok(());
        };
        let Some(cursor) = self.cursors.get_mut(head.cursor as usize) else {
            return Ok(());
        };
        match cursor.refill(supply, generation) {
            Ok(Some(time)) => {
                head.time = time;
                if place == 0 || self.sift_up(place) == place {
                    self.sift_down(place);
                }
                Ok(())
            }
            Ok(None) => {
                self.remove(place);
                Ok(())
            }
            Err(error) => {
                let thread = cursor.thread;
                self.remove(place);
                Err((thread, error))
            }
        }
    }

    /// Events that can still be read, for the account of what was lost.
    pub fn count_rest<S: Supply<Place = P>>(
        &mut self,
        supply: &mut S,
        generation: &Generation,
    ) -> u64 {
        let mut count = 0;
        for head in self.heap.drain(..) {
            let Some(cursor) = self.cursors.get_mut(head.cursor as usize) else {
                continue;
            };
            count += 1;
            while let Ok(Some(_)) = cursor.refill(supply, generation) {
                count += 1;
            }
        }
        count
    }

    fn sift_up(&mut self, mut place: usize) -> usize {
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.time(parent) <= self.time(place) {
                break;
            }
            self.heap.swap(parent, place);
            place = parent;
        }
        place
    }

    #[inline]
    fn sift_down(&mut self, mut place: usize) {
        let Some(&head) = self.heap.get(place) else {
            return;
        };
        loop {
            let child = 2 * place + 1;
            let Some(&left) = self.heap.get(child) else {
                break;
            };
            // The right one only if it is strictly earlier, and neither if it isn't earlier than the parent.
            let (lower, at) = match self.heap.get(child + 1) {
                Some(&right) if right.time < left.time => (right, child + 1),
                _ => (left, child),
            };
            if lower.time >= head.time {
                break;
            }
            if let Some(parent) = self.heap.get_mut(place) {
                *parent = lower;
            }
            place = at;
        }
        if let Some(last) = self.heap.get_mut(place) {
            *last = head;
        }
    }

    fn remove(&mut self, mut place: usize) {
        // Up to the root whatever the times, then out, as Go does.
        while place > 0 {
            let parent = (place - 1) / 2;
            self.heap.swap(parent, place);
            place = parent;
        }
        if !self.heap.is_empty() {
            self.heap.swap_remove(0);
        }
        if !self.heap.is_empty() {
            self.sift_down(0);
        }
    }

    #[inline]
    fn time(&self, place: usize) -> Nanos {
        self.heap
            .get(place)
            .map_or(Nanos(i64::MAX), |head| head.time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frontier(times: &[i64]) -> Frontier<()> {
        let mut frontier = Frontier::default();
        for time in times {
            frontier.heap.push(Head {
                time: Nanos(*time),
                cursor: 0,
            });
            frontier.sift_up(frontier.heap.len() - 1);
        }
        frontier
    }

    fn is_heap(frontier: &Frontier<()>) -> bool {
        (1..frontier.len()).all(|place| frontier.time((place - 1) / 2) <= frontier.time(place))
    }

    #[test]
    fn stays_a_heap_when_anything_changes_or_goes() {
        let times = [9, 3, 7, 3, 1, 8, 5, 5, 2, 6];
        for place in 0..times.len() {
            for time in 0..11 {
                let mut changed = frontier(&times);
                changed.heap[place].time = Nanos(time);
                if changed.sift_up(place) == place {
                    changed.sift_down(place);
                }
                assert!(is_heap(&changed), "{time} at {place}");
            }
            let mut less = frontier(&times);
            less.remove(place);
            assert!(is_heap(&less) && less.len() == times.len() - 1);
        }
    }

    #[test]
    fn comes_out_in_the_order_of_times() {
        let mut frontier = frontier(&[4, 2, 9, 9, 0, 5]);
        let mut out = Vec::new();
        while let Some(time) = frontier.earliest() {
            out.push(time.0);
            frontier.remove(0);
        }
        assert_eq!(out, [0, 2, 4, 5, 9, 9]);
    }
}
