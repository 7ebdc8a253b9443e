//! What is one question, who shares it, and what callers and operators say about kept answers.

use gauntlet_testkit::{
    Step,
    http::{self, Reply},
};
use serde_json::{Value, json};

use crate::app::TestApp;

const CONFIG: &str = "routes:
  cached: {cache: 10m}
  other: {cache: 10m}
  bare: {}
  tools: {cache: {ttl: 10m, tools: yes, choices: yes, temperature_max: 1}}
  own: {cache: {ttl: 10m, share: user}}
  brief: {cache: 1s}";

fn ask_with(app: &TestApp, headers: &[(&str, &str)], body: &Value) -> Reply {
    let reply = app.chat(headers, body);
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply
}

fn cache<'a>(app: &TestApp, route: &str, body: &Value, reply: &'a mut Option<Reply>) -> &'a str {
    *reply = Some(ask_with(app, &[("x-gauntlet-route", route)], body));
    reply.as_ref().unwrap().header("x-gauntlet-cache").unwrap_or("none")
}

fn check(app: &TestApp, route: &str, body: &Value, expected: &str) {
    let mut reply = None;
    assert_eq!(cache(app, route, body, &mut reply), expected, "{route}: {body}");
}

#[test]
fn how_a_question_is_written_and_delivered_does_not_matter() {
    let app = TestApp::start(CONFIG);
    check(
        &app,
        "cached",
        &json!({"model": "prov/test-model", "seed": 1, "messages": [{"role": "user", "content": "why?"}]}),
        "miss",
    );
    let same = |text: &str| {
        let headers = [("x-gauntlet-route", "cached"), ("content-type", "application/json")];
        let reply = app.chat_bytes(&headers, text.as_bytes());
        assert_eq!(reply.header("x-gauntlet-cache"), Some("exact"), "{text}: {}", reply.text());
    };
    same(r#"{"messages": [ {"content":"why?","role":"user"} ], "seed":1, "model":"prov/test-model"}"#);
    same(
        r#"{"model":"prov/test-model","seed":1,"messages":[{"role":"user","content":"wh\u0079?"}],"user":"ann","metadata":{"a":"b"}}"#,
    );
    same(
        r#"{"model":"prov/test-model","seed":1,"messages":[{"role":"user","content":"why?"}],"stream":false,"stop":null}"#,
    );
    same(
        r#"{"model":"prov/test-model","seed":1,"messages":[{"role":"user","content":"why?"}],"stream":true,"stream_options":{"include_usage":true}}"#,
    );
    assert_eq!(app.provider.requests().len(), 1);
}

#[test]
fn a_stream_tells_its_usage_as_it_is_asked_whoever_asked_first() {
    let app = TestApp::start(CONFIG);
    let headers = [("x-gauntlet-route", "cached")];
    let with_usage = |on: bool| {
        let mut body = TestApp::body("count");
        body["stream_options"] = json!({"include_usage": on});
        body
    };
    app.provider.script([Step::stream(&["one ", "two"])]);
    let quiet = app.stream(&headers, &with_usage(false)).collect();
    let telling = app.stream(&headers, &with_usage(true)).collect();
    assert_eq!(telling.header("x-gauntlet-cache"), Some("exact"));
    assert_eq!((quiet.text(), telling.text()), ("one two".to_owned(), "one two".to_owned()));
    let usage = |chunks: Vec<Value>| chunks.iter().any(|chunk| chunk["usage"]["completion_tokens"].is_u64());
    assert!(!usage(quiet.chunks()) && usage(telling.chunks()) && telling.has_done());
}

#[test]
fn a_plain_answer_is_replayed_as_a_stream() {
    let app = TestApp::start(CONFIG);
    check(&app, "cached", &TestApp::body("hi"), "miss");
    let streamed = app.stream(&[("x-gauntlet-route", "cached")], &TestApp::body("hi")).collect();
    assert_eq!(streamed.header("x-gauntlet-cache"), Some("exact"));
    assert!(streamed.header("content-type").unwrap().starts_with("text/event-stream"));
    assert!(streamed.text() == "Hello there" && streamed.has_done(), "{:?}", streamed.chunks());
    assert_eq!(app.provider.requests().len(), 1);
}

#[test]
fn prompt_versions_never_share_though_their_text_is_the_same() {
    let prompt = |version: &str| format!("name: greet\nversion: {version}\ntemplate: Say hello.\n");
    let files = [("prompts/a.yaml", &*prompt("1.0.0")), ("prompts/b.yaml", &*prompt("1.0.1"))];
    let app = TestApp::with_files(CONFIG, &files);
    let body = |version: &str| json!({"model": "prov/test-model", "gauntlet": {"prompt": format!("greet@{version}")}});
    check(&app, "cached", &body("1.0.0"), "miss");
    check(&app, "cached", &body("1.0.1"), "miss");
    check(&app, "cached", &body("1.0.0"), "exact");
}

#[test]
fn environments_do_not_share_and_users_do_not_where_the_route_says_so() {
    let app = TestApp::start(CONFIG);
    let body = TestApp::body("hi");
    let result = |route: &str, name: &str, value: &str| {
        let reply = ask_with(&app, &[("x-gauntlet-route", route), (name, value)], &body);
        reply.header("x-gauntlet-cache").unwrap_or("none").to_owned()
    };
    assert_eq!(result("cached", "x-gauntlet-env", "prod"), "miss");
    assert_eq!(result("cached", "x-gauntlet-env", "eval"), "miss");
    assert_eq!(result("cached", "x-gauntlet-user", "ann"), "exact");
    assert_eq!(result("own", "x-gauntlet-user", "ann"), "miss");
    assert_eq!(result("own", "x-gauntlet-user", "bob"), "miss");
    assert_eq!(result("own", "x-gauntlet-user", "ann"), "exact");
    assert_eq!(result("own", "x-gauntlet-team", "red"), "none", "nobody knows whose it is");
}

#[test]
fn tools_many_choices_and_high_temperatures_are_kept_only_where_the_route_asks() {
    let app = TestApp::start(CONFIG);
    let with = |name: &str, value: Value| {
        let mut body = TestApp::body("hi");
        body[name] = value;
        body
    };
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]);
    for body in [with("tools", tools.clone()), with("n", 2.into()), with("temperature", 0.7.into())] {
        for _ in 0..2 {
            check(&app, "cached", &body, "none");
        }
        check(&app, "tools", &body, "miss");
        check(&app, "tools", &body, "exact");
    }
    check(&app, "tools", &with("temperature", 1.5.into()), "none");
    check(&app, "cached", &with("temperature", 0.3.into()), "miss");
    check(&app, "cached", &with("temperature", 0.3.into()), "exact");
    // A call of a tool is kept where calls of tools are.
    let body = json!({"model": "prov/test-model", "tools": tools, "messages": [{"role": "user", "content": "call it"}]});
    app.provider.script([Step::tool_call("f", &["{}"])]);
    check(&app, "tools", &body, "miss");
    check(&app, "tools", &body, "exact");
    let streamed = app.stream(&[("x-gauntlet-route", "tools")], &body).collect();
    let chunks = streamed.chunks();
    let calls: Vec<_> =
        chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"][0].as_object()).collect();
    assert_eq!(calls[0]["function"]["name"], "f", "{chunks:?}");
}

