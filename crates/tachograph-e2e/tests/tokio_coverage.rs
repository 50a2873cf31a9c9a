//! Nobody records nothing without noticing: what a recording says of the time that it saw in no task.

use std::time::{Duration, Instant};

use tachograph::Recorder;
use tachograph_e2e::load::{burn, thread_cpu};
use tachograph_e2e::record::{Recorded, record, turn};
use tachograph_tokio::{HandleExt, Instrument, block_on};
use tachograph_wire::metadata::Metadata;
use tokio::runtime::{Builder, Runtime};

const BURST: Duration = Duration::from_millis(20);
const BURSTS: u32 = 8;

fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2);
    let instrument = Instrument::new().name("service");
    instrument.apply(&mut builder).build().expect("a runtime")
}

async fn bursts() -> Duration {
    let mut used = Duration::ZERO;
    for _ in 0..BURSTS {
        let before = thread_cpu();
        burn(BURST);
        used += thread_cpu() - before;
        tokio::task::yield_now().await;
    }
    used
}

fn recorded(name: &str, traced: bool) -> Recorded {
    let (used, recorded) = record(name, Recorder::new(), || {
        let runtime = runtime();
        let _context = runtime.enter();
        let task = match traced {
            true => tachograph_tokio::spawn(bursts()),
            false => tokio::spawn(bursts()),
        };
        // Not on the runtime's behalf: its own task would be traced.
        let used = futures_block_on(task);
        drop(runtime);
        used
    });
    assert!(used >= BURST * BURSTS, "{used:?}");
    recorded
}

/// Waits for a task from outside of the runtime.
fn futures_block_on(task: tokio::task::JoinHandle<Duration>) -> Duration {
    while !task.is_finished() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let current = Builder::new_current_thread().build().expect("a runtime");
    std::thread::spawn(move || current.block_on(task))
        .join()
        .expect("no panic")
        .expect("no panic")
}

#[test]
fn a_runtime_whose_tasks_nobody_traces_says_so() {
    let _turn = turn();
    let recorded = recorded("untraced tasks", false);
    let _ = recorded.verify();
    let [runtime] = recorded.summary.runtimes[..] else {
        panic!("{:?}", recorded.summary.runtimes);
    };
    assert_eq!(runtime.polls, 0);
    assert_eq!(runtime.in_tasks, Duration::ZERO);
    assert!(runtime.busy >= BURST * BURSTS, "{runtime:?}");
    assert!(runtime.unparks_without_task > 0, "{runtime:?}");
    let text = recorded.summary.to_string();
    assert!(text.contains("NO TASK WAS TRACED"), "{text}");
}

#[test]
fn time_in_traced_tasks_is_time_in_tasks() {
    let _turn = turn();
    let begun = Instant::now();
    let recorded = recorded("traced tasks", true);
    let elapsed = begun.elapsed();
    let [runtime] = recorded.summary.runtimes[..] else {
        panic!("{:?}", recorded.summary.runtimes);
    };
    assert_eq!(runtime.polls, u64::from(BURSTS) + 1);
    assert!(runtime.in_tasks >= BURST * BURSTS, "{runtime:?}");
    assert!(runtime.in_tasks <= runtime.busy, "{runtime:?}");
    assert!(runtime.busy <= elapsed * 2, "{runtime:?} in {elapsed:?}");
    let text = recorded.summary.to_string();
    assert!(!text.contains("NO TASK WAS TRACED"), "{text}");

    // The same stands in the trace, and says which proc is which worker.
    let trace = recorded.verify();
    let metadata = || trace.generations.iter().flat_map(|one| &one.metadata);
    let polls: u64 = metadata()
        .filter_map(|record| match record {
            Metadata::Coverage(coverage) => Some(coverage.polls.0),
            _ => None,
        })
        .sum();
    assert_eq!(polls, runtime.polls);
    let named = metadata().any(|record| match record {
        Metadata::Proc(proc) => proc.name.as_deref() == Some("service") && proc.worker.is_some(),
        _ => false,
    });
    assert!(named, "no proc is a worker of the runtime");
}

#[test]
fn the_root_of_a_runtime_is_a_task() {
    let _turn = turn();
    let (_, recorded) = record("root", Recorder::new(), || {
        let mut builder = Builder::new_current_thread();
        let runtime = tachograph_tokio::instrument(&mut builder)
            .build()
            .expect("a runtime");
        block_on(&runtime, bursts())
    });
    let _ = recorded.verify();
    let lives = tachograph_e2e::tasks::lives(&recorded.bytes);
    let root = lives.values().find(|life| life.name.contains("bursts"));
    assert!(root.is_some(), "{lives:?}");
}

