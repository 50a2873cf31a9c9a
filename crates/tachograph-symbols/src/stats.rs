//! What was resolved, what was not, and why.
//!
//! Owns the reasons for answers that hold less than function, file and line. Called by `symbolizer`, `image` and `lines`.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Counters of one symbolizer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Distinct addresses whose frames are cached.
    pub addresses: u64,
    /// Lookups that found no function name: outside of all modules (counted each time), or in code without symbol.
    pub misses: u64,
    /// Modules whose file was opened.
    pub modules_opened: u64,
    /// Total size of the mapped files: address space, not memory.
    pub bytes_mapped: u64,
    /// Estimated memory of symbol tables, outside of the lines budget.
    pub symbols_bytes: u64,
    /// Estimated memory taken for lines and inlined frames, within [`crate::Options::lines_budget_bytes`].
    pub lines_bytes: u64,
    /// How many parts of debug information (compilation units) were closed to keep the budget.
    pub units_closed: u64,
    /// The modules that were asked for and gave less than function, file and line.
    pub limited_modules: Vec<ModuleStats>,
}

/// One module that gives less than function, file and line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModuleStats {
    /// Path of the module, as given.
    pub path: PathBuf,
    /// What is missing and why, in the order in which it was found.
    pub shortfalls: Vec<Shortfall>,
}

/// Why a module gives less than function, file and line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shortfall {
    /// The file can't be opened, read or mapped: no names at all.
    Unreadable(io::ErrorKind),
    /// The file is not a little-endian 64-bit ELF image, or is damaged: no names at all.
    NotElf,
    /// The file at the module's path is another one than the one loaded: no names at all.
    BuildIdMismatch {
        /// The build id of the file, empty if it has none.
        found: Vec<u8>,
    },
    /// There is no symbol table of any kind: no names from symbols.
    NoSymbols,
    /// The file was stripped: only exported functions have names.
    ExportedSymbolsOnly,
    /// There is no debug information, here or in a separate file: no files, lines and inlined frames.
    NoDebugInfo,
    /// The debug information is compressed and feature `compressed-debug` is off.
    CompressedDebugInfo,
    /// The debug information is damaged or of an unknown kind, at least for some addresses.
    BrokenDebugInfo(gimli::Error),
    /// Reading debug information would take, or has taken, more memory than the budget allows.
    BudgetUsedUp {
        /// Estimated bytes that the next step needs.
        wanted_bytes: u64,
        /// Bytes that were left of the budget.
        left_bytes: u64,
    },
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(kind) => write!(f, "file is not readable: {kind}"),
            Self::NotElf => f.write_str("file is not a readable 64-bit little-endian elf image"),
            Self::BuildIdMismatch { found } => {
                f.write_str("file was replaced, its build id is now ")?;
                found.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::NoSymbols => f.write_str("no symbol table"),
            Self::ExportedSymbolsOnly => f.write_str("stripped: exported functions only"),
            Self::NoDebugInfo => f.write_str("no debug information"),
            Self::CompressedDebugInfo => f.write_str("debug information is compressed"),
            Self::BrokenDebugInfo(error) => write!(f, "debug information is damaged: {error}"),
            Self::BudgetUsedUp {
                wanted_bytes,
                left_bytes,
            } => write!(
                f,
                "lines need {wanted_bytes} more bytes, {left_bytes} are left of the budget"
            ),
        }
    }
}
