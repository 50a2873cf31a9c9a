//! `seeds FOLDER`: writes what the fuzzer starts with, made of the golden files.

#![forbid(unsafe_code)]

use std::error::Error;
use std::fs;
use std::path::Path;

use tachograph_text::golden::load_dir;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: seeds FOLDER")?;
    let folder = Path::new(&folder);
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/golden");
    for target in ["bytes", "text", "structured"] {
        fs::create_dir_all(folder.join(target))?;
    }
    for (name, golden) in load_dir(&goldens)? {
        let trace = golden.to_trace()?;
        fs::write(folder.join("text").join(&name), &golden.trace)?;
        // As choices, the bytes of a trace are as good as any.
        for target in ["bytes", "structured"] {
            fs::write(folder.join(target).join(&name), &trace)?;
        }
    }
    Ok(())
}
