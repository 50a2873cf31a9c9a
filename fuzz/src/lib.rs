//! Bytes that nobody wrote, for the readers; never shipped.
//!
//! What the targets in `targets/` share: [`drive`] reads a trace with all accessors on, [`memory`] bounds what that may allocate,
//! [`structured`] makes traces whose framing is right. `cargo xtask fuzz` builds and runs them.

pub mod drive;
pub mod memory;
pub mod structured;
