use gauntlet_ports::{Direction, EvalResult, EvalRun, MetricSummary, RunState, Verdict};
use gauntlet_stats::Rng;
use gauntlet_types::Timestamp;

mod trend;

use super::{report::PValueOf, *};
use crate::{JudgeSpec, MetricSpec, Suite, TrendSpec};

/// A candidate and a baseline of metric `exact`.
struct Sides {
    suite: Suite,
    run: EvalRun,
    now: Vec<EvalResult>,
    baseline: Option<(EvalRun, Vec<EvalResult>)>,
    history: Vec<EvalRun>,
    standings: Vec<Standing>,
}

impl Sides {
    fn new(now: &[f64], before: &[f64]) -> Sides {
        let (now, before) = (made::results("exact", now), made::results("exact", before));
        Sides {
            suite: made::suite(vec![made::metric("exact", None)]),
            run: made::run("now", &now),
            baseline: Some((made::run("before", &before), before)),
            now,
            history: Vec::new(),
            standings: Vec::new(),
        }
    }

    fn alone(now: &[f64], floor: f64) -> Sides {
        let suite = made::suite(vec![made::metric("exact", Some(floor))]);
        Sides { suite, baseline: None, ..Sides::new(now, now) }
    }

    fn try_decide(&self) -> Result<GateReport, GateError> {
        decide(&GateInput {
            suite: &self.suite,
            run: &self.run,
            results: &self.now,
            baseline: self.baseline.as_ref().map(|(run, results)| (run, &results[..])),
            history: &self.history,
            standings: &self.standings,
        })
    }

    fn decide(&self) -> GateReport {
        self.try_decide().unwrap()
    }
}

fn of(report: &GateReport, kind: CheckKind) -> &Check {
    report.checks.iter().find(|check| check.kind == kind).expect("the check was made")
}

/// Cases that scatter about 0.8 in the same way on both sides, the candidate's `shift` higher.
fn scattered(n: usize, shift: f64, noise: f64) -> (Vec<f64>, Vec<f64>) {
    let mut rng = Rng::new(n as u64);
    (0..n)
        .map(|_| {
            let before = 0.5 + 0.3 * rng.unit();
            ((before + shift + noise * (rng.unit() - 0.5)).clamp(0.0, 1.0), before)
        })
        .unzip()
}

#[test]
fn three_verdicts_come_from_how_much_the_cases_tell() {
    let check = |n: usize, shift: f64, verdict: Verdict| {
        let (now, before) = scattered(n, shift, 0.1);
        let report = Sides::new(&now, &before).decide();
        assert_eq!(report.verdict, verdict, "{n} {shift}: {}", report.summary);
    };
    check(300, 0.0, Verdict::Pass);
    check(300, -0.08, Verdict::Fail);
    check(20, 0.0, Verdict::Inconclusive);
    check(300, -0.025, Verdict::Fail);
}

#[test]
fn an_open_verdict_says_what_would_decide_it() {
    let (now, before) = scattered(30, 0.0, 0.4);
    let report = Sides::new(&now, &before).decide();
    let check = of(&report, CheckKind::Regression);
    assert_eq!(check.verdict, Verdict::Inconclusive);
    let more = check.more_cases.expect("some number decides");
    assert!(check.reason.contains(&format!("about {more} more cases would decide")), "{}", check.reason);
    assert!(check.reason.contains("with 30 cases you cannot see less than"), "{}", check.reason);
    assert!(report.summary.contains("undecided: exact: regression; about"), "{}", report.summary);
    // And so many do decide.
    let (now, before) = scattered(30 + more as usize * 2, 0.0, 0.4);
    let report = Sides::new(&now, &before).decide();
    assert_eq!(report.verdict, Verdict::Pass, "{more}: {}", report.summary);
}

#[test]
fn the_same_answers_on_few_cases_prove_little() {
    let report = Sides::new(&[1.0; 3], &[1.0; 3]).decide();
    assert_eq!(report.verdict, Verdict::Inconclusive, "{}", report.summary);
}

