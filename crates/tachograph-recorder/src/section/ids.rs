//! Strings and stacks of a section's events: their ids, and their records where the generation does not have them yet.

use std::ptr::NonNull;

use super::Section;
use crate::chains::{Chain, Group, Written};
use crate::core::CORE;
use crate::package::StackKind;

impl Section {
    /// The id of a `'static` name in this generation; `None` (and the thread is muted) when there is no memory.
    #[inline(always)]
    pub(crate) fn name(&mut self, text: &'static str) -> Option<u64> {
        match self.owner.names.find(self.generation, text) {
            Some(id) => Some(id),
            None => self.new_name(text),
        }
    }

    #[cold]
    fn new_name(&mut self, text: &'static str) -> Option<u64> {
        let id = self.text(text)?;
        self.owner.names.put(self.generation, text, id);
        Some(id)
    }

    /// A fresh id for `text`; 0 for the empty text; `None` (and the thread is muted) when there is no memory.
    pub(crate) fn text(&mut self, text: &str) -> Option<u64> {
        if text.is_empty() {
            return Some(0);
        }
        let id = self
            .slot
            .add_string(CORE.outlet(self.record), self.now, text);
        if id.is_none() {
            self.mute();
        }
        id
    }

    /// Adds a stack whose leaf is a frame with only a name (a string id, 0 for none); `None` when there is no memory.
    pub(crate) fn stack(&mut self, leaf: u64, pcs: &[u64]) -> Option<u64> {
        let outlet = CORE.outlet(self.record);
        let ids = self.slot.add_stack(outlet, StackKind::Plain, leaf, pcs);
        self.mute_without(ids).map(|(id, _)| id)
    }

    /// Adds a stack that the writer is to look into; its id, and the id of the word that it will find. No stack for no addresses.
    #[inline(always)]
    pub(crate) fn telling_stack(&mut self, kind: StackKind, pcs: &[u64]) -> Option<(u64, u64)> {
        if pcs.is_empty() {
            return Some((0, 0));
        }
        let outlet = CORE.outlet(self.record);
        let ids = self.slot.add_stack(outlet, kind, 0, pcs);
        self.mute_without(ids)
    }

    /// Where the poll in progress has parked: as `telling_stack`.
    #[inline(always)]
    pub(crate) fn await_stack(&mut self) -> Option<(u64, u64)> {
        if self.owner.awaits.are_many() {
            return self.many_awaits();
        }
        match self.owner.awaits.last {
            None => Some((0, 0)),
            Some(mut chain) => {
                // SAFETY: the thread's own, and no other stack has been looked for since it was found.
                self.chain(StackKind::Await, unsafe { chain.as_mut() })
            }
        }
    }

    #[inline(never)]
    fn many_awaits(&mut self) -> Option<(u64, u64)> {
        let before = self.owner.awaits.before();
        let last = self.owner.awaits.last;
        // SAFETY: as in `await_stack`; the reference ends here.
        let group = last.map(|last| unsafe { last.as_ref() }.group);
        if let (Some(group), Some(before)) = (group, before)
            && group.before == before
            && let Some(ids) = group.written.ids(self.generation)
        {
            return Some(ids);
        }
        let pcs = self.owner.awaits.all();
        let outlet = CORE.outlet(self.record);
        let ids = self.slot.add_stack(outlet, StackKind::Await, 0, pcs);
        let ids = self.mute_without(ids)?;
        if let (Some(mut last), Some(before)) = (last, before) {
            // SAFETY: as above.
            unsafe { last.as_mut() }.group = Group {
                before,
                written: Written::new(self.generation, ids),
            };
        }
        Some(ids)
    }

    /// The stack of a wake: as `telling_stack`.
    #[inline(always)]
    pub(crate) fn wake_stack(&mut self, chain: Option<NonNull<Chain>>) -> Option<u64> {
        match chain {
            None => Some(0),
            Some(mut chain) => {
                // SAFETY: as in `await_stack`.
                let ids = self.chain(StackKind::Wake, unsafe { chain.as_mut() })?;
                Some(ids.0)
            }
        }
    }

    #[inline(always)]
    fn chain(&mut self, kind: StackKind, chain: &mut Chain) -> Option<(u64, u64)> {
        match chain.ids(self.generation) {
            Some(ids) => Some(ids),
            None => self.new_chain(kind, chain),
        }
    }

    #[cold]
    #[inline(never)]
    fn new_chain(&mut self, kind: StackKind, chain: &mut Chain) -> Option<(u64, u64)> {
        let pcs = match kind {
            StackKind::Await => chain.terminated(),
            _ => &chain.pcs()[1..],
        };
        let outlet = CORE.outlet(self.record);
        let ids = self.slot.add_stack(outlet, kind, 0, pcs);
        let ids = self.mute_without(ids)?;
        chain.is_written(Written::new(self.generation, ids));
        Some(ids)
    }

    #[inline(always)]
    fn mute_without<T>(&mut self, ids: Option<T>) -> Option<T> {
        if ids.is_none() {
            self.mute();
        }
        ids
    }
}
