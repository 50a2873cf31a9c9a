//! What reader and validator together say of a trace.

// Not every test looks at all of it.
#![allow(dead_code)]

use std::fmt;
use tachograph_reader::validate::{Check, Validator, Violation};
use tachograph_reader::{End, Event, ReadError, Reader, Rule};

/// Why a trace is refused: the first thing that is wrong with it.
#[derive(Debug)]
pub enum Refused {
    Reader(ReadError),
    Truncated(String),
    Validator(Vec<Check>, String),
}

impl Refused {
    /// The rule of the reader that it breaks.
    pub fn rule(&self) -> Option<Rule> {
        match self {
            Self::Reader(error) => error.rule(),
            Self::Truncated(_) => Some(Rule::G3),
            Self::Validator(..) => None,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reader(error) => error.fmt(f),
            Self::Truncated(text) | Self::Validator(_, text) => f.write_str(text),
        }
    }
}

/// Reads a whole trace and checks each event, which `see` gets, too.
///
/// # Errors
/// If reader or validator have something to say against it.
pub fn read(trace: &[u8], mut see: impl FnMut(&Event<'_>)) -> Result<u64, Refused> {
    let mut reader = Reader::new(trace).map_err(Refused::Reader)?;
    let mut validator = Validator::new(reader.version());
    let mut count = 0;
    while let Some(event) = reader.next_event().map_err(Refused::Reader)? {
        count += 1;
        if let Err(violations) = validator.event(&event) {
            return Err(Refused::Validator(
                violations.iter().map(Violation::check).collect(),
                violations.to_string(),
            ));
        }
        see(&event);
    }
    match reader.end() {
        Some(End::Truncated(lost)) => Err(Refused::Truncated(lost.to_string())),
        _ => Ok(count),
    }
}
