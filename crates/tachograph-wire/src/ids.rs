//! The numbers of a trace as types, so that a thread can't be passed where a task is wanted.
//!
//! Owns nothing. Every other room of the workspace uses these; the wire value is the public field.

use std::fmt;
use std::ops::{Add, Sub};

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(transparent)]
        pub struct $name(
            /// The value as it stands on the wire.
            pub u64,
        );

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )*};
}

id! {
    /// Number of a generation: a stretch of the trace that is complete in itself. Valid from 1 up.
    Generation;
    /// An OS thread ("M" on the wire). The kernel may reuse the number within a trace.
    ThreadId;
    /// A slot that executes tasks ("P" on the wire).
    ProcId;
    /// A task: async task, blocking closure, or a thread's own flow ("G" on the wire). Valid from 1 up, never reused.
    TaskId;
    /// An annotation task that a program opened by name; unrelated to [`TaskId`].
    UserTaskId;
    /// Key of the string table of one generation.
    StringId;
    /// Key of the stack table of one generation.
    StackId;
    /// A point or a distance on the trace clock; [`Frequency`] says how long one tick is.
    Ticks;
    /// Ticks per second of the trace clock in one generation.
    Frequency;
    /// Distance from the first byte of the trace file.
    ByteOffset;
}

impl Generation {
    /// No generation; on the recorder's side: tracing is off.
    pub const NONE: Self = Self(0);
    /// Same word as [`Generation::NONE`], under the name the recorder uses.
    pub const OFF: Self = Self(0);

    /// The generation after this one.
    ///
    /// After `u64::MAX` comes 4, which continues the series modulo 2 and modulo 3, so that
    /// slots chosen by [`parity`](Self::parity) keep alternating (Go file `runtime/trace.go`).
    #[must_use]
    pub const fn next(self) -> Self {
        match self.0.checked_add(1) {
            Some(next) => Self(next),
            None => Self(4),
        }
    }

    /// Which of a pair of slots this generation uses: 0 or 1.
    #[must_use]
    pub const fn parity(self) -> usize {
        (self.0 & 1) as usize
    }
}

impl ThreadId {
    /// No thread: structural batches and batches written on behalf of silent threads.
    pub const NONE: Self = Self(u64::MAX);
}

impl ProcId {
    /// No proc.
    pub const NONE: Self = Self(u64::MAX);
}

impl TaskId {
    /// No task; on the wire only in CPU samples.
    pub const NONE: Self = Self(0);
    /// Number that Go's reader keeps for "no goroutine"; never valid on the wire.
    pub const RESERVED: Self = Self(u64::MAX);
}

impl UserTaskId {
    /// Regions and logs outside every task; as a parent: no parent.
    pub const BACKGROUND: Self = Self(0);
}

impl StringId {
    /// The empty string, which is in every table without being defined.
    pub const EMPTY: Self = Self(0);
}

impl StackId {
    /// No stack, which is in every table without being defined.
    pub const NONE: Self = Self(0);
}

impl Add for Ticks {
    type Output = Self;

    /// Saturates: a hostile trace can hold deltas near `u64::MAX`.
    fn add(self, delta: Self) -> Self {
        Self(self.0.saturating_add(delta.0))
    }
}

impl Sub for Ticks {
    type Output = Self;

