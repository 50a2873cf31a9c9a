//! dial9's events through its handle, through the thread-local handle, and with their clock.

use std::hint::black_box;
use std::rc::Rc;
use std::time::Duration;

use dial9_core::buffer::MemoryBuffer;
use dial9_core::clock::clock_monotonic_ns;
use dial9_core::handle::Dial9Handle;
use dial9_core::recording::Recorder;
use dial9_trace_format::TraceEvent;

use super::DIAL9;
use crate::failure::Failure;
use crate::measure::{BATCH, Variant, timed};

const BATCHES: usize = 32;
const MEMORY_BYTES: u64 = 64 << 20;

/// As many values as a region of ours has: a time and two numbers.
#[derive(TraceEvent)]
struct Event {
    #[traceevent(timestamp)]
    timestamp_ns: u64,
    task: u64,
    name: u64,
}

/// dial9's recorder, recording into memory.
pub struct Dial9(Recorder);

impl Dial9 {
    /// Starts it and makes it the process's own.
    pub fn start() -> Result<Self, Failure> {
        let buffer = MemoryBuffer::new(MEMORY_BYTES).map_err(Failure::io("starting dial9"))?;
        let recorder = dial9_core::recorder::recorder(buffer).build();
        if !recorder.handle().is_enabled() || recorder.install_global_handle().is_err() {
            return Err(Failure::Judged("dial9 does not record".to_owned()));
        }
        Ok(Self(recorder))
    }

    /// Its variants.
    pub fn variants(&self) -> Vec<Variant> {
        let handle = Rc::new(self.0.handle().clone());
        let again = Rc::clone(&handle);
        vec![
            events(DIAL9, move || record(&handle, clock_monotonic_ns())),
            events("dial9 record_event, time given", move || {
                record(&again, black_box(7))
            }),
            events("dial9 through Dial9Handle::current()", || {
                record(&Dial9Handle::current(), clock_monotonic_ns());
            }),
        ]
    }

    /// Ends it.
    pub fn stop(self) {
        self.0.graceful_shutdown(Duration::from_secs(1));
    }
}

#[inline(always)]
fn record(handle: &Dial9Handle, timestamp_ns: u64) {
    handle.record_event(Event {
        timestamp_ns,
        task: black_box(3),
        name: black_box(9),
    });
}

fn events(name: &'static str, event: impl Fn() + 'static) -> Variant {
    Variant::new(name, BATCH, BATCHES, move || {
        timed(|| (0..BATCH).for_each(|_| event()))
    })
}
