//! A prompt is pushed from CI, stopped by what its label asks for, promoted, and rolled back at once; here and at another
//! gateway on the same store.

use std::time::{Duration, Instant};

use gauntlet_ports::{Candidate, EvalResult, EvalRun, MetricSummary, RunState, Score};
use gauntlet_testkit::{Ended, PostgresServer, http};
use gauntlet_types::{Name, NanoUsd, PromptRef};
use serde_json::{Value, json};

use crate::{app::TestApp, replicas::Replicas};

const RULES: &str = "promotion:\n  production: {gate: true, approval: high_risk}\n";

/// A version of the desk's prompt, in a file of its own.
fn write(app: &TestApp, version: &str, rest: &str) {
    let text = format!("name: desk\nversion: {version}\nowner: support-team\n{rest}");
    app.write(&format!("../push/desk.{version}.yaml"), &text);
}

const PLAIN: &str = "required_vars: [q]\ntemplate: |\n  Be brief. $q\n";

fn push(app: &TestApp, more: &[&str]) -> Ended {
    let folder = app.folder().join("push").display().to_string();
    let args: Vec<&str> = ["prompt", "push", folder.as_str()].iter().chain(more).copied().collect();
    app.command(&args)
}

fn ask(app: &TestApp, prompt: &str) -> http::Reply {
    let body =
        json!({"model": "prov/test-model", "gauntlet": {"prompt": prompt, "variables": {"q": "Why?"}}});
    app.chat(&[], &body)
}

fn version(app: &TestApp, prompt: &str) -> String {
    let reply = ask(app, prompt);
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.header("x-gauntlet-prompt").expect("the answer names its prompt").to_owned()
}

fn post(app: &TestApp, path: &str, body: &Value) -> http::Reply {
    http::post_json(&app.url(path), &[], body).expect("the gateway answers")
}

/// What a gate of a CI job keeps.
fn gate(app: &TestApp, version: &str, verdict: &str, number: u32) {
    gate_of(app, version, verdict, number, &json!({}));
}

fn gate_of(app: &TestApp, version: &str, verdict: &str, number: u32, report: &Value) {
    let hash = app.command_json(&["prompt", "show", &format!("desk@{version}")])["hash"].clone();
    let gate = json!({
        "id": format!("gate-{number}"), "suite": "support", "run": format!("run-{number}"), "baseline": null,
        "app_sha": "9f8c1d2", "prompt": {"name": "desk", "version": version, "label": null, "hash": hash},
        "verdict": verdict, "summary": format!("it is a {verdict}"), "report": report,
        "at": 1_795_000_000_000_000_i64 + i64::from(number),
    });
    let kept = post(app, "/api/v1/evals/gates", &gate);
    assert!(kept.status < 300, "{}", kept.text());
}

