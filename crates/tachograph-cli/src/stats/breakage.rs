//! Why a trace is invalid, and where.
//!
//! Called by the rooms that count. What `tachograph-wire` checks comes from there; here are the rules between items:
//! how generations follow each other and what each must hold.

use std::fmt;
use tachograph_wire::{ByteOffset, Generation, WireError};

/// Where a trace breaks and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Breakage {
    /// First byte of what is wrong.
    pub offset: ByteOffset,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The bytes end within an item.
    EndsWithin(WireError),
    /// The bytes end before the end of the generation.
    Unfinished(Generation),
    /// The bytes are nothing that may stand there.
    Wire(WireError),
    /// A batch of generation 0.
    GenerationZero,
    /// A batch of a generation that can't follow here.
    WrongGeneration {
        /// The generation of the batch.
        found: Generation,
        /// The one that it should be of.
        wanted: Generation,
    },
    /// The end of a generation without batches.
    EmptyGeneration,
    /// A frequency of 0.
    FrequencyZero,
    /// The generation holds the named record twice.
    Second(&'static str),
    /// The generation ends without the named record.
    Missing(Generation, &'static str),
}

impl Breakage {
    /// An item could not be read.
    pub fn of_item(error: WireError) -> Self {
        let fault = if error.is_truncated() {
            Fault::EndsWithin(error)
        } else {
            Fault::Wire(error)
        };
        Self {
            offset: error.offset,
            fault,
        }
    }

    /// Whether the trace is good as far as it goes.
    pub fn is_truncation(&self) -> bool {
        matches!(self.fault, Fault::EndsWithin(_) | Fault::Unfinished(_))
    }
}

/// A payload could not be read. That its bytes end early is no truncation of the file: the next item is there.
impl From<WireError> for Breakage {
    fn from(error: WireError) -> Self {
        Self {
            offset: error.offset,
            fault: Fault::Wire(error),
        }
    }
}

impl fmt::Display for Breakage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {:#x}: ", self.offset.0)?;
        match &self.fault {
            Fault::EndsWithin(error) | Fault::Wire(error) => error.problem.fmt(f),
            Fault::Unfinished(generation) => {
                write!(
                    f,
                    "truncated: the bytes end before the end of generation {generation}"
                )
            }
            Fault::GenerationZero => write!(f, "batch of generation 0, wanted 1 or more"),
            Fault::WrongGeneration { found, wanted } => {
                write!(f, "batch of generation {found}, wanted {wanted}")
            }
            Fault::EmptyGeneration => {
                f.write_str("end of a generation, wanted a batch of it first")
            }
            Fault::FrequencyZero => f.write_str("frequency is 0, wanted ticks per second"),
            Fault::Second(what) => write!(f, "second {what} in the generation, wanted one"),
            Fault::Missing(generation, what) => {
                write!(f, "generation {generation} ends without {what}, wanted one")
            }
        }
    }
}
