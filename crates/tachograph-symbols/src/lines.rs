//! Files, lines and inlined frames from DWARF, within a memory budget.
//!
//! Owns the addr2line context of one image, and the estimate of what it costs. Called by `image`.
//!
//! # Estimate
//! addr2line keeps what it has parsed, so memory grows with the compilation units that are touched. Charged are:
//! when the context is opened, a multiple of `.debug_abbrev` (abbreviations of all units are kept decoded), of the unit ranges,
//! and an amount per unit; at the first address in a unit, a multiple of its line program and of its `.debug_info` part; and for
//! each address an amount per inlined frame, for the tables of its function. The factors were fitted to allocations counted by the example `resolve_cost`.

use std::collections::HashSet;

use addr2line::{Context, FrameIter};
use gimli::{Dwarf, EndianSlice, LittleEndian, SectionId};

use crate::elf::DebugSections;
use crate::stats::Shortfall;

/// The debug information of one image, opened.
pub(crate) struct Lines {
    // N.B. declared, and so dropped, before the bytes that it reads (`file_bytes` rule 2).
    context: Context<Slice>,
    charged_units: HashSet<usize>,
    charged_bytes: u64,
    /// Keeps the bytes behind `context` alive.
    sections: DebugSections,
}

/// One frame as DWARF has it.
pub(crate) struct SourceFrame<'a> {
    pub(crate) linkage_name: Option<&'a [u8]>,
    pub(crate) file: Option<&'a str>,
    pub(crate) line: u32,
}

/// Estimated memory that debug information may take, over all images.
#[derive(Debug)]
pub(crate) struct Budget {
    limit_bytes: u64,
    used_bytes: u64,
}

type Slice = EndianSlice<'static, LittleEndian>;

// Decoded over encoded size; see the header.
const ABBREV_FACTOR: u64 = 22;
const RANGES_FACTOR: u64 = 2;
const UNIT_BYTES: u64 = 800;
const LINE_PROGRAM_FACTOR: u64 = 4;
const UNIT_INFO_PERCENT: u64 = 40;
const INLINED_FRAME_BYTES: u64 = 192;

impl Lines {
    /// Decompresses sections where needed, and indexes the compilation units.
    ///
    /// # Errors
    /// [`Shortfall::BudgetUsedUp`] if this alone is over the budget, [`Shortfall::BrokenDebugInfo`],
    /// [`Shortfall::CompressedDebugInfo`]. The budget is then as it was.
    pub(crate) fn open(sections: DebugSections, budget: &mut Budget) -> Result<Self, Shortfall> {
        let used_bytes = budget.used_bytes;
        let opened = Self::index(sections, budget);
        opened.inspect_err(|_| budget.used_bytes = used_bytes)
    }

    fn index(mut sections: DebugSections, budget: &mut Budget) -> Result<Self, Shortfall> {
        let unpacked_bytes = sections.compressed_size();
        if unpacked_bytes > 0 && !cfg!(feature = "compressed-debug") {
            return Err(Shortfall::CompressedDebugInfo);
        }
        budget.charge(unpacked_bytes)?;
        sections.decompress()?;
        let index_bytes = index_bytes(&sections)?;
        budget.charge(index_bytes)?;
        let load = |id| Ok::<_, gimli::Error>(slice(&sections, id));
        let dwarf = Dwarf::load(load).map_err(Shortfall::BrokenDebugInfo)?;
        let context = Context::from_dwarf(dwarf).map_err(Shortfall::BrokenDebugInfo)?;
        Ok(Self {
            context,
            charged_units: HashSet::new(),
            charged_bytes: unpacked_bytes + index_bytes,
            sections,
        })
    }

