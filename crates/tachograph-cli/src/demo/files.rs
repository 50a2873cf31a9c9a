//! Which files the workload works on.
//!
//! Owns the walk through a directory. Called by `workload` and, before anything is recorded, by `demo`.

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

/// Says what is wrong with a directory that gives no work.
pub fn refuse_without_files(dir: &Path) -> anyhow::Result<()> {
    let name = dir.display();
    if let Err(error) = fs::read_dir(dir) {
        anyhow::bail!("can't read directory {name}: {error}; --dir names another");
    }
    if Files::below(dir).next().is_none() {
        anyhow::bail!("no files in {name}; --dir names another directory");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_sources_but_no_traces_links_or_products() {
        let dir = std::env::temp_dir().join(format!("tacho-files-{}", std::process::id()));
        for below in ["a/b", "target", ".git"] {
            fs::create_dir_all(dir.join(below)).unwrap();
            fs::write(dir.join(below).join("x.rs"), "x").unwrap();
        }
        fs::write(dir.join("old.trace"), "x").unwrap();
        std::os::unix::fs::symlink(&dir, dir.join("a/loop")).unwrap();
        let found: Vec<PathBuf> = Files::below(&dir).collect();
        let empty = refuse_without_files(&dir.join("a/b/x.rs"));
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(found, [dir.join("a/b/x.rs")]);
        assert!(empty.unwrap_err().to_string().contains("--dir"));
    }
}
