//! Models of `task_word`: what a task does, and what is said of it. One case per rule of its protocol.
//!
//! Each case names the changes to the protocol that it was seen to fail with. One of `task_word` unless another room is named.
#![cfg(loom)]

mod model;

use loom::cell::UnsafeCell;
use loom::sync::{Arc, Mutex};
use loom::thread::{self, JoinHandle};
use model::check;
use model::reader::{Known, verify, wakes};
use model::task::World;
use tachograph_recorder::model::{Doing, TaskWord, Tried};

fn spawn(world: &Arc<World>, thread: impl FnOnce(&World) + 'static) -> JoinHandle<()> {
    let world = world.clone();
    thread::spawn(move || thread(&world))
}

/// The generations make a trace, and in the end it says what the task does.
fn verify_to_the_end(world: &World, last: u64) {
    let known = match world.word.doing() {
        Doing::Waiting => Known::Waiting,
        Doing::Runnable => Known::Runnable,
        Doing::Dead => Known::Nothing,
        doing => panic!("{doing:?}, and nobody polls"),
    };
    assert_eq!(verify(&world.lines(), 1..=last), known);
}

/// Rule 1: two wakers and a poll that nobody had to wake, in one generation.
///
/// Fails with: the word stored where it is swapped, in `update`, `wake_plainly` or `pause_plainly`; one number for a wake and a start together,
/// or none for a wake; a wake of a running task that leaves no mark, or whose mark makes no yield.
#[test]
fn each_change_is_made_and_written_by_one_thread() {
    check(3, || {
        let world = World::known(Doing::Waiting);
        let wakers = [1, 2].map(|me| spawn(&world, move |world| world.wake(me)));
        world.poll(0);
        for waker in wakers {
            waker.join().unwrap();
        }
        verify_to_the_end(&world, 1);
        assert!(wakes(&world.lines(), &[1, 2]) >= 1);
    });
}

/// Rule 1: a change hands on what its maker has seen.
///
/// Fails with: no release in the swaps of `update` or `swap`; no acquire in `update` (load and swap) or `plain`.
#[test]
fn a_poll_sees_what_its_wake_has_seen() {
    for plain in [true, false] {
        check(3, move || {
            let task = Arc::new((TaskWord::new(Doing::Waiting), UnsafeCell::new(0)));
            assert!(matches!(task.0.create(1), Tried::Changed(_)));
            let waker = task.clone();
            let waker = thread::spawn(move || {
                // SAFETY: loom checks that nobody reads meanwhile.
                waker.1.with_mut(|message| unsafe { *message = 1 });
                match plain {
                    true => drop(waker.0.wake_plainly(1)),
                    false => drop(waker.0.wake(1)),
                }
            });
            let was = match plain {
                true => {
                    // Until then it only loads: loom does not go back for the sake of a load that another one has followed.
                    while task.0.start_plainly(1).is_none() {
                        thread::yield_now();
                    }
                    Some(Doing::Runnable)
                }
                false => match task.0.start(1) {
                    Tried::Changed(change) => Some(change.was),
                    _ => None,
                },
            };
            if was == Some(Doing::Runnable) {
                // SAFETY: loom checks that nobody writes meanwhile.
                assert_eq!(task.1.with(|message| unsafe { *message }), 1);
            }
            waker.join().unwrap();
        });
    }
}

/// Rule 2: a poll and a wake around a boundary of generations.
///
/// Fails with: no `Later`; a wake (`wake`) or a start (`poll`) that takes it for done; a plain change that does not look at the generation.
#[test]
fn who_finds_the_word_in_a_later_generation_enters_again() {
    // loom prefers the thread that was spawned first.
    for poller_first in [true, false] {
        check(2, move || {
            let world = World::known(Doing::Waiting);
            let mut threads: [fn(&World); 2] = [|world| world.poll(0), |world| world.wake(1)];
            if !poller_first {
                threads.reverse();
            }
            let threads = threads.map(|thread| spawn(&world, thread));
            world.close(1);
            for thread in threads {
                thread.join().unwrap();
            }
            world.close(2);
            verify_to_the_end(&world, 2);
            let lines = world.lines();
            assert_eq!(wakes(&lines, &[1]), 1, "{lines:?}");
        });
    }
}

