//! Requests and tokens a minute and calls at once are held to, and a refused caller is told when to come back.

use std::{thread, time::Duration};

use gauntlet_testkit::{Step, http::Reply};
use serde_json::json;

use crate::app::TestApp;

fn limited(app: &TestApp, reply: &Reply, says: &[&str]) {
    assert_eq!(reply.status, 429, "{}", reply.text());
    let error = &reply.json()["error"];
    assert_eq!(error["code"], "rate_limited", "{error}");
    let wait: u64 = reply.header("retry-after").and_then(|wait| wait.parse().ok()).expect("Retry-After");
    assert!((1..=180).contains(&wait), "{wait}");
    for part in says {
        assert!(error["message"].as_str().unwrap().contains(part), "{error}");
    }
    let record = &app.trace_of(reply)["record"];
    assert_eq!((&record["outcome"], &record["error"]), (&"refused".into(), &"rate_limited".into()));
    assert_eq!(record["cost"], 0);
}

fn route(app: &TestApp, route: &str) -> Reply {
    app.chat(&[("x-gauntlet-route", route)], &TestApp::body("hi"))
}

#[test]
fn requests_a_minute_are_held_to() {
    let app = TestApp::start("routes:\n  slow: {limits: {rpm: 2}}\n  free: {}");
    assert_eq!((route(&app, "slow").status, route(&app, "slow").status), (200, 200));
    limited(&app, &route(&app, "slow"), &["route `slow`", "2 requests a minute"]);
    assert_eq!(route(&app, "free").status, 200, "other routes go on");
    assert_eq!(app.provider.requests().len(), 3);
}

#[test]
fn each_key_tenant_user_and_model_has_its_own_rate() {
    let app = TestApp::start(
        r#"limits:
  tenants: {acme: {rpm: 1}}
  users: {ann: {rpm: 1}}
  models: {test-model: {rpm: 4}}
keys:
  - {name: app, key: the-key-of-the-app-0123456789, tenant: acme}
  - {name: web, key: the-key-of-the-web-0123456789, tenant: other, limits: {rpm: 1}}"#,
    );
    let call = |key: &str, user: &str| {
        let bearer = format!("Bearer the-key-of-the-{key}-0123456789");
        app.chat(&[("authorization", &bearer), ("x-gauntlet-user", user)], &TestApp::body("hi"))
    };
    assert_eq!(call("app", "bob").status, 200);
    limited(&app, &call("app", "bob"), &["tenant `acme`"]);
    assert_eq!(call("web", "ann").status, 200);
    limited(&app, &call("web", "bob"), &["key `web`"]);
}

#[test]
fn a_limit_on_a_model_holds_by_whatever_name_it_is_asked_for() {
    let app = TestApp::start(
        "models:\n  alias: {targets: [prov/test-model]}\nlimits:\n  models: {test-model: {rpm: 2}}",
    );
    let ask = |model: &str| {
        app.chat(&[], &json!({"model": model, "messages": [{"role": "user", "content": "hi"}]}))
    };
    assert_eq!((ask("prov/test-model").status, ask("alias").status), (200, 200));
    for name in ["prov/test-model", "alias", "test-model"] {
        limited(&app, &ask(name), &["model `test-model`"]);
    }
}

#[test]
fn tokens_a_minute_are_counted_as_they_were_used() {
    let app = TestApp::start("limits:\n  tenants: {default: {tpm: 200}}");
    app.provider.default(Step::answer(&["hello"]).usage(150, 150));
    // The estimate of a short call is small; what it really used counts against the next.
    assert_eq!(app.chat(&[], &TestApp::body("hi")).status, 200);
    limited(&app, &app.chat(&[], &TestApp::body("hi")), &["200 tokens a minute"]);
    assert_eq!(app.chat(&[("x-gauntlet-tenant", "other")], &TestApp::body("hi")).status, 200);
}

