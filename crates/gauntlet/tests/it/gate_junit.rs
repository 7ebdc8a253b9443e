//! Reports in JUnit's form, read by a program that others read them with: the counts are right, and no text of a case or a model
//! breaks out of its place.

use std::{path::Path, process::Command};

use gauntlet_testkit::{Seen, Step, parts};
use serde_json::{Value, json};

use crate::app::TestApp;

const READER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/junit_reader.py");

const SUITE: &str = "suite: s
dataset: s.jsonl
model: prov/test-model
params: {max_tokens: 10}
metrics: [exact: {threshold: 1, floor: 0.5, when_present: graded}]
";

const PASSES: &str = r#"<script>alert("x")</script>"#;
const FAILS: &str = "]]> & 'ä' 😀 \u{202e}";
const LOST: &str = "lost";
const UNGRADED: &str = "ungraded";
/// What ends a block of text, what looks like markup, and what XML cannot hold.
const WRONG: &str = "no ]]> </failure><b>\"&amp;\" 😀 \u{1}\u{1b}[31m\u{fffe}\u{85}end\r\nof line\ttwo";

fn app() -> TestApp {
    let row = |id: &str, input: &str| json!({"id": id, "input": input, "expected": "yes", "graded": true});
    let mut rows = [row(PASSES, "right"), row(FAILS, "wrong"), row(LOST, "lost"), row(UNGRADED, "right")];
    rows[3].as_object_mut().unwrap().remove("graded");
    let rows: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let app = TestApp::with_files("", &[("evals/s.yaml", SUITE), ("evals/s.jsonl", &rows)]);
    app.provider.respond(|seen: &Seen| {
        let asked = seen.json()["messages"].to_string();
        match () {
            () if asked.contains("lost") => {
                Step::error(400, "invalid_request_error", "odd", "<no> ]]> \u{7}")
            }
            () if asked.contains("wrong") => Step::text(WRONG),
            () => Step::text("yes"),
        }
    });
    app
}

fn read(python: &Path, file: &str) -> Value {
    let read = Command::new(python).arg(READER).arg(file).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    serde_json::from_slice(&read.stdout).unwrap()
}

/// What a report says of itself is what its reader counts in it.
fn counts_are_right(node: &Value, figures: &[&str]) {
    let (declared, counted) = (&node["declared"], &node["counted"]);
    for figure in figures {
        assert_eq!(declared[figure], counted[figure], "{figure} of {node}");
    }
    let seconds = |side: &Value| side["time"].as_f64().expect("a time");
    // Each case is rounded to a thousandth.
    assert!((seconds(declared) - seconds(counted)).abs() < 0.01, "{node}");
}

fn check(report: &Value) {
    counts_are_right(report, &["tests", "failures", "errors"]);
    let [gate, cases] = report["suites"].as_array().unwrap().as_slice() else {
        panic!("two suites: {report}")
    };
    for suite in [gate, cases] {
        counts_are_right(suite, &["tests", "failures", "errors", "skipped"]);
    }
    assert_eq!((&gate["name"], &cases["name"]), (&json!("s: gate"), &json!("s: cases")));
    assert!(["pass", "fail", "inconclusive"].contains(&gate["properties"]["verdict"].as_str().unwrap()));
    let failing = gate["declared"]["failures"].as_u64().unwrap();
    assert!(failing > 0, "an answer is missing, and one of two is wrong: {gate}");
    assert_eq!(
        (&cases["declared"]["tests"], &cases["declared"]["failures"], &cases["declared"]["errors"]),
        (&json!(4), &json!(1), &json!(1))
    );
    assert_eq!(cases["declared"]["skipped"], 1);
    assert!(cases["declared"]["time"].as_f64().unwrap() > 0.0, "{cases}");
    let case = |name: &str| {
        let mut found = cases["cases"].as_array().unwrap().iter().filter(|case| case["name"] == name);
        found.next().unwrap_or_else(|| panic!("no case {name:?} in {cases}"))
    };
    assert_eq!(case(PASSES)["results"], json!([]));
    assert_eq!(case(UNGRADED)["results"][0]["kind"], "Skipped");
    let failed = &case(FAILS)["results"][0];
    assert_eq!((&failed["kind"], &failed["type"]), (&json!("Failure"), &json!("threshold")));
    let held = WRONG.replace(['\u{1}', '\u{1b}', '\u{fffe}', '\u{85}'], "\u{fffd}");
    assert!(failed["text"].as_str().unwrap().contains(&held), "{failed}");
    let lost = &case(LOST)["results"][0];
    assert_eq!((&lost["kind"], &lost["type"]), (&json!("Error"), &json!("no_answer")));
    assert!(!lost["message"].as_str().unwrap().is_empty(), "{lost}");
}

#[test]
fn another_reader_finds_every_case_of_a_run_and_of_a_gate() {
    let Some(python) = parts::gate() else { return };
    let app = app();
    let file = |name: &str| app.folder().join(name).display().to_string();
    let (run, gate) = (file("run.xml"), file("gate.xml"));
    app.command(&["eval", "run", "s", "--junit", &run]).expect_ok();
    let verdict = app.command(&["gate", "s", "--baseline", "none", "--junit", &gate]);
    assert_eq!(verdict.code, Some(1), "{verdict}");
    for report in [run, gate] {
        check(&read(&python, &report));
    }
}
