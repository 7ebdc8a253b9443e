//! Runs of evals: what is kept of them is read back, replaced, found, and taken away.

use gauntlet_ports::{
    Candidate, Direction, EVAL_BATCH_MAX, EvalCursor, EvalGate, EvalResult, EvalRetention, EvalRun,
    EvalStore, EvalStoreError, EvalsCut, GateFilter, JudgeKey, Judged, MetricSummary, RUNS_MAX, RunFilter,
    RunState, Score, Verdict,
};
use gauntlet_types::{CallId, NanoUsd, PromptRef, Timestamp};
use serde_json::json;

use super::sample::{self, START};

const HOSTILE: &str = "'; drop table eval_runs; -- \0 \u{f4fff}0 \"\\ \u{202e}東🜁";

fn at(second: i64) -> Timestamp {
    Timestamp(START.0 + second * 1_000_000)
}

fn call(number: u32) -> CallId {
    sample::call(number, 0).record.id
}

fn prompt(version: &str) -> PromptRef {
    PromptRef {
        name: "support-agent".into(),
        version: version.into(),
        label: Some("production".into()),
        hash: format!("hash of {version}").into(),
    }
}

fn run(id: &str, second: i64) -> EvalRun {
    EvalRun {
        id: id.into(),
        suite: "support".into(),
        candidate: Candidate { name: "support-agent@1.2.0".into(), ..Candidate::default() },
        started: at(second),
        ..EvalRun::default()
    }
}

fn full_run() -> EvalRun {
    EvalRun {
        suite_hash: "5e".into(),
        dataset_hash: "da".into(),
        app_sha: Some("9f8c1d2".into()),
        route: Some("support_bot".into()),
        candidate: Candidate {
            name: "support-agent@1.3.0 on openai/gpt-4o-mini".into(),
            model: Some("openai/gpt-4o-mini".into()),
            prompt: Some(prompt("1.3.0")),
        },
        is_fast: true,
        cases: 30,
        repeats: 3,
        state: RunState::Stopped,
        why: Some(HOSTILE.to_owned()),
        ended: Some(at(90)),
        cost: NanoUsd(1_234_567_891),
        judge_cost: NanoUsd(-5),
        judge_calls: 60,
        judge_cached: 7,
        passed: 20,
        failed: 8,
        errors: 2,
        metrics: vec![MetricSummary {
            metric: "faithfulness".into(),
            implementation: "ragas/0.4:faithfulness".into(),
            direction: Direction::LowerIsBetter,
            mean: Some(0.1 + 0.2),
            ci_low: Some(0.25),
            ci_high: None,
            scored: 28,
            unscored: 2,
        }],
        ..run("full", 10)
    }
}

fn result(run: &str, case: &str, repeat: u32) -> EvalResult {
    EvalResult { run: run.into(), case: case.into(), repeat, at: at(20), ..EvalResult::default() }
}

fn full_result(run: &str, case: &str, repeat: u32) -> EvalResult {
    let score = |metric: &str, value: Option<f64>| Score {
        metric: metric.into(),
        implementation: format!("gauntlet/1:{metric}").into(),
        value,
        passed: value.map(|value| value > 0.5),
        reason: Some(HOSTILE.to_owned()),
        evidence: json!({"claims": [{"text": HOSTILE, "verdict": 1}], "weight": 0.1}),
    };
    EvalResult {
        cluster: Some("conversation 1".into()),
        app_sha: Some("9f8c1d2".into()),
        route: Some("support_bot".into()),
        call: Some(call(7)),
        source: Some(call(5)),
        model: Some("openai/gpt-4o-mini".into()),
        input: Some("question".to_owned()),
        expected: Some(String::new()),
        output: Some(HOSTILE.to_owned()),
        output_hash: Some("ab".into()),
        error: Some("late".to_owned()),
        decision: Some("flag".into()),
        cost: NanoUsd(1_000_001),
        judge_cost: NanoUsd(2),
        latency_us: 840_000,
        tokens_in: 100,
        tokens_out: 40,
        passed: Some(false),
        // Not in the order of their names.
        scores: vec![score("exact", Some(1.0)), score("answer_relevancy", None), score("bleu", Some(0.1))],
        ..result(run, case, repeat)
    }
}

