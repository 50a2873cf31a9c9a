//! The metadata records that are plain lists of fields.
//!
//! Owns their keys. One macro writes each record's reader and writer from the list.

use super::fields::{Field, Fields, Line, Value};
use super::{MetadataError, UnknownFields};
use crate::ids::{Generation, ProcId, TaskId, ThreadId, Ticks};

macro_rules! record {
    ($(#[$doc:meta])* $name:ident = $kind:literal {
        $($(#[$fdoc:meta])* $field:ident: $type:ty = $key:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub struct $name {
            $($(#[$fdoc])* pub $field: $type,)*
            /// Fields that this version doesn't know.
            pub unknown: UnknownFields,
        }

        impl $name {
            pub(super) const KIND: &'static str = $kind;

            pub(super) fn from_fields(mut fields: Fields) -> Result<Self, MetadataError> {
                Ok(Self {
                    $($field: Field::take(&mut fields, $key)?,)*
                    unknown: fields.into_unknown(),
                })
            }

            pub(super) fn to_line(&self) -> Line {
                let mut line = Line::new(Self::KIND);
                $(Field::put(&self.$field, &mut line, $key);)*
                line.push_unknown(&self.unknown);
                line
            }
        }
    };
}

record! {
    /// When a generation began and ended; the proof that its samples are its own.
    ///
    /// A sample of generation N was taken at or after `published` of N and at or before `quiet` of N.
    GenerationTimes = "generation" {
        /// Which generation.
        generation: Generation = "gen",
        /// When threads could first see it.
        published: Option<Ticks> = "published_ticks",
        /// When no thread could write to it any more.
        quiet: Option<Ticks> = "quiet_ticks",
        /// `quiet` of the generation before; also in traces that begin with this one.
        previous_quiet: Option<Ticks> = "previous_quiet_ticks",
    }
}

record! {
    /// What wrote the trace, and how it was set up.
    RecorderSetup = "recorder" {
        /// Version of the recorder.
        version: String = "version",
        /// Where times come from.
        clock: Option<ClockSource> = "clock",
        /// How the advancer and the writers see each other.
        fence: Option<Fence> = "fence",
        /// How sample stacks are walked.
        unwinder: Option<Unwinder> = "unwinder",
        /// Process id.
        pid: Option<u64> = "pid",
        /// Path of the executable.
        exe: Option<String> = "exe",
    }
}

record! {
    /// How CPU samples were taken.
    Sampling = "sampling" {
        /// What sends the signals.
        source: SamplingSource = "source",
        /// Samples per second of CPU time that were asked for.
        hz: Option<u64> = "hz",
        /// The kernel's timer tick, which caps the rate of POSIX timers.
        tick_hz: Option<u64> = "tick_hz",
    }
}

record! {
    /// A thread; told in every generation that mentions it.
    Thread = "thread" {
        /// Which thread.
        thread: ThreadId = "tid",
        /// Its name.
        name: Option<String> = "name",
        /// The task that stands for its own flow.
        task: Option<TaskId> = "task",
        /// What it is to the recorder.
        kind: Option<ThreadKind> = "kind",
    }
}

record! {
    /// A slot that a runtime's worker, or a thread that drives a runtime, held at the generation's end or before.
    Proc = "proc" {
        /// Which slot.
        proc: ProcId = "id",
        /// The runtime's number in the process.
        runtime: u64 = "runtime",
        /// The runtime's name.
        name: Option<String> = "name",
        /// Which of the runtime's workers.
        worker: Option<u64> = "worker",
        /// On which thread.
        thread: ThreadId = "tid",
    }
}

record! {
    /// What the threads of a runtime did in a generation, and how much of that was seen as tasks.
    Coverage = "coverage" {
        /// The runtime's number in the process.
        runtime: u64 = "runtime",
        /// Time between parks, of all its threads.
        busy: Ticks = "busy_ticks",
        /// Time in polls of traced tasks.
        tasks: Ticks = "task_ticks",
        /// Polls of traced tasks.
        polls: Count = "polls",
        /// Times that a thread was unparked.
        unparks: Count = "unparks",
        /// Of those, the ones in which no traced task was polled until the next park.
        idle_unparks: Count = "unparks_without_task",
    }
}

record! {
    /// A file mapped as code, so that addresses can be resolved elsewhere and later.
    Module = "module" {
        /// First address.
        start: Address = "start",
        /// Address after the last.
        end: Address = "end",
        /// What to subtract from an address to get the one in the file's own symbols.
        bias: Address = "bias",
        /// Build id in lowercase hexadecimal.
        build_id: Option<String> = "build_id",
        /// Path of the file.
        path: Option<String> = "path",
    }
}

record! {
    /// A stretch of time in which nothing was recorded, after which the trace started anew.
    Gap = "gap" {
        /// Last moment before it that was recorded.
        start: Ticks = "start_ticks",
        /// First moment after it that was recorded.
        end: Ticks = "end_ticks",
        /// Why.
        cause: GapCause = "cause",
    }
}

record! {
    /// Events of a generation that could not be kept.
    EventsLost = "events_lost" {
        /// The thread, or absent for the whole process.
        thread: Option<ThreadId> = "tid",
        /// Raised while the thread was already writing an event.
        reentrant: Count = "reentrant",
        /// Raised when the thread had given its record back.
        unrecorded: Count = "unrecorded",
    }
}

/// A number of things that is left out when 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Count(
    /// How many.
    pub u64,
);

impl Field for Count {
    fn take(fields: &mut Fields, key: &'static str) -> Result<Self, MetadataError> {
        let found = <Option<u64> as Field>::take(fields, key)?;
        Ok(found.map(Self).unwrap_or_default())
    }

    fn put(&self, line: &mut Line, key: &'static str) {
        let value = Some(self.0).filter(|count| *count > 0);
        value.put(line, key);
    }
}

/// An address of the traced process or a distance between two; `0x` and hexadecimal in the record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Address(
    /// The number.
    pub u64,
);

impl Value for Address {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("0x")?;
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then(|| u64::from_str_radix(digits, 16).ok().map(Self))?
    }

    fn print(&self) -> String {
        format!("{:#x}", self.0)
    }
}

macro_rules! numbers {
    ($($name:ident)*) => {$(
        impl Value for $name {
            fn parse(text: &str) -> Option<Self> {
                Value::parse(text).map(Self)
            }

            fn print(&self) -> String {
                self.0.print()
            }
        }
    )*};
}

numbers!(Generation ProcId ThreadId TaskId Ticks);

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, Debug)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
            /// A word that this version doesn't know.
            Other(String),
        }

        impl $name {
            /// The word in the record.
            #[must_use]
            pub fn word(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)*
                    Self::Other(word) => word,
                }
            }
        }

        impl Value for $name {
            fn parse(text: &str) -> Option<Self> {
                Some(match text {
                    $($word => Self::$variant,)*
                    other => Self::Other(other.to_owned()),
                })
            }

            fn print(&self) -> String {
                self.word().to_owned()
            }
        }
    )*};
}

