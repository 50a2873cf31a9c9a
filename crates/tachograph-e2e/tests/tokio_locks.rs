//! Waits for other tasks, in the trace: locks, permits, notifications, barriers, joins. Each is ended by the task that lets go.
//!
//! Each wait stands in a function of its own, whose name is spelled with the wait.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use tachograph_e2e::record::turn;
use tachograph_e2e::stage::{Actor, KINDS, play, watch};
use tachograph_tokio::FutureExt;
use tokio::sync::{Barrier, Mutex, Notify, OnceCell, RwLock, Semaphore, oneshot};
use tokio::task::JoinSet;

/// As spelled: created by the driver, it waits once, in `function`, until `who` wakes it.
fn once<'a>(function: &'a str, who: &'a str) -> [&'a str; 6] {
    ["create by driver", "start", function, who, "start", "end"]
}

async fn wait_for(end: oneshot::Receiver<()>) {
    end.await.expect("sent");
}

/// Locks, and lets go when told to.
async fn hold(lock: Arc<Mutex<u32>>, end: oneshot::Receiver<()>) {
    let mut held = lock.lock().await;
    *held += 1;
    wait_for(end).await;
}

async fn contend(lock: Arc<Mutex<u32>>) {
    assert_eq!(*lock.lock().await, 1);
}

#[test]
fn who_unlocks_a_mutex_wakes_who_waits() {
    let _turn = turn();
    play(
        "mutex",
        &KINDS,
        |stage| {
            let lock = Arc::new(Mutex::new(0));
            let (tell, told) = oneshot::channel();
            let holder = stage.spawn("holder", hold(lock.clone(), told));
            holder.paused(1);
            let contenders = [(); 2].map(|()| {
                let contender = stage.spawn("contender", contend(lock.clone()));
                contender.paused(1);
                contender
            });
            tell.send(()).expect("it waits");
            assert!(holder.ended().is_some());
            assert!(
                contenders
                    .iter()
                    .all(|contender| contender.ended().is_some())
            );
        },
        |seen, ()| {
            seen.expect(
                "holder",
                &once("block in wait_for: oneshot recv", "wake by driver"),
            );
            // A mutex is fair: the first of them is woken by the holder, the second by the first.
            let [first, second] = seen.all("contender")[..] else {
                seen.fail("there are two contenders");
            };
            seen.expect_life(first, &once("block in contend: mutex", "wake by holder"));
            seen.expect_life(
                second,
                &once("block in contend: mutex", "wake by contender"),
            );
        },
    );
}

async fn read(lock: Arc<RwLock<u32>>, end: oneshot::Receiver<()>) {
    let _held = lock.read().await;
    wait_for(end).await;
}

async fn write(lock: Arc<RwLock<u32>>) {
    *lock.write().await += 1;
}

#[test]
fn the_last_reader_wakes_the_writer() {
    let _turn = turn();
    play(
        "rwlock",
        &KINDS,
        |stage| {
            let lock = Arc::new(RwLock::new(0));
            let readers = ["reader 1", "reader 2"].map(|name| {
                let (tell, told) = oneshot::channel();
                let reader = stage.spawn(name, read(lock.clone(), told));
                reader.paused(1);
                (tell, reader)
            });
            let writer = stage.spawn("writer", write(lock));
            writer.paused(1);
            for (tell, reader) in readers {
                tell.send(()).expect("it waits");
                assert!(reader.ended().is_some());
                stage.pass();
            }
            assert!(writer.ended().is_some());
        },
        |seen, ()| {
            for name in ["reader 1", "reader 2"] {
                seen.expect(
                    name,
                    &once("block in wait_for: oneshot recv", "wake by driver"),
                );
            }
            seen.expect(
                "writer",
                &once("block in write: rwlock write", "wake by reader 2"),
            );
        },
    );
}

async fn acquire_two(permits: Arc<Semaphore>) {
    let _held = permits.acquire_many(2).await.expect("open");
}

async fn notified(bell: Arc<Notify>) {
    bell.notified().await;
}

async fn initialise(cell: Arc<OnceCell<u32>>, end: oneshot::Receiver<()>) {
    cell.get_or_init(|| async {
        wait_for(end).await;
        7
    })
    .await;
}

async fn initialised(cell: Arc<OnceCell<u32>>) {
    assert_eq!(cell.get_or_init(|| async { 8 }).await, &7);
}

