//! Function symbols of one ELF image, sorted by address.
//!
//! Owns 16 bytes per function; names stay in the mapped file. Built by `elf`, asked by `image`.

use std::cmp::Reverse;
use std::sync::Arc;

use object::read::elf::{Sym, SymbolTable};
use object::{LittleEndian, elf};

use crate::elf::Header;
use crate::file_bytes::FileBytes;

/// Link-time addresses of one executable section.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CodeRange {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

impl CodeRange {
    pub(crate) fn contains(&self, address: u64) -> bool {
        self.start <= address && address < self.end
    }
}

/// Functions by link-time address.
pub(crate) struct Symtab {
    functions: Box<[Function]>,
    bytes: Arc<FileBytes>,
}

/// One function. Unique by address; a size of 0 never leaves `Symtab::build`.
#[derive(Clone, Copy)]
struct Function {
    address: u64,
    size: u32,
    /// Offset of the name in the image: images over 4 GiB have no names past that.
    name: u32,
}

/// How many earlier functions are tried when the nearest one ends before the address (nested symbols).
const MAX_STEPS_BACK: usize = 16;

impl Symtab {
    /// Collects the functions of a symbol table; nothing if there are none.
    ///
    /// `strings_offset` is where the table's strings begin in the image, `code` has the executable sections at their index.
    pub(crate) fn build(
        bytes: &Arc<FileBytes>,
        table: &SymbolTable<'_, Header>,
        strings_offset: u32,
        code: &[Option<CodeRange>],
    ) -> Option<Self> {
        let mut found = collect(bytes, table, strings_offset, code);
        found.sort_unstable_by_key(|symbol| symbol.function.address);
        let best = best_names(bytes.as_slice(), &found);
        if best.is_empty() {
            return None;
        }
        Some(Self {
            functions: close_gaps(best),
            bytes: Arc::clone(bytes),
        })
    }

    /// The name of the function that covers a link-time address.
    pub(crate) fn find(&self, address: u64) -> Option<&[u8]> {
        let after = self.functions.partition_point(|f| f.address <= address);
        let candidates = self.functions.get(..after)?.iter().rev();
        let function = candidates
            .take(MAX_STEPS_BACK)
            .find(|f| address - f.address < u64::from(f.size))?;
        name_at(self.bytes.as_slice(), function.name)
    }

    pub(crate) fn memory_bytes(&self) -> u64 {
        size_of_val(&*self.functions) as u64
    }
}

/// A symbol before the choice among those at the same address.
#[derive(Clone, Copy)]
struct Found {
    function: Function,
    binding: elf::SymbolBind,
    /// End of the section that the symbol lies in.
    section_end: u64,
}

fn collect(
    bytes: &FileBytes,
    table: &SymbolTable<'_, Header>,
    strings_offset: u32,
    code: &[Option<CodeRange>],
) -> Vec<Found> {
    let mut found = Vec::with_capacity(table.len() / 2);
    for symbol in table.symbols() {
        if !is_function_kind(symbol) {
            continue;
        }
        let section = usize::from(symbol.st_shndx(LittleEndian).0);
        let Some(Some(code)) = code.get(section) else {
            continue;
        };
        let address = symbol.st_value(LittleEndian);
        let Some(name) = strings_offset.checked_add(symbol.st_name(LittleEndian)) else {
            continue;
        };
        if !code.contains(address) {
            continue;
        }
        if symbol.st_type() == elf::STT_NOTYPE && is_marker(name_at(bytes.as_slice(), name)) {
            continue;
        }
        let size = symbol.st_size(LittleEndian);
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        found.push(Found {
            function: Function {
                address,
                size,
                name,
            },
            binding: symbol.st_bind(),
            section_end: code.end,
        });
    }
    found
}

fn is_function_kind(symbol: &elf::Sym64<LittleEndian>) -> bool {
    // Assembly often leaves the type out.
    let kinds = [elf::STT_FUNC, elf::STT_GNU_IFUNC, elf::STT_NOTYPE];
    kinds.contains(&symbol.st_type())
}

/// Local labels and the mapping symbols of some architectures name no function.
fn is_marker(name: Option<&[u8]>) -> bool {
    name.is_none_or(|name| name.is_empty() || name.starts_with(b".L") || name.starts_with(b"$"))
}

fn name_at(bytes: &[u8], offset: u32) -> Option<&[u8]> {
    let tail = bytes.get(usize::try_from(offset).ok()?..)?;
    let tail = &tail[..tail.len().min(MAX_NAME_BYTES)];
    let end = tail.iter().position(|byte| *byte == 0)?;
    tail.get(..end).filter(|name| !name.is_empty())
}

/// Longer names are taken for damage.
const MAX_NAME_BYTES: usize = 64 << 10;

fn best_names(bytes: &[u8], sorted: &[Found]) -> Vec<Found> {
    let groups = sorted.chunk_by(|a, b| a.function.address == b.function.address);
    let best = |group: &[Found]| match group {
        [single] => Some(*single),
        _ => group
            .iter()
            .copied()
            .min_by_key(|symbol| rank(bytes, symbol)),
    };
    groups.filter_map(best).collect()
}

/// The name that people use sorts first: a real function, the vDSO's own names, no underscores, exported.
fn rank<'a>(bytes: &'a [u8], symbol: &Found) -> impl Ord + use<'a> {
    let name = name_at(bytes, symbol.function.name).unwrap_or_default();
    let underscores = name.iter().take_while(|byte| **byte == b'_').count();
    let binding = match symbol.binding {
        elf::STB_GLOBAL => 0,
        elf::STB_WEAK => 1,
        _ => 2,
    };
    (
        name.is_empty(),
        Reverse(symbol.function.size > 0),
        Reverse(name.starts_with(b"__vdso_")),
        underscores,
        binding,
        name.len(),
        name,
    )
}

/// Gives symbols without size the space up to the next one, or to the end of their section.
fn close_gaps(best: Vec<Found>) -> Box<[Function]> {
    let next = best.iter().skip(1).map(|symbol| symbol.function.address);
    let next = next.chain([u64::MAX]);
    let close = |(symbol, next): (&Found, u64)| {
        let mut function = symbol.function;
        if function.size == 0 {
            let size = next.min(symbol.section_end) - function.address;
            function.size = u32::try_from(size).unwrap_or(u32::MAX);
        }
        function
    };
    best.iter().zip(next).map(close).collect()
}
