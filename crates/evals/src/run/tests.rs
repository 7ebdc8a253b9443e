pub(crate) mod fakes;

use std::sync::{Mutex, atomic::Ordering::SeqCst};

use gauntlet_ports::{RunnerError, Told};
use serde_json::{Value, json};

use fakes::{Kept, Known, Model, Paused, refused, said};

use super::*;
use crate::{metrics, suite};

fn suite_of(metrics: &str, rows: usize, rest: &str) -> Suite {
    let text = format!("suite: s\ndataset: d.jsonl\nmetrics: {metrics}\n{rest}\n");
    let data = (0..rows).fold(String::new(), |data, index| {
        data + &format!(
            "{{\"id\": \"c{index}\", \"input\": \"say {index}\", \"expected\": \"say {index}\"}}\n"
        )
    });
    let reading = suite::read("s.yaml", &text, &mut |path| {
        if path == "d.jsonl" { Ok(data.clone()) } else { Err("it is not there".into()) }
    });
    reading.good().unwrap().0
}

#[derive(Default)]
struct Seen {
    standings: Mutex<Vec<Standing>>,
    estimates: Mutex<Vec<Estimate>>,
    refuses: bool,
    decides_after: Option<usize>,
    batches: Mutex<usize>,
}

impl Watch for Seen {
    fn tell(&self, standing: &Standing) {
        self.standings.lock().unwrap().push(*standing);
    }

    fn go_on(&self, estimate: &Estimate) -> bool {
        self.estimates.lock().unwrap().push(*estimate);
        !self.refuses
    }

    fn decided(&self, _: &EvalRun, batch: &[EvalResult]) -> Option<String> {
        let mut seen = self.batches.lock().unwrap();
        *seen += batch.len();
        self.decides_after.filter(|after| *seen >= *after).map(|_| "its verdict is certain".to_owned())
    }
}

/// A suite and all that a run of it needs.
struct Bench {
    suite: Suite,
    model: Model,
    kept: Kept,
    known: Known,
    stop: Stop,
    seen: Seen,
    repeats: u32,
    is_recorded: bool,
}

impl Bench {
    fn new(suite: Suite, model: Model) -> Bench {
        Bench {
            suite,
            model,
            kept: Kept::default(),
            known: Known::default(),
            stop: Stop::default(),
            seen: Seen::default(),
            repeats: 1,
            is_recorded: false,
        }
    }

    async fn go(&self, resume: Option<(EvalRun, Vec<EvalResult>)>) -> Result<EvalRun, RunError> {
        let scorers = metrics::make(&self.suite).unwrap();
        let clock = Paused::new();
        let plan = Plan {
            suite: &self.suite,
            cases: self.suite.cases.iter().collect(),
            wanted: Wanted { name: "m".into(), prompt: None, model: Some("prov/m".into()) },
            repeats: self.repeats,
            is_fast: false,
            is_recorded: self.is_recorded,
            app_sha: Some("abc".into()),
            resume,
        };
        let parts = Parts {
            runner: &self.model,
            scorers: &scorers,
            cache: &self.known,
            sink: &self.kept,
            clock: &clock,
            prompts: &|_| None,
            stop: &self.stop,
            watch: &self.seen,
        };
        run(&plan, &parts).await
    }

    /// Runs under a clock that jumps to whatever is waited for next.
    fn run(&self) -> EvalRun {
        paused(self.go(None)).unwrap()
    }
}

fn paused<F: Future>(future: F) -> F::Output {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(future)
}