    /// Gives the frames of a link-time address to `emit`, innermost first; none if the address is unknown.
    ///
    /// # Errors
    /// [`Shortfall::BudgetUsedUp`] if the address opened a unit that went over the budget (its frames were emitted);
    /// [`Shortfall::BrokenDebugInfo`] if frames are missing.
    pub(crate) fn find(
        &mut self,
        address: u64,
        budget: &mut Budget,
        mut emit: impl FnMut(SourceFrame<'_>),
    ) -> Result<(), Shortfall> {
        let mut frames: u64 = 0;
        let found = self.context.find_frames(address).skip_all_loads();
        let emitted = found.and_then(|found| {
            emit_all(found, &mut |frame| {
                frames += 1;
                emit(frame);
            })
        });
        let unit = self.charge_unit(address, budget);
        let inlined = self.charge(frames.saturating_sub(1) * INLINED_FRAME_BYTES, budget);
        emitted.map_err(Shortfall::BrokenDebugInfo)?;
        unit.and(inlined)
    }

    /// Charges the unit of an address if this is the first address in it.
    fn charge_unit(&mut self, address: u64, budget: &mut Budget) -> Result<(), Shortfall> {
        let found = self.context.find_dwarf_and_unit(address);
        let Some(unit) = found.skip_all_loads() else {
            return Ok(());
        };
        let header = &unit.header;
        let Some(offset) = header.debug_info_offset() else {
            return Ok(());
        };
        if !self.charged_units.insert(offset.0) {
            return Ok(());
        }
        let program = unit.line_program.as_ref();
        let program = program.map_or(0, |p| p.header().raw_program_buf().len() as u64);
        let info = header.length_including_self() as u64;
        let wanted_bytes = program * LINE_PROGRAM_FACTOR + info * UNIT_INFO_PERCENT / 100;
        self.charge(wanted_bytes, budget)
    }

    fn charge(&mut self, wanted_bytes: u64, budget: &mut Budget) -> Result<(), Shortfall> {
        budget.charge(wanted_bytes)?;
        self.charged_bytes += wanted_bytes;
        Ok(())
    }

    pub(crate) fn sections(&self) -> &DebugSections {
        &self.sections
    }

    /// What this has taken of the budget.
    pub(crate) fn charged_bytes(&self) -> u64 {
        self.charged_bytes
    }
}

impl Budget {
    pub(crate) fn new(limit_bytes: u64) -> Self {
        Self {
            limit_bytes,
            used_bytes: 0,
        }
    }

    pub(crate) fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    /// Gives back what a dropped [`Lines`] had taken.
    pub(crate) fn release(&mut self, bytes: u64) {
        self.used_bytes = self.used_bytes.saturating_sub(bytes);
    }

    fn charge(&mut self, wanted_bytes: u64) -> Result<(), Shortfall> {
        let left_bytes = self.limit_bytes.saturating_sub(self.used_bytes);
        if wanted_bytes > left_bytes {
            return Err(Shortfall::BudgetUsedUp {
                wanted_bytes,
                left_bytes,
            });
        }
        self.used_bytes += wanted_bytes;
        Ok(())
    }
}

fn slice(sections: &DebugSections, id: SectionId) -> Slice {
    let bytes = sections.section(id).map(|section| {
        // SAFETY: `file_bytes` rule 2: `Lines` keeps `sections` beside the context and drops the context first; if opening
        // fails, the context is gone before `Lines::open` returns. No slice leaves this file without a shorter lifetime.
        unsafe { section.slice() }
    });
    EndianSlice::new(bytes.unwrap_or_default(), LittleEndian)
}

/// Estimated memory of the index over all units.
fn index_bytes(sections: &DebugSections) -> Result<u64, Shortfall> {
    let info = gimli::DebugInfo::from(slice(sections, SectionId::DebugInfo));
    let mut units = info.units();
    let mut count = 0;
    while units.next().map_err(Shortfall::BrokenDebugInfo)?.is_some() {
        count += 1;
    }
    let abbreviations = sections.size(SectionId::DebugAbbrev);
    let ranges = sections.size(SectionId::DebugAranges);
    Ok(count * UNIT_BYTES + abbreviations * ABBREV_FACTOR + ranges * RANGES_FACTOR)
}

fn emit_all(
    mut frames: FrameIter<'_, Slice>,
    emit: &mut impl FnMut(SourceFrame<'_>),
) -> Result<(), gimli::Error> {
    while let Some(frame) = frames.next()? {
        let location = frame.location.as_ref();
        let name = frame.function.as_ref().map(|f| f.name.slice());
        emit(SourceFrame {
            linkage_name: name.filter(|name| !name.is_empty()),
            file: location.and_then(|l| l.file),
            line: location.and_then(|l| l.line).unwrap_or(0),
        });
    }
    Ok(())
}
