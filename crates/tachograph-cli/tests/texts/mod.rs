//! Holds what `tacho dump` prints against what Go printed for the same trace, line by line.
//!
//! Everything must be the same, the order of events with equal times too: Go's reader is deterministic, and ours orders as it does. Only
//! CPU samples are free to stand in another order among themselves where their raw times are equal, because Go's sort of them is not
//! stable; see `equal_samples`.

use std::path::Path;
use std::process::{Command, Stdio};

/// Lines shown before and after the first one that differs.
const NEIGHBOURS: usize = 6;

/// The forms: for `tacho dump --format`, and as the file's name has it.
pub const FORMS: [(&str, &str); 2] = [("go", "parsed"), ("wire", "wire")];

/// What `tacho dump` prints for the trace; an exit status other than 0 is an error.
pub fn dump(tacho: &Path, format: &str, trace: &Path) -> Result<Vec<u8>, String> {
    let mut command = Command::new(tacho);
    command.args(["dump", "--format", format]).arg(trace);
    command.env("TZ", "UTC").stdin(Stdio::null());
    let output = command.output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(format!(
            "tacho dump --format {format} {}: {}, {}",
            trace.display(),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

/// Whether both texts are the same; if not, where they begin to differ.
pub fn compare(what: &str, ours: &[u8], go: &[u8]) -> Result<(), String> {
    if ours == go {
        return Ok(());
    }
    let [ours, go] = [ours, go].map(|text| text.split(|&byte| byte == b'\n').collect::<Vec<_>>());
    let mut at = 0;
    while at < ours.len().max(go.len()) {
        if ours.get(at) == go.get(at) {
            at += 1;
            continue;
        }
        match equal_samples(&ours, &go, at) {
            Some(end) => at = end,
            None => return Err(difference(what, &ours, &go, at)),
        }
    }
    Ok(())
}

/// A sample and what belongs to it: the lines up to the next event.
type Sample<'a> = (Vec<&'a [u8]>, i64);

/// If a group of samples with equal raw times begins at or around `at`, and both texts have the same samples there in another order: where
/// the group ends.
///
/// Times are printed after each was put after the one before, so a group shows as times in steps of 1 ns; a sample's time is left out of the
/// comparison.
fn equal_samples(ours: &[&[u8]], go: &[&[u8]], at: usize) -> Option<usize> {
    let begin = (0..=at)
        .rev()
        .find(|&line| is_event(go[line.min(go.len() - 1)]))?;
    let first = sample_time(go.get(begin)?)?;
    // The first of the group may stand before the line that differs.
    let mut begin = begin;
    let mut time = first;
    while let Some(before) = (0..begin).rev().find(|&line| is_event(go[line])) {
        match sample_time(go[before]) {
            Some(earlier) if earlier + 1 == time => (begin, time) = (before, earlier),
            _ => break,
        }
    }
    let (mut of_ours, end) = group(ours, begin, time)?;
    let (mut of_go, end_of_go) = group(go, begin, time)?;
    of_ours.sort();
    of_go.sort();
    (end > at && end == end_of_go && of_ours == of_go).then_some(end)
}

/// The samples from line `begin` on whose times go on in steps of 1 ns from `time`, and the line behind them.
fn group<'a>(lines: &[&'a [u8]], begin: usize, time: i64) -> Option<(Vec<Vec<&'a [u8]>>, usize)> {
    let (mut samples, mut at) = (Vec::new(), begin);
    while let Some((sample, found)) = sample(lines, at) {
        if found != time + samples.len() as i64 {
            break;
        }
        at += sample.len();
        samples.push(sample);
    }
    // The times, which belong to the places and not to the samples.
    for sample in &mut samples {
        let first = sample.first_mut()?;
        let cut = first.windows(6).position(|word| word == b" Time=")?;
        *first = &first[..cut];
    }
    (samples.len() > 1).then_some((samples, at))
}

fn sample<'a>(lines: &[&'a [u8]], at: usize) -> Option<Sample<'a>> {
    let time = sample_time(lines.get(at)?)?;
    let more = lines[at + 1..].iter().take_while(|line| !is_event(line));
    let sample = std::iter::once(&lines[at]).chain(more).copied().collect();
    Some((sample, time))
}

fn is_event(line: &[u8]) -> bool {
    line.starts_with(b"M=")
}

fn sample_time(line: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(line).ok()?;
    let (_, time) = text.split_once(" StackSample Time=")?;
    time.split(' ').next()?.parse().ok()
}

fn difference(what: &str, ours: &[&[u8]], go: &[&[u8]], at: usize) -> String {
    let line = |lines: &[&[u8]], at: usize| {
        let line = lines.get(at).map(|line| String::from_utf8_lossy(line));
        line.map_or("(no more lines)".to_owned(), |line| line.into_owned())
    };
    let first = at.saturating_sub(NEIGHBOURS);
    let mut text = format!(
        "{what}: line {} differs ({} lines of ours, {} of Go's)\n",
        at + 1,
        ours.len(),
        go.len()
    );
    for before in first..at {
        text += &format!("          {}\n", line(go, before));
    }
    for (who, lines) in [("ours", ours), ("Go", go)] {
        for place in at..=at + NEIGHBOURS {
            text += &format!("{who:>8}: {}\n", line(lines, place));
        }
    }
    text
}
