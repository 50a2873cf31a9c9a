//! Where the CPU samples of a generation went.
//!
//! Owns the causes. For each thread, `handled = emitted + lost`; tests of the recorder hold it to that.

use super::fields::{Field, Fields, Line, Value};
use super::{MetadataError, UnknownFields};
use crate::ids::ThreadId;

/// Why a sample was lost or its stack is incomplete.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Cause {
    /// The thread's ring had no room.
    RingFull,
    /// A frame lies outside of the thread's stack.
    StackBounds,
    /// The signal landed on an alternate signal stack.
    AlternateStack,
    /// An address in no known module.
    UnknownModule,
    /// The walk met a frame that cannot be.
    BadFrame,
    /// More frames than are kept.
    Truncated,
    /// The thread had no record, or its record no memory for samples.
    NoRecord,
    /// The signal landed while nothing was recorded: before the first or after the last generation.
    Late,
    /// Recording was paused.
    Suspended,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 9] = [
        Self::RingFull,
        Self::StackBounds,
        Self::AlternateStack,
        Self::UnknownModule,
        Self::BadFrame,
        Self::Truncated,
        Self::NoRecord,
        Self::Late,
        Self::Suspended,
    ];

    /// Whether the sample itself was lost, and not only a part of its stack.
    #[must_use]
    pub const fn loses_sample(self) -> bool {
        matches!(
            self,
            Self::RingFull | Self::NoRecord | Self::Late | Self::Suspended
        )
    }

    /// The word in the record.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::RingFull => "ring_full",
            Self::StackBounds => "stack_bounds",
            Self::AlternateStack => "alternate_stack",
            Self::UnknownModule => "unknown_module",
            Self::BadFrame => "bad_frame",
            Self::Truncated => "truncated",
            Self::NoRecord => "no_record",
            Self::Late => "late",
            Self::Suspended => "suspended",
        }
    }
}

/// Counts by cause; a cause that isn't there has count 0.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CauseCounts {
    known: [u64; Cause::ALL.len()],
    other: Vec<(String, u64)>,
}

impl CauseCounts {
    /// The count of one cause.
    #[must_use]
    pub fn get(&self, cause: Cause) -> u64 {
        self.known[cause as usize]
    }

    /// Adds to the count of one cause.
    pub fn add(&mut self, cause: Cause, count: u64) {
        let known = &mut self.known[cause as usize];
        *known = known.saturating_add(count);
    }

    /// Causes by their words, also those that this version doesn't know, without those that count 0.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        let known = Cause::ALL
            .iter()
            .map(|cause| (cause.word(), self.get(*cause)));
        let other = self
            .other
            .iter()
            .map(|(word, count)| (word.as_str(), *count));
        known.chain(other).filter(|(_, count)| *count > 0)
    }

    /// The sum over all causes, also those that this version doesn't know.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.iter()
            .fold(0, |sum, (_, count)| sum.saturating_add(count))
    }

    fn take(fields: &mut Fields, group: &str) -> Result<Self, MetadataError> {
        let mut counts = Self::default();
        for (word, value) in fields.take_group(group) {
            let key = format!("{group}.{word}");
            let bad = |found| MetadataError::BadValue { key, found };
            let count = <u64 as Value>::parse(&value).ok_or(value).map_err(bad)?;
            match Cause::ALL.into_iter().find(|cause| cause.word() == word) {
                Some(cause) => counts.add(cause, count),
                None => counts.other.push((word, count)),
            }
        }
        Ok(counts)
    }

    fn put(&self, line: &mut Line, group: &str) {
        for (word, count) in self.iter() {
            line.push(&format!("{group}.{word}"), &count.to_string());
        }
    }
}

/// Where the samples of one thread, or of the whole process, went in one generation.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SampleCounts {
    /// The thread, or absent for what no thread could be charged with.
    pub thread: Option<ThreadId>,
    /// Signals that the handler saw.
    pub handled: u64,
    /// Samples in the trace.
    pub emitted: u64,
    /// Samples that are not in the trace.
    pub lost: CauseCounts,
    /// Samples in the trace whose stack is incomplete.
    pub incomplete: CauseCounts,
    /// Fields that this version doesn't know.
    pub unknown: UnknownFields,
}

impl SampleCounts {
    pub(super) const KIND: &'static str = "samples";

    pub(super) fn from_fields(mut fields: Fields) -> Result<Self, MetadataError> {
        Ok(Self {
            thread: Field::take(&mut fields, "tid")?,
            handled: Field::take(&mut fields, "handled")?,
            emitted: Field::take(&mut fields, "emitted")?,
            lost: CauseCounts::take(&mut fields, "lost")?,
            incomplete: CauseCounts::take(&mut fields, "incomplete")?,
            unknown: fields.into_unknown(),
        })
    }

    pub(super) fn to_line(&self) -> Line {
        let mut line = Line::new(Self::KIND);
        self.thread.put(&mut line, "tid");
        self.handled.put(&mut line, "handled");
        self.emitted.put(&mut line, "emitted");
        self.lost.put(&mut line, "lost");
        self.incomplete.put(&mut line, "incomplete");
        line.push_unknown(&self.unknown);
        line
    }
}
