//! Files, lines and inlined frames from DWARF, within a memory budget.
//!
//! Owns the open units of one image, and the budget that all images share. Called by `image`.
//!
//! # Memory
//! Kept are an index of code ranges and the units that were asked for last. Charged are the index (exact), decompressed sections
//! (exact) and each open unit (an estimate, see `unit`). When the budget is exceeded, the unit that was not asked for the longest
//! time is closed, in whichever image it is. Closed units are read again when they are asked for again, so time is bounded too:
//! all units ever opened may take [`MAX_TURNOVER`] times the budget.

use std::collections::HashMap;

use gimli::{
    AttributeValue, DebugInfoOffset, Dwarf, EndianSlice, LittleEndian, SectionId, UnitOffset,
    UnitRef,
};

use crate::elf::DebugSections;
use crate::names::Name;
use crate::scopes::Scopes;
use crate::stats::Shortfall;
use crate::unit::{self, Function, Unit};
use crate::unit_index::{UnitId, UnitIndex};

/// The debug information of one image, opened.
pub(crate) struct Lines {
    // N.B. all that borrows the sections is declared, and so dropped, before them (`file_bytes` rule 2).
    open: HashMap<UnitId, OpenUnit>,
    /// The unit outside of the asked one that named an inlined function last.
    foreign: Option<(UnitId, gimli::Unit<Slice>)>,
    index: UnitIndex,
    dwarf: Dwarf<Slice>,
    fixed_bytes: u64,
    /// Keeps the bytes behind the rest alive.
    _sections: DebugSections,
}

/// One frame as DWARF has it.
pub(crate) struct SourceFrame<'a> {
    pub(crate) name: Option<Name<'a>>,
    pub(crate) file: Option<&'a str>,
    pub(crate) line: u32,
}

/// Memory for debug information, over all images.
#[derive(Debug)]
pub(crate) struct Budget {
    limit_bytes: u64,
    used_bytes: u64,
    /// All that was ever charged.
    turnover_bytes: u64,
    /// Counts lookups, to tell which unit was asked for the longest time ago.
    lookups: u64,
}

pub(crate) type Slice = EndianSlice<'static, LittleEndian>;

struct OpenUnit {
    unit: Unit,
    bytes: u64,
    last_lookup: u64,
}

/// How many times its size a budget may be spent anew: 64 MiB this often are some ten seconds of work.
const MAX_TURNOVER: u64 = 32;

/// How far the name of an inlined function is followed from entry to entry.
const MAX_ORIGINS: usize = 16;

impl Lines {
    /// Decompresses sections where needed, and indexes the compilation units.
    ///
    /// # Errors
    /// [`Shortfall::BudgetUsedUp`] if this alone is over the budget, [`Shortfall::BrokenDebugInfo`],
    /// [`Shortfall::CompressedDebugInfo`]. The budget is then as it was.
    pub(crate) fn open(
        mut sections: DebugSections,
        budget: &mut Budget,
    ) -> Result<Self, Shortfall> {
        let unpacked_bytes = sections.compressed_size();
        if unpacked_bytes > 0 && !cfg!(feature = "compressed-debug") {
            return Err(Shortfall::CompressedDebugInfo);
        }
        // A budget of 0 doesn't pay for the index.
        budget.admit(unpacked_bytes.max(1))?;
        sections.decompress()?;
        let load = |id| Ok::<_, gimli::Error>(slice(&sections, id));
        let dwarf = Dwarf::load(load).map_err(Shortfall::BrokenDebugInfo)?;
        let index = UnitIndex::build(&dwarf).map_err(Shortfall::BrokenDebugInfo)?;
        let fixed_bytes = unpacked_bytes + index.memory_bytes();
        budget.admit(fixed_bytes)?;
        budget.charge(fixed_bytes);
        Ok(Self {
            open: HashMap::new(),
            foreign: None,
            index,
            dwarf,
            fixed_bytes,
            _sections: sections,
        })
    }

