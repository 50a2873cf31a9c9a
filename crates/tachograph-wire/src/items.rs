//! Cuts a trace into its items: batches and ends of generations.
//!
//! Owns the stream grammar. [`Items`] walks bytes in memory and borrows payloads from them, [`TraceItems`] reads
//! from anything through one buffer of fixed size. Both are total: any bytes give items or one error, then nothing.
//! Neither checks that generations follow each other; that is the ordering reader's work.

use crate::batch::{Batch, BatchHeader, DecodedHeader};
use crate::error::{Problem, WireError};
use crate::event::EventKind;
use crate::ids::ByteOffset;
use crate::limits::{MAX_BATCH_BYTES, MAX_BATCH_HEADER_BYTES};
use crate::version::{HEADER_BYTES, Version};
use std::io::{ErrorKind, Read};

/// One item of a trace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item<'a> {
    /// A batch.
    Batch(Batch<'a>),
    /// The byte that ends a generation, since 1.26.
    EndOfGeneration {
        /// Where it stands.
        offset: ByteOffset,
    },
}

/// The frame of an item, borrowing nothing.
enum Framed {
    Batch(DecodedHeader),
    EndOfGeneration,
}

impl Framed {
    /// Reads the frame of the item at the start of `bytes` and makes sure that all of the item is there.
    fn decode(bytes: &[u8], offset: ByteOffset, version: Version) -> Result<Self, WireError> {
        let found = bytes.first().copied().unwrap_or_default();
        let kind = EventKind::from_code(found).filter(|kind| kind.spec().opens_item());
        // N.B. not so for batches of experiments, which Go's reader takes in every version.
        if kind == Some(EventKind::EndOfGeneration) && !version.has_end_of_generation() {
            return Err(WireError {
                offset,
                problem: Problem::NotInVersion { found, version },
            });
        }
        if kind == Some(EventKind::EndOfGeneration) {
            return Ok(Self::EndOfGeneration);
        }
        let decoded = BatchHeader::decode(bytes, offset)?;
        if bytes.len() - decoded.len < decoded.header.size {
            return Err(WireError {
                offset,
                problem: Problem::Truncated("the payload of a batch"),
            });
        }
        Ok(Self::Batch(decoded))
    }

    fn len(&self) -> usize {
        match self {
            Self::Batch(decoded) => decoded.len + decoded.header.size,
            Self::EndOfGeneration => 1,
        }
    }

    /// The item; `bytes` are those of the item alone.
    fn item(self, bytes: &[u8], offset: ByteOffset) -> Item<'_> {
        match self {
            Self::Batch(DecodedHeader {
                header,
                experiment,
                len,
            }) => Item::Batch(Batch {
                offset,
                payload_offset: offset.plus(len),
                header,
                experiment,
                payload: bytes.get(len..).unwrap_or_default(),
            }),
            Self::EndOfGeneration => Item::EndOfGeneration { offset },
        }
    }
}

fn parse_header(bytes: &[u8]) -> Result<Version, WireError> {
    Version::parse(bytes).map_err(|error| WireError {
        offset: ByteOffset(0),
        problem: Problem::Header(error),
    })
}

/// The items of a trace in memory.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    rest: &'a [u8],
    offset: ByteOffset,
    version: Version,
}

impl<'a> Items<'a> {
    /// Reads the file header; the items come from iterating.
    ///
    /// # Errors
    /// If the header is not one that we read.
    pub fn new(trace: &'a [u8]) -> Result<Self, WireError> {
        let version = parse_header(trace)?;
        let rest = trace.get(HEADER_BYTES..).unwrap_or_default();
        Ok(Self {
            rest,
            offset: ByteOffset(HEADER_BYTES as u64),
            version,
        })
    }

    /// The version in the file header.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Where the next item begins.
    #[must_use]
    pub fn offset(&self) -> ByteOffset {
        self.offset
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<Item<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let framed = match Framed::decode(self.rest, self.offset, self.version) {
            Ok(framed) => framed,
            Err(error) => {
                self.rest = &[];
                return Some(Err(error));
            }
        };
        let (bytes, rest) = self.rest.split_at_checked(framed.len())?;
        let item = framed.item(bytes, self.offset);
        self.offset = self.offset.plus(bytes.len());
        self.rest = rest;
        Some(Ok(item))
    }
}

