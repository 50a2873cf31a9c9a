//! The harness: many short rounds in which all variants take turns.
//!
//! On a shared machine a slow minute hits every variant alike, so ratios are taken within a round and their median is shown. A batch is
//! a few microseconds, between two readings of the counter whose own cost is taken off.

use std::time::{Duration, Instant};

use crate::sys::cycles;

/// Operations in one batch of a cheap event.
pub const BATCH: usize = 64;

/// How long a cycle of the counter is.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    ns_per_cycle: f64,
    stopwatch_cycles: u64,
}

/// What is measured: a closure that does one batch and returns the cycles of its timed part.
pub struct Variant {
    /// What the table calls it.
    pub name: &'static str,
    /// Nanoseconds per operation, one value a round.
    pub series: Series,
    batch: Box<dyn FnMut() -> u64>,
    ops_per_batch: usize,
    batches: usize,
}

/// Values of one quantity, one a round.
#[derive(Clone, Debug, Default)]
pub struct Series(Vec<f64>);

impl Scale {
    /// Measures the counter for 50 ms.
    pub fn measure() -> Self {
        let (start, start_cycles) = (Instant::now(), cycles());
        while start.elapsed() < Duration::from_millis(50) {
            std::hint::spin_loop();
        }
        let ns = start.elapsed().as_nanos() as f64;
        let ns_per_cycle = ns / (cycles() - start_cycles).max(1) as f64;
        let mut empty: Vec<u64> = (0..1001).map(|_| timed(|| ())).collect();
        empty.sort_unstable();
        Self {
            ns_per_cycle,
            stopwatch_cycles: empty[empty.len() / 2],
        }
    }

    /// Nanoseconds of `cycles` that `stopwatches` readings of `timed` add up to.
    pub fn ns(&self, cycles: u64, stopwatches: usize) -> f64 {
        let own = self.stopwatch_cycles * stopwatches as u64;
        cycles.saturating_sub(own) as f64 * self.ns_per_cycle
    }
}

/// The cycles that `f` takes, with those of one empty stopwatch.
#[inline(always)]
pub fn timed<T>(f: impl FnOnce() -> T) -> u64 {
    let start = cycles();
    let result = f();
    let end = cycles();
    drop(std::hint::black_box(result));
    end - start
}

impl Variant {
    /// A variant of `batches` batches a round, each of `ops_per_batch` operations.
    pub fn new(
        name: &'static str,
        ops_per_batch: usize,
        batches: usize,
        batch: impl FnMut() -> u64 + 'static,
    ) -> Self {
        Self {
            name,
            series: Series::default(),
            batch: Box::new(batch),
            ops_per_batch,
            batches,
        }
    }

    fn round(&mut self, scale: Scale) {
        // The first batch brings code and buffers into the cache.
        (self.batch)();
        let cycles = (0..self.batches).map(|_| (self.batch)()).sum();
        let ns = scale.ns(cycles, self.batches);
        self.series
            .push(ns / (self.ops_per_batch * self.batches) as f64);
    }
}

/// Lets all variants take turns, `rounds` times.
pub fn interleave(variants: &mut [Variant], rounds: u64, scale: Scale) {
    for _ in 0..rounds {
        for variant in &mut *variants {
            variant.round(scale);
        }
    }
}

impl Series {
    /// Adds the next round's value.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The value in the middle, `None` before the first round.
    pub fn median(&self) -> Option<f64> {
        self.quantile(0.5)
    }

    /// The value that `share` of the values lie below.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let place = (sorted.len() as f64 * share) as usize;
        sorted
            .get(place.min(sorted.len().saturating_sub(1)))
            .copied()
    }

    /// Where the true median is with a confidence of 95 %, by the order of the values alone.
    pub fn interval(&self) -> Option<(f64, f64)> {
        let reach = 0.98 / (self.0.len() as f64).sqrt();
        let low = self.quantile((0.5 - reach).max(0.0))?;
        Some((low, self.quantile((0.5 + reach).min(1.0))?))
    }

    /// The smallest value.
    pub fn min(&self) -> Option<f64> {
        self.0.iter().copied().min_by(f64::total_cmp)
    }

    /// The median of what `combine` makes of the two values of each round.
    pub fn median_with(&self, other: &Self, combine: impl Fn(f64, f64) -> f64) -> Option<f64> {
        self.with(other, combine).median()
    }

    /// What `combine` makes of the two values of each round.
    pub fn with(&self, other: &Self, combine: impl Fn(f64, f64) -> f64) -> Self {
        let pairs = self.0.iter().zip(&other.0);
        Self(pairs.map(|(&a, &b)| combine(a, b)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_the_values_of_one_round() {
        let slow_second_round = Series(vec![10.0, 100.0, 10.0]);
        let twice = Series(vec![20.0, 200.0, 20.0]);
        assert_eq!(
            twice.median_with(&slow_second_round, |a, b| a / b),
            Some(2.0)
        );
        assert_eq!(twice.min(), Some(20.0));
        assert_eq!(Series::default().median(), None);
    }

    #[test]
    fn the_interval_of_the_median_narrows_with_the_rounds() {
        let width = |rounds: u32| {
            let (low, high) = Series((0..rounds).map(f64::from).collect())
                .interval()
                .unwrap();
            (high - low) / f64::from(rounds)
        };
        assert!(width(100) < width(25), "{} {}", width(100), width(25));
        assert_eq!(Series(vec![1.0, 2.0]).interval(), Some((1.0, 2.0)));
        assert_eq!(Series::default().interval(), None);
    }
}
