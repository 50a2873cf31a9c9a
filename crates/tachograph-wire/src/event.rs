//! The one table of events: every code of every version, with its arguments.
//!
//! Owns the codes. Encoders, decoders, the text form, docs/FORMAT.md and the tests derive from it. Rows are only
//! ever appended; an older version is a prefix (plus the experimental block, which came with 1.23).

use crate::version::Version;

/// What an argument means.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ArgKind {
    /// Ticks since the event before in the batch; for the first event since the batch's own time.
    Dt,
    /// A generation number.
    Generation,
    /// An absolute trace time in ticks.
    Time,
    /// Payload bytes of a batch.
    Size,
    /// Number of an experiment; one raw byte.
    Experiment,
    /// A thread; `u64::MAX` is none.
    Thread,
    /// A proc; `u64::MAX` is none.
    Proc,
    /// A task ("goroutine").
    Task,
    /// An annotation task; 0 is the background task or no parent.
    UserTask,
    /// A string id of the same generation.
    String,
    /// Stack id of the executing context; 0 is none.
    Stack,
    /// Stack id where a created task will start; 0 is none.
    NewStack,
    /// Next sequence number of a proc.
    ProcSeq,
    /// Next sequence number of a task.
    TaskSeq,
    /// Next sequence number of the collector.
    GcSeq,
    /// A [`ProcStatus`](crate::ProcStatus).
    ProcStatus,
    /// A [`TaskStatus`](crate::TaskStatus).
    TaskStatus,
    /// A plain number.
    Value,
    /// The id that this record defines.
    Definition,
    /// How many items follow.
    Count,
    /// Ticks per second.
    Frequency,
    /// Nanoseconds of the monotonic clock.
    Mono,
    /// Seconds of the wall clock.
    Sec,
    /// Nanoseconds within the second of the wall clock.
    Nsec,
    /// A number that only its experiment understands.
    Opaque,
}

/// One argument of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arg {
    /// Name in the text form.
    pub name: &'static str,
    /// Meaning.
    pub kind: ArgKind,
}

/// Where an event may stand.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EventClass {
    /// Frames the stream or a table; never in the batch of a thread.
    Structural,
    /// In the batch of a thread; begins with a delta.
    Timed,
    /// Timed, and belongs to an experiment.
    Experimental,
}

/// What follows the numeric arguments of a structural event.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Trailer {
    /// Nothing.
    None,
    /// A length (if not given as an argument) and so many bytes.
    Bytes,
    /// As many frames as the last argument says, each pc, function, file and line.
    Frames,
}

/// One row of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventSpec {
    /// First byte on the wire.
    pub code: u8,
    /// Name in the text form, the same as Go's.
    pub name: &'static str,
    /// Where it may stand.
    pub class: EventClass,
    /// First header version that has it.
    pub since: Version,
    /// Numbers in wire order, including the delta where there is one.
    pub args: &'static [Arg],
    /// What follows the numbers.
    pub trailer: Trailer,
    /// Number of the experiment it belongs to; 0 if none.
    pub experiment: u8,
}

impl EventSpec {
    /// Whether the first argument is a time delta.
    #[must_use]
    pub const fn has_dt(&self) -> bool {
        matches!(
            self.args,
            [
                Arg {
                    kind: ArgKind::Dt,
                    ..
                },
                ..
            ]
        )
    }

    /// The arguments without the delta.
    #[must_use]
    pub const fn args_after_dt(&self) -> &'static [Arg] {
        match self.args {
            [
                Arg {
                    kind: ArgKind::Dt, ..
                },
                rest @ ..,
            ] => rest,
            all => all,
        }
    }

    /// Position of an argument of this kind among those after the delta.
    #[must_use]
    pub fn position(&self, kind: ArgKind) -> Option<usize> {
        self.args_after_dt().iter().position(|arg| arg.kind == kind)
    }

    /// Whether its code opens an item of the stream, outside of every batch.
    #[must_use]
    pub fn opens_item(&self) -> bool {
        const ITEMS: [EventKind; 3] = [
            EventKind::EventBatch,
            EventKind::ExperimentalBatch,
            EventKind::EndOfGeneration,
        ];
        ITEMS.iter().any(|kind| kind.code() == self.code)
    }

    /// Whether it carries the stack of the executing context.
    #[must_use]
    pub fn has_stack(&self) -> bool {
        self.position(ArgKind::Stack).is_some()
    }
}

