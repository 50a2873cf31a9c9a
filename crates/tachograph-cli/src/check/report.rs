//! What `tacho check` found out about a file.
//!
//! Owns the form of `--json`: keys are only ever added, what is unknown is `null`. Filled by `check`, shown by `view`.

use crate::failure::Failure;
use serde::Serialize;
use std::path::Path;
use tachograph_reader::validate::{Violation, Violations};
use tachograph_text::Expectation;
use tachograph_wire::EventKind;

/// Findings that are kept; of the others only the number is.
const MOST_FINDINGS: usize = 20;

/// What was found out about a file.
#[derive(Serialize, Debug)]
pub struct Report {
    /// The file as it was typed.
    pub file: String,
    /// Whether the trace is valid.
    pub valid: bool,
    /// Version in the file header, as `1.26`; absent if there is none that is read here.
    pub version: Option<String>,
    #[serde(flatten)]
    pub counts: Counts,
    /// Why there are no more events.
    pub error: Option<Failure>,
    #[serde(flatten)]
    pub findings: Findings,
    /// What a golden file expects; absent for other files.
    pub golden: Option<Golden>,
}

/// How much there is.
#[derive(Serialize, Default, Debug)]
pub struct Counts {
    /// Ordered events, without samples and syncs.
    pub events: u64,
    /// CPU samples.
    pub samples: u64,
    /// Generations.
    pub generations: u64,
}

/// Events that can't be true.
#[derive(Serialize, Default, Debug)]
pub struct Findings {
    /// How many things are wrong.
    pub findings_total: u64,
    /// The first of them.
    pub findings: Vec<Finding>,
}

/// One thing that can't be true.
#[derive(Serialize, Debug)]
pub struct Finding {
    /// The rule that is broken, by its name in the validator's catalogue.
    pub rule: &'static str,
    /// The generation; `null` at the end of the trace.
    pub generation: Option<u64>,
    /// The thread.
    pub thread: Option<u64>,
    /// Where the event stands, uncompressed.
    pub offset: u64,
    /// The event; `null` for a sync.
    pub event: Option<&'static str>,
    /// When, on the trace's clock.
    pub time_ns: i64,
    /// All of it in words.
    pub message: String,
}

/// The verdict that a golden file expects.
#[derive(Serialize, Debug)]
pub struct Golden {
    /// `SUCCESS`, or `FAILURE` with a pattern.
    pub wanted: String,
    /// What is wrong with the verdict; `null` if it is the one expected.
    pub mismatch: Option<String>,
}

impl Report {
    /// Nothing is known.
    pub fn new(file: String) -> Self {
        Self {
            file,
            valid: false,
            version: None,
            counts: Counts::default(),
            error: None,
            findings: Findings::default(),
            golden: None,
        }
    }

    /// The file can't be read.
    pub fn of_unreadable(file: &Path, why: String) -> Self {
        Self {
            error: Some(Failure::of_io(why)),
            ..Self::new(file.display().to_string())
        }
    }

    /// Comes to the verdict, and compares it with what a golden file expects.
    pub fn hold_against(&mut self, expects: Option<Expectation>) {
        let verdict = self.verdict();
        self.golden = expects.map(|expects| Golden {
            wanted: expects.to_string(),
            mismatch: expects.check(&verdict).err().map(|found| found.to_string()),
        });
        self.valid = verdict.is_ok();
    }

    /// Whether all is as it should be: the trace is valid, or as broken as a golden file says.
    pub fn is_ok(&self) -> bool {
        match &self.golden {
            Some(golden) => golden.mismatch.is_none(),
            None => self.valid,
        }
    }

    /// The first thing that is wrong: all that is wrong with one event, or why there are no more.
    pub fn verdict(&self) -> Result<(), String> {
        let all = &self.findings.findings;
        let first = all.first().map(|first| (first.offset, first.time_ns));
        if first.is_none() {
            return match &self.error {
                Some(failure) => Err(failure.message.clone()),
                None => Ok(()),
            };
        }
        let of_first = all
            .iter()
            .take_while(|one| Some((one.offset, one.time_ns)) == first);
        let messages: Vec<&str> = of_first.map(|one| one.message.as_str()).collect();
        Err(messages.join("\n"))
    }
}

impl Findings {
    /// Adds what is wrong with an event.
    pub fn add(&mut self, violations: &Violations) {
        for violation in violations.iter() {
            self.findings_total += 1;
            if self.findings.len() < MOST_FINDINGS {
                self.findings.push(Finding::of(violation));
            }
        }
    }
}

impl Finding {
    fn of(violation: &Violation) -> Self {
        Self {
            rule: violation.check().name(),
            generation: violation.generation.map(|generation| generation.0),
            thread: violation.thread.map(|thread| thread.0),
            offset: violation.offset.0,
            event: violation.event.map(EventKind::name),
            time_ns: violation.time.0,
            message: violation.to_string(),
        }
    }
}