#[test]
fn a_mean_below_its_floor_fails_whatever_the_baseline_was() {
    let check = |values: &[f64], floor: f64, verdict: Verdict| {
        let report = Sides::alone(values, floor).decide();
        assert_eq!(report.verdict, verdict, "{values:?} {floor}: {}", report.summary);
    };
    check(&[1.0; 12], 0.9, Verdict::Pass);
    check(&[0.9; 12], 0.9, Verdict::Pass);
    check(&[0.89; 12], 0.9, Verdict::Fail);
    check(&[0.5; 3], 0.9, Verdict::Fail);
    // Three good answers are no evidence of the fourth.
    check(&[1.0; 3], 0.9, Verdict::Inconclusive);
}

#[test]
fn a_floor_is_the_most_where_less_is_better() {
    let check = |value: f64, verdict: Verdict| {
        let mut sides = Sides::alone(&[value; 12], 0.1);
        sides.run.metrics = vec![MetricSummary {
            direction: Direction::LowerIsBetter,
            ..made::summary("exact", value, 0.0, 12)
        }];
        let report = sides.decide();
        assert_eq!(of(&report, CheckKind::Floor).verdict, verdict, "{}", report.summary);
    };
    check(0.05, Verdict::Pass);
    check(0.2, Verdict::Fail);
}

#[test]
fn where_less_is_better_a_rise_is_the_regression() {
    let (now, before) = scattered(200, 0.1, 0.05);
    let mut sides = Sides::new(&now, &before);
    assert_eq!(sides.decide().verdict, Verdict::Pass);
    sides.run.metrics =
        vec![MetricSummary { direction: Direction::LowerIsBetter, ..made::summary("exact", 0.7, 0.0, 200) }];
    let report = sides.decide();
    assert_eq!(report.verdict, Verdict::Fail, "{}", report.summary);
    assert!(
        report.regressions[0].change < 0.0
            && report.regressions[0].candidate > report.regressions[0].baseline
    );
}

#[test]
fn a_suite_that_asks_for_nothing_never_passes() {
    let mut sides = Sides::alone(&[1.0; 50], 0.5);
    sides.suite.metrics[0].floor = None;
    let report = sides.decide();
    assert_eq!(report.verdict, Verdict::Inconclusive);
    assert!(report.summary.contains("nothing was checked"), "{}", report.summary);
}

#[test]
fn a_case_without_an_answer_counts_as_the_worst() {
    let (now, before) = scattered(300, 0.0, 0.02);
    let mut sides = Sides::new(&now, &before);
    assert_eq!(sides.decide().verdict, Verdict::Pass);
    for result in sides.now.iter_mut().take(15) {
        *result = made::unanswered(&result.case);
    }
    let report = sides.decide();
    assert_eq!(of(&report, CheckKind::Errors).verdict, Verdict::Pass, "{}", report.summary);
    assert_ne!(of(&report, CheckKind::Regression).verdict, Verdict::Pass, "{}", report.summary);
    assert!(report.regressions[0].reason.as_deref().unwrap().contains("hung up"));
    // The same silence on the baseline's side is not held for the candidate.
    let (now, before) = scattered(300, -0.08, 0.02);
    let mut sides = Sides::new(&now, &before);
    if let Some((_, before)) = &mut sides.baseline {
        for result in before.iter_mut().take(15) {
            *result = made::unanswered(&result.case);
        }
    }
    assert_eq!(sides.decide().verdict, Verdict::Fail);
}

#[test]
fn the_founding_rule_stops_what_is_worse_and_not_what_is_better() {
    let check = |effect: f64, verdict: Verdict, said: &str| {
        let (now, before) = scattered(100, effect, 0.1);
        let mut sides = Sides::new(&now, &before);
        sides.suite.gate.rule = RULE_P_VALUE.into();
        let report = sides.decide();
        let found = of(&report, CheckKind::Regression);
        assert_eq!(found.verdict, verdict, "{}", found.reason);
        assert!(found.reason.starts_with(said) && found.reason.contains("p < 0.001"), "{}", found.reason);
        assert_eq!(found.p_value_of, Some(PValueOf::NoChange));
    };
    check(-0.1, Verdict::Fail, "a significant drop: -0.0");
    check(0.1, Verdict::Pass, "a significant rise: +0.");
}

