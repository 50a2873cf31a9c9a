//! What is wrong with bytes, and where.
//!
//! Owns the crate's error. Every decoder here returns it; readers above add generation and thread.

use crate::ids::ByteOffset;
use crate::version::{Version, VersionError};
use std::fmt;

/// A place in a trace and what is wrong there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WireError {
    /// First byte of what could not be read.
    pub offset: ByteOffset,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Problem {
    /// The file header is not one that we read.
    Header(VersionError),
    /// The bytes end within the named item.
    Truncated(&'static str),
    /// The named number doesn't fit in 64 bits.
    Overflow(&'static str),
    /// A code that doesn't belong here.
    UnexpectedCode {
        /// The code.
        found: u8,
        /// What could have stood here.
        wanted: &'static str,
    },
    /// A byte that opens an item which this version doesn't have.
    NotInVersion {
        /// The byte.
        found: u8,
        /// The version of the file.
        version: Version,
    },
    /// The named length or count is over its limit.
    OverLimit {
        /// Which length or count.
        what: &'static str,
        /// Its value.
        found: u64,
        /// The most it may be.
        limit: usize,
    },
    /// The named record stands twice where it may stand once.
    Duplicate(&'static str),
    /// Bytes after the last record of a payload that holds one.
    TrailingBytes(usize),
    /// Reading the input failed.
    Io(std::io::ErrorKind),
}

impl WireError {
    /// Whether more bytes could mend it: the trace ends too early.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        matches!(
            self.problem,
            Problem::Truncated(_) | Problem::Header(VersionError::Truncated(_))
        )
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {:#x}: {}", self.offset.0, self.problem)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(error) => error.fmt(f),
            Self::Truncated(what) => write!(
                f,
                "truncated: the bytes end within {what}, wanted all of it"
            ),
            Self::Overflow(what) => write!(f, "{what} is over 64 bits, wanted a smaller one"),
            Self::UnexpectedCode { found, wanted } => {
                write!(f, "found code {found}, wanted {wanted}")
            }
            Self::NotInVersion { found, version } => {
                write!(
                    f,
                    "found code {found} in a {version} trace, wanted one of that version"
                )
            }
            Self::OverLimit { what, found, limit } => {
                write!(f, "{what} is {found}, wanted {limit} at most")
            }
            Self::Duplicate(what) => write!(f, "second {what}, wanted one"),
            Self::TrailingBytes(count) => {
                write!(f, "{count} bytes after the last record, wanted none")
            }
            Self::Io(kind) => write!(f, "read failed: {kind}"),
        }
    }
}

impl std::error::Error for WireError {}
