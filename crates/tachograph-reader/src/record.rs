//! An ordered event in plain numbers, which is what travels between ordering and whoever reads.
//!
//! Written by the order's rooms, read by [`event`](crate::event) alone: what each number means is decided here.

use tachograph_wire::limits::MAX_EVENT_ARGS;
use tachograph_wire::{ByteOffset, EventKind, Nanos, ProcId, TaskId, ThreadId};

/// "No proc" and "no task" of a context.
pub(crate) const NONE: u64 = u64::MAX;

/// Thread, proc and task that an event happened on, as they were before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Context {
    /// The thread, or [`ThreadId::NONE`].
    pub thread: ThreadId,
    /// Its proc, or [`ProcId::NONE`].
    pub proc: ProcId,
    /// Its task, or [`TaskId::RESERVED`].
    pub task: TaskId,
}

impl Context {
    /// No thread, no proc, no task.
    pub const NONE: Self = Self {
        thread: ThreadId::NONE,
        proc: ProcId::NONE,
        task: TaskId::RESERVED,
    };

    /// The thread with nothing on it.
    pub const fn bare(thread: ThreadId) -> Self {
        Self {
            thread,
            ..Self::NONE
        }
    }

    pub fn has_thread(&self) -> bool {
        self.thread != ThreadId::NONE
    }

    pub fn has_proc(&self) -> bool {
        self.proc != ProcId::NONE
    }

    pub fn has_task(&self) -> bool {
        self.task != TaskId::RESERVED
    }
}

/// What an event says beyond its arguments, by kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Extra {
    /// State before, of a transition; as `u8` of the state's enum.
    pub from: u8,
    /// State after, of a transition.
    pub to: u8,
    /// Whether the name in the arguments (of a task's end, of the end of a stopped world) is one that was carried over
    /// from an earlier generation.
    pub carried: bool,
}

/// An ordered event.
///
/// The arguments are those of the wire, but for:
/// `UserTaskBegin` and `UserTaskEnd`: task, parent ([`NONE`] if none), name, stack;
/// `STWEnd`: the kind that its begin had;
/// [`EventKind::CPUSample`]: stack;
/// a sync (no kind): its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Record {
    /// When; strictly increasing from record to record.
    pub time: Nanos,
    /// First byte of the event in the trace; of a sync, where its generation begins or the trace ends.
    pub offset: ByteOffset,
    /// Where it happened.
    pub context: Context,
    /// See above.
    pub args: [u64; MAX_EVENT_ARGS],
    /// `None` for a sync.
    pub kind: Option<EventKind>,
    /// See there.
    pub extra: Extra,
}

impl Extra {
    pub const NONE: Self = Self {
        from: 0,
        to: 0,
        carried: false,
    };
}

impl Record {
    /// Nothing.
    pub const EMPTY: Self = Self {
        time: Nanos(0),
        offset: ByteOffset(0),
        context: Context::NONE,
        args: [0; MAX_EVENT_ARGS],
        kind: None,
        extra: Extra::NONE,
    };

    /// The same, as a change of state.
    #[inline]
    pub fn with_change(mut self, from: u8, to: u8) -> Self {
        (self.extra.from, self.extra.to) = (from, to);
        self
    }
}