/// Rule 3: all that change the task in a generation's beginning.
///
/// Fails with: no change that states, or all of them.
#[test]
fn the_first_change_in_a_generation_states_the_task() {
    check(3, || {
        let world = World::known(Doing::Waiting);
        world.close(1);
        let wakers = [1, 2].map(|me| spawn(&world, move |world| world.wake(me)));
        world.poll(0);
        for waker in wakers {
            waker.join().unwrap();
        }
        verify_to_the_end(&world, 2);
    });
}

/// Rule 4: a task of which nothing was said through generation 2 changes in 3, while 2 is being closed.
///
/// Fails with: nothing kept for the generation before; that dropped by the second change; kept also where the generation before has its status;
/// what is said now kept in its place; `close` blind for it; numbers that go on over a boundary.
#[test]
fn what_was_said_through_a_silent_generation_is_stated_there() {
    check(2, || {
        let world = World::known(Doing::Waiting);
        world.close(1);
        let poller = spawn(&world, |world| world.poll(0));
        let waker = spawn(&world, |world| world.wake(1));
        world.close(2);
        world.close(3);
        poller.join().unwrap();
        waker.join().unwrap();
        world.close(4);
        verify_to_the_end(&world, 4);
    });
}

/// Rule 4, and `tasks`: a task that is dropped meanwhile is stated first, and then forgotten.
///
/// Fails with: `is_settled` blind for what was said before; `close` that takes a dead task's word for one of an earlier generation; a wake that
/// raises the dead.
#[test]
fn a_task_that_ends_is_forgotten_when_all_is_said() {
    check(2, || {
        let world = World::known(Doing::Waiting);
        world.close(1);
        let owner = spawn(&world, |world| world.drop_task(0));
        let waker = spawn(&world, |world| world.wake(1));
        world.close(2);
        world.close(3);
        owner.join().unwrap();
        waker.join().unwrap();
        world.close(4);
        verify_to_the_end(&world, 4);
        assert!(!world.is_listed());
    });
}

/// Rule 5: a poll that lasts for generations, or is over soon.
///
/// Fails with: a word in a later generation claimed by `close`, or the claim stored; notes taken after the publication (`notes` rule 1); no claim
/// by the thread that runs the task (`section` rule 2); a wake lost in `wake_running`.
#[test]
fn every_generation_has_the_status_of_a_task_that_runs() {
    check(2, || {
        let world = World::known(Doing::Runnable);
        assert!(world.start(0));
        let poller = spawn(&world, |world| world.pause(0, true));
        let waker = spawn(&world, |world| world.wake(1));
        for closing in 1..=3 {
            world.close(closing);
        }
        poller.join().unwrap();
        waker.join().unwrap();
        world.close(4);
        verify_to_the_end(&world, 4);
        assert_eq!(world.word.doing(), Doing::Runnable);
    });
}

/// Rule 5, and `notes` rule 5: a task that moves from a thread to another runs on the one that the notes name.
///
/// Fails with: what the cases of rules 3 and 4 fail with; the claim of `close` stored.
#[test]
fn a_task_that_moves_is_stated_where_it_runs() {
    check(2, || {
        let world = World::known(Doing::Runnable);
        let executor = Arc::new(Mutex::new(()));
        let pollers = [0, 1].map(|me| {
            let executor = executor.clone();
            spawn(&world, move |world| {
                let _turn = executor.lock().unwrap();
                world.poll(me);
            })
        });
        world.close(1);
        world.close(2);
        for poller in pollers {
            poller.join().unwrap();
        }
        world.close(3);
        verify_to_the_end(&world, 3);
    });
}

/// Rule 6: a waker without a record.
///
/// Fails with: `unsaid` that stores; a start that leaves the wake out.
#[test]
fn a_wake_that_was_not_said_is_said_by_the_next_poll() {
    check(2, || {
        let world = World::known(Doing::Waiting);
        let poller = spawn(&world, |world| world.poll(0));
        let waker = spawn(&world, |world| world.wake_unsaid());
        world.close(1);
        poller.join().unwrap();
        waker.join().unwrap();
        world.poll(2);
        world.close(2);
        verify_to_the_end(&world, 2);
        let lines = world.lines();
        assert_eq!(wakes(&lines, &[0, 2]), 2, "{lines:?}");
    });
}

