//! Everything that is a task in the trace: async tasks, blocking closures, the flows of threads. The advancer walks it.
//!
//! Owned by `core`. A task enters at its creation, recorded or not, so that a recording that begins later knows who waits, and leaves at
//! its end; if the generation before still lacks its status then, or the trace its end, the advancer takes it out when it has said so
//! (`task_word` rules 4 and 6), or when the run ends.
//!
//! Many locks, each held for a push, a swap or the advancer's walk over a share of the tasks (a few milliseconds with a million of
//! them). Nobody holds one inside a critical section, except the advancer, who has none.

use std::cell::UnsafeCell;
use std::fmt::Write;
use std::panic::Location;
use std::sync::OnceLock;
use std::task::Waker;

use tachograph_wire::limits;

use crate::core::{CORE, aside};
use crate::regions::LeftOpen;
use crate::sync::{Arc, AtomicPtr, AtomicUsize, Mutex, Ordering, lock};
use crate::task_word::{Doing, TaskWord};

const SHARDS: usize = 64;

/// One task.
#[derive(Debug)]
pub(crate) struct TaskRecord {
    pub(crate) id: u64,
    pub(crate) word: TaskWord,
    pub(crate) outer: ExecutorWaker,
    /// Regions that are open while the task does not run; its own poll's, while it does.
    regions: UnsafeCell<Option<Box<LeftOpen>>>,
    name: TaskName,
    /// Its place in its shard, under that one's lock.
    place: AtomicUsize,
}

// SAFETY: `regions` is touched by the one thread that polls or drops the task; the rest is shareable.
unsafe impl Sync for TaskRecord {}
// SAFETY: as above; regions hold names and numbers.
unsafe impl Send for TaskRecord {}

