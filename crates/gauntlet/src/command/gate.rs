//! `gauntlet gate`: asks the store for a run and its baseline, lets `gauntlet_evals::gate` decide, tells and keeps the verdict.

use std::{
    io::{IsTerminal, Write},
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, bail};
use gauntlet_evals::{
    BaselineSpec, Suite,
    gate::{
        GateInput, GateReport, Look, decide,
        find::{self, Labelled, Runs},
        report::{self, Inconclusive},
    },
};
use gauntlet_ports::{
    EvalGate, EvalResult, EvalRun, EvalStoreError, GateFilter, RUNS_MAX, RunFilter, RunState, Verdict,
};
use gauntlet_types::{Name, Timestamp};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    cli::{Gate, Place},
    evals_client::query,
    reach::{Reach, escape},
    show, suites, wiring,
};

/// Where a report goes besides the terminal.
#[derive(Clone, Copy)]
pub struct Outputs<'a> {
    pub junit: Option<&'a Path>,
    pub markdown: Option<&'a Path>,
    pub allow_inconclusive: bool,
}

pub fn run(place: &Place, asked: &Gate) -> Result<ExitCode> {
    let reach = Reach::new(place)?;
    let store = OverApi(&reach);
    let (mut suite, run) = subject(place, asked, &store)?;
    let mut looser = Vec::new();
    if loosen(&mut suite, asked.margin) {
        looser.push("a margin wider than the suite's");
    }
    let spec = match &asked.baseline {
        Some(text) => named_baseline(text, &store),
        None => suite.gate.baseline.clone(),
    };
    if spec == BaselineSpec::None && suite.gate.baseline != BaselineSpec::None {
        looser.push("no baseline, where the suite has one,");
    }
    let results = store.results(&run.id)?;
    let is_said = asked.baseline.is_some();
    let mut report = decided(&reach, &suite, (&run, &results), (&spec, is_said))?;
    let is_kept = looser.is_empty();
    if !is_kept {
        report.notes.push(format!(
            "{} was asked for, so this verdict is not kept: no promotion may rest on it",
            looser.join(" and ")
        ));
    }
    let outputs = Outputs {
        junit: asked.junit.as_deref(),
        markdown: asked.markdown.as_deref(),
        allow_inconclusive: asked.allow_inconclusive,
    };
    // First: whoever has read a verdict may rely on it.
    if is_kept {
        OverApi(&reach).keep(&report)?;
    }
    tell(place, &report, &results, outputs)?;
    Ok(code(report.verdict, asked.allow_inconclusive))
}

/// Decides about a run with the baseline that is meant, all that is known of it taken from the store.
pub fn decided(
    reach: &Reach,
    suite: &Suite,
    (run, results): (&EvalRun, &[EvalResult]),
    (spec, is_said): (&BaselineSpec, bool),
) -> Result<GateReport> {
    let store = OverApi(reach);
    let known = matches!(spec, BaselineSpec::Label(_)).then(|| reach.get("/api/v1/prompts")).transpose()?;
    let prompt = run.candidate.prompt.as_ref().map(|prompt| prompt.name.to_string());
    let prompt = prompt.or_else(|| suite.prompt_name().map(str::to_owned));
    let label = |label: &Name| labelled(known.as_ref()?, prompt.as_deref(), label);
    let by_name = match spec {
        BaselineSpec::Label(name) if is_said && label(name).is_none() => of_candidate(&store, run, name)?,
        _ => None,
    };
    let baseline = match by_name {
        Some(run) => Some(run),
        None => find::baseline(&store, spec, is_said, run, &label)?,
    };
    let before = match &baseline {
        Some(run) => Some((run, store.results(&run.id)?)),
        None => None,
    };
    let days = suite.gate.trend.as_ref().map(|trend| trend.days);
    let history = days.map(|days| find::history(&store, run, days)).transpose()?.unwrap_or_default();
    let standings = find::standings(&store, suite)?;
    Ok(decide(&GateInput {
        suite,
        run,
        results,
        baseline: before.as_ref().map(|(run, results)| (*run, &results[..])),
        history: &history,
        standings: &standings,
    })?)
}

