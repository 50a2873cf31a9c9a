//! Tasks that others spawn, through the hooks of `--cfg tokio_unstable`: their creation, polls and ends.
//!
//! Such a task's wakes are not seen, nor where it waits: its next poll says that it was woken. Tasks of ours pass by.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use tachograph_recorder::runtime::{Entered, TaskName, TracedTask};
use tokio::runtime::{Builder, TaskMeta};
use tokio::task::Id;

const SHARDS: usize = 16;

/// Tasks that are not ours and have not ended. None while they are polled.
struct Others {
    shards: [Mutex<HashMap<Id, Option<TracedTask>>>; SHARDS],
    hasher: RandomState,
}

static OTHERS: LazyLock<Others> = LazyLock::new(|| Others {
    shards: std::array::from_fn(|_| Mutex::default()),
    hasher: RandomState::new(),
});

/// How many there are: where all tasks are ours, no poll has to look.
static COUNT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The task that is being spawned is ours.
    static OURS: Cell<bool> = const { Cell::new(false) };
    /// What is being polled on this thread. Gone before a runtime that ends with the thread.
    static POLLED: RefCell<Vec<(Id, Entered)>> = const { RefCell::new(Vec::new()) };
    /// The last task that ended on this thread and was not known.
    static STRANGER: Cell<Option<Id>> = const { Cell::new(None) };
}

/// Spawns a task of ours.
pub(crate) fn ours<T>(spawn: impl FnOnce() -> T) -> T {
    struct Back(bool);
    impl Drop for Back {
        fn drop(&mut self) {
            OURS.set(self.0);
        }
    }
    let _back = Back(OURS.replace(true));
    spawn()
}

/// Sets the builder's task hooks.
pub(crate) fn watch(builder: &mut Builder) {
    builder
        .on_task_spawn(spawned)
        .on_before_task_poll(before_poll)
        .on_after_task_poll(after_poll)
        .on_task_terminate(terminated);
}

fn shard(id: Id) -> MutexGuard<'static, HashMap<Id, Option<TracedTask>>> {
    let shard = OTHERS.hasher.hash_one(id) as usize % SHARDS;
    OTHERS.shards[shard]
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

fn spawned(meta: &TaskMeta<'_>) {
    if OURS.get() {
        return;
    }
    // A runtime that shuts down ends what it is given, on the spot, before it says that it was given that. Nothing else ends in between.
    // N.B. What another thread ends so, in the instant before this is called, stays here for good: Tokio does not say that it has ended.
    if STRANGER.take() == Some(meta.id()) {
        return;
    }
    let at = meta.spawned_at();
    let name = format!("task {}:{}", at.file(), at.line());
    let task = TracedTask::spawn(TaskName::Owned(name.into()));
    // Relaxed: the task is polled by whoever sees its spawn.
    COUNT.fetch_add(1, Ordering::Relaxed);
    shard(meta.id()).insert(meta.id(), Some(task));
}

#[expect(unsafe_code, reason = "a poll between two hooks")]
fn before_poll(meta: &TaskMeta<'_>) {
    if COUNT.load(Ordering::Relaxed) == 0 || POLLED.try_with(|_| ()).is_err() {
        return;
    }
    let task = shard(meta.id()).get_mut(&meta.id()).and_then(Option::take);
    if let Some(task) = task {
        // SAFETY: Tokio calls `after_poll`, or `terminated`, on this thread, behind the poll and whatever is polled in it; `take_polled`
        // takes the innermost only.
        let entered = unsafe { task.enter() };
        POLLED.with_borrow_mut(|polled| polled.push((meta.id(), entered)));
    }
}

/// The entry of the task that is polled innermost, if it is this one.
fn take_polled(id: Id) -> Option<Entered> {
    let taken = POLLED.try_with(|polled| {
        let mut polled = polled.borrow_mut();
        let (_, entered) = polled.pop_if(|(polled, _)| *polled == id)?;
        Some(entered)
    });
    taken.ok().flatten()
}

/// Behind `terminated`, for a task that has ended.
fn after_poll(meta: &TaskMeta<'_>) {
    if let Some(entered) = take_polled(meta.id()) {
        let task = entered.pause();
        if let Some(place) = shard(meta.id()).get_mut(&meta.id()) {
            *place = task;
        }
    }
}

fn terminated(meta: &TaskMeta<'_>) {
    let Some(task) = shard(meta.id()).remove(&meta.id()) else {
        STRANGER.set(Some(meta.id()));
        return;
    };
    COUNT.fetch_sub(1, Ordering::Relaxed);
    match take_polled(meta.id()) {
        Some(entered) => entered.end(),
        // Aborted, or dropped with its runtime.
        None => drop(task),
    }
}