#[test]
fn semaphore_notify_and_once_cell_waits_end_with_who_gives() {
    let _turn = turn();
    play(
        "semaphore, notify, once cell",
        &KINDS,
        |stage| {
            let permits = Arc::new(Semaphore::new(0));
            let acquirer = stage.spawn("acquirer", acquire_two(permits.clone()));
            acquirer.paused(1);
            permits.add_permits(1);
            stage.pass();
            permits.add_permits(1);
            assert!(acquirer.ended().is_some());

            let bell = Arc::new(Notify::new());
            let listeners = [(); 3].map(|()| stage.spawn("listener", notified(bell.clone())));
            listeners.iter().for_each(|listener| listener.paused(1));
            bell.notify_one();
            bell.notify_waiters();
            assert!(listeners.iter().all(|listener| listener.ended().is_some()));

            let cell = Arc::new(OnceCell::new());
            let (tell, told) = oneshot::channel();
            let first = stage.spawn("first", initialise(cell.clone(), told));
            first.paused(1);
            let second = stage.spawn("second", initialised(cell));
            second.paused(1);
            tell.send(()).expect("it waits");
            assert!(first.ended().is_some() && second.ended().is_some());
        },
        |seen, ()| {
            seen.expect(
                "acquirer",
                &once("block in acquire_two: semaphore", "wake by driver"),
            );
            seen.expect_all(
                "listener",
                3,
                &once("block in notified: notify", "wake by driver"),
            );
            seen.expect(
                "first",
                &once("block in wait_for: oneshot recv", "wake by driver"),
            );
            seen.expect(
                "second",
                &once("block in initialised: once cell", "wake by first"),
            );
        },
    );
}

async fn meet(barrier: Arc<Barrier>) {
    barrier.wait().await;
}

#[test]
fn the_last_at_a_barrier_wakes_the_others_and_waits_for_nobody() {
    let _turn = turn();
    play(
        "barrier",
        &KINDS,
        |stage| {
            let barrier = Arc::new(Barrier::new(3));
            let early = [(); 2].map(|()| {
                let early = stage.spawn("early", meet(barrier.clone()));
                early.paused(1);
                early
            });
            let last = stage.spawn("last", meet(barrier));
            assert!(last.ended().is_some() && early.iter().all(|early| early.ended().is_some()));
        },
        |seen, ()| {
            seen.expect_all("early", 2, &once("block in meet: barrier", "wake by last"));
            seen.expect("last", &["create by driver", "start", "end"]);
        },
    );
}

type Children = mpsc::Sender<Actor<()>>;

async fn join_one(told: oneshot::Receiver<()>, pace: Duration, children: Children) {
    let (task, child) = watch("child", pace, wait_for(told).traced("child").into_task());
    children.send(child).expect("the driver waits");
    tokio::spawn(task).await.expect("no panic");
}

async fn join_all(told: [oneshot::Receiver<()>; 2], pace: Duration, children: Children) {
    let mut set = JoinSet::new();
    for told in told {
        let (task, child) = watch("member", pace, wait_for(told).traced("member").into_task());
        children.send(child).expect("the driver waits");
        set.spawn(task);
    }
    while let Some(joined) = set.join_next().await {
        joined.expect("no panic");
    }
}

#[test]
fn who_joins_is_woken_by_the_runtime_after_the_end() {
    let _turn = turn();
    play(
        "join handle, join set",
        &KINDS,
        |stage| {
            let (children, births) = mpsc::channel();
            let (tell, told) = oneshot::channel();
            let parent = stage.spawn("parent", join_one(told, stage.pace(), children.clone()));
            let child = births.recv().expect("a child");
            parent.paused(1);
            child.paused(1);
            tell.send(()).expect("it waits");
            assert!(child.ended().is_some() && parent.ended().is_some());

            let [(first, told_first), (second, told_second)] = [(); 2].map(|()| oneshot::channel());
            let parent = join_all([told_first, told_second], stage.pace(), children);
            let parent = stage.spawn("family", parent);
            let members = [(); 2].map(|()| births.recv().expect("a member"));
            members.iter().for_each(|member| member.paused(1));
            for (number, (member, tell)) in members.iter().zip([first, second]).enumerate() {
                parent.paused(number as u64 + 1);
                tell.send(()).expect("it waits");
                assert!(member.ended().is_some());
            }
            assert!(parent.ended().is_some());
        },
        |seen, ()| {
            seen.expect("parent", &once("block in join_one: join", "wake by -"));
            let mut child = once("block in wait_for: oneshot recv", "wake by driver");
            child[0] = "create by parent";
            seen.expect("child", &child);
            seen.expect(
                "family",
                &[
                    "create by driver",
                    "start",
                    "block in join_all: join set",
                    "wake by -",
                    "start",
                    "block in join_all: join set",
                    "wake by -",
                    "start",
                    "end",
                ],
            );
            child[0] = "create by family";
            seen.expect_all("member", 2, &child);
        },
    );
}
