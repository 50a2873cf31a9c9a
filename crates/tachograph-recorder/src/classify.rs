//! What a stack tells about a task: what it waits for, who wakes it, why it ends unfinished. By the names of its functions.
//!
//! Called by `writer`, once a stack and generation, so that the event path pays for addresses only. Where names are left for later
//! (`Symbols::Offline`), nothing is told: the words are then "await", "dropped", and no waker is named.

use crate::resolve::NamedFrame;

/// A wait that is in no list.
pub(crate) const AWAIT: &str = "await";
/// An end that is in no list.
pub(crate) const DROPPED: &str = "dropped";

/// Functions that a future runs through when it parks, by a part of their names, and what is then waited for. The first line that is on the
/// stack counts: what is built of others stands before them.
const WAITS: &[(&str, &str)] = &[
    ("tokio_util::sync::cancellation_token::", "cancelled"),
    ("tokio::task::join_set::", "join set"),
    ("tokio::runtime::task::join::", "join"),
    ("tokio::task::local::", "local set"),
    ("tokio::sync::barrier::", "barrier"),
    ("tokio::sync::watch::", "watch changed"),
    ("tokio::sync::broadcast::", "broadcast recv"),
    ("tokio::sync::oneshot::", "oneshot recv"),
    ("tokio::sync::mpsc::bounded::Sender", "mpsc send"),
    ("tokio::sync::mpsc::bounded::Permit", "mpsc send"),
    ("tokio::sync::mpsc::bounded::reserve", "mpsc send"),
    ("tokio::sync::mpsc::", "mpsc recv"),
    ("tokio::sync::mutex::", "mutex"),
    ("tokio::sync::rwlock::RwLock<T>::write", "rwlock write"),
    ("tokio::sync::rwlock::RwLock<T>::read", "rwlock read"),
    ("tokio::sync::rwlock::", "rwlock"),
    ("tokio::sync::once_cell::", "once cell"),
    ("tokio::sync::set_once::", "set once"),
    ("tokio::sync::semaphore::", "semaphore"),
    ("tokio::sync::notify::", "notify"),
    ("tokio::net::tcp::listener::", "tcp accept"),
    ("tokio::net::unix::listener::", "unix accept"),
    ("tokio::net::udp::", "udp"),
    ("tokio::net::unix::datagram::", "unix datagram"),
    ("tokio::process::", "process"),
    ("tokio::signal::", "signal"),
    ("tokio::fs::", "file"),
    ("tokio::io::stdio_common::", "stdio"),
    ("tokio::io::util::mem::", "duplex"),
    ("futures_channel::mpsc::", "mpsc recv"),
    ("futures_channel::oneshot::", "oneshot recv"),
    ("futures_util::lock::", "mutex"),
    ("futures_util::stream::futures_unordered::", "any of many"),
    ("tokio::task::yield_now::", "yield"),
    ("tokio::task::coop::", "budget"),
    ("tokio::time::interval::", "interval"),
    ("tokio::time::timeout::", "timeout"),
    ("tokio::time::sleep::", "sleep"),
    // Of what, a function that only calls another one does not say in optimised code.
    ("Registration::poll_read_ready", "read"),
    ("Registration::poll_write_ready", "write"),
];

/// Streams are read and written through the same functions of the runtime: what is wanted stands in one name, of what in another.
const STREAMS: &[(&str, &str)] = &[
    ("tokio::net::tcp::", "tcp"),
    ("tokio::net::unix::pipe::", "pipe"),
    ("tokio::net::unix::", "unix"),
    ("tokio::io::async_fd::", "fd"),
];
const DIRECTIONS: &[(&str, &str)] = &[
    ("connect", "connect"),
    ("accept", "accept"),
    ("poll_read", "read"),
    ("AsyncRead", "read"),
    ("::read", "read"),
    ("poll_write", "write"),
    ("AsyncWrite", "write"),
    ("::write", "write"),
];

/// Waits that another one in the same poll is more telling than, from the least: limits, what ends a service, what goes on by itself.
const LEAST_TELLING: &[&str] = &[
    AWAIT,
    "timeout",
    "cancelled",
    "watch changed",
    CONNECTION,
    "any of many",
    "interval",
    "sleep",
    "budget",
];

