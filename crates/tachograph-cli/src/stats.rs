//! `tacho stats`: counts what is in a trace.
//!
//! Owns the arguments and the way through the file; `tally` counts events, `sizes` bytes, `report` is the result, `view` shows it. Reads the
//! file once, front to back, and keeps of each generation one line.

mod counted;
mod distinct;
mod generation;
mod report;
mod sizes;
mod tally;
pub mod view;

#[cfg(test)]
mod tests;

pub use report::Report;

use crate::input::{self, Input};
use crate::outcome::Outcome;
use crate::progress::Bar;
use crate::stdout::Stdout;
use counted::Counted;
use report::Failure;
use std::io::{self, Read, Write};
use std::path::Path;
use tachograph_reader::{End, ReadError, Reader};
use tally::Tally;

/// Counts what is in a trace: events and bytes by type, samples, losses, generations.
///
/// Reads every version of Go's execution trace v2 (Go 1.22 and later). A trace that breaks off or is broken is
/// counted up to there, and the exit status is 1.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[command(flatten)]
    file: input::One,
    /// Print JSON, with all generations and all times in nanoseconds; docs/JSON.md lists the keys.
    ///
    /// Keys: version, bytes, error, events, by_type, seen, samples, events_lost, gaps, recorder, sampling, unreadable_metadata, generations.
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let path = &args.file.path;
    let name = path.display().to_string();
    let report = of_file(path)?;
    let mut out = io::BufWriter::new(Stdout::lock());
    if args.json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        view::write(&report, &name, &mut out)?;
    }
    out.flush()?;
    match &report.error {
        None => Ok(Outcome::Fine),
        Some(error) => {
            eprintln!("tacho: {name}: {error}");
            Ok(Outcome::InvalidTrace)
        }
    }
}

/// Counts what is in a file, or in what comes from standard input.
pub fn of_file(path: &Path) -> anyhow::Result<Report> {
    let input = Input::open(path, Bar::Shown)?;
    let trouble = input.trouble();
    let report = of_input(input);
    trouble.refuse_io(path)?;
    let mut report = report?;
    if let Some(why) = trouble.content() {
        // That nothing at all is no trace needn't be said.
        let inside = report.error.take().filter(|inside| inside.offset > 0);
        report.error = Some(Failure::of_content(&why, inside));
    }
    Ok(report)
}

/// Counts what is in an input; the error is one of reading, never of the trace.
fn of_input(input: impl Read) -> anyhow::Result<Report> {
    let (counted, sums) = Counted::new(input);
    let mut reader = match Reader::new(counted) {
        Ok(reader) => reader,
        Err(error) => return Ok(Report::of_bad_header(failure(&error)?)),
    };
    let mut tally = Tally::new(reader.version());
    let error = loop {
        match reader.next_event() {
            Ok(Some(event)) => tally.add(&event),
            Ok(None) => break None,
            Err(error) => break Some(failure(&error)?),
        }
    };
    let error = match (error, reader.end()) {
        (None, Some(End::Truncated(cut))) => Some(Failure::from(&**cut)),
        (error, _) => error,
    };
    Ok(tally.finish(&sums.finish(), error))
}

fn failure(error: &ReadError) -> anyhow::Result<Failure> {
    match error {
        ReadError::Io(kind) => anyhow::bail!("can't read: {kind}"),
        error => Ok(Failure::from(error)),
    }
}
