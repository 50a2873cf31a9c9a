//! A thread's memory of the rules it has used lately.
//!
//! Owns [`RuleCache`]. Filled and read by `walk`, in a handler or not; memory comes from the caller.
//!
//! Rule 4 (`lib.rs`): the epoch is part of every tag. Rule 5: `check` ties tag and rule together.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::rule::Rule;

const ENTRIES: usize = 4096;
/// Bits of user-space addresses on x86-64 and aarch64 with four page-table levels.
const ADDRESS_BITS: u32 = 48;

/// Direct-mapped cache from pc to rule: 4096 entries of 16 bytes, 64 KiB.
///
/// All-zero memory is an empty cache, so it can live in a fresh anonymous mapping. One thread should
/// use it at a time; its own signal handlers may, too, as may a walk that they interrupt.
#[repr(C, align(64))]
pub struct RuleCache {
    entries: [Entry; ENTRIES],
}

#[repr(C)]
struct Entry {
    /// pc and epoch.
    tag: AtomicU64,
    /// Rule in the low half, `check` of pc and epoch in the high half.
    value: AtomicU64,
}

/// What sets one snapshot's entries apart from another's. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Epoch(u64);

impl Epoch {
    pub(crate) fn new(epoch: u16) -> Epoch {
        Epoch(u64::from(epoch.max(1)))
    }

    pub(crate) fn next(self) -> Epoch {
        let next = (self.0 + 1) & (u64::MAX >> 16);
        // The low half-word goes into the tag, which must not be that of empty memory.
        Epoch(if next as u16 == 0 { next + 1 } else { next })
    }

    pub(crate) fn number(self) -> u16 {
        self.0 as u16
    }

    #[inline(always)]
    fn tag(self) -> u64 {
        self.0 << ADDRESS_BITS
    }

    #[inline(always)]
    fn salt(self) -> u32 {
        (self.0 >> 16) as u32
    }
}

impl RuleCache {
    /// An empty cache on the heap.
    pub fn boxed() -> Box<RuleCache> {
        let layout = std::alloc::Layout::new::<RuleCache>();
        // SAFETY: the layout has a size; all-zero memory is a valid, empty cache; and a Box frees
        // its memory with this very layout.
        unsafe {
            let memory = std::alloc::alloc_zeroed(layout).cast::<RuleCache>();
            if memory.is_null() {
                std::alloc::handle_alloc_error(layout);
            }
            Box::from_raw(memory)
        }
    }

    #[inline(always)]
    pub(crate) fn find(&self, pc: u64, epoch: Epoch) -> Option<Rule> {
        let tag = pc ^ epoch.tag();
        let entry = self.entry(pc);
        // Relaxed: halves of different writes are told by `check`.
        let (seen, value) = (entry.tag.load(Relaxed), entry.value.load(Relaxed));
        let hit = seen == tag && (value >> 32) as u32 == check(pc, epoch);
        hit.then_some(Rule::from_bits(value as u32))
    }

    pub(crate) fn insert(&self, pc: u64, epoch: Epoch, rule: Rule) {
        let tag = pc ^ epoch.tag();
        let entry = self.entry(pc);
        entry.tag.store(tag, Relaxed);
        entry.value.store(
            u64::from(check(pc, epoch)) << 32 | u64::from(rule.bits()),
            Relaxed,
        );
    }

    #[inline(always)]
    fn entry(&self, pc: u64) -> &Entry {
        // The mask is the array's length, so there is no bounds check left to panic.
        &self.entries[(pc ^ pc >> 12) as usize & (ENTRIES - 1)]
    }
}

/// Counts in all of pc, unlike the tag, in which a stray address with its high bits set could look
/// like another epoch.
#[inline(always)]
fn check(pc: u64, epoch: Epoch) -> u32 {
    (pc.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32 ^ epoch.salt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::SavedFp;

    fn rule(offset: i64) -> Rule {
        Rule::plain(false, offset, SavedFp::Same).expect("fits")
    }

    #[test]
    fn zeroed_memory_is_empty() {
        let cache = RuleCache::boxed();
        for pc in [0, 1, 4096, 0x7fff_ffff_ffff] {
            assert!(cache.find(pc, Epoch::new(1)).is_none());
            assert!(cache.find(pc, Epoch::new(0)).is_none());
        }
        assert_eq!(size_of::<RuleCache>(), 64 << 10);
    }

    #[test]
    fn entries_of_another_epoch_do_not_match() {
        let cache = RuleCache::boxed();
        let epoch = Epoch::new(7);
        cache.insert(0x5555_0000_1234, epoch, rule(16));
        assert!(cache.find(0x5555_0000_1234, epoch) == Some(rule(16)));
        assert!(cache.find(0x5555_0000_1234, epoch.next()).is_none());
    }

    #[test]
    fn epochs_differ_after_the_short_counter_wraps() {
        let cache = RuleCache::boxed();
        let first = Epoch::new(1);
        cache.insert(0x5555_0000_1234, first, rule(16));
        let mut epoch = first;
        for _ in 0..2 * 65_536 {
            epoch = epoch.next();
            assert_ne!(epoch.number(), 0);
            assert!(cache.find(0x5555_0000_1234, epoch).is_none());
        }
    }

    #[test]
    fn an_entry_of_two_halves_is_a_miss() {
        let (cache, epoch) = (RuleCache::boxed(), Epoch::new(1));
        let (ours, theirs) = (0x5555_0000_1234u64, 0x5555_0100_1234u64);
        assert!(std::ptr::eq(cache.entry(ours), cache.entry(theirs)));
        cache.insert(theirs, epoch, rule(24));
        cache.entry(ours).tag.store(ours ^ epoch.tag(), Relaxed);
        assert!(cache.find(ours, epoch).is_none());
        assert!(cache.find(theirs, epoch).is_none());
    }
}
