//! Claims about counting, on traces made by hand.

use super::report::Failure;
use super::*;
use tachograph_wire::metadata::{
    Cause, Count, EventsLost, Gap, GapCause, GenerationTimes, Metadata, SampleCounts, Weights,
};
use tachograph_wire::{
    BatchWriter, ClockSnapshot, EventKind, Frame, Frequency, Generation, ProcId, Sample, StackId,
    StringId, TaskId, ThreadId, Ticks, Version,
};

const THREAD: ThreadId = ThreadId(7);
const CLOCK: ClockSnapshot = ClockSnapshot {
    dt: Ticks(1),
    mono: 8008,
    sec: 1_700_000_000,
    nsec: 5,
};

/// A trace in the making.
struct Trace {
    version: Version,
    bytes: Vec<u8>,
}

impl Trace {
    fn of(version: Version) -> Self {
        Self {
            version,
            bytes: version.header().to_vec(),
        }
    }

    fn batch(
        mut self,
        number: u64,
        thread: ThreadId,
        time: u64,
        fill: impl Fn(&mut BatchWriter),
    ) -> Self {
        let mut batch = BatchWriter::new(Generation(number), thread, Ticks(time));
        fill(&mut batch);
        batch.finish_into(&mut self.bytes);
        self
    }

    fn sync(self, number: u64, time: u64) -> Self {
        let has_sync = self.version.has_sync();
        self.batch(number, ThreadId::NONE, time, |batch| {
            if has_sync {
                batch.sync(Frequency::RECORDED, &CLOCK).unwrap();
            } else {
                batch.lone_frequency(Frequency::RECORDED).unwrap();
            }
        })
    }

    /// A region of 250 ticks that begins 11 ticks after `time`.
    fn region(self, number: u64, time: u64) -> Self {
        self.batch(number, THREAD, time, |batch| {
            let at = |dt| Ticks(time + dt);
            batch.event(EventKind::ProcStatus, at(1), &[3, 1]).unwrap();
            batch
                .event(EventKind::GoStatus, at(2), &[9, THREAD.0, 2])
                .unwrap();
            batch
                .event(EventKind::UserRegionBegin, at(11), &[5, 1, 1])
                .unwrap();
            batch
                .event(EventKind::UserRegionEnd, at(261), &[5, 1, 0])
                .unwrap();
        })
    }

    fn samples(self, number: u64, times: &[u64]) -> Self {
        let sample = |time| Sample {
            time: Ticks(time),
            thread: THREAD,
            proc: ProcId::NONE,
            task: TaskId(9),
            stack: StackId(1),
        };
        self.batch(number, ThreadId::NONE, times[0], |batch| {
            times
                .iter()
                .for_each(|time| batch.sample(&sample(*time)).unwrap());
        })
    }

    fn tables(self, number: u64, time: u64, texts: &[String]) -> Self {
        let frame = Frame {
            pc: 0x40_1000,
            function: StringId(1),
            file: StringId(1),
            line: 300,
        };
        let with_stack = self.batch(number, ThreadId::NONE, time, |batch| {
            batch.stack(StackId(1), &[frame, frame]).unwrap();
        });
        with_stack.batch(number, ThreadId::NONE, time, |batch| {
            batch.string(StringId(1), b"main").unwrap();
            for (text, id) in texts.iter().zip(2..) {
                batch.string(StringId(id), text.as_bytes()).unwrap();
            }
        })
    }

    fn end(mut self) -> Self {
        if self.version.has_end_of_generation() {
            self.bytes.push(EventKind::EndOfGeneration.code());
        }
        self
    }

    fn whole_generation(self, number: u64, time: u64, metadata: &[Metadata]) -> Self {
        let texts: Vec<String> = metadata.iter().flat_map(Metadata::encode).collect();
        self.sync(number, time)
            .region(number, time + 10)
            .samples(number, &[time + 50, time + 20])
            .tables(number, time + 300, &texts)
            .end()
    }

