//! Items as lines.
//!
//! Owns the layout of lines. Called by the command line and by tests; calls [`wire`](crate::wire) and
//! [`quote`](mod@crate::quote).

use crate::quote::quote_into;
use crate::wire::{ItemTrailer, WireItem, WireReader};
use std::fmt;
use std::io::{self, Read, Write};
use tachograph_wire::{EventKind, WireError};

/// Lines are handed on when so many bytes have come together.
const CHUNK_BYTES: usize = 64 << 10;

/// Which of two nearly equal texts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// That of `go tool trace -d=wire`: without a header, and empty data has no line.
    Wire,
    /// That which [`encode()`](crate::encode()) reads: empty data has its line, which is missing in what Go writes.
    Text,
}

/// Why a dump ended early.
#[derive(Debug)]
#[non_exhaustive]
pub enum DumpError {
    /// The trace is broken; everything before that place has been written.
    Trace(WireError),
    /// The output doesn't take more.
    Output(io::Error),
}

impl fmt::Display for DumpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trace(error) => error.fmt(f),
            Self::Output(error) => write!(f, "writing the text: {error}"),
        }
    }
}

impl std::error::Error for DumpError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Trace(error) => Some(error),
            Self::Output(error) => Some(error),
        }
    }
}

/// Writes what `go tool trace -d=wire` prints.
///
/// # Errors
/// If the trace is broken, after the lines of what stands before, or if `out` fails.
pub fn write_wire(mut trace: WireReader<impl Read>, out: impl Write) -> Result<(), DumpError> {
    write_items(&mut trace, Form::Wire, Vec::new(), out)
}

/// Writes a text trace, beginning with the line that names the version.
///
/// # Errors
/// As [`write_wire`].
pub fn write_text(mut trace: WireReader<impl Read>, out: impl Write) -> Result<(), DumpError> {
    let header = format!("Trace Go1.{}\n", trace.version().minor());
    write_items(&mut trace, Form::Text, header.into_bytes(), out)
}

