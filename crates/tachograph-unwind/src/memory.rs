//! Where a walk reads the stack from: the live thread, or a copy of its stack.
//!
//! Owns [`Memory`], [`LiveStack`] and [`StackCopy`]. Walks are compiled once for each.

/// A source of stack words.
pub trait Memory {
    /// The word at `address`.
    ///
    /// # Safety
    /// * `address` is 8-byte aligned.
    /// * `address .. address + 8` lies within the bounds that were given to the walk.
    unsafe fn load(&self, address: u64) -> u64;

    /// As `load`, where a frame may have saved its caller's fp. What is there matters only if `restores_fp` and `uses_fp` follow.
    ///
    /// # Safety
    /// As for `load`.
    #[inline(always)]
    unsafe fn load_fp(&self, address: u64) -> u64 {
        // SAFETY: passed on from the caller.
        unsafe { self.load(address) }
    }

    /// The walk's fp is from now on what `load_fp` returned last.
    #[inline(always)]
    fn restores_fp(&self) {}

    /// What the walk does next depends on its fp.
    #[inline(always)]
    fn uses_fp(&self) {}
}

/// The stack of the running process itself.
#[derive(Clone, Copy, Debug)]
pub struct LiveStack;

impl Memory for LiveStack {
    #[cfg(not(all(tachograph_sanitizer, target_arch = "x86_64")))]
    #[inline(always)]
    unsafe fn load(&self, address: u64) -> u64 {
        let word = std::ptr::with_exposed_provenance::<u64>(address as usize);
        // SAFETY: the caller says that the address is aligned and on the stack. Volatile, because
        // the frames that own this memory are written without our knowledge.
        unsafe { word.read_volatile() }
    }

    // AddressSanitizer poisons the gaps between locals, through which return addresses are reached.
    #[cfg(all(tachograph_sanitizer, target_arch = "x86_64"))]
    #[inline(always)]
    unsafe fn load(&self, address: u64) -> u64 {
        let word: u64;
        // SAFETY: as above; one aligned load without side effects.
        unsafe {
            std::arch::asm!("mov {word}, [{address}]", address = in(reg) address,
                word = out(reg) word, options(nostack, readonly, preserves_flags));
        }
        word
    }
}

/// A copy of a stack, to walk a sample after the fact.
#[derive(Clone, Copy, Debug)]
pub struct StackCopy<'a> {
    start: u64,
    words: &'a [u64],
}

impl<'a> StackCopy<'a> {
    /// A copy of the memory that began at the 8-byte aligned address `start`.
    pub fn new(start: u64, words: &'a [u64]) -> Self {
        Self { start, words }
    }

    /// The bounds of what was copied.
    pub fn bounds(&self) -> crate::StackBounds {
        let low = self.start;
        crate::StackBounds {
            low,
            high: low + 8 * self.words.len() as u64,
        }
    }

    /// The word at `address`, if it was copied.
    pub fn word(&self, address: u64) -> Option<u64> {
        let offset = address.checked_sub(self.start)?;
        let aligned = offset.is_multiple_of(8);
        self.words
            .get(usize::try_from(offset / 8).ok()?)
            .copied()
            .filter(|_| aligned)
    }
}

impl Memory for StackCopy<'_> {
    #[inline]
    unsafe fn load(&self, address: u64) -> u64 {
        self.word(address).unwrap_or(0)
    }
}
