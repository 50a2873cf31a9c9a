//! Reading ahead gives what reading does.

use tachograph_reader::{Ahead, End, Reader};
use tachograph_wire::{
    BatchWriter, ClockSnapshot, EventKind, Frequency, Generation, StringId, ThreadId, Ticks,
    version,
};

/// `generations` generations in which a task blocks and is woken `rounds` times.
fn trace(generations: u64, rounds: u64) -> Vec<u8> {
    let mut trace = version::WRITTEN.header().to_vec();
    for number in 1..=generations {
        let (number, base) = (Generation(number), number * 10_000_000);
        let mut sync = BatchWriter::new(number, ThreadId::NONE, Ticks(base));
        let clock = ClockSnapshot {
            dt: Ticks(1),
            mono: base * 8,
            sec: 1_700_000_000 + base,
            nsec: 0,
        };
        sync.sync(Frequency::RECORDED, &clock).unwrap();
        sync.finish_into(&mut trace);
        let mut time = Ticks(base);
        let mut events = BatchWriter::new(number, ThreadId(7), time);
        let mut put = |events: &mut BatchWriter, kind, args: &[u64]| {
            time = time + Ticks(1);
            if events.event(kind, time, args).is_err() {
                let full = BatchWriter::new(number, ThreadId(7), time);
                std::mem::replace(events, full).finish_into(&mut trace);
                events.event(kind, time, args).unwrap();
            }
        };
        put(&mut events, EventKind::ProcStatus, &[0, 1]);
        put(&mut events, EventKind::GoStatus, &[1, 7, 2]);
        for round in 0..rounds {
            put(&mut events, EventKind::UserRegionBegin, &[0, 1, 0]);
            put(&mut events, EventKind::UserRegionEnd, &[0, 1, 0]);
            put(&mut events, EventKind::GoBlock, &[2, 0]);
            put(&mut events, EventKind::GoUnblock, &[1, 2 * round + 1, 0]);
            put(&mut events, EventKind::GoStart, &[1, 2 * round + 2]);
        }
        events.finish_into(&mut trace);
        let mut strings = BatchWriter::new(number, ThreadId::NONE, Ticks(base));
        strings.string(StringId(1), b"round").unwrap();
        strings.string(StringId(2), b"select").unwrap();
        strings.finish_into(&mut trace);
        trace.push(EventKind::EndOfGeneration as u8);
    }
    trace
}

type Told = (Vec<String>, Result<Option<End>, String>);

fn read(bytes: &[u8]) -> Told {
    let mut reader = Reader::new(bytes).unwrap();
    let mut events = Vec::new();
    loop {
        match reader.next_event() {
            Ok(Some(event)) => events.push(format!("{event:?}")),
            Ok(None) => return (events, Ok(reader.end().cloned())),
            Err(error) => return (events, Err(error.to_string())),
        }
    }
}

fn read_ahead(bytes: &[u8]) -> Told {
    let mut reader = Ahead::new(std::io::Cursor::new(bytes.to_vec())).unwrap();
    let mut events = Vec::new();
    loop {
        match reader.next_event() {
            Ok(Some(event)) => events.push(format!("{event:?}")),
            Ok(None) => {
                assert!(matches!(reader.next_event(), Ok(None)));
                return (events, Ok(reader.end().cloned()));
            }
            Err(error) => return (events, Err(error.to_string())),
        }
    }
}

#[test]
fn gives_the_same_events_and_the_same_end() {
    for (generations, rounds) in [(0, 0), (1, 0), (3, 300), (1, 20_000), (40, 7)] {
        let trace = trace(generations, rounds);
        let told = read(&trace);
        assert_eq!(told.1, Ok(Some(End::Complete)));
        let events = generations * (3 + 5 * rounds) + 1;
        assert_eq!(told.0.len() as u64, events);
        assert_eq!(read_ahead(&trace), told);
    }
}

#[test]
fn breaks_off_where_reading_does() {
    let whole = trace(3, 30);
    let mut ends = 0;
    for cut in (16..whole.len()).step_by(7) {
        let told = read(&whole[..cut]);
        assert_eq!(read_ahead(&whole[..cut]), told, "cut at {cut}");
        ends += usize::from(matches!(told.1, Ok(Some(End::Truncated(_)))));
    }
    assert!(ends > 10, "{ends}");
    for flipped in (16..whole.len()).step_by(5) {
        let mut trace = whole.clone();
        trace[flipped] ^= 0x15;
        assert_eq!(read_ahead(&trace), read(&trace), "flipped at {flipped}");
    }
}

#[test]
fn what_is_there_of_a_cut_generation_is_ordered() {
    let whole = trace(2, 400);
    let events = read(&whole).0.len();
    let (mut before, mut unresolved) = (0, 0);
    // Within the events of the last generation, whose names stand behind them.
    for cut in (whole.len() - 4000..whole.len() - 60).step_by(29) {
        let (told, end) = read(&whole[..cut]);
        let Ok(Some(End::Truncated(lost))) = end else {
            panic!("cut at {cut}: {end:?}");
        };
        assert_eq!(
            (lost.unordered_events, lost.stopped_by),
            (0, None),
            "cut at {cut}"
        );
        assert!((before..events).contains(&told.len()), "cut at {cut}");
        before = told.len();
        unresolved = unresolved.max(lost.unresolved_ids);
    }
    assert!(before > events - 20, "{before} of {events}");
    assert!(unresolved > 1000, "{unresolved}");
}

#[test]
fn memory_of_generations_is_used_again() {
    let trace = trace(60, 1000);
    let mut reader = Ahead::new(std::io::Cursor::new(trace)).unwrap();
    let mut places = std::collections::BTreeSet::new();
    while let Some(event) = reader.next_event().unwrap() {
        let generation = event.generation().map(std::ptr::from_ref);
        places.extend(generation.map(<*const _>::addr));
    }
    // What is ordered, what waits in chunks, what is loaded.
    assert!(
        places.len() <= 12,
        "60 generations in {} places",
        places.len()
    );
}

#[test]
fn a_caller_may_leave_in_the_middle() {
    let trace = trace(20, 2000);
    for _ in 0..20 {
        let mut reader = Ahead::new(std::io::Cursor::new(trace.clone())).unwrap();
        for _ in 0..5 {
            assert!(reader.next_event().unwrap().is_some());
        }
    }
}
