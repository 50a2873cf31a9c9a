//! What a reader gets: ordered events with their context and everything they say.
//!
//! An [`Event`] is a view of two references, cheap to copy; [`Event::kind`] takes it apart. All accessors are total.

use crate::generation::Generation;
use crate::record::{NONE, Record};
use crate::stack::Stack;
use crate::state::{ProcState, TaskState};
use crate::sync::Sync;
use crate::text::Text;
use std::fmt;
use tachograph_wire::{
    ArgKind, ByteOffset, EventKind, Nanos, ProcId, StackId, StringId, TaskId, ThreadId, UserTaskId,
};

/// An ordered event.
#[derive(Clone, Copy)]
pub struct Event<'a> {
    pub(crate) record: &'a Record,
    /// `None` for the sync at the end of the trace.
    pub(crate) generation: Option<&'a Generation>,
}

/// What an event says.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Kind<'a> {
    /// A generation begins, or the trace ends.
    Sync(Sync<'a>),
    /// The value of a metric.
    Metric(Metric),
    /// The running task gets a label.
    Label(Label<'a>),
    /// A CPU-profile sample; its stack is the event's.
    ///
    /// N.B. its context is what the signal handler saw and may contradict the transitions around it.
    Sample,
    /// A range of time begins.
    RangeBegin(Range<'a>),
    /// A range of time was going on when the generation began.
    RangeActive(Range<'a>),
    /// A range of time ends.
    RangeEnd(Range<'a>),
    /// An annotation task begins.
    TaskBegin(UserTask<'a>),
    /// An annotation task ends.
    TaskEnd(UserTask<'a>),
    /// A region of the running task begins.
    RegionBegin(Region<'a>),
    /// The innermost region of the running task ends; one that nobody saw begin began before the trace.
    RegionEnd(Region<'a>),
    /// A message.
    Log(Log<'a>),
    /// A task or a proc changes its state.
    Transition(Transition<'a>),
    /// An event of an experiment, which is neither checked nor understood here.
    Experimental(Experimental<'a>),
}

/// A thing that has a state or carries a range.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Resource {
    /// A task.
    Task(TaskId),
    /// A proc.
    Proc(ProcId),
}

/// Which metric.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum MetricName {
    /// Number of procs.
    Procs,
    /// Live heap bytes.
    HeapBytes,
    /// Heap size at which the collector begins, in bytes; 0 if it is off.
    HeapGoalBytes,
}

impl MetricName {
    /// The name as Go's `runtime/metrics` has it, with the unit behind the colon.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Procs => "/sched/gomaxprocs:threads",
            Self::HeapBytes => "/memory/classes/heap/objects:bytes",
            Self::HeapGoalBytes => "/gc/heap/goal:bytes",
        }
    }
}

/// The value of a metric.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Metric {
    /// Which.
    pub name: MetricName,
    /// How much, in the unit of the name.
    pub value: u64,
}

/// A label.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Label<'a> {
    /// What it says.
    pub label: Text<'a>,
    /// Who gets it.
    pub task: TaskId,
}

/// What sort of range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RangeName<'a> {
    /// All tasks are stopped, for this reason.
    StopTheWorld(Text<'a>),
    /// The collector marks, beside the program.
    GcMark,
    /// A proc sweeps.
    GcSweep,
    /// A task is made to help the collector mark.
    GcMarkAssist,
}

impl fmt::Display for RangeName<'_> {
    /// The name as Go's reader has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StopTheWorld(reason) => write!(f, "stop-the-world ({reason})"),
            Self::GcMark => f.write_str("GC concurrent mark phase"),
            Self::GcSweep => f.write_str("GC incremental sweep"),
            Self::GcMarkAssist => f.write_str("GC mark assist"),
        }
    }
}

/// A range of time on a resource.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range<'a> {
    /// What is going on.
    pub name: RangeName<'a>,
    /// Whose it is; `None` for all of the program. Has one range of a name at most.
    pub scope: Option<Resource>,
    /// What a sweep did, at its end.
    pub swept: Option<Swept>,
}

/// What a sweep did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Swept {
    /// Bytes looked at.
    pub swept_bytes: u64,
    /// Bytes won.
    pub reclaimed_bytes: u64,
}

