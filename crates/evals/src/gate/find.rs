//! Which runs a gate looks at, found in the store.

use gauntlet_ports::{
    EvalGate, EvalResult, EvalRun, EvalStore, EvalStoreError, GateFilter, RUNS_MAX, RunFilter, RunState,
    Verdict,
};
use gauntlet_types::{Name, Timestamp};
use std::{collections::BTreeMap, time::Duration};
use thiserror::Error;

use super::{Standing, standing::judged};
use crate::{BaselineSpec, Suite, calibrate, judge};

/// What the store has of evals, however it is reached.
///
/// The questions of an [`EvalStore`] that a gate asks, so that the command line can ask them over HTTP.
pub trait Runs {
    fn run(&self, id: &str) -> Result<EvalRun, EvalStoreError>;
    fn runs(&self, filter: &RunFilter) -> Result<Vec<EvalRun>, EvalStoreError>;
    fn results(&self, run: &str) -> Result<Vec<EvalResult>, EvalStoreError>;
    fn gates(&self, filter: &GateFilter) -> Result<Vec<EvalGate>, EvalStoreError>;
}

impl<S: EvalStore + ?Sized> Runs for S {
    fn run(&self, id: &str) -> Result<EvalRun, EvalStoreError> {
        self.run_get(id)
    }

    fn runs(&self, filter: &RunFilter) -> Result<Vec<EvalRun>, EvalStoreError> {
        self.run_list(filter)
    }

    fn results(&self, run: &str) -> Result<Vec<EvalResult>, EvalStoreError> {
        self.result_list(run)
    }

    fn gates(&self, filter: &GateFilter) -> Result<Vec<EvalGate>, EvalStoreError> {
        self.gate_list(filter)
    }
}

#[derive(Debug, Error)]
pub enum FindError {
    #[error(transparent)]
    Store(#[from] EvalStoreError),
    #[error("suite `{suite}` has no finished run{of}; make one with `gauntlet eval run {suite}`")]
    NoRun { suite: Name, of: String },
    #[error(
        "the newest run of suite `{suite}`{of} is `{run}`, which was not finished; finish it with `gauntlet eval run {suite} --resume {run}`"
    )]
    NotFinished { suite: Name, of: String, run: Name },
    #[error(
        "there is no finished run of suite `{suite}` to compare with {of}; make one with `gauntlet eval run {suite}{how}`, or decide by floors alone with `--baseline none`"
    )]
    NoBaseline { suite: Name, of: String, how: String },
    #[error(
        "run `{0}` cannot be its own baseline; name another one with --baseline, or decide by floors alone with `--baseline none`"
    )]
    Itself(Name),
    #[error(
        "`{label}` is neither a label that points anywhere nor a version that is known{of}, so there is nothing to compare with; `gauntlet prompt list` shows those there are, `--baseline none` decides by floors alone"
    )]
    NoLabel { label: Name, of: String },
    #[error(
        "`{0}` names no run: write a run's id, `SUITE@APP_SHA` or `SUITE@latest`; `gauntlet eval list` shows those there are"
    )]
    NotARun(String),
}

/// The version that a label of a prompt points to: its hash, and its name for messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Labelled {
    pub prompt: Name,
    pub version: Name,
    pub hash: Name,
}

/// The newest run of a suite that is finished; of one state of the application where that is known.
pub fn newest(runs: &dyn Runs, suite: &Name, app_sha: Option<&Name>) -> Result<EvalRun, FindError> {
    let filter = RunFilter {
        suite: Some(suite.clone()),
        app_sha: app_sha.cloned(),
        limit: Some(RUNS_MAX),
        ..RunFilter::default()
    };
    let found = runs.runs(&filter)?;
    let of = app_sha.map(|sha| format!(" of application `{sha}`")).unwrap_or_default();
    match found.into_iter().next() {
        None => Err(FindError::NoRun { suite: suite.clone(), of }),
        Some(run) if run.state == RunState::Running => {
            Err(FindError::NotFinished { suite: suite.clone(), of, run: run.id })
        }
        Some(run) => Ok(run),
    }
}

