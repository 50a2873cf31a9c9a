//! One claim for each check, and that none is made of a trace in order.
//!
//! Where a reader delivers what breaks a check, the trace is made of bytes; where it refuses that, the event is made by hand.

use super::*;
use crate::event::Resource;
use crate::reader::Reader;
use crate::record::{Context, Extra, NONE, Record};
use tachograph_wire::{
    BatchWriter, ByteOffset, ClockSnapshot, EventKind as E, Frame, Frequency, Generation as Number,
    ProcId, ThreadId, Ticks,
};

const THREAD: ThreadId = ThreadId(7);

/// A trace of generations that differ in their tables and events.
struct Trace(Vec<u8>);

impl Trace {
    fn new() -> Self {
        Self(tachograph_wire::version::WRITTEN.header().to_vec())
    }

    /// Adds a generation whose clocks stand at `clock`.
    fn generation(mut self, number: u64, clock: u64, events: &[(E, &[u64])]) -> Self {
        let number = Number(number);
        let batch = || BatchWriter::new(number, ThreadId::NONE, Ticks(100 * number.0));
        let mut sync = batch();
        let snapshot = ClockSnapshot {
            dt: Ticks(0),
            mono: clock,
            sec: clock,
            nsec: 0,
        };
        sync.sync(Frequency(1_000_000_000), &snapshot).unwrap();
        let mut strings = batch();
        for (id, text) in [(1, "name"), (2, "file.rs"), (3, "other")] {
            strings.string(StringId(id), text.as_bytes()).unwrap();
        }
        let frame = |line| Frame {
            pc: 16,
            function: StringId(1),
            file: StringId(2),
            line,
        };
        let mut stacks = batch();
        stacks.stack(StackId(1), &[frame(1), frame(2)]).unwrap();
        stacks.stack(StackId(2), &[frame(0), frame(2)]).unwrap();
        stacks.stack(StackId(3), &[frame(1), frame(0)]).unwrap();
        let mut own = BatchWriter::new(number, THREAD, Ticks(100 * number.0));
        for (kind, args) in events {
            own.event_after(*kind, Ticks(1), args).unwrap();
        }
        for batch in [sync, strings, stacks, own] {
            batch.finish_into(&mut self.0);
        }
        self.0.push(E::EndOfGeneration as u8);
        self
    }

    /// All that is wrong with it. The reader accepts it.
    fn findings(&self) -> Vec<Finding> {
        self.findings_with(Options::default())
    }

    fn findings_with(&self, options: Options) -> Vec<Finding> {
        let mut reader = Reader::new(&self.0[..]).unwrap();
        let mut validator = Validator::with_options(reader.version(), options);
        let mut all = Vec::new();
        while let Some(event) = reader.next_event().unwrap() {
            if let Err(violations) = validator.event(&event) {
                all.extend(violations.into_iter().map(|violation| violation.finding));
            }
        }
        all
    }
}

/// A thread, its proc and its task, all in order.
const START: [(E, &[u64]); 2] = [(E::ProcStatus, &[0, 1]), (E::GoStatus, &[1, 7, 2])];

