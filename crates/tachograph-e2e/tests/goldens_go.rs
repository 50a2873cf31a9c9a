//! Go's reader and validator agree with every golden file on whether its trace is good, or do what the file says that they do.
//!
//! With `TACHOGRAPH_TELL` set, Go's verdict on each is printed.

use std::fs;
use std::path::{Path, PathBuf};

use tachograph_e2e::check;
use tachograph_e2e::go::{self, Go, GoError};
use tachograph_e2e::report::say;
use tachograph_text::golden::load_dir;
use tachograph_text::{Expectation, GoAnswer, Golden, WireReader, write_wire};
use tachograph_wire::Version;

fn goldens() -> Vec<(String, Golden)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/golden");
    let goldens = load_dir(&dir).unwrap_or_else(|error| panic!("{error}"));
    assert!(goldens.len() > 100, "{} goldens", goldens.len());
    goldens
}

/// Tests run side by side, so each has files of its own.
fn store(test: &str, name: &str, golden: &Golden) -> PathBuf {
    let trace = golden.to_trace().expect("loaded goldens can be encoded");
    check::store(&format!("{test}-{name}"), &trace)
}

/// What Go does with it: its message if it refuses the trace.
fn ask(go: &Go, path: &Path) -> Result<(), String> {
    match go.each_text(path, |_| {}) {
        Ok(_) => Ok(()),
        Err(GoError::Refused { message, .. }) => Err(message),
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

/// Why Go's verdict is not the one that the file promises.
fn disagreement(golden: &Golden, verdict: &Result<(), String>) -> Option<String> {
    const PANIC: &str = "panic in the reader";
    let found = match verdict {
        Ok(()) => "success".to_owned(),
        Err(message) => format!("failure `{message}`"),
    };
    let agrees = match (&golden.go, verdict) {
        (Some(GoAnswer::Crash), Err(message)) => message.starts_with(PANIC),
        (Some(GoAnswer::Crash), Ok(())) => false,
        (Some(GoAnswer::Verdict(expect)), _) => expect.check(verdict).is_ok(),
        // Our messages end with the rule in brackets; Go's don't.
        (None, Err(message)) => match &golden.expect {
            Expectation::Success => false,
            Expectation::Failure(pattern) => {
                let of_a_rule = pattern.as_str().contains(r"\[");
                !message.starts_with(PANIC) && (of_a_rule || pattern.is_match(message))
            }
        },
        (None, Ok(())) => !golden.expect.is_failure(),
    };
    let wanted = golden.go.as_ref().map(GoAnswer::to_string);
    let wanted = wanted.unwrap_or_else(|| golden.expect.to_string());
    (!agrees).then(|| format!("found {found}, wanted {wanted}"))
}

#[test]
fn go_agrees_with_every_golden_or_as_the_file_says() {
    let Some(go) = go::require_or_skip("go_agrees_with_every_golden_or_as_the_file_says") else {
        return;
    };
    let goldens = goldens();
    let mut wrong = Vec::new();
    for (name, golden) in &goldens {
        let path = store("verdict", name, golden);
        let verdict = ask(&go, &path);
        if std::env::var_os("TACHOGRAPH_TELL").is_some() {
            say(format!(
                "{name}: {}",
                verdict.as_ref().err().map_or("ok", |e| e.as_str())
            ));
        }
        if let Some(why) = disagreement(golden, &verdict) {
            wrong.push(format!("{name}: {why}"));
        }
        fs::remove_file(path).ok();
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    let differ = goldens
        .iter()
        .filter(|(_, golden)| golden.go.is_some())
        .count();
    say(format!(
        "{} goldens, {differ} of which say that Go differs",
        goldens.len()
    ));
}

/// The items of bytes that can be taken apart to their end.
fn items(trace: &[u8]) -> Option<String> {
    let mut text = Vec::new();
    write_wire(WireReader::new(trace).ok()?, &mut text).ok()?;
    String::from_utf8(text).ok()
}

#[test]
fn go_prints_the_items_of_every_golden_the_same() {
    let Some(go) = go::require_or_skip("go_prints_the_items_of_every_golden_the_same") else {
        return;
    };
    let traces = goldens().into_iter().filter_map(|(_, golden)| {
        let trace = golden.to_trace().expect("loaded goldens can be encoded");
        items(&trace).is_some().then_some(trace)
    });
    let traces: Vec<_> = traces.collect();
    assert!(traces.len() > 100, "{} traces", traces.len());
    for version in Version::ALL {
        // Items are read without regard to what they mean, so all traces of a version can stand in one.
        let mut all = version.header().to_vec();
        let same = traces
            .iter()
            .filter_map(|t| t.strip_prefix(&version.header()));
        same.for_each(|items| all.extend(items));
        let path = check::store(&format!("items-{}", version.minor()), &all);
        let theirs = go.wire(&path).unwrap_or_else(|error| panic!("{error}"));
        fs::remove_file(path).ok();
        let ours = items(&all).expect("each of them can be taken apart");
        assert!(ours.lines().count() > 10, "{version}");
        assert!(ours == theirs, "{version}");
    }
}

#[test]
fn syncs_stand_at_the_times_of_the_stories() {
    let Some(go) = go::require_or_skip("syncs_stand_at_the_times_of_the_stories") else {
        return;
    };
    let clock = |trace: u64, mono: u64| Some((trace, mono, 1_740_755_049 + mono / 100));
    let snapshots = [clock(10, 99), clock(40, 199), clock(60, 299), None];
    let wanted = [
        ("go123-sync", [10, 40, 60, 63], [None; 4]),
        ("go125-sync", [9, 38, 58, 83], snapshots),
        ("go126-sync", [9, 38, 58, 83], snapshots),
    ];
    for (name, golden) in goldens() {
        let Some((_, times, clocks)) = wanted.iter().find(|(wanted, ..)| *wanted == name) else {
            continue;
        };
        let path = store("sync", &name, &golden);
        let events = go.events(&path).unwrap_or_else(|error| panic!("{error}"));
        fs::remove_file(path).ok();
        let syncs: Vec<_> = events.iter().filter(|event| event.kind == "Sync").collect();
        let found: Vec<i64> = syncs.iter().map(|sync| sync.time_ns).collect();
        assert_eq!(found, times, "{name}");
        for (sync, clock) in syncs.iter().zip(clocks) {
            let number = |key| sync.detail_number(key);
            assert_eq!(number("clock_trace"), clock.map(|c| c.0), "{name}");
            assert_eq!(number("clock_mono"), clock.map(|c| c.1), "{name}");
            let wall = clock.map(|c| c.2 * 1_000_000_000 + 123);
            assert_eq!(number("clock_wall"), wall, "{name}");
        }
    }
}
