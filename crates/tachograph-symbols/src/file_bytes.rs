//! The bytes of an ELF image: a mapped file, or memory that was copied or decompressed.
//!
//! Owns the mapping and all unsafe blocks but one, which is in `lines` of the crate. Called by `image`, `elf`, `symtab` and `lines`.
//!
//! # Protocol
//! 1. Bytes MUST NOT move or change while a [`FileBytes`] lives: there is no way to mutate one.
//! 2. A slice made by [`PinnedBytes::slice`] MUST be dropped before its owner; `lines` keeps both in one struct, slices first.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use memmap2::{Mmap, UncheckedAdvice};

/// Immutable bytes with a stable address.
pub(crate) enum FileBytes {
    Mapped(Mmap),
    Owned(Vec<u8>),
}

impl FileBytes {
    /// Maps a whole file for reading.
    pub(crate) fn map(file: &File) -> io::Result<Self> {
        // SAFETY: rule 1: the mapping is private and read-only. A change of the file by others can tear values, which the
        // parsers take for damage. Truncation in place would raise SIGBUS; for a loaded module it does so in the program's
        // own mapping as well, and package managers and linkers replace files by rename.
        let map = unsafe { Mmap::map(file)? };
        Ok(Self::Mapped(map))
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }

    /// Takes the touched pages of a mapping out of this process; the next access finds them in the page cache.
    pub(crate) fn release_pages(&self) {
        if let Self::Mapped(map) = self {
            // SAFETY: the mapping is a private one of a file and was never written to, so dropped pages are read again from
            // the file with the same content (rule 1).
            let released = unsafe { map.unchecked_advise(UncheckedAdvice::DontNeed) };
            // A kernel that refuses leaves the pages where they are.
            drop(released);
        }
    }

    /// Size of the mapping; 0 for memory of our own.
    pub(crate) fn mapped_bytes(&self) -> u64 {
        match self {
            Self::Mapped(map) => map.len() as u64,
            Self::Owned(_) => 0,
        }
    }
}

/// A part of shared bytes, for example one section.
#[derive(Clone)]
pub(crate) struct PinnedBytes {
    owner: Arc<FileBytes>,
    range: Range<usize>,
}

impl PinnedBytes {
    /// A part of `owner`, or nothing if the range is not inside it.
    pub(crate) fn new(owner: &Arc<FileBytes>, range: Range<usize>) -> Option<Self> {
        owner.as_slice().get(range.clone())?;
        let owner = Arc::clone(owner);
        Some(Self { owner, range })
    }

    /// All of some memory of our own.
    pub(crate) fn from_vec(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        let owner = Arc::new(FileBytes::Owned(bytes));
        Self { owner, range }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        self.owner
            .as_slice()
            .get(self.range.clone())
            .unwrap_or_default()
    }

    /// The same bytes without a lifetime.
    ///
    /// # Safety
    /// The caller keeps `self` (or a clone) alive for as long as the slice or a copy of it is used (rule 2).
    pub(crate) unsafe fn slice(&self) -> &'static [u8] {
        let bytes = self.as_slice();
        // SAFETY: rule 1: the address is stable and the bytes immutable while the owner lives, which the caller sees to.
        unsafe { std::slice::from_raw_parts(bytes.as_ptr(), bytes.len()) }
    }
}
