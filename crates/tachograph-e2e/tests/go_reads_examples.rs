//! Go's reader and validator are really asked: they accept two traces written by hand, with the events that
//! these bytes mean, and refuse them when they are damaged.

use std::fs;
use std::path::PathBuf;

use tachograph_e2e::go::{self, GoError, GoVerdict};

/// The smallest complete 1.26 trace: one generation with nothing but its sync batch.
const SMALLEST: &str = "
    67 6f 20 31 2e 32 36 20 74 72 61 63 65 00 00 00     header: go 1.26 trace
    01 01 ff ff ff ff ff ff ff ff ff 01 e8 07 11        batch: generation 1, no thread, at 1000, 17 bytes
    32 08 a8 d6 b9 07                                   Sync, Frequency 15625000
    33 01 c0 f4 03 80 e2 cf aa 06 05                    ClockSnapshot
    34                                                  EndOfGeneration";

/// Two generations, one thread, a goroutine that comes and goes, and one CPU sample.
const TWO_GENERATIONS: &str = "
    67 6f 20 31 2e 32 36 20 74 72 61 63 65 00 00 00     header: go 1.26 trace
    01 01 ff ff ff ff ff ff ff ff ff 01 e8 07 11        batch: generation 1, no thread, at 1000
    32 08 a8 d6 b9 07 33 01 c0 f4 03 80 e2 cf aa 06 05  Sync, Frequency, ClockSnapshot
    01 01 07 f2 07 21                                   batch: thread 7, at 1010, 33 bytes
    0d 01 00 01                                         ProcStatus: P0 Running
    19 01 01 07 02                                      GoStatus: G1 on M7 Running
    0e 01 02 01 01                                      GoCreate: G2, start stack 1, stack 1
    14 02 01 01                                         GoBlock: reason 1, stack 1
    10 01 02 01                                         GoStart: G2, sequence 1
    15 01 01 01 00                                      GoUnblock: G1, sequence 1, no stack
    11 01                                               GoDestroy
    10 01 01 02                                         GoStart: G1, sequence 2
    01 01 ff ff ff ff ff ff ff ff ff 01 f8 07 08        batch: no thread, at 1016
    06 07 f7 07 07 00 02 01                             CPUSamples: at 1015 on M7 P0 G2, stack 1
    01 01 ff ff ff ff ff ff ff ff ff 01 86 08 0b        batch: no thread, at 1030
    02 03 01 01 80 a0 80 02 02 03 0c                    Stacks: 1 = pc 0x401000, function 2, file 3, line 12
    01 01 ff ff ff ff ff ff ff ff ff 01 86 08 20        batch: no thread, at 1030
    04 05 01 0c 63 68 61 6e 20 72 65 63 65 69 76 65     Strings: 1 = chan receive
    05 02 06 6d 61 69 6e 2e 66                          2 = main.f
    05 03 04 66 2e 72 73                                3 = f.rs
    34                                                  EndOfGeneration
    01 02 ff ff ff ff ff ff ff ff ff 01 d0 0f 13        batch: generation 2, no thread, at 2000
    32 08 a8 d6 b9 07 33 01 c0 e8 07 80 e2 cf aa 06     Sync, Frequency, ClockSnapshot ..
    85 f4 03                                            .. its nanoseconds
    01 02 07 d2 0f 0d                                   batch: thread 7, at 2002, 13 bytes
    0d 01 00 01 19 01 01 07 02 13 03 01 00              ProcStatus, GoStatus, GoStop: reason 1
    01 02 ff ff ff ff ff ff ff ff ff 01 da 0f 0d        batch: no thread, at 2010
    04 05 01 09 70 72 65 65 6d 70 74 65 64              Strings: 1 = preempted
    34                                                  EndOfGeneration";

/// Bytes of an annotated dump: on each line hex pairs up to the double space.
fn bytes(dump: &str) -> Vec<u8> {
    let hex = dump
        .lines()
        .map(|line| line.trim_start().split("  ").next().unwrap_or_default());
    hex.flat_map(str::split_whitespace)
        .map(|pair| u8::from_str_radix(pair, 16).expect("a hex pair"))
        .collect()
}

fn stored(name: &str, bytes: &[u8]) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, bytes).expect("the target directory is writable");
    path
}