/// A run by its id, or as `SUITE@APP_SHA` or `SUITE@latest`.
pub fn named(runs: &dyn Runs, name: &str) -> Result<EvalRun, FindError> {
    match name.split_once('@') {
        Some((suite, "latest")) if !suite.is_empty() => newest(runs, &suite.into(), None),
        Some((suite, sha)) if !suite.is_empty() && !sha.is_empty() => {
            newest(runs, &suite.into(), Some(&sha.into()))
        }
        Some(_) => Err(FindError::NotARun(name.to_owned())),
        None => Ok(runs.run(name)?),
    }
}

/// The run that a candidate is compared with. None where there is nothing to compare with yet.
///
/// `label` answers what a label of the candidate's prompt points to. A label that nobody set yet, and a suite of which no run ever
/// passed, have no baseline: the first version of anything has none. A version or an application that is named must have a run, and so
/// must all that somebody `is_said` to have named for this one decision.
pub fn baseline(
    runs: &dyn Runs,
    spec: &BaselineSpec,
    is_said: bool,
    candidate: &EvalRun,
    label: &dyn Fn(&Name) -> Option<Labelled>,
) -> Result<Option<EvalRun>, FindError> {
    let suite = &candidate.suite;
    let filter = RunFilter { suite: Some(suite.clone()), limit: Some(RUNS_MAX), ..RunFilter::default() };
    let missing = |of: String, how: String| FindError::NoBaseline { suite: suite.clone(), of, how };
    match spec {
        BaselineSpec::None => Ok(None),
        BaselineSpec::Run(id) if *id == candidate.id => Err(FindError::Itself(id.clone())),
        BaselineSpec::Run(id) => Ok(Some(runs.run(id)?)),
        BaselineSpec::Last => {
            let passed = passed(runs, suite)?;
            let found = runs.runs(&filter)?;
            Ok(best(found, candidate, |run| passed.contains_key(&run.id)))
        }
        BaselineSpec::AppSha(sha) => {
            let found = runs.runs(&RunFilter { app_sha: Some(sha.clone()), ..filter })?;
            let run = best(found, candidate, |_| true);
            run.map(Some)
                .ok_or_else(|| missing(format!("of application `{sha}`"), format!(" --app-sha {sha}")))
        }
        BaselineSpec::Label(name) => {
            let Some(labelled) = label(name) else {
                // A suite may ask for a label that its first version has yet to get.
                if !is_said && !name.contains('@') {
                    return Ok(None);
                }
                let prompt = candidate.candidate.prompt.as_ref();
                let of = prompt.map(|prompt| format!(" of prompt `{}`", prompt.name)).unwrap_or_default();
                return Err(FindError::NoLabel { label: name.clone(), of });
            };
            let found = runs.runs(&RunFilter { prompt_hash: Some(labelled.hash.clone()), ..filter })?;
            let version = format!("{}@{}", labelled.prompt, labelled.version);
            let run = best(found, candidate, |_| true);
            run.map(Some).ok_or_else(|| {
                missing(format!("of `{version}`, which is `{name}` now"), format!(" --candidate {version}"))
            })
        }
    }
}

/// Of runs, newest first: those of the same cases before others, full ones before fast ones.
fn best(runs: Vec<EvalRun>, candidate: &EvalRun, is_fit: impl Fn(&EvalRun) -> bool) -> Option<EvalRun> {
    let is_whole = |run: &EvalRun| run.state == RunState::Done;
    let fit = runs.into_iter().filter(|run| run.id != candidate.id && is_whole(run) && is_fit(run));
    let rank = |run: &EvalRun| match (run.dataset_hash == candidate.dataset_hash, run.is_fast) {
        (true, _) => 0,
        (false, false) => 1,
        (false, true) => 2,
    };
    // `min_by_key` keeps the first of equals, which is the newest.
    fit.min_by_key(rank)
}

