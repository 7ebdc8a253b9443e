//! Release gates: whether what was tested may be shipped, by numbers.
//!
//! [`decide`] compares a run with a baseline and with what its suite asks for, and answers *pass*, *fail* or *inconclusive*: it
//! fails if any check fails, is inconclusive if any check is, and passes else. What is compared, and why so, is in `docs/release-gates.md`;
//! the statistics are those of `gauntlet_stats`. Nothing here asks a model, reads a clock or a file.

pub mod compare;
mod early;
pub mod find;
#[cfg(test)]
pub(crate) mod made;
mod metric;
mod pair;
pub mod report;
mod standing;
mod stop;
#[cfg(test)]
mod tests;
mod trend;
mod whole;

use gauntlet_ports::{EvalResult, EvalRun, RunState, Verdict};
use gauntlet_stats::{Outcome, decide_together};
use gauntlet_types::Name;
use thiserror::Error;

pub use compare::{Comparison, compare};
pub use metric::{FLOOR_CASES_MIN, UNSCORED_SHARE_MAX};
pub use report::{CaseChange, Check, CheckKind, GateReport, Look, RunFacts};
pub use standing::{Standing, is_judged};
pub use stop::Stopper;
pub use whole::ERRORS_SHARE_MAX;

use early::Early;
use metric::Metric;
use pair::{Answers, Pair, by_case, pair, score_of};
use report::{CHANGES_MAX, FORMAT, verdict_of};
use whole::cut;

/// Pass when Wilcoxon's p is above alpha: the founding document's rule, and not the default.
pub const RULE_P_VALUE: &str = "p_value";
pub const RULE_NON_INFERIORITY: &str = "non_inferiority";

/// Characters of a question or an answer in a list of changes.
const TEXT_MAX: usize = 300;

/// What a gate looks at.
#[derive(Clone, Copy, Debug)]
pub struct GateInput<'a> {
    pub suite: &'a crate::Suite,
    pub run: &'a EvalRun,
    pub results: &'a [EvalResult],
    /// None: floors alone.
    pub baseline: Option<(&'a EvalRun, &'a [EvalResult])>,
    /// Runs of the suite that passed their gates, in any order; more than the trend looks at does no harm.
    pub history: &'a [EvalRun],
    /// What is known of the judges of metrics that have one.
    pub standings: &'a [Standing],
}

/// Why there is no verdict at all.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum GateError {
    #[error(
        "run `{run}` is still under way or was broken off; finish it with `gauntlet eval run {suite} --resume {run}`"
    )]
    NotEnded { run: Name, suite: Name },
    #[error("run `{0}` has no results, so there is nothing to decide by; run the suite again")]
    NoResults(Name),
    #[error("run `{run}` is of suite `{found}`, not of `{wanted}`; name a run of `{wanted}`")]
    OtherSuite { run: Name, found: Name, wanted: Name },
    #[error(
        "runs `{run}` and `{baseline}` have no case in common ({changed} cases have the same id and ask something else), so nothing can be compared; run the baseline on today's cases, or decide by floors alone with `--baseline none`"
    )]
    NothingInCommon { run: Name, baseline: Name, changed: u32 },
    #[error(
        "the gate's rule is `{0}`; write `non_inferiority` or `p_value` under `gate: rule:` in the suite"
    )]
    UnknownRule(Name),
    #[error("the gate's {what} is {value}; write a number {range} in the suite, or as option of the command")]
    OutOfRange { what: &'static str, value: String, range: &'static str },
}

