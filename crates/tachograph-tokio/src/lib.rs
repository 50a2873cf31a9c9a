//! Tokio in Tachograph's traces, on stable Tokio: every task's creation, polls, waits, wakes and end; workers, busy and parked; blocking
//! closures.
//!
//! **You give** tasks through [`spawn`] and its kin instead of Tokio's, and runtimes that were built with [`instrument`]. **You get**
//! each task as a goroutine of the trace, with who spawned it, who woke it from where, where it waited and how it ended; workers as procs;
//! CPU samples with the task that burned them. **You owe** little while nothing is recorded: a poll and its wake cost 20 to 50 ns more; and
//! handles, outputs and panics are Tokio's own. **Not for** tasks that others spawn with `tokio::spawn`: they are seen as time of their
//! worker in no task, which the recording's summary counts.
//!
//! With `RUSTFLAGS="--cfg tokio_unstable"` such tasks are recorded, too, without their wakes and awaits, through the runtime's task hooks:
//! [`Instrument::apply`] takes all four of them. Tokio has no hooks for tasks of a `LocalSet`: those that `tokio::task::spawn_local`
//! spawns there stay unseen.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tachograph_recorder::Recorder;
//!
//! let mut builder = tokio::runtime::Builder::new_multi_thread();
//! let runtime = tachograph_tokio::instrument(&mut builder).build()?;
//! let recording = Recorder::new().start(std::io::sink())?;
//! let sum = tachograph_tokio::block_on(&runtime, async {
//!     tachograph_tokio::spawn(async { 40 + 2 }).await
//! })?;
//! assert_eq!(sum, 42);
//! println!("{}", recording.stop()?);
//! # Ok(())
//! # }
//! ```
//!
//! # Rooms
//! `task` is a future that is a task of the trace, `traced` one that may be, `spawn` and `ext` bring them to Tokio, `runtime` tells
//! workers apart. All protocol is the recorder's (`tachograph_recorder::runtime`).
#![deny(unsafe_code)]

mod ext;
#[cfg(feature = "hyper")]
mod hyper;
mod main_fn;
mod named;
#[cfg(tokio_unstable)]
mod others;
mod runtime;
mod spawn;
mod task;
mod traced;

#[cfg(feature = "hyper")]
pub use crate::hyper::HyperExecutor;
pub use crate::{
    ext::{HandleExt, JoinSetExt, LocalSetExt},
    main_fn::Main,
    runtime::{Instrument, instrument},
    spawn::{block_in_place, block_on, spawn, spawn_blocking, spawn_local},
    traced::{FutureExt, Traced},
};
