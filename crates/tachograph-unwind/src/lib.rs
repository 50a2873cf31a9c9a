//! Signal-safe stack unwinding through compact CFI tables.
//!
//! **What you give**: the registers of an interrupted thread (or of the caller), the bounds of its
//! stack, a [`Snapshot`] of the loaded modules and, if speed matters, a [`RuleCache`] of this thread.
//! **What you get**: the chain of lookup addresses, leaf first, written into your own memory, and a
//! word on why the chain ended. **Not for**: exceptions, other processes, callee-saved registers
//! other than the frame pointer, or names of functions.
//!
//! `Snapshot::build` turns the `.eh_frame` of every module into rows of 8 bytes (pc offset, rule).
//! That happens outside of signal handlers; [`walk`] only reads rows and the stack. On Linux x86-64
//! no frame pointers are needed. Elsewhere snapshots have no rows, and walking falls back to frame
//! pointers.
//!
//! # Rules
//! 1. `walk` and `walk_frame_pointers` MUST NOT allocate, lock, call libc or the loader, panic, or
//!    use thread-locals. They run inside a signal handler that may have interrupted any of these.
//! 2. Every load from the stack MUST lie in `[sp, high)` of [`StackBounds`], sp being that of the
//!    current frame, and be 8-byte aligned. The only exception is the 128-byte red zone below the sp
//!    of an interrupted frame, and never below `low`. Otherwise a wrong rule turns into a crash.
//! 3. A step MUST move sp upwards by at least 8 bytes and at most [`MAX_FRAME_BYTES`]. So a walk ends,
//!    whatever the stack holds.
//! 4. A rule MUST NOT be served under another snapshot's epoch. Every cache entry carries the epoch
//!    in its tag, so that entries made before a `dlclose` can't match after it.
//! 5. A cache entry MUST check itself: tag and rule are written by two stores, and a handler may land
//!    between them. An entry made of two halves is a miss.
//! 6. Module memory MUST be read only under the loader's lock, while the module is known to be
//!    loaded. Tables are made from copies, so that a `dlclose` can't pull memory from under us.
//!
//! Rules 2 and 3 are tested in `tests/hostile.rs`, 4 in `tests/reload.rs`, 5 in `cache.rs`; the
//! chains themselves are compared with framehop in `tests/agreement.rs`.
//!
//! # Cost
//! `cargo run --release -p tachograph-unwind --example walk_cost` prints ns per walk and per frame.
//!
//! # Example
//! ```
//! use tachograph_unwind::{Registers, Snapshot, StackBounds, loaded_modules, walk};
//!
//! let snapshot = Snapshot::build(&loaded_modules(), 1);
//! let bounds = StackBounds::of_current_thread().expect("a thread has a stack");
//! let mut frames = [0u64; 64];
//! // SAFETY: the registers are this thread's own, and so is the stack.
//! let walk = unsafe {
//!     let out = frames.as_mut_ptr();
//!     walk(&snapshot, std::ptr::null_mut(), Registers::capture(), bounds, out, frames.len())
//! };
//! assert!(walk.frames > 0);
//! ```

// Elsewhere nothing makes rows, so what rows are made with goes unused.
#![cfg_attr(
    not(all(target_os = "linux", target_arch = "x86_64")),
    allow(dead_code)
)]

mod bounds;
mod cache;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod compile;
mod frame_pointers;
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod loader;
mod memory;
mod modules;
mod registers;
mod rule;
mod self_test;
mod snapshot;
mod table;
mod trail;
mod walk;

pub use bounds::StackBounds;
pub use cache::RuleCache;
pub use frame_pointers::{walk_frame_pointers, walk_frame_pointers_in};
pub use memory::{LiveStack, Memory, StackCopy};
pub use modules::{Module, load_counters, loaded_modules};
pub use registers::Registers;
pub use self_test::{SelfTest, self_test};
pub use snapshot::Snapshot;
pub use trail::Trail;
pub use walk::{MAX_FRAME_BYTES, Walk, WalkEnd, walk, walk_in};
