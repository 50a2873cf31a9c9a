//! The `key=value` pairs of a metadata record.
//!
//! Owns escaping and the cut to the limit. Called by the records beside it only.

use super::{FAMILY, METADATA_VERSION, MetadataError, UnknownFields};

/// The pairs of a record that is being read; keys are taken out one by one and what remains is unknown.
pub(super) struct Fields(UnknownFields);

impl Fields {
    pub(super) fn parse<'a>(words: impl Iterator<Item = &'a str>) -> Result<Self, MetadataError> {
        let mut fields = UnknownFields::new();
        for word in words {
            let pair = word.split_once('=').filter(|(key, _)| !key.is_empty());
            let (key, value) = pair.ok_or_else(|| MetadataError::NotAField(word.to_owned()))?;
            if fields.iter().any(|(known, _)| known == key) {
                return Err(MetadataError::DuplicateKey(key.to_owned()));
            }
            let value = unescape(value).ok_or_else(|| MetadataError::BadEscape(word.to_owned()))?;
            fields.push((key.to_owned(), value));
        }
        Ok(Self(fields))
    }

    pub(super) fn take(&mut self, key: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| known == key)?;
        Some(self.0.remove(at).1)
    }

    /// Takes every key of a group `prefix.name` and gives its names.
    pub(super) fn take_group(&mut self, prefix: &str) -> Vec<(String, String)> {
        let name = |key: &str| Some(key.strip_prefix(prefix)?.strip_prefix('.')?.to_owned());
        let group = self
            .0
            .iter()
            .filter_map(|(key, value)| Some((name(key)?, value.clone())))
            .collect();
        self.0.retain(|(key, _)| name(key).is_none());
        group
    }

    pub(super) fn into_unknown(self) -> UnknownFields {
        self.0
    }
}

/// A type of value.
pub(super) trait Value: Sized {
    fn parse(text: &str) -> Option<Self>;
    fn print(&self) -> String;
}

/// A type of field: a value, or a value that may be absent.
pub(super) trait Field: Sized {
    fn take(fields: &mut Fields, key: &'static str) -> Result<Self, MetadataError>;
    fn put(&self, line: &mut Line, key: &'static str);
}

fn parse_value<T: Value>(key: &str, found: String) -> Result<T, MetadataError> {
    T::parse(&found).ok_or_else(|| MetadataError::BadValue {
        key: key.to_owned(),
        found,
    })
}

impl<T: Value> Field for T {
    fn take(fields: &mut Fields, key: &'static str) -> Result<Self, MetadataError> {
        parse_value(key, fields.take(key).ok_or(MetadataError::MissingKey(key))?)
    }

    fn put(&self, line: &mut Line, key: &'static str) {
        line.push(key, &self.print());
    }
}

impl<T: Value> Field for Option<T> {
    fn take(fields: &mut Fields, key: &'static str) -> Result<Self, MetadataError> {
        fields
            .take(key)
            .map(|found| parse_value(key, found))
            .transpose()
    }

    fn put(&self, line: &mut Line, key: &'static str) {
        if let Some(value) = self {
            value.put(line, key);
        }
    }
}

impl Value for u64 {
    fn parse(text: &str) -> Option<Self> {
        // `FromStr` would also take a sign.
        text.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| text.parse().ok())?
    }

    fn print(&self) -> String {
        self.to_string()
    }
}

impl Value for String {
    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }

    fn print(&self) -> String {
        self.clone()
    }
}

/// A record that is being written.
pub(super) struct Line {
    start: String,
    /// Keys with escaped values.
    fields: Vec<(String, String)>,
}

impl Line {
    pub(super) fn new(kind: &str) -> Self {
        Self {
            start: format!("{FAMILY}{METADATA_VERSION} {kind}"),
            fields: Vec::new(),
        }
    }

    pub(super) fn of_unknown(kind: &str, fields: &UnknownFields) -> Self {
        let mut line = Self::new(kind);
        line.push_unknown(fields);
        line
    }

    pub(super) fn push(&mut self, key: &str, value: &str) {
        self.fields.push((key.to_owned(), escape(value)));
    }

    pub(super) fn push_unknown(&mut self, fields: &UnknownFields) {
        fields.iter().for_each(|(key, value)| self.push(key, value));
    }

