//! The SIGPROF handler: one signal in, one sample into the thread's own ring, or one count of why not.
//!
//! # Banned here and in everything it calls
//! Allocation, locks, formatting, panics, loader calls, thread-locals with destructors, unbounded loops; `errno` is restored. It runs
//! on the interrupted thread's own stack (no SA_ONSTACK: std's alternate stack is too small to unwind on).
//!
//! # Rules
//! 1. The record is found through what the signal carries, checked against the table; nothing of the interrupted thread is trusted.
//! 2. Every signal that found its record is counted, once: `handled` = samples + losses, per thread and generation.
//! 3. The ring, the counters and the tables are touched only inside the handler's critical section (`gate` rule 5).
//! 4. The time is read after the generation (Go: `traceCPUSample` in `runtime/tracecpu.go`): a sample is not older than its generation.
//! 5. The handler stays installed for good. A signal that is not ours goes to whoever had the handler before.

use std::cell::Cell;

use tachograph_unwind::{Registers, StackBounds};
use tachograph_wire::metadata::Cause;

use super::perf;
use super::ring::Ring;
use super::walker::{MAX_SAMPLE_FRAMES, walk_interrupted};
use crate::core::CORE;
use crate::os;
use crate::record::{NO_PROC, ThreadRecord};
use crate::sync::{AtomicPtr, AtomicU64, Ordering};

/// Words of a sample before its frames: time, slot, task, weight.
pub(crate) const SAMPLE_HEADER: usize = 4;

/// The part of siginfo that we read (Linux, 64 bit).
#[repr(C)]
struct SignalInfo {
    signal: libc::c_int,
    errno: libc::c_int,
    code: libc::c_int,
    _pad: libc::c_int,
    sent: Sent,
}

#[repr(C)]
#[derive(Clone, Copy)]
union Sent {
    timer: ByTimer,
    poll: ByPoll,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct ByTimer {
    _timer: libc::c_int,
    overrun: libc::c_int,
    value: usize,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct ByPoll {
    _band: libc::c_long,
    fd: libc::c_int,
}

const SI_TIMER: libc::c_int = -2;
const POLL_IN: libc::c_int = 1;
const POLL_HUP: libc::c_int = 6;

/// Who gets what is not ours; null before the first installation. Never freed: a handler may be looking at it.
static PREVIOUS: AtomicPtr<Previous> = AtomicPtr::new(std::ptr::null_mut());

/// An action that was in force when we installed ours.
struct Previous {
    action: libc::sigaction,
    /// The one before, if ours had been replaced since: whoever did that may pass a signal back to us.
    older: Option<&'static Previous>,
}

thread_local! {
    /// A signal is being passed on. Touched only where somebody has replaced our handler.
    static PASSING_ON: Cell<bool> = const { Cell::new(false) };
}

/// Signals that were not ours and that nobody else wanted.
pub(crate) static FOREIGN: AtomicU64 = AtomicU64::new(0);

/// The action in force for SIGPROF; `None` when the system does not tell.
fn current_action() -> Option<libc::sigaction> {
    // SAFETY: all-zero is a valid sigaction, and `current` a valid place.
    unsafe {
        let mut current: libc::sigaction = std::mem::zeroed();
        (libc::sigaction(libc::SIGPROF, std::ptr::null(), &mut current) == 0).then_some(current)
    }
}

/// Whether our handler is the one that SIGPROF goes to.
pub(crate) fn is_installed() -> bool {
    current_action().is_some_and(|current| current.sa_sigaction == on_sigprof as *const () as usize)
}

/// Installs the handler if it is not there; what is there instead gets what is not ours. False when the system refuses.
pub(crate) fn install() -> bool {
    if is_installed() {
        return true;
    }
    let Some(current) = current_action() else {
        return false;
    };
    // Release: pairs with the Acquire in `previous`.
    let found = Previous {
        action: current,
        older: previous(),
    };
    PREVIOUS.store(Box::into_raw(Box::new(found)), Ordering::Release);
    // SAFETY: the action is a valid place; the handler is async-signal-safe (module text).
    unsafe {
        let mut ours: libc::sigaction = std::mem::zeroed();
        ours.sa_sigaction = on_sigprof as *const () as usize;
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
        libc::sigemptyset(&mut ours.sa_mask);
        libc::sigaction(libc::SIGPROF, &ours, std::ptr::null_mut()) == 0
    }
}

fn previous() -> Option<&'static Previous> {
    // SAFETY: null, or leaked by `install`. Acquire: pairs with the Release there.
    unsafe { PREVIOUS.load(Ordering::Acquire).as_ref() }
}

/// Whether somebody else's handler was there before ours and gets what is not ours.
pub(crate) fn chains() -> bool {
    previous().is_some_and(|previous| previous.action.sa_sigaction > libc::SIG_IGN)
}

extern "C" fn on_sigprof(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    let errno = os::errno();
    // SAFETY: the kernel gives a whole siginfo, and `Sent` is read by its code.
    let (code, sent) = unsafe {
        let info = &*info.cast::<SignalInfo>();
        (info.code, info.sent)
    };
    match code {
        SI_TIMER => {
            // SAFETY: a timer's signal.
            let timer = unsafe { sent.timer };
            match CORE.registry.checked(timer.value) {
                Some(record) => sample(record, 1 + timer.overrun.max(0) as u64, context),
                None => pass_on(signal, info, context),
            }
        }
        POLL_IN..=POLL_HUP => {
            // SAFETY: an I/O signal.
            match perf::record_of(unsafe { sent.poll }.fd) {
                // A descriptor may be another thread's by now: the signal waited while this one was not running.
                Some(record) if record.tid() == os::tid() => sample(record, 0, context),
                Some(record) => CORE.sampler.count_outside(record),
                None => pass_on(signal, info, context),
            }
        }
        _ => pass_on(signal, info, context),
    }
    os::set_errno(errno);
}

/// Rule 5.
#[cold]
fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let Some(previous) = previous() else { return };
    let Some(older) = previous.older else {
        return give_to(&previous.action, signal, info, context);
    };
    if PASSING_ON.replace(true) {
        // Back from the one that replaced us: it is the turn of the one that we had replaced before.
        return give_to(&older.action, signal, info, context);
    }
    give_to(&previous.action, signal, info, context);
    PASSING_ON.set(false);
}

