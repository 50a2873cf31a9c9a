//! A real SIGPROF sampler: registers, the live walk, and a copy of the stack, per sample.
//!
//! One thread at a time is sampled, by a timer of its own. The handler writes to a preallocated arena.

use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize};

use tachograph_unwind::{
    Registers, RuleCache, Snapshot, StackBounds, StackCopy, Walk, WalkEnd, walk,
};

const ARENA_WORDS: usize = 8 << 20;
pub const MAX_FRAMES: usize = 256;
const MAX_STACK_WORDS: u64 = 64 * 1024 / 8;
const HEAD_WORDS: usize = 7;
const PERIOD_NS: i64 = 250_000;

/// Set by the code that wants to be sampled.
pub static ACTIVE: AtomicBool = AtomicBool::new(false);

static ARENA: AtomicPtr<u64> = AtomicPtr::new(null_mut());
static USED: AtomicUsize = AtomicUsize::new(0);
static SNAPSHOT: AtomicPtr<Snapshot> = AtomicPtr::new(null_mut());
static CACHE: AtomicPtr<RuleCache> = AtomicPtr::new(null_mut());
static LOW: AtomicU64 = AtomicU64::new(0);
static HIGH: AtomicU64 = AtomicU64::new(0);

/// One sample, as the handler left it.
pub struct Sample<'a> {
    pub registers: Registers,
    pub live_end: WalkEnd,
    pub live: &'a [u64],
    pub stack: StackCopy<'a>,
}

/// Samples the calling thread while `work` runs, then hands every sample to `each`.
pub fn sample(snapshot: &Snapshot, work: impl FnOnce(), mut each: impl FnMut(Sample<'_>)) {
    let bounds = StackBounds::of_current_thread().expect("bounds");
    let mut arena = vec![0u64; ARENA_WORDS];
    let mut cache = RuleCache::boxed();
    LOW.store(bounds.low, Relaxed);
    HIGH.store(bounds.high, Relaxed);
    SNAPSHOT.store((&raw const *snapshot).cast_mut(), Relaxed);
    CACHE.store(&mut *cache, Relaxed);
    USED.store(0, Relaxed);
    ARENA.store(arena.as_mut_ptr(), SeqCst);
    let timer = arm();
    work();
    ACTIVE.store(false, SeqCst);
    // SAFETY: `timer` was made above and is deleted once.
    unsafe { libc::timer_delete(timer) };
    ARENA.store(null_mut(), SeqCst);

    let mut rest = &arena[..USED.load(SeqCst)];
    while let [ip, sp, fp, frames, end, start, words, tail @ ..] = rest {
        let (live, tail) = tail.split_at(*frames as usize);
        let (stack, tail) = tail.split_at(*words as usize);
        let registers = Registers {
            ip: *ip,
            sp: *sp,
            fp: *fp,
        };
        let stack = StackCopy::new(*start, stack);
        each(Sample {
            registers,
            live_end: end_of(*end),
            live,
            stack,
        });
        rest = tail;
    }
    assert!(rest.is_empty());
}

fn arm() -> libc::timer_t {
    // SAFETY: plain system calls on local structures.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_sample as extern "C" fn(_, _, _) as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
        assert_eq!(libc::sigaction(libc::SIGPROF, &action, null_mut()), 0);
        let mut event: libc::sigevent = std::mem::zeroed();
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = libc::SIGPROF;
        event.sigev_notify_thread_id = libc::gettid();
        let mut timer = null_mut();
        assert_eq!(
            libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, &mut timer),
            0
        );
        let period = libc::timespec {
            tv_sec: 0,
            tv_nsec: PERIOD_NS,
        };
        let setting = libc::itimerspec {
            it_interval: period,
            it_value: period,
        };
        assert_eq!(libc::timer_settime(timer, 0, &setting, null_mut()), 0);
        timer
    }
}

extern "C" fn on_sample(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    let arena = ARENA.load(SeqCst);
    if arena.is_null() || !ACTIVE.load(SeqCst) {
        return;
    }
    let bounds = StackBounds {
        low: LOW.load(Relaxed),
        high: HIGH.load(Relaxed),
    };
    // SAFETY: this is a handler; `sample` keeps snapshot, cache and arena alive while ARENA is set;
    // the stack is this thread's from the red zone up.
    unsafe {
        let registers = Registers::from_ucontext(context);
        let start = registers.sp.saturating_sub(128).max(bounds.low) & !7;
        let words = ((bounds.high - start) / 8).min(MAX_STACK_WORDS) as usize;
        let used = USED.load(Relaxed);
        if used + HEAD_WORDS + MAX_FRAMES + words > ARENA_WORDS {
            return;
        }
        let record = arena.add(used);
        let live = record.add(HEAD_WORDS);
        let snapshot = &*SNAPSHOT.load(Relaxed);
        let cache = CACHE.load(Relaxed);
        let Walk { frames, end, .. } = walk(snapshot, cache, registers, bounds, live, MAX_FRAMES);
        let head = [
            registers.ip,
            registers.sp,
            registers.fp,
            frames as u64,
            number_of(end),
            start,
            words as u64,
        ];
        record.copy_from_nonoverlapping(head.as_ptr(), HEAD_WORDS);
        let stack = std::ptr::with_exposed_provenance::<u64>(start as usize);
        live.add(frames).copy_from_nonoverlapping(stack, words);
        USED.store(used + HEAD_WORDS + frames + words, Relaxed);
    }
}

fn number_of(end: WalkEnd) -> u64 {
    match end {
        WalkEnd::Root => 0,
        WalkEnd::Truncated => 1,
        WalkEnd::UnknownCode => 2,
        WalkEnd::BadFrame => 3,
    }
}

fn end_of(number: u64) -> WalkEnd {
    match number {
        0 => WalkEnd::Root,
        1 => WalkEnd::Truncated,
        2 => WalkEnd::UnknownCode,
        _ => WalkEnd::BadFrame,
    }
}
