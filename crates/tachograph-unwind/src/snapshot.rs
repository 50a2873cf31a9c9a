//! All loaded modules with their tables, frozen.
//!
//! Owns [`Snapshot`]. Built by the thread that watches the loader, published by the recorder, read by
//! `walk` in any thread and any handler.

use std::sync::Arc;

use crate::Module;
use crate::cache::Epoch;
use crate::rule::Rule;
use crate::table::Table;

/// An immutable set of modules and unwind tables.
///
/// Tables are copies, and are shared with the snapshots made from this one by
/// [`refreshed`](Self::refreshed). Dropping a snapshot that a handler may still read is up to the
/// owner to avoid.
pub struct Snapshot {
    epoch: Epoch,
    modules: Vec<Module>,
    /// Same order as `modules`, sorted by start.
    ranges: Box<[Range]>,
}

struct Range {
    start: u64,
    end: u64,
    table: Arc<Table>,
}

/// What a snapshot says about a pc.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    pub(crate) rule: Rule,
    /// Whether pc lies in a module at all.
    pub(crate) in_module: bool,
}

impl Snapshot {
    /// Makes tables for `modules`. Takes about 0.1 us per row; not signal safe.
    ///
    /// `epoch` must differ from those of other snapshots that are used with the same caches. Modules
    /// that are no longer loaded, or whose tables can't be read, get no rows.
    pub fn build(modules: &[Module], epoch: u16) -> Snapshot {
        Self::assemble(modules, Epoch::new(epoch), |_| None)
    }

    /// The snapshot for a changed list of modules, with the next epoch. Tables of modules that are in
    /// both are shared, not made again.
    pub fn refreshed(&self, modules: &[Module]) -> Snapshot {
        Self::assemble(modules, self.epoch.next(), |module| {
            let index = self.modules.iter().position(|known| known == module)?;
            self.ranges.get(index).map(|range| Arc::clone(&range.table))
        })
    }

    fn assemble(
        modules: &[Module],
        epoch: Epoch,
        known: impl Fn(&Module) -> Option<Arc<Table>>,
    ) -> Snapshot {
        let mut modules = modules.to_vec();
        modules.sort_by_key(|module| module.start);
        let range = |module: &Module| Range {
            start: module.start,
            end: module.end,
            table: known(module).unwrap_or_else(|| Arc::new(compiled(module))),
        };
        let ranges = modules.iter().map(range).collect();
        Snapshot {
            epoch,
            modules,
            ranges,
        }
    }

    /// Rows of all tables.
    pub fn rows(&self) -> usize {
        self.ranges.iter().map(|range| range.table.rows()).sum()
    }

    /// Memory held by all tables.
    pub fn bytes(&self) -> usize {
        self.ranges
            .iter()
            .map(|range| range.table.bytes() + size_of::<Range>())
            .sum()
    }

    /// Rows that say something which can't be followed; there, walks fall back to frame pointers.
    pub fn unsupported_rows(&self) -> usize {
        self.ranges
            .iter()
            .map(|range| range.table.unsupported())
            .sum()
    }

    /// The modules, sorted by address.
    pub fn modules(&self) -> &[Module] {
        &self.modules
    }

    /// The number that sets this snapshot's cache entries apart. Never zero.
    pub fn epoch(&self) -> u16 {
        self.epoch.number()
    }

    #[inline(always)]
    pub(crate) fn cache_epoch(&self) -> Epoch {
        self.epoch
    }

    /// Signal safe.
    #[inline]
    pub(crate) fn find(&self, pc: u64) -> Found {
        let (mut low, mut high) = (0, self.ranges.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.ranges.get(middle) {
                Some(range) if range.start <= pc => low = middle + 1,
                _ => high = middle,
            }
        }
        let range = low.checked_sub(1).and_then(|last| self.ranges.get(last));
        match range {
            Some(range) if pc < range.end => {
                let offset = u32::try_from(pc - range.start);
                let rule = offset.map_or(Rule::UNKNOWN, |offset| range.table.lookup(offset));
                Found {
                    rule,
                    in_module: true,
                }
            }
            _ => Found {
                rule: Rule::UNKNOWN,
                in_module: false,
            },
        }
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("epoch", &self.epoch)
            .field("modules", &self.modules.len())
            .field("rows", &self.rows())
            .finish_non_exhaustive()
    }
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn compiled(module: &Module) -> Table {
    crate::modules::copy_unwind_sections(module)
        .map(|sections| crate::compile::compile(module, &sections))
        .unwrap_or_default()
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn compiled(_module: &Module) -> Table {
    Table::default()
}

#[cfg(all(test, target_os = "linux", target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn a_refreshed_snapshot_shares_the_tables_of_unchanged_modules() {
        let modules = crate::loaded_modules();
        let (first, rest) = modules.split_first().expect("an executable");
        let old = Snapshot::build(rest, u16::MAX);
        let new = old.refreshed(&modules);
        assert_eq!(new.epoch(), 1);
        for range in &old.ranges {
            let same = new
                .ranges
                .iter()
                .find(|other| other.start == range.start)
                .expect("kept");
            assert!(Arc::ptr_eq(&range.table, &same.table));
        }
        assert!(
            new.ranges
                .iter()
                .any(|range| range.start == first.start && range.table.rows() > 0)
        );
    }

    #[test]
    fn code_is_told_from_the_gaps_between_modules() {
        let snapshot = Snapshot::build(&crate::loaded_modules(), 1);
        let here = Snapshot::build as *const () as u64;
        assert!(snapshot.find(here).in_module && snapshot.find(here).rule != Rule::UNKNOWN);
        for pc in [0, 1, 0x1000, u64::MAX, snapshot.ranges[0].start - 1] {
            assert!(!snapshot.find(pc).in_module);
        }
    }
}
