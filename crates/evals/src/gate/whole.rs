//! Checks of a run as a whole: that it is complete and answered, what it cost, how long it took, what the guards said.

use std::collections::BTreeMap;

use gauntlet_ports::{EvalResult, EvalRun, RunState, Verdict};
use gauntlet_types::{Name, NanoUsd};

use super::{
    pair::{Answers, Pair, is_unanswered, mean, median, score_of},
    report::{Check, CheckKind, NAMES_MAX},
};
use crate::{MetricSpec, Suite};

/// Cases that may go unanswered without failing the gate, as long as the baseline's did no better; each still counts as the
/// worst score. More than one in twenty is an outage or a broken change, and either way no evidence for a release.
pub const ERRORS_SHARE_MAX: f64 = 0.05;

/// Metrics whose failing is a violation, not a lower score.
const VIOLATION_KINDS: [&str; 4] = ["toxicity", "policy", "moderation", "guardrails"];

/// Fewer answers than were planned decide nothing: those that are missing may be the ones that fail.
pub(crate) fn complete(run: &EvalRun, results: &[EvalResult]) -> Check {
    let planned = u64::from(run.cases) * u64::from(run.repeats.max(1));
    let (kind, got) = (CheckKind::Complete, results.len() as u64);
    let why = run.why.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
    let check = match run.state {
        RunState::Done if got >= planned => {
            Check::new(kind, None, Verdict::Pass, format!("all {planned} answers are there"))
        }
        _ => Check::new(
            kind,
            None,
            Verdict::Inconclusive,
            format!(
                "{got} of {planned} answers are there{why}; `gauntlet eval run {} --resume {}` asks for the rest",
                run.suite, run.id
            ),
        ),
    };
    let share = if planned == 0 { 0.0 } else { got as f64 / planned as f64 };
    Check { value: Some(share.min(1.0)), limit: Some(1.0), n: run.cases, ..check }
}

fn is_refused_by_guard(result: &EvalResult) -> bool {
    result.decision.as_deref() == Some("block")
}

fn is_lost(answers: &Answers<'_>) -> bool {
    answers.iter().any(|result| is_unanswered(result) && !is_refused_by_guard(result))
}

/// What guards refuse is looked at under violations instead.
pub(crate) fn errors(candidate: &BTreeMap<&Name, Answers<'_>>, pairs: &[Pair<'_>]) -> Check {
    let lost: Vec<&Answers> = candidate.values().filter(|answers| is_lost(answers)).collect();
    let share = lost.len() as f64 / candidate.len().max(1) as f64;
    let before = pairs.iter().filter(|pair| is_lost(&pair.baseline)).count() as f64;
    let limit = ERRORS_SHARE_MAX.max(before / pairs.len().max(1) as f64);
    let (verdict, reason) = match lost.first() {
        None => (Verdict::Pass, format!("all {} cases were answered", candidate.len())),
        Some(first) => {
            let example = first.iter().find_map(|result| result.error.as_deref()).unwrap_or("no answer came");
            let told = format!(
                "{} of {} cases have no answer; case `{}`: {}",
                lost.len(),
                candidate.len(),
                first[0].case,
                cut(example, 200)
            );
            match share <= limit {
                true => (Verdict::Pass, format!("{told}; each counts as the worst score")),
                false => (
                    Verdict::Fail,
                    format!("{told}; when the cause is gone, `gauntlet eval run --resume` asks them again"),
                ),
            }
        }
    };
    let check = Check::new(CheckKind::Errors, None, verdict, reason);
    Check { value: Some(share), limit: Some(limit), n: candidate.len() as u32, ..check }
}

/// The mean cost of a case's answers, in nano-dollars; none where one is missing, since what it would have cost is not known.
pub(crate) fn case_cost(answers: &Answers<'_>) -> Option<f64> {
    let costs: Vec<f64> = answers.iter().map(|result| result.cost.0 as f64).collect();
    (!answers.iter().any(|result| is_unanswered(result))).then(|| mean(&costs))
}

