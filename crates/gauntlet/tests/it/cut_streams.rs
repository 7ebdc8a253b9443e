//! A stream may break on either side. It is settled once, recorded once, and nobody takes half an answer for a whole one.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use gauntlet_testkit::{PlayedEnd, Step, http::Streamed};
use serde_json::{Value, json};

use crate::app::TestApp;

const BUDGET: (&str, &str) = ("budgets.yml", "tenants:\n  default:\n    daily_usd: 5\n");
const SOON: Duration = Duration::from_secs(5);

fn start(config: &str) -> TestApp {
    TestApp::with_files(config, &[BUDGET])
}

fn record_of(app: &TestApp, streamed: &Streamed) -> Value {
    app.trace(streamed.header("x-gauntlet-request-id").unwrap())["record"].clone()
}

fn count(app: &TestApp) -> usize {
    app.api("/api/v1/traces?limit=50")["traces"].as_array().unwrap().len()
}

fn words(text: &str) -> String {
    let chunk =
        json!({"id": "c", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]});
    format!("data: {chunk}\n\n")
}

#[test]
fn a_stream_that_breaks_after_output_ends_with_an_error_and_is_paid_once() {
    let app = start("");
    let text = ["one two three ", "four five six ", "seven"];
    for (step, end) in [
        (Step::stream(&text).close_after_frames(3), "cut"),
        (Step::stream(&text).half_frame_after(3), "cut"),
        (Step::stream(&text).error_in_stream(3, "scripted failure"), "stream_error"),
        (Step::frames(&[&words("one two three four"), "data: <html>\n\n"]), "malformed"),
        (Step::frames(&[&words("one two three four")]), "cut"),
    ] {
        app.provider.script([step]);
        let streamed = app.stream(&[], &TestApp::body("count to seven")).collect();
        assert_eq!(streamed.status, 200);
        assert!(streamed.text().starts_with("one two three four"), "{end}: {:?}", streamed.frames);
        let last = streamed.frames.last().unwrap().json();
        assert_eq!(last["error"]["code"], "upstream_failed", "{end}");
        assert!(!last.to_string().contains("scripted"), "{last}");
        assert!(!streamed.frames.iter().any(|frame| frame.data == "[DONE]"));
        assert!(streamed.is_whole, "HTTP itself ends in good order");
        let record = record_of(&app, &streamed);
        assert_eq!((&record["outcome"], &record["error"]), (&json!("failed"), &json!("upstream_failed")));
        assert_eq!(record["attempts"][0]["end"], end, "{record:#}");
        assert_eq!(
            record["attempts"].as_array().unwrap().len(),
            1,
            "what the caller has seen cannot be taken back"
        );
        assert_eq!(record["usage"]["estimated"], true);
        let (input, output) = (&record["usage"]["input_fresh"], &record["usage"]["output"]);
        assert!(output.as_i64().unwrap() >= 4, "{record:#}");
        let cost = input.as_i64().unwrap() * 1_000 + output.as_i64().unwrap() * 2_000;
        assert_eq!(record["cost"], cost);
    }
    assert_eq!(count(&app), 5);
}

#[test]
fn silence_within_a_stream_ends_it() {
    let app = start("default: {timeouts: {idle: 200ms}}");
    app.provider
        .script([Step::frames(&[&words("hello"), &words(" there")]).delay_between(Duration::from_secs(2))]);
    let streamed = app.stream(&[], &TestApp::body("hi")).collect();
    assert_eq!(streamed.text(), "hello");
    assert_eq!(streamed.frames.last().unwrap().json()["error"]["code"], "upstream_timeout");
    let record = record_of(&app, &streamed);
    assert_eq!(
        (&record["outcome"], &record["attempts"][0]["end"]),
        (&json!("failed"), &json!("idle_timeout"))
    );
    assert_eq!(app.provider.wait_for_end(0, SOON).map(|played| played.end), Some(PlayedEnd::ClientGone));
}

