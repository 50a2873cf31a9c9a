//! The batch: what a thread hands over at once, and its header.
//!
//! Owns the header's layout. Called by [`items`](crate::items) to read, by [`writer`](crate::writer) and the
//! recorder's buffers to write.
//!
//! A batch is complete in itself: no event straddles two, and deltas start anew from the header's time. Batches of
//! one thread stand in the order of their writing; nothing else orders them.

use crate::cursor::Cursor;
use crate::error::{Problem, WireError};
use crate::event::EventKind;
use crate::ids::{ByteOffset, Generation, ThreadId, Ticks};
use crate::limits::{MAX_BATCH_BYTES, MAX_VARINT_BYTES};
use crate::varint;
use crate::version::Version;

/// What stands before a payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchHeader {
    /// The generation it belongs to. Not checked here: 0 is invalid.
    pub generation: Generation,
    /// The thread whose events it holds, or [`ThreadId::NONE`].
    pub thread: ThreadId,
    /// Base of the first event's delta.
    pub time: Ticks,
    /// Payload bytes, at most [`MAX_BATCH_BYTES`].
    pub size: usize,
}

/// A header as read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DecodedHeader {
    /// The header.
    pub header: BatchHeader,
    /// Number of the experiment, if the batch is of one.
    pub experiment: Option<u8>,
    /// Bytes that the header took.
    pub len: usize,
}

impl BatchHeader {
    /// Appends the header in its shortest form.
    pub fn encode(&self, experiment: Option<u8>, out: &mut Vec<u8>) {
        self.encode_start(experiment, out);
        varint::encode(self.size as u64, out);
    }

    /// Appends the header with a size of ten bytes and returns where those stand, for [`patch_size`].
    pub fn encode_padded(&self, experiment: Option<u8>, out: &mut Vec<u8>) -> usize {
        self.encode_start(experiment, out);
        let at = out.len();
        varint::encode_padded10(self.size as u64, out);
        at
    }

    fn encode_start(&self, experiment: Option<u8>, out: &mut Vec<u8>) {
        match experiment {
            None => out.push(EventKind::EventBatch.code()),
            Some(number) => out.extend([EventKind::ExperimentalBatch.code(), number]),
        }
        varint::encode(self.generation.0, out);
        varint::encode(self.thread.0, out);
        varint::encode(self.time.0, out);
    }

    /// Reads the header at the start of `bytes`; `offset` is where they stand in the file.
    ///
    /// # Errors
    /// If they end within the header, begin no batch, or the size is over the limit.
    pub fn decode(bytes: &[u8], offset: ByteOffset) -> Result<DecodedHeader, WireError> {
        const WHAT: &str = "a batch header";
        let mut cursor = Cursor::new(bytes, offset);
        let experiment = match cursor.byte(WHAT)? {
            code if code == EventKind::EventBatch.code() => None,
            code if code == EventKind::ExperimentalBatch.code() => Some(cursor.byte(WHAT)?),
            found => {
                let wanted = "a batch or the end of a generation";
                return Err(WireError {
                    offset,
                    problem: Problem::UnexpectedCode { found, wanted },
                });
            }
        };
        let header = Self {
            generation: Generation(cursor.number(WHAT)?),
            thread: ThreadId(cursor.number(WHAT)?),
            time: Ticks(cursor.number(WHAT)?),
            size: cursor.length("the size of a batch", MAX_BATCH_BYTES)?,
        };
        let len = bytes.len() - cursor.rest().len();
        Ok(DecodedHeader {
            header,
            experiment,
            len,
        })
    }
}

/// Fills in the size of a header from [`BatchHeader::encode_padded`].
///
/// # Panics
/// If `at` is not what that function returned for this buffer.
pub fn patch_size(buffer: &mut [u8], at: usize, size: usize) {
    buffer[at..at + MAX_VARINT_BYTES].copy_from_slice(&varint::padded10(size as u64));
}

