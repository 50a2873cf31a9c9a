//! The recording side of Tachograph: everything that runs inside the traced program.
//!
//! **You give** annotations ([`region`], [`task`], [`log`], [`blocking`]), threads ([`thread::spawn`]) and a sink
//! ([`Recorder::start`]). **You get** a trace in the format of Go's execution tracer, version 1.26: self-contained generations of
//! events and CPU samples, and a [`Summary`] of what was kept and what could not be. **You owe** nothing: a thread registers itself
//! at its first event, and a sink that fails or lags stops or suspends the recording, never the program. **Not for** recording in a
//! forked child: it records nothing.
//!
//! # Cost
//! Recording off: one load and a branch. A region's begin or end about 10 ns, a log 20 ns (`tachograph-bench event`). A CPU sample
//! 2 to 3 us of signal delivery and 0.3 us of ours (`tachograph-bench sample`).
//!
//! # Rooms
//! A thread's event goes through `annotate` -> `section` (critical section, once-a-generation work) -> `slot` -> `buffer`, and leaves by
//! `queue`. The `engine` thread moves generations (`advance`, `notes`), arms and drains samples (`sample`) and closes each generation
//! into a `package`, which the `writer` thread resolves and puts into the sink. `gate` is the protocol that holds it together.
#![cfg_attr(loom, allow(dead_code, unused_imports, missing_docs))]

mod barrier;
mod claim;
#[cfg(not(loom))]
mod classify;
mod gate;
mod status;
mod sync;
mod syscall;
mod task_word;

#[cfg(loom)]
#[path = "sample/ring.rs"]
mod ring;
#[cfg(loom)]
#[path = "sample/words.rs"]
mod words;

#[cfg(not(loom))]
mod advance;
#[cfg(not(loom))]
mod annotate;
#[cfg(not(loom))]
mod awaits;
#[cfg(not(loom))]
#[doc(hidden)]
pub mod bench_hooks;
#[cfg(not(loom))]
mod blocking;
#[cfg(not(loom))]
mod buffer;
#[cfg(not(loom))]
mod chains;
#[cfg(not(loom))]
mod clock;
#[cfg(not(loom))]
mod core;
#[cfg(not(loom))]
mod coverage;
#[cfg(not(loom))]
mod engine;
#[cfg(not(loom))]
mod error;
#[cfg(not(loom))]
mod fast;
#[cfg(not(loom))]
mod flow;
#[cfg(not(loom))]
mod names;
#[cfg(not(loom))]
mod notes;
#[cfg(not(loom))]
mod os;
#[cfg(not(loom))]
mod own_task;
#[cfg(not(loom))]
mod package;
#[cfg(not(loom))]
mod poll;
#[cfg(not(loom))]
mod procs;
#[cfg(not(loom))]
mod queue;
#[cfg(not(loom))]
mod record;
#[cfg(not(loom))]
mod regions;
#[cfg(not(loom))]
mod registry;
#[cfg(not(loom))]
mod resolve;
#[cfg(not(loom))]
mod sample;
#[cfg(not(loom))]
mod scope;
#[cfg(not(loom))]
mod section;
#[cfg(not(loom))]
mod session;
#[cfg(not(loom))]
mod setup;
#[cfg(not(loom))]
mod slot;
#[cfg(not(loom))]
mod spare;
#[cfg(not(loom))]
mod spawn;
#[cfg(not(loom))]
mod stack;
#[cfg(not(loom))]
mod summary;
#[cfg(not(loom))]
mod tables;
#[cfg(not(loom))]
mod tasks;
#[cfg(not(loom))]
mod totals;
#[cfg(not(loom))]
mod traced_task;
#[cfg(tachograph_sanitizer)]
mod visible;
#[cfg(not(loom))]
mod wake;
#[cfg(not(loom))]
mod worker;
#[cfg(not(loom))]
mod writer;

#[cfg(not(loom))]
pub use crate::{
    annotate::{Region, Task, TaskHandle, is_recording, log, region, task},
    barrier::FenceKind,
    blocking::blocking,
    clock::ClockKind,
    error::{StartError, StopError},
    sample::counters::Tally,
    sample::timer::SampleSource,
    sample::walker::UnwinderKind,
    scope::InTask,
    session::{MAX_SAMPLE_HZ, Recorder, Recording, SampleTimer, StopHandle, Symbols},
    stack::AwaitStacks,
    summary::{RuntimeSummary, SampleSummary, Summary},
};
#[cfg(not(loom))]
pub use tachograph_wire::metadata::Cause;

/// Threads whose creation is recorded, with the same forms as `std::thread`.
#[cfg(not(loom))]
pub mod thread {
    pub use crate::spawn::{Builder, JoinHandle, Scope, ScopedJoinHandle, scope, spawn};
}

/// For integrations of async runtimes: their tasks and their threads. Programs use those integrations.
#[cfg(not(loom))]
pub mod runtime {
    pub use crate::scope::HeldRegion;
    pub use crate::tasks::TaskName;
    pub use crate::traced_task::{Entered, TracedTask, runs_task};
    pub use crate::worker::{
        Pool, thread_drives, thread_parks, thread_rests, thread_returns, thread_started,
        thread_stopped, thread_unparks,
    };
}

/// The protocol's rooms, for the models in `tests/`.
#[cfg(loom)]
pub mod model {
    pub use crate::barrier::{FenceKind, heavy_fence};
    pub use crate::claim::Claim;
    pub use crate::gate::{Entry, Gate, HandlerEntry, WriteFlag};
    pub use crate::ring::{Place, Ring};
    pub use crate::status::Marks;
    pub use crate::sync::interrupt_at;
    pub use crate::syscall::{Return, SectionSeen, Syscall};
    pub use crate::task_word::{Change, Closed, Doing, Said, TaskWord, Tried};
    pub use crate::words::Words;
}
