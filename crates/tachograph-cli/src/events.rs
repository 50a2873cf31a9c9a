//! The ordered events of an input, from one thread or from several.
//!
//! Owns the choice: where there is a second core, a thread of its own loads and another orders. Called by `dump`, which has enough to do with
//! each event for that to pay.

use crate::input::Input;
use std::thread::available_parallelism;
use tachograph_reader::{Ahead, End, Event, Options, ReadError, Reader};

/// Ordered events.
pub enum Events {
    /// All on the calling thread.
    Here(Box<Reader<Input>>),
    /// Read ahead.
    Ahead(Box<Ahead>),
}

impl Events {
    /// Reads the header.
    ///
    /// # Errors
    /// As [`Reader::with_options`].
    pub fn read(input: Input, options: Options) -> Result<Self, ReadError> {
        if available_parallelism().is_ok_and(|cores| cores.get() > 1) {
            return Ok(Self::Ahead(Box::new(Ahead::with_options(input, options)?)));
        }
        let reader = Reader::with_options(input, options)?;
        Ok(Self::Here(Box::new(reader)))
    }

    /// The next event; `None` at the end.
    ///
    /// # Errors
    /// As [`Reader::next_event`].
    #[inline]
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>, ReadError> {
        match self {
            Self::Here(reader) => reader.next_event(),
            Self::Ahead(ahead) => ahead.next_event(),
        }
    }

    /// How the trace ended.
    pub fn end(&self) -> Option<&End> {
        match self {
            Self::Here(reader) => reader.end(),
            Self::Ahead(ahead) => ahead.end(),
        }
    }
}
