//! Strings, stacks and batches that the engine itself adds to a generation.

use tachograph_wire::{BatchWriter, EventKind, Generation, StringId, ThreadId, Ticks};

use crate::core::CORE;
use crate::package::{RawStack, StackKind};
use crate::queue::Chunk;
use crate::tasks::TaskRecord;
use std::collections::HashMap;

/// The engine's contributions to one generation.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) generation: u64,
    ids: HashMap<String, u64>,
    names: HashMap<u64, u64>,
    /// Stacks of names by what stands for the name: there may be a million tasks of one kind.
    kinds: HashMap<(usize, usize), u64>,
    strings: Option<BatchWriter>,
    stacks: Vec<RawStack>,
    pub(crate) events: u64,
}

impl Tables {
    pub(crate) fn new(generation: u64) -> Self {
        Self {
            generation,
            ids: HashMap::new(),
            names: HashMap::new(),
            kinds: HashMap::new(),
            strings: None,
            stacks: Vec::new(),
            events: 0,
        }
    }

    /// The id of `text`.
    pub(crate) fn text(&mut self, text: &str) -> u64 {
        if text.is_empty() {
            return 0;
        }
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        let id = CORE.ids[(self.generation & 1) as usize].next_string();
        self.write_string(id, text);
        self.ids.insert(text.to_owned(), id);
        id
    }

    /// The id of a stack whose only frame is a name.
    pub(crate) fn name_stack(&mut self, name: &str) -> u64 {
        let leaf = self.text(name);
        if let Some(id) = self.names.get(&leaf) {
            return *id;
        }
        let id = CORE.ids[(self.generation & 1) as usize].next_stack();
        self.stacks.push(RawStack {
            id,
            leaf,
            kind: StackKind::Plain,
            word: 0,
            pcs: Box::default(),
        });
        self.names.insert(leaf, id);
        id
    }

    /// The id of a stack whose only frame is the task's name.
    pub(crate) fn task_name(&mut self, task: &TaskRecord) -> u64 {
        let Some(kind) = task.name().key() else {
            return task.name().with(|name| self.name_stack(name));
        };
        if let Some(id) = self.kinds.get(&kind) {
            return *id;
        }
        let id = task.name().with(|name| self.name_stack(name));
        self.kinds.insert(kind, id);
        id
    }

    fn write_string(&mut self, id: u64, text: &str) {
        let generation = self.generation;
        let start = || {
            BatchWriter::new(
                Generation(generation),
                ThreadId::NONE,
                Ticks(CORE.clock.now()),
            )
        };
        let strings = self.strings.get_or_insert_with(start);
        if strings.string(StringId(id), text.as_bytes()).is_err() {
            let full = std::mem::replace(strings, start());
            // A string always fits into an empty batch.
            let written = strings.string(StringId(id), text.as_bytes());
            debug_assert!(written.is_ok());
            CORE.queue.push(generation, Chunk::Batch(full.finish()));
        }
    }

    /// Starts a run of events under `thread`'s name.
    pub(crate) fn stream(&self, thread: u64) -> Stream {
        let now = CORE.clock.now();
        Stream {
            thread,
            batch: BatchWriter::new(Generation(self.generation), ThreadId(thread), Ticks(now)),
            events: 0,
        }
    }

    /// Hands a run of events over.
    pub(crate) fn push(&mut self, stream: Stream) {
        if stream.batch.is_empty() {
            return;
        }
        self.events += stream.events;
        CORE.queue
            .push(self.generation, Chunk::Batch(stream.batch.finish()));
    }

    /// Hands the strings over and gives the stacks up.
    pub(crate) fn finish(&mut self) -> Vec<RawStack> {
        if let Some(strings) = self.strings.take() {
            CORE.queue
                .push(self.generation, Chunk::Batch(strings.finish()));
        }
        std::mem::take(&mut self.stacks)
    }
}

/// Events of one thread, written by the engine.
#[derive(Debug)]
pub(crate) struct Stream {
    thread: u64,
    batch: BatchWriter,
    events: u64,
}

impl Stream {
    /// Adds an event that happens now. Hands a full batch over to `tables` first.
    pub(crate) fn event(&mut self, tables: &mut Tables, kind: EventKind, args: &[u64]) {
        let now = Ticks(CORE.clock.now());
        if self.batch.event(kind, now, args).is_err() {
            let full = std::mem::replace(self, tables.stream(self.thread));
            tables.push(full);
            // An event always fits into an empty batch.
            let written = self.batch.event(kind, now, args);
            debug_assert!(written.is_ok());
        }
        self.events += 1;
    }
}
