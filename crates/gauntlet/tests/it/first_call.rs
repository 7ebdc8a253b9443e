//! A person changes one URL, and the call is answered, paid for and recorded.

use gauntlet_testkit::Step;
use serde_json::json;

use crate::app::TestApp;

#[test]
fn a_plain_call_is_answered_paid_for_and_recorded() {
    let app = TestApp::with_files("", &[("budgets.yml", "tenants:\n  default:\n    daily_usd: 5\n")]);
    app.provider.script([Step::text("hello there")]);
    let reply = app.chat(&[("x-gauntlet-user", "ann"), ("x-gauntlet-session", "s1")], &TestApp::body("hi"));
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "hello there");
    let trace = app.trace_of(&reply);
    let record = &trace["record"];
    assert_eq!(record["outcome"], "ok");
    assert_eq!(record["caller"]["user"], "ann");
    assert_eq!(record["caller"]["session"], "s1");
    let usage = &reply.json()["usage"];
    let (input, output) =
        (usage["prompt_tokens"].as_i64().unwrap(), usage["completion_tokens"].as_i64().unwrap());
    assert_eq!(record["cost"], json!(input * 1_000 + output * 2_000));
    assert_eq!(trace["input"]["messages"][0]["content"], "hi");
    assert_eq!(trace["output"]["choices"][0]["message"]["content"], "hello there");
    let seen = app.provider.requests();
    assert_eq!(seen.len(), 1);
}
