//! Stacks of awaits and wakes that the thread has met before: checked instead of walked again, and written once a generation.
//!
//! Tasks of one kind park at the same place again and again. A set-associative table of the thread's own keeps the last stacks that it
//! walked, each with the `Trail` of words that the walk read and with the ids that it got in the generation in which it was written last.
//! A thread has one table for awaits and one for wakes, so that a wake never takes the place of the await that its poll has noted.
//!
//! Owned by the thread, outside of critical sections and handlers; mapped at the first stack and kept with the record.

use std::ptr::NonNull;

use tachograph_unwind::{Registers, StackBounds, Trail};

use crate::buffer;
use crate::sync::{AtomicPtr, Ordering};

/// Frames kept of a wake's or an await's stack.
pub(crate) const MAX_CHAIN_FRAMES: usize = 32;

const WAYS: usize = 4;
const SETS: usize = 16;

/// One stack. N.B. Zeroed memory is one that is nowhere found; and in this order, because the cache is often cold in a poll.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Chain {
    /// Of the tables that it was walked by.
    epoch: u64,
    written: Written,
    /// Which of the table's stacks it is: no other has the number.
    pub(crate) serial: u64,
    trail: Trail,
    /// What has been written of the stack as the last one of several.
    pub(crate) group: Group,
    frames: usize,
    /// Leaf first, with a 0 behind.
    pcs: [u64; MAX_CHAIN_FRAMES + 1],
}

/// Ids, and the generation in which they are good.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Written {
    generation: u64,
    ids: (u64, u64),
}

/// Several stacks of one poll that have been written as one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    /// Serials of those before the last.
    pub(crate) before: [u64; MAX_BEFORE],
    pub(crate) written: Written,
}

/// Stacks of a group before its last one.
pub(crate) const MAX_BEFORE: usize = 3;

#[derive(Debug)]
struct Table {
    /// The way that was found last in each set: most stacks are met twice in a row.
    last: [u8; SETS],
    /// Stacks that have been walked.
    walked: u64,
    sets: [[Chain; WAYS]; SETS],
}

/// A thread's table of stacks.
#[derive(Debug)]
pub(crate) struct Chains(AtomicPtr<Table>);

/// What a table has for a stack.
pub(crate) enum Found {
    /// The stack.
    Known(NonNull<Chain>),
    /// A place for it.
    New(NonNull<Chain>),
}

impl Chains {
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(std::ptr::null_mut()))
    }

    /// The stack that begins with `registers` and ends with `bounds`, walked by the tables of `epoch`. `None` without memory.
    ///
    /// A pointer is good until the next stack is looked for here.
    ///
    /// # Safety
    /// * The caller is the thread whose table this is, outside of its handlers.
    /// * `registers` were captured in a frame that is still alive; `bounds` are readable from `registers.sp` on.
    #[inline(always)]
    pub(crate) unsafe fn find(
        &self,
        registers: Registers,
        bounds: StackBounds,
        epoch: u64,
    ) -> Option<Found> {
        // Relaxed: the thread's own, and another thread's only after the registry's lock.
        let mut table = self.0.load(Ordering::Relaxed);
        if table.is_null() {
            table = self.map()?;
        }
        // SAFETY: mapped for good; the thread's own, and this is its only reference.
        let table = unsafe { &mut *table };
        let set = set_of(registers.sp);
        let last = usize::from(table.last[set]);
        for turn in 0..WAYS {
            let way = (last + turn) % WAYS;
            let chain = &mut table.sets[set][way];
            // SAFETY: owed by the caller.
            if chain.epoch == epoch && unsafe { chain.trail.holds(registers, bounds) } {
                table.last[set] = way as u8;
                return Some(Found::Known(NonNull::from(chain)));
            }
        }
        // In turn: the way behind the last one found is the one that was found longest ago, or nearly.
        let way = (last + WAYS - 1) % WAYS;
        table.last[set] = way as u8;
        table.walked += 1;
        let chain = &mut table.sets[set][way];
        chain.serial = table.walked;
        Some(Found::New(NonNull::from(chain)))
    }

    #[cold]
    fn map(&self) -> Option<*mut Table> {
        let table = buffer::map_pages(size_of::<Table>())?.as_ptr().cast();
        // Relaxed: see `find`.
        self.0.store(table, Ordering::Relaxed);
        Some(table)
    }
}

/// Frames of one kind of future lie equally deep.
#[inline(always)]
fn set_of(sp: u64) -> usize {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    (sp.wrapping_mul(GOLDEN) >> 60) as usize % SETS
}

impl Chain {
    /// Becomes the stack that `walk` walks: it is given the trail and the place for so many addresses, and says how many there are.
    pub(crate) fn fill(&mut self, epoch: u64, walk: impl FnOnce(&mut Trail, *mut u64) -> usize) {
        self.trail.clear();
        self.written = Written::default();
        self.group.written = Written::default();
        self.epoch = epoch;
        self.frames = walk(&mut self.trail, self.pcs.as_mut_ptr()).min(MAX_CHAIN_FRAMES);
        self.pcs[self.frames] = 0;
    }

    /// Lookup addresses, leaf first; the first is that of whoever asked.
    #[inline(always)]
    pub(crate) fn pcs(&self) -> &[u64] {
        &self.pcs[..self.frames]
    }

    /// The same with a 0 behind.
    #[inline(always)]
    pub(crate) fn terminated(&self) -> &[u64] {
        &self.pcs[..=self.frames]
    }

    /// The ids under which the stack has been written in `generation`.
    #[inline(always)]
    pub(crate) fn ids(&self, generation: u64) -> Option<(u64, u64)> {
        self.written.ids(generation)
    }

    /// It has been written.
    pub(crate) fn is_written(&mut self, written: Written) {
        self.written = written;
    }
}

impl Written {
    pub(crate) fn new(generation: u64, ids: (u64, u64)) -> Self {
        Self { generation, ids }
    }

    /// The ids, if they are good in `generation`.
    #[inline(always)]
    pub(crate) fn ids(&self, generation: u64) -> Option<(u64, u64)> {
        (self.generation == generation).then_some(self.ids)
    }
}
