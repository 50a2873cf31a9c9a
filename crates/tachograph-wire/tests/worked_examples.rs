//! Traces spelt out byte by byte: decoded, checked and written anew.

use tachograph_wire::*;

/// Bytes from lines of hexadecimal; what follows a `;` is talk.
fn bytes(text: &str) -> Vec<u8> {
    let words = text.lines().flat_map(|line| {
        line.split(';')
            .next()
            .unwrap_or_default()
            .split_whitespace()
    });
    words
        .map(|word| u8::from_str_radix(word, 16).unwrap())
        .collect()
}

const HEADER: &str = "67 6f 20 31 2e 32 36 20 74 72 61 63 65 00 00 00 ; go 1.26 trace\n";

const SYNC_1: &str = "
    01 01 ff ff ff ff ff ff ff ff ff 01 e8 07 11 ; batch of generation 1, no thread, time 1000, 17 bytes
    32                                           ; sync
    08 a8 d6 b9 07                               ; frequency 15625000
    33 01 c0 f4 03 80 e2 cf aa 06 05             ; clocks: 1 tick on, 64064 ns, 1700000000 s and 5 ns
";

const REST: &str = "
    01 01 07 f2 07 21                            ; batch of generation 1, thread 7, time 1010, 33 bytes
    0d 01 00 01                                  ; ProcStatus 0 running
    19 01 01 07 02                               ; GoStatus 1 on thread 7 running
    0e 01 02 01 01                               ; GoCreate 2
    14 02 01 01                                  ; GoBlock
    10 01 02 01                                  ; GoStart 2
    15 01 01 01 00                               ; GoUnblock 1
    11 01                                        ; GoDestroy
    10 01 01 02                                  ; GoStart 1
    01 01 ff ff ff ff ff ff ff ff ff 01 f8 07 08
    06 07 f7 07 07 00 02 01                      ; one sample at 1015
    01 01 ff ff ff ff ff ff ff ff ff 01 86 08 0b
    02 03 01 01 80 a0 80 02 02 03 0c             ; one stack of one frame
    01 01 ff ff ff ff ff ff ff ff ff 01 86 08 20
    04 05 01 0c 63 68 61 6e 20 72 65 63 65 69 76 65 ; chan receive
    05 02 06 6d 61 69 6e 2e 66                   ; main.f
    05 03 04 66 2e 72 73                         ; f.rs
    34
    01 02 ff ff ff ff ff ff ff ff ff 01 d0 0f 13
    32 08 a8 d6 b9 07 33 01 c0 e8 07 80 e2 cf aa 06 85 f4 03
    01 02 07 d2 0f 0d
    0d 01 00 01 19 01 01 07 02 13 03 01 00       ; ProcStatus, GoStatus, GoStop
    01 02 ff ff ff ff ff ff ff ff ff 01 da 0f 0d
    04 05 01 09 70 72 65 65 6d 70 74 65 64       ; preempted
    34
";

/// Reads a trace with the typed decoders and writes it with the writer.
fn rewrite(trace: &[u8]) -> Vec<u8> {
    let items = Items::new(trace).unwrap();
    let version = items.version();
    let mut out = version.header().to_vec();
    for item in items {
        match item.unwrap() {
            Item::EndOfGeneration { .. } => out.push(EventKind::EndOfGeneration.code()),
            Item::Batch(batch) => rewrite_batch(&batch, version).finish_into(&mut out),
        }
    }
    out
}

fn rewrite_batch(batch: &Batch<'_>, version: Version) -> BatchWriter {
    let BatchHeader {
        generation,
        thread,
        time,
        ..
    } = batch.header;
    let mut writer = BatchWriter::new(generation, thread, time);
    match batch.kind(version) {
        BatchKind::Strings => batch.strings().unwrap().for_each(|record| {
            let StringRecord { id, bytes } = record.unwrap();
            writer.string(id, bytes).unwrap();
        }),
        BatchKind::Stacks => batch.stacks().unwrap().for_each(|record| {
            let StackRecord { id, frames } = record.unwrap();
            writer.stack(id, &frames.collect::<Vec<_>>()).unwrap();
        }),
        BatchKind::Samples => {
            batch
                .samples()
                .unwrap()
                .for_each(|sample| writer.sample(&sample.unwrap()).unwrap());
        }
        BatchKind::Sync => match batch.sync(version).unwrap() {
            SyncBatch {
                frequency: Some(frequency),
                clock: Some(clock),
            } => writer.sync(frequency, &clock).unwrap(),
            SyncBatch {
                frequency: Some(frequency),
                clock: None,
            } => writer.lone_frequency(frequency).unwrap(),
            other => panic!("{other:?}"),
        },
        BatchKind::Events => batch.events().for_each(|event| {
            let event = event.unwrap();
            writer
                .event_after(event.kind, event.dt, event.args())
                .unwrap();
        }),
        BatchKind::Experiment(_) => writer.opaque(batch.payload).unwrap(),
    }
    writer
}

