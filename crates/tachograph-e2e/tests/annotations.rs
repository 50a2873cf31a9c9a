//! The annotations of a program are in its trace, exactly: each task, region and log once, with its texts, its task and its order,
//! read from the bytes and, where Go is installed, from Go's reader.

use std::collections::HashMap;
use std::time::Duration;

use tachograph::{Recorder, Task};
use tachograph_e2e::decode::Trace;
use tachograph_e2e::go;
use tachograph_e2e::record::{Recorded, Running, turn};
use tachograph_wire::{ArgKind, EventKind};

/// What the program below says, thread by thread, in order: kind, name of the user task, texts.
const EXPECTED: &[&str] = &[
    "TaskBegin request < ",
    "RegionBegin request: parse",
    "RegionBegin request: inner of the same task",
    "Log request: user=id=42",
    "RegionEnd request: inner of the same task",
    "TaskBegin query < request",
    "RegionBegin query: rows",
    "Log query: count=3",
    "RegionEnd query: rows",
    "TaskEnd query",
    "RegionEnd request: parse",
    "Log : no task=at all",
    "Log request: by hand=given",
    "RegionBegin : out of order 1",
    "RegionBegin : out of order 2",
    "RegionEnd : out of order 2",
    "RegionEnd : out of order 1",
    "RegionBegin : out of order 2",
    "RegionEnd : out of order 2",
    "TaskEnd request",
    "RegionBegin : unended",
    "RegionBegin : ended after stop",
];

struct Leftover {
    _region: tachograph::Region,
    _task: Task,
}

fn program() -> Leftover {
    let request = tachograph::task("request");
    {
        let _parse = request.region("parse");
        {
            let _inner = tachograph::region("inner of the same task");
            tachograph::log("user", "id=42");
        }
        let query = request.child("query");
        {
            let _rows = query.region("rows");
            tachograph::log("count", "3");
        }
    }
    tachograph::log("no task", "at all");
    request.log("by hand", "given");
    let first = tachograph::region("out of order 1");
    let second = tachograph::region("out of order 2");
    drop(first);
    drop(second);
    drop(request);
    std::mem::forget(tachograph::region("unended"));
    Leftover {
        _region: tachograph::region("ended after stop"),
        _task: tachograph::task("ended after stop"),
    }
}

fn recorded(period: Duration) -> Recorded {
    let before = tachograph::region("begun before the recording");
    let task_before = tachograph::task("begun before the recording");
    let name = format!("annotations, {period:?}");
    let recorder = Recorder::new().generation_period(period);
    let running = Running::start(&name, recorder).expect("nothing runs");
    drop(before);
    let leftover = program();
    drop(task_before);
    let recorded = running.stop();
    drop(leftover);
    tachograph::log("after", "the recording");
    recorded
}

/// The order of the file within the generation, generation after generation; the program has one thread.
fn said(trace: &Trace) -> Vec<String> {
    let mut tasks: HashMap<u64, String> = HashMap::from([(0, String::new())]);
    let mut lines = Vec::new();
    let this_thread = tachograph_e2e::load::tid();
    for generation in &trace.generations {
        let events = generation
            .events
            .get(&this_thread)
            .map_or(&[][..], |all| all);
        for event in events {
            let task = event.raw.arg(ArgKind::UserTask).unwrap_or(0);
            let text = |nth| generation.text_of(event, nth).to_owned();
            let named = |tasks: &HashMap<u64, String>| tasks[&task].clone();
            lines.push(match event.raw.kind {
                EventKind::UserTaskBegin => {
                    tasks.insert(task, text(0));
                    format!("TaskBegin {} < {}", text(0), tasks[&event.raw.args()[1]])
                }
                EventKind::UserTaskEnd => format!("TaskEnd {}", named(&tasks)),
                EventKind::UserRegionBegin => format!("RegionBegin {}: {}", named(&tasks), text(0)),
                EventKind::UserRegionEnd => format!("RegionEnd {}: {}", named(&tasks), text(0)),
                EventKind::UserLog => format!("Log {}: {}={}", named(&tasks), text(0), text(1)),
                _ => continue,
            });
        }
    }
    lines
}

