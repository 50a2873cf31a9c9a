//! CPU-time signals from perf_event: precise above the kernel's timer tick.
//!
//! One event a thread, its signal sent to that thread with the file descriptor as the only word; `RECORDS` maps it back. Signals that
//! the kernel merges are found again by the handler, which reads the thread's CPU clock (`handler::perf_weight`).

use crate::record::ThreadRecord;
use crate::sync::{AtomicPtr, Ordering};

const MAX_FDS: usize = 64 * 1024;

/// The record whose event has this descriptor.
static RECORDS: [AtomicPtr<ThreadRecord>; MAX_FDS] =
    [const { AtomicPtr::new(std::ptr::null_mut()) }; MAX_FDS];

/// The record whose event has descriptor `fd`. Signal safe.
pub(crate) fn record_of(fd: i32) -> Option<&'static ThreadRecord> {
    let place = RECORDS.get(usize::try_from(fd).ok()?)?;
    // SAFETY: null, or a record, and records are never freed. Acquire: pairs with the Release in `open`.
    unsafe { place.load(Ordering::Acquire).as_ref() }
}

/// An open event; dropping it closes it.
#[derive(Debug)]
pub(crate) struct Event {
    fd: i32,
}

impl Drop for Event {
    fn drop(&mut self) {
        RECORDS[self.fd as usize].store(std::ptr::null_mut(), Ordering::Release);
        // SAFETY: the descriptor is ours.
        unsafe {
            libc::close(self.fd);
        }
    }
}

#[cfg(target_os = "linux")]
impl Event {
    /// Opens and starts an event for `tid`; `None` when it is not permitted.
    pub(crate) fn open(tid: u64, record: &'static ThreadRecord, period_ns: u64) -> Option<Self> {
        // With the kernel's time included the signal comes on the way back, so the system call's caller is charged.
        let fd = open_task_clock(tid, period_ns, false)
            .or_else(|| open_task_clock(tid, period_ns, true))?;
        if fd as usize >= highest_fd() {
            // SAFETY: ours, just opened.
            unsafe { libc::close(fd) };
            return None;
        }
        RECORDS[fd as usize].store(std::ptr::from_ref(record).cast_mut(), Ordering::Release);
        let event = Self { fd };
        event.send_to(tid)?;
        Some(event)
    }

    /// Routes the event's signal to `tid` and starts it.
    fn send_to(&self, tid: u64) -> Option<()> {
        let owner = Owner {
            kind: F_OWNER_TID,
            tid: tid as libc::c_int,
        };
        // SAFETY: the descriptor is ours and `owner` a valid place.
        let done = unsafe {
            libc::fcntl(self.fd, F_SETOWN_EX, &raw const owner) == 0
                && libc::fcntl(self.fd, F_SETSIG, libc::SIGPROF) == 0
                && libc::fcntl(self.fd, libc::F_SETFL, libc::O_ASYNC | libc::O_NONBLOCK) == 0
                && libc::ioctl(self.fd, perf_event_open_sys::bindings::ENABLE as _, 0) == 0
        };
        done.then_some(())
    }
}

/// The descriptors that events may have: a quarter of what the process may open stays free for the program.
#[cfg(target_os = "linux")]
fn highest_fd() -> usize {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a valid place.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } == 0;
    match known {
        true => usize::try_from(limit.rlim_cur / 4 * 3).map_or(MAX_FDS, |most| most.min(MAX_FDS)),
        false => MAX_FDS,
    }
}

/// Whether this process may open a task-clock event of its own.
pub(crate) fn is_permitted() -> bool {
    #[cfg(target_os = "linux")]
    if let Some(fd) = open_task_clock(crate::os::tid(), 1_000_000, true) {
        // SAFETY: ours, just opened.
        unsafe { libc::close(fd) };
        return true;
    }
    false
}

#[cfg(target_os = "linux")]
#[repr(C)]
struct Owner {
    kind: libc::c_int,
    tid: libc::c_int,
}

#[cfg(target_os = "linux")]
const F_SETSIG: libc::c_int = 10;
#[cfg(target_os = "linux")]
const F_SETOWN_EX: libc::c_int = 15;
#[cfg(target_os = "linux")]
const F_OWNER_TID: libc::c_int = 0;

#[cfg(target_os = "linux")]
fn open_task_clock(tid: u64, period_ns: u64, exclude_kernel: bool) -> Option<i32> {
    use perf_event_open_sys::bindings;

    let mut attr = bindings::perf_event_attr {
        type_: bindings::PERF_TYPE_SOFTWARE,
        size: size_of::<bindings::perf_event_attr>() as u32,
        config: u64::from(bindings::PERF_COUNT_SW_TASK_CLOCK),
        ..Default::default()
    };
    attr.__bindgen_anon_1.sample_period = period_ns;
    attr.__bindgen_anon_2.wakeup_events = 1;
    attr.set_disabled(1);
    attr.set_exclude_kernel(u64::from(exclude_kernel));
    attr.set_exclude_hv(1);
    // SAFETY: the attributes are a valid place; the kernel answers with a descriptor or an error.
    let fd = unsafe {
        perf_event_open_sys::perf_event_open(
            &raw mut attr,
            tid as libc::pid_t,
            -1,
            -1,
            libc::c_ulong::from(bindings::PERF_FLAG_FD_CLOEXEC),
        )
    };
    (fd >= 0).then_some(fd)
}

#[cfg(not(target_os = "linux"))]
impl Event {
    pub(crate) fn open(_tid: u64, _record: &'static ThreadRecord, _period_ns: u64) -> Option<Self> {
        None
    }
}
