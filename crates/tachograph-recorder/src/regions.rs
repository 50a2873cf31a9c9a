//! The regions that are open on a thread, innermost last.
//!
//! Readers demand that regions end innermost first. Guards may be dropped in any order, so this stack knows what must be closed
//! and reopened around an end that comes too early. Part of `record::Owner`.
//!
//! On the wire regions belong to the task that runs. So the regions of the task that runs stand above `base`, those of the flows that it
//! interrupted below, and what a task leaves open at the end of its poll goes with it (`leave`) to its next (`enter`).

use std::borrow::Cow;

/// "No user task": the background task of the wire.
pub(crate) const BACKGROUND: u64 = 0;
/// "The user task of the region around".
pub(crate) const INHERITED: u64 = u64::MAX;

/// The name of a region that the trace does not show: a scope, which only says whose is what is inside of it.
pub(crate) const SCOPE: u64 = u64::MAX;

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

/// What a task has open between its polls, outermost first.
#[derive(Debug, Default)]
pub(crate) struct LeftOpen(Vec<OpenRegion>);

impl LeftOpen {
    /// Whether there is something.
    #[inline(always)]
    pub(crate) fn is_any(left: &Option<Box<Self>>) -> bool {
        left.as_ref().is_some_and(|left| !left.0.is_empty())
    }
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct OpenRegions {
    open: Vec<OpenRegion>,
    base: usize,
}

impl OpenRegions {
    pub(crate) const fn new() -> Self {
        Self {
            open: Vec::new(),
            base: 0,
        }
    }

    /// The region with `depth` others inside it.
    pub(crate) fn at(&self, depth: usize) -> Option<&OpenRegion> {
        self.open[self.base..].iter().rev().nth(depth)
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
        match self.has_open() {
            true => self.open.last(),
            false => None,
        }
    }

    /// Closes the innermost region.
    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Option<OpenRegion> {
        match self.has_open() {
            true => self.open.pop(),
            false => None,
        }
    }

    /// How many regions lie inside the one with `serial`; `None` when it is not open on this thread.
    pub(crate) fn inside(&self, serial: u64) -> Option<usize> {
        self.open[self.base..]
            .iter()
            .rev()
            .position(|region| region.serial == serial)
    }

    /// Takes out the region with `depth` others inside it.
    pub(crate) fn remove(&mut self, depth: usize) -> OpenRegion {
        self.open.remove(self.open.len() - depth - 1)
    }

    /// Whether the task that runs has a region open.
    #[inline(always)]
    pub(crate) fn has_open(&self) -> bool {
        self.open.len() > self.base
    }

    /// Makes room for `enter`, as `reserve` does for `push`.
    pub(crate) fn make_room_for(&mut self, left: &Option<Box<LeftOpen>>) {
        self.open
            .reserve(left.as_ref().map_or(0, |left| left.0.len()));
    }

    /// Makes room for `leave`.
    #[cold]
    pub(crate) fn make_room_in(&self, left: &mut Option<Box<LeftOpen>>) {
        let open = self.open.len() - self.base;
        left.get_or_insert_default().0.reserve(open);
    }

    /// A task begins to run: puts aside what is open, and opens what the task left open. The former base is what `leave` is owed.
    #[inline(always)]
    pub(crate) fn enter(&mut self, left: &mut Option<Box<LeftOpen>>) -> usize {
        let base = std::mem::replace(&mut self.base, self.open.len());
        if let Some(left) = left {
            self.open.append(&mut left.0);
        }
        base
    }

    /// The task stops running: what it has open goes with it.
    #[inline(always)]
    pub(crate) fn leave(&mut self, base: usize, left: &mut Option<Box<LeftOpen>>) {
        if self.has_open() {
            self.pack(left);
        }
        self.base = base;
    }

    #[cold]
    fn pack(&mut self, left: &mut Option<Box<LeftOpen>>) {
        left.get_or_insert_default()
            .0
            .extend(self.open.drain(self.base..));
    }
}
