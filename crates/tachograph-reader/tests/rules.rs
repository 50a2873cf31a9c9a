//! docs/READING.md names every rule.

use tachograph_reader::Rule;
use tachograph_reader::validate::Check;

const TEXT: &str = include_str!("../../../docs/READING.md");

/// The names in the first column of the tables.
fn rows() -> Vec<&'static str> {
    let rows = TEXT.lines().filter_map(|line| line.strip_prefix("| "));
    let names = rows.filter_map(|row| row.split(' ').next());
    let is_name = |name: &&str| {
        let mut chars = name.chars();
        chars.next().is_some_and(|first| first.is_ascii_uppercase())
            && chars.clone().count() > 0
            && chars.all(|digit| digit.is_ascii_digit())
    };
    names.filter(is_name).collect()
}

#[test]
fn the_text_has_a_row_for_each_rule_and_no_other() {
    let rules = Rule::ALL.iter().map(|rule| rule.name());
    let checks = Check::ALL.iter().map(|check| check.name());
    let names: Vec<_> = rules.chain(checks).collect();
    assert_eq!(rows(), names);
}
