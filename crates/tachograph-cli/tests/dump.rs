//! What `tacho dump` promises to shells and scripts. That it prints what Go prints is shown by `go_texts.rs`.

mod common;

use common::{Scratch, run, run_with, tacho, text, trace};
use serde_json::Value;
use std::io::Read;
use std::process::Stdio;

fn dump(arguments: &[&str], bytes: &[u8]) -> String {
    let all = [&["dump"], arguments, &["-"]].concat();
    let output = run_with(&all, bytes);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn text_says_when_where_and_what() {
    let shown = dump(&[], &trace(1));
    let lines: Vec<&str> = shown.lines().collect();
    assert!(
        lines[0].ends_with("thread  proc     task  event"),
        "{shown}"
    );
    assert!(
        lines[1].starts_with(" 0.000000000        -     -        -  generation 1, "),
        "{shown}"
    );
    assert_eq!(
        lines[4],
        " 0.000000032         7     3        9  region \"loop\" begins  at app::work".replacen(
            "         7",
            "        7",
            1
        )
    );
    assert!(lines[6].ends_with("end of the trace"), "{shown}");
    assert_eq!(lines.len(), 7);
}

#[test]
fn whole_stacks_are_printed_if_asked_for() {
    let shown = dump(&["--stacks", "--kind", "region"], &trace(1));
    let frames = shown
        .lines()
        .filter(|line| line.contains("app::work  src/main.rs:"));
    assert_eq!(frames.count(), 4, "{shown}");
}

#[test]
fn go_is_the_text_of_go() {
    let shown = dump(
        &["--format", "go", "--kind", "region", "--to", "1us"],
        &trace(1),
    );
    assert_eq!(
        shown,
        "M=7 P=3 G=9 RegionBegin Time=8032 Task=0 Type=\"loop\"\nStack=\n\
         \tapp::work @ 0x401000\n\t\tsrc/main.rs:7\n\tapp::work @ 0x402000\n\t\tsrc/main.rs:8\n\n"
    );
}

#[test]
fn json_is_an_object_a_line_with_everything() {
    let shown = dump(&["--format", "json"], &trace(1));
    let objects: Vec<Value> = shown
        .lines()
        .map(|line| serde_json::from_str(line).expect("a JSON object a line"))
        .collect();
    assert_eq!(shown, dump(&["--json"], &trace(1)));
    assert_eq!(objects.len(), 6);
    assert_eq!(objects[0]["kind"], "sync");
    assert_eq!(objects[0]["clock"]["mono_ns"], 8000);
    let status = &objects[2];
    assert_eq!(
        (&status["of"]["task"], &status["to"]),
        (&9.into(), &"Running".into())
    );
    let region = &objects[3];
    assert_eq!(
        (&region["kind"], &region["name"]),
        (&"region-begin".into(), &"loop".into())
    );
    assert_eq!(
        (&region["thread"], &region["proc"], &region["task"]),
        (&7.into(), &3.into(), &9.into())
    );
    assert_eq!(
        (&region["time_ns"], &region["wire"]),
        (&8032.into(), &"UserRegionBegin".into())
    );
    assert_eq!(region["stack"][1]["pc"], "0x402000");
    assert_eq!(objects[5]["last"], true);
}

#[test]
fn wire_is_the_records_as_they_stand() {
    let bytes = trace(1);
    let shown = dump(&["--format", "wire"], &bytes);
    let text = tachograph_text::decode(&bytes).unwrap();
    assert_eq!(format!("Trace Go1.26\n{shown}"), text);
}

#[test]
fn times_and_kinds_leave_out_the_rest() {
    let trace = trace(10);
    let count = |arguments: &[&str]| {
        let all = [&["--format", "go"], arguments].concat();
        dump(&all, &trace)
            .lines()
            .filter(|line| line.starts_with("M="))
            .count()
    };
    assert_eq!(count(&[]), 10 * 5 + 1);
    assert_eq!(count(&["--kind", "sync"]), 11);
    assert_eq!(count(&["--kind", "sync,region"]), 11 + 20);
    assert_eq!(count(&["--kind", "sync", "--kind", "transition"]), 11 + 20);
    assert_eq!(count(&["--kind", "log"]), 0);
    // Generations are 8 microseconds apart, regions begin 32 nanoseconds later and last 2.
    assert_eq!(
        count(&["--kind", "region", "--from", "8us", "--to", "0.016ms"]),
        2
    );
    assert_eq!(
        count(&["--kind", "region", "--from", "@16032", "--to", "@18016"]),
        1
    );
    assert_eq!(count(&["--kind", "region", "--to", "@18017"]), 4);
}

#[test]
fn wrong_usage_is_2_and_says_what_is_right() {
    for (arguments, wanted) in [
        (&["dump", "--kind", "regions", "x"][..], "transition"),
        (&["dump", "--from", "5", "x"], "1.5s"),
        (
            &["dump", "--format", "wire", "--from", "1s", "x"],
            "--format wire",
        ),
        (&["dump", "--format", "xml", "x"], "json"),
        (&["dump", "--json", "--format", "go", "x"], "--json"),
        (&["dump", "--stacks", "--json", "x"], "--stacks is for"),
        (
            &["dump", "--stacks", "--format", "go", "x"],
            "--stacks is for",
        ),
        (&["dump", "--from", "-1s", "x"], "wanted a time since"),
        (&["dump", "--from", "2s", "--to", "1s", "x"], "exchange"),
        (&["dump", "--from", "@2", "--to", "@1", "x"], "exchange"),
        (&["dump"], "FILE"),
        (&["dump", "/no/such/file"], "No such file"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            text(&output.stderr).contains(wanted),
            "{}",
            text(&output.stderr)
        );
    }
}

#[test]
fn what_stands_before_an_error_is_printed_and_the_exit_is_1() {
    let whole = trace(2);
    let cut = &whole[..whole.len() - 1];
    let lines = |format: &str| {
        let output = run_with(&["dump", "--format", format, "--kind", "region", "-"], cut);
        assert_eq!(output.status.code(), Some(1), "{format}");
        let complaint = text(&output.stderr);
        assert!(
            complaint.starts_with("tacho: -: ") && complaint.contains("truncated"),
            "{complaint}"
        );
        text(&output.stdout)
            .lines()
            .filter(|line| line.contains("loop"))
            .count()
    };
    assert_eq!(lines("text"), 4);
    assert_eq!(lines("json"), 4);
    assert_eq!(
        lines("go"),
        2,
        "for Go a generation that is cut off is not there"
    );
}

#[test]
fn a_cut_trace_ends_with_what_is_lost() {
    let whole = trace(2);
    let strings = whole.len() - 30;
    let output = run_with(&["dump", "-"], &whole[..strings]);
    let shown = text(&output.stdout);
    let last = shown.lines().last().unwrap();
    assert!(
        last.contains("  the trace is cut off here: generation 2, byte 0x")
            && last.contains("strings and stacks are missing"),
        "{shown}"
    );
    assert!(!shown.contains("end of the trace"), "{shown}");
    assert!(
        shown.contains("region (name missing) begins  at 0x401000"),
        "{shown}"
    );
    assert!(!shown.contains("\"\""), "{shown}");
    let output = run_with(&["dump", "--kind", "log", "-"], &whole[..strings]);
    let shown = text(&output.stdout);
    assert!(
        shown.trim_start().starts_with("the trace is cut off here"),
        "{shown}"
    );
    let json = ["dump", "--format", "json", "-"];
    let output = run_with(&json, &whole[..strings]);
    let shown = text(&output.stdout);
    let last: Value = serde_json::from_str(shown.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["kind"], &last["generation"], &last["offset"]),
        (&"truncated".into(), &2.into(), &strings.into())
    );
    for key in ["partial_bytes", "unresolved_ids"] {
        assert!(last[key].as_u64() > Some(0), "{last}");
    }
    assert_eq!(
        (&last["unordered_events"], &last["stopped_by"]),
        (&0.into(), &Value::Null)
    );
    // Who asks for a part of it that is there hears nothing of the end.
    let output = run_with(&["dump", "--to", "1us", "-"], &whole[..strings]);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_broken_trace_ends_with_why() {
    let bytes = [&trace(2)[..], &[0]].concat();
    let shown = text(&run_with(&["dump", "-"], &bytes).stdout);
    let last = shown.lines().last().unwrap();
    assert!(last.contains("  the trace is broken here: "), "{shown}");
    assert!(!shown.contains("end of the trace"), "{shown}");
    let shown = text(&run_with(&["dump", "--format", "json", "-"], &bytes).stdout);
    let last: Value = serde_json::from_str(shown.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["kind"], &last["rule"], &last["offset"]),
        (&"broken".into(), &"B1".into(), &trace(2).len().into())
    );
}

#[test]
fn a_reader_that_had_enough_is_0() {
    let scratch = Scratch::new("dump-pipe");
    let path = scratch.path("long.trace");
    std::fs::write(&path, trace(5000)).unwrap();
    for format in ["go", "wire", "text", "json"] {
        let mut child = tacho(&["dump", "--format", format, &path])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut [0; 100]).unwrap();
        drop(stdout);
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            (output.status.code(), text(&output.stderr).as_str()),
            (Some(0), ""),
            "{format}"
        );
    }
}

#[test]
fn names_reach_no_terminal_with_control_characters() {
    let bytes = trace(1);
    let source = tachograph_text::decode(&bytes).unwrap();
    let evil = source.replace("data=\"app::work\"", "data=\"\\x1b[2J\"");
    assert_ne!(source, evil);
    let evil = tachograph_text::resize(&evil).unwrap();
    for arguments in [&[][..], &["--stacks"]] {
        let shown = dump(arguments, evil.as_bytes());
        assert!(
            shown.contains("\"\\x1b[2J\"") && !shown.contains('\x1b'),
            "{shown}"
        );
    }
}
