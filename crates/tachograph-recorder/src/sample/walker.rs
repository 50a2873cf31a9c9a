//! The unwinder's tables as handlers and events use them, and the memory maps for stacks that nobody told us.
//!
//! `Tables` are immutable and published by pointer. A reader is inside a critical section, or is the thread that asks for an event's
//! stack just before one; the engine frees old tables only after every thread has been seen outside (`advance` rule 5).

use tachograph_unwind::{
    Registers, Snapshot, StackBounds, Trail, Walk, WalkEnd, loaded_modules, self_test, walk,
    walk_frame_pointers,
};
use tachograph_wire::metadata::Cause;

use super::maps::StackMaps;
use super::state::Rings;
use crate::core::CORE;
use crate::gate::WriteFlag;
use crate::record::ThreadRecord;
use crate::sync::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

/// Frames kept of a sample; with inlined frames expanded the wire allows 128.
pub(crate) const MAX_SAMPLE_FRAMES: usize = 127;

/// How stacks are walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnwinderKind {
    /// Through unwind tables, frame pointers where there are none.
    Cfi,
    /// Frame pointers only: the self-test of the tables failed.
    FramePointers,
    /// Not at all: samples have one frame.
    Leaf,
}

impl UnwinderKind {
    /// The name that the trace's metadata and the summary use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cfi => "cfi",
            Self::FramePointers => "frame_pointers",
            Self::Leaf => "leaf",
        }
    }
}

/// One published state of the program's code and stacks.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) snapshot: Snapshot,
    pub(crate) maps: StackMaps,
    pub(crate) kind: UnwinderKind,
    /// Whether this program keeps frame pointers, as far as the self-test saw.
    pub(crate) frame_pointers: bool,
}

impl Tables {
    /// Reads the program's code as it is loaded now, and tests the walkers on it. Milliseconds; not signal safe.
    pub(crate) fn build() -> Self {
        let snapshot = Snapshot::build(&loaded_modules(), 1);
        let test = self_test(&snapshot);
        let kind = match (test.cfi, test.frame_pointers) {
            (true, _) => UnwinderKind::Cfi,
            (false, true) => UnwinderKind::FramePointers,
            (false, false) => UnwinderKind::Leaf,
        };
        Self {
            snapshot,
            maps: StackMaps::read(),
            kind,
            frame_pointers: test.frame_pointers,
        }
    }

    /// The same after modules or stacks have come and gone.
    pub(crate) fn refreshed(&self) -> Self {
        Self {
            snapshot: self.snapshot.refreshed(&loaded_modules()),
            maps: StackMaps::read(),
            kind: self.kind,
            frame_pointers: self.frame_pointers,
        }
    }
}

/// The published tables.
#[derive(Debug)]
pub(crate) struct Published {
    tables: AtomicPtr<Tables>,
    /// A handler met code or a stack that the tables don't know.
    stale: AtomicBool,
    /// Counts the tables.
    epoch: AtomicU64,
}

impl Published {
    pub(crate) const fn new() -> Self {
        Self {
            tables: AtomicPtr::new(std::ptr::null_mut()),
            stale: AtomicBool::new(false),
            epoch: AtomicU64::new(0),
        }
    }

    /// Publishes `tables` and returns those before. They may be freed once every thread has been seen outside of its critical
    /// section.
    pub(crate) fn replace(&self, tables: Box<Tables>) -> Option<Box<Tables>> {
        // AcqRel: pairs with the Acquire in `get`.
        let old = self.tables.swap(Box::into_raw(tables), Ordering::AcqRel);
        // Release: pairs with the Acquire in `epoch`.
        self.epoch.fetch_add(1, Ordering::Release);
        // SAFETY: made by `Box::into_raw` here.
        (!old.is_null()).then(|| unsafe { Box::from_raw(old) })
    }

    /// The tables in force. Inside a critical section, or as the engine.
    #[inline(always)]
    pub(crate) fn get(&self) -> Option<&Tables> {
        // SAFETY: null, or leaked and freed only as the module's text says.
        unsafe { self.tables.load(Ordering::Acquire).as_ref() }
    }

    /// Stands for the tables in force, or those before: whoever then walks does so by these or later ones.
    #[inline(always)]
    pub(crate) fn epoch(&self) -> u64 {
        // Acquire: pairs with the Release in `replace`.
        self.epoch.load(Ordering::Acquire)
    }

