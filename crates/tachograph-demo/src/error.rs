//! What can keep a demonstration from running to its end.
//!
//! Owns the words for it; the command adds which of its arguments would help.

use crate::service::Route;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a workload could not run, or ended early.
#[non_exhaustive]
#[derive(Debug)]
pub enum DemoError {
    /// The directory to work on can't be read.
    UnreadableDirectory {
        /// Which.
        dir: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The directory holds nothing to work on.
    NoFiles {
        /// Which.
        dir: PathBuf,
    },
    /// The system gave no thread, runtime, socket or data to begin with.
    Start {
        /// What was wanted.
        wanted: &'static str,
        /// What the system says.
        error: io::Error,
    },
    /// A client found no connection to the service.
    Connect {
        /// What the system says.
        error: io::Error,
    },
    /// A connection failed between request and answer.
    Exchange {
        /// What was asked for; nothing if it was the connection's beginning or end.
        route: Option<Route>,
        /// What the HTTP library says.
        error: hyper::Error,
    },
    /// No answer came.
    Silent {
        /// What was asked for.
        route: Route,
        /// How long the client waited.
        waited: Duration,
    },
    /// An answer came with a status that the route never gives.
    Status {
        /// What was asked for.
        route: Route,
        /// What came.
        status: u16,
    },
}

impl fmt::Display for DemoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnreadableDirectory { dir, error } => {
                write!(f, "can't read directory {}: {error}", dir.display())
            }
            Self::NoFiles { dir } => write!(f, "no files in {}", dir.display()),
            Self::Start { wanted, error } => write!(f, "can't get {wanted}: {error}"),
            Self::Connect { error } => write!(f, "can't connect to the demo's service: {error}"),
            Self::Exchange {
                route: Some(route),
                error,
            } => write!(f, "{}: {error}", route.path()),
            Self::Exchange { route: None, error } => {
                write!(f, "connection to the demo's service: {error}")
            }
            Self::Silent { route, waited } => {
                let waited = waited.as_secs_f64();
                write!(f, "{}: no answer within {waited:.1} s", route.path())
            }
            Self::Status { route, status } => {
                let wanted = match route.may_be_late() {
                    true => "200 or 504",
                    false => "200",
                };
                write!(f, "{}: status {status}, wanted {wanted}", route.path())
            }
        }
    }
}

impl std::error::Error for DemoError {
    // What lies below is in the text already.
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_where_what_was_found_and_what_was_wanted() {
        let late = DemoError::Silent {
            route: Route::Cpu,
            waited: Duration::from_secs(5),
        };
        assert_eq!(late.to_string(), "/cpu: no answer within 5.0 s");
        let wrong = DemoError::Status {
            route: Route::Queue,
            status: 500,
        };
        assert_eq!(wrong.to_string(), "/queue: status 500, wanted 200");
    }
}
