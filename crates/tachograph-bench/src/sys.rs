//! What is asked of processor and kernel: counters, CPU clocks, signals to oneself, cores, allocations. A room with unsafe code.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// A counter that runs evenly: the time stamp counter, nanoseconds where there is none.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub fn cycles() -> u64 {
    // SAFETY: rdtsc exists on every x86-64 processor.
    unsafe { std::arch::x86_64::_rdtsc() }
}

/// A counter that runs evenly: the time stamp counter, nanoseconds where there is none.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub fn cycles() -> u64 {
    clock_ns(libc::CLOCK_MONOTONIC)
}

/// Nanoseconds of `CLOCK_MONOTONIC`.
#[inline(always)]
pub fn monotonic_ns() -> u64 {
    clock_ns(libc::CLOCK_MONOTONIC)
}

/// CPU time of the calling thread in nanoseconds.
pub fn thread_cpu_ns() -> u64 {
    clock_ns(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// CPU time of the process, all threads, in nanoseconds.
pub fn process_cpu_ns() -> u64 {
    clock_ns(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// The calling thread's number.
pub fn thread_id() -> i32 {
    // SAFETY: gettid has no arguments and cannot fail.
    unsafe { libc::syscall(libc::SYS_gettid) as i32 }
}

/// CPU time of a thread of this process in nanoseconds, by its number; 0 when it is gone.
pub fn cpu_ns_of(thread: i32) -> u64 {
    // The kernel's way to name the CPU clock of any thread.
    clock_ns((!thread << 3) | 6)
}

#[inline(always)]
fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid place for one timespec.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Memory of the process that is in RAM, in bytes.
pub fn resident_bytes() -> io::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages = text
        .split_whitespace()
        .nth(1)
        .and_then(|word| word.parse::<u64>().ok());
    let pages =
        pages.ok_or_else(|| io::Error::other("/proc/self/statm: wanted a second number"))?;
    // SAFETY: sysconf only answers.
    let page_bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    Ok(pages * page_bytes.max(0) as u64)
}

/// Frames of the calling thread's stack as the C library counts them; 0 where it cannot.
#[inline(never)]
pub fn backtrace_frames() -> usize {
    #[cfg(target_env = "gnu")]
    {
        let mut frames = [std::ptr::null_mut(); 256];
        // SAFETY: `frames` has room for the number that is stated.
        unsafe { libc::backtrace(frames.as_mut_ptr(), 256).max(0) as usize }
    }
    #[cfg(not(target_env = "gnu"))]
    0
}

/// What SIGPROF does.
#[derive(Clone, Copy)]
pub struct Action(libc::sigaction);

extern "C" fn nothing(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}

impl Action {
    /// A handler that returns at once, delivered with the flags of the recorder's own.
    pub fn empty() -> Self {
        // SAFETY: all-zero is a valid sigaction; its mask is then made empty.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = nothing as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
            libc::sigemptyset(&mut action.sa_mask);
            Self(action)
        }
    }

    /// What SIGPROF does now.
    pub fn current() -> io::Result<Self> {
        // SAFETY: a null action only asks; `action` is a valid place.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            ok(libc::sigaction(
                libc::SIGPROF,
                std::ptr::null(),
                &mut action,
            ))?;
            Ok(Self(action))
        }
    }

    /// Makes SIGPROF do this.
    pub fn install(&self) -> io::Result<()> {
        // SAFETY: the action is one that was installed before, or `empty`.
        ok(unsafe { libc::sigaction(libc::SIGPROF, &self.0, std::ptr::null_mut()) })
    }
}

/// A SIGPROF to the calling thread that looks like a timer's, carrying an address. The kernel lets a process forge these for itself.
#[repr(C)]
#[derive(Debug)]
pub struct TimerSignal {
    signal: libc::c_int,
    errno: libc::c_int,
    code: libc::c_int,
    _pad: libc::c_int,
    timer: libc::c_int,
    overrun: libc::c_int,
    value: usize,
    _rest: [u64; 12],
    process: libc::pid_t,
    thread: libc::c_long,
}

const SI_TIMER: libc::c_int = -2;

impl TimerSignal {
    /// A signal with `value`, to the calling thread.
    pub fn new(value: usize) -> Self {
        Self {
            signal: libc::SIGPROF,
            errno: 0,
            code: SI_TIMER,
            _pad: 0,
            timer: 0,
            overrun: 0,
            value,
            _rest: [0; 12],
            // SAFETY: getpid cannot fail.
            process: unsafe { libc::getpid() },
            thread: libc::c_long::from(thread_id()),
        }
    }

    /// Raises it; the handler has run when this returns.
    #[inline(always)]
    pub fn raise(&self) -> io::Result<()> {
        // SAFETY: the first 128 bytes of `self` are a whole siginfo.
        let result = unsafe {
            libc::syscall(
                libc::SYS_rt_tgsigqueueinfo,
                libc::c_long::from(self.process),
                self.thread,
                libc::c_long::from(libc::SIGPROF),
                std::ptr::from_ref(self),
            )
        };
        ok(result as libc::c_int)
    }
}

fn ok(result: libc::c_int) -> io::Result<()> {
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Most memory that the process ever had in RAM, in bytes.
pub fn most_resident_bytes() -> io::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|word| word.parse::<u64>().ok());
    let kilobytes =
        kilobytes.ok_or_else(|| io::Error::other("/proc/self/status: wanted a VmHWM"))?;
    Ok(kilobytes << 10)
}

/// Binds the process, which must have one thread, to its first `count` cores.
pub fn bind_to_cores(count: usize) -> io::Result<()> {
    // SAFETY: all-zero is an empty set, and `CPU_SET` ignores cores beyond its end.
    let set = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        (0..count).for_each(|core| libc::CPU_SET(core, &mut set));
        set
    };
    // SAFETY: `set` is a valid set of the stated size; 0 is the calling thread.
    ok(unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) })
}

/// Calls of the allocator since the process began, those that give memory back left out.
pub fn allocations() -> u64 {
    ALLOCATIONS.load(Ordering::Relaxed)
}

/// Bytes that `f` has allocated, on any thread, and not given back, as they were asked for; and what it returned.
pub fn bytes_kept<T>(f: impl FnOnce() -> T) -> (i64, T) {
    let before = BYTES.load(Ordering::Relaxed);
    WEIGHS.store(true, Ordering::Relaxed);
    let result = f();
    WEIGHS.store(false, Ordering::Relaxed);
    (BYTES.load(Ordering::Relaxed) - before, result)
}

// Relaxed (all): counts that nothing is read by.
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicI64 = AtomicI64::new(0);
static WEIGHS: AtomicBool = AtomicBool::new(false);

#[inline(always)]
fn weigh(bytes: i64) {
    if WEIGHS.load(Ordering::Relaxed) {
        BYTES.fetch_add(bytes, Ordering::Relaxed);
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The system's allocator, counted.
struct Counting;

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        weigh(layout.size() as i64);
        // SAFETY: what the caller owes is what is owed here.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        weigh(layout.size() as i64);
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        weigh(size as i64 - layout.size() as i64);
        // SAFETY: as in `alloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        weigh(-(layout.size() as i64));
        // SAFETY: as in `alloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}
