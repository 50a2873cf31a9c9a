//! What Go's format has no word for, as strings of the string table that no event refers to.
//!
//! Go's readers load such strings and never show them, while an experimental batch of unknown number makes Go's
//! reader panic. A record is one string of at most 1024 bytes: `tachograph/1`, a kind, then `key=value` pairs,
//! each after one space. Owns the kinds; docs/FORMAT.md shows them with examples. Called by the recorder's writer
//! thread and by readers for each string of a generation.
//!
//! # Versioning
//! New kinds, new keys and new values of enumerated keys may appear at any time; what a reader doesn't know it
//! keeps ([`Metadata::Unknown`], the `unknown` field of a record, `Other` of an enumerated value). The number after
//! `tachograph/` changes only if what is already written would be misread.

mod fields;
mod records;
mod samples;
mod weights;

use crate::limits::MAX_STRING_BYTES;
use fields::{Fields, Line};
use std::fmt;

pub use records::{
    Address, ClockSource, Count, Coverage, EventsLost, Fence, Gap, GapCause, GenerationTimes,
    Module, Proc, RecorderSetup, Sampling, SamplingSource, Thread, ThreadKind, Unwinder,
};
pub use samples::{Cause, CauseCounts, SampleCounts};
pub use weights::{Run, Weights};

/// What every metadata string begins with, in every version.
pub const FAMILY: &str = "tachograph/";
/// The version that we write and read.
pub const METADATA_VERSION: &str = "1";

/// Keys and values of a record that this version doesn't know, unescaped, in their order.
pub type UnknownFields = Vec<(String, String)>;

/// One metadata record.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Metadata {
    /// `generation`: when it began and ended.
    Generation(GenerationTimes),
    /// `recorder`: what wrote the trace.
    Recorder(RecorderSetup),
    /// `sampling`: how CPU samples were taken.
    Sampling(Sampling),
    /// `thread`: a thread and its name.
    Thread(Thread),
    /// `proc`: a runtime's worker.
    Proc(Proc),
    /// `coverage`: how much of a runtime's time was seen as tasks.
    Coverage(Coverage),
    /// `module`: a file mapped as code.
    Module(Module),
    /// `samples`: where the samples of a thread went.
    Samples(SampleCounts),
    /// `weights`: for how many timer ticks each sample stands.
    Weights(Weights),
    /// `gap`: a stretch of time without recording.
    Gap(Gap),
    /// `events_lost`: events that could not be kept.
    EventsLost(EventsLost),
    /// A kind that this version doesn't know.
    Unknown {
        /// The kind.
        kind: String,
        /// Its fields.
        fields: UnknownFields,
    },
}

/// Why a string that begins like metadata is none.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum MetadataError {
    /// Written in a version of the scheme that this one can't read.
    Version(String),
    /// No kind after the version.
    NoKind,
    /// A word that is not `key=value`.
    NotAField(String),
    /// A value with a broken percent escape.
    BadEscape(String),
    /// A key that stands twice.
    DuplicateKey(String),
    /// A key that the kind can't do without.
    MissingKey(&'static str),
    /// A value that its key can't have.
    BadValue {
        /// The key.
        key: String,
        /// The value, unescaped.
        found: String,
    },
}

impl Metadata {
    /// Reads a string of the string table; `None` if it isn't metadata.
    ///
    /// # Errors
    /// If it begins like metadata and isn't; the rest of the trace is not worse for it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Result<Self, MetadataError>> {
        text.strip_prefix(FAMILY).map(Self::parse_record)
    }

    fn parse_record(text: &str) -> Result<Self, MetadataError> {
        let mut words = text.split(' ');
        let version = words.next().unwrap_or_default();
        if version != METADATA_VERSION {
            return Err(MetadataError::Version(version.to_owned()));
        }
        let kind = words
            .next()
            .filter(|kind| !kind.is_empty())
            .ok_or(MetadataError::NoKind)?;
        let fields = Fields::parse(words)?;
        Ok(match kind {
            GenerationTimes::KIND => Self::Generation(GenerationTimes::from_fields(fields)?),
            RecorderSetup::KIND => Self::Recorder(RecorderSetup::from_fields(fields)?),
            Sampling::KIND => Self::Sampling(Sampling::from_fields(fields)?),
            Thread::KIND => Self::Thread(Thread::from_fields(fields)?),
            Proc::KIND => Self::Proc(Proc::from_fields(fields)?),
            Coverage::KIND => Self::Coverage(Coverage::from_fields(fields)?),
            Module::KIND => Self::Module(Module::from_fields(fields)?),
            SampleCounts::KIND => Self::Samples(SampleCounts::from_fields(fields)?),
            Weights::KIND => Self::Weights(Weights::from_fields(fields)?),
            Gap::KIND => Self::Gap(Gap::from_fields(fields)?),
            EventsLost::KIND => Self::EventsLost(EventsLost::from_fields(fields)?),
            _ => Self::Unknown {
                kind: kind.to_owned(),
                fields: fields.into_unknown(),
            },
        })
    }

    /// The strings to put into the string table, each at most 1024 bytes.
    ///
    /// Weights may take several strings or none (if all are 1), everything else takes one. Text that doesn't fit
    /// is cut, paths at their beginning and names at their end, and the key `cut` names what was cut.
    #[must_use]
    pub fn encode(&self) -> Vec<String> {
        let line = match self {
            Self::Generation(record) => record.to_line(),
            Self::Recorder(record) => record.to_line(),
            Self::Sampling(record) => record.to_line(),
            Self::Thread(record) => record.to_line(),
            Self::Proc(record) => record.to_line(),
            Self::Coverage(record) => record.to_line(),
            Self::Module(record) => record.to_line(),
            Self::Samples(record) => record.to_line(),
            Self::Weights(record) => return record.encode(),
            Self::Gap(record) => record.to_line(),
            Self::EventsLost(record) => record.to_line(),
            Self::Unknown { kind, fields } => Line::of_unknown(kind, fields),
        };
        vec![line.finish(MAX_STRING_BYTES)]
    }
}

impl fmt::Display for MetadataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("metadata: ")?;
        match self {
            Self::Version(found) => write!(f, "found version {found:?}, wanted {METADATA_VERSION}"),
            Self::NoKind => f.write_str("no kind after the version"),
            Self::NotAField(found) => write!(f, "found {found:?}, wanted key=value"),
            Self::BadEscape(found) => write!(f, "broken percent escape in {found:?}"),
            Self::DuplicateKey(key) => write!(f, "second {key}, wanted one"),
            Self::MissingKey(key) => write!(f, "no {key}"),
            Self::BadValue { key, found } => write!(f, "{key} can't be {found:?}"),
        }
    }
}

impl std::error::Error for MetadataError {}
