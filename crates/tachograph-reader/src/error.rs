//! Why a trace can't be read, and where.
//!
//! Owns the catalogue of rules; the rooms that load and order say which one is broken. [`BrokenTrace`] is the trace's
//! fault, [`ReadError::Io`] the machine's, [`ReadError::Unsupported`] means that it is no trace of ours. That a trace
//! ends too early is no error at all: see [`End`](crate::End).

mod describe;

use std::fmt;
use std::io;
use tachograph_wire::version::VersionError;
use tachograph_wire::{
    ByteOffset, EventKind, Generation, Problem, ProcId, ProcStatus, StringId, TaskId, TaskStatus,
    ThreadId, UserTaskId, WireError,
};

/// Why reading ended before the trace did.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// The input could not be read. A reader with more to say than its kind must say it itself.
    Io(io::ErrorKind),
    /// The header is not one of a trace that can be read here: another file, the format before Go 1.22, an unknown version.
    Unsupported(VersionError),
    /// The trace breaks a rule of the format.
    Broken(Box<BrokenTrace>),
}

/// A rule that a trace breaks, with the place and with what was found and wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BrokenTrace {
    /// The generation, if it is known.
    pub generation: Option<Generation>,
    /// The thread whose events they are, if they are a thread's.
    pub thread: Option<ThreadId>,
    /// First byte of what is wrong.
    pub offset: ByteOffset,
    /// The event that is wrong, if it is one.
    pub event: Option<EventKind>,
    /// What is wrong.
    pub fault: Fault,
}

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The rules of the format, by their names in docs/READING.md.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum Rule { $($(#[$doc])* $name,)* }

        impl Rule {
            /// Every rule.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

rules! {
    /// The file begins with a header.
    H1,
    /// The header's version is known.
    H2,
    /// Batches and ends of generations follow each other, nothing else.
    B1,
    /// The header of a batch is four numbers.
    B2,
    /// A payload is within its limit.
    B3,
    /// A payload is as long as its header says.
    B4,
    /// Generations are numbered from 1.
    G1,
    /// Generations do not overlap and follow each other.
    G2,
    /// A generation is whole.
    G3,
    /// A generation has one frequency, and it is not 0.
    G4,
    /// A generation has one clock snapshot, since Go 1.25.
    G5,
    /// A table holds its own records only.
    S1,
    /// An id is defined once, and never 0.
    S2,
    /// Strings and stacks are whole and within their limits.
    S3,
    /// Frames and samples refer to what is defined.
    S4,
    /// A thread's batch holds timed events only.
    D1,
    /// Numbers are whole and fit in 64 bits.
    D2,
    /// The event may stand among a thread's events.
    O1,
    /// The event has the thread, proc and task that it needs.
    O2,
    /// Statuses and ids are valid.
    O3,
    /// A status agrees with what is known.
    O4,
    /// After the first generation, tasks appear by being created.
    O5,
    /// A task in a system call has its thread.
    O6,
    /// The event's proc and task exist and are in the right state.
    O7,
    /// What is created did not exist.
    O8,
    /// System calls count on in their proc's sequence.
    O9,
    /// A proc is stolen from the thread that holds it.
    O10,
    /// Ranges begin once and end once.
    O11,
    /// Collections begin and end in turn.
    O12,
    /// An annotation task begins once.
    O13,
    /// Regions nest.
    O14,
    /// Names are defined.
    O15,
    /// Some event can be next.
    O16,
    /// Events refer to what is defined.
    T1,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// Bytes that are nothing, or nothing that may stand there.
    Wire {
        /// The rule.
        rule: Rule,
        /// What is wrong with the bytes.
        problem: Problem,
    },
    /// A batch of generation 0.
    GenerationZero,
    /// A batch of a generation that can't stand here.
    GenerationOrder {
        /// Its generation.
        found: Generation,
        /// The one that is not over.
        wanted: Generation,
    },
    /// The bytes end before the generation.
    EndsEarly,
    /// A second frequency or clock snapshot.
    Second(SyncPart),
    /// No frequency or clock snapshot.
    Missing(SyncPart),
    /// A frequency of 0.
    FrequencyZero,
    /// A string or stack that is defined twice.
    DefinedTwice {
        /// Which table.
        table: &'static str,
        /// The id.
        id: u64,
    },
    /// A string or stack with the id 0.
    DefinedZero {
        /// Which table.
        table: &'static str,
    },
    /// An id that is in no table.
    Undefined {
        /// The rule: that of a table, or that of an event.
        rule: Rule,
        /// What refers to it.
        by: &'static str,
        /// Which table it should be in.
        table: &'static str,
        /// The id.
        id: u64,
    },
    /// The event has no place among a thread's events.
    NotOrdered,
    /// The event's thread, proc or task are missing or too much.
    Context(Need),
    /// A status that there is not.
    BadStatus(u64),
    /// The id that means "none".
    ReservedId(&'static str),
    /// The status of a proc that is known to be in another state.
    ProcDisagrees {
        /// Which.
        proc: ProcId,
        /// What the event says.
        found: ProcStatus,
        /// What it was so far.
        wanted: ProcStatus,
    },
    /// The status of a task that is known to be in another state.
    TaskDisagrees {
        /// Which.
        task: TaskId,
        /// What the event says.
        found: TaskStatus,
        /// What it was so far.
        wanted: TaskStatus,
    },
    /// A task that was never created has a status.
    NeverCreated(TaskId),
    /// A task in a system call without a thread, or on a thread that has another task.
    SyscallThread {
        /// Which task.
        task: TaskId,
        /// The thread that it names.
        thread: Option<ThreadId>,
        /// The task that this thread has.
        found: Option<TaskId>,
    },
    /// A proc that the event needs is unknown.
    UnknownProc(ProcId),
    /// A task that the event needs is unknown.
    UnknownTask(TaskId),
    /// The proc is in a state that the event can't be in.
    ProcState {
        /// Which.
        proc: ProcId,
        /// Its state.
        found: ProcStatus,
        /// The states that would do.
        wanted: &'static str,
    },
    /// The task is in a state that the event can't be in.
    TaskState {
        /// Which.
        task: TaskId,
        /// Its state.
        found: TaskStatus,
        /// The state that would do.
        wanted: TaskStatus,
    },
    /// A task is created that is there.
    Exists(TaskId),
    /// The sequence number of a system call doesn't follow that of its proc.
    Sequence {
        /// Which proc.
        proc: ProcId,
        /// The event's number.
        found: u64,
        /// The number that would be next; `None` if the proc has no status in this generation.
        wanted: Option<u64>,
    },
    /// A proc is stolen from a thread that doesn't hold it.
    Stolen {
        /// Which proc.
        proc: ProcId,
        /// From which thread; `None` if any would do.
        from: Option<ThreadId>,
        /// What that thread holds.
        found: Option<ProcId>,
    },
    /// A range begins that is going on.
    RangeActive(&'static str),
    /// A range ends, or is said to be going on, that has not begun.
    RangeInactive(&'static str),
    /// The collector does what it can't do now.
    Collector {
        /// What it was doing.
        found: &'static str,
        /// What it would have to do.
        wanted: &'static str,
    },
    /// An annotation task begins that is going on.
    TaskActive(UserTaskId),
    /// A region ends that is not the innermost one.
    Region {
        /// Task and name of the one that ends.
        found: (UserTaskId, String),
        /// Task and name of the innermost one.
        wanted: (UserTaskId, String),
    },
    /// The name of a region or task is not defined.
    UndefinedName(StringId),
    /// None of the events that could be next can be.
    Stuck(Vec<Waiting>),
}

/// What a generation has once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SyncPart {
    /// Ticks per second.
    Frequency,
    /// The same instant on three clocks.
    Clock,
}

impl fmt::Display for SyncPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Frequency => "frequency",
            Self::Clock => "clock snapshot",
        })
    }
}

/// A thread's next event while nothing can be next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiting {
    /// The thread.
    pub thread: ThreadId,
    /// Where its event stands.
    pub offset: ByteOffset,
    /// Its event.
    pub event: EventKind,
    /// The event's arguments.
    pub args: Vec<u64>,
    /// What it waits for.
    pub waits_for: String,
}

/// What an event needs of its context and doesn't have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// There is no thread.
    Thread,
    /// There is no proc.
    Proc,
    /// There is no task.
    Task,
    /// There is a proc.
    NoProc(ProcId),
    /// There is a task.
    NoTask(TaskId),
}

