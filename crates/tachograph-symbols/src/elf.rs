//! Finds symbol tables, debug sections, build id and debug link in an ELF image.
//!
//! Owns the reading of ELF headers. Called by `image` and `debug_file`; nothing here keeps a borrow of the bytes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use object::elf::FileHeader64;
use object::read::elf::{ElfFile64, SectionHeader, SymbolTable};
use object::{CompressionFormat, LittleEndian, Object, ObjectSection, elf};

use crate::file_bytes::{FileBytes, PinnedBytes};
use crate::stats::Shortfall;
use crate::symtab::{CodeRange, Symtab};

/// All that is taken from an ELF image when it is opened.
pub(crate) struct Elf {
    pub(crate) build_id: Vec<u8>,
    pub(crate) symbols: Symbols,
    pub(crate) debug: Debug,
    /// File name of a separate debug file, without directory.
    pub(crate) debug_link: Option<PathBuf>,
}

/// The best symbol table of an image.
pub(crate) enum Symbols {
    None,
    Exported(Symtab),
    Full(Symtab),
}

/// The debug information of an image.
pub(crate) enum Debug {
    None,
    Compressed,
    Sections(DebugSections),
}

/// DWARF sections by name, without those that are absent.
#[derive(Clone)]
pub(crate) struct DebugSections(Vec<(gimli::SectionId, PinnedBytes)>);

impl DebugSections {
    pub(crate) fn section(&self, id: gimli::SectionId) -> Option<&PinnedBytes> {
        let found = self.0.iter().find(|(name, _)| *name == id);
        found.map(|(_, bytes)| bytes)
    }

    pub(crate) fn len(&self, id: gimli::SectionId) -> u64 {
        self.section(id).map_or(0, |bytes| bytes.len() as u64)
    }
}

impl Elf {
    /// Reads the headers and builds the symbol table.
    ///
    /// # Errors
    /// [`Shortfall::NotElf`] if the image is damaged, of 32 bits or big-endian.
    pub(crate) fn parse(bytes: &Arc<FileBytes>) -> Result<Self, Shortfall> {
        let file = File::parse(bytes.as_slice()).map_err(|_| Shortfall::NotElf)?;
        Ok(Self {
            build_id: build_id(&file),
            symbols: symbols(&file, bytes),
            debug: debug(&file, bytes),
            debug_link: debug_link(&file),
        })
    }
}

type File<'data> = ElfFile64<'data, LittleEndian>;

/// The DWARF sections that addr2line reads.
const DEBUG_SECTIONS: [gimli::SectionId; 10] = [
    gimli::SectionId::DebugAbbrev,
    gimli::SectionId::DebugAddr,
    gimli::SectionId::DebugAranges,
    gimli::SectionId::DebugInfo,
    gimli::SectionId::DebugLine,
    gimli::SectionId::DebugLineStr,
    gimli::SectionId::DebugRanges,
    gimli::SectionId::DebugRngLists,
    gimli::SectionId::DebugStr,
    gimli::SectionId::DebugStrOffsets,
];

fn build_id(file: &File<'_>) -> Vec<u8> {
    let id = file.build_id().ok().flatten();
    id.map(<[u8]>::to_vec).unwrap_or_default()
}

fn debug_link(file: &File<'_>) -> Option<PathBuf> {
    let (name, _checksum) = file.gnu_debuglink().ok()??;
    let name = PathBuf::from(OsStr::from_bytes(name));
    // A link with a directory would lead out of the directories that are searched.
    (name.components().count() == 1).then_some(name)
}

fn symbols(file: &File<'_>, bytes: &Arc<FileBytes>) -> Symbols {
    let code = code_ranges(file);
    let build = |table| {
        let strings = strings_offset(file, table)?;
        Symtab::build(bytes, table, strings, &code)
    };
    let full = build(file.elf_symbol_table()).map(Symbols::Full);
    let exported = || build(file.elf_dynamic_symbol_table()).map(Symbols::Exported);
    full.or_else(exported).unwrap_or(Symbols::None)
}

/// Where the strings of a symbol table begin in the image.
fn strings_offset(file: &File<'_>, table: &SymbolTable<'_, Header>) -> Option<u32> {
    let sections = file.elf_section_table();
    let strings = sections.section(table.string_section()).ok()?;
    u32::try_from(strings.sh_offset(LittleEndian)).ok()
}

/// The executable sections, at their section index.
fn code_ranges(file: &File<'_>) -> Vec<Option<CodeRange>> {
    let code_range = |section: &elf::SectionHeader64<LittleEndian>| {
        let flags = section.sh_flags(LittleEndian);
        let start = section.sh_addr(LittleEndian);
        let end = start.saturating_add(section.sh_size(LittleEndian));
        let executable = flags.0 & elf::SHF_EXECINSTR.0 != 0;
        executable.then_some(CodeRange { start, end })
    };
    let sections = file.elf_section_table();
    sections.iter().map(code_range).collect()
}

fn debug(file: &File<'_>, bytes: &Arc<FileBytes>) -> Debug {
    let mut sections = Vec::new();
    let mut compressed = false;
    for id in DEBUG_SECTIONS {
        let Some(section) = file.section_by_name(id.name()) else {
            continue;
        };
        match section_bytes(&section, bytes) {
            Ok(Some(part)) => sections.push((id, part)),
            Ok(None) => {}
            Err(Compressed) => compressed = true,
        }
    }
    let sections = DebugSections(sections);
    let complete = sections.len(gimli::SectionId::DebugInfo) > 0;
    match (compressed, complete) {
        (true, _) => Debug::Compressed,
        (false, true) => Debug::Sections(sections),
        (false, false) => Debug::None,
    }
}

struct Compressed;

fn section_bytes<'data>(
    section: &impl ObjectSection<'data>,
    bytes: &Arc<FileBytes>,
) -> Result<Option<PinnedBytes>, Compressed> {
    let Ok(range) = section.compressed_file_range() else {
        return Ok(None);
    };
    if range.format != CompressionFormat::None {
        return decompressed(section).map(Some).ok_or(Compressed);
    }
    let Some((offset, size)) = section.file_range() else {
        return Ok(None);
    };
    let (Ok(start), Ok(size)) = (usize::try_from(offset), usize::try_from(size)) else {
        return Ok(None);
    };
    let part = start..start.saturating_add(size);
    Ok(PinnedBytes::new(bytes, part))
}

#[cfg(feature = "compressed-debug")]
fn decompressed<'data>(section: &impl ObjectSection<'data>) -> Option<PinnedBytes> {
    let data = section.uncompressed_data().ok()?;
    Some(PinnedBytes::from_vec(data.into_owned()))
}

#[cfg(not(feature = "compressed-debug"))]
fn decompressed<'data>(_: &impl ObjectSection<'data>) -> Option<PinnedBytes> {
    None
}

/// The header type of the images that we read.
pub(crate) type Header = FileHeader64<LittleEndian>;