#[test]
fn a_sentence_counts_clusters_where_the_decision_did() {
    let (now, before) = scattered(100, 0.0, 0.3);
    let mut sides = Sides::new(&now, &before);
    let cluster = |results: &mut Vec<EvalResult>| {
        let conversation = |at: usize| Some(format!("talk{}", at / 10).as_str().into());
        results.iter_mut().enumerate().for_each(|(at, result)| result.cluster = conversation(at));
    };
    cluster(&mut sides.now);
    cluster(&mut sides.baseline.as_mut().unwrap().1);
    let report = sides.decide();
    let found = of(&report, CheckKind::Regression);
    assert_eq!((found.n, found.clusters), (100, Some(10)));
    for said in
        ["over 100 cases in 10 clusters", "with 10 clusters you cannot see", "more clusters would decide"]
    {
        assert!(found.reason.contains(said), "{said}: {}", found.reason);
    }
    assert!(report.summary.contains("more clusters would decide"), "{}", report.summary);
}

#[test]
fn what_counts_findings_is_left_to_the_check_of_violations() {
    let check = |margin: Option<f64>, rows: usize, verdict: Verdict| {
        let mut sides = Sides::new(&[], &[]);
        let counts: Vec<f64> = (0..60).map(|at| f64::from(at % 3)).collect();
        let results = made::results("policy", &counts);
        (sides.now, sides.run) = (results.clone(), made::run("now", &results));
        sides.baseline = Some((made::run("before", &results), results));
        sides.suite.metrics = vec![MetricSpec { margin, ..made::metric("policy", None) }];
        let report = sides.decide();
        let found = report.checks.iter().filter(|check| check.kind == CheckKind::Regression).count();
        assert_eq!((found, report.verdict), (rows, verdict), "{}", report.summary);
        let noted = report.notes.iter().any(|note| note.contains("`policy` counts findings"));
        assert_eq!(noted, rows == 0, "{:?}", report.notes);
    };
    check(None, 0, Verdict::Pass);
    check(Some(0.5), 1, Verdict::Inconclusive);
}

#[test]
fn cases_that_differ_in_what_is_not_asked_are_not_called_different() {
    let mut sides = Sides::new(&[1.0; 30], &[1.0; 30]);
    sides.baseline.as_mut().unwrap().0.dataset_hash = "d0".into();
    let notes = sides.decide().notes;
    assert!(
        notes.iter().any(|note| note.starts_with("the datasets differ in what is not asked")),
        "{notes:?}"
    );
    sides.now[0].input = Some("another question".into());
    let notes = sides.decide().notes;
    assert!(notes.iter().any(|note| note.starts_with("the runs asked different cases; 29")), "{notes:?}");
}

#[test]
fn no_difference_is_written_as_less_than_nothing() {
    let check = |value: f64, wanted: &str| assert_eq!(report::signed(value), wanted);
    check(-0.0004, "0.000");
    check(-0.0, "0.000");
    check(0.0, "0.000");
    check(-0.0006, "-0.001");
    check(0.25, "+0.250");
}

#[test]
fn a_judge_gates_only_once_people_agree_with_it() {
    let check = |standing: Option<(usize, f64)>, minimum: Option<f64>, verdict: Verdict, told: &str| {
        let (now, before) = scattered(300, 0.0, 0.05);
        let mut sides = Sides::new(&now, &before);
        sides.suite.metrics[0].kind = "faithfulness".into();
        sides.suite.judge = Some(JudgeSpec { min_agreement: minimum, ..JudgeSpec::default() });
        sides.standings = standing
            .map(|(ratings, low)| Standing {
                metric: "exact".into(),
                judge: None,
                ratings,
                low: Some(low),
                has_drifted: false,
            })
            .into_iter()
            .collect();
        let report = sides.decide();
        let found = of(&report, CheckKind::Regression);
        assert_eq!(report.verdict, verdict, "{}", found.reason);
        assert!(found.reason.contains(told), "{}", found.reason);
    };
    check(None, None, Verdict::Inconclusive, "never compared with people");
    check(Some((49, 0.9)), None, Verdict::Inconclusive, "49 ratings by people, and 50 are needed");
    check(Some((50, 0.39)), None, Verdict::Inconclusive, "the lower bound is 0.39, and 0.40 is needed");
    check(Some((50, 0.41)), None, Verdict::Pass, "");
    check(Some((50, 0.41)), Some(0.6), Verdict::Inconclusive, "0.60 is needed");
}

