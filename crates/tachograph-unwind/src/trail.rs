//! A walk that is checked instead of done again.
//!
//! Owns [`Trail`]. A walk is a function of the registers that it starts from, the tables, and the words that it reads. Where all those
//! are as they were, so is what it finds. Reading known places again takes a fraction of the time: no load waits for the one before, and
//! no rule is looked up.
//!
//! A trail keeps places as distances from sp, so it holds wherever on a stack the same frames stand; unless frame pointers matter, which
//! are addresses.

use std::cell::Cell;

use crate::memory::{LiveStack, Memory};
use crate::{Registers, RuleCache, Snapshot, StackBounds, Walk, walk_frame_pointers_in, walk_in};

/// Words that a trail has room for: two for each of 32 frames, and where it ends.
const MAX_READS: usize = 72;
/// Words that are compared between two looks at the result.
const STRIDE: usize = 4;

/// What a walk has read. Zeroed memory is one that holds nowhere.
///
/// N.B. In this order: what decides first stands first, in one line of the cache.
#[derive(Debug)]
#[repr(C)]
pub struct Trail {
    /// Bytes from sp to the end of the bounds; 0 for a trail that holds nowhere.
    room: u64,
    ip: u64,
    fp: u64,
    /// 0 where the walk did not look at the first frame's fp.
    uses_fp: u64,
    /// A multiple of `STRIDE`.
    reads: usize,
    /// Bytes above sp.
    offsets: [u32; MAX_READS],
    words: [u64; MAX_READS],
}

impl Default for Trail {
    fn default() -> Self {
        Self {
            room: 0,
            ip: 0,
            fp: 0,
            uses_fp: 0,
            reads: 0,
            offsets: [0; MAX_READS],
            words: [0; MAX_READS],
        }
    }
}

impl Trail {
    /// Whether a walk from `registers` would find what the trail's walk has found, given the same tables and capacity.
    ///
    /// # Safety
    /// * The part of `bounds` at and above `registers.sp` is readable while this runs.
    #[inline(always)]
    pub unsafe fn holds(&self, registers: Registers, bounds: StackBounds) -> bool {
        let bounds = bounds.usable();
        let other_fp = (registers.fp ^ self.fp) & self.uses_fp;
        if registers.ip != self.ip
            || other_fp != 0
            || !bounds.contains(registers.sp)
            || bounds.high - registers.sp != self.room
        {
            return false;
        }
        let (offsets, _) = self.offsets[..self.reads].as_chunks::<STRIDE>();
        let (words, _) = self.words[..self.reads].as_chunks::<STRIDE>();
        for (offsets, words) in offsets.iter().zip(words) {
            let mut differences = 0;
            for (offset, word) in offsets.iter().zip(words) {
                // SAFETY: the trail's walk read this place, aligned and between sp and the end of its bounds, which is as far away now
                // as it was then.
                let now = unsafe { LiveStack.load(registers.sp + u64::from(*offset)) };
                differences |= now ^ word;
            }
            if differences != 0 {
                return false;
            }
        }
        true
    }

    /// Becomes one that holds nowhere.
    pub fn clear(&mut self) {
        self.room = 0;
    }

    /// [`walk`](crate::walk), and from now on its trail.
    ///
    /// # Safety
    /// As for [`walk`](crate::walk).
    pub unsafe fn walk(
        &mut self,
        snapshot: &Snapshot,
        cache: *mut RuleCache,
        registers: Registers,
        bounds: StackBounds,
        out: *mut u64,
        capacity: usize,
    ) -> Walk {
        self.follow(registers, bounds, |memory| {
            // SAFETY: passed on from the caller.
            unsafe { walk_in(memory, snapshot, cache, registers, bounds, out, capacity) }
        })
    }

