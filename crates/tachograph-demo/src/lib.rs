//! What `tacho demo` records: programs that are worth a look in a trace.
//!
//! **You give** a time, and a directory to the one that works on files. **You get** what the program has done meanwhile, to
//! say beside what its trace shows. **You owe** nothing: each runs without a recording, too, ends by itself, and leaves no
//! thread behind. **Not for** measuring: the workloads have slow spots by design.
//!
//! * [`service`] answers requests over HTTP and sends them to itself: two Tokio runtimes, some forty tasks.
//! * [`files`] hashes and compresses files: threads around queues, no runtime.
//!
//! ```
//! use std::time::Duration;
//!
//! let report = tachograph_demo::service::run(Duration::from_millis(100), |_elapsed| {})?;
//! assert_eq!(report.handled, report.overall.requests);
//! # Ok::<(), tachograph_demo::DemoError>(())
//! ```
#![forbid(unsafe_code)]

mod error;
pub mod files;
pub mod service;
mod traced;

pub use error::DemoError;