/// A read of those who read on while a request is answered, to notice that the client is gone. Of no trace: a rank.
const CONNECTION: &str = "connection";
const CONNECTIONS: &[&str] = &["hyper::proto::", "h2::proto::", "h2::codec::"];

/// Functions of a runtime's drivers.
const DRIVERS: &[(&str, &str)] = &[
    ("tokio::runtime::time::", "timer"),
    ("tokio::runtime::io::driver::", "I/O driver"),
    ("tokio::runtime::signal::", "signal driver"),
    ("tokio::runtime::io::scheduled_io::", "I/O driver"),
];

/// Functions that drop tasks.
const ENDS: &[(&str, &str)] = &[
    // Not its other functions, which are on the stack of all that its tasks do.
    (
        "tokio::task::local::LocalSet as core::ops::drop::Drop",
        "dropped with its local set",
    ),
    ("close_and_shutdown_all", "runtime shutdown"),
    (
        "tokio::runtime::runtime::Runtime::shutdown",
        "runtime shutdown",
    ),
    (
        "tokio::runtime::scheduler::current_thread::shutdown",
        "runtime shutdown",
    ),
    ("cancel_task", "aborted"),
    ("Harness<T,S>::shutdown", "aborted"),
    ("remote_abort", "aborted"),
];

/// Our own functions, and what stands between them and the program's.
const OURS: &[&str] = &[
    "tachograph_recorder::",
    "tachograph_tokio::",
    "tachograph_unwind::",
    "core::task::wake::Waker",
    "core::ops::function::FnOnce",
];

