//! Reads execution traces: ordered, typed, validated events in bounded memory.
//!
//! **You give** anything that yields the bytes of an execution trace v2: a file, a pipe, a slice. Go 1.22 to 1.27 and Tachograph write such
//! traces. **You get** its events in an order in which they can have happened, each with its time, its thread, proc and task, its stacks and
//! names; or an error that says which rule is broken, where, by what, and what was wanted instead.
//!
//! Within a thread the trace's order is the truth. Between threads clocks are only a hint: sequence numbers say what came before what, and a
//! model of the scheduler lets an event happen only when it can. The rules are those of Go's `internal/trace`, and so is the order of events
//! that no rule orders: the same file gives the same events in the same order each time, and the same as there (where more than twelve threads
//! wait at once with equal times, those may come out differently).
//!
//! **You owe** nothing but the bytes. Any bytes are fine: there are no panics, in accessors neither, and memory is bounded by the largest
//! generation: about twice its bytes for what programs write, at most 64 times for what hostile ones do.
//!
//! **Not for** single batches or records without their order ([`tachograph_wire`] has those), nor for traces of Go 1.21 and older, whose format
//! is another one; those are named in the error.
//!
//! ```
//! use tachograph_reader::{Change, End, Kind, Reader, TaskState};
//! # use tachograph_wire::*;
//! # fn recorded() -> Vec<u8> {
//! #     let (one, thread, none) = (Generation(1), ThreadId(7), ThreadId::NONE);
//! #     let mut trace = version::WRITTEN.header().to_vec();
//! #     let mut sync = BatchWriter::new(one, none, Ticks(1000));
//! #     let clock = ClockSnapshot { dt: Ticks(1), mono: 8008, sec: 1_700_000_000, nsec: 0 };
//! #     sync.sync(Frequency::RECORDED, &clock).unwrap();
//! #     sync.finish_into(&mut trace);
//! #     let mut events = BatchWriter::new(one, thread, Ticks(1000));
//! #     events.event(EventKind::ProcStatus, Ticks(1001), &[0, 1]).unwrap();
//! #     events.event(EventKind::GoStatus, Ticks(1002), &[1, 7, 2]).unwrap();
//! #     events.event(EventKind::GoBlock, Ticks(1250), &[1, 0]).unwrap();
//! #     events.finish_into(&mut trace);
//! #     let mut strings = BatchWriter::new(one, none, Ticks(1000));
//! #     strings.string(StringId(1), b"sleep").unwrap();
//! #     strings.finish_into(&mut trace);
//! #     trace.push(EventKind::EndOfGeneration as u8);
//! #     trace
//! # }
//! let trace: Vec<u8> = recorded();
//! let mut reader = Reader::new(&trace[..])?;
//! let mut waits = Vec::new();
//! while let Some(event) = reader.next_event()? {
//!     if let Kind::Transition(transition) = event.kind()
//!         && let Change::Task { id, to: TaskState::Waiting, .. } = transition.change
//!     {
//!         waits.push((event.time(), id, transition.reason.to_string()));
//!     }
//! }
//! assert_eq!(waits.len(), 1);
//! assert_eq!((waits[0].0.0, waits[0].2.as_str()), (10_000, "sleep"));
//! // A trace that was cut off is no error; what is missing is told.
//! assert_eq!(reader.end(), Some(&End::Complete));
//! # Ok::<(), tachograph_reader::ReadError>(())
//! ```
//!
//! # More than front to back
//! * [`Ahead`] is a reader that loads and orders on threads of its own, for a caller that has work to do.
//! * [`Index`] finds the generations without decoding anything, and [`Reader::resume`] begins at any of them;
//!   [`Reader::skip_generation`] leaves the rest of one out.
//! * [`validate`] checks what no order depends on: the rules V1 to V16 of the validator that Go's tests use.
//!
//! # Cost
//! An event takes some tens of nanoseconds on one core and no allocation; `tachograph-bench read` measures it beside Go's reader.
//!
//! # Where it differs from Go's reader
//! It is stricter where Go's accessors crash or give nonsense: statuses of 0 or over 4, reserved ids, a frequency of 0, samples with undefined
//! stacks are errors. It is kinder where data would be lost: a generation that the end of the file cuts off is read as far as it goes and
//! reported in [`End`], the event before an undecodable one is delivered, experiments that nobody knows are kept, frames that share a pc keep
//! their names. Times that overflow saturate.
#![forbid(unsafe_code)]

mod ahead;
mod check;
mod end;
mod error;
mod event;
mod frontier;
mod generation;
mod ids;
mod index;
mod load;
mod order;
mod pass;
mod reader;
mod record;
mod scale;
mod sequence;
mod stack;
mod state;
mod stream;
mod sync;
mod text;
pub mod validate;

pub use ahead::Ahead;
pub use end::{End, Truncated};
pub use error::{BrokenTrace, Fault, Need, ReadError, Rule, SyncPart, Waiting};
pub use event::{
    Change, Event, Experimental, Kind, Label, Log, Metric, MetricName, Range, RangeName, Region,
    Resource, Swept, Transition, UserTask,
};
pub use generation::{ExperimentalBatch, Generation};
pub use index::{Index, IndexedGeneration};
pub use pass::Options;
pub use reader::Reader;
pub use stack::{Frame, Stack};
pub use state::{ProcState, TaskState};
pub use sync::{Clock, Sync};
pub use text::Text;

/// What the words of events are made of, from the crate that knows the format. Its [`Generation`](tachograph_wire::Generation) is a number.
pub use tachograph_wire::{
    ByteOffset, EventKind, Generation as GenerationNumber, Metadata, Nanos, ProcId, StackId,
    StringId, TaskId, ThreadId, Ticks, UserTaskId, Version,
};
