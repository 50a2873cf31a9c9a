//! The traces of `testdata/`.

use std::fs;
use std::path::{Path, PathBuf};

use tachograph_text::Golden;
use tachograph_text::golden::load_dir;

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata")
}

/// Golden files with their names and traces.
pub fn goldens() -> Vec<(String, Golden, Vec<u8>)> {
    let goldens = load_dir(&testdata().join("golden")).unwrap_or_else(|error| panic!("{error}"));
    assert!(goldens.len() > 100, "{} goldens", goldens.len());
    let with_trace = goldens.into_iter().map(|(name, golden)| {
        let trace = golden.to_trace().expect("loaded goldens can be encoded");
        (name, golden, trace)
    });
    with_trace.collect()
}

/// What Go programs recorded, by name.
pub fn of_programs() -> Vec<(String, Vec<u8>)> {
    let mut traces = Vec::new();
    for entry in fs::read_dir(testdata().join("go")).expect("testdata/go is there") {
        let path = entry.expect("testdata/go can be listed").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some(name) = name.strip_suffix(".trace.zst") else {
            continue;
        };
        let packed = fs::File::open(&path).expect("a listed file opens");
        let trace = zstd::decode_all(packed).expect("packed by record-go");
        traces.push((name.to_owned(), trace));
    }
    traces.sort();
    assert!(traces.len() > 10, "{} traces of programs", traces.len());
    traces
}
