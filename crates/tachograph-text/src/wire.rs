//! The items of a trace in file order, without regard to what they mean.
//!
//! Owns the walk over bytes. Called by [`write`](crate::write).
//!
//! Batch headers are items like all others: their sizes are not heeded, and what follows a header is read on as the next item.
//! So this finds its way through payloads that a real reader would refuse, and loses it where Go's
//! `internal/trace/raw` does: at bytes of an experiment that are not framed as one, at a code that the version doesn't list.
//! It differs from Go's in two points: input that ends within an item is always an error (Go takes an end before a number
//! for a proper one), and codes that no version assigns are errors (Go prints an empty line for them in 1.26).

use std::io::{self, Read};
use tachograph_wire::event::Trailer;
use tachograph_wire::varint::{self, VarintError};
use tachograph_wire::version::HEADER_BYTES;
use tachograph_wire::{ByteOffset, EventKind, Problem, Version, WireError};

/// Numbers of an item at most: four after the delta, or five of a CPU sample.
const MAX_ARGS: usize = 5;
/// Bytes after an item's numbers that are still read; Go's reader proper refuses all above 65536.
pub const MAX_DATA_BYTES: usize = 1 << 20;
/// Frames of a stack that are still read; Go's reader proper refuses all above 128.
pub const MAX_FRAMES: usize = 1 << 16;
const FIRST_BUFFER_BYTES: usize = 256 << 10;
const WHAT: &str = "an item";

/// Whether Go's raw reader and text form know the event in traces of this version.
///
/// N.B. Experimental events came with 1.23, but are listed from 1.26 on only.
#[must_use]
pub fn lists(version: Version, kind: EventKind) -> bool {
    version.has_end_of_generation() || kind.code() <= version.last_code()
}

/// One item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WireItem<'a> {
    /// Its first byte.
    pub offset: ByteOffset,
    /// Which event.
    pub kind: EventKind,
    /// What follows the numbers.
    pub trailer: ItemTrailer<'a>,
    args: [u64; MAX_ARGS],
    arg_count: usize,
}

/// What follows the numbers of an item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ItemTrailer<'a> {
    /// Nothing.
    None,
    /// Bytes of a string or an experiment.
    Data(&'a [u8]),
    /// Frames of a stack.
    Frames(WireFrames<'a>),
}

impl WireItem<'_> {
    /// The numbers, in the order of the event table; including the delta where there is one.
    #[inline]
    #[must_use]
    pub fn args(&self) -> &[u64] {
        self.args.get(..self.arg_count).unwrap_or_default()
    }
}

/// The frames of a stack: pc, function, file and line of each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WireFrames<'a> {
    /// Numbers that have been read once, so they are whole.
    bytes: &'a [u8],
}

impl Iterator for WireFrames<'_> {
    type Item = [u64; 4];

    fn next(&mut self) -> Option<[u64; 4]> {
        let mut frame = [0; 4];
        for number in &mut frame {
            let (value, len) = varint::decode(self.bytes).ok()?;
            *number = value;
            self.bytes = self.bytes.get(len..)?;
        }
        Some(frame)
    }
}

/// Walks over the items of a trace, with one buffer.
///
/// Ends after the first error.
#[derive(Debug)]
pub struct WireReader<R> {
    source: R,
    version: Version,
    table: Box<Table>,
    buffer: Vec<u8>,
    /// What has been read and not yet handed out is `buffer[start..end]`.
    start: usize,
    end: usize,
    /// Place in the file of `buffer[0]`.
    base: ByteOffset,
    at_eof: bool,
    failed: bool,
}

