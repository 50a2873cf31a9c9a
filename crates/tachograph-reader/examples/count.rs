//! Counts the events of a trace by kind: `cargo run --release -p tachograph-reader --example count -- FILE`.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::time::Instant;
use tachograph_reader::{End, Kind, Reader};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: count FILE")?;
    let began = Instant::now();
    let mut reader = Reader::new(File::open(path)?)?;
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    while let Some(event) = reader.next_event()? {
        let name = match event.kind() {
            Kind::Sync(_) => "generations and the end",
            Kind::Sample => "CPU samples",
            Kind::Transition(_) => "changes of state",
            Kind::RegionBegin(_) => "regions",
            Kind::TaskBegin(_) => "annotation tasks",
            Kind::Log(_) => "messages",
            _ => "others",
        };
        *counts.entry(name).or_default() += 1;
    }
    for (name, count) in &counts {
        println!("{count:>12}  {name}");
    }
    let total: u64 = counts.values().sum();
    let seconds = began.elapsed().as_secs_f64();
    println!("{total:>12}  in {seconds:.3} s = {:.1} M/s", total as f64 / seconds / 1e6);
    if let Some(End::Truncated(lost)) = reader.end() {
        println!("{lost}");
    }
    Ok(())
}
