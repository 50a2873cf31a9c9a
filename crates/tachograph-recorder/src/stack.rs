//! The calling thread's stacks, for events that carry one: spawns, blocking sections, wakes, awaits.
//!
//! Taken before the critical section begins. Walked along frame pointers where the start's self-test found that programs keep them
//! (1 to 2 ns a frame), else by the tables and the walker of CPU samples (10 to 35 ns a frame). Stacks of awaits and wakes are mostly
//! those that the thread has met before, and then checked only (`chains`).

use std::mem::MaybeUninit;
use std::ptr::NonNull;

use tachograph_unwind::{Registers, RuleCache, StackBounds, Trail, walk_frame_pointers};

use crate::buffer;
use crate::chains::{Chain, Chains, Found, MAX_BEFORE, MAX_CHAIN_FRAMES};
use crate::clock::TICKS_PER_SECOND;
use crate::core::CORE;
use crate::record::{Flow, ThreadRecord};
use crate::sample::walker;
use crate::sync::{AtomicPtr, AtomicU8, Ordering};

/// Frames kept of an event's stack; the wire allows 128 after inlines are expanded.
pub(crate) const MAX_EVENT_FRAMES: usize = 64;
/// Stacks kept of the futures that park in one poll (`select!`, `join!`): the first ones and the last.
const MAX_AWAITS: usize = MAX_BEFORE + 1;
const AWAIT_WORDS: usize = MAX_AWAITS * (MAX_CHAIN_FRAMES + 1);
/// A thrifty thread walks tables for one 64th of its time.
const THRIFT: u64 = 64;

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

/// Where the futures of the poll in progress have parked. Part of `record::Owner`.
#[derive(Debug)]
pub(crate) struct Awaits {
    /// The last one. Good until the next is looked for.
    pub(crate) last: Option<NonNull<Chain>>,
    /// Those before, but for the ones that had no room: leaf first, each with a 0 behind it.
    words: [u64; AWAIT_WORDS],
    len: usize,
    count: usize,
    /// Serials of those before. Unknown after a poll inside of this one.
    before: [u64; MAX_BEFORE],
    before_is_known: bool,
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
            last: None,
            words: [0; AWAIT_WORDS],
            len: 0,
            count: 0,
            before: [0; MAX_BEFORE],
            before_is_known: true,
            poll: NO_POLL,
            thrift: Thrift { since: 0, spent: 0 },
        }
    }

    /// A poll begins, or goes on after one inside of it. What the last one left is gone.
    #[inline(always)]
    pub(crate) fn begin(&mut self, poll: u64) -> u64 {
        self.last = None;
        if self.len > 0 {
            self.len = 0;
            self.count = 0;
            self.before = [0; MAX_BEFORE];
            self.before_is_known = true;
        }
        std::mem::replace(&mut self.poll, poll)
    }

    /// As `all` was before a poll inside of this one.
    pub(crate) fn restore(&mut self, all: &[u64]) {
        self.words[..all.len()].copy_from_slice(all);
        self.len = all.len();
        self.count = all.iter().filter(|word| **word == 0).count();
        self.before_is_known = all.is_empty();
    }

    /// Which stacks there are before the last one, if that is known.
    pub(crate) fn before(&self) -> Option<[u64; MAX_BEFORE]> {
        self.before_is_known.then_some(self.before)
    }

    /// Whether more than one future has parked.
    #[inline(always)]
    pub(crate) fn are_many(&self) -> bool {
        self.len > 0
    }

    /// All stacks, each with a 0 behind it.
    #[cold]
    pub(crate) fn all(&mut self) -> &[u64] {
        self.keep(MAX_AWAITS);
        &self.words[..self.len]
    }

    /// The last stack will no longer be the last: it is written down, if there are fewer than `most`.
    fn keep(&mut self, most: usize) {
        // SAFETY: no other stack has been looked for since.
        let last = self.last.take().map(|last| unsafe { last.as_ref() });
        if let Some(last) = last
            && self.count < most
        {
            let words = last.terminated();
            self.words[self.len..][..words.len()].copy_from_slice(words);
            self.len += words.len();
            if let Some(before) = self.before.get_mut(self.count) {
                *before = last.serial;
            }
            self.count += 1;
        }
    }
}

/// A future of `task` clones its waker: it parks, if that happens in the task's poll on this thread.
#[inline(never)]
pub(crate) fn note_await(record: &'static ThreadRecord, task: Flow) {
    if !record.flag.is_clear() {
        return;
    }
    let registers = Registers::capture();
    // SAFETY: own thread, outside of a critical section; the reference ends here.
    let poll = unsafe {
        let owner = record.owner();
        if owner.flow != task {
            return;
        }
        if owner.awaits.last.is_some() {
            owner.awaits.keep(MAX_AWAITS - 1);
        }
        owner.awaits.poll
    };
    // SAFETY: the registers are those of this frame.
    let last = unsafe { find(record, &record.await_chains, registers, poll) };
    // SAFETY: own thread, outside of a critical section; the reference ends here.
    unsafe { record.owner() }.awaits.last = last;
}

