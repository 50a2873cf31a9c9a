//! `tacho dump --format go` beside `go tool trace -d=parsed`, both into nothing.
//!
//! Each is run once: Go takes more than a second for a megabyte.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::process::{Cores, bound};
use crate::event::go::version;
use crate::failure::Failure;

/// How many times faster ours should be.
const GOAL: f64 = 20.0;

/// Measures and prints.
pub fn measure(file: &Path) -> Result<(), Failure> {
    let bytes = fs::read(file).map_err(Failure::io(file.display().to_string()))?;
    let megabytes = bytes.len() as f64 / 1e6;
    println!(
        "{}: {megabytes:.1} MB, texts of all events, one core",
        file.display()
    );
    let tacho = tacho()?;
    let ours = match &tacho {
        None => {
            println!(
                "tacho: not built beside this program: `cargo build --release -p tachograph-cli`"
            );
            None
        }
        Some(tacho) => {
            let mut dump = bound(Cores::One)?;
            dump.arg(tacho).args(["dump", "--format", "go"]).arg(file);
            Some(seconds(&mut dump, "tacho dump")?)
        }
    };
    let go = match version()? {
        None => None,
        Some(_) => {
            let mut dump = bound(Cores::One)?;
            dump.args(["go", "tool", "trace", "-d=parsed"]).arg(file);
            Some(seconds(&mut dump, "go tool trace")?)
        }
    };
    for (what, took) in [
        ("tacho dump --format go", ours),
        ("go tool trace -d=parsed", go),
    ] {
        if let Some(took) = took {
            println!("{what:24} {took:8.3} s  {:8.1} MB/s", megabytes / took);
        }
    }
    if let (Some(ours), Some(go)) = (ours, go) {
        let found = go / ours;
        let verdict = if found >= GOAL { "met" } else { "MISSED" };
        println!("goal: at least {GOAL} times faster: {found:.1}, {verdict}");
    }
    Ok(())
}

fn tacho() -> Result<Option<PathBuf>, Failure> {
    let here = std::env::current_exe().map_err(Failure::io("asking for this program's path"))?;
    let tacho = here.with_file_name("tacho");
    Ok(tacho.is_file().then_some(tacho))
}

fn seconds(command: &mut Command, what: &str) -> Result<f64, Failure> {
    let start = Instant::now();
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .map_err(Failure::io(what))?;
    let took = start.elapsed().as_secs_f64();
    match status.success() {
        true => Ok(took),
        false => Err(Failure::Judged(format!("{what}: {status}"))),
    }
}
