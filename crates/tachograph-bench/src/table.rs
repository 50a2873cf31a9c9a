//! How results read: one line a row, figures aligned, goals judged.

/// One line of the table.
#[derive(Debug, Default)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// Nanoseconds, the middle of all rounds.
    pub median_ns: Option<f64>,
    /// Nanoseconds, the best round.
    pub min_ns: Option<f64>,
    /// Against the reference of the same rounds.
    pub ratio: Option<f64>,
    /// What was wished for, and whether it was reached.
    pub goal: Option<Goal>,
}

/// A wish with its verdict.
#[derive(Debug)]
pub struct Goal {
    /// In words.
    pub text: String,
    /// What was found, in the unit of the wish.
    pub found: f64,
    /// The most that is good.
    pub most: f64,
}

impl Goal {
    /// In words: what was wished for, what was found, met or missed.
    pub fn verdict(&self) -> String {
        let verdict = if self.found <= self.most {
            "met"
        } else {
            "MISSED"
        };
        format!("{}: {:.2}, {verdict}", self.text, self.found)
    }
}

/// Prints `rows`; `ratio` names what the ratio's reference is.
pub fn print(rows: &[Row], ratio: &str) {
    let width = rows
        .iter()
        .map(|row| row.what.chars().count())
        .max()
        .unwrap_or(0);
    println!(
        "{:width$}  {:>9}  {:>9}  {:>7}  goal",
        "what", "ns median", "ns min", ratio
    );
    for row in rows {
        let line = format!(
            "{:width$}  {:>9}  {:>9}  {:>7}  {}",
            row.what,
            figure(row.median_ns),
            figure(row.min_ns),
            figure(row.ratio),
            row.goal.as_ref().map(Goal::verdict).unwrap_or_default()
        );
        println!("{}", line.trim_end());
    }
}

/// A figure with three digits that count.
pub fn figure(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value.abs() >= 1000.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_at_its_limit_and_missed_above() {
        let goal = |found| Goal {
            text: "at most 1.3x".to_owned(),
            found,
            most: 1.3,
        };
        assert_eq!(goal(1.3).verdict(), "at most 1.3x: 1.30, met");
        assert_eq!(goal(1.31).verdict(), "at most 1.3x: 1.31, MISSED");
    }
}
