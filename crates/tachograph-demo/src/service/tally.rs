//! Counts by route.
//!
//! Owns how latencies are kept: in buckets, so that memory doesn't grow with the time that a demonstration runs. `client`
//! fills a tally, `handlers` the counters of the other side, `report` reads both.

use super::route::Route;
use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Latencies from 1 us to a minute, exact to three digits.
const MOST_MICROSECONDS: u64 = 60_000_000;
const DIGITS: u8 = 3;

/// What clients have seen of each route.
pub struct Tally {
    routes: [Seen; Route::ALL.len()],
}

/// What clients have seen of a route.
#[derive(Clone)]
pub struct Seen {
    /// In microseconds.
    pub latencies: Histogram<u32>,
    /// Requests that the service gave up on.
    pub late: u64,
}

impl Tally {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self {
            routes: std::array::from_fn(|_| Seen::nothing()),
        }
    }

    /// Adds an answer that took `latency`, and came with or without what was asked for.
    pub fn add(&mut self, route: Route, latency: Duration, late: bool) {
        let seen = &mut self.routes[route.index()];
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        seen.latencies.saturating_record(us);
        seen.late += u64::from(late);
    }

    /// Adds what another client has seen.
    pub fn merge(&mut self, other: &Self) {
        for (seen, other) in self.routes.iter_mut().zip(&other.routes) {
            seen.merge(other);
        }
    }

    /// Of one route.
    pub fn of(&self, route: Route) -> &Seen {
        &self.routes[route.index()]
    }

    /// Of all routes together.
    pub fn overall(&self) -> Seen {
        let mut overall = Seen::nothing();
        self.routes.iter().for_each(|seen| overall.merge(seen));
        overall
    }
}

impl Seen {
    fn nothing() -> Self {
        let latencies = Histogram::new_with_bounds(1, MOST_MICROSECONDS, DIGITS);
        Self {
            latencies: latencies.expect("the bounds are in order"),
            late: 0,
        }
    }

    fn merge(&mut self, other: &Self) {
        let added = self.latencies.add(&other.latencies);
        added.expect("all have the same bounds");
        self.late += other.late;
    }
}

/// Requests that the service has answered, by route.
#[derive(Default)]
pub struct Counters([AtomicU64; Route::ALL.len()]);

impl Counters {
    /// One more.
    pub fn add(&self, route: Route) {
        // Relaxed: a count alone; who reads it has waited for all connections to end.
        self.0[route.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// All together.
    pub fn sum(&self) -> u64 {
        // Relaxed: as in `add`.
        self.0.iter().map(|one| one.load(Ordering::Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_keeps_every_answer() {
        let mut tally = Tally::new();
        for number in 0..10_u64 {
            let mut one = Tally::new();
            let latency = Duration::from_micros(100 * (number + 1));
            one.add(Route::Timer, latency, number % 2 == 0);
            one.add(Route::Cpu, Duration::from_secs(3600), false);
            tally.merge(&one);
        }
        let (timer, cpu) = (tally.of(Route::Timer), tally.of(Route::Cpu));
        assert_eq!((timer.latencies.len(), timer.late), (10, 5));
        assert_eq!((cpu.latencies.len(), cpu.late), (10, 0));
        assert!(
            cpu.latencies.max() >= MOST_MICROSECONDS,
            "too long is kept as the longest"
        );
        assert_eq!(tally.overall().latencies.len(), 20);
    }
}
