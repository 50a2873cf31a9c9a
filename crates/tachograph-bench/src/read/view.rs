//! The table of one file: a line a measurement, then the goals.

use std::path::Path;

use super::job::Job;
use super::process::{Cores, Outcome};
use crate::measure::Series;

/// One measurement, all rounds.
#[derive(Debug)]
pub struct Line {
    /// Ours; Go's if `None`.
    pub job: Option<Job>,
    /// On which cores.
    pub cores: Cores,
    bytes: u64,
    ns: Series,
    cpu_ns: Series,
    last: Option<Outcome>,
    most_resident_bytes: u64,
}

const EVENTS_PER_SECOND: f64 = 25e6;
const TIMES_GO: f64 = 4.0;
const TIMES_ONE_CORE: f64 = 1.6;
const ALLOCATIONS_PER_EVENT: f64 = 0.001;
const MIB: f64 = (1 << 20) as f64;
/// Larger traces are not judged by their memory: it is that of a generation, which they are free to make large.
const HTTP_BYTES: u64 = 80_000_000;
/// For the HTTP trace of 71 MB.
const RESIDENT_BYTES: f64 = 64.0 * MIB;

impl Line {
    /// Without rounds yet.
    pub fn new(job: Option<Job>, cores: Cores, bytes: u64) -> Self {
        Self {
            job,
            cores,
            bytes,
            ns: Series::default(),
            cpu_ns: Series::default(),
            last: None,
            most_resident_bytes: 0,
        }
    }

    /// Adds the outcome of a round.
    pub fn add(&mut self, outcome: Outcome) {
        self.ns.push(outcome.ns as f64);
        self.cpu_ns.push(outcome.cpu_ns as f64);
        self.most_resident_bytes = self.most_resident_bytes.max(outcome.most_resident_bytes);
        self.last = Some(outcome);
    }

    fn name(&self) -> String {
        let name = self.job.map_or("Go: ReadEvent", Job::name);
        match self.cores {
            Cores::One => name.to_owned(),
            Cores::Two => format!("{name}, 2 cores"),
        }
    }

    fn events(&self) -> Option<f64> {
        let events = self.last?.events;
        (events > 0).then_some(events as f64)
    }

    fn events_per_second(&self) -> Option<f64> {
        Some(self.events()? / self.ns.median()? * 1e9)
    }

    fn allocations_per_event(&self) -> Option<f64> {
        Some(self.last?.allocations as f64 / self.events()?)
    }

    fn print(&self, go: Option<&Self>) {
        let ns = self.ns.median().unwrap_or(f64::NAN);
        println!(
            "{:34} {:>9.1} {:>9.1} {:>10} {:>9.1} {:>9} {:>13} {:>9.1} {:>6} {:>10}",
            self.name(),
            ns / 1e6,
            self.cpu_ns.median().unwrap_or(f64::NAN) / 1e6,
            cell(self.events_per_second().map(|value| value / 1e6), 1),
            self.bytes as f64 / ns * 1e3,
            cell(self.events().map(|events| ns / events), 1),
            cell(self.allocations_per_event(), 5),
            self.most_resident_bytes as f64 / MIB,
            cell(go.and_then(|go| self.times(go)), 2),
            cell(go.and_then(|go| self.cpu_times(go)), 2),
        );
    }

    /// How many times as fast as `other`, the median over the rounds; for lines that count the same events.
    fn times(&self, other: &Self) -> Option<f64> {
        self.events()?;
        other.ns.median_with(&self.ns, |other, own| other / own)
    }

    /// The same for CPU time, which says more on a machine that is busy.
    fn cpu_times(&self, other: &Self) -> Option<f64> {
        self.events()?;
        other
            .cpu_ns
            .median_with(&self.cpu_ns, |other, own| other / own)
    }
}

fn cell(value: Option<f64>, digits: usize) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
}