pub(super) fn a_run_is_read_back_as_it_was_written(store: &dyn EvalStore) {
    for run in [run("plain", 0), full_run()] {
        store.run_put(&run).unwrap();
        assert_eq!(store.run_get(&run.id).unwrap(), run);
    }
    let later = EvalRun { state: RunState::Done, why: None, passed: 22, ..full_run() };
    store.run_put(&later).unwrap();
    assert_eq!(store.run_get("full").unwrap(), later, "what is known of a run is replaced");
    assert_eq!(store.run_list(&RunFilter::default()).unwrap().len(), 2);
    assert!(matches!(store.run_get("none"), Err(EvalStoreError::UnknownRun(id)) if id == "none"));
}

pub(super) fn runs_are_found_newest_first(store: &dyn EvalStore) {
    let other = EvalRun { suite: "other".into(), ..run("other", 20) };
    for run in [run("old", 0), run("new", 30), full_run(), other] {
        store.run_put(&run).unwrap();
    }
    let check = |filter: RunFilter, wanted: &[&str]| {
        let found = store.run_list(&filter).unwrap();
        let ids: Vec<&str> = found.iter().map(|run| run.id.as_str()).collect();
        assert_eq!(ids, wanted, "{filter:?}");
    };
    let all = RunFilter::default;
    check(all(), &["new", "other", "full", "old"]);
    check(RunFilter { limit: Some(2), ..all() }, &["new", "other"]);
    check(RunFilter { limit: Some(0), ..all() }, &[]);
    let after = |id: &str| {
        let last = store.run_get(id).unwrap();
        RunFilter { before: Some(EvalCursor { at: last.started, id: last.id }), ..all() }
    };
    check(after("other"), &["full", "old"]);
    check(RunFilter { limit: Some(1), ..after("new") }, &["other"]);
    check(after("old"), &[]);
    check(RunFilter { limit: Some(RUNS_MAX), ..all() }, &["new", "other", "full", "old"]);
    check(RunFilter { suite: Some("support".into()), ..all() }, &["new", "full", "old"]);
    check(RunFilter { app_sha: Some("9f8c1d2".into()), ..all() }, &["full"]);
    check(RunFilter { prompt_name: Some("support-agent".into()), ..all() }, &["full"]);
    check(RunFilter { prompt_hash: Some("hash of 1.3.0".into()), ..all() }, &["full"]);
    check(RunFilter { state: Some(RunState::Running), ..all() }, &["new", "other", "old"]);
    check(RunFilter { since: Some(at(20)), ..all() }, &["new", "other"]);
    check(RunFilter { suite: Some("' or 1 = 1".into()), ..all() }, &[]);
    // Of two that started at once the one with the lesser id comes after.
    store.run_put(&EvalRun { suite: "other".into(), ..run("nether", 20) }).unwrap();
    check(after("new"), &["other", "nether", "full", "old"]);
    check(after("other"), &["nether", "full", "old"]);
    check(after("nether"), &["full", "old"]);
}

pub(super) fn a_result_is_read_back_and_replaced(store: &dyn EvalStore) {
    store.run_put(&run("r", 0)).unwrap();
    assert_eq!(store.result_list("r").unwrap(), []);
    // In no order, and one of another run of the same case.
    store.run_put(&run("s", 0)).unwrap();
    let plain = result("r", "c2", 0);
    let again = full_result("r", "c10", 1);
    let first = full_result("r", "c10", 0);
    let all = [plain.clone(), again.clone(), first.clone(), result("s", "c2", 0)];
    store.result_add(&all).unwrap();
    store.result_add(&[]).unwrap();
    assert_eq!(store.result_list("r").unwrap(), [first.clone(), again.clone(), plain.clone()]);
    let mended = EvalResult { scores: vec![again.scores[2].clone()], ..plain };
    store.result_add(std::slice::from_ref(&mended)).unwrap();
    let bare = result("r", "c10", 1);
    store.result_add(std::slice::from_ref(&bare)).unwrap();
    assert_eq!(store.result_list("r").unwrap(), [first, bare, mended]);
    assert_eq!(store.result_list("s").unwrap().len(), 1);
}

