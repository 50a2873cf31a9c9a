//! The advancer's half of the asymmetric fence: a memory barrier on every running thread of the process.
//!
//! Called by `engine` at start and by `advance` after each publication. Its partner is the compiler fence in `gate`.

use crate::sync::{Ordering, fence};

/// How the event path and the thread that cuts the generations agree on which one an event belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FenceKind {
    /// `membarrier(PRIVATE_EXPEDITED)` on the advancer's side, nothing on the event path.
    Membarrier,
    /// A full fence on both sides: the kernel refused `membarrier`, or has none.
    Full,
}

impl FenceKind {
    /// The name that the trace's metadata and the summary use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Membarrier => "membarrier",
            Self::Full => "full",
        }
    }
}

#[cfg(all(target_os = "linux", not(loom)))]
const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
#[cfg(all(target_os = "linux", not(loom)))]
const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;

#[cfg(all(target_os = "linux", not(loom)))]
fn membarrier(command: libc::c_int) -> bool {
    // SAFETY: membarrier takes two integers and touches no memory of ours.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0) == 0 }
}

#[cfg(not(all(target_os = "linux", not(loom))))]
const PRIVATE_EXPEDITED: i32 = 0;
#[cfg(not(all(target_os = "linux", not(loom))))]
const REGISTER_PRIVATE_EXPEDITED: i32 = 0;

#[cfg(not(all(target_os = "linux", not(loom))))]
fn membarrier(_command: i32) -> bool {
    false
}

/// Registers the process for expedited barriers and tries one.
pub(crate) fn register() -> FenceKind {
    if membarrier(REGISTER_PRIVATE_EXPEDITED) && membarrier(PRIVATE_EXPEDITED) {
        FenceKind::Membarrier
    } else {
        FenceKind::Full
    }
}

/// Takes a page's write permission away: where processors hear of that by an interrupt, which most x86-64 ones do, that is a
/// barrier.
#[cfg(all(target_os = "linux", not(loom)))]
fn interrupt_processors() {
    let Some(page) = crate::buffer::map_pages(PAGE_BYTES) else {
        return;
    };
    // SAFETY: our own page, touched while it is writable, and unmapped at the end.
    unsafe {
        page.as_ptr().write_volatile(1);
        libc::mprotect(page.as_ptr().cast(), PAGE_BYTES, libc::PROT_READ);
        libc::munmap(page.as_ptr().cast(), PAGE_BYTES);
    }
}

#[cfg(all(target_os = "linux", not(loom)))]
const PAGE_BYTES: usize = 4096;

#[cfg(not(all(target_os = "linux", not(loom))))]
fn interrupt_processors() {}

/// Orders this thread's earlier stores before its later loads, as seen by every thread of the process.
///
/// False when the kernel has gone back on `membarrier` (a filter has come since): the processors are then reached by other means
/// where that works, and the event path must pay full fences from now on.
pub fn heavy_fence(kind: FenceKind) -> bool {
    fence(Ordering::SeqCst);
    let reached = kind == FenceKind::Full || membarrier(PRIVATE_EXPEDITED);
    if !reached {
        interrupt_processors();
    }
    reached
}
