//! Payloads that hold tables: strings, stacks, CPU samples, sync.
//!
//! Each iterator checks the payload's first byte and every length, ends after the first error, and checks no id: that
//! ids are unique, not 0 and resolve is for the reader, which sees the whole generation.

use crate::batch::Batch;
use crate::cursor::Cursor;
use crate::error::{Problem, WireError};
use crate::event::EventKind;
use crate::ids::{ByteOffset, Frequency, ProcId, StackId, StringId, TaskId, ThreadId, Ticks};
use crate::limits::{MAX_STACK_FRAMES, MAX_STRING_BYTES};
use crate::version::Version;

/// One string of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StringRecord<'a> {
    /// Its key.
    pub id: StringId,
    /// Its bytes, which need not be UTF-8.
    pub bytes: &'a [u8],
}

/// One frame of a stack.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Frame {
    /// Address, or what [`Pc`](crate::pc::Pc) made of it; the key of the frame for Go's reader.
    pub pc: u64,
    /// Name of the function.
    pub function: StringId,
    /// Path of the source file.
    pub file: StringId,
    /// Line in that file; 0 is unknown.
    pub line: u64,
}

/// One stack of the table.
#[derive(Clone, Debug)]
pub struct StackRecord<'a> {
    /// Its key.
    pub id: StackId,
    /// Its frames, leaf first.
    pub frames: Frames<'a>,
}

/// The frames of a stack, leaf first.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    cursor: Cursor<'a>,
    left: usize,
}

/// One CPU sample.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    /// When the signal landed; absolute.
    pub time: Ticks,
    /// The thread it landed on.
    pub thread: ThreadId,
    /// The proc that the thread held, or [`ProcId::NONE`].
    pub proc: ProcId,
    /// The task that was running, or [`TaskId::NONE`].
    pub task: TaskId,
    /// What was executing.
    pub stack: StackId,
}

/// The same instant on the trace clock, the monotonic clock and the wall clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockSnapshot {
    /// The instant in ticks, counted from the batch's time (or the record before, as in any timed event).
    pub dt: Ticks,
    /// Nanoseconds of the monotonic clock.
    pub mono: u64,
    /// Seconds since 1970; a negative number in two's complement before.
    pub sec: u64,
    /// Nanoseconds within the second.
    pub nsec: u64,
}

/// What one sync payload holds.
///
/// Before 1.25 only the frequency. Since then a generation has one of each, but they may stand in two payloads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SyncBatch {
    /// Ticks per second; 0 is invalid but not refused here.
    pub frequency: Option<Frequency>,
    /// The clocks.
    pub clock: Option<ClockSnapshot>,
}

fn table<'a>(batch: &Batch<'a>, marker: EventKind) -> Result<Cursor<'a>, WireError> {
    let mut cursor = Cursor::new(batch.payload, batch.payload_offset);
    cursor.expect(marker.code(), marker.name())?;
    Ok(cursor)
}

macro_rules! records {
    ($(#[$doc:meta])* $name:ident yields $item:ty, $read:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name<'a> {
            cursor: Cursor<'a>,
        }

        impl $name<'_> {
            /// Where the next record begins.
            #[must_use]
            pub fn offset(&self) -> ByteOffset {
                self.cursor.offset()
            }
        }

        impl<'a> Iterator for $name<'a> {
            type Item = Result<$item, WireError>;

            fn next(&mut self) -> Option<Self::Item> {
                if self.cursor.rest().is_empty() {
                    return None;
                }
                let result = $read(&mut self.cursor);
                if result.is_err() {
                    self.cursor.clear();
                }
                Some(result)
            }
        }

        impl std::iter::FusedIterator for $name<'_> {}
    };
}

records! {
    /// The strings of a payload.
    Strings yields StringRecord<'a>, read_string
}
records! {
    /// The stacks of a payload.
    Stacks yields StackRecord<'a>, read_stack
}
records! {
    /// The CPU samples of a payload.
    Samples yields Sample, read_sample
}

fn read_string<'a>(cursor: &mut Cursor<'a>) -> Result<StringRecord<'a>, WireError> {
    const WHAT: &str = "a string";
    cursor.expect(EventKind::String.code(), WHAT)?;
    let id = StringId(cursor.number(WHAT)?);
    let len = cursor.length("the length of a string", MAX_STRING_BYTES)?;
    Ok(StringRecord {
        id,
        bytes: cursor.take(len, WHAT)?,
    })
}

