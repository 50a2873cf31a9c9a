//! The verdict as text for people: one line a file, and one for each finding.
//!
//! Owns the layout. Called by `check`.

use super::report::Report;
use crate::units::{count, many};
use std::io::{self, Write};

/// Writes the verdict on a file.
pub fn write(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let file = &report.file;
    if let Some(golden) = &report.golden {
        return match (&golden.mismatch, report.verdict()) {
            (Some(mismatch), _) => writeln!(out, "{file}: {mismatch}"),
            (None, Ok(())) => writeln!(out, "{file}: ok as expected, {}", counts(report)),
            (None, Err(why)) => writeln!(out, "{file}: ok, fails as expected: {why}"),
        };
    }
    let found = &report.findings;
    match &report.error {
        Some(failure) => writeln!(out, "{file}: {}", failure.message)?,
        None if found.findings_total == 0 => {
            return writeln!(out, "{file}: ok, {}", counts(report));
        }
        None => {
            let number = many(found.findings_total, "finding", "findings");
            writeln!(out, "{file}: {number}, {}", counts(report))?;
        }
    }
    for finding in &found.findings {
        writeln!(out, "  {}", finding.message)?;
    }
    let more = found.findings_total - found.findings.len() as u64;
    if more > 0 {
        writeln!(out, "  and {} more", count(more))?;
    }
    Ok(())
}

fn counts(report: &Report) -> String {
    let counts = &report.counts;
    format!(
        "go {} trace, {}, {}, {}",
        report.version.as_deref().unwrap_or_default(),
        many(counts.events, "event", "events"),
        many(counts.samples, "sample", "samples"),
        many(counts.generations, "generation", "generations"),
    )
}
