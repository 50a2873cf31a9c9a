//! `read`: ordered events per second, bytes per second, allocations and memory of the reader, beside Go's reader on the same files.
//!
//! Every measurement is a process of its own, bound to one or two cores, so that its peak of memory is its own; in a round all take turns.
//! Times are taken inside of the process, around the reading; the file is in the page cache.

mod go;
mod job;
mod options;
mod process;
mod texts;
mod view;

use std::fs;
use std::path::Path;

use crate::failure::Failure;
use crate::machine;
use job::Job;
use options::{Options, Wish};
use process::Cores;
use view::Line;

/// Measures and prints; or makes traces; or, in a process of its own, does one job.
pub fn run(words: impl Iterator<Item = String>) -> Result<(), Failure> {
    match options::parse(words)? {
        Wish::Measure(options) => measure(&options),
        Wish::Make { folder } => go::make_traces(&folder),
        Wish::Job { job, file } => job.run(&file),
        Wish::Bound { cores, command } => process::become_bound(cores, &command),
    }
}

fn measure(options: &Options) -> Result<(), Failure> {
    machine::print();
    let go = go::reader()?;
    if go.is_none() {
        println!("Go: skipped: no Go on the PATH");
    }
    for file in &options.files {
        println!();
        let lines = measure_file(file, options.rounds, go.as_deref())?;
        view::print(file, &lines);
    }
    if let Some(file) = &options.texts {
        println!();
        texts::measure(file)?;
    }
    Ok(())
}

fn measure_file(file: &Path, rounds: u64, go: Option<&Path>) -> Result<Vec<Line>, Failure> {
    // Also brings it into the page cache.
    let bytes = fs::read(file).map_err(Failure::io(file.display().to_string()))?;
    let bytes = bytes.len() as u64;
    let mut lines: Vec<Line> = Job::ALL
        .iter()
        .flat_map(|&job| job.cores().iter().map(move |&cores| (job, cores)))
        .map(|(job, cores)| Line::new(Some(job), cores, bytes))
        .collect();
    if go.is_some() {
        lines.extend([Cores::One, Cores::Two].map(|cores| Line::new(None, cores, bytes)));
    }
    for _ in 0..rounds {
        for line in &mut lines {
            let outcome = match (line.job, go) {
                (Some(job), _) => process::run_job(job, line.cores, file)?,
                (None, Some(go)) => process::run_go(go, line.cores, file)?,
                (None, None) => continue,
            };
            line.add(outcome);
        }
    }
    Ok(lines)
}
