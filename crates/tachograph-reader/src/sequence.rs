//! The order of one generation's events, and what is carried from one to the next.
//!
//! Owns the loop within a generation: samples and the events that the model lets happen, the earliest first (docs/READING.md, Order). Called by
//! `pass`, which has the generations.
//!
//! # Rules
//! 1. Every delivered event gets a time after that of the event before: its own, or one nanosecond more.
//! 2. The records of one event stay together: neither sample nor sync comes between.
//! 3. A sample goes before the earliest event if its raw time is lower, and stays in its generation.
//! 4. An event that was read is delivered before an error behind it is reported. After an error there is nothing more.
//! 5. In a generation that the trace's end cuts off, missing names are no error, an event that can't be read ends its thread's events, and one
//!    that can't happen ends the trace: what it needs may be what is missing.

use crate::error::{BrokenTrace, Fault, ReadError, Rule, Waiting};
use crate::frontier::Frontier;
use crate::generation::{Generation, SampleAt};
use crate::order::{Model, Queue, Step};
use crate::pass::Supply;
use crate::record::{Context, Extra, Record};
use std::sync::Arc;
use tachograph_wire::{ByteOffset, EventKind, Nanos, Problem, ThreadId, WireError};

/// Puts events in order, generation by generation.
#[derive(Debug)]
pub(crate) struct Sequence<P> {
    generation: Arc<Generation>,
    frontier: Frontier<P>,
    model: Model,
    queue: Queue,
    next_sample: usize,
    /// The record that was delivered last.
    current: Current,
    last_time: Nanos,
    syncs: u64,
    /// To be reported once what was read before is delivered.
    pending: Option<ReadError>,
    pub lost: Lost,
}

/// What a generation that is cut off lacks.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    pub unordered_events: u64,
    pub unresolved_ids: u64,
    pub stopped_by: Option<BrokenTrace>,
}

/// Where a delivered record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Current {
    /// In the queue.
    Queued,
    /// With a cursor, which reads its next event when the record isn't needed any more.
    Held {
        /// The cursor's place in the heap.
        place: usize,
        /// The cursor's number.
        number: u32,
    },
}

/// What became of a call to deliver.
#[must_use]
pub(crate) enum Delivery {
    /// A record is ready.
    Ready,
    /// The generation has nothing more.
    Empty,
}

impl<P> Sequence<P> {
    /// Nothing has been read.
    pub fn new() -> Self {
        Self {
            generation: Arc::default(),
            frontier: Frontier::default(),
            model: Model::new(),
            queue: Queue::new(),
            next_sample: 0,
            current: Current::Queued,
            last_time: Nanos(0),
            syncs: 0,
            pending: None,
            lost: Lost::default(),
        }
    }

    /// Goes on to the next generation, and gives back the one before.
    ///
    /// # Errors
    /// If the first event of a thread can't be read.
    pub fn enter<S: Supply<Place = P>>(
        &mut self,
        supply: &mut S,
        next: Arc<Generation>,
    ) -> Result<Arc<Generation>, ReadError> {
        self.model.enter(&self.generation, &next);
        let before = std::mem::replace(&mut self.generation, next);
        self.next_sample = 0;
        if let Err((thread, error)) = self.frontier.enter(supply, &self.generation) {
            self.end_stream(thread, error)?;
        }
        Ok(before)
    }

    /// Leaves the rest of the generation out. What it would have changed is unknown, so the next one is read as if it were the first.
    pub fn skip(&mut self) {
        self.current = Current::Queued;
        self.frontier = Frontier::default();
        self.next_sample = self.generation.samples.len();
        while self.queue.pop().is_some() {}
        self.model = Model::new();
        self.generation = Arc::default();
    }

    pub fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// The record that was delivered last.
    #[inline]
    pub fn record(&self) -> &Record {
        match self.current {
            Current::Held { number, .. } => match self.frontier.cursor(number) {
                Some(cursor) => &cursor.record,
                None => self.queue.last(),
            },
            Current::Queued => self.queue.last(),
        }
    }

