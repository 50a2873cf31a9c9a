//! `cargo xtask CMD`: the checks of this repository that are longer than one cargo command.
//!
//! Owns the list of commands; each lives in a file of its own. Exit 0: fine, 1: the check failed, 2: usage.

#![forbid(unsafe_code)]

mod cargo;
mod document;
mod failure;
mod fuzz;
mod layers;
mod loom;
mod metadata;
mod msrv;
mod sanitize;
mod soak;
mod source;
mod unsafe_rooms;
mod weight;

use std::process::ExitCode;

use failure::Failure;

/// A command: its name, what it needs to be told, what it does.
struct Task {
    name: &'static str,
    about: &'static str,
    run: fn(&[String]) -> Result<(), Failure>,
}

const TASKS: [Task; 9] = [
    Task {
        name: "layers",
        about: "which crate uses which, against ARCHITECTURE.md",
        run: layers::run,
    },
    Task {
        name: "unsafe",
        about: "which files hold unsafe code, against ARCHITECTURE.md",
        run: unsafe_rooms::run,
    },
    Task {
        name: "msrv",
        about: "what we depend on builds with our rust-version",
        run: msrv::run,
    },
    Task {
        name: "weight",
        about: "crates and build time that the facade adds to a program",
        run: weight::run,
    },
    Task {
        name: "loom",
        about: "models of the recorder's protocols [test arguments]",
        run: loom::run,
    },
    Task {
        name: "tsan",
        about: "recorder tests under ThreadSanitizer [--short] [test arguments]",
        run: sanitize::thread,
    },
    Task {
        name: "asan",
        about: "recorder tests under AddressSanitizer [--short] [test arguments]",
        run: sanitize::address,
    },
    Task {
        name: "soak",
        about: "records at full rate and watches memory [seconds, default 60]",
        run: soak::run,
    },
    Task {
        name: "fuzz",
        about: "readers before bytes that nobody wrote [seconds for each target, default 60]",
        run: fuzz::run,
    },
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let task = args
        .first()
        .and_then(|name| TASKS.iter().find(|task| task.name == name));
    let Some(task) = task else {
        usage();
        return ExitCode::from(2);
    };
    match (task.run)(&args[1..]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask {}: {failure}", task.name);
            ExitCode::FAILURE
        }
    }
}

fn usage() {
    eprintln!("usage: cargo xtask COMMAND");
    for task in TASKS {
        eprintln!("  {:8}{}", task.name, task.about);
    }
}
