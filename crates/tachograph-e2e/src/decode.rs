//! A trace taken apart without ordering it: generations with the events of each thread, samples with their weights, names.
//!
//! Uses `tachograph-wire` alone. What breaks the format is an error here; what breaks the rules of recording is found by
//! `check`.

use std::collections::{BTreeMap, HashMap};

use tachograph_wire::metadata::{Metadata, SampleCounts};
use tachograph_wire::{
    ArgKind, Batch, BatchKind, ClockSnapshot, EventKind, Item, Items, RawEvent, Sample, Version,
};

/// A whole trace.
#[derive(Debug, Default)]
pub struct Trace {
    /// In the order of the file.
    pub generations: Vec<Generation>,
}

/// One generation.
#[derive(Debug, Default)]
pub struct Generation {
    /// Its number.
    pub number: u64,
    /// Frequencies and clock snapshots, in the order of the file.
    pub syncs: Vec<(u64, ClockSnapshot)>,
    /// How many batches stand before the first sync.
    pub batches_before_sync: usize,
    /// Timed events in the order of the file, by thread.
    pub events: BTreeMap<u64, Vec<Event>>,
    /// Samples in the order of the file.
    pub samples: Vec<SampleSeen>,
    /// Stack table.
    pub stacks: HashMap<u64, Vec<FrameSeen>>,
    /// String table, without metadata.
    pub strings: HashMap<u64, String>,
    /// Metadata records in the order of the file.
    pub metadata: Vec<Metadata>,
    /// Ids that were defined twice: what, and which.
    pub redefined: Vec<(&'static str, u64)>,
    /// Whether the end byte was there.
    pub ended: bool,
}

/// A timed event with its time.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// Absolute, in ticks.
    pub time: u64,
    /// The event.
    pub raw: RawEvent,
    /// The batch of the generation that it stands in.
    pub batch: usize,
}

/// A sample with its weight.
#[derive(Clone, Copy, Debug)]
pub struct SampleSeen {
    /// As on the wire.
    pub sample: Sample,
    /// Timer periods that it stands for.
    pub weight: u64,
}

/// A frame with its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameSeen {
    /// The program counter as on the wire.
    pub pc: u64,
    /// Function name.
    pub function: String,
    /// Source file.
    pub file: String,
    /// Line.
    pub line: u64,
}

struct RawFrame {
    pc: u64,
    function: u64,
    file: u64,
    line: u64,
}

/// A generation whose tables are still being read.
#[derive(Default)]
struct Open {
    generation: Generation,
    stacks: HashMap<u64, Vec<RawFrame>>,
    batches: usize,
}

impl Trace {
    /// Takes `bytes` apart.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let mut items = Items::new(bytes).map_err(|error| error.to_string())?;
        let version = items.version();
        let mut trace = Self::default();
        let mut open: Option<Open> = None;
        for item in &mut items {
            match item.map_err(|error| error.to_string())? {
                Item::Batch(batch) => open
                    .get_or_insert_with(Open::default)
                    .add(&batch, version)?,
                Item::EndOfGeneration { offset } => {
                    let mut done = open
                        .take()
                        .ok_or_else(|| format!("byte {offset}: an empty generation ends"))?;
                    done.generation.ended = true;
                    trace.generations.push(done.finish()?);
                }
            }
        }
        if let Some(open) = open {
            trace.generations.push(open.finish()?);
        }
        Ok(trace)
    }

    /// All samples with their generations.
    pub fn samples(&self) -> impl Iterator<Item = (&Generation, &SampleSeen)> {
        self.generations
            .iter()
            .flat_map(|generation| generation.samples.iter().map(move |one| (generation, one)))
    }

    /// How many samples there are.
    pub fn sample_count(&self) -> u64 {
        self.samples().count() as u64
    }

    /// How many timed events there are.
    pub fn event_count(&self) -> u64 {
        let threads = self.generations.iter().flat_map(|one| one.events.values());
        threads.map(|events| events.len() as u64).sum()
    }
}

impl Generation {
    /// The text of a string id; id 0 is the empty text.
    ///
    /// # Panics
    /// If the generation does not define it.
    pub fn text(&self, id: u64) -> &str {
        match id {
            0 => "",
            id => self.strings.get(&id).map_or_else(
                || panic!("generation {}: no string {id}", self.number),
                String::as_str,
            ),
        }
    }

    /// The text that an event carries as its `nth` string.
    ///
    /// # Panics
    /// If it has none.
    pub fn text_of(&self, event: &Event, nth: usize) -> &str {
        let specs = event.raw.kind.spec().args_after_dt();
        let mut strings = specs
            .iter()
            .zip(event.raw.args())
            .filter(|(spec, _)| spec.kind == ArgKind::String);
        let (_, id) = strings.nth(nth).expect("a string argument");
        self.text(*id)
    }

    /// The frames of a sample.
    pub fn frames(&self, sample: &Sample) -> &[FrameSeen] {
        self.stacks
            .get(&sample.stack.0)
            .map_or(&[], |frames| frames)
    }

    /// When threads could first see it and when none could write to it any more, if that was told.
    pub fn times(&self) -> Option<(u64, u64)> {
        self.metadata.iter().find_map(|record| match record {
            Metadata::Generation(times) => Some((times.published?.0, times.quiet?.0)),
            _ => None,
        })
    }

