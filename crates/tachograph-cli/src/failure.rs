//! Why a trace is not whole, in words and in numbers.
//!
//! Owns the keys under `error` of `check --json` and of the last object of `dump --json`: keys are only ever added, what is unknown is `null`.
//! docs/JSON.md lists them. Called by `check` and `dump`.

use serde::Serialize;
use tachograph_reader::{BrokenTrace, ReadError, Truncated};
use tachograph_wire::EventKind;

/// Why there are no more events.
#[derive(Serialize, Debug)]
pub struct Failure {
    /// The rule that is broken, by its name in the reader's catalogue.
    pub rule: Option<&'static str>,
    /// The generation.
    pub generation: Option<u64>,
    /// The thread.
    pub thread: Option<u64>,
    /// First byte of what is wrong, uncompressed.
    pub offset: Option<u64>,
    /// The event that is wrong.
    pub event: Option<&'static str>,
    /// What is lost, if the trace is only cut off.
    pub lost: Option<Lost>,
    /// All of it in words.
    pub message: String,
    /// Whether the file could not be read: then nobody knows what the trace is.
    #[serde(rename = "io")]
    pub is_io: bool,
}

/// What the end of a trace that was cut off lacks.
#[derive(Serialize, Debug)]
pub struct Lost {
    /// Bytes at the end that make no whole batch.
    pub partial_bytes: u64,
    /// Events that are there and can't be put in order.
    pub unordered_events: u64,
    /// Strings and stacks that are missing.
    pub unresolved_ids: u64,
    /// Why ordering ended before the events did, in words.
    pub stopped_by: Option<String>,
}

impl Failure {
    /// The reader gave up.
    pub fn of_read(error: &ReadError) -> Self {
        let broken = match error {
            ReadError::Broken(broken) => Some(&**broken),
            _ => None,
        };
        let of = |field: fn(&BrokenTrace) -> Option<u64>| broken.and_then(field);
        Self {
            rule: error.rule().map(|rule| rule.name()),
            generation: of(|broken| Some(broken.generation?.0)),
            thread: of(|broken| Some(broken.thread?.0)),
            offset: of(|broken| Some(broken.offset.0)),
            event: broken.and_then(|broken| broken.event.map(EventKind::name)),
            lost: None,
            message: error.to_string(),
            is_io: matches!(error, ReadError::Io(_)),
        }
    }

    /// The trace ends too early.
    pub fn of_cut(cut: &Truncated) -> Self {
        Self {
            rule: Some("G3"),
            generation: cut.generation.map(|generation| generation.0),
            thread: None,
            offset: Some(cut.offset.0),
            event: None,
            lost: Some(Lost {
                partial_bytes: cut.partial_bytes,
                unordered_events: cut.unordered_events,
                unresolved_ids: cut.unresolved_ids,
                stopped_by: cut.stopped_by.as_ref().map(BrokenTrace::to_string),
            }),
            message: cut.to_string(),
            is_io: false,
        }
    }

    /// What surrounds the trace is broken, which is the cause of what is wrong inside, if something is.
    pub fn of_content(why: String, inside: Option<Self>) -> Self {
        // That nothing at all is no trace needn't be said.
        match inside.filter(|inside| inside.offset.is_some_and(|at| at > 0)) {
            Some(inside) => Self {
                message: format!("{why}; {}", inside.message),
                ..inside
            },
            None => Self::of_words(why, false),
        }
    }

    /// The file could not be read.
    pub fn of_io(why: String) -> Self {
        Self::of_words(why, true)
    }

    fn of_words(message: String, is_io: bool) -> Self {
        Self {
            rule: None,
            generation: None,
            thread: None,
            offset: None,
            event: None,
            lost: None,
            message,
            is_io,
        }
    }
}
