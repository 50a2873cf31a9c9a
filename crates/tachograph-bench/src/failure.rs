//! Why a run ended without its figures, or with figures that were judged and found wanting.

use std::fmt;
use std::process::ExitCode;

use tachograph::{StartError, StopError};

/// See the module's text.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The command line.
    Usage(String),
    /// The recording did not start.
    Start(StartError),
    /// The recording did not end well.
    Stop(StopError),
    /// A file, a system call or another program.
    Io {
        /// What was tried.
        doing: String,
        /// What came of it.
        error: std::io::Error,
    },
    /// A judged run failed.
    Judged(String),
}

impl Failure {
    /// For `map_err`: an IO error and what was tried.
    pub fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let doing = doing.into();
        move |error| Self::Io { doing, error }
    }

    /// 1 for a judged run, 2 for everything else.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Judged(_) => ExitCode::from(1),
            _ => ExitCode::from(2),
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::Start(error)
    }
}

impl From<StopError> for Failure {
    fn from(error: StopError) -> Self {
        Self::Stop(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Judged(text) => f.write_str(text),
            Self::Start(error) => write!(f, "starting the recording: {error}"),
            Self::Stop(error) => write!(f, "stopping the recording: {error}"),
            Self::Io { doing, error } => write!(f, "{doing}: {error}"),
        }
    }
}
