//! The pages of evals and prompts.

use gauntlet_console::*;
use gauntlet_ports::{
    Candidate, EvalGate, EvalResult, EvalRun, MetricSummary, Overview, RunState, Score, SuiteTrend, TrendRun,
    Verdict,
};
use gauntlet_types::{NanoUsd, PromptRef, Timestamp};
use serde_json::json;

use crate::{HOSTILE, SHELL, is_sound, sample, says};

fn run(id: &str, passed: u32) -> EvalRun {
    EvalRun {
        id: id.into(),
        suite: "support".into(),
        candidate: Candidate {
            name: format!("support-agent@1.{passed}.0").as_str().into(),
            ..Candidate::default()
        },
        state: RunState::Done,
        cases: 40,
        passed,
        failed: 40 - passed,
        app_sha: Some("0123456789abcdef".into()),
        started: sample::NOW,
        cost: NanoUsd(12_000_000),
        judge_calls: 12,
        judge_cached: 80,
        metrics: vec![MetricSummary {
            metric: "faithfulness".into(),
            implementation: "ragas/0.4:faithfulness".into(),
            mean: Some(0.9125),
            ci_low: Some(0.87),
            ci_high: Some(0.95),
            scored: 38,
            unscored: 2,
            ..MetricSummary::default()
        }],
        ..EvalRun::default()
    }
}

fn gate(run: &str, verdict: Verdict) -> EvalGate {
    EvalGate {
        id: "g".into(),
        suite: "support".into(),
        run: run.into(),
        baseline: Some("run-0".into()),
        app_sha: None,
        prompt: None,
        verdict,
        summary: "faithfulness fell by more than the margin".into(),
        report: json!({"checks": [{"kind": "non_inferiority", "metric": "faithfulness", "verdict": "fail", "reason": "lower bound -0.08 is below -0.03"}]}),
        at: sample::NOW,
    }
}

fn result(case: &str, passed: bool) -> EvalResult {
    EvalResult {
        case: case.into(),
        passed: Some(passed),
        input: Some("What is the capital of Texas?".into()),
        output: Some("Dallas".into()),
        call: Some(sample::call().record.id),
        latency_us: 840_000,
        scores: vec![Score {
            metric: "exact".into(),
            value: Some(0.0),
            passed: Some(passed),
            ..Score::default()
        }],
        ..EvalResult::default()
    }
}

#[test]
fn the_list_shows_each_suite_over_time_and_its_gate() {
    let runs = [run("run-2", 31), run("run-1", 36)];
    let gates = [gate("run-2", Verdict::Fail), gate("run-1", Verdict::Pass)];
    let page = evals(&SHELL, &EvalsView { runs: &runs, gates: &gates, suite: None });
    is_sound(&page);
    says(
        &page,
        &["support-agent@1.31.0", "failed its gate", "passed its gate", "78 %", "0123456789", "0.912"],
    );
    says(&page, &["/evals/compare?a=run%2D1&amp;b=run%2D2", "href=\"/evals/runs/run%2D2\""]);
    let empty = evals(&SHELL, &EvalsView { runs: &[], gates: &[], suite: None });
    is_sound(&empty);
    says(&empty, &["gauntlet eval run SUITE"]);
}

#[test]
fn a_suite_without_thresholds_shows_no_share_of_passed_cases() {
    let check = |passed: u32, failed: u32, shown: &[&str], hidden: &[&str]| {
        let runs = [EvalRun { passed, failed, cases: 40, ..run("run-2", 0) }];
        let gates = [gate("run-2", Verdict::Pass)];
        let list = evals(&SHELL, &EvalsView { runs: &runs, gates: &gates, suite: None });
        let view = EvalRunView { run: &runs[0], gate: None, results: &[], others: &[], failed_only: false };
        for page in [list, eval_run(&SHELL, &view)] {
            is_sound(&page);
            assert!(shown.iter().any(|text| page.contains(text)), "{shown:?}: {page}");
            assert!(!hidden.iter().any(|text| page.contains(text)), "{hidden:?}: {page}");
        }
    };
    check(0, 0, &["<td class=\"n\">–<span", "<dd class=\"value\">–</dd>"], &["0 %", "0 of 40 passed"]);
    check(
        0,
        40,
        &["0 of 40 passed", "<dt>Failed</dt><dd class=\"value\">40</dd>"],
        &["–<span class=\"sub\">40 cases"],
    );
}

