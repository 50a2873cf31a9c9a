//! Figures that stay on the screen when a test passes, and the switch for the long runs.

use std::io::Write;

/// Set (to anything but `0`) for the runs that take minutes.
pub const LONG_VARIABLE: &str = "TACHOGRAPH_LONG";

/// Whether the long runs are wanted.
pub fn is_long() -> bool {
    std::env::var_os(LONG_VARIABLE).is_some_and(|value| value != "0")
}

/// Prints a line that the test harness does not swallow.
pub fn say(line: impl AsRef<str>) {
    let line = format!("{}\n", line.as_ref());
    // A figure that nobody can see is no reason to fail.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
