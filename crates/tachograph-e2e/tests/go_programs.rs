//! Programs that Go runs: recorded fresh where there is a Go, `tacho dump` prints for each what Go prints; and the traces that are kept as
//! test data are what they are said to be.
//!
//! `tachograph-cli`'s test `go_texts` does the first with the kept traces, without Go.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use tachograph_e2e::go;

#[path = "../../tachograph-cli/tests/texts/mod.rs"]
mod texts;

/// What each program is there for: a text that Go prints for its trace as records, and how often at least.
const HELD: &[(&str, &str, usize)] = &[
    ("channels", "GoUnblock ", 500),
    ("http", "UserTaskBegin ", 20),
    ("locks", "data=\"sync.(*Cond).Wait\"", 1),
    ("syscalls", "ProcSteal ", 20),
    ("syscalls", "GoSyscallEndBlocked ", 20),
    ("callbacks", "GoCreateSyscall ", 10),
    ("callbacks", "GoDestroySyscall ", 10),
    ("iterators", "GoSwitch ", 100),
    ("iterators", "GoSwitchDestroy ", 10),
    ("iterators", "GoCreateBlocked ", 10),
    ("gc", "GCBegin ", 1),
    ("gc", "GCMarkAssistBegin ", 1),
    ("gc", "GCSweepBegin ", 10),
    ("gomaxprocs", "ProcsChange ", 10),
    ("profile", "CPUSample ", 10),
    ("continuous", "Sync", 10),
    ("annotations", "UserLog ", 50),
    ("allocfree", "HeapObjectAlloc ", 50),
    ("allocfree", "GoroutineStackAlloc ", 10),
    ("allocfree", "ExperimentalBatch ", 1),
    ("timers", "data=\"sleep\"", 1),
    ("threads", "data=\"preempted\"", 1),
];

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/go")
}

fn unpacked(path: &Path) -> Vec<u8> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    zstd::decode_all(file).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn kept_text(name: &str) -> String {
    let text = unpacked(&kept().join(format!("{name}.zst")));
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn kept_traces_hold_what_they_are_for() {
    for (name, wanted, least) in HELD {
        let text = kept_text(&format!("{name}.wire"));
        let lines = text.lines().map(str::trim_start);
        let found = lines.filter(|line| line.starts_with(wanted)).count();
        assert!(
            found >= *least,
            "{name}: {found} times {wanted}, wanted {least}"
        );
    }
}

#[test]
fn the_collector_is_at_work_when_its_kept_trace_begins() {
    let text = kept_text("gc.parsed");
    let first = text
        .lines()
        .find(|line| line.contains("GC concurrent mark phase"));
    let first = first.expect("a mark phase");
    assert!(first.contains(" RangeActive "), "{first}");
}

#[test]
fn a_kept_trace_begins_in_the_middle_of_a_programs_life() {
    for name in ["flight", "startstop"] {
        let text = kept_text(&format!("{name}.wire"));
        let first = text.lines().find(|line| line.starts_with("EventBatch"));
        let first = first.expect("a batch");
        assert!(!first.contains("gen=1 "), "{name}: {first}");
    }
}

#[test]
fn kept_traces_of_older_versions_have_their_headers() {
    for (name, version) in [
        ("channels-as-1.22", "go 1.22 trace"),
        ("iterators-as-1.23", "go 1.23 trace"),
        ("http-as-1.25", "go 1.25 trace"),
        ("http", "go 1.26 trace"),
    ] {
        let trace = unpacked(&kept().join(format!("{name}.trace.zst")));
        assert!(trace.starts_with(version.as_bytes()), "{name}");
    }
}

#[test]
fn fresh_traces_read_as_go_prints_them() {
    const TEST: &str = "fresh_traces_read_as_go_prints_them";
    if go::require_or_skip(TEST).is_none() {
        return;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-programs");
    // What an earlier run left would be compared, too.
    let _ = fs::remove_dir_all(&folder);
    let recorded = Command::new(env!("CARGO_BIN_EXE_record-go"))
        .arg(&folder)
        .output()
        .expect("record-go runs");
    let said = String::from_utf8_lossy(&recorded.stderr);
    assert!(recorded.status.success(), "record-go: {said}");
    // Such as: there is no C compiler. It must be seen although the test passes.
    std::io::stderr().write_all(&recorded.stderr).ok();
    let tacho = tacho();
    let mut compared = 0;
    let mut differences = Vec::new();
    for file in fs::read_dir(&folder).expect("record-go made it") {
        let trace = file.expect("a readable folder").path();
        let name = trace.file_name().unwrap_or_default().to_string_lossy();
        let Some(name) = name.strip_suffix(".trace.zst") else {
            continue;
        };
        for (format, form) in texts::FORMS {
            let go = unpacked(&folder.join(format!("{name}.{form}.zst")));
            let result = texts::dump(&tacho, format, &trace)
                .and_then(|ours| texts::compare(&format!("{name}, {form}"), &ours, &go));
            differences.extend(result.err());
            compared += 1;
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    // Fifteen without the one in C, and some as older versions.
    assert!(compared >= 30, "{compared} texts compared");
}

/// The `tacho` program. It belongs to another crate, so cargo is asked to build it; it answers at once if nothing has changed.
fn tacho() -> PathBuf {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "-p", "tachograph-cli", "--bin", "tacho"]);
    build.args(["--message-format", "json"]);
    build.current_dir(env!("CARGO_MANIFEST_DIR"));
    let mut child = build
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("cargo runs");
    let mut messages = String::new();
    let mut stdout = child.stdout.take().expect("stdout was asked for");
    stdout
        .read_to_string(&mut messages)
        .expect("cargo's messages");
    assert!(
        child.wait().is_ok_and(|status| status.success()),
        "tacho builds"
    );
    // The last message with an executable is about the program itself.
    let mut paths = messages.lines().filter_map(|line| {
        let (_, rest) = line.split_once("\"executable\":\"")?;
        Some(PathBuf::from(rest.split_once('"')?.0))
    });
    paths.next_back().expect("a program called tacho")
}