#[test]
fn a_run_asks_every_case_scores_it_and_keeps_it() {
    let bench = Bench::new(
        suite_of("[{exact: {threshold: 1}}]", 120, "concurrency: 8"),
        Model::new(|ask, _| {
            let asked = ask.body["messages"][0]["content"].as_str().unwrap().to_owned();
            Ok(said(if asked == "say 7" { "nothing" } else { &asked }))
        }),
    );
    let run = bench.run();
    assert_eq!((run.state, run.why.as_deref()), (RunState::Done, None));
    assert_eq!((run.cases, run.passed, run.failed, run.errors), (120, 119, 1, 0));
    assert_eq!(run.cost, NanoUsd(120_000_000));
    assert!(run.id.starts_with("s-2026") && run.ended > Some(run.started), "{run:?}");
    let metric = &run.metrics[0];
    assert_eq!((metric.scored, metric.unscored), (120, 0));
    assert!((metric.mean.unwrap() - 119.0 / 120.0).abs() < 1e-12);
    assert!(metric.ci_low.unwrap() > 0.9 && metric.ci_high.unwrap() < 1.0, "{metric:?}");
    assert_eq!(bench.model.at_once_max.load(SeqCst), 8);
    let results = bench.kept.all();
    assert_eq!(results.len(), 120);
    let seventh = results.iter().find(|result| &*result.case == "c7").unwrap();
    assert_eq!(
        (seventh.passed, seventh.output.as_deref(), seventh.input.as_deref()),
        (Some(false), Some("nothing"), Some("say 7"))
    );
    assert_eq!(seventh.output_hash, Some(crate::hash::sha256("nothing")));
    assert_eq!(bench.kept.runs.lock().unwrap().last(), Some(&run), "the row that comes back was kept last");
    assert_eq!(bench.seen.standings.lock().unwrap().last().unwrap().done, 120);
    let asks = bench.model.asks.lock().unwrap();
    assert!(asks.iter().all(|ask| ask.eval_id == run.id
        && ask.app_sha.as_deref() == Some("abc")
        && ask.body["model"] == "prov/m"));
}

#[test]
fn a_scorer_that_hangs_breaks_or_talks_nonsense_leaves_its_own_score_open_and_the_run_goes_on() {
    let bench = Bench::new(suite_of("[exact, hang, nonsense, panic]", 5, "score_limit: 2s"), Model::echo());
    let run = bench.run();
    assert_eq!((run.state, run.errors), (RunState::Done, 0));
    let scored: Vec<(u32, u32)> = run.metrics.iter().map(|metric| (metric.scored, metric.unscored)).collect();
    assert_eq!(scored, [(5, 0), (0, 5), (0, 5), (0, 5)]);
    assert_eq!(run.metrics[1].mean, None, "unscored is not 0");
    let reasons: Vec<String> =
        bench.kept.all()[0].scores.iter().map(|score| score.reason.clone().unwrap_or_default()).collect();
    let check = |at: usize, wanted: &str| assert!(reasons[at].contains(wanted), "{reasons:?}");
    check(1, "no score within 2s");
    check(2, "the formula has no value here");
    check(3, "the scorer broke off");
}

#[test]
fn the_next_case_is_asked_before_an_answer_is_scored() {
    let bench = Bench::new(suite_of("[begun]", 6, "concurrency: 1"), Model::echo());
    let run = bench.run();
    assert_eq!((run.state, bench.model.at_once_max.load(SeqCst)), (RunState::Done, 1));
    let mut begun: Vec<f64> = bench.kept.all().iter().filter_map(|result| result.scores[0].value).collect();
    begun.sort_by(f64::total_cmp);
    assert_eq!(begun, [1.0, 3.0, 4.0, 5.0, 6.0, 6.0], "the slot of an answer is taken before its score");
}

#[test]
fn a_threshold_that_nothing_could_be_held_to_is_no_pass() {
    let bench = Bench::new(
        suite_of("[{exact: {threshold: 1}}, {hang: {threshold: 1}}]", 3, "score_limit: 1s"),
        Model::echo(),
    );
    let run = bench.run();
    assert_eq!((run.passed, run.failed, run.errors), (0, 0, 0));
    assert!(bench.kept.all().iter().all(|result| result.passed.is_none()));
}

