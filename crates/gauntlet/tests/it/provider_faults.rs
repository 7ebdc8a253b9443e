//! Providers fail in many ways; the caller gets an answer from somebody, or an error that says what to do, and never
//! the provider's own words or key.

use std::time::{Duration, Instant};

use gauntlet_testkit::{Provider, Seen, Step};
use serde_json::{Value, json};

use crate::app::TestApp;

const CONFIG: &str = "models: {m: {targets: [prov/a, prov/b]}}\n\
    default: {retry: {attempts: 2, base: 5ms, max: 2s}, timeouts: {first_token: 150ms, attempt: 250ms, idle: 200ms, total: 4s}}\n";
const PRICES: (&str, &str) = ("prices.yml", "a: {input: 1, output: 2}\nb: {input: 1, output: 2}\n");

fn start(more: &str) -> TestApp {
    TestApp::with_files(&format!("{CONFIG}{more}"), &[PRICES])
}

fn body(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "hi"}]})
}

fn model_of(seen: &Seen) -> String {
    seen.json()["model"].as_str().unwrap().to_owned()
}

/// `a` does what the step says, `b` always answers.
fn play(provider: &Provider, step: &Step) {
    let step = step.clone();
    provider.respond(
        move |seen| if model_of(seen) == "a" { step.clone() } else { Step::answer(&["from ", "b"]) },
    );
}

