//! Which files the workload works on.
//!
//! Owns the walk through a directory. Called by `crew` and, before anything is recorded, by who runs the workload.

use crate::DemoError;
use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};

/// Directories whose content is no source.
const SKIPPED: [&str; 2] = ["target", "node_modules"];
/// Traces are not worked on: the one being recorded may lie in the directory.
const TRACE: &str = "trace";

/// Walks through a directory and everything below; follows no links.
///
/// What can't be read is left out.
pub struct Files {
    directories: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

impl Files {
    /// The files below `dir`.
    pub fn below(dir: &Path) -> Self {
        Self {
            directories: vec![dir.to_owned()],
            files: Vec::new(),
        }
    }

    fn read(&mut self, directory: &Path) {
        let entries = tachograph::blocking("directory to be read", || fs::read_dir(directory));
        for entry in entries.into_iter().flatten().flatten() {
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() && !is_skipped(&entry) {
                self.directories.push(entry.path());
            } else if kind.is_file() && entry.path().extension().is_none_or(|ext| ext != TRACE) {
                self.files.push(entry.path());
            }
        }
    }
}

impl Iterator for Files {
    type Item = PathBuf;

    fn next(&mut self) -> Option<PathBuf> {
        loop {
            if let Some(file) = self.files.pop() {
                return Some(file);
            }
            let directory = self.directories.pop()?;
            self.read(&directory);
        }
    }
}

fn is_skipped(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    name.as_encoded_bytes().starts_with(b".") || SKIPPED.iter().any(|skipped| name == *skipped)
}

/// Says what is wrong with a directory that gives no work, before anything is overwritten for it.
///
/// # Errors
/// The directory can't be read, or there are no files in it.
pub fn refuse_without_files(dir: &Path) -> Result<(), DemoError> {
    let name = || dir.to_owned();
    if let Err(error) = fs::read_dir(dir) {
        return Err(DemoError::UnreadableDirectory { dir: name(), error });
    }
    if Files::below(dir).next().is_none() {
        return Err(DemoError::NoFiles { dir: name() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_sources_but_no_traces_links_or_products() {
        let dir = std::env::temp_dir().join(format!("tachograph-demo-{}", std::process::id()));
        for below in ["a/b", "target", ".git"] {
            fs::create_dir_all(dir.join(below)).unwrap();
            fs::write(dir.join(below).join("x.rs"), "x").unwrap();
        }
        fs::write(dir.join("old.trace"), "x").unwrap();
        std::os::unix::fs::symlink(&dir, dir.join("a/loop")).unwrap();
        let found: Vec<PathBuf> = Files::below(&dir).collect();
        let missing = refuse_without_files(&dir.join(".git/none"));
        fs::remove_file(dir.join("a/b/x.rs")).unwrap();
        let without = refuse_without_files(&dir);
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(found, [dir.join("a/b/x.rs")]);
        assert!(matches!(
            missing,
            Err(DemoError::UnreadableDirectory { .. })
        ));
        assert!(matches!(without, Err(DemoError::NoFiles { .. })));
    }
}
