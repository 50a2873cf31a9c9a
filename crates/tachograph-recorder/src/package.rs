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
    /// Lookup addresses, leaf first.
    pub(crate) pcs: Box<[u64]>,
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
