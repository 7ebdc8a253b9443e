//! A suite is run from the shell: with nothing running, with a gateway, broken off and gone on with, and with mistakes.

use std::{fs, path::Path};

use gauntlet_testkit::{Ended, Launch, Step};
use serde_json::{Value, json};

use crate::app::TestApp;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The code blocks of the tour of docs/evals.md in a language.
fn tour(language: &str) -> Vec<String> {
    let text = fs::read_to_string(format!("{ROOT}/docs/evals.md")).unwrap();
    let tour = text.split("\n## ").find(|part| part.starts_with("Five minutes")).unwrap().to_owned();
    let fence = format!("```{language}\n");
    tour.split(fence.as_str()).skip(1).map(|part| part.split("```").next().unwrap().to_owned()).collect()
}

fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn the_tour_of_evals_runs_as_it_stands_there() {
    let folder = tempfile::tempdir().unwrap();
    let [gauntlet, suite] = &tour("yaml")[..] else { panic!("two files are shown") };
    let [cases] = &tour("jsonl")[..] else { panic!("one dataset is shown") };
    write(folder.path(), "gauntlet.yml", gauntlet);
    write(folder.path(), "evals/support.yaml", suite);
    write(folder.path(), "evals/support.jsonl", cases);
    let [commands] = &tour("console")[..] else { panic!("one list of commands is shown") };
    let mut listed = String::new();
    for line in commands.lines() {
        let (command, note) = line.split_once('#').unwrap_or((line, ""));
        let wanted = if note.contains("exit code 1") { 1 } else { 0 };
        let args: Vec<&str> = command.split_whitespace().skip(1).collect();
        let ended = Launch::new(env!("CARGO_BIN_EXE_gauntlet")).args(args).folder(folder.path()).run();
        assert_eq!(ended.code, Some(wanted), "{line}: {ended}");
        listed = ended.stdout;
    }
    assert!(listed.matches("support-2").count() >= 3, "{listed}");
    let frozen = fs::read_to_string(folder.path().join("evals/support.yaml")).unwrap();
    assert!(frozen.contains("golden: sha256:"), "{frozen}");

    let changed = cases.replace("When do I get my money back?", "When is my money back?");
    write(folder.path(), "evals/support.jsonl", &changed);
    let refused =
        Launch::new(env!("CARGO_BIN_EXE_gauntlet")).args(["check", "."]).folder(folder.path()).run();
    assert_eq!(refused.code, Some(1), "{refused}");
    assert!(
        refused.stdout.contains("changed `refund`") && refused.stdout.contains("eval freeze support"),
        "{refused}"
    );
}

const SUITE: &str = "suite: s\ndataset: s.jsonl\nmodel: prov/test-model\nparams: {max_tokens: 10}\nmetrics: [{exact: {threshold: 1}}]\n";

fn rows(count: usize) -> String {
    (0..count).fold(String::new(), |rows, index| {
        rows + &format!("{{\"id\": \"c{index}\", \"input\": \"say {index}\", \"expected\": \"yes\"}}\n")
    })
}

fn app(suite: &str, rows: &str) -> TestApp {
    let app = TestApp::with_files("", &[("evals/s.yaml", suite), ("evals/s.jsonl", rows)]);
    app.provider.default(Step::answer(&["yes"]).usage(10, 5));
    app
}

fn said(ended: &Ended) -> String {
    format!("{}{}", ended.stdout, ended.stderr)
}

#[test]
fn a_run_lies_beside_its_traces_and_counts_what_it_cost() {
    let app = app(SUITE, &rows(30));
    let told = app.command_json(&["eval", "run", "s", "--app-sha", "abc1234"]);
    let run = &told["run"];
    assert_eq!(
        (&run["state"], &run["passed"], &run["errors"]),
        (&json!("done"), &json!(30), &json!(0)),
        "{told}"
    );
    assert_eq!((&run["app_sha"], &run["metrics"][0]["mean"]), (&json!("abc1234"), &json!(1.0)));
    // 30 × (10 × 1 + 5 × 2) micro-dollars.
    assert_eq!(run["cost"], json!(600_000), "{told}");
    let id = run["id"].as_str().unwrap();
    let cases = app.command_json(&["eval", "cases", id]);
    assert_eq!(cases.to_string().matches("\"case\":\"c7\"").count(), 1, "{cases}");
    let report = app.folder().join("report.xml");
    let file = report.display().to_string();
    app.command(&["eval", "run", "s", "--fast", "--junit", &file]).expect_ok();
    assert!(fs::read_to_string(&report).unwrap().contains("<testsuite"));
}

#[test]
fn a_budget_stops_a_run_and_resume_asks_only_what_is_missing() {
    let app = app(SUITE, &rows(40));
    let stopped = app.command(&["eval", "run", "s", "--budget", "0.0004", "--concurrency", "2", "--json"]);
    assert_eq!(stopped.code, Some(1), "{stopped}");
    let run: Value = stopped.json()["run"].clone();
    assert_eq!(run["state"], "stopped", "{run}");
    assert!(run["cost"].as_i64().unwrap() <= 400_000, "{run}");
    let asked = app.provider.requests().len();
    assert!((15..=20).contains(&asked), "{asked}");
    let done = app.command_json(&["eval", "run", "s", "--resume", run["id"].as_str().unwrap()]);
    assert_eq!((&done["run"]["state"], &done["run"]["passed"]), (&json!("done"), &json!(40)), "{done}");
    assert_eq!((&done["run"]["id"], app.provider.requests().len()), (&run["id"], 40));
}

