//! A judge compared with people, and retrievers measured, from the shell.

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    process::{Command, Stdio},
    thread,
};

use gauntlet_testkit::{Seen, Step, parts};
use serde_json::{Value, json};

use crate::app::TestApp;

const SUITE: &str = "suite: tone
dataset: tone.jsonl
model: prov/candidate
judge: {model: prov/judge}
metrics:
  - rubric: {name: polite, rubric: Is it polite?}
";

/// Answers that people rated; every `wrong`th of them as the judge would not.
fn rows(count: usize, wrong: usize) -> String {
    let mut rows = String::new();
    for at in 0..count {
        let is_polite = at % 2 == 0;
        let people_agree = wrong == 0 || at % wrong != 0;
        let human = if is_polite == people_agree { "pass" } else { "fail" };
        let output =
            if is_polite { format!("Gladly, number {at}.") } else { format!("Go away, number {at}.") };
        let row = json!({"id": format!("r{at}"), "input": "Help me", "output": output, "human": human});
        writeln!(rows, "{row}").expect("a string takes everything");
    }
    rows
}

fn start(rows: &str) -> TestApp {
    let files = [("evals/tone.yaml", SUITE), ("evals/tone.jsonl", rows)];
    let app = TestApp::with_files("default: {unpriced: allow}", &files);
    app.provider.respond(|seen: &Seen| {
        let text = String::from_utf8_lossy(&seen.body).into_owned();
        let is_polite = text.contains("Gladly");
        Step::text(
            &json!({"reason": "as it sounds", "pass": is_polite, "score": u8::from(is_polite)}).to_string(),
        )
    });
    app
}

#[test]
fn a_judge_that_agrees_with_people_may_gate_and_that_is_kept() {
    let app = start(&rows(60, 20));
    let asked = ["eval", "calibrate", "tone", "--metric", "polite"];
    let found = app.command_json(&asked);
    assert_eq!(
        (&found["verdict"], &found["n"], &found["unscored"]),
        (&json!("pass"), &json!(60), &json!(0)),
        "{found}"
    );
    assert_eq!(found["confusion"]["counts"], json!([[30, 3], [0, 27]]), "{found}");
    assert!(found["kappa"]["low"].as_f64().unwrap() > 0.4, "{found}");
    let calls = app.provider.take_requests();
    assert_eq!(calls.len(), 60, "the judge alone is asked, once a row");
    // A second time the judge is asked anew, and compared with the first.
    let again = app.command_json(&asked);
    assert_eq!(app.provider.take_requests().len(), 60);
    let drift = &again["drift"];
    assert_eq!(
        (&drift["same_judge"], &drift["has_drifted"], &drift["rows"]),
        (&json!(true), &json!(false), &json!(60))
    );
    let gates = app.api("/api/v1/evals/gates?suite=calibration:rubric");
    let gates = gates["gates"].as_array().unwrap();
    assert_eq!(gates.len(), 2);
    assert_eq!(gates[0]["report"]["judge"], "prov/judge");
    let run = gates[0]["run"].as_str().unwrap();
    let results = app.api(&format!("/api/v1/evals/runs/{run}/results"));
    assert_eq!(results["results"].as_array().unwrap().len(), 60);
    let trace = app.last_trace();
    assert_eq!(trace["record"]["prompt"]["name"], "judge-rubric");
    assert_eq!(trace["record"]["caller"]["eval_id"].as_str(), Some(run));
}

/// What the program shows on a terminal, and its code; none without the Python that makes the terminal.
fn on_a_terminal(app: &TestApp, args: &[&str]) -> Option<(Option<i32>, String)> {
    let spawn = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    let mut command = Command::new(parts::python()?);
    command.args(["-I", "-c", spawn, env!("CARGO_BIN_EXE_gauntlet")]).args(args).stdin(Stdio::null());
    command.env("GAUNTLET_CONFIG", app.config_dir()).env("GAUNTLET_DATA", app.data_dir());
    let ended = command.current_dir(app.folder()).output().expect("Python runs");
    Some((ended.status.code(), String::from_utf8_lossy(&ended.stdout).into_owned()))
}

