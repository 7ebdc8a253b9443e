//! `check`: everything that must hold before a push.

use std::{path::Path, process::Command};

use anyhow::{Result, bail};

use crate::{
    process::{Steps, run},
    run_tests, tidy,
};

/// Runs the quick checks to their end even when one fails, so that one run shows all there is to mend.
pub fn check(root: &Path, arguments: &[String]) -> Result<()> {
    let (quick, rest): (Vec<_>, Vec<_>) = arguments.iter().cloned().partition(|word| word == "--quick");
    let options = run_tests::Options::parse(&rest)?;
    if !quick.is_empty() && !rest.is_empty() {
        bail!("--quick leaves the tests out, so it takes no test options");
    }

    let mut steps = Steps::default();
    let mut failed = Vec::new();
    let mut note = |name: &'static str, result: Result<()>| {
        if let Err(error) = result {
            eprintln!("{error:#}");
            failed.push(name);
        }
    };
    let cargo = |words: &[&str]| {
        let mut command = Command::new(run_tests::cargo());
        command.current_dir(root).args(words);
        command
    };
    note("format", steps.time("format", || run(&mut cargo(&["fmt", "--all", "--", "--check"]))));
    note("tidy", steps.time("tidy", || tidy::tidy(root)));
    note(
        "lints",
        steps.time("lints", || {
            run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))
        }),
    );
    steps.print();
    if !failed.is_empty() {
        bail!("failed: {} (`cargo fmt --all` mends the format)", failed.join(", "));
    }
    if quick.is_empty() { run_tests::test(root, &options) } else { Ok(()) }
}
