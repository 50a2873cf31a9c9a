//! What the engine hands to the writer thread when a generation is complete.

use std::sync::Arc;

use tachograph_wire::metadata::Metadata;

use tachograph_unwind::Module;

/// A stack that is still addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawStack {
    pub(crate) id: u64,
    /// String id of a leaf frame that is only a name, 0 for none.
    pub(crate) leaf: u64,
    pub(crate) kind: StackKind,
    /// A string id that an event already names, for the word that the stack is found to stand for; 0 for none.
    pub(crate) word: u64,
    /// Lookup addresses, leaf first.
    pub(crate) pcs: Box<[u64]>,
}

/// What a stack is of, and what the writer looks for in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum StackKind {
    /// Nothing.
    Plain = 0,
    /// Waits: several stacks, each with a 0 behind it, of which the telling one is kept. The word is what is waited for.
    Await = 1,
    /// A wake: whether it is a runtime's driver that wakes.
    Wake = 2,
    /// A task that ends unfinished. The word is why.
    End = 3,
    /// Whoever creates a task.
    Spawn = 4,
}

impl StackKind {
    /// From its number.
    pub(crate) fn of(number: u64) -> Self {
        match number {
            1 => Self::Await,
            2 => Self::Wake,
            3 => Self::End,
            4 => Self::Spawn,
            _ => Self::Plain,
        }
    }
}

/// The tables and figures that end a generation.
#[derive(Debug)]
pub(crate) struct Closing {
    pub(crate) generation: u64,
    /// Time of the structural batches.
    pub(crate) ticks: u64,
    pub(crate) stacks: Vec<RawStack>,
    /// The first string id that nobody has used in this generation.
    pub(crate) next_string: u64,
    pub(crate) metadata: Vec<Metadata>,
    pub(crate) modules: Arc<[Module]>,
}
