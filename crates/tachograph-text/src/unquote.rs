//! Bytes out of a Go-quoted string, as Go's `strconv.Unquote` takes them.
//!
//! Owns the grammar of both forms: `"..."` with escapes, and `` `...` `` without. Called by [`encode()`](crate::encode())
//! and [`expect`](crate::expect).

use std::fmt;
use std::str::Chars;

/// Why text is not a quoted string.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum UnquoteError {
    /// It is not between two double quotes or two backquotes.
    NoQuotes,
    /// It ends, or begins a new line, before the closing quote.
    Unclosed,
    /// A quote stands in the middle; holds what follows it.
    Trailing(String),
    /// An escape that Go doesn't have; holds its text as far as it was read.
    Escape(String),
}

impl fmt::Display for UnquoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoQuotes => f.write_str("found no quotes, wanted \"..\" or `..`"),
            Self::Unclosed => f.write_str("found no closing quote on the line"),
            Self::Trailing(rest) => write!(f, "found `{rest}` after the closing quote"),
            Self::Escape(text) => write!(f, "found `\\{text}`, wanted an escape of Go"),
        }
    }
}

impl std::error::Error for UnquoteError {}

/// The bytes that `text` stands for.
///
/// # Errors
/// If it is not one quoted string and nothing else.
pub fn unquote(text: &str) -> Result<Vec<u8>, UnquoteError> {
    if let Some(rest) = text.strip_prefix('`') {
        return unquote_raw(rest);
    }
    let rest = text.strip_prefix('"').ok_or(UnquoteError::NoQuotes)?;
    let mut bytes = Vec::with_capacity(rest.len());
    let mut rest = rest.chars();
    loop {
        match rest.next() {
            None | Some('\n') => return Err(UnquoteError::Unclosed),
            Some('"') if rest.as_str().is_empty() => return Ok(bytes),
            Some('"') => return Err(UnquoteError::Trailing(rest.as_str().to_owned())),
            Some('\\') => unescape(&mut rest, &mut bytes)?,
            Some(plain) => push(plain, &mut bytes),
        }
    }
}

/// Everything up to the closing backquote, but for carriage returns, which Go leaves out.
fn unquote_raw(rest: &str) -> Result<Vec<u8>, UnquoteError> {
    let (inner, after) = rest.split_once('`').ok_or(UnquoteError::Unclosed)?;
    if !after.is_empty() {
        return Err(UnquoteError::Trailing(after.to_owned()));
    }
    Ok(inner.bytes().filter(|byte| *byte != b'\r').collect())
}

fn unescape(rest: &mut Chars<'_>, bytes: &mut Vec<u8>) -> Result<(), UnquoteError> {
    let start = rest.as_str();
    let wrong = |rest: &Chars<'_>| {
        let read = start.len() - rest.as_str().len();
        UnquoteError::Escape(start.get(..read).unwrap_or(start).to_owned())
    };
    let Some(letter) = rest.next() else {
        return Err(UnquoteError::Unclosed);
    };
    let byte = match letter {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' | '"' => letter as u8,
        'x' => digits(rest, 2, 16).ok_or_else(|| wrong(rest))? as u8,
        '0'..='7' => {
            let low = digits(rest, 2, 8).ok_or_else(|| wrong(rest))?;
            let value = (letter as u32 - '0' as u32) * 64 + low;
            u8::try_from(value).map_err(|_| wrong(rest))?
        }
        'u' | 'U' => {
            let count = if letter == 'u' { 4 } else { 8 };
            let code = digits(rest, count, 16).and_then(char::from_u32);
            push(code.ok_or_else(|| wrong(rest))?, bytes);
            return Ok(());
        }
        _ => return Err(wrong(rest)),
    };
    bytes.push(byte);
    Ok(())
}

fn digits(rest: &mut Chars<'_>, count: u32, radix: u32) -> Option<u32> {
    let mut value = 0u32;
    for _ in 0..count {
        // Eight digits of base 16 just fit.
        value = value * radix + rest.next()?.to_digit(radix)?;
    }
    Some(value)
}

fn push(character: char, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_both_forms() {
        let pairs: [(&str, &[u8]); 8] = [
            (r#""""#, b""),
            ("``", b""),
            (r#""a'b""#, b"a'b"),
            (r#""\a\b\f\n\r\t\v\\\"""#, b"\x07\x08\x0c\n\r\t\x0b\\\""),
            (r#""\x00\xFf\377\101""#, b"\x00\xff\xffA"),
            (r#""\u00e9\U0001f980""#, "\u{e9}\u{1f980}".as_bytes()),
            (r"`a\n\[O2\]`", br"a\n\[O2\]"),
            ("`a\r\nb`", b"a\nb"),
        ];
        for (text, bytes) in pairs {
            assert_eq!(unquote(text).unwrap(), bytes, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_one_string() {
        use UnquoteError::{Escape, NoQuotes, Trailing, Unclosed};
        let escape = |text: &str| Escape(text.to_owned());
        let pairs = [
            ("", NoQuotes),
            ("a", NoQuotes),
            ("'a'", NoQuotes),
            ("\"a", Unclosed),
            ("\"", Unclosed),
            ("`a", Unclosed),
            ("\"a\nb\"", Unclosed),
            ("\"a\\", Unclosed),
            ("\"a\"b\"", Trailing("b\"".into())),
            ("`a`b", Trailing("b".into())),
            (r#""\'""#, escape("'")),
            (r#""\q""#, escape("q")),
            (r#""\x4""#, escape("x4\"")),
            (r#""\400""#, escape("400")),
            (r#""\ud800""#, escape("ud800")),
            (r#""\U00110000""#, escape("U00110000")),
        ];
        for (text, error) in pairs {
            assert_eq!(unquote(text), Err(error), "{text}");
        }
    }
}