    fn len(&self) -> usize {
        self.start.len()
            + self
                .fields
                .iter()
                .map(|(key, value)| key.len() + value.len() + 2)
                .sum::<usize>()
    }

    /// The record, with its longest value cut until it fits.
    ///
    /// Numbers are never the longest value of a record that is too long, so it is always text that is cut.
    pub(super) fn finish(mut self, limit: usize) -> String {
        while self.len() > limit {
            let Some(at) = (0..self.fields.len()).max_by_key(|&at| self.fields[at].1.len()) else {
                break;
            };
            let (key, value) = self.fields.remove(at);
            if !self.fields.iter().any(|(key, _)| key == "cut") {
                self.fields.push(("cut".to_owned(), key.clone()));
            }
            let room = limit.saturating_sub(self.len() + key.len() + 2);
            // N.B. where nothing is left of a value its key goes too, so each round makes the record shorter.
            let value = if is_path(&key) {
                keep_end(&value, room)
            } else {
                keep_start(&value, room)
            };
            if !value.is_empty() {
                self.fields
                    .insert(at.min(self.fields.len()), (key, value.to_owned()));
            }
        }
        self.fields.iter().fold(self.start, |line, (key, value)| {
            format!("{line} {key}={value}")
        })
    }
}

/// Keys whose values tell more at their end.
fn is_path(key: &str) -> bool {
    matches!(key, "path" | "exe")
}

fn needs_escape(character: char) -> bool {
    matches!(character, ' ' | '%' | '=') || character.is_ascii_control()
}

fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        if needs_escape(character) {
            escaped.push_str(&format!("%{:02x}", character as u32));
        } else {
            escaped.push(character);
        }
    }
    escaped
}

fn unescape(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let [high, low, after @ ..] = rest else {
            return None;
        };
        let digit = |byte: u8| char::from(byte).to_digit(16);
        bytes.push((digit(*high)? << 4 | digit(*low)?) as u8);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

/// Whether an escaped value may be cut here: not within a character and not within an escape.
fn is_boundary(escaped: &str, at: usize) -> bool {
    let within_escape = (1..=2).any(|back| at >= back && escaped.as_bytes()[at - back] == b'%');
    escaped.is_char_boundary(at) && !(within_escape && at < escaped.len())
}

fn keep_start(escaped: &str, room: usize) -> &str {
    let end = (0..=room.min(escaped.len()))
        .rev()
        .find(|&at| is_boundary(escaped, at));
    &escaped[..end.unwrap_or(0)]
}

fn keep_end(escaped: &str, room: usize) -> &str {
    let from = escaped.len().saturating_sub(room);
    let start = (from..=escaped.len()).find(|&at| is_boundary(escaped, at));
    &escaped[start.unwrap_or(escaped.len())..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_would_end_a_value_and_nothing_else() {
        let value = "a b=c%d\n\0é,*:/";
        assert_eq!(escape(value), "a%20b%3dc%25d%0a%00é,*:/");
        assert_eq!(unescape(&escape(value)).as_deref(), Some(value));
    }

    #[test]
    fn refuses_broken_escapes() {
        for broken in ["%", "%2", "%zz", "a%g0", "%ff"] {
            assert_eq!(unescape(broken), None, "{broken}");
        }
    }

    #[test]
    fn cuts_between_escapes_and_characters() {
        assert_eq!(keep_start("ab%20cd", 3), "ab");
        assert_eq!(keep_start("ab%20cd", 5), "ab%20");
        assert_eq!(keep_end("ab%20cd", 3), "cd");
        assert_eq!(keep_end("ab%20cd", 5), "%20cd");
        assert_eq!(keep_start("aé", 2), "a");
        assert_eq!(keep_end("éa", 2), "a");
        assert_eq!(keep_start("%20", 3), "%20");
    }

    #[test]
    fn numbers_have_no_sign() {
        assert_eq!(
            <u64 as Value>::parse("18446744073709551615"),
            Some(u64::MAX)
        );
        for wrong in ["", "+1", "-1", "1.0", "18446744073709551616"] {
            assert_eq!(<u64 as Value>::parse(wrong), None, "{wrong}");
        }
    }
}
