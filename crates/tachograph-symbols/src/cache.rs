//! Resolved frames by address, and the strings that they share.
//!
//! Owns the answers: once given, they stay until the module under them goes. Called by `symbolizer`.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

/// One function at an address: the physical one, or one inlined into it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Frame {
    /// Readable name, never empty; `libfoo.so+0x1234` or `0x7f..` if there is no name.
    pub function: Arc<str>,
    /// Source file as the compiler recorded it, `""` if unknown.
    pub file: Arc<str>,
    /// Line in `file`, 0 if unknown.
    pub line: u32,
}

/// Frames by lookup address.
#[derive(Default)]
pub(crate) struct FrameCache {
    frames: HashMap<u64, Box<[Frame]>, BuildHasherDefault<PcHasher>>,
}

impl FrameCache {
    pub(crate) fn contains(&self, pc: u64) -> bool {
        self.frames.contains_key(&pc)
    }

    pub(crate) fn frames(&self, pc: u64) -> Option<&[Frame]> {
        self.frames.get(&pc).map(|frames| &**frames)
    }

    pub(crate) fn insert(&mut self, pc: u64, frames: Vec<Frame>) {
        self.frames.insert(pc, frames.into_boxed_slice());
    }

    pub(crate) fn len(&self) -> usize {
        self.frames.len()
    }

    /// Forgets all addresses for which `gone` holds.
    pub(crate) fn forget(&mut self, mut gone: impl FnMut(u64) -> bool) {
        self.frames.retain(|pc, _| !gone(*pc));
    }
}

/// Strings, each held once.
#[derive(Default)]
pub(crate) struct Interner {
    strings: HashSet<Arc<str>>,
}

impl Interner {
    pub(crate) fn intern(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.strings.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        self.strings.insert(Arc::clone(&new));
        new
    }

    /// Frees the strings that no frame uses any more.
    pub(crate) fn shrink(&mut self) {
        self.strings.retain(|text| Arc::strong_count(text) > 1);
    }
}

/// Multiplicative hash for code addresses, which differ mostly in their low bits.
#[derive(Default)]
pub(crate) struct PcHasher(u64);

impl Hasher for PcHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        // The table takes the bucket from the low bits and the tag from the high bits: mix both ways.
        let mixed = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        self.0 = mixed ^ (mixed >> 32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_strings_are_held_once_and_freed_when_unused() {
        let mut interner = Interner::default();
        let first = interner.intern("main");
        assert!(Arc::ptr_eq(&first, &interner.intern("main")));
        drop(first);
        interner.shrink();
        assert_eq!(interner.strings.len(), 0);
    }

    #[test]
    fn nearby_addresses_spread_over_low_and_high_hash_bits() {
        let hashes = (0..4096u64).map(|i| {
            let mut hasher = PcHasher::default();
            hasher.write_u64(0x7fff_0000_0000 + i * 16);
            hasher.finish()
        });
        let low: HashSet<u64> = hashes.clone().map(|h| h & 0xfff).collect();
        let high: HashSet<u64> = hashes.map(|h| h >> 57).collect();
        assert!(low.len() > 2000, "{} of 4096 low values", low.len());
        assert!(high.len() > 100, "{} of 128 high values", high.len());
    }
}