/// The text trace of `bytes`.
///
/// # Errors
/// If they are broken anywhere.
pub fn decode(bytes: &[u8]) -> Result<String, WireError> {
    let mut text = Vec::new();
    match write_text(WireReader::new(bytes)?, &mut text) {
        Err(DumpError::Trace(error)) => return Err(error),
        // A vector takes everything.
        Err(DumpError::Output(_)) | Ok(()) => {}
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn write_items(
    trace: &mut WireReader<impl Read>,
    form: Form,
    mut lines: Vec<u8>,
    mut out: impl Write,
) -> Result<(), DumpError> {
    lines.reserve(2 * CHUNK_BYTES);
    let mut line = Line::new();
    let end = loop {
        match trace.next_item() {
            Ok(Some(item)) => write_item_by(&mut line, &item, form, &mut lines),
            Ok(None) => break Ok(()),
            Err(error) => break Err(DumpError::Trace(error)),
        }
        if lines.len() >= CHUNK_BYTES {
            out.write_all(&lines).map_err(DumpError::Output)?;
            lines.clear();
        }
    };
    let written = out.write_all(&lines).and_then(|()| out.flush());
    written.map_err(DumpError::Output)?;
    end
}

/// Appends the lines of one item, each with its line end.
#[inline]
pub fn write_item(item: &WireItem<'_>, form: Form, out: &mut Vec<u8>) {
    write_item_by(&mut Line::new(), item, form, out);
}

#[inline]
fn write_item_by(line: &mut Line, item: &WireItem<'_>, form: Form, out: &mut Vec<u8>) {
    for (word, value) in words(item.kind).before.iter().zip(item.args()) {
        line.word(word);
        line.number(*value);
    }
    if item.args().is_empty() {
        out.extend_from_slice(item.kind.name().as_bytes());
    }
    match item.trailer {
        ItemTrailer::None => {}
        ItemTrailer::Data([]) if form == Form::Wire => {}
        ItemTrailer::Data(data) => {
            line.take_into(out);
            out.extend_from_slice(b"\n\tdata=");
            quote_into(data, out);
        }
        ItemTrailer::Frames(frames) => {
            for frame in frames {
                line.take_into(out);
                for (word, value) in FRAME.iter().zip(frame) {
                    line.word(word);
                    line.number(value);
                }
            }
        }
    }
    line.end();
    line.take_into(out);
}

/// A line in the making, without its trailer.
///
/// Most of a dump's time goes into copying pieces of a few bytes. Here they are copied in blocks of a fixed size, of which only
/// the piece's length counts: that is two instructions instead of a call.
struct Line {
    bytes: [u8; Self::ROOM],
    len: usize,
}

impl Line {
    /// Five words and numbers, a line end, and a whole block behind.
    const ROOM: usize = 5 * (Word::BLOCK + Self::DIGITS) + 1 + Word::BLOCK;
    const DIGITS: usize = 20;

    #[inline]
    fn new() -> Self {
        Self {
            bytes: [0; Self::ROOM],
            len: 0,
        }
    }

    #[inline]
    fn word(&mut self, word: &Word) {
        if let Some(block) = self
            .bytes
            .get_mut(self.len..)
            .and_then(|rest| rest.first_chunk_mut::<{ Word::BLOCK }>())
        {
            *block = word.bytes;
            self.len += word.len;
        }
    }

    #[inline]
    fn number(&mut self, mut value: u64) {
        if value < 10 {
            self.byte(b'0' + value as u8);
            return;
        }
        let end = self.len + value.ilog10() as usize + 1;
        let Some(room) = self.bytes.get_mut(self.len..end) else {
            return;
        };
        self.len = end;
        // From the last digit on, two at a time: a division is what takes long here.
        let mut pairs = room.rchunks_exact_mut(2);
        for pair in &mut pairs {
            let two = (value % 100) as u8;
            value /= 100;
            pair.copy_from_slice(&[b'0' + two / 10, b'0' + two % 10]);
        }
        if let [first] = pairs.into_remainder() {
            *first = b'0' + value as u8;
        }
    }

    #[inline]
    fn byte(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }

    #[inline]
    fn end(&mut self) {
        self.byte(b'\n');
    }

    #[inline]
    fn take_into(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.bytes.get(..self.len).unwrap_or_default());
        self.len = 0;
    }
}

/// What stands before a number.
#[derive(Clone, Copy)]
struct Word {
    bytes: [u8; Self::BLOCK],
    len: usize,
}

impl Word {
    /// Bytes of the longest one, and some to spare.
    const BLOCK: usize = 32;

    const NONE: Self = Self::of(&[]);

    /// The parts in a row.
    const fn of(parts: &[&str]) -> Self {
        let mut word = Self {
            bytes: [0; Self::BLOCK],
            len: 0,
        };
        let mut part = 0;
        while part < parts.len() {
            let mut i = 0;
            let bytes = parts[part].as_bytes();
            while i < bytes.len() {
                word.bytes[word.len] = bytes[i];
                word.len += 1;
                i += 1;
            }
            part += 1;
        }
        word
    }
}

const FRAME: [Word; 4] = [
    Word::of(&["\n\tpc="]),
    Word::of(&[" func="]),
    Word::of(&[" file="]),
    Word::of(&[" line="]),
];

/// The words of one event; the first begins with its name.
#[derive(Clone, Copy)]
struct Words {
    before: [Word; 5],
}

/// By code. Built by the compiler, which therefore has checked that every word fits in its block.
static WORDS: [Words; 256] = {
    let mut table = [Words {
        before: [Word::NONE; 5],
    }; 256];
    let mut row = 0;
    while row < EventKind::ALL.len() {
        let spec = EventKind::ALL[row].spec();
        let mut i = 0;
        while i < spec.args.len() {
            let before = if i == 0 { spec.name } else { "" };
            let name = spec.args[i].name;
            table[spec.code as usize].before[i] = Word::of(&[before, " ", name, "="]);
            i += 1;
        }
        row += 1;
    }
    table
};

#[inline]
fn words(kind: EventKind) -> &'static Words {
    // The array has an entry for every byte.
    &WORDS[usize::from(kind.code())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use tachograph_wire::Version;

    fn bytes(items: &[u8]) -> Vec<u8> {
        [&Version::Go126.header(), items].concat()
    }

    #[test]
    fn one_line_an_item_and_more_for_what_follows_it() {
        let items = [
            1, 1, 0xff, 0x01, 3, 0, 4, 5, 1, 2, b'"', 0xff, 5, 2, 0, 2, 3, 7, 2, 1, 2, 3, 4, 5, 6,
            7, 8, 49, 1, 1, 7, 9, 1, b'x', 52,
        ];
        let text = "Trace Go1.26\n\
            EventBatch gen=1 m=255 time=3 size=0\n\
            Strings\n\
            String id=1\n\tdata=\"\\\"\\xff\"\n\
            String id=2\n\tdata=\"\"\n\
            Stacks\n\
            Stack id=7 nframes=2\n\tpc=1 func=2 file=3 line=4\n\tpc=5 func=6 file=7 line=8\n\
            ExperimentalBatch exp=1 gen=1 m=7 time=9\n\tdata=\"x\"\n\
            EndOfGeneration\n";
        assert_eq!(decode(&bytes(&items)).unwrap(), text);
        let mut wire = Vec::new();
        write_wire(WireReader::new(&bytes(&items)[..]).unwrap(), &mut wire).unwrap();
        let without = text
            .replace("Trace Go1.26\n", "")
            .replace("\n\tdata=\"\"", "");
        assert_eq!(String::from_utf8(wire).unwrap(), without);
    }

    #[test]
    fn numbers_have_their_digits() {
        let powers = (0..20).map(|digits| 10u64.pow(digits));
        let edges = powers.flat_map(|power| [power - 1, power, power + 1, power / 3 * 5]);
        for value in edges.chain([0, u64::MAX]) {
            let mut line = Line::new();
            line.number(value);
            assert_eq!(&line.bytes[..line.len], value.to_string().as_bytes());
        }
    }

    #[test]
    fn the_longest_line_has_room() {
        let longest = EventKind::ALL.iter().map(|kind| {
            let words = words(*kind).before;
            let used = words.iter().filter(|word| word.len > 0);
            used.map(|word| word.len + Line::DIGITS).sum::<usize>()
        });
        let longest = longest.max().unwrap_or_default();
        assert!(
            (100..=Line::ROOM - 1 - Word::BLOCK).contains(&longest),
            "{longest}"
        );
    }

    #[test]
    fn what_stands_before_broken_bytes_is_written() {
        let mut out = Vec::new();
        let broken = bytes(&[52, 11, 5, 60, 1]);
        let error = write_wire(WireReader::new(&broken[..]).unwrap(), &mut out).unwrap_err();
        assert_eq!(out, b"EndOfGeneration\nProcStop dt=5\n");
        assert_eq!(
            error.to_string(),
            "byte 0x13: found code 60, wanted an item"
        );
    }

    #[test]
    fn an_output_that_fails_ends_the_dump() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let good = bytes(&[52]);
        let error = write_wire(WireReader::new(&good[..]).unwrap(), Full).unwrap_err();
        assert!(matches!(error, DumpError::Output(e) if e.kind() == io::ErrorKind::BrokenPipe));
    }
}
