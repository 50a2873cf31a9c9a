//! Async tasks in a recording whose sink can't keep up: some threads fall silent in the middle of a poll, and the trace is good.

use std::time::{Duration, Instant};

use tachograph::Recorder;
use tachograph_e2e::check::verify;
use tachograph_e2e::record::{Dawdler, Memory, turn};
use tachograph_e2e::report::say;
use tachograph_tokio::FutureExt;

const WORKERS: usize = 4;
const TASKS: usize = 32;

async fn talk(end: Instant) {
    let words = "many words for a sink that has no time to read them ".repeat(10);
    while Instant::now() < end {
        for _ in 0..50 {
            tachograph::log("note", &words);
            let _region = tachograph::region("between words");
        }
        tokio::task::yield_now().await;
        // A task inside of a task, which ends, and one that is dropped.
        async { tachograph::log("inside", "a task") }
            .traced("part")
            .await;
        let child = tachograph_tokio::spawn(std::future::pending::<()>());
        tokio::time::sleep(Duration::from_micros(50)).await;
        child.abort();
    }
}

fn program(end: Instant) {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = tachograph_tokio::instrument(builder.worker_threads(WORKERS).enable_all())
        .build()
        .expect("a runtime");
    tachograph_tokio::block_on(&runtime, async {
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| tachograph_tokio::spawn(talk(end)))
            .collect();
        for task in tasks {
            task.await.expect("no panics");
        }
    });
}

#[test]
fn tasks_whose_threads_fall_silent_leave_a_good_trace() {
    let _turn = turn();
    for period in [1000, 20].map(Duration::from_millis) {
        let memory = Memory::default();
        let sink = Dawdler {
            memory: memory.clone(),
            bytes_per_second: 8e6,
        };
        let recording = Recorder::new()
            .sample_cpu(250)
            .generation_period(period)
            .memory_limit(256 << 10)
            .start(sink)
            .expect("a recording");
        program(Instant::now() + Duration::from_millis(1500));
        let summary = recording.stop().expect("the sink is slow, not broken");
        say(format!(
            "period {period:?}: {} gaps, {} events, {} lost",
            summary.gaps, summary.events, summary.events_lost
        ));
        assert!(summary.gaps > 0, "the sink kept up: {summary}");
        let name = format!("tasks-suspended-{}", period.as_millis());
        let _ = verify(&name, &memory.take(), Some(&summary));
    }
}