pub(super) fn a_metric_stands_once_in_a_result(store: &dyn EvalStore) {
    store.run_put(&run("r", 0)).unwrap();
    let mut twice = full_result("r", "c1", 0);
    let last = Score { value: Some(0.25), ..twice.scores[0].clone() };
    twice.scores = vec![twice.scores[0].clone(), last.clone()];
    let not_a_number = Score { value: Some(f64::NAN), metric: "odd".into(), ..last.clone() };
    twice.scores.push(not_a_number.clone());
    store.result_add(&[twice]).unwrap();
    let found = store.result_list("r").unwrap().remove(0).scores;
    assert_eq!(found, [last, Score { value: None, ..not_a_number }]);
}

pub(super) fn results_belong_to_a_run(store: &dyn EvalStore) {
    store.run_put(&run("r", 0)).unwrap();
    let added = store.result_add(&[result("r", "c1", 0), result("none", "c1", 0)]);
    assert!(matches!(added, Err(EvalStoreError::UnknownRun(id)) if id == "none"));
    assert_eq!(store.result_list("r").unwrap(), [], "all of a batch or nothing");
    assert!(matches!(store.result_list("none"), Err(EvalStoreError::UnknownRun(_))));
    let many = vec![result("r", "c1", 0); EVAL_BATCH_MAX + 1];
    assert!(matches!(store.result_add(&many), Err(EvalStoreError::TooMany { given: 1001 })));
    let full: Vec<_> = (0..EVAL_BATCH_MAX as u32).map(|repeat| full_result("r", "c1", repeat)).collect();
    store.result_add(&full).unwrap();
    assert_eq!(store.result_list("r").unwrap(), full);
}

fn judged(prompt: &str, sample: u32, answer: &str) -> Judged {
    Judged {
        key: JudgeKey {
            judge_model: "openai/gpt-4o".into(),
            judge_prompt_hash: prompt.into(),
            output_hash: "ab".into(),
            sample,
        },
        answer: answer.to_owned(),
        cost: NanoUsd(77),
        call: Some(call(9)),
        at: at(5),
    }
}

pub(super) fn a_judges_first_answer_is_kept(store: &dyn EvalStore) {
    let known = [judged("p1", 0, HOSTILE), judged("p1", 1, "other draw"), judged("p2", 0, "")];
    store.judged_put(&known).unwrap();
    store.judged_put(&[judged("p1", 0, "changed its mind")]).unwrap();
    let mut keys: Vec<JudgeKey> = known.iter().map(|one| one.key.clone()).collect();
    keys.push(JudgeKey { judge_model: "another".into(), ..keys[0].clone() });
    keys.push(JudgeKey { output_hash: "another".into(), ..keys[0].clone() });
    let mut found = store.judged_get(&keys).unwrap();
    found.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(found, known);
    assert_eq!(store.judged_get(&[]).unwrap(), []);
    let many = vec![keys[0].clone(); EVAL_BATCH_MAX + 1];
    assert!(matches!(store.judged_get(&many), Err(EvalStoreError::TooMany { .. })));
}

fn gate(id: &str, second: i64) -> EvalGate {
    EvalGate {
        id: id.into(),
        suite: "support".into(),
        run: "r".into(),
        baseline: None,
        app_sha: None,
        prompt: None,
        verdict: Verdict::Inconclusive,
        summary: HOSTILE.to_owned(),
        report: json!({"checks": [1.5, HOSTILE]}),
        at: at(second),
    }
}

