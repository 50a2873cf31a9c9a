//! Where the generations of a trace are, found without decoding anything.
//!
//! Only headers of batches are looked at, and the one record of each generation that tells what a tick is: a few milliseconds for
//! hundreds of megabytes. A trace can then be read from any generation on, see [`Reader::resume`](crate::Reader::resume).
//!
//! ```no_run
//! use std::fs::File;
//! use std::io::{Seek, SeekFrom};
//! use tachograph_reader::{Index, Nanos, Reader};
//!
//! // What happened in the second after the third one.
//! let mut file = File::open("app.trace")?;
//! let index = Index::of_file(&file)?;
//! let start = index.generations.first().and_then(|first| first.start);
//! let from = start.unwrap_or(Nanos(0)) + Nanos(3_000_000_000);
//! if let Some(generation) = index.at(from) {
//!     file.seek(SeekFrom::Start(generation.offset.0))?;
//!     let mut reader = Reader::resume(file, index.version, generation.offset);
//!     while let Some(event) = reader.next_event()? {
//!         if event.time() >= from + Nanos(1_000_000_000) {
//!             break;
//!         }
//!         println!("{event:?}");
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::error::ReadError;
use crate::scale::Scale;
use std::io::{Read, Seek, SeekFrom};
use tachograph_wire::batch::{BatchHeader, DecodedHeader};
use tachograph_wire::limits::MAX_BATCH_HEADER_BYTES;
use tachograph_wire::version::HEADER_BYTES;
use tachograph_wire::{
    Batch, BatchKind, ByteOffset, EventKind, Frequency, Generation, Nanos, Ticks, Version,
    WireError,
};

/// The generations of a trace.
#[derive(Debug)]
#[non_exhaustive]
pub struct Index {
    /// The version in the header.
    pub version: Version,
    /// In the order of the trace.
    pub generations: Vec<IndexedGeneration>,
    /// What ended the walk before the trace did; what is indexed is good all the same. Rule `G3` if the trace is cut off.
    pub ended_by: Option<ReadError>,
}

/// A generation and its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct IndexedGeneration {
    /// Its number on the wire.
    pub number: Generation,
    /// Where its first batch begins.
    pub offset: ByteOffset,
    /// Bytes of its batches, with headers.
    pub bytes: u64,
    /// Its batches.
    pub batches: u64,
    /// Lowest time of a batch; `None` if nothing tells what a tick is.
    pub start: Option<Nanos>,
    /// Highest time of a batch, which is the beginning of that batch: events may be later.
    pub last_batch: Option<Nanos>,
}

/// A generation in the making.
#[derive(Clone, Copy)]
struct Open {
    number: Generation,
    offset: ByteOffset,
    end: ByteOffset,
    batches: u64,
    first: Ticks,
    last: Ticks,
    frequency: Option<Frequency>,
}

/// So much is looked at of each batch: its header and a sync payload.
const LOOK: usize = MAX_BATCH_HEADER_BYTES + 64;

impl Index {
    /// Indexes a trace in memory.
    ///
    /// # Errors
    /// If the header is none that is read here.
    pub fn of(trace: &[u8]) -> Result<Self, ReadError> {
        Self::walk(trace.len() as u64, |offset, buffer| {
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let mut rest = trace.get(start..).unwrap_or_default();
            rest.read(buffer)
        })
    }

    /// Indexes a file, of which it reads a few bytes per batch.
    ///
    /// # Errors
    /// As [`Index::of`], and if reading or seeking fails.
    pub fn of_file(mut file: impl Read + Seek) -> Result<Self, ReadError> {
        let io = |error: std::io::Error| ReadError::Io(error.kind());
        let len = file.seek(SeekFrom::End(0)).map_err(io)?;
        Self::walk(len, |offset, buffer| {
            file.seek(SeekFrom::Start(offset))?;
            let mut filled = 0;
            while let Some(rest) = buffer.get_mut(filled..)
                && !rest.is_empty()
            {
                match file.read(rest)? {
                    0 => break,
                    count => filled += count,
                }
            }
            Ok(filled)
        })
    }

