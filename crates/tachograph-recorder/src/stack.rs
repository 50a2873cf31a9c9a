//! The calling thread's stacks, for events that carry one: spawns, blocking sections, wakes, awaits.
//!
//! Taken before the critical section begins. Walked along frame pointers where the start's self-test found that programs keep them
//! (1 to 2 ns a frame), else by the tables and the walker of CPU samples (10 to 35 ns a frame). Stacks of awaits and wakes are `awaits`'s.

use std::mem::MaybeUninit;

use tachograph_unwind::{Registers, RuleCache, StackBounds, Trail, walk_frame_pointers};

use crate::buffer;
use crate::core::CORE;
use crate::record::ThreadRecord;
use crate::sample::walker;
use crate::sync::{AtomicPtr, AtomicU8, Ordering};

/// Frames kept of an event's stack; the wire allows 128 after inlines are expanded.
pub(crate) const MAX_EVENT_FRAMES: usize = 64;

/// Whether async tasks say where they wait, and who wakes them from where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AwaitStacks {
    /// Never. A wait's reason is then "await".
    Off,
    /// Always where programs keep frame pointers (`-C force-frame-pointers=yes`). Elsewhere a stack that a thread meets again costs as little,
    /// some 20 ns; one that it has not met, or not lately, is walked through unwind tables in 100 to 300 ns, as long as the thread spends
    /// less than 2 % of its time on that; the summary counts what was left out.
    #[default]
    Auto,
    /// Always.
    On,
}

/// How events get their stacks in the recording in progress.
#[derive(Debug)]
pub(crate) struct EventWalk {
    along: AtomicU8,
    awaits: AtomicU8,
}

const NOT: u8 = 0;
const FRAME_POINTERS: u8 = 1;
const TABLES: u8 = 2;
const THRIFTY: u8 = 3;

impl EventWalk {
    pub(crate) const fn new() -> Self {
        Self {
            along: AtomicU8::new(NOT),
            awaits: AtomicU8::new(NOT),
        }
    }

    /// Chooses, from what is wanted and what the tables' self-test has found. Only while nothing is recorded.
    pub(crate) fn choose(&self, wanted: AwaitStacks, frame_pointers: bool) {
        let along = match frame_pointers {
            true => FRAME_POINTERS,
            false => TABLES,
        };
        let awaits = match (wanted, along) {
            (AwaitStacks::Off, _) => NOT,
            (AwaitStacks::Auto, TABLES) => THRIFTY,
            _ => along,
        };
        // Relaxed (both): published with the first generation.
        self.along.store(along, Ordering::Relaxed);
        self.awaits.store(awaits, Ordering::Relaxed);
    }

    /// Whether awaits and wakes have stacks.
    #[inline(always)]
    pub(crate) fn has_awaits(&self) -> bool {
        // Relaxed: see `choose`.
        self.awaits.load(Ordering::Relaxed) != NOT
    }

    /// The way of tables that a thread may not afford.
    pub(crate) fn is_thrifty(&self) -> bool {
        self.awaits.load(Ordering::Relaxed) == THRIFTY
    }
}

/// "In no poll", as the stack pointer of one.
pub(crate) const NO_POLL: u64 = u64::MAX;

/// Lookup addresses, leaf first.
#[derive(Debug)]
pub(crate) struct EventStack {
    /// The first `len` are there. N.B. Not cleared: that would take longer than most walks.
    pcs: MaybeUninit<[u64; MAX_EVENT_FRAMES]>,
    len: usize,
}

impl EventStack {
    /// The stack of the caller's caller: whoever asks for an event is not part of it.
    #[inline(always)]
    pub(crate) fn capture(record: &ThreadRecord) -> Self {
        let mut stack = Self::none();
        // SAFETY: the registers are those of this frame; the array has room for as many frames as we say.
        stack.len = unsafe {
            walk(
                record,
                Registers::capture(),
                NO_POLL,
                stack.pcs.as_mut_ptr().cast(),
                MAX_EVENT_FRAMES,
            )
        };
        stack
    }

