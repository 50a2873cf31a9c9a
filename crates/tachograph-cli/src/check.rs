//! `tacho check`: says whether traces are valid.
//!
//! Owns the arguments and the way through a file; `report` is the result, `view` shows it. The reader says whether events can be put in order,
//! its validator whether they can be true.

mod report;
mod view;

use crate::failure::Failure;
use crate::input::Input;
use crate::outcome::Outcome;
use crate::progress::Bar;
use crate::stdout::Stdout;
use report::{Counts, Findings, Report};
use std::io::Write;
use std::path::{Path, PathBuf};
use tachograph_reader::validate::Validator;
use tachograph_reader::{End, Reader};
use tachograph_wire::EventKind;

/// Says whether traces are valid.
///
/// Reads Go's execution trace v2 (Go 1.22 and later). A trace that breaks off is invalid, too. A golden file, which is a trace as text with the
/// verdict that it should get, is held against that verdict.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Traces, or `-` for standard input; gzip and zstd are undone, text traces are encoded.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Print JSON, one object a line for each file; docs/JSON.md lists the keys.
    ///
    /// Keys: file, valid, version, events, samples, generations, error, findings_total, findings, golden. A file that can't be read has an object,
    /// too, with `io: true` in its error.
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let mut out = Stdout::lock();
    let mut outcome = Outcome::Fine;
    for path in &args.files {
        let report = match of_file(path) {
            Ok(report) => report,
            Err(error) => {
                eprintln!("tacho: {error:#}");
                outcome = Outcome::Failed;
                if !args.json {
                    continue;
                }
                Report::of_unreadable(path, format!("{error:#}"))
            }
        };
        if args.json {
            serde_json::to_writer(&mut out, &report)?;
            writeln!(out)?;
        } else {
            view::write(&report, &mut out)?;
        }
        if !report.is_ok() && outcome == Outcome::Fine {
            outcome = Outcome::InvalidTrace;
        }
    }
    out.flush()?;
    Ok(outcome)
}

/// Checks a file; the error is one of reading, never of the trace.
fn of_file(path: &Path) -> anyhow::Result<Report> {
    let mut input = Input::open(path, Bar::Shown)?;
    let (trouble, expects) = (input.trouble(), input.expects.take());
    let mut report = Report::new(path.display().to_string());
    // On one thread: checking is too light for a second one to pay, and one generation is all the memory it takes.
    let failure = match Reader::new(input) {
        Ok(reader) => check(reader, &mut report),
        Err(error) => Some(Failure::of_read(&error)),
    };
    trouble.refuse_io(path)?;
    if let Some(failure) = failure.as_ref().filter(|failure| failure.is_io) {
        anyhow::bail!("{}: {}", path.display(), failure.message);
    }
    report.error = failure;
    if let Some(why) = trouble.content() {
        report.error = Some(Failure::of_content(why, report.error.take()));
    }
    report.hold_against(expects);
    Ok(report)
}

/// Goes through the events; gives why there are no more, if not because they ended.
fn check(mut events: Reader<Input>, report: &mut Report) -> Option<Failure> {
    report.version = Some(format!("1.{}", events.version().minor()));
    let mut validator = Validator::new(events.version());
    let (mut counts, mut findings) = (Counts::default(), Findings::default());
    let failure = loop {
        match events.next_event() {
            Ok(Some(event)) => {
                match event.wire_kind() {
                    None => counts.generations += u64::from(event.generation().is_some()),
                    Some(EventKind::CPUSample) => counts.samples += 1,
                    Some(_) => counts.events += 1,
                }
                if let Err(violations) = validator.event(&event) {
                    findings.add(&violations);
                }
            }
            Ok(None) => break None,
            Err(error) => break Some(Failure::of_read(&error)),
        }
    };
    (report.counts, report.findings) = (counts, findings);
    match (failure, events.end()) {
        (None, Some(End::Truncated(lost))) => Some(Failure::of_cut(lost)),
        (failure, _) => failure,
    }
}