    /// The last generation that begins at or before `time`, as far as times of batches tell, or the first.
    ///
    /// N.B. threads enter a generation one by one, so generations overlap by some milliseconds: events at `time` may also be in the one
    /// before. Who wants all of them begins there.
    #[must_use]
    pub fn at(&self, time: Nanos) -> Option<&IndexedGeneration> {
        let before =
            |generation: &&IndexedGeneration| generation.start.is_some_and(|start| start <= time);
        let last = self.generations.iter().rev().find(before);
        last.or(self.generations.first())
    }

    fn walk(
        len: u64,
        mut look: impl FnMut(u64, &mut [u8]) -> std::io::Result<usize>,
    ) -> Result<Self, ReadError> {
        let mut buffer = [0; LOOK];
        let io = |error: std::io::Error| ReadError::Io(error.kind());
        let found = look(0, &mut buffer).map_err(io)?;
        let header = buffer.get(..found.min(HEADER_BYTES)).unwrap_or_default();
        let version = Version::parse(header).map_err(ReadError::Unsupported)?;
        let mut index = Self {
            version,
            generations: Vec::new(),
            ended_by: None,
        };
        let mut open: Option<Open> = None;
        let mut at = HEADER_BYTES as u64;
        while at < len {
            let found = look(at, &mut buffer).map_err(io)?;
            let bytes = buffer.get(..found).unwrap_or_default();
            if version.has_end_of_generation()
                && bytes.first() == Some(&EventKind::EndOfGeneration.code())
            {
                index.generations.extend(open.take().map(Open::close));
                at += 1;
                continue;
            }
            let number = open.map(|open| open.number);
            let offset = ByteOffset(at);
            let next = match BatchHeader::decode(bytes, offset) {
                Ok(decoded) => {
                    let next = at + (decoded.len + decoded.header.size) as u64;
                    if next > len {
                        index.ended_by = Some(ReadError::of_item(cut(offset), number));
                        break;
                    }
                    index.take(&mut open, &decoded, bytes, offset, ByteOffset(next));
                    next
                }
                Err(error) => {
                    index.ended_by = Some(ReadError::of_item(error, number));
                    break;
                }
            };
            at = next;
        }
        if version.has_end_of_generation() && open.is_some() && index.ended_by.is_none() {
            let number = open.map(|open| open.number);
            index.ended_by = Some(ReadError::of_item(cut(ByteOffset(at)), number));
        }
        index.generations.extend(open.map(Open::close));
        Ok(index)
    }

    fn take(
        &mut self,
        open: &mut Option<Open>,
        decoded: &DecodedHeader,
        bytes: &[u8],
        offset: ByteOffset,
        end: ByteOffset,
    ) {
        let header = decoded.header;
        if open.is_some_and(|open| open.number != header.generation) {
            self.generations.extend(open.take().map(Open::close));
        }
        let open = open.get_or_insert(Open {
            number: header.generation,
            offset,
            end,
            batches: 0,
            first: header.time,
            last: header.time,
            frequency: None,
        });
        open.end = end;
        open.batches += 1;
        open.first = open.first.min(header.time);
        open.last = open.last.max(header.time);
        let payload = bytes.get(decoded.len..).unwrap_or_default();
        let batch = Batch {
            offset,
            payload_offset: offset.plus(decoded.len),
            header,
            experiment: decoded.experiment,
            payload: payload.get(..header.size).unwrap_or(payload),
        };
        if batch.kind(self.version) == BatchKind::Sync
            && let Ok(sync) = batch.sync(self.version)
        {
            open.frequency = open.frequency.or(sync.frequency);
        }
    }
}

impl Open {
    fn close(self) -> IndexedGeneration {
        let frequency = self.frequency.filter(|frequency| frequency.0 != 0);
        let nanos = |ticks| Some(Scale::of(frequency?).nanos(ticks));
        IndexedGeneration {
            number: self.number,
            offset: self.offset,
            bytes: self.end.0 - self.offset.0,
            batches: self.batches,
            start: nanos(self.first),
            last_batch: nanos(self.last),
        }
    }
}

fn cut(offset: ByteOffset) -> WireError {
    WireError {
        offset,
        problem: tachograph_wire::Problem::Truncated("the payload of a batch"),
    }
}
