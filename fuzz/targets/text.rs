//! Text traces: what can be encoded is read, and comes back as the same text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tachograph_fuzz::{drive::drive, memory::bounded};
use tachograph_text::{Golden, decode, encode, resize};

fuzz_target!(|text: &str| {
    let _ = Golden::parse(text.as_bytes()).map(|golden| golden.to_trace());
    // Sizes are seldom right after a change; without that, little would get beyond the first batch.
    let sized = resize(text);
    let Ok(trace) = encode(sized.as_deref().unwrap_or(text)) else {
        return;
    };
    bounded(trace.len(), || drive(&trace));
    if let Ok(again) = decode(&trace) {
        let back = encode(&again).map(|back| decode(&back));
        assert_eq!(back.ok().and_then(Result::ok), Some(again));
    }
});
