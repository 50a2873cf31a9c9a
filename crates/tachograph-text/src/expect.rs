//! What a reader should say to a trace.
//!
//! Owns `SUCCESS`, `FAILURE "regex"` and `CRASH`. Called by [`golden`](crate::golden) and by those who run goldens.

use crate::quote::Quoted;
use crate::unquote::unquote;
use regex::Regex;
use std::fmt;

/// The expected verdict.
#[derive(Clone, Debug)]
pub enum Expectation {
    /// The whole trace is good.
    Success,
    /// It is refused with a message in which the pattern is found.
    Failure(Regex),
}

/// The verdict of Go's reader and validator, where it is not the expected one.
#[derive(Clone, Debug)]
pub enum GoAnswer {
    /// They come to a verdict.
    Verdict(Expectation),
    /// They panic.
    Crash,
}

/// A verdict that is not the expected one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mismatch {
    /// Refused, though it should be good.
    Refused {
        /// The message.
        found: String,
    },
    /// Accepted, though it should be refused.
    Accepted {
        /// The pattern of the message.
        wanted: String,
    },
    /// Refused for another reason.
    OtherReason {
        /// The message.
        found: String,
        /// The pattern it should have.
        wanted: String,
    },
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { found } => write!(f, "found failure `{found}`, wanted success"),
            Self::Accepted { wanted } => {
                write!(f, "found success, wanted a failure that matches `{wanted}`")
            }
            Self::OtherReason { found, wanted } => write!(
                f,
                "found failure `{found}`, wanted one that matches `{wanted}`"
            ),
        }
    }
}

impl std::error::Error for Mismatch {}

impl Expectation {
    /// Reads the first line of an `expect` member.
    ///
    /// # Errors
    /// With the reason, if it is neither `SUCCESS` nor `FAILURE` and a quoted regular expression.
    pub fn parse(text: &str) -> Result<Self, String> {
        let line = text.lines().next().unwrap_or_default();
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "SUCCESS" => Ok(Self::Success),
            "FAILURE" => pattern(rest).map(Self::Failure),
            _ => Err(format!(
                "found `{line}`, wanted SUCCESS or FAILURE \"regex\""
            )),
        }
    }

    /// Whether failure is expected.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Failure(_))
    }

    /// Holds a verdict against the expected one.
    ///
    /// # Errors
    /// If it is another one.
    pub fn check<T>(&self, verdict: &Result<T, impl fmt::Display>) -> Result<(), Mismatch> {
        match (self, verdict) {
            (Self::Success, Ok(_)) => Ok(()),
            (Self::Success, Err(error)) => Err(Mismatch::Refused {
                found: error.to_string(),
            }),
            (Self::Failure(pattern), Ok(_)) => Err(Mismatch::Accepted {
                wanted: pattern.as_str().to_owned(),
            }),
            (Self::Failure(pattern), Err(error)) => {
                let found = error.to_string();
                if pattern.is_match(&found) {
                    return Ok(());
                }
                let wanted = pattern.as_str().to_owned();
                Err(Mismatch::OtherReason { found, wanted })
            }
        }
    }
}

impl GoAnswer {
    /// Reads the first line of a `go` member.
    ///
    /// # Errors
    /// As [`Expectation::parse`].
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.lines().next().map(str::trim_end) {
            Some("CRASH") => Ok(Self::Crash),
            _ => Expectation::parse(text).map(Self::Verdict),
        }
    }
}

fn pattern(quoted: &str) -> Result<Regex, String> {
    let wrong = |why: String| format!("found pattern `{quoted}`, wanted a quoted regex: {why}");
    let bytes = unquote(quoted.trim()).map_err(|error| wrong(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|error| wrong(error.to_string()))?;
    Regex::new(&text).map_err(|error| wrong(error.to_string()))
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Success => f.write_str("SUCCESS"),
            Self::Failure(pattern) => write!(f, "FAILURE {}", Quoted(pattern.as_str().as_bytes())),
        }
    }
}

impl fmt::Display for GoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verdict(expectation) => expectation.fmt(f),
            Self::Crash => f.write_str("CRASH"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for line in ["SUCCESS", r#"FAILURE "\\[O2\\]""#, r#"FAILURE "a \"b\" c""#] {
            let expectation = Expectation::parse(&format!("{line}\nmore")).unwrap();
            assert_eq!(expectation.to_string(), line);
            assert_eq!(GoAnswer::parse(line).unwrap().to_string(), line);
        }
        assert!(matches!(GoAnswer::parse("CRASH\n"), Ok(GoAnswer::Crash)));
        for line in [
            "",
            "success",
            "CRASH",
            "FAILURE",
            "FAILURE x",
            r#"FAILURE "(""#,
        ] {
            assert!(Expectation::parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn tells_success_failure_and_other_failures_apart() {
        let good: Result<(), &str> = Ok(());
        let bad: Result<(), &str> = Err("gen 1: no proc [O2]");
        let failure = |pattern: &str| Expectation::parse(&format!("FAILURE `{pattern}`")).unwrap();
        assert_eq!(Expectation::Success.check(&good), Ok(()));
        assert_eq!(failure(r"\[O2\]").check(&bad), Ok(()));
        assert!(matches!(
            Expectation::Success.check(&bad),
            Err(Mismatch::Refused { .. })
        ));
        assert!(matches!(
            failure("x").check(&good),
            Err(Mismatch::Accepted { .. })
        ));
        let mismatch = failure(r"\[O3\]").check(&bad).unwrap_err();
        assert_eq!(
            mismatch.to_string(),
            r"found failure `gen 1: no proc [O2]`, wanted one that matches `\[O3\]`"
        );
    }
}