/// What a task is called.
#[derive(Debug)]
pub enum TaskName {
    /// A name that was given.
    Static(&'static str),
    /// A name that was made for this task.
    Owned(Box<str>),
    /// The type of its future or closure, and where it was spawned.
    Site(fn() -> &'static str, &'static Location<'static>),
}

/// The waker that the task's executor gave it. It goes when the record goes: as long as somebody holds a waker of the task, the executor's
/// is held, too, as it would be without us.
#[derive(Debug)]
pub(crate) struct ExecutorWaker {
    first: OnceLock<Waker>,
    /// In force where the task has moved to another executor; null where not. Made by the thread that polls, and freed with the record.
    moved: AtomicPtr<Mutex<Waker>>,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Tasks {
    shards: [Shard; SHARDS],
    count: AtomicUsize,
}

#[derive(Debug)]
#[repr(align(64))]
struct Shard(Mutex<Vec<Arc<TaskRecord>>>);

impl TaskName {
    /// Two numbers that stand for the text, and never for another one; none for a name of one task.
    pub(crate) fn key(&self) -> Option<(usize, usize)> {
        match self {
            Self::Static(name) => Some((name.as_ptr() as usize, name.len())),
            Self::Owned(_) => None,
            Self::Site(type_name, location) => Some((
                std::ptr::from_ref::<Location<'_>>(location) as usize,
                *type_name as usize,
            )),
        }
    }

    /// Calls `f` with the name. Allocates nothing.
    pub(crate) fn with<T>(&self, f: impl FnOnce(&str) -> T) -> T {
        match self {
            Self::Static(name) => f(name),
            Self::Owned(name) => f(name),
            Self::Site(type_name, location) => {
                let mut line = Line::new();
                // The closures of an async fn or block say nothing that the rest does not.
                let name = type_name().trim_end_matches("::{{closure}}");
                // Cut at the end of the line.
                let _ = write!(line, "{name} {}:{}", location.file(), location.line());
                f(line.text())
            }
        }
    }
}

/// Text on the stack.
struct Line {
    bytes: [u8; limits::MAX_STRING_BYTES],
    len: usize,
}

impl Line {
    fn new() -> Self {
        Self {
            bytes: [0; limits::MAX_STRING_BYTES],
            len: 0,
        }
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let room = &mut self.bytes[self.len..];
        let mut end = room.len().min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let part = &text[..end];
        room[..part.len()].copy_from_slice(part.as_bytes());
        self.len += part.len();
        Ok(())
    }
}

impl ExecutorWaker {
    fn new() -> Self {
        Self {
            first: OnceLock::new(),
            moved: AtomicPtr::new(std::ptr::null_mut()),
        }
    }

    #[inline(always)]
    fn moved(&self) -> Option<&Mutex<Waker>> {
        // SAFETY: null, or made by `change` and freed with `self`. Acquire: pairs with the Release there.
        unsafe { self.moved.load(Ordering::Acquire).as_ref() }
    }

    /// The executor's waker of the poll that begins. Only the thread that polls.
    #[inline(always)]
    pub(crate) fn set(&self, waker: &Waker) {
        match self.first.get() {
            // As `will_wake`, which loads both words at once: one has often just been written alone.
            Some(first)
                if first.data() == waker.data()
                    && std::ptr::eq(first.vtable(), waker.vtable())
                    && self.moved().is_none() => {}
            Some(_) => self.change(waker),
            None => {
                let _ = self.first.set(waker.clone());
            }
        }
    }

    #[cold]
    fn change(&self, waker: &Waker) {
        let Some(moved) = self.moved() else {
            let moved = Box::into_raw(Box::new(Mutex::new(waker.clone())));
            // Release: pairs with the Acquire in `moved`.
            return self.moved.store(moved, Ordering::Release);
        };
        let mut moved = lock(moved);
        if !moved.will_wake(waker) {
            *moved = waker.clone();
        }
    }

    /// Has the executor poll the task.
    #[inline(always)]
    pub(crate) fn wake(&self) {
        match (self.moved(), self.first.get()) {
            (Some(moved), _) => {
                let waker = lock(moved).clone();
                waker.wake();
            }
            (None, Some(first)) => first.wake_by_ref(),
            // Nobody has polled it: whoever spawned it will.
            (None, None) => {}
        }
    }
}

impl Drop for ExecutorWaker {
    fn drop(&mut self) {
        let moved = *self.moved.get_mut();
        if !moved.is_null() {
            // SAFETY: made by `change`; nobody else can look any more.
            drop(unsafe { Box::from_raw(moved) });
        }
    }
}

impl TaskRecord {
    /// A task that is known from now on.
    pub(crate) fn register(name: TaskName, doing: Doing) -> Arc<Self> {
        // A traced allocator must not come back here.
        aside(|| {
            let task = Arc::new(Self {
                id: CORE.new_task_id(),
                word: TaskWord::new(doing),
                outer: ExecutorWaker::new(),
                regions: UnsafeCell::new(None),
                name,
                place: AtomicUsize::new(0),
            });
            CORE.tasks.add(Arc::clone(&task));
            task
        })
    }

    pub(crate) fn name(&self) -> &TaskName {
        &self.name
    }

    /// The regions that are open in the task.
    ///
    /// # Safety
    /// * The caller polls or drops the task, and has no other reference from here.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn regions(&self) -> &mut Option<Box<LeftOpen>> {
        // SAFETY: owed by the caller.
        unsafe { &mut *self.regions.get() }
    }
}

impl Tasks {
    pub(crate) const fn new() -> Self {
        Self {
            shards: [const { Shard(Mutex::new(Vec::new())) }; SHARDS],
            count: AtomicUsize::new(0),
        }
    }

    /// How many tasks there are.
    pub(crate) fn count(&self) -> usize {
        // Relaxed: an estimate.
        self.count.load(Ordering::Relaxed)
    }

    fn add(&self, task: Arc<TaskRecord>) {
        let mut shard = lock(&self.shards[task.id as usize % SHARDS].0);
        // Relaxed: under the lock.
        task.place.store(shard.len(), Ordering::Relaxed);
        shard.push(task);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// The task has ended: forgets it, or leaves that to the advancer.
    pub(crate) fn remove(&self, task: &TaskRecord) {
        if task.word.is_settled() {
            let removed = aside(|| {
                let mut shard = lock(&self.shards[task.id as usize % SHARDS].0);
                self.take(&mut shard, task)
            });
            // Outside of the lock: the executor's waker may go with it.
            drop(removed);
        }
    }

    fn take(&self, shard: &mut Vec<Arc<TaskRecord>>, task: &TaskRecord) -> Option<Arc<TaskRecord>> {
        // Relaxed (both): under the lock.
        let place = task.place.load(Ordering::Relaxed);
        if !shard.get(place).is_some_and(|at| std::ptr::eq(&**at, task)) {
            return None;
        }
        let removed = shard.swap_remove(place);
        if let Some(moved) = shard.get(place) {
            moved.place.store(place, Ordering::Relaxed);
        }
        self.count.fetch_sub(1, Ordering::Relaxed);
        Some(removed)
    }

    /// The trace knows of no task any more (`task_word` rule 8): those that have ended are gone.
    pub(crate) fn forget(&self) {
        self.walk(|task| {
            task.word.forget();
            task.word.doing() != Doing::Dead
        });
    }

    /// Calls `visit` for every task; those for which it is false are forgotten. Tasks that come and go meanwhile may be met or not.
    pub(crate) fn walk(&self, mut visit: impl FnMut(&Arc<TaskRecord>) -> bool) {
        let mut gone = Vec::new();
        for shard in &self.shards {
            let mut shard = lock(&shard.0);
            let mut at = 0;
            while let Some(task) = shard.get(at) {
                if visit(task) {
                    at += 1;
                    continue;
                }
                let task = Arc::clone(task);
                gone.extend(self.take(&mut shard, &task));
            }
            drop(shard);
            gone.clear();
        }
    }
}
