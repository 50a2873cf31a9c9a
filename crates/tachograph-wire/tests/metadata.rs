//! Metadata records: every kind there and back, what is unknown, what is refused, what is cut.

use tachograph_wire::limits::MAX_STRING_BYTES;
use tachograph_wire::metadata::*;
use tachograph_wire::{Generation, ProcId, TaskId, ThreadId, Ticks};

fn parse(text: &str) -> Metadata {
    Metadata::parse(text)
        .expect("metadata")
        .expect("well formed")
}

fn refused(text: &str) -> MetadataError {
    Metadata::parse(text).expect("metadata").expect_err(text)
}

/// Every kind with its text, the way docs/FORMAT.md shows them.
fn examples() -> Vec<(Metadata, &'static str)> {
    let mut counts = SampleCounts {
        thread: Some(ThreadId(4711)),
        handled: 107,
        emitted: 103,
        ..Default::default()
    };
    counts.lost.add(Cause::RingFull, 3);
    counts.lost.add(Cause::Late, 1);
    counts.incomplete.add(Cause::Truncated, 9);
    vec![
        (
            Metadata::Generation(GenerationTimes {
                generation: Generation(4),
                published: Some(Ticks(1000)),
                quiet: Some(Ticks(125_001_000)),
                previous_quiet: Some(Ticks(1010)),
                unknown: vec![],
            }),
            "tachograph/1 generation gen=4 published_ticks=1000 quiet_ticks=125001000 previous_quiet_ticks=1010",
        ),
        (
            Metadata::Recorder(RecorderSetup {
                version: "0.1.0".into(),
                clock: Some(ClockSource::Tsc),
                fence: Some(Fence::Membarrier),
                unwinder: Some(Unwinder::FramePointers),
                pid: Some(42),
                exe: Some("/opt/my app/server".into()),
                unknown: vec![],
            }),
            "tachograph/1 recorder version=0.1.0 clock=tsc fence=membarrier unwinder=frame_pointers pid=42 \
             exe=/opt/my%20app/server",
        ),
        (
            Metadata::Sampling(Sampling {
                source: SamplingSource::PosixTimer,
                hz: Some(99),
                tick_hz: Some(250),
                unknown: vec![],
            }),
            "tachograph/1 sampling source=posix_timer hz=99 tick_hz=250",
        ),
        (
            Metadata::Thread(Thread {
                thread: ThreadId(4711),
                name: Some("io 50%".into()),
                task: Some(TaskId(9)),
                kind: Some(ThreadKind::Plain),
                unknown: vec![],
            }),
            "tachograph/1 thread tid=4711 name=io%2050%25 task=9 kind=plain",
        ),
        (
            Metadata::Proc(Proc {
                proc: ProcId(3),
                runtime: 1,
                name: Some("http".into()),
                worker: Some(0),
                thread: ThreadId(4711),
                unknown: vec![],
            }),
            "tachograph/1 proc id=3 runtime=1 name=http worker=0 tid=4711",
        ),
        (
            Metadata::Coverage(Coverage {
                runtime: 1,
                busy: Ticks(125_000),
                tasks: Ticks(100_000),
                polls: Count(420),
                unparks: Count(17),
                idle_unparks: Count(2),
                unknown: vec![],
            }),
            "tachograph/1 coverage runtime=1 busy_ticks=125000 task_ticks=100000 polls=420 unparks=17 \
             unparks_without_task=2",
        ),
        (
            Metadata::Module(Module {
                start: Address(0x5555_5555_4000),
                end: Address(0x5555_5560_0000),
                bias: Address(0x5555_5555_4000),
                build_id: Some("00ff".into()),
                path: Some("/usr/bin/server".into()),
                unknown: vec![],
            }),
            "tachograph/1 module start=0x555555554000 end=0x555555600000 bias=0x555555554000 build_id=00ff \
             path=/usr/bin/server",
        ),
        (
            Metadata::Samples(counts),
            "tachograph/1 samples tid=4711 handled=107 emitted=103 lost.ring_full=3 lost.late=1 incomplete.truncated=9",
        ),
        (
            Metadata::Weights(Weights {
                thread: ThreadId(4711),
                first: 17,
                runs: vec![
                    Run {
                        weight: 3,
                        count: 2,
                    },
                    Run {
                        weight: 1,
                        count: 40,
                    },
                    Run {
                        weight: 2,
                        count: 1,
                    },
                ],
            }),
            "tachograph/1 weights tid=4711 first=17 runs=3*2,1*40,2",
        ),
        (
            Metadata::Gap(Gap {
                start: Ticks(9000),
                end: Ticks(250_009_000),
                cause: GapCause::SinkBehind,
                unknown: vec![],
            }),
            "tachograph/1 gap start_ticks=9000 end_ticks=250009000 cause=sink_behind",
        ),
        (
            Metadata::EventsLost(EventsLost {
                thread: None,
                reentrant: Count(0),
                unrecorded: Count(12),
                unknown: vec![],
            }),
            "tachograph/1 events_lost unrecorded=12",
        ),
    ]
}

