//! Every trace is one that Go's reader and validator accept: programs of all kinds, with generation periods of 1 s, 50 ms and
//! zero, with 1, 8 and 64 threads, started and stopped again and again.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tachograph::{Recorder, SampleTimer};
use tachograph_e2e::load::{annotate_round, burn, burn_until, spin};
use tachograph_e2e::record::{Recorded, Running, record, turn};
use tachograph_e2e::report::say;
use tachograph_wire::EventKind;

const PERIODS: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_millis(50),
    Duration::ZERO,
];
const THREADS: [usize; 3] = [1, 8, 64];

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Runs `program(threads, end)` for `run` under every period and number of threads.
fn every_way(name: &str, run: Duration, program: fn(usize, Instant)) {
    let _turn = turn();
    for period in PERIODS {
        for threads in THREADS {
            let recorder = Recorder::new()
                .generation_period(period)
                .sample_timer(SampleTimer::Posix)
                .sample_cpu(199);
            let what = format!("{name}, {period:?}, {threads} threads");
            let ((), recorded) = record(&what, recorder, || program(threads, Instant::now() + run));
            let trace = recorded.verify();
            assert!(trace.event_count() > 0, "{what}");
            tell(&what, &recorded);
        }
    }
}

fn tell(what: &str, recorded: &Recorded) {
    let Recorded { summary, .. } = recorded;
    let samples = summary.samples.as_ref().map_or(0, |s| s.tally.emitted);
    say(format!(
        "{what}: {} generations, {} events, {samples} samples, {} bytes, {} gaps",
        summary.generations, summary.events, summary.bytes, summary.gaps
    ));
    assert_eq!(summary.events_lost, 0, "{what}");
}

fn on_threads(threads: usize, body: impl Fn(usize) + Sync) {
    thread::scope(|scope| {
        for number in 0..threads {
            let body = &body;
            scope.spawn(move || body(number));
        }
    });
}

#[test]
fn annotating_threads() {
    every_way("annotating threads", ms(250), |threads, end| {
        on_threads(threads, |number| {
            let _whole = tachograph::region(format!("thread {number}"));
            for round in 0.. {
                if Instant::now() > end {
                    break;
                }
                annotate_round(round);
                // 64 threads say as much as 8.
                thread::sleep(Duration::from_micros(100 * threads as u64));
            }
        });
    });
}

#[test]
fn threads_that_come_and_go() {
    every_way("threads that come and go", ms(250), |threads, end| {
        on_threads(threads.min(8), |number| {
            while Instant::now() < end {
                let name = format!("child of {number}");
                let named = tachograph::thread::Builder::new().name(name);
                let child = named.spawn(|| tachograph::log("child", "speaks"));
                let silent = tachograph::thread::spawn(|| black_box(spin(1000)));
                let plain = thread::spawn(|| drop(tachograph::region("plain")));
                let stranger = thread::spawn(|| black_box(spin(1000)));
                tachograph::thread::scope(|scope| {
                    scope.spawn(|| drop(tachograph::task("scoped")));
                    scope.spawn(thread::yield_now);
                });
                child.expect("spawned").join().expect("child");
                silent.join().expect("silent");
                plain.join().expect("plain");
                stranger.join().expect("stranger");
            }
        });
    });
}

#[test]
fn threads_that_compute_in_silence() {
    every_way(
        "threads that compute in silence",
        ms(250),
        |threads, end| {
            on_threads(threads, |number| {
                if number % 2 == 0 {
                    tachograph::log("before", "the silence");
                }
                burn_until(end);
                if number % 3 == 0 {
                    tachograph::log("after", "the silence");
                }
            });
        },
    );
}

#[test]
fn blocking_sections_of_every_length() {
    every_way("blocking sections", ms(400), |threads, end| {
        on_threads(threads, |number| {
            for round in number.. {
                if Instant::now() > end {
                    break;
                }
                tachograph::blocking("outermost", || {
                    // Over 20 ms the engine takes the slot away.
                    let long = [0, 1, 30, 150][round % 4];
                    thread::sleep(ms(long));
                    if round % 3 == 0 {
                        tachograph::log("inside", "ends and resumes the section");
                        tachograph::blocking("nested", || thread::sleep(ms(1)));
                    }
                    thread::sleep(ms(long));
                });
                drop(tachograph::region("between"));
            }
            // Regions and tasks may end inside of a section that begun before or after them.
            let task = tachograph::task("ends inside");
            let region = tachograph::region("ends inside");
            tachograph::blocking("last", move || {
                thread::sleep(ms(25));
                drop(region);
                drop(task);
            });
        });
    });
}

#[test]
fn tasks_that_change_threads_and_regions_that_never_end() {
    every_way("tasks that change threads", ms(250), |threads, end| {
        let waiting = Mutex::new(Vec::new());
        on_threads(threads, |number| {
            std::mem::forget(tachograph::region("never ends"));
            std::mem::forget(tachograph::task("never ends"));
            for round in 0.. {
                if Instant::now() > end {
                    break;
                }
                let task = tachograph::task(format!("born on {number}"));
                let child = task.child("child");
                let region = child.region("open over generations");
                thread::sleep(Duration::from_micros(200 * threads as u64));
                drop(region);
                let mut waiting = waiting.lock().expect("no panics");
                waiting.push((task, child));
                let at = round % waiting.len();
                let (parent, child) = waiting.swap_remove(at);
                // The parent may end before its child.
                if round % 2 == 0 {
                    drop(parent);
                }
                child.log("moved", "to another thread");
            }
        });
    });
}