    /// Delivers a sync; without a time it is right after what was delivered last.
    pub fn sync(&mut self, time: Option<Nanos>, offset: ByteOffset) {
        self.syncs += 1;
        let record = Record {
            time: time.unwrap_or(self.last_time),
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
    pub fn deliver<S: Supply<Place = P>>(&mut self, supply: &mut S) -> Result<Delivery, ReadError> {
        if let Current::Held { place, .. } = self.current {
            self.current = Current::Queued;
            if let Err((thread, error)) = self.frontier.step(place, supply, &self.generation) {
                self.end_stream(thread, error)?;
            }
        } else if !self.queue.is_empty() {
            self.take_queued();
            return Ok(Delivery::Ready);
        }
        if self.pending.is_some()
            && let Some(error) = self.pending.take()
        {
            return Err(error);
        }
        let earliest = self.frontier.earliest();
        if let Some(&at) = self.generation.samples.get(self.next_sample)
            && earliest.is_none_or(|earliest| at.time < earliest)
        {
            self.next_sample += 1;
            self.put_sample(&at);
            return Ok(Delivery::Ready);
        }
        if earliest.is_none() {
            return Ok(Delivery::Empty);
        }
        match self.advance(supply, 0) {
            Ok(Step::NotYet) => {
                if let Err(error) = self.advance_another(supply) {
                    return self.stop(supply, error);
                }
            }
            Ok(Step::Done | Step::DoneAs) => {}
            Err(error) => return self.stop(supply, error),
        }
        Ok(Delivery::Ready)
    }

    fn put_sample(&mut self, at: &SampleAt) {
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
    }

    /// Lets the candidate at this place of the frontier happen, if it may.
    #[inline]
    fn advance<S: Supply<Place = P>>(
        &mut self,
        supply: &mut S,
        place: usize,
    ) -> Result<Step, Box<BrokenTrace>> {
        let Some((number, cursor)) = self.frontier.get_mut(place) else {
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
                self.current = Current::Held { place, number };
                Ok(Step::Done)
            }
            Ok(Step::DoneAs) => {
                self.step_now(supply, place);
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
    fn step_now<S: Supply<Place = P>>(&mut self, supply: &mut S, place: usize) {
        if let Err((thread, error)) = self.frontier.step(place, supply, &self.generation) {
            // Rule 4.
            self.pending = self.end_stream(thread, error).err();
        }
    }

    /// The first must wait: tries the others, in the order of their times.
    #[cold]
    fn advance_another<S: Supply<Place = P>>(
        &mut self,
        supply: &mut S,
    ) -> Result<(), Box<BrokenTrace>> {
        self.frontier.sort();
        for place in 1..self.frontier.len() {
            if self.advance(supply, place)? != Step::NotYet {
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
    fn stop<S: Supply<Place = P>>(
        &mut self,
        supply: &mut S,
        error: Box<BrokenTrace>,
    ) -> Result<Delivery, ReadError> {
        if !self.generation.is_cut {
            return Err(ReadError::Broken(error));
        }
        let unordered_events = self.frontier.count_rest(supply, &self.generation);
        let samples = self.generation.samples.len();
        let left = samples.saturating_sub(self.next_sample);
        self.next_sample = samples;
        self.lost.unordered_events = unordered_events + left as u64;
        self.lost.stopped_by.get_or_insert(*error);
        Ok(Delivery::Empty)
    }

    /// A thread's next event can't be read: an error, or in a generation that is cut off the end of that thread's events (rule 5).
    #[cold]
    fn end_stream(&mut self, thread: ThreadId, error: WireError) -> Result<(), ReadError> {
        match self.undecodable(thread, error) {
            ReadError::Broken(broken) if self.generation.is_cut => {
                self.lost.stopped_by.get_or_insert(*broken);
                Ok(())
            }
            error => Err(error),
        }
    }

    fn undecodable(&self, thread: ThreadId, error: WireError) -> ReadError {
        let rule = match error.problem {
            Problem::UnexpectedCode { .. } => Rule::D1,
            _ => Rule::D2,
        };
        ReadError::of_wire(rule, error, Some(self.generation.number), Some(thread))
    }
}

/// The time of an event that follows one at `last` (rule 1).
#[inline]
fn after(last: Nanos, time: Nanos) -> Nanos {
    Nanos(time.0.max(last.0.saturating_add(1)))
}