/// The newest run of what `eval run` was given as candidate: a model has neither labels nor versions.
fn of_candidate(store: &OverApi<'_>, run: &EvalRun, name: &str) -> Result<Option<EvalRun>> {
    let filter = RunFilter {
        suite: Some(run.suite.clone()),
        state: Some(RunState::Done),
        limit: Some(RUNS_MAX),
        ..RunFilter::default()
    };
    let is_it = |other: &EvalRun| other.id != run.id && *other.candidate.name == *name;
    Ok(store.runs(&filter)?.into_iter().find(is_it))
}

/// Prints a report, and writes it where else it is wanted.
pub fn tell(place: &Place, report: &GateReport, results: &[EvalResult], outputs: Outputs<'_>) -> Result<()> {
    let inconclusive = if outputs.allow_inconclusive { Inconclusive::Skipped } else { Inconclusive::Fails };
    let files = [
        (outputs.junit, report::junit(report, results, inconclusive)),
        (outputs.markdown, report::markdown(report)),
    ];
    let mut to_stdout = false;
    for (path, text) in files {
        to_stdout |= path.is_some_and(is_stdout);
        if let Some(path) = path {
            write(path, &text)?;
        }
    }
    if to_stdout {
        return Ok(());
    }
    if place.json {
        show::json(&serde_json::to_value(report)?);
    } else {
        writeln!(std::io::stdout(), "{}", report::text(report, look()))?;
    }
    std::io::stdout().flush()?;
    Ok(())
}

/// A report goes there instead of what people read.
pub fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

/// Writes a report into a file, or to standard output.
pub fn write(path: &Path, text: &str) -> Result<()> {
    if is_stdout(path) {
        print!("{text}");
        return Ok(());
    }
    suites::write(path, text)
}

/// A verdict as it is kept: a promotion asks for it.
pub fn kept(report: &GateReport) -> Result<EvalGate> {
    let at = wiring::now();
    Ok(EvalGate {
        id: gate_id(at, fastrand::u32(..)),
        suite: report.suite.clone(),
        run: report.run.id.clone(),
        baseline: report.baseline.as_ref().map(|run| run.id.clone()),
        app_sha: report.run.app_sha.clone(),
        prompt: report.run.prompt.clone(),
        verdict: report.verdict,
        summary: report.summary.clone(),
        report: serde_json::to_value(report)?,
        at,
    })
}

/// 0 pass, 1 fail, 3 inconclusive unless that was allowed.
pub fn code(verdict: Verdict, allow_inconclusive: bool) -> ExitCode {
    match (verdict, allow_inconclusive) {
        (Verdict::Pass, _) | (Verdict::Inconclusive, true) => ExitCode::SUCCESS,
        (Verdict::Fail, _) => ExitCode::from(1),
        (Verdict::Inconclusive, false) => ExitCode::from(3),
    }
}

pub fn look() -> Look {
    // https://no-color.org: set and not empty.
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
    Look { width: show::width(), color: !is_plain && std::io::stdout().is_terminal() }
}

/// `gate-20261122T011500Z-0a1b2c3d`.
fn gate_id(at: Timestamp, chance: u32) -> Name {
    let text = at.to_string();
    let seconds = text.split('.').next().unwrap_or_default();
    let stamp: String = seconds.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    format!("gate-{stamp}Z-{chance:08x}").into()
}

/// The suite and the run that are meant.
fn subject(place: &Place, asked: &Gate, store: &OverApi<'_>) -> Result<(Suite, EvalRun)> {
    match (&asked.what, &asked.run) {
        (Some(what), Some(run)) => Ok((suites::good(&suites::find(place, what)?)?, store.run(run)?)),
        (None, Some(run)) => of_run(place, store.run(run)?),
        (Some(what), None) => match suites::find(place, what) {
            Ok(path) => newest_of(suites::good(&path)?, asked, store),
            Err(no_suite) => match store.run(what) {
                Ok(run) => of_run(place, run),
                Err(EvalStoreError::UnknownRun(_)) => {
                    bail!("{no_suite:#}; and there is no run of that name, see `gauntlet eval list`")
                }
                Err(error) => Err(error.into()),
            },
        },
        (None, None) => {
            bail!("which suite? Name one (`gauntlet gate NAME` for evals/NAME.yaml), or a run with --run")
        }
    }
}

