//! The calling thread's stacks, for events that carry one: spawns, blocking sections, wakes, awaits.
//!
//! Taken before the critical section begins. Walked along frame pointers where the start's self-test found that programs keep them
//! (1 to 2 ns a frame), else by the tables and the walker of CPU samples (10 to 35 ns a frame).

use std::mem::MaybeUninit;

use tachograph_unwind::{Registers, RuleCache, StackBounds, walk_frame_pointers};

use crate::buffer;
use crate::clock::TICKS_PER_SECOND;
use crate::core::CORE;
use crate::record::{Flow, ThreadRecord};
use crate::sample::walker;
use crate::sync::{AtomicPtr, AtomicU8, Ordering};

/// Frames kept of an event's stack; the wire allows 128 after inlines are expanded.
pub(crate) const MAX_EVENT_FRAMES: usize = 64;
/// Frames kept of a wake's or an await's stack.
pub(crate) const MAX_AWAIT_FRAMES: usize = 32;
/// Stacks kept of the futures that park in one poll (`select!`, `join!`): the first ones and the last.
const MAX_AWAITS: usize = 4;
const AWAIT_WORDS: usize = MAX_AWAITS * (MAX_AWAIT_FRAMES + 1);
/// A thrifty thread walks tables for one 64th of its time.
const THRIFT: u64 = 64;

/// Whether async tasks say where they wait, and who wakes them from where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AwaitStacks {
    /// Never. A wait's reason is then "await".
    Off,
    /// Always where programs keep frame pointers (`-C force-frame-pointers=yes`), for some 20 ns. Elsewhere through unwind tables, for some
    /// 100 to 300 ns, as long as a thread spends less than 2 % of its time on it; the summary counts what was left out.
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
    fn is_thrifty(&self) -> bool {
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

    /// Becomes the stack of a wake, down to the poll that it is part of; nothing where wakes have none.
    #[inline(always)]
    pub(crate) fn capture_wake(&mut self, record: &'static ThreadRecord) {
        if CORE.event_walk.has_awaits() && record.flag.is_clear() {
            // SAFETY: as in `capture`.
            self.len = unsafe {
                walk_thriftily(record, Registers::capture(), self.pcs.as_mut_ptr().cast())
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

/// Where the futures of the poll in progress have parked. Part of `record::Owner`.
#[derive(Debug)]
pub(crate) struct Awaits {
    /// Stacks, leaf first, each with a 0 behind it.
    words: [u64; AWAIT_WORDS],
    len: usize,
    count: usize,
    /// Where the last one begins.
    last: usize,
    /// The stack pointer of the poll: what lies above is the executor's.
    pub(crate) poll: u64,
    thrift: Thrift,
}

/// What a thread has spent on walks, in ticks.
#[derive(Debug, Default)]
struct Thrift {
    since: u64,
    spent: u64,
}

impl Awaits {
    pub(crate) const fn new() -> Self {
        Self {
            words: [0; AWAIT_WORDS],
            len: 0,
            count: 0,
            last: 0,
            poll: NO_POLL,
            thrift: Thrift { since: 0, spent: 0 },
        }
    }

    /// A poll begins, or goes on after one inside of it. What the last one left is gone.
    #[inline(always)]
    pub(crate) fn begin(&mut self, poll: u64) -> u64 {
        self.len = 0;
        self.count = 0;
        self.last = 0;
        std::mem::replace(&mut self.poll, poll)
    }

    /// The stacks, each with a 0 behind it.
    #[inline(always)]
    pub(crate) fn stacks(&self) -> &[u64] {
        &self.words[..self.len]
    }
}

/// A future of `task` clones its waker: it parks, if that happens in the task's poll on this thread.
#[inline(never)]
pub(crate) fn note_await(record: &'static ThreadRecord, task: Flow) {
    if !record.flag.is_clear() {
        return;
    }
    // SAFETY: own thread, outside of a critical section; the reference ends here.
    let awaits = unsafe {
        let owner = record.owner();
        if owner.flow != task {
            return;
        }
        let awaits = &mut owner.awaits;
        if awaits.count == MAX_AWAITS {
            awaits.len = awaits.last;
        } else {
            awaits.count += 1;
            awaits.last = awaits.len;
        }
        awaits.words.as_mut_ptr().add(awaits.len)
    };
    // SAFETY: the registers are those of this frame; `MAX_AWAITS` stacks of `MAX_AWAIT_FRAMES` and a 0 each have room.
    let frames = unsafe { walk_thriftily(record, Registers::capture(), awaits) };
    // SAFETY: own thread, outside of a critical section; the reference ends here.
    let awaits = unsafe { &mut record.owner().awaits };
    if frames > 1 {
        awaits.words[awaits.len + frames] = 0;
        awaits.len += frames + 1;
    }
}

/// Walks down to the poll in progress, if the thread can afford it. Up to `MAX_AWAIT_FRAMES`.
///
/// # Safety
/// * As for `walk`, outside of a critical section.
#[inline(always)]
unsafe fn walk_thriftily(
    record: &'static ThreadRecord,
    registers: Registers,
    out: *mut u64,
) -> usize {
    // SAFETY: own thread, outside of a critical section; the reference ends here.
    let high = unsafe { record.owner() }.awaits.poll;
    if CORE.event_walk.is_thrifty() {
        // SAFETY: passed on.
        return unsafe { walk_if_affordable(record, registers, high, out) };
    }
    // SAFETY: passed on.
    unsafe { walk(record, registers, high, out, MAX_AWAIT_FRAMES) }
}

#[cold]
#[inline(never)]
unsafe fn walk_if_affordable(
    record: &'static ThreadRecord,
    registers: Registers,
    high: u64,
    out: *mut u64,
) -> usize {
    let begun = CORE.clock.now();
    // SAFETY: own thread, outside of a critical section; the reference ends here.
    let thrift = unsafe { &mut record.owner().awaits.thrift };
    if thrift.spent * THRIFT > begun.saturating_sub(thrift.since) {
        // Relaxed: a counter, this thread's.
        record
            .shared
            .stacks_left_out
            .fetch_add(1, Ordering::Relaxed);
        return 0;
    }
    // A quiet hour earns no loud one, but a quarter of a second in advance: the first walks are slow.
    if begun.saturating_sub(thrift.since) > TICKS_PER_SECOND {
        *thrift = Thrift {
            since: begun.saturating_sub(TICKS_PER_SECOND / 4),
            spent: 0,
        };
    }
    // SAFETY: passed on.
    let frames = unsafe { walk(record, registers, high, out, MAX_AWAIT_FRAMES) };
    // SAFETY: as above.
    unsafe { record.owner() }.awaits.thrift.spent += CORE.clock.now().saturating_sub(begun);
    frames
}

/// Walks the calling thread's stack up to the address `high`. Returns the number of frames.
///
/// # Safety
/// * `out` is writable for `capacity` words.
/// * `registers` were captured in a frame that is still alive.
#[inline(always)]
unsafe fn walk(
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
        _ => unsafe { walker::walk_own(record, registers, bounds, out, capacity) },
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