macro_rules! events {
    ($($(#[$doc:meta])* $code:literal $name:ident $class:ident $since:ident
        ($($arg:literal: $kind:ident),*) $($trailer:ident)?;)*) => {
        /// Every event of every version; the discriminant is the code on the wire.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum EventKind {
            $($(#[$doc])* $name = $code,)*
        }

        impl EventKind {
            /// Every event, by code.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The row of the table.
            #[inline]
            #[must_use]
            pub const fn spec(self) -> &'static EventSpec {
                match self {
                    $(Self::$name => const { &EventSpec {
                        code: $code,
                        name: stringify!($name),
                        class: EventClass::$class,
                        since: Version::$since,
                        args: &[$(Arg { name: $arg, kind: ArgKind::$kind }),*],
                        trailer: events!(@trailer $($trailer)?),
                        experiment: matches!(EventClass::$class, EventClass::Experimental) as u8,
                    } },)*
                }
            }
        }
    };
    (@trailer) => { Trailer::None };
    (@trailer $trailer:ident) => { Trailer::$trailer };
}

events! {
    /// Opens a batch: the unit in which a thread hands over its events.
    1 EventBatch Structural Go122 ("gen": Generation, "m": Thread, "time": Time, "size": Size);
    /// First byte of a payload of stacks.
    2 Stacks Structural Go122 ();
    /// Defines one stack, leaf frame first.
    3 Stack Structural Go122 ("id": Definition, "nframes": Count) Frames;
    /// First byte of a payload of strings.
    4 Strings Structural Go122 ();
    /// Defines one string.
    5 String Structural Go122 ("id": Definition) Bytes;
    /// First byte of a payload of CPU samples.
    6 CPUSamples Structural Go122 ();
    /// One CPU-profile sample, at an absolute time.
    7 CPUSample Structural Go122 ("time": Time, "m": Thread, "p": Proc, "g": Task, "stack": Stack);
    /// Ticks per second of the trace clock in this generation.
    8 Frequency Structural Go122 ("freq": Frequency);

    /// The number of procs changed.
    9 ProcsChange Timed Go122 ("dt": Dt, "procs_value": Value, "stack": Stack);
    /// The thread takes an idle proc.
    10 ProcStart Timed Go122 ("dt": Dt, "p": Proc, "p_seq": ProcSeq);
    /// The thread gives its proc up.
    11 ProcStop Timed Go122 ("dt": Dt);
    /// The thread takes the proc from another thread that is in a blocking section.
    12 ProcSteal Timed Go122 ("dt": Dt, "p": Proc, "p_seq": ProcSeq, "m": Thread);
    /// First mention of a proc in a generation.
    13 ProcStatus Timed Go122 ("dt": Dt, "p": Proc, "pstatus": ProcStatus);
    /// A task is created, ready to run.
    14 GoCreate Timed Go122 ("dt": Dt, "new_g": Task, "new_stack": NewStack, "stack": Stack);
    /// A foreign thread enters the runtime as a task in a blocking section.
    15 GoCreateSyscall Timed Go122 ("dt": Dt, "new_g": Task);
    /// A task goes on the thread.
    16 GoStart Timed Go122 ("dt": Dt, "g": Task, "g_seq": TaskSeq);
    /// The running task ends.
    17 GoDestroy Timed Go122 ("dt": Dt);
    /// The task of a foreign thread ends as the thread leaves the runtime.
    18 GoDestroySyscall Timed Go122 ("dt": Dt);
    /// The running task goes off the thread but stays ready.
    19 GoStop Timed Go122 ("dt": Dt, "reason_string": String, "stack": Stack);
    /// The running task goes off the thread and waits.
    20 GoBlock Timed Go122 ("dt": Dt, "reason_string": String, "stack": Stack);
    /// A waiting task is woken.
    21 GoUnblock Timed Go122 ("dt": Dt, "g": Task, "g_seq": TaskSeq, "stack": Stack);
    /// The running task enters a declared blocking section; the sequence number is that of the proc.
    22 GoSyscallBegin Timed Go122 ("dt": Dt, "p_seq": ProcSeq, "stack": Stack);
    /// The blocking section ends and the thread still has its proc.
    23 GoSyscallEnd Timed Go122 ("dt": Dt);
    /// The blocking section ends and the proc is gone.
    24 GoSyscallEndBlocked Timed Go122 ("dt": Dt);
    /// First mention of a task in a generation.
    25 GoStatus Timed Go122 ("dt": Dt, "g": Task, "m": Thread, "gstatus": TaskStatus);
    /// The world stops. Never written by us.
    26 STWBegin Timed Go122 ("dt": Dt, "kind_string": String, "stack": Stack);
    /// The world goes on. Never written by us.
    27 STWEnd Timed Go122 ("dt": Dt);
    /// A collection was running when the generation began.
    28 GCActive Timed Go122 ("dt": Dt, "gc_seq": GcSeq);
    /// A collection begins.
    29 GCBegin Timed Go122 ("dt": Dt, "gc_seq": GcSeq, "stack": Stack);
    /// A collection ends.
    30 GCEnd Timed Go122 ("dt": Dt, "gc_seq": GcSeq);
    /// A sweep was running on the proc when the generation began.
    31 GCSweepActive Timed Go122 ("dt": Dt, "p": Proc);
    /// A sweep begins on the current proc.
    32 GCSweepBegin Timed Go122 ("dt": Dt, "stack": Stack);
    /// The sweep ends.
    33 GCSweepEnd Timed Go122 ("dt": Dt, "swept_value": Value, "reclaimed_value": Value);
    /// A mark assist was running in the task when the generation began.
    34 GCMarkAssistActive Timed Go122 ("dt": Dt, "g": Task);
    /// A mark assist begins in the running task.
    35 GCMarkAssistBegin Timed Go122 ("dt": Dt, "stack": Stack);
    /// The mark assist ends.
    36 GCMarkAssistEnd Timed Go122 ("dt": Dt);
    /// Live heap bytes.
    37 HeapAlloc Timed Go122 ("dt": Dt, "heapalloc_value": Value);
    /// Heap size the collector aims at; 0 if it is off.
    38 HeapGoal Timed Go122 ("dt": Dt, "heapgoal_value": Value);
    /// Labels the running task.
    39 GoLabel Timed Go122 ("dt": Dt, "label_string": String);
    /// An annotation task begins.
    40 UserTaskBegin Timed Go122
        ("dt": Dt, "task": UserTask, "parent_task": UserTask, "name_string": String, "stack": Stack);
    /// An annotation task ends.
    41 UserTaskEnd Timed Go122 ("dt": Dt, "task": UserTask, "stack": Stack);
    /// A region of the running task begins.
    42 UserRegionBegin Timed Go122 ("dt": Dt, "task": UserTask, "name_string": String, "stack": Stack);
    /// The innermost region of the running task ends.
    43 UserRegionEnd Timed Go122 ("dt": Dt, "task": UserTask, "name_string": String, "stack": Stack);
    /// A message.
    44 UserLog Timed Go122
        ("dt": Dt, "task": UserTask, "key_string": String, "value_string": String, "stack": Stack);
    /// The running task hands the thread to another one and waits.
    45 GoSwitch Timed Go123 ("dt": Dt, "g": Task, "g_seq": TaskSeq);
    /// The running task hands the thread to another one and ends.
    46 GoSwitchDestroy Timed Go123 ("dt": Dt, "g": Task, "g_seq": TaskSeq);
    /// A task is created waiting.
    47 GoCreateBlocked Timed Go123 ("dt": Dt, "new_g": Task, "new_stack": NewStack, "stack": Stack);
    /// First mention of a task in a generation, with the stack it stands at.
    48 GoStatusStack Timed Go123 ("dt": Dt, "g": Task, "m": Thread, "gstatus": TaskStatus, "stack": Stack);

    /// Opens a batch of an experiment; its payload is opaque.
    49 ExperimentalBatch Structural Go123 ("exp": Experiment, "gen": Generation, "m": Thread, "time": Time) Bytes;
    /// First byte of a payload with frequency and clock snapshot.
    50 Sync Structural Go125 ();
    /// The same instant on three clocks. Has a delta like a timed event but stands only in a sync payload.
    51 ClockSnapshot Structural Go125 ("dt": Dt, "mono": Mono, "sec": Sec, "nsec": Nsec);
    /// Ends a generation; a byte of the stream, not of a batch.
    52 EndOfGeneration Structural Go126 ();

    /// Heap span in use when the generation began.
    128 Span Experimental Go123 ("dt": Dt, "id": Opaque, "npages_value": Value, "kindclass": Opaque);
    /// Heap span allocated.
    129 SpanAlloc Experimental Go123 ("dt": Dt, "id": Opaque, "npages_value": Value, "kindclass": Opaque);
    /// Heap span freed.
    130 SpanFree Experimental Go123 ("dt": Dt, "id": Opaque);
    /// Heap object alive when the generation began.
    131 HeapObject Experimental Go123 ("dt": Dt, "id": Opaque, "type": Opaque);
    /// Heap object allocated.
    132 HeapObjectAlloc Experimental Go123 ("dt": Dt, "id": Opaque, "type": Opaque);
    /// Heap object freed.
    133 HeapObjectFree Experimental Go123 ("dt": Dt, "id": Opaque);
    /// Goroutine stack in use when the generation began.
    134 GoroutineStack Experimental Go123 ("dt": Dt, "id": Opaque, "order": Opaque);
    /// Goroutine stack allocated.
    135 GoroutineStackAlloc Experimental Go123 ("dt": Dt, "id": Opaque, "order": Opaque);
    /// Goroutine stack freed.
    136 GoroutineStackFree Experimental Go123 ("dt": Dt, "id": Opaque);
}

static BY_CODE: [Option<EventKind>; 256] = {
    let mut table = [None; 256];
    let mut i = 0;
    while i < EventKind::ALL.len() {
        table[EventKind::ALL[i] as usize] = Some(EventKind::ALL[i]);
        i += 1;
    }
    table
};

/// Arguments after the delta by code, `NOT_TIMED` where the code has no place in the batch of a thread.
static TIMED_ARITY: [u8; 256] = {
    let mut table = [NOT_TIMED; 256];
    let mut i = 0;
    while i < EventKind::ALL.len() {
        let kind = EventKind::ALL[i];
        if kind.is_timed() {
            table[kind as usize] = kind.arity() as u8;
        }
        i += 1;
    }
    table
};

const NOT_TIMED: u8 = u8::MAX;

impl EventKind {
    /// The event with this code on the wire.
    #[inline]
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        BY_CODE[code as usize]
    }

    /// The timed event with this code and how many arguments follow its delta; `None` if no timed event has it.
    #[inline]
    #[must_use]
    pub fn timed_from_code(code: u8) -> Option<(Self, usize)> {
        match TIMED_ARITY[code as usize] {
            NOT_TIMED => None,
            arity => BY_CODE[code as usize].map(|kind| (kind, arity as usize)),
        }
    }

    /// The event with this name in the text form.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// First byte on the wire.
    #[inline]
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Name in the text form.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.spec().name
    }

    /// Whether it stands in the batch of a thread; experimental events do.
    #[inline]
    #[must_use]
    pub const fn is_timed(self) -> bool {
        !matches!(self.spec().class, EventClass::Structural)
    }

    /// Whether it belongs to an experiment.
    #[inline]
    #[must_use]
    pub const fn is_experimental(self) -> bool {
        matches!(self.spec().class, EventClass::Experimental)
    }

    /// How many numbers follow, not counting the delta.
    #[inline]
    #[must_use]
    pub const fn arity(self) -> usize {
        self.spec().args_after_dt().len()
    }
}
