//! `dump FILE`: the items of a trace as lines on stdout, and on stderr how long that took.

use std::error::Error;
use std::fs::File;
use std::time::Instant;
use std::{env, io};
use tachograph_text::{WireReader, write_wire};

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("usage: dump FILE")?;
    let file = File::open(&path)?;
    let bytes = file.metadata()?.len();
    let start = Instant::now();
    write_wire(WireReader::new(file)?, io::stdout().lock())?;
    let seconds = start.elapsed().as_secs_f64();
    eprintln!("{:.3} s, {:.0} MB/s", seconds, bytes as f64 / seconds / 1e6);
    Ok(())
}
