//! Lists inside ARCHITECTURE.md that the checks hold the code against.
//!
//! A list stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->`, so that people read the same lines that
//! the checks do.

use std::fs;

use crate::cargo::root;
use crate::failure::Failure;

/// Name of the file with the lists, for messages.
pub const FILE: &str = "ARCHITECTURE.md";

/// The lines of list `name`, without blank lines and code fences.
pub fn list(name: &str) -> Result<Vec<String>, Failure> {
    let path = root().join(FILE);
    let text = fs::read_to_string(&path).map_err(Failure::io("reading", &path))?;
    between(&text, name)
        .ok_or_else(|| Failure::new(format!("{FILE}: no list between `{name}` markers")))
}

fn between(text: &str, name: &str) -> Option<Vec<String>> {
    let (_, after) = text.split_once(&format!("<!-- {name}:begin -->"))?;
    let (inside, _) = after.split_once(&format!("<!-- {name}:end -->"))?;
    let lines = inside
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("```"));
    Some(lines.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_lines_between_the_markers_of_one_name() {
        let text = "x\n<!-- a:begin -->\n```text\none\n\n  two\n```\n<!-- a:end -->\n<!-- b:begin -->\nthree\n";
        assert_eq!(between(text, "a").unwrap(), ["one", "two"]);
        assert_eq!(between(text, "b"), None);
        assert_eq!(between(text, "c"), None);
    }
}
