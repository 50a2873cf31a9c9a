//! What our reader and validator say of a trace, in the terms in which Go's do.
//!
//! Called by [`check`](crate::check) for every trace that a test records, and by the tests that hold the two readers against each other.

use std::fmt;

use tachograph_reader::validate::{Check, Validator, Violation, Violations};
use tachograph_reader::{End, Kind, ReadError, Reader, Rule, Truncated};

use crate::go::GoVerdict;

/// Why a trace is refused: the first thing that is wrong with it.
#[derive(Debug)]
pub enum Refused {
    /// The reader stops.
    Broken(ReadError),
    /// The trace is cut off.
    Truncated(Box<Truncated>),
    /// The validator finds something.
    Invalid(Violations),
}

impl Refused {
    /// The rule of the reader that is broken, if it is one.
    pub fn rule(&self) -> Option<Rule> {
        match self {
            Self::Broken(error) => error.rule(),
            Self::Truncated(_) => Some(Rule::G3),
            Self::Invalid(_) => None,
        }
    }

    /// The checks of the validator that found something.
    pub fn checks(&self) -> Vec<Check> {
        match self {
            Self::Invalid(violations) => violations.iter().map(Violation::check).collect(),
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(error) => error.fmt(f),
            Self::Truncated(lost) => lost.fmt(f),
            Self::Invalid(violations) => violations.fmt(f),
        }
    }
}

impl std::error::Error for Refused {}

/// Puts the whole trace through our reader and validator, and counts what Go's verdict counts.
///
/// # Errors
/// If either has something to say against it.
pub fn ours(trace: &[u8]) -> Result<GoVerdict, Refused> {
    let mut reader = Reader::new(trace).map_err(Refused::Broken)?;
    let mut validator = Validator::new(reader.version());
    let mut counts = GoVerdict {
        events: 0,
        samples: 0,
        syncs: 0,
    };
    while let Some(event) = reader.next_event().map_err(Refused::Broken)? {
        if let Err(violations) = validator.event(&event) {
            // The sync at the end stands before the reader's error, which tells more.
            let is_last = matches!(event.kind(), Kind::Sync(sync) if sync.is_last());
            return match is_last.then(|| reader.next_event()) {
                Some(Err(error)) => Err(Refused::Broken(error)),
                _ => Err(Refused::Invalid(violations)),
            };
        }
        counts.events += 1;
        match event.kind() {
            Kind::Sample => counts.samples += 1,
            Kind::Sync(_) => counts.syncs += 1,
            _ => {}
        }
    }
    match reader.end() {
        Some(End::Truncated(lost)) => Err(Refused::Truncated(lost.clone())),
        _ => Ok(counts),
    }
}
