//! Reads a trace and looks at everything there is.
//!
//! Called by every target. All that a caller of the reader can touch is touched here: an accessor that is added belongs here, too.

use std::fmt::{self, Write};
use std::hint::black_box;

use tachograph_reader::validate::Validator;
use tachograph_reader::{
    End, Event, Generation, Index, Kind, Options, ReadError, Reader, Stack, Sync,
};
use tachograph_wire::{Nanos, Version};

/// Formats and forgets.
struct Sink;

impl Write for Sink {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        black_box(text);
        Ok(())
    }
}

fn show(what: impl fmt::Display + fmt::Debug) {
    // The sink takes everything.
    let _ = write!(Sink, "{what} {what:?}");
}

/// Reads the trace as far as it goes, in every way there is.
pub fn drive(trace: &[u8]) {
    let mut options = Options::default();
    let whole = read(trace, options, usize::MAX);
    options.keep_incomplete = false;
    let strict = read(trace, options, usize::MAX);
    // Where a cut generation is broken, too, the sync at the end is missing. Older versions don't say where a generation ends: there, what
    // is whole of it is read in either case, and the rest may contradict it.
    assert!(
        strict <= whole + 1 || !trace.starts_with(&Version::Go126.header()),
        "{strict} events without the cut generation, {whole} with it"
    );
    // Leaves something out of each generation.
    read(trace, Options::default(), 3);
    index(trace);
}

/// Reads; of each generation only the first `part` events. Gives how many events there were.
fn read(trace: &[u8], options: Options, part: usize) -> u64 {
    let mut reader = match Reader::with_options(trace, options) {
        Ok(reader) => reader,
        Err(error) => return fail(&error),
    };
    let mut validator = Validator::new(reader.version());
    let (mut count, mut since_sync, mut last) = (0, 0, None);
    loop {
        match reader.next_event() {
            Ok(Some(event)) => {
                count += 1;
                since_sync = if matches!(event.kind(), Kind::Sync(_)) {
                    0
                } else {
                    since_sync + 1
                };
                in_time(&event, &mut last);
                look(&event);
                if let Err(violations) = validator.event(&event) {
                    violations.iter().for_each(show);
                    show(&violations);
                }
            }
            Ok(None) => break,
            Err(error) => {
                fail(&error);
                assert!(
                    matches!(reader.next_event(), Ok(None)),
                    "an error is the last word"
                );
                break;
            }
        }
        if since_sync == part {
            reader.skip_generation();
        }
    }
    black_box(reader.bytes_read());
    if let Some(End::Truncated(lost)) = reader.end() {
        show(lost);
    }
    // Three events are the most that one becomes, and an event has two bytes.
    let most = 3 * trace.len() as u64 + 2;
    assert!(count <= most, "{count} events of {} bytes", trace.len());
    count
}

fn fail(error: &ReadError) -> u64 {
    show(error);
    black_box(error.rule());
    0
}

/// Times rise until they can't any more.
fn in_time(event: &Event<'_>, last: &mut Option<Nanos>) {
    let time = event.time();
    assert!(
        last.is_none_or(|last| last < time || time == Nanos(i64::MAX)),
        "{time:?} after {last:?}"
    );
    *last = Some(time);
}

fn look(event: &Event<'_>) {
    black_box((event.thread(), event.proc(), event.task()));
    black_box((event.offset(), event.wire_kind()));
    let _ = write!(Sink, "{event:?}");
    event.stack().into_iter().for_each(frames);
    match event.kind() {
        Kind::Sync(sync) => look_at_sync(&sync),
        Kind::Metric(metric) => show(metric.name.name()),
        Kind::Label(label) => show(label.label),
        Kind::RangeBegin(range) | Kind::RangeActive(range) | Kind::RangeEnd(range) => {
            let _ = write!(Sink, "{} {range:?}", range.name);
        }
        Kind::TaskBegin(task) | Kind::TaskEnd(task) => show(task.name),
        Kind::RegionBegin(region) | Kind::RegionEnd(region) => show(region.name),
        Kind::Log(log) => {
            show(log.category);
            black_box(log.message.to_str_lossy());
        }
        Kind::Transition(transition) => {
            show(transition.reason);
            transition.stack.into_iter().for_each(frames);
        }
        Kind::Experimental(experimental) => {
            black_box((experimental.kind.spec(), experimental.args.len()));
        }
        _ => {}
    }
}

fn frames(stack: Stack<'_>) {
    black_box(stack.id());
    for frame in stack.frames() {
        black_box((
            frame.pc,
            frame.line,
            frame.function.as_bytes(),
            frame.file.to_str(),
        ));
    }
}

fn look_at_sync(sync: &Sync<'_>) {
    let _ = write!(Sink, "{sync:?}");
    black_box((sync.is_last(), sync.generation(), sync.clock()));
    for batch in sync.experimental_batches() {
        black_box((batch.experiment, batch.thread, batch.bytes));
    }
    for metadata in sync.metadata() {
        let _ = write!(Sink, "{metadata:?}");
    }
}

/// All that a generation has, whether an event refers to it or not.
fn look_at_generation(generation: &Generation) {
    black_box((generation.number(), generation.offset(), generation.start()));
    black_box((
        generation.is_cut(),
        generation.sample_count(),
        generation.clock(),
    ));
    for (id, text) in generation.strings() {
        assert!(generation.is_cut() || generation.string(id) == text);
    }
    generation.stacks().for_each(frames);
}

fn index(trace: &[u8]) {
    let index = match Index::of(trace) {
        Ok(index) => index,
        Err(error) => {
            fail(&error);
            return;
        }
    };
    let _ = write!(Sink, "{index:?}");
    index.ended_by.as_ref().map(fail);
    for generation in &index.generations {
        black_box(generation.start.and_then(|start| index.at(start)));
        let Some(rest) = trace.get(generation.offset.0 as usize..) else {
            panic!("{generation:?} begins behind the trace");
        };
        let mut reader = Reader::resume(rest, index.version, generation.offset);
        // The first events: all of them were read from the front.
        for _ in 0..8 {
            match reader.next_event() {
                Ok(Some(event)) => {
                    look(&event);
                    event.generation().into_iter().for_each(look_at_generation);
                }
                Ok(None) => break,
                Err(error) => {
                    fail(&error);
                    break;
                }
            }
        }
    }
}