#[test]
fn a_judge_without_standing_cannot_fail_a_change_either() {
    let (now, before) = scattered(300, -0.2, 0.05);
    let mut sides = Sides::new(&now, &before);
    sides.suite.metrics[0].kind = "g_eval".into();
    let report = sides.decide();
    assert_eq!(report.verdict, Verdict::Inconclusive);
    assert!(of(&report, CheckKind::Regression).reason.contains("it would fail"), "{}", report.summary);
}

#[test]
fn too_many_unscored_answers_leave_it_open() {
    let check = |unscored: usize, verdict: Verdict| {
        let mut sides = Sides::alone(&[1.0; 50], 0.5);
        for result in sides.now.iter_mut().take(unscored) {
            result.scores[0].value = None;
            result.scores[0].reason = Some("the judge answered no JSON".into());
        }
        let report = sides.decide();
        assert_eq!(report.verdict, verdict, "{unscored}: {}", report.summary);
    };
    check(0, Verdict::Pass);
    check(5, Verdict::Pass);
    check(6, Verdict::Inconclusive);
}

#[test]
fn the_founding_rule_is_offered_and_lets_more_through() {
    let (now, before) = scattered(25, -0.02, 0.6);
    let mut sides = Sides::new(&now, &before);
    assert_eq!(sides.decide().verdict, Verdict::Inconclusive);
    sides.suite.gate.rule = RULE_P_VALUE.into();
    let report = sides.decide();
    assert_eq!(report.verdict, Verdict::Pass, "{}", report.summary);
    assert!(report.notes.iter().any(|note| note.contains("too few cases pass by it")), "{:?}", report.notes);
    let (now, before) = scattered(100, -0.1, 0.1);
    let mut sides = Sides::new(&now, &before);
    sides.suite.gate.rule = RULE_P_VALUE.into();
    assert_eq!(sides.decide().verdict, Verdict::Fail);
}

#[test]
fn several_metrics_raise_the_bar_for_an_alarm_and_not_for_a_pass() {
    let (now, before) = scattered(60, -0.065, 0.1);
    let alone = Sides::new(&now, &before).decide();
    let mut sides = Sides::new(&now, &before);
    for other in ["b", "c", "d", "e", "f", "g", "h", "i"] {
        sides.suite.metrics.push(made::metric(other, None));
        for result in sides.now.iter_mut().chain(&mut sides.baseline.as_mut().unwrap().1) {
            result.scores.push(made::score(other, Some(1.0)));
        }
    }
    let together = sides.decide();
    let (alone, together) = (of(&alone, CheckKind::Regression), of(&together, CheckKind::Regression));
    assert_eq!(alone.verdict, Verdict::Fail, "{}", alone.reason);
    assert_eq!(together.verdict, Verdict::Inconclusive, "{}", together.reason);
    assert_eq!((alone.low, alone.high), (together.low, together.high));
}

#[test]
fn cases_of_one_conversation_are_not_independent() {
    let (now, before) = scattered(300, 0.0, 0.1);
    let mut sides = Sides::new(&now, &before);
    let plain = sides.decide();
    for (at, result) in sides.now.iter_mut().enumerate() {
        result.cluster = Some(format!("conversation {}", at / 30).as_str().into());
    }
    let clustered = sides.decide();
    let (plain, clustered) = (of(&plain, CheckKind::Regression), of(&clustered, CheckKind::Regression));
    assert_eq!((plain.clusters, clustered.clusters), (Some(300), Some(10)));
    assert_eq!((plain.verdict, clustered.verdict), (Verdict::Pass, Verdict::Inconclusive));
}

