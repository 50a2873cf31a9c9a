//! From when all tasks of a run have begun until the last one is through: clocks and counts.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::sys::{monotonic_ns, process_cpu_ns};
use crate::tokio::lane::Threads;

/// See the module's text.
#[derive(Debug)]
pub struct Meter {
    threads: Threads,
    tasks: usize,
    arrived: AtomicUsize,
    left: AtomicUsize,
    start: OnceLock<Reading>,
    end: OnceLock<Reading>,
}

/// What has passed, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// CPU time of the runtime's threads.
    pub cpu: u64,
    /// CPU time of all threads: recorders have some of their own.
    pub process: u64,
    /// Of the clock on the wall.
    pub wall: u64,
}

impl Meter {
    /// For so many tasks on a runtime with these threads.
    pub fn new(threads: &Threads, tasks: usize) -> Self {
        Self {
            threads: threads.clone(),
            tasks,
            arrived: AtomicUsize::new(0),
            left: AtomicUsize::new(0),
            start: OnceLock::new(),
            end: OnceLock::new(),
        }
    }

    /// A task has begun; the last one starts the clocks.
    pub fn arrive(&self) {
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.tasks {
            let _ = self.start.set(self.read());
        }
    }

    /// Whether the clocks run.
    pub fn runs(&self) -> bool {
        self.start.get().is_some()
    }

    /// A task is through; the last one stops the clocks.
    pub fn leave(&self) {
        if self.left.fetch_add(1, Ordering::AcqRel) + 1 == self.tasks {
            let _ = self.end.set(self.read());
        }
    }

    /// What passed between start and end. None if a task was lost.
    pub fn passed(&self) -> Option<Reading> {
        let (start, end) = (self.start.get()?, self.end.get()?);
        Some(Reading {
            cpu: end.cpu - start.cpu,
            process: end.process - start.process,
            wall: end.wall - start.wall,
        })
    }

    fn read(&self) -> Reading {
        Reading {
            cpu: self.threads.cpu_ns(),
            process: process_cpu_ns(),
            wall: monotonic_ns(),
        }
    }
}