fn on_stack(frames: &[NamedFrame], lines: &[(&str, &'static str)]) -> Option<&'static str> {
    let holds = |part: &str| frames.iter().any(|frame| frame.function.contains(part));
    lines
        .iter()
        .find(|(part, _)| holds(part))
        .map(|(_, word)| *word)
}

/// The word of the frame nearest to the leaf that has one.
fn innermost(frames: &[NamedFrame], lines: &[(&str, &'static str)]) -> Option<&'static str> {
    frames.iter().find_map(|frame| {
        let line = lines.iter().find(|(part, _)| frame.function.contains(part));
        line.map(|(_, word)| *word)
    })
}

/// A function's path without what a trait's implementation puts before it.
fn path(frame: &NamedFrame) -> &str {
    let name = frame.function.trim_start_matches(['<', '&', '(', '*']);
    name.trim_start_matches("mut ").trim_start_matches("dyn ")
}

fn is_ours(frame: &NamedFrame) -> bool {
    OURS.iter().any(|part| path(frame).starts_with(part))
        // Our traits' functions for other people's types.
        || frame.function.contains(" as tachograph_tokio::")
}

/// Takes our own frames off the leaf's end; off a task's awaits off the other end, too, where its executor begins.
pub(crate) fn trim(frames: &mut Vec<NamedFrame>, both: bool) {
    let ours = frames.iter().take_while(|frame| is_ours(frame)).count();
    frames.drain(..ours);
    while both && frames.last().is_some_and(is_ours) {
        frames.pop();
    }
}

/// What a future waits for that has parked at this stack. Only the frames between the leaf and the first of the program's own count: a
/// channel's receiver in a timeout is a receiver.
pub(crate) fn wait(frames: &[NamedFrame]) -> &'static str {
    let library = &frames[..frames.len().min(library_frames(frames))];
    stream(library)
        .or_else(|| on_stack(library, WAITS))
        .unwrap_or(AWAIT)
}

fn stream(frames: &[NamedFrame]) -> Option<&'static str> {
    let what = on_stack(frames, STREAMS)?;
    // The runtime's part says "readiness" of everything.
    let named = frames
        .iter()
        .filter(|frame| !path(frame).starts_with("tokio::runtime::"));
    let how = on_stack(&named.cloned().collect::<Vec<_>>(), DIRECTIONS)?;
    STREAM_WORDS
        .iter()
        .find(|word| {
            word.strip_prefix(what)
                .and_then(|rest| rest.strip_prefix(' '))
                == Some(how)
        })
        .copied()
}

const STREAM_WORDS: &[&str] = &[
    "tcp read",
    "tcp write",
    "tcp connect",
    "tcp accept",
    "unix read",
    "unix write",
    "unix connect",
    "unix accept",
    "pipe read",
    "pipe write",
    "fd read",
    "fd write",
];

/// Frames from the leaf on that are of the language, of runtimes and of libraries of futures.
fn library_frames(frames: &[NamedFrame]) -> usize {
    const LIBRARIES: &[&str] = &[
        "core::",
        "std::",
        "alloc::",
        // Of `catch_unwind`, in which Tokio clones some wakers.
        "__rust_try",
        "tokio::",
        "futures_",
        "tokio_util::",
        "tokio_stream::",
        "pin_project",
        "mio::",
    ];
    let library = |frame: &NamedFrame| LIBRARIES.iter().any(|part| path(frame).starts_with(part));
    frames.iter().take_while(|frame| library(frame)).count()
}

/// What a task waits for whose futures have parked at these stacks, in this order, and the stack that says so.
///
/// Those that an async function has gone past are not waited for any more. Of the others, which are waited for together, the most
/// telling one, and of equals always the same one, whatever the order in which they were polled.
pub(crate) fn choose(stacks: Vec<Vec<NamedFrame>>) -> (&'static str, Vec<NamedFrame>) {
    let gone_past = |at: usize| {
        let later = &stacks[at + 1..];
        later.iter().any(|later| is_past(later, &stacks[at]))
    };
    let left: Vec<bool> = (0..stacks.len()).map(|at| !gone_past(at)).collect();
    let waits = stacks.into_iter().zip(left).filter(|(_, left)| *left);
    waits
        .map(|(frames, _)| (wait(&frames), frames))
        .max_by(|(wait, frames), (other, others)| {
            let place =
                |frames: &[NamedFrame]| frames.iter().rev().map(|f| f.pc).collect::<Vec<_>>();
            let by_word = rank(wait, frames).cmp(&rank(other, others));
            by_word.then_with(|| place(others).cmp(&place(frames)))
        })
        .unwrap_or((AWAIT, Vec::new()))
}

fn rank(wait: &str, frames: &[NamedFrame]) -> usize {
    let holds = |part: &&str| frames.iter().any(|frame| frame.function.contains(*part));
    match wait.ends_with("read") && CONNECTIONS.iter().any(holds) {
        true => telling(CONNECTION),
        false => telling(wait),
    }
}

/// Whether who parked at `later` had gone past `earlier`: both come from the body of one async function, which awaits one thing at a time.
fn is_past(later: &[NamedFrame], earlier: &[NamedFrame]) -> bool {
    let same = |(one, other): &(&NamedFrame, &NamedFrame)| {
        one.function == other.function && one.line == other.line
    };
    let common = earlier
        .iter()
        .rev()
        .zip(later.iter().rev())
        .take_while(same)
        .count();
    let at = |frames: &[NamedFrame], depth: usize| frames.iter().rev().nth(depth).cloned();
    let (Some(one), Some(other)) = (at(earlier, common), at(later, common)) else {
        return earlier.len() == later.len();
    };
    // Two lines of one function, or one line that calls two.
    let body = match one.function == other.function {
        true => common,
        false => common.wrapping_sub(1),
    };
    let caller = at(earlier, body.wrapping_sub(1));
    // Without lines, what is inlined into a function looks like that function.
    at(earlier, body).is_some_and(|body| is_closure(&body) && body.line > 1)
        && !caller.is_some_and(|caller| caller.function.contains("PollFn"))
}

/// As bodies of async functions are called, and closures: what polls several things in one is called by a `PollFn`.
fn is_closure(frame: &NamedFrame) -> bool {
    let name = &*frame.function;
    name.ends_with("{{closure}}") || name.ends_with('}') && name.contains("{closure#")
}

/// How telling a wait is beside others of the same poll.
fn telling(wait: &str) -> usize {
    LEAST_TELLING
        .iter()
        .position(|word| *word == wait)
        .unwrap_or(LEAST_TELLING.len())
}

/// The driver that wakes at this stack, if it is one.
pub(crate) fn driver(frames: &[NamedFrame]) -> Option<&'static str> {
    // The I/O driver is driven by the timer's.
    innermost(frames, DRIVERS)
}

/// Why a task is dropped at this stack.
pub(crate) fn end(frames: &[NamedFrame]) -> &'static str {
    on_stack(frames, ENDS).unwrap_or(DROPPED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(names: &[&str]) -> Vec<NamedFrame> {
        let frame = |name: &&str| NamedFrame {
            pc: 1,
            function: (*name).into(),
            file: "".into(),
            line: 1,
        };
        names.iter().map(frame).collect()
    }

    #[test]
    fn a_receiver_in_a_timeout_is_a_receiver() {
        let stack = frames(&[
            "tokio::sync::mpsc::chan::Rx<T,S>::recv",
            "app::wait::{{closure}}",
            "<tokio::time::timeout::Timeout<T> as core::future::future::Future>::poll",
        ]);
        assert_eq!(wait(&stack), "mpsc recv");
    }

    #[test]
    fn the_timer_of_a_timeout_is_a_timeout_and_tells_less() {
        let stack = frames(&[
            "tokio::time::sleep::Sleep::poll_elapsed",
            "<tokio::time::timeout::Timeout<T> as core::future::future::Future>::poll",
            "app::wait::{{closure}}",
        ]);
        assert_eq!(wait(&stack), "timeout");
        assert!(telling("timeout") < telling("mpsc recv"));
    }

    /// Frames with lines, root first.
    fn stack(names: &[(&str, u64)]) -> Vec<NamedFrame> {
        let mut frames = frames(&names.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        for (frame, (_, line)) in frames.iter_mut().zip(names) {
            (frame.line, frame.pc) = (*line, *line);
        }
        frames.reverse();
        frames
    }

    const BODY: &str = "app::wait::{{closure}}";
    const SELECT: &str = "app::wait::{{closure}}::{{closure}}";
    const POLL_FN: &str =
        "<core::future::poll_fn::PollFn<F> as core::future::future::Future>::poll";
    const RECV: &str = "tokio::sync::mpsc::chan::Rx<T,S>::recv";
    const SLEEP: &str = "<tokio::time::sleep::Sleep as core::future::future::Future>::poll";

    #[test]
    fn a_task_waits_where_its_function_has_come_to() {
        let received = stack(&[(BODY, 10), (POLL_FN, 2), (SELECT, 11), (RECV, 3)]);
        let sleeps = stack(&[(BODY, 20), (SLEEP, 4)]);
        let own = stack(&[(BODY, 30), ("app::Own::poll", 40)]);
        assert_eq!(choose(vec![received.clone(), sleeps.clone()]).0, "sleep");
        assert_eq!(choose(vec![received, sleeps, own.clone()]), (AWAIT, own));
        // Two calls in one line.
        let first = stack(&[(BODY, 10), (RECV, 3)]);
        let second = stack(&[(BODY, 10), (SLEEP, 4)]);
        assert_eq!(choose(vec![first, second]).0, "sleep");
    }

    #[test]
    fn of_what_is_waited_for_together_the_same_counts_in_any_order() {
        let received = stack(&[(BODY, 10), (POLL_FN, 2), (SELECT, 11), (RECV, 3)]);
        let other = stack(&[(BODY, 10), (POLL_FN, 2), (SELECT, 12), (RECV, 3)]);
        let sleeps = stack(&[(BODY, 10), (POLL_FN, 2), (SELECT, 13), (SLEEP, 4)]);
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let all = [&received, &other, &sleeps];
            let stacks = order.iter().map(|at| all[*at].clone()).collect();
            assert_eq!(choose(stacks), ("mpsc recv", received.clone()));
        }
        let inner = stack(&[
            ("tokio::time::timeout::Timeout<T>::poll", 5),
            (BODY, 10),
            (RECV, 3),
        ]);
        let timer = stack(&[("tokio::time::timeout::Timeout<T>::poll", 6), (SLEEP, 4)]);
        assert_eq!(choose(vec![inner, timer]).0, "mpsc recv");
    }

    #[test]
    fn a_connection_waits_for_its_handler_and_else_for_the_next_request() {
        const SERVE: &str = "hyper::server::conn::http1::Connection::poll";
        let next = stack(&[
            (BODY, 10),
            (POLL_FN, 3),
            (SERVE, 7),
            ("hyper::proto::h1::dispatch::Dispatcher::poll_read", 8),
            (
                "<tokio::net::tcp::stream::TcpStream as tokio::io::AsyncRead>::poll_read",
                9,
            ),
        ]);
        let handler = stack(&[
            (BODY, 10),
            (POLL_FN, 3),
            (SERVE, 6),
            ("app::pause::{{closure}}", 50),
            (SLEEP, 4),
        ]);
        let end = stack(&[(BODY, 10), (POLL_FN, 3), ("tokio::sync::watch::changed", 9)]);
        assert_eq!(choose(vec![next.clone(), handler]).0, "sleep");
        assert_eq!(wait(&next), "tcp read");
        assert_eq!(choose(vec![next.clone(), end]).1, next);
    }

    #[test]
    fn a_local_set_takes_its_tasks_along_and_runs_those_that_are_aborted() {
        let dropped = frames(&[
            "tokio::runtime::task::list::LocalOwnedTasks<S>::close_and_shutdown_all",
            "<tokio::task::local::LocalSet as core::ops::drop::Drop>::drop::{{closure}}",
        ]);
        assert_eq!(end(&dropped), "dropped with its local set");
        let aborted = frames(&[
            "tokio::runtime::task::harness::cancel_task",
            "tokio::task::local::LocalSet::tick",
        ]);
        assert_eq!(end(&aborted), "aborted");
    }

    #[test]
    fn a_barrier_is_no_watch_channel() {
        let stack = frames(&[
            "tokio::sync::watch::Receiver<T>::changed::{{closure}}",
            "tokio::sync::barrier::Barrier::wait_internal::{{closure}}",
            "app::meet::{{closure}}",
        ]);
        assert_eq!(wait(&stack), "barrier");
    }

    #[test]
    fn a_waker_is_cloned_where_panics_are_caught() {
        let stack = frames(&[
            "<core::panic::unwind_safe::AssertUnwindSafe<F> as core::ops::function::FnOnce<()>>::call_once",
            "std::panicking::catch_unwind::do_call",
            "__rust_try",
            "std::panic::catch_unwind",
            "tokio::sync::task::atomic_waker::AtomicWaker::do_register",
            "<tokio::time::sleep::Sleep as core::future::future::Future>::poll",
            "app::nap::{{closure}}",
        ]);
        assert_eq!(wait(&stack), "sleep");
    }

    #[test]
    fn streams_say_what_and_how() {
        let stack = frames(&[
            "tokio::runtime::io::registration::Registration::poll_ready",
            "<tokio::net::tcp::stream::TcpStream as tokio::io::async_read::AsyncRead>::poll_read",
            "<app::Copy as core::future::future::Future>::poll",
        ]);
        assert_eq!(wait(&stack), "tcp read");
    }

    #[test]
    fn the_io_driver_inside_of_the_timers_is_the_io_driver() {
        let stack = frames(&[
            "tokio::runtime::io::scheduled_io::ScheduledIo::wake",
            "tokio::runtime::io::driver::Driver::turn",
            "tokio::runtime::time::Driver::park_internal",
        ]);
        assert_eq!(driver(&stack), Some("I/O driver"));
        assert_eq!(driver(&stack[2..]), Some("timer"));
        assert_eq!(driver(&frames(&["app::main"])), None);
    }

    #[test]
    fn what_is_in_no_list_is_an_await() {
        assert_eq!(wait(&frames(&["app::Own::poll"])), AWAIT);
        assert_eq!(wait(&[]), AWAIT);
    }
}
