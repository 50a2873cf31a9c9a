//! `cargo xtask weight`: what a program pays for adding the facade, in crates and in build time.
//!
//! Makes a program with one dependency, the facade with its default features, in the target directory, counts
//! what `cargo tree` shows, and times a release build that starts from nothing. Downloads are not timed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::cargo::{capture, cargo, root, run as run_command};
use crate::failure::Failure;
use crate::metadata::Metadata;

const MOST_CRATES: usize = 25;
/// Goal on 2 cores with nothing else running; printed, not enforced, because machines differ.
const GOAL: Duration = Duration::from_secs(15);
const PROGRAM: &str = "weighed";

/// Prints the numbers; fails above [`MOST_CRATES`].
pub fn run(_args: &[String]) -> Result<(), Failure> {
    let folder = Metadata::load()?.target.join("weight");
    remove(&folder)?;
    let manifest = write_program(&folder)?;
    run_command(with(cargo().args(["fetch", "--quiet"]), &manifest))?;
    let crates = count_crates(&manifest)?;
    println!(
        "weight: {} crates (at most {MOST_CRATES}): {}",
        crates.len(),
        names(&crates)
    );

    let start = Instant::now();
    let mut build = cargo();
    build
        .args(["build", "--release", "--quiet"])
        .env("CARGO_TARGET_DIR", folder.join("target"));
    run_command(with(&mut build, &manifest))?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (took, goal) = (start.elapsed().as_secs_f64(), GOAL.as_secs());
    println!(
        "weight: {took:.1} s for a cold release build on {cores} cores (goal: {goal} s on 2 idle ones)"
    );

    remove(&folder)?;
    if crates.len() > MOST_CRATES {
        return Err(Failure::new(format!(
            "{} crates, wanted at most {MOST_CRATES}",
            crates.len()
        )));
    }
    Ok(())
}

/// A program of its own, outside our workspace, with the versions of our Cargo.lock.
fn write_program(folder: &Path) -> Result<PathBuf, Failure> {
    let facade = root().join("crates/tachograph");
    let manifest = folder.join("Cargo.toml");
    let text = format!(
        "[package]\nname = \"{PROGRAM}\"\nedition = \"2024\"\n\n[dependencies]\ntachograph.path = {:?}\n\n[workspace]\n",
        facade.display().to_string()
    );
    let source = folder.join("src");
    fs::create_dir_all(&source).map_err(Failure::io("creating", &source))?;
    fs::write(&manifest, text).map_err(Failure::io("writing", &manifest))?;
    let main = source.join("main.rs");
    fs::write(&main, "use tachograph as _;\n\nfn main() {}\n")
        .map_err(Failure::io("writing", &main))?;
    let lock = root().join("Cargo.lock");
    fs::copy(&lock, folder.join("Cargo.lock")).map_err(Failure::io("copying", &lock))?;
    Ok(manifest)
}

/// Everything that has to be compiled, build scripts' and macros' needs included, the program itself not.
fn count_crates(manifest: &Path) -> Result<BTreeSet<String>, Failure> {
    let mut tree = cargo();
    tree.args([
        "tree",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--no-dedupe",
        "--format",
        "{p}",
    ]);
    Ok(crates_in(&capture(with(&mut tree, manifest))?))
}

fn crates_in(tree: &str) -> BTreeSet<String> {
    let packages = tree.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some(format!("{} {}", words.next()?, words.next()?))
    });
    packages
        .filter(|package| !package.starts_with(&format!("{PROGRAM} ")))
        .collect()
}

fn names(crates: &BTreeSet<String>) -> String {
    crates
        .iter()
        .filter_map(|package| package.split(' ').next())
        .collect::<Vec<_>>()
        .join(", ")
}

fn with<'a>(command: &'a mut Command, manifest: &Path) -> &'a mut Command {
    command.arg("--manifest-path").arg(manifest)
}

fn remove(folder: &Path) -> Result<(), Failure> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(Failure::io("removing", folder))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_every_version_once_and_not_the_program() {
        let tree =
            "weighed v0.0.0 (/t)\nlibc v0.2.1\ngimli v0.33.0\n\ngimli v0.34.0\nlibc v0.2.1\n";
        let crates = crates_in(tree);
        assert_eq!(crates.len(), 3);
        assert_eq!(names(&crates), "gimli, gimli, libc");
    }
}
