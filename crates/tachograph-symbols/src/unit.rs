//! One compilation unit: its functions by address, its line table, and walks from a function to the calls inlined at an address.
//!
//! Owns what is kept of a unit while it is open, and says how much memory that takes. Called by `lines`.

use gimli::{
    Abbreviation, AttributeValue, CompleteLineProgram, Dwarf, EntriesRaw, LineSequence, UnitOffset,
    UnitRef,
};

use crate::lines::Slice;
use crate::scopes::{Scopes, ScopesBuilder};

/// An open unit.
pub(crate) struct Unit {
    dwarf_unit: gimli::Unit<Slice>,
    /// Sorted by begin.
    functions: Box<[FunctionRange]>,
    scopes: Scopes,
    program: Option<CompleteLineProgram<Slice>>,
    /// Sorted by start.
    sequences: Box<[LineSequence<Slice>]>,
}

/// A range of a function's code, and the function's entry.
struct FunctionRange {
    begin: u64,
    end: u64,
    entry: UnitOffset,
}

/// What an entry says about a function, inlined or not.
pub(crate) struct Function {
    pub(crate) entry: UnitOffset,
    pub(crate) linkage_name: Option<Slice>,
    pub(crate) name: Option<Slice>,
    /// Where more about the function is found.
    pub(crate) origin: Option<AttributeValue<Slice>>,
    pub(crate) call: Call,
    extent: Extent,
}

/// Where an inlined function was called from, as the entry has it.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) file: Option<u64>,
    pub(crate) line: u32,
}

/// The code of an entry.
#[derive(Default)]
struct Extent {
    low: Option<u64>,
    high: Option<u64>,
    size: Option<u64>,
    ranges: Option<gimli::RangeListsOffset>,
}

/// Memory of a unit's decoded abbreviations, by the size of its entries: fitted to counted allocations.
const ABBREVIATIONS_PERCENT: u64 = 30;

impl Unit {
    /// Decodes what every lookup in the unit needs.
    pub(crate) fn open(
        dwarf: &Dwarf<Slice>,
        header: gimli::UnitHeader<Slice>,
    ) -> gimli::Result<Self> {
        let mut dwarf_unit = dwarf.unit(header)?;
        let (functions, scopes) = functions(dwarf_unit.unit_ref(dwarf))?;
        let program = dwarf_unit.line_program.take();
        // Functions have names without a sound line program, so its damage isn't that of the unit.
        let program = program.and_then(|program| program.sequences().ok());
        let (program, mut sequences) = program.map_or((None, Vec::new()), |(p, s)| (Some(p), s));
        sequences.sort_unstable_by_key(|sequence| sequence.start);
        Ok(Self {
            dwarf_unit,
            functions,
            scopes,
            program,
            sequences: sequences.into_boxed_slice(),
        })
    }

    pub(crate) fn unit_ref<'a>(&'a self, dwarf: &'a Dwarf<Slice>) -> UnitRef<'a, Slice> {
        self.dwarf_unit.unit_ref(dwarf)
    }

    /// Estimated memory.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let tables = size_of_val(&*self.functions) + size_of_val(&*self.sequences);
        let tables = tables + self.scopes.memory_bytes();
        let files = self.program.as_ref().map_or(0, |program| {
            let header = program.header();
            size_of_val(header.file_names()) + size_of_val(header.include_directories())
        });
        least_memory_bytes(&self.dwarf_unit.header) + (tables + files) as u64
    }

    /// The functions at an address: the physical one, then those inlined, outermost first; none if the unit has no function there.
    pub(crate) fn functions_at(
        &self,
        unit: UnitRef<'_, Slice>,
        address: u64,
    ) -> gimli::Result<Vec<Function>> {
        let after = self.functions.partition_point(|f| f.begin <= address);
        let nearest = self.functions[..after].last();
        match nearest.filter(|f| address < f.end) {
            Some(function) => walk(unit, function.entry, address),
            None => Ok(Vec::new()),
        }
    }

    /// What encloses the functions that have a plain name only.
    pub(crate) fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// File number and line at an address.
    pub(crate) fn line_at(&self, address: u64) -> gimli::Result<Option<(u64, u32)>> {
        let after = self.sequences.partition_point(|s| s.start <= address);
        let sequence = self.sequences[..after].last();
        let sequence = sequence.filter(|s| address < s.end);
        let (Some(program), Some(sequence)) = (&self.program, sequence) else {
            return Ok(None);
        };
        let mut rows = program.resume_from(sequence);
        let mut before = None;
        while let Some((_, row)) = rows.next_row()? {
            if row.address() > address || row.end_sequence() {
                break;
            }
            let line = row.line().and_then(|line| u32::try_from(line.get()).ok());
            before = Some((row.file_index(), line.unwrap_or(0)));
        }
        Ok(before)
    }

    /// The path of a file by its number: compilation directory, include directory, name, as far as they are relative.
    pub(crate) fn file(&self, unit: UnitRef<'_, Slice>, number: u64) -> Option<String> {
        let header = self.program.as_ref()?.header();
        let file = header.file(number)?;
        let mut path = unit
            .comp_dir
            .map_or(String::new(), |dir| lossy(dir).into_owned());
        // Directory 0 is the compilation directory itself.
        if file.directory_index() != 0 {
            let directory = unit.attr_string(file.directory(header)?).ok()?;
            push_path(&mut path, &lossy(directory));
        }
        push_path(&mut path, &lossy(unit.attr_string(file.path_name()).ok()?));
        Some(path)
    }
}

