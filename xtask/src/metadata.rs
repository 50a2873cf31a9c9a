//! What `cargo metadata` says, as far as the checks ask.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;

use crate::cargo::{capture, cargo, host};
use crate::failure::Failure;

/// How one crate needs another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// To run, or to be built: what a user of the crate gets, too.
    Ship,
    /// For its own tests, examples and benches only.
    Test,
}

/// A crate of the workspace or one that it depends on.
#[derive(Clone, Debug)]
pub struct Package {
    /// Name in Cargo.toml.
    pub name: String,
    /// Version in Cargo.toml.
    pub version: String,
    /// The `rust-version` that it declares.
    pub rust_version: Option<String>,
    /// Folder of its Cargo.toml.
    pub folder: PathBuf,
    /// Root files of its library and programs.
    pub roots: Vec<PathBuf>,
    /// Workspace crates it names as dependencies.
    pub local_needs: BTreeSet<(Need, String)>,
}

/// All packages, and which of them each one really pulls in on this machine's platform.
#[derive(Debug)]
pub struct Metadata {
    /// Cargo's target directory.
    pub target: PathBuf,
    packages: BTreeMap<String, Package>,
    members: BTreeSet<String>,
    shipped: BTreeMap<String, Vec<String>>,
}

impl Metadata {
    /// Asks cargo.
    pub fn load() -> Result<Self, Failure> {
        let text = capture(cargo().args([
            "metadata",
            "--format-version",
            "1",
            "--filter-platform",
            &host()?,
        ]))?;
        let value = serde_json::from_str(&text)
            .map_err(|e| Failure::new(format!("cargo metadata: {e}")))?;
        Ok(Self::read(&value))
    }

    fn read(value: &Value) -> Self {
        let packages = list(&value["packages"])
            .map(|p| (text(&p["id"]), package(p)))
            .collect();
        let nodes =
            list(&value["resolve"]["nodes"]).map(|node| (text(&node["id"]), shipped_by(node)));
        Self {
            target: text(&value["target_directory"]).into(),
            packages,
            members: list(&value["workspace_members"]).map(text).collect(),
            shipped: nodes.collect(),
        }
    }

    /// The crates of this repository.
    pub fn members(&self) -> impl Iterator<Item = &Package> {
        self.members.iter().filter_map(|id| self.packages.get(id))
    }

    /// The crate of this repository that is called `name`.
    pub fn member(&self, name: &str) -> Result<&Package, Failure> {
        let found = self.members().find(|package| package.name == name);
        found.ok_or_else(|| Failure::new(format!("no crate {name} in the workspace")))
    }

    /// `name` and everything that a program gets with it, tests left out.
    pub fn shipped_with(&self, name: &str) -> Vec<&Package> {
        let is_start = |id: &&String| {
            self.packages
                .get(*id)
                .is_some_and(|package| package.name == name)
        };
        let mut waiting: Vec<&String> = self.members.iter().filter(is_start).collect();
        let mut seen = BTreeSet::new();
        while let Some(id) = waiting.pop() {
            if seen.insert(id) {
                waiting.extend(self.shipped.get(id).into_iter().flatten());
            }
        }
        seen.into_iter()
            .filter_map(|id| self.packages.get(id))
            .collect()
    }
}

fn package(value: &Value) -> Package {
    let manifest = PathBuf::from(text(&value["manifest_path"]));
    let is_product =
        |target: &&Value| list(&target["kind"]).any(|kind| kind == "lib" || kind == "bin");
    let local = list(&value["dependencies"]).filter(|dependency| dependency["path"].is_string());
    Package {
        name: text(&value["name"]),
        version: text(&value["version"]),
        rust_version: value["rust_version"].as_str().map(str::to_owned),
        folder: manifest.parent().unwrap_or(&manifest).to_owned(),
        roots: list(&value["targets"])
            .filter(is_product)
            .map(|t| text(&t["src_path"]).into())
            .collect(),
        local_needs: local
            .map(|dependency| (need(&dependency["kind"]), text(&dependency["name"])))
            .collect(),
    }
}

fn shipped_by(node: &Value) -> Vec<String> {
    let ships =
        |dep: &&Value| list(&dep["dep_kinds"]).any(|kind| need(&kind["kind"]) == Need::Ship);
    list(&node["deps"])
        .filter(ships)
        .map(|dep| text(&dep["pkg"]))
        .collect()
}

fn need(kind: &Value) -> Need {
    if kind == "dev" {
        Need::Test
    } else {
        Need::Ship
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_what_ships_and_not_what_tests() {
        let value = serde_json::json!({
            "target_directory": "/t",
            "workspace_members": ["a"],
            "packages": [
                {"id": "a", "name": "a", "manifest_path": "/a/Cargo.toml", "rust_version": "1.88",
                 "dependencies": [{"name": "b", "kind": null, "path": "/b"}, {"name": "c", "kind": "dev", "path": "/c"}],
                 "targets": [{"kind": ["lib"], "src_path": "/a/src/lib.rs"}, {"kind": ["test"], "src_path": "/a/t.rs"}]},
                {"id": "b", "name": "b"}, {"id": "c", "name": "c"}, {"id": "d", "name": "d"}
            ],
            "resolve": {"nodes": [
                {"id": "a", "deps": [{"pkg": "b", "dep_kinds": [{"kind": null}, {"kind": "dev"}]},
                                     {"pkg": "c", "dep_kinds": [{"kind": "dev"}]}]},
                {"id": "b", "deps": [{"pkg": "d", "dep_kinds": [{"kind": "build"}]}]}
            ]}
        });
        let metadata = Metadata::read(&value);
        let names: Vec<_> = metadata
            .shipped_with("a")
            .iter()
            .map(|p| p.name.as_str())
            .collect();
        assert_eq!(names, ["a", "b", "d"]);
        let a = metadata.member("a").unwrap();
        assert_eq!(a.roots, [PathBuf::from("/a/src/lib.rs")]);
        assert_eq!(
            a.local_needs,
            BTreeSet::from([(Need::Ship, "b".into()), (Need::Test, "c".into())])
        );
    }
}
