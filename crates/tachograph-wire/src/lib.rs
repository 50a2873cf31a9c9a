//! The vocabulary that both sides of a trace share: event table, identifiers, varints, batches, records, metadata.
#![forbid(unsafe_code)]

pub mod batch;
mod cursor;
pub mod error;
pub mod event;
pub mod ids;
pub mod items;
pub mod limits;
pub mod metadata;
pub mod pc;
pub mod record;
pub mod tables;
pub mod varint;
pub mod version;
pub mod writer;

pub use batch::{Batch, BatchHeader, BatchKind};
pub use error::{Problem, WireError};
pub use event::{ArgKind, EventClass, EventKind, EventSpec};
pub use ids::*;
pub use items::{Item, Items, TraceItems};
pub use metadata::Metadata;
pub use record::{Events, RawEvent};
pub use tables::{ClockSnapshot, Frame, Frames, Sample, StackRecord, StringRecord, SyncBatch};
pub use version::Version;
pub use writer::{BatchWriter, Full};
