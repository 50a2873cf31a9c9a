//! Timed events inside the batch of a thread.
//!
//! [`Events`] is the hot loop of every reader: no allocation, no copying of payloads. Tables are in
//! [`tables`](crate::tables).

use crate::batch::Batch;
use crate::cursor::Cursor;
use crate::error::{Problem, WireError};
use crate::event::{ArgKind, EventKind};
use crate::ids::{ByteOffset, Ticks};
use crate::limits::MAX_EVENT_ARGS;
use crate::varint;

/// A timed event as it stands on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RawEvent {
    /// Which event.
    pub kind: EventKind,
    /// Number of arguments: the arity of the kind.
    pub len: u8,
    /// Ticks since the event before, or since the batch's time.
    pub dt: Ticks,
    /// The arguments after the delta; the rest is 0.
    pub args: [u64; MAX_EVENT_ARGS],
}

impl RawEvent {
    /// The arguments after the delta.
    #[must_use]
    pub fn args(&self) -> &[u64] {
        self.args.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// The first argument of this kind, if the event has one.
    #[must_use]
    pub fn arg(&self, kind: ArgKind) -> Option<u64> {
        self.args.get(self.kind.spec().position(kind)?).copied()
    }
}

/// What [`read_event`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadEvent {
    /// Which event.
    pub kind: EventKind,
    /// Ticks since the event before, or since the batch's time.
    pub dt: Ticks,
    /// Bytes that it takes.
    pub len: usize,
}

/// Reads the event at the start of `payload`, which stands at `offset` in the trace, and puts its arguments in place; the rest of `args`
/// becomes 0.
///
/// # Errors
/// If there is no timed event. `args` may then have changed.
#[inline]
pub fn read_event(
    payload: &[u8],
    offset: ByteOffset,
    args: &mut [u64; MAX_EVENT_ARGS],
) -> Result<ReadEvent, WireError> {
    let Some((kind, arity)) = payload
        .first()
        .and_then(|code| EventKind::timed_from_code(*code))
    else {
        return Err(no_event(payload, offset));
    };
    let mut at = 1;
    let Some(dt) = varint::decode_at(payload, &mut at) else {
        return Err(no_number(payload, offset, at));
    };
    *args = [0; MAX_EVENT_ARGS];
    for arg in args.iter_mut().take(arity) {
        let Some(number) = varint::decode_at(payload, &mut at) else {
            return Err(no_number(payload, offset, at));
        };
        *arg = number;
    }
    Ok(ReadEvent {
        kind,
        dt: Ticks(dt),
        len: at,
    })
}

const WHAT: &str = "an event";

/// Why there is no timed event at the start of `payload`.
#[cold]
fn no_event(payload: &[u8], offset: ByteOffset) -> WireError {
    let problem = match payload.first() {
        Some(&found) => Problem::UnexpectedCode {
            found,
            wanted: "a timed event",
        },
        None => Problem::Truncated(WHAT),
    };
    WireError { offset, problem }
}

/// Why there is no number at `at`.
#[cold]
fn no_number(payload: &[u8], offset: ByteOffset, at: usize) -> WireError {
    let rest = payload.get(at..).unwrap_or_default();
    let mut cursor = Cursor::new(rest, offset.plus(at));
    match cursor.number(WHAT) {
        Err(error) => error,
        Ok(_) => cursor.error(Problem::Truncated(WHAT)),
    }
}

/// The timed events of a payload.
///
/// Ends after the first error; events before it have been yielded.
#[derive(Clone, Debug)]
pub struct Events<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Events<'a> {
    /// The events of `payload`, which stands at `offset` in the file.
    #[must_use]
    pub fn new(payload: &'a [u8], offset: ByteOffset) -> Self {
        Self {
            cursor: Cursor::new(payload, offset),
        }
    }

    /// Where the next event begins.
    #[must_use]
    pub fn offset(&self) -> ByteOffset {
        self.cursor.offset()
    }
}

impl Iterator for Events<'_> {
    type Item = Result<RawEvent, WireError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.cursor.rest().is_empty() {
            return None;
        }
        // In place: what was written just now is slow to copy.
        let mut event = RawEvent {
            kind: EventKind::ProcStop,
            len: 0,
            dt: Ticks(0),
            args: [0; MAX_EVENT_ARGS],
        };
        match read_event(self.cursor.rest(), self.cursor.offset(), &mut event.args) {
            Ok(read) => {
                self.cursor.skip(read.len);
                (event.kind, event.dt) = (read.kind, read.dt);
                event.len = read.kind.arity() as u8;
                Some(Ok(event))
            }
            Err(error) => {
                self.cursor.clear();
                Some(Err(error))
            }
        }
    }
}

impl std::iter::FusedIterator for Events<'_> {}

impl<'a> Batch<'a> {
    /// The payload as timed events; sensible if its kind is [`BatchKind::Events`](crate::BatchKind::Events).
    #[must_use]
    pub fn events(&self) -> Events<'a> {
        Events::new(self.payload, self.payload_offset)
    }
}
