//! Builds the program that reads traces with Go's own code, once per toolchain.
//!
//! Owns a cache folder. Go's reader is `internal/trace` and its validator is a helper of that package's tests,
//! so neither can be imported. Both are copied out of the installed toolchain when they are first needed, given
//! import paths of a module of ours, and compiled together with `validator.go`. Called by `go`.
//!
//! # Protocol
//! 1. Only the holder of the lock file builds. Otherwise test processes that start together compile several times.
//! 2. The program appears under its name by a rename, complete. Otherwise a process that does not look at the
//!    lock could start half a program.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Go, GoError, capture, tame};

const MAIN: &str = include_str!("validator.go");
const MODULE: &str = "tachograph/validator";

/// Packages of Go's tree that the reader consists of, relative to `internal/trace`.
const PACKAGES: [&str; 4] = ["", "tracev2", "version", "internal/tracev1"];
/// The validator is this one file; the rest of its package serves other tests and needs more of Go's tree.
const VALIDATOR_FILE: &str = "testtrace/validation.go";

/// The validator of this toolchain, built if it is not there yet.
pub(super) fn ready(go: &Go) -> Result<PathBuf, GoError> {
    let dir = cache_root().join(key(go));
    let program = dir.join("validator");
    if program.is_file() {
        return Ok(program);
    }
    fs::create_dir_all(&dir).map_err(GoError::io(format!("creating {}", dir.display())))?;
    let _lock = lock(&dir.join("lock"))?;
    if !program.is_file() {
        build(go, &dir, &program)?;
    }
    Ok(program)
}

fn build(go: &Go, dir: &Path, program: &Path) -> Result<(), GoError> {
    let module = dir.join("source");
    if module.exists() {
        fs::remove_dir_all(&module)
            .map_err(GoError::io(format!("removing {}", module.display())))?;
    }
    let from = go.root.join("src/internal/trace");
    let to = module.join("trace");
    for package in PACKAGES {
        copy_package(&from.join(package), &to.join(package))?;
    }
    copy_source(&from.join(VALIDATOR_FILE), &to.join(VALIDATOR_FILE))?;
    write(
        &module.join("go.mod"),
        &format!("module {MODULE}\n\ngo 1.{}\n", super::OLDEST_MINOR),
    )?;
    write(&module.join("main.go"), MAIN)?;
    let mut compiler = tame(Command::new(&go.program));
    compiler
        .args(["build", "-o", "../validator.new", "."])
        .current_dir(&module);
    capture(&mut compiler, "go build of the validator")?;
    // Rule 2.
    fs::rename(dir.join("validator.new"), program)
        .map_err(GoError::io(format!("naming {}", program.display())))
}

fn copy_package(from: &Path, to: &Path) -> Result<(), GoError> {
    let reading = || GoError::io(format!("reading Go's own sources in {}", from.display()));
    for entry in fs::read_dir(from).map_err(reading())? {
        let path = entry.map_err(reading())?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.ends_with(".go") && !name.ends_with("_test.go") {
            copy_source(&path, &to.join(name))?;
        }
    }
    Ok(())
}

fn copy_source(from: &Path, to: &Path) -> Result<(), GoError> {
    let text =
        fs::read_to_string(from).map_err(GoError::io(format!("reading {}", from.display())))?;
    write(to, &rewrite_imports(&text))
}

/// `"internal/trace"` and what is below it become packages of our module.
fn rewrite_imports(source: &str) -> String {
    source
        .replace("\"internal/trace\"", &format!("\"{MODULE}/trace\""))
        .replace("\"internal/trace/", &format!("\"{MODULE}/trace/"))
}

fn write(path: &Path, text: &str) -> Result<(), GoError> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(GoError::io(format!("creating {}", parent.display())))?;
    fs::write(path, text).map_err(GoError::io(format!("writing {}", path.display())))
}

/// Held until the file is dropped.
fn lock(path: &Path) -> Result<File, GoError> {
    let locking = || GoError::io(format!("locking {}", path.display()));
    let file = File::create(path).map_err(locking())?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)
        .map_err(|e| locking()(e.into()))?;
    Ok(file)
}

/// Differs whenever the built program would: by toolchain, by where it is installed, by our own part.
fn key(go: &Go) -> String {
    let mut hasher = DefaultHasher::new();
    (MAIN, &go.root).hash(&mut hasher);
    format!("{}-{:016x}", go.version, hasher.finish())
}

/// In cargo's target directory if this program runs from one, so that `cargo clean` removes it; else where
/// the user's caches are.
fn cache_root() -> PathBuf {
    let executable = std::env::current_exe().ok();
    let target = executable.as_deref().and_then(cargo_target);
    let user = || std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let root = target
        .or_else(user)
        .or_else(home)
        .unwrap_or_else(std::env::temp_dir);
    root.join("tachograph-go")
}

/// Cargo marks its target directory as a cache by a tag file.
fn cargo_target(executable: &Path) -> Option<PathBuf> {
    executable
        .ancestors()
        .find(|dir| dir.join("CACHEDIR.TAG").is_file())
        .map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewrites_only_imports_of_the_trace_packages() {
        let source =
            "import (\n\t\"internal/trace\"\n\t\"internal/trace/version\"\n\t\"internal/poll\"\n)";
        let wanted = "import (\n\t\"tachograph/validator/trace\"\n\t\"tachograph/validator/trace/version\"\n\
                      \t\"internal/poll\"\n)";
        assert_eq!(rewrite_imports(source), wanted);
    }

    #[test]
    fn another_toolchain_gets_another_folder() {
        let go = |root: &str, version: &str| Go {
            program: "go".into(),
            root: root.into(),
            version: version.into(),
        };
        assert_ne!(key(&go("/a", "go1.27.3")), key(&go("/b", "go1.27.3")));
        assert_ne!(key(&go("/a", "go1.27.3")), key(&go("/a", "go1.27.4")));
        assert_eq!(key(&go("/a", "go1.27.3")), key(&go("/a", "go1.27.3")));
    }
}
