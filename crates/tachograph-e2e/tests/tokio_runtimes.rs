//! Runtimes of all kinds, in the trace: two at once, on one thread, with local tasks, with 100,000 tasks that wait; every way to spawn.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::rt::Executor;
use tachograph_e2e::load::tid;
use tachograph_e2e::record::turn;
use tachograph_e2e::seen::Seen;
use tachograph_e2e::stage::{Kind, Stage, play};
use tachograph_e2e::tasks::What;
use tachograph_tokio::{FutureExt, HandleExt, HyperExecutor, JoinSetExt, LocalSetExt};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, oneshot};
use tokio::task::{JoinSet, LocalSet, yield_now};

async fn wait_for(end: oneshot::Receiver<()>) {
    end.await.expect("sent");
}

/// The threads on which tasks of that name have run.
fn threads_of(seen: &Seen, name: &str) -> Vec<u64> {
    let lives = seen.all(name).into_iter();
    let steps = lives.flat_map(|life| &life.steps);
    let starts = steps.filter(|step| step.what == What::Start);
    starts.filter_map(|step| step.thread).collect()
}

const RELAYS: [&str; 8] = [
    "relay 0", "relay 1", "relay 2", "relay 3", "relay 4", "relay 5", "relay 6", "relay 7",
];

async fn relay(inbox: oneshot::Receiver<()>, outbox: oneshot::Sender<()>) {
    wait_for(inbox).await;
    // The last one's is gone.
    let _ = outbox.send(());
}

/// A message that goes to and fro between two runtimes.
#[test]
fn two_runtimes_keep_their_tasks_apart() {
    let _turn = turn();
    play(
        "two runtimes",
        &[Kind::CurrentThread, Kind::Workers(2)],
        |stage| {
            let other = Stage::new(Kind::Workers(1), stage.pace());
            let (first, mut inbox) = oneshot::channel();
            let relays: Vec<_> = RELAYS
                .iter()
                .enumerate()
                .map(|(number, name)| {
                    let (outbox, next) = oneshot::channel();
                    let future = relay(std::mem::replace(&mut inbox, next), outbox);
                    [stage, &other][number % 2].spawn(name, future)
                })
                .collect();
            relays.iter().for_each(|relay| relay.paused(1));
            first.send(()).expect("it waits");
            assert!(relays.iter().all(|relay| relay.ended().is_some()));
            let threads = [stage.threads(), other.threads()];
            other.strike();
            threads
        },
        |seen, threads| {
            for (number, name) in RELAYS.iter().enumerate() {
                let by = match number {
                    0 => "wake by driver".to_owned(),
                    _ => format!("wake by {}", RELAYS[number - 1]),
                };
                let steps = [
                    "create by driver",
                    "start",
                    "block in wait_for",
                    &by,
                    "start",
                    "end",
                ];
                seen.expect(name, &steps);
                for thread in threads_of(seen, name) {
                    let [own, other] = [number % 2, 1 - number % 2].map(|at| &threads[at]);
                    let apart = own.contains(&thread) && !other.contains(&thread);
                    assert!(apart, "{}: {name} on {thread}, {threads:?}", seen.name);
                }
            }
        },
    );
}

async fn idle(bell: Arc<Notify>) {
    bell.notified().await;
}

#[test]
fn a_hundred_thousand_idle_tasks_wait_once_each() {
    const TASKS: usize = 100_000;
    let _turn = turn();
    play(
        "100,000 tasks",
        &[Kind::Workers(2)],
        |stage| {
            let bell = Arc::new(Notify::new());
            let tasks: Vec<_> = (0..TASKS)
                .map(|_| {
                    let (task, actor) =
                        stage.watch("idle", idle(bell.clone()).traced("idle").into_task());
                    drop(stage.handle().spawn(task));
                    actor
                })
                .collect();
            tasks.iter().for_each(|task| task.pauses(1));
            // Some generations in which nobody says anything.
            std::thread::sleep(Duration::from_millis(35));
            bell.notify_waiters();
            assert!(tasks.iter().all(|task| task.ended().is_some()));
        },
        |seen, ()| {
            let steps = [
                "create by driver",
                "start",
                "block in idle: notify",
                "wake by driver",
                "start",
                "end",
            ];
            seen.expect_all("idle", TASKS, &steps);
        },
    );
}

fn on_one_thread() -> Runtime {
    let mut builder = Builder::new_current_thread();
    let runtime = tachograph_tokio::instrument(builder.enable_all()).build();
    runtime.expect("a runtime")
}

async fn wait_locally(end: oneshot::Receiver<()>, shared: Rc<Cell<u32>>) {
    shared.set(shared.get() + 1);
    let _region = tachograph::region("held");
    wait_for(end).await;
    shared.set(shared.get() + 10);
}

async fn wait_forever() {
    Notify::new().notified().await;
}

async fn left_behind() {
    unreachable!("nobody polls it");
}

