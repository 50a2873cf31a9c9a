//! One way through a trace, from its first sync to its last.
//!
//! Owns what is between generations: syncs, how the trace ends, errors that wait until all before them is delivered. The generations come from
//! a [`Supply`]: out of the input, or from a thread that reads ahead.

use crate::check;
use crate::end::{End, Truncated};
use crate::error::ReadError;
use crate::generation::{Generation, Stream};
use crate::record::Record;
use crate::sequence::{Delivery, Sequence};
use std::fmt;
use std::sync::Arc;
use tachograph_wire::{ByteOffset, Generation as Number, Version, WireError};

/// Where generations and their events come from.
pub(crate) trait Supply {
    /// How far a thread's events have been read.
    type Place;

    /// The start of a thread's events; `number` is that of its stream.
    fn place(number: usize, stream: &Stream) -> Self::Place;

    /// Reads the next event at a place into `record`, all but its context; whether there is one.
    fn event(
        &mut self,
        place: &mut Self::Place,
        generation: &Generation,
        record: &mut Record,
    ) -> Result<bool, WireError>;

    /// The version in the header.
    fn version(&self) -> Version;

    /// How many bytes of the trace have been read.
    fn offset(&self) -> ByteOffset;

    /// Bytes at the end of a trace that was cut off that make no whole item; 0 where it is not.
    fn partial_bytes(&self) -> u64;

    /// The next generation. `spare` is one whose memory may be used again.
    fn next(&mut self, spare: Arc<Generation>) -> Result<Supplied, ReadError>;
}

/// What a supply has.
#[derive(Debug)]
pub(crate) enum Supplied {
    /// A generation that nobody else has.
    Generation(Arc<Generation>),
    /// The trace is over.
    End,
    /// The trace ends too early, within something that is no generation.
    CutOff,
}

/// How to read.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Whether a generation that is cut off is read as far as it goes. If not, the trace ends before it, as for Go's reader.
    pub keep_incomplete: bool,
}

impl Options {
    /// See the field.
    #[must_use]
    pub const fn keep_incomplete(mut self, keep: bool) -> Self {
        self.keep_incomplete = keep;
        self
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            keep_incomplete: true,
        }
    }
}

/// A way through a trace.
pub(crate) struct Pass<S: Supply> {
    supply: S,
    options: Options,
    sequence: Sequence<S::Place>,
    /// The generation before, whose memory is used again.
    spare: Arc<Generation>,
    state: State,
    failed: Option<ReadError>,
    end: Option<End>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// A generation is to be loaded, or the trace is over.
    Between,
    /// In a generation.
    Within,
    /// The last sync was delivered; what failed is next.
    Ending,
    /// Nothing more.
    Over,
}

impl<S: Supply> fmt::Debug for Pass<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pass")
            .field("state", &self.state)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl<S: Supply> Pass<S> {
    pub fn new(supply: S, options: Options) -> Self {
        Self {
            supply,
            options,
            sequence: Sequence::new(),
            spare: Arc::default(),
            state: State::Between,
            failed: None,
            end: None,
        }
    }

    pub fn supply(&self) -> &S {
        &self.supply
    }

    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Goes on to the next record; whether there is one.
    #[inline]
    pub fn step(&mut self) -> Result<bool, ReadError> {
        if self.state == State::Within {
            match self.sequence.deliver(&mut self.supply) {
                Ok(Delivery::Ready) => return Ok(true),
                Ok(Delivery::Empty) => self.state = State::Between,
                Err(error) => return self.fail(error),
            }
        }
        self.step_between()
    }

    /// The same, and looks up what the record refers to.
    #[inline]
    pub fn step_checked(&mut self) -> Result<bool, ReadError> {
        if !self.step()? {
            return Ok(false);
        }
        match check::references(self.sequence.record(), self.sequence.generation()) {
            Ok(0) => {}
            Ok(missing) => self.sequence.lost.unresolved_ids += missing,
            Err(error) => return self.fail(ReadError::Broken(error)),
        }
        Ok(true)
    }

    #[cold]
    fn fail(&mut self, error: ReadError) -> Result<bool, ReadError> {
        self.state = State::Over;
        Err(error)
    }

    /// The record that the last step came to.
    #[inline]
    pub fn record(&self) -> &Record {
        self.sequence.record()
    }

    /// Its generation; `None` for the last sync.
    #[inline]
    pub fn generation(&self) -> Option<&Arc<Generation>> {
        (self.state == State::Within).then_some(self.sequence.generation())
    }

    /// Leaves the rest of the generation out.
    pub fn skip_generation(&mut self) {
        if self.state == State::Within {
            self.sequence.skip();
        }
    }

    #[cold]
    fn step_between(&mut self) -> Result<bool, ReadError> {
        if self.state == State::Between {
            self.load();
        }
        match self.state {
            State::Within => {
                let generation = self.sequence.generation();
                let (time, offset) = (generation.start(), generation.offset);
                self.sequence.sync(Some(time), offset);
                Ok(true)
            }
            State::Between => {
                self.state = State::Ending;
                self.sequence.sync(None, self.supply.offset());
                Ok(true)
            }
            State::Ending | State::Over => {
                self.state = State::Over;
                match self.failed.take() {
                    Some(error) => Err(error),
                    None => Ok(false),
                }
            }
        }
    }

    /// Goes on to the next generation, if there is one.
    fn load(&mut self) {
        let current = self.sequence.generation();
        if current.is_cut {
            return self.cut_off(Some(current.number));
        }
        match self.supply.next(std::mem::take(&mut self.spare)) {
            Ok(Supplied::Generation(next)) if next.is_cut && !self.options.keep_incomplete => {
                self.cut_off(Some(next.number));
            }
            Ok(Supplied::Generation(next)) => match self.sequence.enter(&mut self.supply, next) {
                Ok(before) => {
                    self.spare = before;
                    self.state = State::Within;
                }
                Err(error) => {
                    // N.B. no sync: the generation's would be next.
                    self.failed = Some(error);
                    self.state = State::Ending;
                }
            },
            Ok(Supplied::End) => self.end = Some(End::Complete),
            Ok(Supplied::CutOff) => self.cut_off(None),
            Err(error) => self.failed = Some(error),
        }
    }

    fn cut_off(&mut self, generation: Option<Number>) {
        let partial_bytes = self.supply.partial_bytes();
        let lost = std::mem::take(&mut self.sequence.lost);
        self.end = Some(End::Truncated(Box::new(Truncated {
            offset: self.supply.offset().plus(partial_bytes as usize),
            generation,
            partial_bytes,
            unordered_events: lost.unordered_events,
            unresolved_ids: lost.unresolved_ids,
            stopped_by: lost.stopped_by,
        })));
    }
}
