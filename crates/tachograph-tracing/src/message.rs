//! Fields as text: `message key=value key=value`.
//!
//! Owns a text for each thread, so that a message allocates nothing but what its values do. Called by `layer`.

use std::cell::Cell;
use std::fmt::{self, Debug, Write};

use tracing_core::field::{Field, Visit};

/// The recorder cuts messages here; what a `Debug` would say beyond it is not asked for.
const MOST_BYTES: usize = 1024;

/// The field that events call their message.
const MESSAGE: &str = "message";

/// What the bridge from the `log` crate calls the fields that hold an event's own metadata.
const LOG_FIELDS: &str = "log.";
const LOG_TARGET: &str = "log.target";

thread_local! {
    static SPARE: Cell<String> = const { Cell::new(String::new()) };
}

/// Hands `f` an empty message.
///
/// The text is taken out of its place meanwhile: a value's `Debug` may log, too.
pub(crate) fn with(f: impl FnOnce(&mut Message)) {
    let mut message = Message {
        text: SPARE.try_with(Cell::take).unwrap_or_default(),
        full: false,
        log_target: None,
    };
    f(&mut message);
    message.text.clear();
    // A thread that has run its last destructors keeps nothing.
    let _ = SPARE.try_with(|spare| spare.set(message.text));
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Message {
    text: String,
    /// Something did not fit: what comes after it is left out, too.
    full: bool,
    log_target: Option<String>,
}

impl Message {
    /// What was said.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The target of an event that came through the `log` crate.
    pub(crate) fn log_target(&self) -> Option<&str> {
        self.log_target.as_deref()
    }

    /// Adds `key=value`, the value in quotes if it could not be told from what is around it.
    pub(crate) fn pair(&mut self, key: &str, value: &str) {
        if needs_quotes(value) {
            self.debug_pair(key, &value);
        } else {
            self.key(key);
            self.push(value);
        }
    }

    fn debug_pair(&mut self, key: &str, value: &dyn Debug) {
        self.key(key);
        self.debug(value);
    }

    fn key(&mut self, key: &str) {
        if !self.text.is_empty() {
            self.push(" ");
        }
        self.push(key.strip_prefix("r#").unwrap_or(key));
        self.push("=");
    }

    fn push(&mut self, text: &str) {
        // Full: the rest is left out.
        let _ = self.write_str(text);
    }

    fn debug(&mut self, value: &dyn Debug) {
        // Full, or a `Debug` that fails: what there is of it stays.
        let _ = write!(self, "{value:?}");
    }

    /// The message comes first, wherever it stands among the fields.
    fn message(&mut self, value: &dyn Debug) {
        if self.text.is_empty() {
            return self.debug(value);
        }
        let fields = std::mem::take(&mut self.text);
        self.full = false;
        self.debug(value);
        self.push(" ");
        self.push(&fields);
    }
}

impl Visit for Message {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            MESSAGE => self.message(&format_args!("{value}")),
            LOG_TARGET => self.log_target = Some(value.to_owned()),
            name if name.starts_with(LOG_FIELDS) => {}
            name => self.pair(name, value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            MESSAGE => self.message(value),
            name if name.starts_with(LOG_FIELDS) => {}
            name => self.debug_pair(name, value),
        }
    }
}

fn needs_quotes(value: &str) -> bool {
    let ambiguous = |c: char| c.is_whitespace() || c.is_control() || c == '"' || c == '=';
    value.is_empty() || value.chars().any(ambiguous)
}

/// Takes text up to [`MOST_BYTES`], cut between characters.
impl Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.full {
            return Err(fmt::Error);
        }
        let room = MOST_BYTES.saturating_sub(self.text.len());
        if text.len() <= room {
            self.text.push_str(text);
            return Ok(());
        }
        self.full = true;
        let cut = (0..=room).rev().find(|&at| text.is_char_boundary(at));
        self.text.push_str(&text[..cut.unwrap_or(0)]);
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(f: impl FnOnce(&mut Message)) -> String {
        let mut said = String::new();
        with(|message| {
            f(message);
            said = message.text().to_owned();
        });
        said
    }

    #[test]
    fn quotes_only_what_could_be_misread() {
        let pairs = [
            ("plain", "a=plain"),
            ("/a/b?c", "a=/a/b?c"),
            ("grün", "a=grün"),
            ("", r#"a="""#),
            ("two words", r#"a="two words""#),
            ("x=1", r#"a="x=1""#),
            ("say \"hi\"", r#"a="say \"hi\"""#),
            ("line\nbreak", r#"a="line\nbreak""#),
        ];
        for (value, wanted) in pairs {
            assert_eq!(text(|message| message.pair("a", value)), wanted);
        }
    }

    #[test]
    fn the_message_comes_first_and_raw_identifiers_lose_their_mark() {
        let said = text(|message| {
            message.pair("r#type", "x");
            message.debug_pair("n", &7);
            message.message(&format_args!("all done"));
            message.pair("last", "y");
        });
        assert_eq!(said, "all done type=x n=7 last=y");
    }

    /// A value that counts how often it is asked for a piece of itself.
    struct Endless<'a>(&'a Cell<u32>);

    impl Debug for Endless<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            loop {
                self.0.set(self.0.get() + 1);
                f.write_str("ééééé")?;
            }
        }
    }

    #[test]
    fn endless_values_are_cut_between_characters() {
        let asked = Cell::new(0);
        let said = text(|message| {
            message.debug_pair("ab", &Endless(&asked));
            message.pair("not", "there");
        });
        assert_eq!(said.len(), MOST_BYTES - 1);
        assert!(said.starts_with("ab=ééé") && said.ends_with('é'));
        assert!(asked.get() < 110);
    }

    #[test]
    fn a_message_inside_a_message_is_one_of_its_own() {
        let said = text(|outer| {
            outer.pair("outer", "1");
            assert_eq!(text(|inner| inner.pair("inner", "2")), "inner=2");
            outer.pair("more", "3");
        });
        assert_eq!(said, "outer=1 more=3");
    }
}
