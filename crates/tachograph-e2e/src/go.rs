//! Asks an installed Go toolchain what it thinks of a trace.
//!
//! Owns the search for `go` and the conversation with it. Called by every end-to-end test and by the
//! `go-validate` program; calls `validator` (builds the reading program) and `event` (its output lines).
//!
//! Two things are asked: Go's own ordered reader together with the validator of Go's trace tests
//! ([`Go::validate`], [`Go::events`]), and `go tool trace` ([`Go::parsed`], [`Go::wire`]). Neither can be
//! imported from outside the toolchain, so the first is built from the sources that every Go installation
//! carries; nothing of Go is stored in this repository.
//!
//! ```no_run
//! use tachograph_e2e::go;
//!
//! let Some(go) = go::require_or_skip("my_test") else { return };
//! let verdict = go.validate("app.trace".as_ref()).expect("Go reads it");
//! assert!(verdict.samples > 0);
//! ```

mod event;
mod validator;

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub use event::{GoEvent, GoFrame};

/// Set (to anything but `0`) where Go must be there: [`require_or_skip`] then panics instead of skipping.
pub const REQUIRE_VARIABLE: &str = "TACHOGRAPH_REQUIRE_GO";

/// The first Go release that reads header version 1.26.
const OLDEST_MINOR: u32 = 26;

/// An installed Go toolchain that is new enough to read our traces.
#[derive(Clone, Debug)]
pub struct Go {
    program: PathBuf,
    root: PathBuf,
    version: String,
}

/// What Go's reader and validator counted in a trace that they accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoVerdict {
    /// All events of the ordered stream, Syncs and samples included.
    pub events: u64,
    /// CPU-profile samples.
    pub samples: u64,
    /// Sync events: one per generation, and one at the end of the trace.
    pub syncs: u64,
}

/// Why there is no verdict.
#[derive(Debug)]
#[non_exhaustive]
pub enum GoError {
    /// No `go` on the PATH.
    Missing,
    /// The `go` on the PATH can't read our header version.
    TooOld {
        /// What `go env GOVERSION` says.
        version: String,
    },
    /// The trace is bad: Go's reader or validator refuses it.
    Refused {
        /// The file.
        path: PathBuf,
        /// How many events were read and found good before.
        events: u64,
        /// Go's words.
        message: String,
    },
    /// A Go command failed for a reason of its own.
    Command {
        /// What was run.
        what: String,
        /// What it printed to stderr.
        stderr: String,
    },
    /// Our own validator printed a line that we can't read.
    Line {
        /// The line.
        line: String,
        /// What is wrong with it.
        wanted: &'static str,
    },
    /// The operating system refused something.
    Io {
        /// What was tried.
        what: String,
        /// Its answer.
        source: io::Error,
    },
}

impl fmt::Display for GoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("no go on the PATH"),
            Self::TooOld { version } => write!(
                f,
                "{version} on the PATH, wanted go1.{OLDEST_MINOR} or newer"
            ),
            Self::Refused {
                path,
                events,
                message,
            } => {
                write!(
                    f,
                    "{}: refused by Go after {events} events: {message}",
                    path.display()
                )
            }
            Self::Command { what, stderr } => write!(f, "{what} failed: {}", stderr.trim_end()),
            Self::Line { line, wanted } => write!(f, "validator output `{line}`: wanted {wanted}"),
            Self::Io { what, source } => write!(f, "{what}: {source}"),
        }
    }
}

impl std::error::Error for GoError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl GoError {
    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        |source| Self::Io { what, source }
    }
}

/// The Go toolchain on the PATH, if there is one that reads our traces.
pub fn available() -> Option<Go> {
    Go::find().ok()
}

/// The Go toolchain on the PATH; without one, says on stderr that `test` is skipped.
///
/// # Panics
/// If there is none, and [`REQUIRE_VARIABLE`] says that there must be.
pub fn require_or_skip(test: &str) -> Option<Go> {
    let missing = match Go::find() {
        Ok(go) => return Some(go),
        Err(missing) => missing,
    };
    let required = std::env::var_os(REQUIRE_VARIABLE).is_some_and(|value| value != "0");
    assert!(
        !required,
        "{test}: {missing}, and {REQUIRE_VARIABLE} is set"
    );
    // Not eprintln!, which the test harness swallows when the test passes: a skip must be seen.
    let line = match missing {
        GoError::Missing => format!("skipped: no Go ({test})\n"),
        other => format!("skipped: no Go ({test}): {other}\n"),
    };
    io::stderr().write_all(line.as_bytes()).ok();
    None
}

