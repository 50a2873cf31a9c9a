//! One task's word, call by call. What threads do to it together is modelled in `tests/loom_task.rs`.

use super::{Change, Closed, Doing, GENERATION_MASK, Said, TaskWord, Tried};

#[track_caller]
fn changed(tried: Tried) -> Change {
    match tried {
        Tried::Changed(change) => change,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn made(tried: Tried) {
    let _ = changed(tried);
}

/// A task in the trace that was created in `generation`.
fn known(doing: Doing, generation: u64) -> TaskWord {
    let word = TaskWord::new(doing);
    let change = changed(word.create(generation));
    assert_eq!((change.said, change.states), (Said::Nothing, false));
    word
}

/// A task that runs and is said to, since `generation`.
fn running(generation: u64) -> TaskWord {
    let word = known(Doing::Runnable, generation);
    assert_eq!(changed(word.start(generation)).number, 1);
    word
}

fn closed(state: Option<Said>) -> Closed {
    Closed { state, dead: false }
}

#[test]
fn numbers_begin_at_one_in_each_generation_and_have_no_gaps() {
    let word = known(Doing::Waiting, 5);
    for generation in 5..8 {
        let mut number = 1;
        for _ in 0..3 {
            assert_eq!(changed(word.wake(generation)).number, number);
            assert_eq!(changed(word.start(generation)).number, number + 1);
            assert_eq!(word.next_number(generation), number + 2);
            made(word.pause(generation));
            // Unblocked and started at once.
            assert_eq!(changed(word.start(generation)).number, number + 3);
            made(word.pause(generation));
            number += 5;
        }
    }
}

#[test]
fn a_million_numbers_leave_the_rest_of_the_word_alone() {
    let word = running(1);
    for number in 2..2 + (1 << 20) {
        assert_eq!(word.next_number(1), number);
    }
    assert!(!word.is_due(1));
    assert!(word.is_due(2));
}

#[test]
fn what_was_said_is_stated_by_the_first_change_of_a_generation_only() {
    let word = known(Doing::Waiting, 1);
    let first = changed(word.wake(2));
    assert_eq!(
        first,
        Change {
            was: Doing::Waiting,
            said: Said::Waiting,
            states: true,
            number: 1
        }
    );
    let second = changed(word.start(2));
    assert_eq!((second.states, second.number), (false, 2));
}

#[test]
fn a_change_from_the_generation_before_comes_later() {
    let word = known(Doing::Waiting, 2);
    for tried in [
        word.wake(1),
        word.start(1),
        word.end(1),
        word.retract(1),
        word.introduce(1),
    ] {
        assert_eq!(tried, Tried::Later);
    }
    assert_eq!(word.doing(), Doing::Waiting);
    // What stands in no trace stands in no generation.
    let word = running(2);
    assert_eq!(word.wake(1), Tried::Silent(Doing::Running));
}

#[test]
fn the_generation_wraps() {
    let last = GENERATION_MASK;
    for base in [last - 2, 2 * last] {
        let word = known(Doing::Waiting, base);
        for generation in base..base + 5 {
            assert_eq!(word.is_due(generation), generation != base);
            let wake = changed(word.wake(generation));
            assert_eq!((wake.states, wake.number), (generation != base, 1));
            assert_eq!(word.start(generation - 1), Tried::Later);
            made(word.start(generation));
            made(word.pause(generation));
            assert_eq!(word.close(generation - 1), closed(None));
            assert_eq!(word.close(generation), closed(None));
        }
    }
}

#[test]
fn a_silent_task_is_stated_in_every_generation_over_the_wrap() {
    let last = GENERATION_MASK;
    let word = known(Doing::Waiting, last - 2);
    assert_eq!(word.close(last - 2), closed(None));
    for generation in last - 1..last + 3 {
        assert_eq!(word.close(generation), closed(Some(Said::Waiting)));
        assert_eq!(
            word.close(generation),
            closed(None),
            "twice in {generation}"
        );
    }
    // It was silent in `last + 3`, and is woken after.
    let wake = changed(word.wake(last + 4));
    assert!(wake.states);
    assert_eq!(word.close(last + 3), closed(Some(Said::Waiting)));
    assert_eq!(word.close(last + 4), closed(None));
}

#[test]
fn an_unknown_task_is_of_no_generation() {
    // Its word says 0, which is also what comes after the last.
    for generation in [GENERATION_MASK, GENERATION_MASK + 1, GENERATION_MASK + 2] {
        let word = TaskWord::new(Doing::Waiting);
        assert!(word.is_due(generation));
        assert_eq!(word.close(generation), closed(None));
        assert_eq!(word.wake(generation), Tried::Silent(Doing::Waiting));
        let start = changed(word.start(generation));
        assert_eq!(
            (start.said, start.states, start.number),
            (Said::Nothing, false, 1)
        );
    }
}

#[test]
fn a_task_that_lives_in_one_generation_is_settled_at_its_end() {
    let word = running(3);
    assert!(!word.is_settled());
    made(word.end(3));
    assert!(word.is_settled() && !word.is_unburied());
    for generation in [2, 3] {
        let end = Closed {
            state: None,
            dead: true,
        };
        assert_eq!(word.close(generation), end);
    }
}

#[test]
fn an_end_after_a_silent_generation_is_settled_by_the_advancer() {
    for (woken, said) in [(false, Said::Waiting), (true, Said::Runnable)] {
        let word = known(Doing::Waiting, 1);
        if woken {
            made(word.wake(1));
        }
        assert_eq!(word.close(1), closed(None));
        // 2 is silent, and not closed yet.
        made(word.start(3));
        made(word.end(3));
        assert!(!word.is_settled() && !word.is_unburied());
        let end = Closed {
            state: Some(said),
            dead: true,
        };
        assert_eq!(word.close(2), end);
    }
}

#[test]
fn what_was_not_said_is_owed_to_the_next_change() {
    let word = known(Doing::Waiting, 1);
    let woken = word.unsaid(|doing| (doing == Doing::Waiting).then_some(Doing::Runnable));
    assert_eq!(woken, Some(Doing::Waiting));
    // What is stated meanwhile is what was said.
    assert_eq!(word.close(2), closed(Some(Said::Waiting)));
    assert_eq!(word.wake(3), Tried::Unchanged(Doing::Runnable));
    let start = changed(word.start(3));
    assert_eq!(
        (start.was, start.said, start.states),
        (Doing::Runnable, Said::Waiting, true)
    );
    // The wake took a number, too.
    assert_eq!((start.number, word.next_number(3)), (1, 3));
}

#[test]
fn a_poll_whose_begin_was_not_said_changes_nothing_in_the_trace() {
    let word = known(Doing::Runnable, 1);
    let _ = word.unsaid(|_| Some(Doing::Running));
    assert!(word.wake_running());
    assert_eq!(word.doing(), Doing::RunningWoken);
    assert_eq!(word.pause(1), Tried::Silent(Doing::RunningWoken));
    assert_eq!(word.doing(), Doing::Runnable);
    assert_eq!(word.close(2), closed(Some(Said::Runnable)));
}

#[test]
fn unsaid_leaves_alone_what_it_is_not_to_change() {
    let word = known(Doing::Runnable, 1);
    assert_eq!(word.unsaid(|_| None), None);
    assert_eq!(word.doing(), Doing::Runnable);
}

#[test]
fn an_end_that_was_not_said_is_retracted() {
    for (doing, numbers) in [(Doing::Waiting, 2), (Doing::Runnable, 1)] {
        let word = known(doing, 1);
        let _ = word.unsaid(|_| Some(Doing::Dead));
        assert!(word.is_unburied() && !word.is_settled());
        assert_eq!(word.close(2), closed(Some(doing.into())));
        let end = changed(word.retract(2));
        assert_eq!((end.said, end.states, end.number), (doing.into(), false, 1));
        assert_eq!(
            word.0.load(super::Ordering::Relaxed) >> super::NUMBER,
            numbers
        );
        assert!(!word.is_unburied());
        assert_eq!(word.retract(2), Tried::Unchanged(Doing::Dead));
        assert!(word.close(3).dead);
    }
}

#[test]
fn a_task_that_ended_on_a_silent_thread_is_not_the_engine_s_to_bury() {
    let word = running(1);
    let _ = word.unsaid(|_| Some(Doing::Dead));
    assert!(!word.is_unburied() && !word.is_settled());
    assert_eq!(word.close(2), closed(Some(Said::Running)));
    assert_eq!(word.close(3), closed(Some(Said::Running)));
}

#[test]
fn a_dead_task_stays_dead() {
    let word = running(1);
    made(word.end(1));
    assert_eq!(word.start(2), Tried::Unchanged(Doing::Dead));
    assert_eq!(word.wake(2), Tried::Unchanged(Doing::Dead));
    assert_eq!(word.create(2), Tried::Unchanged(Doing::Dead));
    assert!(word.wake_running());
    word.forget();
    assert_eq!(word.doing(), Doing::Dead);
}

#[test]
fn a_wake_of_a_running_task_makes_its_pause_a_yield() {
    let word = running(1);
    assert!(word.wake_running());
    assert_eq!(word.wake(1), Tried::Unchanged(Doing::RunningWoken));
    assert_eq!(changed(word.pause(1)).was, Doing::RunningWoken);
    assert_eq!(word.doing(), Doing::Runnable);
    assert_eq!(changed(word.start(1)).said, Said::Runnable);
    // The next one is none.
    assert_eq!(changed(word.pause(1)).was, Doing::Running);
    assert!(!word.wake_running());
}

#[test]
fn a_suspended_task_is_runnable_to_the_trace_and_runs() {
    let word = running(1);
    made(word.suspend(1));
    assert_eq!(word.suspend(1), Tried::Unchanged(Doing::Running));
    assert_eq!(word.wake(1), Tried::Silent(Doing::Running));
    assert_eq!(word.close(2), closed(Some(Said::Runnable)));
    let resumed = changed(word.resume(2));
    assert_eq!(
        (resumed.said, resumed.states, resumed.number),
        (Said::Runnable, false, 1)
    );
    assert_eq!(word.resume(2), Tried::Unchanged(Doing::RunningWoken));
    // It was woken while another one had its thread.
    assert_eq!(changed(word.pause(2)).was, Doing::RunningWoken);
}

#[test]
fn a_task_that_runs_is_claimed_once_a_generation() {
    let word = running(1);
    assert_eq!(word.claim(1), Tried::Unchanged(Doing::Running));
    let claim = changed(word.claim(2));
    assert_eq!((claim.said, claim.states), (Said::Running, true));
    assert_eq!(word.claim(2), Tried::Unchanged(Doing::Running));
    // The numbers begin behind the status.
    assert_eq!(word.next_number(2), 1);
    // Nobody claims what the trace does not know.
    let unknown = TaskWord::new(Doing::Running);
    assert_eq!(unknown.claim(2), Tried::Unchanged(Doing::Running));
}

#[test]
fn a_forgotten_task_is_created_again_as_what_it_does() {
    let word = known(Doing::Waiting, 1);
    made(word.wake(2));
    word.forget();
    assert_eq!(word.close(2), closed(None));
    assert_eq!(changed(word.create(3)).was, Doing::Runnable);
    assert_eq!(word.create(3), Tried::Unchanged(Doing::Runnable));
    assert_eq!(changed(word.start(3)).number, 1);
    word.forget();
    assert_eq!(word.create(4), Tried::Unchanged(Doing::Running));
    // Woken before its thread has introduced it, which leaves that as it is.
    assert!(word.wake_running());
    assert_eq!(changed(word.introduce(4)).said, Said::Nothing);
    assert_eq!(changed(word.pause(4)).was, Doing::RunningWoken);
}

#[test]
fn plain_changes_are_those_of_the_long_way() {
    let (plain, long) = (known(Doing::Waiting, 4), known(Doing::Waiting, 4));
    for woken in [false, true, false] {
        if plain.doing() == Doing::Waiting {
            assert_eq!(plain.wake_plainly(4), Some(changed(long.wake(4)).number));
        }
        assert_eq!(plain.start_plainly(4), Some(changed(long.start(4)).number));
        if woken {
            assert!(plain.wake_running() && long.wake_running());
        }
        let yields = changed(long.pause(4)).was == Doing::RunningWoken;
        assert_eq!(plain.pause_plainly(4), Some(yields));
        assert_eq!(yields, woken);
        let words = [&plain, &long].map(|word| word.0.load(super::Ordering::Relaxed));
        assert_eq!(words[0], words[1]);
    }
}

#[test]
fn nothing_is_plain_in_a_generation_that_lacks_the_status() {
    for (doing, generation) in [
        (Doing::Waiting, 5),
        (Doing::Runnable, 5),
        (Doing::Waiting, 3),
    ] {
        let word = known(doing, 4);
        assert_eq!(word.wake_plainly(generation), None);
        assert_eq!(word.start_plainly(generation), None);
        assert_eq!(word.doing(), doing);
    }
    let word = running(4);
    assert_eq!(word.pause_plainly(5), None);
    // Nor is what is owed.
    let word = known(Doing::Waiting, 4);
    let _ = word.unsaid(|_| Some(Doing::Runnable));
    assert_eq!(word.start_plainly(4), None);
    assert_eq!(word.pause_plainly(4), None);
    let word = TaskWord::new(Doing::Runnable);
    assert_eq!(word.start_plainly(0), None);
}
