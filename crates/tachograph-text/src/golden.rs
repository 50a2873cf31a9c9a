//! A trace in text form together with what a reader should say to it.
//!
//! Owns the members of golden files. Called by tests of readers and by `tacho check`; calls `txtar`, `hex` and
//! [`encode()`](crate::encode()).
//!
//! ```text
//! The story: what happened here, and why a reader might get it wrong.
//! -- expect --
//! FAILURE "\\[O2\\]"
//! -- trace --
//! Trace Go1.26
//! EventBatch gen=1 ...
//! -- bytes --
//! 34 00        # follow those of the trace; hex, or "quoted text"
//! -- go --
//! CRASH
//! ```
//!
//! `expect` must be there, and `trace` or `bytes`. A file with `expect` and `trace` alone is a golden file of Go's tests,
//! too. `go` stands where Go's verdict is another one than ours: `SUCCESS`, `FAILURE "regex"` or `CRASH`.

use crate::encode::{TextError, encode};
use crate::expect::{Expectation, GoAnswer};
use crate::hex;
use crate::txtar::{Archive, Member, marker};
use std::fmt;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// A golden file.
#[derive(Clone, Debug)]
pub struct Golden {
    /// What stands before the first member.
    pub story: String,
    /// The verdict that a reader should come to.
    pub expect: Expectation,
    /// The verdict of Go, if it differs.
    pub go: Option<GoAnswer>,
    /// The text trace; empty if there is none.
    pub trace: String,
    /// What follows the bytes of the trace, as it is written; empty if there is nothing.
    pub bytes: String,
}

/// Why a file is no golden file.
#[derive(Debug)]
#[non_exhaustive]
pub enum GoldenError {
    /// It is not text; holds how many bytes are.
    NotText(usize),
    /// A member that must be there is not.
    Missing(&'static str),
    /// A member that has no meaning here, or stands there twice.
    Unexpected {
        /// Line of its marker.
        line: usize,
        /// Its name.
        name: String,
    },
    /// `expect` or `go` say nothing that we know.
    Verdict {
        /// Line of the file.
        line: usize,
        /// Found and wanted.
        reason: String,
    },
    /// A line of the trace or of the bytes can't be read; its number is that in the file.
    Text(TextError),
}

impl fmt::Display for GoldenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotText(at) => write!(f, "byte {at:#x}: found no UTF-8, wanted text"),
            Self::Missing(name) => write!(f, "found no member, wanted {name}"),
            Self::Unexpected { line, name } => write!(
                f,
                "line {line}: found member `{name}`, wanted one each of expect, trace, bytes, go"
            ),
            Self::Verdict { line, reason } => write!(f, "line {line}: {reason}"),
            Self::Text(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for GoldenError {}

impl Golden {
    /// Whether these bytes are a golden file: text with an `expect` member.
    #[must_use]
    pub fn is_golden(bytes: &[u8]) -> bool {
        let lines = bytes.split(|byte| *byte == b'\n');
        // A binary trace is no text from its header on, which ends with zeros.
        lines
            .map_while(|line| std::str::from_utf8(line).ok().filter(|l| !l.contains('\0')))
            .find_map(marker)
            == Some("expect")
    }

    /// Reads a golden file. Its trace is checked to be text that [`Golden::to_trace`] can encode.
    ///
    /// # Errors
    /// See [`GoldenError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, GoldenError> {
        let text = std::str::from_utf8(bytes).map_err(|e| GoldenError::NotText(e.valid_up_to()))?;
        let archive = Archive::parse(text);
        let [expect, trace, bytes, go] = members(&archive)?;
        let expect = expect.ok_or(GoldenError::Missing("expect"))?;
        if trace.is_none() && bytes.is_none() {
            return Err(GoldenError::Missing("trace or bytes"));
        }
        let verdict = |member: Member<'_>| {
            let line = member.line + 1;
            move |reason| GoldenError::Verdict { line, reason }
        };
        let golden = Self {
            story: archive.comment.to_owned(),
            expect: Expectation::parse(expect.text).map_err(verdict(expect))?,
            go: match go {
                Some(go) => Some(GoAnswer::parse(go.text).map_err(verdict(go))?),
                None => None,
            },
            trace: trace.map(|m| m.text.to_owned()).unwrap_or_default(),
            bytes: bytes.map(|m| m.text.to_owned()).unwrap_or_default(),
        };
        let in_file = |member: Option<Member<'_>>| {
            let before = member.map_or(0, |member| member.line);
            move |mut error: TextError| {
                error.line += before;
                GoldenError::Text(error)
            }
        };
        golden.text_part().map_err(in_file(trace))?;
        hex::decode(&golden.bytes).map_err(in_file(bytes))?;
        Ok(golden)
    }

    /// The trace itself.
    ///
    /// # Errors
    /// If a field was given what is no text trace, or no bytes; the line is counted within the field.
    pub fn to_trace(&self) -> Result<Vec<u8>, TextError> {
        let mut trace = self.text_part()?;
        trace.extend(hex::decode(&self.bytes)?);
        Ok(trace)
    }

    fn text_part(&self) -> Result<Vec<u8>, TextError> {
        if self.trace.trim().is_empty() {
            return Ok(Vec::new());
        }
        encode(&self.trace)
    }
}