#[test]
fn a_run_shows_its_failing_cases_with_their_traces() {
    let (run, gate) = (run("run-2", 31), gate("run-2", Verdict::Fail));
    let broken = EvalResult { error: Some("upstream_failed".into()), passed: None, ..result("c3", false) };
    let results = [result("c1", true), result("c2", false), broken];
    let view =
        EvalRunView { run: &run, gate: Some(&gate), results: &results, others: &[], failed_only: false };
    let page = eval_run(&SHELL, &view);
    is_sound(&page);
    says(
        &page,
        &[
            "lower bound -0.08 is below -0.03",
            "ragas/0.4:faithfulness",
            "0.870 – 0.950",
            "840 ms",
            "80 known already",
        ],
    );
    says(&page, &[&format!("/traces/{}", sample::call().record.id)]);
    // Errors, then failures, then the rest.
    let place = |case: &str| page.find(&format!(">{case}<")).expect(case);
    assert!(place("c3") < place("c2") && place("c2") < place("c1"));
    let failed = eval_run(&SHELL, &EvalRunView { failed_only: true, ..view });
    assert!(!failed.contains(">c1<") && failed.contains(">c2<"));
}

#[test]
fn a_comparison_colours_what_is_worse_whichever_way_is_better() {
    let (first, second) = (run("run-1", 36), run("run-2", 31));
    let pair = |metric: &str, low: f64, high: f64, lower_is_better: bool| MetricPair {
        metric: metric.into(),
        first: Some(0.9),
        second: Some(0.9 + (low + high) / 2.0),
        difference: Some((low + high) / 2.0),
        ci_low: Some(low),
        ci_high: Some(high),
        p_value: Some(0.01),
        lower_is_better,
        pairs: 40,
    };
    let check = |low: f64, high: f64, lower_is_better: bool, class: &str| {
        let metrics = [pair("m", low, high, lower_is_better)];
        let cases = [CasePair { case: "c1".into(), gain: -1.0, ..CasePair::default() }];
        let view = EvalCompareView {
            first: &first,
            second: &second,
            metrics: &metrics,
            cases: &cases,
            warnings: &[],
        };
        let page = eval_compare(&SHELL, &view);
        is_sound(&page);
        says(
            &page,
            &[&format!("<span class=\"pill {class}\">{:+.3}</span>", f64::midpoint(low, high)), "-1.000"],
        );
    };
    check(-0.1, -0.02, false, "bad");
    check(0.02, 0.1, false, "good");
    check(0.02, 0.1, true, "bad");
    check(-0.02, 0.1, false, "plain");
}

fn prompt_line() -> PromptLine {
    PromptLine {
        name: "support/agent".into(),
        description: Some("Answers".into()),
        owner: Some("support-team".into()),
        versions: 2,
        latest: "1.1.0".into(),
        labels: vec![("production".into(), "1.0.0".into())],
        is_high_risk: true,
    }
}

