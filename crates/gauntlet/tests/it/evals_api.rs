//! Calls of evals through the running gateway, and what runs leave: the API that runners use, and plain SQL over both.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use gauntlet_testkit::{
    Step,
    http::{self, Reply},
};
use serde_json::{Value, json};

use crate::app::TestApp;

const PROMPT: &str = "name: support-agent
version: 1.2.0
model: prov/other
required_vars: [question]
messages:
  - {role: system, content: \"You help.\"}
  - {role: user, content: \"$question\"}
";

fn start(budgets: &str) -> TestApp {
    let app = TestApp::with_files(
        "models: {m: {targets: [prov/test-model]}}
routes:
  bot: {model: m, prompt: support-agent@latest, max_tokens: 50, cache: 10m, input: {pii: redact, secrets: block}}
  plain: {model: m, max_tokens: 50}",
        &[
            ("prices.yml", "test-model: {input: 1, output: 2}\nother: {input: 10, output: 20}\nthird: {input: 1, output: 1}\n"),
            ("prompts/support-agent.yaml", PROMPT),
            ("budgets.yml", budgets),
        ],
    );
    app.provider.default(Step::answer(&["the ", "answer"]).usage(9, 5));
    app
}

fn post(app: &TestApp, path: &str, body: &Value) -> Reply {
    http::post_json(&app.url(path), &[], body).expect("the gateway answers")
}

/// A call of a run by route `bot`.
fn ask(body: Value) -> Value {
    json!({"kind": "chat", "body": body, "route": "bot", "eval_id": "support-1", "app_sha": "9f8c1d2", "prompt": null, "is_judge": false})
}

fn told(app: &TestApp, ask: &Value) -> Value {
    let reply = post(app, "/api/v1/evals/ask", ask);
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

fn asked_of(app: &TestApp) -> Value {
    app.provider.requests().last().expect("the provider was asked").json()
}

fn question(text: &str) -> Value {
    json!({"gauntlet": {"variables": {"question": text}}, "messages": []})
}

#[test]
fn a_case_passes_as_an_applications_call_and_joins_its_trace() {
    let app = start("environments: {eval: {daily_usd: 1}}");
    let told = told(&app, &ask(question("Where is my order?")));
    assert_eq!(
        (&told["status"], &told["decision"], &told["cache"]),
        (&json!(200), &json!("allow"), &json!("miss"))
    );
    assert_eq!(told["body"]["choices"][0]["message"]["content"], "the answer");
    assert_eq!(told["model"], "prov/other", "the prompt's own model");
    assert_eq!((&told["prompt"]["version"], &told["prompt"]["label"]), (&json!("1.2.0"), &json!("latest")));
    // 9 tokens at 10 USD and 5 at 20 USD a million.
    assert_eq!(told["cost"], 190_000);
    assert_eq!(asked_of(&app)["messages"][1]["content"], "Where is my order?");
    let id = told["call"].as_str().unwrap().to_owned();
    let record = app.trace(&id)["record"].clone();
    let caller = &record["caller"];
    let of_caller = ["tenant", "environment", "eval_id", "app_sha"].map(|name| caller[name].clone());
    assert_eq!(json!(of_caller), json!(["evals", "eval", "support-1", "9f8c1d2"]));
    assert_eq!((&record["cost"], &record["latency_us"]), (&told["cost"], &told["latency_us"]));
    assert_eq!(record["prompt"]["hash"], told["prompt"]["hash"]);

    let run = json!({
        "id": "support-1", "suite": "support", "suite_hash": "", "dataset_hash": "", "app_sha": "9f8c1d2", "route": "bot",
        "candidate": {"name": "support-agent@1.2.0", "model": null, "prompt": told["prompt"]}, "is_fast": false, "cases": 1,
        "repeats": 1, "state": "done", "why": null, "started": 1_777_142_531_482_123_i64, "ended": null, "cost": 190_000,
        "judge_cost": 0, "judge_calls": 0, "judge_cached": 0, "passed": 0, "failed": 1, "errors": 0, "metrics": [
            {"metric": "faithfulness", "implementation": "ragas/0.4:faithfulness", "direction": "higher_is_better",
             "mean": 0.25, "ci_low": null, "ci_high": null, "scored": 1, "unscored": 0}],
    });
    let result = json!({
        "run": "support-1", "case": "c1", "repeat": 0, "cluster": null, "app_sha": "9f8c1d2", "route": "bot", "call": id,
        "model": told["model"], "input": "Where is my order?", "expected": null, "output": "the answer", "output_hash": "ab",
        "error": null, "decision": "allow", "cost": 190_000, "judge_cost": 0, "latency_us": 1, "tokens_in": 9,
        "tokens_out": 5, "passed": false, "at": 1_777_142_531_482_123_i64, "scores": [
            {"metric": "faithfulness", "implementation": "ragas/0.4:faithfulness", "value": 0.25, "passed": false,
             "reason": "one of four claims", "evidence": {"claims": [1, 0, 0, 0]}}],
    });
    assert_eq!(post(&app, "/api/v1/evals/runs", &run).json(), json!({"kept": 1}));
    for _ in 0..2 {
        assert_eq!(
            post(&app, "/api/v1/evals/runs/support-1/results", &json!([result])).json(),
            json!({"kept": 1})
        );
    }
    assert_eq!(app.api("/api/v1/evals/runs/support-1"), run);
    assert_eq!(app.api("/api/v1/evals/runs?suite=support&state=done")["runs"], json!([run]));
    assert_eq!(app.api("/api/v1/evals/runs/support-1/results")["results"], json!([result]));

    // The founding joins, as plain SQL on the file that a gateway writes to.
    let file = rusqlite::Connection::open(app.data_dir().join("gauntlet.db")).unwrap();
    let joined = |on: &str| -> (String, f64, f64, String) {
        let sql = format!(
            "select t.model, e.faith, e.cost_usd, e.case_id from llm_traces t join eval_results e on {on} \
             where t.prompt_name = 'support-agent' and e.passed = 0"
        );
        file.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).unwrap()
    };
    let wanted = ("other".to_owned(), 0.25, 0.000_19, "c1".to_owned());
    assert_eq!(joined("e.eval_id = t.eval_id and e.app_sha = t.app_sha and e.route = t.route"), wanted);
    assert_eq!(joined("e.call_id = t.id"), wanted);
    let mean: f64 = file
        .query_row(
            "select avg(value) from eval_scores where eval_id = 'support-1' and metric = 'faithfulness'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(mean, 0.25);

    let shown = app.command(&["eval", "list"]).expect_ok().stdout;
    assert!(shown.contains("support-1") && shown.contains("faithfulness 0.250"), "{shown}");
    let shown = app.command(&["eval", "show", "support-1"]).expect_ok().stdout;
    assert!(shown.contains("support-agent@1.2.0") && shown.contains("ragas/0.4:faithfulness"), "{shown}");
    let shown = app.command(&["eval", "cases", "support-1", "--failed"]).expect_ok().stdout;
    assert!(shown.contains(&id) && shown.contains("faithfulness=0.25!"), "{shown}");
    assert_eq!(app.command_json(&["eval", "cases", "support-1"])["results"], json!([result]));
    let unknown = app.command(&["eval", "show", "none"]);
    assert!(unknown.stderr.contains("there is no run `none`"), "{}", unknown.stderr);
}

#[test]
fn a_model_that_is_tested_stands_above_the_prompts_and_the_routes() {
    let app = start("environments: {eval: {daily_usd: 1}}");
    let check = |ask: Value, model: &str| {
        assert_eq!(told(&app, &ask)["model"], model, "{ask}");
    };
    let mut named = question("hello");
    named["model"] = "prov/third".into();
    check(ask(named.clone()), "prov/third");
    check(ask(question("hello")), "prov/other");
    let mut plain = ask(json!({"messages": [{"role": "user", "content": "hello"}]}));
    plain["route"] = "plain".into();
    check(plain.clone(), "prov/test-model");
    plain["body"]["model"] = "m".into();
    check(plain, "prov/test-model");
}

#[test]
fn no_kept_answer_is_given_to_an_eval() {
    let app = start("environments: {eval: {daily_usd: 1}}");
    for _ in 0..2 {
        assert_eq!(told(&app, &ask(question("the same")))["cache"], "miss");
    }
    assert_eq!(app.provider.requests().len(), 2);
}

#[test]
fn guards_look_at_a_case_and_not_at_its_judge() {
    let app = start("environments: {eval: {daily_usd: 1}}");
    let secret = "my key is sk-proj-Zx8Qw1Er5Ty9Ui3Op7As2Df6Gh0Jk4Lz8Xc1Vb5Nm9Qw3Er7Ty1Ui5";
    let blocked = told(&app, &ask(question(secret)));
    assert_eq!((&blocked["status"], &blocked["decision"]), (&json!(400), &json!("block")));
    assert_eq!(blocked["body"]["error"]["code"], "guardrail_blocked");
    assert!(app.provider.requests().is_empty());
    let mut judge =
        ask(json!({"model": "prov/test-model", "messages": [{"role": "user", "content": secret}]}));
    judge["is_judge"] = true.into();
    judge["prompt"] = json!({"name": "judge", "version": "1.0.0", "label": null, "hash": "ab12"});
    let judged = told(&app, &judge);
    assert_eq!((&judged["status"], &judged["prompt"]["hash"]), (&json!(200), &json!("ab12")));
    assert_eq!(asked_of(&app)["messages"][0]["content"], secret);
    let record = app.trace(judged["call"].as_str().unwrap());
    assert_eq!(record["record"]["caller"]["eval_id"], "support-1");
}

#[test]
fn an_eval_budget_stops_the_run_and_nobody_elses_calls() {
    let app = start("environments: {eval: {daily_usd: 0.002}}");
    let mut codes = Vec::new();
    for _ in 0..20 {
        let told = told(&app, &ask(question("hello")));
        codes.extend(told["body"]["error"]["code"].as_str().map(str::to_owned));
        if told["status"] != 200 {
            assert_eq!(told["status"], 429);
            break;
        }
    }
    assert_eq!(codes, ["budget_exceeded"]);
    assert_eq!(app.chat(&[], &TestApp::body("hello")).status, 200);
}

#[test]
fn what_is_wrong_with_a_question_is_told() {
    let app = start("environments: {eval: {daily_usd: 1}}");
    let check = |path: &str, body: Value, status: u16, part: &str| {
        let reply = post(&app, path, &body);
        assert_eq!(reply.status, status, "{path} {body}: {}", reply.text());
        assert!(reply.json()["error"]["message"].as_str().unwrap().contains(part), "{}", reply.text());
    };
    let asked = |field: &str, value: Value| {
        let mut asked = ask(question("hello"));
        asked[field] = value;
        asked
    };
    let path = "/api/v1/evals/ask";
    check(path, json!({}), 400, "missing field `kind`");
    check(path, asked("kind", "poem".into()), 400, "poem");
    check(path, asked("eval_id", "".into()), 400, "`eval_id` must be");
    check(path, asked("app_sha", "a\nb".into()), 400, "`app_sha` must be");
    check(path, asked("route", "a\nb".into()), 400, "cannot be the name of a route");
    check("/api/v1/evals/runs", json!({"id": "x"}), 400, "missing field");
    check("/api/v1/evals/runs/none/results", json!([]), 404, "there is no run `none`");
    check("/api/v1/evals/judged/get", json!({}), 400, "does not fit");
    // What a door would refuse is what came of a call, and has its trace.
    let refused = told(&app, &asked("route", "none".into()));
    assert_eq!(
        (&refused["status"], &refused["body"]["error"]["code"]),
        (&json!(404), &json!("unknown_route"))
    );
    app.trace(refused["call"].as_str().unwrap());
    let refused = |path: &str, part: &str| {
        let reply = http::get(&app.url(path), &[]).unwrap();
        assert_eq!(reply.status, 400, "{path}: {}", reply.text());
        assert!(reply.text().contains(part), "{path}: {}", reply.text());
    };
    refused("/api/v1/evals/runs?suit=x", "suit");
    for list in ["runs", "gates"] {
        refused(&format!("/api/v1/evals/{list}?limit=1001"), "may be 1000 at most");
        refused(&format!("/api/v1/evals/{list}?before=yesterday"), "give the `next` of the answer before");
    }
}

#[test]
fn a_list_of_runs_goes_on_where_a_page_ends() {
    let app = start("environments: {eval: {daily_usd: 1}}");
    for (id, started) in [("old", 1_000_000), ("mid.1", 2_000_000), ("mid.2", 2_000_000), ("new", 3_000_000)]
    {
        let run = json!({
            "id": id, "suite": "support", "suite_hash": "", "dataset_hash": "", "app_sha": null, "route": null,
            "candidate": {"name": "m", "model": "m", "prompt": null}, "is_fast": false, "cases": 1, "repeats": 1,
            "state": "done", "why": null, "started": started, "ended": null, "cost": 0, "judge_cost": 0,
            "judge_calls": 0, "judge_cached": 0, "passed": 1, "failed": 0, "errors": 0, "metrics": [],
        });
        assert_eq!(post(&app, "/api/v1/evals/runs", &run).json(), json!({"kept": 1}));
    }
    let (mut seen, mut query) = (Vec::new(), "limit=3".to_owned());
    // Two pages, and no more.
    for _ in 0..3 {
        let answer = app.api(&format!("/api/v1/evals/runs?{query}"));
        let ids = answer["runs"].as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap().to_owned());
        seen.extend(ids);
        let Some(next) = answer["next"].as_str() else { break };
        query = format!("limit=3&before={next}");
    }
    assert_eq!(seen, ["new", "mid.2", "mid.1", "old"]);
    for path in ["/evals/nosuch", "/evals/compare", "/evals/compare?a=old"] {
        let page = http::get(&app.url(path), &[]).unwrap();
        assert!(
            page.text().starts_with("<!DOCTYPE html>") && (400..500).contains(&page.status),
            "{path}: {}",
            page.text()
        );
    }
}

/// A run with one result, that `call` answered long ago.
fn keep_one(app: &TestApp, call: &Value) {
    let at = 1_777_142_531_482_123_i64;
    let run = json!({
        "id": "support-1", "suite": "support", "suite_hash": "", "dataset_hash": "", "app_sha": null, "route": null,
        "candidate": {"name": "m", "model": "m", "prompt": null}, "is_fast": false, "cases": 1, "repeats": 1,
        "state": "done", "why": null, "started": at, "ended": null, "cost": 0, "judge_cost": 0, "judge_calls": 0,
        "judge_cached": 0, "passed": 1, "failed": 0, "errors": 0, "metrics": [],
    });
    let result = json!({
        "run": "support-1", "case": "c1", "repeat": 0, "cluster": null, "app_sha": null, "route": null, "call": call,
        "model": null, "input": "a question", "expected": null, "output": "an answer", "output_hash": null, "error": null,
        "decision": null, "cost": 0, "judge_cost": 0, "latency_us": 0, "tokens_in": 0, "tokens_out": 0, "passed": true,
        "at": at, "scores": [{"metric": "exact", "implementation": "gauntlet/1:exact", "value": 1.0, "passed": true,
            "reason": "quotes an answer"}],
    });
    assert_eq!(post(app, "/api/v1/evals/runs", &run).status, 200);
    assert_eq!(post(app, "/api/v1/evals/runs/support-1/results", &json!([result])).status, 200);
}

fn words(app: &TestApp) -> Value {
    let result = app.api("/api/v1/evals/runs/support-1/results")["results"][0].clone();
    assert_eq!(result["scores"][0]["value"], 1.0, "figures stay");
    json!([result["input"], result["output"], result["scores"][0]["reason"]])
}

#[test]
fn words_of_old_results_go_with_the_age_of_evals() {
    let app = TestApp::start("retention: {eval: {messages: 24h}}");
    keep_one(&app, &Value::Null);
    // What the gateway does every few seconds may have been faster.
    post(&app, "/api/v1/retention", &json!({}));
    assert_eq!(words(&app), json!([null, null, null]));
}

#[test]
fn words_of_results_go_with_the_calls_that_are_erased() {
    let app = start("environments: {eval: {daily_usd: 1}}").without_balance();
    let told = told(&app, &ask(question("hello")));
    keep_one(&app, &told["call"]);
    app.trace(told["call"].as_str().unwrap());
    assert_eq!(words(&app)[1], "an answer");
    let erased = app.command_json(&["erase", "--tenant", "evals", "--yes"]);
    assert_eq!((&erased["calls"], &erased["evals"], &erased["left"]), (&json!(1), &json!(1), &json!(0)));
    assert_eq!(words(&app), json!([null, null, null]));
}

#[test]
fn an_erasure_reaches_a_runs_judges_and_its_gates_report() {
    let app = start("environments: {eval: {daily_usd: 1}}").without_balance();
    let secret = "the secret wish of ann";
    let mine = app.chat(&[("x-gauntlet-user", "ann")], &TestApp::body(secret));
    let mine = app.trace_of(&mine)["record"]["id"].clone();
    let answer = told(&app, &ask(question(secret)))["call"].clone();
    let other = told(&app, &ask(question("another")))["call"].clone();
    let mut judge =
        ask(json!({"model": "prov/test-model", "messages": [{"role": "user", "content": secret}]}));
    judge["is_judge"] = true.into();
    let judge = told(&app, &judge)["call"].clone();
    keep_one(&app, &other);
    let mut result = app.api("/api/v1/evals/runs/support-1/results")["results"][0].clone();
    (result["case"], result["call"], result["source"]) = ("mine".into(), answer.clone(), mine);
    (result["input"], result["output_hash"]) = (secret.into(), "ab".into());
    assert_eq!(post(&app, "/api/v1/evals/runs/support-1/results", &json!([result])).status, 200);
    let judged = json!([{"key": {"judge_model": "j", "judge_prompt_hash": "p", "output_hash": "x", "sample": 0},
        "answer": secret, "cost": 0, "call": judge, "at": 0}]);
    assert_eq!(post(&app, "/api/v1/evals/judged", &judged).status, 200);
    let quote =
        |case: &str, words: &str| json!({"case": case, "metric": "exact", "input": words, "reason": words});
    let gate = json!({
        "id": "g", "suite": "support", "run": "support-1", "baseline": null, "app_sha": null, "prompt": null,
        "verdict": "fail", "summary": "fell", "at": 5,
        "report": {"checks": [], "regressions": [quote("mine", secret), quote("c1", "words")]},
    });
    assert_eq!(post(&app, "/api/v1/evals/gates", &gate).status, 200);
    for call in [&answer, &other, &judge] {
        app.trace(call.as_str().unwrap());
    }

    let erased = app.command_json(&["erase", "--user", "ann", "--yes"]);
    let counts = ["calls", "evals", "eval_calls", "left"].map(|name| erased[name].clone());
    assert_eq!(
        json!(counts),
        json!([1, 3, 2, 0]),
        "a result, a report, a judge's answer; two calls: {erased}"
    );
    assert_eq!(erased["cases"], json!(["support/mine"]));
    let gone = |call: &Value| app.trace(call.as_str().unwrap())["record"]["texts_gone"].clone();
    assert_eq!([gone(&answer), gone(&judge), gone(&other)], [json!("erased"), json!("erased"), Value::Null]);
    let report = app.api("/api/v1/evals/gates")["gates"][0]["report"].clone();
    assert_eq!(report["regressions"][0]["input"], Value::Null);
    assert_eq!(report["regressions"][1], quote("c1", "words"));
    let page = http::get(&app.url(&format!("/traces/{}", judge.as_str().unwrap())), &[]).unwrap().text();
    assert!(page.contains("erased with the call"), "the page says why there are no words");
    let file = std::fs::read(app.data_dir().join("gauntlet.db")).unwrap();
    assert!(!file.windows(secret.len()).any(|part| part == secret.as_bytes()), "it is left in the file");
}

#[test]
fn suites_and_what_failed_are_told_in_short() {
    let app = start("environments: {eval: {daily_usd: 1}}");
    assert_eq!(app.api("/api/v1/evals/suites")["suites"], json!([]));
    keep_one(&app, &Value::Null);
    let suites = app.api("/api/v1/evals/suites?suites=3&runs=2")["suites"].clone();
    assert_eq!((&suites[0]["suite"], &suites[0]["runs"][0]["verdict"]), (&json!("support"), &Value::Null));
    let failed = |query: &str| {
        http::get(&app.url(&format!("/api/v1/evals/runs/support-1/results{query}")), &[]).unwrap()
    };
    assert_eq!(failed("?failed=5").json()["results"], json!([]), "its only case passed");
    assert_eq!(failed("?faild=5").status, 400);
    let shown = http::get(&app.url("/metrics"), &[]).unwrap().text();
    for line in [
        "gauntlet_eval_runs_total{suite=\"support\",state=\"done\"} 1",
        "gauntlet_eval_cases_total{suite=\"support\",result=\"passed\"} 1",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
}

#[test]
fn a_private_gateway_ends_with_the_pipe_that_it_was_given() {
    let mut app = start("");
    app.stop();
    let mut child = Command::new(env!("CARGO_BIN_EXE_gauntlet"))
        .args(["up", "--listen", "127.0.0.1:0", "--otlp-listen", "off", "--json", "--until-stdin-closes"])
        .arg("--config")
        .arg(app.config_dir())
        .arg("--data")
        .arg(app.data_dir())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    let run = app.data_dir().join("run.json");
    while !run.exists() {
        assert!(Instant::now() < until, "it starts");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(child.try_wait().unwrap().is_none());
    drop(child.stdin.take());
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < until, "it ends");
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(status.success(), "{status}");
    assert!(!run.exists());
}