    /// Becomes the stack of a task's end, down to the poll that it is part of; nothing where wakes have none, either.
    pub(crate) fn capture_end(&mut self, record: &'static ThreadRecord) {
        if CORE.event_walk.has_awaits() && record.flag.is_clear() {
            // SAFETY: own thread, outside of a critical section; the reference ends here.
            let high = unsafe { record.owner() }.awaits.poll;
            // SAFETY: as in `capture`.
            self.len = unsafe {
                walk(
                    record,
                    Registers::capture(),
                    high,
                    self.pcs.as_mut_ptr().cast(),
                    MAX_EVENT_FRAMES,
                )
            };
        }
    }

    /// No stack.
    #[inline(always)]
    pub(crate) fn none() -> Self {
        let mut stack = MaybeUninit::<Self>::uninit();
        // SAFETY: the length is written; the addresses need not be. N.B. Beside a length in one expression, they would be cleared.
        unsafe {
            (&raw mut (*stack.as_mut_ptr()).len).write(0);
            stack.assume_init()
        }
    }

    #[inline(always)]
    pub(crate) fn pcs(&self) -> &[u64] {
        // SAFETY: a walk has written the first `len`.
        let pcs = unsafe { std::slice::from_raw_parts(self.pcs.as_ptr().cast(), self.len) };
        pcs.get(1..).unwrap_or_default()
    }
}

/// Walks as events do, and keeps the trail. Returns the number of frames.
///
/// # Safety
/// * As for `walk`.
pub(crate) unsafe fn follow(
    record: &ThreadRecord,
    registers: Registers,
    bounds: StackBounds,
    trail: &mut Trail,
    out: *mut u64,
    capacity: usize,
) -> usize {
    // Relaxed: see `EventWalk::choose`.
    match CORE.event_walk.along.load(Ordering::Relaxed) {
        // SAFETY: owed by the caller; the bounds are this thread's own.
        FRAME_POINTERS => unsafe {
            trail
                .walk_frame_pointers(registers, bounds, out, capacity)
                .frames
        },
        // SAFETY: as above.
        _ => unsafe { walker::walk_own(record, registers, bounds, Some(trail), out, capacity) },
    }
}

/// Walks the calling thread's stack up to the address `high`. Returns the number of frames.
///
/// # Safety
/// * `out` is writable for `capacity` words.
/// * `registers` were captured in a frame that is still alive.
#[inline(always)]
pub(crate) unsafe fn walk(
    record: &ThreadRecord,
    registers: Registers,
    high: u64,
    out: *mut u64,
    capacity: usize,
) -> usize {
    let Some(bounds) = record.sample.bounds() else {
        return 0;
    };
    let bounds = StackBounds {
        low: bounds.low,
        high: bounds.high.min(high),
    };
    // Relaxed: see `EventWalk::choose`.
    match CORE.event_walk.along.load(Ordering::Relaxed) {
        // SAFETY: owed by the caller; the bounds are this thread's own.
        FRAME_POINTERS => unsafe { walk_frame_pointers(registers, bounds, out, capacity) }.frames,
        // SAFETY: as above.
        _ => unsafe { walker::walk_own(record, registers, bounds, None, out, capacity) },
    }
}

/// A rule cache for the events of a thread that is not sampled.
#[derive(Debug)]
pub(crate) struct EventCache(AtomicPtr<RuleCache>);

impl EventCache {
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(std::ptr::null_mut()))
    }

    /// The cache; mapped at the first call, and kept with the record. Null when there is no memory. The thread's own.
    pub(crate) fn get(&self) -> *mut RuleCache {
        // Relaxed (both): the thread's own, and another thread's only after the registry's lock.
        let cache = self.0.load(Ordering::Relaxed);
        if !cache.is_null() {
            return cache;
        }
        let fresh = buffer::map_pages(size_of::<RuleCache>())
            .map_or(std::ptr::null_mut(), |pages| pages.as_ptr().cast());
        self.0.store(fresh, Ordering::Relaxed);
        fresh
    }
}