#[test]
fn repeats_that_would_decide_are_told() {
    // Cases alike but for the draw: more draws of each are as good as more cases.
    let mut rng = Rng::new(7);
    let mut side = |id: &str| {
        let results: Vec<EvalResult> = (0..240)
            .map(|at| made::repeat(&format!("c{}", at / 3), at % 3, "exact", 0.5 + 0.9 * (rng.unit() - 0.5)))
            .collect();
        (EvalRun { repeats: 3, ..made::run(id, &results) }, results)
    };
    let (run, now) = side("now");
    let sides = Sides { run, now, baseline: Some(side("before")), ..Sides::new(&[1.0], &[1.0]) };
    let report = sides.decide();
    let check = of(&report, CheckKind::Regression);
    assert_eq!(check.verdict, Verdict::Inconclusive, "{}", check.reason);
    let repeats = check.more_repeats.expect("the noise is all within the cases");
    assert!(repeats > 3, "{repeats}");
    assert!(check.reason.contains(&format!("or {repeats} repeats of each")), "{}", check.reason);
}

#[test]
fn an_unbounded_metric_needs_a_margin_of_its_own() {
    let words =
        |shift: f64| -> Vec<f64> { (0..100).map(|at| 100.0 + shift + f64::from(at * 37 % 11)).collect() };
    let mut now = words(0.0);
    now[0] += 1.0;
    let mut sides = Sides::new(&now, &words(0.0));
    let found = sides.decide();
    assert!(of(&found, CheckKind::Regression).reason.contains("a `margin` of its own"), "{}", found.summary);
    sides.suite.metrics[0].margin = Some(2.0);
    assert_eq!(sides.decide().verdict, Verdict::Pass);
}

#[test]
fn other_cases_are_left_out_and_told() {
    let (now, before) = scattered(300, 0.0, 0.05);
    let mut sides = Sides::new(&now, &before);
    sides.run.dataset_hash = "d2".into();
    sides.now[0].input = Some("something else".into());
    sides.now.remove(1);
    sides.run.cases -= 1;
    let report = sides.decide();
    let compared = report.compared.as_ref().unwrap();
    assert_eq!((compared.both, compared.changed.count, compared.only_baseline.count), (298, 1, 1));
    assert!(
        report.notes.iter().any(|note| note.contains("298 that both asked are compared")),
        "{:?}",
        report.notes
    );
    assert_eq!(report.verdict, Verdict::Pass);
}

#[test]
fn what_cannot_be_decided_is_refused_with_its_cure() {
    let check = |change: &dyn Fn(&mut Sides), wanted: &str| {
        let mut sides = Sides::new(&[1.0; 10], &[1.0; 10]);
        change(&mut sides);
        let error = sides.try_decide().unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    };
    check(&|sides| sides.run.state = RunState::Running, "`gauntlet eval run support --resume now`");
    check(&|sides| sides.now.clear(), "has no results");
    check(&|sides| sides.run.suite = "other".into(), "is of suite `other`, not of `support`");
    check(&|sides| sides.baseline.as_mut().unwrap().1.clear(), "no case in common");
    check(&|sides| sides.suite.gate.rule = "feeling".into(), "`non_inferiority` or `p_value`");
    check(&|sides| sides.suite.gate.margin = 0.0, "margin is 0; write a number above 0");
    check(&|sides| sides.suite.gate.alpha = f64::NAN, "alpha is NaN");
}

#[test]
fn a_formula_that_changed_is_not_compared() {
    let (now, before) = scattered(300, 0.0, 0.05);
    let mut sides = Sides::new(&now, &before);
    for result in &mut sides.now {
        result.scores[0].implementation = "gauntlet/2:exact".into();
    }
    let report = sides.decide();
    assert_eq!(report.verdict, Verdict::Inconclusive);
    assert!(of(&report, CheckKind::Regression).reason.contains("different formulas"), "{}", report.summary);
}

fn sequential(now: &[f64], before: &[f64]) -> Sides {
    let mut sides = Sides::new(now, before);
    sides.suite.gate.sequential = true;
    for (at, result) in sides.now.iter_mut().enumerate() {
        result.at = Timestamp(at as i64);
    }
    sides
}