#[test]
fn an_answer_that_was_cut_short_filtered_or_changed_is_not_kept() {
    let app = TestApp::start(
        "routes:\n  cached: {cache: 10m}\n  strict: {cache: 10m, output: {toxicity: redact}, fallback: Sorry.}",
    );
    for finish in ["length", "content_filter"] {
        let body = TestApp::body(finish);
        app.provider.script([Step::answer(&["half"]).finish(finish), Step::stream(&["half"]).finish(finish)]);
        check(&app, "cached", &body, "miss");
        app.stream(&[("x-gauntlet-route", "cached")], &body).collect();
        check(&app, "cached", &body, "miss");
        check(&app, "cached", &body, "exact");
    }
    app.provider.script([Step::answer(&["this is fucking great"])]);
    check(&app, "strict", &TestApp::body("rude"), "miss");
    check(&app, "strict", &TestApp::body("rude"), "miss");
}

#[test]
fn callers_say_how_kept_answers_may_be_used() {
    let app = TestApp::start(CONFIG);
    let ask = |route: &str, control: &str, text: &str| {
        app.chat(&[("x-gauntlet-route", route), ("cache-control", control)], &TestApp::body(text))
    };
    let used = |reply: &Reply| reply.header("x-gauntlet-cache").unwrap_or("none").to_owned();
    let only = ask("cached", "only-if-cached", "hi");
    assert_eq!(
        (only.status, only.json()["error"]["code"].as_str()),
        (504, Some("not_cached")),
        "{}",
        only.text()
    );
    assert!(app.provider.requests().is_empty(), "nobody was asked");
    assert_eq!(ask("bare", "only-if-cached", "hi").status, 504);
    assert_eq!(used(&ask("cached", "no-store", "hi")), "miss");
    assert_eq!(used(&ask("cached", "no-store", "hi")), "miss", "the first was not kept");
    assert_eq!(used(&ask("cached", "no-cache", "hi")), "miss");
    assert_eq!(used(&ask("cached", "only-if-cached", "hi")), "exact", "no-cache keeps what it got");
    app.provider.script([Step::answer(&["newer"])]);
    assert_eq!(used(&ask("cached", "no-cache", "hi")), "miss", "and does not look");
    let newer = ask("cached", "no-store", "hi");
    assert_eq!(
        (used(&newer), newer.json()["choices"][0]["message"]["content"].as_str()),
        ("exact".into(), Some("newer"))
    );
    assert!(newer.header("age").is_some());
    assert_eq!(used(&ask("cached", "max-age=3600", "hi")), "exact");
    assert_eq!(used(&ask("cached", "max-age=0, no-store", "hi")), "miss");
    assert_eq!(ask("cached", "no-cache, only-if-cached", "hi").status, 504);
    // The refusals have let go of what they held: the books are balanced at the end.
}

