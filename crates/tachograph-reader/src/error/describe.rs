//! Faults in words: what was found, then what was wanted.

use super::{Fault, Need, Waiting};
use std::fmt;
use tachograph_wire::{ProcId, TaskId, ThreadId};

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wire { problem, .. } => problem.fmt(f),
            Self::GenerationZero => f.write_str("batch of generation 0, wanted 1 or more"),
            Self::GenerationOrder { found, wanted } => {
                write!(
                    f,
                    "batch of generation {found}, wanted {wanted}, which is not over"
                )
            }
            Self::EndsEarly => f.write_str("truncated: the bytes end before the generation does"),
            Self::Second(what) => write!(f, "second {what} in the generation, wanted one"),
            Self::Missing(what) => write!(f, "the generation ends without a {what}, wanted one"),
            Self::FrequencyZero => f.write_str("frequency is 0, wanted ticks per second"),
            Self::DefinedTwice { table, id } => {
                write!(f, "{table} {id} is defined twice, wanted once")
            }
            Self::DefinedZero { table } => {
                write!(f, "{table} 0 is defined, wanted an id of 1 or more")
            }
            Self::Undefined { by, table, id, .. } => {
                write!(f, "{by} refers to {table} {id}, wanted one that is defined")
            }
            Self::NotOrdered => f.write_str("found among a thread's events, wanted elsewhere"),
            Self::Context(need) => need.fmt(f),
            Self::BadStatus(status) => write!(f, "status is {status}, wanted 1 to 4"),
            Self::ReservedId(what) => {
                write!(
                    f,
                    "{what} is {}, which is reserved, wanted another",
                    u64::MAX
                )
            }
            Self::ProcDisagrees {
                proc,
                found,
                wanted,
            } => {
                write!(
                    f,
                    "proc {proc} is said to be {found:?}, wanted {wanted:?}, as it was left"
                )
            }
            Self::TaskDisagrees {
                task,
                found,
                wanted,
            } => {
                write!(
                    f,
                    "task {task} is said to be {found:?}, wanted {wanted:?}, as it was left"
                )
            }
            Self::NeverCreated(task) => write!(
                f,
                "task {task} appears after the first generation, wanted its creation first"
            ),
            Self::SyscallThread {
                task,
                thread,
                found,
            } => syscall_thread(f, *task, *thread, *found),
            Self::UnknownProc(proc) => write!(f, "proc {proc} is unknown, wanted its status first"),
            Self::UnknownTask(task) => write!(f, "task {task} is unknown, wanted it alive"),
            Self::ProcState {
                proc,
                found,
                wanted,
            } => {
                write!(f, "proc {proc} is {found:?}, wanted {wanted}")
            }
            Self::TaskState {
                task,
                found,
                wanted,
            } => {
                write!(f, "task {task} is {found:?}, wanted {wanted:?}")
            }
            Self::Exists(task) => write!(f, "task {task} exists, wanted a new one"),
            Self::Sequence {
                proc,
                found,
                wanted: Some(wanted),
            } => {
                write!(f, "sequence number {found} of proc {proc}, wanted {wanted}")
            }
            Self::Sequence {
                proc,
                found,
                wanted: None,
            } => write!(
                f,
                "sequence number {found} of proc {proc}, wanted its status in this generation first"
            ),
            Self::Stolen { proc, from, found } => stolen(f, *proc, *from, *found),
            Self::RangeActive(range) => write!(f, "{range} is going on, wanted its end first"),
            Self::RangeInactive(range) => {
                write!(f, "{range} is not going on, wanted its begin first")
            }
            Self::Collector { found, wanted } => {
                write!(f, "the collector is {found}, wanted {wanted}")
            }
            Self::TaskActive(task) => {
                write!(
                    f,
                    "annotation task {task} is going on, wanted its end first"
                )
            }
            Self::Region { found, wanted } => write!(
                f,
                "region {:?} of task {} ends, wanted the innermost, {:?} of task {}",
                found.1, found.0, wanted.1, wanted.0
            ),
            Self::UndefinedName(id) => write!(f, "name is string {id}, wanted one that is defined"),
            Self::Stuck(frontier) => stuck(f, frontier),
        }
    }
}

impl fmt::Display for Need {
    /// In Go's words, which the expectations of golden files quote.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Thread => f.write_str("expected a thread but didn't have one"),
            Self::Proc => f.write_str("expected a proc but didn't have one"),
            Self::Task => f.write_str("expected a goroutine but didn't have one"),
            Self::NoProc(proc) => write!(f, "expected no proc but had one: {proc}"),
            Self::NoTask(task) => write!(f, "expected no goroutine but had one: {task}"),
        }
    }
}

fn syscall_thread(
    f: &mut fmt::Formatter<'_>,
    task: TaskId,
    thread: Option<ThreadId>,
    found: Option<TaskId>,
) -> fmt::Result {
    let Some(thread) = thread else {
        return write!(
            f,
            "task {task} is in a system call on no thread, wanted one"
        );
    };
    write!(
        f,
        "task {task} is in a system call on thread {thread}, which "
    )?;
    match found {
        Some(found) => write!(f, "has task {found}, wanted the same"),
        None => f.write_str("has no task, wanted this one"),
    }
}

fn stolen(
    f: &mut fmt::Formatter<'_>,
    proc: ProcId,
    from: Option<ThreadId>,
    found: Option<ProcId>,
) -> fmt::Result {
    let Some(from) = from else {
        return write!(
            f,
            "no thread holds proc {proc}, wanted one to steal it from"
        );
    };
    write!(f, "proc {proc} is stolen from thread {from}, which holds ")?;
    match found {
        Some(found) => write!(f, "proc {found}, wanted this one"),
        None => f.write_str("none, wanted this one"),
    }
}

/// How many threads of a frontier an error shows.
const SHOWN: usize = 16;

fn stuck(f: &mut fmt::Formatter<'_>, frontier: &[Waiting]) -> fmt::Result {
    f.write_str("no thread's next event can be next, wanted one that can; they wait:")?;
    for waiting in frontier.iter().take(SHOWN) {
        let Waiting {
            thread,
            offset,
            event,
            args,
            waits_for,
        } = waiting;
        write!(
            f,
            "\n  thread {thread}, byte {:#x}: {}{args:?} waits for {waits_for}",
            offset.0,
            event.name()
        )?;
    }
    match frontier.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => write!(f, "\n  and {more} more threads"),
    }
}