    /// Gives the frames of a link-time address to `emit`, innermost first; none if the address is unknown.
    ///
    /// # Errors
    /// [`Shortfall::BudgetUsedUp`] if the unit does not fit in the budget, [`Shortfall::BrokenDebugInfo`].
    pub(crate) fn find(
        &mut self,
        address: u64,
        budget: &mut Budget,
        mut emit: impl FnMut(SourceFrame<'_>),
    ) -> Result<(), Shortfall> {
        for id in self.index.candidates(address) {
            self.touch(id, budget)?;
            let found = self.find_in(id, address, &mut emit);
            if found.map_err(Shortfall::BrokenDebugInfo)? {
                break;
            }
        }
        Ok(())
    }

    /// When the unit that was not asked for the longest time was asked for.
    pub(crate) fn oldest_lookup(&self) -> Option<u64> {
        self.open.values().map(|open| open.last_lookup).min()
    }

    /// Closes the unit that was not asked for the longest time.
    pub(crate) fn close_oldest(&mut self, budget: &mut Budget) {
        let oldest = self.open.iter().min_by_key(|(_, open)| open.last_lookup);
        if let Some((&id, open)) = oldest {
            budget.release(open.bytes);
            self.open.remove(&id);
        }
    }

    /// What this has taken of the budget.
    pub(crate) fn charged_bytes(&self) -> u64 {
        let units = self.open.values().map(|open| open.bytes);
        self.fixed_bytes + units.sum::<u64>()
    }

    /// Opens a unit if it is not.
    fn touch(&mut self, id: UnitId, budget: &mut Budget) -> Result<(), Shortfall> {
        budget.lookups += 1;
        if let Some(open) = self.open.get_mut(&id) {
            open.last_lookup = budget.lookups;
            return Ok(());
        }
        let header = self.index.header(&self.dwarf, id);
        let header = header.map_err(Shortfall::BrokenDebugInfo)?;
        budget.admit(unit::least_memory_bytes(&header))?;
        let unit = Unit::open(&self.dwarf, header).map_err(Shortfall::BrokenDebugInfo)?;
        let bytes = unit.memory_bytes();
        budget.charge(bytes);
        let last_lookup = budget.lookups;
        self.open.insert(
            id,
            OpenUnit {
                unit,
                bytes,
                last_lookup,
            },
        );
        Ok(())
    }

    /// Emits the frames that an open unit has for an address; false if it has none.
    fn find_in(
        &mut self,
        id: UnitId,
        address: u64,
        emit: &mut impl FnMut(SourceFrame<'_>),
    ) -> gimli::Result<bool> {
        let Some(OpenUnit { unit, .. }) = self.open.get(&id) else {
            return Ok(false);
        };
        let unit_ref = unit.unit_ref(&self.dwarf);
        let functions = unit.functions_at(unit_ref, address)?;
        let row = unit.line_at(address)?;
        let (mut file, mut line) = row.map_or((None, 0), |(file, line)| (Some(file), line));
        let mut names = Namer {
            dwarf: &self.dwarf,
            index: &self.index,
            foreign: &mut self.foreign,
        };
        for function in functions.iter().rev() {
            emit(SourceFrame {
                name: names.name(Some(unit.scopes()), unit_ref, function, MAX_ORIGINS),
                file: file
                    .and_then(|number| unit.file(unit_ref, number))
                    .as_deref(),
                line,
            });
            // The next frame is where this one was called.
            file = function.call.file;
            line = function.call.line;
        }
        if let (true, Some((file, line))) = (functions.is_empty(), row) {
            emit(SourceFrame {
                name: None,
                file: unit.file(unit_ref, file).as_deref(),
                line,
            });
        }
        Ok(!functions.is_empty() || row.is_some())
    }
}

/// Finds the names of functions, which may stand in other units.
struct Namer<'a> {
    dwarf: &'a Dwarf<Slice>,
    index: &'a UnitIndex,
    foreign: &'a mut Option<(UnitId, gimli::Unit<Slice>)>,
}

/// Where a name is looked for next.
enum Origin {
    Here(UnitOffset),
    Elsewhere(DebugInfoOffset),
}

impl Namer<'_> {
    /// The linkage name if there is one on the way to the first origin, else the plain name that is nearest to the origin.
    /// Damage means no name, not no frame. `scopes` are those of `unit`.
    fn name<'a>(
        &mut self,
        scopes: Option<&Scopes>,
        unit: UnitRef<'_, Slice>,
        function: &Function,
        left: usize,
    ) -> Option<Name<'a>> {
        if let Some(linkage) = function.linkage_name.filter(|name| !name.is_empty()) {
            return Some(Name::Linkage(linkage.slice()));
        }
        let further = origin(function).and_then(|from| self.follow(scopes, unit, from, left));
        further.or_else(|| {
            let name = function.name.filter(|name| !name.is_empty())?;
            let scopes = scopes.map_or(Vec::new(), |scopes| scopes.around(unit, function.entry));
            Some(Name::Plain {
                scopes: scopes.iter().map(|scope| scope.slice()).collect(),
                name: name.slice(),
            })
        })
    }

    fn follow<'a>(
        &mut self,
        scopes: Option<&Scopes>,
        unit: UnitRef<'_, Slice>,
        from: Origin,
        left: usize,
    ) -> Option<Name<'a>> {
        let left = left.checked_sub(1)?;
        let offset = match from {
            Origin::Here(entry) => {
                let function = unit::function_at(unit, entry).ok()?;
                return self.name(scopes, unit, &function, left);
            }
            Origin::Elsewhere(offset) => offset,
        };
        let id = self.index.unit_at(offset)?;
        let (_, other) = match self.foreign.take() {
            Some(open) if open.0 == id => open,
            _ => {
                let header = self.index.header(self.dwarf, id).ok()?;
                (id, self.dwarf.unit(header).ok()?)
            }
        };
        let entry = offset.to_unit_offset(&other.header);
        // To learn the scopes of the other unit, all of it would have to be read.
        let name = entry.and_then(|entry| {
            self.follow(None, other.unit_ref(self.dwarf), Origin::Here(entry), left)
        });
        *self.foreign = Some((id, other));
        name
    }
}

