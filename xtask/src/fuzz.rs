//! `cargo xtask fuzz [seconds]`: gives each fuzz target that long, from seeds made of the golden files.
//!
//! The targets are `fuzz/`, a workspace of its own; libFuzzer is built from its crate. The compiler's coverage counters need no nightly: the
//! pass is part of stable LLVM. What was found stays in the target folder and is tried first the next time; an input that fails is kept, too,
//! and libFuzzer says where.

use std::fs;
use std::process::Command;

use crate::cargo::{cargo, host, root, run as run_command};
use crate::failure::Failure;
use crate::metadata::Metadata;

const TARGETS: [&str; 3] = ["bytes", "text", "structured"];
const DEFAULT_SECONDS: u64 = 60;

/// As `cargo fuzz` has them.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing";

/// Longer inputs reach nothing that shorter ones don't, and take their time.
const MOST_BYTES: usize = 8192;
/// An input that takes longer, in seconds, is a failure.
const SLOW_SECONDS: u64 = 10;

/// Builds and runs them, one after the other.
pub fn run(args: &[String]) -> Result<(), Failure> {
    let seconds = match args {
        [] => DEFAULT_SECONDS,
        [seconds] => seconds
            .parse()
            .map_err(|_| Failure::new(format!("`{seconds}`: wanted a number of seconds")))?,
        _ => {
            return Err(Failure::new(
                "wanted one argument at most: the number of seconds for each target",
            ));
        }
    };
    let (host, target) = (host()?, Metadata::load()?.target.join("fuzz"));
    let manifest = root().join("fuzz/Cargo.toml");
    let mut build = cargo();
    // Naming the target keeps the flags away from build scripts.
    build.args(["build", "--release", "--bins", "--target", &host]);
    build.arg("--manifest-path").arg(&manifest);
    build
        .env("CARGO_TARGET_DIR", &target)
        .env("RUSTFLAGS", COVERAGE);
    run_command(&mut build)?;
    let programs = target.join(&host).join("release");
    let (seeds, found) = (target.join("seeds"), target.join("found"));
    let mut seeding = cargo();
    seeding.args(["run", "--quiet", "--package", "tachograph-fuzz-seeds"]);
    seeding.arg("--manifest-path").arg(&manifest);
    run_command(seeding.arg("--").arg(&seeds))?;
    for name in TARGETS {
        let corpus = found.join(name);
        fs::create_dir_all(&corpus)
            .map_err(|e| Failure::new(format!("{}: {e}", corpus.display())))?;
        let mut fuzzer = Command::new(programs.join(name));
        fuzzer.arg(&corpus).arg(seeds.join(name));
        fuzzer.arg(format!("-artifact_prefix={}/failed-", corpus.display()));
        for (option, value) in [
            ("max_total_time", seconds),
            ("max_len", MOST_BYTES as u64),
            ("timeout", SLOW_SECONDS),
            ("print_final_stats", 1),
        ] {
            fuzzer.arg(format!("-{option}={value}"));
        }
        println!("{name}: {seconds} s");
        run_command(&mut fuzzer)?;
    }
    Ok(())
}
