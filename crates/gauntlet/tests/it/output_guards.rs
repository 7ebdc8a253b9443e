//! What a model says is looked at before anybody sees it, plain or streamed; and what is private is kept nowhere.

use std::{fs, path::Path};

use gauntlet_testkit::{Step, http};
use serde_json::{Value, json};

use crate::app::TestApp;

const EMAIL: &str = "ann.lee@mail-house.org";
const SSN: &str = "536-22-8145";

/// Put together here, so that no scanner takes this file for a leak.
fn secret() -> String {
    format!("ghp_{}", "aZ3kQ9xW7vB2nM5cL8pR4tY6uE1sD0fGhJqKwXzVbN".get(..36).unwrap())
}

fn private() -> String {
    format!("Write to {EMAIL}, SSN {SSN}, token {}, thanks.", secret())
}

const SHOWN: &str =
    "Write to [REDACTED:EMAIL_ADDRESS], SSN [REDACTED:US_SSN], token [REDACTED:github_pat], thanks.";

/// The text in pieces of so many characters: every value is cut somewhere.
fn pieces(text: &str, size: usize) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    letters.chunks(size).map(|piece| piece.iter().collect()).collect()
}

fn stream_of(text: &str, size: usize) -> Step {
    let pieces = pieces(text, size);
    Step::stream(&pieces.iter().map(String::as_str).collect::<Vec<_>>())
}

fn has_private(text: &str) -> bool {
    // A part of a value is a leak too.
    [EMAIL, SSN, "ann.lee", "536-22", secret().as_str(), &secret()[..12]]
        .iter()
        .any(|value| text.contains(value))
}

/// Whether `needle` stands in any file below a folder.
fn files_with(folder: &Path, needle: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, needle));
        } else if let Ok(bytes) = fs::read(&path)
            && memchr_find(&bytes, needle.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
    found
}