pub(super) fn gates_are_kept_newest_first(store: &dyn EvalStore) {
    let old = gate("g1", 0);
    let new = EvalGate {
        suite: "other".into(),
        run: "s".into(),
        baseline: Some("r".into()),
        app_sha: Some("9f8c1d2".into()),
        prompt: Some(PromptRef { label: None, ..prompt("1.3.0") }),
        verdict: Verdict::Pass,
        ..gate("g2", 10)
    };
    store.gate_put(&old).unwrap();
    store.gate_put(&EvalGate { verdict: Verdict::Fail, ..new.clone() }).unwrap();
    store.gate_put(&new).unwrap();
    let check = |filter: GateFilter, wanted: &[&EvalGate]| {
        let found = store.gate_list(&filter).unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), wanted, "{filter:?}");
    };
    let all = GateFilter::default;
    check(all(), &[&new, &old]);
    check(GateFilter { limit: Some(1), ..all() }, &[&new]);
    let after = |gate: &EvalGate| EvalCursor { at: gate.at, id: gate.id.clone() };
    check(GateFilter { before: Some(after(&new)), ..all() }, &[&old]);
    check(GateFilter { before: Some(after(&old)), ..all() }, &[]);
    check(GateFilter { suite: Some("support".into()), ..all() }, &[&old]);
    check(GateFilter { run: Some("s".into()), ..all() }, &[&new]);
    check(GateFilter { prompt_name: Some("support-agent".into()), ..all() }, &[&new]);
    check(GateFilter { prompt_hash: Some("hash of 1.2.0".into()), ..all() }, &[]);
}

