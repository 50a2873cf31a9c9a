//! Threads that are spawned through us: created by their parent in the trace, with its stack and their name.
//!
//! Between GoCreate and its first event, a new thread's task is runnable and has no thread.

use std::any::type_name;
use std::io;

use crate::blocking::blocking;
use crate::core::{CORE, this_thread};
use crate::section::Section;
use crate::stack::EventStack;
use crate::sync::{Ordering, lock};
use crate::tasks::TaskName;
use crate::traced_task::TracedTask;

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

/// A task that is announced to the trace before its thread runs. Without a thread, it ends.
#[derive(Debug)]
struct Birth {
    /// None when nothing was recorded.
    task: Option<TracedTask>,
    name: String,
}

impl Birth {
    #[inline(never)]
    fn announce(name: &str) -> Self {
        Self {
            task: Self::create(name),
            name: name.to_owned(),
        }
    }

    #[inline(always)]
    fn create(name: &str) -> Option<TracedTask> {
        if !CORE.gate.is_on() {
            return None;
        }
        let record = this_thread()?;
        let creator = EventStack::capture(record);
        let name = TaskName::Owned(name.into());
        Some(TracedTask::created(record, name, creator.pcs()))
    }

    /// The new thread takes its task on, with its first event.
    fn begin(self) {
        let Some(task) = self.task else { return };
        let Some(record) = this_thread() else {
            return;
        };
        *lock(&record.shared.name) = self.name;
        // SAFETY: own thread, outside of a critical section; the reference ends here.
        let owner = unsafe { record.owner() };
        if owner.own.is_some() {
            // It has spoken already, on its way here, as another task.
            return;
        }
        let task = task.into_record();
        // Relaxed: for metadata.
        record.shared.own_task.store(task.id, Ordering::Relaxed);
        owner.own = Some(task);
        drop(Section::begin(record));
    }
}
