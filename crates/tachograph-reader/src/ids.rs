//! From the ids of a table to its entries.
//!
//! Writers count ids up from some number, so an array does in every trace that a program wrote; a hash map takes the
//! others. The array is never larger than a few times the number of entries, whatever the ids are.

use std::collections::HashMap;

/// Entries of an array that stand empty for each one that is used, at most.
const SPARSENESS: u64 = 4;
/// An array of so many entries is always fine.
const SMALL: u64 = 1024;

const EMPTY: u32 = u32::MAX;

/// Which entry an id has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ids {
    /// The lowest id, at index 0.
    base: u64,
    dense: Vec<u32>,
    /// All ids from 1 to here are defined, as far as the array goes.
    solid: u64,
    sparse: HashMap<u64, u32, foldhash::fast::FixedState>,
}

impl Ids {
    /// The ids of entries 0, 1, 2, ...
    ///
    /// # Errors
    /// The entry whose id an earlier one has.
    pub fn rebuild(
        &mut self,
        ids: impl ExactSizeIterator<Item = u64> + Clone,
    ) -> Result<(), usize> {
        self.dense.clear();
        self.sparse.clear();
        self.solid = 0;
        let count = ids.len() as u64;
        let (low, high) = ids
            .clone()
            .fold((u64::MAX, 0), |(low, high), id| (low.min(id), high.max(id)));
        self.base = low;
        let span = high.saturating_sub(low).saturating_add(1);
        if count == 0 {
            return Ok(());
        }
        if span <= SMALL.max(count * SPARSENESS) {
            self.dense.resize(span as usize, EMPTY);
        }
        for (entry, id) in ids.enumerate() {
            let before = match self.dense.get_mut((id - low) as usize) {
                Some(slot) => std::mem::replace(slot, entry as u32) != EMPTY,
                None => self.sparse.insert(id, entry as u32).is_some(),
            };
            if before {
                return Err(entry);
            }
        }
        if low == 1 {
            let gap = self.dense.iter().position(|entry| *entry == EMPTY);
            self.solid = gap.unwrap_or(self.dense.len()) as u64;
        }
        Ok(())
    }

    /// Whether the id is 0 or defined.
    #[inline]
    pub fn has(&self, id: u64) -> bool {
        id <= self.solid || self.get(id).is_some()
    }

    /// The entry with this id.
    #[inline]
    pub fn get(&self, id: u64) -> Option<usize> {
        let index = id.wrapping_sub(self.base) as usize;
        match self.dense.get(index) {
            Some(&EMPTY) => None,
            Some(&entry) => Some(entry as usize),
            None if self.sparse.is_empty() => None,
            None => self.sparse.get(&id).map(|&entry| entry as usize),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(ids: &[u64]) -> Result<Ids, usize> {
        let mut table = Ids::default();
        table.rebuild(ids.iter().copied()).map(|()| table)
    }

    #[test]
    fn finds_each_id_and_no_other() {
        for ids in [
            &[1, 2, 3][..],
            &[7],
            &[1, 2, 3, 5, 6],
            &[u64::MAX, 1, 2_000_000_000_000_000_000],
            &[u64::MAX - 1, u64::MAX],
        ] {
            let table = table(ids).unwrap();
            for (entry, id) in ids.iter().enumerate() {
                assert_eq!(table.get(*id), Some(entry));
                assert!(table.has(*id));
            }
            assert!(table.has(0));
            assert_eq!(table.get(0), None);
            for id in [4, 8, u64::MAX - 2] {
                assert_eq!(table.get(id), None, "{id} in {ids:?}");
                assert!(!table.has(id));
            }
        }
    }

    #[test]
    fn names_the_entry_that_repeats_an_id() {
        assert_eq!(table(&[5, 6, 5]).unwrap_err(), 2);
        assert_eq!(table(&[1, u64::MAX, 1 << 40, u64::MAX]).unwrap_err(), 3);
    }

    #[test]
    fn far_ids_take_no_array() {
        let table = table(&[1, 1 << 62]).unwrap();
        assert!(table.dense.is_empty());
    }

    #[test]
    fn an_empty_table_finds_nothing() {
        let table = table(&[]).unwrap();
        assert_eq!((table.get(0), table.get(u64::MAX)), (None, None));
    }
}