/// Decides whether a run may be released.
pub fn decide(input: &GateInput<'_>) -> Result<GateReport, GateError> {
    refuse(input)?;
    let cases = by_case(input.results);
    let (pairs, compared) = paired(input)?;
    let early = Early::of(input, &pairs);
    let is_cut = early.is_some() && input.run.state == RunState::Stopped;
    let metrics: Vec<Metric> =
        input.suite.metrics.iter().filter(|spec| spec.gates).map(|spec| Metric::of(spec, input)).collect();

    let answers: Vec<Answers> = cases.values().cloned().collect();
    let mut of_metrics = metric_checks(&metrics, &answers, &pairs, input, early.as_ref(), is_cut);
    standing::hold_back(&mut of_metrics, input);

    let mut checks = vec![whole::complete(input.run, input.results), whole::errors(&cases, &pairs)];
    checks.append(&mut of_metrics);
    if input.baseline.is_some() {
        checks.extend(whole_checks(&pairs, input));
    }
    if is_cut {
        early::settle(&mut checks, &pairs, input);
    }
    let (worse, better, regressions) = changes(&metrics, &pairs);
    let mut notes = notes(input, &compared, is_cut);
    notes.extend(left_to_violations(&metrics, input));
    notes.extend(trend::note(&metrics, &checks, input).filter(|_| !is_cut));
    let is_empty = !checks.iter().any(holds_to_something);
    let verdict = match verdict_of(&checks) {
        Verdict::Pass if is_empty => Verdict::Inconclusive,
        verdict => verdict,
    };
    let gate = &input.suite.gate;
    Ok(GateReport {
        format: FORMAT.into(),
        verdict,
        summary: summary(verdict, &checks, cases.len(), is_empty),
        suite: input.suite.name.clone(),
        run: input.run.into(),
        baseline: input.baseline.map(|(run, _)| run.into()),
        rule: gate.rule.clone(),
        margin: gate.margin,
        alpha: gate.alpha,
        compared: input.baseline.map(|_| compared.clone()),
        checks,
        worse,
        better,
        regressions,
        notes,
    })
}

fn refuse(input: &GateInput<'_>) -> Result<(), GateError> {
    let suite = &input.suite.name;
    for run in [Some(input.run), input.baseline.map(|(run, _)| run)].into_iter().flatten() {
        if run.suite != *suite {
            let (run, found) = (run.id.clone(), run.suite.clone());
            return Err(GateError::OtherSuite { run, found, wanted: suite.clone() });
        }
        if run.state == RunState::Running {
            return Err(GateError::NotEnded { run: run.id.clone(), suite: suite.clone() });
        }
    }
    if input.results.is_empty() {
        return Err(GateError::NoResults(input.run.id.clone()));
    }
    let gate = &input.suite.gate;
    if ![RULE_P_VALUE, RULE_NON_INFERIORITY].contains(&gate.rule.as_str()) {
        return Err(GateError::UnknownRule(gate.rule.clone()));
    }
    let out = |what, value: f64, range| Err(GateError::OutOfRange { what, value: value.to_string(), range });
    if !(gate.alpha > 0.0 && gate.alpha < 0.5) {
        return out("alpha", gate.alpha, "above 0 and below 0.5, such as 0.05");
    }
    if !(gate.margin > 0.0 && gate.margin < 1.0) {
        return out("margin", gate.margin, "above 0 and below 1, such as 0.03");
    }
    Ok(())
}

fn paired<'a>(input: &GateInput<'a>) -> Result<(Vec<Pair<'a>>, report::Compared), GateError> {
    let Some((baseline, before)) = input.baseline else {
        return Ok((Vec::new(), report::Compared::default()));
    };
    let is_same = baseline.dataset_hash == input.run.dataset_hash;
    let (pairs, compared) = pair(input.results, before, is_same);
    if pairs.is_empty() {
        return Err(GateError::NothingInCommon {
            run: input.run.id.clone(),
            baseline: baseline.id.clone(),
            changed: compared.changed.count,
        });
    }
    Ok((pairs, compared))
}