#[test]
fn a_rate_limit_slows_the_run_and_loses_no_case() {
    let bench = Bench::new(
        suite_of("[exact]", 60, "concurrency: 16"),
        Model::new(|ask, before| {
            if (10..20).contains(&before) {
                return Ok(Told { retry_after_ms: Some(3_000), ..refused(429, "rate_limited") });
            }
            Ok(said(ask.body["messages"][0]["content"].as_str().unwrap()))
        }),
    );
    let before = std::time::Instant::now();
    let run = bench.run();
    assert_eq!((run.state, run.errors, run.metrics[0].scored), (RunState::Done, 0, 60));
    assert_eq!(bench.model.asked(), 70, "each refused call is asked once more");
    assert!(before.elapsed() < Duration::from_secs(2), "the clock is the test's");
}

#[test]
fn what_refuses_everything_ends_the_run_and_says_why() {
    let check = |told: Told, state: RunState, why: &str, calls: usize| {
        let bench =
            Bench::new(suite_of("[exact]", 400, "concurrency: 4"), Model::new(move |_, _| Ok(told.clone())));
        let run = bench.run();
        assert!(run.state == state && run.why.as_deref().unwrap().contains(why), "{run:?}");
        assert!(bench.model.asked() <= calls, "{} calls", bench.model.asked());
    };
    check(
        refused(404, "unknown_model"),
        RunState::Stopped,
        "the first call was refused (unknown_model): no",
        1,
    );
    check(refused(429, "budget_exceeded"), RunState::Stopped, "the gateway's budget is used up: no", 1);
    let gone = Bench::new(
        suite_of("[exact]", 400, "concurrency: 4"),
        Model::new(|_, _| Err(RunnerError("refused".into()))),
    );
    let run = gone.run();
    assert_eq!(
        (run.state, run.why.as_deref()),
        (RunState::Running, Some("refused")),
        "it can be gone on with"
    );
    assert!(gone.model.asked() < 30, "{}", gone.model.asked());
}

#[test]
fn a_model_that_nobody_knows_ends_a_run_of_four_cases_too() {
    let bench = Bench::new(suite_of("[exact]", 4, ""), Model::new(|_, _| Ok(refused(404, "unknown_model"))));
    let run = bench.run();
    assert_eq!((run.state, bench.model.asked()), (RunState::Stopped, 1), "{run:?}");
    assert!(bench.kept.all().is_empty(), "no case of it has been asked");
}

#[test]
fn a_limit_of_the_provider_that_outlasts_the_gateway_is_waited_for() {
    let check = |limited: Told| {
        let bench = Bench::new(
            suite_of("[exact]", 20, "concurrency: 4"),
            Model::new(move |ask, before| match before {
                5..15 => Ok(limited.clone()),
                _ => Ok(said(ask.body["messages"][0]["content"].as_str().unwrap())),
            }),
        );
        let run = bench.run();
        assert_eq!((run.state, run.errors, run.metrics[0].scored), (RunState::Done, 0, 20), "{run:?}");
        assert_eq!(bench.model.asked(), 30);
    };
    let failed = refused(502, "upstream_failed");
    check(Told { retry_after_ms: Some(30_000), ..failed.clone() });
    let body = json!({"error": {"code": "upstream_failed", "message": "no", "provider_status": 429}});
    check(Told { body, ..failed });
}

#[test]
fn judges_calls_that_a_limit_cuts_off_are_counted_and_paid_for() {
    let mut bench = Bench::new(suite_of("[judged]", 12, "score_limit: 150ms"), Model::echo());
    // Four judges answer in time; the others are asked as well, and cut.
    bench.model.hangs_after = Some(4);
    let run = bench.run();
    assert_eq!((run.metrics[0].scored, run.metrics[0].unscored), (4, 8), "{run:?}");
    assert_eq!((run.judge_calls, run.judge_cost), (12, NanoUsd(12_000_000)), "each as its like have cost");
}

