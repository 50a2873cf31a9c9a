//! Starts and stops, and what threads do around them.

mod trace;

use std::cell::RefCell;
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use tachograph_recorder::{
    Recorder, Region, StartError, StopError, Symbols, blocking, is_recording, log, region, task,
};
use tachograph_wire::{ArgKind, EventKind};
use trace::{Memory, Trace, start, stop, turn};

fn recorder() -> Recorder {
    Recorder::new().symbols(Symbols::Offline)
}

#[test]
fn a_second_start_is_refused_and_harms_nothing() {
    let _turn = turn();
    let running = start(recorder());
    let second = recorder().start(Memory::default());
    assert!(matches!(second, Err(StartError::AlreadyRecording)));
    log("lifecycle", "still here");
    let (trace, _) = stop("second-start", running);
    assert_eq!(trace.logs("lifecycle"), ["still here"]);
}

#[test]
fn a_start_that_is_refused_leaves_room_for_another() {
    let _turn = turn();
    for hz in [0, 1_000_000] {
        let refused = recorder().sample_cpu(hz).start(Memory::default());
        assert!(matches!(refused, Err(StartError::SampleRate { .. })));
    }
    assert!(!is_recording());
    stop("after-refusal", start(recorder()));
}

#[test]
fn a_drop_without_stop_ends_the_recording_and_completes_the_trace() {
    let _turn = turn();
    let (recording, sink) = start(recorder());
    log("lifecycle", "before the drop");
    drop(recording);
    assert!(!is_recording());
    let bytes = sink.take();
    let trace = Trace::well_formed("drop", &bytes);
    assert_eq!(trace.logs("lifecycle"), ["before the drop"]);
    log("lifecycle", "after the drop");
    thread::sleep(Duration::from_millis(5));
    assert_eq!(sink.len(), 0, "something was written after the end");
}

#[test]
fn a_stop_handle_ends_the_recording_from_elsewhere() {
    let _turn = turn();
    let (recording, sink) = start(recorder());
    let handle = recording.stop_handle();
    log("lifecycle", "on");
    let others: Vec<_> = (0..3)
        .map(|_| {
            let handle = handle.clone();
            thread::spawn(move || handle.stop())
        })
        .collect();
    for other in others {
        other.join().expect("no panic");
    }
    while is_recording() {
        thread::yield_now();
    }
    log("lifecycle", "off");
    let (trace, _) = stop("stop-handle", (recording, sink));
    assert_eq!(trace.logs("lifecycle"), ["on"]);
    // It belongs to a recording that is over.
    let running = start(recorder());
    handle.stop();
    thread::sleep(Duration::from_millis(5));
    assert!(is_recording());
    stop("stop-handle-late", running);
}

#[test]
fn ids_and_generations_move_on_from_recording_to_recording() {
    let _turn = turn();
    let (mut last_generation, mut last_task) = (0, 0);
    for round in 0..3 {
        let running = start(recorder());
        let id = task("job").id();
        let (trace, _) = stop(&format!("again-{round}"), running);
        assert!(trace.generations[0].number > last_generation);
        assert!(id > last_task, "task {id} after {last_task}");
        last_generation = trace.generations.last().expect("one").number;
        last_task = id;
        assert_eq!(trace.count(EventKind::UserTaskBegin, "job"), 1);
    }
}

#[test]
fn a_thread_that_exits_inside_of_a_generation_is_in_the_trace_to_its_end() {
    let _turn = turn();
    let running = start(recorder().generation_period(Duration::from_millis(3)));
    for round in 0..100 {
        thread::spawn(move || {
            let _region = region("short life");
            if round % 10 == 0 {
                thread::sleep(Duration::from_millis(2));
            }
        })
        .join()
        .expect("no panic");
    }
    let (trace, _) = stop("exits", running);
    assert_eq!(trace.count(EventKind::UserRegionBegin, "short life"), 100);
    assert_eq!(trace.nested_regions(), (100, 100));
    let gone = trace
        .events()
        .filter(|(_, _, event)| event.raw.kind == EventKind::GoDestroy);
    assert!(gone.count() >= 100);
}

