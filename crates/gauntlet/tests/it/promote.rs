//! A call becomes a case of a dataset: what was asked, what was answered, where it came from; once.

use std::fs;

use gauntlet_testkit::{Step, http};
use serde_json::{Value, json};

use crate::app::TestApp;

const GREET: &str =
    "name: greet\nversion: 1.0.0\nvariables: {who: {required: true}}\ntemplate: Greet {{ who }}.\n";

fn id(reply: &http::Reply) -> String {
    reply.header("x-gauntlet-request-id").unwrap().to_owned()
}

fn cases(app: &TestApp, file: &str) -> Vec<Value> {
    let text = fs::read_to_string(app.config_dir().join(file)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_call_becomes_a_case_once() {
    let app = TestApp::with_files("routes: {bot: {input: {pii: redact}}}", &[("prompts/greet.yaml", GREET)]);
    app.provider.default(Step::answer(&["Hello ", "Bo"]).usage(9, 5));
    let body = json!({"model": "prov/test-model", "gauntlet": {"prompt": "greet@1.0.0", "variables": {"who": "Bo"}},
        "messages": [{"role": "user", "content": "shortly"}]});
    let greeted = app.chat(&[("x-gauntlet-route", "bot")], &body);
    let plain = app.chat(&[("x-gauntlet-route", "bot")], &TestApp::body("I am ann@example.com"));
    for reply in [&greeted, &plain] {
        assert_eq!(reply.status, 200, "{}", reply.text());
        app.trace_of(reply);
    }
    let said = app.command(&["trace", "promote", &id(&greeted), "--dataset", "greetings", "--as-answered"]);
    let said = said.expect_ok().stdout;
    assert!(said.contains("is a case of") && !said.contains("expects nothing"), "{said}");
    let said =
        app.command_json(&["trace", "promote", &id(&plain), "--dataset", "greetings", "--tag", "golden"]);
    let found = cases(&app, "evals/greetings.jsonl");
    assert_eq!(said["case"], found[1]);
    let first = &found[0];
    assert_eq!(
        (&first["id"], &first["prompt"], &first["vars"]),
        (&json!(id(&greeted)), &json!("greet"), &json!({"who": "Bo"}))
    );
    assert_eq!(
        first["messages"],
        json!([{"role": "user", "content": "shortly"}]),
        "without what the prompt rendered"
    );
    assert_eq!((&first["output"], &first["expected"]), (&json!("Hello Bo"), &json!("Hello Bo")));
    assert_eq!(
        (&first["source"]["route"], &first["source"]["prompt"]["version"]),
        (&json!("bot"), &json!("1.0.0"))
    );
    assert_eq!(first["source"]["call"], json!(id(&greeted)), "an erasure finds its way by it");
    let second = &found[1];
    assert_eq!((second.get("expected"), second.get("prompt")), (None, None));
    assert_eq!(second["tags"], json!(["golden"]));
    let asked = second["messages"][0]["content"].as_str().unwrap();
    assert!(asked.starts_with("I am ") && !asked.contains("ann@"), "{asked}");

    let again =
        app.command(&["trace", "promote", &id(&plain), "--dataset", "greetings", "--expected", "Hello Ann"]);
    assert!(again.code == Some(2) && again.stderr.contains("greetings.jsonl:2: the case"), "{again}");
    assert_eq!(cases(&app, "evals/greetings.jsonl").len(), 2);
}

#[test]
fn what_can_be_no_case_is_said() {
    let app = TestApp::start("routes: {quiet: {record: {bodies: false}}}");
    app.provider.default(Step::text("Hello"));
    let kept = app.chat(&[], &TestApp::body("Hello"));
    let quiet = app.chat(&[("x-gauntlet-route", "quiet")], &TestApp::body("Hello"));
    app.trace_of(&kept);
    app.trace_of(&quiet);
    let refused = |id: &str, dataset: &str, why: &str| {
        let ended = app.command(&["trace", "promote", id, "--dataset", dataset]);
        assert!(ended.code == Some(2) && ended.stderr.contains(why), "{ended}");
    };
    refused(&id(&quiet), "d", "were not kept");
    refused("r_00000000000070008000000000000000", "d", "there is no trace");
    refused(&id(&kept), "../d", "neither the name of a dataset");
    let broken = app.folder().join("broken.jsonl");
    // The last line is cut short, as by an editor.
    fs::write(&broken, "{\"id\": \"one\"}\n\n{\"id\": ").unwrap();
    refused(&id(&kept), &broken.display().to_string(), "broken.jsonl:3: this line is no JSON");
    fs::write(&broken, "{\"id\": \"one\"}").unwrap();
    app.command(&["trace", "promote", &id(&kept), "--dataset", &broken.display().to_string()]).expect_ok();
    assert_eq!(fs::read_to_string(&broken).unwrap().lines().count(), 2);
}