#[test]
fn an_answer_without_a_choice_or_a_word_is_an_error_and_an_empty_one_is_scored() {
    let check = |body: Value, error: Option<&str>| {
        let told = Told { body: body.clone(), ..said("") };
        let bench = Bench::new(suite_of("[exact]", 1, ""), Model::new(move |_, _| Ok(told.clone())));
        bench.run();
        let found = bench.kept.all()[0].error.clone();
        match error {
            Some(wanted) => assert!(found.as_deref().is_some_and(|found| found.contains(wanted)), "{body}"),
            None => assert_eq!(found, None, "{body}"),
        }
    };
    check(json!({"choices": []}), Some("no choice"));
    check(
        json!({"choices": [{"message": {"content": null}, "finish_reason": "stop"}]}),
        Some("neither words"),
    );
    check(json!({"choices": [{"message": {"content": null}, "finish_reason": "length"}]}), None);
    check(json!({"choices": [{"message": {"content": null, "tool_calls": [{"id": "a"}]}}]}), None);
    check(json!({"choices": [{"message": {"content": null, "refusal": "no"}}]}), None);
    check(json!({"choices": [{"message": {"content": ""}, "finish_reason": "stop"}]}), None);
}

#[test]
fn one_case_that_cannot_be_answered_is_an_error_of_its_own() {
    let bench = Bench::new(
        suite_of("[exact]", 20, "answer_limit: 1s"),
        Model::new(|ask, _| match ask.body["messages"][0]["content"].as_str().unwrap() {
            "say 3" => Ok(refused(502, "upstream_failed")),
            "say 4" => Ok(refused(400, "guardrail_blocked")),
            asked => Ok(said(asked)),
        }),
    );
    let run = bench.run();
    assert_eq!((run.state, run.errors, run.metrics[0].scored), (RunState::Done, 1, 19));
    let results = bench.kept.all();
    let of = |id: &str| results.iter().find(|result| &*result.case == id).unwrap();
    assert_eq!(of("c3").error.as_deref(), Some("upstream_failed: no"));
    assert_eq!(
        (of("c4").error.as_deref(), of("c4").scores[0].value),
        (None, Some(0.0)),
        "the guards' no is scored"
    );
    assert_eq!(bench.model.asked(), 22, "what failed upstream is tried three times");
}

#[test]
fn an_answer_that_never_comes_is_cut() {
    let mut bench = Bench::new(suite_of("[exact]", 4, "answer_limit: 1s"), Model::echo());
    bench.model.latency = Duration::from_secs(3600);
    let run = bench.run();
    assert_eq!((run.state, run.errors), (RunState::Done, 4));
    let error = bench.kept.all()[0].error.clone().unwrap();
    assert!(error.contains("no answer came within 1s"), "{error}");
}

#[test]
fn a_run_that_was_broken_off_goes_on_with_what_is_missing() {
    let mut bench = Bench::new(suite_of("[exact, judged]", 100, "concurrency: 4"), Model::echo());
    bench.repeats = 2;
    bench.seen.decides_after = Some(60);
    let first = bench.run();
    assert_eq!((first.state, first.why.as_deref()), (RunState::Stopped, Some("its verdict is certain")));
    let had = bench.kept.all();
    assert!(had.len() >= 60 && had.len() < 120, "{}", had.len());
    let asked = bench.model.asked();
    bench.seen = Seen::default();
    let second = paused(bench.go(Some((first.clone(), had.clone())))).unwrap();
    assert_eq!((&second.id, second.state, second.why.as_deref()), (&first.id, RunState::Done, None));
    assert_eq!(bench.model.asked(), 200, "{asked} were asked before, and none of them again");
    assert_eq!((bench.kept.all().len(), second.metrics[0].scored), (200, 100));
    assert_eq!(second.cost.plus(second.judge_cost), NanoUsd(300_000_000), "100 judgements serve 200 answers");
    assert_eq!((second.judge_calls, second.judge_cached), (100, 100));

    let done = paused(bench.go(Some((second, had)))).unwrap_err();
    assert!(done.to_string().contains("it is done"), "{done}");
    bench.suite.cases[0].hash = "other".into();
    let changed = paused(bench.go(Some((first, Vec::new())))).unwrap_err();
    assert!(changed.to_string().contains("its cases have changed since"), "{changed}");
}

