//! dial9's recorder for Tokio, recording into memory, and what it has recorded.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dial9_core::buffer::MemoryBuffer;
use dial9_core::pipeline::{ProcessError, SegmentData, SegmentProcessor};
use dial9_core::recording::Recorder;
use dial9_tokio_telemetry::telemetry::{
    Dial9HandleTokioExt, TokioAttachOptions, TokioDetachGuard, TokioHooks,
};
use tokio::runtime::{Builder, Runtime};

use super::lane::Threads;
use crate::failure::Failure;

const MEMORY_BYTES: u64 = 512 << 20;
const PATIENCE: Duration = Duration::from_secs(10);

/// See the module's text.
pub struct Dial9 {
    recorder: Recorder,
    taken: Taken,
}

/// The segments that were written last.
#[derive(Clone, Debug, Default)]
struct Taken(Arc<Mutex<VecDeque<Vec<u8>>>>);

/// Some hundred megabytes.
const MOST_SEGMENTS: usize = 8;

impl Dial9 {
    /// Starts it, paused.
    pub fn start() -> Result<Self, Failure> {
        let taken = Taken::default();
        let buffer = MemoryBuffer::new(MEMORY_BYTES).map_err(Failure::io("starting dial9"))?;
        let recorder = dial9_core::recorder::recorder(buffer)
            .paused()
            .pipe(taken.clone())
            .build();
        if !recorder.handle().is_connected() {
            return Err(Failure::Judged("dial9 does not record".to_owned()));
        }
        Ok(Self { recorder, taken })
    }

    /// Builds a runtime that it traces.
    pub fn attach(&self, builder: Builder, threads: Threads) -> io::Result<Runtime> {
        let mut hooks = TokioHooks::default();
        hooks.on_thread_start(move || threads.join());
        let options = TokioAttachOptions::builder()
            .task_tracking_enabled(true)
            .tokio_hooks(hooks)
            .build();
        self.recorder
            .handle()
            .attach_tokio_runtime(builder, options)
    }

    /// Has it forget a runtime when that goes.
    pub fn detach(&self, runtime: &Runtime) -> TokioDetachGuard {
        let handle = self.recorder.handle();
        handle.detach_tokio_runtime_on_drop(runtime.handle())
    }

    /// Recording on or off.
    pub fn switch(&self, on: bool) {
        match on {
            true => self.recorder.enable(),
            false => self.recorder.disable(),
        }
    }

    /// Ends it: the segments. All runtimes are gone.
    pub fn finish(self) -> Vec<Vec<u8>> {
        self.recorder.graceful_shutdown(PATIENCE);
        let mut segments = self.taken.0.lock().unwrap_or_else(PoisonError::into_inner);
        segments.drain(..).collect()
    }
}

impl SegmentProcessor for Taken {
    fn name(&self) -> &'static str {
        "bench"
    }

    fn process(
        &mut self,
        mut data: SegmentData,
    ) -> Pin<Box<dyn Future<Output = Result<SegmentData, ProcessError>> + Send + '_>> {
        let mut segments = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if segments.len() == MOST_SEGMENTS {
            segments.pop_front();
        }
        segments.push_back(data.take_payload().into_vec());
        drop(segments);
        Box::pin(async move { Ok(data) })
    }
}
