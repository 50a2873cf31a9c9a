//! What the caller knows about one loaded module.
//!
//! Owns the name rules of modules: the vDSO's, the executable's, and the short name shown where no symbol covers an address.
//! Called by `symbolizer` and `image`.

use std::path::{Path, PathBuf};

/// One loaded module: a runtime address range and the file that it was mapped from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// First runtime address.
    pub start: u64,
    /// One past the last runtime address.
    pub end: u64,
    /// Runtime address minus link-time address, modulo 2^64.
    pub bias: u64,
    /// The file; `[vdso]` is the vDSO, and an empty path is the main executable.
    pub path: PathBuf,
    /// GNU build id, empty if unknown. If given, a file with another build id is refused.
    pub build_id: Vec<u8>,
}

impl Module {
    /// The path that stands for the vDSO.
    pub const VDSO: &'static str = "[vdso]";

    pub(crate) fn contains(&self, pc: u64) -> bool {
        self.start <= pc && pc < self.end
    }

    /// The link-time address of a runtime address.
    pub(crate) fn link_address(&self, pc: u64) -> u64 {
        pc.wrapping_sub(self.bias)
    }

    pub(crate) fn is_vdso(&self) -> bool {
        self.path == Path::new(Self::VDSO)
    }

    /// Whether both were mapped from the same file, as far as the caller told us.
    pub(crate) fn same_file(&self, other: &Module) -> bool {
        self.path == other.path && self.build_id == other.build_id
    }

    /// `libfoo.so+0x1234`, with the link-time address, which is what `addr2line` and `objdump` take.
    pub(crate) fn name_with_offset(&self, pc: u64) -> String {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        let name = name.to_string_lossy();
        let name = if name.is_empty() { "exe".into() } else { name };
        format!("{name}+{:#x}", self.link_address(pc))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unnamed_address_shows_link_time_offset() {
        let module = Module {
            start: 0x7000_0000,
            end: 0x7000_2000,
            bias: 0x7000_0000 - 0x1000,
            path: "/usr/lib/libfoo.so".into(),
            build_id: Vec::new(),
        };
        assert_eq!(module.name_with_offset(0x7000_0234), "libfoo.so+0x1234");
    }
}