struct LogsAtExit(&'static str);

impl Drop for LogsAtExit {
    fn drop(&mut self) {
        let _region = region("destructor");
        log("lifecycle", self.0);
    }
}

thread_local! {
    static EARLY: RefCell<Option<LogsAtExit>> = const { RefCell::new(None) };
    static LATE: RefCell<Option<LogsAtExit>> = const { RefCell::new(None) };
}

#[test]
fn destructors_of_thread_locals_record() {
    let _turn = turn();
    let running = start(recorder());
    thread::spawn(|| {
        // One is registered before our own thread-local state is touched, one after.
        EARLY.with(|slot| *slot.borrow_mut() = Some(LogsAtExit("early")));
        log("lifecycle", "alive");
        LATE.with(|slot| *slot.borrow_mut() = Some(LogsAtExit("late")));
    })
    .join()
    .expect("no panic");
    let (trace, summary) = stop("destructors", running);
    let mut logs = trace.logs("lifecycle");
    logs.sort();
    assert_eq!(logs, ["alive", "early", "late"]);
    assert_eq!(trace.nested_regions(), (2, 2));
    assert_eq!(summary.events_lost, 0);
}

#[test]
fn a_thread_outlives_a_recording_and_is_new_to_the_next() {
    let _turn = turn();
    let (ask, asked) = mpsc::channel::<&'static str>();
    let (answer, answered) = mpsc::channel();
    let thread = thread::Builder::new().name("survivor".to_owned());
    let thread = thread.spawn(move || {
        for text in asked {
            log("lifecycle", text);
            answer.send(()).expect("the test listens");
        }
    });
    let say = |text| {
        ask.send(text).expect("the thread listens");
        answered.recv().expect("the thread answers");
    };
    for round in ["first", "second"] {
        let running = start(recorder());
        say(round);
        let (trace, _) = stop(&format!("survivor-{round}"), running);
        assert_eq!(trace.logs("lifecycle"), [round]);
        say("between");
    }
    drop(ask);
    thread.expect("spawns").join().expect("no panic");
}

#[test]
fn what_begins_before_the_start_or_ends_after_the_stop_is_half_there() {
    let _turn = turn();
    let before: Region = region("before");
    let running = start(recorder());
    let through = region("through");
    drop(before);
    let unended = region("unended");
    let (trace, _) = stop("halves", running);
    assert_eq!(trace.count(EventKind::UserRegionBegin, "before"), 0);
    assert_eq!(trace.count(EventKind::UserRegionEnd, "before"), 0);
    assert_eq!(trace.count(EventKind::UserRegionBegin, "through"), 1);
    assert_eq!(trace.count(EventKind::UserRegionBegin, "unended"), 1);
    // Their ends fall into another recording, which knows nothing of them.
    let running = start(recorder());
    drop(through);
    drop(unended);
    drop(region("own"));
    let (trace, _) = stop("halves-later", running);
    assert_eq!(trace.texts(EventKind::UserRegionEnd, 0), ["own"]);
    assert_eq!(trace.nested_regions(), (1, 1));
}

#[test]
fn guards_dropped_out_of_order_stay_well_nested() {
    let _turn = turn();
    let running = start(recorder().generation_period(Duration::ZERO));
    for _ in 0..200 {
        let (a, b, c) = (region("a"), region("b"), region("c"));
        thread::yield_now();
        drop(a);
        let d = region("d");
        drop(c);
        drop(b);
        drop(d);
    }
    let (trace, _) = stop("out-of-order", running);
    let (begins, ends) = trace.nested_regions();
    assert_eq!(begins, ends);
    assert!(begins >= 800);
}

#[test]
fn long_names_are_cut_at_a_character() {
    let _turn = turn();
    let running = start(recorder());
    // Three bytes each: 1024 is not a multiple.
    let long: String = "\u{20ac}".repeat(70_000 / 3);
    drop(region(long.clone()));
    drop(task(long.clone()));
    log(long.clone(), &long);
    static LASTING: OnceLock<String> = OnceLock::new();
    let lasting: &'static str = LASTING.get_or_init(|| long.clone());
    blocking(lasting, thread::yield_now);
    drop(region(lasting));
    let name = long.clone();
    let spawned = tachograph_recorder::thread::Builder::new().name(name);
    // The system takes what it can of a name, or refuses the thread.
    drop(spawned.spawn(|| ()).map(|thread| thread.join()));
    let (trace, _) = stop("long-names", running);
    for text in trace.texts(EventKind::UserRegionBegin, 0) {
        assert_eq!(text, long[..1023]);
    }
    assert_eq!(trace.texts(EventKind::UserRegionBegin, 0).len(), 2);
    assert_eq!(trace.texts(EventKind::UserTaskBegin, 0), [&long[..1023]]);
    assert_eq!(trace.texts(EventKind::UserLog, 1), [&long[..1023]]);
}

#[test]
fn names_of_any_length_up_to_the_limit_and_beyond_come_out() {
    let _turn = turn();
    let running = start(recorder());
    let lengths = [0, 1, 127, 128, 1023, 1024, 1025, 65_536];
    for length in lengths {
        log("n".repeat(length), &"m".repeat(length));
    }
    let (trace, _) = stop("lengths", running);
    let wanted = lengths.map(|length| length.min(1024));
    for nth in [0, 1] {
        let found: Vec<usize> = trace
            .texts(EventKind::UserLog, nth)
            .iter()
            .map(String::len)
            .collect();
        assert_eq!(found, wanted);
    }
}

#[test]
fn a_forked_child_records_nothing() {
    let _turn = turn();
    let (recording, sink) = start(recorder().sample_cpu(1000));
    log("lifecycle", "parent");
    // SAFETY: the child calls only what a child of a threaded process may, and leaves with _exit.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let quiet = !is_recording();
        drop(region("child"));
        // SAFETY: as above.
        unsafe { libc::_exit(if quiet { 7 } else { 8 }) };
    }
    assert!(child > 0, "fork failed");
    let mut status = 0;
    // SAFETY: the status is a valid place.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(libc::WEXITSTATUS(status), 7, "status {status:#x}");
    log("lifecycle", "parent still");
    let (trace, _) = stop("fork", (recording, sink));
    assert_eq!(trace.logs("lifecycle"), ["parent", "parent still"]);
    assert_eq!(trace.count(EventKind::UserRegionBegin, "child"), 0);
}

