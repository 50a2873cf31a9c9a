//! What the tests of whole recordings share: a sink in memory, a turn, and a trace taken apart and checked.
//!
//! `TACHOGRAPH_TRACES=DIR` keeps every trace that a test checks, for another reader.

#![allow(dead_code)]

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tachograph_recorder::{Recorder, Recording, Summary};
use tachograph_wire::metadata::Metadata;
use tachograph_wire::{ArgKind, Batch, BatchKind, EventKind, Item, Items, RawEvent};

/// Whether this build's instrumentation makes everything many times slower.
pub const SLOW: bool = cfg!(tachograph_sanitizer);

static TURN: Mutex<()> = Mutex::new(());

/// One recording at a time in a process: one test at a time has the turn.
pub fn turn() -> MutexGuard<'static, ()> {
    lock(&TURN)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A sink that can be read while the recorder has it.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *lock(&self.0))
    }

    pub fn len(&self) -> usize {
        lock(&self.0).len()
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Starts to record into memory.
pub fn start(recorder: Recorder) -> (Recording, Memory) {
    let sink = Memory::default();
    let recording = recorder.start(sink.clone()).expect("starts");
    (recording, sink)
}

/// Ends the recording and checks its trace.
pub fn stop(name: &str, (recording, sink): (Recording, Memory)) -> (Trace, Summary) {
    let summary = recording.stop().expect("stops");
    let trace = Trace::checked(name, &sink.take(), &summary);
    (trace, summary)
}

/// A timed event.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    pub time: u64,
    pub raw: RawEvent,
}

/// One generation.
#[derive(Debug, Default)]
pub struct Generation {
    pub number: u64,
    pub strings: HashMap<u64, String>,
    pub stacks: HashMap<u64, usize>,
    /// By thread, in the order of the file.
    pub events: BTreeMap<u64, Vec<Event>>,
    /// Samples by thread.
    pub samples: BTreeMap<u64, u64>,
    pub metadata: Vec<Metadata>,
    syncs: usize,
}

/// A whole trace.
#[derive(Debug, Default)]
pub struct Trace {
    pub generations: Vec<Generation>,
}

impl Trace {
    /// Takes a trace apart; fails on whatever is not well formed or does not agree with the summary.
    pub fn checked(name: &str, bytes: &[u8], summary: &Summary) -> Self {
        keep(name, bytes);
        let trace = Self::well_formed(name, bytes);
        let numbers: Vec<u64> = trace.generations.iter().map(|g| g.number).collect();
        assert!(
            numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]),
            "{name}: generations {numbers:?}"
        );
        let samples = trace.samples();
        assert_eq!(summary.generations, numbers.len() as u64, "{name}");
        assert_eq!(summary.bytes, bytes.len() as u64, "{name}");
        assert_eq!(summary.events, trace.timed_events() + samples, "{name}");
        if let Some(sampled) = &summary.samples {
            assert_eq!(sampled.tally.emitted, samples, "{name}");
            assert_eq!(
                sampled.tally.handled,
                sampled.tally.emitted + sampled.tally.lost(),
                "{name}"
            );
        }
        trace
    }

    /// Takes a trace apart; fails on whatever is not well formed.
    pub fn well_formed(name: &str, bytes: &[u8]) -> Self {
        let items = Items::new(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let version = items.version();
        let mut trace = Self::default();
        let mut open: Option<Generation> = None;
        for item in items {
            match item.unwrap_or_else(|error| panic!("{name}: {error}")) {
                Item::Batch(batch) => {
                    let generation = open.get_or_insert_with(|| Generation {
                        number: batch.header.generation.0,
                        ..Generation::default()
                    });
                    assert_eq!(generation.number, batch.header.generation.0, "{name}");
                    generation.add(&batch, batch.kind(version), version);
                }
                Item::EndOfGeneration { .. } => {
                    let generation = open.take().expect("a generation with batches");
                    generation.check(name);
                    trace.generations.push(generation);
                }
            }
        }
        assert!(open.is_none(), "{name}: the last generation has no end");
        trace
    }

    pub fn samples(&self) -> u64 {
        self.generations
            .iter()
            .flat_map(|g| g.samples.values())
            .sum()
    }

    pub fn timed_events(&self) -> u64 {
        self.events().count() as u64
    }

    /// All events with their generation and thread.
    pub fn events(&self) -> impl Iterator<Item = (&Generation, u64, &Event)> {
        self.generations.iter().flat_map(|generation| {
            generation.events.iter().flat_map(move |(thread, events)| {
                events.iter().map(move |event| (generation, *thread, event))
            })
        })
    }

    /// The texts of all events of one kind, in the order of generations and threads: the `nth` string of each.
    pub fn texts(&self, kind: EventKind, nth: usize) -> Vec<String> {
        let wanted = self.events().filter(|(_, _, event)| event.raw.kind == kind);
        wanted
            .map(|(generation, _, event)| generation.text(event, nth))
            .collect()
    }

    /// The messages that were logged under `category`, and none of the engine's own.
    pub fn logs(&self, category: &str) -> Vec<String> {
        let messages = self.texts(EventKind::UserLog, 1);
        let categories = self.texts(EventKind::UserLog, 0).into_iter();
        let own = categories.zip(messages).filter(|(of, _)| of == category);
        own.map(|(_, message)| message).collect()
    }

    /// How many events of `kind` there are with this text.
    pub fn count(&self, kind: EventKind, text: &str) -> usize {
        self.texts(kind, 0).iter().filter(|t| *t == text).count()
    }

    /// Fails unless regions end innermost first on every thread. Gives the number of begins and ends.
    pub fn nested_regions(&self) -> (usize, usize) {
        let mut open: HashMap<u64, Vec<(u64, String)>> = HashMap::new();
        let (mut begins, mut ends) = (0, 0);
        for (generation, thread, event) in self.events() {
            let stack = open.entry(thread).or_default();
            match event.raw.kind {
                EventKind::UserRegionBegin => {
                    begins += 1;
                    stack.push((event.raw.args()[0], generation.text(event, 0)));
                }
                EventKind::UserRegionEnd => {
                    ends += 1;
                    let region = (event.raw.args()[0], generation.text(event, 0));
                    assert_eq!(stack.pop(), Some(region), "thread {thread}");
                }
                // The thread's id may be another thread's from here on.
                EventKind::GoDestroy => stack.clear(),
                _ => {}
            }
        }
        (begins, ends)
    }
}

