//! Bytes written by hand: hex digits in pairs, and quoted text.
//!
//! Owns the grammar of the `bytes` member of golden files. Called by [`golden`](crate::golden) only.

use crate::encode::TextError;
use crate::unquote::unquote;

const WANTED: &str = "pairs of hex digits, a \"quoted\" text or a # comment";

/// Reads lines of pairs of hex digits, with or without space between them, and Go-quoted texts; `#` begins a comment.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, TextError> {
    let mut bytes = Vec::new();
    for (index, line) in text.lines().enumerate() {
        decode_line(line, &mut bytes).map_err(|found| TextError {
            line: index + 1,
            found,
            wanted: WANTED.to_owned(),
        })?;
    }
    Ok(bytes)
}

fn decode_line(line: &str, bytes: &mut Vec<u8>) -> Result<(), String> {
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '#' => return Ok(()),
            '"' => {
                let len = quoted_len(rest).ok_or(rest)?;
                let quoted = rest.get(..len).unwrap_or(rest);
                bytes.extend(unquote(quoted).map_err(|_| quoted)?);
                len
            }
            _ => {
                let pair = rest.get(..2).ok_or(rest)?;
                let digits = pair.bytes().all(|byte| byte.is_ascii_hexdigit());
                let byte = u8::from_str_radix(pair, 16).ok().filter(|_| digits);
                bytes.push(byte.ok_or(pair)?);
                2
            }
        };
        rest = rest.get(len..).unwrap_or_default().trim_start();
    }
    Ok(())
}

/// Bytes up to and with the closing quote.
fn quoted_len(text: &str) -> Option<usize> {
    let mut escaped = false;
    let close = text.char_indices().skip(1).find(|(_, c)| {
        let closes = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        closes
    });
    close.map(|(at, _)| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_pairs_and_texts() {
        let text = "\"go 1.26\\x00\" 00ff A0 # comment \"\n\n  # more\n\"\\\"#\"01";
        assert_eq!(decode(text).unwrap(), b"go 1.26\0\0\xff\xa0\"#\x01");
    }

    #[test]
    fn refuses_halves_and_others() {
        for (text, found) in [
            ("0", "0"),
            ("00 0", "0"),
            ("0 1", "0 "),
            ("+1", "+1"),
            ("zz", "zz"),
            ("\"a", "\"a"),
            ("\"\\q\"", "\"\\q\""),
        ] {
            assert_eq!(decode(text).unwrap_err().found, found);
        }
    }
}
