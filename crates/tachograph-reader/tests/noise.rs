//! What may not matter doesn't: the order of batches in the file, and what clocks say.
//!
//! Sequence numbers and the order within each thread carry the truth. Clocks only choose among what can happen.

mod common;
#[path = "common/dice.rs"]
mod dice;
#[path = "common/program.rs"]
mod program;

use common::read;
use dice::Dice;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use tachograph_reader::{Change, Event, Kind, Resource};
use tachograph_text::golden::load_dir;
use tachograph_text::{decode, encode};
use tachograph_wire::{Item, Items, ThreadId};

const ROUNDS: u64 = 3;

fn testdata(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata")
        .join(folder)
}

/// Good traces: goldens, what Go programs recorded, and made ones.
fn traces() -> Vec<(String, Vec<u8>)> {
    let mut traces = Vec::new();
    for (name, golden) in load_dir(&testdata("golden")).expect("goldens can be read") {
        let trace = golden.to_trace().expect("loaded goldens can be encoded");
        if read(&trace, |_| {}).is_ok() {
            traces.push((name, trace));
        }
    }
    for entry in fs::read_dir(testdata("go")).expect("testdata/go is there") {
        let path = entry.expect("testdata/go can be listed").path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.ends_with(".trace.zst") {
            let packed = fs::File::open(&path).expect("a listed file opens");
            traces.push((name, zstd::decode_all(packed).expect("packed by record-go")));
        }
    }
    traces.extend((0..8).map(|seed| (format!("program {seed}"), program::trace(seed))));
    assert!(traces.len() > 50, "{} traces", traces.len());
    traces
}

/// What an event says, but for its time and place.
fn words(event: &Event<'_>) -> String {
    let (thread, proc, task) = (event.thread(), event.proc(), event.task());
    format!(
        "{:?} {thread:?} {proc:?} {task:?} {:?}",
        event.wire_kind(),
        event.kind()
    )
}

/// All events with their times.
fn ordered(name: &str, trace: &[u8]) -> Vec<(i64, String)> {
    let mut events = Vec::new();
    let read = read(trace, |event| events.push((event.time().0, words(event))));
    assert!(read.is_ok(), "{name}: {}", read.unwrap_err());
    events
}

/// Events whose times are one nanosecond apart may have been at the same time; they are put in the order of their words.
fn without_ties(mut events: Vec<(i64, String)>) -> Vec<(i64, String)> {
    let times: Vec<i64> = events.iter().map(|(time, _)| *time).collect();
    let run_of = |pair: &(i64, String), next: &(i64, String)| pair.0 + 1 >= next.0;
    for run in events.chunk_by_mut(run_of) {
        run.sort_by(|a, b| a.1.cmp(&b.1));
    }
    let words = events.into_iter().map(|(_, words)| words);
    times.into_iter().zip(words).collect()
}

/// A batch at time 0 has no time, for Go and so for us: then the earliest time of a generation depends on what follows it.
fn has_batch_at_zero(trace: &[u8]) -> bool {
    let mut items = Items::new(trace).expect("a good trace");
    items.any(|item| matches!(item, Ok(Item::Batch(batch)) if batch.header.time.0 == 0))
}

/// The same trace with the batches of each generation in another order, but those of each thread in their own.
fn shuffled(trace: &[u8], dice: &mut Dice) -> Vec<u8> {
    let items = Items::new(trace).expect("a good trace");
    let mut out = trace[..16].to_vec();
    let mut open = None;
    let mut queues: BTreeMap<ThreadId, Vec<&[u8]>> = BTreeMap::new();
    for item in items {
        match item.expect("a good trace") {
            Item::Batch(batch) => {
                if open != Some(batch.header.generation) {
                    flush(&mut queues, dice, &mut out);
                    open = Some(batch.header.generation);
                }
                let start = batch.offset.0 as usize;
                let end = batch.payload_offset.0 as usize + batch.payload.len();
                queues
                    .entry(batch.header.thread)
                    .or_default()
                    .push(&trace[start..end]);
            }
            _ => {
                flush(&mut queues, dice, &mut out);
                out.push(tachograph_wire::EventKind::EndOfGeneration.code());
                open = None;
            }
        }
    }
    flush(&mut queues, dice, &mut out);
    assert_eq!(out.len(), trace.len());
    out
}

fn flush(queues: &mut BTreeMap<ThreadId, Vec<&[u8]>>, dice: &mut Dice, out: &mut Vec<u8>) {
    let mut queues: Vec<_> = std::mem::take(queues)
        .into_values()
        .map(|mut queue| {
            queue.reverse();
            queue
        })
        .collect();
    while !queues.is_empty() {
        let at = dice.below(queues.len());
        match queues[at].pop() {
            Some(batch) => out.extend_from_slice(batch),
            None => drop(queues.swap_remove(at)),
        }
    }
}

#[test]
fn batches_of_a_generation_may_come_in_any_order() {
    let mut dice = Dice::new(5);
    let mut changed = 0;
    for (name, trace) in traces() {
        if has_batch_at_zero(&trace) {
            continue;
        }
        let wanted = without_ties(ordered(&name, &trace));
        for _ in 0..ROUNDS {
            let other = shuffled(&trace, &mut dice);
            changed += u64::from(other != trace);
            let found = without_ties(ordered(&name, &other));
            let differs = wanted.iter().zip(&found).find(|(a, b)| a != b);
            assert_eq!(differs, None, "{name}");
            assert_eq!(wanted.len(), found.len(), "{name}");
        }
    }
    assert!(changed > 50, "{changed} traces became others");
}

