//! What tasks and procs can be doing, as readers of events see it.
//!
//! The wire's statuses are finer (a proc in a system call, abandoned or not, still runs or idles for everyone else);
//! the conversion is here.

use std::fmt;
use tachograph_wire::{ProcStatus, TaskStatus};

macro_rules! states {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// The name as Go prints it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

states! {
    /// What a task ("goroutine") is doing.
    TaskState {
        /// Nothing is known: the trace begins here.
        Undetermined,
        /// It is not there yet, or no longer.
        NotExist,
        /// It could run.
        Runnable,
        /// It runs on a thread.
        Running,
        /// It waits for something.
        Waiting,
        /// It is in a system call or another blocking section, on a thread.
        Syscall,
    }
}

states! {
    /// What a proc is doing.
    ProcState {
        /// Nothing is known: the trace begins here.
        Undetermined,
        /// It is not there yet.
        NotExist,
        /// A thread holds it.
        Running,
        /// No thread holds it.
        Idle,
    }
}

impl TaskState {
    /// Whether it has a thread.
    #[must_use]
    pub const fn is_executing(self) -> bool {
        matches!(self, Self::Running | Self::Syscall)
    }
}

impl ProcState {
    /// Whether it has a thread.
    #[must_use]
    pub const fn is_executing(self) -> bool {
        matches!(self, Self::Running)
    }
}

impl From<TaskStatus> for TaskState {
    fn from(status: TaskStatus) -> Self {
        match status {
            TaskStatus::Runnable => Self::Runnable,
            TaskStatus::Running => Self::Running,
            TaskStatus::Syscall => Self::Syscall,
            TaskStatus::Waiting => Self::Waiting,
        }
    }
}

impl From<ProcStatus> for ProcState {
    fn from(status: ProcStatus) -> Self {
        match status {
            ProcStatus::Running | ProcStatus::Syscall => Self::Running,
            ProcStatus::Idle | ProcStatus::SyscallAbandoned => Self::Idle,
        }
    }
}