impl Go {
    /// Looks for `go` on the PATH.
    ///
    /// # Errors
    /// [`GoError::Missing`], [`GoError::TooOld`], or what went wrong when asking it for its version.
    pub fn find() -> Result<Self, GoError> {
        let program = on_path("go").ok_or(GoError::Missing)?;
        let output = capture(
            tame(Command::new(&program)).args(["env", "GOROOT", "GOVERSION"]),
            "go env",
        )?;
        let mut lines = output.lines().map(str::to_owned);
        let (Some(root), Some(version)) = (lines.next(), lines.next()) else {
            return Err(GoError::Line {
                line: output,
                wanted: "GOROOT and GOVERSION",
            });
        };
        if minor(&version).is_some_and(|minor| minor < OLDEST_MINOR) {
            return Err(GoError::TooOld { version });
        }
        Ok(Self {
            program,
            root: root.into(),
            version,
        })
    }

    /// The toolchain's name for its version, such as `go1.27.3`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Puts the whole trace through Go's ordered reader and its validator.
    ///
    /// # Errors
    /// [`GoError::Refused`] if the trace is bad; the others if Go could not be asked.
    pub fn validate(&self, path: &Path) -> Result<GoVerdict, GoError> {
        self.walk(path, None, |_| Ok(()))
    }

    /// Go's verdicts on many traces, by one process: what takes a millisecond each in one takes twenty in many.
    ///
    /// # Errors
    /// If Go could not be asked; that it refuses a trace is one of the verdicts.
    pub fn verdicts<T: AsRef<[u8]> + Sync>(
        &self,
        traces: &[T],
    ) -> Result<Vec<Result<GoVerdict, GoError>>, GoError> {
        let validator = validator::ready(self)?;
        let io = |what: &str| GoError::io(format!("{what} the validator"));
        let mut child = Command::new(&validator)
            .arg("-many")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(io("starting"))?;
        let mut stdin = child.stdin.take().expect("stdin was asked for");
        let stdout = child.stdout.take().expect("stdout was asked for");
        let mut lines = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for trace in traces {
                    let trace = trace.as_ref();
                    let size = (trace.len() as u64).to_le_bytes();
                    // If it is gone, its output says how far it came.
                    if stdin
                        .write_all(&size)
                        .and_then(|()| stdin.write_all(trace))
                        .is_err()
                    {
                        return;
                    }
                }
            });
            // Messages quote what stands in the trace, which need not be text.
            for line in BufReader::new(stdout).split(b'\n') {
                let line = line.map_err(io("reading from"))?;
                lines.push(String::from_utf8_lossy(&line).into_owned());
            }
            Ok(())
        })?;
        let output = child.wait_with_output().map_err(io("waiting for"))?;
        if !output.status.success() || lines.len() != traces.len() {
            return Err(GoError::Command {
                what: format!(
                    "the validator, after {} of {} traces",
                    lines.len(),
                    traces.len()
                ),
                stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            });
        }
        let verdicts = lines.iter().enumerate();
        Ok(verdicts
            .map(|(place, line)| conclude(Path::new(&format!("trace {place}")), line))
            .collect())
    }

    /// The ordered events of a trace. A trace that Go refuses gives an error, not the good part.
    ///
    /// # Errors
    /// As [`Go::validate`].
    pub fn events(&self, path: &Path) -> Result<Vec<GoEvent>, GoError> {
        let mut events = Vec::new();
        self.each_event(path, |event| events.push(event))?;
        Ok(events)
    }

    /// Like [`Go::events`], one at a time, for traces that are too large to hold.
    ///
    /// # Errors
    /// As [`Go::validate`]; `see` has then been called with the events before the bad one.
    pub fn each_event(
        &self,
        path: &Path,
        mut see: impl FnMut(GoEvent),
    ) -> Result<GoVerdict, GoError> {
        self.walk(path, Some("-events"), |line| {
            see(GoEvent::parse(line)?);
            Ok(())
        })
    }

    /// Go's own one-line texts of the ordered events, each already validated, handed to `see`.
    ///
    /// # Errors
    /// As [`Go::validate`].
    pub fn each_text(&self, path: &Path, mut see: impl FnMut(&str)) -> Result<GoVerdict, GoError> {
        self.walk(path, Some("-text"), |line| {
            see(&event::Fields::parse(line)?.text("value")?);
            Ok(())
        })
    }

    /// What `go tool trace -d=parsed` prints: the ordered events as text.
    ///
    /// # Errors
    /// [`GoError::Command`] if it refuses the trace.
    pub fn parsed(&self, path: &Path) -> Result<String, GoError> {
        self.dump("parsed", path)
    }

    /// What `go tool trace -d=wire` prints: the bytes' items as text, in file order, unvalidated.
    ///
    /// # Errors
    /// [`GoError::Command`] if the bytes can't be taken apart.
    pub fn wire(&self, path: &Path) -> Result<String, GoError> {
        self.dump("wire", path)
    }

    fn dump(&self, form: &str, path: &Path) -> Result<String, GoError> {
        let what = format!("go tool trace -d={form} {}", path.display());
        capture(
            tame(Command::new(&self.program))
                .args(["tool", "trace"])
                .arg(format!("-d={form}"))
                .arg(path),
            &what,
        )
    }

    /// Runs the validator over one trace; hands each line before the last to `see`.
    fn walk(
        &self,
        path: &Path,
        mode: Option<&str>,
        mut see: impl FnMut(&str) -> Result<(), GoError>,
    ) -> Result<GoVerdict, GoError> {
        let validator = validator::ready(self)?;
        let io = |what: &str| GoError::io(format!("{what} the validator on {}", path.display()));
        let mut child = Command::new(&validator)
            .args(mode)
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(io("starting"))?;
        let stdout = child.stdout.take().expect("stdout was asked for");
        let mut outcome = None;
        for line in BufReader::new(stdout).lines() {
            let line = line.map_err(io("reading from"))?;
            match line.split('\t').next() {
                Some("verdict" | "refused") => outcome = Some(line),
                _ => see(&line)?,
            }
        }
        let output = child.wait_with_output().map_err(io("waiting for"))?;
        match outcome {
            Some(line) if output.status.success() => conclude(path, &line),
            _ => Err(GoError::Command {
                what: format!("the validator on {}", path.display()),
                stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            }),
        }
    }
}

