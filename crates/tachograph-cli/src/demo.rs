//! `tacho demo`: records a real program, this one, while it answers requests or works on files.
//!
//! Owns the arguments and the recording; the workloads are a crate of their own, `tachograph-demo`. `hot` finds the functions
//! that took the time, `view` says what came of it. What it says of the trace, it reads from the file that it has just
//! written.

mod hot;
mod view;

use crate::outcome::Outcome;
use crate::progress::Countdown;
use crate::stats;
use crate::stdout::Stdout;
use anyhow::Context;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tachograph_demo::DemoError;
use tachograph_demo::files::{self, Work};
use tachograph_demo::service::{self, ServiceReport};

/// The project's own sources, on the machine where they were compiled.
const OWN_SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// Longer recordings than a day are a slip of the finger.
const MOST_SECONDS: f64 = 86_400.0;

/// Records a workload of this program's own, with tasks, regions, logs and CPU samples.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Where the trace goes; a file that is there is overwritten.
    #[arg(long, value_name = "FILE", default_value = "tachograph-demo.trace")]
    out: PathBuf,
    /// How long to record.
    #[arg(long, value_name = "N", default_value = "5", value_parser = seconds)]
    seconds: Duration,
    /// What to record.
    #[arg(long, value_name = "NAME", default_value = "service")]
    workload: Workload,
    /// Whose files to work on, with `--workload files` [default: the sources of this program, or else the current directory].
    #[arg(long)]
    dir: Option<PathBuf>,
    /// CPU samples per second of CPU time.
    #[arg(long, value_name = "N", default_value_t = 99, value_parser = rate())]
    hz: u32,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Workload {
    /// A service on axum, hyper and Tokio under the load of its own clients, over 127.0.0.1.
    Service,
    /// Threads that hash and compress the files of a directory.
    Files,
}

/// A workload with all that it needs.
enum Plan {
    Service,
    Files { dir: PathBuf },
}

/// What a workload has done.
enum Done {
    Service(ServiceReport),
    Files(Work),
}

/// Runs the subcommand.
pub fn run(args: Args) -> anyhow::Result<Outcome> {
    let plan = Plan::new(&args)?;
    let (done, summary) = record(&args, &plan)?;
    let mut out = io::BufWriter::new(Stdout::lock());
    match &done {
        Done::Service(report) => view::service(report, &mut out)?,
        Done::Files(work) => view::files(work, args.seconds, &mut out)?,
    }
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

impl Plan {
    /// Refuses what can't work, before a file is overwritten for it.
    fn new(args: &Args) -> anyhow::Result<Self> {
        match (args.workload, &args.dir) {
            (Workload::Service, None) => Ok(Self::Service),
            (Workload::Service, Some(_)) => {
                anyhow::bail!("the service works on no directory; --dir goes with --workload files")
            }
            (Workload::Files, dir) => {
                let dir = dir.clone().unwrap_or_else(default_dir);
                files::refuse_without_files(&dir).map_err(with_hint)?;
                Ok(Self::Files { dir })
            }
        }
    }

    fn run(&self, time: Duration, progress: impl FnMut(Duration)) -> anyhow::Result<Done> {
        match self {
            Self::Service => service::run(time, progress).map(Done::Service),
            Self::Files { dir } => files::run(dir, time, progress).map(Done::Files),
        }
        .map_err(with_hint)
    }
}

fn record(args: &Args, plan: &Plan) -> anyhow::Result<(Done, tachograph::Summary)> {
    let name = args.out.display().to_string();
    let file = File::create(&args.out)
        .with_context(|| format!("can't write {name}; --out FILE puts the trace elsewhere"))?;
    let recording = tachograph::Recorder::new()
        .sample_cpu(args.hz)
        .start(file)
        .context("can't start recording")?;
    let countdown = Countdown::new(&format!("recording to {name}"), args.seconds);
    let done = plan.run(args.seconds, |elapsed| countdown.at(elapsed));
    drop(countdown);
    let stopped = recording.stop();
    let summary = stopped.with_context(|| format!("can't write {name}"))?;
    Ok((done?, summary))
}

/// Adds which argument helps, where one does.
fn with_hint(error: DemoError) -> anyhow::Error {
    match error {
        DemoError::UnreadableDirectory { .. } | DemoError::NoFiles { .. } => {
            anyhow::anyhow!("{error}; --dir names another directory")
        }
        _ => error.into(),
    }
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
