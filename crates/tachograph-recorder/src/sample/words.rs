//! The memory of a ring: words by index, without bounds that could panic in a handler.
//!
//! Indices are masked instead of checked. Under loom the words are tracked cells, so that the model sees a race.

/// A power of two of words.
#[derive(Debug)]
pub struct Words {
    #[cfg(not(loom))]
    start: *mut u64,
    #[cfg(loom)]
    cells: Vec<loom::cell::UnsafeCell<u64>>,
    len: usize,
}

// SAFETY: `ring` hands each word to one side at a time (rule 1 there).
unsafe impl Send for Words {}
// SAFETY: as above.
unsafe impl Sync for Words {}

#[cfg(not(loom))]
impl Words {
    /// `len` words (a power of two) from the kernel, touched only when used; `None` when it has none.
    pub fn map(len: usize) -> Option<Self> {
        debug_assert!(len.is_power_of_two());
        let start = crate::buffer::map_pages(len * 8)?.as_ptr().cast();
        Some(Self { start, len })
    }

    /// Reads a word.
    #[inline(always)]
    pub fn get(&self, index: usize) -> u64 {
        // SAFETY: the masked index is inside the mapping.
        unsafe { self.start.add(index & (self.len - 1)).read() }
    }

    /// Writes a word.
    #[inline(always)]
    pub fn set(&self, index: usize, word: u64) {
        // SAFETY: as in `get`; the caller is the one side that owns the word now.
        unsafe { self.start.add(index & (self.len - 1)).write(word) }
    }

    /// The address of a word, for a writer that fills several.
    #[inline(always)]
    pub fn at(&self, index: usize) -> *mut u64 {
        self.start.wrapping_add(index & (self.len - 1))
    }
}

#[cfg(loom)]
impl Words {
    /// `len` tracked words (a power of two).
    pub fn tracked(len: usize) -> Self {
        Self {
            cells: (0..len).map(|_| loom::cell::UnsafeCell::new(0)).collect(),
            len,
        }
    }

    /// Reads a word.
    pub fn get(&self, index: usize) -> u64 {
        // SAFETY: loom checks that no writer is active.
        self.cells[index & (self.len - 1)].with(|p| unsafe { *p })
    }

    /// Writes a word.
    pub fn set(&self, index: usize, word: u64) {
        // SAFETY: loom checks that nobody else is active.
        self.cells[index & (self.len - 1)].with_mut(|p| unsafe { *p = word })
    }
}

impl Words {
    /// How many words there are; never none.
    #[allow(clippy::len_without_is_empty)]
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The index of the `count`-th word written.
    #[inline(always)]
    pub fn index(&self, count: u64) -> usize {
        (count & (self.len as u64 - 1)) as usize
    }
}

#[cfg(not(loom))]
impl Drop for Words {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this length.
        unsafe {
            libc::munmap(self.start.cast(), self.len * 8);
        }
    }
}
