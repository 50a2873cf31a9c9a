//! Ordered events out of bytes.
//!
//! Owns the loop: load a generation, then deliver its samples and the events that the model lets happen, the earliest first, then the
//! next (ordering notes, §3).
//!
//! # Rules
//! 1. Every delivered event gets a time after that of the event before: its own, or one nanosecond more.
//! 2. The records of one event stay together: neither sample nor sync comes between.
//! 3. A sample goes before the earliest event if its raw time is lower, and stays in its generation.
//! 4. An event that was read is delivered before an error behind it is reported. After an error there is nothing more.
//! 5. In a generation that the trace's end cuts off, missing names are no error, and an event that can't happen ends the trace: what it needs
//!    may be what is missing.

use crate::end::{End, Truncated};
use crate::error::{BrokenTrace, Fault, ReadError, Rule, Waiting};
use crate::event::Event;
use crate::frontier::Frontier;
use crate::generation::Generation;
use crate::load::{Loaded, Loader};
use crate::order::{Model, Queue, Step};
use crate::record::{Context, Extra, Record};
use std::io::Read;
use tachograph_wire::limits::MAX_EVENT_ARGS;
use tachograph_wire::{
    ArgKind, ByteOffset, EventKind, Nanos, ThreadId, Version, WireError,
};

/// Reads a trace from front to back.
///
/// Memory: one generation. Bytes in memory are as good an input as a file: `Reader::new(&bytes[..])`.
#[derive(Debug)]
pub struct Reader<R> {
    loader: Loader<R>,
    order: Order,
}

/// How to read.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Whether a generation that is cut off is read as far as it goes. If not, the trace ends before it, as for Go's reader.
    pub keep_incomplete: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            keep_incomplete: true,
        }
    }
}

/// All but the input.
#[derive(Debug)]
pub(crate) struct Order {
    options: Options,
    generation: Generation,
    /// The one before, and the memory for the one after.
    spare: Generation,
    frontier: Frontier,
    model: Model,
    queue: Queue,
    next_sample: usize,
    /// The record that was delivered last.
    current: Current,
    last_time: Nanos,
    syncs: u64,
    state: State,
    /// To be reported once what was read before is delivered.
    pending: Option<ReadError>,
    lost: Lost,
    end: Option<End>,
}

/// What a generation that is cut off lacks.
#[derive(Debug, Default)]
struct Lost {
    unordered_events: u64,
    unresolved_ids: u64,
    stopped_by: Option<BrokenTrace>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// A generation is to be loaded, or the trace is over.
    Between,
    /// In a generation.
    Within,
    /// The last sync was delivered; what is pending is next.
    Ending,
    /// Nothing more.
    Over,
}

/// Where a delivered record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Current {
    /// In the queue.
    Queued,
    /// With the cursor at this place of the heap, which reads its next event when the record isn't needed any more.
    Held { place: usize },
}

/// What became of a call to deliver.
enum Delivery {
    /// A record is ready.
    Ready,
    /// The generation has nothing more.
    Empty,
}

impl<R: Read> Reader<R> {
    /// Reads the header of a trace.
    ///
    /// # Errors
    /// [`ReadError::Unsupported`] if it is none that is read here, [`ReadError::Io`].
    pub fn new(input: R) -> Result<Self, ReadError> {
        Self::with_options(input, Options::default())
    }

    /// The same, reading as `options` say.
    ///
    /// # Errors
    /// As [`Reader::new`].
    pub fn with_options(input: R, options: Options) -> Result<Self, ReadError> {
        let loader = Loader::new(input)?;
        Ok(Self {
            loader,
            order: Order::new(options),
        })
    }

    /// Reads from a generation on, whose place an [`Index`](crate::Index) tells: `input` yields the trace's bytes from `offset` on.
    ///
    /// For events it is as if the trace began there: everything has an undetermined state first, names of annotation tasks and regions that
    /// began before are unknown.
    pub fn resume(input: R, version: Version, offset: ByteOffset) -> Self {
        Self {
            loader: Loader::resume(input, version, offset),
            order: Order::new(Options::default()),
        }
    }

    /// The version in the header.
    #[must_use]
    pub fn version(&self) -> Version {
        self.loader.version()
    }

    /// How many bytes of the trace have been read. A generation is read as a whole.
    #[must_use]
    pub fn bytes_read(&self) -> ByteOffset {
        self.loader.offset()
    }

    /// How the trace ended, once [`next_event`](Self::next_event) has given `None`.
    pub fn end(&self) -> Option<&End> {
        self.order.end.as_ref()
    }