fn give_to(
    action: &libc::sigaction,
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    match action.sa_sigaction {
        // N.B. The default action would end the program. That is what its author asked for only while we were not there.
        libc::SIG_DFL | libc::SIG_IGN => {
            // Relaxed: a counter.
            FOREIGN.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the address was installed as a handler of this form.
        handler if action.sa_flags & libc::SA_SIGINFO != 0 => unsafe {
            type Action = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            std::mem::transmute::<usize, Action>(handler)(signal, info, context);
        },
        // SAFETY: as above.
        handler => unsafe {
            std::mem::transmute::<usize, extern "C" fn(libc::c_int)>(handler)(signal);
        },
    }
}

/// Takes one sample; `weight` 0 = read it off the thread's clock.
#[inline(never)]
fn sample(record: &'static ThreadRecord, weight: u64, context: *mut libc::c_void) {
    let Some(entry) = CORE.gate.enter_handler(&record.flag) else {
        if weight == 0 {
            // Its time is lost with it: the next sample must not stand for a stretch in which nothing was recorded.
            let _ = perf_weight(record);
        }
        CORE.sampler.count_outside(record);
        return;
    };
    let parity = (entry.generation & 1) as usize;
    let counters = &record.sample.counters[parity];
    counters.count_handled();
    let now = CORE.clock.now_ordered();
    let weight = match weight {
        0 => perf_weight(record),
        weight => weight,
    };
    match record.sample.rings() {
        None => counters.count(Cause::NoRecord),
        Some(rings) => {
            let ring = &rings.rings[parity];
            let most =
                SAMPLE_HEADER + MAX_SAMPLE_FRAMES.min(ring.words().len() / 2 - SAMPLE_HEADER - 1);
            match ring.reserve(most) {
                None => counters.count(Cause::RingFull),
                Some(place) => {
                    let words = ring.words();
                    // SAFETY: the kernel gave a context; `most` words from the place on are ours.
                    let walked = unsafe {
                        walk_interrupted(
                            record,
                            rings,
                            Registers::from_ucontext(context),
                            alternate_stack(context),
                            words.at(Ring::payload(place, SAMPLE_HEADER)),
                            most - SAMPLE_HEADER,
                        )
                    };
                    // Relaxed (both): own thread.
                    let proc = match record.shared.syscall.is_taken() {
                        true => NO_PROC,
                        false => record.context.proc.load(Ordering::Relaxed),
                    };
                    let task = record.context.task.load(Ordering::Relaxed);
                    for (word, value) in [now, proc, task, weight].into_iter().enumerate() {
                        words.set(Ring::payload(place, word), value);
                    }
                    ring.commit(place, SAMPLE_HEADER + walked.frames);
                    if let Some(cause) = walked.incomplete {
                        counters.count(cause);
                    }
                }
            }
        }
    }
    CORE.gate.leave_handler(&record.flag, entry);
}

/// The periods of CPU time that have passed since the last signal: perf_event's signals merge silently.
fn perf_weight(record: &ThreadRecord) -> u64 {
    let period = CORE.sampler.period_ns().max(1);
    let Some(now) = crate::clock::clock_nanos(libc::CLOCK_THREAD_CPUTIME_ID) else {
        return 1;
    };
    // Relaxed: this thread's handler is the only writer while it is armed.
    // N.B. It may lie before 0, wrapped: a thread's first period is cut short at random.
    let accounted = record.sample.accounted_ns.load(Ordering::Relaxed);
    let weight = periods(now.wrapping_sub(accounted) as i64, period);
    record
        .sample
        .accounted_ns
        .store(accounted.wrapping_add(weight * period), Ordering::Relaxed);
    weight
}

/// The weight of a signal that comes `since_ns` after what is accounted for.
///
/// At least 1, which may account for up to a period in advance. Beyond that 0: perf_event also counts time that a hypervisor
/// or an interrupt took, which the thread's clock does not, and its signals would run ahead of the clock for good.
fn periods(since_ns: i64, period_ns: u64) -> u64 {
    if since_ns < -(period_ns as i64) {
        return 0;
    }
    (since_ns.max(0) as u64 / period_ns).max(1)
}

/// The thread's alternate signal stack, as the kernel noted it in the frame.
#[cfg(target_os = "linux")]
fn alternate_stack(context: *mut libc::c_void) -> StackBounds {
    // SAFETY: the kernel gave a whole ucontext.
    let stack = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_stack };
    let low = stack.ss_sp as u64;
    StackBounds {
        low,
        high: low + stack.ss_size as u64,
    }
}

