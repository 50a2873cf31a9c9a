//! Reads ahead on two threads of its own.
//!
//! Loading and decoding, ordering, and whatever the caller does with events are three stages, each on its own thread, with bounded queues
//! between them. Looking up what events refer to is done on the caller's.
//!
//! ```text
//!  input -> [load] -- generations, batches of events --> [order] -- chunks of records --> the caller
//!              ^------------------ used memory comes back ---------------------------------'
//! ```
//!
//! # Rules
//! 1. A chunk's records are of one generation, which travels with them.
//! 2. What ends the trace travels behind the last record, so events are delivered before an error, as on one thread.
//! 3. Nobody waits for a stage that is gone: when the caller goes, sending fails and the threads end. They are not joined, because one may
//!    be waiting for its input.

use crate::check;
use crate::end::End;
use crate::error::ReadError;
use crate::event::Event;
use crate::generation::{Generation, Stream};
use crate::load::Loader;
use crate::pass::{Options, Pass, Supplied, Supply};
use crate::record::Record;
use crate::stream::InBatches;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use tachograph_wire::{ByteOffset, Nanos, Version, WireError};

/// Records of a chunk: it stays in a core's cache, and the queues are seldom touched.
const CHUNK: usize = 1024;
/// Chunks that wait for the caller.
const CHUNKS: usize = 16;
/// Events of a stream that are read at once.
const BATCH: usize = 512;
/// Batches of events that wait to be ordered; more if clocks mislead about which are wanted first.
const BATCHES: usize = 64;

/// Reads a trace from front to back, loading and ordering on threads of its own.
///
/// The same events in the same order as from a [`Reader`](crate::Reader). Memory: up to four generations, and the
/// events that are on their way: of threads whose clocks mislead about who is next, that may be many. Events come in chunks, so the last
/// of a pipe that stays open come late.
#[derive(Debug)]
pub struct Ahead {
    version: Version,
    chunks: Receiver<Chunk>,
    spare_chunks: Sender<Vec<Record>>,
    spare_generations: Sender<Arc<Generation>>,
    chunk: Chunk,
    next: usize,
    unresolved_ids: u64,
    end: Option<End>,
    is_over: bool,
}

/// Records on their way to the caller.
#[derive(Debug)]
struct Chunk {
    generation: Option<Arc<Generation>>,
    records: Vec<Record>,
    bytes_read: ByteOffset,
    /// What comes behind the last record of the trace.
    last: Option<Result<Option<End>, ReadError>>,
}

impl Chunk {
    fn of(records: Vec<Record>, bytes_read: ByteOffset) -> Self {
        Self {
            generation: None,
            records,
            bytes_read,
            last: None,
        }
    }
}

/// What the loading thread says.
enum Message {
    /// A generation, or that there are no more.
    Load {
        loaded: Result<Supplied, ReadError>,
        offset: ByteOffset,
        partial_bytes: u64,
    },
    /// The next events of a stream of the last generation.
    Events(Batch),
}

/// Events of one stream, read.
struct Batch {
    stream: usize,
    events: Vec<Record>,
    /// What ends the stream, behind the last event.
    last: Option<Result<(), WireError>>,
}

/// The second stage's view of the first: generations, and events that were read.
struct Loading {
    version: Version,
    messages: Receiver<Message>,
    spare: Sender<Vec<Record>>,
    offset: ByteOffset,
    partial_bytes: u64,
    /// Batches that came before they were wanted, by stream.
    early: Vec<VecDeque<Batch>>,
}

/// How far the events of a stream are used up.
struct Place {
    batch: Batch,
    next: usize,
}

impl Ahead {
    /// Reads the header of a trace and begins to read ahead.
    ///
    /// # Errors
    /// As [`Reader::new`](crate::Reader::new), and [`ReadError::Io`] if a thread can't be started.
    pub fn new(input: impl Read + Send + 'static) -> Result<Self, ReadError> {
        Self::with_options(input, Options::default())
    }

    /// The same, reading as `options` say.
    ///
    /// # Errors
    /// As [`Ahead::new`].
    pub fn with_options(
        input: impl Read + Send + 'static,
        options: Options,
    ) -> Result<Self, ReadError> {
        let loader = Loader::new(input, options)?;
        let version = loader.version();
        let (to_order, messages) = sync_channel(BATCHES);
        let (spare, spare_batches) = channel();
        let (spare_generations, spares) = channel();
        let (to_caller, chunks) = sync_channel(CHUNKS);
        let (spare_chunks, unused_chunks) = channel();
        let loading = Loading {
            version,
            messages,
            spare,
            offset: loader.offset(),
            partial_bytes: 0,
            early: Vec::new(),
        };
        start("tacho-load", move || {
            load(loader, &to_order, &spares, &spare_batches);
        })?;
        start("tacho-order", move || {
            order(Pass::new(loading, options), &to_caller, &unused_chunks);
        })?;
        Ok(Self {
            version,
            chunks,
            spare_chunks,
            spare_generations,
            chunk: Chunk::of(Vec::new(), ByteOffset(0)),
            next: 0,
            unresolved_ids: 0,
            end: None,
            is_over: false,
        })
    }

