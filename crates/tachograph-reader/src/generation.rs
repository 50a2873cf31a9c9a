//! One generation in memory: its tables, its samples, the batches of each thread.
//!
//! Filled by `load`, read by the rooms of the order and by everyone who has an event. The bytes are copied once, events and
//! strings stay in them; stacks and samples are taken apart.

use crate::ids::Ids;
use crate::scale::Scale;
use crate::stack::Stack;
use crate::sync::Clock;
use crate::text::Text;
use std::collections::HashMap;
use std::sync::OnceLock;
use tachograph_wire::tables::Frame as WireFrame;
use tachograph_wire::{
    ByteOffset, Generation as Number, Metadata, Nanos, Sample, StackId, StringId, ThreadId, Ticks,
};

/// One generation in memory.
#[derive(Debug)]
pub struct Generation {
    pub(crate) number: Number,
    /// Where its first batch stands.
    pub(crate) offset: ByteOffset,
    /// Payloads of its batches, one behind the other.
    pub(crate) bytes: Vec<u8>,
    pub(crate) streams: Streams,
    pub(crate) strings: Table<StringAt>,
    pub(crate) stacks: Table<StackAt>,
    pub(crate) frames: Vec<WireFrame>,
    /// In the order of their times.
    pub(crate) samples: Vec<SampleAt>,
    pub(crate) experiments: Vec<ExperimentAt>,
    pub(crate) scale: Scale,
    pub(crate) clock: Option<Clock>,
    /// Lowest time of a batch.
    pub(crate) start: Ticks,
    /// Names that something which began in an earlier generation still needs; known once that one is over.
    carried: OnceLock<Vec<Box<[u8]>>>,
    /// Whether the trace ends within it.
    pub(crate) is_cut: bool,
}

/// Entries by their ids.
#[derive(Clone, Debug)]
pub(crate) struct Table<T> {
    pub ids: Ids,
    pub entries: Vec<T>,
}

/// A string of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StringAt {
    pub id: StringId,
    pub start: usize,
    pub len: u32,
    pub offset: ByteOffset,
}

/// A stack of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StackAt {
    pub id: StackId,
    pub start: usize,
    pub len: u32,
    pub offset: ByteOffset,
}

/// A sample with its time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SampleAt {
    pub time: Nanos,
    pub sample: Sample,
    pub offset: ByteOffset,
}

/// A batch of an experiment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExperimentAt {
    pub experiment: u8,
    pub thread: ThreadId,
    pub start: usize,
    pub len: usize,
}

/// The batches with events, by thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streams {
    by_thread: HashMap<ThreadId, u32, foldhash::fast::FixedState>,
    /// In the order of their first batches.
    pub all: Vec<Stream>,
    pub batches: Vec<BatchAt>,
    last: Option<(ThreadId, u32)>,
}

/// The batches of a thread, in the order of the trace, which is that of their writing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream {
    pub thread: ThreadId,
    pub first: u32,
    last: u32,
}

/// A batch with events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchAt {
    pub time: Ticks,
    pub start: usize,
    pub end: usize,
    /// Where the payload stands in the trace.
    pub offset: ByteOffset,
    /// The next batch of the same thread, or [`NO_BATCH`].
    pub next: u32,
}

/// The end of a stream.
pub(crate) const NO_BATCH: u32 = u32::MAX;

/// A batch of an experiment, which nobody here understands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExperimentalBatch<'a> {
    /// Number of the experiment.
    pub experiment: u8,
    /// Who wrote it.
    pub thread: ThreadId,
    /// What it says.
    pub bytes: &'a [u8],
}

impl Generation {
    /// Its number on the wire.
    #[must_use]
    pub const fn number(&self) -> Number {
        self.number
    }

    /// Where its first batch stands in the trace, uncompressed.
    #[must_use]
    pub const fn offset(&self) -> ByteOffset {
        self.offset
    }

    /// The clocks; `None` before Go 1.25.
    #[must_use]
    pub const fn clock(&self) -> Option<Clock> {
        self.clock
    }

    /// Its earliest time, as far as headers of batches tell.
    #[must_use]
    pub fn start(&self) -> Nanos {
        self.scale.nanos(self.start)
    }

    /// Ticks of this generation as a time or a length of time.
    #[must_use]
    pub fn nanos(&self, ticks: Ticks) -> Nanos {
        self.scale.nanos(ticks)
    }

