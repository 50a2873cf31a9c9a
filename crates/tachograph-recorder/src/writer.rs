//! The writer thread: finished generations to the sink.
//!
//! The only caller of the sink. Whatever it costs (a slow disk, symbols), no recording thread waits for it. After the first error it
//! drops what comes, so that memory stays bounded, and the error comes out of `stop`.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;

use tachograph_wire::pc::Pc;
use tachograph_wire::{
    BatchWriter, EventKind, Frame, Full, Generation, StackId, StringId, ThreadId, Ticks, limits,
    version,
};

use crate::buffer::Content;
use crate::classify;
use crate::core::CORE;
use crate::package::{Closing, RawStack, StackKind};
use crate::queue::{Chunk, Work};
use crate::resolve::{NamedFrame, Resolver};
use crate::slot::raw_stacks;
use crate::sync::{AtomicBool, Ordering};

/// What the writer thread has done.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) bytes: u64,
    pub(crate) error: Option<io::Error>,
    /// Stacks that had more frames than the wire allows.
    pub(crate) stacks_cut: u64,
}

/// The sink has failed: the engine need not go on.
pub(crate) static SINK_FAILED: AtomicBool = AtomicBool::new(false);

pub(crate) struct Writer<W: Write> {
    sink: W,
    resolver: Resolver,
    /// Raw stacks of the oldest generation, from its threads.
    stacks: Vec<RawStack>,
    done: Written,
}

impl<W: Write> Writer<W> {
    pub(crate) fn new(sink: W, resolver: Resolver) -> Self {
        Self {
            sink,
            resolver,
            stacks: Vec::new(),
            done: Written {
                bytes: 0,
                error: None,
                stacks_cut: 0,
            },
        }
    }

    /// Writes until nothing more will come.
    pub(crate) fn run(mut self) -> Written {
        self.put(&version::WRITTEN.header());
        loop {
            match CORE.queue.take() {
                Work::Chunk(chunk) => self.chunk(chunk),
                Work::Close(closing) => self.close(*closing),
                Work::Finished => break,
            }
        }
        self.flush();
        self.done
    }

    fn chunk(&mut self, chunk: Chunk) {
        match chunk {
            Chunk::Block(sealed) => {
                match sealed.content {
                    Content::Batch => self.put(sealed.bytes()),
                    Content::RawStacks => self.stacks.extend(raw_stacks(sealed.bytes())),
                }
                CORE.queue.recycle(sealed);
            }
            Chunk::Batch(bytes) => {
                self.put(&bytes);
                CORE.queue.uncount(bytes.len());
            }
        }
    }

    /// Stacks, then strings (stacks name them), then the end.
    fn close(&mut self, mut closing: Closing) {
        if self.done.error.is_some() {
            self.stacks.clear();
            return;
        }
        self.resolver.set_modules(&closing.modules);
        closing.stacks.append(&mut self.stacks);
        let mut strings = StringTable::new(&closing);
        let mut batches = Batches::new(&closing);
        for stack in &closing.stacks {
            let frames = self.frames(stack, &mut strings);
            let id = StackId(stack.id);
            batches.add(|batch| batch.stack(id, &frames));
        }
        batches.cut();
        for (id, text) in strings.take() {
            batches.add(|batch| batch.string(id, limits::cut_string_tail(&text).as_bytes()));
        }
        for record in &closing.metadata {
            for text in record.encode() {
                let id = strings.new_id();
                batches.add(|batch| batch.string(id, text.as_bytes()));
            }
        }
        let bytes = batches.finish();
        self.put(&bytes);
        self.put(&[EventKind::EndOfGeneration as u8]);
        self.flush();
    }

    fn frames(&mut self, stack: &RawStack, strings: &mut StringTable) -> Vec<Frame> {
        let mut frames = Vec::with_capacity(stack.pcs.len() + 1);
        if stack.leaf != 0 {
            frames.push(name_frame(StringId(stack.leaf)));
        }
        match stack.kind {
            StackKind::Plain => {
                for &address in &stack.pcs {
                    let resolved = self.resolver.resolve(address);
                    frames.extend(resolved.iter().map(|frame| strings.frame(frame)));
                }
            }
            kind => {
                let (word, named) = self.look_into(kind, &stack.pcs);
                match (word, stack.word) {
                    (None, _) => {}
                    (Some(word), 0) => frames.push(name_frame(strings.id(&word.into()))),
                    (Some(word), id) => strings.define(StringId(id), word),
                }
                frames.extend(named.iter().map(|frame| strings.frame(frame)));
            }
        }
        if frames.len() > limits::MAX_STACK_FRAMES {
            frames.truncate(limits::MAX_STACK_FRAMES);
            self.done.stacks_cut += 1;
        }
        frames
    }