impl<R: Read> WireReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// If it is not that of a trace of this format.
    pub fn new(source: R) -> Result<Self, WireError> {
        let mut reader = Self {
            source,
            version: Version::Go126,
            table: table(Version::Go126),
            buffer: vec![0; FIRST_BUFFER_BYTES],
            start: 0,
            end: 0,
            base: ByteOffset(0),
            at_eof: false,
            failed: false,
        };
        while reader.end < HEADER_BYTES && !reader.at_eof {
            reader.fill()?;
        }
        let header = Version::parse(reader.unread());
        reader.version = header.map_err(|error| reader.error(0, Problem::Header(error)))?;
        reader.table = table(reader.version);
        reader.start = HEADER_BYTES;
        Ok(reader)
    }

    /// The version in the header.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The next item; `None` at the end of the trace and after an error.
    ///
    /// # Errors
    /// If the bytes are no item of this version, or can't be read.
    #[inline]
    pub fn next_item(&mut self) -> Result<Option<WireItem<'_>>, WireError> {
        if self.failed {
            return Ok(None);
        }
        let shape = loop {
            let stop = match read_shape(&self.table, self.unread()) {
                Ok(shape) => break shape,
                Err(stop) => stop,
            };
            let more = matches!(stop.problem, Problem::Truncated(_)) && !self.at_eof;
            if more {
                self.fill()?;
            } else if stop.at == 0 && self.unread().is_empty() {
                return Ok(None);
            } else {
                return Err(self.fail(stop.at, stop.problem));
            }
        };
        let offset = self.base.plus(self.start);
        let begin = self.start;
        self.start += shape.len;
        let tail = self.buffer.get(begin + shape.tail..begin + shape.len);
        let tail = tail.unwrap_or_default();
        Ok(Some(WireItem {
            offset,
            kind: shape.kind,
            args: shape.args,
            arg_count: shape.arg_count,
            trailer: match shape.trailer {
                Trailer::None => ItemTrailer::None,
                Trailer::Bytes => ItemTrailer::Data(tail),
                Trailer::Frames => ItemTrailer::Frames(WireFrames { bytes: tail }),
            },
        }))
    }

    fn unread(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Reads at least one more byte, or finds the end.
    fn fill(&mut self) -> Result<(), WireError> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.base = self.base.plus(self.start);
        (self.start, self.end) = (0, self.end - self.start);
        if self.end == self.buffer.len() {
            // Full of one unfinished item, whose parts are limited. The buffer grows as bytes come, not as they are announced.
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        loop {
            let room = self.buffer.get_mut(self.end..).unwrap_or_default();
            match self.source.read(room) {
                Ok(0) => self.at_eof = true,
                // A source may claim more than it was offered.
                Ok(count) => self.end = (self.end + count).min(self.buffer.len()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.fail(self.end, Problem::Io(error.kind()))),
            }
            return Ok(());
        }
    }

    fn fail(&mut self, at: usize, problem: Problem) -> WireError {
        self.failed = true;
        self.error(at, problem)
    }

    fn error(&self, at: usize, problem: Problem) -> WireError {
        let offset = self.base.plus(self.start + at);
        WireError { offset, problem }
    }
}

/// What an item's first byte says.
#[derive(Clone, Copy, Debug)]
enum Entry {
    Item {
        kind: EventKind,
        args: usize,
        trailer: Trailer,
    },
    Bad(Problem),
}

type Table = [Entry; 256];

fn table(version: Version) -> Box<Table> {
    let entry = |code| match EventKind::from_code(code) {
        Some(kind) if lists(version, kind) => Entry::Item {
            kind,
            args: kind.spec().args.len().min(MAX_ARGS),
            trailer: kind.spec().trailer,
        },
        Some(_) => Entry::Bad(Problem::NotInVersion {
            found: code,
            version,
        }),
        None => Entry::Bad(Problem::UnexpectedCode {
            found: code,
            wanted: WHAT,
        }),
    };
    Box::new(std::array::from_fn(|code| entry(code as u8)))
}

/// Where the parts of an item stand, from its first byte.
struct Shape {
    kind: EventKind,
    trailer: Trailer,
    args: [u64; MAX_ARGS],
    arg_count: usize,
    /// First byte of the trailer.
    tail: usize,
    len: usize,
}

/// Why there is no item, and how far from its first byte.
struct Stop {
    at: usize,
    problem: Problem,
}

#[inline]
fn read_shape(table: &Table, bytes: &[u8]) -> Result<Shape, Stop> {
    let Some(&code) = bytes.first() else {
        return Err(truncated(0));
    };
    let (kind, arg_count, trailer) = match table[usize::from(code)] {
        Entry::Item {
            kind,
            args,
            trailer,
        } => (kind, args, trailer),
        Entry::Bad(problem) => return Err(Stop { at: 0, problem }),
    };
    let mut at = 1;
    let mut args = [0; MAX_ARGS];
    for arg in args.iter_mut().take(arg_count) {
        *arg = read_number(bytes, &mut at)?;
    }
    let (tail, len) = match trailer {
        Trailer::None => (at, at),
        Trailer::Bytes => data_end(bytes, at)?,
        Trailer::Frames => (at, frames_end(bytes, at, args)?),
    };
    Ok(Shape {
        kind,
        trailer,
        args,
        arg_count,
        tail,
        len,
    })
}

#[inline]
fn read_number(bytes: &[u8], at: &mut usize) -> Result<u64, Stop> {
    match varint::decode(bytes.get(*at..).unwrap_or_default()) {
        Ok((value, len)) => {
            *at += len;
            Ok(value)
        }
        Err(VarintError::Overflow) => Err(Stop {
            at: *at,
            problem: Problem::Overflow(WHAT),
        }),
        Err(_) => Err(truncated(*at)),
    }
}

fn data_end(bytes: &[u8], mut at: usize) -> Result<(usize, usize), Stop> {
    let before = at;
    let found = read_number(bytes, &mut at)?;
    let len = limited(found, before, "the length of data", MAX_DATA_BYTES)?;
    if bytes.len() < at + len {
        return Err(truncated(bytes.len()));
    }
    Ok((at, at + len))
}

