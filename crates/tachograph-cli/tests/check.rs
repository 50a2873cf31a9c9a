//! What `tacho check` promises to shells and scripts.

mod common;

use common::{Scratch, run, run_with, text, trace};
use serde_json::Value;

/// The lines of `--json`.
fn objects(bytes: &[u8]) -> Vec<Value> {
    let lines = text(bytes);
    let parsed = lines.lines().map(serde_json::from_str);
    parsed
        .collect::<Result<_, _>>()
        .expect("a JSON object a line")
}

/// A golden file with this verdict, of a thread that does what needs a proc and has none.
fn golden(expect: &str) -> String {
    let trace = "Trace Go1.22\nEventBatch gen=1 m=7 time=10 size=0\nProcStop dt=1\n\
        EventBatch gen=1 m=18446744073709551615 time=10 size=0\nFrequency freq=15625000\n";
    let trace = tachograph_text::resize(trace).unwrap();
    format!("A story.\n-- expect --\n{expect}\n-- trace --\n{trace}")
}

#[test]
fn good_traces_are_0_with_a_line_each() {
    let scratch = Scratch::new("check-good");
    let paths = ["one", "two"].map(|name| scratch.path(name));
    std::fs::write(&paths[0], trace(1)).unwrap();
    std::fs::write(&paths[1], trace(2)).unwrap();
    let output = run(&["check", &paths[0], &paths[1]]);
    assert_eq!(output.status.code(), Some(0));
    let lines = format!(
        "{}: ok, go 1.26 trace, 4 events, 0 samples, 1 generation\n\
         {}: ok, go 1.26 trace, 8 events, 0 samples, 2 generations\n",
        paths[0], paths[1]
    );
    assert_eq!(text(&output.stdout), lines);
    let found = objects(&run(&["check", "--json", &paths[1]]).stdout);
    assert_eq!(found[0]["valid"], true);
    assert_eq!(
        (&found[0]["events"], &found[0]["generations"]),
        (&8.into(), &2.into())
    );
    assert_eq!(
        (&found[0]["error"], &found[0]["golden"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn a_cut_trace_is_1_and_says_what_is_lost() {
    let whole = trace(2);
    let output = run_with(&["check", "--json", "-"], &whole[..whole.len() - 8]);
    assert_eq!(output.status.code(), Some(1));
    let found = &objects(&output.stdout)[0];
    assert_eq!(
        (&found["valid"], &found["version"]),
        (&false.into(), &"1.26".into())
    );
    let error = &found["error"];
    assert_eq!(
        (&error["rule"], &error["generation"]),
        (&"G3".into(), &2.into())
    );
    assert!(error["lost"]["partial_bytes"].as_u64() > Some(0), "{error}");
    assert!(
        error["lost"]["unresolved_ids"].as_u64() > Some(0),
        "{error}"
    );
    let shown = text(&run_with(&["check", "-"], &whole[..whole.len() - 8]).stdout);
    assert!(
        shown.starts_with("-: generation 2, byte 0x") && shown.contains("truncated"),
        "{shown}"
    );
}

#[test]
fn a_broken_trace_is_1_and_names_the_rule() {
    let scratch = Scratch::new("check-broken");
    let path = scratch.path("broken");
    let mut bytes = trace(1);
    // The status of the thread's task becomes one that there is not.
    let status = bytes
        .windows(4)
        .position(|four| four == [25, 1, 9, 7])
        .unwrap();
    bytes[status + 4] = 9;
    std::fs::write(&path, bytes).unwrap();
    let output = run(&["check", "--json", &path]);
    assert_eq!(output.status.code(), Some(1));
    let found = &objects(&output.stdout)[0];
    let error = &found["error"];
    assert_eq!(
        (&error["rule"], &error["thread"]),
        (&"O3".into(), &7.into())
    );
    assert_eq!(
        (&error["offset"], &error["event"]),
        (&status.into(), &"GoStatus".into())
    );
    assert_eq!(error["lost"], Value::Null);
    assert_eq!(found["events"], 1, "what stands before is counted");
}

#[test]
fn findings_of_the_validator_are_listed_up_to_a_bound() {
    // Clocks that stand still from sync to sync.
    let mut bytes = trace(40);
    let mono = bytes
        .windows(2)
        .position(|two| two == [0xc0, 0x3e])
        .unwrap();
    let good = run_with(&["check", "-"], &bytes);
    assert_eq!(good.status.code(), Some(0), "{}", text(&good.stdout));
    // 8000 ns becomes more than a million seconds; all later ones are before it, but only the next is compared.
    bytes[mono + 1] = 0x7f;
    let one = run_with(&["check", "--json", "-"], &bytes);
    assert_eq!(one.status.code(), Some(1));
    let found = &objects(&one.stdout)[0];
    assert_eq!(
        (&found["findings_total"], &found["error"]),
        (&1.into(), &Value::Null)
    );
    let finding = &found["findings"][0];
    assert_eq!(
        (&finding["rule"], &finding["generation"]),
        (&"V4".into(), &2.into())
    );
    let shown = text(&run_with(&["check", "-"], &bytes).stdout);
    assert!(shown.starts_with("-: 1 finding, go 1.26 trace"), "{shown}");
    assert!(shown.contains("\n  generation 2, byte 0x"), "{shown}");
    // A name that is missing in every frame but the leaf, in every event with a stack.
    let text_of = tachograph_text::decode(&trace(40)).unwrap();
    let nameless = text_of.replace("pc=4202496 func=2", "pc=4202496 func=0");
    assert_ne!(text_of, nameless);
    let nameless = tachograph_text::resize(&nameless).unwrap();
    let many = run_with(&["check", "-"], nameless.as_bytes());
    assert_eq!(many.status.code(), Some(1));
    let shown = text(&many.stdout);
    assert!(shown.starts_with("-: 80 findings"), "{shown}");
    assert!(shown.ends_with("\n  and 60 more\n"), "{shown}");
    assert_eq!(shown.lines().count(), 22);
}

#[test]
fn files_that_are_no_traces_are_1_and_named() {
    let old = [&b"go 1.21 trace\0\0\0"[..], &[0; 50]].concat();
    for (bytes, wanted) in [
        (&old[..], "go 1.21 trace: v1 format, wanted the v2 format"),
        (&b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0"[..], "\\x7fELF"),
        (b"", "found 0 bytes, wanted 16"),
    ] {
        let output = run_with(&["check", "-"], bytes);
        assert_eq!(output.status.code(), Some(1));
        let shown = text(&output.stdout);
        assert!(
            shown.contains(wanted) && shown.lines().count() == 1,
            "{shown}"
        );
    }
}

#[test]
fn what_cannot_be_read_is_2_and_the_rest_is_checked() {
    let scratch = Scratch::new("check-io");
    let path = scratch.path("good");
    std::fs::write(&path, trace(1)).unwrap();
    for arguments in [
        &["check", "/no/such/file", &path][..],
        &["check", &scratch.path(""), &path],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stdout).contains(": ok, "), "{arguments:?}");
        assert!(
            text(&output.stderr).starts_with("tacho: can't "),
            "{arguments:?}"
        );
    }
    assert_eq!(run(&["check"]).status.code(), Some(2));
    let output = run(&["check", "--json", "/no/such/file", &path]);
    assert_eq!(output.status.code(), Some(2));
    let found = objects(&output.stdout);
    let [missing, good] = &found[..] else {
        panic!("an object for each file, found {found:?}")
    };
    assert_eq!(missing["file"], "/no/such/file");
    assert_eq!(
        (&missing["valid"], &missing["error"]["io"]),
        (&false.into(), &true.into())
    );
    assert!(
        missing["error"]["message"]
            .as_str()
            .is_some_and(|why| why.contains("No such file")),
        "{missing}"
    );
    assert_eq!(good["valid"], true);
}

#[test]
fn golden_files_are_held_against_what_they_expect() {
    for (expect, code, wanted) in [
        (
            "FAILURE \"\\\\[O2\\\\]\"",
            0,
            "-: ok, fails as expected: generation 1, thread 7",
        ),
        ("SUCCESS", 1, "-: found failure `generation 1"),
        (
            "FAILURE \"no such words\"",
            1,
            "wanted one that matches `no such words`",
        ),
    ] {
        let output = run_with(&["check", "-"], golden(expect).as_bytes());
        let shown = text(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{shown}");
        assert!(shown.contains(wanted), "{shown}");
    }
    let found = objects(&run_with(&["check", "--json", "-"], golden("SUCCESS").as_bytes()).stdout);
    assert_eq!(found[0]["golden"]["wanted"], "SUCCESS");
    assert!(found[0]["golden"]["mismatch"].is_string(), "{}", found[0]);
    let broken = run_with(&["check", "-"], b"-- expect --\nMAYBE\n-- trace --\n");
    assert_eq!(broken.status.code(), Some(1));
    assert!(
        text(&broken.stdout).contains("golden file: line 2"),
        "{}",
        text(&broken.stdout)
    );
}

#[test]
fn says_of_the_projects_goldens_what_they_expect() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/golden");
    let files = std::fs::read_dir(dir).unwrap();
    let paths: Vec<String> = files
        .map(|file| file.unwrap().path().display().to_string())
        .filter(|path| path.ends_with(".test"))
        .collect();
    let mut arguments = vec!["check"];
    arguments.extend(paths.iter().map(String::as_str));
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(paths.len() > 100, "{} goldens", paths.len());
}
