//! Any bytes: they become events or an error, within the memory that they may take.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tachograph_fuzz::{drive::drive, memory::bounded};

fuzz_target!(|trace: &[u8]| {
    bounded(trace.len(), || drive(trace));
});
