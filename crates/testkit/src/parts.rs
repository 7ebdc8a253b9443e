//! The real parts that some tests talk to, as `cargo xtask test` installs them and names them in the environment.
//!
//! A test asks for its part and returns when there is none. That is never silent: under `cargo xtask test` a missing part
//! fails the test unless it was left out on purpose; elsewhere the test says that it was skipped, past the test
//! harness's capture of output.

use std::{env, fs, io::Write, path::PathBuf};

/// A Python that has the pinned packages.
pub fn python() -> Option<PathBuf> {
    need("python", "GAUNTLET_TEST_PYTHON")
}

/// A `node_modules` folder that has the pinned packages.
pub fn node_modules() -> Option<PathBuf> {
    need("node", "GAUNTLET_TEST_NODE_MODULES")
}

/// A Chromium.
pub fn chromium() -> Option<PathBuf> {
    need("browser", "GAUNTLET_TEST_CHROMIUM")
}

/// A Python that has Arize Phoenix.
pub fn phoenix() -> Option<PathBuf> {
    need("phoenix", "GAUNTLET_TEST_PHOENIX")
}

/// A Python that has OpenTelemetry's SDK and other people's instrumentation.
pub fn otel() -> Option<PathBuf> {
    need("otel", "GAUNTLET_TEST_OTEL")
}

/// A Python that has two encoders and what they are compared with.
pub fn encoders() -> Option<PathBuf> {
    need("encoders", "GAUNTLET_TEST_ENCODERS")
}

/// A Python that has SciPy and scikit-learn.
pub fn statistics() -> Option<PathBuf> {
    need("statistics", "GAUNTLET_TEST_STATISTICS")
}

/// A Python that has the clients of every vendor.
pub fn clients() -> Option<PathBuf> {
    need("clients", "GAUNTLET_TEST_CLIENTS")
}

/// A Python that has the packages whose scores ours are compared with.
pub fn scores() -> Option<PathBuf> {
    need("scores", "GAUNTLET_TEST_SCORES")
}

/// A Python that has junitparser; where it is, there are jq and curl for the scripts of the GitHub Action.
pub fn gate() -> Option<PathBuf> {
    need("gate", "GAUNTLET_TEST_GATE")
}

/// A `node_modules` folder that has them.
pub fn node_clients() -> Option<PathBuf> {
    need("clients", "GAUNTLET_TEST_NODE_CLIENTS")
}

/// A GGUF file.
pub fn model() -> Option<PathBuf> {
    need("model", "GAUNTLET_TEST_MODEL")
}

/// The Python that runs the model's server; there also when the Python SDK itself was left out.
pub(crate) fn model_python() -> Option<PathBuf> {
    need("model", "GAUNTLET_TEST_PYTHON")
}

/// The program of a Redis or Valkey server. Unlike the parts above it is looked for on the machine too, and a test that wants
/// it never goes without it unseen: what is missing fails unless it was left out on request.
pub fn redis_server() -> Option<PathBuf> {
    server("redis", "GAUNTLET_TEST_REDIS", || find(&["redis-server", "valkey-server"], &search_path()))
}

/// The folder with Postgres's own programs.
pub fn postgres_programs() -> Option<PathBuf> {
    server("postgres", "GAUNTLET_TEST_POSTGRES", || {
        // Debian keeps them off the path, a folder a version. On the path there may be links to some of them.
        let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let folders = versions.map(|version| version.path().join("bin")).chain(search_path());
        folders
            .into_iter()
            .find(|folder| ["initdb", "pg_isready"].iter().all(|name| folder.join(name).is_file()))
    })
}

/// The program of Prometheus.
pub fn prometheus() -> Option<PathBuf> {
    server("prometheus", "GAUNTLET_TEST_PROMETHEUS", || find(&["prometheus"], &search_path()))
}

fn server(part: &str, variable: &str, look: impl Fn() -> Option<PathBuf>) -> Option<PathBuf> {
    let without = env::var("GAUNTLET_TEST_WITHOUT").unwrap_or_default();
    let set = env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let is_left_out = without.split(',').any(|left_out| left_out == part);
    match set.or_else(|| look().filter(|_| !is_left_out)) {
        None if !is_left_out => {
            panic!("part `{part}` is missing; `cargo xtask test` installs it, and {variable} names one")
        }
        Some(path) if !is_left_out => Some(path),
        _ => {
            say_skipped(&format!("part `{part}` was left out on request"));
            None
        }
    }
}

fn search_path() -> Vec<PathBuf> {
    env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default()
}

fn find(names: &[&str], folders: &[PathBuf]) -> Option<PathBuf> {
    let candidates = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    candidates.into_iter().find(|candidate| candidate.is_file())
}

fn say_skipped(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // The handle, not `eprintln!`, which the harness keeps to itself when a test passes.
    let _ = writeln!(std::io::stderr(), "\nSKIPPED: {test}: {why}");
}

fn need(part: &str, variable: &str) -> Option<PathBuf> {
    let read = |name: &str| env::var(name).unwrap_or_default();
    let answer = decide(
        part,
        variable,
        &read(variable),
        &read("GAUNTLET_TEST_REQUIRE_ALL"),
        &read("GAUNTLET_TEST_WITHOUT"),
    );
    match answer {
        Answer::There(path) => Some(path),
        Answer::Skip(why) => {
            say_skipped(&why);
            None
        }
        Answer::Fail(why) => panic!("{why}"),
    }
}

#[derive(PartialEq, Eq, Debug)]
enum Answer {
    There(PathBuf),
    Skip(String),
    Fail(String),
}

fn decide(part: &str, variable: &str, value: &str, require_all: &str, without: &str) -> Answer {
    if without.split(',').any(|left_out| left_out == part) {
        return Answer::Skip(format!("part `{part}` was left out on request"));
    }
    match (value, require_all) {
        ("", "1") => Answer::Fail(format!("part `{part}` is missing: {variable} is not set")),
        ("", _) => Answer::Skip(format!("part `{part}` is missing; `cargo xtask test` installs it")),
        (path, _) => Answer::There(PathBuf::from(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_part_is_loud() {
        let check =
            |value: &str, require_all: &str, without: &str| decide("node", "V", value, require_all, without);
        assert_eq!(check("x", "1", ""), Answer::There("x".into()));
        assert!(matches!(check("", "1", "model"), Answer::Fail(_)));
        assert!(matches!(check("", "1", "model,node"), Answer::Skip(_)));
        assert!(matches!(check("x", "1", "node"), Answer::Skip(_)));
        assert!(matches!(check("", "", ""), Answer::Skip(_)));
    }
}
