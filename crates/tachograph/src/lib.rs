//! An execution tracer and flight recorder for Rust programs.
//!
//! **You give** a sink and, if you like, annotations. **You get** a trace that `go tool trace` opens: threads, tasks, regions, logs and
//! CPU-profile samples with symbolized stacks, cut into self-contained generations. Each event and sample is in the generation in
//! which it was taken, and what can't be kept is counted in the trace. **You owe** nothing at run time: recording off costs one load and a branch per
//! annotation. **Not for** metrics over days: a trace grows with what happens.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let path = std::env::temp_dir().join(format!("tachograph-doc-{}.trace", std::process::id()));
//! use std::fs::File;
//! use std::time::Duration;
//!
//! let recording = tachograph::Recorder::new()
//!     .sample_cpu(99) // Hz; without it there are no samples
//!     .generation_period(Duration::from_millis(1000))
//!     .start(File::create(&path)?)?;
//!
//! let request = tachograph::task("request");
//! {
//!     let _region = request.region("parse");
//!     tachograph::log("user", "id=42");
//!     let query = request.child("db");
//!     tachograph::blocking("query", || std::thread::sleep(Duration::from_millis(5)));
//!     drop(query);
//! }
//! drop(request);
//!
//! let summary = recording.stop()?;
//! println!("{summary}");
//! # std::fs::remove_file(&path)?;
//! # Ok(())
//! # }
//! ```
//!
//! # Cost
//! In a release build a region's begin or end takes about 10 ns, a log 20 ns; `cargo run --release -p tachograph-bench -- event`
//! measures it.
#![forbid(unsafe_code)]

pub use tachograph_recorder::{
    AwaitStacks, Cause, ClockKind, FenceKind, InTask, MAX_SAMPLE_HZ, Recorder, Recording, Region,
    RuntimeSummary, SampleSource, SampleSummary, SampleTimer, StartError, StopError, StopHandle,
    Summary, Symbols, Tally, Task, TaskHandle, UnwinderKind, blocking, is_recording, log, region,
    task, thread,
};

#[cfg(feature = "tokio")]
pub use tachograph_tokio::{FutureExt, block_in_place, spawn, spawn_blocking, spawn_local};

/// Tokio in the trace: runtimes, Tokio's own types, an executor for hyper. Feature `tokio`.
#[cfg(feature = "tokio")]
pub mod tokio {
    #[cfg(feature = "hyper")]
    pub use tachograph_tokio::HyperExecutor;
    pub use tachograph_tokio::{
        HandleExt, Instrument, JoinSetExt, LocalSetExt, Traced, block_on, instrument,
    };
}

/// Spans and events of `tracing` in the trace. Feature `tracing`.
#[cfg(feature = "tracing")]
pub mod tracing {
    pub use tachograph_tracing::*;
}
