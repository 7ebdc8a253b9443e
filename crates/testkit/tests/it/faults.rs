//! Answers that go wrong, each as a client sees it.

use std::{
    io::Read,
    net::TcpStream,
    time::{Duration, Instant},
};

use gauntlet_testkit::{PlayedEnd, Provider, Step, http};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(60);

fn url(provider: &Provider) -> String {
    format!("{}/chat/completions", provider.url())
}

fn ask(provider: &Provider) -> std::io::Result<http::Reply> {
    http::post_json(&url(provider), &[], &json!({"model": "m"}))
}

fn stream(provider: &Provider) -> http::Streamed {
    http::post_stream(&url(provider), &[], &json!({"model": "m", "stream": true})).unwrap().collect()
}

fn scripted(step: Step) -> Provider {
    let provider = Provider::start();
    provider.script([step]);
    provider
}

#[test]
fn statuses_carry_headers_and_a_body() {
    let provider = scripted(Step::status(429).header("retry-after", "1"));
    let reply = ask(&provider).unwrap();
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("1")));
    assert_eq!(reply.json()["error"]["type"], "rate_limit_error");
    provider.script([Step::status(529).body("overloaded"), Step::status(400).json(&json!({"a": 1}))]);
    let reply = ask(&provider).unwrap();
    assert_eq!((reply.status, reply.text().as_str()), (529, "overloaded"));
    assert_eq!(ask(&provider).unwrap().json(), json!({"a": 1}));
    provider.script([Step::html(200), Step::html(502), Step::empty()]);
    for status in [200, 502] {
        let reply = ask(&provider).unwrap();
        assert_eq!((reply.status, reply.header("content-type")), (status, Some("text/html")));
        assert!(reply.text().starts_with("<html>"));
    }
    let reply = ask(&provider).unwrap();
    assert_eq!((reply.status, reply.body.len(), reply.is_whole), (200, 0, true));
}

#[test]
fn delays_come_where_they_are_put() {
    let provider = scripted(Step::stream(&["a", "b"]).delay(PAUSE).delay_first(PAUSE).delay_between(PAUSE));
    let started = Instant::now();
    let mut answer = http::post_stream(&url(&provider), &[], &json!({"stream": true})).unwrap();
    assert!(started.elapsed() >= PAUSE);
    let first = answer.next_frame().unwrap();
    assert!(first.at >= 2 * PAUSE, "{first:?}");
    let second = answer.next_frame().unwrap();
    assert!(second.at >= first.at + PAUSE / 2, "{second:?}");
}

#[test]
fn a_cut_stream_is_not_whole() {
    let provider = scripted(Step::stream(&["a", "b", "c"]).cut_after_frames(3));
    let streamed = stream(&provider);
    assert!(!streamed.is_whole && !streamed.has_done());
    assert_eq!(streamed.text(), "ab");
    assert_eq!(provider.wait_for_end(0, LIMIT).unwrap().end, PlayedEnd::CutByScript);

    provider.script([Step::stream(&["a", "b"]).close_after_frames(2)]);
    let streamed = stream(&provider);
    assert_eq!((streamed.is_whole, streamed.text().as_str()), (false, "a"));

    provider.script([Step::text("hello").cut_after_bytes(10), Step::stream(&["a"]).cut_after_bytes(7)]);
    let reply = ask(&provider).unwrap();
    assert_eq!((reply.is_whole, reply.body.len()), (false, 10));
    let streamed = stream(&provider);
    assert_eq!((streamed.is_whole, streamed.frames.len()), (false, 0));
}

#[test]
fn a_cut_is_a_reset_and_a_close_is_not() {
    let read = |step: Step| {
        let provider = scripted(step);
        let mut socket = TcpStream::connect(("127.0.0.1", provider.port())).unwrap();
        std::io::Write::write_all(&mut socket, b"POST /v1/x HTTP/1.1\r\ncontent-length: 0\r\n\r\n").unwrap();
        socket.read_to_end(&mut Vec::new()).map_err(|error| error.kind())
    };
    assert_eq!(read(Step::stream(&["a"]).cut_after_frames(1)), Err(std::io::ErrorKind::ConnectionReset));
    assert_eq!(read(Step::drop_connection()), Err(std::io::ErrorKind::ConnectionReset));
    assert!(read(Step::stream(&["a"]).close_after_frames(1)).is_ok());
}

#[test]
fn half_a_frame_ends_a_body_that_http_calls_whole() {
    let provider = scripted(Step::stream(&["a", "b"]).half_frame_after(2));
    let reply = http::post_json(&url(&provider), &[], &json!({"stream": true})).unwrap();
    assert!(reply.is_whole);
    let text = reply.text();
    assert!(text.contains("\"a\"") && !text.ends_with("\n"), "{text}");
}

