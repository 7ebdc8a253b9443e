//! Which guards hold for a call, by the command line and by the API; and what two versions of a policy differ in.

use gauntlet_testkit::http;
use serde_json::{Value, json};

use crate::app::TestApp;

const MAIN: &str = "guardrails:
  floor: strict
  tenants: {acme: {input: {pii: {action: mask, types: {US_SSN: block}}}}}
  keys: {app: {input: {injection: block}}}
routes:
  bot: {input: {pii: off, secrets: flag}}
";
const STRICT: &str = "name: strict\nversion: 1.2.0\ninput: {pii: redact, secrets: block}\n";
const EXCEPTIONS: &str = "- {kind: pii, type: PHONE_NUMBER, route: bot, until: 2999-01-01, why: our hotline}\n\
                          - {kind: pii, type: IMEI, until: 2020-01-01}\n";

fn start() -> TestApp {
    TestApp::with_files(MAIN, &[("guardrails/strict.yaml", STRICT), ("exceptions.yml", EXCEPTIONS)])
}

fn rule(explained: &Value, kind: &str) -> Value {
    let rules = explained["rules"].as_array().unwrap();
    rules.iter().find(|rule| rule["kind"] == kind && rule["direction"] == "input").unwrap().clone()
}

#[test]
fn the_effective_policy_says_where_each_rule_comes_from() {
    let app = start();
    let args = ["guard", "explain", "--tenant", "acme", "--route", "bot", "--key", "app"];
    let explained = app.command_json(&args);
    let levels: Vec<_> =
        explained["levels"].as_array().unwrap().iter().map(|one| one["level"].clone()).collect();
    assert_eq!(levels, ["floor", "tenant", "route", "key"]);
    assert_eq!(explained["levels"][0]["file"], "guardrails/strict.yaml");
    let secrets = rule(&explained, "secrets");
    assert_eq!(secrets["action"], "block");
    assert!(secrets["by"].as_str().unwrap().starts_with("floor, strict@1.2.0 ("));
    assert_eq!(secrets["voices"][1]["effect"], "milder");
    assert_eq!(rule(&explained, "injection")["by"], "key app");
    assert_eq!(
        rule(&explained, "pii")["types"],
        json!([{"type": "US_SSN", "action": "block", "by": "tenant acme"}])
    );
    assert_eq!(explained["exceptions"].as_array().unwrap().len(), 1, "the other has ended");
    let said = app.command(&args).expect_ok().stdout;
    for words in
        ["Guards of tenant acme, route bot, key app", "US_SSN", "milder, loosens nothing", "our hotline"]
    {
        assert!(said.contains(words), "`{words}` in {said}");
    }
    let mut by_api = app.api("/api/v1/guard/explain?tenant=acme&route=bot&key=app");
    by_api["exceptions"][0]["days_left"] = explained["exceptions"][0]["days_left"].clone();
    assert_eq!(by_api, explained);
}

#[test]
fn what_does_not_exist_is_refused_with_what_does() {
    let app = start();
    let ended = app.command(&["guard", "explain", "--route", "bo"]);
    assert!(ended.code == Some(2) && ended.stderr.contains("no route `bo`; there are: bot"), "{ended}");
    for (query, status) in [("route=bo", 404), ("policy=lax", 404), ("rout=bot", 400)] {
        let reply = http::get(&app.url(&format!("/api/v1/guard/explain?{query}")), &[]).unwrap();
        assert_eq!(reply.status, status, "{}", reply.text());
    }
}

#[test]
fn a_looser_policy_asks_for_a_major_version() {
    let app = start();
    app.write(
        "lax.yaml",
        "name: strict\nversion: 1.3.0\ninput: {pii: redact, secrets: flag, injection: flag}\n",
    );
    let file = app.config_dir().join("lax.yaml").display().to_string();
    let ended = app.command(&["guard", "diff", "strict", &file]);
    assert!(ended.code == Some(1) && ended.stdout.contains("Tighter here and looser there"), "{ended}");
    assert!(ended.stdout.contains("1.3.0 is not enough after 1.2.0"), "{ended}");
    let ended = app.command(&["guard", "diff", &file, "strict@1.2.0", "--json"]);
    assert!(ended.json()["warnings"][0].as_str().unwrap().contains("swapped"), "{ended}");
    let same = app.command(&["guard", "diff", "strict", "strict@1.2.0"]).expect_ok();
    assert!(same.stdout.contains("No rule differs"), "{same}");
}