#[test]
fn a_third_call_waits_for_a_place_and_a_fourth_is_refused() {
    let app = TestApp::start("routes:\n  narrow: {limits: {max_concurrency: 2, queue: 1, queue_wait: 5s}}");
    app.provider.default(Step::answer(&["hello"]).delay(Duration::from_millis(500)));
    thread::scope(|scope| {
        let first: Vec<_> = (0..2).map(|_| scope.spawn(|| route(&app, "narrow"))).collect();
        assert!(app.provider.wait_for_requests(2, Duration::from_secs(5)));
        // Two more at once: one finds the queue's only place, the other finds it taken.
        let more: Vec<_> = (0..2).map(|_| scope.spawn(|| route(&app, "narrow"))).collect();
        let replies: Vec<Reply> = more.into_iter().map(|call| call.join().unwrap()).collect();
        let (passed, refused): (Vec<&Reply>, Vec<&Reply>) =
            replies.iter().partition(|reply| reply.status == 200);
        assert_eq!(
            (passed.len(), refused.len()),
            (1, 1),
            "{:?}",
            replies.iter().map(Reply::text).collect::<Vec<_>>()
        );
        limited(&app, refused[0], &["2 calls at once"]);
        let stages = app.trace_of(passed[0])["record"]["stages"].clone();
        let limit =
            stages.as_array().unwrap().iter().find(|stage| stage["stage"] == "limit").unwrap().clone();
        assert!(limit["took_us"].as_u64().unwrap() > 20_000, "its wait is in the record: {limit}");
        assert!(first.into_iter().all(|call| call.join().unwrap().status == 200));
    });
    assert_eq!(route(&app, "narrow").status, 200, "the places are free again");
}

#[test]
fn a_place_is_waited_for_only_so_long() {
    let app = TestApp::start("routes:\n  narrow: {limits: {max_concurrency: 1, queue_wait: 100ms}}");
    app.provider.script([Step::answer(&["hello"]).delay(Duration::from_millis(800))]);
    thread::scope(|scope| {
        let first = scope.spawn(|| route(&app, "narrow"));
        assert!(app.provider.wait_for_requests(1, Duration::from_secs(5)));
        let second = route(&app, "narrow");
        limited(&app, &second, &["1 calls at once"]);
        assert!(second.took < Duration::from_millis(600), "{:?}", second.took);
        assert_eq!(first.join().unwrap().status, 200);
    });
}

#[test]
fn a_stream_keeps_its_place_until_its_end() {
    let app = TestApp::start("routes:\n  narrow: {limits: {max_concurrency: 1, queue: 0}}");
    app.provider.script([Step::stream(&["a", "b", "c", "d"]).delay_between(Duration::from_millis(60))]);
    let mut stream = app.stream(&[("x-gauntlet-route", "narrow")], &TestApp::body("hi"));
    assert!(stream.next_frame().is_some());
    limited(&app, &route(&app, "narrow"), &["1 calls at once"]);
    assert!(stream.collect().has_done());
    assert_eq!(route(&app, "narrow").status, 200);
}

#[test]
fn limits_of_budgets_yml_hold() {
    let budgets = "models:\n  test-model:\n    rpm: 4\nroutes:\n  narrow:\n    max_concurrency: 1\n    queue: 0\n  small:\n    tpm: 10\n";
    let app = TestApp::with_files("routes:\n  narrow: {}\n  small: {}", &[("budgets.yml", budgets)]);
    // A call larger than the whole limit finds a full bucket once; it would never be served otherwise.
    assert_eq!(route(&app, "small").status, 200);
    limited(&app, &route(&app, "small"), &["10 tokens a minute"]);
    app.provider.script([Step::answer(&["hello"]).delay(Duration::from_millis(300))]);
    thread::scope(|scope| {
        let first = scope.spawn(|| route(&app, "narrow"));
        assert!(app.provider.wait_for_requests(2, Duration::from_secs(5)));
        limited(&app, &route(&app, "narrow"), &["1 calls at once"]);
        assert_eq!(first.join().unwrap().status, 200);
    });
    // What was refused has used up nothing of the model's four.
    assert_eq!((route(&app, "default").status, route(&app, "default").status), (200, 200));
    limited(&app, &route(&app, "default"), &["model `test-model`"]);
}

#[test]
fn a_limit_holds_for_the_model_that_a_prompt_is_pinned_to() {
    let prompt = "name: hello\nversion: 1.0.0\ndescription: Says hello.\nowner: us\nmodel: prov/test-model\ntemplate: Say hello.\n";
    let app = TestApp::with_files(
        "limits: {models: {test-model: {rpm: 1}}}",
        &[
            ("prompts/hello.yaml", prompt),
            ("prices.yml", "test-model: {input: 1, output: 2}\nother: {input: 1, output: 2}\n"),
        ],
    );
    let mut body = TestApp::body("Hello");
    body["model"] = "prov/other".into();
    let call = |prompt: Option<&str>| {
        let headers: Vec<_> = prompt.map(|prompt| ("x-gauntlet-prompt", prompt)).into_iter().collect();
        app.chat(&headers, &body)
    };
    let first = call(Some("hello@1.0.0"));
    assert_eq!(
        (first.status, first.header("x-gauntlet-model")),
        (200, Some("prov/test-model")),
        "{}",
        first.text()
    );
    limited(&app, &call(Some("hello@1.0.0")), &["model `test-model`", "1 requests a minute"]);
    assert_eq!(call(None).status, 200);
}
