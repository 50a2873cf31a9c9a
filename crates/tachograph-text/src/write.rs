//! Items as lines.
//!
//! Owns the layout of lines. Called by the command line and by tests; calls [`wire`](crate::wire) and
//! [`quote`](crate::quote).

use crate::quote::quote_into;
use crate::wire::{ItemTrailer, WireItem, WireReader};
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::LazyLock;
use tachograph_wire::{EventKind, WireError};

/// Lines are handed on when so many bytes have come together.
const CHUNK_BYTES: usize = 64 << 10;

/// Which of two nearly equal texts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// That of `go tool trace -d=wire`: without a header, and empty data has no line.
    Wire,
    /// That which [`encode`](crate::encode()) reads: empty data has its line, which is missing in what Go writes.
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
    let end = loop {
        match trace.next_item() {
            Ok(Some(item)) => write_item(&item, form, &mut lines),
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
    let words = words(item.kind);
    if words.labels.is_empty() {
        out.extend_from_slice(item.kind.name().as_bytes());
    }
    for (label, value) in words.labels.iter().zip(item.args()) {
        out.extend_from_slice(label);
        write_number(*value, out);
    }
    match item.trailer {
        ItemTrailer::None => {}
        ItemTrailer::Data([]) if form == Form::Wire => {}
        ItemTrailer::Data(data) => {
            out.extend_from_slice(b"\n\tdata=");
            quote_into(data, out);
        }
        ItemTrailer::Frames(frames) => {
            for frame in frames {
                write_frame(frame, out);
            }
        }
    }
    out.push(b'\n');
}

fn write_frame(frame: [u64; 4], out: &mut Vec<u8>) {
    for (label, value) in ["\n\tpc=", " func=", " file=", " line="].iter().zip(frame) {
        out.extend_from_slice(label.as_bytes());
        write_number(value, out);
    }
}

#[inline]
fn write_number(value: u64, out: &mut Vec<u8>) {
    if value < 10 {
        out.push(b'0' + value as u8);
    } else {
        out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }
}

/// What stands before each number of an event; the name is part of the first.
struct Words {
    labels: Vec<Vec<u8>>,
}

fn words(kind: EventKind) -> &'static Words {
    static BY_CODE: LazyLock<[Words; 256]> = LazyLock::new(|| {
        std::array::from_fn(|code| {
            let kind = EventKind::from_code(code as u8);
            kind.map_or(Words { labels: Vec::new() }, Words::of)
        })
    });
    // The array has an entry for every byte.
    &BY_CODE[usize::from(kind.code())]
}

impl Words {
    fn of(kind: EventKind) -> Self {
        let args = kind.spec().args.iter().enumerate();
        let labels = args.map(|(i, arg)| {
            let name = if i == 0 { kind.name() } else { "" };
            format!("{name} {}=", arg.name).into_bytes()
        });
        Self {
            labels: labels.collect(),
        }
    }
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
