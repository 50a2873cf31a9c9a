//! `tokio`: what tracing Tokio costs, beside Tokio alone and beside dial9.
//!
//! Owns the command line and the order of the parts, each a room of its own: `waits` times polls and wakes, `http` a service under load,
//! `memory` weighs tasks, `size` traces. `lane` is a runtime under one of the recorders. All variants of a part take turns in short
//! rounds, and differences are taken within a round.
//!
//! dial9's hooks for tasks need `--cfg tokio_unstable`, and the goal for stacks is about a build with frame pointers:
//! `RUSTFLAGS="--cfg tokio_unstable -Cforce-frame-pointers=yes" cargo run --release -p tachograph-bench --features peers -- tokio`.
//! Without the one, tasks that `tokio::spawn` spawned are unknown to dial9; without the other, stacks are walked by tables.

mod counts;
#[cfg(feature = "peers")]
mod dial9;
mod http;
mod lane;
mod memory;
mod size;
mod waits;

use tachograph_unwind::{Snapshot, loaded_modules, self_test};

use crate::args::Args;
use crate::failure::Failure;
use crate::machine;

/// The parts, by name.
const PARTS: [&str; 4] = ["waits", "http", "memory", "size"];

/// Measures and prints.
pub fn run(words: impl Iterator<Item = String>) -> Result<(), Failure> {
    let (only, words) = take_only(words)?;
    let args = Args::parse(words.into_iter())?;
    let rounds = args.only("--rounds", 0)?;
    let rounds = (rounds > 0).then_some(rounds);
    machine::print();
    let frame_pointers = has_frame_pointers();
    println!(
        "frame pointers: {}; tokio's unstable hooks: {}; dial9: {}",
        match frame_pointers {
            true => "in use",
            false => "none in this build, stacks are walked by tables",
        },
        match cfg!(tokio_unstable) {
            true => "there",
            false => "none",
        },
        match cfg!(feature = "peers") {
            true => "0.5.7",
            false => "not built: add `--features peers` after `-p tachograph-bench`",
        },
    );
    for part in PARTS {
        if only.as_deref().is_some_and(|only| only != part) {
            continue;
        }
        println!();
        match part {
            "waits" => waits::run(rounds, frame_pointers)?,
            "http" => http::run(rounds)?,
            "memory" => memory::run(rounds)?,
            _ => size::run()?,
        }
    }
    Ok(())
}

/// The part behind `--only`, and the other words.
fn take_only(
    words: impl Iterator<Item = String>,
) -> Result<(Option<String>, Vec<String>), Failure> {
    let mut words: Vec<String> = words.collect();
    let Some(at) = words.iter().position(|word| word == "--only") else {
        return Ok((None, words));
    };
    let name = words.drain(at..words.len().min(at + 2)).nth(1);
    match name {
        Some(name) if PARTS.contains(&name.as_str()) => Ok((Some(name), words)),
        _ => Err(Failure::Usage(format!(
            "`--only`: wanted one of {} after it",
            PARTS.join(", ")
        ))),
    }
}

/// As the recorder finds out.
fn has_frame_pointers() -> bool {
    self_test(&Snapshot::build(&loaded_modules(), 1)).frame_pointers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(words: &str) -> Result<(Option<String>, Vec<String>), Failure> {
        take_only(words.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn takes_the_part_out_of_the_words() {
        let (part, rest) = only("--rounds 3 --only http").unwrap();
        assert_eq!((part.as_deref(), rest.len()), (Some("http"), 2));
        assert_eq!(only("--rounds 3").unwrap().0, None);
    }

    #[test]
    fn refuses_parts_that_there_are_not() {
        assert!(only("--only").is_err());
        assert!(only("--only nothing").is_err());
    }
}
