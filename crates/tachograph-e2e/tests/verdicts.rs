//! Our reader and validator come to Go's verdict on every trace of `testdata/`, but for those that are there to show a difference.

mod traces;

use tachograph_e2e::go::{self, GoError};
use tachograph_e2e::verdict::ours;

/// Goldens on which the verdicts differ, each with the row of docs/READING.md that says so or what it comes from.
const DIFFER: [(&str, &str); 13] = [
    ("b2-experiment-cut", CUT_IN_BATCH),
    (
        "d1-end-byte-only-in-batch",
        "a batch that begins with the end byte is no batch of events for Go",
    ),
    (
        "g3-structural-batches-only",
        "structural batches then EOF, no end byte",
    ),
    ("huge-times", OVERFLOW),
    ("o3-goroutine-none", "P or G id 2^64-1"),
    ("o3-proc-none", "P or G id 2^64-1"),
    ("s3-frequency-cut", CUT_IN_BATCH),
    ("s3-sample-cut", CUT_IN_BATCH),
    ("s3-snapshot-cut", CUT_IN_BATCH),
    ("s3-stack-cut-before-id", CUT_IN_BATCH),
    ("s3-string-cut-before-length", CUT_IN_BATCH),
    (
        "stw-across-generations",
        "Go crashes: it looks a name up in the wrong table",
    ),
    ("unknown-experiment", "unknown experiment number"),
];

const CUT_IN_BATCH: &str =
    "the end of a record's bytes is the end of the trace for Go, as after structural batches";
const OVERFLOW: &str = "ts*f or delta overflow";

#[test]
fn accepts_what_go_programs_recorded() {
    for (name, trace) in traces::of_programs() {
        let verdict = ours(&trace).unwrap_or_else(|refused| panic!("{name}: {refused}"));
        assert!(verdict.events > 100, "{name}: {verdict:?}");
    }
}

#[test]
fn counts_what_go_counts_in_what_go_programs_recorded() {
    let Some(go) = go::require_or_skip("counts_what_go_counts_in_what_go_programs_recorded") else {
        return;
    };
    let traces = traces::of_programs();
    let bytes: Vec<_> = traces.iter().map(|(_, bytes)| bytes).collect();
    let theirs = go
        .verdicts(&bytes)
        .unwrap_or_else(|error| panic!("{error}"));
    for ((name, bytes), theirs) in traces.iter().zip(theirs) {
        let theirs = theirs.unwrap_or_else(|error| panic!("{name}: {error}"));
        let ours = ours(bytes).unwrap_or_else(|refused| panic!("{name}: {refused}"));
        assert_eq!(ours, theirs, "{name}");
    }
}

#[test]
fn agrees_with_go_on_every_golden_that_is_not_listed() {
    let Some(go) = go::require_or_skip("agrees_with_go_on_every_golden_that_is_not_listed") else {
        return;
    };
    let goldens = traces::goldens();
    let bytes: Vec<_> = goldens.iter().map(|(.., bytes)| bytes).collect();
    let theirs = go
        .verdicts(&bytes)
        .unwrap_or_else(|error| panic!("{error}"));
    let mut wrong = Vec::new();
    for ((name, _, bytes), theirs) in goldens.iter().zip(theirs) {
        let (ours, listed) = (
            ours(bytes),
            DIFFER.iter().any(|(differs, _)| differs == name),
        );
        let agree = match (&ours, &theirs) {
            (Ok(ours), Ok(theirs)) => ours == theirs,
            (Err(_), Err(GoError::Refused { .. })) => true,
            _ => false,
        };
        if agree == listed {
            let go =
                theirs.map_or_else(|error| error.to_string(), |verdict| format!("{verdict:?}"));
            let ours =
                ours.map_or_else(|error| error.to_string(), |verdict| format!("{verdict:?}"));
            wrong.push(format!("{name}:\n  we: {ours}\n  Go: {go}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