    /// The accounts of sampling.
    pub fn accounts(&self) -> impl Iterator<Item = &SampleCounts> {
        self.metadata.iter().filter_map(|record| match record {
            Metadata::Samples(counts) => Some(counts),
            _ => None,
        })
    }

    /// Events of one kind with their threads.
    pub fn of_kind(&self, kind: EventKind) -> impl Iterator<Item = (u64, &Event)> {
        self.events.iter().flat_map(move |(thread, events)| {
            let wanted = events.iter().filter(move |event| event.raw.kind == kind);
            wanted.map(move |event| (*thread, event))
        })
    }

    fn weigh(&mut self) {
        let mut next: HashMap<u64, u64> = HashMap::new();
        for seen in &mut self.samples {
            let thread = seen.sample.thread;
            let index = next.entry(thread.0).or_default();
            let listed = self.metadata.iter().find_map(|record| match record {
                Metadata::Weights(weights) if weights.thread == thread => weights.get(*index),
                _ => None,
            });
            seen.weight = listed.unwrap_or(1);
            *index += 1;
        }
    }
}

impl Open {
    fn add(&mut self, batch: &Batch<'_>, version: Version) -> Result<(), String> {
        let generation = &mut self.generation;
        let number = batch.header.generation.0;
        if self.batches > 0 && generation.number != number {
            return Err(format!(
                "byte {}: batch of generation {number} inside of {}",
                batch.offset, generation.number
            ));
        }
        generation.number = number;
        self.batches += 1;
        let done = match batch.kind(version) {
            BatchKind::Events => self.events(batch),
            BatchKind::Strings => self.strings(batch),
            BatchKind::Stacks => self.stacks(batch),
            BatchKind::Samples => self.samples(batch),
            BatchKind::Sync => self.sync(batch, version),
            BatchKind::Experiment(number) => Err(format!("a batch of experiment {number}")),
        };
        done.map_err(|error| format!("batch at byte {}: {error}", batch.offset))
    }

    fn events(&mut self, batch: &Batch<'_>) -> Result<(), String> {
        let events = self.generation.events.entry(batch.header.thread.0);
        let events = events.or_default();
        let mut time = batch.header.time.0;
        for raw in batch.events() {
            let raw = raw.map_err(|error| error.to_string())?;
            time += raw.dt.0;
            events.push(Event {
                time,
                raw,
                batch: self.batches,
            });
        }
        Ok(())
    }

    fn strings(&mut self, batch: &Batch<'_>) -> Result<(), String> {
        for string in batch.strings().map_err(|error| error.to_string())? {
            let string = string.map_err(|error| error.to_string())?;
            let text = std::str::from_utf8(string.bytes).map_err(|error| error.to_string())?;
            if let Some(record) = Metadata::parse(text) {
                let record = record.map_err(|error| format!("{text:?}: {error}"))?;
                self.generation.metadata.push(record);
            }
            let before = self.generation.strings.insert(string.id.0, text.to_owned());
            if before.is_some() {
                self.generation.redefined.push(("string", string.id.0));
            }
        }
        Ok(())
    }

    fn stacks(&mut self, batch: &Batch<'_>) -> Result<(), String> {
        for stack in batch.stacks().map_err(|error| error.to_string())? {
            let stack = stack.map_err(|error| error.to_string())?;
            let frames = stack.frames.map(|frame| RawFrame {
                pc: frame.pc,
                function: frame.function.0,
                file: frame.file.0,
                line: frame.line,
            });
            if self.stacks.insert(stack.id.0, frames.collect()).is_some() {
                self.generation.redefined.push(("stack", stack.id.0));
            }
        }
        Ok(())
    }

    fn samples(&mut self, batch: &Batch<'_>) -> Result<(), String> {
        for sample in batch.samples().map_err(|error| error.to_string())? {
            let sample = sample.map_err(|error| error.to_string())?;
            self.generation
                .samples
                .push(SampleSeen { sample, weight: 1 });
        }
        Ok(())
    }

    fn sync(&mut self, batch: &Batch<'_>, version: Version) -> Result<(), String> {
        let sync = batch.sync(version).map_err(|error| error.to_string())?;
        let (Some(frequency), Some(clock)) = (sync.frequency, sync.clock) else {
            return Err("a sync batch without frequency or clock".to_owned());
        };
        if self.generation.syncs.is_empty() {
            self.generation.batches_before_sync = self.batches - 1;
        }
        self.generation.syncs.push((frequency.0, clock));
        Ok(())
    }

    fn finish(mut self) -> Result<Generation, String> {
        let strings = &self.generation.strings;
        let text = |id: u64| match id {
            0 => Ok(String::new()),
            id => strings.get(&id).cloned().ok_or_else(|| {
                format!(
                    "generation {}: a frame names string {id}, which is not there",
                    self.generation.number
                )
            }),
        };
        let mut stacks = HashMap::new();
        for (id, frames) in self.stacks {
            let named = frames.iter().map(|frame| {
                Ok(FrameSeen {
                    pc: frame.pc,
                    function: text(frame.function)?,
                    file: text(frame.file)?,
                    line: frame.line,
                })
            });
            stacks.insert(id, named.collect::<Result<Vec<_>, String>>()?);
        }
        self.generation.stacks = stacks;
        self.generation.weigh();
        Ok(self.generation)
    }
}
