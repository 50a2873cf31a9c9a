//! What `#[tachograph::main]` stands for.

use std::fs::File;
use std::future::Future;

use tachograph_recorder::{Recorder, Recording};
use tokio::runtime::Builder;

use crate::runtime::Instrument;
use crate::spawn::block_on;

/// An async main function: its runtime, and whether it is recorded. `#[tachograph::main]` writes this down from its arguments.
#[derive(Clone, Copy, Debug)]
pub struct Main {
    current_thread: bool,
    worker_threads: Option<usize>,
    record: Option<&'static str>,
    sample_hz: u32,
}

impl Default for Main {
    fn default() -> Self {
        Self::new()
    }
}

impl Main {
    /// A multi-thread runtime, not recorded.
    #[must_use]
    pub fn new() -> Self {
        Self {
            current_thread: false,
            worker_threads: None,
            record: None,
            sample_hz: 99,
        }
    }

    /// A runtime that lives on the calling thread.
    #[must_use]
    pub fn current_thread(mut self) -> Self {
        self.current_thread = true;
        self
    }

    /// How many workers; one for each processor unless said.
    #[must_use]
    pub fn worker_threads(mut self, workers: usize) -> Self {
        self.worker_threads = Some(workers);
        self
    }

    /// Records the whole run into this file, or the one that `TACHOGRAPH_TRACE` names, and prints what was recorded to stderr.
    #[must_use]
    pub fn record(mut self, path: &'static str) -> Self {
        self.record = Some(path);
        self
    }

    /// CPU samples per second of CPU time, for `record`; 0 for none.
    #[must_use]
    pub fn sample_hz(mut self, hz: u32) -> Self {
        self.sample_hz = hz;
        self
    }

    /// Runs `future` to its end.
    ///
    /// # Panics
    /// When the runtime can't be built, or the recording can't be started.
    #[track_caller]
    pub fn run<F: Future>(self, future: F) -> F::Output {
        // First, so that the runtime's threads are in it from their beginning; and last, also when the future panics.
        let _recorded = self.record.map(|path| Recorded(Some(self.start(path))));
        let mut builder = match self.current_thread {
            true => Builder::new_current_thread(),
            false => Builder::new_multi_thread(),
        };
        if let Some(workers) = self.worker_threads {
            builder.worker_threads(workers);
        }
        let built = Instrument::new().name("main").apply(&mut builder);
        let runtime = match built.enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => panic!("can't build the runtime: {error}"),
        };
        block_on(&runtime, future)
    }

    fn start(&self, path: &str) -> (String, Recording) {
        let path = std::env::var("TACHOGRAPH_TRACE").unwrap_or_else(|_| path.to_owned());
        let file = match File::create(&path) {
            Ok(file) => file,
            Err(error) => panic!("can't write the trace {path}: {error}"),
        };
        let recorder = match self.sample_hz {
            0 => Recorder::new(),
            hz => Recorder::new().sample_cpu(hz),
        };
        match recorder.start(file) {
            Ok(recording) => (path, recording),
            Err(error) => panic!("can't record: {error}"),
        }
    }
}

/// A recording into a file. Stopped when it is dropped, it says what was recorded.
struct Recorded(Option<(String, Recording)>);

impl Drop for Recorded {
    fn drop(&mut self) {
        if let Some((path, recording)) = self.0.take() {
            match recording.stop() {
                Ok(summary) => eprintln!("{path}:\n{summary}"),
                Err(error) => eprintln!("{path}: {error}"),
            }
        }
    }
}