/// Estimated memory of a unit that is not open yet, without the tables whose size is known only then.
pub(crate) fn least_memory_bytes(header: &gimli::UnitHeader<Slice>) -> u64 {
    let entries = header.length_including_self() as u64;
    size_of::<Unit>() as u64 + entries * ABBREVIATIONS_PERCENT / 100
}

/// Reads the function at an offset, for its name and origin.
pub(crate) fn function_at(unit: UnitRef<'_, Slice>, entry: UnitOffset) -> gimli::Result<Function> {
    let mut entries = unit.entries_raw(Some(entry))?;
    match entries.read_abbreviation()? {
        Some(abbreviation) => read_function(unit, &mut entries, entry, abbreviation),
        None => Err(gimli::Error::NoEntryAtGivenOffset(entry.0 as u64)),
    }
}

fn lossy(text: Slice) -> std::borrow::Cow<'static, str> {
    String::from_utf8_lossy(text.slice())
}

fn push_path(path: &mut String, part: &str) {
    if part.starts_with('/') {
        path.clear();
    } else if !path.is_empty() && !path.ends_with('/') {
        path.push('/');
    }
    path.push_str(part);
}

fn functions(unit: UnitRef<'_, Slice>) -> gimli::Result<(Box<[FunctionRange]>, Scopes)> {
    let mut functions = Vec::new();
    let mut scopes = ScopesBuilder::default();
    let mut entries = unit.entries_raw(None)?;
    while !entries.is_empty() {
        let (entry, depth) = (entries.next_offset(), entries.next_depth());
        let Some(abbreviation) = entries.read_abbreviation()? else {
            continue;
        };
        scopes.pass(entry, depth, abbreviation);
        if abbreviation.tag() != gimli::DW_TAG_subprogram {
            entries.skip_attributes(abbreviation.attributes())?;
            continue;
        }
        let function = read_function(unit, &mut entries, entry, abbreviation)?;
        if function.name.is_some() && function.linkage_name.is_none() {
            scopes.keep();
        }
        function.extent.for_each_range(unit, |begin, end| {
            functions.push(FunctionRange { begin, end, entry });
        })?;
    }
    functions.sort_unstable_by_key(|f| f.begin);
    Ok((functions.into_boxed_slice(), scopes.finish()))
}

/// The function at `entry`, and the inlined calls at an address below it.
fn walk(unit: UnitRef<'_, Slice>, entry: UnitOffset, address: u64) -> gimli::Result<Vec<Function>> {
    let mut entries = unit.entries_raw(Some(entry))?;
    let mut chain = Vec::new();
    // Depth of the innermost function so far; what is deeper is inside it.
    let mut depth = entries.next_depth();
    let Some(abbreviation) = entries.read_abbreviation()? else {
        return Ok(chain);
    };
    chain.push(read_function(unit, &mut entries, entry, abbreviation)?);
    while !entries.is_empty() && entries.next_depth() > depth {
        let (entry, here) = (entries.next_offset(), entries.next_depth());
        let Some(abbreviation) = entries.read_abbreviation()? else {
            continue;
        };
        match abbreviation.tag() {
            gimli::DW_TAG_inlined_subroutine => {
                let call = read_function(unit, &mut entries, entry, abbreviation)?;
                if call.extent.contains(unit, address)? {
                    chain.push(call);
                    depth = here;
                } else {
                    skip_children(&mut entries, here)?;
                }
            }
            gimli::DW_TAG_subprogram => {
                entries.skip_attributes(abbreviation.attributes())?;
                skip_children(&mut entries, here)?;
            }
            _ => entries.skip_attributes(abbreviation.attributes())?,
        }
    }
    Ok(chain)
}