#[test]
fn a_rerun_makes_no_judge_call() {
    let bench = Bench::new(suite_of("[judged]", 30, ""), Model::echo());
    let first = bench.run();
    assert_eq!((first.judge_calls, first.judge_cached), (30, 0));
    assert_eq!(first.judge_cost, NanoUsd(30_000_000));
    let again = bench.run();
    assert_eq!((again.judge_calls, again.judge_cached, again.judge_cost), (0, 30, NanoUsd::ZERO));
    assert_eq!(bench.model.judged(), 30);
}

#[test]
fn a_budget_stops_the_run_before_it_is_passed() {
    let bench = Bench::new(suite_of("[exact]", 500, "budget_usd: 0.1\nconcurrency: 8"), Model::echo());
    let run = bench.run();
    assert_eq!(run.state, RunState::Stopped);
    assert!(run.why.as_deref().unwrap().contains("its budget of $0.10 is used up"), "{run:?}");
    assert!(run.cost <= NanoUsd(100_000_000) && run.cost > NanoUsd(80_000_000), "{}", run.cost);
    let estimate = bench.seen.estimates.lock().unwrap()[0];
    assert_eq!((estimate.asked, estimate.left, estimate.cost), (3, 497, NanoUsd(497_000_000)));
    assert!(estimate.passes_budget() && estimate.to_string().contains("will end it sooner"), "{estimate}");
}

#[test]
fn an_estimate_that_is_refused_ends_the_run_with_what_it_has() {
    let mut bench = Bench::new(suite_of("[exact]", 50, ""), Model::echo());
    bench.seen.refuses = true;
    let run = bench.run();
    assert_eq!((run.state, run.why.as_deref()), (RunState::Stopped, Some("stopped at its estimate")));
    assert_eq!((bench.model.asked(), bench.kept.all().len()), (3, 3));
}

#[test]
fn who_stops_a_run_keeps_what_was_under_way() {
    let bench = Bench::new(suite_of("[exact]", 500, "concurrency: 4"), Model::echo());
    let run = paused(async {
        let stopping = async {
            tokio::time::sleep(Duration::from_millis(1_050)).await;
            bench.stop.ask();
        };
        tokio::join!(bench.go(None), stopping).0.unwrap()
    });
    assert_eq!((run.state, run.why.as_deref()), (RunState::Stopped, Some("stopped by a person")));
    let kept = bench.kept.all();
    assert_eq!(
        kept.iter().filter(|result| result.error.is_none()).count(),
        bench.model.asked(),
        "what was asked is kept"
    );
    assert!(kept.len() < 60, "{}", kept.len());
}

#[test]
fn who_asks_twice_does_not_wait_for_a_slow_answer() {
    let mut bench = Bench::new(suite_of("[exact]", 50, ""), Model::echo());
    bench.model.latency = Duration::from_secs(100);
    let waited = paused(async {
        let begun = tokio::time::Instant::now();
        bench.stop.ask();
        bench.stop.ask();
        bench.go(None).await.unwrap();
        begun.elapsed()
    });
    assert!(waited < Duration::from_secs(1), "{waited:?}");
}

#[test]
fn a_store_that_fails_for_a_moment_is_waited_for_and_one_that_is_gone_is_not() {
    let check = |fails: usize, is_kept: bool| {
        let bench = Bench::new(suite_of("[exact]", 120, ""), Model::echo());
        bench.kept.fails.store(fails, SeqCst);
        let run = paused(bench.go(None));
        assert_eq!(run.is_ok(), is_kept, "{fails}: {run:?}");
        assert_eq!(bench.kept.all().len() == 120, is_kept);
    };
    check(3, true);
    check(1_000, false);
}

