//! A second target is asked beside one that is late: whoever answers first is heard, both are paid for, and no budget is
//! passed by it.

use std::{io::Write, net::TcpStream, time::Duration};

use gauntlet_testkit::{PlayedEnd, Provider, Seen, Step, http};
use serde_json::{Value, json};

use crate::{app::TestApp, load::nano};

const PRICES: (&str, &str) =
    ("prices.yml", "a: {input: 1, output: 2}\nb: {input: 1, output: 2}\nc: {input: 1, output: 2}\n");
const BUDGETS: (&str, &str) = (
    "budgets.yml",
    "models: {a: {daily_usd: 5}, b: {daily_usd: 5}}\ntenants: {default: {daily_usd: 5, daily_tokens: 100_000}}\n",
);
const SOON: Duration = Duration::from_secs(5);
/// Output tokens that a call may have.
const MAX_TOKENS: i64 = 64;

/// A gateway with the scripted providers `prov` and `two`. `a` at the one is hedged by `b` at the other, and `c` comes last.
struct Both {
    app: TestApp,
    two: Provider,
}

fn both(config: &str, budgets: (&str, &str)) -> Both {
    let two = Provider::start();
    let text = format!(
        "  two: {{dialect: openai, url: \"{}\", key: k}}\nmodels: {{m: {{targets: [prov/a, two/b, two/c], hedge: {{after: \
         80ms}}}}}}\ndefault: {{max_tokens: {MAX_TOKENS}, retry: off{config}}}\n",
        two.url()
    );
    Both { app: TestApp::with_files(&text, &[PRICES, budgets]), two }
}

impl Both {
    /// The answers of `a` and `b`; `c` fails.
    fn say(&self, a: Step, b: Step) {
        self.app.provider.default(a);
        self.two.respond(move |seen: &Seen| match seen.json()["model"] == "b" {
            true => b.clone(),
            false => Step::status(500),
        });
    }

    fn spent(&self, key: &str) -> i64 {
        let books = self.app.api("/api/v1/budgets");
        let lines = books["lines"].as_array().expect("a list");
        let line = lines.iter().find(|line| line["scope"] == "model_daily" && line["key"] == key);
        line.and_then(|line| line["spent"].as_i64()).unwrap_or(0)
    }
}

fn body(stream: bool) -> Value {
    json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": "Tell me more."}]})
}

fn after(ms: u64, step: Step) -> Step {
    step.delay(Duration::from_millis(ms))
}

