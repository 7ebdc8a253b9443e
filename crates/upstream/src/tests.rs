//! Requests as a provider sees them, for every way to show who asks.

use std::{sync::Arc, time::Duration};

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, header::AUTHORIZATION};
use bytes::Bytes;
use futures_util::{StreamExt, future::join_all};
use gauntlet_ports::{
    Auth, AwsKeys, Endpoint, EndpointKind, HttpEndpoint, Layout, Operation, TokenGrant, Upstream,
    UpstreamAnswer, UpstreamError, UpstreamRequest,
};
use gauntlet_testkit::{ManualClock, Provider, Step};
use gauntlet_types::{Quirks, Secret, Services};

use crate::{Tokens, Upstreams};

struct World {
    provider: Provider,
    tokens: Provider,
    clock: Arc<ManualClock>,
    upstreams: Upstreams,
    /// Another worker, with connections of its own and the same tokens.
    other: Upstreams,
}

fn world() -> World {
    let clock = Arc::new(ManualClock::new());
    let held = Tokens::new(clock.clone());
    let (upstreams, other) = (Upstreams::new(held.clone()), Upstreams::new(held));
    World { provider: Provider::start(), tokens: Provider::start(), clock, upstreams, other }
}

impl World {
    fn endpoint(&self, layout: Layout, auth: Auth) -> Arc<Endpoint> {
        let http = HttpEndpoint {
            base: self.provider.url().trim_end_matches("/v1").into(),
            layout,
            auth,
            headers: HeaderMap::new(),
            services: Services::default(),
            quirks: Quirks::default(),
            elsewhere: Vec::new(),
        };
        let connect_timeout = Duration::from_secs(5);
        Arc::new(Endpoint { provider: "p".into(), kind: EndpointKind::Http(http), connect_timeout })
    }

    async fn send(&self, request: UpstreamRequest) -> Result<UpstreamAnswer, UpstreamError> {
        self.upstreams.send(request).await
    }

    fn token(&self, number: u32, seconds: u64) -> Step {
        let body = format!(r#"{{"access_token":"token-{number}","expires_in":{seconds}}}"#);
        Step::status(200).body(body)
    }

    fn entra(&self) -> TokenGrant {
        TokenGrant::Entra {
            authority: self.tokens.url().trim_end_matches("/v1").into(),
            tenant: "tenant".into(),
            client_id: "client".into(),
            client_secret: Secret::new("s3cr3t-of-entra"),
        }
    }
}

fn request(endpoint: &Arc<Endpoint>, operation: Operation, body: &'static str) -> UpstreamRequest {
    UpstreamRequest {
        endpoint: endpoint.clone(),
        model: "claude-haiku-4-5".into(),
        operation,
        is_streaming: false,
        content_type: None,
        headers: HeaderMap::new(),
        body: Bytes::from_static(body.as_bytes()),
    }
}

fn header(name: &'static str, value: &'static str) -> Auth {
    let mut value = HeaderValue::from_static(value);
    value.set_sensitive(true);
    Auth::Header(HeaderName::from_static(name), value)
}

async fn text(answer: UpstreamAnswer) -> Result<String, UpstreamError> {
    let mut body = answer.body;
    let mut all = Vec::new();
    while let Some(piece) = body.next().await {
        all.extend_from_slice(&piece?);
    }
    Ok(String::from_utf8(all).expect("UTF-8"))
}

#[tokio::test]
async fn every_layout_sends_its_key_in_its_own_header() {
    let world = world();
    let cases = [
        (Layout::Openai, Operation::Chat, "authorization", "Bearer k", "/chat/completions"),
        (Layout::Openai, Operation::Messages, "authorization", "Bearer k", "/messages"),
        (Layout::Azure { api_version: None }, Operation::Chat, "api-key", "k", "/openai/v1/chat/completions"),
        (Layout::Anthropic, Operation::Messages, "x-api-key", "k", "/v1/messages"),
        (
            Layout::Gemini,
            Operation::Generate,
            "x-goog-api-key",
            "k",
            "/v1beta/models/claude-haiku-4-5:generateContent",
        ),
        (
            Layout::Bedrock,
            Operation::Converse,
            "authorization",
            "Bearer k",
            "/model/claude-haiku-4-5/converse",
        ),
    ];
    for (layout, operation, name, value, path) in cases {
        let is_anthropic = operation == Operation::Messages;
        let endpoint = world.endpoint(layout.clone(), header(name, value));
        world.send(request(&endpoint, operation, "{}")).await.expect("an answer");
        let seen = world.provider.last_request();
        assert_eq!((seen.path.as_str(), seen.header(name)), (path, Some(value)), "{layout:?}");
        assert_eq!(seen.method, Method::POST, "{layout:?}");
        assert_eq!(seen.header("content-type"), Some("application/json"), "{layout:?}");
        assert_eq!(seen.header("accept-encoding"), Some("identity"), "{layout:?}");
        let version = is_anthropic.then_some("2023-06-01");
        assert_eq!(seen.header("anthropic-version"), version, "{layout:?}");
    }
}

#[tokio::test]
async fn headers_meant_for_another_vendor_stay_here() {
    let world = world();
    let names = ["anthropic-beta", "openai-organization", "x-goog-user-project", "x-amz-date", "user-agent"];
    let check = |layout: Layout, operation: Operation, expected: &'static [&'static str]| {
        let world = &world;
        async move {
            let endpoint = world.endpoint(layout.clone(), Auth::None);
            let mut request = request(&endpoint, operation, "{}");
            for name in names {
                request.headers.insert(name, HeaderValue::from_static("v"));
            }
            world.send(request).await.expect("an answer");
            let seen = world.provider.last_request();
            let kept: Vec<&str> = names.into_iter().filter(|name| seen.header(name) == Some("v")).collect();
            assert_eq!(kept, expected, "{layout:?}");
        }
    };
    check(Layout::Openai, Operation::Chat, &["openai-organization", "user-agent"]).await;
    check(Layout::Openai, Operation::Messages, &["anthropic-beta", "openai-organization", "user-agent"])
        .await;
    check(Layout::Anthropic, Operation::Messages, &["anthropic-beta", "user-agent"]).await;
    check(Layout::Gemini, Operation::Generate, &["x-goog-user-project", "user-agent"]).await;
    check(Layout::Bedrock, Operation::Converse, &["user-agent"]).await;
}