#[test]
fn a_clear_verdict_comes_before_the_last_case() {
    let check = |shift: f64, wanted: Verdict| {
        let (now, before) = scattered(400, shift, 0.05);
        let sides = sequential(&now, &before);
        let (run, results) = sides.baseline.clone().unwrap();
        let mut stopper = Stopper::new(&sides.suite, run, results, Vec::new()).unwrap();
        let stopped =
            (20..=400).step_by(20).find_map(|n| Some((n, stopper.look(&sides.run, &sides.now[..n])?)));
        let (n, verdict) = stopped.expect("it is decided before the end");
        assert_eq!(verdict, wanted, "{shift}");
        assert!(n < 400, "{shift}: after {n}");
        // Whoever decides afterwards comes to the same.
        let run = EvalRun { state: RunState::Stopped, ..sides.run.clone() };
        let cut = Sides { run, now: sides.now[..n].to_vec(), ..sequential(&now, &before) };
        let report = cut.decide();
        assert_eq!(report.verdict, wanted, "{}", report.summary);
        assert!(report.notes.iter().any(|note| note.contains("stopped early")), "{:?}", report.notes);
    };
    check(0.02, Verdict::Pass);
    check(-0.2, Verdict::Fail);
}

#[test]
fn a_violation_stops_a_run_at_the_next_look() {
    let mut sides = sequential(&[1.0; 100], &[1.0; 100]);
    sides.now[3].decision = Some("block".into());
    let (run, results) = sides.baseline.clone().unwrap();
    let mut stopper = Stopper::new(&sides.suite, run, results, Vec::new()).unwrap();
    assert_eq!(stopper.look(&sides.run, &sides.now[..9]), None);
    assert_eq!(stopper.look(&sides.run, &sides.now[..10]), Some(Verdict::Fail));
}

#[test]
fn a_run_that_its_budget_stopped_does_not_pass_by_what_it_has() {
    let (now, before) = scattered(400, 0.02, 0.05);
    let mut sides = Sides::new(&now, &before);
    sides.run.state = RunState::Stopped;
    sides.now.truncate(300);
    assert_eq!(sides.decide().verdict, Verdict::Inconclusive);
    assert!(Stopper::new(&sides.suite, sides.run.clone(), Vec::new(), Vec::new()).is_none());
}

#[test]
fn a_report_comes_back_from_its_json() {
    let (now, before) = scattered(30, -0.1, 0.1);
    let report = Sides::new(&now, &before).decide();
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["format"], "gauntlet.gate/1");
    assert_eq!(serde_json::from_value::<GateReport>(json).unwrap(), report);
}

#[test]
fn metrics_that_do_not_gate_are_left_alone() {
    let mut sides = Sides::alone(&[0.1; 20], 0.9);
    sides.suite.metrics =
        vec![MetricSpec { gates: false, ..made::metric("exact", Some(0.9)) }, made::metric("words", None)];
    let report = sides.decide();
    assert!(report.checks.iter().all(|check| check.kind != CheckKind::Floor), "{:?}", report.checks);
}

#[test]
fn each_judge_within_a_weighted_metric_must_prove_itself() {
    let parts = serde_json::json!([{"rubric": {"name": "tone", "rubric": "polite"}}, {"aspect": {"definition": "short"}}, "is_json"]);
    let options = [("of".to_owned(), parts)].into_iter().collect();
    let metric = MetricSpec { kind: "weighted".into(), options, ..made::metric("exact", Some(0.5)) };
    let shown = |metric: &str, ratings: usize| Standing {
        metric: metric.into(),
        judge: None,
        ratings,
        low: Some(0.6),
        has_drifted: false,
    };
    let check = |standings: &[Standing], verdict: Verdict, wanted: &str| {
        let mut sides = Sides::alone(&[0.9; 12], 0.5);
        sides.suite = made::suite(vec![metric.clone()]);
        sides.standings = standings.to_vec();
        let report = sides.decide();
        let floor = of(&report, CheckKind::Floor);
        assert_eq!(floor.verdict, verdict, "{}", floor.reason);
        assert!(floor.reason.contains(wanted), "{}", floor.reason);
    };
    check(&[], Verdict::Inconclusive, "--metric exact.tone");
    check(&[shown("exact.tone", 60)], Verdict::Inconclusive, "--metric exact.aspect");
    check(&[shown("exact.tone", 60), shown("exact.aspect", 20)], Verdict::Inconclusive, "20 ratings");
    check(&[shown("exact.tone", 60), shown("exact.aspect", 60)], Verdict::Pass, "");
}