#[test]
fn a_prompt_shows_where_its_labels_point_and_offers_to_move_them() {
    let line = prompt_line();
    let page = prompts(&SHELL, std::slice::from_ref(&line));
    is_sound(&page);
    says(&page, &["/prompts/show?name=support%2Fagent", "high risk", "production", "1.0.0"]);
    let version = |version: &str, gates| VersionLine {
        version: version.into(),
        hash: "abcdef0123456789".into(),
        created: Some(sample::NOW),
        gates,
        ..VersionLine::default()
    };
    let versions = [
        version("1.1.0", vec![("support".to_owned(), Verdict::Pass, "run-2".to_owned())]),
        version("1.0.0", vec![]),
    ];
    let history = [MoveLine {
        label: "production".into(),
        from: Some("0.9.0".into()),
        to: "1.0.0".into(),
        at: Timestamp(0),
        ..MoveLine::default()
    }];
    let diff = DiffView {
        from: "1.0.0".into(),
        to: "1.1.0".into(),
        shape: vec!["variable `tone` is new and optional".into()],
        lines: vec![
            (Change::Same, "You are kind.".into()),
            (Change::Removed, "Be long.".into()),
            (Change::Added, "Be short.".into()),
        ],
    };
    let labels = ["production".to_owned(), "staging".to_owned()];
    let view = PromptView {
        line: &line,
        versions: &versions,
        history: &history,
        shown: None,
        diff: Some(&diff),
        plan: None,
        labels: &labels,
        refused: Some("needs a green gate"),
    };
    let page = prompt(&SHELL, &view);
    is_sound(&page);
    says(
        &page,
        &[
            "action=\"/prompts/promote\"",
            "action=\"/prompts/rollback\"",
            "not evaluated",
            "needs a green gate",
        ],
    );
    says(
        &page,
        &[
            "<span class=\"added\">+ Be short.",
            "<span class=\"removed\">- Be long.",
            "from=1%2E0%2E0&amp;to=1%2E1%2E0#diff",
        ],
    );
    for version in &versions {
        // Approving needs somebody's name.
        says(&page, &[&format!("<option value=\"{}\">", version.version), "name=\"by\" required"]);
    }
    let read_only = prompt(&Shell { csrf: None, ..SHELL }, &view);
    assert!(!read_only.contains("method=\"post\""), "without a token nothing can be moved");
}

#[test]
fn a_prompt_shows_all_that_it_asks_and_brings_and_what_a_promotion_lacks() {
    let line = prompt_line();
    let shown = ShownVersion {
        version: "1.1.0".into(),
        variables: vec![VariableRow {
            name: "persona".into(),
            kind: "string, at most 100".into(),
            default: Some("\"a clerk\"".into()),
            description: Some("how it speaks".into()),
            ..VariableRow::default()
        }],
        model_hint: Some("claude-haiku-4-5".into()),
        fields: vec![("tool_choice".into(), "\"auto\"".into())],
        ..ShownVersion::default()
    };
    let moved = |how| MoveLine { label: "production".into(), to: "1.0.0".into(), how, ..MoveLine::default() };
    let plan = PlanView {
        version: "1.1.0".into(),
        label: "production".into(),
        from: Some("1.0.0".into()),
        lacks: vec![("no gate has judged this content".into(), "`gauntlet eval run SUITE`".into())],
        runs: vec![("support".into(), Some("run-1".into()), "run-2".into())],
        ..PlanView::default()
    };
    // A refusal's cure stands at its end.
    let refused = format!("{}: `gauntlet gate`", "very long. ".repeat(60));
    let view = PromptView {
        line: &line,
        versions: &[],
        history: &[moved(Some("forced")), moved(None)],
        shown: Some(&shown),
        diff: None,
        plan: Some(&plan),
        labels: &[],
        refused: Some(&refused),
    };
    let page = prompt(&SHELL, &view);
    is_sound(&page);
    says(&page, &["how it speaks", "a clerk", "tool_choice", "claude-haiku-4-5", ": `gauntlet gate`"]);
    says(&page, &["no gate has judged this content", "`gauntlet eval run SUITE`", "a=run%2D1&amp;b=run%2D2"]);
    assert_eq!(page.matches("forced").count(), 1, "{page}");
}

