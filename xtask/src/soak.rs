//! `cargo xtask soak [seconds]`: records at full event rate and watches the memory.
//!
//! The program is `soak` of `tachograph-e2e`; it prints its memory at start, middle and end, and judges it.

use crate::cargo::{cargo, root, run as run_command};
use crate::failure::Failure;

const DEFAULT_SECONDS: u64 = 60;

/// Builds and runs it.
pub fn run(args: &[String]) -> Result<(), Failure> {
    let seconds = match args {
        [] => DEFAULT_SECONDS,
        [seconds] => seconds
            .parse()
            .map_err(|_| Failure::new(format!("`{seconds}`: wanted a number of seconds")))?,
        _ => {
            return Err(Failure::new(
                "wanted one argument at most: the number of seconds",
            ));
        }
    };
    let program = root().join("crates/tachograph-e2e/src/bin/soak.rs");
    if !program.is_file() {
        return Err(Failure::new(format!(
            "no {}: nothing was run",
            program.display()
        )));
    }
    let package = [
        "run",
        "--release",
        "--package",
        "tachograph-e2e",
        "--bin",
        "soak",
        "--",
    ];
    run_command(
        cargo()
            .args(package)
            .arg("--seconds")
            .arg(seconds.to_string()),
    )
}