fn memchr_find(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

const ROUTES: &str = "routes:\n\
    \x20 clean: {output: {pii: redact, secrets: redact}}\n\
    \x20 strict: {output: {pii: block, secrets: block}, fallback: I may not say that.}\n\
    \x20 wordless: {output: {pii: block, secrets: block}}\n\
    \x20 free: {output: {pii: allow, secrets: allow}, input: {pii: allow, secrets: allow, injection: allow}}\n";

fn start() -> TestApp {
    TestApp::start(ROUTES)
}

fn route(name: &str) -> [(&'static str, &str); 1] {
    [("x-gauntlet-route", name)]
}

#[test]
fn private_words_are_redacted_in_a_stream_as_in_a_plain_answer() {
    let app = start();
    app.provider.script([Step::text(&private())]);
    let reply = app.chat(&route("clean"), &TestApp::body("whom?"));
    assert_eq!(reply.json()["choices"][0]["message"]["content"], SHOWN);
    assert_eq!(reply.header("x-gauntlet-guardrail"), Some("redact"));
    for size in [1, 2, 3, 5, 8, 13, 60] {
        app.provider.script([stream_of(&private(), size)]);
        let streamed = app.stream(&route("clean"), &TestApp::body("whom?")).collect();
        assert_eq!(streamed.text(), SHOWN, "in pieces of {size}");
        assert!(streamed.has_done());
        let trace = app.trace(streamed.header("x-gauntlet-request-id").unwrap());
        assert_eq!(
            (&trace["record"]["decision"], &trace["record"]["outcome"]),
            (&json!("redact"), &json!("ok"))
        );
        assert_eq!(trace["output"]["choices"][0]["message"]["content"], SHOWN);
        let labels: Vec<&str> = trace["record"]["guard"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|note| note["label"].as_str())
            .collect();
        assert_eq!(labels, ["EMAIL_ADDRESS", "US_SSN", "github_pat"]);
    }
}

#[test]
fn arguments_of_tools_are_guarded_like_words() {
    let app = start();
    let first = format!("{{\"to\":\"{EMAIL}\",\"re\":\"one\"}}");
    let second = format!("{{\"ssn\":\"{SSN}\",\"re\":\"two\"}}");
    let wanted = [
        "{\"to\":\"[REDACTED:EMAIL_ADDRESS]\",\"re\":\"one\"}",
        "{\"ssn\":\"[REDACTED:US_SSN]\",\"re\":\"two\"}",
    ];
    for size in [1, 4, 9, 90] {
        let (one, two) = (pieces(&first, size), pieces(&second, size));
        let (one, two): (Vec<&str>, Vec<&str>) =
            (one.iter().map(String::as_str).collect(), two.iter().map(String::as_str).collect());
        app.provider.default(Step::tool_calls(&[("send", &one), ("look_up", &two)]));
        let reply = app.chat(&route("clean"), &TestApp::body("send it"));
        let calls = &reply.json()["choices"][0]["message"]["tool_calls"];
        for (index, wanted) in wanted.iter().enumerate() {
            assert_eq!(calls[index]["function"]["arguments"], *wanted);
        }
        let streamed = app.stream(&route("clean"), &TestApp::body("send it")).collect();
        assert_eq!(arguments(&streamed.chunks()), wanted, "in pieces of {size}");
        assert!(streamed.has_done());
        let blocked = app.stream(&route("strict"), &TestApp::body("send it")).collect();
        let text = format!("{:?}", blocked.frames);
        assert!(!has_private(&text), "{text}");
        assert!(text.contains("content_filter"), "{text}");
    }
}

/// The arguments of each call, put together.
fn arguments(chunks: &[Value]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for chunk in chunks {
        for call in chunk["choices"][0]["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let index = call["index"].as_u64().unwrap() as usize;
            all.resize(all.len().max(index + 1), String::new());
            all[index].push_str(call["function"]["arguments"].as_str().unwrap_or_default());
        }
    }
    all
}

#[test]
fn parallel_calls_under_one_number_stay_apart() {
    let app = start();
    // As some servers send them: every call has index 0, and only its id tells it from the one before.
    let opening = |id: &str| {
        let call =
            json!({"index": 0, "id": id, "type": "function", "function": {"name": "f", "arguments": ""}});
        format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}))
    };
    let more = |text: &str| {
        let call = json!({"index": 0, "function": {"arguments": text}});
        format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}))
    };
    let end = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n";
    let frames = [
        opening("call_1"),
        more("{\"to\":\"bob"),
        more("by\"}"),
        opening("call_2"),
        more("{\"to\":\"eve\"}"),
        end.to_owned(),
    ];
    app.provider.script([Step::frames(&frames.iter().map(String::as_str).collect::<Vec<_>>())]);
    let streamed = app.stream(&route("clean"), &TestApp::body("send")).collect();
    let mut calls: Vec<String> = Vec::new();
    for chunk in streamed.chunks() {
        for call in chunk["choices"][0]["delta"]["tool_calls"].as_array().into_iter().flatten() {
            if call["id"].is_string() {
                calls.push(String::new());
            }
            calls.last_mut().unwrap().push_str(call["function"]["arguments"].as_str().unwrap_or_default());
        }
    }
    assert_eq!(calls, ["{\"to\":\"bobby\"}", "{\"to\":\"eve\"}"], "{:?}", streamed.frames);

    // And as others send them: all in one frame.
    let call = |id: &str, text: &str| json!({"index": 0, "id": id, "type": "function", "function": {"name": "f", "arguments": text}});
    let both =
        json!([call("call_1", "{\"to\":\"bobby\"}"), call("call_2", &format!("{{\"to\":\"{EMAIL}\"}}"))]);
    let frame = format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"tool_calls": both}}]}));
    app.provider.script([Step::frames(&[&frame, end])]);
    let streamed = app.stream(&route("clean"), &TestApp::body("send")).collect();
    let sent = &streamed.chunks()[0]["choices"][0]["delta"]["tool_calls"];
    assert_eq!(sent[0]["function"]["arguments"], "{\"to\":\"bobby\"}");
    assert_eq!(sent[1]["function"]["arguments"], "{\"to\":\"[REDACTED:EMAIL_ADDRESS]\"}");
}

#[test]
fn a_clean_stream_says_the_same_under_guard() {
    let app = start();
    let text = "The answer is 42, and numbers like 12-34 or words@ are nothing.";
    let mut body = TestApp::body("ask");
    body["stream"] = true.into();
    // One frame for a whole text: nothing of it is held back, so every byte is the provider's.
    let frames = [
        "data: {\"choices\": [{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}] , \"x\":1e3}\n\n",
        ": ping\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"All is well. \\u00e9\\n\\n\"}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        "data: [DONE]\n\n",
    ];
    for name in ["clean", "strict", "free"] {
        app.provider.script([Step::frames(&frames)]);
        assert_eq!(app.chat(&route(name), &body).text(), frames.concat(), "{name}");
        for size in [1, 4, 11] {
            app.provider.script([stream_of(text, size)]);
            let streamed = app.stream(&route(name), &TestApp::body("ask")).collect();
            assert_eq!(streamed.text(), text, "{name} in pieces of {size}");
            assert_eq!(streamed.chunks().last().unwrap()["choices"][0]["finish_reason"], "stop");
        }
    }
}

