//! How a subcommand ended, and what the shell hears of it.
//!
//! Owns the exit codes. Called by `main`; subcommands return it.

use std::io;
use std::process::ExitCode;

/// How a subcommand ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Outcome {
    /// All well: 0.
    Fine,
    /// The trace is invalid, which has been said: 1.
    InvalidTrace,
    /// Wrong usage, or input or output failed, which has been said: 2.
    Failed,
}

impl Outcome {
    /// Says on stderr what went wrong. A reader of our output that had enough is no failure, if it gets this far: [`stdout`](crate::stdout).
    pub fn of(result: anyhow::Result<Self>) -> Self {
        match result {
            Ok(outcome) => outcome,
            Err(error) if is_broken_pipe(&error) => Self::Fine,
            Err(error) => {
                eprintln!("tacho: {error:#}");
                Self::Failed
            }
        }
    }

    /// The number for the shell.
    pub fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Fine => 0,
            Self::InvalidTrace => 1,
            Self::Failed => 2,
        })
    }
}

/// Output to stdout is passed up without context, so its error is the outermost one.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = match error.downcast_ref::<serde_json::Error>() {
        Some(error) => error.io_error_kind(),
        None => error.downcast_ref::<io::Error>().map(io::Error::kind),
    };
    kind == Some(io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn only_a_broken_pipe_of_our_own_output_is_fine() {
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(Outcome::of(Err(broken().into())), Outcome::Fine);
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(Outcome::of(Err(full.into())), Outcome::Failed);
        let text = Err::<Outcome, _>(broken()).context("reading a trace");
        assert_eq!(
            Outcome::of(text.map_err(|error| anyhow::anyhow!("{error:#}"))),
            Outcome::Failed
        );
    }
}
