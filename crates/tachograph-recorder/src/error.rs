//! Why a recording could not start, or did not end well.

use std::fmt;
use std::io;

use crate::session::MAX_SAMPLE_HZ;
use crate::summary::Summary;

/// Why a recording could not start. Nothing of the program has changed.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// This process is recording already.
    AlreadyRecording,
    /// The process is a forked child of one that has recorded: it may have inherited locks that nobody will open.
    ForkedChild,
    /// A sampling rate that can't be had.
    SampleRate {
        /// What was asked for.
        hz: u32,
    },
    /// CPU samples were asked for, and only Linux has them. Everything else is recorded without them.
    SamplingUnsupported,
    /// `SampleTimer::PerfEvent` was asked for, and the system does not permit it.
    PerfEventRefused,
    /// The handler for SIGPROF could not be installed.
    Signal(io::Error),
    /// A thread of the recorder could not be created.
    Thread(io::Error),
    /// The kernel has not enough memory for a recording.
    Memory,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyRecording => f.write_str("a recording is running already in this process"),
            Self::ForkedChild => f.write_str("a forked child of a program that has recorded can't record"),
            Self::SampleRate { hz } => {
                write!(f, "sampling rate {hz} Hz, wanted 1 to {MAX_SAMPLE_HZ}")
            }
            Self::SamplingUnsupported => f.write_str("CPU samples need Linux"),
            Self::PerfEventRefused => f.write_str(
                "perf_event refused for this process, wanted kernel.perf_event_paranoid at most 2 and no seccomp filter against it",
            ),
            Self::Signal(error) => write!(f, "handler for SIGPROF not installed: {error}"),
            Self::Thread(error) => write!(f, "recorder thread not created: {error}"),
            Self::Memory => f.write_str("too little memory to be had, wanted 384 MiB of address space"),
        }
    }
}

// The system's error is part of the text, so it is not a source besides.
impl std::error::Error for StartError {}

/// What went wrong with a recording that had started.
#[derive(Debug)]
#[non_exhaustive]
pub enum StopError {
    /// The sink failed; what came before its error has been written.
    Sink {
        /// The sink's first error.
        error: io::Error,
        /// What was recorded, whether written or not.
        summary: Box<Summary>,
    },
    /// A thread of the recorder is gone: the sink panicked, or we did, which is a bug, or the process is a forked child.
    EngineDied,
}

impl fmt::Display for StopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sink { error, summary } => write!(
                f,
                "the trace is cut off after {} bytes: {error}",
                summary.bytes
            ),
            Self::EngineDied => f.write_str("a recorder thread is gone, the trace is incomplete"),
        }
    }
}

// The sink's error is part of the text, so it is not a source besides.
impl std::error::Error for StopError {}