fn of_run(place: &Place, run: EvalRun) -> Result<(Suite, EvalRun)> {
    let path = suites::find(place, &run.suite).with_context(|| {
        format!(
            "run `{0}` is of suite `{1}`; name its file: `gauntlet gate FILE --run {0}`",
            run.id, run.suite
        )
    })?;
    Ok((suites::good(&path)?, run))
}

fn newest_of(suite: Suite, asked: &Gate, store: &OverApi<'_>) -> Result<(Suite, EvalRun)> {
    let sha = asked.app_sha.clone().or_else(sha_here).map(Name::from);
    let run = find::newest(store, &suite.name, sha.as_ref())?;
    Ok((suite, run))
}

/// The commit that CI builds, else the one that git has here.
fn sha_here() -> Option<String> {
    let said = std::env::var("GITHUB_SHA").ok().filter(|sha| !sha.is_empty());
    said.or_else(|| {
        let asked = Command::new("git").args(["rev-parse", "HEAD"]).output().ok()?;
        let text = String::from_utf8(asked.stdout).ok()?.trim().to_owned();
        (asked.status.success() && !text.is_empty()).then_some(text)
    })
}

/// Sets a margin for every metric; whether it is wider than the suite's own anywhere.
fn loosen(suite: &mut Suite, margin: Option<f64>) -> bool {
    let Some(margin) = margin else { return false };
    let own = suite.metrics.iter().filter_map(|metric| metric.margin);
    let narrowest = own.fold(suite.gate.margin, f64::min);
    suite.gate.margin = margin;
    for metric in &mut suite.metrics {
        metric.margin = None;
    }
    // Not a number is nothing that a verdict may rest on either; the gate refuses it.
    !matches!(margin.partial_cmp(&narrowest), Some(std::cmp::Ordering::Less | std::cmp::Ordering::Equal))
}

/// As the suite writes it; a bare word that is a run's id names that run.
fn named_baseline(text: &str, store: &OverApi<'_>) -> BaselineSpec {
    match BaselineSpec::parse(text) {
        BaselineSpec::Label(label) if store.run(&label).is_ok() => BaselineSpec::Run(label),
        spec => spec,
    }
}

/// What `LABEL`, `PROMPT@LABEL` or `PROMPT@VERSION` points to, by what the gateway knows of prompts.
fn labelled(known: &Value, prompt: Option<&str>, label: &str) -> Option<Labelled> {
    let (prompt, wanted) = match label.split_once('@') {
        Some((prompt, wanted)) => (prompt, wanted),
        None => (prompt?, label),
    };
    let rows = |of: &str| known[of].as_array().map_or(&[][..], Vec::as_slice);
    let points = rows("labels").iter().find(|row| row["name"] == prompt && row["label"] == wanted);
    let version = points.and_then(|row| row["version"].as_str()).unwrap_or(wanted);
    let row = rows("versions").iter().find(|row| row["name"] == prompt && row["version"] == version)?;
    Some(Labelled { prompt: prompt.into(), version: version.into(), hash: row["hash"].as_str()?.into() })
}

/// The store of evals through the management API, which answers without a gateway as well.
pub struct OverApi<'a>(pub &'a Reach);