#[test]
fn accepts_the_smallest_trace() {
    let Some(go) = go::require_or_skip("accepts_the_smallest_trace") else {
        return;
    };
    let trace = bytes(SMALLEST);
    assert_eq!(trace.len(), 49);
    let path = stored("smallest.trace", &trace);
    assert_eq!(
        go.validate(&path).unwrap(),
        GoVerdict {
            events: 2,
            samples: 0,
            syncs: 2
        }
    );
    assert_eq!(go.parsed(&path).unwrap().lines().count(), 2);
    assert!(go.wire(&path).unwrap().contains("EventBatch gen=1"));
}

#[test]
fn tells_the_ordered_events_with_their_stacks() {
    let Some(go) = go::require_or_skip("tells_the_ordered_events_with_their_stacks") else {
        return;
    };
    let trace = bytes(TWO_GENERATIONS);
    assert_eq!(trace.len(), 266);
    let events = go.events(&stored("two-generations.trace", &trace)).unwrap();
    let times: Vec<i64> = events.iter().map(|event| event.time_ns).collect();
    let first = [
        64000, 64704, 64768, 64832, 64960, 64961, 65024, 65088, 65152, 65216,
    ];
    let second = [128_000, 128_192, 128_256, 128_448, 128_449];
    assert_eq!(times, [&first[..], &second[..]].concat());

    let sample = &events[5];
    assert!(sample.is_sample());
    assert_eq!(
        (sample.thread, sample.proc, sample.goroutine),
        (Some(7), Some(0), Some(2))
    );
    assert_eq!(sample.generation, 1);
    let frame = &sample.stack[0];
    assert_eq!((frame.pc, frame.line), (0x40_1000, 12));
    assert_eq!(
        (frame.function.as_str(), frame.file.as_str()),
        ("main.f", "f.rs")
    );

    let create = &events[3];
    assert!(create.is_transition("NotExist", "Runnable"));
    assert_eq!(create.detail_number("goroutine"), Some(2));
    assert_eq!(create.resource_stack, create.stack);
    assert_eq!(events[4].detail("reason"), Some("chan receive"));
    assert_eq!(events[13].detail("reason"), Some("preempted"));
    assert_eq!(events[13].generation, 2);
    assert_eq!(events[0].detail_number("clock_mono"), Some(64064));
    assert_eq!(events[14].detail("clock_mono"), None);
}

#[test]
fn refuses_a_trace_that_was_cut() {
    let Some(go) = go::require_or_skip("refuses_a_trace_that_was_cut") else {
        return;
    };
    let mut trace = bytes(TWO_GENERATIONS);
    trace.truncate(trace.len() - 1);
    let path = stored("cut.trace", &trace);
    assert!(matches!(go.validate(&path), Err(GoError::Refused { .. })));
    assert!(matches!(go.events(&path), Err(GoError::Refused { .. })));
    assert!(matches!(go.parsed(&path), Err(GoError::Command { .. })));
}

#[test]
fn refuses_a_goroutine_that_starts_twice() {
    let Some(go) = go::require_or_skip("refuses_a_goroutine_that_starts_twice") else {
        return;
    };
    let mut trace = bytes(TWO_GENERATIONS);
    // The last GoStart of the first generation becomes a second start of G2, right after its end.
    let last_start = 0x53;
    assert_eq!(trace[last_start..last_start + 4], [0x10, 1, 1, 2]);
    trace[last_start + 2] = 2;
    let refused = go.validate(&stored("twice.trace", &trace)).unwrap_err();
    assert!(matches!(refused, GoError::Refused { .. }), "{refused}");
}

#[test]
fn refuses_what_only_the_validator_sees() {
    let Some(go) = go::require_or_skip("refuses_what_only_the_validator_sees") else {
        return;
    };
    let mut trace = bytes(TWO_GENERATIONS);
    // The monotonic clock of the second snapshot falls behind the first: legal for the reader.
    let mono = trace
        .windows(3)
        .position(|w| w == [0xc0, 0xe8, 0x07])
        .expect("second snapshot");
    trace[mono..mono + 3].copy_from_slice(&[0x81, 0x80, 0x00]);
    let path = stored("clock.trace", &trace);
    assert!(go.parsed(&path).is_ok());
    let refused = go.validate(&path).unwrap_err();
    assert!(
        matches!(&refused, GoError::Refused { message, .. } if message.contains("invalid event")),
        "{refused}"
    );
}

#[test]
fn a_missing_file_is_not_a_refusal() {
    let Some(go) = go::require_or_skip("a_missing_file_is_not_a_refusal") else {
        return;
    };
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("never-written.trace");
    assert!(matches!(go.validate(&path), Err(GoError::Command { .. })));
}