/// The same as Go's reader tells it.
fn go_said(recorded: &Recorded) -> Option<Vec<String>> {
    let go = go::require_or_skip(&recorded.name)?;
    let path = recorded.store();
    let events = go.events(&path).expect("Go reads it");
    // What is left over is looked for nowhere.
    let _ = std::fs::remove_file(path);
    let mut tasks: HashMap<u64, String> = HashMap::new();
    let this_thread = Some(tachograph_e2e::load::tid());
    let mut lines = Vec::new();
    for event in events.iter().filter(|event| event.thread == this_thread) {
        let word = |key| event.detail(key).unwrap_or_default();
        let known = |tasks: &HashMap<u64, String>, key| {
            let id = event.detail_number(key).unwrap_or(0);
            tasks.get(&id).cloned().unwrap_or_default()
        };
        let task = known(&tasks, "task");
        lines.push(match event.kind.as_str() {
            "TaskBegin" => {
                let id = event.detail_number("task").expect("a task has a number");
                tasks.insert(id, word("name").to_owned());
                format!("TaskBegin {} < {}", word("name"), known(&tasks, "parent"))
            }
            "TaskEnd" => format!("TaskEnd {task}"),
            "RegionBegin" => format!("RegionBegin {task}: {}", word("name")),
            "RegionEnd" => format!("RegionEnd {task}: {}", word("name")),
            "Log" => format!("Log {task}: {}={}", word("category"), word("message")),
            _ => continue,
        });
    }
    Some(lines)
}

fn expected() -> Vec<String> {
    let mut lines: Vec<String> = EXPECTED.iter().map(|line| (*line).to_owned()).collect();
    lines.push("TaskBegin ended after stop < ".to_owned());
    lines
}

#[test]
fn each_annotation_is_there_once() {
    let _turn = turn();
    for period in [Duration::from_secs(1), Duration::ZERO] {
        let recorded = recorded(period);
        let trace = recorded.verify();
        assert_eq!(said(&trace), expected(), "{}", recorded.name);
        if let Some(lines) = go_said(&recorded) {
            assert_eq!(lines, expected(), "{}, read by Go", recorded.name);
        }
    }
}

/// What integrations keep of a task: it may outlive the task, and its recording.
#[test]
fn a_handle_records_for_its_task_and_in_later_recordings_for_none() {
    let _turn = turn();
    let running = Running::start("handles", Recorder::new()).expect("nothing runs");
    let job = tachograph_recorder::task("job");
    let handle = job.handle();
    drop(handle.region("before its end"));
    handle.log("job", "before its end");
    drop(job);
    drop(handle.region("after its end"));
    drop(tachograph_recorder::TaskHandle::BACKGROUND.region("of nobody"));
    let wanted = [
        "TaskBegin job < ",
        "RegionBegin job: before its end",
        "RegionEnd job: before its end",
        "Log job: job=before its end",
        "TaskEnd job",
        "RegionBegin job: after its end",
        "RegionEnd job: after its end",
        "RegionBegin : of nobody",
        "RegionEnd : of nobody",
    ];
    assert_eq!(said(&running.stop().verify()), wanted);

    let running = Running::start("handles, later", Recorder::new()).expect("nothing runs");
    drop(handle.region("later"));
    handle.log("later", "too");
    let wanted = [
        "RegionBegin : later",
        "RegionEnd : later",
        "Log : later=too",
    ];
    assert_eq!(said(&running.stop().verify()), wanted);
}

/// Texts of all lengths arrive, cut to 1024 bytes between characters; the empty one, too.
#[test]
fn long_texts_are_cut_between_characters() {
    let _turn = turn();
    let running = Running::start("long texts", Recorder::new()).expect("nothing runs");
    // With the letter before them, two-byte characters lie across the limit.
    let lengths = [0, 1, 511, 512, 513, 35_000];
    for length in lengths {
        let text = format!("a{}", "é".repeat(length));
        tachograph::log(text.clone(), &text);
        drop(tachograph::region(text.clone()));
        drop(tachograph::task(text));
    }
    tachograph::log("", "");
    let trace = running.stop().verify();
    let mut logs = Vec::new();
    for generation in &trace.generations {
        for (_, event) in generation.of_kind(EventKind::UserLog) {
            logs.push((
                generation.text_of(event, 0).len(),
                generation.text_of(event, 1).len(),
            ));
        }
    }
    let mut wanted = lengths.map(|length| (1 + 2 * length).min(1023)).to_vec();
    wanted.push(0);
    let wanted: Vec<_> = wanted.into_iter().map(|bytes| (bytes, bytes)).collect();
    assert_eq!(logs, wanted);
}