fn frames_end(bytes: &[u8], mut at: usize, args: [u64; MAX_ARGS]) -> Result<usize, Stop> {
    let [_, found, ..] = args;
    let count = limited(found, at, "the number of frames", MAX_FRAMES)?;
    for _ in 0..count * 4 {
        read_number(bytes, &mut at)?;
    }
    Ok(at)
}

fn limited(found: u64, at: usize, what: &'static str, limit: usize) -> Result<usize, Stop> {
    let problem = Problem::OverLimit { what, found, limit };
    match usize::try_from(found) {
        Ok(value) if value <= limit => Ok(value),
        _ => Err(Stop { at, problem }),
    }
}

fn truncated(at: usize) -> Stop {
    Stop {
        at,
        problem: Problem::Truncated(WHAT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tachograph_wire::version::VersionError;

    /// Hands out one byte at a time.
    struct Dripping<'a>(&'a [u8]);

    impl Read for Dripping<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let len = buffer.len().min(1);
            self.0.read(&mut buffer[..len])
        }
    }

    fn trace(version: Version, items: &[u8]) -> Vec<u8> {
        [&version.header(), items].concat()
    }

    fn walk(source: impl Read) -> (Vec<String>, Option<WireError>) {
        let mut seen = Vec::new();
        let mut reader = match WireReader::new(source) {
            Ok(reader) => reader,
            Err(error) => return (seen, Some(error)),
        };
        loop {
            match reader.next_item() {
                Ok(Some(item)) => seen.push(format!("{item:?}")),
                Ok(None) => return (seen, None),
                Err(error) => {
                    assert!(reader.next_item().unwrap().is_none());
                    return (seen, Some(error));
                }
            }
        }
    }

    #[test]
    fn yields_the_same_however_the_bytes_arrive() {
        let mut items = vec![
            4, 5, 1, 3, b'a', b'b', b'c', 3, 9, 2, 1, 2, 3, 4, 5, 6, 7, 0x88, 1,
        ];
        items.extend([17, 0x80]);
        let bytes = trace(Version::Go126, &items);
        for end in 0..=bytes.len() {
            let (whole, dripping) = (walk(&bytes[..end]), walk(Dripping(&bytes[..end])));
            assert_eq!(whole, dripping);
        }
        let (seen, error) = walk(&bytes[..]);
        assert_eq!(seen.len(), 3);
        assert_eq!(
            error.unwrap().to_string(),
            "byte 0x24: truncated: the bytes end within an item, wanted all of it"
        );
    }

    #[test]
    fn a_cut_header_is_an_error_with_its_length() {
        let error = WireReader::new(&b"go 1.26"[..]).unwrap_err();
        assert_eq!(error.problem, Problem::Header(VersionError::Truncated(7)));
    }

    #[test]
    fn codes_are_known_from_the_version_that_lists_them() {
        for version in Version::ALL {
            let known = |code: u8| {
                let bytes = trace(version, &[code]);
                match walk(&bytes[..]).1.map(|error| error.problem) {
                    None | Some(Problem::Truncated(_)) => true,
                    Some(Problem::NotInVersion { .. } | Problem::UnexpectedCode { .. }) => false,
                    other => panic!("{other:?}"),
                }
            };
            let last = match version {
                Version::Go122 => 44,
                Version::Go123 => 49,
                Version::Go125 => 51,
                _ => 52,
            };
            for code in 0..=255 {
                let experimental = version == Version::Go126 && (128..=136).contains(&code);
                assert_eq!(known(code), (1..=last).contains(&code) || experimental);
            }
        }
    }

    #[test]
    fn announced_sizes_allocate_nothing() {
        for items in [
            &[5, 1, 0xff, 0xff, 0x7f][..],
            &[3, 1, 0xff, 0xff, 0xff, 0x7f],
        ] {
            let bytes = trace(Version::Go126, items);
            let mut reader = WireReader::new(&bytes[..]).unwrap();
            assert!(matches!(
                reader.next_item().unwrap_err().problem,
                Problem::OverLimit { .. }
            ));
        }
        let bytes = trace(Version::Go126, &[5, 1, 0xff, 0xff, 0x3f]);
        let mut reader = WireReader::new(&bytes[..]).unwrap();
        assert!(reader.next_item().unwrap_err().is_truncated());
        assert_eq!(reader.buffer.len(), FIRST_BUFFER_BYTES);
    }

    #[test]
    fn an_item_longer_than_the_buffer_is_read_whole() {
        let mut items = vec![5, 1];
        varint::encode(FIRST_BUFFER_BYTES as u64 * 3, &mut items);
        items.resize(items.len() + FIRST_BUFFER_BYTES * 3, b'x');
        items.push(52);
        let bytes = trace(Version::Go126, &items);
        let (seen, error) = walk(&bytes[..]);
        assert_eq!((seen.len(), error), (2, None));
    }
}