#[test]
fn a_stream_without_end_is_stopped_by_the_attempts_limit() {
    let app = start("default: {timeouts: {attempt: 400ms}}");
    app.provider.script([Step::endless("ha ", Duration::from_millis(2))]);
    let streamed = app.stream(&[], &TestApp::body("laugh")).collect();
    assert!(streamed.frames.len() > 10);
    assert_eq!(streamed.frames.last().unwrap().json()["error"]["code"], "upstream_timeout");
    let record = record_of(&app, &streamed);
    assert_eq!(record["attempts"][0]["end"], "total_timeout");
    assert!(record["cost"].as_i64().unwrap() > 0);
    assert_eq!(app.provider.wait_for_end(0, SOON).map(|played| played.end), Some(PlayedEnd::ClientGone));
}

#[test]
fn a_caller_who_leaves_ends_the_stream_or_lets_it_run_as_the_route_says() {
    let app = start(
        "routes:\n  abort: {}\n  drain: {on_disconnect: drain}\n  some: {on_disconnect: {drain_tokens: 10}}\n",
    );
    let pieces = vec!["and on and on "; 120];
    let pause = Duration::from_millis(15);
    for (index, (route, end)) in
        [("abort", PlayedEnd::ClientGone), ("drain", PlayedEnd::Whole), ("some", PlayedEnd::ClientGone)]
            .into_iter()
            .enumerate()
    {
        app.provider.script([Step::stream(&pieces).delay_between(pause)]);
        let mut stream = app.stream(&[("x-gauntlet-route", route)], &TestApp::body("go on"));
        let id = stream.header("x-gauntlet-request-id").unwrap().to_owned();
        for _ in 0..4 {
            stream.next_frame().unwrap();
        }
        stream.reset();
        let played = app.provider.wait_for_end(index, SOON).unwrap();
        assert_eq!(played.end, end, "{route}: {played:?}");
        let record = app.trace(&id)["record"].clone();
        assert_eq!((&record["outcome"], &record["status"]), (&json!("cancelled"), &json!(499)), "{route}");
        let (cost, wasted) = (record["cost"].as_i64().unwrap(), record["wasted"].as_i64().unwrap());
        assert!(cost > 0, "{route}: what was made is paid");
        match route {
            "abort" => {
                assert!(played.frames < 100, "{played:?}");
                assert_eq!(record["attempts"][0]["end"], "abandoned");
                assert_eq!(record["usage"]["estimated"], true);
            }
            "drain" => {
                assert!(wasted > 0 && wasted < cost, "{record:#}");
                assert_eq!(record["usage"]["estimated"], false, "the usage chunk was waited for");
                assert_eq!(record["attempts"][0]["end"], "ok");
            }
            _ => {
                assert!(wasted > 0, "{record:#}");
                assert!(played.frames > 5 && played.frames < 35, "{played:?}");
            }
        }
    }
    app.balance();
    assert_eq!(count(&app), 3, "one record each");
}

#[test]
fn a_caller_who_leaves_during_a_plain_call_pays_for_it_all_the_same() {
    let app = start("");
    app.provider.script([Step::text("nobody reads this").delay(Duration::from_millis(300))]);
    let body = TestApp::body("hi").to_string();
    let address = app.gateway().base_url().strip_prefix("http://").unwrap().to_owned();
    let mut socket = TcpStream::connect(&address).unwrap();
    let length = body.len();
    write!(socket, "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}")
        .unwrap();
    assert!(app.provider.wait_for_requests(1, SOON));
    drop(socket);
    assert_eq!(app.provider.wait_for_end(0, SOON).map(|played| played.end), Some(PlayedEnd::Whole));
    app.balance();
    let record = app.last_trace()["record"].clone();
    assert_eq!(record["outcome"], "cancelled");
    assert_eq!(record["cost"], 9 * 1_000 + 12 * 2_000);
    assert_eq!(record["attempts"][0]["end"], "ok");
}

#[test]
fn a_slow_reader_gets_everything() {
    let app = start("default: {timeouts: {idle: 400ms}}");
    let piece = "x".repeat(4_000);
    let pieces = vec![piece.as_str(); 1_000];
    app.provider.script([Step::stream(&pieces)]);
    let mut stream = app.stream(&[], &TestApp::body("much"));
    let first = stream.next_frame().unwrap();
    // Longer than the provider may be silent: it is the reader who is slow.
    std::thread::sleep(Duration::from_millis(700));
    let streamed = stream.collect();
    assert!(first.data.contains("assistant"));
    assert_eq!(streamed.text().len(), 4_000_000);
    assert!(streamed.has_done());
    assert_eq!(record_of(&app, &streamed)["outcome"], "ok");
}

