//! The regions that are open on a thread, innermost last.
//!
//! Readers demand that regions end innermost first. Guards may be dropped in any order, so this stack knows what must be closed
//! and reopened around an end that comes too early. Part of `record::Owner`.

use std::borrow::Cow;

/// "No user task": the background task of the wire.
pub(crate) const BACKGROUND: u64 = 0;
/// "The user task of the region around".
pub(crate) const INHERITED: u64 = u64::MAX;

/// One open region.
#[derive(Debug)]
pub(crate) struct OpenRegion {
    pub(crate) task: u64,
    pub(crate) name: Cow<'static, str>,
    /// The generation in which the region was begun.
    pub(crate) generation: u64,
    /// The name's string id there.
    pub(crate) name_id: u64,
    /// What the region's guard knows it by: the time of its begin, which no two events of a thread share.
    pub(crate) serial: u64,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct OpenRegions {
    open: Vec<OpenRegion>,
}

impl OpenRegions {
    pub(crate) const fn new() -> Self {
        Self { open: Vec::new() }
    }

    /// The region with `depth` others inside it.
    pub(crate) fn at(&self, depth: usize) -> Option<&OpenRegion> {
        self.open.iter().rev().nth(depth)
    }

    /// Whether the next `push` would allocate.
    #[inline(always)]
    pub(crate) fn is_full(&self) -> bool {
        self.open.len() == self.open.capacity()
    }

    /// Makes room, so that `push` does not allocate inside a critical section.
    #[cold]
    pub(crate) fn reserve(&mut self) {
        self.open.reserve(32);
    }

    /// Opens a region.
    #[inline(always)]
    pub(crate) fn push(&mut self, region: OpenRegion) {
        self.open.push(region);
    }

    /// Opens a region in a list that has room.
    #[inline(always)]
    pub(crate) fn push_into_room(&mut self, region: OpenRegion) {
        debug_assert!(!self.is_full());
        if let Some(place) = self.open.spare_capacity_mut().first_mut() {
            place.write(region);
            // SAFETY: the place behind the last region has just been written.
            unsafe { self.open.set_len(self.open.len() + 1) };
        }
    }

    /// Closes the innermost region, whose name is static: there is nothing to drop.
    #[inline(always)]
    pub(crate) fn pop_static(&mut self) {
        debug_assert!(matches!(
            self.last().map(|r| &r.name),
            Some(Cow::Borrowed(_))
        ));
        // SAFETY: fewer are initialised too; without an owned name, nothing is leaked.
        unsafe { self.open.set_len(self.open.len().saturating_sub(1)) };
    }

    /// The innermost region.
    #[inline(always)]
    pub(crate) fn last(&self) -> Option<&OpenRegion> {
        self.open.last()
    }

    /// Closes the innermost region.
    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Option<OpenRegion> {
        self.open.pop()
    }

    /// How many regions lie inside the one with `serial`; `None` when it is not open on this thread.
    pub(crate) fn inside(&self, serial: u64) -> Option<usize> {
        let at = self.open.iter().rposition(|r| r.serial == serial)?;
        Some(self.open.len() - at - 1)
    }

    /// Takes out the region with `depth` others inside it.
    pub(crate) fn remove(&mut self, depth: usize) -> OpenRegion {
        self.open.remove(self.open.len() - depth - 1)
    }
}
