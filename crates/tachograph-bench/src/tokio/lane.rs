//! A runtime under one of the recorders, and what its threads have done.
//!
//! Owns the differences between Tokio alone, ours and dial9's: how a runtime is built, driven, and spawned on. The other rooms ask for a
//! lane and treat all alike.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tachograph::tokio::Instrument;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::failure::Failure;
use crate::sys::{cpu_ns_of, thread_id};

/// How many threads a runtime has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The calling thread.
    Current,
    /// So many workers.
    Workers(usize),
}

/// Who traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Nobody.
    Tokio,
    /// We.
    Ours,
    /// dial9, with tasks from `tokio::spawn`.
    #[cfg(feature = "peers")]
    Dial9Hooks,
    /// dial9, with tasks from its own spawn: wakes, too.
    #[cfg(feature = "peers")]
    Dial9,
}

/// The other recorders of the process.
#[derive(Default)]
pub struct Peers {
    #[cfg(feature = "peers")]
    dial9: Option<super::dial9::Dial9>,
}

/// See the module's text.
pub struct Lane {
    pub by: By,
    runtime: Runtime,
    pub threads: Threads,
    /// Lets dial9 forget the runtime.
    #[cfg(feature = "peers")]
    _detach: Option<dial9_tokio_telemetry::telemetry::TokioDetachGuard>,
}

/// The threads of a runtime.
#[derive(Clone, Debug, Default)]
pub struct Threads(Arc<Mutex<Vec<i32>>>);

impl Shape {
    /// For headings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Current => "current thread",
            Self::Workers(1) => "1 worker",
            Self::Workers(_) => "2 workers",
        }
    }

    fn builder(self) -> Builder {
        let mut builder = match self {
            Self::Current => Builder::new_current_thread(),
            Self::Workers(workers) => {
                let mut builder = Builder::new_multi_thread();
                builder.worker_threads(workers);
                builder
            }
        };
        builder.enable_io().enable_time();
        builder
    }
}

impl Threads {
    /// The calling thread is one of them.
    pub fn join(&self) {
        self.list().push(thread_id());
    }

    /// CPU time of all of them, in nanoseconds.
    pub fn cpu_ns(&self) -> u64 {
        self.list().iter().map(|&thread| cpu_ns_of(thread)).sum()
    }

    fn list(&self) -> std::sync::MutexGuard<'_, Vec<i32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl By {
    /// Spawns on the current runtime, by whoever traces.
    #[inline(always)]
    pub fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match self {
            Self::Tokio => tokio::spawn(future),
            Self::Ours => tachograph::spawn(future),
            #[cfg(feature = "peers")]
            Self::Dial9Hooks => tokio::spawn(future),
            #[cfg(feature = "peers")]
            Self::Dial9 => dial9_tokio_telemetry::spawn(future),
        }
    }
}

impl Peers {
    /// Starts them, recording nothing yet. There is one of each in a process at a time.
    pub fn start() -> Result<Self, Failure> {
        Ok(Self {
            #[cfg(feature = "peers")]
            dial9: Some(super::dial9::Dial9::start()?),
        })
    }

    /// dial9's.
    #[cfg(feature = "peers")]
    pub fn dial9(&self) -> &super::dial9::Dial9 {
        self.dial9.as_ref().expect("whoever asks has started it")
    }

    /// Ends it: the segments that it has written.
    #[cfg(feature = "peers")]
    pub fn finish_dial9(self) -> Vec<Vec<u8>> {
        self.dial9.map(|dial9| dial9.finish()).unwrap_or_default()
    }
}

impl Lane {
    /// A runtime of this shape.
    pub fn new(shape: Shape, by: By, peers: &Peers) -> Result<Self, Failure> {
        let threads = Threads::default();
        if shape == Shape::Current {
            threads.join();
        }
        let mut builder = shape.builder();
        let joins = threads.clone();
        let built = match by {
            By::Tokio => builder.on_thread_start(move || joins.join()).build(),
            By::Ours => Instrument::new()
                .on_thread_start(move || joins.join())
                .apply(&mut builder)
                .build(),
            #[cfg(feature = "peers")]
            By::Dial9 | By::Dial9Hooks => peers.dial9().attach(builder, joins),
        };
        let runtime = built.map_err(Failure::io("building a runtime"))?;
        // Without the other recorders there is nothing in it.
        let _ = peers;
        Ok(Self {
            by,
            #[cfg(feature = "peers")]
            _detach: matches!(by, By::Dial9 | By::Dial9Hooks)
                .then(|| peers.dial9().detach(&runtime)),
            runtime,
            threads,
        })
    }

    /// Drives the runtime until `future` is done, as whoever traces wants it.
    pub fn block_on<F>(&self, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match self.by {
            By::Tokio => self.runtime.block_on(future),
            By::Ours => tachograph::tokio::block_on(&self.runtime, future),
            #[cfg(feature = "peers")]
            By::Dial9 | By::Dial9Hooks => dial9_tokio_telemetry::block_on(&self.runtime, future),
        }
    }
}
