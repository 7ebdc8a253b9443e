//! The Node packages of the tests: pinned SDKs in folders of their own.

use std::{env, fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, bail};

use super::{Missing, Place, apt::Need, find_program, fnv1a};
use crate::{
    parts::Part,
    process::{Steps, output, run_logged},
};

/// The SDKs rely on Node's own `fetch`, Google's on what Node has since 20.
const VERSION_MIN: u32 = 20;

/// A folder of packages, and how tests are told of it.
pub struct NodeFolder {
    pub part: Part,
    what: &'static str,
    /// Where its `package.json` and lock stand, below `tests-env`.
    pins: &'static str,
    /// Names a folder that has them already.
    pub variable: &'static str,
    /// Its main package.
    package: &'static str,
}

pub const SDK: NodeFolder = NodeFolder {
    part: Part::Node,
    what: "Node SDK",
    pins: "",
    variable: "GAUNTLET_TEST_NODE_MODULES",
    package: "openai",
};

pub const CLIENTS: NodeFolder = NodeFolder {
    part: Part::Clients,
    what: "Node clients",
    pins: "clients",
    variable: "GAUNTLET_TEST_NODE_CLIENTS",
    package: "ai",
};

/// Node's major version.
fn version() -> Option<u32> {
    output("node", &["--version"])?.strip_prefix('v')?.split('.').next()?.parse().ok()
}

impl NodeFolder {
    fn override_path(&self) -> Option<PathBuf> {
        env::var_os(self.variable).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// Named for its own pins where the whole environment is not.
    fn folder(&self, place: &Place<'_>) -> PathBuf {
        if self.pins.is_empty() {
            return place.cache.join("node");
        }
        let lock = fs::read(place.pins().join(self.pins).join("package-lock.json")).unwrap_or_default();
        place.cache.join(format!("node-{}-{:08x}", self.pins, fnv1a(&lock) as u32))
    }

    fn modules(&self, place: &Place<'_>) -> PathBuf {
        self.override_path().unwrap_or_else(|| self.folder(place).join("node_modules"))
    }

    /// Written last, so that an install that was broken off is begun again.
    fn stamp(&self, place: &Place<'_>) -> PathBuf {
        self.folder(place).with_extension("done")
    }

    pub fn is_ready(&self, place: &Place<'_>) -> bool {
        let is_done = self.override_path().is_some() || self.stamp(place).exists();
        is_done
            && self.modules(place).join(self.package).join("package.json").is_file()
            && version().is_some_and(|found| found >= VERSION_MIN)
    }

    pub fn debian_needs(&self) -> Vec<Need> {
        let mut needs = Vec::new();
        if find_program("node").is_none() {
            needs.push(Need { part: self.part, what: "Node.js", package: "nodejs" });
        }
        if find_program("npm").is_none() && self.override_path().is_none() {
            needs.push(Need { part: self.part, what: "npm", package: "npm" });
        }
        needs
    }

    pub fn prepare(
        &self,
        place: &Place<'_>,
        steps: &mut Steps,
        missing: &mut Vec<Missing>,
    ) -> Option<PathBuf> {
        if self.is_ready(place) {
            return Some(self.modules(place));
        }
        match steps.time(self.what, || self.install(place)) {
            Ok(()) => Some(self.modules(place)),
            Err(error) => {
                missing.push(Missing {
                    part: self.part,
                    what: format!("{}: {error:#}", self.what),
                    cure: format!(
                        "install Node.js {VERSION_MIN} with npm, \
                         or set {} to a folder with the packages of tests-env",
                        self.variable
                    ),
                });
                None
            }
        }
    }

    fn install(&self, place: &Place<'_>) -> Result<()> {
        match version() {
            Some(found) if found >= VERSION_MIN => {}
            Some(found) => bail!("node is version {found}, the tests need {VERSION_MIN} or newer"),
            None => bail!("there is no node"),
        }
        if self.override_path().is_some() {
            bail!("{} lacks the packages of tests-env", self.variable);
        }
        let folder = self.folder(place);
        fs::create_dir_all(&folder).context("cannot make the folder of the Node packages")?;
        for pins in ["package.json", "package-lock.json"] {
            fs::copy(place.pins().join(self.pins).join(pins), folder.join(pins))
                .with_context(|| format!("cannot copy {pins}"))?;
        }
        // `ci` installs what the lock file says and nothing else; no package may run a script of its own.
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&folder);
        run_logged(&mut npm, &place.log(&format!("npm-{}", self.part.as_str())))?;
        fs::write(self.stamp(place), "").context("cannot note that the install is done")
    }
}
