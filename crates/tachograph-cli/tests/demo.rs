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

/// Records for 1.5 s; gives what was printed, and what `tacho stats` finds in the trace, which has no error.
fn record(name: &str, arguments: &[&str]) -> (String, Value) {
    let scratch = Scratch::new(name);
    let path = scratch.path("demo.trace");
    let fixed = ["demo", "--seconds", "1.5", "--out", &path];
    let output = run(&[&fixed, arguments].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let shown = text(&output.stdout);

    let output = run(&["stats", "--json", &path]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("--json prints JSON");
    assert_eq!(report["error"], Value::Null);
    let length = std::fs::metadata(&path).unwrap().len();
    assert_eq!(number(&report["bytes"]) as u64, length);
    let check = run(&["check", &path]);
    assert_eq!(check.status.code(), Some(0), "{}", text(&check.stdout));
    if let Some(kept) = std::env::var_os("TACHOGRAPH_TRACES") {
        // For another reader.
        let kept = Path::new(&kept).join(format!("{name}.trace"));
        std::fs::copy(&path, kept).expect("a folder for traces");
    }
    (shown, report)
}

fn check_parts(shown: &str, parts: &[&str]) {
    for part in parts {
        assert!(shown.contains(part), "no {part:?} in\n{shown}");
    }
}

fn check_events(report: &Value, names: &[&str]) {
    for name in names {
        assert!(number(&report["by_type"][name]["count"]) > 0, "no {name}");
    }
}

/// Samples are there, the trace accounts for all of them, and each lies in its generation.
fn check_samples(report: &Value) {
    let samples = &report["samples"];
    assert!(number(&samples["count"]) > 0, "{samples}");
    assert!(
        number(&samples["weight"]) >= number(&samples["count"]),
        "{samples}"
    );
    assert_eq!(samples["account"]["emitted"], samples["count"]);
    check_generations(report);
}

#[test]
fn records_a_service_and_says_how_fast_it_was() {
    let (shown, report) = record("demo-service", &[]);
    check_parts(
        &shown,
        &[
            "workers answered",
            "requests of 16 clients",
            "cache entries expired",
            "/stall",
            "go tool trace",
            "tacho stats",
            "hottest functions",
        ],
    );
    for route in [
        "/cache",
        "/queue",
        "/timer",
        "/blocking",
        "/in-place",
        "/cpu",
        "/stall",
    ] {
        let row = shown.lines().find(|line| line.contains(route));
        let row = row.unwrap_or_else(|| panic!("no {route} in\n{shown}"));
        let requests = row.split_whitespace().next().expect("a row has columns");
        let requests: u64 = requests.replace(',', "").parse().expect("a number");
        assert!(requests > 0, "{row}");
    }
    check_events(
        &report,
        &["UserTaskBegin", "UserTaskEnd", "UserRegionBegin", "UserLog"],
    );
    check_samples(&report);
}

#[test]
fn records_threads_that_work_on_files() {
    let (shown, report) = record("demo-files", &["--workload", "files", "--dir", SOURCES]);
    check_parts(
        &shown,
        &[
            "workers hashed and compressed",
            "go tool trace",
            "tacho stats",
            "hottest functions",
        ],
    );
    check_events(
        &report,
        &[
            "UserTaskBegin",
            "UserRegionBegin",
            "UserLog",
            "GoSyscallBegin",
            "GoCreate",
        ],
    );
    assert!(
        number(&report["seen"]["threads"]) >= 5,
        "{}",
        report["seen"]
    );
    check_samples(&report);
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
    let files = ["--workload", "files", "--out", &out, "--dir"];
    let on = |dir| [&files[..], &[dir]].concat();
    let cases: [(&[&str], &str); 7] = [
        (&["--out", "/no/such/directory/x.trace"], "--out"),
        (&on("/no/such/directory"), "--dir"),
        (&on(&empty), "--dir"),
        (&["--out", &out, "--dir", SOURCES], "--workload files"),
        (&["--out", &out, "--workload", "x"], "service, files"),
        (
            &["--out", &out, "--seconds", "0"],
            "wanted a number of seconds",
        ),
        (&["--out", &out, "--hz", "0"], "--hz"),
    ];
    for (arguments, hint) in cases {
        let output = run(&[&["demo"], arguments].concat());
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {complaint}");
        assert!(complaint.contains(hint), "{arguments:?}: {complaint}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(!Path::new(&out).exists(), "{arguments:?}");
    }
}

#[test]
fn a_full_disk_is_2() {
    for workload in ["service", "files"] {
        let output = run(&[
            "demo",
            "--seconds",
            "0.2",
            "--out",
            "/dev/full",
            "--workload",
            workload,
        ]);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{complaint}");
        assert!(complaint.contains("/dev/full"), "{complaint}");
    }
}