/// Each with a worker 0 of its own.
#[test]
fn one_builder_builds_runtimes_that_are_told_apart() {
    let _turn = turn();
    let (_, recorded) = record("one builder", Recorder::new(), || {
        let mut builder = Builder::new_multi_thread();
        tachograph_tokio::instrument(builder.worker_threads(1).enable_time());
        let runtimes = [(); 2].map(|()| builder.build().expect("a runtime"));
        for _ in 0..2 {
            for runtime in &runtimes {
                let nap = || tokio::time::sleep(Duration::from_millis(1));
                let task = runtime.spawn_traced(async move { nap().await });
                runtime.block_on(task).expect("no panic");
            }
        }
    });
    let _ = recorded.verify();
    let [first, second] = &recorded.summary.runtimes[..] else {
        panic!("{:?}", recorded.summary.runtimes);
    };
    // Two tasks of two polls each.
    assert_eq!((first.polls, second.polls), (4, 4));
}

/// A task that nobody traces keeps the only worker busy, before, through and after a recording.
#[test]
fn a_worker_that_never_parks_is_not_forgotten() {
    let _turn = turn();
    let mut builder = Builder::new_multi_thread();
    let instrument = Instrument::new().name("saturated");
    let runtime = instrument
        .apply(builder.worker_threads(1))
        .build()
        .expect("a runtime");
    let through_a_recording = |name: &str| {
        let (end, ends) = std::sync::mpsc::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let task = runtime.spawn(async move {
            tell.send(()).expect("somebody waits");
            while ends.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {}
        });
        told.recv().expect("it begins");
        let (_, recorded) = record(name, Recorder::new(), || std::thread::sleep(BURST * BURSTS));
        end.send(()).expect("it goes on");
        while !task.is_finished() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = recorded.verify();
        let text = recorded.summary.to_string();
        assert!(text.contains("NO TASK WAS TRACED"), "{text}");
        let [runtime] = recorded.summary.runtimes[..] else {
            panic!("{:?}", recorded.summary.runtimes);
        };
        assert_eq!(runtime.name, Some("saturated"));
        (runtime, text)
    };
    // Nobody knows yet whether its threads are workers.
    let (_, text) = through_a_recording("never heard of");
    assert!(text.contains("nothing was heard of its threads"), "{text}");
    // A recording in which the worker parks.
    let (_, recorded) = record("parks", Recorder::new(), || {
        for _ in 0..3 {
            drop(runtime.spawn(async {}));
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    assert!(
        recorded.summary.runtimes[0].unparks > 0,
        "{}",
        recorded.summary
    );
    let (runtime, text) = through_a_recording("known");
    assert!(runtime.busy >= BURST * BURSTS, "{text}");
}

#[test]
fn a_thread_is_busy_for_the_runtime_that_it_drives_while_it_drives_it() {
    let _turn = turn();
    let mut builder = Builder::new_current_thread();
    let instrument = Instrument::new().name("driven");
    let runtime = instrument
        .apply(builder.enable_time())
        .build()
        .expect("a runtime");
    for round in ["first", "second"] {
        let (_, recorded) = record(round, Recorder::new(), || {
            burn(BURST * BURSTS);
            block_on(&runtime, async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                burn(BURST);
                tokio::time::sleep(Duration::from_millis(1)).await;
            });
            burn(BURST * BURSTS);
        });
        let trace = recorded.verify();
        let [runtime] = recorded.summary.runtimes[..] else {
            panic!("{:?}", recorded.summary.runtimes);
        };
        assert!(runtime.in_tasks >= BURST, "{round}: {runtime:?}");
        assert!(runtime.in_tasks <= runtime.busy, "{round}: {runtime:?}");
        assert!(runtime.busy < BURST * BURSTS, "{round}: {runtime:?}");
        let mut metadata = trace.generations.iter().flat_map(|one| &one.metadata);
        let named = metadata.any(|record| match record {
            Metadata::Proc(proc) => proc.name.as_deref() == Some("driven") && proc.worker.is_none(),
            _ => false,
        });
        assert!(named, "no proc is the runtime's");
    }
}