    /// The version in the header.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// How many bytes of the trace had been read when the current event was put in order.
    #[must_use]
    pub fn bytes_read(&self) -> ByteOffset {
        self.chunk.bytes_read
    }

    /// How the trace ended, once [`next_event`](Self::next_event) has given `None`.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// The next event; `None` at the end.
    ///
    /// # Errors
    /// As [`Reader::next_event`](crate::Reader::next_event).
    #[inline]
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>, ReadError> {
        if self.next == self.chunk.records.len() && !self.next_chunk()? {
            return Ok(None);
        }
        let Some(record) = self.chunk.records.get(self.next) else {
            return Ok(None);
        };
        self.next += 1;
        let generation = self.chunk.generation.as_deref();
        if let Some(generation) = generation {
            match check::references(record, generation) {
                Ok(0) => {}
                Ok(missing) => self.unresolved_ids += missing,
                Err(error) => {
                    self.is_over = true;
                    self.next = self.chunk.records.len();
                    return Err(ReadError::Broken(error));
                }
            }
        }
        Ok(Some(Event { record, generation }))
    }

    /// Waits for the next chunk that has records; whether there is one.
    #[cold]
    fn next_chunk(&mut self) -> Result<bool, ReadError> {
        loop {
            if self.is_over {
                return Ok(false);
            }
            if let Some(last) = self.chunk.last.take() {
                self.is_over = true;
                self.end = last?;
                if let Some(End::Truncated(truncated)) = &mut self.end {
                    truncated.unresolved_ids += self.unresolved_ids;
                }
                return Ok(false);
            }
            let Ok(chunk) = self.chunks.recv() else {
                // A stage ended without a word: it panicked.
                self.is_over = true;
                return Err(ReadError::Io(ErrorKind::Other));
            };
            let used = std::mem::replace(&mut self.chunk, chunk);
            self.next = 0;
            // Who is gone needs no memory.
            let _ = self.spare_chunks.send(used.records);
            // Once, with its last chunk: who gets it must be able to see that nobody else has it.
            if let Some(generation) = used.generation
                && !self.is_current(&generation)
            {
                let _ = self.spare_generations.send(generation);
            }
            if !self.chunk.records.is_empty() {
                return Ok(true);
            }
        }
    }
}

impl Ahead {
    fn is_current(&self, generation: &Arc<Generation>) -> bool {
        let current = self.chunk.generation.as_ref();
        current.is_some_and(|current| Arc::ptr_eq(current, generation))
    }
}

fn start(name: &str, stage: impl FnOnce() + Send + 'static) -> Result<(), ReadError> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(stage);
    match started {
        Ok(_) => Ok(()),
        Err(error) => Err(ReadError::Io(error.kind())),
    }
}

/// The first stage.
fn load<R: Read>(
    mut loader: Loader<R>,
    to_order: &SyncSender<Message>,
    spares: &Receiver<Arc<Generation>>,
    spare_batches: &Receiver<Vec<Record>>,
) {
    let mut used: Vec<Arc<Generation>> = Vec::new();
    loop {
        used.extend(spares.try_iter());
        let free = used.iter().position(|spare| Arc::strong_count(spare) == 1);
        let spare = free.map(|free| used.swap_remove(free)).unwrap_or_default();
        let loaded = loader.next(spare);
        let generation = match &loaded {
            Ok(Supplied::Generation(generation)) => Some(Arc::clone(generation)),
            _ => None,
        };
        let message = Message::Load {
            loaded,
            offset: loader.offset(),
            partial_bytes: loader.partial_bytes(),
        };
        if to_order.send(message).is_err() {
            return;
        }
        let Some(generation) = generation else {
            return;
        };
        if read_events(&generation, to_order, spare_batches).is_none() {
            return;
        }
    }
}

/// Reads the events of a generation, those that will be wanted first first: some of each stream, then more of the stream whose next event is
/// the earliest. `None` if nobody wants them.
fn read_events(
    generation: &Generation,
    to_order: &SyncSender<Message>,
    spare: &Receiver<Vec<Record>>,
) -> Option<()> {
    let mut streams = BinaryHeap::new();
    let mut places: Vec<InBatches> = Vec::new();
    for (stream, batches) in generation.streams.all.iter().enumerate() {
        let mut place = InBatches::of(batches);
        let next = read_batch(generation, &mut place, stream, to_order, spare)?;
        places.push(place);
        streams.extend(next.map(|time| Reverse((time, stream))));
    }
    while let Some(Reverse((_, stream))) = streams.pop() {
        let place = places.get_mut(stream)?;
        let next = read_batch(generation, place, stream, to_order, spare)?;
        streams.extend(next.map(|time| Reverse((time, stream))));
    }
    Some(())
}

