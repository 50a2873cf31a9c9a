//! Processes that are bound to cores and tell in one line what they measured.
//!
//! This program starts itself, binds that process, and lets it become the program to be measured.

use std::fmt;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::job::Job;
use super::options::{BOUND, JOB};
use crate::failure::Failure;
use crate::sys;

/// How many cores a process may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cores {
    /// The first.
    One,
    /// The first two.
    Two,
}

impl Cores {
    /// As a number.
    pub const fn count(self) -> usize {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }
}

/// What one process measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Events read.
    pub events: u64,
    /// Time of the reading.
    pub ns: u64,
    /// CPU time of the whole process, which others on the machine disturb less.
    pub cpu_ns: u64,
    /// Calls of the allocator during the reading.
    pub allocations: u64,
    /// Peak of the process's memory.
    pub most_resident_bytes: u64,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            events,
            ns,
            cpu_ns,
            allocations,
            most_resident_bytes,
        } = self;
        write!(
            f,
            "{events}\t{ns}\t{cpu_ns}\t{allocations}\t{most_resident_bytes}"
        )
    }
}

impl Outcome {
    /// Reads the line.
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.trim().split('\t').map(|word| word.parse().ok());
        Some(Self {
            events: numbers.next()??,
            ns: numbers.next()??,
            cpu_ns: numbers.next()??,
            allocations: numbers.next()??,
            most_resident_bytes: numbers.next()??,
        })
    }
}

/// One of our jobs.
pub fn run_job(job: Job, cores: Cores, file: &Path) -> Result<Outcome, Failure> {
    let mut command = bound(cores)?;
    command.arg(this_program()?).args(["read", JOB, job.name()]);
    outcome(command.arg(file), job.name())
}

/// Go's reader.
pub fn run_go(program: &Path, cores: Cores, file: &Path) -> Result<Outcome, Failure> {
    let mut command = bound(cores)?;
    outcome(command.arg(program).arg(file), "Go's reader")
}

/// A command that still lacks the program and its arguments.
pub fn bound(cores: Cores) -> Result<Command, Failure> {
    let mut command = Command::new(this_program()?);
    command.args(["read", BOUND]).arg(cores.count().to_string());
    Ok(command)
}

/// Binds this process and becomes `command`; returns only if that fails.
pub fn become_bound(cores: Cores, command: &[String]) -> Result<(), Failure> {
    sys::bind_to_cores(cores.count()).map_err(Failure::io("binding to cores"))?;
    let mut words = command.iter();
    let missing = || Failure::Usage("wanted a program".to_owned());
    let program = words.next().ok_or_else(missing)?;
    let error = Command::new(program).args(words).exec();
    Err(Failure::io(program.clone())(error))
}

fn this_program() -> Result<std::path::PathBuf, Failure> {
    std::env::current_exe().map_err(Failure::io("asking for this program's path"))
}

fn outcome(command: &mut Command, what: &str) -> Result<Outcome, Failure> {
    let output = command.output().map_err(Failure::io(what))?;
    let text = String::from_utf8_lossy(&output.stdout);
    match Outcome::parse(&text) {
        Some(outcome) if output.status.success() => Ok(outcome),
        _ => {
            let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
            Err(Failure::io(what)(io::Error::other(complaint)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_reads_back() {
        let outcome = Outcome {
            events: 1,
            ns: 2,
            cpu_ns: 3,
            allocations: 4,
            most_resident_bytes: 5,
        };
        assert_eq!(Outcome::parse(&outcome.to_string()), Some(outcome));
        assert_eq!(Outcome::parse("1\t2\t3\t4"), None);
    }
}