fn started(events: &[(E, &'static [u64])]) -> Trace {
    let all: Vec<_> = START.into_iter().chain(events.iter().copied()).collect();
    Trace::new().generation(1, 5, &all)
}

/// Feeds events made by hand, within a generation whose tables are those of [`Trace`].
struct Bench {
    validator: Validator,
    generation: &'static Generation,
    time: i64,
}

impl Bench {
    /// `syncs` generations have begun, in order.
    fn new(syncs: u64) -> Self {
        let mut trace = Trace::new();
        for number in 1..=syncs {
            trace = trace.generation(number, number, &[]);
        }
        let mut reader = Reader::new(std::io::Cursor::new(trace.0)).unwrap();
        let mut validator = Validator::new(reader.version());
        for _ in 1..syncs {
            let sync = reader.next_event().unwrap().unwrap();
            validator.event(&sync).unwrap();
        }
        // Events borrow from the reader, which has to live as long as they may.
        let last = Box::leak(Box::new(reader)).next_event().unwrap().unwrap();
        validator.event(&last).unwrap();
        Self {
            validator,
            generation: last.generation().unwrap(),
            time: 1 << 40,
        }
    }

    fn feed(&mut self, mut record: Record) -> Vec<Finding> {
        self.time += 1;
        record.time = Nanos(self.time);
        self.feed_at(record)
    }

    fn feed_at(&mut self, record: Record) -> Vec<Finding> {
        let event = Event {
            record: &record,
            generation: Some(self.generation),
        };
        match self.validator.event(&event) {
            Ok(()) => Vec::new(),
            Err(violations) => violations
                .into_iter()
                .map(|violation| violation.finding)
                .collect(),
        }
    }
}

fn record(kind: E, args: [u64; 4]) -> Record {
    Record {
        time: Nanos(0),
        offset: ByteOffset(77),
        context: Context {
            thread: THREAD,
            proc: ProcId(0),
            task: TaskId(1),
        },
        args,
        kind: Some(kind),
        extra: Extra::NONE,
    }
}

fn task_step(kind: E, task: u64, from: TaskState, to: TaskState) -> Record {
    record(kind, [task, 0, 0, 0]).with_change(from as u8, to as u8)
}

const TASK: Resource = Resource::Task(TaskId(1));

#[test]
fn finds_nothing_in_a_trace_in_order() {
    let events: [(E, &[u64]); 12] = [
        (E::GoLabel, &[1]),
        (E::UserTaskBegin, &[9, 0, 1, 1]),
        (E::UserRegionBegin, &[9, 1, 2]),
        (E::UserLog, &[9, 1, 0, 1]),
        (E::UserRegionEnd, &[9, 1, 1]),
        (E::UserTaskEnd, &[9, 1]),
        (E::STWBegin, &[1, 1]),
        (E::STWEnd, &[]),
        (E::HeapAlloc, &[1]),
        (E::GoCreate, &[2, 1, 2]),
        (E::GoDestroy, &[]),
        (E::GoStart, &[2, 1]),
    ];
    let trace =
        started(&events).generation(2, 6, &[(E::GoStatus, &[2, 7, 2]), (E::GoDestroy, &[])]);
    assert_eq!(trace.findings(), []);
}

#[test]
fn v1_refuses_times_that_do_not_increase() {
    let mut bench = Bench::new(1);
    let mut event = record(E::HeapAlloc, [0; 4]);
    event.time = Nanos(1 << 41);
    assert_eq!(bench.feed_at(event), []);
    assert_eq!(bench.feed_at(event), [Finding::NotAfter(Nanos(1 << 41))]);
    event.time = Nanos((1 << 41) + 1);
    assert_eq!(bench.feed_at(event), []);
}

#[test]
fn v2_refuses_frames_that_lack_something_but_for_the_leaf() {
    let lacks = Finding::Frame {
        stack: StackId(3),
        place: 1,
        lacks: "line",
    };
    let region = |stack| started(&[(E::UserRegionBegin, stack)]).findings();
    assert_eq!(region(&[0, 1, 2]), []);
    assert_eq!(region(&[0, 1, 3]), std::slice::from_ref(&lacks));
    // The stack of a new task is not the event's.
    let created = started(&[(E::GoCreate, &[2, 3, 1])]).findings();
    assert_eq!(created, [lacks]);
}

#[test]
fn v3_refuses_syncs_out_of_turn() {
    let mut bench = Bench::new(1);
    let mut sync = record(E::HeapAlloc, [3, 0, 0, 0]);
    sync.kind = None;
    let found = bench.feed(sync);
    assert!(
        found.contains(&Finding::SyncNumber {
            found: 3,
            wanted: 2
        }),
        "{found:?}"
    );
}

#[test]
fn v4_refuses_clocks_that_are_missing_zero_or_stand() {
    assert_eq!(Trace::new().findings(), [Finding::NoClocks]);
    let zero = Trace::new().generation(1, 0, &[]);
    assert_eq!(zero.findings(), [Finding::ClockZero(ClockName::Monotonic)]);
    let stand = Trace::new().generation(1, 5, &[]).generation(2, 5, &[]);
    let found = stand.findings();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(matches!(
        found[..],
        [
            Finding::ClockStands {
                clock: ClockName::Wall,
                ..
            },
            Finding::ClockStands {
                clock: ClockName::Monotonic,
                found: 5,
                before: 5
            }
        ]
    ));
    let options = Options {
        clocks_go_on: false,
    };
    assert_eq!(stand.findings_with(options), []);
}

#[test]
fn v4_asks_nothing_of_traces_without_snapshots() {
    let mut validator = Validator::new(Version::Go123);
    let mut sync = record(E::HeapAlloc, [1, 0, 0, 0]);
    (sync.kind, sync.time) = (None, Nanos(1));
    let event = Event {
        record: &sync,
        generation: None,
    };
    assert_eq!(validator.event(&event), Ok(()));
}

#[test]
fn v6_refuses_empty_labels_and_labels_on_nothing() {
    assert_eq!(
        started(&[(E::GoLabel, &[0])]).findings(),
        [Finding::EmptyLabel]
    );
    let mut bench = Bench::new(1);
    let mut label = record(E::GoLabel, [1, 0, 0, 0]);
    assert_eq!(bench.feed(label), [Finding::LabelsUnknown(TaskId(1))]);
    label.context.task = TaskId(NONE);
    assert_eq!(bench.feed(label), [Finding::LabelsNothing]);
}

#[test]
fn v7_refuses_what_is_undetermined() {
    use TaskState::{Undetermined, Waiting};
    let mut bench = Bench::new(1);
    assert_eq!(
        bench.feed(task_step(E::GoStatus, 1, Undetermined, Waiting)),
        []
    );
    let found = bench.feed(task_step(E::GoStatus, 1, Waiting, Undetermined));
    assert_eq!(found, [Finding::BecomesUndetermined(TASK)]);
    let found = Bench::new(2).feed(task_step(E::GoStatus, 1, Undetermined, Waiting));
    assert_eq!(found, [Finding::Undetermined(TASK)]);
}

#[test]
fn v8_refuses_states_that_do_not_follow() {
    use TaskState::{NotExist, Runnable, Waiting};
    let mut bench = Bench::new(2);
    let found = bench.feed(task_step(E::GoUnblock, 1, Waiting, Runnable));
    let first = Finding::FirstState {
        resource: TASK,
        found: AnyState::Task(Waiting),
    };
    assert_eq!(found, [first]);
    let found = bench.feed(task_step(E::GoUnblock, 1, Waiting, Runnable));
    let old = Finding::OldState {
        resource: TASK,
        found: AnyState::Task(Waiting),
        wanted: AnyState::Task(Runnable),
    };
    assert_eq!(found, [old]);
    assert_eq!(
        bench.feed(task_step(E::GoCreate, 2, NotExist, Runnable)),
        []
    );
}

#[test]
fn v9_refuses_tasks_that_end_in_a_range() {
    let trace = started(&[(E::GCMarkAssistBegin, &[1]), (E::GoDestroy, &[])]);
    let ranges = Finding::EndsInRange {
        resource: TASK,
        ranges: 1,
    };
    assert_eq!(trace.findings(), [ranges]);
    let all: [(E, &[u64]); 3] = [
        (E::GCMarkAssistBegin, &[1]),
        (E::GCMarkAssistEnd, &[]),
        (E::GoDestroy, &[]),
    ];
    assert_eq!(started(&all).findings(), []);
}

#[test]
fn v10_refuses_two_tasks_on_one_thread() {
    let busy = Finding::ThreadBusy {
        resource: Resource::Task(TaskId(2)),
        with: TASK,
    };
    assert_eq!(started(&[(E::GoStatus, &[2, 7, 2])]).findings(), [busy]);
    let mut nowhere = task_step(E::GoStatus, 1, TaskState::Undetermined, TaskState::Running);
    nowhere.context.thread = ThreadId::NONE;
    assert_eq!(Bench::new(1).feed(nowhere), [Finding::RunsNowhere(TASK)]);
}

#[test]
fn v11_refuses_stops_of_what_does_not_run() {
    use TaskState::{Runnable, Running, Undetermined};
    let mut bench = Bench::new(1);
    bench.feed(task_step(E::GoStatus, 1, Undetermined, Running));
    bench.feed(task_step(E::GoStatus, 2, Undetermined, Running));
    // The thread has been taken over by task 2.
    let found = bench.feed(task_step(E::GoStop, 1, Running, Runnable));
    let elsewhere = Finding::StopsElsewhere {
        resource: TASK,
        found: Some(Resource::Task(TaskId(2))),
    };
    assert_eq!(found, [elsewhere]);
    let mut bench = Bench::new(1);
    let found = bench.feed(
        record(E::ProcStop, [0; 4]).with_change(ProcState::Running as u8, ProcState::Idle as u8),
    );
    assert!(
        found.contains(&Finding::StopsNowhere(Resource::Proc(ProcId(0)))),
        "{found:?}"
    );
}

#[test]
fn v12_refuses_tasks_that_leave_with_another_stack() {
    use TaskState::{Runnable, Running, Undetermined};
    let mut bench = Bench::new(1);
    bench.feed(task_step(E::GoStatus, 2, Undetermined, Running));
    // Of all events, only a creation has two stacks.
    let mut event = task_step(E::GoCreate, 2, Running, Runnable);
    (event.args[1], event.args[2]) = (1, 2);
    let stacks = Finding::Stacks {
        task: TaskId(2),
        found: StackId(1),
        wanted: StackId(2),
    };
    assert_eq!(bench.feed(event), [stacks]);
}

#[test]
fn v13_refuses_ranges_out_of_turn() {
    let mut bench = Bench::new(1);
    let begin = record(E::STWBegin, [1, 0, 0, 0]);
    let range = "stop-the-world (name)".to_owned();
    assert_eq!(bench.feed(begin), []);
    let goes_on = Finding::RangeGoesOn {
        range,
        scope: Some(TASK),
    };
    assert_eq!(bench.feed(begin), [goes_on]);
    assert_eq!(bench.feed(record(E::STWEnd, [1, 0, 0, 0])), []);
    let none = Finding::NoRange {
        range: "stop-the-world (other)".to_owned(),
        scope: Some(TASK),
    };
    assert_eq!(bench.feed(record(E::STWEnd, [3, 0, 0, 0])), [none]);
    for kind in [E::GCActive, E::GCActive, E::GCEnd] {
        assert_eq!(bench.feed(record(kind, [1, 0, 0, 0])), []);
    }
    assert_eq!(bench.feed(record(E::GCEnd, [1, 0, 0, 0])).len(), 1);
}

#[test]
fn v14_refuses_ids_that_stand_for_no_task() {
    let found = started(&[(E::UserTaskBegin, &[0, 0, 1, 0])]).findings();
    assert_eq!(found, [Finding::ReservedTask(UserTaskId(0))]);
    let mut bench = Bench::new(1);
    let found = bench.feed(record(E::UserTaskBegin, [NONE, NONE, 1, 0]));
    assert_eq!(found, [Finding::ReservedTask(UserTaskId(NONE))]);
    let found = bench.feed(record(E::UserTaskBegin, [4, 0, 1, 0]));
    assert_eq!(found, [Finding::PartOfBackground(UserTaskId(4))]);
}

#[test]
fn v15_refuses_tasks_that_end_under_another_name() {
    let mut bench = Bench::new(1);
    assert_eq!(bench.feed(record(E::UserTaskBegin, [4, NONE, 1, 0])), []);
    let name = Finding::TaskName {
        task: UserTaskId(4),
        found: "other".to_owned(),
        wanted: "name".to_owned(),
    };
    assert_eq!(bench.feed(record(E::UserTaskEnd, [4, NONE, 3, 0])), [name]);
    // Forgotten with its end.
    assert_eq!(bench.feed(record(E::UserTaskEnd, [4, NONE, 3, 0])), []);
}

#[test]
fn v16_refuses_strings_that_are_not_there() {
    let mut bench = Bench::new(1);
    for (kind, args, places) in [
        (E::UserRegionBegin, [0, 50, 0, 0], &[1][..]),
        (E::UserRegionEnd, [0, 1, 0, 0], &[]),
        (E::UserLog, [0, 50, 51, 0], &[1, 2]),
        (E::UserLog, [0, 0, 1, 0], &[]),
        (E::UserTaskBegin, [4, NONE, 50, 0], &[2]),
    ] {
        let wanted: Vec<_> = places.iter().map(|place| Finding::NoText(*place)).collect();
        assert_eq!(bench.feed(record(kind, args)), wanted, "{kind:?}");
    }
}

#[test]
fn says_all_that_is_wrong_with_an_event_and_where() {
    let mut bench = Bench::new(2);
    let mut event = task_step(
        E::GoStatus,
        1,
        TaskState::Undetermined,
        TaskState::Undetermined,
    );
    event.time = Nanos(1);
    let event = Event {
        record: &event,
        generation: Some(bench.generation),
    };
    let violations = bench.validator.event(&event).unwrap_err();
    let checks: Vec<_> = violations.iter().map(Violation::check).collect();
    assert_eq!(checks, [Check::V1, Check::V7, Check::V7]);
    let text = violations.to_string();
    let first = text.lines().next().unwrap();
    assert_eq!(
        first,
        "generation 2, thread 7, byte 0x4d, 1 ns: GoStatus: the event before was at 200 ns, wanted a later one [V1]"
    );
}

#[test]
fn forgets_tasks_that_ended_after_the_first_generation() {
    use TaskState::{NotExist, Runnable, Undetermined, Waiting};
    let mut bench = Bench::new(1);
    bench.feed(task_step(E::GoStatus, 1, Undetermined, Waiting));
    bench.feed(task_step(E::GoCreate, 1, Waiting, NotExist));
    let found = bench.feed(task_step(E::GoStatus, 1, Undetermined, NotExist));
    assert_eq!(found.len(), 1, "it is known that it ended");
    let mut bench = Bench::new(2);
    for id in 2..100 {
        assert_eq!(
            bench.feed(task_step(E::GoCreate, id, NotExist, Runnable)),
            []
        );
        assert_eq!(
            bench.feed(task_step(E::GoCreate, id, Runnable, NotExist)),
            []
        );
    }
    assert_eq!(bench.validator.tasks.len(), 0);
}
