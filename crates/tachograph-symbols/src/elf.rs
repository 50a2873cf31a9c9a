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
    /// The executable sections, by link-time address.
    pub(crate) code: Vec<CodeRange>,
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
    Sections(DebugSections),
}

/// DWARF sections by name, without those that are absent.
#[derive(Clone)]
pub(crate) struct DebugSections(Vec<DebugSection>);

/// One section as it is stored in the file.
#[derive(Clone)]
struct DebugSection {
    id: gimli::SectionId,
    stored: PinnedBytes,
    format: CompressionFormat,
    size: u64,
}

impl DebugSections {
    /// Bytes of a section; nothing if it is absent or compressed.
    pub(crate) fn section(&self, id: gimli::SectionId) -> Option<&PinnedBytes> {
        let mut plain = self.0.iter().filter(|s| !s.is_compressed());
        plain.find(|s| s.id == id).map(|s| &s.stored)
    }

    /// Uncompressed size of a section, 0 if it is absent.
    pub(crate) fn size(&self, id: gimli::SectionId) -> u64 {
        let found = self.0.iter().find(|s| s.id == id);
        found.map_or(0, |s| s.size)
    }

    /// Memory that [`Self::decompress`] will take.
    pub(crate) fn compressed_size(&self) -> u64 {
        let compressed = self.0.iter().filter(|s| s.is_compressed());
        compressed.map(|s| s.size).sum()
    }

    /// Puts decompressed copies in the place of compressed sections.
    ///
    /// # Errors
    /// [`Shortfall::CompressedDebugInfo`] if a section is damaged, or feature `compressed-debug` is off.
    pub(crate) fn decompress(&mut self) -> Result<(), Shortfall> {
        for section in self.0.iter_mut().filter(|s| s.is_compressed()) {
            let data = object::CompressedData {
                format: section.format,
                data: section.stored.as_slice(),
                uncompressed_size: section.size,
            };
            let plain = data.decompress();
            let plain = plain.map_err(|_| Shortfall::CompressedDebugInfo)?;
            section.stored = PinnedBytes::from_vec(plain.into_owned());
            section.format = CompressionFormat::None;
        }
        Ok(())
    }
}

impl DebugSection {
    fn is_compressed(&self) -> bool {
        self.format != CompressionFormat::None
    }
}

impl Elf {
    /// Reads the headers and builds the symbol table.
    ///
    /// # Errors
    /// [`Shortfall::NotElf`] if the image is damaged, of 32 bits or big-endian.
    pub(crate) fn parse(bytes: &Arc<FileBytes>) -> Result<Self, Shortfall> {
        let file = File::parse(bytes.as_slice()).map_err(|_| Shortfall::NotElf)?;
        let code = code_ranges(&file);
        Ok(Self {
            build_id: build_id(&file),
            symbols: symbols(&file, bytes, &code),
            code: code.into_iter().flatten().collect(),
            debug: debug(&file, bytes),
            debug_link: debug_link(&file),
        })
    }
}

type File<'data> = ElfFile64<'data, LittleEndian>;

/// The DWARF sections that `lines` and `unit` read.
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

fn symbols(file: &File<'_>, bytes: &Arc<FileBytes>, code: &[Option<CodeRange>]) -> Symbols {
    let build = |table| {
        let strings = strings_offset(file, table)?;
        Symtab::build(bytes, table, strings, code)
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
    let section = |id: gimli::SectionId| {
        let section = file.section_by_name(id.name())?;
        let range = section.compressed_file_range().ok()?;
        let start = usize::try_from(range.offset).ok()?;
        let end = start.checked_add(usize::try_from(range.compressed_size).ok()?)?;
        Some(DebugSection {
            id,
            stored: PinnedBytes::new(bytes, start..end)?,
            format: range.format,
            size: range.uncompressed_size,
        })
    };
    let sections = DEBUG_SECTIONS.into_iter().filter_map(section).collect();
    let sections = DebugSections(sections);
    match sections.size(gimli::SectionId::DebugInfo) {
        0 => Debug::None,
        _ => Debug::Sections(sections),
    }
}

/// The header type of the images that we read.
pub(crate) type Header = FileHeader64<LittleEndian>;