    /// [`walk_frame_pointers`](crate::walk_frame_pointers), and from now on its trail.
    ///
    /// # Safety
    /// As for [`walk_frame_pointers`](crate::walk_frame_pointers).
    pub unsafe fn walk_frame_pointers(
        &mut self,
        registers: Registers,
        bounds: StackBounds,
        out: *mut u64,
        capacity: usize,
    ) -> Walk {
        self.follow(registers, bounds, |memory| {
            // SAFETY: passed on from the caller.
            unsafe { walk_frame_pointers_in(memory, registers, bounds, out, capacity) }
        })
    }

    fn follow(
        &mut self,
        registers: Registers,
        bounds: StackBounds,
        walk: impl FnOnce(&Noting<'_>) -> Walk,
    ) -> Walk {
        let bounds = bounds.usable();
        let memory = Noting {
            sp: registers.sp,
            offsets: Cell::from_mut(&mut self.offsets[..]).as_slice_of_cells(),
            words: Cell::from_mut(&mut self.words[..]).as_slice_of_cells(),
            reads: Cell::new(Some(0)),
            fp: Cell::new(Fp::Register),
            saved: Cell::new(Fp::Noted),
            uses_register: Cell::new(false),
        };
        let found = walk(&memory);
        let reads = memory.pad();
        self.uses_fp = match memory.uses_register.get() {
            true => u64::MAX,
            false => 0,
        };
        (self.room, self.reads) = match reads {
            // A guess looks at more than words and rules.
            Some(reads) if bounds.contains(registers.sp) && found.guesses == 0 => {
                (bounds.high - registers.sp, reads)
            }
            _ => (0, 0),
        };
        self.ip = registers.ip;
        self.fp = registers.fp;
        found
    }
}

/// The live stack, and what is read of it.
struct Noting<'a> {
    sp: u64,
    offsets: &'a [Cell<u32>],
    words: &'a [Cell<u64>],
    /// `None` when a read could not be noted.
    reads: Cell<Option<usize>>,
    fp: Cell<Fp>,
    /// What `load_fp` loaded last.
    saved: Cell<Fp>,
    uses_register: Cell<bool>,
}

/// Where the walk has its frame pointer from.
#[derive(Clone, Copy)]
enum Fp {
    /// The first frame's registers.
    Register,
    /// The stack.
    Word { address: u64, word: u64 },
    /// Whatever it was, it is noted.
    Noted,
}

impl Noting<'_> {
    fn note(&self, address: u64, word: u64) {
        let next = self.reads.get().and_then(|reads| {
            // N.B. Places below sp don't fit either.
            let offset = u32::try_from(address.wrapping_sub(self.sp)).ok()?;
            self.offsets.get(reads)?.set(offset);
            self.words[reads].set(word);
            Some(reads + 1)
        });
        self.reads.set(next);
    }

    /// Fills the last stride with its first read. The number of reads.
    fn pad(&self) -> Option<usize> {
        let reads = self.reads.get()?;
        let padded = reads.next_multiple_of(STRIDE);
        for place in reads..padded {
            self.offsets[place].set(self.offsets[reads - 1].get());
            self.words[place].set(self.words[reads - 1].get());
        }
        Some(padded)
    }
}

impl Memory for Noting<'_> {
    unsafe fn load(&self, address: u64) -> u64 {
        // SAFETY: passed on from the caller.
        let word = unsafe { LiveStack.load(address) };
        self.note(address, word);
        word
    }

    unsafe fn load_fp(&self, address: u64) -> u64 {
        // SAFETY: passed on from the caller.
        let word = unsafe { LiveStack.load(address) };
        self.saved.set(Fp::Word { address, word });
        word
    }

    fn restores_fp(&self) {
        self.fp.set(self.saved.get());
    }

    fn uses_fp(&self) {
        match self.fp.replace(Fp::Noted) {
            Fp::Register => self.uses_register.set(true),
            Fp::Word { address, word } => self.note(address, word),
            Fp::Noted => {}
        }
    }
}
