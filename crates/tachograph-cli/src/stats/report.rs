//! What was counted in a trace.
//!
//! Owns the form of `--json`: keys are only ever added. Filled by `tally`, shown by `view`; the demo reads it, too.
//! What a trace doesn't say is `null`, never 0.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use tachograph_reader::{ReadError, Rule, Truncated};
use tachograph_wire::version::VersionError;

/// All that was counted.
#[derive(Clone, Serialize, Debug)]
pub struct Report {
    /// Version in the file header, as `1.26`; absent if there is none that we read.
    pub version: Option<String>,
    /// Bytes that were read and understood, the header included.
    pub bytes: u64,
    /// Where and why the trace is invalid.
    pub error: Option<Failure>,
    /// Ordered events, without samples.
    pub events: u64,
    /// Count and bytes of everything, by the name of the event; the bytes and the header's 16 add up to `bytes`.
    pub by_type: BTreeMap<&'static str, TypeCount>,
    /// How many of what appear in the trace.
    pub seen: Seen,
    /// CPU samples.
    pub samples: Samples,
    /// Events that could not be kept.
    pub events_lost: EventsLost,
    /// Times without recording.
    pub gaps: Gaps,
    /// What wrote the trace, if it says so.
    pub recorder: Option<Recorder>,
    /// How samples were taken, if the trace says so.
    pub sampling: Option<Sampling>,
    /// Metadata strings that could not be read.
    pub unreadable_metadata: u64,
    /// In the order of the trace; the last one may be a part.
    pub generations: Vec<GenerationStats>,
}

/// Why a trace is invalid.
#[derive(Clone, PartialEq, Eq, Serialize, Debug)]
pub struct Failure {
    /// First byte of what is wrong.
    pub offset: u64,
    /// Whether the trace is good as far as it goes and only its end is missing.
    pub truncated: bool,
    /// What is wrong.
    pub message: String,
}

/// How often something is in the trace, and how long it is.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Default, Debug)]
pub struct TypeCount {
    /// How often.
    pub count: u64,
    /// How long all of them are.
    pub bytes: u64,
}

/// How many of what appear in the trace.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Default, Debug)]
pub struct Seen {
    /// Threads of the operating system.
    pub threads: u64,
    /// Slots that execute tasks.
    pub procs: u64,
    /// Tasks, "goroutines" in Go.
    pub tasks: u64,
    /// Tasks of annotations.
    pub user_tasks: u64,
    /// Whether one of these had more than could be told apart.
    pub at_least: bool,
}

/// CPU samples of the whole trace.
#[derive(Clone, PartialEq, Eq, Serialize, Default, Debug)]
pub struct Samples {
    /// Samples in the trace.
    pub count: u64,
    /// Timer ticks that they stand for; as many as samples where the trace doesn't say.
    pub weight: u64,
    /// What the writer says about its samples, if it does.
    pub account: Option<SampleAccount>,
}

/// Where samples went.
#[derive(Clone, PartialEq, Eq, Serialize, Default, Debug)]
pub struct SampleAccount {
    /// Signals that were handled.
    pub handled: u64,
    /// Samples that were written.
    pub emitted: u64,
    /// Samples that were not, by cause.
    pub lost: BTreeMap<String, u64>,
    /// Samples that were written with part of their stack missing, by cause.
    pub incomplete: BTreeMap<String, u64>,
}

/// Events that could not be kept, by cause.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Default, Debug)]
pub struct EventsLost {
    /// They came up while another was being written.
    pub reentrant: u64,
    /// Their thread was on its way out.
    pub unrecorded: u64,
}

/// Times without recording.
#[derive(Clone, PartialEq, Eq, Serialize, Default, Debug)]
pub struct Gaps {
    /// How many.
    pub count: u64,
    /// How long together.
    pub total_ns: i64,
    /// How many, by cause.
    pub by_cause: BTreeMap<String, u64>,
}