#[cfg(not(target_os = "linux"))]
fn alternate_stack(_context: *mut libc::c_void) -> StackBounds {
    StackBounds { low: 0, high: 0 }
}

#[cfg(test)]
mod tests {
    use super::periods;

    const PERIOD: u64 = 1000;

    /// The sum of weights of signals at `times`, with `accounted` ns accounted for before.
    fn sum(accounted: i64, times: impl Iterator<Item = i64>) -> u64 {
        times
            .fold((accounted, 0), |(accounted, sum), now| {
                let weight = periods(now - accounted, PERIOD);
                (accounted + (weight * PERIOD) as i64, sum + weight)
            })
            .1
    }

    #[test]
    fn merged_signals_weigh_what_they_stand_for() {
        assert_eq!(sum(0, [1000, 2000, 7000].into_iter()), 7);
    }

    #[test]
    fn signals_on_time_weigh_one_whatever_their_jitter() {
        let jittery = (1..=100).map(|n| n * 1000 + [-30, 40, -10][n as usize % 3]);
        assert_eq!(sum(0, jittery.clone()), 100);
        assert!(
            jittery
                .map(|now| periods(now - (now / 1000) * 1000, PERIOD))
                .all(|one| one == 1)
        );
    }

    #[test]
    fn signals_that_run_ahead_of_the_clock_do_not_add_up() {
        // A tenth of the time is stolen: a signal every 900 ns of the thread's clock.
        let stolen = (1..=1000).map(|n| n * 900);
        assert!(sum(0, stolen).abs_diff(900) <= 2);
    }
}
