//! Any bytes give items or one error, and both walks agree on which.

use std::io::Read;
use tachograph_wire::version::WRITTEN;
use tachograph_wire::*;

/// A small generator of pseudo-random numbers.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// Hands out a few bytes at a time.
struct Trickle<'a>(&'a [u8], Random);

impl Read for Trickle<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = (1 + self.1.below(40)).min(self.0.len()).min(out.len());
        let (now, later) = self.0.split_at(count);
        out[..count].copy_from_slice(now);
        self.0 = later;
        Ok(count)
    }
}

/// Reads everything in a batch every way there is; the sum keeps the work from being dropped.
fn read_through(batch: &Batch<'_>) -> u64 {
    let mut sum = batch
        .events()
        .filter_map(Result::ok)
        .map(|event| event.args[0] ^ event.dt.0)
        .fold(0, u64::wrapping_add);
    for version in Version::ALL {
        let sync = batch.sync(version).ok().and_then(|sync| sync.frequency);
        sum ^= sync.map_or(0, |frequency| frequency.nanos(Ticks(sum)).0 as u64);
    }
    sum ^= batch.strings().map_or(0, |strings| {
        strings
            .filter_map(Result::ok)
            .map(|s| s.bytes.len() as u64)
            .sum()
    });
    sum ^= batch
        .samples()
        .map_or(0, |samples| samples.filter_map(Result::ok).count() as u64);
    let stacks = batch.stacks().into_iter().flatten().filter_map(Result::ok);
    sum ^ stacks
        .flat_map(|stack| stack.frames)
        .fold(0, |sum, frame| sum ^ frame.pc)
}

/// What a walk saw: each item's offset and thread, and the error.
type Seen = (Vec<(u64, u64)>, Option<WireError>);

fn note(seen: &mut Seen, item: Result<Item<'_>, WireError>) {
    match item {
        Ok(Item::Batch(batch)) => {
            read_through(&batch);
            seen.0.push((batch.offset.0, batch.header.thread.0));
        }
        Ok(Item::EndOfGeneration { offset }) => seen.0.push((offset.0, 0)),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            seen.1 = Some(error);
        }
    }
}

fn walk_slice(bytes: &[u8]) -> Seen {
    let mut seen = Seen::default();
    match Items::new(bytes) {
        Ok(items) => items.for_each(|item| note(&mut seen, item)),
        Err(error) => note(&mut seen, Err(error)),
    }
    seen
}

fn walk_reader(reader: impl Read) -> Seen {
    let mut seen = Seen::default();
    match TraceItems::new(reader) {
        Ok(mut items) => {
            while let Some(item) = items.next_item() {
                assert_eq!(seen.1, None, "items after an error");
                note(&mut seen, item);
            }
        }
        Err(error) => note(&mut seen, Err(error)),
    }
    seen
}

fn check(bytes: &[u8], seed: u64) -> Seen {
    let seen = walk_slice(bytes);
    assert_eq!(walk_reader(bytes), seen);
    assert_eq!(walk_reader(Trickle(bytes, Random(seed))), seen);
    seen
}

/// A trace with every sort of batch.
fn valid_trace() -> Vec<u8> {
    let mut out = WRITTEN.header().to_vec();
    for generation in 1..4 {
        let new = || BatchWriter::new(Generation(generation), ThreadId(7), Ticks(100));
        let mut batches = [new(), new(), new(), new(), new()];
        let clock = ClockSnapshot {
            dt: Ticks(1),
            mono: 808,
            sec: 1,
            nsec: 2,
        };
        batches[0].sync(Frequency::RECORDED, &clock).unwrap();
        batches[1].string(StringId(1), b"name").unwrap();
        let frame = Frame {
            pc: 1,
            function: StringId(1),
            file: StringId(1),
            line: 300,
        };
        batches[2].stack(StackId(1), &[frame, frame]).unwrap();
        let (time, thread, proc) = (Ticks(500), ThreadId(7), ProcId(0));
        batches[3]
            .sample(&Sample {
                time,
                thread,
                proc,
                task: TaskId(1),
                stack: StackId(1),
            })
            .unwrap();
        for kind in EventKind::ALL.iter().filter(|kind| kind.is_timed()) {
            batches[4]
                .event(*kind, Ticks(200), &vec![200; kind.arity()])
                .unwrap();
        }
        batches
            .into_iter()
            .for_each(|batch| batch.finish_into(&mut out));
        out.push(EventKind::EndOfGeneration.code());
    }
    out
}

