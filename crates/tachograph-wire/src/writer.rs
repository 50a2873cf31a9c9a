//! Builds one batch in memory.
//!
//! For the recorder's writer thread (tables, statuses, samples), converters and tests. Threads that record events
//! have buffers of their own in the recorder. Called by whoever holds the next batch's first record.

use crate::batch::BatchHeader;
use crate::event::EventKind;
use crate::ids::{Frequency, Generation, StackId, StringId, ThreadId, Ticks};
use crate::limits::{MAX_BATCH_BYTES, MAX_STACK_FRAMES, cut_bytes};
use crate::tables::{ClockSnapshot, Frame, Sample};
use crate::varint;
use std::fmt;

/// The record doesn't fit in what is left of the batch: finish it and put the record first in a new one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the batch is full")
    }
}

impl std::error::Error for Full {}

/// One batch in the making.
///
/// The first record decides what the batch holds; a record of another sort is a bug of the caller and is caught in
/// debug builds. A record that doesn't fit leaves the batch as it was.
#[derive(Clone, Debug)]
pub struct BatchWriter {
    header: BatchHeader,
    experiment: Option<u8>,
    /// Time of the last event.
    last: Ticks,
    payload: Vec<u8>,
}

impl BatchWriter {
    /// An empty batch; `time` must not be later than that of the first event.
    #[must_use]
    pub fn new(generation: Generation, thread: ThreadId, time: Ticks) -> Self {
        let header = BatchHeader {
            generation,
            thread,
            time,
            size: 0,
        };
        Self {
            header,
            experiment: None,
            last: time,
            payload: Vec::new(),
        }
    }

    /// An empty batch of an experiment, to be filled with [`opaque`](Self::opaque).
    #[must_use]
    pub fn for_experiment(
        number: u8,
        generation: Generation,
        thread: ThreadId,
        time: Ticks,
    ) -> Self {
        Self {
            experiment: Some(number),
            ..Self::new(generation, thread, time)
        }
    }

    /// Payload bytes that are left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        MAX_BATCH_BYTES - self.payload.len()
    }

    /// Whether nothing has been written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.payload.is_empty()
    }

    /// Adds a timed event that happened at `time`.
    ///
    /// Times are kept strictly increasing: an event that isn't later than the one before is put one tick after it.
    ///
    /// # Errors
    /// [`Full`].
    pub fn event(&mut self, kind: EventKind, time: Ticks, args: &[u64]) -> Result<(), Full> {
        let time = time.max(self.last + Ticks(1));
        self.event_after(kind, time - self.last, args)
    }

    /// Adds a timed event with exactly this delta, which may be 0.
    ///
    /// # Errors
    /// [`Full`].
    pub fn event_after(&mut self, kind: EventKind, dt: Ticks, args: &[u64]) -> Result<(), Full> {
        debug_assert!(kind.is_timed(), "{} is not a timed event", kind.name());
        debug_assert_eq!(kind.arity(), args.len(), "arguments of {}", kind.name());
        self.put(|out| {
            out.push(kind.code());
            varint::encode(dt.0, out);
            args.iter().for_each(|arg| varint::encode(*arg, out));
        })?;
        self.last = self.last + dt;
        Ok(())
    }

    /// Adds a string, cut to the limit.
    ///
    /// # Errors
    /// [`Full`].
    pub fn string(&mut self, id: StringId, bytes: &[u8]) -> Result<(), Full> {
        debug_assert_ne!(id, StringId::EMPTY, "the empty string is never defined");
        let bytes = cut_bytes(bytes);
        self.record(EventKind::Strings, |out| {
            out.push(EventKind::String.code());
            varint::encode(id.0, out);
            varint::encode(bytes.len() as u64, out);
            out.extend_from_slice(bytes);
        })
    }

    /// Adds a stack, leaf first; of more than [`MAX_STACK_FRAMES`] frames the first are kept.
    ///
    /// # Errors
    /// [`Full`].
    pub fn stack(&mut self, id: StackId, frames: &[Frame]) -> Result<(), Full> {
        debug_assert_ne!(id, StackId::NONE, "no stack is never defined");
        let frames = &frames[..frames.len().min(MAX_STACK_FRAMES)];
        self.record(EventKind::Stacks, |out| {
            out.push(EventKind::Stack.code());
            numbers(out, &[id.0, frames.len() as u64]);
            for frame in frames {
                numbers(out, &[frame.pc, frame.function.0, frame.file.0, frame.line]);
            }
        })
    }

    /// Adds a CPU sample.
    ///
    /// # Errors
    /// [`Full`].
    pub fn sample(&mut self, sample: &Sample) -> Result<(), Full> {
        let Sample {
            time,
            thread,
            proc,
            task,
            stack,
        } = *sample;
        self.record(EventKind::CPUSamples, |out| {
            out.push(EventKind::CPUSample.code());
            numbers(out, &[time.0, thread.0, proc.0, task.0, stack.0]);
        })
    }

    /// Adds frequency and clock snapshot, in the form of 1.25 and later.
    ///
    /// # Errors
    /// [`Full`].
    pub fn sync(&mut self, frequency: Frequency, clock: &ClockSnapshot) -> Result<(), Full> {
        self.record(EventKind::Sync, |out| {
            out.push(EventKind::Frequency.code());
            varint::encode(frequency.0, out);
            out.push(EventKind::ClockSnapshot.code());
            numbers(out, &[clock.dt.0, clock.mono, clock.sec, clock.nsec]);
        })
    }

    /// Adds a lone frequency, which is the sync batch of versions before 1.25.
    ///
    /// # Errors
    /// [`Full`].
    pub fn lone_frequency(&mut self, frequency: Frequency) -> Result<(), Full> {
        self.put(|out| {
            out.push(EventKind::Frequency.code());
            varint::encode(frequency.0, out);
        })
    }

    /// Adds bytes as they are.
    ///
    /// # Errors
    /// [`Full`].
    pub fn opaque(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.put(|out| out.extend_from_slice(bytes))
    }

    /// The batch with its header.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        let mut out =
            Vec::with_capacity(self.payload.len() + crate::limits::MAX_BATCH_HEADER_BYTES);
        self.finish_into(&mut out);
        out
    }

    /// Appends the batch with its header to `out`.
    pub fn finish_into(self, out: &mut Vec<u8>) {
        let header = BatchHeader {
            size: self.payload.len(),
            ..self.header
        };
        header.encode(self.experiment, out);
        out.extend_from_slice(&self.payload);
    }

    /// Adds a record of a table, behind the table's marker if it is the first.
    fn record(&mut self, marker: EventKind, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), Full> {
        debug_assert!(
            self.payload
                .first()
                .is_none_or(|first| *first == marker.code()),
            "a record of {} in a batch of something else",
            marker.name(),
        );
        let is_first = self.payload.is_empty();
        self.put(|out| {
            if is_first {
                out.push(marker.code());
            }
            write(out);
        })
    }

    fn put(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), Full> {
        let before = self.payload.len();
        write(&mut self.payload);
        if self.payload.len() <= MAX_BATCH_BYTES {
            return Ok(());
        }
        self.payload.truncate(before);
        Err(Full)
    }
}

fn numbers(out: &mut Vec<u8>, values: &[u64]) {
    values.iter().for_each(|value| varint::encode(*value, out));
}