fn origin(function: &Function) -> Option<Origin> {
    match function.origin? {
        AttributeValue::UnitRef(entry) => Some(Origin::Here(entry)),
        AttributeValue::DebugInfoRef(offset) => Some(Origin::Elsewhere(offset)),
        _ => None,
    }
}

impl Budget {
    pub(crate) fn new(limit_bytes: u64) -> Self {
        Self {
            limit_bytes,
            used_bytes: 0,
            turnover_bytes: 0,
            lookups: 0,
        }
    }

    pub(crate) fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    /// Whether units must be closed.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.used_bytes > self.limit_bytes
    }

    /// Gives back what was charged.
    pub(crate) fn release(&mut self, bytes: u64) {
        self.used_bytes = self.used_bytes.saturating_sub(bytes);
    }

    fn charge(&mut self, bytes: u64) {
        self.used_bytes = self.used_bytes.saturating_add(bytes);
        self.turnover_bytes = self.turnover_bytes.saturating_add(bytes);
    }

    /// Refuses what can't fit even if all open units are closed, and everything once the turnover is spent.
    fn admit(&self, wanted_bytes: u64) -> Result<(), Shortfall> {
        let turnover = self.limit_bytes.saturating_mul(MAX_TURNOVER);
        let left_bytes = self
            .limit_bytes
            .min(turnover.saturating_sub(self.turnover_bytes));
        if wanted_bytes > left_bytes {
            return Err(Shortfall::BudgetUsedUp {
                wanted_bytes,
                left_bytes,
            });
        }
        Ok(())
    }
}

fn slice(sections: &DebugSections, id: SectionId) -> Slice {
    let bytes = sections.section(id).map(|section| {
        // SAFETY: `file_bytes` rule 2: `Lines` keeps the sections and drops all that borrows them first; if opening fails, that
        // is gone before `Lines::open` returns. No slice leaves this file, `unit` and `scopes` without a shorter lifetime.
        unsafe { section.slice() }
    });
    EndianSlice::new(bytes.unwrap_or_default(), LittleEndian)
}