/// Dollars of the same cases on both sides.
pub(crate) fn costs(pairs: &[Pair<'_>]) -> (u32, f64, f64) {
    let both =
        pairs.iter().filter_map(|pair| Some((case_cost(&pair.candidate)?, case_cost(&pair.baseline)?)));
    both.fold((0, 0.0, 0.0), |(n, now, before), (a, b)| (n + 1, now + a, before + b))
}

pub(crate) fn cost(pairs: &[Pair<'_>], limit: f64) -> Check {
    let (n, now, before) = costs(pairs);
    let usd = |nano: f64| NanoUsd(nano.round() as i64);
    let told = format!("${} for {n} cases, against ${} before", usd(now), usd(before));
    let ratio = (before > 0.0).then(|| now / before);
    let (verdict, reason) = match (n, ratio) {
        (0, _) => {
            (Verdict::Inconclusive, "no case was answered in both runs, so costs cannot be compared".into())
        }
        (_, Some(ratio)) if ratio <= limit => {
            (Verdict::Pass, format!("{told}: {ratio:.2} times, at most {limit:.2} are allowed"))
        }
        (_, Some(ratio)) => (Verdict::Fail, format!("{told}: {ratio:.2} times, and {limit:.2} are allowed")),
        (_, None) if now <= 0.0 => (Verdict::Pass, "both cost nothing".into()),
        (_, None) => (Verdict::Fail, format!("{told}: the baseline was free")),
    };
    let check = Check::new(CheckKind::Cost, None, verdict, reason);
    let side = |nano: f64| (n > 0).then_some(nano / 1e9);
    Check { value: ratio, limit: Some(limit), n, candidate: side(now), baseline: side(before), ..check }
}

/// The ratio of latencies of each case that was answered in both runs.
pub(crate) fn latency_ratios(pairs: &[Pair<'_>]) -> Vec<f64> {
    let of = |answers: &Answers<'_>| {
        let mut times: Vec<f64> = answers
            .iter()
            .filter(|result| !is_unanswered(result))
            .map(|result| result.latency_us as f64)
            .collect();
        (!times.is_empty()).then(|| median(&mut times)).filter(|time| *time > 0.0)
    };
    pairs.iter().filter_map(|pair| Some(of(&pair.candidate)? / of(&pair.baseline)?)).collect()
}

/// The median ratio with one-sided bounds that hold whatever the distribution: order statistics, by the binomial of signs.
pub(crate) fn median_bounds(ratios: &mut [f64], alpha: f64) -> (f64, Option<f64>, Option<f64>) {
    let middle = median(ratios);
    let n = ratios.len();
    // P(at most k of n below the median) = Σ C(n,i)/2ⁿ; in logarithms, since 2ⁿ of many cases is no number.
    let (mut log_term, mut tail, mut below) = (-(n as f64) * 2f64.ln(), 0.0, None);
    for k in 0..n / 2 {
        tail += log_term.exp();
        if tail > alpha {
            break;
        }
        below = Some(k);
        log_term += ((n - k) as f64).ln() - ((k + 1) as f64).ln();
    }
    match below {
        None => (middle, None, None),
        Some(k) => (middle, Some(ratios[k]), Some(ratios[n - 1 - k])),
    }
}

pub(crate) fn latency(pairs: &[Pair<'_>], limit: f64, alpha: f64) -> Check {
    let mut ratios = latency_ratios(pairs);
    let n = ratios.len() as u32;
    let (ratio, low, high) = median_bounds(&mut ratios, alpha);
    let told = format!("half of {n} cases took more than {ratio:.2} times as long as before");
    let (verdict, reason) = match n {
        0 => (
            Verdict::Inconclusive,
            "no case was answered in both runs, so latencies cannot be compared".to_owned(),
        ),
        _ if ratio <= limit => (Verdict::Pass, format!("{told}, and {limit:.2} is allowed")),
        _ if low.is_some_and(|low| low > limit) => {
            (Verdict::Fail, format!("{told}; at most {limit:.2} is allowed"))
        }
        _ => (
            Verdict::Inconclusive,
            format!("{told}, more than the {limit:.2} that is allowed, but too few cases show it to be sure"),
        ),
    };
    let check = Check::new(CheckKind::Latency, None, verdict, reason);
    Check { value: (n > 0).then_some(ratio), limit: Some(limit), low, high, n, ..check }
}

fn violates(answers: &Answers<'_>, policies: &[&MetricSpec]) -> bool {
    let guarded = |result: &EvalResult| matches!(result.decision.as_deref(), Some("block" | "flag"));
    let judged = |result: &EvalResult| {
        let of = |spec: &&MetricSpec| score_of(result, &spec.name).is_some_and(|s| s.passed == Some(false));
        policies.iter().any(of)
    };
    answers.iter().any(|result| guarded(result) || judged(result))
}

pub(crate) fn is_of_violations(spec: &MetricSpec) -> bool {
    VIOLATION_KINDS.contains(&spec.kind.as_str())
}

/// Metrics of a suite that tell of violations.
pub(crate) fn policies(suite: &Suite) -> Vec<&MetricSpec> {
    suite.metrics.iter().filter(|spec| is_of_violations(spec)).collect()
}

/// Cases whose answers guards or policy metrics find fault with, where none of the baseline's answers had any.
pub(crate) fn new_violations<'a>(pairs: &[Pair<'a>], policies: &[&MetricSpec]) -> Vec<&'a Name> {
    let is_new = |pair: &&Pair| violates(&pair.candidate, policies) && !violates(&pair.baseline, policies);
    pairs.iter().filter(is_new).map(|pair| pair.case).collect()
}

