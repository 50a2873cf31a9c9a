//! How a trace ends.

use crate::error::BrokenTrace;
use std::fmt;
use tachograph_wire::{ByteOffset, Generation};

/// How a trace ends, once there are no more events.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum End {
    /// All of it was read.
    Complete,
    /// It was cut off: the program was killed, the disk was full, the file is still being written. All that could be put in
    /// order has been delivered.
    Truncated(Box<Truncated>),
}

/// What is missing of a trace that was cut off.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Truncated {
    /// Where the bytes end.
    pub offset: ByteOffset,
    /// The generation that is incomplete; `None` if the cut is before anything of a generation.
    pub generation: Option<Generation>,
    /// Bytes at the end that make no whole batch.
    pub partial_bytes: u64,
    /// Events that are there but could not be put in order, because what they follow is missing.
    pub unordered_events: u64,
    /// Strings and stacks that delivered events refer to and that are missing.
    pub unresolved_ids: u64,
    /// Why ordering ended before the events did.
    pub stopped_by: Option<BrokenTrace>,
}

impl fmt::Display for Truncated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.generation {
            Some(generation) => write!(f, "generation {generation}, byte {:#x}: ", self.offset.0)?,
            None => write!(f, "byte {:#x}: ", self.offset.0)?,
        }
        f.write_str("truncated: the bytes end before the generation does")?;
        for (count, one, many) in [
            (
                self.partial_bytes,
                "byte is no whole batch",
                "bytes are no whole batch",
            ),
            (
                self.unordered_events,
                "event can't be put in order",
                "events can't be put in order",
            ),
            (
                self.unresolved_ids,
                "string or stack is missing",
                "strings and stacks are missing",
            ),
        ] {
            match count {
                0 => {}
                1 => write!(f, ", 1 {one}")?,
                _ => write!(f, ", {count} {many}")?,
            }
        }
        f.write_str(" [G3]")
    }
}
