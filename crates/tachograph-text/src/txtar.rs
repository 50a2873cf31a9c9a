//! The container of golden files: Go's text archive.
//!
//! Owns the marker lines. Called by [`golden`](crate::golden) only.
//!
//! Comment lines, then members: a line `-- NAME --`, then the member's lines up to the next such line. There are no errors.

/// An archive; everything is borrowed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Archive<'a> {
    pub(crate) comment: &'a str,
    pub(crate) members: Vec<Member<'a>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Member<'a> {
    pub(crate) name: &'a str,
    pub(crate) text: &'a str,
    /// Number of the line before the text, from 1 up.
    pub(crate) line: usize,
}

impl<'a> Archive<'a> {
    pub(crate) fn parse(text: &'a str) -> Self {
        let mut at = 0;
        let mut open: Option<(&str, usize, usize)> = None;
        let mut archive = Self {
            comment: text,
            members: Vec::new(),
        };
        let cut = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
        for (index, line) in text.split_inclusive('\n').enumerate() {
            if let Some(name) = marker(line) {
                match open {
                    None => archive.comment = cut(0, at),
                    Some((name, from, line)) => archive.members.push(Member {
                        name,
                        text: cut(from, at),
                        line,
                    }),
                }
                open = Some((name, at + line.len(), index + 1));
            }
            at += line.len();
        }
        if let Some((name, from, line)) = open {
            archive.members.push(Member {
                name,
                text: cut(from, at),
                line,
            });
        }
        archive
    }

    pub(crate) fn format(&self) -> String {
        let mut text = with_line_end(self.comment);
        for member in &self.members {
            text.push_str(&format!("-- {} --\n", member.name));
            text.push_str(&with_line_end(member.text));
        }
        text
    }
}

/// The name in a marker line.
pub(crate) fn marker(line: &str) -> Option<&str> {
    let line = line.strip_suffix('\n').unwrap_or(line);
    let line = line.strip_suffix('\r').unwrap_or(line);
    let name = line.strip_prefix("-- ")?.strip_suffix(" --")?.trim();
    (!name.is_empty()).then_some(name)
}

fn with_line_end(text: &str) -> String {
    let end = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    format!("{text}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_comment_and_members_apart_and_together() {
        let text = "story\n--  --\n-- expect --\r\nSUCCESS\n--  trace  --\n-- trace\n-- empty --\n-- last --\nx";
        let archive = Archive::parse(text);
        assert_eq!(archive.comment, "story\n--  --\n");
        let members: Vec<_> = archive
            .members
            .iter()
            .map(|m| (m.name, m.text, m.line))
            .collect();
        let wanted = [
            ("expect", "SUCCESS\n", 3),
            ("trace", "-- trace\n", 5),
            ("empty", "", 7),
            ("last", "x", 8),
        ];
        assert_eq!(members, wanted);
        let again = archive.format();
        assert_eq!(
            again,
            "story\n--  --\n-- expect --\nSUCCESS\n-- trace --\n-- trace\n-- empty --\n-- last --\nx\n"
        );
        assert_eq!(Archive::parse(&again).members.len(), 4);
        assert_eq!(Archive::parse("no members").comment, "no members");
    }
}
