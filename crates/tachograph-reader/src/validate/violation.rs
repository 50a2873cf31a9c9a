//! What the validator finds: values with where, found and wanted.
//!
//! Owns the catalogue of checks. Filled by [`validate`](super); shown by whoever checks a trace.

use crate::event::Resource;
use crate::state::{ProcState, TaskState};
use std::fmt;
use tachograph_wire::{
    ByteOffset, EventKind, Generation, Nanos, ProcId, StackId, TaskId, ThreadId, UserTaskId,
};

macro_rules! checks {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The checks, by their names in docs/READING.md.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum Check { $($(#[$doc])* $name,)* }

        impl Check {
            /// Every check.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

checks! {
    /// Times increase strictly.
    V1,
    /// Frames have a function, a file, a pc and a line; the leaf need not.
    V2,
    /// Syncs are numbered 1, 2, 3, ..
    V3,
    /// Since Go 1.25, the first sync has a clock snapshot, and clocks go on from sync to sync.
    V4,
    /// Metrics have a name with a unit, and a value. Holds for all that the types can say.
    V5,
    /// Labels say something, of a task that is known.
    V6,
    /// Nothing becomes undetermined, and nothing is after the first generation.
    V7,
    /// Changes of state begin with the state that the one before ended with.
    V8,
    /// What ends has no range going on.
    V9,
    /// A thread runs one task and one proc at a time.
    V10,
    /// What stops was running.
    V11,
    /// Where a task leaves its thread, its stack is the event's.
    V12,
    /// Ranges begin once and end once.
    V13,
    /// Annotation tasks have ids of their own.
    V14,
    /// The end of an annotation task has the name of its beginning.
    V15,
    /// What labels, logs, regions and annotation tasks say is there.
    V16,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An event that breaks a rule, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// When.
    pub time: Nanos,
    /// The generation; `None` at the end of the trace.
    pub generation: Option<Generation>,
    /// The thread, if the event has one.
    pub thread: Option<ThreadId>,
    /// Where the event stands in the trace.
    pub offset: ByteOffset,
    /// The event; `None` for a sync.
    pub event: Option<EventKind>,
    /// What is wrong.
    pub finding: Finding,
}

/// All that is wrong with one event; one thing at least.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violations(pub(super) Vec<Violation>);

/// A state of a task or of a proc.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AnyState {
    /// Of a task.
    Task(TaskState),
    /// Of a proc.
    Proc(ProcState),
}

/// One of the clocks of a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClockName {
    /// That of the trace.
    Trace,
    /// The monotonic one.
    Monotonic,
    /// The wall clock.
    Wall,
}

/// What is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Finding {
    /// The time is not after this one, of the event before.
    NotAfter(Nanos),
    /// A frame, other than the leaf, lacks something.
    Frame {
        /// The stack.
        stack: StackId,
        /// The frame's place; the leaf has 0.
        place: usize,
        /// What it lacks.
        lacks: &'static str,
    },
    /// The number of a sync.
    SyncNumber {
        /// What it is.
        found: u64,
        /// What would follow the one before.
        wanted: u64,
    },
    /// The first sync has no clock snapshot.
    NoClocks,
    /// A clock stands at zero.
    ClockZero(ClockName),
    /// A clock did not go on since the sync before; both in nanoseconds.
    ClockStands {
        /// Which.
        clock: ClockName,
        /// What it says.
        found: i128,
        /// What it said.
        before: i128,
    },
    /// The label is empty.
    EmptyLabel,
    /// There is no task to label.
    LabelsNothing,
    /// The task that gets the label is unknown.
    LabelsUnknown(TaskId),
    /// The state after is undetermined.
    BecomesUndetermined(Resource),
    /// The state before is undetermined, after the first generation.
    Undetermined(Resource),
    /// The state before is not the one that was left.
    OldState {
        /// Of what.
        resource: Resource,
        /// The event's.
        found: AnyState,
        /// The one that was left.
        wanted: AnyState,
    },
    /// Something unknown appears in a state that it can't begin in.
    FirstState {
        /// What.
        resource: Resource,
        /// The event's state before.
        found: AnyState,
    },
    /// It ends with ranges going on.
    EndsInRange {
        /// What.
        resource: Resource,
        /// How many ranges.
        ranges: u32,
    },
    /// It runs on no thread.
    RunsNowhere(Resource),
    /// It starts on a thread that runs another.
    ThreadBusy {
        /// What starts.
        resource: Resource,
        /// What the thread runs.
        with: Resource,
    },
    /// It stops and no thread ran it.
    StopsNowhere(Resource),
    /// It stops and its thread runs another, or none.
    StopsElsewhere {
        /// What stops.
        resource: Resource,
        /// What its thread runs.
        found: Option<Resource>,
    },
    /// The task's stack is not that of the event.
    Stacks {
        /// The task.
        task: TaskId,
        /// Its stack.
        found: StackId,
        /// That of the event.
        wanted: StackId,
    },
    /// A range begins that is going on.
    RangeGoesOn {
        /// Its name.
        range: String,
        /// Whose it is.
        scope: Option<Resource>,
    },
    /// A range ends that is not going on.
    NoRange {
        /// Its name.
        range: String,
        /// Whose it is.
        scope: Option<Resource>,
    },
    /// An annotation task has an id that stands for none.
    ReservedTask(UserTaskId),
    /// An annotation task is part of the background.
    PartOfBackground(UserTaskId),
    /// An annotation task ends under another name.
    TaskName {
        /// Which.
        task: UserTaskId,
        /// Its name at the end.
        found: String,
        /// Its name at the beginning.
        wanted: String,
    },
    /// A string that the event shows is not defined; at this place of its arguments.
    NoText(usize),
}

impl Finding {
    /// The check that found it.
    #[must_use]
    pub const fn check(&self) -> Check {
        match self {
            Self::NotAfter(_) => Check::V1,
            Self::Frame { .. } => Check::V2,
            Self::SyncNumber { .. } => Check::V3,
            Self::NoClocks | Self::ClockZero(_) | Self::ClockStands { .. } => Check::V4,
            Self::EmptyLabel | Self::LabelsNothing | Self::LabelsUnknown(_) => Check::V6,
            Self::BecomesUndetermined(_) | Self::Undetermined(_) => Check::V7,
            Self::OldState { .. } | Self::FirstState { .. } => Check::V8,
            Self::EndsInRange { .. } => Check::V9,
            Self::RunsNowhere(_) | Self::ThreadBusy { .. } => Check::V10,
            Self::StopsNowhere(_) | Self::StopsElsewhere { .. } => Check::V11,
            Self::Stacks { .. } => Check::V12,
            Self::RangeGoesOn { .. } | Self::NoRange { .. } => Check::V13,
            Self::ReservedTask(_) | Self::PartOfBackground(_) => Check::V14,
            Self::TaskName { .. } => Check::V15,
            Self::NoText(_) => Check::V16,
        }
    }
}

impl Violation {
    /// The check that found it.
    #[must_use]
    pub const fn check(&self) -> Check {
        self.finding.check()
    }
}

impl Violations {
    /// One by one.
    pub fn iter(&self) -> std::slice::Iter<'_, Violation> {
        self.0.iter()
    }
}

impl IntoIterator for Violations {
    type Item = Violation;
    type IntoIter = std::vec::IntoIter<Violation>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Violations {
    type Item = &'a Violation;
    type IntoIter = std::slice::Iter<'a, Violation>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl fmt::Display for Violations {
    /// One line each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, violation) in self.0.iter().enumerate() {
            let line_end = if place == 0 { "" } else { "\n" };
            write!(f, "{line_end}{violation}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Violations {}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.generation {
            Some(generation) => write!(f, "generation {generation}, ")?,
            None => f.write_str("end of the trace, ")?,
        }
        if let Some(thread) = self.thread {
            write!(f, "thread {thread}, ")?;
        }
        write!(f, "byte {:#x}, {} ns: ", self.offset.0, self.time.0)?;
        f.write_str(self.event.map_or("Sync", EventKind::name))?;
        write!(f, ": {} [{}]", self.finding, self.check())
    }
}

impl std::error::Error for Violation {}

impl fmt::Display for ClockName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trace => "trace clock",
            Self::Monotonic => "monotonic clock",
            Self::Wall => "wall clock",
        })
    }
}

