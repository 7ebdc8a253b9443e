//! Guards hold at every door, whoever answers: what is redacted or stopped is so in every dialect, streamed and not,
//! translated and not, and also where a dialect tells a text a second time.

use gauntlet_testkit::{Step, http, http::Reply};
use serde_json::json;

use crate::{
    app::TestApp,
    fault_doors::{DOORS, Door},
};

/// Who answers: a provider of each dialect, so that every door meets its own and four others.
const TARGETS: [&str; 5] = ["prov", "answers", "anth", "goog", "rock"];

fn app(rest: &str) -> TestApp {
    let app = TestApp::start("");
    let (url, origin) = (app.provider.url(), app.provider.origin());
    app.reconfigure(&format!(
        "  answers: {{dialect: openai, url: \"{url}\", key: k, price: free, serves: [chat, responses]}}\n  \
         anth: {{dialect: anthropic, url: \"{origin}\", key: k, price: free}}\n  \
         goog: {{dialect: gemini, url: \"{origin}\", key: k, price: free}}\n  \
         rock: {{like: bedrock, url: \"{origin}\", key: k, region: eu-central-1, price: free}}\n{rest}"
    ));
    let reloaded = http::post(&app.url("/api/v1/reload"), &[], b"").expect("an answer");
    assert_eq!(reloaded.status, 200, "{}", reloaded.text());
    app
}

fn ask(app: &TestApp, door: &Door, target: &str, stream: bool, word: &str) -> Reply {
    let model = format!("{target}/test-model");
    let body = (door.body)(&model, stream).to_string().replace("\"hi\"", &json!(word).to_string());
    http::post(
        &app.url(&(door.path)(&model, stream)),
        &[("content-type", "application/json")],
        body.as_bytes(),
    )
    .expect("an answer")
}

fn everywhere(check: impl Fn(&Door, &str, bool)) {
    for door in &DOORS {
        for target in TARGETS {
            for stream in [false, true] {
                check(door, target, stream);
            }
        }
    }
}

#[test]
fn what_is_private_is_taken_out_both_ways_at_every_door() {
    let app = app("default: {input: {pii: redact}, output: {pii: redact}}\n");
    // Cut within the address, so that a stream has to hold it back.
    app.provider.respond(|_| Step::answer(&["Write to ann", "@exam", "ple.com", " today."]));
    everywhere(|door, target, stream| {
        let name = format!("{} to {target}, streamed: {stream}", door.name);
        let reply = ask(&app, door, target, stream, "I am bob@example.org, hello");
        assert_eq!(reply.status, 200, "{name}: {}", reply.text());
        assert_eq!(
            (door.text)(&reply),
            "Write to [REDACTED:EMAIL_ADDRESS] today.",
            "{name}: {}",
            reply.text()
        );
        if stream {
            assert_eq!((door.broken)(&reply), None, "{name}: {}", reply.text());
        }
        assert!(!reply.text().contains("ple.com"), "{name}: {}", reply.text());
        let sent = String::from_utf8_lossy(&app.provider.last_request().body).into_owned();
        assert!(sent.contains("[REDACTED:EMAIL_ADDRESS]") && !sent.contains("bob@"), "{name}: {sent}");
        let trace = app.trace_of(&reply).to_string();
        assert!(!trace.contains("bob@") && !trace.contains("ann@"), "{name}: {trace}");
    });
}

#[test]
fn what_must_not_go_out_ends_every_answer_in_its_own_way() {
    let app = app("default: {fallback: Sorry., output: {pii: block}}\n");
    app.provider.respond(|_| Step::answer(&["The card is ", "4111 1111 ", "1111 1111", " and more."]));
    everywhere(|door, target, stream| {
        let name = format!("{} to {target}, streamed: {stream}", door.name);
        let reply = ask(&app, door, target, stream, "hello");
        assert_eq!(reply.status, 200, "{name}: {}", reply.text());
        let text = (door.text)(&reply);
        assert!(text.ends_with("Sorry."), "{name}: {}", reply.text());
        assert!(!reply.text().contains("1111 1111"), "{name}: {}", reply.text());
        if stream {
            assert_eq!((door.broken)(&reply), None, "{name}: {}", reply.text());
        }
        assert_eq!(app.trace_of(&reply)["record"]["outcome"], "blocked", "{name}");
    });
}

#[test]
fn what_must_not_come_in_is_refused_in_the_words_of_the_door() {
    let app = app("default: {input: {secrets: block}}\n");
    let asked = app.provider.requests().len();
    everywhere(|door, target, stream| {
        let name = format!("{} to {target}, streamed: {stream}", door.name);
        let reply = ask(&app, door, target, stream, "my key is AKIAIOSFODNN7EXAMPLQ and secret");
        let code = (door.code)(&reply.json());
        assert_eq!(
            (reply.status, code.as_deref()),
            (400, Some("guardrail_blocked")),
            "{name}: {}",
            reply.text()
        );
    });
    assert_eq!(app.provider.requests().len(), asked, "no provider was asked");
}

#[test]
fn a_text_that_comes_without_pieces_is_guarded_each_time_it_is_told() {
    let app = app("default: {output: {pii: redact}}\n");
    let words = json!({"type": "output_text", "text": "Write to ann@example.com today.", "annotations": []});
    let item =
        json!({"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": [words]});
    let answer = |status: &str, output| json!({"id": "r", "object": "response", "status": status, "model": "test-model", "output": output});
    let frames: Vec<String> = [
        json!({"type": "response.created", "response": answer("in_progress", json!([]))}),
        json!({"type": "response.output_text.done", "item_id": "m", "output_index": 0, "content_index": 0,
            "text": words["text"]}),
        json!({"type": "response.content_part.done", "item_id": "m", "output_index": 0, "content_index": 0,
            "part": words}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
        json!({"type": "response.completed", "response": answer("completed", json!([item]))}),
    ]
    .iter()
    .map(|event| format!("data: {event}\n\n"))
    .collect();
    app.provider.respond(move |_| Step::frames(&frames.iter().map(String::as_str).collect::<Vec<_>>()));
    let door = DOORS.iter().find(|door| door.name == "responses").expect("the door");
    let reply = ask(&app, door, "answers", true, "hello");
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(!reply.text().contains("ann@"), "{}", reply.text());
    assert_eq!(
        reply.text().matches("Write to [REDACTED:EMAIL_ADDRESS] today.").count(),
        4,
        "{}",
        reply.text()
    );
}