#[test]
fn a_prompt_is_pushed_gated_approved_promoted_and_rolled_back() {
    let app = TestApp::start(RULES);
    write(&app, "1.0.0", PLAIN);
    write(&app, "1.1.0", &format!("risk: high\n{}", PLAIN.replace("brief", "kind")));
    let pushed = push(&app, &["--by", "ann", "--app-sha", "9f8c1d2", "--json"]).expect_ok().json();
    assert_eq!((&pushed["new"], &pushed["known"]), (&json!(2), &json!(0)), "{pushed}");
    let again = push(&app, &["--by", "bo"]).expect_ok();
    assert!(again.stdout.contains("0 are new, 2 were known"), "{again}");
    let shown = app.command_json(&["prompt", "show", "desk@1.1.0"]);
    let facts = ["author", "app_sha", "owner", "risk"].map(|field| shown[field].as_str().unwrap_or(""));
    assert_eq!(facts, ["ann", "9f8c1d2", "support-team", "high"], "{shown}");
    assert_eq!(shown["variables"][0]["name"], "q");

    // Nothing was promoted yet, so that nothing is meant by the label or the bare name.
    for reference in ["desk", "desk@production"] {
        let reply = ask(&app, reference);
        assert_eq!(reply.status, 400);
        assert!(reply.text().contains("was promoted to `production` yet"), "{}", reply.text());
    }
    let promote = |version: &str, more: &[&str]| {
        let named = format!("desk@{version}");
        let args: Vec<&str> = ["prompt", "promote", named.as_str()].iter().chain(more).copied().collect();
        app.command(&args)
    };
    let refused = promote("1.0.0", &[]);
    assert_eq!(refused.code, Some(1), "{refused}");
    assert!(refused.stderr.contains("no gate has judged exactly this content"), "{refused}");
    gate(&app, "1.0.0", "inconclusive", 1);
    assert!(promote("1.0.0", &[]).stderr.contains("says `inconclusive`"));
    gate(&app, "1.0.0", "pass", 2);
    let done = promote("1.0.0", &["--by", "ann", "--reason", "first"]).expect_ok();
    assert!(done.stdout.contains("desk@production is now 1.0.0"), "{done}");
    assert_eq!(
        (version(&app, "desk"), version(&app, "desk@production")),
        ("desk@1.0.0".into(), "desk@1.0.0".into())
    );

    // The next is high risk: green is not enough, and its author is nobody else.
    gate(&app, "1.1.0", "pass", 3);
    let plan = promote("1.1.0", &["--plan"]);
    assert_eq!(plan.code, Some(1), "{plan}");
    for words in ["-Be brief. $q", "+Be kind. $q", "Missing: nobody but its author `ann`", "rollback desk"] {
        assert!(plan.stdout.contains(words), "{words}: {plan}");
    }
    let own = app.command(&["prompt", "approve", "desk@1.1.0", "--by", "Ann"]);
    assert!(own.code == Some(2) && own.stderr.contains("is the author"), "{own}");
    assert_eq!(promote("1.1.0", &[]).code, Some(1));
    app.command(&["prompt", "approve", "desk@1.1.0", "--by", "bo", "--note", "read it"]).expect_ok();
    promote("1.1.0", &["--plan"]).expect_ok();
    promote("1.1.0", &["--by", "ann"]).expect_ok();
    assert_eq!(version(&app, "desk"), "desk@1.1.0");
    let record = &app.last_trace()["record"]["prompt"];
    assert_eq!((&record["label"], &record["hash"]), (&json!("production"), &shown["hash"]), "{record}");

    // Back at once, without a question; and not forth again.
    let back =
        app.command(&["prompt", "rollback", "desk", "--by", "bo", "--reason", "it is rude"]).expect_ok();
    assert!(back.stdout.contains("is now 1.0.0 (was 1.1.0)"), "{back}");
    assert_eq!(version(&app, "desk"), "desk@1.0.0");
    let end = app.command(&["prompt", "rollback", "desk"]);
    assert!(end.code == Some(2) && end.stderr.contains("nothing before it"), "{end}");
    let history = app.command_json(&["prompt", "history", "desk"]);
    let steps: Vec<String> = history["moves"]
        .as_array()
        .expect("moves")
        .iter()
        .map(|step| {
            ["kind", "from", "to", "by", "why"].map(|field| step[field].as_str().unwrap_or("–")).join(" ")
        })
        .collect();
    assert_eq!(
        steps,
        ["rollback 1.1.0 1.0.0 bo it is rude", "promote 1.0.0 1.1.0 ann –", "promote – 1.0.0 ann first"]
    );
}

/// A finished run of the suite `support` over a version, with a score for each of its cases.
fn run(app: &TestApp, version: &str, scores: &[f64], cost: i64) {
    let hash = app.command_json(&["prompt", "show", &format!("desk@{version}")])["hash"].clone();
    let prompt = PromptRef {
        name: "desk".into(),
        version: version.into(),
        label: None,
        hash: hash.as_str().expect("a hash").into(),
    };
    let id = Name::from(format!("support-{version}"));
    let run = EvalRun {
        id: id.clone(),
        suite: "support".into(),
        dataset_hash: "d".into(),
        candidate: Candidate { name: "desk".into(), model: None, prompt: Some(prompt) },
        cases: scores.len() as u32,
        repeats: 1,
        state: RunState::Done,
        metrics: vec![MetricSummary { metric: "exact".into(), ..MetricSummary::default() }],
        ..EvalRun::default()
    };
    let result = |(number, score): (usize, &f64)| EvalResult {
        run: id.clone(),
        case: format!("case-{number}").into(),
        cost: NanoUsd(cost + number as i64),
        scores: vec![Score { metric: "exact".into(), value: Some(*score), ..Score::default() }],
        ..EvalResult::default()
    };
    let results: Vec<EvalResult> = scores.iter().enumerate().map(result).collect();
    let kept = post(app, "/api/v1/evals/runs", &json!(run));
    assert!(kept.status < 300, "{}", kept.text());
    let kept = post(app, &format!("/api/v1/evals/runs/{id}/results"), &json!(results));
    assert!(kept.status < 300, "{}", kept.text());
}

