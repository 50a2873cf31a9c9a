//! The command line of `read`.

use std::path::PathBuf;

use super::job::Job;
use super::process::Cores;
use crate::failure::Failure;

/// What is asked for.
#[derive(Debug)]
pub enum Wish {
    /// A table for each file.
    Measure(Options),
    /// Big traces, made by a Go program.
    Make {
        /// Where to.
        folder: PathBuf,
    },
    /// One measurement, in this process. Used by the bench itself.
    Job {
        /// Which.
        job: Job,
        /// Of which trace.
        file: PathBuf,
    },
    /// This process is to bind itself to cores and to become another program. Used by the bench itself.
    Bound {
        /// How many.
        cores: Cores,
        /// Program and arguments.
        command: Vec<String>,
    },
}

/// What is measured.
#[derive(Debug, Default)]
pub struct Options {
    /// The traces.
    pub files: Vec<PathBuf>,
    /// How often.
    pub rounds: u64,
    /// The trace whose texts are timed.
    pub texts: Option<PathBuf>,
}

const DEFAULT_ROUNDS: u64 = 3;

/// The first word of a process that does one job.
pub const JOB: &str = "--job";
/// The first word of a process that is to be bound.
pub const BOUND: &str = "--bound";

/// Takes the words apart.
pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Wish, Failure> {
    let mut options = Options {
        rounds: DEFAULT_ROUNDS,
        ..Options::default()
    };
    while let Some(word) = words.next() {
        let mut value = |wanted: &str| {
            let missing = || Failure::Usage(format!("`{word}`: wanted {wanted} after it"));
            words.next().ok_or_else(missing)
        };
        match word.as_str() {
            "--rounds" => {
                let number = value("a number")?;
                let refused = |_| Failure::Usage(format!("`{number}`: wanted a number of rounds"));
                options.rounds = number.parse::<u64>().map_err(refused)?.max(1);
            }
            "--parsed" => options.texts = Some(value("a trace")?.into()),
            "--make" => {
                let folder = value("a folder")?.into();
                return Ok(Wish::Make { folder });
            }
            JOB => {
                let name = value("the name of a job")?;
                let unknown = || Failure::Usage(format!("no job `{name}`"));
                let job = Job::named(&name).ok_or_else(unknown)?;
                let file = value("a trace")?.into();
                return Ok(Wish::Job { job, file });
            }
            BOUND => {
                let cores = match value("1 or 2")?.as_str() {
                    "1" => Cores::One,
                    _ => Cores::Two,
                };
                let command = words.collect();
                return Ok(Wish::Bound { cores, command });
            }
            unknown if unknown.starts_with("--") => {
                return Err(Failure::Usage(format!(
                    "no option `{unknown}`; there are --rounds, --parsed, --make"
                )));
            }
            _ => options.files.push(word.into()),
        }
    }
    if options.files.is_empty() && options.texts.is_none() {
        return Err(Failure::Usage(
            "read: which traces? `read --make DIR` makes two".to_owned(),
        ));
    }
    Ok(Wish::Measure(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(words: &str) -> Result<Wish, Failure> {
        parse(words.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn takes_files_and_options_in_any_order() {
        let Ok(Wish::Measure(options)) = wish("a --rounds 7 b --parsed c") else {
            panic!("a measurement");
        };
        assert_eq!(options.files, [PathBuf::from("a"), PathBuf::from("b")]);
        assert_eq!((options.rounds, options.texts), (7, Some("c".into())));
    }

    #[test]
    fn refuses_unknown_options_and_nothing_at_all() {
        assert!(wish("").is_err());
        assert!(wish("a --round 3").is_err());
        assert!(wish("a --rounds").is_err());
    }
}