/// The changes of each task and proc, in their order.
fn histories(trace: &[u8]) -> Result<HashMap<Resource, Vec<String>>, String> {
    let mut histories: HashMap<Resource, Vec<String>> = HashMap::new();
    let read = read(trace, |event| {
        let Kind::Transition(transition) = event.kind() else {
            return;
        };
        let resource = match transition.change {
            Change::Task { id, .. } => Resource::Task(id),
            Change::Proc { id, .. } => Resource::Proc(id),
        };
        let words = format!(
            "{:?} {:?} {:?}",
            event.wire_kind(),
            event.thread(),
            transition
        );
        histories.entry(resource).or_default().push(words);
    });
    read.map(|_| histories)
        .map_err(|refused| refused.to_string())
}

/// Sets a number of a line of the text form.
fn set(line: &str, key: &str, change: impl FnOnce(u64) -> u64) -> String {
    let Some((before, rest)) = line.split_once(key) else {
        return line.to_owned();
    };
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let number = rest[..end].parse().expect("a number of the text form");
    format!("{before}{key}{}{}", change(number), &rest[end..])
}

/// The same trace with other times of events. Those of the clock and of samples stay.
fn with_times(
    trace: &[u8],
    dt: impl Fn(u64) -> u64,
    mut base: impl FnMut(&str, u64) -> u64,
) -> Vec<u8> {
    // Some goldens have events that their version does not name.
    let Ok(text) = decode(trace) else {
        return trace.to_vec();
    };
    let lines = text.lines().map(|line| {
        let timed = line.contains(" dt=") && !line.starts_with("ClockSnapshot");
        if timed {
            return set(line, " dt=", &dt);
        }
        let batch = line
            .strip_prefix("EventBatch gen=")
            .and_then(|rest| rest.split(' ').nth(1));
        match batch {
            Some(thread) if thread != "m=18446744073709551615" => {
                set(line, " time=", |time| base(thread, time))
            }
            _ => line.to_owned(),
        }
    });
    let changed: Vec<String> = lines.collect();
    let sized = tachograph_text::resize(&changed.join("\n")).expect("still a text trace");
    encode(&sized).expect("still a text trace")
}

/// A task that is born in a system call, on a thread from outside, has no sequence number, and its id may be that of one that ended on
/// another thread: there, clocks are needed.
const NEED_CLOCKS: &str = "callbacks";

fn traces_without_need_of_clocks() -> Vec<(String, Vec<u8>)> {
    let mut traces = traces();
    traces.retain(|(name, _)| !name.starts_with(NEED_CLOCKS));
    traces
}

/// Where the histories of two traces part.
fn parting(name: &str, trace: &[u8], other: &[u8]) -> Option<String> {
    let (wanted, found) = (histories(trace), histories(other));
    let (wanted, found) = match (wanted, found) {
        (Ok(wanted), Ok(found)) => (wanted, found),
        (wanted, found) => return Some(format!("{name}: {:?} {:?}", wanted.err(), found.err())),
    };
    let mut resources: Vec<_> = wanted.keys().chain(found.keys()).collect();
    resources.sort();
    resources.into_iter().find_map(|resource| {
        let of =
            |all: &HashMap<Resource, Vec<String>>| all.get(resource).cloned().unwrap_or_default();
        let (wanted, found) = (of(&wanted), of(&found));
        let at = (0..wanted.len().max(found.len())).find(|at| wanted.get(*at) != found.get(*at))?;
        let (wanted, found) = (wanted.get(at), found.get(at));
        Some(format!(
            "{name}: {resource:?}, change {at}:\n  found {found:?}\n  wanted {wanted:?}"
        ))
    })
}

#[test]
fn clocks_may_stand_still() {
    let (mut wrong, mut changed) = (Vec::new(), 0);
    for (name, trace) in traces_without_need_of_clocks() {
        let other = with_times(&trace, |_| 0, |_, time| time);
        wrong.extend(parting(&name, &trace, &other));
        let other = with_times(&trace, |_| 0, |_, _| 1000);
        changed += usize::from(other != trace);
        wrong.extend(parting(&name, &trace, &other));
    }
    assert!(changed > 50, "{changed} traces became others");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn clocks_of_threads_may_disagree() {
    let mut dice = Dice::new(6);
    let (mut wrong, mut changed) = (Vec::new(), 0);
    for (name, trace) in traces_without_need_of_clocks() {
        for _ in 0..ROUNDS {
            let mut offsets: HashMap<String, u64> = HashMap::new();
            let other = with_times(
                &trace,
                |dt| dt,
                |thread, time| {
                    let offset = offsets.entry(thread.to_owned());
                    time + *offset.or_insert_with(|| dice.next() % 2_000_000)
                },
            );
            changed += usize::from(other != trace);
            wrong.extend(parting(&name, &trace, &other));
        }
    }
    assert!(changed > 50, "{changed} traces became others");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
