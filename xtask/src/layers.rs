//! `cargo xtask layers`: data flows one way, and nothing points back.
//!
//! Holds the dependencies between the crates of the workspace against two lists in ARCHITECTURE.md: `layers`
//! for what ships, `layers-dev` for what only tests need. Lines read `crate -> crate, crate`. Any other edge
//! fails, and so does a crate without a line in `layers`.

use std::collections::{BTreeMap, BTreeSet};

use crate::document::{self, FILE};
use crate::failure::Failure;
use crate::metadata::{Metadata, Need};

type Edges = BTreeMap<String, BTreeSet<String>>;

/// Compares the two; prints how many edges there are.
pub fn run(_args: &[String]) -> Result<(), Failure> {
    let metadata = Metadata::load()?;
    let shipped = edges(&metadata, Need::Ship);
    let tested = edges(&metadata, Need::Test);
    let allowed = parse(&document::list("layers")?)?;
    let allowed_dev = parse(&document::list("layers-dev")?)?;

    let mut findings = unlisted(&shipped, &allowed);
    findings.extend(forbidden(&shipped, &allowed, "->"));
    findings.extend(forbidden(&tested, &allowed_dev, "-> (tests)"));
    findings.extend(gone(&allowed, &shipped));
    findings.extend(gone(&allowed_dev, &shipped));
    Failure::unless_empty(
        &findings,
        &format!("change the dependency, or argue for it in {FILE}"),
    )?;

    let count = |edges: &Edges| edges.values().map(BTreeSet::len).sum::<usize>();
    println!(
        "layers: {} crates, {} edges, {} for tests",
        shipped.len(),
        count(&shipped),
        count(&tested)
    );
    Ok(())
}

/// Every crate has an entry, if only an empty one.
fn edges(metadata: &Metadata, need: Need) -> Edges {
    let of = |needs: &BTreeSet<(Need, String)>| {
        needs
            .iter()
            .filter(|(kind, _)| *kind == need)
            .map(|(_, name)| name.clone())
            .collect()
    };
    metadata
        .members()
        .map(|package| (package.name.clone(), of(&package.local_needs)))
        .collect()
}

fn parse(lines: &[String]) -> Result<Edges, Failure> {
    lines.iter().map(|line| edge_line(line)).collect()
}

fn edge_line(line: &str) -> Result<(String, BTreeSet<String>), Failure> {
    let (from, to) = line
        .split_once("->")
        .ok_or_else(|| Failure::new(format!("{FILE}: `{line}`: wanted `crate -> crate, crate`")))?;
    let to = to.split(',').map(str::trim).filter(|name| !name.is_empty());
    Ok((from.trim().to_owned(), to.map(str::to_owned).collect()))
}

fn unlisted(found: &Edges, allowed: &Edges) -> Vec<String> {
    let missing = found.keys().filter(|name| !allowed.contains_key(*name));
    missing
        .map(|name| format!("{name}: no line in {FILE}"))
        .collect()
}

fn forbidden(found: &Edges, allowed: &Edges, arrow: &str) -> Vec<String> {
    let may = |from: &str, to: &str| allowed.get(from).is_some_and(|names| names.contains(to));
    let pairs = found
        .iter()
        .flat_map(|(from, names)| names.iter().map(move |to| (from, to)));
    pairs
        .filter(|(from, to)| !may(from, to))
        .map(|(from, to)| format!("{from} {arrow} {to}: not allowed"))
        .collect()
}

/// Lines about crates that no longer exist: they would allow something by accident later.
fn gone(allowed: &Edges, found: &Edges) -> Vec<String> {
    let names = allowed
        .iter()
        .flat_map(|(from, to)| std::iter::once(from).chain(to));
    let unknown: BTreeSet<_> = names.filter(|name| !found.contains_key(*name)).collect();
    unknown
        .into_iter()
        .map(|name| format!("{name}: in {FILE}, but no such crate"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges_of(lines: &[&str]) -> Edges {
        parse(
            &lines
                .iter()
                .map(|line| (*line).to_owned())
                .collect::<Vec<_>>(),
        )
        .unwrap()
    }

    #[test]
    fn refuses_an_edge_that_is_not_listed() {
        let found = edges_of(&["wire -> recorder", "recorder -> wire"]);
        let allowed = edges_of(&["wire ->", "recorder -> wire"]);
        assert_eq!(
            forbidden(&found, &allowed, "->"),
            ["wire -> recorder: not allowed"]
        );
        assert_eq!(forbidden(&allowed, &allowed, "->"), [""; 0]);
    }

    #[test]
    fn refuses_crates_without_a_line_and_lines_without_a_crate() {
        let found = edges_of(&["wire ->", "new ->"]);
        let allowed = edges_of(&["wire -> old"]);
        assert_eq!(
            unlisted(&found, &allowed),
            ["new: no line in ARCHITECTURE.md"]
        );
        assert_eq!(
            gone(&allowed, &found),
            ["old: in ARCHITECTURE.md, but no such crate"]
        );
    }

    #[test]
    fn refuses_a_line_without_an_arrow() {
        assert!(parse(&["wire recorder".to_owned()]).is_err());
    }
}
