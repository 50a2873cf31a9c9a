//! Sizes that the format sets, and the cuts that keep strings within them.
//!
//! Owns the limits. Called by everything that writes; the decoders refuse what goes beyond.

/// Payload bytes of one batch. Go's reader refuses 65537; the header is not counted.
pub const MAX_BATCH_BYTES: usize = 65536;
/// Bytes of one string; Go's reader refuses longer ones.
pub const MAX_STRING_BYTES: usize = 1024;
/// Frames of one stack; Go's reader refuses more.
pub const MAX_STACK_FRAMES: usize = 128;
/// Arguments of a timed event after its time delta.
pub const MAX_EVENT_ARGS: usize = 4;
/// Bytes of one number: 9 groups of 7 bits and one bit.
pub const MAX_VARINT_BYTES: usize = 10;
/// Bytes of one batch header at most: type, experiment number, four numbers.
pub const MAX_BATCH_HEADER_BYTES: usize = 2 + 4 * MAX_VARINT_BYTES;
/// Bytes of one timed event at most: code, delta, arguments.
pub const MAX_EVENT_BYTES: usize = 1 + (1 + MAX_EVENT_ARGS) * MAX_VARINT_BYTES;

/// The longest prefix of `text` that fits in a string of the trace and ends between characters.
#[must_use]
pub fn cut_string(text: &str) -> &str {
    if text.len() <= MAX_STRING_BYTES {
        return text;
    }
    let end = (0..=MAX_STRING_BYTES)
        .rev()
        .find(|&i| text.is_char_boundary(i));
    &text[..end.unwrap_or(0)]
}

/// The longest suffix of `text` that fits in a string of the trace and begins between characters.
///
/// For function and file names, whose end tells more than their beginning.
#[must_use]
pub fn cut_string_tail(text: &str) -> &str {
    let Some(over) = text.len().checked_sub(MAX_STRING_BYTES) else {
        return text;
    };
    let start = (over..=text.len()).find(|&i| text.is_char_boundary(i));
    &text[start.unwrap_or(text.len())..]
}

/// [`cut_string`] for bytes that need not be UTF-8: doesn't end inside a character if there is one at the cut.
#[must_use]
pub fn cut_bytes(bytes: &[u8]) -> &[u8] {
    if bytes.len() <= MAX_STRING_BYTES {
        return bytes;
    }
    let is_boundary = |&i: &usize| bytes[i] & 0xc0 != 0x80;
    let end = (MAX_STRING_BYTES - 3..=MAX_STRING_BYTES)
        .rev()
        .find(is_boundary);
    &bytes[..end.unwrap_or(MAX_STRING_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_strings_stay_whole() {
        let exact = "x".repeat(MAX_STRING_BYTES);
        for text in ["", "a", exact.as_str()] {
            assert_eq!(cut_string(text), text);
            assert_eq!(cut_string_tail(text), text);
            assert_eq!(cut_bytes(text.as_bytes()), text.as_bytes());
        }
    }

    #[test]
    fn cuts_fall_between_characters() {
        for (character, kept) in [("é", 1024), ("€", 1023), ("🦀", 1024)] {
            let text = character.repeat(600);
            assert_eq!(cut_string(&text).len(), kept);
            assert_eq!(cut_string_tail(&text).len(), kept);
            assert_eq!(cut_bytes(text.as_bytes()).len(), kept);
        }
        let shifted = format!("x{}", "🦀".repeat(600));
        assert_eq!(cut_string(&shifted).len(), 1021);
        assert_eq!(
            cut_bytes(shifted.as_bytes()),
            cut_string(&shifted).as_bytes()
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_cut_at_the_limit() {
        assert_eq!(cut_bytes(&[0x80; 3000]).len(), MAX_STRING_BYTES);
    }
}