fn read_stack<'a>(cursor: &mut Cursor<'a>) -> Result<StackRecord<'a>, WireError> {
    cursor.expect(EventKind::Stack.code(), "a stack")?;
    let id = StackId(cursor.number("a stack")?);
    let left = cursor.length("the number of frames", MAX_STACK_FRAMES)?;
    let frames = Frames {
        cursor: *cursor,
        left,
    };
    for _ in 0..left {
        read_frame(cursor)?;
    }
    Ok(StackRecord { id, frames })
}

fn read_frame(cursor: &mut Cursor<'_>) -> Result<Frame, WireError> {
    const WHAT: &str = "a frame";
    Ok(Frame {
        pc: cursor.number(WHAT)?,
        function: StringId(cursor.number(WHAT)?),
        file: StringId(cursor.number(WHAT)?),
        line: cursor.number(WHAT)?,
    })
}

fn read_sample(cursor: &mut Cursor<'_>) -> Result<Sample, WireError> {
    const WHAT: &str = "a sample";
    cursor.expect(EventKind::CPUSample.code(), WHAT)?;
    Ok(Sample {
        time: Ticks(cursor.number(WHAT)?),
        thread: ThreadId(cursor.number(WHAT)?),
        proc: ProcId(cursor.number(WHAT)?),
        task: TaskId(cursor.number(WHAT)?),
        stack: StackId(cursor.number(WHAT)?),
    })
}

impl Iterator for Frames<'_> {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        self.left = self.left.checked_sub(1)?;
        // All frames were read once when the stack was.
        read_frame(&mut self.cursor).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Frames<'_> {}

fn read_sync(cursor: &mut Cursor<'_>) -> Result<SyncBatch, WireError> {
    let mut sync = SyncBatch::default();
    while !cursor.rest().is_empty() {
        let before = *cursor;
        match cursor.byte("a sync record")? {
            code if code == EventKind::Frequency.code() && sync.frequency.is_none() => {
                sync.frequency = Some(Frequency(cursor.number("a frequency")?));
            }
            code if code == EventKind::ClockSnapshot.code() && sync.clock.is_none() => {
                sync.clock = Some(read_clock(cursor)?);
            }
            code if code == EventKind::Frequency.code() => {
                return Err(before.error(Problem::Duplicate("frequency")));
            }
            code if code == EventKind::ClockSnapshot.code() => {
                return Err(before.error(Problem::Duplicate("clock snapshot")));
            }
            found => {
                let wanted = "a frequency or a clock snapshot";
                return Err(before.error(Problem::UnexpectedCode { found, wanted }));
            }
        }
    }
    Ok(sync)
}

fn read_clock(cursor: &mut Cursor<'_>) -> Result<ClockSnapshot, WireError> {
    const WHAT: &str = "a clock snapshot";
    Ok(ClockSnapshot {
        dt: Ticks(cursor.number(WHAT)?),
        mono: cursor.number(WHAT)?,
        sec: cursor.number(WHAT)?,
        nsec: cursor.number(WHAT)?,
    })
}

impl<'a> Batch<'a> {
    /// The payload as strings.
    ///
    /// # Errors
    /// If it doesn't begin with the marker of strings.
    pub fn strings(&self) -> Result<Strings<'a>, WireError> {
        table(self, EventKind::Strings).map(|cursor| Strings { cursor })
    }

    /// The payload as stacks.
    ///
    /// # Errors
    /// If it doesn't begin with the marker of stacks.
    pub fn stacks(&self) -> Result<Stacks<'a>, WireError> {
        table(self, EventKind::Stacks).map(|cursor| Stacks { cursor })
    }

    /// The payload as CPU samples.
    ///
    /// # Errors
    /// If it doesn't begin with the marker of samples.
    pub fn samples(&self) -> Result<Samples<'a>, WireError> {
        table(self, EventKind::CPUSamples).map(|cursor| Samples { cursor })
    }

    /// The payload as sync batch of the given version.
    ///
    /// # Errors
    /// If it isn't one, or holds a record twice.
    pub fn sync(&self, version: Version) -> Result<SyncBatch, WireError> {
        if version.has_sync() {
            return read_sync(&mut table(self, EventKind::Sync)?);
        }
        let mut cursor = table(self, EventKind::Frequency)?;
        let frequency = Some(Frequency(cursor.number("a frequency")?));
        match cursor.rest().len() {
            0 => Ok(SyncBatch {
                frequency,
                clock: None,
            }),
            count => Err(cursor.error(Problem::TrailingBytes(count))),
        }
    }
}