#[test]
fn under_another_configuration_nothing_kept_before_is_given() {
    let app = TestApp::start(CONFIG);
    check(&app, "cached", &TestApp::body("hi"), "miss");
    check(&app, "cached", &TestApp::body("hi"), "exact");
    app.reconfigure(&format!("{CONFIG}\nguardrails: {{floor: {{output: {{toxicity: block}}}}}}"));
    http::send("POST", &app.url("/api/v1/reload"), &[], b"").expect("the gateway answers");
    check(&app, "cached", &TestApp::body("hi"), "miss");
}

#[test]
fn an_operator_sees_clears_and_is_told_what_was_saved() {
    let app = TestApp::start(CONFIG);
    for route in ["cached", "other"] {
        for expected in ["miss", "exact", "exact"] {
            check(&app, route, &TestApp::body("hi"), expected);
        }
    }
    let trace = app.last_trace();
    let hit = &trace["record"]["cache_hit"];
    let first = app.trace(hit["of"].as_str().expect("the call whose answer it was"));
    assert_eq!((&hit["saved"], &hit["similarity"]), (&first["record"]["cost"], &Value::Null), "{trace:#}");
    assert!(hit["saved"].as_i64().unwrap() > 0);
    assert_eq!(trace["record"]["finish"], "stop");

    let stats = app.command_json(&["cache", "stats"]);
    assert_eq!((&stats["entries"], &stats["lines"].as_array().unwrap().len()), (&2.into(), &2), "{stats:#}");
    assert_eq!(
        (&stats["lines"][0]["route"], &stats["lines"][0]["exact_hits"]),
        (&"cached".into(), &2.into())
    );
    let saved = 4.0 * hit["saved"].as_f64().unwrap() / 1e9;
    assert!((stats["saved_usd"].as_f64().unwrap() - saved).abs() < 1e-9, "{stats:#}");
    let metrics = http::get(&app.url("/metrics"), &[]).unwrap().text();
    assert!(metrics.contains("gauntlet_cache_entries 2\n"), "{metrics}");
    assert!(metrics.contains("gauntlet_cache_total{result=\"exact\"} 4\n"), "{metrics}");
    let line = metrics.lines().find_map(|line| line.strip_prefix("gauntlet_cache_saved_usd_total ")).unwrap();
    assert!((line.parse::<f64>().unwrap() - saved).abs() < 1e-9, "{line}");

    assert_eq!(app.command_json(&["cache", "clear", "--tenant", "nobody"])["cleared"], 0);
    assert_eq!(app.command_json(&["cache", "clear", "--route", "other"])["cleared"], 1);
    check(&app, "cached", &TestApp::body("hi"), "exact");
    check(&app, "other", &TestApp::body("hi"), "miss");
    assert_eq!(app.command_json(&["cache", "clear"])["cleared"], 2);
    assert!(app.command(&["cache", "stats"]).expect_ok().stdout.contains("No answer is kept."));
    let wrong = http::get(&app.url("/api/v1/cache?tenants=acme"), &[]).unwrap();
    assert_eq!(wrong.status, 400, "{}", wrong.text());
}

#[test]
fn without_a_gateway_there_is_nothing_kept_and_the_command_says_so() {
    let mut app = TestApp::start(CONFIG);
    app.stop();
    let ended = app.command(&["cache", "stats"]);
    assert!(ended.stderr.contains("no gateway runs"), "{}", ended.stderr);
}

#[test]
fn memory_is_bounded_as_the_file_says() {
    let app = TestApp::start(&format!("cache: {{memory: 64kb, tenant_entries: 5}}\n{CONFIG}"));
    for number in 0..20 {
        check(&app, "cached", &TestApp::body(&format!("question {number}")), "miss");
    }
    let stats = app.command_json(&["cache", "stats"]);
    assert_eq!((&stats["entries"], &stats["evicted"]), (&5.into(), &15.into()), "{stats:#}");
    check(&app, "cached", &TestApp::body("question 19"), "exact");
}
