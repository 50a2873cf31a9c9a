//! Runtimes whose threads are known: workers as procs, parked and busy.

use std::sync::atomic::{AtomicU64, Ordering};

use tachograph_recorder::runtime::{Pool, thread_parks, thread_started, thread_unparks};
use tokio::runtime::Builder;

type Hook = Box<dyn Fn() + Send + Sync>;

/// Instruments a runtime that is to be built: its workers are then procs of the trace that start when they have work and stop when
/// they park. For a builder whose own thread hooks are in use, see [`Instrument`].
///
/// Costs two critical sections, some 50 ns, each time that a worker parks.
pub fn instrument(builder: &mut Builder) -> &mut Builder {
    Instrument::default().apply(builder)
}

/// [`instrument`] with hooks of your own: a builder has room for one of each kind.
#[derive(Default)]
pub struct Instrument {
    start: Option<Hook>,
    stop: Option<Hook>,
    park: Option<Hook>,
    unpark: Option<Hook>,
    name: Option<&'static str>,
}

impl std::fmt::Debug for Instrument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instrument").finish_non_exhaustive()
    }
}

impl Instrument {
    /// Without hooks of your own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the runtime in traces.
    #[must_use]
    pub fn name(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// As `Builder::on_thread_start`.
    #[must_use]
    pub fn on_thread_start(mut self, f: impl Fn() + Send + Sync + 'static) -> Self {
        self.start = Some(Box::new(f));
        self
    }

    /// As `Builder::on_thread_stop`.
    #[must_use]
    pub fn on_thread_stop(mut self, f: impl Fn() + Send + Sync + 'static) -> Self {
        self.stop = Some(Box::new(f));
        self
    }

    /// As `Builder::on_thread_park`.
    #[must_use]
    pub fn on_thread_park(mut self, f: impl Fn() + Send + Sync + 'static) -> Self {
        self.park = Some(Box::new(f));
        self
    }

    /// As `Builder::on_thread_unpark`.
    #[must_use]
    pub fn on_thread_unpark(mut self, f: impl Fn() + Send + Sync + 'static) -> Self {
        self.unpark = Some(Box::new(f));
        self
    }

    /// Sets the builder's hooks.
    pub fn apply(self, builder: &mut Builder) -> &mut Builder {
        static RUNTIMES: AtomicU64 = AtomicU64::new(1);
        let pool = Pool {
            // Relaxed: only uniqueness matters.
            runtime: RUNTIMES.fetch_add(1, Ordering::Relaxed),
            name: self.name,
            worker: tokio::runtime::worker_index,
        };
        let Self {
            start,
            stop,
            park,
            unpark,
            name: _,
        } = self;
        #[cfg(tokio_unstable)]
        crate::others::watch(builder);
        builder.on_thread_start(move || {
            thread_started(pool);
            call(&start);
        });
        if let Some(stop) = stop {
            builder.on_thread_stop(stop);
        }
        builder.on_thread_park(move || {
            call(&park);
            thread_parks(pool);
        });
        builder.on_thread_unpark(move || {
            thread_unparks(pool);
            call(&unpark);
        })
    }
}

fn call(hook: &Option<Hook>) {
    if let Some(hook) = hook {
        hook();
    }
}
