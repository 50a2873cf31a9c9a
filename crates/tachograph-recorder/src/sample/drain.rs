//! Samples out of the rings, into the trace of the generation in which they were taken.
//!
//! The engine drains all rings of the open generation every 100 ms and, once more and to the end, when the generation is quiet. Stacks
//! are counted here by their addresses; `writer` resolves each once.

use std::collections::HashMap;

use tachograph_wire::{BatchWriter, Generation, ProcId, Sample, StackId, TaskId, ThreadId, Ticks};

use super::handler::SAMPLE_HEADER;
use super::words::Words;
use crate::core::CORE;
use crate::package::{RawStack, StackKind};
use crate::queue::Chunk;
use crate::record::ThreadRecord;
use crate::sync::Ordering;

/// The samples of one generation so far.
#[derive(Debug)]
pub(crate) struct Drain {
    generation: u64,
    stacks: HashMap<Box<[u64]>, u64>,
    batch: Option<BatchWriter>,
    threads: HashMap<u64, ThreadSamples>,
    scratch: Vec<u64>,
    pub(crate) samples: u64,
    pub(crate) weight: u64,
}

/// What one thread contributed.
#[derive(Debug, Default)]
pub(crate) struct ThreadSamples {
    pub(crate) emitted: u64,
    /// In the order of the thread's samples.
    pub(crate) weights: Vec<u64>,
}

impl Drain {
    pub(crate) fn new(generation: u64) -> Self {
        Self {
            generation,
            stacks: HashMap::new(),
            batch: None,
            threads: HashMap::new(),
            scratch: Vec::new(),
            samples: 0,
            weight: 0,
        }
    }

    /// The generation whose rings are drained.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Takes everything that waits in `record`'s ring of this generation.
    pub(crate) fn take(&mut self, record: &ThreadRecord) {
        let Some(rings) = record.sample.rings() else {
            return;
        };
        let ring = &rings.rings[(self.generation & 1) as usize];
        if ring.is_empty() {
            return;
        }
        let tid = record.tid();
        let mut weight = 0;
        ring.drain(|words, at, len| weight += self.add(tid, words, at, len));
        // Relaxed: the engine's own.
        record
            .shared
            .cpu
            .weight
            .fetch_add(weight, Ordering::Relaxed);
    }

    fn add(&mut self, tid: u64, words: &Words, at: usize, len: usize) -> u64 {
        let frames = (SAMPLE_HEADER..len).map(|i| words.get(at + i));
        self.scratch.clear();
        self.scratch.extend(frames);
        let stack = self.stack_id();
        let sample = Sample {
            time: Ticks(words.get(at)),
            thread: ThreadId(tid),
            proc: ProcId(words.get(at + 1)),
            task: TaskId(words.get(at + 2)),
            stack: StackId(stack),
        };
        let weight = words.get(at + 3);
        self.write(&sample);
        let thread = self.threads.entry(tid).or_default();
        thread.emitted += 1;
        thread.weights.push(weight);
        self.samples += 1;
        self.weight += weight;
        weight
    }

    fn stack_id(&mut self) -> u64 {
        if let Some(id) = self.stacks.get(self.scratch.as_slice()) {
            return *id;
        }
        let id = CORE.ids[(self.generation & 1) as usize].next_stack();
        self.stacks.insert(self.scratch.as_slice().into(), id);
        id
    }

    fn write(&mut self, sample: &Sample) {
        let generation = self.generation;
        let start =
            || BatchWriter::new(Generation(generation), ThreadId::NONE, Ticks(sample.time.0));
        let batch = self.batch.get_or_insert_with(start);
        if batch.sample(sample).is_err() {
            self.send();
            let batch = self.batch.insert(start());
            // A sample always fits into an empty batch.
            let written = batch.sample(sample);
            debug_assert!(written.is_ok());
        }
    }

    /// Hands over the batch that is being filled.
    pub(crate) fn send(&mut self) {
        if let Some(batch) = self.batch.take() {
            CORE.queue
                .push(self.generation, Chunk::Batch(batch.finish()));
        }
    }

    /// The stacks that the samples refer to.
    pub(crate) fn take_stacks(&mut self) -> impl Iterator<Item = RawStack> + use<> {
        std::mem::take(&mut self.stacks)
            .into_iter()
            .map(|(pcs, id)| RawStack {
                id,
                leaf: 0,
                kind: StackKind::Plain,
                word: 0,
                pcs,
            })
    }

    /// What thread `tid` contributed.
    pub(crate) fn take_thread(&mut self, tid: u64) -> ThreadSamples {
        self.threads.remove(&tid).unwrap_or_default()
    }
}
