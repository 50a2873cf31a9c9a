//! The regions that are open on a thread, innermost last.
//!
//! Readers demand that regions end innermost first. Guards may be dropped in any order, so this stack knows what must be closed
//! and reopened around an end that comes too early. Part of `record::Owner`.

use std::borrow::Cow;

/// One open region.
#[derive(Debug)]
pub(crate) struct OpenRegion {
    pub(crate) task: u64,
    pub(crate) name: Cow<'static, str>,
    /// The run in whose trace the region was begun.
    pub(crate) run: u64,
    /// The name's string id in `generation`.
    pub(crate) generation: u64,
    pub(crate) name_id: u64,
    /// What the region's guard knows it by.
    pub(crate) serial: u64,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct OpenRegions {
    open: Vec<OpenRegion>,
    next_serial: u64,
}

impl OpenRegions {
    pub(crate) const fn new() -> Self {
        Self {
            open: Vec::new(),
            next_serial: 1,
        }
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

    /// Opens a region and returns what its guard needs to end it.
    #[inline(always)]
    pub(crate) fn push(&mut self, mut region: OpenRegion) -> u64 {
        let serial = self.next_serial;
        self.next_serial += 1;
        region.serial = serial;
        self.open.push(region);
        serial
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

    /// Puts a region back that was closed for another's sake.
    pub(crate) fn reopen(&mut self, region: OpenRegion) {
        self.open.push(region);
    }

    /// Takes out the region with `depth` others inside it.
    pub(crate) fn remove(&mut self, depth: usize) -> OpenRegion {
        self.open.remove(self.open.len() - depth - 1)
    }
}
