//! For how many timer ticks each CPU sample stands.
//!
//! A timer that expires again before its signal is handled sends no second one; the kernel counts the overruns, and
//! the sample's weight is 1 plus those. Go's format has no place for it, so weights travel beside the samples: the
//! samples of one thread, in the order in which they stand in the generation, have the indices 0, 1, 2, ..

use super::MetadataError;
use super::fields::{Field, Fields, Line, Value};
use crate::ids::ThreadId;
use crate::limits::MAX_STRING_BYTES;

/// Neighbouring samples of equal weight.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Run {
    /// The weight of each.
    pub weight: u64,
    /// How many samples.
    pub count: u64,
}

/// Weights of some samples of one thread; every sample that no record lists has weight 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Weights {
    /// The thread.
    pub thread: ThreadId,
    /// Index of the first sample that is listed.
    pub first: u64,
    /// The weights from there on.
    pub runs: Vec<Run>,
}

impl Weights {
    pub(super) const KIND: &'static str = "weights";

    /// The weights of all samples of a thread in a generation.
    pub fn of(thread: ThreadId, weights: impl IntoIterator<Item = u64>) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        for weight in weights {
            match runs.last_mut().filter(|run| run.weight == weight) {
                Some(run) => run.count += 1,
                None => runs.push(Run { weight, count: 1 }),
            }
        }
        Self {
            thread,
            first: 0,
            runs,
        }
    }

    /// The weight of the sample with this index, if it is listed here.
    #[must_use]
    pub fn get(&self, index: u64) -> Option<u64> {
        let mut left = index.checked_sub(self.first)?;
        for run in &self.runs {
            match left.checked_sub(run.count) {
                Some(beyond) => left = beyond,
                None => return Some(run.weight),
            }
        }
        None
    }

    /// As many records as it takes; runs of weight 1 at the ends of a record are left out.
    pub(super) fn encode(&self) -> Vec<String> {
        let mut records = Vec::new();
        let mut index = self.first;
        let mut record = Record::default();
        for run in &self.runs {
            if !record.push(index, *run) {
                records.extend(std::mem::take(&mut record).finish(self.thread));
                record.push(index, *run);
            }
            index = index.saturating_add(run.count);
        }
        records.extend(record.finish(self.thread));
        records
    }

    pub(super) fn from_fields(mut fields: Fields) -> Result<Self, MetadataError> {
        let thread = Field::take(&mut fields, "tid")?;
        let first = Field::take(&mut fields, "first")?;
        let found: String = Field::take(&mut fields, "runs")?;
        match parse_runs(&found, first) {
            Some(runs) => Ok(Self {
                thread,
                first,
                runs,
            }),
            None => Err(MetadataError::BadValue {
                key: "runs".to_owned(),
                found,
            }),
        }
    }
}

/// Room for the runs: what the fixed part of a record can leave at least.
const RUNS_BYTES: usize =
    MAX_STRING_BYTES - "tachograph/1 weights tid= first= runs=".len() - 2 * DIGITS;
/// Digits of the largest number.
const DIGITS: usize = 20;

#[derive(Default)]
struct Record {
    first: u64,
    text: String,
    /// Length of `text` up to the last run of a weight other than 1.
    useful: usize,
}

impl Record {
    /// Adds the run that begins at `index`, unless it doesn't fit.
    fn push(&mut self, index: u64, run: Run) -> bool {
        if self.text.is_empty() {
            if run.weight == 1 {
                return true;
            }
            self.first = index;
        }
        let comma = if self.text.is_empty() { "" } else { "," };
        let text = match run.count {
            1 => format!("{comma}{}", run.weight),
            count => format!("{comma}{}*{count}", run.weight),
        };
        if self.text.len() + text.len() > RUNS_BYTES {
            return false;
        }
        self.text.push_str(&text);
        if run.weight != 1 {
            self.useful = self.text.len();
        }
        true
    }

    fn finish(mut self, thread: ThreadId) -> Option<String> {
        self.text.truncate(self.useful);
        if self.text.is_empty() {
            return None;
        }
        let mut line = Line::new(Weights::KIND);
        thread.put(&mut line, "tid");
        self.first.put(&mut line, "first");
        line.push("runs", &self.text);
        Some(line.finish(MAX_STRING_BYTES))
    }
}

/// The runs of a list; `None` if it isn't one or counts beyond the last index.
fn parse_runs(text: &str, first: u64) -> Option<Vec<Run>> {
    let mut end = first;
    let mut runs = Vec::new();
    for word in text.split(',') {
        let (weight, count) = word.split_once('*').unwrap_or((word, "1"));
        let run = Run {
            weight: Value::parse(weight)?,
            count: Value::parse(count)?,
        };
        end = end.checked_add(run.count)?;
        runs.push(run);
    }
    Some(runs)
}