fn skip_children(entries: &mut EntriesRaw<'_, Slice>, depth: isize) -> gimli::Result<()> {
    while !entries.is_empty() && entries.next_depth() > depth {
        if let Some(abbreviation) = entries.read_abbreviation()? {
            entries.skip_attributes(abbreviation.attributes())?;
        }
    }
    Ok(())
}

fn read_function(
    unit: UnitRef<'_, Slice>,
    entries: &mut EntriesRaw<'_, Slice>,
    entry: UnitOffset,
    abbreviation: &Abbreviation,
) -> gimli::Result<Function> {
    let mut function = Function::at(entry);
    for specification in abbreviation.attributes() {
        let attribute = entries.read_attribute(*specification)?;
        let value = attribute.value();
        match attribute.name() {
            gimli::DW_AT_linkage_name | gimli::DW_AT_MIPS_linkage_name => {
                function.linkage_name = unit.attr_string(value).ok();
            }
            gimli::DW_AT_name => function.name = unit.attr_string(value).ok(),
            gimli::DW_AT_abstract_origin | gimli::DW_AT_specification => {
                function.origin = Some(value);
            }
            gimli::DW_AT_call_file => function.call.file = call_file(unit, value),
            gimli::DW_AT_call_line => {
                let line = attribute.udata_value();
                let line = line.and_then(|line| u32::try_from(line).ok());
                function.call.line = line.unwrap_or(0);
            }
            name => function.extent.read(unit, name, value)?,
        }
    }
    Ok(function)
}

impl Function {
    fn at(entry: UnitOffset) -> Self {
        Self {
            entry,
            linkage_name: None,
            name: None,
            origin: None,
            call: Call::default(),
            extent: Extent::default(),
        }
    }
}

/// File 0 is a file since DWARF 5, and none before.
fn call_file(unit: UnitRef<'_, Slice>, value: AttributeValue<Slice>) -> Option<u64> {
    match value {
        AttributeValue::FileIndex(number) if number > 0 || unit.header.version() >= 5 => {
            Some(number)
        }
        _ => None,
    }
}

impl Extent {
    fn read(
        &mut self,
        unit: UnitRef<'_, Slice>,
        name: gimli::DwAt,
        value: AttributeValue<Slice>,
    ) -> gimli::Result<()> {
        match name {
            gimli::DW_AT_low_pc => self.low = unit.attr_address(value)?,
            gimli::DW_AT_high_pc => match value {
                AttributeValue::Udata(size) => self.size = Some(size),
                address => self.high = unit.attr_address(address)?,
            },
            gimli::DW_AT_ranges => self.ranges = unit.attr_ranges_offset(value)?,
            _ => {}
        }
        Ok(())
    }

    fn for_each_range(
        &self,
        unit: UnitRef<'_, Slice>,
        mut give: impl FnMut(u64, u64),
    ) -> gimli::Result<()> {
        // The linker moves code that it leaves out to address 0.
        let mut give = |begin: u64, end: u64| {
            if begin != 0 && begin < end {
                give(begin, end);
            }
        };
        if let Some(offset) = self.ranges {
            let mut ranges = unit.ranges(offset)?;
            while let Some(range) = ranges.next()? {
                give(range.begin, range.end);
            }
            return Ok(());
        }
        let begin = self.low.unwrap_or(0);
        let end = self.size.map(|size| begin.saturating_add(size));
        give(begin, end.or(self.high).unwrap_or(0));
        Ok(())
    }

    fn contains(&self, unit: UnitRef<'_, Slice>, address: u64) -> gimli::Result<bool> {
        let mut found = false;
        self.for_each_range(unit, |begin, end| {
            found |= begin <= address && address < end;
        })?;
        Ok(found)
    }
}
