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

/// Waits that another one in the same poll is more telling than, from the least.
const LEAST_TELLING: &[&str] = &[
    AWAIT,
    "timeout",
    "any of many",
    "interval",
    "sleep",
    "budget",
];

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

/// How telling a wait is beside others of the same poll.
pub(crate) fn telling(wait: &str) -> usize {
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
