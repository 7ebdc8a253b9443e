//! The real parts that some tests talk to, as `cargo xtask test` installs them and names them in the environment.
//!
//! A test asks for its part and returns when there is none. That is never silent: under `cargo xtask test` a missing part
//! fails the test unless it was left out on purpose; elsewhere the test says that it was skipped, past the test
//! harness's capture of output.

use std::{env, io::Write, path::PathBuf};

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

/// A GGUF file.
pub fn model() -> Option<PathBuf> {
    need("model", "GAUNTLET_TEST_MODEL")
}

/// The Python that runs the model's server; there also when the Python SDK itself was left out.
pub(crate) fn model_python() -> Option<PathBuf> {
    need("model", "GAUNTLET_TEST_PYTHON")
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
            let test = std::thread::current().name().unwrap_or("a test").to_owned();
            // The handle, not `eprintln!`, which the harness keeps to itself when a test passes.
            let _ = writeln!(std::io::stderr(), "\nSKIPPED: {test}: {why}");
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