/// The file as text; [`Golden::parse`] takes it apart again.
impl fmt::Display for Golden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expect = self.expect.to_string();
        let go = self
            .go
            .as_ref()
            .map(GoAnswer::to_string)
            .unwrap_or_default();
        let parts = [
            ("expect", &expect),
            ("trace", &self.trace),
            ("bytes", &self.bytes),
            ("go", &go),
        ];
        let members = parts.iter().filter(|(_, text)| !text.is_empty());
        let archive = Archive {
            comment: &self.story,
            members: members
                .map(|(name, text)| Member {
                    name,
                    text,
                    line: 0,
                })
                .collect(),
        };
        f.write_str(&archive.format())
    }
}

/// Those named expect, trace, bytes and go.
fn members<'a>(archive: &Archive<'a>) -> Result<[Option<Member<'a>>; 4], GoldenError> {
    let mut known = [None; 4];
    for member in &archive.members {
        let place = match member.name {
            "expect" => known.first_mut(),
            "trace" => known.get_mut(1),
            "bytes" => known.get_mut(2),
            "go" => known.get_mut(3),
            _ => None,
        };
        let Some(place @ None) = place else {
            return Err(GoldenError::Unexpected {
                line: member.line,
                name: member.name.to_owned(),
            });
        };
        *place = Some(*member);
    }
    Ok(known)
}

/// Why a folder of golden files can't be loaded.
#[derive(Debug)]
pub struct LoadError {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: LoadProblem,
}

/// What is wrong with a file or folder.
#[derive(Debug)]
pub enum LoadProblem {
    /// It can't be read.
    Io(io::Error),
    /// It is no golden file.
    Golden(GoldenError),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match &self.problem {
            LoadProblem::Io(error) => error.fmt(f),
            LoadProblem::Golden(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LoadError {}

/// Loads every `NAME.test` of a folder, by name.
///
/// # Errors
/// If the folder or one of the files can't be read or is no golden file.
pub fn load_dir(dir: &Path) -> Result<Vec<(String, Golden)>, LoadError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| LoadError {
            path,
            problem: LoadProblem::Io(error),
        }
    };
    let mut goldens = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed(dir))? {
        let path = entry.map_err(failed(dir))?.path();
        if path.extension().is_none_or(|extension| extension != "test") {
            continue;
        }
        let bytes = fs::read(&path).map_err(failed(&path))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let golden = Golden::parse(&bytes).map_err(|error| LoadError {
            path: path.clone(),
            problem: LoadProblem::Golden(error),
        })?;
        goldens.push((name.into_owned(), golden));
    }
    goldens.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(goldens)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "A story.\n\n-- expect --\nFAILURE \"\\\\[G3\\\\]\"\n-- trace --\nTrace Go1.26\nEndOfGeneration\n\
                         -- bytes --\n01 # cut\n-- go --\nCRASH\n";

    #[test]
    fn reads_what_it_writes() {
        let golden = Golden::parse(WHOLE.as_bytes()).unwrap();
        assert_eq!(golden.to_string(), WHOLE);
        assert_eq!(golden.story, "A story.\n\n");
        assert!(golden.expect.is_failure());
        assert!(matches!(golden.go, Some(GoAnswer::Crash)));
        assert_eq!(golden.to_trace().unwrap()[16..], [0x34, 0x01]);
    }

    #[test]
    fn is_told_from_traces_by_content() {
        assert!(Golden::is_golden(WHOLE.as_bytes()));
        assert!(Golden::is_golden(b"-- expect --"));
        let no: [&[u8]; 5] = [
            b"",
            b"go 1.26 trace\0\0\0\n-- expect --\n",
            b"Trace Go1.26\n",
            b"-- trace --\n-- expect --\n",
            b"\xff\n-- expect --\n",
        ];
        for bytes in no {
            assert!(!Golden::is_golden(bytes));
        }
    }

    #[test]
    fn errors_count_lines_of_the_file() {
        let cases = [
            ("", "found no member, wanted expect"),
            (
                "-- expect --\nSUCCESS",
                "found no member, wanted trace or bytes",
            ),
            (
                "-- expect --\nYES\n-- bytes --\n",
                "line 2: found `YES`, wanted SUCCESS or FAILURE \"regex\"",
            ),
            (
                "a\n-- expect --\nSUCCESS\n-- b --\n",
                "line 4: found member `b`, wanted one each of expect, trace, bytes, go",
            ),
            (
                "-- bytes --\n-- bytes --\n",
                "line 2: found member `bytes`, wanted one each of expect, trace, bytes, go",
            ),
            (
                "-- expect --\nSUCCESS\n-- trace --\nTrace Go1.26\nX\n",
                "line 5: found `X`, wanted the name of an event of go 1.26",
            ),
            (
                "-- expect --\nSUCCESS\n-- bytes --\n00\nx\n",
                "line 5: found `x`, wanted pairs of hex digits, a \"quoted\" text or a # comment",
            ),
        ];
        for (text, error) in cases {
            assert_eq!(
                Golden::parse(text.as_bytes()).unwrap_err().to_string(),
                error
            );
        }
    }
}
