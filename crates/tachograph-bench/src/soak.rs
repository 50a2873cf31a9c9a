//! `soak`: memory at full event rate, with generations of 10 ms and samples at 99 Hz.
//!
//! Two threads do nothing but open and close regions, tasks and logs. Memory at the end may exceed that at the middle by a tenth and
//! 8 MiB; more fails the run. What may wait for the writer is limited to 16 MiB, so that the backlog of a busy machine comes to its
//! ceiling early and is not mistaken for growth; the gaps that this causes are counted in the summary.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tachograph::{Recorder, log, region, task};

use crate::args::Args;
use crate::failure::Failure;
use crate::machine;
use crate::sink::CountingSink;
use crate::sys::resident_bytes;

const DEFAULT_SECONDS: u64 = 60;
const THREADS: usize = 2;
const GENERATION: Duration = Duration::from_millis(10);
const SAMPLE_HZ: u32 = 99;
const STEP: Duration = Duration::from_secs(5);
const MIB: u64 = 1 << 20;
const BACKLOG_BYTES: usize = 16 << 20;
const SLACK_BYTES: u64 = 8 * MIB;

/// Memory at the three times that are judged.
#[derive(Clone, Copy, Debug)]
struct Resident {
    start: u64,
    middle: u64,
    end: u64,
}

/// Records, prints, judges.
pub fn run(args: &Args) -> Result<(), Failure> {
    let duration = Duration::from_secs(args.only("--seconds", DEFAULT_SECONDS)?);
    machine::print();
    let sink = CountingSink::default();
    let recording = Recorder::new()
        .sample_cpu(SAMPLE_HZ)
        .generation_period(GENERATION)
        .memory_limit(BACKLOG_BYTES)
        .start(sink.clone())?;
    let done = AtomicBool::new(false);
    let resident = std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| annotate(&done));
        }
        let resident = watch(duration, &sink);
        done.store(true, Ordering::Relaxed);
        resident
    })?;
    let summary = recording.stop()?;
    println!("{summary}");
    resident.print();
    resident.judge()
}

fn annotate(done: &AtomicBool) {
    let mut turn = 0_u64;
    while !done.load(Ordering::Relaxed) {
        let request = task("request");
        for _ in 0..100 {
            let _outer = request.region("outer");
            let _inner = region("inner");
            turn += 1;
        }
        log("turn", &turn.to_string());
    }
}

/// Prints the memory every five seconds; returns it at start, middle and end.
fn watch(duration: Duration, sink: &CountingSink) -> Result<Resident, Failure> {
    let began = Instant::now();
    let look = |sink: &CountingSink| -> Result<u64, Failure> {
        let bytes = resident_bytes().map_err(Failure::io("/proc/self/statm"))?;
        let seconds = began.elapsed().as_secs_f64();
        println!(
            "{seconds:>6.1} s  resident {:>6.1} MiB  written {:>8} MiB",
            bytes as f64 / MIB as f64,
            sink.bytes() / MIB
        );
        Ok(bytes)
    };
    // What the first generations allocate is not growth.
    std::thread::sleep(Duration::from_secs(1).min(duration / 10));
    let start = look(sink)?;
    let mut middle = None;
    let mut next = STEP;
    loop {
        let aim = match middle {
            None => next.min(duration / 2),
            Some(_) => next.min(duration),
        };
        std::thread::sleep(aim.saturating_sub(began.elapsed()));
        let bytes = look(sink)?;
        if aim >= next {
            next += STEP;
        }
        if aim >= duration {
            return Ok(Resident {
                start,
                middle: middle.unwrap_or(bytes),
                end: bytes,
            });
        }
        if aim >= duration / 2 {
            middle.get_or_insert(bytes);
        }
    }
}

impl Resident {
    fn most(self) -> u64 {
        self.middle + self.middle / 10 + SLACK_BYTES
    }

    fn print(self) {
        let mib = |bytes: u64| bytes as f64 / MIB as f64;
        println!(
            "resident     start {:.1}, middle {:.1}, end {:.1} MiB",
            mib(self.start),
            mib(self.middle),
            mib(self.end)
        );
    }

    fn judge(self) -> Result<(), Failure> {
        if self.end <= self.most() {
            return Ok(());
        }
        Err(Failure::Judged(format!(
            "memory grew: {} bytes at the end, {} in the middle, wanted at most {}",
            self.end,
            self.middle,
            self.most()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judges_the_end_against_the_middle() {
        let resident = |end| Resident {
            start: 1,
            middle: 100 * MIB,
            end,
        };
        assert!(resident(118 * MIB).judge().is_ok());
        assert!(resident(118 * MIB + 1).judge().is_err());
    }
}
