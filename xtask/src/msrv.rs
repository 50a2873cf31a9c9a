//! `cargo xtask msrv`: nothing that the facade brings along asks for a newer Rust than we promise.
//!
//! Goes by the `rust-version` that each crate declares; a crate that declares none is named, not refused.

use crate::failure::Failure;
use crate::metadata::{Metadata, Package};

const FACADE: &str = "tachograph";

/// Checks every crate that ships with the facade, at the versions in Cargo.lock.
pub fn run(_args: &[String]) -> Result<(), Failure> {
    let metadata = Metadata::load()?;
    let ours = metadata.member(FACADE)?.rust_version.clone();
    let ours = ours.ok_or_else(|| Failure::new(format!("{FACADE} declares no rust-version")))?;
    let limit =
        version(&ours).ok_or_else(|| Failure::new(format!("{FACADE}: rust-version `{ours}`")))?;
    let shipped = metadata.shipped_with(FACADE);

    let findings: Vec<String> = shipped
        .iter()
        .filter_map(|package| finding(package, limit))
        .collect();
    Failure::unless_empty(&findings, &format!("we promise rust-version {ours}"))?;
    let silent: Vec<&str> = shipped
        .iter()
        .filter(|package| package.rust_version.is_none())
        .map(|package| package.name.as_str())
        .collect();
    let silent = if silent.is_empty() {
        "none".to_owned()
    } else {
        silent.join(", ")
    };
    println!(
        "msrv: {} crates build with rust {ours}; declaring nothing: {silent}",
        shipped.len()
    );
    Ok(())
}

fn finding(package: &Package, limit: [u32; 3]) -> Option<String> {
    let declared = package.rust_version.as_deref()?;
    let fits = version(declared).is_some_and(|wanted| wanted <= limit);
    (!fits).then(|| format!("{} {} wants rust {declared}", package.name, package.version))
}

/// `1.65` is `1.65.0`.
fn version(text: &str) -> Option<[u32; 3]> {
    let mut parts = [0; 3];
    let mut numbers = text.split('.');
    for part in &mut parts {
        match numbers.next() {
            Some(number) => *part = number.parse().ok()?,
            None => break,
        }
    }
    numbers.next().is_none().then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanting(rust_version: Option<&str>) -> Package {
        Package {
            name: "dep".into(),
            version: "2.0.0".into(),
            rust_version: rust_version.map(str::to_owned),
            folder: "/dep".into(),
            roots: Vec::new(),
            local_needs: std::collections::BTreeSet::new(),
        }
    }

    #[test]
    fn refuses_only_newer_versions() {
        let limit = version("1.88").unwrap();
        assert_eq!(finding(&wanting(Some("1.88.0")), limit), None);
        assert_eq!(finding(&wanting(Some("1.9")), limit), None);
        assert_eq!(finding(&wanting(None), limit), None);
        assert_eq!(
            finding(&wanting(Some("1.88.1")), limit).unwrap(),
            "dep 2.0.0 wants rust 1.88.1"
        );
        assert_eq!(
            finding(&wanting(Some("1.100")), limit).unwrap(),
            "dep 2.0.0 wants rust 1.100"
        );
    }
}
