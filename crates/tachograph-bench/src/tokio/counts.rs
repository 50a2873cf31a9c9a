//! What a trace of ours consists of: events and bytes by kind, frames of stacks.

use std::collections::HashMap;

use tachograph_wire::{BatchKind, EventKind, Item, Items, Version, WireError};

use crate::failure::Failure;

/// See the module's text.
#[derive(Debug)]
pub struct Counts {
    /// Count and bytes, by code.
    kinds: [(u64, u64); 256],
    /// How often a stack is named by an event of these kinds.
    awaits: HashMap<u64, u64>,
    wakes: HashMap<u64, u64>,
    /// Frames of each stack.
    frames: HashMap<u64, usize>,
    bytes: u64,
    generations: u64,
}

impl Counts {
    /// Counts a trace.
    pub fn of(trace: &[u8]) -> Result<Self, Failure> {
        let broken = |error: WireError| Failure::Judged(format!("our own trace: {error}"));
        let mut counts = Self {
            kinds: [(0, 0); 256],
            awaits: HashMap::new(),
            wakes: HashMap::new(),
            frames: HashMap::new(),
            bytes: trace.len() as u64,
            generations: 0,
        };
        let items = Items::new(trace).map_err(broken)?;
        let version = items.version();
        for item in items {
            counts
                .add(&item.map_err(broken)?, version)
                .map_err(broken)?;
        }
        Ok(counts)
    }

    /// All bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Ends of generations.
    pub fn generations(&self) -> u64 {
        self.generations
    }

    /// Events of all kinds, without what describes them.
    pub fn events(&self) -> u64 {
        let all = EventKind::ALL.iter();
        all.filter(|kind| kind.spec().class != tachograph_wire::EventClass::Structural)
            .map(|&kind| self.of_kind(kind).0)
            .sum()
    }

    /// Count and bytes of one kind.
    pub fn of_kind(&self, kind: EventKind) -> (u64, u64) {
        self.kinds[usize::from(kind.code())]
    }

    /// Frames of the stack that most awaits and most wakes have. 0 where they have none.
    pub fn usual_frames(&self) -> (usize, usize) {
        let usual = |named: &HashMap<u64, u64>| {
            let most = named.iter().max_by_key(|(_, count)| **count);
            most.and_then(|(stack, _)| self.frames.get(stack))
                .copied()
                .unwrap_or(0)
        };
        (usual(&self.awaits), usual(&self.wakes))
    }

    fn add(&mut self, item: &Item<'_>, version: Version) -> Result<(), WireError> {
        let Item::Batch(batch) = item else {
            self.generations += 1;
            return Ok(());
        };
        let header = batch.payload_offset.0 - batch.offset.0;
        match batch.kind(version) {
            BatchKind::Events => {
                self.count(EventKind::EventBatch, header);
                let mut events = batch.events();
                let mut start = events.offset();
                while let Some(event) = events.next() {
                    let event = event?;
                    self.count(event.kind, events.offset().0 - start.0);
                    start = events.offset();
                    match (event.kind, event.args()) {
                        (EventKind::GoBlock, &[_, stack]) => {
                            *self.awaits.entry(stack).or_default() += 1
                        }
                        (EventKind::GoUnblock, &[_, _, stack]) => {
                            *self.wakes.entry(stack).or_default() += 1
                        }
                        _ => {}
                    }
                }
            }
            BatchKind::Stacks => {
                self.count(EventKind::Stacks, header + batch.payload.len() as u64);
                for stack in batch.stacks()? {
                    let stack = stack?;
                    self.frames.insert(stack.id.0, stack.frames.count());
                }
            }
            BatchKind::Strings => {
                self.count(EventKind::Strings, header + batch.payload.len() as u64)
            }
            BatchKind::Samples => {
                self.count(EventKind::CPUSamples, header + batch.payload.len() as u64)
            }
            BatchKind::Sync | BatchKind::Experiment(_) => {
                self.count(
                    EventKind::ExperimentalBatch,
                    header + batch.payload.len() as u64,
                );
            }
        }
        Ok(())
    }

    fn count(&mut self, kind: EventKind, bytes: u64) {
        let (count, sum) = &mut self.kinds[usize::from(kind.code())];
        *count += 1;
        *sum += bytes;
    }
}
