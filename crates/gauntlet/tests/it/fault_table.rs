//! What a caller sees of each fault of a provider: one table, played at each door, streamed and not, with nobody else to
//! ask and with a spare. `provider_faults` tells the stories behind it.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use gauntlet_testkit::{Provider, Seen, Step, http};

use serde_json::json;

use crate::{
    app::TestApp,
    fault_doors::{DOORS, Door},
};

/// What becomes of a fault.
#[derive(Clone, Copy)]
enum Then {
    /// So many tries, then the spare; without one, this status and code, and this `Retry-After`.
    Moves { tries: usize, status: u16, code: &'static str, retry_after: Option<&'static str> },
    /// The request is at fault: back to the caller at once.
    Refused,
    /// The answer has begun: the stream ends in its dialect's way.
    Breaks { code: &'static str },
}

const fn moves(tries: usize) -> Then {
    Then::Moves { tries, status: 502, code: "upstream_failed", retry_after: None }
}

const fn waits(tries: usize, retry_after: &'static str) -> Then {
    Then::Moves { tries, status: 502, code: "upstream_failed", retry_after: Some(retry_after) }
}

const LATE: Then = Then::Moves { tries: 2, status: 504, code: "upstream_timeout", retry_after: None };
const BREAKS: Then = Then::Breaks { code: "upstream_failed" };
const RETRIED: Then = moves(2);
const NEXT: Then = moves(1);

/// When a fault can happen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Both,
    Plain,
    Stream,
}
use When::{Both, Plain, Stream};

fn error(status: u16, code: &str) -> Step {
    Step::error(status, code, code, "scripted failure")
}

fn limited(headers: &[(&str, &str)]) -> Step {
    headers.iter().fold(Step::status(429), |step, (name, value)| step.header(name, value))
}