impl std::iter::FusedIterator for Items<'_> {}

/// Room for the longest item twice, so that most reads ask for many bytes.
const BUFFER_BYTES: usize = 2 * (MAX_BATCH_BYTES + MAX_BATCH_HEADER_BYTES);

/// The items of a trace that is read piece by piece.
///
/// Not an [`Iterator`], because an item borrows the buffer that the next one overwrites.
#[derive(Debug)]
pub struct TraceItems<R> {
    reader: R,
    buffer: Box<[u8]>,
    /// The bytes read and not yet handed out.
    start: usize,
    end: usize,
    /// Offset in the file of `buffer[start]`.
    offset: ByteOffset,
    version: Version,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Reading,
    /// The input has ended; what is in the buffer is all there is.
    AtEnd,
    Failed,
}

impl<R: Read> TraceItems<R> {
    /// Reads the file header; the items come from [`next_item`](Self::next_item).
    ///
    /// # Errors
    /// If the header is not one that we read, or reading fails.
    pub fn new(reader: R) -> Result<Self, WireError> {
        let mut items = Self::resume(reader, Version::Go126, ByteOffset(0));
        while items.end < HEADER_BYTES && items.state == State::Reading {
            items.refill()?;
        }
        items.version = parse_header(items.unread())?;
        items.advance(HEADER_BYTES);
        Ok(items)
    }

    /// Goes on in a trace whose header is known: `reader` yields its bytes from `offset` on, where an item begins.
    #[must_use]
    pub fn resume(reader: R, version: Version, offset: ByteOffset) -> Self {
        Self {
            reader,
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            offset,
            version,
            state: State::Reading,
        }
    }

    /// The version in the file header.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Where the next item begins.
    #[must_use]
    pub fn offset(&self) -> ByteOffset {
        self.offset
    }

    /// The next item; `None` at the end of the trace and after an error.
    ///
    /// # Errors
    /// If the bytes are no item, the trace ends within one, or reading fails.
    pub fn next_item(&mut self) -> Option<Result<Item<'_>, WireError>> {
        let framed = match self.next_framed() {
            Ok(framed) => framed?,
            Err(error) => {
                self.state = State::Failed;
                return Some(Err(error));
            }
        };
        let (start, offset) = (self.start, self.offset);
        self.advance(framed.len());
        let bytes = self.buffer.get(start..self.start).unwrap_or_default();
        Some(Ok(framed.item(bytes, offset)))
    }

    /// Reads until a whole item is in the buffer.
    fn next_framed(&mut self) -> Result<Option<Framed>, WireError> {
        loop {
            match self.state {
                State::Failed => return Ok(None),
                State::AtEnd if self.unread().is_empty() => return Ok(None),
                State::Reading if self.unread().is_empty() => {}
                state => match Framed::decode(self.unread(), self.offset, self.version) {
                    Err(error) if error.is_truncated() && state == State::Reading => {}
                    result => return result.map(Some),
                },
            }
            self.refill()?;
        }
    }

    /// Bytes that were read and are no whole item yet. After an error of truncation, all that is left of the trace.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    fn advance(&mut self, bytes: usize) {
        self.start = self.end.min(self.start + bytes);
        self.offset = self.offset.plus(bytes);
    }

    /// Moves the unread bytes to the front and reads behind them once.
    ///
    /// There is always room: an unfinished item is shorter than half of the buffer.
    fn refill(&mut self) -> Result<(), WireError> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        loop {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.state = State::AtEnd,
                // N.B. a reader that claims more than it was given room for must not carry us past the end.
                Ok(count) => self.end = self.buffer.len().min(self.end + count),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    let offset = self.offset.plus(self.end);
                    return Err(WireError {
                        offset,
                        problem: Problem::Io(error.kind()),
                    });
                }
            }
            return Ok(());
        }
    }
}