/// What the gateway is to do about a fault of the first target.
enum Then {
    /// So many tries, then the next target.
    Moves { tries: usize, end: &'static str, status: Option<u16> },
    /// At once, and to the caller: the request is at fault.
    GivenBack,
    /// It is no fault.
    Answers,
}

fn retried(end: &'static str) -> Then {
    Then::Moves { tries: 2, end, status: None }
}

fn status(tries: usize, status: u16) -> Then {
    Then::Moves { tries, end: "status", status: Some(status) }
}

struct Told {
    status: u16,
    text: String,
    raw: String,
    id: String,
}

fn ask(app: &TestApp, streamed: bool) -> Told {
    let mut body = body("m");
    body["stream"] = streamed.into();
    let reply = app.chat(&[], &body);
    let id = reply.header("x-gauntlet-request-id").unwrap().to_owned();
    let raw = format!("{:?} {}", reply.headers, reply.text());
    let text = match (reply.status, streamed) {
        (200, true) => reply
            .text()
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok())
            .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
            .collect(),
        (200, false) => {
            reply.json()["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned()
        }
        _ => reply.json()["error"]["code"].as_str().unwrap().to_owned(),
    };
    Told { status: reply.status, text, raw, id }
}

fn check(app: &TestApp, name: &str, step: &Step, streamed: bool, then: &Then) {
    let name = format!("{name}, {}", if streamed { "streamed" } else { "plain" });
    // A good call each, so that no breaker remembers the case before.
    app.provider.default(Step::answer(&["fine"]));
    for model in ["prov/a", "prov/b"] {
        assert_eq!(app.chat(&[], &body(model)).status, 200, "before {name}");
    }
    app.provider.take_requests();
    play(&app.provider, step);
    let told = ask(app, streamed);
    let asked: Vec<String> = app.provider.requests().iter().map(model_of).collect();
    let record = app.trace(&told.id)["record"].clone();
    let attempts: Vec<(&str, &str)> = record["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attempt| (attempt["target"]["model"].as_str().unwrap(), attempt["end"].as_str().unwrap()))
        .collect();
    for private in ["scripted failure", "from a proxy", "upstream-secret"] {
        let is_our_word = matches!(then, Then::GivenBack) && private == "scripted failure";
        assert!(
            is_our_word || !told.raw.contains(private),
            "{name}: the caller sees `{private}`: {}",
            told.raw
        );
    }
    match then {
        Then::Moves { tries, end, status } => {
            let mut wanted = vec![("a", *end); *tries];
            wanted.push(("b", "ok"));
            assert_eq!(attempts, wanted, "{name}: {record:#}");
            assert_eq!((told.status, told.text.as_str()), (200, "from b"), "{name}");
            let models: Vec<&str> = wanted.iter().map(|(model, _)| *model).collect();
            assert_eq!(asked, models, "{name}");
            assert_eq!(record["attempts"][0]["status"], json!(status), "{name}: {record:#}");
            assert_eq!(record["target"]["model"], "b");
            assert_eq!(record["outcome"], "ok", "{name}");
        }
        Then::GivenBack => {
            assert_eq!((told.status, told.text.as_str()), (400, "upstream_refused"), "{name}");
            assert_eq!(attempts, [("a", "status")], "{name}");
            assert_eq!(asked, ["a"], "{name}");
        }
        Then::Answers => {
            assert_eq!((told.status, told.text.as_str()), (200, "from a"), "{name}");
            assert_eq!(attempts, [("a", "ok")], "{name}");
        }
    }
}

#[test]
fn error_statuses_are_retried_moved_on_from_or_given_back() {
    let app = start("");
    let cases = [
        ("429, come back at once", Step::status(429).header("retry-after", "0"), status(2, 429)),
        ("429 in milliseconds", Step::status(429).header("retry-after-ms", "5"), status(2, 429)),
        ("429, come back in an hour", Step::status(429).header("retry-after", "3600"), status(1, 429)),
        (
            "an empty account",
            Step::error(429, "insufficient_quota", "insufficient_quota", "scripted failure"),
            status(1, 429),
        ),
        ("500", Step::status(500), status(2, 500)),
        ("502 of a proxy", Step::html(502), status(2, 502)),
        ("503", Step::status(503), status(2, 503)),
        ("529", Step::status(529), status(2, 529)),
        ("301 elsewhere", Step::html(301).header("location", "http://127.0.0.1:9/"), status(1, 301)),
        ("401", Step::status(401), status(1, 401)),
        (
            "401 that names our key",
            Step::error(401, "x", "invalid_api_key", "no key upstream-secret"),
            status(1, 401),
        ),
        ("403", Step::status(403), status(1, 403)),
        ("404", Step::status(404), status(1, 404)),
        ("400", Step::status(400), Then::GivenBack),
        ("400 that names our key", Step::error(400, "x", "x", "bad with upstream-secret"), Then::GivenBack),
        ("413", Step::status(413), Then::GivenBack),
        ("422", Step::status(422), Then::GivenBack),
    ];
    for (name, step, then) in &cases {
        for streamed in [false, true] {
            check(&app, name, step, streamed, then);
        }
    }
    let all = app.api("/api/v1/traces?limit=200").to_string();
    assert!(!all.contains("upstream-secret"));
}

#[test]
fn answers_that_are_none_are_retried_and_moved_on_from() {
    let app = start("");
    let both = [
        ("nothing in a 200", Step::empty(), retried("malformed")),
        ("HTML in a 200", Step::html(200), retried("malformed")),
        ("half a JSON", Step::text("").body("{\"id\":\"x\",\"choices\":[{"), retried("malformed")),
        ("an unknown encoding", Step::answer(&["x"]).header("content-encoding", "br"), retried("malformed")),
        ("gzip", Step::answer(&["from ", "a"]).gzip(), Then::Answers),
        ("no HTTP", Step::raw("what is this\r\n\r\n"), retried("cut")),
        ("a reset instead of an answer", Step::drop_connection(), retried("cut")),
    ];
    for (name, step, then) in &both {
        for streamed in [false, true] {
            check(&app, name, step, streamed, then);
        }
    }
    let error =
        json!({"error": {"message": "scripted failure", "type": "server_error", "code": "server_error"}});
    check(&app, "an error in a 200", &Step::plain(error.clone()), false, &retried("stream_error"));
    check(&app, "a cut", &Step::text("from a").cut_after_bytes(20), false, &retried("cut"));
    check(&app, "silence", &Step::hang(), false, &retried("total_timeout"));
    let ping = ": ping\n\n";
    let words = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"from a\"},\"finish_reason\":\"stop\"}]}\n\n";
    let streams = [
        ("an error in a 200", Step::plain(error), retried("malformed")),
        ("a cut before the first token", Step::stream(&["from a"]).close_after_frames(1), retried("cut")),
        ("an end before the first token", Step::frames(&[ping]), retried("cut")),
        (
            "an error before the first token",
            Step::stream(&["x"]).error_in_stream(1, "scripted failure"),
            retried("stream_error"),
        ),
        ("half a frame", Step::stream(&["x"]).half_frame_after(1), retried("cut")),
        ("a frame of HTML", Step::frames(&["data: <html>\n\n"]), retried("malformed")),
        ("silence before the head", Step::hang(), retried("first_token_timeout")),
        (
            "silence before the first token",
            Step::stream(&["x"]).delay_first(Duration::from_secs(2)),
            retried("first_token_timeout"),
        ),
        ("comments first", Step::frames(&[ping, ping, ping, words, "data: [DONE]\n\n"]), Then::Answers),
    ];
    for (name, step, then) in &streams {
        check(&app, name, step, true, then);
    }
}

#[test]
fn a_provider_is_left_alone_for_as_long_as_it_asks() {
    let app = start("");
    let again = |step: Step| {
        app.provider.take_requests();
        app.provider.script([step]);
        let reply = app.chat(&[], &body("prov/a"));
        assert_eq!(reply.status, 200, "{}", reply.text());
        let seen = app.provider.take_requests();
        assert_eq!(seen.len(), 2);
        seen[1].at - seen[0].at
    };
    assert!(again(Step::status(429).header("retry-after", "1")) >= Duration::from_secs(1));
    assert!(again(Step::status(503).header("retry-after-ms", "300")) >= Duration::from_millis(300));
    let reset = Step::status(429)
        .header("x-ratelimit-remaining-requests", "0")
        .header("x-ratelimit-reset-requests", "200ms");
    assert!(again(reset) >= Duration::from_millis(200));
    assert!(again(Step::status(429).header("retry-after", "0")) < Duration::from_millis(200));
}

#[test]
fn a_wait_that_is_too_long_is_passed_on_to_the_caller() {
    let app = start("");
    app.provider.default(Step::status(429).header("retry-after", "30"));
    let asked = Instant::now();
    let reply = app.chat(&[], &body("prov/a"));
    assert!(asked.elapsed() < Duration::from_secs(2));
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (502, &json!("upstream_failed")));
    assert_eq!(reply.header("retry-after"), Some("30"));
    assert_eq!(app.provider.requests().len(), 1);
}

#[test]
fn when_every_target_fails_the_caller_is_told_so_in_our_words() {
    let app = start("");
    for (step, status, code, end) in [
        (Step::html(500), 502, "upstream_failed", "status"),
        (Step::hang(), 504, "upstream_timeout", "total_timeout"),
    ] {
        app.provider.default(step);
        let reply = app.chat(&[], &body("m"));
        assert_eq!((reply.status, reply.json()["error"]["code"].as_str()), (status, Some(code)));
        assert!(!reply.text().contains("proxy"), "{}", reply.text());
        let record = app.trace_of(&reply)["record"].clone();
        let attempts = record["attempts"].as_array().unwrap();
        assert_eq!((&record["outcome"], attempts.len()), (&json!("failed"), 4));
        // A provider that was at work when we lost patience will charge for it; one that refused will not.
        let billed: i64 = attempts.iter().filter_map(|attempt| attempt["billed"]["cost"].as_i64()).sum();
        assert_eq!((billed > 0, &record["cost"]), (end == "total_timeout", &json!(billed)), "{record:#}");
        assert_eq!(record["usage"]["estimated"], end == "total_timeout");
        assert!(attempts.iter().all(|attempt| attempt["end"] == end), "{attempts:#?}");
    }
}

#[test]
fn a_routes_own_words_are_the_last_answer() {
    let app = start("routes: {bot: {fallback: \"Back soon, see \\\"status\\\".\"}}");
    app.provider.default(Step::status(503));
    let route = [("x-gauntlet-route", "bot")];
    let reply = app.chat(&route, &body("m"));
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "Back soon, see \"status\".");
    assert_eq!(reply.json()["choices"][0]["finish_reason"], "stop");
    let record = app.trace_of(&reply)["record"].clone();
    assert_eq!((&record["outcome"], &record["error"]), (&json!("canned"), &json!("upstream_failed")));
    assert_eq!((&record["cost"], &record["status"]), (&json!(0), &json!(200)));