    fn report(&self) -> Report {
        of_input(&self.bytes[..]).unwrap()
    }
}

fn two_generations(version: Version) -> Trace {
    Trace::of(version)
        .whole_generation(1, 1000, &[])
        .whole_generation(2, 2000, &[])
}

#[test]
fn counts_every_byte_of_every_version() {
    for version in Version::ALL {
        let trace = two_generations(version);
        let report = trace.report();
        assert_eq!(report.error, None, "{version}");
        assert_eq!(report.bytes, trace.bytes.len() as u64, "{version}");
        assert_eq!(
            (report.events, report.samples.count, report.samples.weight),
            (8, 4, 4)
        );
        let counts = [
            "EventBatch",
            "CPUSample",
            "Frequency",
            "Stack",
            "UserRegionEnd",
        ]
        .map(|name| report.by_type[name].count);
        assert_eq!(counts, [10, 4, 2, 2, 2], "{version}");
        assert_eq!(
            report.by_type["UserRegionEnd"].bytes,
            2 * 6,
            "code, delta of two bytes, three arguments"
        );
        assert_eq!(report.by_type["String"].bytes, 2 * 7);
        let ends = report
            .by_type
            .get("EndOfGeneration")
            .map(|found| found.count);
        assert_eq!(ends, version.has_end_of_generation().then_some(2));
    }
}

#[test]
fn tells_threads_procs_and_tasks_apart() {
    let seen = two_generations(Version::Go126).report().seen;
    let all = (
        seen.threads,
        seen.procs,
        seen.tasks,
        seen.user_tasks,
        seen.at_least,
    );
    assert_eq!(all, (1, 1, 1, 1, false));
}

