//! What came of a run of the service.
//!
//! Owns the figures; how they are printed is the command's business. Made by `service` from what clients have seen and what
//! the server has counted.

use super::load::Load;
use super::route::Route;
use super::server::Drained;
use super::tally::Seen;
use std::time::Duration;

/// What the service has done, and how long clients had to wait.
#[derive(Clone, Debug)]
pub struct ServiceReport {
    /// Workers of the service's runtime.
    pub workers: usize,
    /// Clients, each with a connection that it keeps.
    pub clients: usize,
    /// From the first connection to the last answer.
    pub time: Duration,
    /// All requests, as clients saw them.
    pub overall: Latencies,
    /// The same by route, in the order of [`Route::ALL`].
    pub routes: Vec<RouteReport>,
    /// Requests that the service has answered: as many as clients have seen answered.
    pub handled: u64,
    /// Connections that the service has accepted.
    pub connections: u64,
    /// Cache entries that became too old.
    pub expired: u64,
}

/// What clients saw of a route.
#[derive(Clone, Copy, Debug)]
pub struct RouteReport {
    /// Which.
    pub route: Route,
    /// How long answers took.
    pub latencies: Latencies,
    /// Requests that the service gave up on, and said so.
    pub late: u64,
}

/// How long answers took, to a microsecond and three digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Latencies {
    /// Answers.
    pub requests: u64,
    /// What half of them took at most; zero without answers, like the other two.
    pub p50: Duration,
    /// What all but one in a hundred took at most.
    pub p99: Duration,
    /// What the slowest took.
    pub max: Duration,
}

impl ServiceReport {
    pub(super) fn new(workers: usize, time: Duration, load: &Load, drained: &Drained) -> Self {
        let of_route = |route| {
            let seen = load.tally.of(route);
            RouteReport {
                route,
                latencies: Latencies::of(seen),
                late: seen.late,
            }
        };
        Self {
            workers,
            clients: load.clients,
            time,
            overall: Latencies::of(&load.tally.overall()),
            routes: Route::ALL.map(of_route).to_vec(),
            handled: drained.handled,
            connections: drained.connections,
            expired: drained.expired,
        }
    }

    /// Answers per second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.overall.requests as f64 / self.time.as_secs_f64()
    }
}

impl Latencies {
    fn of(seen: &Seen) -> Self {
        let at = |quantile| Duration::from_micros(seen.latencies.value_at_quantile(quantile));
        Self {
            requests: seen.latencies.len(),
            p50: at(0.5),
            p99: at(0.99),
            max: Duration::from_micros(seen.latencies.max()),
        }
    }
}
