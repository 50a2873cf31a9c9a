//! Bytes as printable text between double quotes, as Go's `strconv.Quote` writes them.
//!
//! Owns the choice of escapes. Called by [`write`](crate::write) and by whoever prints strings of a trace.
//!
//! What is printable is what Unicode 17 says of letters, marks, numbers, punctuation and symbols, and the ASCII space;
//! Go 1.27 has the same table. Bytes that are no UTF-8 become `\xNN`, each for itself.

use std::fmt;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// Shows bytes quoted.
///
/// ```
/// assert_eq!(tachograph_text::Quoted(b"a\tb\xff").to_string(), r#""a\tb\xff""#);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quoted<'a>(
    /// The bytes.
    pub &'a [u8],
);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(self.0.len() + 2);
        quote_into(self.0, &mut text);
        // Only valid UTF-8 was put in, so nothing is lost.
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

/// Appends `bytes`, quoted. What is appended is valid UTF-8.
pub fn quote_into(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = bytes;
    loop {
        let plain = plain_prefix(rest);
        let (text, odd) = rest.split_at_checked(plain).unwrap_or((rest, &[]));
        out.extend_from_slice(text);
        let Some(&first) = odd.first() else { break };
        if first.is_ascii() {
            escape_ascii(first, out);
            rest = odd.get(1..).unwrap_or_default();
        } else {
            // All that is not ASCII up to the next byte that is: chunks of UTF-8 never straddle that border.
            let len = odd.iter().position(u8::is_ascii).unwrap_or(odd.len());
            let (run, after) = odd.split_at_checked(len).unwrap_or((odd, &[]));
            quote_beyond_ascii(run, out);
            rest = after;
        }
    }
    out.push(b'"');
}

/// How many bytes at the start stand for themselves.
#[inline]
fn plain_prefix(bytes: &[u8]) -> usize {
    const STEP: usize = 16;
    let mut whole = 0;
    // A fold over a fixed number of bytes is compiled to a few vector instructions, a search is not.
    for chunk in bytes.as_chunks::<STEP>().0 {
        if !chunk.iter().fold(true, |all, byte| all & is_plain(*byte)) {
            break;
        }
        whole += STEP;
    }
    let tail = bytes.get(whole..).unwrap_or_default();
    whole
        + tail
            .iter()
            .position(|byte| !is_plain(*byte))
            .unwrap_or(tail.len())
}

#[inline]
fn is_plain(byte: u8) -> bool {
    (b' '..0x7f).contains(&byte) & (byte != b'"') & (byte != b'\\')
}

fn escape_ascii(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'"' | b'\\' => out.extend([b'\\', byte]),
        0x07 => out.extend(b"\\a"),
        0x08 => out.extend(b"\\b"),
        0x0c => out.extend(b"\\f"),
        b'\n' => out.extend(b"\\n"),
        b'\r' => out.extend(b"\\r"),
        b'\t' => out.extend(b"\\t"),
        0x0b => out.extend(b"\\v"),
        _ => escape_byte(byte, out),
    }
}

fn quote_beyond_ascii(run: &[u8], out: &mut Vec<u8>) {
    for chunk in run.utf8_chunks() {
        for character in chunk.valid().chars() {
            if is_printable(character) {
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                escape_character(character, out);
            }
        }
        for byte in chunk.invalid() {
            escape_byte(*byte, out);
        }
    }
}

fn is_printable(character: char) -> bool {
    use GeneralCategoryGroup::{Letter, Mark, Number, Punctuation, Symbol};
    matches!(
        character.general_category_group(),
        Letter | Mark | Number | Punctuation | Symbol
    )
}

fn escape_byte(byte: u8, out: &mut Vec<u8>) {
    out.extend(b"\\x");
    hex(u32::from(byte), 2, out);
}

fn escape_character(character: char, out: &mut Vec<u8>) {
    let code = u32::from(character);
    if code < 0x10000 {
        out.extend(b"\\u");
        hex(code, 4, out);
    } else {
        out.extend(b"\\U");
        hex(code, 8, out);
    }
}

fn hex(value: u32, digits: u32, out: &mut Vec<u8>) {
    for i in (0..digits).rev() {
        let digit = (value >> (4 * i)) as u8 & 0xf;
        out.push(if digit < 10 {
            b'0' + digit
        } else {
            b'a' + digit - 10
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unquote::unquote;
    use proptest::prelude::*;

    fn quoted(bytes: &[u8]) -> String {
        Quoted(bytes).to_string()
    }

    #[test]
    fn escapes_what_does_not_print() {
        let pairs: [(&[u8], &str); 13] = [
            (b"", r#""""#),
            (
                b"plain text, longer than sixteen bytes",
                r#""plain text, longer than sixteen bytes""#,
            ),
            (b"sixteen bytes in\n", r#""sixteen bytes in\n""#),
            (b"\"\\'`", r#""\"\\'`""#),
            (b"\x07\x08\x0c\n\r\t\x0b", r#""\a\b\f\n\r\t\v""#),
            (b"\0\x1b\x1f\x7f", r#""\x00\x1b\x1f\x7f""#),
            (b"\xff\xfe a", r#""\xff\xfe a""#),
            // Characters cut short or of the surrogate range are single bytes.
            (b"\xe2\x82A\xed\xa0\x80", r#""\xe2\x82A\xed\xa0\x80""#),
            (
                "h\u{e9}llo \u{1f980}".as_bytes(),
                "\"h\u{e9}llo \u{1f980}\"",
            ),
            ("\u{fffd}".as_bytes(), "\"\u{fffd}\""),
            // A space that is not the ASCII one, a byte-order mark, a private character.
            (
                "\u{a0}\u{feff}\u{e000}".as_bytes(),
                r#""\u00a0\ufeff\ue000""#,
            ),
            ("\u{10ffff}".as_bytes(), r#""\U0010ffff""#),
            ("e\u{301}".as_bytes(), "\"e\u{301}\""),
        ];
        for (bytes, text) in pairs {
            assert_eq!(quoted(bytes), text);
        }
    }

    #[test]
    fn every_place_of_an_escape_is_found() {
        for len in 0..40 {
            for at in 0..len {
                let mut bytes = vec![b'x'; len];
                bytes[at] = b'"';
                let wanted = format!("\"{}\\\"{}\"", "x".repeat(at), "x".repeat(len - at - 1));
                assert_eq!(quoted(&bytes), wanted);
            }
        }
    }

    proptest! {
        #[test]
        fn unquote_gives_the_bytes_back(bytes in proptest::collection::vec(any::<u8>(), 0..80), text: String) {
            prop_assert_eq!(unquote(&quoted(&bytes)).unwrap(), bytes);
            prop_assert_eq!(unquote(&quoted(text.as_bytes())).unwrap(), text.into_bytes());
        }
    }
}