    /// Asks the engine to look again.
    #[inline(always)]
    pub(crate) fn mark_stale(&self) {
        // Relaxed: a hint.
        self.stale.store(true, Ordering::Relaxed);
    }

    /// Whether somebody asked since the last call.
    pub(crate) fn take_stale(&self) -> bool {
        self.stale.swap(false, Ordering::Relaxed)
    }
}

/// A walked stack and what is missing of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walked {
    pub(crate) frames: usize,
    pub(crate) incomplete: Option<Cause>,
}

/// Walks the interrupted stack into `out`. Signal safe. There is always a first frame.
///
/// # Safety
/// * `out` is writable for `capacity` >= 1 words.
/// * `registers` are those of the calling thread at its interruption, `alternate` its alternate signal stack.
/// * The caller is inside a critical section.
#[inline(always)]
pub(crate) unsafe fn walk_interrupted(
    record: &ThreadRecord,
    rings: &Rings,
    registers: Registers,
    alternate: StackBounds,
    out: *mut u64,
    capacity: usize,
) -> Walked {
    // SAFETY: owed by the caller.
    unsafe { out.write(registers.ip) };
    let leaf = |cause| Walked {
        frames: 1,
        incomplete: Some(cause),
    };
    let Some(tables) = CORE.sampler.tables.get() else {
        return leaf(Cause::UnknownModule);
    };
    let bounds = match record.sample.bounds() {
        Some(bounds) if bounds.contains(registers.sp) => bounds,
        _ if alternate.contains(registers.sp) => return leaf(Cause::AlternateStack),
        _ => match tables.maps.find(registers.sp) {
            Some(bounds) => bounds,
            None => {
                CORE.sampler.tables.mark_stale();
                return leaf(Cause::StackBounds);
            }
        },
    };
    // SAFETY: owed by the caller; `bounds` holds the stack pointer and is mapped as long as the thread runs on it.
    let walk = unsafe { walk_by_kind(tables, rings.cache, registers, bounds, out, capacity) };
    let incomplete = match walk.end {
        WalkEnd::Root => None,
        WalkEnd::Truncated => Some(Cause::Truncated),
        WalkEnd::UnknownCode => {
            CORE.sampler.tables.mark_stale();
            Some(Cause::UnknownModule)
        }
        WalkEnd::BadFrame => Some(Cause::BadFrame),
    };
    Walked {
        frames: walk.frames.max(1),
        incomplete,
    }
}

#[inline(never)]
unsafe fn walk_by_kind(
    tables: &Tables,
    cache: *mut tachograph_unwind::RuleCache,
    registers: Registers,
    bounds: StackBounds,
    out: *mut u64,
    capacity: usize,
) -> Walk {
    // SAFETY: owed by the caller.
    unsafe {
        match tables.kind {
            UnwinderKind::Cfi => walk(&tables.snapshot, cache, registers, bounds, out, capacity),
            UnwinderKind::FramePointers => walk_frame_pointers(registers, bounds, out, capacity),
            UnwinderKind::Leaf => walk_frame_pointers(registers, bounds, out, 1),
        }
    }
}

/// Walks the calling thread's own stack through the tables, for an event, and keeps the trail if that is asked for. Returns the number of
/// frames, 0 when nothing is recorded.
///
/// # Safety
/// * `out` is writable for `capacity` words.
/// * `registers` were captured in a frame that is still alive; `bounds` lie on this thread's stack.
pub(crate) unsafe fn walk_own(
    record: &ThreadRecord,
    registers: Registers,
    bounds: StackBounds,
    trail: Option<&mut Trail>,
    out: *mut u64,
    capacity: usize,
) -> usize {
    let flag: &WriteFlag = &record.flag;
    let crate::gate::Entry::In(_) = CORE.gate.enter(flag) else {
        return 0;
    };
    let frames = match CORE.sampler.tables.get() {
        Some(tables) => {
            let cache = match record.sample.rings() {
                Some(rings) => rings.cache,
                None => record.event_cache.get(),
            };
            // SAFETY: owed by the caller.
            let walked = unsafe {
                match (trail, tables.kind) {
                    (Some(trail), UnwinderKind::Cfi) => {
                        trail.walk(&tables.snapshot, cache, registers, bounds, out, capacity)
                    }
                    _ => walk_by_kind(tables, cache, registers, bounds, out, capacity),
                }
            };
            walked.frames
        }
        None => 0,
    };
    CORE.gate.leave(flag);
    frames
}