#[test]
fn frames_arrive_the_same_however_the_network_cuts_them() {
    let app = start("routes: {guarded: {output: {pii: redact, secrets: block}}}");
    let frames = [
        words("Gr\u{fc}\u{df}e \u{1f600}"),
        "event: x\r\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\" \\u00e9\"}}]}\r\n\r\n"
            .to_owned(),
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n".to_owned(),
        "data: [DONE]\n\n".to_owned(),
    ];
    let frames: Vec<&str> = frames.iter().map(String::as_str).collect();
    let mut body = TestApp::body("hi");
    body["stream"] = true.into();
    for every in 1..=7 {
        app.provider.script([Step::frames(&frames).split_every(every)]);
        assert_eq!(app.chat(&[], &body).text(), frames.concat(), "every {every} bytes");
    }
    for at in 1..frames.concat().len() {
        app.provider.script([Step::frames(&frames).split_at(&[at])]);
        assert_eq!(app.chat(&[], &body).text(), frames.concat(), "at byte {at}");
    }
    app.provider.script([Step::frames(&frames).split_every(3)]);
    let text = app.stream(&[("x-gauntlet-route", "guarded")], &body).collect().text();
    assert_eq!(text, "Gr\u{fc}\u{df}e \u{1f600} \u{e9}");
}

#[test]
fn no_frame_waits_for_the_next() {
    let app = start("");
    let pause = Duration::from_millis(200);
    app.provider.script([Step::stream(&["one", " two", " three"]).delay_between(pause)]);
    let streamed = app.stream(&[], &TestApp::body("count")).collect();
    // The role comes with the first token: until then another target could still be asked.
    let words: Vec<_> =
        streamed.frames.iter().filter(|frame| frame.data.contains("\"content\":\"")).collect();
    let at = |word: &str| words.iter().find(|frame| frame.data.contains(word)).unwrap().at;
    assert!(at(" two") >= at("one") + pause / 2, "{words:?}");
    assert!(at(" three") >= at(" two") + pause / 2, "{words:?}");
    let end = streamed.frames.iter().find(|frame| frame.data.contains("\"stop\"")).unwrap().at;
    assert!(end >= at(" three") + pause / 2);
    let first = record_of(&app, &streamed)["first_token_us"].as_u64().unwrap();
    assert!(first < 400_000, "{first}");
}

#[test]
fn a_stream_that_does_not_say_what_it_used_is_counted_here() {
    let app = start("");
    app.provider.script([
        Step::stream(&["hello", " there"]).without_usage_chunk(),
        Step::stream(&["hello", " there"]).without_done(),
        Step::stream(&["hello", " there"]).without_usage_chunk().without_done(),
    ]);
    for (estimated, has_done) in [(true, true), (false, false), (true, false)] {
        let streamed = app.stream(&[], &TestApp::body("hi")).collect();
        assert_eq!((streamed.text().as_str(), streamed.has_done()), ("hello there", has_done));
        let record = record_of(&app, &streamed);
        assert_eq!(record["outcome"], "ok");
        assert_eq!(record["usage"]["estimated"], estimated);
        if estimated {
            assert_eq!(record["usage"]["output"], 2);
            assert!(record["usage"]["input_fresh"].as_i64().unwrap() > 0);
        }
        assert!(record["cost"].as_i64().unwrap() > 0);
    }
}

#[test]
fn a_caller_who_closes_his_side_only_is_still_answered_or_cancelled_but_never_lost() {
    let app = start("");
    let body = TestApp::body("hi").to_string();
    let address = app.gateway().base_url().strip_prefix("http://").unwrap().to_owned();
    let mut socket = TcpStream::connect(&address).unwrap();
    let length = body.len();
    write!(socket, "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}")
        .unwrap();
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    // Either is in order; what counts is the record.
    let _ = socket.read_to_end(&mut answer);
    app.balance();
    assert_eq!(count(&app), 1);
}