    /// Saturates at 0: times of different batches may run backwards.
    fn sub(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

impl ByteOffset {
    /// The offset `bytes` further on.
    #[must_use]
    pub const fn plus(self, bytes: usize) -> Self {
        Self(self.0.saturating_add(bytes as u64))
    }
}

/// Nanoseconds of the monotonic clock, as Go's reader reports times.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(transparent)]
pub struct Nanos(
    /// The value; negative only in arithmetic.
    pub i64,
);

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Add for Nanos {
    type Output = Self;

    /// Saturating.
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Nanos {
    type Output = Self;

    /// Saturating; negative if `other` is later.
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Frequency {
    /// What we record with: 8 ns ticks, a whole number of nanoseconds, so that the per-delta truncation of
    /// Go's reader loses nothing.
    pub const RECORDED: Self = Self(125_000_000);

    /// Nanoseconds per tick; infinite for the invalid frequency 0.
    #[must_use]
    pub fn ns_per_tick(self) -> f64 {
        1.0 / (self.0 as f64 / 1e9)
    }

    /// Length of `ticks` in nanoseconds, truncated towards zero and saturating.
    ///
    /// Go converts each delta separately and adds up the results; to get its times, call this per delta
    /// and add, with the batch's own time converted once as the base (Go file `internal/trace/batchcursor.go`).
    #[must_use]
    pub fn nanos(self, ticks: Ticks) -> Nanos {
        Nanos((ticks.0 as f64 * self.ns_per_tick()) as i64)
    }
}

macro_rules! status {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $value:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant = $value,)* }

        impl $name {
            /// Every status, by wire value.
            pub const ALL: [Self; 4] = [$(Self::$variant,)*];

            /// The status with this wire value; `None` for 0 ("bad") and everything above 4.
            #[must_use]
            pub const fn from_wire(value: u64) -> Option<Self> {
                match value {
                    $($value => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The value to write.
            #[must_use]
            pub const fn to_wire(self) -> u64 {
                self as u64
            }
        }
    };
}

status! {
    /// What a proc was doing when its status was noted.
    ProcStatus {
        /// A thread holds it.
        Running = 1,
        /// Nobody holds it.
        Idle = 2,
        /// Its thread is in a blocking section and has kept it.
        Syscall = 3,
        /// Its thread is in a blocking section that began before this generation, and the proc may be stolen.
        SyscallAbandoned = 4,
    }
}

status! {
    /// What a task was doing when its status was noted.
    TaskStatus {
        /// Ready, on no thread.
        Runnable = 1,
        /// On a thread.
        Running = 2,
        /// On a thread, in a declared blocking section.
        Syscall = 3,
        /// Waiting to be woken.
        Waiting = 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generation_after_the_last_keeps_both_remainders_in_step() {
        assert_eq!(Generation(1).next(), Generation(2));
        let wrapped = Generation(u64::MAX).next();
        assert_eq!(wrapped, Generation(4));
        assert_ne!(wrapped.parity(), Generation(u64::MAX).parity());
        assert_eq!(wrapped.0 % 3, 1, "u64::MAX is a multiple of 3");
    }

    #[test]
    fn recorded_and_go_frequencies_convert_exactly() {
        assert_eq!(Frequency::RECORDED.nanos(Ticks(1)), Nanos(8));
        assert_eq!(
            Frequency::RECORDED.nanos(Ticks(123_456_789_012)),
            Nanos(987_654_312_096)
        );
        assert_eq!(Frequency(15_625_000).nanos(Ticks(1001)), Nanos(64_064));
    }

    #[test]
    fn conversion_truncates_and_saturates() {
        assert_eq!(Frequency(3_000_000_000).nanos(Ticks(2)), Nanos(0));
        assert_eq!(Frequency(1).nanos(Ticks(u64::MAX)), Nanos(i64::MAX));
        assert_eq!(Frequency(0).nanos(Ticks(1)), Nanos(i64::MAX));
        assert_eq!(Ticks(u64::MAX) + Ticks(1), Ticks(u64::MAX));
        assert_eq!(Ticks(1) - Ticks(2), Ticks(0));
    }

    #[test]
    fn statuses_refuse_bad_and_unassigned_values() {
        for value in [0, 5, 255, 257, u64::MAX] {
            assert_eq!(ProcStatus::from_wire(value), None);
            assert_eq!(TaskStatus::from_wire(value), None);
        }
        for status in TaskStatus::ALL {
            assert_eq!(TaskStatus::from_wire(status.to_wire()), Some(status));
        }
        for status in ProcStatus::ALL {
            assert_eq!(ProcStatus::from_wire(status.to_wire()), Some(status));
        }
    }
}