#[test]
fn a_calibration_tells_its_calls_and_its_progress_at_a_terminal_and_nowhere_else() {
    let app = start(&rows(60, 20));
    let asked = ["eval", "calibrate", "tone", "--metric", "polite"];
    let as_json = ["eval", "calibrate", "tone", "--metric", "polite", "--json"];
    let (told, progress) = ("prov/judge rates 60 rows by rubric, anew: 60 calls at most", "60 of 60, ");
    for args in [&asked[..], &as_json[..]] {
        let piped = app.command(args).expect_ok();
        assert_eq!(piped.stderr, "", "{args:?}");
        assert!(!piped.stdout.contains(told), "{}", piped.stdout);
    }
    let Some((code, shown)) = on_a_terminal(&app, &asked) else { return };
    assert_eq!(code, Some(0), "{shown}");
    for wanted in [told, progress, "more answers, between $", "it may gate"] {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
    // This terminal has no width, and its tables stay readable all the same.
    assert!(shown.contains("same verdict"), "{shown}");
    let (told_at, progress_at) = (shown.find(told), shown.rfind(progress));
    assert!(told_at < progress_at && progress_at < shown.find("it may gate"), "{shown}");
    let (code, shown) = on_a_terminal(&app, &as_json).expect("there was a terminal before");
    assert_eq!(code, Some(0), "{shown}");
    assert!(!shown.contains(told) && !shown.contains(progress), "{shown}");
}

#[test]
fn too_few_ratings_prove_nothing_and_bad_rows_are_named() {
    let app = start(&rows(20, 0));
    let ended = app.command(&["eval", "calibrate", "tone", "--metric", "polite"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stdout.contains("30 more ratings are needed"), "{}", ended.stdout);
    let check = |rows: &str, metric: &str, wanted: &str| {
        app.write("evals/tone.jsonl", rows);
        let ended = app.command(&["eval", "calibrate", "tone", "--metric", metric]);
        assert_eq!(ended.code, Some(2), "{}", ended.stdout);
        assert!(ended.stderr.contains(wanted), "{}", ended.stderr);
    };
    let row = |human: Value| json!({"id": "a", "input": "x", "output": "y", "human": human}).to_string();
    check(&row(json!([1])), "polite", "tone.jsonl:1: `human` is neither a number nor a word");
    check(&json!({"input": "x", "human": 1}).to_string(), "polite", "`output` is missing");
    check(
        &json!({"input": "x", "output": "y"}).to_string(),
        "polite",
        "no row of tone holds what people said",
    );
    check(&row(json!(1)), "polit", "did you mean `polite`?");
}

const QUERIES: &str = r#"{"id": "q1", "query": "How to return?", "relevant": ["kb-1"], "retrieved": ["kb-9", "kb-1"]}
{"id": "q2", "query": "Where is it?", "relevant": {"kb-2": 3, "kb-3": 1}, "retrieved": ["kb-2"]}
{"id": "q3", "query": "Broken on purpose", "relevant": ["kb-4"], "retrieved": ["kb-5"]}
"#;

/// Finds the right document first, but for one query that it fails on; the address.
fn retriever() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/search", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { continue };
            let mut reader = BufReader::new(stream);
            let mut length = 0;
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap_or(0);
                }
                line.clear();
            }
            let mut body = vec![0; length];
            if reader.read_exact(&mut body).is_err() {
                continue;
            }
            let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
            let (status, found) = match asked["query"].as_str() {
                Some("How to return?") => (200, json!([{"id": "kb-1"}, {"id": "kb-7"}])),
                Some("Where is it?") => (200, json!([{"id": "kb-2"}, {"id": "kb-3"}])),
                _ => (500, json!([])),
            };
            let answer = json!({"results": found}).to_string();
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                answer.len()
            );
            let mut stream = reader.into_inner();
            let _ = stream.write_all(format!("{head}{answer}").as_bytes());
        }
    });
    url
}

fn mean(report: &Value, measure: &str) -> f64 {
    let figures = report["figures"].as_array().expect("figures");
    let figure = figures.iter().find(|figure| figure["measure"] == measure).expect("the measure is there");
    figure["mean"].as_f64().expect("a mean")
}

#[test]
fn retrievers_are_measured_from_rows_from_traces_and_live() {
    let app = start("");
    let file = app.folder().join("queries.jsonl");
    std::fs::write(&file, QUERIES).expect("a file");
    let file = file.display().to_string();
    let recorded = app.command_json(&["eval", "retrieval", &file, "--k", "1,2"]);
    assert!((mean(&recorded["report"], "hit@1") - 1.0 / 3.0).abs() < 1e-9, "{recorded}");
    assert!((mean(&recorded["report"], "mrr") - 0.5).abs() < 1e-9, "{recorded}");

    let live = retriever();
    let both = app.command_json(&["eval", "retrieval", &file, "--k", "1,2", "--compare", &live]);
    assert_eq!(both["compared"]["queries"], 2, "{both}");
    let second = &both["second"]["report"];
    assert_eq!((&second["errors"], &second["scored"]), (&json!(1), &json!(2)));
    assert!(second["error_examples"][0][1].as_str().unwrap().contains("status 500"), "{second}");
    assert!((mean(second, "hit@1") - 1.0).abs() < 1e-9);

    let headers = [("x-gauntlet-documents", r#"[{"id": "kb-9"}, {"id": "kb-1", "score": 0.5}]"#)];
    let reply = app.chat(&headers, &TestApp::body("how to  RETURN?"));
    app.trace_of(&reply);
    let traced = app.command_json(&["eval", "retrieval", &file, "--k", "2", "--retriever", "traces"]);
    assert_eq!(
        (&traced["report"]["scored"], &traced["report"]["errors"]),
        (&json!(1), &json!(2)),
        "{traced}"
    );
    assert!((mean(&traced["report"], "mrr") - 0.5).abs() < 1e-9);
}

#[test]
fn a_source_or_a_dataset_that_cannot_be_is_told_with_the_cure() {
    let app = start("");
    let check = |rows: &str, args: &[&str], wanted: &str| {
        let file = app.folder().join("queries.jsonl");
        std::fs::write(&file, rows).expect("a file");
        let file = file.display().to_string();
        let args: Vec<&str> = ["eval", "retrieval", &file].into_iter().chain(args.iter().copied()).collect();
        let ended = app.command(&args);
        assert_eq!(ended.code, Some(2), "{}", ended.stdout);
        assert!(ended.stderr.contains(wanted), "{}", ended.stderr);
    };
    check(QUERIES, &["--retriever", "nowhere"], "`nowhere` is no source of rankings");
    check(QUERIES, &["--k", "0"], "write numbers of places from 1");
    check(QUERIES, &["--retriever", "http://127.0.0.1:1/"], "the retriever cannot be asked");
    check("{\"query\": \"x\"}\n", &[], "no line says what is relevant");
    check("{\"query\": \"x\", \"relevant\": 3}\n", &[], "queries.jsonl:1");
    check(QUERIES, &["--retriever", "traces"], "no call that was looked at asked this");
}