/// What wrote the trace.
#[derive(Clone, PartialEq, Eq, Serialize, Debug)]
pub struct Recorder {
    /// Version of the recorder.
    pub version: String,
    /// Where times come from.
    pub clock: Option<String>,
    /// How threads and the writer see each other.
    pub fence: Option<String>,
    /// How stacks of samples are walked.
    pub unwinder: Option<String>,
    /// Process id.
    pub pid: Option<u64>,
    /// Path of the executable.
    pub exe: Option<String>,
}

/// How samples were taken.
#[derive(Clone, PartialEq, Eq, Serialize, Debug)]
pub struct Sampling {
    /// What sent the signals.
    pub source: String,
    /// Samples per second of CPU time that were asked for.
    pub hz: Option<u64>,
    /// The kernel's timer tick.
    pub tick_hz: Option<u64>,
}

/// One generation. Times are nanoseconds of the monotonic clock.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Debug)]
pub struct GenerationStats {
    /// Its number.
    pub r#gen: u64,
    /// Earliest time of a batch, or when the recorder opened it, whichever is earlier.
    pub start_ns: Option<i64>,
    /// Latest time of an event or a sample, or when the recorder closed it, whichever is later.
    pub end_ns: Option<i64>,
    /// Ordered events, without samples.
    pub events: u64,
    /// CPU samples.
    pub samples: u64,
    /// Timer ticks that they stand for.
    pub weight: u64,
    /// Time of the first sample.
    pub first_sample_ns: Option<i64>,
    /// Time of the last sample.
    pub last_sample_ns: Option<i64>,
    /// When threads could first see it, if the recorder says so.
    pub published_ns: Option<i64>,
    /// When no thread could write to it any more, if the recorder says so.
    pub quiet_ns: Option<i64>,
}

impl Report {
    /// Nothing was read, since the file is no trace.
    pub fn of_bad_header(failure: Failure) -> Self {
        Self {
            error: Some(failure),
            ..Self::of_version(None)
        }
    }

    /// Nothing has been counted yet.
    pub fn of_version(version: Option<String>) -> Self {
        Self {
            version,
            bytes: 0,
            error: None,
            events: 0,
            by_type: BTreeMap::new(),
            seen: Seen::default(),
            samples: Samples::default(),
            events_lost: EventsLost::default(),
            gaps: Gaps::default(),
            recorder: None,
            sampling: None,
            unreadable_metadata: 0,
            generations: Vec::new(),
        }
    }

    /// From the first time of the trace to the last.
    pub fn duration_ns(&self) -> Option<i64> {
        let start = self
            .generations
            .iter()
            .filter_map(|one| one.start_ns)
            .min()?;
        let end = self.generations.iter().filter_map(|one| one.end_ns).max()?;
        Some(end.saturating_sub(start))
    }
}

impl Failure {
    /// What surrounds the trace is broken, so that what is inside ends early.
    pub fn of_content(why: &str, inside: Option<Self>) -> Self {
        Self {
            offset: inside.as_ref().map_or(0, |inside| inside.offset),
            truncated: inside.as_ref().is_some_and(|inside| inside.truncated),
            message: match &inside {
                Some(inside) => format!("{why}; {inside}"),
                None => why.to_owned(),
            },
        }
    }
}

impl From<&ReadError> for Failure {
    fn from(error: &ReadError) -> Self {
        let (offset, truncated) = match error {
            // So little of a generation that nothing of it can be read.
            ReadError::Broken(broken) => (broken.offset.0, broken.rule() == Rule::G3),
            ReadError::Unsupported(VersionError::Truncated(_)) => (0, true),
            _ => (0, false),
        };
        Self {
            offset,
            truncated,
            message: error.to_string(),
        }
    }
}

impl From<&Truncated> for Failure {
    fn from(cut: &Truncated) -> Self {
        Self {
            offset: cut.offset.0,
            truncated: true,
            message: cut.to_string(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
