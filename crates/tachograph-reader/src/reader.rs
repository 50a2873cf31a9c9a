//! Ordered events out of bytes.

use crate::end::End;
use crate::error::ReadError;
use crate::event::Event;
use crate::load::Loader;
use crate::pass::{Options, Pass, Supply};
use std::io::Read;
use tachograph_wire::{ByteOffset, Version};

/// Reads a trace from front to back, on one thread.
///
/// Memory: one generation. Bytes in memory are as good an input as a file: `Reader::new(&bytes[..])`.
#[derive(Debug)]
pub struct Reader<R: Read> {
    pass: Pass<Loader<R>>,
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
        let pass = Pass::new(Loader::new(input, options)?, options);
        Ok(Self { pass })
    }

    /// Reads from a generation on, whose place an [`Index`](crate::Index) tells: `input` yields the trace's bytes from `offset` on.
    ///
    /// For events it is as if the trace began there: everything has an undetermined state first, names of annotation tasks and regions that
    /// began before are unknown. Events of the generation before that are later than the start of this one are left out with it, and times
    /// are the events' own, where a reader that comes from before tells some a little later (each event is told after the one before it).
    pub fn resume(input: R, version: Version, offset: ByteOffset) -> Self {
        let loader = Loader::resume(input, version, offset);
        let pass = Pass::new(loader, Options::default());
        Self { pass }
    }

    /// The version in the header.
    #[must_use]
    pub fn version(&self) -> Version {
        self.pass.supply().version()
    }

    /// How many bytes of the trace have been read. A generation is read as a whole.
    #[must_use]
    pub fn bytes_read(&self) -> ByteOffset {
        self.pass.supply().offset()
    }

    /// How the trace ended, once [`next_event`](Self::next_event) has given `None`.
    pub fn end(&self) -> Option<&End> {
        self.pass.end()
    }

    /// The next event; `None` at the end.
    ///
    /// A trace begins and ends with a sync. Costs no allocation, but for the memory that a larger generation needs.
    ///
    /// # Errors
    /// If the trace is broken or can't be read. All events before that have been delivered, and a call after it gives `None`.
    #[inline]
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>, ReadError> {
        let more = self.pass.step_checked()?;
        Ok(more.then(|| Event {
            record: self.pass.record(),
            generation: self.pass.generation().map(|generation| &**generation),
        }))
    }

    /// Leaves the rest of the current generation out: the next event is the sync of the next one.
    ///
    /// N.B. what was left out is unknown then, so the next generation is read as if the trace began there, see
    /// [`resume`](Self::resume).
    pub fn skip_generation(&mut self) {
        self.pass.skip_generation();
    }
}
