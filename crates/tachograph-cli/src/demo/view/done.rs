//! What a workload has done, before anything is said about its trace.
//!
//! Owns the layout. Called by `demo`.

use crate::table::{Align, Table};
use crate::units::{bytes, count, duration, many};
use std::io::{self, Write};
use std::time::Duration;
use tachograph_demo::files::Work;
use tachograph_demo::service::{Latencies, RouteReport, ServiceReport};

/// Says what threads have done with files.
pub fn files(work: &Work, time: Duration, out: &mut impl Write) -> io::Result<()> {
    let files = many(work.files, "file", "files");
    let rounds = many(work.rounds, "round", "rounds");
    writeln!(
        out,
        "{} workers hashed and compressed {files} in {:.1} s: {} -> {}",
        work.workers,
        time.as_secs_f64(),
        bytes(work.bytes),
        bytes(work.compressed),
    )?;
    let different = count(work.different);
    write!(
        out,
        "{rounds} through {}, {different} different",
        work.dir.display()
    )?;
    if work.unreadable > 0 {
        write!(out, ", {} unreadable", count(work.unreadable))?;
    }
    writeln!(out)
}

/// Says what the service has answered, how fast, and which route was slow.
pub fn service(report: &ServiceReport, out: &mut impl Write) -> io::Result<()> {
    let Latencies {
        requests,
        p50,
        p99,
        max,
    } = report.overall;
    writeln!(
        out,
        "{} workers answered {} of {} in {:.1} s: {}/s; p50 {}, p99 {}, max {}",
        report.workers,
        many(requests, "request", "requests"),
        many(report.clients as u64, "client", "clients"),
        report.time.as_secs_f64(),
        count(report.per_second() as u64),
        duration(p50),
        duration(p99),
        duration(max),
    )?;
    let expired = many(report.expired, "cache entry", "cache entries");
    write!(out, "{expired} expired")?;
    if let Some(lost) = report
        .handled
        .checked_sub(requests)
        .filter(|lost| *lost > 0)
    {
        write!(out, ", {} answered to nobody", count(lost))?;
    }
    writeln!(out, "\n")?;
    routes(&report.routes).write(out)
}

fn routes(routes: &[RouteReport]) -> Table {
    let mut table = Table::new(&[
        ("requests", Align::Right),
        ("p50", Align::Right),
        ("p99", Align::Right),
        ("max", Align::Right),
        ("route", Align::Left),
        ("what it does", Align::Left),
    ]);
    for row in routes {
        let Latencies {
            requests,
            p50,
            p99,
            max,
        } = row.latencies;
        let [p50, p99, max] = [p50, p99, max].map(duration);
        let mut about = row.route.about().to_owned();
        if row.late > 0 {
            about += &format!(": {}", many(row.late, "time", "times"));
        }
        table.row([count(requests), p50, p99, max, row.route.to_string(), about]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use tachograph_demo::service::Route;

    #[test]
    fn the_service_is_one_line_a_route() {
        let ms = Duration::from_millis;
        let latencies = |requests| Latencies {
            requests,
            p50: ms(1),
            p99: ms(7),
            max: ms(2000),
        };
        let report = ServiceReport {
            workers: 2,
            clients: 16,
            time: ms(500),
            overall: latencies(1200),
            routes: vec![RouteReport {
                route: Route::Timer,
                latencies: latencies(1200),
                late: 3,
            }],
            handled: 1201,
            connections: 16,
            expired: 1,
        };
        let mut out = Vec::new();
        service(&report, &mut out).unwrap();
        let shown = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(
            lines[0],
            "2 workers answered 1,200 requests of 16 clients in 0.5 s: 2,400/s; p50 1.0 ms, p99 7.0 ms, max 2.0 s"
        );
        assert_eq!(lines[1], "1 cache entry expired, 1 answered to nobody");
        assert!(lines[4].ends_with("gives up after 10: 3 times"), "{shown}");
        assert_eq!(lines.len(), 5, "{shown}");
    }
}
