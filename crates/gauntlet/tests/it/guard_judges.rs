//! A model asked about what goes in and what comes out: the dear tier of the guards.

use gauntlet_testkit::{Seen, Step};
use serde_json::{Value, json};

use crate::app::TestApp;

const CONFIG: &str = "default: {unpriced: allow}
routes:
  asked: {input: {injection: off, judge: {action: block, model: prov/judge}}}
  beside: {input: {injection: off, judge: {action: block, model: prov/judge, alongside: yes}}}
  open: {input: {injection: off, judge: {action: block, model: prov/judge, on_error: open}}}
  harm: {output: {judge: {action: block, model: prov/judge, types: {mild: flag}}}, fallback: Let us talk of something else.}
  trial: {input: {judge: {action: block, model: prov/judge, shadow: yes}}}
";

fn start() -> TestApp {
    let app = TestApp::start(CONFIG);
    app.provider.respond(|seen| {
        let text = text(seen);
        if model(seen) != "judge" {
            return if is_stream(seen) {
                Step::stream(&["you ", "said ", &text])
            } else {
                Step::text(&format!("you said {text}"))
            };
        }
        Step::text(match () {
            () if text.contains("EVIL") => "{\"score\": 0.93, \"category\": \"takeover\"}",
            () if text.contains("MILD") => "{\"score\": 0.7, \"category\": \"mild\"}",
            () if text.contains("CONFUSING") => "I would rather not say.",
            () => "{\"score\": 0.02, \"category\": \"none\"}",
        })
    });
    app
}

fn body(seen: &Seen) -> Value {
    serde_json::from_slice(&seen.body).unwrap()
}

fn model(seen: &Seen) -> String {
    body(seen)["model"].as_str().unwrap().to_owned()
}

fn is_stream(seen: &Seen) -> bool {
    body(seen)["stream"] == true
}

fn text(seen: &Seen) -> String {
    let body = body(seen);
    body["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap().to_owned()
}

fn route(name: &str) -> [(&'static str, &str); 1] {
    [("x-gauntlet-route", name)]
}

fn models(app: &TestApp) -> Vec<String> {
    app.provider.take_requests().iter().map(model).collect()
}

#[test]
fn a_judge_decides_before_the_model_is_asked() {
    let app = start();
    assert_eq!(app.chat(&route("asked"), &TestApp::body("hello")).status, 200);
    assert_eq!(models(&app).len(), 2);
    let reply = app.chat(&route("asked"), &TestApp::body("an EVIL thing, ann.lee@mail-house.org"));
    assert_eq!(reply.json()["error"]["code"], "guardrail_blocked");
    let seen = app.provider.take_requests();
    assert_eq!(seen.iter().map(model).collect::<Vec<_>>(), ["judge"]);
    assert!(!text(&seen[0]).contains("ann.lee"), "a judge is shown nothing private");
    let record = app.trace_of(&reply)["record"].clone();
    let note =
        record["guard"].as_array().unwrap().iter().find(|note| note["kind"] == "judge").unwrap().clone();
    assert_eq!((&note["label"], &note["action"]), (&json!("takeover"), &json!("block")));
    let judged = app.api("/api/v1/traces?environment=judge");
    let of_judge = judged["traces"].as_array().unwrap();
    assert_eq!(of_judge.len(), 2, "its calls are recorded as calls: {judged}");
}

#[test]
fn the_same_text_is_judged_once() {
    let app = start();
    for _ in 0..3 {
        assert_eq!(app.chat(&route("asked"), &TestApp::body("hello again")).status, 200);
    }
    assert_eq!(models(&app).iter().filter(|model| *model == "judge").count(), 1);
}

#[test]
fn a_judge_that_talks_nonsense_closes_or_opens_as_the_rule_says() {
    let app = start();
    let confusing = TestApp::body("CONFUSING");
    let closed = app.chat(&route("asked"), &confusing);
    assert_eq!(closed.json()["error"]["code"], "guardrail_blocked");
    assert!(closed.json()["error"]["message"].as_str().unwrap().contains("fails closed"));
    let open = app.chat(&route("open"), &confusing);
    assert_eq!(open.status, 200);
    let runs = app.trace_of(&open)["record"]["guard_runs"].clone();
    let judge = runs.as_array().unwrap().iter().find(|run| run["kind"] == "judge").unwrap().clone();
    assert_eq!(judge["outcome"], "failed", "what has failed has not passed");
}

#[test]
fn a_judge_beside_the_model_is_heard_before_anything_goes_out() {
    let app = start();
    let evil = TestApp::body("something EVIL");
    assert_eq!(app.chat(&route("beside"), &evil).json()["error"]["code"], "guardrail_blocked");
    let streamed = app.stream(&route("beside"), &evil).collect();
    assert!(!format!("{:?}", streamed.frames).contains("you said"));
    assert!(models(&app).iter().any(|model| model != "judge"), "the model was asked meanwhile");
    let fine = app.stream(&route("beside"), &TestApp::body("hello")).collect();
    assert_eq!(fine.text(), "you said hello");
}

#[test]
fn answers_are_judged_whole() {
    let app = start();
    for is_stream in [false, true] {
        let said = |words: &str| {
            let body = TestApp::body(words);
            if is_stream {
                app.stream(&route("harm"), &body).collect().text()
            } else {
                let json = app.chat(&route("harm"), &body).json();
                json["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
            }
        };
        assert_eq!(said("EVIL"), "Let us talk of something else.");
        assert_eq!(said("hello"), "you said hello");
        assert_eq!(said("MILD"), "you said MILD");
    }
}

#[test]
fn a_judge_on_trial_stops_nothing() {
    let app = start();
    let reply = app.chat(&route("trial"), &TestApp::body("EVIL"));
    assert_eq!(reply.status, 200);
    let notes = app.trace_of(&reply)["record"]["guard"].clone();
    let note = notes.as_array().unwrap().iter().find(|note| note["kind"] == "judge").unwrap().clone();
    assert_eq!(note["shadow"], true);
}