#[test]
fn a_blocked_stream_ends_with_the_routes_words_and_shows_nothing_private() {
    let app = start();
    for (name, said) in [("strict", "I may not say that."), ("wordless", "")] {
        for size in [1, 3, 7, 60] {
            app.provider.script([stream_of(&format!("Good day. {}", private()), size)]);
            let streamed = app.stream(&route(name), &TestApp::body("whom?")).collect();
            let raw = format!("{:?}", streamed.frames);
            assert!(!has_private(&raw), "in pieces of {size}: {raw}");
            assert!(streamed.text().ends_with(said), "{raw}");
            assert!(streamed.has_done());
            assert_eq!(streamed.chunks().last().unwrap()["choices"][0]["finish_reason"], "content_filter");
            let record = app.trace(streamed.header("x-gauntlet-request-id").unwrap())["record"].clone();
            assert_eq!(
                (&record["outcome"], &record["error"], &record["decision"], &record["finish"]),
                (&json!("blocked"), &json!("guardrail_blocked"), &json!("block"), &json!("content_filter"))
            );
            assert!(record["cost"].as_i64().unwrap() > 0, "what the model made is paid");
        }
    }
}

#[test]
fn a_blocked_plain_answer_is_the_routes_words_or_an_error() {
    let app = start();
    app.provider.default(Step::text(&private()));
    let reply = app.chat(&route("strict"), &TestApp::body("whom?"));
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "I may not say that.");
    assert_eq!(reply.json()["choices"][0]["finish_reason"], "content_filter");
    assert_eq!(app.trace_of(&reply)["record"]["outcome"], "blocked");
    let reply = app.chat(&route("wordless"), &TestApp::body("whom?"));
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!("guardrail_blocked")));
    assert!(!has_private(&reply.text()), "{}", reply.text());
    let record = app.trace_of(&reply)["record"].clone();
    assert_eq!(record["outcome"], "blocked");
    assert_eq!(record["cost"], 9 * 1_000 + 12 * 2_000);
}

const SCHEMA: &str = r#"{"type": "object", "required": ["age"], "properties": {"age": {"type": "integer"}}}"#;

fn with_schema() -> TestApp {
    TestApp::with_files(
        "models: {m: {targets: [prov/a, prov/b]}}\n\
         routes:\n\
         \x20 hard: {model: m, output: {schema: age.json}}\n\
         \x20 next: {model: m, output: {schema: age.json, on_invalid: fallback, pii: redact}, fallback: No idea.}\n\
         \x20 soft: {model: m, output: {schema: age.json, on_invalid: flag}}\n",
        &[("age.json", SCHEMA), ("prices.yml", "a: {input: 1, output: 2}\nb: {input: 1, output: 2}\n")],
    )
}

#[test]
fn an_answer_that_fits_its_schema_passes_plain_and_streamed() {
    let app = with_schema();
    app.provider.default(Step::answer(&["{\"ag", "e\": 4", "1}"]));
    for name in ["hard", "next", "soft"] {
        let reply = app.chat(&route(name), &TestApp::body("age?"));
        assert_eq!(reply.json()["choices"][0]["message"]["content"], "{\"age\": 41}");
        let streamed = app.stream(&route(name), &TestApp::body("age?")).collect();
        assert_eq!(streamed.text(), "{\"age\": 41}");
        assert!(streamed.has_done());
        let record = app.trace(streamed.header("x-gauntlet-request-id").unwrap())["record"].clone();
        assert_eq!((&record["outcome"], &record["decision"]), (&json!("ok"), &json!("allow")));
    }
}

