//! Records that are no event of a thread's as it stands in the trace: the three that a switch becomes, samples, syncs.
//!
//! Filled by the model and the reader, emptied by the reader.

use crate::record::Record;

/// Most records that one event becomes: a switch of tasks.
const MOST: usize = 3;

/// Records that are to be delivered before anything else.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    records: [Record; MOST],
    next: usize,
    len: usize,
}

impl Queue {
    /// Nothing.
    pub fn new() -> Self {
        Self {
            records: [Record::EMPTY; MOST],
            next: 0,
            len: 0,
        }
    }

    /// Adds a record behind the others.
    #[inline]
    pub fn push(&mut self, record: Record) {
        if let Some(place) = self.records.get_mut(self.len) {
            *place = record;
            self.len += 1;
        }
    }

    /// Takes the first record, which stays in place until the next is pushed into an empty queue.
    #[inline]
    pub fn pop(&mut self) -> Option<&mut Record> {
        if self.next == self.len {
            return None;
        }
        let index = self.next;
        self.next += 1;
        self.records.get_mut(index)
    }

    /// The record that was taken last.
    #[inline]
    pub fn last(&self) -> &Record {
        let [first, ..] = &self.records;
        self.records.get(self.next.wrapping_sub(1)).unwrap_or(first)
    }

    /// Whether all were taken. The next push goes to the front.
    #[inline]
    pub fn is_empty(&mut self) -> bool {
        if self.next == self.len {
            (self.next, self.len) = (0, 0);
            return true;
        }
        false
    }
}
