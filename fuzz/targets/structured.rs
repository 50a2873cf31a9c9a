//! Traces with the right framing: ordering and the validator get everything that they may meet.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tachograph_fuzz::{drive::drive, memory::bounded, structured};

fuzz_target!(|choices: &[u8]| {
    let trace = structured::trace(choices);
    bounded(trace.len(), || drive(&trace));
});
