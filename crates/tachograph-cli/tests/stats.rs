//! What `tacho stats` promises to shells and scripts.

mod common;

use common::{Scratch, run, tacho, text, trace};
use serde_json::Value;
use std::io::Write;
use std::process::{Command, Stdio};

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("--json prints JSON")
}

#[test]
fn a_good_trace_is_0_and_silent_on_stderr() {
    let scratch = Scratch::new("good");
    let path = scratch.path("good.trace");
    std::fs::write(&path, trace(2)).unwrap();
    let output = run(&["stats", &path]);
    assert_eq!(
        (output.status.code(), text(&output.stderr).as_str()),
        (Some(0), "")
    );
    let shown = text(&output.stdout);
    for part in [
        "go 1.26 trace",
        "UserRegionBegin",
        "generations 2",
        "1 thread, 1 proc, 1 task",
    ] {
        assert!(shown.contains(part), "no {part:?} in\n{shown}");
    }
    let output = run(&["stats", "--json", &path]);
    assert_eq!(output.status.code(), Some(0));
    let report = json(&output.stdout);
    assert_eq!(report["events"], 8);
    assert_eq!(report["by_type"]["UserRegionEnd"]["count"], 2);
    assert_eq!(report["generations"][1]["start_ns"], 16_000);
    assert_eq!(report["generations"][1]["end_ns"], 8 * 2252);
    assert_eq!(report["generations"][1]["first_sample_ns"], Value::Null);
    assert_eq!(
        report["samples"]["account"],
        Value::Null,
        "nobody said anything about samples"
    );
}

#[test]
fn a_cut_trace_is_1_and_what_was_read_is_printed() {
    let scratch = Scratch::new("cut");
    let path = scratch.path("cut.trace");
    let whole = trace(2);
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let output = run(&["stats", &path]);
    assert_eq!(output.status.code(), Some(1));
    let shown = text(&output.stdout);
    assert!(
        shown.contains("\ninvalid: generation 2, byte 0x") && shown.contains("generations 2"),
        "{shown}"
    );
    assert_eq!(shown.matches("truncated").count(), 1, "{shown}");
    assert!(
        text(&output.stderr).starts_with("tacho: "),
        "stderr names the file and the fault"
    );
    let report = json(&run(&["stats", "--json", &path]).stdout);
    assert_eq!(report["error"]["truncated"], true);
    assert_eq!(report["error"]["offset"], whole.len() - 1);
    assert_eq!(report["events"], 8);
}

#[test]
fn a_file_that_is_no_trace_is_1() {
    let output = run(&["stats", env!("CARGO_BIN_EXE_tacho")]);
    assert_eq!(output.status.code(), Some(1));
    let complaint = text(&output.stderr);
    assert!(
        complaint.contains("ELF") && complaint.contains("wanted"),
        "{complaint}"
    );
}

#[test]
fn usage_and_files_that_cannot_be_read_are_2() {
    let scratch = Scratch::new("usage");
    let directory = scratch.path("");
    for arguments in [
        &["stats"][..],
        &["stats", "/no/such/file"],
        &["stats", &directory],
        &[],
        &["fly"],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            output.stdout.is_empty() && !output.stderr.is_empty(),
            "{arguments:?}"
        );
    }
}

#[test]
fn reads_standard_input() {
    let mut child = tacho(&["stats", "--json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&trace(3)).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        json(&output.stdout)["generations"].as_array().map(Vec::len),
        Some(3)
    );
}

#[test]
fn a_reader_that_had_enough_is_0() {
    for arguments in [&["stats", "-"][..], &["stats", "--json", "-"]] {
        let mut child = tacho(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Nothing is printed before the input has ended, so the pipe is surely broken by then.
        drop(child.stdout.take());
        child.stdin.take().unwrap().write_all(&trace(2000)).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            (output.status.code(), text(&output.stderr).as_str()),
            (Some(0), ""),
            "{arguments:?}"
        );
    }
}

#[test]
fn an_output_that_is_full_is_2() {
    let scratch = Scratch::new("full");
    let path = scratch.path("good.trace");
    std::fs::write(&path, trace(1)).unwrap();
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = tacho(&["stats", &path]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("No space left"),
        "{}",
        text(&output.stderr)
    );
}

/// A program of goroutines, a task and a profile, which writes its trace where it is told.
const GO_PROGRAM: &str = r#"package main

import (
	"context"
	"io"
	"os"
	"runtime/pprof"
	"runtime/trace"
	"sync"
	"time"
)

func main() {
	file, err := os.Create(os.Args[1])
	if err != nil {
		panic(err)
	}
	pprof.StartCPUProfile(io.Discard)
	if err := trace.Start(file); err != nil {
		panic(err)
	}
	ctx, task := trace.NewTask(context.Background(), "spin")
	var group sync.WaitGroup
	for i := 0; i < 4; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			defer trace.StartRegion(ctx, "loop").End()
			for start := time.Now(); time.Since(start) < 300*time.Millisecond; {
			}
		}()
	}
	group.Wait()
	task.End()
	trace.Stop()
	pprof.StopCPUProfile()
	file.Close()
}
"#;

/// Whether there is a `go`; where the environment says that there must be one, there is.
fn has_go() -> bool {
    let found = Command::new("go")
        .arg("version")
        .output()
        .is_ok_and(|output| output.status.success());
    let required = std::env::var_os("TACHOGRAPH_REQUIRE_GO").is_some_and(|value| value != "0");
    assert!(
        found || !required,
        "no go on the PATH, and TACHOGRAPH_REQUIRE_GO is set"
    );
    found
}

#[test]
fn counts_what_go_has_written() {
    if !has_go() {
        eprintln!("counts_what_go_has_written: skipped: no Go");
        return;
    }
    let scratch = Scratch::new("go");
    let (program, path) = (scratch.path("main.go"), scratch.path("go.trace"));
    std::fs::write(&program, GO_PROGRAM).unwrap();
    let made = Command::new("go")
        .args(["run", &program, &path])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", text(&made.stderr));
    let output = run(&["stats", "--json", &path]);
    let report = json(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", report["error"]);
    let size = std::fs::metadata(&path).unwrap().len();
    assert_eq!(report["bytes"], size, "every byte has a type");
    assert_eq!(report["by_type"]["UserRegionBegin"]["count"], 4);
    assert_eq!(report["by_type"]["UserTaskEnd"]["count"], 1);
    assert_eq!(report["seen"]["user_tasks"], 1);
    assert!(
        report["samples"]["count"].as_u64() > Some(0),
        "{}",
        report["samples"]
    );
    assert_eq!(report["recorder"], Value::Null);
    let one = &report["generations"][0];
    assert!(one["end_ns"].as_i64() > one["start_ns"].as_i64(), "{one}");
}