#[test]
fn nobody_waits_for_a_stop_that_has_happened() {
    let _turn = turn();
    let (recording, _) = start(recorder());
    let handle = recording.stop_handle();
    handle.stop();
    let summary: Result<_, StopError> = recording.stop();
    assert_eq!(summary.expect("stops").generations, 1);
    handle.stop();
    handle.stop();
}

#[test]
fn guards_of_an_earlier_recording_leave_no_mark() {
    let _turn = trace::turn();
    let first = trace::start(Recorder::new());
    let old_task = task("old task");
    let old_region = old_task.region("old region");
    trace::stop("guards-first", first);

    let second = trace::start(Recorder::new());
    let live = region("live");
    old_task.log("note", "of a task that is not in this trace");
    drop(old_region);
    drop(live);
    drop(old_task);
    let (trace, _) = trace::stop("guards-second", second);
    assert_eq!(trace.count(EventKind::UserRegionBegin, "live"), 1);
    assert_eq!(trace.count(EventKind::UserRegionEnd, "live"), 1);
    let of_old_task = trace.events().filter(|(_, _, event)| {
        let raw = &event.raw;
        raw.kind == EventKind::UserTaskEnd || raw.arg(ArgKind::UserTask).is_some_and(|id| id != 0)
    });
    assert_eq!(of_old_task.count(), 0);
}