#[test]
fn repeats_are_averaged_within_a_case_first() {
    let mut bench = Bench::new(
        suite_of("[{exact: {threshold: 1}}]", 10, ""),
        Model::new(|ask, before| {
            let asked = ask.body["messages"][0]["content"].as_str().unwrap().to_owned();
            // The second answer to each case is wrong.
            Ok(said(if before >= 10 { "no" } else { &asked }))
        }),
    );
    bench.repeats = 2;
    let run = bench.run();
    assert_eq!((run.metrics[0].mean, run.metrics[0].scored), (Some(0.5), 10));
    assert_eq!((run.passed, run.failed), (0, 10), "a case passes when all its answers do");
    assert_eq!(
        (run.metrics[0].ci_low, run.metrics[0].ci_high),
        (None, None),
        "scores that never differ say nothing of their spread"
    );
}

#[test]
fn recorded_answers_are_scored_and_nobody_is_asked() {
    let mut bench = Bench::new(suite_of("[exact]", 2, ""), Model::echo());
    bench.is_recorded = true;
    bench.suite.cases[0].output = Some(json!("say 0"));
    let run = bench.run();
    assert_eq!((bench.model.asked(), run.metrics[0].mean, run.errors), (0, Some(1.0), 1));
    bench.suite = suite_of("[finish_reason]", 1, "");
    bench.suite.cases[0].output = Some(json!("say 0"));
    let run = bench.run();
    assert_eq!((run.metrics[0].scored, run.metrics[0].unscored), (0, 1), "nobody knows how it ended");
}

#[test]
fn a_candidate_is_read_as_people_write_it() {
    let with = Suite {
        prompt: Some("agent".into()),
        model: Some("prov/small".into()),
        file: "s.yaml".into(),
        ..Suite::default()
    };
    let without = Suite { file: "s.yaml".into(), route: Some("bot".into()), ..Suite::default() };
    let check = |suite: &Suite,
                 candidate: Option<&str>,
                 model: Option<&str>,
                 wanted: Result<(&str, Option<&str>, Option<&str>), &str>| {
        let read = Wanted::parse(candidate, model, suite, &|name| name == "other");
        let read = read.as_ref().map(|read| (&*read.name, read.prompt.as_deref(), read.model.as_deref()));
        match wanted {
            Ok(wanted) => assert_eq!(read, Ok(wanted), "{candidate:?} {model:?}"),
            Err(why) => assert!(read.is_err_and(|said| said.contains(why)), "{read:?}"),
        }
    };
    check(&with, None, None, Ok(("agent", Some("agent"), Some("prov/small"))));
    check(&with, Some("agent@1.2.0"), None, Ok(("agent@1.2.0", Some("agent@1.2.0"), Some("prov/small"))));
    check(&with, Some("@staging"), None, Ok(("agent@staging", Some("agent@staging"), Some("prov/small"))));
    check(
        &with,
        Some("1.3.0"),
        Some("prov/big"),
        Ok(("agent@1.3.0 on prov/big", Some("agent@1.3.0"), Some("prov/big"))),
    );
    check(
        &with,
        Some("@staging on prov/big"),
        None,
        Ok(("agent@staging on prov/big", Some("agent@staging"), Some("prov/big"))),
    );
    check(&with, Some("prov/big"), None, Ok(("agent on prov/big", Some("agent"), Some("prov/big"))));
    check(&with, Some("other"), None, Ok(("other", Some("other"), Some("prov/small"))));
    check(&without, None, None, Ok(("route bot", None, None)));
    check(&without, Some("x@2.0.0"), None, Ok(("x@2.0.0", Some("x@2.0.0"), None)));
    check(
        &without,
        Some("vertex/claude@20250514"),
        None,
        Ok(("vertex/claude@20250514", None, Some("vertex/claude@20250514"))),
    );
    check(&without, Some("@staging"), None, Err("write NAME@staging"));
    check(&with, Some("a on b"), Some("c"), Err("say it once"));
}

