//! Commands: the Go compiler, the recorded programs, `go tool trace`.
//!
//! Called by `main`. Keeps the surroundings (work files, flags) out of all of them.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tachograph_e2e::go::{Go, GoError};

use crate::programs::{Program, Size};

/// Slots of the recorded programs, whatever the machine has, so that procs are stolen and threads come and go.
const SLOTS: &str = "4";

/// A Go toolchain that is new enough.
#[derive(Debug)]
pub struct Toolchain {
    has_c: bool,
}

/// Why there is no recording.
#[derive(Debug)]
pub enum Failure {
    /// No Go.
    Go(GoError),
    /// A command failed.
    Command {
        /// What was run.
        what: String,
        /// What it said.
        stderr: String,
    },
    /// A file or a command's start.
    Io {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A trace could not be rewritten to an older version.
    Rewrite {
        /// The trace.
        path: PathBuf,
        /// Why not.
        complaint: String,
    },
    /// Go printed two texts for one trace.
    Fickle {
        /// The trace.
        path: PathBuf,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Go(error) => write!(f, "{error}"),
            Self::Command { what, stderr } => write!(f, "{what} failed: {}", stderr.trim_end()),
            Self::Io { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Rewrite { path, complaint } => write!(f, "{}: {complaint}", path.display()),
            Self::Fickle { path } => {
                let path = path.display();
                write!(f, "{path}: go tool trace -d=parsed printed two texts")
            }
        }
    }
}

impl Failure {
    /// For `map_err`.
    pub fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::Io { path, source }
    }
}

impl Toolchain {
    /// The one on the PATH.
    pub fn find() -> Result<Self, Failure> {
        Go::find().map_err(Failure::Go)?;
        let answer = finished(go().args(["env", "CGO_ENABLED", "CC"]))?.stdout;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let mut lines = answer.lines();
        let enabled = lines.next() == Some("1");
        // CC may hold flags behind the name.
        let compiler = lines.next().and_then(|line| line.split_whitespace().next());
        let answers = |name: &str| {
            let mut asked = Command::new(name);
            let asked = asked.arg("--version").stdin(Stdio::null()).output();
            asked.is_ok_and(|output| output.status.success())
        };
        let has_c = enabled && compiler.is_some_and(answers);
        Ok(Self { has_c })
    }

    /// Whether programs that are partly C can be built.
    pub fn has_c(&self) -> bool {
        self.has_c
    }

    /// Compiles `sources`; the program doesn't know where they were.
    pub fn build(&self, sources: &[PathBuf], program: &Path) -> Result<(), Failure> {
        let mut build = go();
        build.args(["build", "-trimpath", "-o"]).arg(program);
        finished(build.args(sources)).map(drop)
    }

    /// What `go tool trace -d=FORM` prints.
    pub fn texts(&self, form: &str, trace: &Path) -> Result<Vec<u8>, Failure> {
        let mut dump = go();
        dump.args(["tool", "trace"]).arg(format!("-d={form}"));
        Ok(finished(dump.arg(trace))?.stdout)
    }
}

/// Runs a recorded program.
pub fn run(binary: &Path, trace: &Path, program: &Program, size: Size) -> Result<(), Failure> {
    let mut command = Command::new(binary);
    command.arg(trace).arg(program.argument(size).to_string());
    command.env("GODEBUG", program.settings(size));
    command.env("GOMAXPROCS", SLOTS);
    finished(&mut command).map(drop)
}

fn go() -> Command {
    let mut command = Command::new("go");
    let settings = [
        ("GOFLAGS", ""),
        ("GOTOOLCHAIN", "local"),
        ("GOWORK", "off"),
        ("GO111MODULE", "off"),
        // Wall times are printed in the zone of the reader.
        ("TZ", "UTC"),
    ];
    command.envs(settings);
    command
}

fn finished(command: &mut Command) -> Result<Output, Failure> {
    let program = PathBuf::from(command.get_program());
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(Failure::io(&program))?;
    if output.status.success() {
        return Ok(output);
    }
    Err(Failure::Command {
        what: format!("{command:?}"),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
