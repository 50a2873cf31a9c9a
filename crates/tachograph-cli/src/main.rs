//! The `tacho` command: checks, prints and counts what is in a trace, records a demonstration.
//!
//! Owns the command line and the exit code. Each subcommand is a room of its own, named after it.
#![forbid(unsafe_code)]

mod check;
mod demo;
mod dump;
mod events;
mod failure;
mod input;
mod outcome;
mod progress;
mod stats;
mod stdout;
mod table;
mod units;

use clap::{Parser, Subcommand};
use outcome::Outcome;
use std::process::ExitCode;

/// Records and reads execution traces.
///
/// Exit status: 0 all well, 1 the trace is invalid, 2 usage or input/output.
#[derive(Parser)]
#[command(name = "tacho", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(check::Args),
    Dump(dump::Args),
    Demo(demo::Args),
    Stats(stats::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Check(args) => check::run(&args),
        Command::Dump(args) => dump::run(&args),
        Command::Demo(args) => demo::run(args),
        Command::Stats(args) => stats::run(&args),
    };
    Outcome::of(result).exit_code()
}
