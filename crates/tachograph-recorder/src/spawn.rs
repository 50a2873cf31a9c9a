//! Threads that are spawned through us: created by their parent in the trace, with its stack and their name.
//!
//! Between GoCreate and its first event, a new thread's task exists without a thread. `Newborns` keeps it, so that `advance` can
//! state it as runnable in every generation that it waits through.

use std::any::type_name;
use std::io;

use tachograph_wire::EventKind;

use crate::blocking::blocking;
use crate::core::{CORE, this_thread};
use crate::record::ThreadRecord;
use crate::section::Section;
use crate::stack::EventStack;
use crate::status::Marks;
use crate::sync::{Arc, Mutex, Ordering, lock};

/// A task that waits for its thread.
#[derive(Debug)]
pub(crate) struct Newborn {
    pub(crate) task: u64,
    /// The run in whose trace it was created.
    pub(crate) run: u64,
    pub(crate) marks: Marks,
    pub(crate) name: String,
}

/// All tasks that wait for their thread.
#[derive(Debug)]
pub(crate) struct Newborns(Mutex<Vec<Arc<Newborn>>>);

impl Newborns {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Those of `run`.
    pub(crate) fn of_run(&self, run: u64) -> Vec<Arc<Newborn>> {
        lock(&self.0)
            .iter()
            .filter(|newborn| newborn.run == run)
            .cloned()
            .collect()
    }

    /// Moves the newborn that became `record`'s task into it; false when there is none in `run`'s trace.
    ///
    /// Called inside the thread's critical section of `generation`. The newborn is marked as stated there, so that the advancer,
    /// who may have noted it, leaves the status to the thread.
    pub(crate) fn adopt(&self, record: &ThreadRecord, run: u64, generation: u64) -> bool {
        let task = record.task_id();
        let mut newborns = lock(&self.0);
        let Some(at) = newborns.iter().position(|newborn| newborn.task == task) else {
            return false;
        };
        let newborn = newborns.swap_remove(at);
        if newborn.run != run {
            return false;
        }
        record.shared.task.marks.adopt(&newborn.marks);
        let _ = newborn.marks.claim(generation);
        true
    }

    /// Forgets all: the run in whose trace they stood is over.
    pub(crate) fn clear(&self) {
        lock(&self.0).clear();
    }

    fn add(&self, newborn: Newborn) {
        lock(&self.0).push(Arc::new(newborn));
    }
}

/// A traced thread's handle; as `std::thread::JoinHandle`, but a `join` is recorded as a blocking section.
#[derive(Debug)]
pub struct JoinHandle<T>(std::thread::JoinHandle<T>);

impl<T> JoinHandle<T> {
    /// Waits for the thread's end.
    ///
    /// # Errors
    /// What the thread panicked with.
    pub fn join(self) -> std::thread::Result<T> {
        blocking("thread join", || self.0.join())
    }

    /// The thread itself.
    #[must_use]
    pub fn thread(&self) -> &std::thread::Thread {
        self.0.thread()
    }

    /// Whether the thread has run to its end.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

/// Spawns a thread whose creation is recorded with the caller's stack. As `std::thread::spawn`.
///
/// # Panics
/// When the system can't create a thread.
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match Builder::new().spawn(f) {
        Ok(handle) => handle,
        Err(error) => panic!("failed to spawn thread: {error}"),
    }
}

/// A thread's properties before it is spawned. As `std::thread::Builder`.
#[derive(Debug, Default)]
pub struct Builder {
    name: Option<String>,
    stack_size: Option<usize>,
}

impl Builder {
    /// A thread without a name, with the system's stack size.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the thread: its task in the trace, and for the system.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the stack's size in bytes.
    #[must_use]
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Spawns the thread.
    ///
    /// # Errors
    /// When the system can't create a thread.
    pub fn spawn<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let birth = Birth::announce(self.name.as_deref().unwrap_or(type_name::<F>()));
        let body = move || {
            birth.begin();
            f()
        };
        // N.B. A thread that the system refuses leaves a task that stays runnable to the end of the run.
        self.std().spawn(body).map(JoinHandle)
    }

    fn std(self) -> std::thread::Builder {
        let mut builder = std::thread::Builder::new();
        if let Some(name) = self.name {
            builder = builder.name(name);
        }
        if let Some(bytes) = self.stack_size {
            builder = builder.stack_size(bytes);
        }
        builder
    }
}

/// As `std::thread::Scope`: threads that may borrow from the caller.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'scope, 'env: 'scope>(&'scope std::thread::Scope<'scope, 'env>);

/// A scoped thread's handle.
#[derive(Debug)]
pub struct ScopedJoinHandle<'scope, T>(std::thread::ScopedJoinHandle<'scope, T>);

impl<T> ScopedJoinHandle<'_, T> {
    /// Waits for the thread's end.
    ///
    /// # Errors
    /// What the thread panicked with.
    pub fn join(self) -> std::thread::Result<T> {
        blocking("thread join", || self.0.join())
    }
}

impl<'scope> Scope<'scope, '_> {
    /// Spawns a thread whose creation is recorded with the caller's stack.
    pub fn spawn<F, T>(self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let birth = Birth::announce(type_name::<F>());
        ScopedJoinHandle(self.0.spawn(move || {
            birth.begin();
            f()
        }))
    }
}

/// As `std::thread::scope`: all threads that are spawned in `f` end before it returns.
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(Scope<'scope, 'env>) -> T,
{
    std::thread::scope(|scope| f(Scope(scope)))
}

/// A task that is announced to the trace before its thread runs.
#[derive(Debug)]
struct Birth {
    /// 0 when nothing was recorded.
    task: u64,
    name: String,
}

impl Birth {
    #[inline(never)]
    fn announce(name: &str) -> Self {
        let task = Self::create(name).unwrap_or(0);
        let name = name.to_owned();
        Self { task, name }
    }

    #[inline(always)]
    fn create(name: &str) -> Option<u64> {
        if !CORE.gate.is_on() {
            return None;
        }
        let record = this_thread()?;
        let creator = EventStack::capture(record);
        let task = CORE.new_task_id();
        let mut section = Section::begin(record)?;
        let leaf = section.text(name)?;
        let start = section.stack(leaf, &[])?;
        let stack = section.stack(0, creator.pcs())?;
        let newborn = Newborn {
            task,
            run: CORE.run(),
            name: name.to_owned(),
            marks: Marks::new(),
        };
        // Creation counts as the status (`status` rule 1).
        let _ = newborn.marks.claim(section.generation);
        CORE.newborns.add(newborn);
        section.write(EventKind::GoCreate, [task, start, stack]);
        Some(task)
    }

    /// The new thread takes its task on, with its first event.
    fn begin(self) {
        if self.task == 0 {
            return;
        }
        let Some(record) = this_thread() else {
            return;
        };
        // Acquire: only to be as `ThreadNote::of`; own thread.
        if record.shared.run.load(Ordering::Acquire) == CORE.run() {
            // It has spoken already, on its way here. The announced task stays runnable.
            *lock(&record.shared.name) = self.name;
            return;
        }
        // Relaxed: own thread, before its introduction.
        record.shared.task.id.store(self.task, Ordering::Relaxed);
        *lock(&record.shared.name) = self.name;
        drop(Section::begin(record));
    }
}
