//! The rules of one module, found by pc in one index step and a short search.
//!
//! Owns [`Table`]. Made by `compile`, shared between snapshots, read by `walk` on a cache miss.

use crate::rule::Rule;

/// Code bytes per index entry: 2^8, about five rows of optimised code.
const PAGE_SHIFT: u32 = 8;

/// One row: the first byte of code it holds for, counted from the module's start, and the rule.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row(u64);

impl Row {
    pub(crate) fn new(offset: u32, rule: Rule) -> Row {
        Row(u64::from(offset) << 32 | u64::from(rule.bits()))
    }

    pub(crate) fn offset(self) -> u32 {
        (self.0 >> 32) as u32
    }

    pub(crate) fn rule(self) -> Rule {
        Rule::from_bits(self.0 as u32)
    }
}

/// The sorted rows of a module. A row holds until the next one; gaps between functions are rows with
/// [`Rule::UNKNOWN`].
#[derive(Default)]
pub(crate) struct Table {
    /// Offset of the first byte of page 0.
    base: u32,
    /// Per page the number of rows that begin before it, plus one entry for the end.
    pages: Box<[u32]>,
    rows: Box<[Row]>,
    unsupported: usize,
}

impl Table {
    /// Sorts and thins out the rows. Of rows with the same offset the one with a known rule wins.
    pub(crate) fn new(mut rows: Vec<Row>) -> Table {
        // Stable, because rows come in long sorted runs, which this sort merges.
        rows.sort();
        thin_out(&mut rows);
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            return Table::default();
        };
        let base = first.offset() >> PAGE_SHIFT << PAGE_SHIFT;
        let page_count = ((last.offset() - base) >> PAGE_SHIFT) + 1;
        let mut pages = Vec::with_capacity(page_count as usize + 1);
        let mut before = 0u32;
        for page in 0..page_count {
            let page_start = base + (page << PAGE_SHIFT);
            while rows
                .get(before as usize)
                .is_some_and(|row| row.offset() < page_start)
            {
                before += 1;
            }
            pages.push(before);
        }
        pages.push(rows.len() as u32);
        let unsupported = rows
            .iter()
            .filter(|row| row.rule() == Rule::UNSUPPORTED)
            .count();
        Table {
            base,
            pages: pages.into(),
            rows: rows.into(),
            unsupported,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn unsupported(&self) -> usize {
        self.unsupported
    }

    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.pages) + size_of_val(&*self.rows)
    }

    /// The rule at `offset` from the module's start. Signal safe.
    #[inline]
    pub(crate) fn lookup(&self, offset: u32) -> Rule {
        let Some(in_pages) = offset.checked_sub(self.base) else {
            return Rule::UNKNOWN;
        };
        let page = (in_pages >> PAGE_SHIFT) as usize;
        let (Some(&from), Some(&to)) = (self.pages.get(page), self.pages.get(page + 1)) else {
            // Past the last row, which always ends a function.
            return Rule::UNKNOWN;
        };
        let wanted = Row(u64::from(offset) << 32 | u64::from(u32::MAX));
        let (mut low, mut high) = (from as usize, to as usize);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.rows.get(middle) {
                Some(row) if *row <= wanted => low = middle + 1,
                _ => high = middle,
            }
        }
        low.checked_sub(1)
            .and_then(|last| self.rows.get(last))
            .map_or(Rule::UNKNOWN, |row| row.rule())
    }
}

fn thin_out(rows: &mut Vec<Row>) {
    let mut kept = 0usize;
    for index in 0..rows.len() {
        let row = rows[index];
        if kept > 0 && rows[kept - 1].offset() == row.offset() {
            rows[kept - 1] = row;
        } else {
            if kept > 1 && rows[kept - 1].rule() == rows[kept - 2].rule() {
                kept -= 1;
            }
            rows[kept] = row;
            kept += 1;
        }
    }
    rows.truncate(kept);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::SavedFp;

    fn sp(offset: i64) -> Rule {
        Rule::plain(false, offset, SavedFp::Same).expect("fits")
    }

    fn row(offset: u32, rule: Rule) -> Row {
        Row::new(offset, rule)
    }

    #[test]
    fn rows_hold_until_the_next_one() {
        let table = Table::new(vec![
            row(0x1010, sp(8)),
            row(0x1011, sp(16)),
            row(0x5000, Rule::UNKNOWN),
        ]);
        assert!(table.lookup(0) == Rule::UNKNOWN);
        assert!(table.lookup(0x100f) == Rule::UNKNOWN);
        assert!(table.lookup(0x1010) == sp(8));
        assert!(table.lookup(0x1011) == sp(16));
        assert!(table.lookup(0x4fff) == sp(16));
        assert!(table.lookup(0x5000) == Rule::UNKNOWN);
        assert!(table.lookup(u32::MAX) == Rule::UNKNOWN);
    }

    #[test]
    fn a_function_beats_the_end_of_its_neighbour() {
        let table = Table::new(vec![
            row(0x300, sp(8)),
            row(0x310, Rule::UNKNOWN),
            row(0x200, sp(16)),
            row(0x300, Rule::UNKNOWN),
        ]);
        assert!(table.lookup(0x2ff) == sp(16));
        assert!(table.lookup(0x300) == sp(8));
        assert!(table.lookup(0x310) == Rule::UNKNOWN);
    }

    #[test]
    fn equal_neighbours_are_merged() {
        let rows = (0..100)
            .map(|i| row(i * 16, sp(8)))
            .chain([row(1600, Rule::UNKNOWN)])
            .collect();
        let table = Table::new(rows);
        assert_eq!(table.rows(), 2);
        assert!((0..1600).all(|offset| table.lookup(offset) == sp(8)));
    }

    #[test]
    fn finds_every_row_of_crowded_pages() {
        let rows: Vec<Row> = (0..3000u32)
            .map(|i| row(i * 3, sp(8 * i64::from(i % 500 + 1))))
            .collect();
        let table = Table::new(rows);
        for i in 0..2999u32 {
            for offset in i * 3..i * 3 + 3 {
                assert!(table.lookup(offset) == sp(8 * i64::from(i % 500 + 1)));
            }
        }
    }

    #[test]
    fn an_empty_table_knows_nothing() {
        assert!(Table::new(Vec::new()).lookup(0) == Rule::UNKNOWN);
    }
}
