//! Follows rules from a frame to its callers.
//!
//! Owns [`walk`] and its loop. Runs in signal handlers: rules 1 to 3 of `lib.rs` hold for every line
//! here and for all that it calls.

use crate::memory::{LiveStack, Memory};
use crate::rule::{Kind, Rule};
use crate::{Registers, RuleCache, Snapshot, StackBounds};

/// The largest frame that a walk steps over.
pub const MAX_FRAME_BYTES: u64 = 256 << 10;

/// What the x86-64 ABI lets a leaf function use below its sp.
const RED_ZONE_BYTES: u64 = 128;
/// Nothing is ever mapped below this address.
const LOWEST_CODE: u64 = 0x1000;
/// User-space addresses end below this.
const HIGHEST_CODE: u64 = 1 << 47;

// Offsets in the kernel's x86-64 `struct ucontext`: 40 bytes of head, then r8 to r15, rdi, rsi, rbp,
// rbx, rdx, rax, rcx, rsp, rip.
const UCONTEXT_FP: u64 = 40 + 10 * 8;
const UCONTEXT_SP: u64 = 40 + 15 * 8;
const UCONTEXT_IP: u64 = 40 + 16 * 8;

/// Why a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkEnd {
    /// The outermost frame was reached.
    Root,
    /// There are more frames than fit into the output.
    Truncated,
    /// The last frame's code has no table, and its frame pointer leads nowhere.
    UnknownCode,
    /// The last frame's stack contradicts its rule.
    BadFrame,
}

/// What a walk found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    /// How many addresses were written.
    pub frames: usize,
    /// Why there are no more.
    pub end: WalkEnd,
    /// How many steps were guesses: the code had no usable rule, and frame pointers, or the word at
    /// sp, looked plausible.
    pub guesses: usize,
    /// Whether some frame's code lay outside of all modules of the snapshot. After `dlopen` this
    /// means that the snapshot is out of date.
    pub left_modules: bool,
}

/// Writes the lookup addresses of a thread's frames, leaf first, to `out`.
///
/// `out[0]` is `registers.ip` itself. Every caller is its return address minus 1, so that the address
/// lies inside the call. After a signal frame comes the exact ip that the signal interrupted.
/// `cache` may be null. Signal safe: no allocation, no locks, no libc, no panics, under 1 KiB of stack.
///
/// # Safety
/// * `registers` are those of the calling thread: interrupted by the signal that is being handled, or
///   captured in a frame that has not returned.
/// * The part of `bounds` at and above `registers.sp` is readable while this runs, as is the red zone
///   (128 bytes) below it.
/// * `cache` is null, or points to a cache (or zeroed memory of its size) that no other thread uses.
/// * `out` points to `capacity` words that may be written to.
pub unsafe fn walk(
    snapshot: &Snapshot,
    cache: *mut RuleCache,
    registers: Registers,
    bounds: StackBounds,
    out: *mut u64,
    capacity: usize,
) -> Walk {
    // SAFETY: the caller keeps the same promises.
    unsafe {
        walk_in(
            &LiveStack, snapshot, cache, registers, bounds, out, capacity,
        )
    }
}

/// [`walk`] over any memory, such as a copy of a stack.
///
/// # Safety
/// * `memory` can load any aligned word within `bounds`, at or above 128 bytes below `registers.sp`.
/// * `cache` is null, or points to a cache (or zeroed memory of its size) that no other thread uses.
/// * `out` points to `capacity` words that may be written to.
pub unsafe fn walk_in<M: Memory>(
    memory: &M,
    snapshot: &Snapshot,
    cache: *mut RuleCache,
    registers: Registers,
    bounds: StackBounds,
    out: *mut u64,
    capacity: usize,
) -> Walk {
    // SAFETY: the caller says that `cache` is null or valid; zeroed memory is a valid cache.
    let cache = unsafe { cache.as_ref() };
    let mut walker = Walker {
        memory,
        snapshot,
        cache,
        bounds: bounds.usable(),
        frame: Frame {
            pc: registers.ip,
            sp: registers.sp,
            fp: registers.fp,
            interrupted: true,
        },
        guesses: 0,
        left_modules: false,
    };
    // SAFETY: passed on from the caller.
    let (frames, end) = unsafe { walker.run(out, capacity) };
    Walk {
        frames,
        end,
        guesses: walker.guesses,
        left_modules: walker.left_modules,
    }
}

/// One frame: where to look up its code, and the registers that its rule counts from.
#[derive(Clone, Copy)]
struct Frame {
    /// The ip of an interrupted frame, else the return address minus 1.
    pc: u64,
    sp: u64,
    fp: u64,
    /// Whether the frame was interrupted, rather than having called the one before.
    interrupted: bool,
}