words! {
    /// Where times come from.
    ClockSource {
        /// The processor's cycle counter, scaled.
        Tsc = "tsc",
        /// The system call's monotonic clock.
        ClockGettime = "clock_gettime",
    }

    /// How the advancer makes sure that it sees every write flag.
    Fence {
        /// The kernel fences all threads on the advancer's demand; writers pay nothing.
        Membarrier = "membarrier",
        /// Writers and advancer fence for themselves.
        Full = "full",
    }

    /// How sample stacks are walked.
    Unwinder {
        /// By the unwind tables of the modules.
        Cfi = "cfi",
        /// By frame pointers.
        FramePointers = "frame_pointers",
        /// Not at all: the interrupted function only.
        Leaf = "leaf",
    }

    /// What sends the sampling signals.
    SamplingSource {
        /// POSIX timers on each thread's CPU time.
        PosixTimer = "posix_timer",
        /// Events of the kernel's perf subsystem.
        PerfEvent = "perf_event",
        /// Nothing: no samples were taken.
        None = "none",
    }

    /// What a thread is to the recorder.
    ThreadKind {
        /// One of the program's own that has written events.
        Plain = "plain",
        /// The recorder's own.
        Recorder = "recorder",
        /// One of the program's own that has only been sampled.
        Unregistered = "unregistered",
    }

    /// Why recording paused.
    GapCause {
        /// The output took more time than memory could bridge.
        SinkBehind = "sink_behind",
    }
}
