//! What holds for every trace that the recorder writes, whatever the program does.
//!
//! [`verify`] is the one door: every trace that a test records goes through it. It takes the trace apart, holds it against
//! the rules below, puts it through our reader and validator, and asks Go's when Go is there.
//!
//! # Rules
//! 1. Generations are consecutive, each with one sync batch, first, and an end byte.
//! 2. Ids of strings and stacks are defined once, in the generation that uses them.
//! 3. Per thread and generation, times increase within a batch and never fall between batches. (From one generation to the next they
//!    may: what the engine states about a generation it writes when the next one is open.)
//! 4. A task or slot that a generation mentions has exactly one status or creation there, and its sequence numbers are 1, 2, 3, ..
//! 5. A sample lies between its generation's publication and quiet, and those of a thread stand in the order of their times.
//! 6. Per thread and generation, `handled` = `emitted` + lost, and `emitted` = samples that are there.
//! 7. The summary says what the trace has.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::OnceLock;

use tachograph::{Cause, Summary};
use tachograph_wire::metadata::Metadata;
use tachograph_wire::{ArgKind, EventKind};

use crate::decode::{Generation, Trace};
use crate::go::{self, Go, GoVerdict};
use crate::verdict;

/// Checks a trace.
///
/// # Panics
/// If it breaks a rule, or if a reader or validator refuses it, ours or Go's, or if they count differently. The trace is then kept, and the message says where.
pub fn verify(name: &str, bytes: &[u8], summary: Option<&Summary>) -> Trace {
    let trace = match well_formed(bytes, summary) {
        Ok(trace) => trace,
        Err(problem) => panic!("{name}: {problem}\ntrace: {}", store(name, bytes).display()),
    };
    let ours = match verdict::ours(bytes) {
        Ok(ours) => ours,
        Err(refused) => panic!("{name}: {refused}\ntrace: {}", store(name, bytes).display()),
    };
    let (samples, syncs) = (trace.sample_count(), trace.generations.len() as u64 + 1);
    assert_eq!(
        (ours.samples, ours.syncs),
        (samples, syncs),
        "{name}: what we count"
    );
    ask_go(name, bytes, ours);
    trace
}

/// Writes a trace where other programs can read it.
///
/// # Panics
/// If the folder for temporary files is not writable.
pub fn store(name: &str, bytes: &[u8]) -> PathBuf {
    let name: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let file = format!("tachograph-e2e-{}-{name}.trace", std::process::id());
    let path = std::env::temp_dir().join(file);
    std::fs::write(&path, bytes).expect("the folder for temporary files is writable");
    path
}

fn ask_go(name: &str, bytes: &[u8], ours: GoVerdict) {
    // Asked for once: a skip is said once a program, and looking takes longer than reading most traces.
    static GO: OnceLock<Option<Go>> = OnceLock::new();
    let Some(go) = GO.get_or_init(|| go::require_or_skip(&format!("{name}, and all that follow")))
    else {
        return;
    };
    let path = store(name, bytes);
    match go.validate(&path) {
        Ok(verdict) => assert_eq!(verdict, ours, "{name}: what Go counts, and what we count"),
        Err(error) => panic!("{name}: {error}"),
    }
    // What is left over is looked for nowhere.
    let _ = std::fs::remove_file(path);
}

/// The rules, without Go.
///
/// # Errors
/// The first that is broken, and where.
pub fn well_formed(bytes: &[u8], summary: Option<&Summary>) -> Result<Trace, String> {
    let trace = Trace::decode(bytes)?;
    let mut last_number = None;
    for generation in &trace.generations {
        let checked = frame(generation, last_number)
            .and_then(|()| ids(generation))
            .and_then(|()| times(generation))
            .and_then(|()| statuses(generation))
            .and_then(|()| samples(generation))
            .and_then(|()| accounts(generation));
        checked.map_err(|problem| format!("generation {}: {problem}", generation.number))?;
        last_number = Some(generation.number);
    }
    if let Some(summary) = summary {
        tally(&trace, bytes, summary)?;
    }
    Ok(trace)
}

fn hold(holds: bool, problem: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(problem()) }
}

/// Rule 1.
fn frame(generation: &Generation, before: Option<u64>) -> Result<(), String> {
    let number = generation.number;
    hold(before.is_none_or(|before| before + 1 == number), || {
        format!("follows {before:?}")
    })?;
    hold(generation.ended, || "has no end".to_owned())?;
    hold(
        generation.syncs.len() == 1 && generation.batches_before_sync == 0,
        || {
            let (syncs, before) = (generation.syncs.len(), generation.batches_before_sync);
            format!("{syncs} sync batches, {before} batches before the first")
        },
    )?;
    hold(generation.times().is_some(), || {
        "says nothing of its times".to_owned()
    })
}

/// Rule 2.
fn ids(generation: &Generation) -> Result<(), String> {
    hold(generation.redefined.is_empty(), || {
        format!("defined twice: {:?}", generation.redefined)
    })?;
    for (thread, events) in &generation.events {
        for event in events {
            let specs = event.raw.kind.spec().args_after_dt();
            for (spec, value) in specs.iter().zip(event.raw.args()) {
                let known = match spec.kind {
                    ArgKind::String => generation.strings.contains_key(value),
                    ArgKind::Stack | ArgKind::NewStack => generation.stacks.contains_key(value),
                    _ => continue,
                };
                hold(known || *value == 0, || {
                    format!("thread {thread}: {:?} refers to an unknown id", event.raw)
                })?;
            }
        }
    }
    let unknown = generation
        .samples
        .iter()
        .find(|seen| !generation.stacks.contains_key(&seen.sample.stack.0));
    hold(unknown.is_none(), || {
        format!("a sample without a stack: {unknown:?}")
    })
}