#[test]
fn an_answer_that_does_not_fit_is_refused_asked_again_or_flagged() {
    let app = with_schema();
    let misfit = format!("{{\"age\": \"{EMAIL}\"}}");
    app.provider.respond({
        let misfit = misfit.clone();
        move |seen| match seen.json()["model"] == "a" {
            true => Step::answer(&[&misfit]),
            false => Step::answer(&["{\"age\": 7}"]),
        }
    });
    let mut streaming = TestApp::body("age?");
    streaming["stream"] = true.into();
    for body in [TestApp::body("age?"), streaming.clone()] {
        let reply = app.chat(&route("hard"), &body);
        assert_eq!(
            (reply.status, &reply.json()["error"]["code"]),
            (502, &json!("output_invalid")),
            "{}",
            reply.text()
        );
        assert!(!has_private(&reply.text()), "{}", reply.text());
        let record = app.trace_of(&reply)["record"].clone();
        assert_eq!((&record["outcome"], &record["decision"]), (&json!("blocked"), &json!("block")));
        assert!(record["cost"].as_i64().unwrap() > 0, "{record:#}");
        assert!(!has_private(&record.to_string()));

        let reply = app.chat(&route("next"), &body);
        assert!(reply.text().contains("{\\\"age\\\": 7}"), "{}", reply.text());
        let record = app.trace_of(&reply)["record"].clone();
        assert_eq!((&record["outcome"], &record["target"]["model"]), (&json!("ok"), &json!("b")));
        assert_eq!(record["attempts"].as_array().unwrap().len(), 2);
        assert_eq!(record["cost"], 2 * (9 * 1_000 + 12 * 2_000), "both answers are paid");

        let reply = app.chat(&route("soft"), &body);
        assert_eq!(reply.status, 200);
        assert!(reply.text().contains(EMAIL), "the route flags and does not redact");
        assert_eq!(app.trace_of(&reply)["record"]["decision"], "flag");
    }
    app.provider.default(Step::answer(&["no JSON at all"]));
    for body in [TestApp::body("age?"), streaming] {
        let reply = app.chat(&route("next"), &body);
        assert!(reply.text().contains("No idea."), "{}", reply.text());
        let record = app.trace_of(&reply)["record"].clone();
        assert_eq!(record["outcome"], "canned");
        assert_eq!(record["cost"], 2 * (9 * 1_000 + 12 * 2_000), "{record:#}");
    }
}

#[test]
fn a_stream_under_schema_that_breaks_is_asked_of_the_next_target() {
    let app = with_schema();
    app.provider.respond(|seen| match seen.json()["model"] == "a" {
        true => Step::stream(&["{\"age\": ", "1"]).close_after_frames(3),
        false => Step::answer(&["{\"age\": 7}"]),
    });
    let streamed = app.stream(&route("hard"), &TestApp::body("age?")).collect();
    assert_eq!(streamed.text(), "{\"age\": 7}");
    let record = app.trace(streamed.header("x-gauntlet-request-id").unwrap())["record"].clone();
    assert_eq!((&record["attempts"][0]["end"], &record["attempts"][1]["end"]), (&json!("cut"), &json!("ok")));
    assert!(
        record["cost"].as_i64().unwrap() > 9 * 1_000 + 12 * 2_000,
        "the broken one is paid too: {record:#}"
    );
}

#[test]
fn a_redacted_stream_under_schema_carries_the_redacted_words() {
    let app = TestApp::with_files(
        "routes: {r: {output: {schema: any.json, pii: redact}}}",
        &[("any.json", r#"{"type": "object"}"#)],
    );
    app.provider.default(Step::answer(&["{\"to\": \"ann", &EMAIL[3..], "\"}"]));
    let streamed = app.stream(&route("r"), &TestApp::body("whom?")).collect();
    assert_eq!(streamed.text(), "{\"to\": \"[REDACTED:EMAIL_ADDRESS]\"}");
    assert!(streamed.has_done());
}

/// A request with something private in every field that has a string.
fn confiding() -> Value {
    let all = private();
    json!({
        "model": "prov/test-model",
        "messages": [
            {"role": "system", "content": all, "name": EMAIL},
            {"role": "user", "content": [
                {"type": "text", "text": all},
                {"type": "image_url", "image_url": {"url": format!("https://pictures.test/a.png?to={EMAIL}")}},
            ]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "send", "arguments": format!("{{\"to\":\"{EMAIL}\"}}")}},
            ]},
            {"role": "tool", "tool_call_id": "call_1", "content": all, "x_note": SSN},
        ],
        "tools": [{"type": "function", "function": {"name": "send", "description": all, "parameters": {
            "type": "object", "properties": {"to": {"type": "string", "default": EMAIL, "enum": [EMAIL, SSN]}}}}}],
        "metadata": {"contact": EMAIL, "user_id": EMAIL, "session_id": SSN, EMAIL: "key", "key": secret()},
        "user": EMAIL,
        "x_unknown": {"deep": [{"token": secret(), "ssn": SSN}]},
        "prediction": {"type": "content", "content": all},
        "stop": [EMAIL],
        "safety_identifier": EMAIL,
    })
}

