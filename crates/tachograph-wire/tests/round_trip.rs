//! What the writer writes, the readers read.

use tachograph_wire::limits::{MAX_BATCH_BYTES, MAX_STACK_FRAMES, MAX_STRING_BYTES};
use tachograph_wire::version::WRITTEN;
use tachograph_wire::*;

const GENERATION: Generation = Generation(5);
const THREAD: ThreadId = ThreadId(4711);
const TIME: Ticks = Ticks(1_000_000);

fn batch() -> BatchWriter {
    BatchWriter::new(GENERATION, THREAD, TIME)
}

/// A trace of one batch.
fn trace(batch: BatchWriter) -> Vec<u8> {
    let mut bytes = WRITTEN.header().to_vec();
    batch.finish_into(&mut bytes);
    bytes
}

fn only_batch(bytes: &[u8]) -> Batch<'_> {
    let mut items = Items::new(bytes).unwrap();
    let Some(Ok(Item::Batch(batch))) = items.next() else {
        panic!("no batch")
    };
    assert_eq!(items.next(), None);
    batch
}

#[test]
fn round_trips_every_timed_event_with_small_and_large_arguments() {
    for value in [0, 1, 127, 128, 1 << 35, u64::MAX] {
        let timed = || {
            EventKind::ALL
                .iter()
                .copied()
                .filter(|kind| kind.is_timed())
        };
        let mut writer = batch();
        for kind in timed() {
            let args: Vec<u64> = (0..kind.arity() as u64).map(|i| value ^ i).collect();
            writer.event_after(kind, Ticks(value), &args).unwrap();
        }
        let bytes = trace(writer);
        let events: Vec<RawEvent> = only_batch(&bytes).events().map(Result::unwrap).collect();
        assert!(events.iter().map(|event| event.kind).eq(timed()));
        for event in events {
            assert_eq!(event.dt, Ticks(value));
            assert_eq!(event.args().len(), event.kind.arity());
            assert!(
                event
                    .args()
                    .iter()
                    .enumerate()
                    .all(|(i, arg)| *arg == value ^ i as u64)
            );
        }
    }
}

#[test]
fn arguments_are_found_by_kind() {
    let mut writer = batch();
    writer
        .event(EventKind::GoUnblock, TIME, &[8, 3, 21])
        .unwrap();
    let bytes = trace(writer);
    let event = only_batch(&bytes).events().next().unwrap().unwrap();
    assert_eq!(event.arg(ArgKind::Task), Some(8));
    assert_eq!(event.arg(ArgKind::TaskSeq), Some(3));
    assert_eq!(event.arg(ArgKind::Stack), Some(21));
    assert_eq!(event.arg(ArgKind::Proc), None);
}

#[test]
fn times_increase_strictly_even_where_the_clock_does_not() {
    let mut writer = batch();
    for time in [TIME, TIME, Ticks(0), TIME + Ticks(10), TIME + Ticks(10)] {
        writer.event(EventKind::ProcStop, time, &[]).unwrap();
    }
    let bytes = trace(writer);
    let deltas: Vec<u64> = only_batch(&bytes)
        .events()
        .map(|event| event.unwrap().dt.0)
        .collect();
    assert_eq!(deltas, [1, 1, 1, 7, 1]);
}

#[test]
fn round_trips_strings_and_cuts_long_ones() {
    let mut writer = batch();
    let long = "€".repeat(500);
    writer.string(StringId(1), b"").unwrap();
    writer.string(StringId(u64::MAX), &[0xff, 0xfe, 0]).unwrap();
    writer.string(StringId(2), long.as_bytes()).unwrap();
    let bytes = trace(writer);
    let batch = only_batch(&bytes);
    assert_eq!(batch.kind(WRITTEN), BatchKind::Strings);
    let strings: Vec<_> = batch.strings().unwrap().map(Result::unwrap).collect();
    assert_eq!(
        strings[0],
        StringRecord {
            id: StringId(1),
            bytes: b""
        }
    );
    assert_eq!(
        strings[1],
        StringRecord {
            id: StringId(u64::MAX),
            bytes: &[0xff, 0xfe, 0]
        }
    );
    assert_eq!(strings[2].bytes, limits::cut_string(&long).as_bytes());
    assert_eq!(strings[2].bytes.len(), MAX_STRING_BYTES - 1);
}

fn frame(i: u64) -> Frame {
    Frame {
        pc: u64::MAX - i,
        function: StringId(i),
        file: StringId(i * 1000),
        line: i,
    }
}

