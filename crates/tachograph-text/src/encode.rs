//! Bytes out of a text trace.
//!
//! Owns the grammar of lines. Called by [`golden`](crate::golden), [`resize()`](crate::resize()) and the command line.
//!
//! The grammar is that of Go's `internal/trace/raw`: names and arguments in fixed order, unsigned decimal numbers, any
//! white space between words, empty lines and lines of `#` comments anywhere, no comment behind an item. Numbers
//! are written in their shortest form. Nothing else is checked.

use crate::unquote::{UnquoteError, unquote};
use crate::wire::lists;
use std::fmt;
use tachograph_wire::event::Trailer;
use tachograph_wire::{EventKind, Version, varint};

/// What is wrong with a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TextError {
    /// Its number, from 1 up; one more than there are if the text ends early.
    pub line: usize,
    /// What stands there.
    pub found: String,
    /// What could stand there.
    pub wanted: String,
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            found,
            wanted,
        } = self;
        match found.as_str() {
            "" => write!(f, "line {line}: found nothing, wanted {wanted}"),
            _ => write!(f, "line {line}: found `{found}`, wanted {wanted}"),
        }
    }
}

impl std::error::Error for TextError {}

/// Whether these bytes are a text trace: their first line that says something begins with `Trace Go1.`.
#[must_use]
pub fn is_text(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with(b"#"));
    first.is_some_and(|line| {
        line.strip_prefix(b"Trace")
            .is_some_and(|rest| rest.trim_ascii_start().starts_with(b"Go1."))
    })
}

/// The bytes of a text trace.
///
/// # Errors
/// At the first line that is no item of the version.
pub fn encode(text: &str) -> Result<Vec<u8>, TextError> {
    let mut items = TextItems::new(text)?;
    let mut bytes = items.version.header().to_vec();
    while items.next_into(&mut bytes)?.is_some() {}
    Ok(bytes)
}

/// Walks over the items of a text trace.
pub(crate) struct TextItems<'a> {
    lines: std::iter::Enumerate<std::str::Lines<'a>>,
    version: Version,
    /// Number of the last line taken.
    line: usize,
}

impl<'a> TextItems<'a> {
    /// Reads the line that names the version.
    pub(crate) fn new(text: &'a str) -> Result<Self, TextError> {
        let mut items = Self {
            lines: text.lines().enumerate(),
            version: Version::Go126,
            line: 0,
        };
        let wanted = "`Trace Go1.22`, `.23`, `.25` or `.26`";
        let line = items.wanted_line(wanted)?;
        let mut words = line.split_whitespace();
        let version = match (words.next(), words.next(), words.next()) {
            (Some("Trace"), Some(version), None) => version.strip_prefix("Go1."),
            _ => None,
        };
        let version = version
            .and_then(decimal)
            .and_then(|minor| Version::from_minor(u8::try_from(minor).ok()?));
        items.version = version.ok_or_else(|| items.error(line.trim(), wanted))?;
        Ok(items)
    }

    /// Appends the bytes of the next item and says which event it is and on which line it begins; `None` at the end.
    pub(crate) fn next_into(
        &mut self,
        out: &mut Vec<u8>,
    ) -> Result<Option<(EventKind, usize)>, TextError> {
        let Some(line) = self.next_line() else {
            return Ok(None);
        };
        let first = self.line;
        let line = line.trim_start();
        let end = line
            .find(|c: char| c.is_whitespace() || c == '#')
            .unwrap_or(line.len());
        let (name, args) = line.split_at_checked(end).unwrap_or((line, ""));
        let kind = EventKind::from_name(name).filter(|kind| lists(self.version, *kind));
        let Some(kind) = kind else {
            let wanted = format!("the name of an event of {}", self.version);
            return Err(self.error(name, wanted));
        };
        out.push(kind.code());
        let names = kind.spec().args.iter().map(|arg| arg.name);
        let last = self.numbers(args, names, out)?;
        match kind.spec().trailer {
            Trailer::None => {}
            Trailer::Bytes => self.data(out)?,
            Trailer::Frames => self.frames(last, out)?,
        }
        Ok(Some((kind, first)))
    }