#[test]
fn an_error_stands_in_the_stream() {
    let provider = scripted(Step::stream(&["a", "b"]).error_in_stream(2, "overloaded"));
    let streamed = stream(&provider);
    assert!(streamed.is_whole && !streamed.has_done());
    assert_eq!(streamed.chunks()[2]["error"]["message"], "overloaded");
}

#[test]
fn bytes_arrive_apart_wherever_they_are_split() {
    let provider = Provider::start();
    provider.default(Step::stream(&["hé", "llo"]));
    let whole = http::post_json(&url(&provider), &[], &json!({"stream": true})).unwrap().body;
    for step in [
        Step::stream(&["hé", "llo"]).split_every(1),
        Step::stream(&["hé", "llo"]).split_at(&[3, 200, 3, 0]),
        Step::stream(&["hé", "llo"]).split_every(7).split_at(&[1]),
    ] {
        provider.script([step]);
        assert_eq!(http::post_json(&url(&provider), &[], &json!({"stream": true})).unwrap().body, whole);
    }
    let frames: Vec<usize> = provider.played().iter().map(|played| played.frames).collect();
    assert_eq!(frames[1..3], [whole.len(), 3]);
}

#[test]
fn a_gzip_body_is_marked_and_still_the_same_bytes() {
    let provider = scripted(Step::plain(json!({"a": "b"})).gzip());
    let reply = ask(&provider).unwrap();
    assert_eq!(reply.header("content-encoding"), Some("gzip"));
    // A stored block holds the bytes as they are, after ten of header and five of its own.
    assert_eq!(&reply.body[15..24], br#"{"a":"b"}"#);
}

#[test]
fn raw_bytes_need_not_be_http() {
    assert!(ask(&scripted(Step::raw("SSH-2.0-nonsense\r\n"))).is_err());
    assert!(ask(&scripted(Step::drop_connection())).is_err());
    let frames =
        scripted(Step::frames(&["data: {not json\n\n", ": comment\n\n", "event: x\ndata: 1\ndata: 2\n\n"]));
    let streamed = stream(&frames);
    assert_eq!(streamed.frames[0].data, "{not json");
    assert_eq!((streamed.frames[1].event.as_deref(), streamed.frames[1].data.as_str()), (Some("x"), "1\n2"));
}

#[test]
fn a_client_that_leaves_is_noticed() {
    let gone = |step: Step, leave: fn(http::Stream)| {
        let provider = scripted(step);
        let mut answer = http::post_stream(&url(&provider), &[], &json!({"stream": true})).unwrap();
        answer.next_frame().unwrap();
        leave(answer);
        provider.wait_for_end(0, LIMIT).expect("the provider notices")
    };
    let endless = || Step::endless("x", Duration::from_millis(1));
    for leave in [drop as fn(http::Stream), http::Stream::reset] {
        let played = gone(endless(), leave);
        assert_eq!(played.end, PlayedEnd::ClientGone);
        assert!(played.frames >= 1 && played.bytes > played.frames);
        assert_eq!(gone(Step::stream(&["a", "b"]).delay_between(LIMIT), leave).end, PlayedEnd::ClientGone);
    }
}

#[test]
fn a_hanging_provider_notices_that_the_client_gave_up() {
    let provider = scripted(Step::hang());
    let socket = TcpStream::connect(("127.0.0.1", provider.port())).unwrap();
    std::io::Write::write_all(&mut &socket, b"POST /v1/x HTTP/1.1\r\ncontent-length: 0\r\n\r\n").unwrap();
    assert!(provider.wait_for_requests(1, LIMIT));
    socket.set_read_timeout(Some(Duration::from_millis(30))).unwrap();
    assert!((&socket).read(&mut [0]).is_err(), "it answered");
    drop(socket);
    assert_eq!(provider.wait_for_end(0, LIMIT).unwrap().end, PlayedEnd::ClientGone);
}

#[test]
fn many_clients_are_served_at_once() {
    let provider = Provider::start();
    provider.default(Step::answer(&["x"]).delay(PAUSE));
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| assert_eq!(ask(&provider).unwrap().status, 200));
        }
    });
    assert!(started.elapsed() < 16 * PAUSE, "{:?}", started.elapsed());
    assert_eq!(provider.requests().len(), 32);
    assert!(provider.requests().iter().all(|seen| seen.json() == json!({"model": "m"})));
}