/// Runs of a suite whose newest gate passed, with the time of that gate.
pub fn passed(runs: &dyn Runs, suite: &Name) -> Result<BTreeMap<Name, Timestamp>, FindError> {
    let filter = GateFilter { suite: Some(suite.clone()), limit: Some(RUNS_MAX), ..GateFilter::default() };
    let mut newest: BTreeMap<Name, EvalGate> = BTreeMap::new();
    for gate in runs.gates(&filter)? {
        newest.entry(gate.run.clone()).or_insert(gate);
    }
    let passed = newest.into_iter().filter(|(_, gate)| gate.verdict == Verdict::Pass);
    Ok(passed.map(|(run, gate)| (run, gate.at)).collect())
}

/// Runs of the last days that passed their gates: what a trend is told from.
pub fn history(runs: &dyn Runs, candidate: &EvalRun, days: u32) -> Result<Vec<EvalRun>, FindError> {
    let since = candidate.started.minus(Duration::from_secs(u64::from(days) * 86_400));
    let filter = RunFilter {
        suite: Some(candidate.suite.clone()),
        state: Some(RunState::Done),
        since: Some(since),
        limit: Some(RUNS_MAX),
        ..RunFilter::default()
    };
    let passed = passed(runs, &candidate.suite)?;
    let found = runs.runs(&filter)?;
    Ok(found.into_iter().filter(|run| passed.contains_key(&run.id)).collect())
}