/// `prov/a ok, two/b outrun`: the attempts of a record.
fn told(record: &Value) -> String {
    let attempts = record["attempts"].as_array().expect("attempts");
    let words = |attempt: &Value| {
        let target = &attempt["target"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        format!("{}/{} {}", text(&target["provider"]), text(&target["model"]), text(&attempt["end"]))
    };
    attempts.iter().map(words).collect::<Vec<_>>().join(", ")
}

#[test]
fn whoever_answers_first_is_heard_and_the_other_is_paid_for() {
    let (a, b) = (|| Step::answer(&["from", " a"]), || Step::answer(&["from", " b"]));
    let slow = 3_000;
    for stream in [false, true] {
        let check = |a: Step, b: Step, expected: (u16, &str)| {
            let both = both("", BUDGETS);
            both.say(a, b);
            let reply = both.app.chat(&[], &body(stream));
            let record = both.app.trace_of(&reply)["record"].clone();
            assert_eq!((reply.status, told(&record).as_str()), expected, "stream {stream}: {record:#}");
            both.app.balance();
            (both, reply.text(), record)
        };
        // Nothing is asked beside one that is in time.
        let (both, text, _) = check(a(), b(), (200, "prov/a ok"));
        assert!(text.contains("from") && both.two.requests().is_empty(), "{text}");

        let (both, text, record) = check(after(slow, a()), b(), (200, "prov/a outrun, two/b ok"));
        assert!(text.contains(" b") && !text.contains(" a\""), "{text}");
        assert_eq!(
            both.app.provider.wait_for_end(0, SOON).map(|played| played.end),
            Some(PlayedEnd::ClientGone)
        );
        assert_eq!(record["target"]["model"], "b");
        let billed = &record["attempts"][0]["billed"];
        // Of a stream nothing was seen; how far a plain answer had come nobody knows.
        let output = if stream { 0 } else { MAX_TOKENS };
        assert_eq!(billed["usage"]["output"], output, "{record:#}");
        assert!(billed["usage"]["input_fresh"].as_i64().unwrap() > 0, "{record:#}");
        assert_eq!(nano(&record["cost"]), nano(&billed["cost"]) + 9 * 1_000 + 12 * 2_000);
        assert_eq!((both.spent("a"), both.spent("b")), (nano(&record["cost"]), nano(&record["cost"])));
        let targets = both.app.command_json(&["route", "targets"]);
        let line = targets.as_array().unwrap().iter().find(|line| line["target"] == "prov/a").unwrap();
        let measured = if stream { "first_token_ms" } else { "whole_ms" };
        assert!(line[measured].as_f64().unwrap() > 0.0, "it took at least that: {line}");
        assert_eq!((&line["breaker"], &line["in_flight"]), (&json!("closed"), &json!(0)));
        let metrics = http::get(&both.app.url("/metrics"), &[]).unwrap().text();
        let counted = "gauntlet_attempts_total{provider=\"prov\",end=\"outrun\"} 1";
        assert!(metrics.contains(counted), "{metrics}");

        let (both, text, _) = check(after(400, a()), after(slow, b()), (200, "two/b outrun, prov/a ok"));
        assert!(text.contains(" a"), "{text}");
        assert_eq!(both.two.wait_for_end(0, SOON).map(|played| played.end), Some(PlayedEnd::ClientGone));

        // One that fails does not end the call while the other is under way.
        check(after(200, Step::status(500)), after(400, b()), (200, "prov/a status, two/b ok"));
        check(after(300, a()), Step::status(500), (200, "two/b status, prov/a ok"));
        // And where both do, the call goes on as it would have.
        check(
            after(200, Step::status(500)),
            Step::status(500),
            (502, "two/b status, prov/a status, two/b status, two/c status"),
        );
        let fault = || Step::status(400);
        check(after(200, fault()), after(300, Step::status(500)), (400, "two/b status, prov/a status"));
        check(after(200, Step::status(500)), after(300, fault()), (400, "prov/a status, two/b status"));
    }
}

#[test]
fn a_target_that_hangs_is_soon_asked_last() {
    let both = both("", BUDGETS);
    both.say(after(3_000, Step::answer(&["from a"])), Step::answer(&["from b"]));
    let ends: Vec<String> =
        (0..6).map(|_| told(&both.app.trace_of(&both.app.chat(&[], &body(false)))["record"])).collect();
    let hedged = vec!["prov/a outrun, two/b ok"; 5];
    assert_eq!(ends, [hedged, vec!["two/b ok"]].concat());
    let targets = both.app.command_json(&["route", "targets"]);
    let line = targets.as_array().unwrap().iter().find(|line| line["target"] == "prov/a").unwrap();
    assert_eq!((&line["breaker"], &line["left_alone"]), (&json!("closed"), &json!("outrun")));
    both.app.balance();
}

#[test]
fn a_stream_that_has_begun_and_says_nothing_is_late() {
    let both = both("", BUDGETS);
    both.say(Step::stream(&["from a"]).delay_first(Duration::from_secs(3)), Step::stream(&["from b"]));
    let streamed = both.app.stream(&[], &body(true)).collect();
    assert_eq!((streamed.text().as_str(), streamed.has_done()), ("from b", true));
    assert_eq!(streamed.header("x-gauntlet-model"), Some("two/b"));
}

#[test]
fn nobody_is_asked_beside_a_target_where_a_budget_has_no_room_for_both() {
    // The bound of one attempt: some 0.0003 USD, 200 tokens.
    for budgets in [
        "tenants: {default: {daily_usd: 0.0004}}",
        "tenants: {default: {daily_tokens: 300}}",
        "models: {b: {daily_usd: 0.0000001}}",
        "models: {a: {per_call_usd: 0.0004}}",
    ] {
        let both = both("", ("budgets.yml", budgets));
        both.say(after(300, Step::answer(&["from a"])), Step::answer(&["from b"]));
        let reply = both.app.chat(&[], &body(false));
        assert_eq!(reply.status, 200, "{budgets}: {}", reply.text());
        let record = both.app.trace_of(&reply)["record"].clone();
        assert_eq!(told(&record), "prov/a ok", "{budgets}: {record:#}");
        assert!(both.two.requests().is_empty(), "{budgets}");
        both.app.balance();
    }
}

#[test]
fn many_hedged_calls_at_once_pass_no_cap() {
    let both = both("", ("budgets.yml", "tenants: {default: {daily_usd: 0.009}}"));
    both.say(after(200, Step::answer(&["a"]).usage(9, 64)), after(100, Step::answer(&["b"]).usage(9, 64)));
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let callers: Vec<_> =
            (0..24).map(|_| scope.spawn(|| both.app.chat(&[], &body(false)).status)).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    assert!(statuses.contains(&200), "{statuses:?}");
    both.app.balance();
    let books = both.app.api("/api/v1/budgets");
    let line =
        &books["lines"].as_array().unwrap().iter().find(|line| line["scope"] == "tenant_daily").unwrap();
    assert!(line["spent"].as_i64().unwrap() <= 9_000_000, "{line}");
    // Room for all of them once, and for some twice.
    let asked = both.two.requests().len();
    assert!((1..24).contains(&asked), "{asked}");
}

#[test]
fn a_caller_who_leaves_while_both_are_under_way_leaves_nothing_open() {
    for (stream, outcome) in [(true, "abandoned"), (false, "ok")] {
        let both = both("", BUDGETS);
        both.say(after(3_000, Step::answer(&["from a"])), after(500, Step::answer(&["from b"])));
        let address = both.app.gateway().base_url().strip_prefix("http://").unwrap().to_owned();
        let mut socket = TcpStream::connect(&address).unwrap();
        let body = body(stream).to_string();
        let length = body.len();
        write!(
            socket,
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        assert!(both.two.wait_for_requests(1, SOON));
        drop(socket);
        assert_eq!(
            both.app.provider.wait_for_end(0, SOON).map(|played| played.end),
            Some(PlayedEnd::ClientGone)
        );
        assert!(both.two.wait_for_end(0, SOON).is_some());
        both.app.balance();
        let record = both.app.last_trace()["record"].clone();
        assert_eq!(record["outcome"], "cancelled", "{record:#}");
        assert_eq!(told(&record), format!("prov/a outrun, two/b {outcome}"), "{record:#}");
        assert!(nano(&record["cost"]) > nano(&record["attempts"][0]["billed"]["cost"]), "{record:#}");
    }
}

#[test]
fn a_caller_who_has_left_gets_no_second_target() {
    let both = both("", BUDGETS);
    both.say(after(400, Step::answer(&["from a"])), Step::answer(&["from b"]));
    let address = both.app.gateway().base_url().strip_prefix("http://").unwrap().to_owned();
    let mut socket = TcpStream::connect(&address).unwrap();
    let body = body(false).to_string();
    let length = body.len();
    write!(socket, "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}")
        .unwrap();
    assert!(both.app.provider.wait_for_requests(1, SOON));
    drop(socket);
    assert!(both.app.provider.wait_for_end(0, SOON).is_some());
    both.app.balance();
    assert_eq!(told(&both.app.last_trace()["record"]), "prov/a ok");
    assert!(both.two.requests().is_empty());
}

#[test]
fn a_second_target_may_speak_another_dialect() {
    let two = Provider::start();
    let text = format!(
        "  two: {{dialect: anthropic, url: \"{}\", key: k}}\nmodels: {{m: {{targets: [prov/a, two/b], hedge: {{after: \
         80ms}}}}}}\ndefault: {{max_tokens: {MAX_TOKENS}}}\n",
        two.origin()
    );
    let app = TestApp::with_files(&text, &[PRICES, BUDGETS]);
    two.default(Step::answer(&["from b"]));
    let mut body = body(true);
    body["logprobs"] = true.into();
    let check = |wait: u64, model: &str, dropped: Value| {
        app.provider.default(after(wait, Step::answer(&["from a"])));
        let streamed = app.stream(&[], &body).collect();
        assert_eq!(streamed.header("x-gauntlet-model"), Some(model), "{}", streamed.text());
        assert!(streamed.has_done() && streamed.text().starts_with("from"));
        let record = app.trace(streamed.header("x-gauntlet-request-id").unwrap())["record"].clone();
        assert_eq!(record["dropped"], dropped, "{record:#}");
    };
    check(3_000, "two/b", json!(["logprobs"]));
    // What the other could not be told is not said of this one.
    two.default(after(3_000, Step::answer(&["from b"])));
    check(400, "prov/a", Value::Null);
    app.balance();
}