#[test]
fn round_trips_every_kind_as_documented() {
    for (record, text) in examples() {
        assert_eq!(record.encode(), [text]);
        assert_eq!(parse(text), record);
    }
}

#[test]
fn every_example_of_the_format_page_is_metadata() {
    let page = include_str!("../../../docs/FORMAT.md");
    let shown: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with(FAMILY))
        .collect();
    for text in &shown {
        assert_eq!(parse(text).encode(), [*text]);
    }
    for (_, text) in examples() {
        assert!(shown.contains(&text), "docs/FORMAT.md doesn't show {text}");
    }
}

#[test]
fn other_strings_are_not_metadata() {
    for text in ["", "main", "tachograph", " tachograph/1 generation gen=1"] {
        assert_eq!(Metadata::parse(text), None);
    }
}

#[test]
fn keeps_unknown_kinds_keys_words_and_causes() {
    for text in [
        "tachograph/1 orbit moon=luna%20",
        "tachograph/1 orbit",
        "tachograph/1 thread tid=1 shoe=43 hat=",
        "tachograph/1 recorder version=9 clock=sundial",
        "tachograph/1 samples handled=5 emitted=3 lost.ring_full=1 lost.eclipse=1",
    ] {
        assert_eq!(parse(text).encode(), [text]);
    }
    let Metadata::Samples(counts) =
        parse("tachograph/1 samples handled=5 emitted=3 lost.late=1 lost.eclipse=1")
    else {
        panic!("samples");
    };
    assert_eq!(counts.lost.total(), 2);
}

#[test]
fn refuses_what_it_cannot_understand() {
    let text = |text: &str| text.to_owned();
    assert_eq!(
        refused("tachograph/2 generation gen=1"),
        MetadataError::Version(text("2"))
    );
    assert_eq!(refused("tachograph/"), MetadataError::Version(text("")));
    assert_eq!(refused("tachograph/1"), MetadataError::NoKind);
    assert_eq!(refused("tachograph/1 "), MetadataError::NoKind);
    assert_eq!(
        refused("tachograph/1 generation"),
        MetadataError::MissingKey("gen")
    );
    assert_eq!(
        refused("tachograph/1 generation gen"),
        MetadataError::NotAField(text("gen"))
    );
    assert_eq!(
        refused("tachograph/1 generation  gen=1"),
        MetadataError::NotAField(text(""))
    );
    assert_eq!(
        refused("tachograph/1 generation gen=1 gen=1"),
        MetadataError::DuplicateKey(text("gen"))
    );
    assert_eq!(
        refused("tachograph/1 thread tid=1 name=%4"),
        MetadataError::BadEscape(text("name=%4"))
    );
    let bad = |key: &str, found: &str| MetadataError::BadValue {
        key: text(key),
        found: text(found),
    };
    assert_eq!(refused("tachograph/1 generation gen=-1"), bad("gen", "-1"));
    assert_eq!(
        refused("tachograph/1 samples handled=1 emitted=1 lost.late=x"),
        bad("lost.late", "x")
    );
    assert_eq!(
        refused("tachograph/1 module start=12 end=0x2 bias=0x0"),
        bad("start", "12")
    );
    for runs in ["", "1,", "1*", "*2", "2*18446744073709551615"] {
        assert_eq!(
            refused(&format!("tachograph/1 weights tid=1 first=1 runs={runs}")),
            bad("runs", runs)
        );
    }
}

