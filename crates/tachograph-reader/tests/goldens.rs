//! Reader and validator say of every golden what its file expects, and say it with all that helps to find the place.

mod common;

use common::{Refused, read};
use std::collections::BTreeSet;
use std::path::Path;
use tachograph_reader::Rule;
use tachograph_reader::validate::Check;
use tachograph_text::Golden;
use tachograph_text::golden::load_dir;

fn goldens() -> Vec<(String, Golden)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/golden");
    let goldens = load_dir(&dir).unwrap_or_else(|error| panic!("{error}"));
    assert!(goldens.len() > 100, "{} goldens", goldens.len());
    goldens
}

fn verdict(golden: &Golden) -> Result<u64, Refused> {
    let trace = golden.to_trace().expect("loaded goldens can be encoded");
    read(&trace, |_| {})
}

#[test]
fn says_of_every_golden_what_is_expected() {
    let wrong: Vec<String> = goldens()
        .iter()
        .filter_map(|(name, golden)| {
            let mismatch = golden.expect.check(&verdict(golden)).err()?;
            Some(format!("{name}: {mismatch}"))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// What a message must have, apart from the rule: where, found and wanted.
fn lacks(message: &str, rule: Rule) -> Vec<&'static str> {
    let name = rule.name();
    let of_event = name.starts_with(['O', 'D', 'T']);
    let parts = [
        (
            "generation",
            of_event || name.starts_with('S'),
            message.starts_with("generation "),
        ),
        (
            "thread",
            of_event,
            message.contains(", thread ") || message.contains(", no thread, "),
        ),
        ("byte", true, message.contains("byte 0x")),
        (
            "wanted",
            true,
            message.contains("wanted") || message.contains("expected"),
        ),
    ];
    let missing = parts.into_iter().filter(|(_, due, there)| *due && !there);
    missing.map(|(part, ..)| part).collect()
}

#[test]
fn messages_tell_generation_thread_byte_and_what_was_wanted() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (name, golden) in goldens() {
        let Err(refused) = verdict(&golden) else {
            continue;
        };
        let Some(rule) = refused
            .rule()
            .filter(|rule| rule.name().starts_with(['O', 'S', 'D', 'T']))
        else {
            continue;
        };
        seen += 1;
        let message = refused.to_string();
        let lacking = lacks(&message, rule);
        if !lacking.is_empty() {
            wrong.push(format!("{name}: no {lacking:?} in `{message}`"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(
        seen > 50,
        "{seen} goldens break a rule of tables, events or order"
    );
}

/// Rules whose breach is told under another name: bytes that end within a payload are a trace that is cut off, and what has no order is
/// not decoded as an event to begin with.
const OTHERWISE_TOLD: [(Rule, Rule); 2] = [(Rule::B4, Rule::G3), (Rule::O1, Rule::D1)];

#[test]
fn every_rule_of_the_catalogue_is_broken_by_a_golden() {
    let broken: BTreeSet<Rule> = goldens()
        .iter()
        .filter_map(|(_, golden)| verdict(golden).err()?.rule())
        .collect();
    for rule in Rule::ALL {
        let otherwise = OTHERWISE_TOLD.iter().find(|(told, _)| told == rule);
        assert_ne!(broken.contains(rule), otherwise.is_some(), "{rule}");
    }
}

/// Checks that a trace of bytes can break: the reader upholds the others.
const CHECKED_BY_GOLDENS: [Check; 6] = [
    Check::V2,
    Check::V4,
    Check::V6,
    Check::V9,
    Check::V10,
    Check::V14,
];

#[test]
fn every_check_that_a_trace_can_break_is_broken_by_a_golden() {
    let broken: BTreeSet<Check> = goldens()
        .iter()
        .filter_map(|(_, golden)| verdict(golden).err())
        .flat_map(|refused| match refused {
            Refused::Validator(checks, _) => checks,
            _ => Vec::new(),
        })
        .collect();
    let missing: Vec<_> = CHECKED_BY_GOLDENS
        .iter()
        .filter(|check| !broken.contains(check))
        .collect();
    assert!(missing.is_empty(), "no golden breaks {missing:?}");
}
