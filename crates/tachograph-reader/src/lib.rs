//! Reads execution traces: ordered, typed, validated events in bounded memory.
#![forbid(unsafe_code)]

mod end;
mod error;
mod event;
mod frontier;
mod generation;
mod ids;
mod index;
mod load;
mod order;
mod reader;
mod record;
mod scale;
mod stack;
mod state;
mod sync;
mod text;

pub use end::{End, Truncated};
pub use error::{BrokenTrace, Fault, Need, ReadError, Rule, SyncPart, Waiting};
pub use event::{
    Change, Event, Experimental, Kind, Label, Log, Metric, MetricName, Range, RangeName, Region,
    Resource, Swept, Transition, UserTask,
};
pub use generation::{ExperimentalBatch, Generation};
pub use index::{Index, IndexedGeneration};
pub use reader::{Options, Reader};
pub use stack::{Frame, Stack};
pub use state::{ProcState, TaskState};
pub use sync::{Clock, Sync};
pub use text::Text;
