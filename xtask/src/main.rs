//! The repository's own commands: `cargo xtask check`, `tidy` and `test`.
//!
//! Few dependencies on purpose: this crate is built before anything else can be checked.

mod check;
mod environment;
mod parts;
mod process;
mod run_tests;
mod tidy;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: cargo xtask <command>

  check [--quick] [test options]   format, lints, tidy rules, then all tests; --quick leaves the tests out
  tidy                             the rules of this repository that the compiler does not know
  test [--without PART[,PART]] [--prepare-only] [-- cargo test arguments]
                                   installs what the tests need, then runs every test of the workspace
                                   parts that may be left out on purpose: python, node, browser, model

environment of `test`:
  GAUNTLET_TEST_CACHE          folder for what is installed (else $XDG_CACHE_HOME/gauntlet or ~/.cache/gauntlet)
  GAUNTLET_TEST_PYTHON         a Python that has the packages of tests-env already
  GAUNTLET_TEST_NODE_MODULES   a node_modules folder that has the packages of tests-env already
  GAUNTLET_TEST_CHROMIUM       a Chromium
  GAUNTLET_TEST_MODEL          a GGUF file to serve in place of SmolLM2
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<()> {
    let root = root();
    let Some((command, rest)) = arguments.split_first() else {
        print!("{USAGE}");
        return Ok(());
    };
    match command.as_str() {
        "check" => check::check(&root, rest),
        "tidy" => match rest {
            [] => tidy::tidy(&root),
            _ => bail!("tidy takes no arguments"),
        },
        "test" => run_tests::test(&root, &run_tests::Options::parse(rest)?),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        other => bail!("unknown command `{other}`\n\n{USAGE}"),
    }
}

/// The repository. Cargo says where it runs us from; the path from build time would be stale in a moved checkout.
fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let manifest = manifest.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    manifest.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}
