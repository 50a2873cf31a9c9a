//! One thread's timer: a POSIX timer on its CPU clock, or a perf_event of its CPU time. Both send SIGPROF to that thread.
//!
//! Made and deleted from any thread. The signal finds the thread's record without a thread-local: a POSIX timer carries its
//! address, a perf_event its file descriptor (`perf::records`).

use super::perf;
use crate::clock;
use crate::record::ThreadRecord;

/// Where the signals come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleSource {
    /// POSIX timers on each thread's CPU clock: always there, at most one signal a kernel tick; the rest arrives as overruns.
    PosixTimer,
    /// perf_event's task clock: precise above the kernel tick, not permitted everywhere.
    PerfEvent,
}

impl SampleSource {
    /// The name that the trace's metadata and the summary use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PosixTimer => "posix_timer",
            Self::PerfEvent => "perf_event",
        }
    }
}

/// A running timer. Dropping it stops it; a signal that is on its way may still land.
#[derive(Debug)]
pub(crate) enum Timer {
    Posix { _timer: PosixTimer },
    Perf { _event: perf::Event },
}

/// What to arm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) source: SampleSource,
    pub(crate) period_ns: u64,
}

impl Timer {
    /// Starts a timer for `tid`, whose CPU clock stands at `base_ns` or later; the first expiry is `first_ns` after that.
    ///
    /// `None` when the kernel refuses (the thread is gone, or a limit is reached).
    pub(crate) fn start(
        plan: Plan,
        tid: u64,
        record: &'static ThreadRecord,
        base_ns: u64,
        first_ns: u64,
    ) -> Option<Self> {
        match plan.source {
            SampleSource::PosixTimer => {
                let timer = PosixTimer::create(tid, record)?;
                timer
                    .set(base_ns + first_ns, plan.period_ns)
                    .then_some(())?;
                Some(Self::Posix { _timer: timer })
            }
            SampleSource::PerfEvent => {
                let event = perf::Event::open(tid, record, plan.period_ns)?;
                Some(Self::Perf { _event: event })
            }
        }
    }
}

/// The CPU clock of any thread of this process, as the kernel encodes it (`include/linux/posix-timers.h`).
pub(crate) fn cpu_clock(tid: u64) -> libc::clockid_t {
    const PER_THREAD_SCHED: libc::clockid_t = 0b110;
    (!(tid as libc::clockid_t)) << 3 | PER_THREAD_SCHED
}

/// CPU time of a thread of this process in ns; `None` when it is gone.
pub(crate) fn cpu_nanos(tid: u64) -> Option<u64> {
    clock::clock_nanos(cpu_clock(tid))
}

#[cfg(target_os = "linux")]
pub(crate) use posix::PosixTimer;

#[cfg(target_os = "linux")]
mod posix {
    use super::cpu_clock;
    use crate::record::ThreadRecord;

    /// A kernel timer; system calls by hand, because C libraries wrap the id and know no clock of another thread.
    #[derive(Debug)]
    pub(crate) struct PosixTimer(libc::c_int);

    /// libc for musl has no name for it.
    const SIGEV_THREAD_ID: libc::c_int = 4;

    impl PosixTimer {
        pub(super) fn create(tid: u64, record: &'static ThreadRecord) -> Option<Self> {
            // SAFETY: all-zero is a valid sigevent.
            let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
            event.sigev_value.sival_ptr = std::ptr::from_ref(record).cast_mut().cast();
            event.sigev_signo = libc::SIGPROF;
            event.sigev_notify = SIGEV_THREAD_ID;
            event.sigev_notify_thread_id = tid as libc::c_int;
            let mut timer: libc::c_int = -1;
            // SAFETY: both pointers are to valid places; the kernel copies the event.
            let result = unsafe {
                libc::syscall(
                    libc::SYS_timer_create,
                    cpu_clock(tid),
                    &raw const event,
                    &raw mut timer,
                )
            };
            (result == 0).then_some(Self(timer))
        }

        /// First expiry when the clock shows `first_ns`, at once (with the missed periods as overruns) if it has passed.
        pub(super) fn set(&self, first_ns: u64, period_ns: u64) -> bool {
            let spec = libc::itimerspec {
                it_interval: timespec(period_ns),
                it_value: timespec(first_ns.max(1)),
            };
            // SAFETY: the timer is ours and the specification a valid place.
            let result = unsafe {
                libc::syscall(
                    libc::SYS_timer_settime,
                    self.0,
                    libc::TIMER_ABSTIME,
                    &raw const spec,
                    std::ptr::null_mut::<libc::itimerspec>(),
                )
            };
            result == 0
        }
    }

    impl Drop for PosixTimer {
        fn drop(&mut self) {
            // SAFETY: the timer is ours.
            unsafe {
                libc::syscall(libc::SYS_timer_delete, self.0);
            }
        }
    }

    fn timespec(ns: u64) -> libc::timespec {
        libc::timespec {
            tv_sec: (ns / 1_000_000_000) as libc::time_t,
            tv_nsec: (ns % 1_000_000_000) as libc::c_long,
        }
    }
}

#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub(crate) struct PosixTimer(());

#[cfg(not(target_os = "linux"))]
impl PosixTimer {
    fn create(_tid: u64, _record: &'static ThreadRecord) -> Option<Self> {
        None
    }

    fn set(&self, _first_ns: u64, _period_ns: u64) -> bool {
        false
    }
}