#[test]
fn cuts_paths_at_their_beginning_and_names_at_their_end() {
    let path = format!("/begin{}/end.so", "/x y".repeat(1000));
    let module = Module {
        start: Address(1),
        end: Address(2),
        bias: Address(0),
        build_id: None,
        path: Some(path),
        unknown: vec![],
    };
    let text = Metadata::Module(module).encode().remove(0);
    assert!(
        (MAX_STRING_BYTES - 5..=MAX_STRING_BYTES).contains(&text.len()),
        "{}",
        text.len()
    );
    let Metadata::Module(read) = parse(&text) else {
        panic!("module")
    };
    assert!(read.path.unwrap().ends_with("/x y/end.so"));
    assert_eq!(read.unknown, [("cut".to_owned(), "path".to_owned())]);

    let name = format!("worker-{}", "é ".repeat(1000));
    let thread = Thread {
        thread: ThreadId(1),
        name: Some(name),
        task: None,
        kind: None,
        unknown: vec![],
    };
    let text = Metadata::Thread(thread).encode().remove(0);
    assert!(
        (MAX_STRING_BYTES - 5..=MAX_STRING_BYTES).contains(&text.len()),
        "{}",
        text.len()
    );
    let Metadata::Thread(read) = parse(&text) else {
        panic!("thread")
    };
    assert!(read.name.unwrap().starts_with("worker-é é "));
}

#[test]
fn cuts_even_where_many_values_are_long() {
    let long = |key: &str| (key.to_owned(), " ".repeat(900));
    let fields = vec![long("a"), long("b"), long("c")];
    let record = Metadata::Unknown {
        kind: "x".into(),
        fields,
    };
    let text = record.encode().remove(0);
    assert!(text.len() <= MAX_STRING_BYTES);
    assert!(matches!(parse(&text), Metadata::Unknown { .. }));
}

/// Puts the weights of several records back together.
fn expand(records: &[String], samples: u64) -> Vec<u64> {
    let records: Vec<_> = records
        .iter()
        .map(|text| match parse(text) {
            Metadata::Weights(weights) => weights,
            other => panic!("{other:?}"),
        })
        .collect();
    (0..samples)
        .map(|i| {
            records
                .iter()
                .find_map(|weights| weights.get(i))
                .unwrap_or(1)
        })
        .collect()
}

#[test]
fn weights_of_one_take_no_record() {
    let weights = Metadata::Weights(Weights::of(ThreadId(1), [1; 10_000]));
    assert_eq!(weights.encode(), [""; 0]);
}

#[test]
fn weights_split_into_records_within_the_limit() {
    let weights: Vec<u64> = (0..5000)
        .map(|i: u64| if i % 700 < 300 { 1 } else { 1 + i * i % 977 })
        .collect();
    let records =
        Metadata::Weights(Weights::of(ThreadId(u64::MAX), weights.iter().copied())).encode();
    assert!(records.len() > 5);
    assert!(records.iter().all(|text| text.len() <= MAX_STRING_BYTES));
    assert_eq!(expand(&records, 5000), weights);
    assert!(
        records.iter().all(|text| !text.ends_with("1*300")),
        "runs of 1 at the end are left out"
    );
}
