//! The generation that is being counted.
//!
//! Owns what its line is made of. Called by `tally`, which makes one line of it when it ends.

use super::report::GenerationStats;
use tachograph_reader::Generation;
use tachograph_wire::Nanos;
use tachograph_wire::metadata::{GenerationTimes, Weights};

/// A generation that is being counted.
#[derive(Clone, Debug)]
pub struct OpenGeneration {
    number: u64,
    start: Nanos,
    end: Nanos,
    events: u64,
    samples: u64,
    /// Time of its first and last sample.
    sample_span: Option<(Nanos, Nanos)>,
    weights: ListedWeights,
    published: Option<Nanos>,
    quiet: Option<Nanos>,
}

/// Samples whose weight is told; all others weigh 1.
#[derive(Clone, Copy, Default, Debug)]
struct ListedWeights {
    count: u64,
    weight: u64,
}

impl OpenGeneration {
    /// Nothing of it was counted.
    pub fn new(generation: &Generation) -> Self {
        Self {
            number: generation.number().0,
            start: generation.start(),
            end: generation.start(),
            events: 0,
            samples: 0,
            sample_span: None,
            weights: ListedWeights::default(),
            published: None,
            quiet: None,
        }
    }

    /// Counts an event.
    #[inline]
    pub fn event(&mut self, time: Nanos) {
        self.events += 1;
        self.end = self.end.max(time);
    }

    /// Counts a CPU sample.
    pub fn sample(&mut self, time: Nanos) {
        self.samples += 1;
        self.end = self.end.max(time);
        let (first, _) = self.sample_span.unwrap_or((time, time));
        self.sample_span = Some((first, time));
    }

    /// Takes the times between which it was open.
    pub fn times(&mut self, times: &GenerationTimes, generation: &Generation) {
        self.published = times.published.map(|ticks| generation.nanos(ticks));
        self.quiet = times.quiet.map(|ticks| generation.nanos(ticks));
        for time in self.published.into_iter().chain(self.quiet) {
            self.start = self.start.min(time);
            self.end = self.end.max(time);
        }
    }

    /// Takes the weights of some samples.
    pub fn weights(&mut self, weights: &Weights) {
        let listed = &mut self.weights;
        for run in &weights.runs {
            listed.count = listed.count.saturating_add(run.count);
            listed.weight = listed
                .weight
                .saturating_add(run.count.saturating_mul(run.weight));
        }
    }

    /// Its line in the report.
    pub fn stats(&self) -> GenerationStats {
        let unlisted = self.samples.saturating_sub(self.weights.count);
        GenerationStats {
            r#gen: self.number,
            start_ns: Some(self.start.0),
            end_ns: Some(self.end.0),
            events: self.events,
            samples: self.samples,
            weight: unlisted.saturating_add(self.weights.weight),
            first_sample_ns: self.sample_span.map(|(first, _)| first.0),
            last_sample_ns: self.sample_span.map(|(_, last)| last.0),
            published_ns: self.published.map(|time| time.0),
            quiet_ns: self.quiet.map(|time| time.0),
        }
    }
}
