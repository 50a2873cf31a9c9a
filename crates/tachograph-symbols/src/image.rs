//! One opened ELF image: its symbols, its debug information, and what it lacks.
//!
//! Owns the rules where an image comes from (vDSO memory, own executable, file, separate debug file). Called by `symbolizer`.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::debug_file;
use crate::elf::{Debug, DebugSections, Elf, Symbols};
use crate::file_bytes::FileBytes;
use crate::lines::{Budget, Lines, SourceFrame};
use crate::module::Module;
use crate::stats::Shortfall;
use crate::symbolizer::Options;
use crate::symtab::{CodeRange, Symtab};

/// An image, or the reasons why there is none.
#[derive(Default)]
pub(crate) struct Image {
    code: Vec<CodeRange>,
    symbols: Option<Symtab>,
    /// Symbols of the separate debug file, asked when `symbols` has none.
    debug_symbols: Option<Symtab>,
    lines: LineSource,
    shortfalls: Vec<Shortfall>,
    mapped: Vec<Arc<FileBytes>>,
    is_open: bool,
}

#[derive(Default)]
enum LineSource {
    #[default]
    Absent,
    Closed(DebugSections),
    Open(Box<Lines>),
}

/// The vDSO is two or three pages; a larger range is a wrong module map.
const MAX_VDSO_BYTES: u64 = 1 << 20;

impl Image {
    /// Opens the image of a module. Never fails: an image that can't be had knows no names and says why.
    pub(crate) fn open(module: &Module, options: &Options) -> Self {
        let mut image = Self::default();
        if let Err(shortfall) = image.load(module, options) {
            image.note(shortfall);
        }
        image
    }

    /// Linkage name of the function at a link-time address.
    pub(crate) fn symbol(&self, address: u64) -> Option<&[u8]> {
        let tables = [&self.symbols, &self.debug_symbols];
        tables.into_iter().flatten().find_map(|t| t.find(address))
    }