/// What is known of the judges of a suite's metrics; of a judge that nobody compared with people, nothing.
pub fn standings(runs: &dyn Runs, suite: &Suite) -> Result<Vec<Standing>, FindError> {
    let mut found = Vec::new();
    for spec in suite.metrics.iter().flat_map(|spec| judged(spec, suite)) {
        let Some(judge) = judge::fingerprint(&spec, suite) else { continue };
        let gates = runs.gates(&calibrate::filter(&judge.kind))?;
        if let Some(agreement) = calibrate::agreement_of(&gates, &judge) {
            found.push(Standing {
                metric: spec.name.clone(),
                judge: Some(judge.model),
                ratings: agreement.n,
                low: agreement.low(),
                has_drifted: agreement.has_drifted,
            });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::made;

    /// Newest first, as a store answers.
    #[derive(Default)]
    struct Shelf {
        runs: Vec<EvalRun>,
        passed: Vec<&'static str>,
    }

    impl Runs for Shelf {
        fn run(&self, id: &str) -> Result<EvalRun, EvalStoreError> {
            let found = self.runs.iter().find(|run| &*run.id == id).cloned();
            found.ok_or_else(|| EvalStoreError::UnknownRun(id.into()))
        }

        fn runs(&self, filter: &RunFilter) -> Result<Vec<EvalRun>, EvalStoreError> {
            let is_of = |run: &&EvalRun| {
                let hash = run.candidate.prompt.as_ref().map(|prompt| &prompt.hash);
                filter.suite.as_ref().is_none_or(|suite| *suite == run.suite)
                    && filter.app_sha.as_ref().is_none_or(|sha| Some(sha) == run.app_sha.as_ref())
                    && filter.prompt_hash.as_ref().is_none_or(|wanted| Some(wanted) == hash)
                    && filter.state.is_none_or(|state| state == run.state)
                    && filter.since.is_none_or(|since| run.started >= since)
            };
            Ok(self.runs.iter().filter(is_of).cloned().collect())
        }

        fn results(&self, _: &str) -> Result<Vec<EvalResult>, EvalStoreError> {
            Ok(Vec::new())
        }

        fn gates(&self, _: &GateFilter) -> Result<Vec<EvalGate>, EvalStoreError> {
            let gate = |run: &&str| EvalGate {
                id: format!("gate-{run}").as_str().into(),
                suite: "support".into(),
                run: (*run).into(),
                baseline: None,
                app_sha: None,
                prompt: None,
                verdict: Verdict::Pass,
                summary: String::new(),
                report: serde_json::Value::Null,
                at: Timestamp(0),
            };
            Ok(self.passed.iter().map(gate).collect())
        }
    }

    fn run(id: &str, sha: &str, hash: &str) -> EvalRun {
        let mut run = made::run(id, &made::results("exact", &[1.0]));
        run.app_sha = Some(sha.into());
        if let Some(prompt) = &mut run.candidate.prompt {
            prompt.hash = hash.into();
        }
        run
    }

    fn shelf() -> Shelf {
        let other_cases = EvalRun { dataset_hash: "d2".into(), ..run("r3", "sha2", "h12") };
        Shelf {
            runs: vec![
                run("r4", "sha3", "h13"),
                other_cases,
                run("r2", "sha2", "h12"),
                run("r1", "sha1", "h11"),
            ],
            passed: vec!["r1", "r3"],
        }
    }

    #[test]
    fn a_baseline_is_found_as_the_suite_names_it() {
        let shelf = shelf();
        let label = |name: &Name| {
            (&**name == "production").then(|| Labelled {
                prompt: "support-agent".into(),
                version: "1.2.0".into(),
                hash: "h12".into(),
            })
        };
        let check = |spec: BaselineSpec, wanted: Option<&str>| {
            let found = baseline(&shelf, &spec, false, &shelf.runs[0], &label).unwrap();
            assert_eq!(found.as_ref().map(|run| run.id.as_str()), wanted, "{spec:?}");
        };
        check(BaselineSpec::None, None);
        // Newer, but of other cases.
        check(BaselineSpec::Label("production".into()), Some("r2"));
        check(BaselineSpec::Label("staging".into()), None);
        check(BaselineSpec::AppSha("sha2".into()), Some("r2"));
        check(BaselineSpec::Run("r3".into()), Some("r3"));
        check(BaselineSpec::Last, Some("r1"));
    }

    #[test]
    fn what_has_no_run_is_named_with_the_command_that_makes_one() {
        let shelf = shelf();
        let label = |_: &Name| {
            Some(Labelled { prompt: "support-agent".into(), version: "1.0.0".into(), hash: "h10".into() })
        };
        let nowhere = |_: &Name| None;
        let check = |spec: BaselineSpec, wanted: &str| {
            let label: &dyn Fn(&Name) -> Option<Labelled> =
                if wanted.contains("neither") { &nowhere } else { &label };
            let error = baseline(&shelf, &spec, true, &shelf.runs[0], label).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        };
        check(BaselineSpec::Label("prodution".into()), "`prodution` is neither a label");
        check(BaselineSpec::Label("support-agent@9.9.9".into()), "`support-agent@9.9.9` is neither a label");
        check(BaselineSpec::Run("r4".into()), "cannot be its own baseline");
        check(
            BaselineSpec::Label("production".into()),
            "`gauntlet eval run support --candidate support-agent@1.0.0`",
        );
        check(BaselineSpec::AppSha("sha9".into()), "`gauntlet eval run support --app-sha sha9`");
        check(BaselineSpec::Run("r9".into()), "there is no run `r9`");
    }

    #[test]
    fn a_run_is_named_by_its_id_or_by_its_suite() {
        let mut shelf = shelf();
        let check = |shelf: &Shelf, name: &str, wanted: Result<&str, &str>| match (named(shelf, name), wanted)
        {
            (Ok(found), Ok(wanted)) => assert_eq!(&*found.id, wanted, "{name}"),
            (Err(error), Err(wanted)) => assert!(error.to_string().contains(wanted), "{name}: {error}"),
            (found, _) => panic!("{name}: {found:?}"),
        };
        check(&shelf, "r1", Ok("r1"));
        check(&shelf, "support@latest", Ok("r4"));
        check(&shelf, "support@sha1", Ok("r1"));
        check(&shelf, "support@sha9", Err("has no finished run of application `sha9`"));
        check(&shelf, "@latest", Err("names no run"));
        check(&shelf, "nothing@latest", Err("`gauntlet eval run nothing`"));
        shelf.runs[0].state = RunState::Running;
        check(&shelf, "support@latest", Err("--resume r4"));
    }

    #[test]
    fn only_runs_that_passed_make_a_history() {
        let shelf = shelf();
        let found = history(&shelf, &shelf.runs[0], 7).unwrap();
        let ids: Vec<&str> = found.iter().map(|run| run.id.as_str()).collect();
        assert_eq!(ids, ["r3", "r1"]);
    }
}