/// The stack of a wake, down to the poll that it is part of; none where wakes have none. Good until the thread's next wake.
#[inline(always)]
pub(crate) fn wake_stack(record: &'static ThreadRecord) -> Option<NonNull<Chain>> {
    if !CORE.event_walk.has_awaits() || !record.flag.is_clear() {
        return None;
    }
    // SAFETY: own thread, outside of a critical section; the reference ends here.
    let poll = unsafe { record.owner() }.awaits.poll;
    // SAFETY: the registers are those of the function that this is inlined into, as `find` and its caller are.
    unsafe { find(record, &record.wake_chains, Registers::capture(), poll) }
}

/// A stack of more than the asker's frame.
///
/// # Safety
/// * As for `walk`, outside of a critical section.
#[inline(always)]
unsafe fn find(
    record: &'static ThreadRecord,
    chains: &Chains,
    registers: Registers,
    high: u64,
) -> Option<NonNull<Chain>> {
    let bounds = record.sample.bounds()?;
    let bounds = StackBounds {
        low: bounds.low,
        high: bounds.high.min(high),
    };
    let epoch = CORE.sampler.tables.epoch();
    // SAFETY: owed by the caller; the bounds are this thread's own.
    let found = unsafe { chains.find(registers, bounds, epoch) };
    let chain = match found? {
        Found::Known(chain) => {
            // SAFETY: passed on.
            debug_assert!(unsafe { is_as_walked(record, chain, registers, bounds) });
            chain
        }
        // SAFETY: passed on.
        Found::New(chain) => unsafe { walk_anew(record, chain, registers, bounds, epoch) }?,
    };
    // SAFETY: the thread's own; the reference ends here.
    (unsafe { chain.as_ref() }.pcs().len() > 1).then_some(chain)
}

/// Whether a walk finds what the trail has promised.
unsafe fn is_as_walked(
    record: &ThreadRecord,
    chain: NonNull<Chain>,
    registers: Registers,
    bounds: StackBounds,
) -> bool {
    let mut pcs = [0; MAX_CHAIN_FRAMES];
    // SAFETY: owed by the caller; there is room for so many.
    let frames = unsafe {
        walk(
            record,
            registers,
            bounds.high,
            pcs.as_mut_ptr(),
            MAX_CHAIN_FRAMES,
        )
    };
    // SAFETY: the thread's own; the reference ends here.
    let known = unsafe { chain.as_ref() };
    // None at all where the recording has just ended.
    frames == 0 || known.pcs() == &pcs[..frames]
}

/// Walks, if the thread can afford it.
#[cold]
#[inline(never)]
unsafe fn walk_anew(
    record: &'static ThreadRecord,
    mut chain: NonNull<Chain>,
    registers: Registers,
    bounds: StackBounds,
    epoch: u64,
) -> Option<NonNull<Chain>> {
    let is_thrifty = CORE.event_walk.is_thrifty();
    let begun = CORE.clock.now();
    if is_thrifty {
        // SAFETY: own thread, outside of a critical section; the reference ends here.
        let thrift = unsafe { &mut record.owner().awaits.thrift };
        if !thrift.affords(begun) {
            // Relaxed: a counter, this thread's.
            record
                .shared
                .stacks_left_out
                .fetch_add(1, Ordering::Relaxed);
            return None;
        }
    }
    // SAFETY: the thread's own; the reference ends here.
    unsafe { chain.as_mut() }.fill(epoch, |trail, out| {
        // SAFETY: passed on; a chain has room for as many frames.
        unsafe { follow(record, registers, bounds, trail, out, MAX_CHAIN_FRAMES) }
    });
    if is_thrifty {
        // SAFETY: as above.
        let thrift = unsafe { &mut record.owner().awaits.thrift };
        thrift.spent += CORE.clock.now().saturating_sub(begun);
    }
    Some(chain)
}

impl Thrift {
    /// Whether the thread may walk now.
    fn affords(&mut self, now: u64) -> bool {
        if self.spent * THRIFT > now.saturating_sub(self.since) {
            return false;
        }
        // A quiet hour earns no loud one, but a quarter of a second in advance: the first walks are slow.
        if now.saturating_sub(self.since) > TICKS_PER_SECOND {
            *self = Self {
                since: now.saturating_sub(TICKS_PER_SECOND / 4),
                spent: 0,
            };
        }
        true
    }
}

/// Walks as events do, and keeps the trail. Returns the number of frames.
///
/// # Safety
/// * As for `walk`.
unsafe fn follow(
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