#[test]
fn a_thread_blocked_for_many_generations_resumes() {
    let _turn = turn();
    let recorder = Recorder::new().generation_period(ms(20));
    let ((), recorded) = record("blocked for generations", recorder, || {
        on_threads(3, |number| {
            tachograph::log("before", "the block");
            match number {
                0 => tachograph::blocking("declared", || thread::sleep(ms(300))),
                1 => thread::sleep(ms(300)),
                _ => tachograph::blocking("declared, with an event", || {
                    thread::sleep(ms(150));
                    tachograph::log("inside", "the block");
                    thread::sleep(ms(150));
                }),
            }
            tachograph::log("after", "the block");
        });
    });
    let trace = recorded.verify();
    let generations_with = |text: &str| {
        let has = |one: &&tachograph_e2e::decode::Generation| {
            let mut logs = one.of_kind(EventKind::UserLog);
            logs.any(|(_, event)| one.text_of(event, 0) == text)
        };
        let all: Vec<u64> = trace
            .generations
            .iter()
            .filter(has)
            .map(|one| one.number)
            .collect();
        (all.first().copied(), all.last().copied())
    };
    let (_, Some(before)) = generations_with("before") else {
        panic!("no log before the block")
    };
    let (Some(after), _) = generations_with("after") else {
        panic!("no log after the block")
    };
    assert!(after >= before + 3, "{before}..{after}");
}

/// A tid that comes back belongs to another thread, with another task.
#[test]
fn a_tid_that_comes_back_is_another_thread() {
    const MOST: usize = 40_000;
    let _turn = turn();
    let recorder = Recorder::new().generation_period(ms(200)).sample_cpu(999);
    let (reused, recorded) = record("tid reuse", recorder, || {
        let mut seen = std::collections::HashSet::new();
        let mut reused = 0;
        let end = Instant::now() + Duration::from_secs(10);
        for round in 0..MOST {
            let quiet = reused == 0 && round > 64;
            let child = thread::spawn(move || {
                if !quiet {
                    tachograph::log("thread", "speaks");
                    burn(Duration::from_micros(300));
                }
                tachograph_e2e::load::tid()
            });
            let tid = child.join().expect("child");
            reused += u32::from(!seen.insert(tid));
            if reused > 64 || Instant::now() > end {
                break;
            }
        }
        reused
    });
    recorded.verify();
    say(format!(
        "tid reuse: {reused} threads had a tid that another had before"
    ));
}

/// Where the next tid can be chosen, threads of one generation share one: their accounts and weights stay apart or add up.
#[test]
fn threads_of_one_generation_share_a_tid() {
    let _turn = turn();
    let last = std::path::Path::new("/proc/sys/kernel/ns_last_pid");
    let recorder = Recorder::new().sample_cpu(2000);
    let (tids, recorded) = record("shared tid", recorder, || {
        let mut tids = std::collections::HashMap::new();
        for round in 0..100 {
            let child = thread::spawn(move || {
                if round % 5 != 4 {
                    tachograph::log("thread", "speaks");
                }
                burn(ms(2));
                tachograph_e2e::load::tid()
            });
            let tid: u64 = child.join().expect("child");
            *tids.entry(tid).or_insert(0) += 1;
            // Not everybody may, and somebody else may be faster.
            let _ = std::fs::write(last, (tid - 1).to_string());
        }
        tids
    });
    let trace = recorded.verify();
    let on_them = trace
        .samples()
        .filter(|(_, seen)| tids.contains_key(&seen.sample.thread.0));
    say(format!(
        "shared tid: 100 threads had {} tids and {} samples",
        tids.len(),
        on_them.count()
    ));
}

#[test]
fn twenty_recordings_under_load() {
    let _turn = turn();
    let ends = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..8)
        .map(|number| {
            let ends = Arc::clone(&ends);
            thread::spawn(move || {
                let _before = tachograph::region("begun before all recordings");
                for round in 0.. {
                    if ends.load(Ordering::Relaxed) {
                        break;
                    }
                    annotate_round(round);
                    if number == 0 {
                        let child =
                            tachograph::thread::spawn(|| tachograph::log("child", "speaks"));
                        child.join().expect("child");
                    }
                }
            })
        })
        .collect();
    for round in 0..20u64 {
        let recorder = Recorder::new()
            .generation_period([ms(1000), ms(1), Duration::ZERO][(round % 3) as usize]);
        let recorder = match round % 2 {
            0 => recorder,
            _ => recorder.sample_cpu(999),
        };
        let what = format!("start and stop, round {round}");
        let ((), recorded) = record(&what, recorder, || thread::sleep(ms(5 + 3 * round)));
        recorded.verify();
        tell(&what, &recorded);
    }
    ends.store(true, Ordering::Relaxed);
    load.into_iter()
        .for_each(|thread| thread.join().expect("load"));
}

#[test]
fn a_recording_of_nothing() {
    let _turn = turn();
    for round in 0..3 {
        let ((), recorded) = record(&format!("nothing, {round}"), Recorder::new(), || ());
        let trace = recorded.verify();
        assert_eq!(trace.generations.len(), 1);
    }
}

#[test]
fn one_recording_at_a_time() {
    let _turn = turn();
    let first = Running::start("the first", Recorder::new()).expect("nothing runs");
    let second = Running::start("the second", Recorder::new()).expect_err("one runs");
    assert!(
        matches!(second, tachograph::StartError::AlreadyRecording),
        "{second}"
    );
    tachograph::log("still", "recorded");
    let trace = first.stop().verify();
    let logs: usize = trace
        .generations
        .iter()
        .map(|one| one.of_kind(EventKind::UserLog).count())
        .sum();
    assert_eq!(logs, 1);
    // A recording that is dropped ends, and another can begin.
    drop(Running::start("dropped", Recorder::new()).expect("nothing runs"));
    let ((), recorded) = record("after a drop", Recorder::new(), || {
        tachograph::log("a", "b")
    });
    recorded.verify();
}