const RAG: &str = "name: rag\nversion: 1.2.0\nlabels: [staging]\nrequired_vars: [question, context]\ntemplate: \"$context $question\"\n";

#[test]
fn a_prompt_takes_its_variables_from_the_fields_of_the_line() {
    let prompt = Arc::new(gauntlet_prompts::parse("rag.yaml", RAG).unwrap());
    let rows = "{\"id\": \"a\", \"question\": \"q\", \"contexts\": [\"one\", \"two\"]}\n{\"id\": \"b\", \"question\": \"q\"}\n";
    let text = "suite: s\ndataset: d.jsonl\nprompt: rag@staging\nmetrics: [exact]\n";
    let suite = suite::read("s.yaml", text, &mut |_| Ok(rows.to_owned())).suite;
    let find = |reference: &str| reference.starts_with("rag").then(|| Arc::clone(&prompt));
    let wanted = Wanted::parse(None, None, &suite, &|_| false).unwrap();
    let plan = Plan { wanted, ..Plan::of(&suite) };
    let said = candidate::mistakes(&plan, &find);
    assert!(said.len() == 1 && said[0].to_string().starts_with("d.jsonl:2: case `b`"), "{said:?}");
    assert!(said[0].message.contains("needs variable `context`"), "{said:?}");

    let asking = candidate::Asking::new(&plan, &find, "e".into(), None);
    let body = asking.ask(plan.cases[0]).body;
    assert_eq!(body["gauntlet"]["prompt"], "rag@staging");
    assert_eq!(body["gauntlet"]["variables"], json!({"question": "q", "context": "one\n\ntwo"}));
    assert_eq!(body["messages"], json!([]), "the question is asked once");
    let answered = prompt.reference(Some("staging".into()));
    assert!(asking.pin(&answered));
    assert_eq!(
        asking.ask(plan.cases[0]).body["gauntlet"]["prompt"],
        "rag@1.2.0",
        "a label that moves makes no mixture"
    );
    let other = gauntlet_types::PromptRef { hash: "other".into(), ..answered };
    assert!(!asking.pin(&other), "an answer of another text is told apart");
}

#[test]
fn variables_without_a_prompt_are_for_metrics_unless_the_question_has_places_for_them() {
    let check = |row: &str, wrong: Option<&str>| {
        let text = "suite: s\ndataset: d.jsonl\nmetrics: [{contains: {value: '{{ vars.city }}'}}]\n";
        let suite = suite::read("s.yaml", text, &mut |_| Ok(format!("{row}\n"))).suite;
        let plan = Plan::of(&suite);
        let said = candidate::mistakes(&plan, &|_| None);
        match wrong {
            Some(wrong) => assert!(said.len() == 1 && said[0].message.contains(wrong), "{row}: {said:?}"),
            None => assert!(said.is_empty(), "{row}: {said:?}"),
        }
        let body = candidate::Asking::new(&plan, &|_| None, "e".into(), None).ask(plan.cases[0]).body;
        assert!(!body.contains_key("gauntlet"), "nobody is given variables without a prompt: {body:?}");
    };
    check(r#"{"input": "Where is the tower?", "vars": {"city": "Paris"}}"#, None);
    check(
        r#"{"input": "Where is {{ city }}?", "vars": {"city": "Paris"}}"#,
        Some("no prompt to put them into"),
    );
    check(r#"{"input": "What is {{ this }}?", "vars": {"city": "Paris"}}"#, None);
    check(r#"{"vars": {"city": "Paris"}}"#, Some("no prompt to put them into"));
}