    /// The next event; `None` at the end.
    ///
    /// A trace begins and ends with a sync. Costs no allocation, but for the memory that a larger generation needs.
    ///
    /// # Errors
    /// If the trace is broken or can't be read. All events before that have been delivered, and a call after it gives `None`.
    #[inline]
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>, ReadError> {
        if self.order.state == State::Within {
            match self.order.deliver()? {
                Delivery::Ready => return Ok(Some(self.order.current())),
                Delivery::Empty => self.order.state = State::Between,
            }
        }
        self.next_sync()
    }

    /// Leaves the rest of the current generation out.
    ///
    /// # Errors
    /// Never for what is left out. N.B. the next generation is then read as if the trace began there, see
    /// [`resume`](Self::resume).
    pub fn skip_generation(&mut self) {
        if self.order.state == State::Within {
            self.order.skip();
        }
    }

    #[cold]
    fn next_sync(&mut self) -> Result<Option<Event<'_>>, ReadError> {
        if self.order.state == State::Between {
            self.load();
        }
        match self.order.state {
            State::Within => {
                let offset = self.order.generation.offset;
                let time = self.order.generation.start();
                self.order.sync(time, offset);
                Ok(Some(self.order.current()))
            }
            State::Between => {
                self.order.state = State::Ending;
                let (time, offset) = (self.order.last_time, self.loader.offset());
                self.order.sync(time, offset);
                Ok(Some(self.order.current()))
            }
            State::Ending | State::Over => {
                self.order.state = State::Over;
                match self.order.pending.take() {
                    Some(error) => Err(error),
                    None => Ok(None),
                }
            }
        }
    }

    /// Goes on to the next generation, if there is one.
    fn load(&mut self) {
        let order = &mut self.order;
        if order.generation.is_cut {
            let cut = Some(order.generation.number);
            return order.cut_off(cut, self.loader.offset(), self.loader.cut_bytes());
        }
        match self.loader.load(&mut order.spare) {
            Ok(Loaded::Generation) if order.spare.is_cut && !order.options.keep_incomplete => {
                let offset = self.loader.offset();
                order.cut_off(Some(order.spare.number), offset, self.loader.cut_bytes());
            }
            Ok(Loaded::Generation) => match order.enter() {
                Ok(()) => order.state = State::Within,
                Err(error) => {
                    // N.B. no sync: the generation's would be next.
                    order.pending = Some(error);
                    order.state = State::Ending;
                }
            },
            Ok(Loaded::End) => order.end = Some(End::Complete),
            Ok(Loaded::CutOff) => {
                order.cut_off(None, self.loader.offset(), self.loader.cut_bytes());
            }
            Err(error) => order.pending = Some(error),
        }
    }
}

impl Order {
    pub fn new(options: Options) -> Self {
        Self {
            options,
            generation: Generation::default(),
            spare: Generation::default(),
            frontier: Frontier::default(),
            model: Model::new(),
            queue: Queue::new(),
            next_sample: 0,
            current: Current::Queued,
            last_time: Nanos(0),
            syncs: 0,
            state: State::Between,
            pending: None,
            lost: Lost::default(),
            end: None,
        }
    }

    /// The generation in `spare` is next.
    fn enter(&mut self) -> Result<(), ReadError> {
        self.model.enter(&self.generation, &mut self.spare);
        std::mem::swap(&mut self.generation, &mut self.spare);
        self.next_sample = 0;
        let entered = self.frontier.enter(&self.generation);
        entered.map_err(|(thread, error)| self.undecodable(thread, error))
    }

    fn skip(&mut self) {
        self.current = Current::Queued;
        self.frontier = Frontier::default();
        self.next_sample = self.generation.samples.len();
        while self.queue.pop().is_some() {}
        self.model = Model::new();
        self.generation.clear();
    }

