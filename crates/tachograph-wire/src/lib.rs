//! The vocabulary of execution traces, shared by those who write and those who read them.
//!
//! **You give** bytes, or records to be written; **you get** records, or bytes. The format is Go's execution trace v2,
//! all its versions for reading and that of Go 1.26 for writing, plus [metadata strings](metadata) that Go ignores.
//! docs/FORMAT.md shows it byte by byte.
//!
//! **You owe** the order of things: this crate knows single batches and records. That ids resolve, generations follow
//! each other and events make sense together is the ordering reader's work; that batches of a thread come in order
//! is the recorder's.
//!
//! **Not for** writing events where they happen: the recorder has its own buffers for that, built on
//! [`varint::encode_into`] and [`EventKind`]. [`BatchWriter`] allocates.
//!
//! All decoders are total: any bytes give records or a [`WireError`] with its place in the file. They allocate nothing,
//! but for the one buffer of [`TraceItems`].
//!
//! ```
//! use tachograph_wire::{BatchKind, BatchWriter, EventKind, Generation, Item, Items, ThreadId, Ticks, version};
//!
//! // A thread's region, whose name is string 1.
//! let mut batch = BatchWriter::new(Generation(1), ThreadId(7), Ticks(1000));
//! batch.event(EventKind::UserRegionBegin, Ticks(1001), &[0, 1, 0])?;
//! batch.event(EventKind::UserRegionEnd, Ticks(1251), &[0, 1, 0])?;
//! let mut trace = version::WRITTEN.header().to_vec();
//! batch.finish_into(&mut trace);
//! trace.push(EventKind::EndOfGeneration as u8);
//!
//! let items = Items::new(&trace)?;
//! let version = items.version();
//! let mut names = Vec::new();
//! for item in items {
//!     let Item::Batch(batch) = item? else { continue };
//!     assert_eq!(batch.kind(version), BatchKind::Events);
//!     for event in batch.events() {
//!         let event = event?;
//!         names.push((event.kind.name(), event.dt));
//!     }
//! }
//! assert_eq!(names, [("UserRegionBegin", Ticks(1)), ("UserRegionEnd", Ticks(250))]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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
pub use event::{Arg, ArgKind, EventClass, EventKind, EventSpec};
pub use ids::{
    ByteOffset, Frequency, Generation, Nanos, ProcId, ProcStatus, StackId, StringId, TaskId,
    TaskStatus, ThreadId, Ticks, UserTaskId,
};
pub use items::{Item, Items, TraceItems};
pub use metadata::Metadata;
pub use pc::Pc;
pub use record::{Events, RawEvent};
pub use tables::{ClockSnapshot, Frame, Frames, Sample, StackRecord, StringRecord, SyncBatch};
pub use version::Version;
pub use writer::{BatchWriter, Full};