impl fmt::Display for AnyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(state) => state.fmt(f),
            Self::Proc(state) => state.fmt(f),
        }
    }
}

/// A resource, in words.
struct The(Resource);

impl fmt::Display for The {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Resource::Task(TaskId(id)) => write!(f, "task {id}"),
            Resource::Proc(ProcId(id)) => write!(f, "proc {id}"),
        }
    }
}

/// What something is or runs: a resource or nothing.
fn or_none(resource: Option<Resource>, none: &str) -> String {
    resource.map_or_else(|| none.to_owned(), |resource| The(resource).to_string())
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAfter(before) => {
                write!(
                    f,
                    "the event before was at {} ns, wanted a later one",
                    before.0
                )
            }
            Self::Frame {
                stack,
                place,
                lacks,
            } => {
                write!(
                    f,
                    "frame {place} of stack {stack} has no {lacks}, wanted one"
                )
            }
            Self::SyncNumber { found, wanted } => write!(f, "sync {found}, wanted sync {wanted}"),
            Self::NoClocks => f.write_str("no clock snapshot, wanted one in the first sync"),
            Self::ClockZero(clock) => write!(f, "{clock} at zero, wanted a time"),
            Self::ClockStands {
                clock,
                found,
                before,
            } => {
                write!(
                    f,
                    "{clock} at {found} ns, wanted it past {before} ns, as the sync before has it"
                )
            }
            Self::EmptyLabel => f.write_str("empty label, wanted a text"),
            Self::LabelsNothing => f.write_str("label on nothing, wanted a task"),
            Self::LabelsUnknown(task) => {
                write!(f, "task {task} is unknown, wanted its state first")
            }
            Self::BecomesUndetermined(resource) => {
                write!(f, "{} becomes undetermined, wanted a state", The(*resource))
            }
            Self::Undetermined(resource) => write!(
                f,
                "{} was undetermined, wanted a state after the first generation",
                The(*resource)
            ),
            Self::OldState {
                resource,
                found,
                wanted,
            } => {
                write!(
                    f,
                    "{} was {found}, wanted {wanted}, as it was left",
                    The(*resource)
                )
            }
            Self::FirstState { resource, found } => write!(
                f,
                "{} is unknown and was {found}, wanted Undetermined or NotExist",
                The(*resource)
            ),
            Self::EndsInRange { resource, ranges } => {
                write!(
                    f,
                    "{} ends in {ranges} ranges, wanted their ends first",
                    The(*resource)
                )
            }
            Self::RunsNowhere(resource) => {
                write!(f, "{} starts on no thread, wanted one", The(*resource))
            }
            Self::ThreadBusy { resource, with } => write!(
                f,
                "{} starts on a thread that runs {}, wanted a free one",
                The(*resource),
                The(*with)
            ),
            Self::StopsNowhere(resource) => {
                write!(
                    f,
                    "{} stops on no thread, wanted the one it ran on",
                    The(*resource)
                )
            }
            Self::StopsElsewhere { resource, found } => write!(
                f,
                "{} stops on a thread that runs {}, wanted the one it ran on",
                The(*resource),
                or_none(*found, "nothing")
            ),
            Self::Stacks {
                task,
                found,
                wanted,
            } => write!(
                f,
                "task {task} leaves its thread with stack {found}, wanted the event's, {wanted}"
            ),
            Self::RangeGoesOn { range, scope } => write!(
                f,
                "{range} of {} begins while it is going on, wanted its end first",
                or_none(*scope, "the program")
            ),
            Self::NoRange { range, scope } => write!(
                f,
                "{range} of {} ends and is not going on, wanted its begin first",
                or_none(*scope, "the program")
            ),
            Self::ReservedTask(task) => {
                write!(
                    f,
                    "annotation task {task} stands for none, wanted another id"
                )
            }
            Self::PartOfBackground(task) => write!(
                f,
                "annotation task {task} is part of the background, wanted a task or none"
            ),
            Self::TaskName {
                task,
                found,
                wanted,
            } => {
                write!(
                    f,
                    "annotation task {task} ends as {found:?}, wanted {wanted:?}"
                )
            }
            Self::NoText(place) => {
                write!(
                    f,
                    "argument {place} is no string, wanted one that is defined"
                )
            }
        }
    }
}