/// An annotation task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UserTask<'a> {
    /// Its id.
    pub id: UserTaskId,
    /// The task it is part of.
    pub parent: Option<UserTaskId>,
    /// Its name; empty at the end of a task that nobody saw begin.
    pub name: Text<'a>,
}

/// A region of a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region<'a> {
    /// The annotation task it belongs to; [`UserTaskId::BACKGROUND`] if none.
    pub task: UserTaskId,
    /// Its name.
    pub name: Text<'a>,
}

/// A message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Log<'a> {
    /// The annotation task it belongs to; [`UserTaskId::BACKGROUND`] if none.
    pub task: UserTaskId,
    /// What it is about.
    pub category: Text<'a>,
    /// What it says.
    pub message: Text<'a>,
}

/// A task or proc and its two states.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// Of a task.
    Task {
        /// Which.
        id: TaskId,
        /// State before.
        from: TaskState,
        /// State after.
        to: TaskState,
    },
    /// Of a proc.
    Proc {
        /// Which.
        id: ProcId,
        /// State before.
        from: ProcState,
        /// State after.
        to: ProcState,
    },
}

/// A change of state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transition<'a> {
    /// What changes. If both states are the same, the event only states them.
    pub change: Change,
    /// Why; empty if unsaid.
    pub reason: Text<'a>,
    /// Stack of what changes, if it has one: where a new task begins, where a blocking one stands. Not to be confused with the event's
    /// stack, which is of whoever caused the change.
    pub stack: Option<Stack<'a>>,
}

/// An event of an experiment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Experimental<'a> {
    /// Which event.
    pub kind: EventKind,
    /// Its arguments, named in the kind's [spec](EventKind::spec).
    pub args: &'a [u64],
}

impl<'a> Event<'a> {
    /// When: nanoseconds of the trace clock, which is the monotonic clock of the machine on Linux. Strictly increasing.
    #[must_use]
    pub const fn time(&self) -> Nanos {
        self.record.time
    }

    /// The thread it happened on.
    #[must_use]
    pub fn thread(&self) -> Option<ThreadId> {
        let thread = self.record.context.thread;
        (thread != ThreadId::NONE).then_some(thread)
    }

    /// The proc of that thread, before the event.
    #[must_use]
    pub fn proc(&self) -> Option<ProcId> {
        let proc = self.record.context.proc;
        (proc != ProcId::NONE).then_some(proc)
    }

    /// The task of that thread, before the event: a task that starts to run is not here yet.
    #[must_use]
    pub fn task(&self) -> Option<TaskId> {
        let task = self.record.context.task;
        (task != TaskId::RESERVED).then_some(task)
    }

