//! The generation that is being counted.
//!
//! Owns what its times are made of. Called by `tally`, which makes one line of it when it ends. The records that turn
//! ticks into time may stand anywhere in a generation, so nothing is converted before.

use super::breakage::Fault;
use super::report::GenerationStats;
use super::times::Span;
use tachograph_wire::metadata::{Gap, GenerationTimes, Weights};
use tachograph_wire::{Frequency, Generation, SyncBatch, Ticks, Version};

/// A generation that is being counted.
#[derive(Clone, Debug)]
pub struct OpenGeneration {
    /// Its number.
    pub number: Generation,
    /// Ticks per second, once known.
    pub frequency: Option<Frequency>,
    has_clock: bool,
    /// Times of batches and events.
    pub span: Span,
    /// Times of samples.
    pub sample_span: Span,
    /// Timed events.
    pub events: u64,
    /// CPU samples.
    pub samples: u64,
    weights: ListedWeights,
    published: Option<Ticks>,
    quiet: Option<Ticks>,
    /// How long its gaps are together.
    gap_ticks: Ticks,
}

/// Samples whose weight is told; all others weigh 1.
#[derive(Clone, Copy, Default, Debug)]
struct ListedWeights {
    count: u64,
    weight: u64,
}

impl OpenGeneration {
    /// Nothing of it was counted.
    pub fn new(number: Generation) -> Self {
        Self {
            number,
            frequency: None,
            has_clock: false,
            span: Span::default(),
            sample_span: Span::default(),
            events: 0,
            samples: 0,
            weights: ListedWeights::default(),
            published: None,
            quiet: None,
            gap_ticks: Ticks(0),
        }
    }

    /// Takes the frequency and the clock.
    ///
    /// # Errors
    /// If it has one already, or the frequency is 0.
    pub fn sync(&mut self, sync: &SyncBatch) -> Result<(), Fault> {
        if let Some(frequency) = sync.frequency {
            if frequency.0 == 0 {
                return Err(Fault::FrequencyZero);
            }
            if self.frequency.replace(frequency).is_some() {
                return Err(Fault::Second("frequency"));
            }
        }
        if sync.clock.is_some() && std::mem::replace(&mut self.has_clock, true) {
            return Err(Fault::Second("clock snapshot"));
        }
        Ok(())
    }

    /// What it can't end without and doesn't have.
    pub fn missing(&self, version: Version) -> Option<Fault> {
        let missing = |what| Some(Fault::Missing(self.number, what));
        match (self.frequency, self.has_clock) {
            (None, _) => missing("a frequency"),
            (_, false) if version.has_sync() => missing("a clock snapshot"),
            _ => None,
        }
    }

    /// Takes the times between which it was open.
    pub fn times(&mut self, times: &GenerationTimes) {
        self.published = times.published;
        self.quiet = times.quiet;
        times
            .published
            .into_iter()
            .chain(times.quiet)
            .for_each(|time| self.span.include(time));
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

    /// Takes a time without recording.
    pub fn gap(&mut self, gap: &Gap) {
        self.gap_ticks = self.gap_ticks + (gap.end - gap.start);
    }

    /// How long its gaps are together; unknown without a frequency.
    pub fn gap_ns(&self) -> Option<i64> {
        Some(self.frequency?.nanos(self.gap_ticks).0)
    }

    /// Timer ticks that its samples stand for.
    pub fn weight(&self) -> u64 {
        self.samples
            .saturating_sub(self.weights.count)
            .saturating_add(self.weights.weight)
    }

    /// Its line in the report.
    pub fn stats(&self) -> GenerationStats {
        let at = |time: Option<Ticks>| Some(self.frequency?.nanos(time?).0);
        GenerationStats {
            r#gen: self.number.0,
            start_ns: self.span.first(self.frequency).map(|time| time.0),
            end_ns: self.span.last(self.frequency).map(|time| time.0),
            events: self.events,
            samples: self.samples,
            weight: self.weight(),
            first_sample_ns: self.sample_span.first(self.frequency).map(|time| time.0),
            last_sample_ns: self.sample_span.last(self.frequency).map(|time| time.0),
            published_ns: at(self.published),
            quiet_ns: at(self.quiet),
        }
    }
}