#[test]
fn words_of_models_and_callers_are_text_on_every_page() {
    // Names that go back with a form stay exactly as they are; prompts and suites take none with such letters.
    let name = HOSTILE.replace('\u{202e}', "");
    let name = name.as_str();
    let mut bad = run(name, 1);
    (bad.suite, bad.candidate.name, bad.why) = (HOSTILE.into(), HOSTILE.into(), Some(HOSTILE.into()));
    bad.metrics[0].metric = HOSTILE.into();
    let gate = EvalGate {
        summary: HOSTILE.into(),
        report: json!({"checks": [{"kind": HOSTILE, "metric": HOSTILE, "verdict": HOSTILE, "reason": HOSTILE}]}),
        ..gate(name, Verdict::Fail)
    };
    let hostile = Some(HOSTILE.to_owned());
    let mut case = EvalResult {
        input: hostile.clone(),
        output: hostile.clone(),
        expected: hostile.clone(),
        error: hostile.clone(),
        ..result(HOSTILE, false)
    };
    case.scores[0].reason = hostile.clone();
    let runs = [bad.clone(), bad.clone()];
    is_sound(&evals(
        &SHELL,
        &EvalsView { runs: &runs, gates: std::slice::from_ref(&gate), suite: Some(HOSTILE) },
    ));
    is_sound(&eval_run(
        &SHELL,
        &EvalRunView { run: &bad, gate: Some(&gate), results: &[case], others: &runs, failed_only: false },
    ));
    let pair = CasePair {
        case: HOSTILE.into(),
        metric: HOSTILE.into(),
        first_output: hostile.clone(),
        ..CasePair::default()
    };
    let metric = MetricPair { metric: HOSTILE.into(), ..MetricPair::default() };
    let warnings = [HOSTILE.to_owned()];
    is_sound(&eval_compare(
        &SHELL,
        &EvalCompareView {
            first: &bad,
            second: &bad,
            metrics: &[metric],
            cases: &[pair],
            warnings: &warnings,
        },
    ));
    let line = PromptLine {
        name: name.into(),
        description: hostile.clone(),
        owner: hostile.clone(),
        labels: vec![(name.into(), HOSTILE.into())],
        ..prompt_line()
    };
    is_sound(&prompts(&SHELL, std::slice::from_ref(&line)));
    let version = VersionLine {
        version: name.into(),
        hash: HOSTILE.into(),
        author: hostile.clone(),
        labels: vec![HOSTILE.into()],
        ..VersionLine::default()
    };
    let shown = ShownVersion {
        version: HOSTILE.into(),
        messages: vec![("user".into(), HOSTILE.into())],
        variables: vec![VariableRow {
            name: HOSTILE.into(),
            kind: HOSTILE.into(),
            is_required: true,
            default: hostile.clone(),
            description: hostile.clone(),
        }],
        model: hostile.clone(),
        model_hint: hostile.clone(),
        fields: vec![(HOSTILE.into(), HOSTILE.into())],
    };
    let moved = MoveLine {
        label: name.into(),
        from: hostile.clone(),
        to: HOSTILE.into(),
        by: hostile.clone(),
        at: Timestamp(0),
        how: None,
        why: hostile.clone(),
    };
    let plan = PlanView {
        version: HOSTILE.into(),
        label: HOSTILE.into(),
        from: hostile.clone(),
        lacks: vec![(HOSTILE.into(), HOSTILE.into())],
        runs: vec![(HOSTILE.into(), hostile.clone(), HOSTILE.into())],
        rollback: hostile.clone(),
    };
    let diff = DiffView {
        from: HOSTILE.into(),
        to: HOSTILE.into(),
        shape: vec![HOSTILE.into()],
        lines: vec![(Change::Added, HOSTILE.into())],
    };
    let view = PromptView {
        line: &line,
        versions: &[version],
        history: &[moved],
        shown: Some(&shown),
        diff: Some(&diff),
        plan: Some(&plan),
        labels: &[name.to_owned()],
        refused: Some(HOSTILE),
    };
    is_sound(&prompt(&SHELL, &view));
}

fn overview_with(suites: &[SuiteTrend], failing: &[FailingCase]) -> String {
    let none = Overview::default();
    let view = OverviewView {
        today: &none,
        last_hour: &none,
        hours: &[],
        week: &none,
        budgets: vec![],
        kills: &[],
        events: &[],
        evals: EvalsGlance { suites, failing },
        warnings: vec![],
        sim: false,
    };
    let page = overview(&SHELL, &view);
    is_sound(&page);
    page
}