    /// Whether the trace ends within it, so that anything may be missing.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The string with this id; empty if there is none, which only happens in a generation that [is cut](Self::is_cut).
    #[must_use]
    pub fn string(&self, id: StringId) -> Text<'_> {
        let entry = self.strings.get(id.0);
        Text::new(entry.map_or(&[], |at| self.slice(at.start, at.len as usize)))
    }

    /// All strings, in the order of the trace.
    pub fn strings(&self) -> impl ExactSizeIterator<Item = (StringId, Text<'_>)> {
        let entries = self.strings.entries.iter();
        entries.map(|at| (at.id, Text::new(self.slice(at.start, at.len as usize))))
    }

    /// The stack with this id; `None` for 0 and for what isn't there.
    #[must_use]
    pub fn stack(&self, id: StackId) -> Option<Stack<'_>> {
        (id != StackId::NONE && self.stacks.get(id.0).is_some()).then_some(Stack {
            generation: self,
            id,
        })
    }

    /// All stacks, in the order of the trace.
    pub fn stacks(&self) -> impl ExactSizeIterator<Item = Stack<'_>> {
        self.stacks.entries.iter().map(|at| Stack {
            generation: self,
            id: at.id,
        })
    }

    /// How many CPU samples it has.
    #[must_use]
    pub fn sample_count(&self) -> usize {
        self.samples.len()
    }

    /// Batches of experiments, in the order of the trace.
    pub fn experimental_batches(&self) -> impl Iterator<Item = ExperimentalBatch<'_>> {
        self.experiments.iter().map(|at| ExperimentalBatch {
            experiment: at.experiment,
            thread: at.thread,
            bytes: self.slice(at.start, at.len),
        })
    }

    /// What the recorder says about itself and its losses. Looks at every string; allocates. Strings that look like it and
    /// can't be read are left out.
    pub fn metadata(&self) -> impl Iterator<Item = Metadata> {
        self.strings()
            .filter_map(|(_, text)| Metadata::parse(text.to_str()?)?.ok())
    }

    pub(crate) fn wire_frames(&self, id: StackId) -> &[WireFrame] {
        let entry = self.stacks.get(id.0);
        entry
            .and_then(|at| self.frames.get(at.start..at.start + at.len as usize))
            .unwrap_or_default()
    }

    pub(crate) fn carried(&self, index: u64) -> Text<'_> {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let name = self.carried.get().and_then(|carried| carried.get(index));
        Text::new(name.map_or(&[], |name| name))
    }

    /// Takes names over from the generation before; the first time counts.
    pub(crate) fn carry(&self, names: Vec<Box<[u8]>>) {
        let _ = self.carried.set(names);
    }

    fn slice(&self, start: usize, len: usize) -> &[u8] {
        self.bytes.get(start..start + len).unwrap_or_default()
    }
}

impl<T> Table<T> {
    /// The entry with this id; 0 has none.
    #[inline]
    pub fn get(&self, id: u64) -> Option<&T> {
        self.entries.get(self.ids.get(id)?)
    }

    /// Whether the id may be referred to: 0 always may.
    #[inline]
    pub fn has(&self, id: u64) -> bool {
        self.ids.has(id)
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            ids: Ids::default(),
            entries: Vec::new(),
        }
    }
}

impl Streams {
    /// Adds the next batch of a thread.
    pub fn push(&mut self, thread: ThreadId, batch: BatchAt) {
        let index = self.batches.len() as u32;
        self.batches.push(batch);
        let stream = match self.last {
            Some((last, stream)) if last == thread => stream,
            _ => self.stream_of(thread, index),
        };
        self.last = Some((thread, stream));
        let Some(stream) = self.all.get_mut(stream as usize) else {
            return;
        };
        if stream.last != index {
            if let Some(before) = self.batches.get_mut(stream.last as usize) {
                before.next = index;
            }
            stream.last = index;
        }
    }

    fn stream_of(&mut self, thread: ThreadId, first: u32) -> u32 {
        let all = &mut self.all;
        *self.by_thread.entry(thread).or_insert_with(|| {
            all.push(Stream {
                thread,
                first,
                last: first,
            });
            all.len() as u32 - 1
        })
    }

    fn clear(&mut self) {
        self.by_thread.clear();
        self.all.clear();
        self.batches.clear();
        self.last = None;
    }
}

impl Default for Generation {
    fn default() -> Self {
        Self {
            number: Number::NONE,
            offset: ByteOffset(0),
            bytes: Vec::new(),
            streams: Streams::default(),
            strings: Table::default(),
            stacks: Table::default(),
            frames: Vec::new(),
            samples: Vec::new(),
            experiments: Vec::new(),
            scale: Scale::of(tachograph_wire::Frequency::RECORDED),
            clock: None,
            start: Ticks(0),
            carried: OnceLock::new(),
            is_cut: false,
        }
    }
}

impl Generation {
    /// Empties it for the next one; its memory stays.
    pub(crate) fn clear(&mut self) {
        let Self {
            number,
            offset,
            bytes,
            streams,
            strings,
            stacks,
            frames,
            samples,
            experiments,
            scale: _,
            clock,
            start,
            carried,
            is_cut,
        } = self;
        *number = Number::NONE;
        *offset = ByteOffset(0);
        bytes.clear();
        streams.clear();
        strings.entries.clear();
        stacks.entries.clear();
        frames.clear();
        samples.clear();
        experiments.clear();
        *clock = None;
        *start = Ticks(0);
        *carried = OnceLock::new();
        *is_cut = false;
    }
}