    /// The event that was delivered last.
    #[inline]
    fn current(&self) -> Event<'_> {
        Event {
            record: self.record(),
            generation: (self.state != State::Ending).then_some(&self.generation),
        }
    }

    #[inline]
    fn record(&self) -> &Record {
        match self.current {
            Current::Held { place } => match self.frontier.get(place) {
                Some(cursor) => &cursor.record,
                None => self.queue.last(),
            },
            Current::Queued => self.queue.last(),
        }
    }

    fn sync(&mut self, time: Nanos, offset: ByteOffset) {
        self.syncs += 1;
        let record = Record {
            time,
            offset,
            context: Context::NONE,
            args: [self.syncs, 0, 0, 0],
            kind: None,
            extra: Extra::NONE,
        };
        self.put(record);
    }

    /// Queues a record that is no event of a thread and takes it.
    fn put(&mut self, record: Record) {
        let _ = self.queue.is_empty();
        self.queue.push(record);
        self.take_queued();
    }

    /// Takes the next record of the queue, if there is one, and makes its time the next (rule 1).
    fn take_queued(&mut self) -> bool {
        let Some(record) = self.queue.pop() else {
            return false;
        };
        record.time = after(self.last_time, record.time);
        self.last_time = record.time;
        self.current = Current::Queued;
        true
    }

    /// Makes the next record of the generation the current one.
    #[inline]
    fn deliver(&mut self) -> Result<Delivery, ReadError> {
        if let Current::Held { place } = self.current {
            self.current = Current::Queued;
            if let Err((thread, error)) = self.frontier.step(place, &self.generation) {
                return self.stop_at(self.undecodable(thread, error));
            }
        } else if !self.queue.is_empty() {
            self.take_queued();
            self.check_ids()?;
            return Ok(Delivery::Ready);
        }
        if self.pending.is_some()
            && let Some(error) = self.pending.take()
        {
            return self.stop_at(error);
        }
        let earliest = self.frontier.earliest();
        if let Some(&at) = self.generation.samples.get(self.next_sample)
            && earliest.is_none_or(|earliest| at.time < earliest)
        {
            self.next_sample += 1;
            return self.deliver_sample(&at);
        }
        if earliest.is_none() {
            return Ok(Delivery::Empty);
        }
        match self.advance(0) {
            Ok(Step::NotYet) => {
                if let Err(error) = self.advance_another() {
                    return self.stop(error);
                }
            }
            Ok(Step::Done | Step::DoneAs) => {}
            Err(error) => return self.stop(error),
        }
        self.check_ids()?;
        Ok(Delivery::Ready)
    }

    fn deliver_sample(&mut self, at: &crate::generation::SampleAt) -> Result<Delivery, ReadError> {
        let sample = &at.sample;
        self.put(Record {
            time: at.time,
            offset: at.offset,
            context: Context {
                thread: sample.thread,
                proc: sample.proc,
                task: sample.task,
            },
            args: [sample.stack.0, 0, 0, 0],
            kind: Some(EventKind::CPUSample),
            extra: Extra::NONE,
        });
        if self.generation.is_cut {
            self.lost.unresolved_ids += u64::from(!self.generation.stacks.has(sample.stack.0));
        }
        Ok(Delivery::Ready)
    }

    /// Lets the candidate at this place of the frontier happen, if it may.
    #[inline]
    fn advance(&mut self, place: usize) -> Result<Step, Box<BrokenTrace>> {
        let Some(cursor) = self.frontier.get_mut(place) else {
            return Ok(Step::NotYet);
        };
        if cursor.seat.is_none() {
            cursor.seat = self.model.seat(cursor.thread);
        }
        let (generation, queue) = (&self.generation, &mut self.queue);
        let record = &mut cursor.record;
        match self.model.advance(cursor.seat, record, generation, queue) {
            Ok(Step::Done) => {
                record.time = after(self.last_time, record.time);
                self.last_time = record.time;
                self.current = Current::Held { place };
                Ok(Step::Done)
            }
            Ok(Step::DoneAs) => {
                self.step_now(place);
                self.take_queued();
                Ok(Step::DoneAs)
            }
            Ok(Step::NotYet) => Ok(Step::NotYet),
            Err(fault) => Err(Box::new(BrokenTrace {
                generation: Some(generation.number),
                thread: Some(cursor.thread),
                offset: record.offset,
                event: record.kind,
                fault: *fault,
            })),
        }
    }

    /// Goes on with the thread at this place, whose event is in the queue.
    #[cold]
    fn step_now(&mut self, place: usize) {
        if let Err((thread, error)) = self.frontier.step(place, &self.generation) {
            // Rule 4.
            self.pending = Some(self.undecodable(thread, error));
        }
    }

    /// The first must wait: tries the others, in the order of their times.
    #[cold]
    fn advance_another(&mut self) -> Result<(), Box<BrokenTrace>> {
        self.frontier.sort();
        for place in 1..self.frontier.len() {
            if self.advance(place)? != Step::NotYet {
                return Ok(());
            }
        }
        Err(Box::new(self.stuck()))
    }

    #[cold]
    fn stuck(&mut self) -> BrokenTrace {
        let mut waiting = Vec::new();
        for place in 0..self.frontier.len() {
            let Some(cursor) = self.frontier.get(place) else {
                continue;
            };
            let record = &cursor.record;
            let Some(event) = record.kind else { continue };
            let args = record.args.get(..event.arity());
            waiting.push(Waiting {
                thread: cursor.thread,
                offset: record.offset,
                event,
                args: args.unwrap_or_default().to_vec(),
                waits_for: self.model.waits_for(record),
            });
        }
        let first = waiting.first();
        BrokenTrace {
            generation: Some(self.generation.number),
            thread: first.map(|first| first.thread),
            offset: first.map_or(self.generation.offset, |first| first.offset),
            event: first.map(|first| first.event),
            fault: Fault::Stuck(waiting),
        }
    }

    /// Nothing more can be ordered: an error, or the end of a trace that was cut off (rule 5).
    #[cold]
    fn stop(&mut self, error: Box<BrokenTrace>) -> Result<Delivery, ReadError> {
        if !self.generation.is_cut {
            self.state = State::Over;
            return Err(ReadError::Broken(error));
        }
        let unordered_events = self.frontier.count_rest(&self.generation);
        let samples = self.generation.samples.len();
        let left = samples.saturating_sub(self.next_sample);
        self.next_sample = samples;
        self.lost.unordered_events = unordered_events + left as u64;
        self.lost.stopped_by = Some(*error);
        Ok(Delivery::Empty)
    }

    /// The same, for an error of any kind.
    #[cold]
    fn stop_at(&mut self, error: ReadError) -> Result<Delivery, ReadError> {
        match error {
            ReadError::Broken(error) => self.stop(error),
            error => {
                self.state = State::Over;
                Err(error)
            }
        }
    }

    fn cut_off(
        &mut self,
        generation: Option<tachograph_wire::Generation>,
        offset: ByteOffset,
        partial_bytes: Option<u64>,
    ) {
        let partial_bytes = partial_bytes.unwrap_or(0);
        let lost = std::mem::take(&mut self.lost);
        self.end = Some(End::Truncated(Box::new(Truncated {
            offset: offset.plus(partial_bytes as usize),
            generation,
            partial_bytes,
            unordered_events: lost.unordered_events,
            unresolved_ids: lost.unresolved_ids,
            stopped_by: lost.stopped_by,
        })));
    }

    /// What the record refers to is defined (T1).
    #[inline]
    fn check_ids(&mut self) -> Result<(), ReadError> {
        let record = self.record();
        let Some(kind) = record.kind else {
            return Ok(());
        };
        let mut references = REFERENCES[usize::from(kind.code())];
        let generation = &self.generation;
        let (mut missing, mut count) = (None, 0);
        while references != 0 {
            let bit = references.trailing_zeros();
            references &= references - 1;
            let id = record.args.get(bit as usize % MAX_EVENT_ARGS);
            let id = id.copied().unwrap_or_default();
            let is_stack = bit as usize >= MAX_EVENT_ARGS;
            let is_there = match is_stack {
                true => generation.stacks.has(id),
                false => record.extra.carried || generation.strings.has(id),
            };
            if !is_there {
                let table = if is_stack { "stack" } else { "string" };
                (missing, count) = (Some((table, id)), count + 1);
            }
        }
        let Some((table, id)) = missing else {
            return Ok(());
        };
        if generation.is_cut {
            self.lost.unresolved_ids += count;
            return Ok(());
        }
        let broken = BrokenTrace {
            generation: Some(generation.number),
            thread: Some(record.context.thread),
            offset: record.offset,
            event: Some(kind),
            fault: Fault::Undefined {
                rule: Rule::T1,
                by: "the event",
                table,
                id,
            },
        };
        self.state = State::Over;
        Err(broken.into())
    }

    fn undecodable(&self, thread: ThreadId, error: WireError) -> ReadError {
        use tachograph_wire::Problem;
        let rule = match error.problem {
            Problem::UnexpectedCode { .. } => Rule::D1,
            _ => Rule::D2,
        };
        ReadError::of_wire(rule, error, Some(self.generation.number), Some(thread))
    }
}

/// Which arguments of a record are ids, as bits: of strings the lower four, of stacks the upper.
static REFERENCES: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < EventKind::ALL.len() {
        let kind = EventKind::ALL[i];
        let args = kind.spec().args_after_dt();
        let mut position = 0;
        while position < args.len() && position < MAX_EVENT_ARGS {
            let bit = match args[position].kind {
                ArgKind::String => 1 << position,
                ArgKind::Stack | ArgKind::NewStack => 1 << (position + MAX_EVENT_ARGS),
                _ => 0,
            };
            table[kind.code() as usize] |= bit;
            position += 1;
        }
        i += 1;
    }
    // A record of a task's end says more than the wire does.
    table[EventKind::UserTaskEnd as usize] = 1 << 2 | 1 << (3 + MAX_EVENT_ARGS);
    // A sample's stack was looked up when its generation was loaded.
    table[EventKind::CPUSample as usize] = 0;
    table
};

/// The time of an event that follows one at `last` (rule 1).
#[inline]
fn after(last: Nanos, time: Nanos) -> Nanos {
    Nanos(time.0.max(last.0.saturating_add(1)))
}