/// Rule 6: a thread without a record drops the task. The engine says that it has ended.
///
/// Fails with: nobody unburied; `close` that does not claim, or states what the task does; `retract` that keeps what is said.
#[test]
fn an_end_that_was_not_said_is_said_by_the_engine() {
    check(3, || {
        let world = World::known(Doing::Waiting);
        let owner = spawn(&world, |world| world.end(0, false));
        let waker = spawn(&world, |world| world.wake(1));
        world.close(1);
        owner.join().unwrap();
        waker.join().unwrap();
        world.close(2);
        world.close(3);
        verify_to_the_end(&world, 3);
        assert!(!world.is_listed());
    });
}

/// Rule 6: a thread falls silent in a poll. Others go on with the task, and it ends with that thread in the trace.
///
/// Fails with: a start that goes on with such a task (`poll`); one that is said to run among the unburied.
#[test]
fn a_task_stays_with_a_thread_that_fell_silent() {
    for ends in [false, true] {
        check(2, move || {
            let world = World::known(Doing::Runnable);
            assert!(world.start(0));
            let pollers = spawn(&world, move |world| {
                world.mute(0);
                if ends {
                    return world.end(0, true);
                }
                world.pause(0, true);
                world.poll(1);
            });
            let waker = spawn(&world, |world| world.wake(2));
            world.close(1);
            world.close(2);
            world.end_run(3);
            pollers.join().unwrap();
            waker.join().unwrap();
            assert_eq!(verify(&world.lines(), 1..=3), Known::Nothing);
        });
    }
}

/// Rule 7: who polls stores, while a waker with a record and one without try, and the generation before is closed.
///
/// Fails with: a start stored over a task that waits; no number for a start.
#[test]
fn a_poll_stores_where_nobody_else_changes_the_word() {
    check(3, || {
        let world = World::known(Doing::Runnable);
        let waker = spawn(&world, |world| world.wake(1));
        let other = spawn(&world, |world| world.wake_unsaid());
        world.poll(0);
        waker.join().unwrap();
        other.join().unwrap();
        // What was not said is said.
        world.poll(0);
        verify_to_the_end(&world, 1);
    });
    check(2, || {
        let world = World::known(Doing::Runnable);
        world.close(1);
        let poller = spawn(&world, |world| {
            world.poll(0);
            world.drop_task(0);
        });
        let waker = spawn(&world, |world| world.wake(1));
        world.close(2);
        poller.join().unwrap();
        waker.join().unwrap();
        world.close(3);
        verify_to_the_end(&world, 3);
        world.close(4);
        assert!(!world.is_listed());
    });
}

/// Rule 8: a run ends and another begins during polls and wakes, recorded or not.
///
/// Fails with: a wake that is said of an unknown task; a task created that is known; `forget` stored, or after the publication (`core`); nobody
/// waited for (`advance` rule 2).
#[test]
fn a_run_begins_with_nothing_said() {
    check(2, || {
        let world = World::known(Doing::Waiting);
        let poller = spawn(&world, |world| world.poll(0));
        let waker = spawn(&world, |world| world.wake(1));
        world.end_run(1);
        assert_eq!(verify(&world.lines(), 1..=1), Known::Nothing);
        world.begin_run(2);
        poller.join().unwrap();
        waker.join().unwrap();
        // What was not said is said at last.
        world.poll(2);
        world.close(2);
        verify_to_the_end(&world, 2);
    });
}

/// Rule 8: a recording ends as it stands, and the next is a trace of its own. A task that has ended between them is no part of it.
///
/// Fails with: `forget` that forgets nothing, or what the task does; a task that runs created by the engine.
#[test]
fn a_recording_begins_with_nothing_said() {
    check(2, || {
        let world = World::known(Doing::Waiting);
        let owner = spawn(&world, |world| {
            world.poll(0);
            world.drop_task(0);
        });
        let waker = spawn(&world, |world| world.wake(1));
        world.stop(1);
        verify(&world.lines(), 1..=1);
        world.begin_run(2);
        owner.join().unwrap();
        waker.join().unwrap();
        world.close(2);
        assert_eq!(verify(&world.lines(), 2..=2), Known::Nothing);
        world.close(3);
        assert!(!world.is_listed());
    });
}
