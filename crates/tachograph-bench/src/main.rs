//! Side-by-side measurements of the recorder and the reader; `docs/PERFORMANCE.md` says what they showed.
//!
//! Owns the command line and the exit code: 0 fine (a missed goal is printed, not an error: machines differ), 1 a judged run failed,
//! 2 usage or IO. Each subcommand is a room of its own, named after it.

mod args;
mod event;
mod failure;
mod machine;
mod measure;
mod read;
mod sample;
mod sink;
mod soak;
mod sys;
mod table;
mod threads;
mod tokio;
mod tracing;

use std::process::ExitCode;

use crate::args::Args;
use crate::failure::Failure;

const USAGE: &str = "\
usage: tachograph-bench COMMAND [OPTION VALUE]..
  event   [--rounds N]     cost of one event: ours, the reference loop, dial9 (feature `peers`), Go (on the PATH)
  sample  [--rounds N]     handler time of one CPU sample beyond signal delivery; pprof-rs (feature `peers`)
  threads [--rounds N]     events per second and CPU time per event from 1 to 16 threads
  tracing [--rounds N]     a span of `tracing` with our layer, beside the registry; tracing-chrome (feature `peers`)
  tokio   [--rounds N] [--only waits|http|memory|size]
                           tasks of Tokio: polls and wakes, a service under load, memory, trace size; dial9 (feature `peers`)
  soak    [--seconds N]    memory at full event rate; fails when it grows
  read    [--rounds N] [--parsed FILE] FILE..
                           reading traces: ours, Go (on the PATH); --parsed: their texts of all events, once
  read    --make DIR       makes two big traces (needs Go)";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("tachograph-bench: {failure}");
            failure.exit_code()
        }
    }
}

fn run() -> Result<(), Failure> {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    if command == "read" {
        return read::run(words);
    }
    if command == "tokio" {
        return tokio::run(words);
    }
    let args = Args::parse(words)?;
    match command.as_str() {
        "event" => event::run(&args),
        "sample" => sample::run(&args),
        "threads" => threads::run(&args),
        "tracing" => tracing::run(&args),
        "soak" => soak::run(&args),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(())
        }
        other => Err(Failure::Usage(format!("no command `{other}`\n{USAGE}"))),
    }
}