/// Reads some events of a stream, and gives the time of the last of them if there may be more. `None` if nobody wants them.
fn read_batch(
    generation: &Generation,
    place: &mut InBatches,
    stream: usize,
    to_order: &SyncSender<Message>,
    spare: &Receiver<Vec<Record>>,
) -> Option<Option<Nanos>> {
    let mut events = spare.try_recv().unwrap_or_default();
    // Read in place: a record that was just written is slow to copy. An event takes two bytes at least.
    let most = BATCH.min(place.bytes_left() / 2 + 1);
    events.resize(most, Record::EMPTY);
    let (mut len, mut time, mut last) = (0, None, None);
    for record in &mut events {
        match place.next(generation, record) {
            Ok(true) => (len, time) = (len + 1, Some(record.time)),
            Ok(false) => last = Some(Ok(())),
            Err(error) => last = Some(Err(error)),
        }
        if last.is_some() {
            break;
        }
    }
    events.truncate(len);
    let more = if last.is_none() { time } else { None };
    let batch = Batch {
        stream,
        events,
        last,
    };
    to_order.send(Message::Events(batch)).ok()?;
    Some(more)
}

impl Loading {
    /// The next events of a stream; an empty end if the first stage is gone, which the next generation will tell.
    #[cold]
    fn batch(&mut self, stream: usize) -> Batch {
        let early = self.early.get_mut(stream).and_then(VecDeque::pop_front);
        if let Some(batch) = early {
            return batch;
        }
        while let Ok(Message::Events(batch)) = self.messages.recv() {
            if batch.stream == stream {
                return batch;
            }
            if let Some(early) = self.early.get_mut(batch.stream) {
                early.push_back(batch);
            }
        }
        Batch {
            stream,
            events: Vec::new(),
            last: Some(Ok(())),
        }
    }
}

impl Supply for Loading {
    type Place = Place;

    fn place(stream: usize, _: &Stream) -> Place {
        let batch = Batch {
            stream,
            events: Vec::new(),
            last: None,
        };
        Place { batch, next: 0 }
    }

    #[inline]
    fn event(
        &mut self,
        place: &mut Place,
        _: &Generation,
        record: &mut Record,
    ) -> Result<bool, WireError> {
        loop {
            if let Some(next) = place.batch.events.get(place.next) {
                place.next += 1;
                *record = *next;
                return Ok(true);
            }
            if let Some(last) = place.batch.last {
                return last.map(|()| false);
            }
            let next = self.batch(place.batch.stream);
            let used = std::mem::replace(&mut place.batch, next);
            place.next = 0;
            // Who is gone needs no memory.
            let _ = self.spare.send(used.events);
        }
    }

    fn version(&self) -> Version {
        self.version
    }

    fn offset(&self) -> ByteOffset {
        self.offset
    }

    fn partial_bytes(&self) -> u64 {
        self.partial_bytes
    }

    fn next(&mut self, _: Arc<Generation>) -> Result<Supplied, ReadError> {
        let Ok(Message::Load {
            loaded,
            offset,
            partial_bytes,
        }) = self.messages.recv()
        else {
            return Err(ReadError::Io(ErrorKind::Other));
        };
        (self.offset, self.partial_bytes) = (offset, partial_bytes);
        if let Ok(Supplied::Generation(generation)) = &loaded {
            self.early.clear();
            self.early
                .resize_with(generation.streams.all.len(), VecDeque::new);
        }
        loaded
    }
}

/// The second stage.
fn order(mut pass: Pass<Loading>, to_caller: &SyncSender<Chunk>, spare: &Receiver<Vec<Record>>) {
    loop {
        let mut records = spare.try_recv().unwrap_or_default();
        records.clear();
        records.reserve(CHUNK);
        let mut chunk = Chunk::of(records, pass.supply().offset());
        while chunk.records.len() < CHUNK && chunk.last.is_none() {
            match pass.step() {
                // A sync is the first of its generation.
                Ok(true) if pass.record().kind.is_none() && !chunk.records.is_empty() => {
                    let mut next = Chunk::of(Vec::with_capacity(CHUNK), pass.supply().offset());
                    next.records.push(*pass.record());
                    if to_caller.send(std::mem::replace(&mut chunk, next)).is_err() {
                        return;
                    }
                }
                Ok(true) => chunk.records.push(*pass.record()),
                Ok(false) => chunk.last = Some(Ok(pass.end().cloned())),
                Err(error) => chunk.last = Some(Err(error)),
            }
            if chunk.generation.is_none() {
                chunk.generation = pass.generation().cloned();
            }
        }
        let is_last = chunk.last.is_some();
        if to_caller.send(chunk).is_err() || is_last {
            return;
        }
    }
}