#[tokio::test]
async fn a_form_travels_as_it_is_and_a_get_has_no_body() {
    let world = world();
    let endpoint = world.endpoint(Layout::Openai, Auth::None);
    let raw = |method: Method, path: &str| Operation::Raw { method, path: path.into() };
    let mut form = request(&endpoint, raw(Method::POST, "/audio/transcriptions"), "--b\r\n...");
    form.content_type = Some(HeaderValue::from_static("multipart/form-data; boundary=b"));
    world.send(form).await.expect("an answer");
    let seen = world.provider.last_request();
    assert_eq!(seen.header("content-type"), Some("multipart/form-data; boundary=b"));
    assert_eq!((seen.path.as_str(), &seen.body[..]), ("/audio/transcriptions", &b"--b\r\n..."[..]));

    world.send(request(&endpoint, raw(Method::GET, "/files/f-1/content"), "")).await.expect("an answer");
    let seen = world.provider.last_request();
    assert_eq!((seen.method.clone(), seen.path.as_str()), (Method::GET, "/files/f-1/content"));
    assert_eq!((seen.header("content-type"), seen.header("content-length")), (None, None));
}

#[tokio::test]
async fn bedrock_requests_carry_a_signature_of_what_is_sent() {
    let world = world();
    let keys = AwsKeys {
        access_key: "AKIDEXAMPLE".into(),
        secret_key: Secret::new("s3cr3t-of-aws"),
        session_token: Some(Secret::new("session-token")),
        region: "eu-central-1".into(),
    };
    let endpoint = world.endpoint(Layout::Bedrock, Auth::Aws(keys));
    let mut asked = request(&endpoint, Operation::Converse, "{}");
    asked.headers.insert("x-amz-security-token", HeaderValue::from_static("the caller's"));
    world.send(asked).await.expect("an answer");
    let seen = world.provider.last_request();
    assert_eq!(seen.header("x-amz-date"), Some("20260425T184211Z"));
    assert_eq!(seen.header("x-amz-security-token"), Some("session-token"));
    let host = format!("127.0.0.1:{}", world.provider.port());
    assert_eq!(seen.header("host"), Some(host.as_str()));
    let authorization = seen.header("authorization").expect("a signature").to_owned();
    let start = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260425/eu-central-1/bedrock/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature=";
    assert!(authorization.starts_with(start), "{authorization}");

    // Another body, another signature; the same body a second later as well.
    world.send(request(&endpoint, Operation::Converse, "{ }")).await.expect("an answer");
    let other = world.provider.last_request().header("authorization").expect("a signature").to_owned();
    assert_ne!(other, authorization);
    world.clock.advance(Duration::from_secs(1));
    world.send(request(&endpoint, Operation::Converse, "{}")).await.expect("an answer");
    assert_ne!(world.provider.last_request().header("authorization"), Some(authorization.as_str()));
}

