//! Arize Phoenix in a venv of its own: it stands on 150 packages, which must not meet those of the SDKs.

use std::{env, fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, bail};

use super::{Missing, Place, fnv1a, python};
use crate::{
    parts::Part,
    process::{Steps, output, run_logged},
};

const PINS: &str = "requirements-phoenix.txt";
/// Asks for the version without importing, which takes seconds.
const PROBE: &str = "import importlib.metadata as m; m.version('arize-phoenix')";

fn override_path() -> Option<PathBuf> {
    env::var_os("GAUNTLET_TEST_PHOENIX").filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Named for its own pins, so that a new Phoenix does not have everything else built anew.
fn folder(place: &Place<'_>) -> PathBuf {
    let pins = fs::read(place.pins().join(PINS)).unwrap_or_default();
    place.cache.join(format!("phoenix-{:08x}", fnv1a(&pins) as u32))
}

fn interpreter(place: &Place<'_>) -> PathBuf {
    override_path().unwrap_or_else(|| folder(place).join("bin").join("python"))
}

pub fn is_ready(place: &Place<'_>) -> bool {
    // Written last, so that an install that was broken off is begun again.
    (override_path().is_some() || folder(place).join("done").exists())
        && output(interpreter(place), &["-c", PROBE]).is_some()
}

pub fn prepare(place: &Place<'_>, steps: &mut Steps, missing: &mut Vec<Missing>) -> Option<PathBuf> {
    if is_ready(place) {
        return Some(interpreter(place));
    }
    match steps.time("Phoenix", || install(place)) {
        Ok(()) => Some(interpreter(place)),
        Err(error) => {
            missing.push(Missing {
                part: Part::Phoenix,
                what: format!("Phoenix: {error:#}"),
                cure: "see the log, or set GAUNTLET_TEST_PHOENIX to a Python that has arize-phoenix"
                    .to_owned(),
            });
            None
        }
    }
}

fn install(place: &Place<'_>) -> Result<()> {
    if override_path().is_some() {
        bail!("GAUNTLET_TEST_PHOENIX lacks arize-phoenix");
    }
    let folder = folder(place);
    python::new_venv(place, &folder)?;
    let python = interpreter(place);
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--requirement"]);
    pip.arg(place.pins().join(PINS));
    run_logged(&mut pip, &place.log("pip-phoenix"))?;
    if output(&python, &["-c", PROBE]).is_none() {
        bail!("pip installed {PINS}, but arize-phoenix is not there");
    }
    fs::write(folder.join("done"), "").context("cannot note that the install is done")
}