#[test]
fn round_trips_stacks_and_keeps_the_leaves_of_deep_ones() {
    let deep: Vec<Frame> = (0..200).map(frame).collect();
    let mut writer = batch();
    writer.stack(StackId(1), &[]).unwrap();
    writer.stack(StackId(2), &deep[..3]).unwrap();
    writer.stack(StackId(3), &deep).unwrap();
    let bytes = trace(writer);
    let stacks: Vec<_> = only_batch(&bytes)
        .stacks()
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(stacks.iter().map(|stack| stack.id.0).eq(1..=3));
    for (stack, len) in stacks.iter().zip([0, 3, MAX_STACK_FRAMES]) {
        assert_eq!(stack.frames.len(), len);
        assert!(stack.frames.clone().eq(deep[..len].iter().copied()));
    }
}

#[test]
fn round_trips_samples() {
    let samples = [
        Sample {
            time: Ticks(u64::MAX),
            thread: ThreadId(1),
            proc: ProcId::NONE,
            task: TaskId::NONE,
            stack: StackId::NONE,
        },
        Sample {
            time: Ticks(0),
            thread: THREAD,
            proc: ProcId(0),
            task: TaskId(300),
            stack: StackId(2),
        },
    ];
    let mut writer = batch();
    samples
        .iter()
        .for_each(|sample| writer.sample(sample).unwrap());
    let bytes = trace(writer);
    assert!(
        only_batch(&bytes)
            .samples()
            .unwrap()
            .map(Result::unwrap)
            .eq(samples)
    );
}

#[test]
fn round_trips_sync_of_both_forms() {
    let clock = ClockSnapshot {
        dt: Ticks(1),
        mono: 8_000_008,
        sec: 1_700_000_000,
        nsec: 999_999_999,
    };
    let mut writer = batch();
    writer.sync(Frequency::RECORDED, &clock).unwrap();
    let bytes = trace(writer);
    let expected = SyncBatch {
        frequency: Some(Frequency::RECORDED),
        clock: Some(clock),
    };
    assert_eq!(only_batch(&bytes).sync(Version::Go126), Ok(expected));
    assert!(only_batch(&bytes).sync(Version::Go123).is_err());

    let mut writer = batch();
    writer.lone_frequency(Frequency(15_625_000)).unwrap();
    let bytes = trace(writer);
    let expected = SyncBatch {
        frequency: Some(Frequency(15_625_000)),
        clock: None,
    };
    assert_eq!(only_batch(&bytes).sync(Version::Go123), Ok(expected));
    assert!(only_batch(&bytes).sync(Version::Go126).is_err());
}

#[test]
fn round_trips_experimental_batches() {
    let mut writer = BatchWriter::for_experiment(9, GENERATION, ThreadId::NONE, TIME);
    writer.opaque(&[4, 4, 4]).unwrap();
    let bytes = trace(writer);
    let batch = only_batch(&bytes);
    assert_eq!(batch.kind(WRITTEN), BatchKind::Experiment(9));
    assert_eq!(
        (batch.payload, batch.header.thread),
        (&[4, 4, 4][..], ThreadId::NONE)
    );
}

#[test]
fn a_full_batch_stays_as_it_was() {
    let mut writer = batch();
    let text = [b'x'; MAX_STRING_BYTES];
    let mut written = 0;
    while writer.string(StringId(written + 1), &text).is_ok() {
        written += 1;
    }
    let left = writer.remaining();
    assert!(left < MAX_STRING_BYTES + 5);
    assert_eq!(writer.string(StringId(written + 1), &text), Err(Full));
    assert_eq!(writer.remaining(), left);
    writer
        .string(StringId(written + 1), &text[..left - 5])
        .unwrap();
    assert!(writer.remaining() <= 1);
    let bytes = trace(writer);
    let batch = only_batch(&bytes);
    assert!(batch.payload.len() <= MAX_BATCH_BYTES);
    assert_eq!(
        batch.strings().unwrap().map(Result::unwrap).count() as u64,
        written + 1
    );
}

#[test]
fn offsets_point_into_the_file() {
    let mut writer = batch();
    writer.string(StringId(1), b"one").unwrap();
    writer.string(StringId(2), b"two").unwrap();
    let bytes = trace(writer);
    let mut strings = only_batch(&bytes).strings().unwrap();
    while let offset = strings.offset()
        && let Some(record) = strings.next()
    {
        let record = record.unwrap();
        let at = usize::try_from(offset.0).unwrap();
        assert_eq!(bytes[at], EventKind::String.code());
        assert_eq!(&bytes[at + 3..at + 6], record.bytes);
    }
}