impl Fault {
    /// The rule that is broken.
    #[must_use]
    pub const fn rule(&self) -> Rule {
        match self {
            Self::Wire { rule, .. } | Self::Undefined { rule, .. } => *rule,
            Self::GenerationZero => Rule::G1,
            Self::GenerationOrder { .. } => Rule::G2,
            Self::EndsEarly => Rule::G3,
            Self::Second(SyncPart::Frequency)
            | Self::Missing(SyncPart::Frequency)
            | Self::FrequencyZero => Rule::G4,
            Self::Second(SyncPart::Clock) | Self::Missing(SyncPart::Clock) => Rule::G5,
            Self::DefinedTwice { .. } | Self::DefinedZero { .. } => Rule::S2,
            Self::NotOrdered => Rule::O1,
            Self::Context(_) => Rule::O2,
            Self::BadStatus(_) | Self::ReservedId(_) => Rule::O3,
            Self::ProcDisagrees { .. } | Self::TaskDisagrees { .. } => Rule::O4,
            Self::NeverCreated(_) => Rule::O5,
            Self::SyscallThread { .. } => Rule::O6,
            Self::UnknownProc(_)
            | Self::UnknownTask(_)
            | Self::ProcState { .. }
            | Self::TaskState { .. } => Rule::O7,
            Self::Exists(_) => Rule::O8,
            Self::Sequence { .. } => Rule::O9,
            Self::Stolen { .. } => Rule::O10,
            Self::RangeActive(_) | Self::RangeInactive(_) => Rule::O11,
            Self::Collector { .. } => Rule::O12,
            Self::TaskActive(_) => Rule::O13,
            Self::Region { .. } => Rule::O14,
            Self::UndefinedName(_) => Rule::O15,
            Self::Stuck(_) => Rule::O16,
        }
    }
}