fn trend(suite: &str, verdicts: &[Option<Verdict>]) -> SuiteTrend {
    let one = |(number, verdict): (usize, &Option<Verdict>)| TrendRun {
        run: EvalRun { suite: suite.into(), ..run(&format!("{suite}-{number}"), 30 + number as u32) },
        verdict: *verdict,
        gated: vec!["faithfulness".into()],
    };
    // Newest first.
    SuiteTrend { suite: suite.into(), runs: verdicts.iter().enumerate().rev().map(one).collect() }
}

#[test]
fn the_overview_shows_each_suites_runs_by_their_gate_and_what_failed() {
    let mut support =
        trend("support", &[Some(Verdict::Pass), Some(Verdict::Inconclusive), None, Some(Verdict::Fail)]);
    let newest = &mut support.runs[0].run;
    newest.metrics.push(MetricSummary {
        metric: "ungated".into(),
        mean: Some(0.5),
        ..MetricSummary::default()
    });
    newest.candidate.prompt = Some(PromptRef {
        name: "support-agent".into(),
        version: "1.33.0".into(),
        label: None,
        hash: "ab".into(),
    });
    let failing = failing(vec![(
        newest.clone(),
        vec![result("c 2/é", false), EvalResult { repeat: 1, ..result("c 2/é", false) }],
    )]);
    assert_eq!(failing.len(), 1, "a case stands once");
    let page = overview_with(&[support, trend("search", &[None])], &failing);
    says(
        &page,
        &[
            "class=\"dot good\" href=\"/evals/runs/support%2D0\"",
            "class=\"dot warn\"",
            "class=\"dot plain\"",
            "class=\"dot bad\" href=\"/evals/runs/support%2D3\" title=\"support-agent@1.33.0: faithfulness 0.912, 33 of 40 passed, failed its gate, ",
            "<b>0.912</b>",
            "0.870 – 0.950",
            "/evals?suite=search",
            "href=\"/evals/runs/support%2D3?failed=1#case-c_202_2f_c3_a9\"",
            &format!("href=\"/traces/{}\"", sample::call().record.id),
            "/prompts/show?name=support%2Dagent&amp;version=1%2E33%2E0",
            "What is the capital of Texas?",
        ],
    );
    assert!(
        page.find("support%2D0").unwrap() < page.find("support%2D3").unwrap(),
        "the oldest run comes first"
    );
    assert!(!page.contains("ungated"), "what the gate did not look at is left to the page of the run");
    // The link leads to a case of that page.
    let run = run("r", 1);
    let results = [result("c 2/é", false)];
    let view = EvalRunView { run: &run, gate: None, results: &results, others: &[], failed_only: true };
    says(&eval_run(&SHELL, &view), &["id=\"case-c_202_2f_c3_a9\""]);
}

#[test]
fn the_overview_without_evals_says_how_to_begin_and_with_hostile_ones_stays_sound() {
    says(&overview_with(&[], &[]), &["No run yet", "gauntlet eval run SUITE"]);
    let mut hostile = trend(HOSTILE, &[Some(Verdict::Fail)]);
    hostile.runs[0].run.candidate.name = HOSTILE.into();
    hostile.runs[0].run.metrics[0].metric = HOSTILE.into();
    hostile.runs[0].gated.clear();
    let failed = EvalResult {
        input: Some(HOSTILE.to_owned()),
        error: Some(HOSTILE.to_owned()),
        ..result(HOSTILE, false)
    };
    let failing = failing(vec![(hostile.runs[0].run.clone(), vec![failed])]);
    overview_with(&[hostile], &failing);
}

#[test]
fn failing_cases_of_several_runs_take_turns() {
    let many = |count: u32| (0..count).map(|number| result(&format!("c{number}"), false)).collect::<Vec<_>>();
    let shown = failing(vec![(run("a", 1), many(9)), (run("b", 1), many(1)), (run("c", 1), many(2))]);
    let ids: Vec<String> = shown.iter().map(|case| format!("{}/{}", case.run.id, case.result.case)).collect();
    assert_eq!(ids, ["a/c0", "b/c0", "c/c0", "a/c1", "c/c1"]);
    assert_eq!(failing(vec![]).len(), 0);
}