fn metric_checks(
    metrics: &[Metric<'_>],
    cases: &[Answers<'_>],
    pairs: &[Pair<'_>],
    input: &GateInput<'_>,
    early: Option<&Early<'_>>,
    is_cut: bool,
) -> Vec<Check> {
    let alpha = input.suite.gate.alpha;
    let mut checks = Vec::new();
    let (mut open, mut verdicts) = (Vec::new(), Vec::new());
    let family = metrics.len();
    for (at, metric) in metrics.iter().enumerate() {
        checks.extend(metric.unscored(cases));
        if let Some(floor) = metric.spec.floor {
            checks.push(match early.filter(|_| is_cut) {
                Some(early) => early.floor(metric, floor, cases, alpha, family),
                None => metric.floor(floor, cases, alpha),
            });
        }
        if input.baseline.is_some() && !metric.is_left_to_violations(input) {
            let (check, verdict) = metric.regression(pairs, input);
            if let Some(verdict) = verdict {
                open.push((checks.len(), at));
                verdicts.push(verdict);
            }
            checks.push(check);
        }
        if let Some(spec) = input.suite.gate.trend.as_ref().filter(|_| !metric.is_left_to_violations(input)) {
            checks.extend(metric.trend(spec, input));
        }
    }
    match early {
        // Its looks have spent the error rate already, with every metric's share of it.
        Some(early) => {
            for ((_, at), verdict) in open.iter().zip(&mut verdicts) {
                if let Some(found) = early.regression(&metrics[*at], alpha, family) {
                    *verdict = found;
                }
            }
        }
        None => {
            // A verdict by numbers that are no probabilities cannot come from `non_inferiority`; alone, each stays as it is.
            let _: Result<Outcome, _> = decide_together(&mut verdicts, alpha);
        }
    }
    for ((place, at), verdict) in open.into_iter().zip(verdicts) {
        let check = std::mem::replace(
            &mut checks[place],
            Check::new(CheckKind::Regression, None, Verdict::Inconclusive, String::new()),
        );
        checks[place] = metrics[at].told(check, &verdict, pairs, alpha);
    }
    checks
}

fn whole_checks(pairs: &[Pair<'_>], input: &GateInput<'_>) -> Vec<Check> {
    let gate = &input.suite.gate;
    let mut checks = Vec::new();
    checks.extend(gate.cost.map(|limit| whole::cost(pairs, limit)));
    checks.extend(gate.latency.map(|limit| whole::latency(pairs, limit, gate.alpha)));
    if gate.violations {
        checks.push(whole::violations(pairs, input.suite));
    }
    checks
}

/// Whether a check says anything of what the answers are worth.
fn holds_to_something(check: &Check) -> bool {
    match check.kind {
        CheckKind::Complete | CheckKind::Errors | CheckKind::Unscored => false,
        CheckKind::Floor
        | CheckKind::Regression
        | CheckKind::Trend
        | CheckKind::Cost
        | CheckKind::Latency
        | CheckKind::Violations => true,
    }
}

fn summary(verdict: Verdict, checks: &[Check], cases: usize, is_empty: bool) -> String {
    let of = |verdict: Verdict| -> Vec<String> {
        let found = checks.iter().filter(|check| check.verdict == verdict);
        found.map(Check::title).collect()
    };
    match verdict {
        Verdict::Pass => format!("{} checks over {cases} cases hold", checks.len()),
        Verdict::Fail => format!("failed: {}", of(Verdict::Fail).join(", ")),
        Verdict::Inconclusive if is_empty => {
            "nothing was checked: give a metric of the suite a `floor`, or name a baseline".to_owned()
        }
        Verdict::Inconclusive => {
            let most =
                checks.iter().filter(|check| check.more_cases.is_some()).max_by_key(|check| check.more_cases);
            let unit = match most {
                Some(check) if check.clusters.is_some_and(|clusters| clusters < check.n) => "clusters",
                _ => "cases",
            };
            let more = most.and_then(|check| check.more_cases);
            let more =
                more.map(|more| format!("; about {more} more {unit} would decide")).unwrap_or_default();
            format!("undecided: {}{more}", of(Verdict::Inconclusive).join(", "))
        }
    }
}

/// Pairs of case and metric that became worse and better, and the worst of them.
fn changes(metrics: &[Metric<'_>], pairs: &[Pair<'_>]) -> (u32, u32, Vec<CaseChange>) {
    let (mut worse, mut better, mut found) = (0, 0, Vec::new());
    for metric in metrics {
        for pair in pairs {
            let Some((before, now)) = metric.before(&pair.baseline).zip(metric.now(&pair.candidate)) else {
                continue;
            };
            let change = metric.scale.turned(now - before);
            better += u32::from(change > 0.0);
            if change < 0.0 {
                worse += 1;
                found.push((change, metric, pair, before, now));
            }
        }
    }
    found.sort_by(|one, other| one.0.total_cmp(&other.0));
    found.truncate(CHANGES_MAX);
    let told = found
        .into_iter()
        .map(|(_, metric, pair, before, now)| {
            changed(&metric.spec.name, metric.scale.direction, pair, before, now)
        })
        .collect();
    (worse, better, told)
}

fn changed(
    metric: &Name,
    direction: gauntlet_ports::Direction,
    pair: &Pair<'_>,
    before: f64,
    now: f64,
) -> CaseChange {
    let sign = match direction {
        gauntlet_ports::Direction::HigherIsBetter => 1.0,
        gauntlet_ports::Direction::LowerIsBetter => -1.0,
    };
    // Of several repeats the worst is the one to look at.
    let worth = |result: &&&EvalResult| {
        let value = score_of(result, metric).and_then(|score| score.value);
        value.map_or(f64::NEG_INFINITY, |value| sign * value)
    };
    let by_worth = |one: &&&EvalResult, other: &&&EvalResult| worth(one).total_cmp(&worth(other));
    let shown = pair.candidate.iter().min_by(by_worth).copied();
    let shown_before = pair.baseline.iter().max_by(by_worth).copied();
    let short = |text: Option<&String>| text.map(|text| cut(text, TEXT_MAX));
    let reason = shown.and_then(|result| {
        result.error.as_ref().or_else(|| score_of(result, metric).and_then(|score| score.reason.as_ref()))
    });
    CaseChange {
        case: pair.case.clone(),
        metric: metric.clone(),
        direction,
        baseline: before,
        candidate: now,
        change: sign * (now - before),
        call: shown.and_then(|result| result.call),
        baseline_call: shown_before.and_then(|result| result.call),
        input: short(shown.and_then(|result| result.input.as_ref())),
        expected: short(shown.and_then(|result| result.expected.as_ref())),
        output: short(shown.and_then(|result| result.output.as_ref())),
        baseline_output: short(shown_before.and_then(|result| result.output.as_ref())),
        reason: short(reason),
    }
}

/// Metrics that no margin is held to, so that nobody looks for their row.
fn left_to_violations(metrics: &[Metric<'_>], input: &GateInput<'_>) -> Option<String> {
    let names: Vec<String> = metrics
        .iter()
        .filter(|metric| input.baseline.is_some() && metric.is_left_to_violations(input))
        .map(|metric| format!("`{}`", metric.spec.name))
        .collect();
    (!names.is_empty()).then(|| {
        format!(
            "{} counts findings, so `violations` looks at it and no margin does; a `margin` of its own compares the counts as well",
            names.join(", ")
        )
    })
}

fn notes(input: &GateInput<'_>, compared: &report::Compared, is_cut: bool) -> Vec<String> {
    let mut notes = Vec::new();
    let mut say = |said: bool, text: String| {
        if said {
            notes.push(text);
        }
    };
    let (run, suite) = (input.run, input.suite);
    say(
        run.suite_hash != suite.hash,
        "the suite was changed after the run: floors, margins and limits are those of the file as it is now"
            .into(),
    );
    say(
        is_cut,
        format!("the run was stopped early, after {} of {} cases", by_case(input.results).len(), run.cases),
    );
    say(
        run.is_fast && run.candidate.prompt.is_some(),
        "a part of the suite's cases was asked: no promotion may rest on this verdict".into(),
    );
    let Some((baseline, _)) = input.baseline else {
        say(true, "there was no baseline: floors alone decided".into());
        return notes;
    };
    say(
        baseline.suite_hash != run.suite_hash,
        "the suite was changed between the two runs; metrics are compared where their formula is the same"
            .into(),
    );
    say(
        baseline.dataset_hash != run.dataset_hash,
        match compared.only_candidate.count + compared.only_baseline.count + compared.changed.count {
            0 => "the datasets differ in what is not asked, such as tags or recorded outputs; all cases are compared"
                .to_owned(),
            _ => format!("the runs asked different cases; {} that both asked are compared", compared.both),
        },
    );
    let list = |names: &report::Names| {
        let more = if names.count as usize > names.first.len() { ", …" } else { "" };
        let first: Vec<&str> = names.first.iter().take(5).map(Name::as_str).collect();
        format!("{} ({}{more})", names.count, first.join(", "))
    };
    let is_part = run.is_fast && !baseline.is_fast;
    for (names, told) in [
        (&compared.only_candidate, "only the candidate was asked"),
        (&compared.only_baseline, "only the baseline was asked"),
        (&compared.changed, "not compared, since they ask or expect something else than before:"),
    ] {
        say(names.count > 0 && !is_part, format!("{told} {}", list(names)));
    }
    say(
        is_part,
        format!("a run of a part of the cases, compared with the {} of them in a full one", compared.both),
    );
    say(
        &*suite.gate.rule == RULE_P_VALUE,
        "rule `p_value`: too few cases pass by it whatever the candidate is; see docs/gates.md".into(),
    );
    notes
}
