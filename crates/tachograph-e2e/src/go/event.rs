//! One ordered event, as Go's reader tells it.
//!
//! Owns the line format that `validator.go` writes: a tag, then tab-separated `key=value` fields, each value
//! escaped. Called by `go`.

use super::GoError;

/// Separates the parts of one frame; written as `\u` inside a part.
const PART_SEPARATOR: char = '\x1f';

/// An event of Go's ordered stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoEvent {
    /// Go's name for the kind: `StackSample`, `StateTransition`, `RegionBegin`, `Sync`, ..
    pub kind: String,
    /// Time in ns on the trace clock, after the reader made times unique.
    pub time_ns: i64,
    /// Number of the last Sync (this one included): the generation, counted from 1 within the file.
    pub generation: u64,
    /// The thread (M) on which it happened.
    pub thread: Option<u64>,
    /// The slot (P) on which it happened.
    pub proc: Option<u64>,
    /// The goroutine (G: our task or thread task) that was running.
    pub goroutine: Option<u64>,
    /// Frames of whoever caused the event, innermost first.
    pub stack: Vec<GoFrame>,
    /// Frames of the resource that changes its state; for a created goroutine, its start stack.
    pub resource_stack: Vec<GoFrame>,
    details: Vec<(String, String)>,
}

/// One frame of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoFrame {
    /// The program counter as recorded.
    pub pc: u64,
    /// Function name.
    pub function: String,
    /// Source file.
    pub file: String,
    /// Line in the file.
    pub line: u64,
}

impl GoEvent {
    /// What the kind adds: `name`, `task`, `parent`, `category`, `message`, `label`, `resource`, `scope`, `value`,
    /// `goroutine` or `proc` (the one that changes its state) with `from`, `to` and `reason`, and the clock
    /// readings `clock_trace`, `clock_mono`, `clock_wall` of a Sync. `None` where the event has no such thing.
    pub fn detail(&self, key: &str) -> Option<&str> {
        self.details
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, v)| v.as_str())
    }

    /// [`GoEvent::detail`] as a number; `None` also if it is not one.
    pub fn detail_number(&self, key: &str) -> Option<u64> {
        self.detail(key)?.parse().ok()
    }

    /// Whether this is a CPU-profile sample.
    pub fn is_sample(&self) -> bool {
        self.kind == "StackSample"
    }

    /// Whether this is the goroutine transition `from` -> `to` (Go's state names: `NotExist`, `Runnable`,
    /// `Running`, `Waiting`, `Syscall`, `Undetermined`).
    pub fn is_transition(&self, from: &str, to: &str) -> bool {
        self.detail("goroutine").is_some()
            && self.detail("from") == Some(from)
            && self.detail("to") == Some(to)
    }

    /// Reads a line of the validator's `-events` form.
    pub(super) fn parse(line: &str) -> Result<Self, GoError> {
        let fields = Fields::parse(line)?;
        let known = [
            "kind",
            "time",
            "gen",
            "m",
            "p",
            "g",
            "frame",
            "resource_frame",
        ];
        let details = fields.pairs.iter().filter(|(key, _)| !known.contains(key));
        Ok(Self {
            kind: fields.text("kind")?,
            time_ns: fields.number("time")?,
            generation: fields.number("gen")?,
            thread: fields.optional("m")?,
            proc: fields.optional("p")?,
            goroutine: fields.optional("g")?,
            stack: fields.frames("frame")?,
            resource_stack: fields.frames("resource_frame")?,
            details: details
                .map(|(key, value)| ((*key).to_owned(), unescape(value)))
                .collect(),
        })
    }
}

/// The fields of one line, still escaped.
pub(super) struct Fields<'a> {
    line: &'a str,
    tag: &'a str,
    pairs: Vec<(&'a str, &'a str)>,
}

impl<'a> Fields<'a> {
    pub(super) fn parse(line: &'a str) -> Result<Self, GoError> {
        let mut parts = line.split('\t');
        let tag = parts.next().unwrap_or_default();
        let pairs: Option<Vec<_>> = parts.map(|part| part.split_once('=')).collect();
        let pairs = pairs.ok_or_else(|| broken(line, "key=value in every field"))?;
        Ok(Self { line, tag, pairs })
    }

    pub(super) fn tag(&self) -> &'a str {
        self.tag
    }

    pub(super) fn text(&self, key: &str) -> Result<String, GoError> {
        self.find(key)
            .map(unescape)
            .ok_or_else(|| broken(self.line, "a field that is missing"))
    }

    pub(super) fn number<N: std::str::FromStr>(&self, key: &str) -> Result<N, GoError> {
        self.optional(key)?
            .ok_or_else(|| broken(self.line, "a number that is missing"))
    }

    fn optional<N: std::str::FromStr>(&self, key: &str) -> Result<Option<N>, GoError> {
        let value = self.find(key).map(str::parse).transpose();
        value.map_err(|_| broken(self.line, "a number"))
    }

    fn frames(&self, key: &str) -> Result<Vec<GoFrame>, GoError> {
        let frames = self.pairs.iter().filter(|(k, _)| *k == key);
        frames
            .map(|(_, value)| {
                frame(value).ok_or_else(|| broken(self.line, "four parts in a frame"))
            })
            .collect()
    }

    fn find(&self, key: &str) -> Option<&'a str> {
        self.pairs
            .iter()
            .find(|(k, _)| *k == key)
            .map(|(_, value)| *value)
    }
}

fn frame(value: &str) -> Option<GoFrame> {
    let mut parts = value.split(PART_SEPARATOR);
    let frame = GoFrame {
        pc: parts.next()?.parse().ok()?,
        line: parts.next()?.parse().ok()?,
        function: unescape(parts.next()?),
        file: unescape(parts.next()?),
    };
    parts.next().is_none().then_some(frame)
}

fn broken(line: &str, wanted: &'static str) -> GoError {
    GoError::Line {
        line: line.to_owned(),
        wanted,
    }
}

fn unescape(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        text.push(match c {
            '\\' => match chars.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('u') => PART_SEPARATOR,
                Some(other) => other,
                None => '\\',
            },
            plain => plain,
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_part_of_an_event_line() {
        let line = "event\tkind=StackSample\ttime=64961\tgen=1\tm=7\tg=2\tframe=4198400\x1f12\x1fmain.f\x1ff.rs\
                    \tname=a\\tb\\\\";
        let event = GoEvent::parse(line).unwrap();
        assert!(event.is_sample());
        assert_eq!((event.time_ns, event.generation), (64961, 1));
        assert_eq!(
            (event.thread, event.proc, event.goroutine),
            (Some(7), None, Some(2))
        );
        let frame = GoFrame {
            pc: 4_198_400,
            function: "main.f".into(),
            file: "f.rs".into(),
            line: 12,
        };
        assert_eq!(event.stack, [frame]);
        assert_eq!(event.detail("name"), Some("a\tb\\"));
        assert_eq!(event.detail("task"), None);
    }

    #[test]
    fn refuses_lines_that_lack_something() {
        for line in [
            "event\tkind",
            "event\tkind=Sync",
            "event\tkind=Sync\ttime=x\tgen=1",
        ] {
            assert!(
                matches!(GoEvent::parse(line), Err(GoError::Line { .. })),
                "{line}"
            );
        }
        let short_frame = "event\tkind=Log\ttime=1\tgen=1\tframe=1\x1f2\x1ff";
        assert!(matches!(
            GoEvent::parse(short_frame),
            Err(GoError::Line { .. })
        ));
    }
}
