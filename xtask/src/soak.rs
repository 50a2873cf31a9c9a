//! `cargo xtask soak [seconds]`: records at full event rate and watches the memory.
//!
//! The program is `soak` of `tachograph-bench`; it prints its memory at start, middle and end, and judges it.

use crate::cargo::{cargo, run as run_command};
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
    let package = ["run", "--release", "--package", "tachograph-bench", "--"];
    run_command(
        cargo()
            .args(package)
            .args(["soak", "--seconds"])
            .arg(seconds.to_string()),
    )
}
