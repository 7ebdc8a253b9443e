//! `test`: the one test command. Installs what the tests need, runs every test, and says plainly how it went.

use std::{
    ffi::OsString,
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{
    environment::{self, Environment},
    parts::Part,
    process::Steps,
};

/// What tests write, on a line of its own, when a part they need was left out (see `testkit::parts`).
const SKIPPED: &str = "SKIPPED:";

/// Settings of a developer's shell that would send a test to a real provider or through a proxy.
const NOT_FOR_TESTS: [&str; 14] = [
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT_ID",
    "ANTHROPIC_API_KEY",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "AZURE_OPENAI_API_KEY",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
];

#[derive(Default, PartialEq, Eq, Debug)]
pub struct Options {
    without: Vec<Part>,
    prepare_only: bool,
    cargo_arguments: Vec<String>,
}

impl Options {
    pub fn parse(arguments: &[String]) -> Result<Options> {
        let mut options = Options::default();
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--" => {
                    options.cargo_arguments = words.cloned().collect();
                    break;
                }
                "--prepare-only" => options.prepare_only = true,
                "--without" => {
                    let parts = words.next().context("--without needs parts: --without model,browser")?;
                    options.without.extend(Part::parse_list(parts)?);
                }
                other => match other.strip_prefix("--without=") {
                    Some(parts) => options.without.extend(Part::parse_list(parts)?),
                    None => bail!("unknown argument `{other}`; arguments for `cargo test` come after `--`"),
                },
            }
        }
        Ok(options)
    }
}

/// The cargo that runs us, so that a chosen toolchain stays chosen.
pub fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

pub fn test(root: &Path, options: &Options) -> Result<()> {
    let mut steps = Steps::default();
    let environment = environment::prepare(root, &options.without, &mut steps)?;
    if options.prepare_only {
        steps.print();
        return Ok(());
    }
    let mut report = Report::default();
    let mut command = cargo_test(root, options, &environment);
    let result = steps.time("cargo test", || stream(&mut command, &mut report));
    steps.print();
    report.print();
    if !options.without.is_empty() {
        let parts: Vec<&str> = options.without.iter().map(|part| part.as_str()).collect();
        println!("\nLEFT OUT on request: {}. This was not a full run.", parts.join(", "));
    }
    result
}

fn cargo_test(root: &Path, options: &Options, environment: &Environment) -> Command {
    let mut command = Command::new(cargo());
    command.current_dir(root).args(["test", "--workspace", "--no-fail-fast"]).args(&options.cargo_arguments);
    for name in NOT_FOR_TESTS {
        command.env_remove(name);
    }
    for (name, value) in &environment.variables {
        command.env(name, value);
    }
    // A part that is missing fails its tests, unless it was left out on purpose.
    let without: Vec<&str> = options.without.iter().map(|part| part.as_str()).collect();
    command.env("GAUNTLET_TEST_REQUIRE_ALL", "1").env("GAUNTLET_TEST_WITHOUT", without.join(","));
    command.env("NO_PROXY", "127.0.0.1,localhost").env("no_proxy", "127.0.0.1,localhost");
    command
}

/// Shows the output as it comes and reads it along. Both streams share one pipe, so that they stay in order.
fn stream(command: &mut Command, report: &mut Report) -> Result<()> {
    let (reader, writer) = io::pipe().context("cannot make a pipe")?;
    command.stdin(Stdio::null()).stdout(writer.try_clone().context("cannot share the pipe")?).stderr(writer);
    let mut child = command.spawn().context("cannot start `cargo test`")?;
    // The command keeps its ends of the pipe open; without this the reader would never see the end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut out = io::stdout();
    for line in BufReader::new(reader).split(b'\n') {
        let line = line.context("cannot read what `cargo test` prints")?;
        report.read(&String::from_utf8_lossy(&line));
        // A closed terminal must not stop the tests.
        let _ = out.write_all(&line).and_then(|()| out.write_all(b"\n"));
    }
    let status = child.wait().context("cannot wait for `cargo test`")?;
    if !status.success() {
        bail!("`cargo test` failed ({status})");
    }
    Ok(())
}

/// What cargo said, without what it said in between.
#[derive(Default)]
struct Report {
    /// The crate whose tests ran last.
    package: String,
    suite: String,
    /// (suite, cargo's own `test result:` line)
    results: Vec<(String, String)>,
    failed: Vec<String>,
    skipped: Vec<String>,
    passed_total: u64,
}