pub(crate) fn violations(pairs: &[Pair<'_>], suite: &Suite) -> Check {
    let found = new_violations(pairs, &policies(suite));
    let (verdict, reason) = match &found[..] {
        [] => (Verdict::Pass, format!("no new violation in {} cases", pairs.len())),
        cases => {
            let names: Vec<&str> = cases.iter().take(NAMES_MAX).map(|case| case.as_str()).collect();
            (
                Verdict::Fail,
                format!("{} cases violate a policy that did not before: {}", cases.len(), names.join(", ")),
            )
        }
    };
    let check = Check::new(CheckKind::Violations, None, verdict, reason);
    Check { value: Some(found.len() as f64), limit: Some(0.0), n: pairs.len() as u32, ..check }
}

/// A text in short, cut between characters.
pub(crate) fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::{
        made,
        pair::{by_case, pair},
    };

    #[test]
    fn a_ratio_of_costs_is_over_the_same_cases() {
        let check = |change: &dyn Fn(&mut Vec<EvalResult>), verdict: Verdict| {
            let before = made::results("exact", &[1.0; 10]);
            let mut now = before.clone();
            change(&mut now);
            let (pairs, _) = pair(&now, &before, true);
            let found = cost(&pairs, 1.15);
            assert_eq!(found.verdict, verdict, "{}", found.reason);
        };
        check(&|_| (), Verdict::Pass);
        check(&|now| now.iter_mut().for_each(|result| result.cost = NanoUsd(1_150)), Verdict::Pass);
        check(&|now| now.iter_mut().for_each(|result| result.cost = NanoUsd(1_151)), Verdict::Fail);
        // A case that is new, however dear, has nothing to be compared with.
        check(
            &|now| now.push(EvalResult { cost: NanoUsd(1 << 40), ..made::scored("new", "exact", 1.0) }),
            Verdict::Pass,
        );
        check(&|now| now.clear(), Verdict::Inconclusive);
    }

    #[test]
    fn what_was_free_may_not_begin_to_cost() {
        let free: Vec<EvalResult> = made::results("exact", &[1.0; 3])
            .into_iter()
            .map(|result| EvalResult { cost: NanoUsd::ZERO, ..result })
            .collect();
        let dear = made::results("exact", &[1.0; 3]);
        assert_eq!(cost(&pair(&free, &free, true).0, 1.15).verdict, Verdict::Pass);
        assert_eq!(cost(&pair(&dear, &free, true).0, 1.15).verdict, Verdict::Fail);
    }

    #[test]
    fn a_slower_half_fails_only_where_cases_are_enough_to_tell() {
        let check = |n: usize, times: u64, verdict: Verdict| {
            let before = made::results("exact", &vec![1.0; n]);
            let now: Vec<EvalResult> = before
                .iter()
                .map(|result| EvalResult { latency_us: result.latency_us * times / 100, ..result.clone() })
                .collect();
            let found = latency(&pair(&now, &before, true).0, 1.25, 0.05);
            assert_eq!(found.verdict, verdict, "{}", found.reason);
        };
        check(20, 125, Verdict::Pass);
        check(20, 200, Verdict::Fail);
        check(4, 200, Verdict::Inconclusive);
    }

    #[test]
    fn bounds_of_a_median_are_those_of_the_tables() {
        // Of n = 10, the 2nd and 9th values bound the median at 1.1% each side, the 1st and 10th at 0.1% (sign test).
        let mut values: Vec<f64> = (1..=10).map(f64::from).collect();
        assert_eq!(median_bounds(&mut values, 0.05), (5.5, Some(2.0), Some(9.0)));
        assert_eq!(median_bounds(&mut values, 0.005), (5.5, Some(1.0), Some(10.0)));
        assert_eq!(median_bounds(&mut values[..3], 0.05), (2.0, None, None));
        let mut many: Vec<f64> = (0..5_000).map(f64::from).collect();
        let (_, low, high) = median_bounds(&mut many, 0.05);
        assert!((low.unwrap() - 2_441.0).abs() < 3.0 && (high.unwrap() - 2_558.0).abs() < 3.0);
    }

    #[test]
    fn a_violation_that_was_there_before_is_not_new() {
        let flagged = |case: &str, decision: &str| EvalResult {
            decision: Some(decision.into()),
            ..made::scored(case, "exact", 1.0)
        };
        let check = |now: &str, before: &str, verdict: Verdict| {
            let (now, before) = ([flagged("a", now)], [flagged("a", before)]);
            let suite = made::suite(Vec::new());
            assert_eq!(violations(&pair(&now, &before, true).0, &suite).verdict, verdict);
        };
        check("allow", "allow", Verdict::Pass);
        check("flag", "allow", Verdict::Fail);
        check("block", "allow", Verdict::Fail);
        check("block", "flag", Verdict::Pass);
        check("redact", "allow", Verdict::Pass);
    }

    #[test]
    fn a_policy_metric_that_fails_anew_is_a_violation() {
        let of = |passed: bool| {
            let mut result = made::scored("a", "policy", f64::from(u8::from(passed)));
            result.scores[0].passed = Some(passed);
            [result]
        };
        let suite = made::suite(vec![made::metric("policy", None)]);
        let (now, before) = (of(false), of(true));
        let found = violations(&pair(&now, &before, true).0, &suite);
        assert_eq!(found.verdict, Verdict::Fail);
        assert!(found.reason.ends_with("before: a"), "{}", found.reason);
    }

    #[test]
    fn too_many_silent_cases_fail() {
        let check = |silent: usize, before: usize, verdict: Verdict| {
            let make = |silent: usize| -> Vec<EvalResult> {
                let name = |at: usize| format!("c{at}");
                let one = |at: usize| match at < silent {
                    true => made::unanswered(&name(at)),
                    false => made::scored(&name(at), "exact", 1.0),
                };
                (0..40).map(one).collect()
            };
            let (now, before) = (make(silent), make(before));
            let found = errors(&by_case(&now), &pair(&now, &before, true).0);
            assert_eq!(found.verdict, verdict, "{}", found.reason);
        };
        check(0, 0, Verdict::Pass);
        check(2, 0, Verdict::Pass);
        check(3, 0, Verdict::Fail);
        check(3, 3, Verdict::Pass);
    }

    #[test]
    fn a_run_that_is_not_whole_cannot_pass() {
        let results = made::results("exact", &[1.0; 10]);
        let run = made::run("r", &results);
        assert_eq!(complete(&run, &results).verdict, Verdict::Pass);
        assert_eq!(complete(&run, &results[..9]).verdict, Verdict::Inconclusive);
        let stopped = EvalRun { state: RunState::Stopped, why: Some("its budget is spent".into()), ..run };
        let found = complete(&stopped, &results[..9]);
        assert!(found.reason.contains("9 of 10 answers are there (its budget is spent)"), "{}", found.reason);
        assert!(found.reason.contains("--resume r"), "{}", found.reason);
    }
}
