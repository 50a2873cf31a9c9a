//! Real programs, recorded and read back: the only room where recorder and reader meet. Never shipped.
//!
//! Holds what the tests in `tests/` share. [`record`] runs a program under a recorder, [`decode`] takes the trace apart,
//! [`check`] holds it against the rules of recording, and [`go`] asks an installed Go toolchain what it thinks of it.
//! [`stage`] runs asynchronous programs that are followed from pause to pause, [`tasks`] tells what became of each task, [`seen`] holds that
//! against what a test expects. [`verdict`] is what our own reader and validator say. [`load`] has the programs and [`report`] keeps figures on the screen when a test passes.

#![forbid(unsafe_code)]

pub mod check;
pub mod decode;
pub mod go;
pub mod load;
pub mod record;
pub mod report;
pub mod seen;
pub mod stage;
pub mod tasks;
pub mod verdict;
