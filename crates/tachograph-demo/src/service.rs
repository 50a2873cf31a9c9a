//! A service on axum, hyper and Tokio, and the clients that keep it busy, over the loopback interface of one process.
//!
//! Owns the two runtimes and the order in which all begins and ends: the service opens, clients come, time passes, clients
//! leave, the service drains, both runtimes shut down.
//!
//! ```text
//! runtime "client"                          runtime "service"
//! load: client, client, ..  --127.0.0.1-->  server: connection, connection, ..
//!                                              |  handlers: one per route, each request a user task
//!                                              |-- cache <--expiry-- broadcast --> refresher, journal
//!                                              |-- origin: a worker behind a queue
//!                                              '-- work: what blocks or computes
//! ```

mod cache;
mod client;
mod dice;
mod handlers;
mod load;
mod origin;
mod report;
mod route;
mod server;
mod tally;
mod work;

use crate::traced::Instrument;
use crate::{DemoError, traced};
pub use report::{Latencies, RouteReport, ServiceReport};
pub use route::Route;
use server::Server;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

/// Workers of the service, unless the machine has more or fewer processors.
const LEAST_WORKERS: usize = 2;
const MOST_WORKERS: usize = 4;
/// The clients do little; a second worker would only take time from the service.
const CLIENT_WORKERS: usize = 1;
/// Blocking threads of the service: few, so that a trace shows requests that wait for one.
const BLOCKING_THREADS: usize = 4;
/// What still runs then is left behind; there should be nothing.
const SHUTDOWN: Duration = Duration::from_secs(2);

/// Runs service and clients until time is up; `progress` hears, some ten times a second, how much of it has passed.
///
/// # Errors
/// The system gives no runtime or socket, or a request fails: then it ends early.
///
/// # Panics
/// Within a runtime: it brings its own. When one of its tasks panics, too.
pub fn run(time: Duration, progress: impl FnMut(Duration)) -> Result<ServiceReport, DemoError> {
    let processors = std::thread::available_parallelism().map_or(LEAST_WORKERS, usize::from);
    let workers = processors.clamp(LEAST_WORKERS, MOST_WORKERS);
    let service = runtime("service", workers)?;
    let clients = runtime("client", CLIENT_WORKERS)?;

    let server = traced::block_on(&service, Server::open())?;
    let started = Instant::now();
    let load = traced::block_on(&clients, load::run(server.address(), time, progress));
    let time = started.elapsed();
    // Also after a failure: what was begun is ended.
    let drained = traced::block_on(&service, server.drain());
    clients.shutdown_timeout(SHUTDOWN);
    service.shutdown_timeout(SHUTDOWN);
    Ok(ServiceReport::new(workers, time, &load?, &drained))
}

fn runtime(name: &'static str, workers: usize) -> Result<Runtime, DemoError> {
    let mut builder = Builder::new_multi_thread();
    builder
        .worker_threads(workers)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name(name)
        .enable_io()
        .enable_time();
    Instrument::new()
        .name(name)
        .apply(&mut builder)
        .build()
        .map_err(|error| DemoError::Start {
            wanted: "a runtime",
            error,
        })
}

/// Waits until `stop` turns true, or nobody is left who could say so.
async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// A panic of a task goes on in who waits for it.
async fn joined<T>(task: tokio::task::JoinHandle<T>) -> T {
    match task.await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => unreachable!("nobody aborts our tasks: {error}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_answered_and_the_report_adds_up() {
        let mut looks = Vec::new();
        let report = run(Duration::from_millis(300), |elapsed| looks.push(elapsed)).unwrap();
        assert!(!looks.is_empty() && looks.is_sorted(), "{looks:?}");
        assert!(report.time >= Duration::from_millis(300), "{report:?}");
        assert_eq!(report.routes.len(), Route::ALL.len());
        for row in &report.routes {
            let found = row.latencies;
            assert!(found.requests > 0, "{row:?}");
            assert!(found.p50 <= found.p99 && found.p99 <= found.max, "{row:?}");
            assert!(found.max <= report.overall.max, "{row:?}");
            assert!(row.late <= found.requests, "{row:?}");
            assert!(row.late == 0 || row.route.may_be_late(), "{row:?}");
        }
        let sum: u64 = report.routes.iter().map(|row| row.latencies.requests).sum();
        assert_eq!(sum, report.overall.requests);
        assert_eq!(report.handled, sum, "the service counts what clients count");
        assert_eq!(report.connections, report.clients as u64);
        let stall = &report.routes[Route::Stall.index()];
        assert!(stall.latencies.p50 >= work::STALL, "{stall:?}");
    }

    #[test]
    fn nothing_is_left_behind() {
        // The threads of other tests come and go; those of the runtimes have names.
        let of_ours = || {
            std::fs::read_dir("/proc/self/task")
                .unwrap()
                .flatten()
                .filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok())
                .filter(|name| ["service", "client"].contains(&name.trim()))
                .count()
        };
        run(Duration::from_millis(1), |_| {}).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        // The other test's runtimes may still be there.
        while of_ours() > 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(of_ours(), 0);
    }
}
