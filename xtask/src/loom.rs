//! `cargo xtask loom`: the recorder's protocols, every interleaving that loom finds.
//!
//! The models are the files `tests/loom_*.rs` of the recorder. They are built with `--cfg loom` into a target
//! directory of their own, because that flag changes every crate. `LOOM_*` variables reach them.

use std::fs;

use crate::cargo::{cargo, root, run as run_command};
use crate::failure::Failure;
use crate::metadata::Metadata;

const CRATE: &str = "tachograph-recorder";

/// Runs all models; further arguments go to the test programs (a name picks models).
pub fn run(args: &[String]) -> Result<(), Failure> {
    let tests = root().join("crates").join(CRATE).join("tests");
    if count_models(&tests) == 0 {
        return Err(Failure::new(format!(
            "no loom_*.rs in {}: nothing was checked",
            tests.display()
        )));
    }
    let target = Metadata::load()?.target.join("loom");
    let mut command = cargo();
    command
        .args([
            "test",
            "--release",
            "--package",
            CRATE,
            "--test",
            "loom_*",
            "--",
        ])
        .args(args);
    run_command(
        command
            .env("CARGO_TARGET_DIR", target)
            .env("RUSTFLAGS", "--cfg loom"),
    )
}

fn count_models(tests: &std::path::Path) -> usize {
    let entries = fs::read_dir(tests).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names
        .filter(|name| name.starts_with("loom_") && name.ends_with(".rs"))
        .count()
}
