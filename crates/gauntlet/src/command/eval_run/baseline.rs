//! The run that a candidate is compared with: found where there is one, made where it is a version that has none.

use anyhow::{Result, bail};
use gauntlet_evals::{
    BaselineSpec,
    gate::find::{self, Labelled, Runs},
    run::Plan,
};
use gauntlet_ports::{EvalResult, EvalRun, EvalStore, RunFilter, RunState};
use gauntlet_types::Name;

use super::{Bench, known::Known};

pub(super) type Before = (EvalRun, Vec<EvalResult>);

pub(super) fn get(bench: &Bench<'_>, known: &Known, plan: &Plan<'_>) -> Result<Option<Before>> {
    let Some(said) = bench.args.baseline.as_deref() else {
        return if bench.suite.gate.sequential { of_suite(bench, known, plan) } else { Ok(None) };
    };
    let spec = BaselineSpec::parse(said);
    let found = match &spec {
        BaselineSpec::None => return Ok(None),
        BaselineSpec::Label(_) => return of_candidate(bench, known, plan, said).map(Some),
        BaselineSpec::Last | BaselineSpec::AppSha(_) | BaselineSpec::Run(_) => {
            find::baseline(&*bench.store, &spec, true, &planned(plan), &|_| None)?
        }
    };
    let Some(row) = found else {
        eprintln!(
            "no run of `{}` has passed its gate yet: there is nothing to compare with",
            bench.suite.name
        );
        return Ok(None);
    };
    let results = Runs::results(&*bench.store, &row.id)?;
    Ok(Some((row, results)))
}

/// What the suite itself names, if there is a run of it: to stop early takes something to compare with.
fn of_suite(bench: &Bench<'_>, known: &Known, plan: &Plan<'_>) -> Result<Option<Before>> {
    let name = plan.wanted.prompt.as_deref().or(bench.suite.prompt_name());
    let name = name.map(|name| name.split_once('@').map_or(name, |(name, _)| name));
    let label = |label: &Name| {
        let reference = if label.contains('@') { label.to_string() } else { format!("{}@{label}", name?) };
        let prompt = known.find(&reference)?;
        Some(Labelled {
            prompt: prompt.name.clone(),
            version: prompt.version.to_string().into(),
            hash: prompt.hash.clone(),
        })
    };
    let spec = &bench.suite.gate.baseline;
    let Some(row) = find::baseline(&*bench.store, spec, false, &planned(plan), &label)? else {
        return Ok(None);
    };
    let results = Runs::results(&*bench.store, &row.id)?;
    Ok(Some((row, results)))
}

/// As much of the run to come as finding its baseline takes.
fn planned(plan: &Plan<'_>) -> EvalRun {
    EvalRun {
        suite: plan.suite.name.clone(),
        dataset_hash: gauntlet_evals::run::dataset_hash(&plan.cases),
        is_fast: plan.is_fast,
        ..EvalRun::default()
    }
}

/// A version, label or model: the newest run of it over the same cases, else one that is made now.
fn of_candidate(bench: &Bench<'_>, known: &Known, plan: &Plan<'_>, said: &str) -> Result<Before> {
    // A bare label is one of the suite's prompt.
    let is_label =
        bench.suite.prompt_name().is_some_and(|name| known.find(&format!("{name}@{said}")).is_some());
    let said = if is_label { format!("@{said}") } else { said.to_owned() };
    let wanted = known.wanted(Some(&said), None, bench.suite)?;
    if wanted == plan.wanted {
        bail!(
            "the candidate and its baseline are both `{}`; name another version with --candidate or --baseline",
            wanted.name
        );
    }
    let hash = wanted
        .prompt
        .as_deref()
        .and_then(|reference| known.find(reference))
        .map(|prompt| prompt.hash.clone());
    let filter = RunFilter {
        suite: Some(bench.suite.name.clone()),
        prompt_hash: hash.clone(),
        state: Some(RunState::Done),
        ..RunFilter::default()
    };
    let dataset_hash = gauntlet_evals::run::dataset_hash(&plan.cases);
    let is_same = |run: &&EvalRun| {
        let is_candidate = hash.is_some() || run.candidate.name == wanted.name;
        run.suite_hash == bench.suite.hash
            && run.dataset_hash == dataset_hash
            && run.repeats >= plan.repeats
            && run.candidate.model == wanted.model
            && is_candidate
    };
    let runs = bench.store.run_list(&filter)?;
    if let Some(row) = runs.iter().find(is_same) {
        eprintln!("compared with {}, a run of {}", row.id, row.candidate.name);
        return Ok((row.clone(), bench.store.result_list(&row.id)?));
    }
    let of_baseline =
        Plan { suite: plan.suite, cases: plan.cases.clone(), wanted, resume: None, app_sha: None, ..*plan };
    let mistakes = gauntlet_evals::run::candidate::mistakes(&of_baseline, &known.finder());
    if !mistakes.is_empty() {
        return Err(crate::suites::told(&mistakes).context(format!("the baseline `{said}` cannot be asked")));
    }
    let (row, _) = bench.go(&of_baseline, known, None)?;
    if row.state != RunState::Done {
        let why = row.why.as_deref().unwrap_or("it was not finished");
        bail!("the run of the baseline, {}, is not done: {why}", row.id);
    }
    let results = bench.store.result_list(&row.id)?;
    Ok((row, results))
}