    /// Appends the numbers of a line; gives the last one back.
    fn numbers(
        &self,
        line: &str,
        names: impl Iterator<Item = &'static str>,
        out: &mut Vec<u8>,
    ) -> Result<u64, TextError> {
        let mut words = line.split_whitespace();
        let mut last = 0;
        for name in names {
            let word = words.next().unwrap_or_default();
            let value = word
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('='));
            last = value
                .and_then(decimal)
                .ok_or_else(|| self.error(word, format!("`{name}=` and a number of 64 bits")))?;
            varint::encode(last, out);
        }
        match words.next() {
            None => Ok(last),
            Some(word) => Err(self.error(word, "the end of the line")),
        }
    }

    fn data(&mut self, out: &mut Vec<u8>) -> Result<(), TextError> {
        let line = self.wanted_line("`data=` and a quoted string")?;
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        if key.trim() != "data" {
            return Err(self.error(line.trim(), "`data=` and a quoted string"));
        }
        let value = value.trim();
        let refuse = |why: UnquoteError| self.error(value, format!("a quoted string: {why}"));
        let data = unquote(value).map_err(refuse)?;
        varint::encode(data.len() as u64, out);
        out.extend_from_slice(&data);
        Ok(())
    }

    fn frames(&mut self, count: u64, out: &mut Vec<u8>) -> Result<(), TextError> {
        for i in 0..count {
            let line = self.wanted_line(&format!("frame {} of {count}", i + 1))?;
            self.numbers(line, ["pc", "func", "file", "line"].into_iter(), out)?;
        }
        Ok(())
    }

    /// The next line that is neither empty nor a comment.
    fn next_line(&mut self) -> Option<&'a str> {
        let says_something =
            |line: &str| !matches!(line.trim_start().chars().next(), None | Some('#'));
        let (index, line) = self.lines.find(|(_, line)| says_something(line))?;
        self.line = index + 1;
        Some(line)
    }

    fn wanted_line(&mut self, wanted: &str) -> Result<&'a str, TextError> {
        self.next_line().ok_or_else(|| TextError {
            line: self.line + 1,
            found: String::new(),
            wanted: wanted.to_owned(),
        })
    }

    fn error(&self, found: &str, wanted: impl Into<String>) -> TextError {
        TextError {
            line: self.line,
            found: found.to_owned(),
            wanted: wanted.into(),
        }
    }
}

/// Digits only: no sign, which Rust would take.
fn decimal(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        encode(text).unwrap_err().to_string()
    }

    #[test]
    fn space_and_comments_are_free() {
        let text = "# story\n\n  Trace\tGo1.26  \n \n# more\n\u{a0}ProcStop   dt=7\r\n\tString id=1\n# between\n  data = \"#\"  ";
        assert_eq!(encode(text).unwrap()[16..], [11, 7, 5, 1, 1, b'#']);
        assert!(is_text(text.as_bytes()));
    }

    #[test]
    fn errors_name_line_found_and_wanted() {
        let cases = [
            (
                "",
                "line 1: found nothing, wanted `Trace Go1.22`, `.23`, `.25` or `.26`",
            ),
            (
                "Trace Go1.24",
                "line 1: found `Trace Go1.24`, wanted `Trace Go1.22`, `.23`, `.25` or `.26`",
            ),
            (
                "Trace Go1.26\nFoo dt=1",
                "line 2: found `Foo`, wanted the name of an event of go 1.26",
            ),
            (
                "Trace Go1.22\nGoSwitch dt=1 g=1 g_seq=1",
                "line 2: found `GoSwitch`, wanted the name of an event of go 1.22",
            ),
            (
                "Trace Go1.26\n\nProcStop td=1",
                "line 3: found `td=1`, wanted `dt=` and a number of 64 bits",
            ),
            (
                "Trace Go1.26\nProcStop",
                "line 2: found nothing, wanted `dt=` and a number of 64 bits",
            ),
            (
                "Trace Go1.26\nProcStop dt=+1",
                "line 2: found `dt=+1`, wanted `dt=` and a number of 64 bits",
            ),
            (
                "Trace Go1.26\nProcStop dt=18446744073709551616",
                "line 2: found `dt=18446744073709551616`, wanted `dt=` and a number of 64 bits",
            ),
            (
                "Trace Go1.26\nProcStop dt=1 # no",
                "line 2: found `#`, wanted the end of the line",
            ),
            (
                "Trace Go1.26\nSync x",
                "line 2: found `x`, wanted the end of the line",
            ),
            (
                "Trace Go1.26\nString id=1",
                "line 3: found nothing, wanted `data=` and a quoted string",
            ),
            (
                "Trace Go1.26\nString id=1\nSync",
                "line 3: found `Sync`, wanted `data=` and a quoted string",
            ),
            (
                "Trace Go1.26\nString id=1\ndata=\"a",
                "line 3: found `\"a`, wanted a quoted string: found no closing quote on the line",
            ),
            (
                "Trace Go1.26\nStack id=1 nframes=2\npc=1 func=2 file=3 line=4",
                "line 4: found nothing, wanted frame 2 of 2",
            ),
        ];
        for (text, wanted) in cases {
            assert_eq!(error(text), wanted);
        }
    }
}
