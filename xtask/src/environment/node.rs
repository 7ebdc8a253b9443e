//! The Node packages of the tests: the pinned SDK in a folder of its own.

use std::{env, fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, bail};

use super::{Missing, Place, apt::Need, find_program};
use crate::{
    parts::Part,
    process::{Steps, output, run_logged},
};

/// The SDK relies on Node's own `fetch`.
const VERSION_MIN: u32 = 18;

fn override_path() -> Option<PathBuf> {
    env::var_os("GAUNTLET_TEST_NODE_MODULES").filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn modules(place: &Place<'_>) -> PathBuf {
    override_path().unwrap_or_else(|| place.cache.join("node").join("node_modules"))
}

pub fn is_ready(place: &Place<'_>) -> bool {
    let modules = modules(place);
    let is_done = override_path().is_some() || place.cache.join("node.done").exists();
    is_done
        && modules.join("openai/package.json").is_file()
        && version().is_some_and(|found| found >= VERSION_MIN)
}

/// Node's major version.
fn version() -> Option<u32> {
    output("node", &["--version"])?.strip_prefix('v')?.split('.').next()?.parse().ok()
}

pub fn debian_needs() -> Vec<Need> {
    let mut needs = Vec::new();
    if find_program("node").is_none() {
        needs.push(Need { part: Part::Node, what: "Node.js", package: "nodejs" });
    }
    if find_program("npm").is_none() && override_path().is_none() {
        needs.push(Need { part: Part::Node, what: "npm", package: "npm" });
    }
    needs
}

pub fn prepare(place: &Place<'_>, steps: &mut Steps, missing: &mut Vec<Missing>) -> Option<PathBuf> {
    if is_ready(place) {
        return Some(modules(place));
    }
    match steps.time("Node SDK", || install(place)) {
        Ok(()) => Some(modules(place)),
        Err(error) => {
            missing.push(Missing {
                part: Part::Node,
                what: format!("Node SDK: {error:#}"),
                cure: "install Node.js 20 with npm, \
                       or set GAUNTLET_TEST_NODE_MODULES to a folder with the packages of tests-env"
                    .to_owned(),
            });
            None
        }
    }
}

fn install(place: &Place<'_>) -> Result<()> {
    match version() {
        Some(found) if found >= VERSION_MIN => {}
        Some(found) => bail!("node is version {found}, the tests need {VERSION_MIN} or newer"),
        None => bail!("there is no node"),
    }
    if override_path().is_some() {
        bail!("GAUNTLET_TEST_NODE_MODULES lacks the packages of tests-env");
    }
    let folder = place.cache.join("node");
    fs::create_dir_all(&folder).context("cannot make the folder of the Node packages")?;
    for pins in ["package.json", "package-lock.json"] {
        fs::copy(place.pins().join(pins), folder.join(pins))
            .with_context(|| format!("cannot copy {pins}"))?;
    }
    // `ci` installs what the lock file says and nothing else; no package may run a script of its own.
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&folder);
    run_logged(&mut npm, &place.log("npm"))?;
    fs::write(place.cache.join("node.done"), "").context("cannot note that the install is done")
}