/// `messageStart` and a `throttlingException`, as Bedrock frames them.
const CONVERSE: [&str; 2] = [
    "00000081000000526cc176930b3a6576656e742d7479706507000c6d65737361676553746172740d3a636f6e74656e742d747970650700\
     106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b2270223a2261626364222c22726f6c\
     65223a22617373697374616e74227df512a005",
    "00000090000000618e91a9b70f3a657863657074696f6e2d747970650700137468726f74746c696e67457863657074696f6e0d3a636f6e\
     74656e742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d74797065070009657863657074696f6e7b\
     226d657373616765223a22546f6f206d616e79207265717565737473227de67f8005",
];

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16);
    digits.chunks(2).map(|pair| byte(pair).expect("digits")).collect()
}

#[tokio::test]
async fn bedrocks_frames_arrive_as_server_sent_events() {
    let world = world();
    let endpoint = world.endpoint(Layout::Bedrock, Auth::None);
    let framed: Vec<u8> = CONVERSE.iter().flat_map(|frame| hex(frame)).collect();
    let stream = |body: Vec<u8>| {
        Step::status(200).header("content-type", "application/vnd.amazon.eventstream").body(body)
    };
    let asked = || {
        let mut asked = request(&endpoint, Operation::Converse, "{}");
        asked.is_streaming = true;
        asked
    };
    world.provider.script([stream(framed.clone()).split_every(7), stream(framed[..40].to_vec())]);
    let answer = world.send(asked()).await.expect("an answer");
    assert_eq!(answer.headers["content-type"], "text/event-stream");
    let expected = "event: messageStart\ndata: {\"p\":\"abcd\",\"role\":\"assistant\"}\n\n\
                    event: throttlingException\ndata: {\"message\":\"Too many requests\"}\n\n";
    assert_eq!(text(answer).await.expect("a whole stream"), expected);
    let seen = world.provider.last_request();
    assert_eq!(seen.path, "/model/claude-haiku-4-5/converse-stream");
    assert_eq!(seen.header("accept"), Some("application/vnd.amazon.eventstream"));

    let cut = world.send(asked()).await.expect("an answer begins");
    let error = text(cut).await.expect_err("it ends within a message");
    assert!(matches!(error, UpstreamError::Broken { .. }), "{error:?}");
}

#[tokio::test]
async fn anthropics_models_on_vertex_get_the_body_that_vertex_wants() {
    let world = world();
    world.tokens.default(world.token(1, 3600));
    let account = crate::token::service_account(&format!("{}/token", world.tokens.url()));
    let grant = TokenGrant::Google { account: Secret::new(&account) };
    let layout = Layout::Vertex { project: "pr".into(), region: "global".into() };
    let endpoint = world.endpoint(layout, Auth::Token(grant));
    let body = r#"{"model":"claude-haiku-4-5","max_tokens":1,"messages":[]}"#;
    world.send(request(&endpoint, Operation::Messages, body)).await.expect("an answer");
    let seen = world.provider.last_request();
    let place = "/v1/projects/pr/locations/global/publishers/anthropic/models/claude-haiku-4-5:rawPredict";
    assert_eq!((seen.path.as_str(), seen.header("authorization")), (place, Some("Bearer token-1")));
    let expected = r#"{"anthropic_version":"vertex-2023-10-16","max_tokens":1,"messages":[]}"#;
    assert_eq!(seen.body, expected);
    let asked = world.tokens.last_request();
    assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));

    let broken = world.send(request(&endpoint, Operation::Messages, "[]")).await;
    let error = broken.err().expect("no object").to_string();
    assert!(error.contains("must be an object"), "{error}");
}

#[tokio::test]
async fn fifty_calls_at_once_fetch_one_token() {
    let world = world();
    world.tokens.default(world.token(1, 3600).delay(Duration::from_millis(50)));
    let endpoint = world.endpoint(Layout::Azure { api_version: None }, Auth::Token(world.entra()));
    let calls = (0..50).map(|number| {
        let worker = if number % 2 == 0 { &world.upstreams } else { &world.other };
        worker.send(request(&endpoint, Operation::Chat, "{}"))
    });
    for answer in join_all(calls).await {
        answer.expect("an answer");
    }
    assert_eq!(world.tokens.requests().len(), 1);
    assert_eq!(world.tokens.last_request().path, "/tenant/oauth2/v2.0/token");
    let seen = world.provider.requests();
    assert_eq!(seen.len(), 50);
    assert!(seen.iter().all(|seen| seen.header("authorization") == Some("Bearer token-1")));
}

