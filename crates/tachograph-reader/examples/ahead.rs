//! Counts the events of a trace with loading and ordering on other threads: `cargo run --release -p tachograph-reader --example ahead -- FILE`.

use std::error::Error;
use std::fs::File;
use std::time::Instant;
use tachograph_reader::{Ahead, Kind};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: ahead FILE")?;
    let began = Instant::now();
    let mut reader = Ahead::new(File::open(path)?)?;
    let (mut total, mut transitions) = (0u64, 0u64);
    while let Some(event) = reader.next_event()? {
        total += 1;
        transitions += u64::from(matches!(event.kind(), Kind::Transition(_)));
    }
    let seconds = began.elapsed().as_secs_f64();
    let rate = total as f64 / seconds / 1e6;
    println!("{total} events, {transitions} changes of state, in {seconds:.3} s = {rate:.1} M/s");
    Ok(())
}
