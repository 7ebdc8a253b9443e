//! `gauntlet gate`

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;

/// Decides whether a run of evals may be released: against a baseline, floors, cost, latency and violations.
///
/// Exit codes: 0 pass, 1 fail, 2 it could not be decided, 3 inconclusive: too few cases to tell.
#[derive(Args)]
pub struct Gate {
    /// A suite (evals/NAME.yaml), whose newest run of this application is looked at; or a run
    #[arg(value_name = "SUITE|RUN")]
    pub what: Option<String>,
    /// The run; its suite is read from the folder `evals` unless it is named as well
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
    /// What it is compared with: a label, `PROMPT@VERSION`, `sha:SHA`, `run:RUN`, `last`, `none` [default: the suite's]
    #[arg(long, value_name = "BASELINE")]
    pub baseline: Option<String>,
    /// How much worse is still as good, for every metric; one wider than the suite's is not kept for promotions
    #[arg(long, value_name = "POINTS")]
    pub margin: Option<f64>,
    /// The application's version [default: GITHUB_SHA, else that of git here]
    #[arg(long, value_name = "SHA", env = "GAUNTLET_APP_SHA")]
    pub app_sha: Option<String>,
    /// End with 0 where the cases do not tell; the verdict stays what it is
    #[arg(long)]
    pub allow_inconclusive: bool,
    /// Write a report for CI; without a file, or with `-`, to standard output
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    pub junit: Option<PathBuf>,
    /// Write a report for a comment; without a file, or with `-`, to standard output
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    pub markdown: Option<PathBuf>,
}

impl Gate {
    /// Whether each report has a place of its own, and the suite was not taken for the file of one.
    pub fn outputs_are_apart(&self, is_json: bool) -> Result<()> {
        let reports = [("--junit", self.junit.as_deref()), ("--markdown", self.markdown.as_deref())];
        let to_stdout = |file: Option<&Path>| file == Some(Path::new("-"));
        let shown: Vec<&str> =
            reports.iter().filter(|(_, file)| to_stdout(*file)).map(|(flag, _)| *flag).collect();
        match (&shown[..], is_json) {
            ([flag], true) => bail!(
                "`--json` and `{flag}` both write to standard output: give `{flag}` a file, such as `{flag}=report`"
            ),
            ([_, flag], _) => bail!(
                "`--junit` and `--markdown` both write to standard output: give one a file, such as `{flag}=report.md`"
            ),
            _ => {}
        }
        if self.what.is_some() || self.run.is_some() {
            return Ok(());
        }
        // `gate --junit support` reads as a suite, and clap takes it for the file.
        let eaten = reports.iter().find_map(|(flag, file)| Some((flag, file.filter(|file| is_plain(file))?)));
        if let Some((flag, file)) = eaten {
            let suite = file.display();
            bail!(
                "`{suite}` is the file of `{flag}` here, so no suite is named: write `gauntlet gate {suite} {flag}`, or `{flag}=FILE`"
            );
        }
        Ok(())
    }
}

/// As suites are named: neither a path nor a name with an ending.
fn is_plain(file: &Path) -> bool {
    file != Path::new("-") && file.extension().is_none() && file.components().count() == 1
}

#[cfg(test)]
mod tests {
    use crate::cli::{Cli, Command};
    use clap::Parser;

    #[test]
    fn each_report_has_a_place_of_its_own() {
        let check = |line: &str, refused: Option<&str>| {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            let Command::Gate(gate) = cli.command else { panic!("{line} is a gate") };
            let found = gate.outputs_are_apart(cli.place.json).err().map(|error| error.to_string());
            let is_wanted = match (&found, refused) {
                (Some(found), Some(wanted)) => found.contains(wanted),
                (found, wanted) => found.is_none() && wanted.is_none(),
            };
            assert!(is_wanted, "{line}: {found:?}");
        };
        check("gauntlet gate cost", None);
        check("gauntlet gate cost --junit --json", Some("give `--junit` a file"));
        check("gauntlet gate cost --json --markdown -", Some("give `--markdown` a file"));
        check("gauntlet gate cost --junit a.xml --markdown", None);
        check("gauntlet gate cost --junit=a.xml --markdown=b.md --json", None);
        check("gauntlet gate cost --junit --markdown", Some("both write to standard output"));
        check("gauntlet gate --junit cost", Some("write `gauntlet gate cost --junit`"));
        check("gauntlet gate --junit gate.xml", None);
        check("gauntlet gate --run r1 --junit cost", None);
    }
}
