//! Values by ids, quickly where the same few ids come again and again, as those of what runs do.
//!
//! Used by [`states`](super::states) alone. A small table that ids share remembers where each was last found; a hash map knows all.

use std::collections::HashMap;

/// Ids that the small table can tell apart; a power of two.
const RECENT: usize = 256;

#[derive(Debug)]
struct Slot<V> {
    id: u64,
    is_used: bool,
    value: V,
}

/// Values by ids.
#[derive(Debug)]
pub(super) struct Slots<V> {
    places: HashMap<u64, u32, foldhash::fast::FixedState>,
    slots: Vec<Slot<V>>,
    free: Vec<u32>,
    recent: Box<[u32; RECENT]>,
}

impl<V> Default for Slots<V> {
    fn default() -> Self {
        Self {
            places: HashMap::default(),
            slots: Vec::new(),
            free: Vec::new(),
            recent: Box::new([0; RECENT]),
        }
    }
}

impl<V> Slots<V> {
    /// Where the value of this id is, if it has one.
    #[inline]
    pub fn find(&mut self, id: u64) -> Option<u32> {
        let recent = &mut self.recent[id as usize % RECENT];
        if let Some(slot) = self.slots.get(*recent as usize)
            && slot.id == id
            && slot.is_used
        {
            return Some(*recent);
        }
        *recent = *self.places.get(&id)?;
        Some(*recent)
    }

    /// The value there.
    #[inline]
    pub fn get_mut(&mut self, place: u32) -> Option<&mut V> {
        Some(&mut self.slots.get_mut(place as usize)?.value)
    }

    /// Gives the id, which has none, a value.
    pub fn insert(&mut self, id: u64, value: V) -> u32 {
        let slot = Slot {
            id,
            is_used: true,
            value,
        };
        let place = match self.free.pop() {
            Some(place) => {
                if let Some(free) = self.slots.get_mut(place as usize) {
                    *free = slot;
                }
                place
            }
            None => {
                self.slots.push(slot);
                self.slots.len() as u32 - 1
            }
        };
        self.places.insert(id, place);
        place
    }

    /// Forgets the value there.
    pub fn remove(&mut self, place: u32) {
        if let Some(slot) = self.slots.get_mut(place as usize)
            && slot.is_used
        {
            slot.is_used = false;
            self.places.remove(&slot.id);
            self.free.push(place);
        }
    }

    /// Whether the id has a value.
    pub fn has(&self, id: u64) -> bool {
        self.places.contains_key(&id)
    }

    /// Forgets the values that are not to be kept.
    pub fn retain(&mut self, mut keep: impl FnMut(u64, &V) -> bool) {
        for place in 0..self.slots.len() {
            let slot = self.slots.get(place);
            if slot.is_some_and(|slot| slot.is_used && !keep(slot.id, &slot.value)) {
                self.remove(place as u32);
            }
        }
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.places.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_each_value_among_ids_that_share_a_place() {
        let mut slots = Slots::default();
        let ids = [0, RECENT as u64, 1, u64::MAX, 2 * RECENT as u64];
        for id in ids {
            assert_eq!(slots.find(id), None);
            slots.insert(id, id);
        }
        for id in ids.into_iter().chain(ids) {
            let place = slots.find(id).unwrap();
            assert_eq!(slots.get_mut(place), Some(&mut { id }));
        }
    }

    #[test]
    fn uses_the_place_of_what_was_removed_and_does_not_find_that() {
        let mut slots = Slots::default();
        let first = slots.insert(7, 'a');
        assert_eq!(slots.find(7), Some(first));
        slots.remove(first);
        assert_eq!(slots.find(7), None);
        assert_eq!(slots.insert(8, 'b'), first);
        assert_eq!((slots.find(7), slots.find(8)), (None, Some(first)));
        slots.retain(|_, _| false);
        assert_eq!((slots.find(8), slots.len()), (None, 0));
    }
}