#[test]
fn smallest_trace_reads_and_rewrites() {
    let trace = bytes(&[HEADER, SYNC_1, "34"].concat());
    assert_eq!(trace.len(), 49);
    let items: Vec<_> = Items::new(&trace).unwrap().map(Result::unwrap).collect();
    let [
        Item::Batch(batch),
        Item::EndOfGeneration {
            offset: ByteOffset(0x30),
        },
    ] = items[..]
    else {
        panic!("{items:?}");
    };
    assert_eq!(
        (batch.offset, batch.payload_offset),
        (ByteOffset(0x10), ByteOffset(0x1f))
    );
    assert_eq!(
        batch.header,
        BatchHeader {
            generation: Generation(1),
            thread: ThreadId::NONE,
            time: Ticks(1000),
            size: 17
        }
    );
    let clock = ClockSnapshot {
        dt: Ticks(1),
        mono: 64_064,
        sec: 1_700_000_000,
        nsec: 5,
    };
    let sync = SyncBatch {
        frequency: Some(Frequency(15_625_000)),
        clock: Some(clock),
    };
    assert_eq!(batch.sync(Version::Go126), Ok(sync));
    assert_eq!(rewrite(&trace), trace);
}

#[test]
fn smallest_traces_of_older_versions_read_and_rewrite() {
    let lone = bytes("01 01 ff ff ff ff ff ff ff ff ff 01 e8 07 05 08 a8 d6 b9 07");
    for version in [Version::Go122, Version::Go123] {
        let trace = [&version.header()[..], &lone].concat();
        assert_eq!(trace.len(), 36);
        assert_eq!(rewrite(&trace), trace);
    }
    let trace = [&Version::Go125.header()[..], &bytes(SYNC_1)].concat();
    assert_eq!(rewrite(&trace), trace);
}

#[test]
fn two_generations_read_and_rewrite() {
    let trace = bytes(&[HEADER, SYNC_1, REST].concat());
    assert_eq!(trace.len(), 266);
    assert_eq!(rewrite(&trace), trace);
}

#[test]
fn two_generations_have_the_known_event_times() {
    let trace = bytes(&[HEADER, SYNC_1, REST].concat());
    let mut times = Vec::new();
    for item in Items::new(&trace).unwrap() {
        let Item::Batch(batch) = item.unwrap() else {
            continue;
        };
        if batch.kind(Version::Go126) == BatchKind::Events {
            let mut time = batch.header.time;
            for event in batch.events() {
                time = time + event.unwrap().dt;
                times.push(Frequency(15_625_000).nanos(time).0);
            }
        }
    }
    let first = [
        64_704, 64_768, 64_832, 64_960, 65_024, 65_088, 65_152, 65_216,
    ];
    assert_eq!(times, [&first[..], &[128_192, 128_256, 128_448]].concat());
}

#[test]
fn end_of_generation_is_refused_before_it_existed() {
    for version in [Version::Go122, Version::Go123, Version::Go125] {
        let trace = [&version.header()[..], &[0x34]].concat();
        let error = Items::new(&trace).unwrap().next().unwrap().unwrap_err();
        let problem = error::Problem::NotInVersion {
            found: 0x34,
            version,
        };
        assert_eq!(
            error,
            WireError {
                offset: ByteOffset(16),
                problem
            }
        );
    }
}

#[test]
fn format_page_spells_out_the_trace_that_the_writer_writes() {
    let page = include_str!("../../../docs/FORMAT.md");
    let (_, block) = page.split_once("```hex\n").expect("a block of hexadecimal");
    let (block, _) = block.split_once("```").expect("its end");
    let shown = bytes(block);
    let written = tiny_trace();
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(hex(&shown), hex(&written));
    assert_eq!(rewrite(&written), written);
}

/// The trace of docs/FORMAT.md.
fn tiny_trace() -> Vec<u8> {
    let none = |time| BatchWriter::new(Generation(1), ThreadId::NONE, Ticks(time));
    let mut out = version::WRITTEN.header().to_vec();

    let mut sync = none(1000);
    let clock = ClockSnapshot {
        dt: Ticks(1),
        mono: 8008,
        sec: 1_700_000_000,
        nsec: 5,
    };
    sync.sync(Frequency::RECORDED, &clock).unwrap();
    sync.finish_into(&mut out);

    let mut events = BatchWriter::new(Generation(1), ThreadId(7), Ticks(1010));
    events
        .event(
            EventKind::ProcStatus,
            Ticks(1011),
            &[0, ProcStatus::Running.to_wire()],
        )
        .unwrap();
    events
        .event(
            EventKind::GoStatus,
            Ticks(1012),
            &[1, 7, TaskStatus::Running.to_wire()],
        )
        .unwrap();
    events
        .event(EventKind::UserRegionBegin, Ticks(1020), &[0, 1, 0])
        .unwrap();
    events
        .event(EventKind::UserRegionEnd, Ticks(1270), &[0, 1, 0])
        .unwrap();
    events.finish_into(&mut out);

    let mut strings = none(1300);
    strings.string(StringId(1), b"load").unwrap();
    strings
        .string(StringId(2), b"tachograph/1 thread tid=7")
        .unwrap();
    strings.finish_into(&mut out);

    out.push(EventKind::EndOfGeneration.code());
    out
}
