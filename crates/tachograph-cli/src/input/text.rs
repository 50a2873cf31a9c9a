//! Traces in text form: encoded before anyone reads them.
//!
//! Owns the question whether it is text. Called by `input`, behind decompression.

use super::{Trouble, Why};
use std::io::{self, Chain, Cursor, Read};
use tachograph_text::{Expectation, Golden, encode, encode::is_text};

/// The bytes of the trace, whatever form it has; `expects` is filled in from a golden file.
pub fn of<R: Read + Send + 'static>(
    input: Chain<Cursor<Vec<u8>>, R>,
    trouble: &Trouble,
    expects: &mut Option<Expectation>,
) -> io::Result<Box<dyn Read + Send>> {
    let start = input.get_ref().0.get_ref();
    let is_golden = Golden::is_golden(start);
    if !is_golden && !is_text(start) {
        return Ok(Box::new(input));
    }
    let mut text = Vec::new();
    let mut input = input;
    input.read_to_end(&mut text)?;
    let encoded = if is_golden {
        golden(&text, expects)
    } else {
        bare(&text)
    };
    let bytes = encoded.unwrap_or_else(|why| {
        trouble.put(Why::Content(why));
        Vec::new()
    });
    Ok(Box::new(Cursor::new(bytes)))
}

fn golden(text: &[u8], expects: &mut Option<Expectation>) -> Result<Vec<u8>, String> {
    let golden = Golden::parse(text).map_err(|error| format!("golden file: {error}"))?;
    let bytes = golden
        .to_trace()
        .map_err(|error| format!("golden file: {error}"))?;
    *expects = Some(golden.expect);
    Ok(bytes)
}

fn bare(text: &[u8]) -> Result<Vec<u8>, String> {
    let text = std::str::from_utf8(text).map_err(|error| {
        format!(
            "text trace: byte {:#x}: found no UTF-8, wanted text",
            error.valid_up_to()
        )
    })?;
    encode(text).map_err(|error| format!("text trace: {error}"))
}
