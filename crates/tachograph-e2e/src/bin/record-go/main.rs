//! `record-go OUTDIR [--size small|large] [NAME..]`: runs Go programs, keeps their traces and what Go prints for them.
//!
//! Owns the command line. For each program of `programs`, and for each older header version that it is rewritten to, three files appear
//! in OUTDIR: `NAME.trace.zst`, `NAME.parsed.zst` (`go tool trace -d=parsed`) and `NAME.wire.zst` (`-d=wire`). Exit 0: all are there, or
//! were skipped with a message; 2: usage, files, or no Go.

#![forbid(unsafe_code)]

mod older;
mod programs;
mod toolchain;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tachograph_wire::Version;

use programs::{PROGRAMS, Program, Size};
use toolchain::{Failure, Toolchain};

const USAGE: &str = "\
usage: record-go OUTDIR [--size small|large] [NAME..]
Runs Go programs, keeps their traces and what `go tool trace` prints for them.
  --size    small: 20-80 KB, what testdata/go holds (default); large: some megabytes";

/// The command line, taken apart.
struct Wish {
    folder: PathBuf,
    size: Size,
    programs: Vec<&'static Program>,
}

fn main() -> ExitCode {
    let wish = match parse(std::env::args().skip(1)) {
        Ok(Some(wish)) => wish,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(complaint) => {
            eprintln!("record-go: {complaint}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&wish) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("record-go: {failure}");
            ExitCode::from(2)
        }
    }
}

/// `None` if help is wanted.
fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Wish>, String> {
    let (mut folder, mut size, mut programs) = (None, Size::Small, Vec::new());
    while let Some(word) = words.next() {
        match word.as_str() {
            "-h" | "--help" => return Ok(None),
            "--size" => {
                size = match words.next().as_deref() {
                    Some("small") => Size::Small,
                    Some("large") => Size::Large,
                    other => return Err(format!("--size {other:?}: wanted small or large")),
                }
            }
            _ if folder.is_none() => folder = Some(PathBuf::from(word)),
            name => programs.push(
                programs::named(name).ok_or_else(|| format!("no program is called `{name}`"))?,
            ),
        }
    }
    if programs.is_empty() {
        programs = PROGRAMS.iter().collect();
    }
    let folder = folder.ok_or("where to?")?;
    Ok(Some(Wish {
        folder,
        size,
        programs,
    }))
}

fn run(wish: &Wish) -> Result<(), Failure> {
    let go = Toolchain::find()?;
    fs::create_dir_all(&wish.folder).map_err(Failure::io(&wish.folder))?;
    let work = Work::new()?;
    for program in &wish.programs {
        if program.needs_c && !go.has_c() {
            eprintln!("skipped: no C compiler ({})", program.name);
            continue;
        }
        let trace = work.0.join(format!("{}.trace", program.name));
        let binary = work.0.join(program.name);
        go.build(&programs::source_files(program), &binary)?;
        toolchain::run(&binary, &trace, program, wish.size)?;
        keep(&go, &wish.folder, program.name, &trace)?;
        if wish.size == Size::Small {
            for &version in program.older {
                let name = format!("{}-as-1.{}", program.name, version.minor());
                let older = work.0.join(format!("{name}.trace"));
                rewrite(&trace, &older, version)?;
                keep(&go, &wish.folder, &name, &older)?;
            }
        }
    }
    Ok(())
}

fn rewrite(from: &Path, to: &Path, version: Version) -> Result<(), Failure> {
    let bytes = fs::read(from).map_err(Failure::io(from))?;
    let older = older::rewrite(&bytes, version).map_err(|complaint| Failure::Rewrite {
        path: from.to_owned(),
        complaint,
    })?;
    fs::write(to, older).map_err(Failure::io(to))
}

/// Compresses the trace and what Go prints for it into `folder`.
fn keep(go: &Toolchain, folder: &Path, name: &str, trace: &Path) -> Result<(), Failure> {
    let bytes = fs::read(trace).map_err(Failure::io(trace))?;
    let parsed = go.texts("parsed", trace)?;
    // What is compared line by line must be the same every time.
    if parsed != go.texts("parsed", trace)? {
        return Err(Failure::Fickle {
            path: trace.to_owned(),
        });
    }
    let wire = go.texts("wire", trace)?;
    let sizes = [bytes.len(), parsed.len(), wire.len()];
    for (form, bytes) in [("trace", bytes), ("parsed", parsed), ("wire", wire)] {
        let path = folder.join(format!("{name}.{form}.zst"));
        let packed = zstd::encode_all(&bytes[..], LEVEL).map_err(Failure::io(&path))?;
        fs::write(&path, packed).map_err(Failure::io(&path))?;
    }
    let [trace, parsed, wire] = sizes;
    println!("{name}: {trace} bytes of trace, {parsed} parsed, {wire} as wire");
    Ok(())
}

/// The texts repeat themselves, and are kept for long.
const LEVEL: i32 = 19;

/// A folder that goes when the program does.
struct Work(PathBuf);

impl Work {
    fn new() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("record-go-{}", std::process::id()));
        fs::create_dir_all(&path).map_err(Failure::io(&path))?;
        Ok(Self(path))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // What stays behind is in the system's own temporary folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(words: &str) -> Result<Option<Wish>, String> {
        parse(words.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn takes_all_programs_or_the_named_ones() {
        let all = wish("out").unwrap().unwrap();
        assert_eq!(all.programs.len(), PROGRAMS.len());
        let one = wish("out --size large gc").unwrap().unwrap();
        assert_eq!(one.programs[0].name, "gc");
        assert!(one.size == Size::Large && one.programs.len() == 1);
    }

    #[test]
    fn refuses_unknown_names_and_sizes() {
        assert!(wish("out nothing").is_err());
        assert!(wish("out --size huge").is_err());
        assert!(wish("").is_err());
    }
}