#[test]
fn generations_have_times_in_nanoseconds() {
    for version in Version::ALL {
        let generations = two_generations(version).report().generations;
        let second = generations[1];
        assert_eq!((second.r#gen, second.events, second.samples), (2, 4, 2));
        assert_eq!(
            (second.start_ns, second.end_ns),
            (Some(16_000), Some(8 * 2271)),
            "{version}"
        );
        assert_eq!(
            (second.first_sample_ns, second.last_sample_ns),
            (Some(8 * 2020), Some(8 * 2050))
        );
    }
}

#[test]
fn times_are_known_where_the_frequency_comes_last() {
    let trace = Trace::of(Version::Go122)
        .region(1, 1010)
        .tables(1, 1300, &[])
        .sync(1, 1500)
        .region(2, 2000)
        .tables(2, 2300, &[])
        .sync(2, 1990);
    let generations = trace.report().generations;
    let times: Vec<_> = generations
        .iter()
        .map(|one| (one.start_ns, one.end_ns))
        .collect();
    assert_eq!(
        times,
        [(Some(8080), Some(8 * 1271)), (Some(15_920), Some(8 * 2261))]
    );
}

#[test]
fn the_recorders_own_times_widen_a_generation() {
    let times = GenerationTimes {
        generation: Generation(1),
        published: Some(Ticks(990)),
        quiet: Some(Ticks(5000)),
        previous_quiet: None,
        unknown: Vec::new(),
    };
    let report = Trace::of(Version::Go126)
        .whole_generation(1, 1000, &[Metadata::Generation(times)])
        .report();
    let one = report.generations[0];
    assert_eq!((one.start_ns, one.end_ns), (Some(7920), Some(40_000)));
    assert_eq!((one.published_ns, one.quiet_ns), (Some(7920), Some(40_000)));
}

#[test]
fn adds_up_weights_and_losses() {
    let mut counts = SampleCounts {
        handled: 9,
        emitted: 2,
        ..SampleCounts::default()
    };
    counts.lost.add(Cause::RingFull, 7);
    counts.incomplete.add(Cause::StackBounds, 1);
    let lost = EventsLost {
        thread: None,
        reentrant: Count(3),
        unrecorded: Count(4),
        unknown: Vec::new(),
    };
    let gap = Gap {
        start: Ticks(100),
        end: Ticks(1100),
        cause: GapCause::SinkBehind,
        unknown: Vec::new(),
    };
    let metadata = [
        Metadata::Samples(counts),
        Metadata::Weights(Weights::of(THREAD, [1, 5])),
        Metadata::EventsLost(lost),
        Metadata::Gap(gap),
    ];
    let trace = Trace::of(Version::Go126).whole_generation(1, 1000, &metadata);
    let report = trace.whole_generation(2, 2000, &metadata).report();
    assert_eq!((report.samples.count, report.samples.weight), (4, 12));
    let account = report.samples.account.unwrap();
    assert_eq!((account.handled, account.emitted), (18, 4));
    assert_eq!(
        account.lost.into_iter().collect::<Vec<_>>(),
        [("ring_full".to_owned(), 14)]
    );
    assert_eq!(
        account.incomplete.into_iter().collect::<Vec<_>>(),
        [("stack_bounds".to_owned(), 2)]
    );
    assert_eq!(
        (report.events_lost.reentrant, report.events_lost.unrecorded),
        (6, 8)
    );
    assert_eq!((report.gaps.count, report.gaps.total_ns), (2, 16_000));
    assert_eq!(report.gaps.by_cause["sink_behind"], 2);
}

#[test]
fn unknown_causes_are_kept_and_bounded() {
    let causes: Vec<String> = (0..100)
        .map(|number| format!("lost.new{number}=1"))
        .collect();
    let texts: Vec<String> = causes
        .chunks(50)
        .map(|some| {
            format!(
                "tachograph/1 samples handled=50 emitted=0 {}",
                some.join(" ")
            )
        })
        .collect();
    let trace = Trace::of(Version::Go126)
        .sync(1, 10)
        .tables(1, 20, &texts)
        .end();
    let account = trace.report().samples.account.unwrap();
    assert_eq!(account.lost.values().sum::<u64>(), 100);
    assert_eq!(account.lost["new0"], 1);
    assert!(account.lost.len() < 70, "{}", account.lost.len());
}

#[test]
fn unreadable_metadata_is_counted_and_harms_nothing() {
    let texts = [
        "tachograph/2 thread tid=1",
        "tachograph/1 samples handled=x",
        "tachograph/",
    ];
    let trace = Trace::of(Version::Go126)
        .sync(1, 10)
        .tables(1, 20, &texts.map(str::to_owned))
        .end();
    let report = trace.report();
    assert_eq!((report.error, report.unreadable_metadata), (None, 3));
}

#[test]
fn every_cut_is_a_truncation_and_keeps_what_stands_before() {
    let first = Trace::of(Version::Go126).whole_generation(1, 1000, &[]);
    let trace = two_generations(Version::Go126);
    for len in 17..trace.bytes.len() {
        let report = of_input(&trace.bytes[..len]).unwrap();
        assert!(report.bytes <= len as u64, "{len} bytes: {}", report.bytes);
        if len >= first.bytes.len() {
            assert_eq!(report.generations[0], first.report().generations[0]);
        }
        if len == first.bytes.len() {
            assert_eq!(report.error, None);
            continue;
        }
        let error = report.error.expect("a cut is found");
        assert!(error.message.contains("truncated"), "{len} bytes: {error}");
    }
}

#[test]
fn a_cut_header_is_a_truncation_and_other_bytes_are_no_trace() {
    let header = Version::Go126.header();
    for len in 0..header.len() {
        let report = of_input(&header[..len]).unwrap();
        assert_eq!((report.version, report.bytes), (None, 0));
        assert!(report.error.unwrap().truncated);
    }
    assert_eq!(
        Trace::of(Version::Go126).report().error,
        None,
        "no generation, but all there"
    );
    let report = of_input(&b"#!/bin/sh\necho hello\n"[..]).unwrap();
    assert!(!report.error.unwrap().truncated);
}

#[test]
fn any_changed_byte_is_survived() {
    let trace = two_generations(Version::Go126);
    for at in 0..trace.bytes.len() {
        for value in [0, 1, 0x31, 0x34, 0x7f, 0x80, 0xff] {
            let mut bytes = trace.bytes.clone();
            bytes[at] = value;
            let report = of_input(&bytes[..]).unwrap();
            let mut out = Vec::new();
            view::write(&report, "test", &mut out).unwrap();
            serde_json::to_writer(&mut out, &report).unwrap();
        }
    }
}

fn error_of(trace: &Trace) -> Failure {
    trace.report().error.expect("the trace is broken")
}

#[test]
fn says_which_rule_is_broken_and_where() {
    let zero = error_of(&Trace::of(Version::Go126).sync(0, 10));
    assert_eq!((zero.offset, zero.truncated), (16, false));
    assert!(zero.message.ends_with("[G1]"), "{zero}");
    let changed = error_of(&Trace::of(Version::Go126).sync(1, 10).region(2, 20));
    assert!(changed.message.ends_with("[G2]"), "{changed}");
    let jump = Trace::of(Version::Go126)
        .sync(1, 10)
        .end()
        .sync(5, 20)
        .end();
    assert_eq!(jump.report().error, None, "1.26 may leave numbers out");
}

#[test]
fn what_stands_before_an_error_is_counted() {
    let trace = Trace::of(Version::Go126)
        .sync(1, 10)
        .batch(1, THREAD, 20, |batch| {
            batch
                .event(EventKind::ProcStatus, Ticks(21), &[3, 1])
                .unwrap();
            batch.opaque(&[EventKind::GoStart.code(), 1]).unwrap();
        })
        .end();
    let report = trace.report();
    assert!(
        !report.error.unwrap().truncated,
        "an event ends early, the trace does not"
    );
    assert_eq!(report.generations[0].events, 1);
    assert_eq!(report.by_type["ProcStatus"].count, 1);
}

#[test]
fn an_order_that_cannot_be_is_an_error() {
    let trace = Trace::of(Version::Go126)
        .sync(1, 10)
        .batch(1, THREAD, 20, |batch| {
            batch.event(EventKind::ProcStop, Ticks(21), &[]).unwrap();
        })
        .end();
    let report = trace.report();
    assert!(report.error.unwrap().message.ends_with("[O2]"));
    assert_eq!(report.events, 0);
}

#[test]
fn counts_payloads_of_experiments_with_their_batches() {
    let mut trace = Trace::of(Version::Go126).sync(1, 10);
    let mut batch = BatchWriter::for_experiment(9, Generation(1), THREAD, Ticks(20));
    batch.opaque(&[1; 50]).unwrap();
    batch.finish_into(&mut trace.bytes);
    let trace = trace.end();
    let report = trace.report();
    assert_eq!(report.by_type["ExperimentalBatch"].bytes, 56);
    assert_eq!(report.bytes, trace.bytes.len() as u64);
}

#[test]
fn a_failing_reader_is_no_broken_trace() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::PermissionDenied.into())
        }
    }
    let start = two_generations(Version::Go126).bytes;
    for good in [0, 100] {
        let error = of_input(start[..good].chain(Failing)).unwrap_err();
        assert_eq!(error.to_string(), "can't read: permission denied");
    }
}

#[test]
fn long_traces_show_their_ends_only() {
    let mut trace = Trace::of(Version::Go126);
    for number in 1..=100 {
        trace = trace.sync(number, number * 1000).end();
    }
    let mut out = Vec::new();
    view::write(&trace.report(), "test", &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.contains("84 generations not shown; --json has all"),
        "{text}"
    );
    assert!(text.lines().count() < 40, "{text}");
}
