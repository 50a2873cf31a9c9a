//! `tacho demo`: records a real program, this one, while it hashes and compresses the files of a directory.
//!
//! Owns the arguments and the recording; `workload` is what is recorded, `hot` finds the functions that took the
//! time, `view` says what came of it. What it says, it reads from the file that it has just written.

mod files;
mod hot;
mod queue;
mod view;
mod workload;

use crate::outcome::Outcome;
use crate::progress::Countdown;
use crate::stats;
use crate::stdout::Stdout;
use anyhow::Context;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use workload::{Crew, Work};

/// The project's own sources, on the machine where they were compiled.
const OWN_SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// Longer recordings than a day are a slip of the finger.
const MOST_SECONDS: f64 = 86_400.0;
/// How often we look whether time is up.
const LOOK: Duration = Duration::from_millis(100);

/// Records a workload: threads that hash and compress the files of a directory, with tasks, regions, logs and CPU
/// samples.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Where the trace goes; a file that is there is overwritten.
    #[arg(long, value_name = "FILE", default_value = "tachograph-demo.trace")]
    out: PathBuf,
    /// How long to record.
    #[arg(long, value_name = "N", default_value = "5", value_parser = seconds)]
    seconds: Duration,
    /// Whose files to work on [default: the sources of this program, or else the current directory].
    #[arg(long)]
    dir: Option<PathBuf>,
    /// CPU samples per second of CPU time.
    #[arg(long, value_name = "N", default_value_t = 99, value_parser = rate())]
    hz: u32,
}

/// Runs the subcommand.
pub fn run(args: Args) -> anyhow::Result<Outcome> {
    let dir = args.dir.clone().unwrap_or_else(default_dir);
    files::refuse_without_files(&dir)?;
    let (work, summary) = record(&args, &dir)?;
    let mut out = io::BufWriter::new(Stdout::lock());
    view::work(&work, args.seconds, &mut out)?;
    // A pipe or a device can't be read a second time; the recorder's own account must do.
    if !args.out.is_file() {
        writeln!(out, "\n{summary}")?;
        out.flush()?;
        return Ok(Outcome::Fine);
    }
    let report = stats::of_file(&args.out)?;
    let hot = hot::of_file(&args.out)?;
    view::trace(&args.out, &report, &summary, &hot, &mut out)?;
    out.flush()?;
    match &report.error {
        None => Ok(Outcome::Fine),
        Some(error) => {
            eprintln!("tacho: {}: {error}", args.out.display());
            Ok(Outcome::InvalidTrace)
        }
    }
}

fn record(args: &Args, dir: &Path) -> anyhow::Result<(Work, tachograph::Summary)> {
    let name = args.out.display().to_string();
    let file = File::create(&args.out)
        .with_context(|| format!("can't write {name}; --out FILE puts the trace elsewhere"))?;
    let recording = tachograph::Recorder::new()
        .sample_cpu(args.hz)
        .start(file)
        .context("can't start recording")?;
    let countdown = Countdown::new(&format!("recording to {name}"), args.seconds);
    let work = workload_for(args.seconds, dir, &countdown);
    drop(countdown);
    let stopped = recording.stop();
    let summary = stopped.with_context(|| format!("can't write {name}"))?;
    Ok((work?, summary))
}

/// Lets a crew work until time is up.
fn workload_for(time: Duration, dir: &Path, countdown: &Countdown) -> anyhow::Result<Work> {
    let started = Instant::now();
    let crew = Crew::start(dir).context("can't start a thread")?;
    loop {
        let left = time.saturating_sub(started.elapsed());
        if left.is_zero() {
            break;
        }
        tachograph::blocking("time to pass", || std::thread::sleep(left.min(LOOK)));
        countdown.at(started.elapsed());
    }
    Ok(crew.finish())
}

fn default_dir() -> PathBuf {
    let sources = Path::new(OWN_SOURCES);
    if sources.is_dir() {
        // The way to the sources goes down and up again; nobody wants to read that.
        return sources
            .canonicalize()
            .unwrap_or_else(|_| sources.to_owned());
    }
    PathBuf::from(".")
}

/// Refuses what the recorder would refuse, before a file is overwritten for nothing.
fn rate() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(tachograph::MAX_SAMPLE_HZ))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let wanted = format!("wanted a number of seconds over 0 and up to {MOST_SECONDS}");
    let seconds: f64 = text.parse().map_err(|_| wanted.clone())?;
    if seconds > 0.0 && seconds <= MOST_SECONDS {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_times_that_are_no_times() {
        for text in ["", "0", "-1", "nan", "inf", "1e9", "5s"] {
            assert!(seconds(text).is_err(), "{text:?}");
        }
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
    }

    #[test]
    fn works_on_a_directory_that_exists() {
        assert!(default_dir().is_dir());
    }
}
