//! Which compilation unit has the code at an address.
//!
//! Owns the unit offsets and 16 bytes per code range of one image, and nothing decoded: abbreviations and file tables of all
//! units of a large program are many times its debug information. Called by `lines`.

use gimli::{DebugInfoOffset, Dwarf, UnitHeader, UnitType};

use crate::lines::Slice;

/// The units of one image by code address and by offset.
pub(crate) struct UnitIndex {
    /// Sorted by begin.
    ranges: Box<[UnitRange]>,
    /// Start of each unit in `.debug_info`, ascending.
    offsets: Box<[usize]>,
}

/// A unit's place in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct UnitId(u32);

#[derive(Clone, Copy)]
struct UnitRange {
    begin: u64,
    size: u32,
    unit: UnitId,
}

/// How many earlier ranges are tried when the nearest one ends before the address (overlapping ranges).
const MAX_STEPS_BACK: usize = 16;

impl UnitIndex {
    /// Reads all unit headers, the address ranges, and the root entries of units that have no address ranges.
    pub(crate) fn build(dwarf: &Dwarf<Slice>) -> gimli::Result<Self> {
        let mut offsets = Vec::new();
        let mut headers = dwarf.units();
        while let Some(header) = headers.next()? {
            offsets.extend(header.debug_info_offset().map(|offset| offset.0));
        }
        let mut index = Self {
            ranges: Box::default(),
            offsets: offsets.into_boxed_slice(),
        };
        let mut ranges = Ranges {
            found: Vec::new(),
            covered: vec![false; index.offsets.len()],
        };
        // Damaged address ranges leave their units to the root entries.
        let _ = index.read_aranges(dwarf, &mut ranges);
        for at in 0..index.offsets.len() {
            if !ranges.covered[at] {
                // A damaged unit answers nothing; the others do.
                let _ = index.read_root(dwarf, at, &mut ranges);
            }
        }
        ranges
            .found
            .sort_unstable_by_key(|range| (range.begin, range.unit));
        index.ranges = ranges.found.into_boxed_slice();
        Ok(index)
    }

    /// The units that may have the code at an address, the likeliest first.
    pub(crate) fn candidates(&self, address: u64) -> Vec<UnitId> {
        let after = self.ranges.partition_point(|range| range.begin <= address);
        let nearest = self.ranges[..after].iter().rev().take(MAX_STEPS_BACK);
        let covers = |range: &&UnitRange| address - range.begin < u64::from(range.size);
        let mut units: Vec<UnitId> = nearest.filter(covers).map(|range| range.unit).collect();
        units.dedup();
        units
    }

    /// The unit that holds an offset of `.debug_info`.
    pub(crate) fn unit_at(&self, offset: DebugInfoOffset) -> Option<UnitId> {
        let after = self.offsets.partition_point(|start| *start <= offset.0);
        u32::try_from(after.checked_sub(1)?).ok().map(UnitId)
    }

    pub(crate) fn header(
        &self,
        dwarf: &Dwarf<Slice>,
        unit: UnitId,
    ) -> gimli::Result<UnitHeader<Slice>> {
        let offset = self
            .offsets
            .get(unit.0 as usize)
            .copied()
            .unwrap_or(usize::MAX);
        dwarf.debug_info.header_from_offset(DebugInfoOffset(offset))
    }

    pub(crate) fn memory_bytes(&self) -> u64 {
        (size_of_val(&*self.ranges) + size_of_val(&*self.offsets)) as u64
    }

    fn read_aranges(&self, dwarf: &Dwarf<Slice>, ranges: &mut Ranges) -> gimli::Result<()> {
        let mut headers = dwarf.debug_aranges.headers();
        while let Some(header) = headers.next()? {
            let Ok(at) = self.offsets.binary_search(&header.debug_info_offset().0) else {
                continue;
            };
            let mut entries = header.entries();
            // An entry that ends past the address space belongs to data and stands alone.
            while let Some(entry) = entries.next().transpose() {
                if let Ok(entry) = entry {
                    ranges.add(at, entry.range());
                }
            }
        }
        Ok(())
    }

    fn read_root(&self, dwarf: &Dwarf<Slice>, at: usize, ranges: &mut Ranges) -> gimli::Result<()> {
        let header = dwarf
            .debug_info
            .header_from_offset(DebugInfoOffset(self.offsets[at]))?;
        if matches!(header.type_(), UnitType::Partial | UnitType::Type { .. }) {
            return Ok(());
        }
        let unit = dwarf.unit(header)?;
        let mut of_unit = dwarf.unit_ranges(&unit)?;
        while let Some(range) = of_unit.next()? {
            ranges.add(at, range);
        }
        Ok(())
    }
}

/// The ranges found so far.
struct Ranges {
    found: Vec<UnitRange>,
    covered: Vec<bool>,
}

impl Ranges {
    fn add(&mut self, at: usize, range: gimli::Range) {
        let (Ok(unit), Some(size)) = (u32::try_from(at), range.end.checked_sub(range.begin)) else {
            return;
        };
        self.covered[at] = true;
        // The linker moves code that it leaves out to address 0.
        if range.begin != 0 && size != 0 {
            self.found.push(UnitRange {
                begin: range.begin,
                size: u32::try_from(size).unwrap_or(u32::MAX),
                unit: UnitId(unit),
            });
        }
    }
}
