//! Counts the events of a trace by kind: `cargo run --release -p tachograph-reader --example count -- FILE`.

use std::error::Error;
use std::fs::File;
use std::time::Instant;
use tachograph_reader::{End, Kind, Reader};

const NAMES: [&str; 7] = [
    "generations and the end",
    "CPU samples",
    "changes of state",
    "regions",
    "annotation tasks",
    "messages",
    "others",
];

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: count FILE")?;
    let began = Instant::now();
    let mut reader = Reader::new(File::open(path)?)?;
    let mut counts = [0u64; NAMES.len()];
    while let Some(event) = reader.next_event()? {
        let column = match event.kind() {
            Kind::Sync(_) => 0,
            Kind::Sample => 1,
            Kind::Transition(_) => 2,
            Kind::RegionBegin(_) => 3,
            Kind::TaskBegin(_) => 4,
            Kind::Log(_) => 5,
            _ => 6,
        };
        counts[column] += 1;
    }
    for (name, count) in NAMES.iter().zip(counts) {
        println!("{count:>12}  {name}");
    }
    let total: u64 = counts.iter().sum();
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{total:>12}  in {seconds:.3} s = {:.1} M/s",
        total as f64 / seconds / 1e6
    );
    if let Some(End::Truncated(lost)) = reader.end() {
        println!("{lost}");
    }
    Ok(())
}