fn statuses() -> Vec<(&'static str, When, Step, Then)> {
    vec![
        ("400", Both, Step::status(400), Then::Refused),
        ("400, context too long", Both, error(400, "context_length_exceeded"), Then::Refused),
        ("400, content filter", Both, error(400, "content_filter"), Then::Refused),
        ("400, wrong key", Both, error(400, "API_KEY_INVALID"), NEXT),
        ("401", Both, Step::status(401), NEXT),
        ("402", Both, Step::status(402), NEXT),
        ("403", Both, Step::status(403), NEXT),
        ("403, no access to the model", Both, error(403, "model_not_found"), NEXT),
        ("404", Both, Step::status(404), NEXT),
        ("405", Both, Step::status(405), NEXT),
        ("408", Both, Step::status(408), RETRIED),
        ("409", Both, Step::status(409), RETRIED),
        ("410", Both, Step::status(410), NEXT),
        ("413", Both, Step::status(413), Then::Refused),
        ("415", Both, Step::status(415), Then::Refused),
        ("418", Both, Step::status(418), Then::Refused),
        ("422", Both, Step::status(422), Then::Refused),
        ("425", Both, Step::status(425), RETRIED),
        ("429", Both, Step::status(429), RETRIED),
        ("429, empty account", Both, error(429, "insufficient_quota"), NEXT),
        ("429, at once", Both, limited(&[("retry-after", "0")]), waits(2, "0")),
        ("429, seconds", Both, limited(&[("retry-after", "3600")]), waits(1, "3600")),
        ("429, a fraction", Both, limited(&[("retry-after", "41.5")]), waits(1, "42")),
        ("429, milliseconds", Both, limited(&[("retry-after-ms", "60000")]), waits(1, "60")),
        (
            "429, a date gone by",
            Both,
            limited(&[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")]),
            waits(2, "0"),
        ),
        (
            "429, requests reset",
            Both,
            limited(&[("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "6m0s")]),
            waits(1, "360"),
        ),
        ("429, tokens reset", Both, limited(&[("x-ratelimit-reset-tokens", "1h2m3s")]), waits(1, "3723")),
        ("301", Both, Step::html(301).header("location", "http://127.0.0.1:9/"), NEXT),
        ("500", Both, Step::status(500), RETRIED),
        ("500, HTML", Both, Step::html(500), RETRIED),
        ("501", Both, Step::html(501), NEXT),
        ("502", Both, Step::html(502), RETRIED),
        ("503", Both, Step::status(503), RETRIED),
        ("503, come back", Both, Step::status(503).header("retry-after", "5"), waits(1, "5")),
        ("503, no body", Both, Step::empty().with_status(503), RETRIED),
        ("504", Both, Step::status(504), RETRIED),
        ("520", Both, Step::html(520), RETRIED),
        ("529", Both, error(529, "overloaded_error"), RETRIED),
    ]
}

fn answers() -> Vec<(&'static str, When, Step, Then)> {
    let in_200 = || Step::plain(json!({"error": {"message": "scripted failure", "type": "server_error"}}));
    let word = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"begun\"}}]}\n\n";
    let begun = || Step::stream(&["begun", " and", " not", " ended"]);
    vec![
        ("no HTTP", Both, Step::raw("what is this\r\n\r\n"), RETRIED),
        ("reset", Both, Step::drop_connection(), RETRIED),
        ("silence", Both, Step::hang(), LATE),
        ("empty", Both, Step::empty(), RETRIED),
        ("HTML", Both, Step::html(200), RETRIED),
        ("unknown encoding", Both, Step::answer(&["x"]).header("content-encoding", "br"), RETRIED),
        ("an error in a 200", Both, in_200(), RETRIED),
        ("half a JSON", Both, Step::text("").body("{\"id\":\"x\",\"choices\":[{"), RETRIED),
        ("a list", Plain, Step::plain(json!([1, 2])), RETRIED),
        ("cut in the body", Plain, Step::text("begun").cut_after_bytes(20), RETRIED),
        ("JSON for a stream", Stream, Step::text("not streamed"), RETRIED),
        ("end before the first token", Stream, Step::frames(&[": ping\n\n"]), RETRIED),
        ("cut before the first token", Stream, Step::stream(&["x"]).close_after_frames(1), RETRIED),
        ("half a frame first", Stream, Step::stream(&["x"]).half_frame_after(1), RETRIED),
        ("an error first", Stream, Step::stream(&["x"]).error_in_stream(1, "scripted failure"), RETRIED),
        ("HTML in a frame first", Stream, Step::frames(&["data: <html>\n\n"]), RETRIED),
        (
            "silence before the first token",
            Stream,
            Step::stream(&["x"]).delay_first(Duration::from_secs(9)),
            LATE,
        ),
        ("cut after the first token", Stream, begun().cut_after_frames(2), BREAKS),
        ("closed after the first token", Stream, begun().close_after_frames(2), BREAKS),
        ("half a frame after it", Stream, begun().half_frame_after(2), BREAKS),
        ("an error after it", Stream, begun().error_in_stream(2, "scripted failure"), BREAKS),
        ("HTML after it", Stream, Step::frames(&[word, "data: <html>\n\n"]), BREAKS),
        ("no end after it", Stream, Step::frames(&[word]), BREAKS),
        (
            "silence after it",
            Stream,
            Step::frames(&[word, word]).delay_between(Duration::from_secs(9)),
            Then::Breaks { code: "upstream_timeout" },
        ),
        (
            "no end in time",
            Stream,
            Step::endless("begun", Duration::from_millis(40)),
            Then::Breaks { code: "upstream_timeout" },
        ),
    ]
}

/// Each way of playing a fault has a target of its own, so that no breaker or pause of one reaches another and all can be
/// played at once.
struct Play<'a> {
    name: &'static str,
    step: &'a Step,
    then: Then,
    door: &'a Door,
    streamed: bool,
    has_spare: bool,
    target: String,
}

const WORKERS: usize = 8;

#[test]
fn each_fault_is_shown_to_the_caller_as_the_table_says() {
    let faults: Vec<_> = statuses().into_iter().chain(answers()).collect();
    assert!(faults.len() >= 40);
    let mut plays = Vec::new();
    for (name, when, step, then) in &faults {
        for door in &DOORS {
            for (streamed, has_spare) in [(false, false), (false, true), (true, false), (true, true)] {
                if *when == if streamed { Plain } else { Stream } {
                    continue;
                }
                let target = format!("t{}", plays.len());
                plays.push(Play { name, step, then: *then, door, streamed, has_spare, target });
            }
        }
    }
    let spare = Provider::start();
    spare.default(Step::answer(&["from ", "the spare"]));
    let sick = Provider::start();
    let app = TestApp::start(&config(&sick, &spare, &plays));
    let steps: Vec<Step> = plays.iter().map(|play| play.step.clone()).collect();
    sick.respond(move |seen| steps[number(seen)].clone());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(play) = plays.get(next.fetch_add(1, Ordering::Relaxed)) {
                    check(&app, play);
                }
            });
        }
    });
    let mut asked = vec![0; plays.len()];
    sick.requests().iter().for_each(|seen| asked[number(seen)] += 1);
    for (play, asked) in plays.iter().zip(asked) {
        let tries = match play.then {
            Then::Moves { tries, .. } => tries,
            Then::Refused | Then::Breaks { .. } => 1,
        };
        assert_eq!(asked, tries, "requests for {}", title(play));
    }
}

