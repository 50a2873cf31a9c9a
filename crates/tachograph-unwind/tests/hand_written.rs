//! Rules that compilers rarely write, in functions written by hand.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[path = "common/functions.rs"]
mod functions;

use std::arch::global_asm;
use std::cell::RefCell;

use tachograph_unwind::{Registers, Snapshot, StackBounds, WalkEnd, loaded_modules, walk};

// Each calls its only argument once, and has 64 bytes to itself.
global_asm!(
    // What GCC writes for a function that aligns its stack to 32 bytes.
    ".p2align 6",
    "realigned:",
    ".cfi_startproc",
    "lea r10, [rsp + 8]",
    ".cfi_def_cfa 10, 0",
    "and rsp, -32",
    "push qword ptr [r10 - 8]",
    "push rbp",
    "mov rbp, rsp",
    ".cfi_escape 0x10, 0x6, 0x2, 0x76, 0",
    "push r10",
    ".cfi_escape 0xf, 0x3, 0x76, 0x78, 0x6",
    "sub rsp, 40",
    "call rdi",
    "add rsp, 40",
    "pop r10",
    ".cfi_def_cfa 10, 0",
    "pop rbp",
    "lea rsp, [r10 - 8]",
    ".cfi_def_cfa 7, 8",
    "ret",
    ".cfi_endproc",
    // A slot of a procedure linkage table: from byte 11 on, one more word is on the stack.
    ".p2align 6",
    "linkage_slot:",
    ".cfi_startproc",
    ".cfi_escape 0xf, 0xb, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22",
    ".byte 0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0",
    "push 0",
    "call rdi",
    "add rsp, 8",
    ".cfi_escape 0xf, 0x2, 0x77, 8",
    "ret",
    ".cfi_endproc",
    // No table at all, but a frame pointer.
    ".p2align 6",
    "without_table:",
    "push rbp",
    "mov rbp, rsp",
    "call rdi",
    "pop rbp",
    "ret",
    ".p2align 6",
);

unsafe extern "C" {
    fn realigned(call: extern "C" fn());
    fn linkage_slot(call: extern "C" fn());
    fn without_table(call: extern "C" fn());
}

#[derive(Default)]
struct Seen {
    chain: Vec<u64>,
    end: Option<WalkEnd>,
    guesses: usize,
}

thread_local! {
    static SNAPSHOT: Snapshot = Snapshot::build(&loaded_modules(), 1);
    static SEEN: RefCell<Seen> = RefCell::default();
}

extern "C" fn look_around() {
    SNAPSHOT.with(|snapshot| {
        let mut out = [0u64; 100];
        let bounds = StackBounds::of_current_thread().expect("bounds");
        // SAFETY: the registers are those of this frame, the bounds those of this thread.
        let walk = unsafe {
            let (here, cache) = (Registers::capture(), std::ptr::null_mut());
            walk(snapshot, cache, here, bounds, out.as_mut_ptr(), out.len())
        };
        let (chain, end) = (out[..walk.frames].to_vec(), Some(walk.end));
        SEEN.with_borrow_mut(|seen| {
            *seen = Seen {
                chain,
                end,
                guesses: walk.guesses,
            }
        });
    });
}

#[inline(never)]
fn caller(function: unsafe extern "C" fn(extern "C" fn())) {
    // SAFETY: the function calls its argument and returns.
    unsafe { function(look_around) };
    std::hint::black_box(());
}

/// The chain must lead through `function` to `caller` directly, and on to the root.
fn chain_through(function: unsafe extern "C" fn(extern "C" fn())) -> Seen {
    caller(function);
    let seen = SEEN.take();
    let modules = loaded_modules();
    let near = |pc: u64| pc.wrapping_sub(function as usize as u64) < 64;
    let at = seen
        .chain
        .iter()
        .position(|pc| near(*pc))
        .expect("the function is in the chain");
    let caller = functions::range_of(&modules, caller as *const () as usize);
    assert!(caller.contains(&seen.chain[at + 1]), "{:x?}", seen.chain);
    assert_eq!(seen.end, Some(WalkEnd::Root));
    seen
}

#[test]
fn a_realigned_stack_is_followed_through_its_saved_cfa() {
    assert_eq!(chain_through(realigned).guesses, 0);
}

#[test]
fn a_linkage_slot_is_followed_by_position() {
    assert_eq!(chain_through(linkage_slot).guesses, 0);
}

#[test]
fn code_without_a_table_is_followed_by_frame_pointer_and_counted() {
    assert_eq!(chain_through(without_table).guesses, 1);
}
