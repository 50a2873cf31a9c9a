//! Why a check did not pass, in words for the person who ran it.

use std::fmt;
use std::io;
use std::path::Path;

/// A check that failed, or could not be made.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// A failure that reads as `words`.
    pub fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }

    /// For `map_err`: the operating system refused to do `what` with `path`.
    pub fn io(what: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let what = format!("{what} {}", path.display());
        move |error| Self(format!("{what}: {error}"))
    }

    /// One failure out of a list of findings; none if the list is empty.
    pub fn unless_empty(findings: &[String], advice: &str) -> Result<(), Self> {
        if findings.is_empty() {
            return Ok(());
        }
        let list: String = findings
            .iter()
            .map(|finding| format!("\n  {finding}"))
            .collect();
        Err(Self(format!("{} found{list}\n{advice}", findings.len())))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
