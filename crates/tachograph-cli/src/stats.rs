//! `tacho stats`: counts what is in a trace.
//!
//! Owns the arguments and the way through the file; `tally` counts, `report` is the result, `view` shows it. Reads
//! the file once, front to back, and keeps of each generation one line.

mod breakage;
mod distinct;
mod generation;
mod report;
mod tally;
mod times;
pub mod view;

#[cfg(test)]
mod tests;

pub use report::Report;

use crate::outcome::Outcome;
use crate::progress::Progress;
use anyhow::Context;
use breakage::Breakage;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use tachograph_wire::{Problem, TraceItems};
use tally::Tally;

/// Counts what is in a trace: events and bytes by type, samples, losses, generations.
///
/// Reads every version of Go's execution trace v2 (Go 1.22 and later). A trace that breaks off or is broken is
/// counted up to there, and the exit status is 1.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// The trace, or `-` for standard input.
    file: PathBuf,
    /// Print JSON, with all generations and all times in nanoseconds.
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let name = args.file.display().to_string();
    let report = if args.file == Path::new("-") {
        of_reader("-", io::stdin().lock(), None)?
    } else {
        of_file(&args.file)?
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
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

/// Counts what is in a file.
pub fn of_file(path: &Path) -> anyhow::Result<Report> {
    let name = path.display().to_string();
    let file = File::open(path).with_context(|| format!("can't open {name}"))?;
    let metadata = file
        .metadata()
        .with_context(|| format!("can't open {name}"))?;
    let size = metadata.is_file().then_some(metadata.len());
    of_reader(&name, file, size)
}

/// Counts what a reader yields; the error is one of reading, never of the trace.
fn of_reader(name: &str, reader: impl Read, size: Option<u64>) -> anyhow::Result<Report> {
    let mut progress = Progress::new(size);
    let mut items = match TraceItems::new(reader) {
        Ok(items) => items,
        Err(error) => {
            refuse_io_errors(name, &error.problem)?;
            return Ok(Report::of_bad_header(&Breakage::of_item(error)));
        }
    };
    let mut tally = Tally::new(items.version());
    let breakage = loop {
        let added = match items.next_item() {
            None => break tally.end(items.offset()).err(),
            Some(Ok(item)) => tally.add(item),
            Some(Err(error)) => {
                refuse_io_errors(name, &error.problem)?;
                Err(Breakage::of_item(error))
            }
        };
        if let Err(breakage) = added {
            break Some(breakage);
        }
        progress.at(items.offset().0);
    };
    Ok(tally.finish(breakage))
}

fn refuse_io_errors(name: &str, problem: &Problem) -> anyhow::Result<()> {
    match problem {
        Problem::Io(kind) => anyhow::bail!("can't read {name}: {kind}"),
        _ => Ok(()),
    }
}