#[test]
fn bad_input_is_told_with_line_and_cure_and_nothing_is_asked() {
    let check = |suite: &str, rows: &str, wanted: &[&str]| {
        let app = app(suite, rows);
        let ended = app.command(&["eval", "run", "s"]);
        assert_eq!(ended.code, Some(2), "{ended}");
        for wanted in wanted {
            assert!(said(&ended).contains(wanted), "{wanted}: {ended}");
        }
        assert!(app.provider.requests().is_empty());
        assert_eq!(app.command(&["check"]).code, Some(1));
    };
    check("suite: [s\n", &rows(1), &["s.yaml:", "not valid YAML"]);
    check(
        &SUITE.replace("exact", "exat"),
        &rows(1),
        &["s.yaml:5:", "unknown metric `exat`; did you mean `exact`?"],
    );
    let twice = rows(2) + "{\"id\": \"c0\", \"input\": \"x\", \"expected\": \"y\"}\n{\"id\": \"d\"}\n{oops\n";
    check(
        SUITE,
        &twice,
        &["s.jsonl:3: the id `c0` is taken by line 1", "s.jsonl:4: nothing is asked", "s.jsonl:5:2:"],
    );
    check(SUITE, "{\"id\": \"a\", \"input\": \"x\"}\n", &["s.jsonl:1: case `a` cannot be scored by `exact`"]);
}

#[test]
fn rotation_moves_whole_lines_and_leaves_golden_cases() {
    let golden = "{\"id\": \"g\",   \"input\": \"x\", \"expected\": \"y\", \"tags\": [\"golden\"]}\n";
    let app = app(SUITE, &(golden.to_owned() + &rows(20)));
    let pool = rows(30).replace("\"c", "\"p");
    app.write("evals/s.pool.jsonl", &pool);
    let read = |name: &str| fs::read_to_string(app.config_dir().join("evals").join(name)).unwrap();
    let planned = app.command_json(&["eval", "rotate", "s", "--seed", "a", "--dry-run"]);
    assert_eq!((planned["out"].as_array().unwrap().len(), read("s.pool.jsonl")), (3, pool.clone()));
    let done = app.command_json(&["eval", "rotate", "s", "--seed", "a"]);
    assert_eq!((&done["out"], &done["in"]), (&planned["out"], &planned["in"]));
    assert!(read("s.jsonl").starts_with(golden));
    assert_eq!((read("s.jsonl").lines().count(), read("s.retired.jsonl").lines().count()), (21, 3));
    assert_eq!(read("s.pool.jsonl").lines().count(), 27);
}

#[test]
fn a_judge_of_pairs_sees_the_answer_of_the_baseline() {
    let suite = "suite: s\ndataset: s.jsonl\nmodel: prov/plain\njudge: {model: prov/judge}\n\
                 metrics: [{pairwise: {against: baseline, criteria: Which helps more?}}]\n";
    let files = [("evals/s.yaml", suite), ("evals/s.jsonl", &rows(12))];
    let app = TestApp::with_files("default: {unpriced: allow}", &files);
    app.provider.respond(|seen| {
        let body = String::from_utf8_lossy(&seen.body).into_owned();
        let place = |text: &str| body.find(text).unwrap_or(usize::MAX);
        match seen.json()["model"].as_str() {
            Some("judge") => {
                let winner = if place("a kind answer") < place("a rude answer") { "first" } else { "second" };
                Step::text(&json!({"winner": winner, "reason": "kinder"}).to_string())
            }
            Some("kind") => Step::answer(&["a kind answer"]),
            _ => Step::answer(&["a rude answer"]),
        }
    });
    let args = ["eval", "run", "s", "--candidate", "prov/kind", "--baseline", "prov/plain", "--json"];
    let told = app.command(&args);
    // A judge that no people were compared with decides nothing.
    assert_eq!(told.code, Some(3), "{told}");
    let run = &told.json()["run"];
    let metric = &run["metrics"][0];
    assert_eq!((&metric["mean"], &metric["scored"]), (&json!(1.0), &json!(12)), "{run}");
    assert_eq!(run["judge_calls"], 24, "each pair in both orders: {run}");
}

