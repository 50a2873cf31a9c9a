//! What we ask of the kernel and the C library about threads, outside of sampling.
//!
//! One function a question, so that another system needs only another version of this room.

use crate::record::ThreadRecord;
use crate::sync::{AtomicBool, Mutex, Ordering, lock};

/// The calling thread's id as the kernel counts it.
#[cfg(target_os = "linux")]
pub(crate) fn tid() -> u64 {
    // SAFETY: gettid has no arguments and cannot fail.
    unsafe { libc::syscall(libc::SYS_gettid) as u64 }
}

/// The calling thread's id: a number of our own, where the system shows none.
#[cfg(not(target_os = "linux"))]
pub(crate) fn tid() -> u64 {
    use crate::sync::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local!(static TID: u64 = NEXT.fetch_add(1, Ordering::Relaxed));
    TID.try_with(|tid| *tid).unwrap_or(u64::MAX - 1)
}

/// The calling thread's name, as the system knows it: Linux keeps 15 bytes.
///
/// N.B. Not `std::thread::current()`: a thread may record for the first time when std's data of it is gone, and that call then panics.
pub(crate) fn thread_name() -> String {
    if tid() == u64::from(std::process::id()) {
        return "main".to_owned();
    }
    let name = system_name();
    // A thread that was given no name has inherited the program's.
    if name.is_empty() || name == program_name() {
        return "unnamed thread".to_owned();
    }
    name
}

/// The name that the kernel gives the program's first thread.
fn program_name() -> String {
    static NAME: Mutex<Option<String>> = Mutex::new(None);
    lock(&NAME)
        .get_or_insert_with(|| name_of(u64::from(std::process::id())).unwrap_or_default())
        .clone()
}

#[cfg(target_os = "linux")]
fn system_name() -> String {
    let mut name = [0u8; 16];
    // SAFETY: PR_GET_NAME writes at most 16 bytes.
    unsafe {
        libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr());
    }
    let len = name.iter().position(|&b| b == 0).unwrap_or(name.len());
    String::from_utf8_lossy(&name[..len]).into_owned()
}

#[cfg(not(target_os = "linux"))]
fn system_name() -> String {
    String::new()
}

/// The name of any thread of the process, as the kernel knows it.
pub(crate) fn name_of(tid: u64) -> Option<String> {
    let name = std::fs::read(format!("/proc/self/task/{tid}/comm")).ok()?;
    Some(String::from_utf8_lossy(&name).trim_end().to_owned())
}

/// The calling thread's errno. Signal safe.
#[cfg(target_os = "linux")]
pub(crate) fn errno() -> i32 {
    // SAFETY: errno is the thread's own.
    unsafe { *libc::__errno_location() }
}

/// Puts errno back. Signal safe.
#[cfg(target_os = "linux")]
pub(crate) fn set_errno(errno: i32) {
    // SAFETY: as in `errno`.
    unsafe { *libc::__errno_location() = errno };
}

/// Nobody asks: other systems are not sampled.
#[cfg(not(target_os = "linux"))]
pub(crate) fn errno() -> i32 {
    0
}

/// See `errno`.
#[cfg(not(target_os = "linux"))]
pub(crate) fn set_errno(_errno: i32) {}

fn change_sigprof(how: libc::c_int) -> bool {
    // SAFETY: both sets are valid places; the mask of the calling thread is the caller's to change.
    unsafe {
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        let mut old = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGPROF);
        libc::pthread_sigmask(how, &set, &mut old) == 0
            && libc::sigismember(&old, libc::SIGPROF) == 1
    }
}

/// Keeps SIGPROF from the calling thread. Returns whether it was kept already.
pub(crate) fn block_sigprof() -> bool {
    change_sigprof(libc::SIG_BLOCK)
}

/// Lets SIGPROF through to the calling thread.
pub(crate) fn unblock_sigprof() {
    change_sigprof(libc::SIG_UNBLOCK);
}

/// Makes a hook that runs at the exit of every thread that calls `arm_exit_hook`. pthread keys run after all of Rust's
/// thread-local destructors, so those may still record.
pub(crate) fn exit_hook(hook: extern "C" fn(*mut libc::c_void)) -> Option<u32> {
    let mut key: libc::pthread_key_t = 0;
    // SAFETY: `key` is a valid place and the hook lives as long as the program.
    let result = unsafe { libc::pthread_key_create(&mut key, Some(hook)) };
    (result == 0).then_some(key as u32)
}

/// See `exit_hook`.
pub(crate) fn arm_exit_hook(key: u32, record: &'static ThreadRecord) {
    // SAFETY: a refused key leaves things as they are; the value is only given back to the hook.
    unsafe {
        libc::pthread_setspecific(
            key as libc::pthread_key_t,
            std::ptr::from_ref(record).cast(),
        );
    }
}

/// All threads of the process.
pub(crate) fn all_threads() -> Vec<u64> {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    tasks
        .filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

static IN_CHILD: AtomicBool = AtomicBool::new(false);

/// Whether this process is a forked child, in which our locks may be held by threads that it does not have.
pub(crate) fn is_forked_child() -> bool {
    // Relaxed: stored before the child runs on.
    IN_CHILD.load(Ordering::Relaxed)
}

/// Makes `fork` safe for parent and child. Once a process.
///
/// The child has neither our threads nor its timers: it must not write into blocks that nobody takes. And a fork that takes longer
/// than a sampling period would be restarted by each signal and never end (async-profiler #97), so the forking thread does without
/// signals meanwhile; the timer's overruns make up for them.
pub(crate) fn prepare_for_forks() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    thread_local!(static WAS_BLOCKED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) });
    extern "C" fn before() {
        WAS_BLOCKED.set(block_sigprof());
    }
    extern "C" fn in_parent() {
        if !WAS_BLOCKED.get() {
            unblock_sigprof();
        }
    }
    extern "C" fn in_child() {
        crate::core::CORE.gate.publish(0);
        // Relaxed: the child has one thread.
        IN_CHILD.store(true, Ordering::Relaxed);
        in_parent();
    }
    ONCE.call_once(|| {
        // SAFETY: the hooks change the calling thread's signal mask and one word.
        unsafe {
            libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child));
        }
    });
}
