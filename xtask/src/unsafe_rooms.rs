//! `cargo xtask unsafe`: unsafe code lives only in rooms that ARCHITECTURE.md lists, each with its reason.
//!
//! A line of the list `unsafe` reads ``- `path`: reason``; a path that ends in `/` stands for all files below it.
//! A file with unsafe code that is not listed fails; so does a line that no longer covers any, and a crate
//! without such files whose roots do not say `#![forbid(unsafe_code)]`.

use std::fs;
use std::path::Path;

use crate::cargo::root;
use crate::document::{self, FILE};
use crate::failure::Failure;
use crate::metadata::{Metadata, Package};
use crate::source::{has_word, rust_files};

/// Is no member of this workspace, but of this repository.
const OTHER_WORKSPACE: &str = "fuzz";

/// Compares the two; prints how many files there are.
pub fn run(_args: &[String]) -> Result<(), Failure> {
    let rooms = document::list("unsafe")?
        .iter()
        .map(|line| room(line))
        .collect::<Result<Vec<_>, _>>()?;
    let metadata = Metadata::load()?;
    let mut files = Vec::new();
    let mut findings = Vec::new();
    for package in metadata.members() {
        let of_package = files_with_unsafe(&package.folder)?;
        if of_package.is_empty() {
            findings.extend(roots_that_do_not_forbid(package)?);
        }
        files.extend(of_package);
    }
    files.extend(files_with_unsafe(&root().join(OTHER_WORKSPACE))?);
    findings.extend(unlisted(&files, &rooms));
    findings.extend(stale(&files, &rooms));
    Failure::unless_empty(
        &findings,
        &format!("the list is in {FILE}, between the `unsafe` markers"),
    )?;
    println!(
        "unsafe: {} files, {} lines in {FILE}",
        files.len(),
        rooms.len()
    );
    Ok(())
}

fn room(line: &str) -> Result<String, Failure> {
    let path = line.split('`').nth(1).filter(|path| !path.is_empty());
    path.map(str::to_owned)
        .ok_or_else(|| Failure::new(format!("{FILE}: `{line}`: wanted - `path`: reason")))
}

fn files_with_unsafe(folder: &Path) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    for path in rust_files(folder)? {
        if has_word(&read(&path)?, "unsafe") {
            found.push(relative(&path));
        }
    }
    Ok(found)
}

fn roots_that_do_not_forbid(package: &Package) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    for path in &package.roots {
        if !read(path)?.contains("#![forbid(unsafe_code)]") {
            found.push(format!(
                "{}: no unsafe code, so it should say #![forbid(unsafe_code)]",
                relative(path)
            ));
        }
    }
    Ok(found)
}

fn unlisted(files: &[String], rooms: &[String]) -> Vec<String> {
    let missing = files
        .iter()
        .filter(|file| !rooms.iter().any(|room| covers(room, file)));
    missing
        .map(|file| format!("{file}: unsafe code, not listed"))
        .collect()
}

fn stale(files: &[String], rooms: &[String]) -> Vec<String> {
    let empty = rooms
        .iter()
        .filter(|room| !files.iter().any(|file| covers(room, file)));
    empty
        .map(|room| format!("{room}: listed, but without unsafe code"))
        .collect()
}

fn covers(room: &str, file: &str) -> bool {
    if room.ends_with('/') {
        file.starts_with(room)
    } else {
        file == room
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(Failure::io("reading", path))
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn refuses_files_outside_the_list_and_lines_without_files() {
        let files = owned(&["a/src/x.rs", "a/src/y/z.rs", "b/src/x.rs"]);
        let rooms = owned(&["a/src/x.rs", "a/src/y/", "c/src/"]);
        assert_eq!(
            unlisted(&files, &rooms),
            ["b/src/x.rs: unsafe code, not listed"]
        );
        assert_eq!(
            stale(&files, &rooms),
            ["c/src/: listed, but without unsafe code"]
        );
    }

    #[test]
    fn reads_the_path_of_a_line() {
        assert_eq!(
            room("- `a/src/x.rs`: reads registers").unwrap(),
            "a/src/x.rs"
        );
        assert!(room("- a/src/x.rs").is_err());
    }
}
