//! `cargo xtask tsan` and `cargo xtask asan`: the recorder's tests under LLVM's sanitizers.
//!
//! The compiler of the stable toolchain has them behind `RUSTC_BOOTSTRAP`. The standard library is not
//! instrumented, so ThreadSanitizer does not see what orders some of its accesses; those reports are
//! suppressed by name in `tsan.supp`, beside this folder, each with its reason. Code under test can see
//! `cfg(tachograph_sanitizer)`.

use crate::cargo::{cargo, host, root, run as run_command};
use crate::failure::Failure;
use crate::metadata::Metadata;

const CRATE: &str = "tachograph-recorder";

struct Sanitizer {
    /// As `-Zsanitizer` wants it.
    name: &'static str,
    options_variable: &'static str,
    options: String,
}

/// Data races.
pub fn thread(args: &[String]) -> Result<(), Failure> {
    let suppressions = root().join("xtask/tsan.supp");
    let options = format!(
        "suppressions={} halt_on_error=0 second_deadlock_stack=1",
        suppressions.display()
    );
    test(
        &Sanitizer {
            name: "thread",
            options_variable: "TSAN_OPTIONS",
            options,
        },
        args,
    )
}

/// Use after free, out of bounds, leaks.
pub fn address(args: &[String]) -> Result<(), Failure> {
    let options = "detect_stack_use_after_return=1".to_owned();
    test(
        &Sanitizer {
            name: "address",
            options_variable: "ASAN_OPTIONS",
            options,
        },
        args,
    )
}

/// `--short` leaves out everything but the unit tests; other arguments go to the test programs.
fn test(sanitizer: &Sanitizer, args: &[String]) -> Result<(), Failure> {
    let short = args.iter().any(|arg| arg == "--short");
    let rest = args.iter().filter(|arg| *arg != "--short");
    let flags = format!(
        "-Zsanitizer={} -Cunsafe-allow-abi-mismatch=sanitizer --cfg tachograph_sanitizer",
        sanitizer.name
    );
    let target = Metadata::load()?.target.join(sanitizer.name);
    let mut command = cargo();
    // Naming the target keeps the flags away from build scripts, which run uninstrumented.
    command.args(["test", "--package", CRATE, "--target", &host()?, "--lib"]);
    command
        .args((!short).then_some("--tests"))
        .arg("--")
        .args(rest);
    command
        .env("CARGO_TARGET_DIR", target)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", flags);
    run_command(command.env(sanitizer.options_variable, &sanitizer.options))
}
