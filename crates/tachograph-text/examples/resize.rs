//! `resize FILE..`: fills in the sizes of batches in golden files and text traces, in place.

use std::error::Error;
use std::{env, fs};
use tachograph_text::{Golden, resize};

fn main() -> Result<(), Box<dyn Error>> {
    for path in env::args().skip(1) {
        let text = fs::read_to_string(&path)?;
        let resized = if Golden::is_golden(text.as_bytes()) {
            let mut golden = Golden::parse(text.as_bytes()).map_err(|e| format!("{path}: {e}"))?;
            if !golden.trace.is_empty() {
                golden.trace = resize(&golden.trace)?;
            }
            golden.to_string()
        } else {
            resize(&text).map_err(|error| format!("{path}: {error}"))?
        };
        if resized != text {
            fs::write(&path, resized)?;
            println!("{path}");
        }
    }
    Ok(())
}
