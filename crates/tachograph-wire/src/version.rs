//! The 16 bytes at the start of a trace and what they promise.
//!
//! Owns the versions. Called by [`items`](crate::items) when reading and by whoever opens an output.

use crate::event::EventKind;
use std::fmt;

/// Bytes of the file header.
pub const HEADER_BYTES: usize = 16;

/// What we write: generations end with a byte of their own, which is what Go 1.26 and 1.27 write.
pub const WRITTEN: Version = Version::Go126;

/// A header version that we read. Go 1.24 writes 1.23, Go 1.27 writes 1.26.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Version {
    /// The first version of this format.
    Go122,
    /// Adds coroutine switches, stacks in statuses, experiments.
    Go123,
    /// Adds the sync batch with its clock snapshot.
    Go125,
    /// Adds the byte that ends a generation.
    Go126,
}

/// Why the first bytes are not a header that we read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum VersionError {
    /// Fewer than 16 bytes; holds how many there are.
    Truncated(usize),
    /// Header of Go 1.11, 1.19 or 1.21, whose format is a different one; holds the minor number.
    OldFormat(u8),
    /// A minor number that no release of Go writes.
    Unknown(u8),
    /// Not the header of a Go trace.
    NotATrace([u8; HEADER_BYTES]),
}

impl Version {
    /// Every version, oldest first.
    pub const ALL: [Self; 4] = [Self::Go122, Self::Go123, Self::Go125, Self::Go126];

    /// The number after `go 1.`.
    #[must_use]
    pub const fn minor(self) -> u8 {
        match self {
            Self::Go122 => 22,
            Self::Go123 => 23,
            Self::Go125 => 25,
            Self::Go126 => 26,
        }
    }

    /// The version with this number after `go 1.`.
    #[must_use]
    pub const fn from_minor(minor: u8) -> Option<Self> {
        match minor {
            22 => Some(Self::Go122),
            23 => Some(Self::Go123),
            25 => Some(Self::Go125),
            26 => Some(Self::Go126),
            _ => None,
        }
    }

    /// The file header.
    #[must_use]
    pub const fn header(self) -> [u8; HEADER_BYTES] {
        let mut bytes = *b"go 1.NN trace\0\0\0";
        bytes[5] = b'0' + self.minor() / 10;
        bytes[6] = b'0' + self.minor() % 10;
        bytes
    }

    /// Reads the header at the start of `bytes`.
    ///
    /// Stricter than Go, which also takes numbers like `1.026`.
    ///
    /// # Errors
    /// See [`VersionError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, VersionError> {
        let mut header = [0; HEADER_BYTES];
        let found = bytes.len().min(HEADER_BYTES);
        header[..found].copy_from_slice(&bytes[..found]);
        if found < HEADER_BYTES {
            return Err(VersionError::Truncated(found));
        }
        let [b'g', b'o', b' ', b'1', b'.', tens, ones, rest @ ..] = header else {
            return Err(VersionError::NotATrace(header));
        };
        if rest != *b" trace\0\0\0" || !tens.is_ascii_digit() || !ones.is_ascii_digit() {
            return Err(VersionError::NotATrace(header));
        }
        let minor = (tens - b'0') * 10 + (ones - b'0');
        Self::from_minor(minor).ok_or(match minor {
            11 | 19 | 21 => VersionError::OldFormat(minor),
            _ => VersionError::Unknown(minor),
        })
    }

    /// Whether traces of this version can hold the event.
    ///
    /// N.B. Go's ordered reader ignores this and takes every timed event in every version.
    #[must_use]
    pub fn knows(self, kind: EventKind) -> bool {
        kind.spec().since <= self
    }

    /// The highest code that this version can hold, experiments left out.
    #[must_use]
    pub fn last_code(self) -> u8 {
        let known = EventKind::ALL
            .iter()
            .filter(|kind| self.knows(**kind) && !kind.is_experimental());
        known.map(|kind| kind.code()).max().unwrap_or(0)
    }

    /// Whether generations end with a byte of their own.
    #[must_use]
    pub fn has_end_of_generation(self) -> bool {
        self.knows(EventKind::EndOfGeneration)
    }

    /// Whether the frequency stands in a sync batch together with a clock snapshot.
    #[must_use]
    pub fn has_sync(self) -> bool {
        self.knows(EventKind::Sync)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "go 1.{}", self.minor())
    }
}

impl fmt::Display for VersionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated(found) => write!(
                f,
                "trace header: found {found} bytes, wanted {HEADER_BYTES}"
            ),
            Self::OldFormat(minor) => write!(
                f,
                "go 1.{minor} trace: v1 format, wanted the v2 format of go 1.22, 1.23, 1.25 or 1.26"
            ),
            Self::Unknown(minor) => {
                write!(
                    f,
                    "go 1.{minor} trace: no such version, wanted go 1.22, 1.23, 1.25 or 1.26"
                )
            }
            Self::NotATrace(found) => {
                write!(
                    f,
                    "trace header: found \"{}\", wanted \"go 1.NN trace\" and three NUL bytes",
                    found.escape_ascii()
                )
            }
        }
    }
}

impl std::error::Error for VersionError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_every_header() {
        for version in Version::ALL {
            assert_eq!(Version::parse(&version.header()), Ok(version));
        }
        assert_eq!(&WRITTEN.header(), b"go 1.26 trace\0\0\0");
    }

    #[test]
    fn names_the_old_format_and_what_was_found() {
        for minor in [11, 19, 21] {
            let header = format!("go 1.{minor} trace\0\0\0");
            let error = Version::parse(header.as_bytes()).unwrap_err();
            assert_eq!(error, VersionError::OldFormat(minor));
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("go 1.{minor} trace: v1 format"))
            );
        }
        let error = Version::parse(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0").unwrap_err();
        assert!(error.to_string().contains(r"\x7fELF"), "{error}");
    }

    #[test]
    fn refuses_short_unknown_and_loose_headers() {
        assert_eq!(
            Version::parse(&WRITTEN.header()[..15]),
            Err(VersionError::Truncated(15))
        );
        assert_eq!(
            Version::parse(b"go 1.24 trace\0\0\0"),
            Err(VersionError::Unknown(24))
        );
        assert!(matches!(
            Version::parse(b"go 1.026 trace\0\0"),
            Err(VersionError::NotATrace(_))
        ));
        assert!(matches!(
            Version::parse(b"go 1.26 trace\0\0x"),
            Err(VersionError::NotATrace(_))
        ));
    }

    #[test]
    fn last_codes_are_those_of_the_releases() {
        assert_eq!(Version::ALL.map(Version::last_code), [44, 49, 51, 52]);
    }
}