struct Walker<'a, M> {
    memory: &'a M,
    snapshot: &'a Snapshot,
    cache: Option<&'a RuleCache>,
    bounds: StackBounds,
    frame: Frame,
    guesses: usize,
    left_modules: bool,
}

impl<M: Memory> Walker<'_, M> {
    /// # Safety
    /// As for [`walk_in`].
    #[inline(always)]
    unsafe fn run(&mut self, out: *mut u64, capacity: usize) -> (usize, WalkEnd) {
        if capacity == 0 {
            return (0, WalkEnd::Truncated);
        }
        // SAFETY: capacity is at least 1.
        unsafe { out.write(self.frame.pc) };
        let mut written = 1;
        if !self.bounds.contains(self.frame.sp) || !self.frame.sp.is_multiple_of(8) {
            return (written, WalkEnd::BadFrame);
        }
        let mut frame = self.frame;
        loop {
            let rule = self.rule_at(frame.pc);
            if let Some(caller) = self.step_plain(rule, frame) {
                frame = caller;
            } else {
                self.frame = frame;
                match self.step_specially(rule) {
                    Ok(caller) => frame = caller,
                    Err(end) => return (written, end),
                }
            }
            if written == capacity {
                return (written, WalkEnd::Truncated);
            }
            // SAFETY: written < capacity.
            unsafe { out.add(written).write(frame.pc) };
            written += 1;
        }
    }

    #[inline(always)]
    fn rule_at(&mut self, pc: u64) -> Rule {
        let epoch = self.snapshot.cache_epoch();
        match self.cache.and_then(|cache| cache.find(pc, epoch)) {
            Some(rule) => rule,
            None => self.look_up(pc),
        }
    }

    #[cold]
    #[inline(never)]
    fn look_up(&mut self, pc: u64) -> Rule {
        let rule = self.snapshot.find(pc).rule;
        if let Some(cache) = self.cache {
            cache.insert(pc, self.snapshot.cache_epoch(), rule);
        }
        rule
    }

    /// The hot path. `None` for all that is not plain, or fails a check.
    #[inline(always)]
    fn step_plain(&self, rule: Rule, frame: Frame) -> Option<Frame> {
        if !rule.is_plain() {
            return None;
        }
        if rule.is_from_fp() {
            self.memory.uses_fp();
        }
        // Which of the two it is alternates from frame to frame, so a branch would be mispredicted.
        let base = std::hint::select_unpredictable(rule.is_from_fp(), frame.fp, frame.sp);
        let cfa = base.wrapping_add(rule.cfa_offset());
        let size = cfa.wrapping_sub(frame.sp);
        if !is_frame_size(size) || cfa > self.bounds.high || rule.fp_slot() > size {
            return None;
        }
        // SAFETY: both words are aligned, as sp is and size is a multiple of 8; and both lie between
        // sp and cfa <= high, as a slot is at least 8 and at most size bytes below cfa.
        let (return_address, saved) = unsafe {
            (
                self.memory.load(cfa - 8),
                self.memory.load_fp(cfa - rule.fp_slot()),
            )
        };
        if return_address == 0 {
            return None;
        }
        if !rule.keeps_fp() {
            self.memory.restores_fp();
        }
        let fp = std::hint::select_unpredictable(rule.keeps_fp(), frame.fp, saved);
        Some(Frame {
            pc: return_address - 1,
            sp: cfa,
            fp,
            interrupted: false,
        })
    }

    /// Everything that is rare: other kinds of rules, and plain ones that the hot path refused.
    #[cold]
    #[inline(never)]
    fn step_specially(&mut self, rule: Rule) -> Result<Frame, WalkEnd> {
        let frame = self.frame;
        self.memory.uses_fp();
        match rule.kind() {
            Kind::Root => Err(WalkEnd::Root),
            Kind::Plain => {
                let base = if rule.is_from_fp() {
                    frame.fp
                } else {
                    frame.sp
                };
                let cfa = base.wrapping_add(rule.cfa_offset());
                self.step_to(cfa, self.saved_fp(rule, cfa)?)
            }
            Kind::Plt => {
                let cfa = frame.sp.wrapping_add(rule.plt_cfa_offset(frame.pc));
                self.step_to(cfa, frame.fp)
            }
            Kind::Realigned => {
                let cfa = self.load(frame.fp.wrapping_add_signed(rule.cfa_word_offset()))?;
                self.step_to(cfa, self.saved_fp(rule, cfa)?)
            }
            Kind::Signal => self.step_over_signal(),
            Kind::Unknown | Kind::Unsupported => self.guess(),
        }
    }

    fn saved_fp(&self, rule: Rule, cfa: u64) -> Result<u64, WalkEnd> {
        if rule.keeps_fp() {
            Ok(self.frame.fp)
        } else if rule.kind() == Kind::Realigned && rule.has_fp_at_fp() {
            self.load(self.frame.fp)
        } else {
            self.load(cfa.wrapping_sub(rule.fp_slot()))
        }
    }

    fn step_to(&self, cfa: u64, fp: u64) -> Result<Frame, WalkEnd> {
        if !is_frame_size(cfa.wrapping_sub(self.frame.sp)) {
            return Err(WalkEnd::BadFrame);
        }
        match self.load(cfa - 8)? {
            0 => Err(WalkEnd::Root),
            return_address => Ok(called_from(return_address, cfa, fp)),
        }
    }

    /// The handler has returned into the trampoline, so sp points to the ucontext.
    fn step_over_signal(&self) -> Result<Frame, WalkEnd> {
        let register = |offset: u64| self.load(self.frame.sp.wrapping_add(offset));
        let (pc, sp) = (register(UCONTEXT_IP)?, register(UCONTEXT_SP)?);
        let fp = register(UCONTEXT_FP)?;
        if !is_frame_size(sp.wrapping_sub(self.frame.sp)) || !self.bounds.contains(sp) {
            return Err(WalkEnd::BadFrame);
        }
        Ok(Frame {
            pc,
            sp,
            fp,
            interrupted: true,
        })
    }

    /// Without a rule: generated code, assembly without tables, a call through a bad pointer.
    fn guess(&mut self) -> Result<Frame, WalkEnd> {
        self.guesses += 1;
        let in_module = self.snapshot.find(self.frame.pc).in_module;
        self.left_modules |= !in_module;
        let by_frame_pointer = self.by_frame_pointer();
        // Generated code keeps frame pointers. Assembly in a module often has no frame yet, nor has
        // what sits at an address where no code can be.
        let guess = if in_module || !is_code_address(self.frame.pc) {
            self.by_word_at_sp().or(by_frame_pointer)
        } else {
            by_frame_pointer.or_else(|| self.by_word_at_sp())
        };
        guess.ok_or(WalkEnd::UnknownCode)
    }

    /// The caller, if the frame pointer looks like one.
    fn by_frame_pointer(&self) -> Option<Frame> {
        let Frame { sp, fp, .. } = self.frame;
        let cfa = fp.checked_add(16)?;
        if fp < sp || !is_frame_size(cfa - sp) {
            return None;
        }
        let (caller_fp, return_address) = (self.load(fp).ok()?, self.load(fp + 8).ok()?);
        let links_on = caller_fp == 0
            || caller_fp.is_multiple_of(8) && caller_fp >= cfa && self.bounds.contains(caller_fp);
        let returns_to_module = self.snapshot.find(return_address.wrapping_sub(1)).in_module;
        (is_code_address(return_address) && (links_on || returns_to_module))
            .then(|| called_from(return_address, cfa, caller_fp))
    }

    /// The caller, if an interrupted frame has pushed nothing and sp points to its return address.
    fn by_word_at_sp(&self) -> Option<Frame> {
        let Frame {
            sp,
            fp,
            interrupted,
            ..
        } = self.frame;
        if !interrupted || !cfg!(target_arch = "x86_64") {
            return None;
        }
        let return_address = self.load(sp).ok()?;
        let found = self.snapshot.find(return_address.wrapping_sub(1));
        (found.rule != Rule::UNKNOWN).then(|| called_from(return_address, sp.wrapping_add(8), fp))
    }

    /// Rule 2, in full.
    fn load(&self, address: u64) -> Result<u64, WalkEnd> {
        let sp = self.frame.sp;
        let red_zone = if self.frame.interrupted {
            RED_ZONE_BYTES
        } else {
            0
        };
        let floor = sp.saturating_sub(red_zone).max(self.bounds.low.min(sp));
        let fits = address.is_multiple_of(8)
            && address >= floor
            && address < self.bounds.high
            && self.bounds.high - address >= 8;
        if !fits {
            return Err(WalkEnd::BadFrame);
        }
        // SAFETY: just checked; sp itself lies within the bounds.
        Ok(unsafe { self.memory.load(address) })
    }
}

fn called_from(return_address: u64, sp: u64, fp: u64) -> Frame {
    Frame {
        pc: return_address.wrapping_sub(1),
        sp,
        fp,
        interrupted: false,
    }
}

/// Rule 3: a multiple of 8 from 8 to [`MAX_FRAME_BYTES`]. As sp is aligned, so is the CFA then.
#[inline(always)]
pub(crate) fn is_frame_size(bytes: u64) -> bool {
    // Odd low bits rotate into the high end, and 0 wraps around to it.
    bytes.rotate_right(3).wrapping_sub(1) < MAX_FRAME_BYTES / 8
}

/// Whether an address can be that of user code at all.
fn is_code_address(address: u64) -> bool {
    (LOWEST_CODE..HIGHEST_CODE).contains(&address)
}