/// What a payload holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BatchKind {
    /// Strings of the generation.
    Strings,
    /// Stacks of the generation.
    Stacks,
    /// CPU samples of the generation.
    Samples,
    /// Frequency and, since 1.25, clock snapshot.
    Sync,
    /// Timed events of the header's thread; also an empty payload.
    Events,
    /// Bytes that only this experiment understands.
    Experiment(u8),
}

impl BatchKind {
    /// Decides by experiment and first payload byte, as Go's reader does: experiment 0 is an ordinary batch, and
    /// what is nothing else must be timed events.
    #[must_use]
    pub fn of(experiment: Option<u8>, payload: &[u8], version: Version) -> Self {
        if let Some(number @ 1..) = experiment {
            return Self::Experiment(number);
        }
        let sync = if version.has_sync() {
            EventKind::Sync
        } else {
            EventKind::Frequency
        };
        match payload.first().and_then(|code| EventKind::from_code(*code)) {
            Some(EventKind::Strings) => Self::Strings,
            Some(EventKind::Stacks) => Self::Stacks,
            Some(EventKind::CPUSamples) => Self::Samples,
            Some(kind) if kind == sync => Self::Sync,
            _ => Self::Events,
        }
    }
}

/// A batch as read; the payload is borrowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Batch<'a> {
    /// First byte of the header.
    pub offset: ByteOffset,
    /// First byte of the payload.
    pub payload_offset: ByteOffset,
    /// The header.
    pub header: BatchHeader,
    /// Number of the experiment, if it is an experimental batch.
    pub experiment: Option<u8>,
    /// Everything after the header.
    pub payload: &'a [u8],
}

impl Batch<'_> {
    /// What the payload holds.
    #[must_use]
    pub fn kind(&self, version: Version) -> BatchKind {
        BatchKind::of(self.experiment, self.payload, version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(size: usize) -> BatchHeader {
        BatchHeader {
            generation: Generation(3),
            thread: ThreadId::NONE,
            time: Ticks(1 << 40),
            size,
        }
    }

    #[test]
    fn both_forms_of_a_header_read_the_same() {
        for (size, experiment) in [(0, None), (7, Some(0)), (MAX_BATCH_BYTES, Some(200))] {
            let (mut short, mut padded) = (Vec::new(), Vec::new());
            header(size).encode(experiment, &mut short);
            let at = header(0).encode_padded(experiment, &mut padded);
            patch_size(&mut padded, at, size);
            for bytes in [short, padded] {
                let decoded = BatchHeader::decode(&bytes, ByteOffset(16)).unwrap();
                assert_eq!(
                    decoded,
                    DecodedHeader {
                        header: header(size),
                        experiment,
                        len: bytes.len()
                    }
                );
            }
        }
    }

    #[test]
    fn refuses_a_payload_over_the_limit() {
        let mut bytes = Vec::new();
        header(MAX_BATCH_BYTES + 1).encode(None, &mut bytes);
        let error = BatchHeader::decode(&bytes, ByteOffset(0)).unwrap_err();
        let limit = MAX_BATCH_BYTES;
        let problem = Problem::OverLimit {
            what: "the size of a batch",
            found: 65537,
            limit,
        };
        assert_eq!(
            error,
            WireError {
                offset: ByteOffset(bytes.len() as u64 - 3),
                problem
            }
        );
    }

    #[test]
    fn kind_follows_the_first_byte_and_the_version() {
        let kind = |byte, version| BatchKind::of(None, &[byte], version);
        for version in Version::ALL {
            assert_eq!(kind(2, version), BatchKind::Stacks);
            assert_eq!(kind(4, version), BatchKind::Strings);
            assert_eq!(kind(6, version), BatchKind::Samples);
            assert_eq!(kind(9, version), BatchKind::Events);
            assert_eq!(kind(8, version) == BatchKind::Sync, !version.has_sync());
            assert_eq!(kind(50, version) == BatchKind::Sync, version.has_sync());
            assert_eq!(BatchKind::of(None, &[], version), BatchKind::Events);
            assert_eq!(BatchKind::of(Some(0), &[4], version), BatchKind::Strings);
            assert_eq!(
                BatchKind::of(Some(1), &[4], version),
                BatchKind::Experiment(1)
            );
        }
    }
}
