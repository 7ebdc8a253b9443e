//! Names and places, found by rules or by a model from a directory.

use gauntlet_testkit::Step;
use serde_json::{Value, json};

use crate::app::TestApp;

const CONFIG: &str = "routes: {support: {input: {names: redact}, output: {names: mask}}, plain: {}}\n";

#[test]
fn names_are_found_by_rules_where_a_rule_asks_for_them() {
    let app = TestApp::start(CONFIG);
    app.provider.respond(|seen| {
        let is_stream = serde_json::from_slice::<Value>(&seen.body).unwrap()["stream"] == true;
        match is_stream {
            true => Step::stream(&["Dr. Ann", " Smith lives in", " Paris."]),
            false => Step::text("Dr. Ann Smith lives in Paris."),
        }
    });
    let asked = TestApp::body("My name is Ann Smith and I live in Paris.");
    let reply = app.chat(&[("x-gauntlet-route", "support")], &asked);
    let sent: Value = serde_json::from_slice(&app.provider.last_request().body).unwrap();
    assert_eq!(
        sent["messages"][0]["content"],
        "My name is [REDACTED:PERSON] and I live in [REDACTED:LOCATION]."
    );
    let shown = reply.json()["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    assert!(!shown.contains("Smith") && !shown.contains("Paris"), "{shown}");
    let trace = app.trace_of(&reply);
    assert!(!trace.to_string().contains("Smith"), "{trace}");
    let streamed = app.stream(&[("x-gauntlet-route", "support")], &asked).collect();
    assert_eq!(streamed.text(), shown, "streamed as plain");
    let plain = app.chat(&[("x-gauntlet-route", "plain")], &asked);
    assert!(plain.text().contains("Ann Smith"), "off unless asked");
    assert_eq!(
        app.trace_of(&plain)["input"]["messages"][0]["content"],
        json!("My name is Ann Smith and I live in Paris.")
    );
}

#[test]
fn names_in_the_arguments_of_tools_are_not_kept() {
    let app = TestApp::start(CONFIG);
    app.provider.default(Step::tool_calls(&[("greet", &["{\"text\":\"My name is Ann Smith\"}"])]));
    let reply = app.chat(&[("x-gauntlet-route", "support")], &TestApp::body("hello"));
    let trace = app.trace_of(&reply);
    assert_eq!(trace["record"]["tool_calls"][0]["name"], "greet");
    assert!(!trace.to_string().contains("Smith"), "{trace}");
}

#[test]
fn a_folder_without_a_model_is_told_at_the_check() {
    let app = TestApp::start(CONFIG);
    app.write(
        "gauntlet.yml",
        "guardrails: {models: {names: no-such-folder}}\ndefault: {input: {names: flag}}\n",
    );
    let checked = app.command(&["check", app.config_dir().to_str().unwrap()]);
    assert_ne!(checked.code, Some(0));
    let told = format!("{}{}", checked.stdout, checked.stderr);
    assert!(told.contains("no-such-folder"), "{told}");
    app.write("gauntlet.yml", "default: {input: {classifier: {action: flag, label: INJECTION}}}\n");
    let checked = app.command(&["check", app.config_dir().to_str().unwrap()]);
    let told = format!("{}{}", checked.stdout, checked.stderr);
    assert!(told.contains("`guardrails: models: classifier`"), "{told}");
}
