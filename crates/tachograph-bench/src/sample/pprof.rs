//! pprof-rs, unwinding with its default, backtrace-rs.

use pprof::{ProfilerGuard, ProfilerGuardBuilder};

use crate::failure::Failure;

/// What the table calls it.
pub const NAME: &str = "pprof-rs 0.15 handler";

/// A running profiler at 1 Hz; the signals that are measured are raised by us.
pub struct Profiler(ProfilerGuard<'static>);

impl Profiler {
    /// Starts it; SIGPROF then is its own.
    pub fn start() -> Result<Self, Failure> {
        let guard = ProfilerGuardBuilder::default().frequency(1).build();
        let guard = guard.map_err(|error| {
            Failure::io("starting pprof-rs")(std::io::Error::other(error.to_string()))
        })?;
        Ok(Self(guard))
    }

    /// Ends it; SIGPROF is ignored then.
    pub fn stop(self) {
        drop(self.0);
    }
}
