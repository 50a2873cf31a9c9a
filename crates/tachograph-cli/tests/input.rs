//! What may be on a file: the same trace, compressed or as text, is the same trace.

mod common;

use common::{Scratch, run, run_with, text, trace};
use flate2::Compression;
use flate2::write::GzEncoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::io::Write;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

/// What is printed, and the exit status.
fn checked(bytes: &[u8]) -> (String, Option<i32>) {
    let output = run_with(&["check", "-"], bytes);
    (text(&output.stdout), output.status.code())
}

#[test]
fn packing_is_told_by_content_and_undone() {
    let trace = trace(50);
    let (first, second) = trace.split_at(trace.len() / 2);
    let skippable = [
        &[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3][..],
        &zstd(&trace),
    ]
    .concat();
    let forms = [
        ("gzip", gzip(&trace)),
        ("gzip in two members", [gzip(first), gzip(second)].concat()),
        ("zstd", zstd(&trace)),
        ("zstd in two frames", [zstd(first), zstd(second)].concat()),
        ("zstd behind what is to be skipped", skippable),
        (
            "text",
            tachograph_text::decode(&trace).unwrap().into_bytes(),
        ),
        (
            "text in gzip",
            gzip(tachograph_text::decode(&trace).unwrap().as_bytes()),
        ),
    ];
    let wanted = checked(&trace);
    assert_eq!(wanted.1, Some(0), "{}", wanted.0);
    let stats = run_with(&["stats", "--json", "-"], &trace).stdout;
    let dump = run_with(&["dump", "--format", "go", "-"], &trace).stdout;
    for (name, bytes) in &forms {
        assert_eq!(checked(bytes), wanted, "{name}");
        assert!(
            run_with(&["stats", "--json", "-"], bytes).stdout == stats,
            "{name}"
        );
        assert!(
            run_with(&["dump", "--format", "go", "-"], bytes).stdout == dump,
            "{name}"
        );
    }
}

#[test]
fn names_of_files_say_nothing() {
    let scratch = Scratch::new("input-names");
    let path = scratch.path("plain.gz");
    std::fs::write(&path, trace(1)).unwrap();
    assert_eq!(run(&["check", &path]).status.code(), Some(0));
    std::fs::write(&path, zstd(&trace(1))).unwrap();
    assert_eq!(run(&["check", &path]).status.code(), Some(0));
}

#[test]
fn packed_data_that_ends_early_is_1_and_read_as_far_as_it_goes() {
    let trace = trace(3000);
    for (name, packed) in [("gzip", gzip(&trace)), ("zstd", zstd(&trace))] {
        let cut = &packed[..packed.len() * 3 / 4];
        let (shown, code) = checked(cut);
        assert_eq!(code, Some(1), "{name}: {shown}");
        let wanted = format!("-: {name} data: the bytes end before the data; ");
        assert!(
            shown.starts_with(&wanted) && shown.contains("truncated"),
            "{shown}"
        );
        let dump = run_with(&["dump", "--kind", "region", "-"], cut);
        assert_eq!(dump.status.code(), Some(1), "{name}");
        assert!(text(&dump.stdout).lines().count() > 1000, "{name}");
        let stats = run_with(&["stats", "-"], cut);
        assert_eq!(stats.status.code(), Some(1), "{name}");
    }
}

#[test]
fn packed_data_that_is_broken_is_1_and_says_so() {
    let trace = trace(100);
    for (name, mut packed) in [("gzip", gzip(&trace)), ("zstd", zstd(&trace))] {
        let middle = packed.len() / 2;
        packed[middle..middle + 8].fill(0xff);
        let (shown, code) = checked(&packed);
        assert_eq!(code, Some(1), "{name}: {shown}");
        let wanted = format!("-: {name} data: it is broken: ");
        assert!(shown.starts_with(&wanted), "{shown}");
        assert!(!shown.contains('{') && !shown.contains("Error"), "{shown}");
    }
}

#[test]
fn wrong_checksums_are_1_whether_the_trace_broke_or_not() {
    let mut broken = trace(3000);
    let whole = broken.clone();
    // No event has this number, long before the end.
    broken[16] = 0xff;
    for trace in [&whole, &broken] {
        for (name, mut packed) in [("gzip", gzip(trace)), ("zstd", zstd(trace))] {
            // The sum of zstd stands at the end, the one of gzip before its length.
            let sum = packed.len() - if name == "gzip" { 8 } else { 4 };
            packed[sum] ^= 1;
            let (shown, code) = checked(&packed);
            assert_eq!(code, Some(1), "{name}: {shown}");
            let wanted = format!("-: {name} data: it is broken: ");
            assert!(shown.starts_with(&wanted), "{shown}");
            let at = shown.contains("; byte 0x10: ");
            assert_eq!(at, trace == &broken, "{shown}");
            for command in ["stats", "dump"] {
                let output = run_with(&[command, "-"], &packed);
                let complaint = text(&output.stderr);
                assert_eq!(output.status.code(), Some(1), "{command}: {complaint}");
                assert!(complaint.contains(&wanted), "{command}: {complaint}");
            }
        }
    }
}

#[test]
fn zeros_behind_gzip_are_nothing_and_all_else_is_an_error() {
    let trace = trace(50);
    let whole = gzip(&trace);
    let wanted = checked(&trace);
    let behind = |bytes: &[u8]| checked(&[&whole, bytes].concat());
    assert_eq!(behind(&[0; 200_000]), wanted);
    for rest in [&b"x"[..], b"\x1f", b"\x1f\x8c...", b"\0\0x", &trace] {
        let (shown, code) = behind(rest);
        assert_eq!(code, Some(1), "{shown}");
        assert!(
            shown.contains("gzip data: it is broken: something else stands behind it"),
            "{shown}"
        );
    }
}

#[test]
fn text_that_cannot_be_encoded_is_1_with_its_line() {
    let (shown, code) = checked(b"Trace Go1.26\nNoSuchEvent dt=1\n");
    assert_eq!(code, Some(1));
    assert!(shown.contains("text trace: line 2"), "{shown}");
}
