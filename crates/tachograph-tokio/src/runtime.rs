//! Runtimes whose threads are known: workers as procs, parked and busy.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tachograph_recorder::runtime::{
    Pool, thread_parks, thread_started, thread_stopped, thread_unparks,
};
use tokio::runtime::{Builder, Handle, Id};

type Hook = Box<dyn Fn() + Send + Sync>;

/// Instruments a runtime that is to be built: its workers are then procs of the trace that start when they have work and stop when
/// they park. For a builder whose own thread hooks are in use, see [`Instrument`].
///
/// Costs two critical sections and a lock, some 100 ns, each time that a worker parks: a small part of what parking itself takes. With `--cfg tokio_unstable` it sets the builder's task hooks,
/// too: see [`Instrument::apply`].
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

    /// Sets the builder's hooks of threads, once for all runtimes that it builds.
    ///
    /// With `--cfg tokio_unstable` it sets its four hooks of tasks, too (`on_task_spawn`, `on_before_task_poll`, `on_after_task_poll`,
    /// `on_task_terminate`), for tasks that others spawn. A builder has room for one of each kind: yours, set before this, are lost; yours,
    /// set behind this, replace ours, all four of which it takes to see such tasks.
    pub fn apply(self, builder: &mut Builder) -> &mut Builder {
        let started = Arc::new(Family::new(self.name));
        let [stopped, parked, unparked] = [(); 3].map(|()| Arc::clone(&started));
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
            thread_started(started.start());
            call(&start);
        });
        builder.on_thread_stop(move || {
            call(&stop);
            thread_stopped(stopped.pool());
        });
        builder.on_thread_park(move || {
            call(&park);
            thread_parks(parked.pool());
        });
        builder.on_thread_unpark(move || {
            thread_unparks(unparked.pool());
            call(&unpark);
        })
    }
}

/// The runtimes of one builder: it may build any number of them.
struct Family {
    name: Option<&'static str>,
    /// That of the first one, which no other family has.
    number: u64,
    numbers: Mutex<HashMap<Id, u64>>,
}

thread_local! {
    /// Whose thread this is: the family's number, and the runtime's. Spares workers the handle, which all of them would count up and down.
    static STARTED: Cell<Option<(u64, u64)>> = const { Cell::new(None) };
    /// The runtime that this thread drives.
    static DRIVEN: Cell<Option<(Id, u64)>> = const { Cell::new(None) };
}

impl Family {
    fn new(name: Option<&'static str>) -> Self {
        Self {
            name,
            number: new_number(),
            numbers: Mutex::default(),
        }
    }

    /// The calling thread belongs to its current runtime for good.
    fn start(&self) -> Pool {
        let runtime = self.current();
        STARTED.set(Some((self.number, runtime)));
        self.pool_of(runtime)
    }

    /// What the calling thread works for.
    fn pool(&self) -> Pool {
        self.pool_of(match STARTED.get() {
            Some((family, runtime)) if family == self.number => runtime,
            _ => self.current(),
        })
    }

    fn pool_of(&self, runtime: u64) -> Pool {
        Pool {
            runtime,
            name: self.name,
            worker: tokio::runtime::worker_index,
        }
    }

    fn current(&self) -> u64 {
        let Ok(handle) = Handle::try_current() else {
            return self.number;
        };
        let id = handle.id();
        if let Some((driven, number)) = DRIVEN.get()
            && driven == id
        {
            return number;
        }
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let first = numbers.is_empty();
        let number = *numbers.entry(id).or_insert_with(|| match first {
            true => self.number,
            false => new_number(),
        });
        DRIVEN.set(Some((id, number)));
        number
    }
}

fn new_number() -> u64 {
    static RUNTIMES: AtomicU64 = AtomicU64::new(1);
    // Relaxed: only uniqueness matters.
    RUNTIMES.fetch_add(1, Ordering::Relaxed)
}

fn call(hook: &Option<Hook>) {
    if let Some(hook) = hook {
        hook();
    }
}