    /// The generation it belongs to; `None` for the sync at the end.
    #[must_use]
    pub fn generation(&self) -> Option<&'a Generation> {
        self.generation
    }

    /// The event on the wire that it comes from; `None` for a sync. A switch of tasks becomes three events, the second and third of which say
    /// `GoBlock` or `GoDestroy`, and `GoStart`.
    #[must_use]
    pub const fn wire_kind(&self) -> Option<EventKind> {
        self.record.kind
    }

    /// Where it stands in the trace, uncompressed.
    #[must_use]
    pub const fn offset(&self) -> ByteOffset {
        self.record.offset
    }

    /// The stack of whoever was executing.
    #[must_use]
    pub fn stack(&self) -> Option<Stack<'a>> {
        let kind = self.record.kind?;
        self.stack_of(kind, ArgKind::Stack)
    }

    /// What it says.
    #[inline]
    #[must_use]
    pub fn kind(&self) -> Kind<'a> {
        use EventKind as E;
        let Some(kind) = self.record.kind else {
            return Kind::Sync(self.sync());
        };
        match kind {
            E::CPUSample => Kind::Sample,
            E::ProcsChange => self.metric(MetricName::Procs),
            E::HeapAlloc => self.metric(MetricName::HeapBytes),
            E::HeapGoal => self.metric(MetricName::HeapGoalBytes),
            E::GoLabel => Kind::Label(Label {
                label: self.text(0),
                task: self.record.context.task,
            }),
            E::STWBegin | E::GCBegin | E::GCSweepBegin | E::GCMarkAssistBegin => {
                Kind::RangeBegin(self.range(kind))
            }
            E::GCActive | E::GCSweepActive | E::GCMarkAssistActive => {
                Kind::RangeActive(self.range(kind))
            }
            E::STWEnd | E::GCEnd | E::GCSweepEnd | E::GCMarkAssistEnd => {
                Kind::RangeEnd(self.range(kind))
            }
            E::UserTaskBegin => Kind::TaskBegin(self.user_task()),
            E::UserTaskEnd => Kind::TaskEnd(self.user_task()),
            E::UserRegionBegin => Kind::RegionBegin(self.region()),
            E::UserRegionEnd => Kind::RegionEnd(self.region()),
            E::UserLog => Kind::Log(Log {
                task: UserTaskId(self.record.args[0]),
                category: self.text(1),
                message: self.text(2),
            }),
            E::GoCreate
            | E::GoCreateBlocked
            | E::GoCreateSyscall
            | E::GoStart
            | E::GoStop
            | E::GoBlock
            | E::GoDestroy
            | E::GoDestroySyscall
            | E::GoUnblock
            | E::GoSwitch
            | E::GoSwitchDestroy
            | E::GoStatus
            | E::GoStatusStack
            | E::GoSyscallBegin
            | E::GoSyscallEnd
            | E::GoSyscallEndBlocked
            | E::ProcStart
            | E::ProcStop
            | E::ProcSteal
            | E::ProcStatus => Kind::Transition(self.transition(kind)),
            kind => Kind::Experimental(Experimental {
                kind,
                args: self.record.args.get(..kind.arity()).unwrap_or_default(),
            }),
        }
    }

    fn metric(&self, name: MetricName) -> Kind<'a> {
        let value = self.record.args[0];
        Kind::Metric(Metric { name, value })
    }

    fn sync(&self) -> Sync<'a> {
        Sync {
            number: self.record.args[0],
            generation: self.generation,
        }
    }

    fn range(&self, kind: EventKind) -> Range<'a> {
        use EventKind as E;
        let [first, second, ..] = self.record.args;
        let own_task = Some(Resource::Task(self.record.context.task));
        let own_proc = Some(Resource::Proc(self.record.context.proc));
        let (name, scope) = match kind {
            E::STWBegin | E::STWEnd => (RangeName::StopTheWorld(self.text(0)), own_task),
            E::GCSweepActive => (RangeName::GcSweep, Some(Resource::Proc(ProcId(first)))),
            E::GCSweepBegin | E::GCSweepEnd => (RangeName::GcSweep, own_proc),
            E::GCMarkAssistActive => (RangeName::GcMarkAssist, Some(Resource::Task(TaskId(first)))),
            E::GCMarkAssistBegin | E::GCMarkAssistEnd => (RangeName::GcMarkAssist, own_task),
            _ => (RangeName::GcMark, None),
        };
        let swept = (kind == E::GCSweepEnd).then_some(Swept {
            swept_bytes: first,
            reclaimed_bytes: second,
        });
        Range { name, scope, swept }
    }

    fn user_task(&self) -> UserTask<'a> {
        let [id, parent, ..] = self.record.args;
        UserTask {
            id: UserTaskId(id),
            parent: (parent != NONE).then_some(UserTaskId(parent)),
            name: self.text(2),
        }
    }

    fn region(&self) -> Region<'a> {
        Region {
            task: UserTaskId(self.record.args[0]),
            name: self.text(1),
        }
    }

    fn transition(&self, kind: EventKind) -> Transition<'a> {
        use EventKind as E;
        let change = self.change(kind);
        let reason = match kind {
            E::GoStop | E::GoBlock => self.text(0),
            _ => Text::EMPTY,
        };
        let stack = own_stack(kind).and_then(|which| self.stack_of(kind, which));
        Transition {
            change,
            reason,
            stack,
        }
    }

    /// Of an event that is a transition; without what only that takes a look at the tables for.
    #[inline]
    pub(crate) fn change(&self, kind: EventKind) -> Change {
        use EventKind as E;
        let (extra, first) = (self.record.extra, self.record.args[0]);
        let context = &self.record.context;
        match kind {
            E::ProcStart | E::ProcSteal | E::ProcStatus | E::ProcStop => Change::Proc {
                id: if kind == E::ProcStop {
                    context.proc
                } else {
                    ProcId(first)
                },
                from: proc_state(extra.from),
                to: proc_state(extra.to),
            },
            _ => Change::Task {
                id: match kind {
                    E::GoCreate
                    | E::GoCreateBlocked
                    | E::GoCreateSyscall
                    | E::GoStart
                    | E::GoUnblock
                    | E::GoSwitch
                    | E::GoSwitchDestroy
                    | E::GoStatus
                    | E::GoStatusStack => TaskId(first),
                    _ => context.task,
                },
                from: task_state(extra.from),
                to: task_state(extra.to),
            },
        }
    }

    /// Ids of the stack of what changes and of the event's, of a transition; without a look at the tables.
    #[inline]
    pub(crate) fn stack_ids(&self, kind: EventKind) -> (StackId, StackId) {
        let id = |which| {
            let position = stack_position(kind, which)?;
            self.record.args.get(position).copied().map(StackId)
        };
        let own = own_stack(kind).and_then(id).unwrap_or(StackId::NONE);
        (own, id(ArgKind::Stack).unwrap_or(StackId::NONE))
    }

    fn stack_of(&self, kind: EventKind, which: ArgKind) -> Option<Stack<'a>> {
        let position = stack_position(kind, which)?;
        let id = StackId(*self.record.args.get(position)?);
        self.generation?.stack(id)
    }

    /// The string whose id is the argument at `position`.
    fn text(&self, position: usize) -> Text<'a> {
        let (Some(generation), Some(&id)) = (self.generation, self.record.args.get(position))
        else {
            return Text::EMPTY;
        };
        if self.record.extra.carried {
            generation.carried(id)
        } else {
            generation.string(StringId(id))
        }
    }
}

impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("time", &self.time())
            .field("thread", &self.thread())
            .field("proc", &self.proc())
            .field("task", &self.task())
            .field("kind", &self.kind())
            .field("stack", &self.stack())
            .finish()
    }
}

/// Which stack of a transition is that of what changes.
#[inline]
const fn own_stack(kind: EventKind) -> Option<ArgKind> {
    use EventKind as E;
    match kind {
        E::GoStop | E::GoBlock | E::GoSyscallBegin | E::GoStatus | E::GoStatusStack => {
            Some(ArgKind::Stack)
        }
        E::GoCreate | E::GoCreateBlocked => Some(ArgKind::NewStack),
        _ => None,
    }
}

/// Where a record has a stack.
#[inline]
fn stack_position(kind: EventKind, which: ArgKind) -> Option<usize> {
    let code = usize::from(kind.code());
    let position = match which {
        ArgKind::NewStack => NEW_STACKS[code],
        _ => STACKS[code],
    };
    (position != NOWHERE).then_some(usize::from(position))
}

const NOWHERE: u8 = u8::MAX;

static STACKS: [u8; 256] = {
    let mut table = positions(ArgKind::Stack);
    table[EventKind::CPUSample as usize] = 0;
    // The end of a task says more here than on the wire.
    table[EventKind::UserTaskEnd as usize] = 3;
    table
};

static NEW_STACKS: [u8; 256] = positions(ArgKind::NewStack);

const fn positions(wanted: ArgKind) -> [u8; 256] {
    let mut table = [NOWHERE; 256];
    let mut i = 0;
    while i < EventKind::ALL.len() {
        let kind = EventKind::ALL[i];
        let args = kind.spec().args_after_dt();
        let mut position = 0;
        while position < args.len() {
            if args[position].kind as u8 == wanted as u8 {
                table[kind.code() as usize] = position as u8;
            }
            position += 1;
        }
        i += 1;
    }
    table
}

fn task_state(number: u8) -> TaskState {
    use TaskState as S;
    const ALL: [S; 6] = [
        S::Undetermined,
        S::NotExist,
        S::Runnable,
        S::Running,
        S::Waiting,
        S::Syscall,
    ];
    ALL.get(usize::from(number))
        .copied()
        .unwrap_or(S::Undetermined)
}

fn proc_state(number: u8) -> ProcState {
    use ProcState as S;
    const ALL: [S; 4] = [S::Undetermined, S::NotExist, S::Running, S::Idle];
    ALL.get(usize::from(number))
        .copied()
        .unwrap_or(S::Undetermined)
}