impl Generation {
    pub fn text(&self, event: &Event, nth: usize) -> String {
        let specs = event.raw.kind.spec().args_after_dt().iter();
        let mut ids = specs
            .zip(event.raw.args())
            .filter(|(spec, _)| spec.kind == ArgKind::String);
        match ids.nth(nth).expect("a string argument").1 {
            0 => String::new(),
            id => self.strings[id].clone(),
        }
    }

    fn add(&mut self, batch: &Batch<'_>, kind: BatchKind, version: tachograph_wire::Version) {
        match kind {
            BatchKind::Events => {
                let events = self.events.entry(batch.header.thread.0).or_default();
                let mut time = batch.header.time.0;
                let last = events.last().map_or(0, |event| event.time);
                assert!(
                    time > last,
                    "a batch begins before the one before has ended"
                );
                for raw in batch.events() {
                    let raw = raw.expect("an event");
                    assert!(raw.dt.0 > 0 || events.is_empty(), "two events at one time");
                    time += raw.dt.0;
                    events.push(Event { time, raw });
                }
            }
            BatchKind::Strings => {
                for string in batch.strings().expect("strings") {
                    let string = string.expect("a string");
                    assert!(string.bytes.len() <= 1024, "{} bytes", string.bytes.len());
                    let text = std::str::from_utf8(string.bytes).expect("UTF-8");
                    match Metadata::parse(text) {
                        Some(metadata) => self.metadata.push(metadata.expect("metadata")),
                        None => {
                            let twice = self.strings.insert(string.id.0, text.to_owned());
                            assert_eq!(twice, None, "string {}", string.id);
                        }
                    }
                }
            }
            BatchKind::Stacks => {
                for stack in batch.stacks().expect("stacks") {
                    let stack = stack.expect("a stack");
                    let twice = self.stacks.insert(stack.id.0, stack.frames.count());
                    assert_eq!(twice, None, "stack {}", stack.id);
                }
            }
            BatchKind::Samples => {
                for sample in batch.samples().expect("samples") {
                    let sample = sample.expect("a sample");
                    *self.samples.entry(sample.thread.0).or_default() += 1;
                }
            }
            BatchKind::Sync => {
                let _ = batch.sync(version).expect("a sync batch");
                self.syncs += 1;
            }
            BatchKind::Experiment(number) => panic!("experiment {number}"),
        }
    }

    fn check(&self, name: &str) {
        let number = self.number;
        assert_eq!(self.syncs, 1, "{name}: generation {number}");
        for event in self.events.values().flatten() {
            let specs = event.raw.kind.spec().args_after_dt().iter();
            for (spec, id) in specs.zip(event.raw.args()) {
                let defined = match spec.kind {
                    ArgKind::String => self.strings.contains_key(id),
                    ArgKind::Stack | ArgKind::NewStack => self.stacks.contains_key(id),
                    _ => true,
                };
                assert!(
                    defined || *id == 0,
                    "{name}: generation {number}: {event:?}"
                );
            }
        }
        let mut emitted: BTreeMap<u64, u64> = BTreeMap::new();
        for metadata in &self.metadata {
            let Metadata::Samples(account) = metadata else {
                continue;
            };
            assert_eq!(
                account.handled,
                account.emitted + account.lost.total(),
                "{name}: generation {number}: {account:?}"
            );
            if let Some(thread) = account.thread.filter(|_| account.emitted > 0) {
                *emitted.entry(thread.0).or_default() += account.emitted;
            }
        }
        assert_eq!(emitted, self.samples, "{name}: generation {number}");
    }
}

fn keep(name: &str, bytes: &[u8]) {
    if let Some(folder) = std::env::var_os("TACHOGRAPH_TRACES") {
        let file = std::path::Path::new(&folder).join(format!("{name}.trace"));
        std::fs::write(&file, bytes).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}
