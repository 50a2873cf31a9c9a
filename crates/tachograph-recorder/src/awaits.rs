//! Where the poll in progress has parked, and where wakes come from: stacks that most often are those of the last time.
//!
//! Called by `wake`, when a future clones its task's waker and when somebody wakes a task, outside of critical sections; `section` then asks
//! for the ids.

use std::ptr::NonNull;

use tachograph_unwind::{Registers, StackBounds};

use crate::chains::{Chain, Chains, Found, MAX_BEFORE, MAX_CHAIN_FRAMES};
use crate::clock::TICKS_PER_SECOND;
use crate::core::CORE;
use crate::record::{Flow, ThreadRecord};
use crate::stack::{NO_POLL, follow, walk};
use crate::sync::Ordering;

/// Stacks kept of the futures that park in one poll (`select!`, `join!`): the first ones and the last.
const MAX_AWAITS: usize = MAX_BEFORE + 1;
const AWAIT_WORDS: usize = MAX_AWAITS * (MAX_CHAIN_FRAMES + 1);
/// A thrifty thread walks tables for one 64th of its time.
const THRIFT: u64 = 64;

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
    /// The task was woken in its own poll.
    pub(crate) woke_itself: bool,
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
            woke_itself: false,
            poll: NO_POLL,
            thrift: Thrift { since: 0, spent: 0 },
        }
    }

    /// A poll begins, or goes on after one inside of it. What the last one left is gone.
    #[inline(always)]
    pub(crate) fn begin(&mut self, poll: u64) -> u64 {
        self.last = None;
        self.woke_itself = false;
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