/// A provider for each play too: a refused key rests all targets of its provider.
fn config(sick: &Provider, spare: &Provider, plays: &[Play<'_>]) -> String {
    // The table counts the frames of chat, so every door is translated to it.
    let provider = |name: &str, url: String, key: &str| {
        format!("  {name}: {{dialect: openai, url: \"{url}\", key: {key}, serves: [chat]}}\n")
    };
    let mut config = provider("spare", spare.url(), "spare-secret");
    for Play { target, .. } in plays {
        config.push_str(&provider(target, sick.url(), "upstream-secret"));
    }
    config.push_str("models:\n");
    for Play { target, .. } in plays {
        config.push_str(&format!("  spared-{target}: [{target}/{target}, spare/s]\n"));
    }
    config.push_str(
        "default: {unpriced: allow, retry: {attempts: 2, base: 5ms, max: 2s},\n  \
         timeouts: {first_token: 300ms, attempt: 600ms, idle: 400ms, total: 8s}}\n",
    );
    config
}

fn number(seen: &Seen) -> usize {
    seen.json()["model"].as_str().unwrap().strip_prefix('t').unwrap().parse().unwrap()
}

fn title(play: &Play<'_>) -> String {
    let form = if play.streamed { "streamed" } else { "plain" };
    let spare = if play.has_spare { "with a spare" } else { "alone" };
    format!("`{}` at {}, {form}, {spare}", play.name, play.door.name)
}

fn check(app: &TestApp, play: &Play<'_>) {
    let name = title(play);
    let model = match play.has_spare {
        true => format!("spared-{}", play.target),
        false => format!("{0}/{0}", play.target),
    };
    let body = (play.door.body)(&model, play.streamed);
    let path = (play.door.path)(&model, play.streamed);
    let reply = http::post_json(&app.url(&path), &[], &body).expect("the gateway answers");
    let (text, code) = match reply.status {
        200 => ((play.door.text)(&reply), None),
        _ => (
            String::new(),
            Some((play.door.code)(&reply.json()).unwrap_or_else(|| panic!("{name}: {}", reply.text()))),
        ),
    };
    let code = code.as_deref();
    match play.then {
        Then::Moves { .. } if play.has_spare => {
            assert_eq!((reply.status, text.as_str()), (200, "from the spare"), "{name}: {}", reply.text());
            assert_eq!(reply.header("x-gauntlet-model"), Some("spare/s"), "{name}");
        }
        Then::Moves { status, code: wanted, retry_after, .. } => {
            assert_eq!((reply.status, code), (status, Some(wanted)), "{name}: {}", reply.text());
            assert_eq!(reply.header("retry-after"), retry_after, "{name}");
        }
        Then::Refused => {
            assert_eq!((reply.status, code), (400, Some("upstream_refused")), "{name}: {}", reply.text());
        }
        Then::Breaks { code } => {
            assert_eq!(reply.status, 200, "{name}");
            assert!(text.starts_with("begun"), "{name}: {}", reply.text());
            assert_eq!((play.door.broken)(&reply).as_deref(), Some(code), "{name}: {}", reply.text());
        }
    }
    let raw = format!("{:?} {}", reply.headers, reply.text());
    let is_quoted = matches!(play.then, Then::Refused);
    for private in ["scripted failure", "from a proxy", "upstream-secret", "spare-secret"] {
        let is_told = is_quoted && private == "scripted failure";
        assert!(is_told || !raw.contains(private), "{name}: the caller sees `{private}`: {raw}");
    }
}

#[test]
fn nobody_at_the_address_is_a_fault_like_any_other() {
    let spare = Provider::start();
    spare.default(Step::answer(&["from ", "the spare"]));
    let app = TestApp::start(&format!(
        "  spare: {{dialect: openai, url: \"{}\", price: free}}\n  \
         gone: {{dialect: openai, url: \"http://127.0.0.1:9/v1\", key: k, price: free, breaker: off}}\n\
         models: {{spared: [gone/x, spare/s]}}\ndefault: {{retry: {{attempts: 2, base: 5ms}}}}\n",
        spare.url()
    ));
    for door in &DOORS {
        for streamed in [false, true] {
            let ask = |model| {
                let (path, body) = ((door.path)(model, streamed), (door.body)(model, streamed));
                http::post_json(&app.url(&path), &[], &body).expect("the gateway answers")
            };
            let reply = ask("gone/x");
            assert_eq!((reply.status, (door.code)(&reply.json()).as_deref()), (502, Some("upstream_failed")));
            let record = app.trace_of(&reply)["record"].clone();
            assert_eq!(record["attempts"][1]["end"], "connect", "{record:#}");
            assert_eq!((door.text)(&ask("spared")), "from the spare");
        }
    }
}

#[test]
fn an_answer_without_end_is_not_read_to_its_end() {
    let app = TestApp::start("default: {unpriced: allow, retry: off}\n");
    for door in &DOORS {
        let plain = Step::text("").body(vec![b' '; (64 << 20) + 1]);
        let frame = format!("data: {}", "x".repeat((8 << 20) + 1));
        for (streamed, step, end) in [
            (false, plain, "longer than 67108864 bytes"),
            (true, Step::frames(&[&frame]), "a frame without end"),
        ] {
            app.provider.default(step);
            // A target of its own for each door: five failures would close it for the next.
            let model = format!("prov/{}", door.name);
            let (path, body) = ((door.path)(&model, streamed), (door.body)(&model, streamed));
            let reply = http::post_json(&app.url(&path), &[], &body).expect("the gateway answers");
            assert_eq!((reply.status, (door.code)(&reply.json()).as_deref()), (502, Some("upstream_failed")));
            let record = app.trace_of(&reply)["record"].clone();
            let said = record["attempts"][0]["error"].as_str().unwrap();
            assert!(said.contains(end), "{said}");
        }
    }
}