impl OverApi<'_> {
    fn keep(&self, report: &GateReport) -> Result<()> {
        let gate = serde_json::to_value(kept(report)?)?;
        self.0.post("/api/v1/evals/gates", &gate).context("the verdict cannot be kept")?;
        Ok(())
    }

    fn list<T: DeserializeOwned>(
        &self,
        what: &'static str,
        path: &str,
        of: &str,
    ) -> Result<Vec<T>, EvalStoreError> {
        let mut answer = self.ask(what, path)?;
        let rows = answer.get_mut(of).map(Value::take).unwrap_or_default();
        serde_json::from_value(rows).map_err(|source| EvalStoreError::Store { what, source: source.into() })
    }

    fn ask(&self, what: &'static str, path: &str) -> Result<Value, EvalStoreError> {
        let failed = |error: anyhow::Error| EvalStoreError::Store { what, source: error.into() };
        self.0.get(&format!("/api/v1/evals/{path}")).map_err(failed)
    }
}

impl Runs for OverApi<'_> {
    fn run(&self, id: &str) -> Result<EvalRun, EvalStoreError> {
        const WHAT: &str = "reading a run";
        // The API's own words say that there is none; the answer's status does not come through.
        let found = self.ask(WHAT, &format!("runs/{}", escape(id)));
        let value = found.map_err(|error| match &error {
            EvalStoreError::Store { source, .. } if source.to_string().contains("there is no run") => {
                EvalStoreError::UnknownRun(id.into())
            }
            _ => error,
        })?;
        serde_json::from_value(value)
            .map_err(|source| EvalStoreError::Store { what: WHAT, source: source.into() })
    }

    fn runs(&self, filter: &RunFilter) -> Result<Vec<EvalRun>, EvalStoreError> {
        self.list("listing runs", &query::runs(filter), "runs")
    }

    fn results(&self, run: &str) -> Result<Vec<EvalResult>, EvalStoreError> {
        self.list("reading results", &format!("runs/{}/results", escape(run)), "results")
    }

    fn gates(&self, filter: &GateFilter) -> Result<Vec<EvalGate>, EvalStoreError> {
        self.list("listing gates", &query::gates(filter), "gates")
    }
}

#[cfg(test)]
mod tests {
    use gauntlet_evals::MetricSpec;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_gates_id_says_when_it_was() {
        let at = Timestamp(1_777_142_531_482_000);
        assert_eq!(&*gate_id(at, 0x1f), "gate-20260425T184211Z-0000001f");
    }

    #[test]
    fn only_a_wider_margin_loosens_a_gate() {
        let check = |own: Option<f64>, asked: Option<f64>, wanted: bool| {
            let metrics = vec![MetricSpec { margin: own, ..MetricSpec::default() }];
            let mut suite = Suite { metrics, ..Suite::default() };
            assert_eq!(loosen(&mut suite, asked), wanted, "{own:?} {asked:?}");
        };
        check(None, None, false);
        check(None, Some(0.03), false);
        check(None, Some(0.01), false);
        check(None, Some(0.05), true);
        check(Some(0.02), Some(0.03), true);
        check(None, Some(f64::NAN), true);
    }

    #[test]
    fn labels_and_versions_name_a_prompts_hash() {
        let known = json!({
            "versions": [{"name": "p", "version": "1.0.0", "hash": "h1"}, {"name": "p", "version": "1.1.0", "hash": "h2"}],
            "labels": [{"name": "p", "label": "production", "version": "1.0.0"}],
        });
        let check = |prompt: Option<&str>, label: &str, wanted: Option<&str>| {
            let found = labelled(&known, prompt, label).map(|found| found.hash.to_string());
            assert_eq!(found.as_deref(), wanted, "{label}");
        };
        check(Some("p"), "production", Some("h1"));
        check(None, "p@production", Some("h1"));
        check(None, "p@1.1.0", Some("h2"));
        check(Some("p"), "staging", None);
        check(None, "production", None);
    }

    #[test]
    fn an_open_verdict_ends_with_three_unless_it_was_allowed() {
        let told = |verdict, allowed| format!("{:?}", code(verdict, allowed));
        let want = |code: u8| format!("{:?}", ExitCode::from(code));
        assert_eq!(told(Verdict::Pass, false), want(0));
        assert_eq!(told(Verdict::Fail, true), want(1));
        assert_eq!(told(Verdict::Inconclusive, false), want(3));
        assert_eq!(told(Verdict::Inconclusive, true), want(0));
    }
}