pub(super) fn a_trend_is_of_the_suites_that_ran_last(store: &dyn EvalStore) {
    assert_eq!(store.trend_list(5, 5).unwrap(), []);
    for number in 0..4 {
        store.run_put(&run(&format!("support-{number}"), number)).unwrap();
        let of = |suite: &str, second: i64| EvalRun {
            suite: suite.into(),
            ..run(&format!("{suite}-{number}"), second)
        };
        store.run_put(&of("often", 100 + number)).unwrap();
        store.run_put(&of("'odd\"", 50 + number)).unwrap();
    }
    let of_run = |id: &str, run: &str, second: i64, verdict: Verdict| EvalGate {
        run: run.into(),
        verdict,
        report: json!({"checks": [{"metric": "exact"}, {"metric": null}, {"metric": "bleu"}, {"metric": "exact"}]}),
        ..gate(id, second)
    };
    store.gate_put(&of_run("g1", "support-3", 0, Verdict::Pass)).unwrap();
    store.gate_put(&of_run("g2", "support-3", 9, Verdict::Fail)).unwrap();
    store.gate_put(&of_run("g3", "support-2", 9, Verdict::Pass)).unwrap();
    let shape = |suites: u32, runs: u32| {
        let trends = store.trend_list(suites, runs).unwrap();
        let line = |trend: &gauntlet_ports::SuiteTrend| {
            let runs: Vec<String> = trend.runs.iter().map(|one| one.run.id.to_string()).collect();
            assert!(trend.runs.iter().all(|one| one.run.suite == trend.suite));
            runs.join(" ")
        };
        trends.iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(shape(9, 2), ["often-3 often-2", "'odd\"-3 'odd\"-2", "support-3 support-2"]);
    assert_eq!(shape(2, 1), ["often-3", "'odd\"-3"]);
    assert_eq!(shape(0, 9), [""; 0]);
    let support = store.trend_list(9, 3).unwrap().remove(2).runs;
    let said: Vec<_> = support.iter().map(|one| (one.verdict, one.gated.len())).collect();
    assert_eq!(said, [(Some(Verdict::Fail), 2), (Some(Verdict::Pass), 2), (None, 0)]);
    assert_eq!(support[0].gated, ["exact", "bleu"]);
    assert_eq!(support[0].run, run("support-3", 3));
}

pub(super) fn what_failed_is_found_without_the_rest(store: &dyn EvalStore) {
    store.run_put(&run("r", 0)).unwrap();
    store.run_put(&run("s", 0)).unwrap();
    let failed = |case: &str, repeat: u32| EvalResult { error: None, ..full_result("r", case, repeat) };
    let broken = EvalResult { passed: None, ..full_result("r", "z", 0) };
    let passed = EvalResult { passed: Some(true), ..failed("b", 0) };
    let open = EvalResult { passed: None, ..failed("c", 0) };
    let all = [
        failed("d", 1),
        passed,
        open,
        broken.clone(),
        failed("d", 0),
        failed("a", 0),
        full_result("s", "a", 0),
    ];
    store.result_add(&all).unwrap();
    let check = |limit: u32, wanted: &[&EvalResult]| {
        assert_eq!(store.result_failed("r", limit).unwrap().iter().collect::<Vec<_>>(), wanted);
    };
    check(9, &[&broken, &failed("a", 0), &failed("d", 0), &failed("d", 1)]);
    check(2, &[&broken, &failed("a", 0)]);
    check(0, &[]);
    assert_eq!(store.result_failed("none", 9).unwrap(), []);
}

/// What is left of a result whose words went.
fn without_words(result: EvalResult) -> EvalResult {
    let bare = |score: Score| Score { reason: None, evidence: json!(null), ..score };
    EvalResult {
        input: None,
        expected: None,
        output: None,
        error: None,
        scores: result.scores.into_iter().map(bare).collect(),
        ..result
    }
}

pub(super) fn what_a_call_answered_goes_with_it(store: &dyn EvalRetention) {
    store.run_put(&run("r", 0)).unwrap();
    let kept =
        EvalResult { call: Some(call(8)), output_hash: Some("cd".into()), ..full_result("r", "c1", 0) };
    let gone = EvalResult { source: None, ..full_result("r", "c2", 0) };
    store.result_add(&[kept.clone(), gone.clone()]).unwrap();
    let other = Judged { call: Some(call(10)), ..judged("p1", 0, "about another") };
    let other = Judged { key: JudgeKey { output_hash: "cd".into(), ..other.key }, ..other };
    store.judged_put(&[judged("p1", 0, "quotes it"), other.clone()]).unwrap();
    let cut = store.eval_cut(&[call(7), call(9), call(1)]).unwrap();
    assert_eq!(cut, EvalsCut { rows: 2, ..EvalsCut::default() }, "nothing else was asked with its words");
    assert_eq!(store.result_list("r").unwrap(), [kept, without_words(gone)]);
    assert_eq!(store.judged_get(&[judged("p1", 0, "").key, other.key.clone()]).unwrap(), [other]);
    assert_eq!(store.eval_cut(&[]).unwrap(), EvalsCut::default());
    let many = vec![call(7); EVAL_BATCH_MAX + 1];
    assert!(matches!(store.eval_cut(&many), Err(EvalStoreError::TooMany { .. })));
}

/// As a gate's report quotes a case.
fn quote(case: &str) -> serde_json::Value {
    json!({
        "case": case, "metric": "exact", "change": -1.0, "call": call(7), "input": HOSTILE, "expected": "words",
        "output": "words", "baseline_output": "words", "reason": HOSTILE,
    })
}

fn unquoted(case: &str) -> serde_json::Value {
    let mut bare = quote(case);
    for words in ["input", "expected", "output", "baseline_output", "reason"] {
        bare[words] = serde_json::Value::Null;
    }
    bare
}

pub(super) fn cases_made_from_a_call_lose_their_words_with_it(store: &dyn EvalRetention) {
    for id in ["r", "s", "t"] {
        store.run_put(&run(id, 0)).unwrap();
    }
    let of = |run: &str, case: &str, source: u32, answer: u32| EvalResult {
        source: Some(call(source)),
        call: Some(call(answer)),
        output_hash: Some(format!("hash {run} {case}").into()),
        ..full_result(run, case, 0)
    };
    let (mine, mine_again) = (of("r", "mine", 5, 20), of("s", "mine", 5, 21));
    let (other, elsewhere) = (of("r", "other", 6, 22), of("t", "mine", 6, 23));
    store.result_add(&[mine.clone(), other.clone()]).unwrap();
    store.result_add(std::slice::from_ref(&mine_again)).unwrap();
    store.result_add(std::slice::from_ref(&elsewhere)).unwrap();
    let about = |hash: &str| Judged {
        key: JudgeKey { output_hash: hash.into(), ..judged("p1", 0, "").key },
        ..judged("p1", 0, "quotes it")
    };
    store.judged_put(&[about("hash r mine"), about("hash r other")]).unwrap();
    let report = |cases: &[&str]| json!({"verdict": "fail", "regressions": cases.iter().map(|case| quote(case)).collect::<Vec<_>>()});
    let both = EvalGate { report: report(&["mine", "other"]), ..gate("g1", 0) };
    let against =
        EvalGate { run: "t".into(), baseline: Some("s".into()), report: report(&["mine"]), ..gate("g2", 1) };
    let of_others = EvalGate { run: "t".into(), report: report(&["mine"]), ..gate("g3", 2) };
    for gate in [&both, &against, &of_others] {
        store.gate_put(gate).unwrap();
    }
    let mut cut = store.eval_cut(&[call(5), call(99)]).unwrap();
    cut.answers.sort_unstable();
    cut.runs.sort_unstable();
    let wanted = EvalsCut {
        rows: 5,
        answers: vec![call(20), call(21)],
        runs: vec!["r".into(), "s".into()],
        cases: vec![("support".into(), "mine".into())],
    };
    assert_eq!(cut, wanted, "two results, a judge's answer and two reports");
    assert_eq!(store.result_list("r").unwrap(), [without_words(mine), other]);
    assert_eq!(store.result_list("s").unwrap(), [without_words(mine_again)]);
    assert_eq!(store.result_list("t").unwrap(), [elsewhere]);
    assert_eq!(store.judged_get(&[about("hash r mine").key]).unwrap(), []);
    assert_eq!(store.judged_get(&[about("hash r other").key]).unwrap().len(), 1);
    let reports: Vec<_> =
        store.gate_list(&GateFilter::default()).unwrap().into_iter().map(|gate| gate.report).collect();
    let part = json!({"verdict": "fail", "regressions": [unquoted("mine"), quote("other")]});
    let whole = json!({"verdict": "fail", "regressions": [unquoted("mine")]});
    assert_eq!(reports, [of_others.report, whole, part]);
}

pub(super) fn a_gates_quotes_go_by_age(store: &dyn EvalRetention) {
    store.run_put(&run("r", 0)).unwrap();
    let report = json!({"checks": [{"metric": "exact"}], "regressions": [quote("a"), quote("b")]});
    for (id, second) in [("old", 0), ("new", 30)] {
        store.gate_put(&EvalGate { report: report.clone(), ..gate(id, second) }).unwrap();
    }
    assert_eq!(store.eval_expire(Some(at(20)), None).unwrap(), 1);
    let bare = json!({"checks": [{"metric": "exact"}], "regressions": [unquoted("a"), unquoted("b")]});
    let reports: Vec<_> =
        store.gate_list(&GateFilter::default()).unwrap().into_iter().map(|gate| gate.report).collect();
    assert_eq!(reports, [report, bare]);
    assert_eq!(store.eval_expire(Some(at(20)), None).unwrap(), 0, "once is enough");
}

pub(super) fn words_go_before_figures(store: &dyn EvalRetention) {
    store.run_put(&run("r", 0)).unwrap();
    let aged = |case: &str, second: i64| EvalResult { at: at(second), ..full_result("r", case, 0) };
    let (older, old, new) = (aged("c1", 0), aged("c2", 10), aged("c3", 20));
    store.result_add(&[older, old.clone(), new.clone()]).unwrap();
    store.judged_put(&[judged("p1", 0, "old"), Judged { at: at(30), ..judged("p1", 1, "new") }]).unwrap();
    assert_eq!(store.eval_expire(None, None).unwrap(), 0);
    assert_eq!(store.eval_expire(Some(at(20)), Some(at(10))).unwrap(), 3, "two results and an answer");
    assert_eq!(store.result_list("r").unwrap(), [without_words(old), new]);
    let keys = [judged("p1", 0, "").key, judged("p1", 1, "").key];
    assert_eq!(store.judged_get(&keys).unwrap().len(), 1);
    assert_eq!(store.eval_expire(Some(at(20)), Some(at(10))).unwrap(), 0, "and then there is nothing left");
    assert_eq!(store.run_list(&RunFilter::default()).unwrap().len(), 1);
}