    /// Gives the frames of a link-time address to `emit`, innermost first; none without debug information.
    pub(crate) fn source_frames(
        &mut self,
        address: u64,
        budget: &mut Budget,
        emit: impl FnMut(SourceFrame<'_>),
    ) {
        // Functions that the linker left out stay in the debug information, at address 0 or so.
        if !self.code.iter().any(|range| range.contains(address)) {
            return;
        }
        if let Err(shortfall) = self.try_source_frames(address, budget, emit) {
            self.note(shortfall);
        }
    }

    /// When the unit that was not asked for the longest time was asked for; nothing without open units.
    pub(crate) fn oldest_lookup(&self) -> Option<u64> {
        match &self.lines {
            LineSource::Open(lines) => lines.oldest_lookup(),
            LineSource::Absent | LineSource::Closed(_) => None,
        }
    }

    /// Closes the unit that was not asked for the longest time.
    pub(crate) fn close_oldest_unit(&mut self, budget: &mut Budget) {
        if let LineSource::Open(lines) = &mut self.lines {
            lines.close_oldest(budget);
        }
    }

    /// Lets the kernel take back the mapped pages that were touched.
    pub(crate) fn release_pages(&self) {
        for bytes in &self.mapped {
            bytes.release_pages();
        }
    }

    pub(crate) fn shortfalls(&self) -> &[Shortfall] {
        &self.shortfalls
    }

    pub(crate) fn mapped_bytes(&self) -> u64 {
        self.mapped.iter().map(|bytes| bytes.mapped_bytes()).sum()
    }

    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    /// What the image has taken of the budget.
    pub(crate) fn lines_bytes(&self) -> u64 {
        match &self.lines {
            LineSource::Open(lines) => lines.charged_bytes(),
            LineSource::Absent | LineSource::Closed(_) => 0,
        }
    }

    pub(crate) fn symbols_bytes(&self) -> u64 {
        let tables = [&self.symbols, &self.debug_symbols];
        tables.into_iter().flatten().map(Symtab::memory_bytes).sum()
    }

    fn load(&mut self, module: &Module, options: &Options) -> Result<(), Shortfall> {
        let bytes = read(module, options).map_err(|e| Shortfall::Unreadable(e.kind()))?;
        self.is_open = true;
        let bytes = Arc::new(bytes);
        let elf = Elf::parse(&bytes)?;
        if !module.build_id.is_empty() && module.build_id != elf.build_id {
            let found = elf.build_id;
            return Err(Shortfall::BuildIdMismatch { found });
        }
        self.mapped.push(bytes);
        self.adopt(module, elf, options);
        Ok(())
    }

    fn adopt(&mut self, module: &Module, elf: Elf, options: &Options) {
        let no_lines = matches!(elf.debug, Debug::None);
        let separate = (no_lines && !module.is_vdso())
            .then(|| debug_file::find(&module.path, &elf, &options.debug_directories));
        let mut debug = elf.debug;
        if let Some(file) = separate.flatten() {
            self.mapped.push(file.bytes);
            debug = file.elf.debug;
            if let Symbols::Full(table) = file.elf.symbols {
                self.debug_symbols = Some(table);
            }
        }
        self.code = elf.code;
        self.adopt_symbols(elf.symbols);
        match debug {
            Debug::Sections(sections) => self.lines = LineSource::Closed(sections),
            Debug::None => self.note(Shortfall::NoDebugInfo),
        }
    }

    fn adopt_symbols(&mut self, symbols: Symbols) {
        let has_full = self.debug_symbols.is_some();
        match symbols {
            Symbols::Full(table) => self.symbols = Some(table),
            Symbols::Exported(table) => {
                self.symbols = Some(table);
                if !has_full {
                    self.note(Shortfall::ExportedSymbolsOnly);
                }
            }
            Symbols::None if has_full => {}
            Symbols::None => self.note(Shortfall::NoSymbols),
        }
    }

    fn try_source_frames(
        &mut self,
        address: u64,
        budget: &mut Budget,
        emit: impl FnMut(SourceFrame<'_>),
    ) -> Result<(), Shortfall> {
        if let LineSource::Closed(sections) = &self.lines {
            let sections = sections.clone();
            // Left behind if opening fails.
            self.lines = LineSource::Absent;
            self.lines = LineSource::Open(Box::new(Lines::open(sections, budget)?));
        }
        match &mut self.lines {
            LineSource::Open(lines) => lines.find(address, budget, emit),
            _ => Ok(()),
        }
    }

    /// Adds a reason once per kind.
    fn note(&mut self, shortfall: Shortfall) {
        let kind = std::mem::discriminant(&shortfall);
        let known = |s: &Shortfall| std::mem::discriminant(s) == kind;
        if !self.shortfalls.iter().any(known) {
            self.shortfalls.push(shortfall);
        }
    }
}

fn read(module: &Module, options: &Options) -> io::Result<FileBytes> {
    if module.is_vdso() {
        return read_vdso(module, options);
    }
    if options.this_process && is_own_executable(&module.path) {
        // The link reaches the running file even after it was deleted or replaced.
        if let Ok(file) = File::open(OWN_EXECUTABLE) {
            return FileBytes::map(&file);
        }
    }
    FileBytes::map(&File::open(&module.path)?)
}

const OWN_EXECUTABLE: &str = "/proc/self/exe";

fn is_own_executable(path: &Path) -> bool {
    if path.as_os_str().is_empty() {
        return true;
    }
    let own = fs::read_link(OWN_EXECUTABLE).unwrap_or_default();
    without_deleted(&own) == without_deleted(path)
}

/// The kernel marks the path of an unlinked file.
fn without_deleted(path: &Path) -> PathBuf {
    let path = path.as_os_str().as_bytes();
    let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
    PathBuf::from(std::ffi::OsStr::from_bytes(path))
}

/// Copies the vDSO out of this process's memory.
///
/// Its section headers lie behind the loaded segment, on its last page, so the copy goes on to the end of the largest page there
/// is. The kernel stops it where the mapping ends; bytes of a neighbour do no harm, the headers never point there.
fn read_vdso(module: &Module, options: &Options) -> io::Result<FileBytes> {
    let size = module.end.saturating_sub(module.start);
    if !options.this_process || size == 0 || size > MAX_VDSO_BYTES {
        return Err(io::ErrorKind::NotFound.into());
    }
    let size = size.next_multiple_of(LARGEST_PAGE_BYTES);
    let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
    let read = File::open("/proc/self/mem")?.read_at(&mut bytes, module.start)?;
    bytes.truncate(read);
    Ok(FileBytes::Owned(bytes))
}

const LARGEST_PAGE_BYTES: u64 = 64 << 10;
