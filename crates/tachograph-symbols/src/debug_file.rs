//! Finds the separate debug file of a stripped module.
//!
//! Owns the search order: build id, then debug link. Called by `image`. No network and no debuginfod.

use std::fmt::Write;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::elf::Elf;
use crate::file_bytes::FileBytes;

/// A separate debug file that belongs to a module.
pub(crate) struct DebugFile {
    pub(crate) elf: Elf,
    pub(crate) bytes: Arc<FileBytes>,
}

/// Opens the first candidate whose build id is that of the module.
///
/// A module without build id accepts its debug link by name: the checksum would cost a read of the whole file.
pub(crate) fn find(module_path: &Path, elf: &Elf, directories: &[PathBuf]) -> Option<DebugFile> {
    let by_id = directories
        .iter()
        .filter_map(|d| by_build_id(d, &elf.build_id));
    let by_link = elf.debug_link.iter();
    let by_link = by_link.flat_map(|link| by_link_name(module_path, link, directories));
    let mut candidates = by_id.chain(by_link);
    candidates.find_map(|path| open(&path, module_path, &elf.build_id))
}

fn open(path: &Path, module_path: &Path, build_id: &[u8]) -> Option<DebugFile> {
    if path == module_path {
        return None;
    }
    let bytes = Arc::new(FileBytes::map(&File::open(path).ok()?).ok()?);
    let elf = Elf::parse(&bytes).ok()?;
    (elf.build_id == build_id).then_some(DebugFile { elf, bytes })
}

fn by_build_id(directory: &Path, build_id: &[u8]) -> Option<PathBuf> {
    let (first, rest) = build_id.split_first()?;
    let mut name = format!(".build-id/{first:02x}/");
    for byte in rest {
        // Writing to a String never fails.
        let _ = write!(name, "{byte:02x}");
    }
    name.push_str(".debug");
    Some(directory.join(name))
}

fn by_link_name(module_path: &Path, link: &Path, directories: &[PathBuf]) -> Vec<PathBuf> {
    let Some(home) = module_path.parent() else {
        return Vec::new();
    };
    let below_root = home.strip_prefix("/").unwrap_or(home);
    let elsewhere = directories.iter().map(|d| d.join(below_root).join(link));
    let beside = [home.join(link), home.join(".debug").join(link)];
    beside.into_iter().chain(elsewhere).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_id_path_splits_after_the_first_byte() {
        let path = by_build_id(Path::new("/usr/lib/debug"), &[0xab, 0x01, 0xff]);
        let wanted = "/usr/lib/debug/.build-id/ab/01ff.debug";
        assert_eq!(path, Some(PathBuf::from(wanted)));
        assert_eq!(by_build_id(Path::new("/usr/lib/debug"), &[]), None);
    }

    #[test]
    fn debug_link_is_looked_for_beside_the_module_first() {
        let directories = [PathBuf::from("/usr/lib/debug")];
        let found = by_link_name(
            Path::new("/opt/a/liba.so"),
            Path::new("liba.debug"),
            &directories,
        );
        let wanted = [
            "/opt/a/liba.debug",
            "/opt/a/.debug/liba.debug",
            "/usr/lib/debug/opt/a/liba.debug",
        ];
        assert_eq!(found, wanted.map(PathBuf::from));
    }
}