#[test]
fn what_runs_keep_of_a_promoted_call_goes_with_the_user_who_is_erased() {
    let app = TestApp::start("").without_balance();
    app.provider.default(Step::answer(&["yes"]).usage(10, 5));
    let ask = |user: &str, text: &str| {
        let reply = app.chat(&[("x-gauntlet-user", user)], &TestApp::body(text));
        app.trace_of(&reply)["record"]["id"].as_str().unwrap().to_owned()
    };
    let (ann, bob) = (ask("ann", "my secret wish"), ask("bob", "a plain wish"));
    for id in [&ann, &bob] {
        app.command(&["trace", "promote", id, "--dataset", "s", "--as-answered"]).expect_ok();
    }
    // A case may be renamed: it still knows where it came from.
    let dataset = app.config_dir().join("evals/s.jsonl");
    let renamed =
        fs::read_to_string(&dataset).unwrap().replace(&format!("\"id\":\"{ann}\""), "\"id\":\"wish\"");
    fs::write(&dataset, renamed).unwrap();
    app.write("evals/s.yaml", SUITE);
    let run = app.command_json(&["eval", "run", "s"])["run"].clone();
    assert_eq!(run["passed"], json!(2), "{run}");
    let id = run["id"].as_str().unwrap();
    let results = || app.command_json(&["eval", "cases", id])["results"].clone();
    let before = results();
    let of = |results: &Value, case: &str| {
        let found = results.as_array().unwrap().iter().find(|result| result["case"] == case).cloned();
        found.unwrap_or_else(|| panic!("no {case} in {results}"))
    };
    assert_eq!(
        (&of(&before, "wish")["input"], &of(&before, "wish")["source"]),
        (&json!("my secret wish"), &json!(ann))
    );
    let answer = |case: &str| app.trace(of(&before, case)["call"].as_str().unwrap());
    assert!(answer("wish")["input"].to_string().contains("my secret wish"));

    let erased = app.command_json(&["erase", "--user", "ann", "--yes"]);
    let counts = ["calls", "evals", "eval_calls", "left"].map(|name| erased[name].clone());
    assert_eq!((json!(counts), &erased["cases"]), (json!([1, 1, 1, 0]), &json!(["s/wish"])), "{erased}");
    let after = results();
    let wish = of(&after, "wish");
    assert_eq!(json!([wish["input"], wish["expected"], wish["output"]]), json!([null, null, null]));
    assert_eq!(
        (&wish["passed"], &of(&after, &bob)),
        (&json!(true), &of(&before, &bob)),
        "figures stay, and others do"
    );
    let answered = answer("wish");
    assert_eq!((&answered["input"], &answered["record"]["texts_gone"]), (&Value::Null, &json!("erased")));
    assert!(answer(&bob)["input"].to_string().contains("a plain wish"));
    assert!(
        fs::read_to_string(&dataset).unwrap().contains("my secret wish"),
        "a dataset is the user's own file"
    );
    let file = fs::read(app.data_dir().join("gauntlet.db")).unwrap();
    assert!(!file.windows(14).any(|part| part == b"my secret wish"), "and nowhere else");
}

#[test]
fn a_scorer_that_ends_before_it_has_read_leaves_scores_open_and_the_run_tells_why() {
    let suite = SUITE.replace("]\n", ", {command: {run: [sh, -c, 'exit 0'], threshold: 0.5}}]\n");
    // Longer than a pipe holds, so that the end of the reader is met while it is written.
    let long = "x".repeat(200_000);
    let app = app(&suite, &rows(8).replace("say", &long));
    let ended = app.command(&["eval", "run", "s"]);
    assert_eq!(ended.code, Some(0), "{ended}");
    for wanted in ["8 cases, 0 passed, 0 failed, 0 errors, 8 open", "unscored", "program"] {
        assert!(ended.stdout.contains(wanted), "{wanted}: {ended}");
    }
    let id = ended.stdout.split_whitespace().next().unwrap();
    let cases = app.command(&["eval", "cases", id, "--failed"]);
    assert!(
        cases.stdout.matches("open").count() >= 8 && cases.stdout.contains("command=unscored"),
        "{cases}"
    );
    assert!(app.command(&["eval", "show", id]).stdout.contains("0 errors, 8 open"));
}

#[test]
fn a_run_that_finds_nothing_out_says_so_by_its_code() {
    let app = app(SUITE, &rows(4));
    let unknown = app.command(&["eval", "run", "s", "--model", "nosuch/model", "--json"]);
    assert_eq!((unknown.code, app.provider.requests().len()), (Some(2), 0), "{unknown}");
    let why = unknown.json()["run"]["why"].to_string();
    assert!(why.contains("the first call was refused ("), "{why}");
    let nowhere = app.command(&["eval", "run", "nowhere", "--json"]);
    assert_eq!(nowhere.code, Some(2), "{nowhere}");
    let message = nowhere.json()["error"]["message"].to_string();
    assert!(message.contains("there is no suite `nowhere`"), "{message}");

    app.provider.default(Step::error(401, "invalid_api_key", "invalid_api_key", "wrong key"));
    let failed = app.command(&["eval", "run", "s"]);
    assert_eq!(failed.code, Some(1), "{failed}");
    assert!(failed.stdout.contains("4 errors"), "{failed}");
    let id = failed.stdout.split_whitespace().next().unwrap();
    let cases = app.command_json(&["eval", "cases", id]);
    assert!(cases.to_string().contains("failed with status 401"), "{cases}");
    let listed = app.command_json(&["eval", "list"]);
    assert!(
        listed["runs"][0]["cost_usd"].is_number() && listed["runs"][0]["started_at"].is_string(),
        "{listed}"
    );
}