/// Rule 3.
fn times(generation: &Generation) -> Result<(), String> {
    for (thread, events) in &generation.events {
        for pair in events.windows(2) {
            let [before, event] = pair else { continue };
            let same_batch = before.batch == event.batch;
            hold(
                event.time > before.time || (!same_batch && event.time == before.time),
                || format!("thread {thread}: {event:?} after {before:?}"),
            )?;
        }
    }
    Ok(())
}

#[derive(Default)]
struct Resource {
    stated: u32,
    sequences: Vec<u64>,
}

/// Rule 4. Events that act on their thread's current task or slot name none; the validator of Go follows those.
fn statuses(generation: &Generation) -> Result<(), String> {
    let mut procs: BTreeMap<u64, Resource> = BTreeMap::new();
    let mut tasks: BTreeMap<u64, Resource> = BTreeMap::new();
    for event in generation.events.values().flatten() {
        let raw = &event.raw;
        for (resources, id, sequence) in [
            (&mut procs, ArgKind::Proc, ArgKind::ProcSeq),
            (&mut tasks, ArgKind::Task, ArgKind::TaskSeq),
        ] {
            let Some(id) = raw.arg(id) else { continue };
            let resource = resources.entry(id).or_default();
            let states = matches!(
                raw.kind,
                EventKind::ProcStatus
                    | EventKind::GoStatus
                    | EventKind::GoStatusStack
                    | EventKind::GoCreate
                    | EventKind::GoCreateBlocked
            );
            resource.stated += u32::from(states);
            resource.sequences.extend(raw.arg(sequence));
        }
    }
    for (what, resources, complete) in [("slot", procs, false), ("task", tasks, true)] {
        for (id, mut resource) in resources {
            hold(resource.stated == 1, || {
                format!("{what} {id}: {} statuses", resource.stated)
            })?;
            resource.sequences.sort_unstable();
            // A slot's section numbers stand in events that do not name the slot.
            let holds = match complete {
                true => (1..)
                    .zip(&resource.sequences)
                    .all(|(want, found)| want == *found),
                false => resource.sequences.is_sorted_by(|a, b| a < b),
            };
            hold(holds, || {
                format!("{what} {id}: sequence {:?}", resource.sequences)
            })?;
        }
    }
    Ok(())
}

/// Rule 5.
fn samples(generation: &Generation) -> Result<(), String> {
    let Some((published, quiet)) = generation.times() else {
        return Ok(());
    };
    let mut last: HashMap<u64, u64> = HashMap::new();
    for seen in &generation.samples {
        let (time, thread) = (seen.sample.time.0, seen.sample.thread.0);
        hold((published..=quiet).contains(&time), || {
            format!(
                "misplaced sample: {published}..={quiet} does not hold {:?}",
                seen.sample
            )
        })?;
        let before = last.insert(thread, time).unwrap_or(0);
        hold(before <= time, || {
            format!("thread {thread}: sample at {time} after {before}")
        })?;
    }
    Ok(())
}

/// Rule 6.
fn accounts(generation: &Generation) -> Result<(), String> {
    let mut found: BTreeMap<u64, u64> = BTreeMap::new();
    for seen in &generation.samples {
        *found.entry(seen.sample.thread.0).or_default() += 1;
    }
    let mut told: BTreeMap<u64, u64> = BTreeMap::new();
    for account in generation.accounts() {
        let lost = account.lost.total();
        hold(account.handled == account.emitted + lost, || {
            format!("account does not add up: {account:?}")
        })?;
        let thread = account.thread.map_or(u64::MAX, |thread| thread.0);
        *told.entry(thread).or_default() += account.emitted;
    }
    told.retain(|_, emitted| *emitted > 0);
    hold(found == told, || {
        format!("samples by thread {found:?}, accounts say {told:?}")
    })
}

/// Rule 7.
fn tally(trace: &Trace, bytes: &[u8], summary: &Summary) -> Result<(), String> {
    let equal = |what: &str, trace: u64, summary: u64| {
        hold(trace == summary, || {
            format!("{what}: {trace} in the trace, {summary} in the summary")
        })
    };
    let generations = trace.generations.len() as u64;
    equal("generations", generations, summary.generations)?;
    equal("bytes", bytes.len() as u64, summary.bytes)?;
    let events = trace.event_count() + trace.sample_count();
    equal("events", events, summary.events)?;
    let Some(samples) = &summary.samples else {
        return equal("samples", trace.sample_count(), 0);
    };
    equal("samples", trace.sample_count(), samples.tally.emitted)?;
    let weight = trace.samples().map(|(_, seen)| seen.weight).sum();
    equal("weight", weight, samples.weight)?;
    let accounts = || trace.generations.iter().flat_map(Generation::accounts);
    equal(
        "handled",
        accounts().map(|account| account.handled).sum(),
        samples.tally.handled,
    )?;
    for cause in Cause::ALL {
        let count = |account: &tachograph_wire::metadata::SampleCounts| match cause.loses_sample() {
            true => account.lost.get(cause),
            false => account.incomplete.get(cause),
        };
        equal(
            cause.word(),
            accounts().map(count).sum(),
            samples.tally.get(cause),
        )?;
    }
    let lost = trace.generations.iter().flat_map(|one| &one.metadata);
    let lost = lost.filter_map(|record| match record {
        Metadata::EventsLost(lost) => Some(lost.reentrant.0 + lost.unrecorded.0),
        _ => None,
    });
    equal("events lost", lost.sum(), summary.events_lost)
}
