//! The table of allowed edges between crates: the picture in ARCHITECTURE.md, held by a machine.

use std::{path::Path, process::Command};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Violation;

const PREFIX: &str = "gauntlet-";

/// Room, and the rooms it may use. Only normal and build dependencies count: a test may use what it likes.
///
/// Rooms that are not built yet have their row already, so that the first commit of each starts in its place.
const TABLE: &[(&str, &[&str])] = &[
    // Pure: no async, no IO, no clock.
    ("types", &[]),
    ("stats", &["types"]),
    ("places", &[]),
    ("wire", &["types"]),
    ("policy", &["types", "guard", "places"]),
    ("guard", &["types"]),
    // Seams.
    ("ports", &["types"]),
    // Pure as well, of what the seams carry.
    ("bills", &["types", "policy", "ports"]),
    // Hot path and adapters.
    ("pipeline", &["types", "places", "wire", "policy", "guard", "prompts", "ports"]),
    ("upstream", &["types", "wire", "ports"]),
    ("trace", &["types", "wire", "ports"]),
    ("store", &["types", "ports"]),
    ("models", &["types", "ports"]),
    // The slow loop.
    ("prompts", &["types", "ports", "places"]),
    ("evals", &["types", "prompts", "guard", "stats", "ports", "places"]),
    ("experiments", &["types", "policy", "stats", "ports"]),
    ("monitors", &["types", "stats", "evals", "ports"]),
    ("governance", &["types", "ports"]),
    // Faces.
    ("console", &["types", "ports"]),
    (
        "server",
        &[
            "types", "places", "wire", "policy", "prompts", "guard", "pipeline", "ports", "bills", "evals",
            "console", "trace",
        ],
    ),
    (
        "gauntlet",
        &[
            "types",
            "stats",
            "places",
            "wire",
            "policy",
            "guard",
            "ports",
            "bills",
            "pipeline",
            "upstream",
            "trace",
            "store",
            "models",
            "prompts",
            "evals",
            "experiments",
            "monitors",
            "governance",
            "console",
            "server",
        ],
    ),
    // Tools.
    ("testkit", &["types", "ports", "wire"]),
    ("xtask", &[]),
];

/// A package of the workspace: its folder, and the workspace's packages it depends on (dev-dependencies left out).
#[derive(Debug)]
pub struct Package {
    pub name: String,
    pub folder: String,
    pub uses: Vec<String>,
}

pub fn read_packages(root: &Path) -> Result<Vec<Package>> {
    let output = Command::new(crate::run_tests::cargo())
        .current_dir(root)
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .output()
        .context("cannot start `cargo metadata`")?;
    if !output.status.success() {
        bail!("`cargo metadata` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    packages_of(&serde_json::from_slice(&output.stdout).context("`cargo metadata` printed no JSON")?)
}

fn packages_of(metadata: &Value) -> Result<Vec<Package>> {
    let root = metadata["workspace_root"].as_str().context("`cargo metadata` names no workspace root")?;
    let packages = metadata["packages"].as_array().context("`cargo metadata` names no packages")?;
    packages
        .iter()
        .map(|package| {
            let name = package["name"].as_str().context("a package has no name")?.to_owned();
            let manifest = package["manifest_path"].as_str().context("a package has no manifest")?;
            let folder = manifest.strip_prefix(root).unwrap_or(manifest);
            let folder = folder.trim_start_matches('/').trim_end_matches("/Cargo.toml").to_owned();
            let uses = package["dependencies"]
                .as_array()
                .into_iter()
                .flatten()
                // A path makes it one of ours; `kind` is null for a normal dependency.
                .filter(|used| !used["path"].is_null() && used["kind"].as_str() != Some("dev"))
                .filter_map(|used| used["name"].as_str().map(str::to_owned))
                .collect();
            Ok(Package { name, folder, uses })
        })
        .collect()
}

fn room(package: &str) -> &str {
    package.strip_prefix(PREFIX).unwrap_or(package)
}

pub fn check(package: &Package) -> Vec<Violation> {
    let path = format!("{}/Cargo.toml", package.folder);
    let violation = |message: String| Violation { path: path.clone(), line: 0, message };
    let from = room(&package.name);
    let Some((_, allowed)) = TABLE.iter().find(|(room, _)| *room == from) else {
        return vec![violation(format!(
            "crate `{}` has no row in the table of allowed edges (xtask/src/tidy/edges.rs); changing the table is an ADR",
            package.name
        ))];
    };
    package
        .uses
        .iter()
        .map(|used| room(used))
        .filter(|used| !allowed.contains(used))
        .map(|used| {
            violation(format!(
                "edge `{from}` → `{used}` is not in the table of allowed edges; changing the table is an ADR"
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(name: &str, uses: &[&str]) -> Vec<String> {
        let uses = uses.iter().map(|used| (*used).to_owned()).collect();
        let package = Package { name: name.to_owned(), folder: format!("crates/{}", room(name)), uses };
        check(&package).into_iter().map(|violation| violation.message).collect()
    }

    #[test]
    fn allowed_edges_pass_and_others_are_named() {
        assert!(messages("gauntlet-types", &[]).is_empty());
        assert!(messages("gauntlet-pipeline", &["gauntlet-types", "gauntlet-guard"]).is_empty());
        assert!(messages("gauntlet", &["gauntlet-store", "gauntlet-server"]).is_empty());
        let broken = messages("gauntlet-guard", &["gauntlet-types", "gauntlet-ports"]);
        assert_eq!(broken.len(), 1);
        assert!(broken[0].contains("`guard` → `ports`"), "{broken:?}");
        assert!(broken[0].contains("changing the table is an ADR"), "{broken:?}");
    }

    #[test]
    fn the_binary_may_not_ship_the_testkit() {
        assert_eq!(messages("gauntlet", &["gauntlet-testkit"]).len(), 1);
    }

    #[test]
    fn a_crate_without_a_row_is_refused() {
        assert!(messages("gauntlet-misc", &[])[0].contains("has no row"));
    }

    #[test]
    fn dev_dependencies_and_outside_crates_do_not_count() {
        let metadata = serde_json::json!({
            "workspace_root": "/r",
            "packages": [{
                "name": "gauntlet-wire", "manifest_path": "/r/crates/wire/Cargo.toml",
                "dependencies": [
                    {"name": "gauntlet-types", "kind": null, "path": "/r/crates/types"},
                    {"name": "gauntlet-testkit", "kind": "dev", "path": "/r/crates/testkit"},
                    {"name": "serde", "kind": null, "path": null},
                ],
            }],
        });
        let packages = packages_of(&metadata).unwrap();
        assert_eq!(packages[0].uses, ["gauntlet-types"]);
        assert_eq!(packages[0].folder, "crates/wire");
    }

    #[test]
    fn the_table_has_no_cycle() {
        // Rooms whose own rooms are all placed can be placed; a cycle would leave some over.
        let mut placed: Vec<&str> = Vec::new();
        while let Some((room, _)) = TABLE
            .iter()
            .find(|(room, uses)| !placed.contains(room) && uses.iter().all(|used| placed.contains(used)))
        {
            placed.push(room);
        }
        assert_eq!(placed.len(), TABLE.len(), "placed only {placed:?}");
    }
}