#[tokio::test]
async fn a_token_is_renewed_ahead_by_one_call_and_the_others_go_on() {
    let world = world();
    let endpoint = world.endpoint(Layout::Azure { api_version: None }, Auth::Token(world.entra()));
    let token_of = |number| {
        let seen = world.provider.requests();
        seen.iter()
            .filter(|seen| seen.header("authorization") == Some(&format!("Bearer token-{number}")))
            .count()
    };
    let call = || world.send(request(&endpoint, Operation::Chat, "{}"));
    world.tokens.script([world.token(1, 3600), world.token(2, 3600).delay(Duration::from_millis(50))]);
    call().await.expect("an answer");
    world.clock.advance(Duration::from_secs(3600 - 301));
    call().await.expect("an answer");
    assert_eq!((token_of(1), world.tokens.requests().len()), (2, 1));
    // Five minutes before its end.
    world.clock.advance(Duration::from_secs(2));
    for answer in join_all((0..50).map(|_| call())).await {
        answer.expect("an answer");
    }
    assert_eq!(world.tokens.requests().len(), 2);
    assert_eq!((token_of(1), token_of(2)), (51, 1));
    call().await.expect("an answer");
    assert_eq!(token_of(2), 2);
}

#[tokio::test]
async fn a_failed_renewal_is_no_failure_while_the_old_token_is_good() {
    let world = world();
    let endpoint = world.endpoint(Layout::Azure { api_version: None }, Auth::Token(world.entra()));
    let call = || world.send(request(&endpoint, Operation::Chat, "{}"));
    world.tokens.script([world.token(1, 3600)]);
    world.tokens.default(Step::status(503).body("busy"));
    call().await.expect("an answer");
    world.clock.advance(Duration::from_secs(3400));
    for _ in 0..5 {
        call().await.expect("an answer");
    }
    // It is tried again after half a minute, and not by each call.
    assert_eq!(world.tokens.requests().len(), 2);
    world.clock.advance(Duration::from_secs(200));
    let error = call().await.err().expect("the old token has ended").to_string();
    assert_eq!(
        error,
        "provider `p` cannot be called, for there is no token: the token server answers with status 503"
    );
    assert_eq!(world.provider.requests().len(), 6);
}

#[tokio::test]
async fn a_token_server_in_trouble_is_asked_once_and_says_no_secret() {
    let world = world();
    let endpoint = world.endpoint(Layout::Azure { api_version: None }, Auth::Token(world.entra()));
    let says =
        r#"{"error":"invalid_client","error_description":"s3cr3t-of-entra is no secret of this client"}"#;
    world.tokens.default(Step::status(401).body(says).delay(Duration::from_millis(30)));
    let calls = (0..50).map(|_| world.send(request(&endpoint, Operation::Chat, "{}")));
    for answer in join_all(calls).await {
        let error = answer.err().expect("no token");
        assert!(matches!(error, UpstreamError::Token { .. }), "{error:?}");
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("invalid_client: *** is no secret") && !shown.contains("s3cr3t"), "{shown}");
    }
    assert_eq!((world.tokens.requests().len(), world.provider.requests().len()), (1, 0));
}

#[tokio::test]
async fn a_refused_token_is_given_up_unless_it_is_fresh() {
    let world = world();
    let endpoint = world.endpoint(Layout::Azure { api_version: None }, Auth::Token(world.entra()));
    world.tokens.script([world.token(1, 3600), world.token(2, 3600)]);
    world.provider.default(Step::status(401));
    let call = || world.send(request(&endpoint, Operation::Chat, "{}"));
    for _ in 0..3 {
        assert_eq!(call().await.expect("an answer").status, 401);
    }
    assert_eq!(world.tokens.requests().len(), 1);
    world.clock.advance(Duration::from_secs(61));
    assert_eq!(call().await.expect("an answer").status, 401);
    assert_eq!(call().await.expect("an answer").status, 401);
    assert_eq!(world.tokens.requests().len(), 2);
    assert_eq!(world.provider.last_request().header("authorization"), Some("Bearer token-2"));
}

#[tokio::test]
async fn a_machine_says_who_it_is_by_asking_its_cloud() {
    let world = world();
    world.tokens.default(world.token(1, 3600));
    let url = format!("{}/identity?resource=r", world.tokens.url());
    let grant = TokenGrant::Machine { url: url.into(), header: ("metadata-flavor", "Google") };
    let endpoint = world.endpoint(Layout::Gemini, Auth::Token(grant));
    world.send(request(&endpoint, Operation::Generate, "{}")).await.expect("an answer");
    let asked = world.tokens.last_request();
    assert_eq!((asked.method.clone(), asked.header("metadata-flavor")), (Method::GET, Some("Google")));
    assert_eq!(world.provider.last_request().headers[AUTHORIZATION], "Bearer token-1");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let world = world();
    let other = Provider::start();
    let endpoint = world.endpoint(Layout::Openai, header("authorization", "Bearer k"));
    world.provider.default(Step::status(307).header("location", &format!("{}/x", other.url())));
    let answer = world.send(request(&endpoint, Operation::Chat, "{}")).await.expect("an answer");
    assert_eq!((answer.status.as_u16(), other.requests().len()), (307, 0));
}
