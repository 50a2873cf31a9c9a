//! The report as text for people.
//!
//! Owns the layout. Called by `stats`. Times count from the start of the trace.

use super::report::{GenerationStats, Report, SampleAccount, TypeCount};
use crate::table::{Align, Table};
use crate::units::{bytes, count, many, percent, seconds};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Generations that are shown at the beginning and at the end, if there are more than both.
const SHOWN_FIRST: usize = 12;
const SHOWN_LAST: usize = 4;
/// What stands where a time is unknown or there is none.
const NONE: &str = "-";

/// Writes all of it.
pub fn write(report: &Report, name: &str, out: &mut impl Write) -> io::Result<()> {
    title(report, name, out)?;
    if report.version.is_none() {
        return Ok(());
    }
    writeln!(out)?;
    summary(report, out)?;
    writeln!(out)?;
    by_type(report, out)?;
    writeln!(out)?;
    generations(report, out)
}

/// Writes what holds for the whole trace.
pub fn summary(report: &Report, out: &mut impl Write) -> io::Result<()> {
    origin(report, out)?;
    totals(report, out)?;
    losses(report, out)
}

/// Writes a word and what there is to say about it.
pub fn line(out: &mut impl Write, word: &str, text: &str) -> io::Result<()> {
    writeln!(out, "{word:<12}{text}")
}

/// Writes which trace it is and whether it is whole.
pub fn title(report: &Report, name: &str, out: &mut impl Write) -> io::Result<()> {
    match &report.version {
        None => writeln!(out, "{name}: no trace")?,
        Some(version) => {
            write!(out, "{name}: go {version} trace, {}", bytes(report.bytes))?;
            if let Some(ns) = report.duration_ns() {
                write!(out, ", {} s", seconds(ns))?;
            }
            writeln!(out)?;
        }
    }
    match &report.error {
        None => Ok(()),
        Some(error) => writeln!(out, "invalid: {}", error.message),
    }
}

fn origin(report: &Report, out: &mut impl Write) -> io::Result<()> {
    if let Some(recorder) = &report.recorder {
        let words = [
            ("clock", &recorder.clock),
            ("fence", &recorder.fence),
            ("unwinder", &recorder.unwinder),
        ];
        let mut text = format!("tachograph {}", recorder.version);
        for (word, value) in words {
            if let Some(value) = value {
                text += &format!(", {word} {value}");
            }
        }
        line(out, "recorder", &text)?;
    }
    if let Some(sampling) = &report.sampling {
        let mut text = sampling.source.clone();
        if let Some(hz) = sampling.hz {
            text += &format!(" at {hz} Hz");
        }
        if let Some(hz) = sampling.tick_hz {
            text += &format!(" (kernel tick {hz} Hz)");
        }
        line(out, "sampling", &text)?;
    }
    Ok(())
}

fn totals(report: &Report, out: &mut impl Write) -> io::Result<()> {
    line(out, "generations", &count(report.generations.len() as u64))?;
    line(out, "events", &count(report.events))?;
    let seen = &report.seen;
    let mut text = [
        many(seen.threads, "thread", "threads"),
        many(seen.procs, "proc", "procs"),
        many(seen.tasks, "task", "tasks"),
        many(seen.user_tasks, "annotation task", "annotation tasks"),
    ]
    .join(", ");
    if seen.at_least {
        text += " (at least)";
    }
    line(out, "seen", &text)?;
    line(out, "samples", &samples(report))
}

/// Samples with their weight, and the CPU time that they stand for.
fn samples(report: &Report) -> String {
    let samples = &report.samples;
    let mut text = format!("{}, weight {}", count(samples.count), count(samples.weight));
    let hz = report.sampling.as_ref().and_then(|sampling| sampling.hz);
    if let Some(hz) = hz.filter(|hz| *hz > 0) {
        text += &format!(" = {:.3} s of CPU time", samples.weight as f64 / hz as f64);
    }
    text
}