#[test]
fn random_bytes_give_items_or_an_error() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut failed = 0;
    for seed in 1..20_000 {
        let mut bytes = Version::ALL[random.below(4)].header().to_vec();
        for _ in 0..random.below(200) {
            // Mostly small numbers, so that headers and records get somewhere.
            let shift = [0, 2, 4, 6][random.below(4)];
            bytes.push((random.next() as u8) >> shift);
        }
        failed += u32::from(check(&bytes, seed).1.is_some());
    }
    assert!(failed > 10_000);
}

#[test]
fn random_payloads_give_records_or_an_error() {
    let mut random = Random(42);
    let mut records = 0;
    for _ in 0..50_000 {
        let payload: Vec<u8> = (0..random.below(60))
            .map(|_| random.next() as u8 >> random.below(7))
            .collect();
        let header = BatchHeader {
            generation: Generation(1),
            thread: ThreadId(1),
            time: Ticks(0),
            size: payload.len(),
        };
        let offset = ByteOffset(random.next());
        let batch = Batch {
            offset,
            payload_offset: offset,
            header,
            experiment: None,
            payload: &payload,
        };
        records += u32::from(read_through(&batch) != 0);
    }
    assert!(records > 1000);
}

#[test]
fn damaged_traces_give_items_or_an_error() {
    let valid = valid_trace();
    assert_eq!(check(&valid, 1), (walk_slice(&valid).0, None));
    let mut random = Random(7);
    for seed in 1..5_000 {
        let mut bytes = valid.clone();
        for _ in 0..1 + random.below(3) {
            let at = random.below(bytes.len());
            bytes[at] = random.next() as u8;
        }
        check(&bytes, seed);
    }
}

#[test]
fn a_trace_cut_anywhere_is_truncated_or_ends_between_items() {
    let valid = valid_trace();
    let (items, _) = walk_slice(&valid);
    for end in 0..valid.len() {
        let (seen, error) = check(&valid[..end], 1 + end as u64);
        assert!(items.starts_with(&seen));
        let between = items.iter().any(|(offset, _)| *offset == end as u64);
        assert_eq!(
            error.map(|error| error.is_truncated()),
            (!between).then_some(true),
            "cut at {end}"
        );
    }
}

#[test]
fn the_longest_batches_pass_through_the_buffer() {
    let mut bytes = WRITTEN.header().to_vec();
    for i in 0..10 {
        let mut batch = BatchWriter::for_experiment(1, Generation(1), ThreadId(i), Ticks(u64::MAX));
        batch
            .opaque(&vec![i as u8; limits::MAX_BATCH_BYTES - i as usize])
            .unwrap();
        batch.finish_into(&mut bytes);
    }
    let (items, error) = check(&bytes, 3);
    assert_eq!((items.len(), error), (10, None));
}

#[test]
fn a_failing_input_is_an_error_with_its_place() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::ConnectionReset.into())
        }
    }
    let valid = valid_trace();
    let (items, error) = walk_reader(valid[..40].chain(Broken));
    let problem = error::Problem::Io(std::io::ErrorKind::ConnectionReset);
    assert_eq!(
        error,
        Some(WireError {
            offset: ByteOffset(40),
            problem
        })
    );
    assert!(items.len() <= 1);
}