    /// What a stack is found to tell, and the frames that are worth showing.
    fn look_into(
        &mut self,
        kind: StackKind,
        pcs: &[u64],
    ) -> (Option<&'static str>, Vec<NamedFrame>) {
        let mut stacks = pcs.split(|pc| *pc == 0).filter(|stack| !stack.is_empty());
        let named = |pcs: &[u64]| -> Vec<NamedFrame> {
            let resolved = pcs.iter().map(|pc| self.resolver.resolve(*pc));
            let mut frames: Vec<NamedFrame> = resolved.flat_map(|frames| frames.to_vec()).collect();
            classify::trim(&mut frames, kind == StackKind::Await);
            frames
        };
        if kind == StackKind::Await {
            let (wait, frames) = classify::choose(stacks.map(named).collect());
            return (Some(wait), frames);
        }
        let frames = stacks.next().map(named).unwrap_or_default();
        let word = match kind {
            StackKind::Spawn => None,
            StackKind::End => Some(classify::end(&frames)),
            _ => classify::driver(&frames),
        };
        (word, frames)
    }

    fn put(&mut self, bytes: &[u8]) {
        if self.done.error.is_some() {
            return;
        }
        match self.sink.write_all(bytes) {
            Ok(()) => self.done.bytes += bytes.len() as u64,
            Err(error) => self.fail(error),
        }
    }

    fn flush(&mut self) {
        if self.done.error.is_none()
            && let Err(error) = self.sink.flush()
        {
            self.fail(error);
        }
    }

    fn fail(&mut self, error: io::Error) {
        self.done.error = Some(error);
        // Relaxed: a hint; the engine is woken below.
        SINK_FAILED.store(true, Ordering::Relaxed);
        CORE.queue.call_engine(|call| call.look = true);
    }
}

/// The strings that frames name, in one generation.
#[derive(Debug)]
struct StringTable {
    /// By address: the symbolizer gives equal texts one place.
    ids: HashMap<Arc<str>, StringId>,
    texts: Vec<(StringId, Arc<str>)>,
    next: u64,
}

impl StringTable {
    fn new(closing: &Closing) -> Self {
        Self {
            ids: HashMap::new(),
            texts: Vec::new(),
            next: closing.next_string,
        }
    }

    fn new_id(&mut self) -> StringId {
        self.next += 1;
        StringId(self.next - 1)
    }

    fn id(&mut self, text: &Arc<str>) -> StringId {
        if text.is_empty() {
            return StringId::EMPTY;
        }
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        let id = self.new_id();
        self.ids.insert(Arc::clone(text), id);
        self.texts.push((id, Arc::clone(text)));
        id
    }

    /// Gives an id that events name already its text.
    fn define(&mut self, id: StringId, text: &'static str) {
        self.texts.push((id, text.into()));
    }

    fn frame(&mut self, frame: &NamedFrame) -> Frame {
        Frame {
            pc: frame.pc,
            function: self.id(&frame.function),
            file: self.id(&frame.file),
            line: frame.line,
        }
    }

    fn take(&mut self) -> Vec<(StringId, Arc<str>)> {
        std::mem::take(&mut self.texts)
    }
}

/// A frame that is only a name.
fn name_frame(name: StringId) -> Frame {
    Frame {
        pc: Pc::Name(name).encode(),
        function: name,
        file: StringId::EMPTY,
        line: 0,
    }
}

/// Structural batches, one after the other.
struct Batches {
    generation: Generation,
    time: Ticks,
    batch: BatchWriter,
    bytes: Vec<u8>,
}

impl Batches {
    fn new(closing: &Closing) -> Self {
        let (generation, time) = (Generation(closing.generation), Ticks(closing.ticks));
        Self {
            generation,
            time,
            batch: BatchWriter::new(generation, ThreadId::NONE, time),
            bytes: Vec::new(),
        }
    }

    fn add(&mut self, record: impl Fn(&mut BatchWriter) -> Result<(), Full>) {
        if record(&mut self.batch).is_err() {
            self.cut();
            // A record always fits into an empty batch.
            let written = record(&mut self.batch);
            debug_assert!(written.is_ok());
        }
    }

    /// Ends the batch: the next record is of another kind, or does not fit.
    fn cut(&mut self) {
        let fresh = BatchWriter::new(self.generation, ThreadId::NONE, self.time);
        let full = std::mem::replace(&mut self.batch, fresh);
        if !full.is_empty() {
            full.finish_into(&mut self.bytes);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        self.cut();
        self.bytes
    }
}