fn conclude(path: &Path, line: &str) -> Result<GoVerdict, GoError> {
    let fields = event::Fields::parse(line)?;
    if fields.tag() == "refused" {
        let (events, message) = (fields.number("events")?, fields.text("message")?);
        return Err(GoError::Refused {
            path: path.to_owned(),
            events,
            message,
        });
    }
    let (events, samples, syncs) = (
        fields.number("events")?,
        fields.number("samples")?,
        fields.number("syncs")?,
    );
    Ok(GoVerdict {
        events,
        samples,
        syncs,
    })
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

/// `25` for `go1.25.1`; `None` for development versions, which are taken to be new.
fn minor(version: &str) -> Option<u32> {
    let digits = version.strip_prefix("go1.")?;
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    digits[..end].parse().ok()
}

/// Keeps the surroundings (a work file, flags, a wish for another toolchain) out of our Go commands.
fn tame(mut command: Command) -> Command {
    let settings = [
        ("GOFLAGS", "-mod=mod"),
        ("GOTOOLCHAIN", "local"),
        ("GOWORK", "off"),
        ("GO111MODULE", "on"),
    ];
    command.envs(settings).stdin(Stdio::null());
    command
}

fn capture(command: &mut Command, what: impl AsRef<OsStr> + fmt::Debug) -> Result<String, GoError> {
    let what = what.as_ref().to_string_lossy().into_owned();
    let output = command.output().map_err(GoError::io(what.clone()))?;
    if !output.status.success() {
        return Err(GoError::Command {
            what,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_minor_version_of_releases_only() {
        assert_eq!(minor("go1.25.1"), Some(25));
        assert_eq!(minor("go1.27rc1"), Some(27));
        assert_eq!(minor("devel go1.28-abcdef"), None);
    }

    #[test]
    fn errors_say_where_and_what() {
        let refused = GoError::Refused {
            path: "a.trace".into(),
            events: 7,
            message: "no batches".into(),
        };
        assert_eq!(
            refused.to_string(),
            "a.trace: refused by Go after 7 events: no batches"
        );
        let old = GoError::TooOld {
            version: "go1.21.5".into(),
        };
        assert_eq!(
            old.to_string(),
            "go1.21.5 on the PATH, wanted go1.26 or newer"
        );
    }

    #[test]
    fn a_refusal_is_not_a_verdict() {
        let path = Path::new("a.trace");
        let verdict = conclude(path, "verdict\tevents=3\tsamples=1\tsyncs=2").unwrap();
        assert_eq!(
            verdict,
            GoVerdict {
                events: 3,
                samples: 1,
                syncs: 2
            }
        );
        let refused = conclude(path, "refused\tevents=3\tmessage=a\\tb").unwrap_err();
        assert!(
            matches!(refused, GoError::Refused { events: 3, message, .. } if message == "a\tb")
        );
    }
}