#[test]
fn nothing_private_is_kept_whatever_a_route_allows() {
    let log = tempfile::tempdir().unwrap();
    let file = log.path().join("calls.jsonl");
    let mut app = TestApp::start(&format!("{ROUTES}log: {{json: \"{}\"}}\n", file.display()));
    let answer = format!("{} And {EMAIL} again.", private());
    let mut ids = Vec::new();
    for name in ["clean", "strict", "wordless", "free", "no_such_route"] {
        for streamed in [false, true] {
            app.provider.script([Step::answer(&[&answer[..12], &answer[12..50], &answer[50..]])]);
            let mut body = confiding();
            body["stream"] = streamed.into();
            let reply = app.chat(&route(name), &body);
            ids.push((name, reply.header("x-gauntlet-request-id").unwrap().to_owned()));
            if name == "free" {
                assert!(has_private(&reply.text()), "the route lets it through");
                let sent = String::from_utf8_lossy(&app.provider.last_request().body).into_owned();
                assert!(sent.contains(&format!("\"user\":\"{EMAIL}\"")), "and so it is sent: {sent}");
            } else {
                assert!(!has_private(&reply.text()), "{name}: {}", reply.text());
            }
        }
    }
    app.provider.default(Step::embeddings(4));
    let embed =
        json!({"model": "prov/test-model", "input": [private()], "user": EMAIL, "x_more": {"to": SSN}});
    let reply = http::post_json(&app.url("/v1/embeddings"), &route("free"), &embed).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    ids.push(("embeddings", reply.header("x-gauntlet-request-id").unwrap().to_owned()));
    // A provider that quotes the request in its error.
    for status in [400, 500] {
        app.provider.default(Step::error(status, "x", "x", &private()));
        let reply = app.chat(&route("free"), &confiding());
        assert!(!has_private(&reply.text()), "{}", reply.text());
        ids.push(("error", reply.header("x-gauntlet-request-id").unwrap().to_owned()));
    }
    for (name, id) in &ids {
        let trace = app.trace(id).to_string();
        assert!(!has_private(&trace), "{name}: {trace}");
        if *name == "free" {
            assert!(trace.contains("[REDACTED:US_SSN]") && trace.contains("\"metadata\""), "{trace}");
        }
    }
    for page in ["/api/v1/traces?limit=200", "/api/v1/spend", "/api/v1/overview", "/api/v1/budgets"] {
        let answer = app.api(page).to_string();
        assert!(!has_private(&answer), "{page}: {answer}");
    }
    let metrics = http::get(&app.url("/metrics"), &[]).unwrap().text();
    assert!(!has_private(&metrics));
    let traces = app.command(&["trace", "list"]).stdout;
    assert!(!has_private(&traces), "{traces}");
    app.balance();
    let ended = app.stop();
    assert!(!has_private(&ended.stdout) && !has_private(&ended.stderr));
    for value in [EMAIL, SSN, "ann.lee", "536-22", &secret()] {
        let found = files_with(&app.data_dir(), value);
        assert!(found.is_empty(), "`{value}` is kept in {found:?}");
    }
    let lines = fs::read_to_string(&file).unwrap();
    assert!(lines.lines().count() >= ids.len(), "{lines}");
    assert!(!has_private(&lines), "{lines}");
}

#[test]
fn callers_named_by_an_address_in_the_body_are_told_apart_without_it() {
    let app = start();
    let user_of = |user: &str| {
        let mut body = TestApp::body("hi");
        body["user"] = user.into();
        let reply = app.chat(&[], &body);
        app.trace_of(&reply)["record"]["caller"]["user"].as_str().unwrap().to_owned()
    };
    assert_eq!(user_of("user-12345"), "user-12345");
    let ann = user_of(EMAIL);
    assert!(ann.starts_with("email_address:") && !ann.contains('@'), "{ann}");
    assert_eq!(user_of(EMAIL), ann);
    assert_ne!(user_of("bob@mail-house.org"), ann);
}