async fn local_main() {
    let shared = Rc::new(Cell::new(0));
    let (tell, told) = oneshot::channel();
    let waiting = wait_locally(told, shared.clone())
        .traced("local")
        .spawn_local();
    let aborted = tachograph_tokio::spawn_local(wait_forever());
    while shared.get() == 0 {
        yield_now().await;
    }
    tell.send(()).expect("it waits");
    waiting.await.expect("no panic");
    assert_eq!(shared.get(), 11);
    aborted.abort();
    assert!(aborted.await.expect_err("aborted").is_cancelled());
}

#[test]
fn local_tasks_stay_on_their_thread() {
    let _turn = turn();
    play(
        "local set",
        &[Kind::Workers(1)],
        |_| {
            let local = LocalSet::new();
            let early = local.spawn_local_traced(spawned());
            let runtime = on_one_thread();
            runtime.block_on(local.run_until(local_main()).traced("main"));
            runtime
                .block_on_traced(local.run_until(early))
                .expect("no panic");
            drop(local.spawn_local_traced(left_behind()));
            drop(local);
            tid()
        },
        |seen, thread| {
            seen.expect(
                "local",
                &[
                    "create by main",
                    "start",
                    "+held",
                    "block in wait_locally: oneshot recv",
                    "wake by main",
                    "start",
                    "-held",
                    "end",
                ],
            );
            seen.expect(
                "wait_forever",
                &[
                    "create by main",
                    "start",
                    "block in wait_forever: notify",
                    "wake by -",
                    "start",
                    "label aborted",
                    "end",
                ],
            );
            seen.expect("spawned", &["create by driver", "start", "end"]);
            let label = "label dropped with its local set";
            seen.expect("left_behind", &["create by driver", "start", label, "end"]);
            for name in ["main", "local", "wait_forever", "spawned", "left_behind"] {
                let here = threads_of(seen, name).iter().all(|at| *at == thread);
                assert!(here, "{}: {name}", seen.name);
            }
        },
    );
}

async fn spawned() {}

fn called() {}

async fn executed() {}

/// All of them but those of other tests here.
#[test]
fn every_way_to_spawn_is_a_task() {
    let _turn = turn();
    play(
        "ways to spawn",
        &[Kind::Workers(1)],
        |stage| {
            let runtime = on_one_thread();
            let _context = runtime.enter();
            let mut set = JoinSet::new();
            set.spawn_traced(spawned());
            set.spawn_traced_on(spawned(), stage.handle());
            set.spawn_blocking_traced(called);
            set.spawn_blocking_traced_on(called, stage.handle());
            // Run before what is spawned, and awaited, behind them.
            HyperExecutor.execute(executed());
            HyperExecutor.execute(spawned().traced("executed under a name"));
            let spawned_ones = [
                runtime.spawn_traced(spawned()),
                stage.handle().spawn_traced(spawned()),
                tachograph_tokio::spawn(spawned()),
                spawned().traced("spawned").spawn(),
                tokio::spawn(spawned().traced(String::from("spawned")).into_task()),
            ];
            let called_ones = [
                runtime.spawn_blocking_traced(called),
                stage.handle().spawn_blocking_traced(called),
                tachograph_tokio::spawn_blocking(called),
            ];
            runtime.block_on_traced(async {
                while let Some(joined) = set.join_next().await {
                    joined.expect("no panic");
                }
                for one in spawned_ones.into_iter().chain(called_ones) {
                    one.await.expect("no panic");
                }
            });
            stage.handle().block_on_traced(spawned());
            let local = LocalSet::new();
            let mut set = JoinSet::new();
            set.spawn_local_traced_on(spawned(), &local);
            local.block_on(&runtime, async {
                set.spawn_local_traced(spawned());
                while let Some(joined) = set.join_next().await {
                    joined.expect("no panic");
                }
            });
        },
        |seen, ()| {
            let steps = ["create by driver", "start", "end"];
            seen.expect_all("spawned", 10, &steps);
            seen.expect_all("called", 5, &steps);
            // The type alone.
            seen.expect("tokio_runtimes::executed", &steps);
            seen.expect("executed under a name", &steps);
        },
    );
}

#[tachograph::main(flavor = "multi_thread", worker_threads = 1)]
async fn program() -> u32 {
    spawned().await;
    42
}

#[test]
fn a_main_function_is_a_task() {
    let _turn = turn();
    play(
        "main",
        &[Kind::Workers(1)],
        |_| assert_eq!(program(), 42),
        |seen, ()| seen.expect("program", &["create by driver", "start", "end"]),
    );
}

#[tachograph::main(flavor = "current_thread", record = r#"/dev/null"#, sample_hz = 0)]
async fn recorded_program() -> u32 {
    tachograph::spawn(async { 40 }).await.expect("no panic") + 2
}

#[test]
fn a_main_function_records_itself() {
    let _turn = turn();
    assert_eq!(recorded_program(), 42);
}