/// Where samples went, as a sum.
fn account(account: &SampleAccount) -> String {
    let lost = account
        .lost
        .values()
        .fold(0_u64, |sum, count| sum.saturating_add(*count));
    let mut text = format!(
        "{} handled = {} written + {} lost",
        count(account.handled),
        count(account.emitted),
        count(lost)
    );
    text += &in_brackets(&account.lost);
    let incomplete = account
        .incomplete
        .values()
        .fold(0_u64, |sum, count| sum.saturating_add(*count));
    if incomplete > 0 {
        text += &format!("; {} with part of the stack missing", count(incomplete));
        text += &in_brackets(&account.incomplete);
    }
    text
}

fn in_brackets(causes: &BTreeMap<String, u64>) -> String {
    if causes.is_empty() {
        return String::new();
    }
    let each = causes
        .iter()
        .map(|(cause, number)| format!("{cause} {}", count(*number)));
    format!(" ({})", each.collect::<Vec<_>>().join(", "))
}

fn losses(report: &Report, out: &mut impl Write) -> io::Result<()> {
    if let Some(found) = &report.samples.account {
        line(out, "", &account(found))?;
    }
    let lost = &report.events_lost;
    if lost.reentrant.saturating_add(lost.unrecorded) > 0 {
        let (reentrant, unrecorded) = (count(lost.reentrant), count(lost.unrecorded));
        let text = format!(
            "events: {reentrant} within another event, {unrecorded} for want of a record or of memory"
        );
        line(out, "lost", &text)?;
    }
    let gaps = &report.gaps;
    if gaps.count > 0 {
        let number = many(gaps.count, "gap", "gaps");
        let text = format!(
            "{number} of {} s{}",
            seconds(gaps.total_ns),
            in_brackets(&gaps.by_cause)
        );
        line(out, "lost", &text)?;
    }
    if report.unreadable_metadata > 0 {
        let text = many(
            report.unreadable_metadata,
            "metadata string",
            "metadata strings",
        );
        line(out, "unreadable", &text)?;
    }
    Ok(())
}

fn by_type(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let mut table = Table::new(&[
        ("event", Align::Left),
        ("count", Align::Right),
        ("bytes", Align::Right),
        ("share", Align::Right),
    ]);
    let mut types: Vec<(&str, &TypeCount)> = report
        .by_type
        .iter()
        .map(|(name, found)| (*name, found))
        .collect();
    types.sort_by_key(|(name, found)| (std::cmp::Reverse(found.bytes), *name));
    for (name, found) in types {
        let share = percent(found.bytes, report.bytes);
        table.row([
            name.to_owned(),
            count(found.count),
            count(found.bytes),
            share,
        ]);
    }
    table.write(out)
}

fn generations(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let mut table = Table::new(&[
        ("gen", Align::Right),
        ("start s", Align::Right),
        ("end s", Align::Right),
        ("events", Align::Right),
        ("samples", Align::Right),
        ("weight", Align::Right),
        ("first sample s", Align::Right),
        ("last sample s", Align::Right),
    ]);
    let all = &report.generations;
    let zero = all.iter().filter_map(|one| one.start_ns).min();
    if all.len() <= SHOWN_FIRST + SHOWN_LAST {
        all.iter().for_each(|one| table.row(generation(one, zero)));
        return table.write(out);
    }
    let (first, rest) = all.split_at(SHOWN_FIRST);
    let (left_out, last) = rest.split_at(rest.len() - SHOWN_LAST);
    first
        .iter()
        .for_each(|one| table.row(generation(one, zero)));
    table.row(["..".to_owned()]);
    last.iter().for_each(|one| table.row(generation(one, zero)));
    table.write(out)?;
    writeln!(
        out,
        "{} not shown; --json has all",
        many(left_out.len() as u64, "generation", "generations")
    )
}

fn generation(one: &GenerationStats, zero: Option<i64>) -> [String; 8] {
    let at = |time: Option<i64>| match (time, zero) {
        (Some(time), Some(zero)) => seconds(time.saturating_sub(zero)),
        _ => NONE.to_owned(),
    };
    [
        one.r#gen.to_string(),
        at(one.start_ns),
        at(one.end_ns),
        count(one.events),
        count(one.samples),
        count(one.weight),
        at(one.first_sample_ns),
        at(one.last_sample_ns),
    ]
}
