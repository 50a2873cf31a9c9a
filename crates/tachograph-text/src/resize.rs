//! Fills in the sizes of batches in text that was edited by hand.
//!
//! Owns the mark that keeps a size. Called by people, through `examples/resize.rs`.

use crate::encode::{TextError, TextItems};
use tachograph_wire::EventKind;

/// A comment line with these words keeps the size of the batch on the line after it, which is wrong on purpose.
pub const KEEP: &str = "keep size";

/// The text trace with the right `size=` in every `EventBatch` line: bytes of the items up to the next batch or end of generation.
///
/// All else stays as it is.
///
/// # Errors
/// If it is no text trace.
pub fn resize(text: &str) -> Result<String, TextError> {
    let sizes = sizes(text)?;
    let mut sizes = sizes.iter().peekable();
    let mut out = String::with_capacity(text.len() + 64);
    let mut kept = false;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        match sizes.next_if(|(number, _)| *number == index + 1) {
            Some((_, size)) if !kept => out.push_str(&with_size(line, *size)),
            _ => out.push_str(line),
        }
        kept = line.trim_start().starts_with('#') && line.contains(KEEP);
    }
    Ok(out)
}

/// Line and payload bytes of each batch.
fn sizes(text: &str) -> Result<Vec<(usize, usize)>, TextError> {
    let mut items = TextItems::new(text)?;
    let mut sizes: Vec<(usize, usize)> = Vec::new();
    let mut open = false;
    let mut item = Vec::new();
    while let Some((kind, line)) = items.next_into(&mut item)? {
        if kind == EventKind::EventBatch {
            sizes.push((line, 0));
        } else if let Some((_, size)) = sizes
            .last_mut()
            .filter(|_| open && !kind.spec().opens_item())
        {
            *size += item.len();
        }
        open = kind == EventKind::EventBatch || open && !kind.spec().opens_item();
        item.clear();
    }
    Ok(sizes)
}

fn with_size(line: &str, size: usize) -> String {
    const KEY: &str = "size=";
    let Some((before, after)) = line.split_once(KEY) else {
        return line.to_owned();
    };
    let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{before}{KEY}{size}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_in_sizes_and_leaves_the_rest() {
        let text = "Trace Go1.26\r\n# story\nEventBatch gen=1 m=1 time=0 size=999 \r\n\n  ProcStop dt=1\n# size=3\n\
                    ProcStop dt=200\nExperimentalBatch exp=1 gen=1 m=1 time=0\ndata=\"abc\"\n\
                    # keep size: too large\nEventBatch gen=1 m=1 time=0 size=9\nProcStop dt=1\n\
                    EventBatch gen=1 m=2 time=0 size=1\nEndOfGeneration\nProcStop dt=9";
        let wanted = text
            .replace("size=999", "size=5")
            .replace("size=1\n", "size=0\n");
        assert_eq!(resize(text).unwrap(), wanted);
        assert_eq!(resize(&wanted).unwrap(), wanted);
    }
}