impl Report {
    fn read(&mut self, line: &str) {
        let line = line.trim();
        if let Some(suite) = line.strip_prefix("Running ") {
            // `unittests src/lib.rs (…/deps/gauntlet_types-0123abcd)`: the name in brackets says which crate.
            let file = suite.rsplit(['/', '(']).next().unwrap_or(suite).trim_end_matches(')');
            let name = file.rsplit_once('-').map_or(file, |(name, _)| name);
            if suite.starts_with("unittests src/lib.rs") || suite.starts_with("unittests src/main.rs") {
                self.package = name.to_owned();
            }
            // Every crate calls its integration tests `it`; cargo runs them after the crate's own.
            self.suite = if suite.starts_with("tests/") {
                format!("{} {name}", self.package)
            } else {
                name.to_owned()
            };
        } else if let Some(suite) = line.strip_prefix("Doc-tests ") {
            self.suite = format!("{suite} (documentation)");
        } else if let Some(result) = line.strip_prefix("test result: ") {
            self.results.push((self.suite.clone(), result.to_owned()));
            self.passed_total += passed(result);
        } else if let Some(name) =
            line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            self.failed.push(format!("{}: {name}", self.suite));
        } else if let Some(at) = line.find(SKIPPED) {
            let what = line[at + SKIPPED.len()..].trim().to_owned();
            // A test may ask for its part several times.
            if !self.skipped.contains(&what) {
                self.skipped.push(what);
            }
        }
    }

    fn print(&self) {
        if self.results.is_empty() {
            println!("\nno test ran: see what cargo said above");
            return;
        }
        println!("\nresults:");
        let width = self.results.iter().map(|(suite, _)| suite.len()).max().unwrap_or(0);
        // A crate without documentation tests says so in a line of noughts: nothing to read there.
        for (suite, result) in
            self.results.iter().filter(|(_, result)| !result.starts_with("ok. 0 passed; 0 failed; 0 ignored"))
        {
            println!("  {suite:width$}  {result}");
        }
        if !self.skipped.is_empty() {
            println!("\nSKIPPED ({}):", self.skipped.len());
            self.skipped.iter().for_each(|what| println!("  {what}"));
        }
        if !self.failed.is_empty() {
            println!("\nFAILED ({}):", self.failed.len());
            self.failed.iter().for_each(|name| println!("  {name}"));
        }
        println!(
            "\n{} passed, {} failed, {} skipped",
            self.passed_total,
            self.failed.len(),
            self.skipped.len()
        );
    }
}

/// `ok. 12 passed; 0 failed; …`
fn passed(result: &str) -> u64 {
    let mut words = result.split_whitespace();
    let mut before = "";
    for word in words.by_ref() {
        if word.starts_with("passed") {
            return before.parse().unwrap_or(0);
        }
        before = word;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Options> {
        Options::parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_after_two_dashes_go_to_cargo() {
        let options = parse(&["--without", "model,browser", "--", "-p", "gauntlet", "budget"]).unwrap();
        assert_eq!(options.without, [Part::Model, Part::Browser]);
        assert_eq!(options.cargo_arguments, ["-p", "gauntlet", "budget"]);
        assert_eq!(parse(&["--without=node"]).unwrap().without, [Part::Node]);
    }

    #[test]
    fn unknown_parts_and_arguments_are_refused() {
        assert!(parse(&["--without", "mysql"]).unwrap_err().to_string().contains("no part `mysql`"));
        assert!(parse(&["budget"]).unwrap_err().to_string().contains("after `--`"));
        assert!(parse(&["--without"]).is_err());
    }

    #[test]
    fn the_report_repeats_what_cargo_said() {
        let mut report = Report::default();
        for line in [
            "     Running unittests src/lib.rs (target/debug/deps/gauntlet_types-0123abcd)",
            "test money::tests::adds ... ok",
            "test money::tests::breaks ... FAILED",
            "SKIPPED: the browser was left out",
            "test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "     Running tests/it/main.rs (target/debug/deps/it-0123abcd)",
            "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "   Doc-tests gauntlet_wire",
            "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        ] {
            report.read(line);
        }
        assert_eq!(report.passed_total, 6);
        assert_eq!(report.results[1].0, "gauntlet_types it");
        assert_eq!(report.failed, ["gauntlet_types: money::tests::breaks"]);
        assert_eq!(report.skipped, ["the browser was left out"]);
        assert_eq!(report.results[2].0, "gauntlet_wire (documentation)");
    }
}
