//! A thread's events, read one by one out of its batches.
//!
//! Used where events are put in order, or by the thread that reads ahead of that.

use crate::generation::{Generation, NO_BATCH, Stream};
use crate::record::{Extra, Record};
use tachograph_wire::record::read_event;
use tachograph_wire::{ByteOffset, Nanos, WireError};

/// A place in a thread's batches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InBatches {
    /// Of the last event, by the thread's own clock.
    time: Nanos,
    next_batch: u32,
    at: usize,
    end: usize,
    /// Adds up from a place in the generation's bytes to one in the trace.
    shift: u64,
}

impl InBatches {
    /// The start of a thread's batches.
    pub fn of(stream: &Stream) -> Self {
        Self {
            time: Nanos(0),
            next_batch: stream.first,
            at: 0,
            end: 0,
            shift: 0,
        }
    }

    /// Reads the next event into `record`, whose context stays as it is; whether there is one.
    ///
    /// # Errors
    /// If it is none. There is nothing more to read then.
    #[inline]
    pub fn next(
        &mut self,
        generation: &Generation,
        record: &mut Record,
    ) -> Result<bool, WireError> {
        while self.at == self.end {
            if self.next_batch == NO_BATCH {
                return Ok(false);
            }
            self.enter(generation);
        }
        let payload = generation.bytes.get(self.at..self.end).unwrap_or_default();
        let offset = ByteOffset((self.at as u64).wrapping_add(self.shift));
        let read = match read_event(payload, offset, &mut record.args) {
            Ok(read) => read,
            Err(error) => return self.broken_off(generation, error),
        };
        self.at += read.len;
        let delta = generation.scale.nanos(read.dt);
        self.time = Nanos(self.time.0.saturating_add(delta.0));
        record.time = self.time;
        record.offset = offset;
        record.kind = Some(read.kind);
        record.extra = Extra::NONE;
        Ok(true)
    }

    /// In the batch that the trace's end cuts off, events end where their bytes do.
    #[cold]
    fn broken_off(&self, generation: &Generation, error: WireError) -> Result<bool, WireError> {
        if generation.is_cut && self.next_batch == NO_BATCH && error.is_truncated() {
            return Ok(false);
        }
        Err(error)
    }

    /// Bytes of the batch that it is in; 0 before the first one.
    pub fn bytes_left(&self) -> usize {
        self.end.saturating_sub(self.at)
    }

    #[cold]
    fn enter(&mut self, generation: &Generation) {
        let batch = generation.streams.batches.get(self.next_batch as usize);
        let Some(batch) = batch else {
            self.next_batch = NO_BATCH;
            return;
        };
        (self.at, self.end, self.next_batch) = (batch.start, batch.end, batch.next);
        self.shift = batch.offset.0.wrapping_sub(batch.start as u64);
        self.time = generation.scale.nanos(batch.time);
    }
}
