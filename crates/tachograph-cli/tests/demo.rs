//! What `tacho demo` promises: a trace that `tacho stats` finds whole, and clear words otherwise.

mod common;

use common::{Scratch, run, text};
use std::path::Path;

use serde_json::Value;

/// A directory with enough to do.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");

fn number(value: &Value) -> i64 {
    value
        .as_i64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn records_a_trace_that_stats_finds_whole() {
    let scratch = Scratch::new("demo");
    let path = scratch.path("demo.trace");
    let output = run(&["demo", "--seconds", "1.5", "--out", &path, "--dir", SOURCES]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    for part in [
        "workers hashed and compressed",
        "go tool trace",
        "tacho stats",
        "hottest functions",
    ] {
        assert!(shown.contains(part), "no {part:?} in\n{shown}");
    }

    let output = run(&["stats", "--json", &path]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("--json prints JSON");
    assert_eq!(report["error"], Value::Null);
    assert_eq!(
        number(&report["bytes"]) as u64,
        std::fs::metadata(&path).unwrap().len()
    );
    for name in [
        "UserTaskBegin",
        "UserRegionBegin",
        "UserLog",
        "GoSyscallBegin",
        "GoCreate",
    ] {
        assert!(number(&report["by_type"][name]["count"]) > 0, "no {name}");
    }
    assert!(
        number(&report["seen"]["threads"]) >= 5,
        "{}",
        report["seen"]
    );
    let samples = &report["samples"];
    assert!(number(&samples["count"]) > 0, "{samples}");
    assert!(
        number(&samples["weight"]) >= number(&samples["count"]),
        "{samples}"
    );
    assert_eq!(samples["account"]["emitted"], samples["count"]);
    check_generations(&report);
    if let Some(kept) = std::env::var_os("TACHOGRAPH_TRACES") {
        // For another reader.
        std::fs::copy(&path, Path::new(&kept).join("demo.trace")).expect("a folder for traces");
    }
}

/// Each sample lies within its generation, and all together are as many as the whole trace has.
fn check_generations(report: &Value) {
    let generations = report["generations"].as_array().expect("a list");
    assert!(
        generations.len() >= 2,
        "{} generations in 1.5 s",
        generations.len()
    );
    let mut samples = 0;
    for one in generations {
        let (start, end) = (number(&one["start_ns"]), number(&one["end_ns"]));
        assert!(start < end, "{one}");
        samples += number(&one["samples"]);
        if number(&one["samples"]) > 0 {
            assert!(number(&one["first_sample_ns"]) >= start, "{one}");
            assert!(number(&one["last_sample_ns"]) <= end, "{one}");
        }
    }
    assert_eq!(samples, number(&report["samples"]["count"]));
}

#[test]
fn says_what_is_wrong_and_what_to_do() {
    let scratch = Scratch::new("demo-wrong");
    let (out, empty) = (scratch.path("x.trace"), scratch.path("empty"));
    std::fs::create_dir(&empty).unwrap();
    let cases: [(&[&str], &str); 5] = [
        (&["--out", "/no/such/directory/x.trace"], "--out"),
        (&["--out", &out, "--dir", "/no/such/directory"], "--dir"),
        (&["--out", &out, "--dir", &empty], "--dir"),
        (
            &["--out", &out, "--seconds", "0"],
            "wanted a number of seconds",
        ),
        (&["--out", &out, "--hz", "0", "--dir", SOURCES], "--hz"),
    ];
    for (arguments, hint) in cases {
        let output = run(&[&["demo"], arguments].concat());
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {complaint}");
        assert!(complaint.contains(hint), "{arguments:?}: {complaint}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_full_disk_is_2() {
    let output = run(&[
        "demo",
        "--seconds",
        "0.2",
        "--out",
        "/dev/full",
        "--dir",
        SOURCES,
    ]);
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{complaint}");
    assert!(complaint.contains("/dev/full"), "{complaint}");
}
