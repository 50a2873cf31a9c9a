//! Real programs, recorded and read back: the only room where recorder and reader meet. Never shipped.
//!
//! Holds what the tests in `tests/` share. [`go`] asks an installed Go toolchain what it thinks of a trace.

#![forbid(unsafe_code)]

pub mod go;