impl BrokenTrace {
    /// The rule that is broken.
    #[must_use]
    pub const fn rule(&self) -> Rule {
        self.fault.rule()
    }
}

impl ReadError {
    /// What wire decoding says of an item of the stream.
    pub(crate) fn of_item(error: WireError, generation: Option<Generation>) -> Self {
        let rule = match error.problem {
            Problem::Io(kind) => return Self::Io(kind),
            Problem::Header(problem) => return Self::Unsupported(problem),
            Problem::Truncated(_) => Rule::G3,
            Problem::Overflow(_) => Rule::B2,
            Problem::OverLimit { .. } => Rule::B3,
            _ => Rule::B1,
        };
        Self::of_wire(rule, error, generation, None)
    }

    /// What wire decoding says of bytes within a generation.
    pub(crate) fn of_wire(
        rule: Rule,
        error: WireError,
        generation: Option<Generation>,
        thread: Option<ThreadId>,
    ) -> Self {
        let problem = error.problem;
        BrokenTrace {
            generation,
            thread,
            offset: error.offset,
            event: None,
            fault: Fault::Wire { rule, problem },
        }
        .into()
    }

    /// The rule that is broken, if the trace is to blame.
    #[must_use]
    pub fn rule(&self) -> Option<Rule> {
        match self {
            Self::Io(_) => None,
            Self::Unsupported(VersionError::Truncated(_) | VersionError::NotATrace(_)) => {
                Some(Rule::H1)
            }
            Self::Unsupported(_) => Some(Rule::H2),
            Self::Broken(broken) => Some(broken.rule()),
        }
    }
}

impl From<BrokenTrace> for ReadError {
    fn from(broken: BrokenTrace) -> Self {
        Self::Broken(Box::new(broken))
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(kind) => write!(f, "read failed: {kind}"),
            Self::Unsupported(error) => {
                write!(f, "{error} [{}]", self.rule().unwrap_or(Rule::H1))
            }
            Self::Broken(broken) => broken.fmt(f),
        }
    }
}

impl std::error::Error for ReadError {}

impl fmt::Display for BrokenTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(generation) = self.generation {
            write!(f, "generation {generation}, ")?;
        }
        match self.thread {
            Some(ThreadId::NONE) => f.write_str("no thread, ")?,
            Some(thread) => write!(f, "thread {thread}, ")?,
            None => {}
        }
        write!(f, "byte {:#x}: ", self.offset.0)?;
        if let Some(event) = self.event {
            write!(f, "{}: ", event.name())?;
        }
        write!(f, "{} [{}]", self.fault, self.rule())
    }
}

impl std::error::Error for BrokenTrace {}
