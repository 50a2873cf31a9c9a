//! Walks that begin inside a signal handler and lead out of it.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[path = "common/functions.rs"]
mod functions;

use std::ffi::{c_int, c_void};
use std::ptr::{null, null_mut};
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, Ordering::SeqCst};

use tachograph_unwind::{
    Registers, RuleCache, Snapshot, StackBounds, Walk, WalkEnd, loaded_modules, walk,
};

/// What a handler works with, and what it saw.
struct Desk {
    snapshot: Snapshot,
    bounds: StackBounds,
    cache: *mut RuleCache,
    out: [u64; 100],
    walk: Option<Walk>,
    interrupted: u64,
}

static DESK: AtomicPtr<Desk> = AtomicPtr::new(null_mut());
/// One test at a time: there is one desk.
static TURN: Mutex<()> = Mutex::new(());

extern "C" fn on_signal(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: `raise_and_walk` keeps the desk for the length of the signal, on this thread.
    unsafe {
        let desk = &mut *DESK.load(SeqCst);
        desk.interrupted = Registers::from_ucontext(context).ip;
        let (here, out) = (Registers::capture(), desk.out.as_mut_ptr());
        desk.walk = Some(walk(
            &desk.snapshot,
            desk.cache,
            here,
            desk.bounds,
            out,
            100,
        ));
    }
}

#[inline(never)]
fn raiser() {
    // SAFETY: the handler is installed.
    unsafe { libc::raise(libc::SIGUSR1) };
    std::hint::black_box(());
}

fn raise_and_walk(flags: c_int) -> Box<Desk> {
    let desk = Box::new(Desk {
        snapshot: Snapshot::build(&loaded_modules(), 1),
        bounds: StackBounds::of_current_thread().expect("bounds"),
        cache: Box::into_raw(RuleCache::boxed()),
        out: [0; 100],
        walk: None,
        interrupted: 0,
    });
    let desk = Box::into_raw(desk);
    DESK.store(desk, SeqCst);
    // SAFETY: plain system calls on local structures; the desk comes back from the handler.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_signal as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | flags;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &action, null_mut()), 0);
        raiser();
        DESK.store(null_mut(), SeqCst);
        drop(Box::from_raw((*desk).cache));
        Box::from_raw(desk)
    }
}

#[test]
fn a_handler_frame_is_stepped_over_to_the_exact_interrupted_ip() {
    let _turn = TURN.lock().expect("no panic");
    let desk = raise_and_walk(0);
    let walk = desk.walk.expect("the signal was handled");
    let chain = &desk.out[..walk.frames];
    assert_eq!((walk.end, walk.guesses), (WalkEnd::Root, 0), "{chain:x?}");
    let at = chain
        .iter()
        .position(|pc| *pc == desk.interrupted)
        .expect("the exact ip");
    let raiser = functions::range_of(desk.snapshot.modules(), raiser as *const () as usize);
    assert!(
        chain[at..].iter().any(|pc| raiser.contains(pc)),
        "{chain:x?}"
    );
}

#[test]
fn a_walk_on_a_stack_that_is_not_the_threads_stays_at_the_leaf() {
    let _turn = TURN.lock().expect("no panic");
    let mut room = vec![0u64; 64 << 10];
    let own = libc::stack_t {
        ss_sp: room.as_mut_ptr().cast(),
        ss_flags: 0,
        ss_size: size_of_val(&room[..]),
    };
    // SAFETY: the stack outlives its use; the old one comes back below.
    let mut old: libc::stack_t = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    assert_eq!(unsafe { libc::sigaltstack(&own, &mut old) }, 0);
    let desk = raise_and_walk(libc::SA_ONSTACK);
    // SAFETY: as above.
    assert_eq!(unsafe { libc::sigaltstack(&old, null_mut()) }, 0);
    let walk = desk.walk.expect("the signal was handled");
    assert_eq!((walk.frames, walk.end), (1, WalkEnd::BadFrame));
}

/// The walk's own use of the stack: what a handler on a painted stack touches more with a walk than
/// without. Four times as much without optimisation.
#[test]
fn a_cold_walk_takes_less_than_a_kilobyte_of_stack() {
    let _turn = TURN.lock().expect("no panic");
    let touched = |capacity: usize| {
        let mut room = vec![PAINT; 64 << 10];
        paint_walk(&mut room, capacity);
        let clean = room.iter().take_while(|word| **word == PAINT).count();
        8 * (room.len() - clean)
    };
    let (without, with) = (touched(0), touched(100));
    println!(
        "stack of a walk: {} bytes, of the handler without it: {without}",
        with - without
    );
    let limit = if cfg!(debug_assertions) { 4096 } else { 1024 };
    assert!(with - without < limit, "{}", with - without);
}

const PAINT: u64 = 0x5a5a_5a5a_5a5a_5a5a;
static CAPACITY: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

extern "C" fn on_painted_stack(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: as in `on_signal`; the walk is of the interrupted stack, which stands still meanwhile.
    unsafe {
        let desk = &mut *DESK.load(SeqCst);
        let (there, out) = (Registers::from_ucontext(context), desk.out.as_mut_ptr());
        let capacity = CAPACITY.load(SeqCst);
        if capacity > 0 {
            desk.walk = Some(walk(
                &desk.snapshot,
                desk.cache,
                there,
                desk.bounds,
                out,
                capacity,
            ));
        }
    }
}

fn paint_walk(room: &mut [u64], capacity: usize) {
    CAPACITY.store(capacity, SeqCst);
    let own = libc::stack_t {
        ss_sp: room.as_mut_ptr().cast(),
        ss_flags: 0,
        ss_size: size_of_val(room),
    };
    let mut cache = RuleCache::boxed();
    let mut desk = Desk {
        snapshot: Snapshot::build(&loaded_modules(), 1),
        bounds: StackBounds::of_current_thread().expect("bounds"),
        cache: &mut *cache,
        out: [0; 100],
        walk: None,
        interrupted: 0,
    };
    DESK.store(&mut desk, SeqCst);
    // SAFETY: plain system calls on local structures; stack and desk outlive the signal.
    unsafe {
        let mut old: libc::stack_t = std::mem::zeroed();
        assert_eq!(libc::sigaltstack(&own, &mut old), 0);
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_painted_stack as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &action, null_mut()), 0);
        raiser();
        assert_eq!(libc::sigaltstack(&old, null_mut()), 0);
    }
    DESK.store(null_mut(), SeqCst);
    let whole = desk.walk.is_none_or(|walk| walk.end == WalkEnd::Root);
    assert!(whole, "the measured walk must be a whole one");
    std::hint::black_box((&cache, null::<u8>()));
}