#[test]
fn a_plan_tells_what_evals_say_of_both_versions() {
    let app = TestApp::start("");
    write(&app, "1.0.0", PLAIN);
    write(&app, "1.1.0", &PLAIN.replace("brief", "kind"));
    push(&app, &[]).expect_ok();
    app.command(&["prompt", "promote", "desk@1.0.0"]).expect_ok();
    run(&app, "1.0.0", &[1.0, 0.0, 0.5, 1.0], 1_000_000);
    run(&app, "1.1.0", &[1.0, 0.5, 1.0, 1.0], 2_000_000);
    let plan = app.command_json(&["prompt", "promote", "desk@1.1.0", "--plan"]);
    let suite = &plan["evals"][0];
    assert_eq!(
        (&suite["from_run"], &suite["to_run"]),
        (&json!("support-1.0.0"), &json!("support-1.1.0")),
        "{plan}"
    );
    let exact = &suite["compared"]["metrics"][0];
    assert_eq!(
        (&exact["n"], &exact["a"], &exact["b"], &exact["difference"]),
        (&json!(4), &json!(0.625), &json!(0.875), &json!(0.25))
    );
    let ratio = suite["compared"]["cost_ratio"].as_f64().expect("a ratio");
    assert!((ratio - 2.0).abs() < 0.001, "{ratio}");
    // Whoever asks about the same two runs elsewhere is told the same.
    let mut elsewhere = app.command_json(&["eval", "compare", "support-1.0.0", "support-1.1.0"]);
    assert_eq!(elsewhere["changes"].as_array().map(Vec::len), Some(2), "{elsewhere}");
    elsewhere["changes"] = json!([]);
    assert_eq!(suite["compared"], elsewhere);
    assert_eq!((&plan["rule"], &plan["lacks"]), (&Value::Null, &json!([])));
    let page = app.command(&["prompt", "promote", "desk@1.1.0", "--plan"]).expect_ok().stdout;
    for words in
        ["+0.250", "cost_usd", "An answer costs 2.00 times as much.", "gauntlet prompt rollback desk"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
}

#[test]
fn a_changed_shape_needs_a_major_version_and_says_which() {
    let app = TestApp::start("");
    write(&app, "1.0.0", PLAIN);
    push(&app, &[]).expect_ok();
    write(&app, "1.1.0", &PLAIN.replace("[q]", "[q, locale]").replace("$q", "$q $locale"));
    write(&app, "1.2.0", "required_vars: [q\n");
    let refused = push(&app, &["--dry-run"]);
    assert_eq!(refused.code, Some(1), "{refused}");
    for words in [
        "required variable `locale` was added; that is a major change: make it 2.0.0",
        "desk.1.2.0.yaml:",
        "Nothing was pushed.",
    ] {
        assert!(refused.stderr.contains(words), "{words}: {refused}");
    }
    let list = app.command_json(&["prompt", "list"]);
    assert_eq!(list["versions"].as_array().map(Vec::len), Some(1), "{list}");
    // The same version with another text, over the API.
    let file = json!({"file": "x.yaml", "text": "{name: desk, version: 1.0.0, template: other}"});
    let reply = post(&app, "/api/v1/prompts", &json!({"files": [file]}));
    let error = &reply.json()["error"];
    assert_eq!((reply.status, &error["code"]), (400, &json!("prompt_invalid")), "{error}");
    assert!(error["message"].as_str().unwrap().contains("versions never change"), "{error}");
    assert_eq!(error["prompts"][0]["state"], "refused");
    // As the next major it goes.
    std::fs::remove_file(app.folder().join("push/desk.1.1.0.yaml")).unwrap();
    std::fs::remove_file(app.folder().join("push/desk.1.2.0.yaml")).unwrap();
    write(&app, "2.0.0", &PLAIN.replace("[q]", "[q, locale]").replace("$q", "$q $locale"));
    push(&app, &[]).expect_ok();
    let diff = app.command(&["prompt", "diff", "desk@1.0.0", "2.0.0"]).expect_ok();
    assert!(diff.stdout.contains("required variable `locale` was added"), "{diff}");
    assert!(diff.stdout.contains("+Be brief. $q $locale"), "{diff}");
    let rendered =
        app.command(&["prompt", "render", "desk@2.0.0", "--var", "q=Why?", "--var", "locale=de"]).expect_ok();
    assert!(rendered.stdout.contains("Be brief. Why? de"), "{rendered}");
    assert!(app.provider.requests().is_empty(), "a render calls nobody");
}

#[test]
fn a_forced_promotion_needs_a_reason_and_shows_for_good() {
    let app = TestApp::with_files(
        RULES,
        &[(
            "prompts/desk.yaml",
            "{name: desk, version: 1.0.0, labels: [production], required_vars: [q], template: $q}",
        )],
    );
    assert_eq!(ask(&app, "desk").status, 400, "a file moves no label that has a rule");
    let check = app.command(&["check"]);
    assert!(check.stdout.contains("has a rule under `promotion`"), "{check}");
    let body = json!({"prompt": "desk@1.0.0", "force": true});
    assert_eq!(post(&app, "/api/v1/prompts/promote", &body).status, 400);
    let reply = http::post_json(
        &app.url("/api/v1/prompts/promote"),
        &[("x-gauntlet-actor", "cy")],
        &json!({"prompt": "desk@1.0.0", "force": true, "reason": "INC-42"}),
    )
    .unwrap();
    let told = reply.json();
    assert_eq!((&told["kind"], &told["by"]), (&json!("force"), &json!("cy")), "{told}");
    assert_eq!(told["lacked"], json!(["no gate has judged exactly this content"]));
    assert_eq!(version(&app, "desk"), "desk@1.0.0");
    let history = app.command(&["prompt", "history", "desk"]).expect_ok().stdout;
    assert!(history.contains("INC-42") && history.contains("force"), "{history}");
}

#[test]
fn a_label_that_moves_here_has_moved_there_within_a_second() {
    let server = PostgresServer::start().expect("a Postgres server");
    let replicas = Replicas::start(2, &server.url(), &format!("store: {}", server.url()), "");
    let files: Vec<Value> = ["1.0.0", "1.1.0"]
        .map(|version| json!({"file": "p.yaml", "text": format!("{{name: p, version: {version}, template: Hi}}")}))
        .into();
    let post = |path: &str, body: &Value| {
        let reply = http::post_json(&replicas.url(0, path), &[], body).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
    };
    let at = |number: usize| {
        let body = json!({"model": "prov/test-model", "gauntlet": {"prompt": "p@production"}});
        let reply = http::post_json(&replicas.url(number, "/v1/chat/completions"), &[], &body).unwrap();
        reply.header("x-gauntlet-prompt").unwrap_or("").to_owned()
    };
    post("/api/v1/prompts", &json!({"files": files}));
    let mut longest = Duration::ZERO;
    for version in ["1.0.0", "1.1.0", "1.0.0", "1.1.0", "1.0.0"] {
        post("/api/v1/prompts/promote", &json!({"prompt": format!("p@{version}")}));
        let moved = Instant::now();
        let wanted = format!("p@{version}");
        assert_eq!(at(0), wanted, "the mover has it at once");
        while at(1) != wanted {
            assert!(moved.elapsed() < Duration::from_secs(10), "the other never saw {version}");
            std::thread::sleep(Duration::from_millis(10));
        }
        longest = longest.max(moved.elapsed());
    }
    println!("a label reached the other gateway after {} ms at the longest of five", longest.as_millis());
    assert!(longest < Duration::from_secs(1), "{longest:?}");
}

#[test]
fn a_label_rests_on_all_cases_answered_as_they_will_be_by_the_newest_run() {
    let app = TestApp::start(RULES);
    write(&app, "1.0.0", &format!("model: prov/test-model\n{PLAIN}"));
    push(&app, &["--by", "ann"]).expect_ok();
    let number = std::cell::Cell::new(0);
    let check = |verdict: &str, run: Value, wanted: &str| {
        number.set(number.get() + 1);
        gate_of(&app, "1.0.0", verdict, number.get(), &json!({"run": run}));
        let ended = app.command(&["prompt", "promote", "desk@1.0.0", "--by", "bo"]);
        let is_done = wanted.is_empty();
        assert_eq!(ended.code, Some(i32::from(!is_done)), "{ended}");
        assert!(ended.stderr.contains(wanted), "{ended}");
    };
    check("pass", json!({"is_fast": true}), "judged a part of the cases, which opens no label");
    check("pass", json!({"model": "prov/other"}), "answers of another model than the pinned one");
    check("fail", json!({"started": 2_000}), "says `fail`");
    // Somebody judges an older run again.
    check("pass", json!({"started": 1_000}), "says `fail`");
    check("pass", json!({"started": 3_000, "model": "prov/test-model"}), "");
}

#[test]
fn two_files_of_one_version_are_both_named_and_one_content_counts_once() {
    let app = TestApp::start("");
    write(&app, "1.0.0", PLAIN);
    app.write("../push/same.yaml", &format!("name: desk\nversion: 1.0.0\nowner: other\n{PLAIN}"));
    app.write("../push/below/more.yaml", "x");
    let pushed = push(&app, &[]).expect_ok();
    assert!(pushed.stdout.contains("1 are new, 0 were known"), "{pushed}");
    assert!(
        pushed.stderr.contains("the same version as") && pushed.stderr.contains("push/below"),
        "{pushed}"
    );
    write(&app, "1.1.0", PLAIN);
    app.write(
        "../push/other.yaml",
        &format!("name: desk\nversion: 1.1.0\n{}", PLAIN.replace("brief", "kind")),
    );
    let refused = push(&app, &[]);
    assert_eq!(refused.code, Some(1), "{refused}");
    let whys: Vec<&str> = refused.stderr.lines().filter(|line| line.starts_with("refused:")).collect();
    assert!(
        whys.len() == 2
            && whys.iter().all(|why| why.contains("desk.1.1.0.yaml") && why.contains("other.yaml")),
        "{refused}"
    );
    assert_eq!(app.command_json(&["prompt", "list", "desk"])["versions"].as_array().map(Vec::len), Some(1));
}