    let mut asked = body("m");
    asked["stream_options"] = json!({"include_usage": true});
    let streamed = app.stream(&route, &asked).collect();
    assert_eq!(streamed.status, 200);
    assert_eq!(streamed.text(), "Back soon, see \"status\".");
    assert!(streamed.has_done());
    assert_eq!(streamed.chunks().last().unwrap()["usage"]["total_tokens"], 0);
}

#[test]
fn a_target_that_keeps_failing_is_left_alone() {
    let app = start("");
    play(&app.provider, &Step::status(503));
    for _ in 0..3 {
        assert_eq!(ask(&app, false).text, "from b");
    }
    app.provider.take_requests();
    assert_eq!(ask(&app, true).text, "from b");
    assert_eq!(app.provider.requests().iter().map(model_of).collect::<Vec<_>>(), ["b"]);
}

#[test]
fn nobody_at_the_address_is_no_disaster() {
    let app = TestApp::with_files(
        "  gone: {dialect: openai, url: \"http://127.0.0.1:9/v1\", key: k, price: free}\n\
         models: {m: {targets: [gone/x, prov/test-model]}}\ndefault: {retry: {attempts: 2, base: 5ms}}\n",
        &[],
    );
    app.provider.default(Step::answer(&["from prov"]));
    for streamed in [false, true] {
        let told = ask(&app, streamed);
        assert_eq!((told.status, told.text.as_str()), (200, "from prov"));
        let record = app.trace(&told.id)["record"].clone();
        assert_eq!(record["attempts"][1]["end"], "connect", "{record:#}");
    }
}
