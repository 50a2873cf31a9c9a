//! Runs a program under a recorder.
//!
//! There is one recording at a time in a process, and samples are of the whole process: every test takes its [`turn`]
//! before it records anything and keeps it to its end.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tachograph::{Recorder, Recording, StartError, Summary};

use crate::check;
use crate::decode::Trace;

static TURN: Mutex<()> = Mutex::new(());

/// The right to record and to use the machine; one test at a time has it.
pub fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A sink in memory that can be read after the recording.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    /// What was written.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A sink that can't keep up.
#[derive(Debug)]
pub struct Dawdler {
    /// Where it all goes.
    pub memory: Memory,
    /// How much it takes at most.
    pub bytes_per_second: f64,
}

impl Write for Dawdler {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let time = bytes.len() as f64 / self.bytes_per_second;
        std::thread::sleep(Duration::from_secs_f64(time));
        self.memory.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A recording that runs into memory.
#[derive(Debug)]
pub struct Running {
    name: String,
    recording: Recording,
    sink: Memory,
}

/// A finished recording.
#[derive(Debug)]
pub struct Recorded {
    /// For messages and for the name of the file that Go reads.
    pub name: String,
    /// The trace.
    pub bytes: Vec<u8>,
    /// What the recorder says about it.
    pub summary: Summary,
}

impl Running {
    /// Starts to record.
    ///
    /// # Errors
    /// Those of the recorder.
    pub fn start(name: &str, recorder: Recorder) -> Result<Self, StartError> {
        let sink = Memory::default();
        let recording = recorder.start(sink.clone())?;
        Ok(Self {
            name: name.to_owned(),
            recording,
            sink,
        })
    }

    /// Ends the recording.
    ///
    /// # Panics
    /// If the recorder reports an error.
    pub fn stop(self) -> Recorded {
        let stopped = self.recording.stop();
        let summary = stopped.unwrap_or_else(|error| panic!("{}: stop: {error}", self.name));
        Recorded {
            name: self.name,
            bytes: self.sink.take(),
            summary,
        }
    }
}

/// Runs `program` under `recorder`.
///
/// # Panics
/// If the recorder reports an error.
pub fn record<T>(name: &str, recorder: Recorder, program: impl FnOnce() -> T) -> (T, Recorded) {
    let started = Running::start(name, recorder);
    let running = started.unwrap_or_else(|error| panic!("{name}: start: {error}"));
    let result = program();
    (result, running.stop())
}

impl Recorded {
    /// Checks the trace against everything that holds for every trace, and asks Go if it is there.
    ///
    /// # Panics
    /// If the trace is bad. The trace is then kept, and the message says where.
    pub fn verify(&self) -> Trace {
        check::verify(&self.name, &self.bytes, Some(&self.summary))
    }

    /// Writes the trace where other programs can read it.
    pub fn store(&self) -> PathBuf {
        check::store(&self.name, &self.bytes)
    }
}
