//! Options of the subcommands: pairs of a name and a number.

use crate::failure::Failure;

/// What stood behind the subcommand.
#[derive(Debug)]
pub struct Args(Vec<(String, u64)>);

impl Args {
    /// Reads `--name number` pairs.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut pairs = Vec::new();
        while let Some(name) = words.next() {
            let value = words.next().and_then(|value| value.parse().ok());
            let value = value
                .ok_or_else(|| Failure::Usage(format!("`{name}`: wanted a number after it")))?;
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    /// The number of the one option that the subcommand knows, `default` without it.
    pub fn only(&self, name: &str, default: u64) -> Result<u64, Failure> {
        match self.0.iter().find(|(given, _)| given != name) {
            Some((unknown, _)) => Err(Failure::Usage(format!(
                "no option `{unknown}`; there is {name}"
            ))),
            None => Ok(self.0.last().map_or(default, |(_, value)| (*value).max(1))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Args, Failure> {
        Args::parse(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn takes_the_number_or_the_default() {
        assert_eq!(parse("--rounds 7").unwrap().only("--rounds", 3).unwrap(), 7);
        assert_eq!(parse("").unwrap().only("--rounds", 3).unwrap(), 3);
    }

    #[test]
    fn refuses_unknown_options_and_missing_numbers() {
        assert!(parse("--rounds").is_err());
        assert!(parse("--rounds x").is_err());
        assert!(parse("--seconds 3").unwrap().only("--rounds", 3).is_err());
    }
}