/// Prints the table and the verdicts.
pub fn print(file: &Path, lines: &[Line]) {
    let find = |job: Option<Job>, cores| {
        let mut all = lines.iter();
        all.find(|line| line.job == job && line.cores == cores)
    };
    let bytes = lines.first().map_or(0, |line| line.bytes);
    let events = find(Some(Job::Ordered), Cores::One).and_then(Line::events);
    println!(
        "{}: {:.1} MB, {} ordered events",
        file.display(),
        bytes as f64 / 1e6,
        cell(events, 0)
    );
    println!(
        "{:34} {:>9} {:>9} {:>10} {:>9} {:>9} {:>13} {:>9} {:>6} {:>10}",
        "what",
        "ms",
        "CPU ms",
        "M events/s",
        "MB/s",
        "ns/event",
        "allocs/event",
        "peak MiB",
        "x Go",
        "x Go (CPU)"
    );
    let go = find(None, Cores::One);
    for line in lines {
        line.print(go);
    }
    let line = |job, cores| find(Some(job), cores);
    if let (Some(ordered), Some(validated), Some(ahead), Some(twice)) = (
        line(Job::Ordered, Cores::One),
        line(Job::Validated, Cores::One),
        line(Job::AheadValidated, Cores::Two),
        line(Job::Twice, Cores::Two),
    ) {
        judge_speed(ordered, "the reader's rules", go);
        judge_speed(validated, "V1 to V16, too", go);
        judge_cores(validated, ahead, twice);
        judge_memory(validated);
    }
    differing(lines);
}

/// `rules` are those that the events were held against. Go's loop holds them against the reader's.
fn judge_speed(line: &Line, rules: &str, go: Option<&Line>) {
    let rate = line.events_per_second().map(|rate| rate / 1e6);
    let least = EVENTS_PER_SECOND / 1e6;
    at_least(
        &format!("M ordered events/s on one core, {rules}; at least {least}"),
        rate,
        least,
    );
    if let Some(go) = go {
        at_least(
            &format!("times Go's ReadEvent, {rules}; at least {TIMES_GO}"),
            line.times(go),
            TIMES_GO,
        );
    }
}

fn judge_cores(one: &Line, ahead: &Line, twice: &Line) {
    at_least(
        "times one core with two, at least 1.6",
        ahead.times(one),
        TIMES_ONE_CORE,
    );
    println!(
        "      two readers that share nothing, on two cores, do {} times the work of one",
        cell(twice.times(one).map(|ratio| 2.0 * ratio), 2)
    );
}

fn judge_memory(one: &Line) {
    at_most(
        "allocations per event, none (at most 0.001)",
        one.allocations_per_event(),
        ALLOCATIONS_PER_EVENT,
    );
    let resident = one.most_resident_bytes as f64;
    if one.bytes <= HTTP_BYTES {
        let text = "MiB at most, 64 for the HTTP trace of 71 MB";
        at_most(text, Some(resident / MIB), RESIDENT_BYTES / MIB);
    }
}

fn at_least(text: &str, found: Option<f64>, least: f64) {
    verdict(text, found, found.is_some_and(|found| found >= least));
}

fn at_most(text: &str, found: Option<f64>, most: f64) {
    verdict(text, found, found.is_some_and(|found| found <= most));
}

fn verdict(text: &str, found: Option<f64>, good: bool) {
    let verdict = if good { "met" } else { "MISSED" };
    println!("goal: {text}: {}, {verdict}", cell(found, 4));
}

/// All that order must have read the same.
fn differing(lines: &[Line]) {
    let ordered = lines.iter().filter(|line| {
        let job = line.job;
        ![Some(Job::Decode), Some(Job::Index), Some(Job::Twice)].contains(&job)
    });
    let counts: Vec<_> = ordered.filter_map(Line::events).collect();
    if counts.windows(2).any(|pair| pair[0] != pair[1]) {
        println!(
            "DO NOT USE THESE FIGURES: the readers found different numbers of events: {counts:?}"
        );
    }
}
