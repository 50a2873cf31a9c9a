//! What a sync event says: a generation begins, or the trace ends.

use crate::generation::{ExperimentalBatch, Generation};
use std::fmt;
use tachograph_wire::{Generation as Number, Metadata, Nanos};

/// A generation begins, or the trace ends.
///
/// Everything that exists has been told before, or will be within the generation.
#[derive(Clone, Copy)]
pub struct Sync<'a> {
    /// 1, 2, 3, ... from the start of the trace.
    pub number: u64,
    pub(crate) generation: Option<&'a Generation>,
}

/// The same instant on three clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Clock {
    /// On the trace's clock.
    pub trace: Nanos,
    /// Nanoseconds of the monotonic clock.
    pub mono_ns: u64,
    /// Seconds since 1970.
    pub wall_sec: i64,
    /// Nanoseconds within the second, as the trace has it (it may be over a second in a broken one).
    pub wall_nsec: u64,
}

impl<'a> Sync<'a> {
    /// Whether it is the one at the end of the trace.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        self.generation.is_none()
    }

    /// The number of the generation on the wire.
    #[must_use]
    pub fn generation(&self) -> Option<Number> {
        Some(self.generation?.number())
    }

    /// The clocks; `None` before Go 1.25 and at the end.
    #[must_use]
    pub fn clock(&self) -> Option<Clock> {
        self.generation?.clock()
    }

    /// Batches of experiments, which nobody here understands.
    pub fn experimental_batches(&self) -> impl Iterator<Item = ExperimentalBatch<'a>> + use<'a> {
        self.generation
            .into_iter()
            .flat_map(Generation::experimental_batches)
    }

    /// What the recorder says about itself and its losses in this generation. Looks at every string of it; allocates.
    pub fn metadata(&self) -> impl Iterator<Item = Metadata> + use<'a> {
        self.generation.into_iter().flat_map(Generation::metadata)
    }
}

impl fmt::Debug for Sync<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sync")
            .field("number", &self.number)
            .field("generation", &self.generation())
            .field("clock", &self.clock())
            .finish()
    }
}
