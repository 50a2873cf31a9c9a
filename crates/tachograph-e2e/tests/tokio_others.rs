//! Tasks that others spawn, where Tokio's unstable hooks are there (`RUSTFLAGS="--cfg tokio_unstable"`).
#![cfg(tokio_unstable)]

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tachograph::Recorder;
use tachograph_e2e::record::{record, turn};
use tachograph_e2e::tasks::{Life, What, lives};
use tachograph_tokio::{FutureExt, block_on};
use tokio::runtime::{Builder, Runtime};

const PERIODS: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_millis(10),
    Duration::ZERO,
];

async fn sleeps(times: u32) {
    for _ in 0..times {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn of_others(lives: &std::collections::BTreeMap<u64, Life>) -> Vec<&Life> {
    let others = lives.values();
    others
        .filter(|life| life.name.starts_with("task ") && life.name.contains("tokio_others.rs"))
        .collect()
}

#[test]
fn tasks_of_others_are_there_with_their_polls_and_ends() {
    let _turn = turn();
    for period in PERIODS {
        let recorder = Recorder::new().generation_period(period);
        let (_, recorded) = record(&format!("others, {period:?}"), recorder, || {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(2).enable_time();
            let runtime = tachograph_tokio::instrument(&mut builder)
                .build()
                .expect("a runtime");
            block_on(&runtime, async {
                let ours = tachograph_tokio::spawn(sleeps(3).traced("ours"));
                let theirs = tokio::spawn(sleeps(3));
                let aborted = tokio::spawn(std::future::pending::<()>());
                ours.await.expect("no panic");
                theirs.await.expect("no panic");
                aborted.abort();
                assert!(aborted.await.is_err());
            });
        });
        let _ = recorded.verify();
        let lives = lives(&recorded.bytes);
        let others = of_others(&lives);
        assert_eq!(others.len(), 2, "ours is not there twice: {lives:?}");
        let sleeper = others.iter().find(|life| life.count(What::Start) == 4);
        let sleeper = sleeper.unwrap_or_else(|| panic!("{others:?}"));
        assert_eq!(sleeper.count(What::Block), 3);
        assert_eq!(sleeper.whats().last(), Some(&What::End));
        assert_eq!(sleeper.count(What::Label), 0, "done, not dropped");
        let ours = lives.values().filter(|life| life.name == "ours");
        assert_eq!(ours.count(), 1);
        assert!(
            others.iter().all(|life| life.count(What::End) == 1),
            "{others:?}"
        );
    }
}

struct SpawnsInDrop;

impl Drop for SpawnsInDrop {
    fn drop(&mut self) {
        drop(tokio::spawn(async {
            unreachable!("the runtime shuts down")
        }));
    }
}

async fn spawn_late() {
    let _spawns = SpawnsInDrop;
    std::future::pending().await
}

/// Tokio ends such a task before it says that it was spawned.
#[test]
fn what_is_spawned_while_its_runtime_shuts_down_stays_nowhere() {
    let _turn = turn();
    for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
        let (_, recorded) = record("spawned at shutdown", Recorder::new(), || {
            let built = tachograph_tokio::instrument(builder.worker_threads(1));
            let runtime = built.build().expect("a runtime");
            runtime.block_on(async {
                let late = [(); 3].map(|()| tokio::spawn(spawn_late()));
                tokio::spawn(async {}).await.expect("no panic");
                drop(late);
            });
        });
        let _ = recorded.verify();
        let lives = lives(&recorded.bytes);
        let others = of_others(&lives);
        assert_eq!(others.len(), 4, "{others:?}");
        assert!(
            others.iter().all(|life| life.count(What::End) == 1),
            "{others:?}"
        );
    }
}

thread_local! {
    static RUNTIME: RefCell<Option<Runtime>> = const { RefCell::new(None) };
}

fn run_in_thread_local() {
    RUNTIME.with_borrow_mut(|place| {
        let mut builder = Builder::new_current_thread();
        let built = tachograph_tokio::instrument(&mut builder).build();
        let runtime = place.insert(built.expect("a runtime"));
        runtime.block_on(async {
            drop(tokio::spawn(std::future::pending::<()>()));
            tokio::spawn(async {}).await.expect("no panic");
        });
    });
}

#[test]
fn a_runtime_ends_with_its_thread() {
    let _turn = turn();
    let panics = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&panics);
    // Tokio catches what panics in a hook.
    std::panic::set_hook(Box::new(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    }));
    let (ended, recorded) = record("in a thread-local", Recorder::new(), || {
        std::thread::spawn(run_in_thread_local).join()
    });
    drop(std::panic::take_hook());
    assert!(ended.is_ok());
    assert_eq!(panics.load(Ordering::Relaxed), 0);
    let _ = recorded.verify();
    let lives = lives(&recorded.bytes);
    let others = of_others(&lives);
    assert_eq!(others.len(), 2, "{others:?}");
    assert!(
        others.iter().all(|life| life.count(What::End) == 1),
        "{others:?}"
    );
}
