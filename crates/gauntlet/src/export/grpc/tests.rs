//! What becomes of a request, whatever its receiver answers or does.

use gauntlet_policy::config::Secret;
use gauntlet_testkit::{GrpcReceiver, GrpcStep, free_port};
use gauntlet_types::{ExportProfile, ExportProtocol};
use gauntlet_wire::otlp;

use super::*;

fn exporter(url: &str) -> config::Exporter {
    config::Exporter {
        name: "sink".into(),
        protocol: ExportProtocol::Grpc,
        url: url.into(),
        headers: vec![("authorization".into(), Secret::new("Bearer very-secret-token"))],
        profile: ExportProfile::Default,
        queue: 1 << 20,
        texts: true,
        resource: vec![],
    }
}

fn post_to(receiver: &GrpcReceiver) -> Post {
    post(&exporter(&format!("http://127.0.0.1:{}", receiver.port())))
}

/// A request of no spans, large enough to be packed or not.
fn message(bytes: usize) -> Vec<u8> {
    otlp::request(&[("service.name".to_owned(), "x".repeat(bytes))], "1", &[])
}

fn later(posted: Posted) -> (Option<Duration>, String) {
    match posted {
        Posted::Later { after, why } => (after, why),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_status_is_taken_as_otlp_says() {
    let receiver = GrpcReceiver::start();
    let post = post_to(&receiver);
    for status in Status::ALL.into_iter().skip(1) {
        let why = format!("status {status}: it said so, 100 %");
        let alone = GrpcStep::Status(status, "it said so, 100 %");
        for step in [alone, GrpcStep::StatusAtTheEnd(status, "it said so, 100 %")] {
            receiver.script([step]);
            let expected = match status.again() {
                Again::Yes => Posted::Later { after: None, why: why.clone() },
                Again::IfTold | Again::No => Posted::Refused(why.clone()),
            };
            assert_eq!(post(&message(1)), expected);
        }
        let pause = Duration::from_millis(1_500);
        receiver.script([GrpcStep::Retry(status, pause), GrpcStep::Retry(status, Duration::ZERO)]);
        for after in [Some(pause), None] {
            let why = format!("status {status}: slow down");
            let expected = match status.again() {
                Again::Yes | Again::IfTold => Posted::Later { after, why },
                Again::No => Posted::Refused(why),
            };
            assert_eq!(post(&message(1)), expected);
        }
    }
    assert_eq!(receiver.connections(), 1, "a refusal is no reason to connect anew");
}

#[test]
fn what_was_taken_is_told_with_what_was_not() {
    let receiver = GrpcReceiver::start();
    let post = post_to(&receiver);
    assert_eq!(post(&message(1)), Posted::Taken);
    receiver.script([GrpcStep::Partly(3, "too old; Bearer very-secret-token")]);
    assert_eq!(post(&message(1)), Posted::Partly { rejected: 3, why: "too old; Bearer ***".to_owned() });
    // A message that says nothing to us.
    receiver.script([GrpcStep::Long(100)]);
    assert_eq!(post(&message(1)), Posted::Taken);
}

#[test]
fn answers_of_no_receiver_of_spans_are_told_by_their_status() {
    let receiver = GrpcReceiver::start();
    let post = post_to(&receiver);
    let refused = |why: &str| Posted::Refused(why.to_owned());
    for (step, expected) in [
        (GrpcStep::Http(404), refused("status UNIMPLEMENTED: HTTP status 404")),
        (GrpcStep::Http(401), refused("status UNAUTHENTICATED: HTTP status 401")),
        (GrpcStep::Http(413), Posted::TooLarge),
        (
            GrpcStep::Http(503),
            Posted::Later { after: None, why: "status UNAVAILABLE: HTTP status 503".to_owned() },
        ),
        (GrpcStep::NoStatus, refused("status UNKNOWN: it ended without a status of gRPC")),
        (
            GrpcStep::Long(READ_MAX + 1),
            refused(&format!("status RESOURCE_EXHAUSTED: its answer is longer than {READ_MAX} bytes")),
        ),
    ] {
        receiver.script([step]);
        assert_eq!(post(&message(1)), expected);
    }
    assert_eq!(post(&message(1)), Posted::Taken);
}

#[test]
fn a_call_is_as_grpc_has_it() {
    let receiver = GrpcReceiver::start();
    let post = post_to(&receiver);
    for (bytes, is_packed) in [(1, false), (1 << 20, true)] {
        assert_eq!(post(&message(bytes)), Posted::Taken);
        let call = receiver.calls().pop().unwrap();
        assert_eq!(call.path, METHOD);
        assert_eq!(call.is_packed, is_packed);
        for (name, value) in [
            ("content-type", Some("application/grpc")),
            ("te", Some("trailers")),
            ("grpc-encoding", is_packed.then_some("gzip")),
            ("grpc-timeout", Some("15S")),
            ("user-agent", Some(USER_AGENT)),
            ("authorization", Some("Bearer very-secret-token")),
        ] {
            assert_eq!(call.header(name), value, "{name}");
        }
        let resource = call.request.resource_spans[0].resource.clone().unwrap();
        assert_eq!(resource.attributes[0].key, "service.name");
    }
    assert_eq!(receiver.connections(), 1);
}

#[test]
fn a_connection_that_ended_costs_nothing() {
    let port = free_port();
    let post = post(&exporter(&format!("http://127.0.0.1:{port}")));
    let (after, why) = later(post(&message(1)));
    assert!(after.is_none() && why.contains("refused"), "{why}");
    let receiver = GrpcReceiver::start_at(port);
    assert_eq!(post(&message(1)), Posted::Taken);
    // Its connections end with it, and the next one is reached without a failure that anybody would hear of.
    drop(receiver);
    let receiver = GrpcReceiver::start_at(port);
    assert_eq!(post(&message(1)), Posted::Taken);
    // Ended in the middle of the call: once more on a new connection, and only once.
    receiver.script([GrpcStep::Drop]);
    assert_eq!(post(&message(1)), Posted::Taken);
    assert_eq!((receiver.calls().len(), receiver.connections()), (3, 2));
    receiver.script([GrpcStep::Drop, GrpcStep::Drop]);
    later(post(&message(1)));
    assert_eq!(post(&message(1)), Posted::Taken);
}

#[test]
fn what_speaks_no_grpc_is_tried_again() {
    // HTTP/1.1, as at port 4318.
    let provider = gauntlet_testkit::Provider::start();
    let post = post(&exporter(&format!("http://127.0.0.1:{}", provider.port())));
    later(post(&message(1)));
    let broken = super::post(&exporter("http://not an address"));
    later(broken(&message(1)));
}

#[test]
fn tls_is_spoken_with_those_who_offer_http2() {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(GrpcReceiver::certificate()).unwrap();
    let trusting = || {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().unwrap();
        config.with_root_certificates(roots.clone()).with_no_client_auth()
    };
    let check = |alpn: &[&str], tls: rustls::ClientConfig, expected: Result<(), &str>| {
        let receiver = GrpcReceiver::start_with_tls(alpn);
        let exporter = exporter(&format!("https://localhost:{}", receiver.port()));
        match expected {
            Ok(()) => assert_eq!(post_with(&exporter, tls)(&message(1)), Posted::Taken),
            Err(expected) => {
                let (_, why) = later(post_with(&exporter, tls)(&message(1)));
                assert!(why.contains(expected), "{why}");
            }
        }
    };
    check(&["h2"], trusting(), Ok(()));
    check(&["http/1.1", "h2"], trusting(), Ok(()));
    check(&[], trusting(), Err("does not speak HTTP/2"));
    check(&["http/1.1"], trusting(), Err("NoApplicationProtocol"));
    check(&["h2"], gauntlet_upstream::tls::config(), Err("UnknownIssuer"));
}

#[test]
fn an_exporter_may_be_dropped_where_a_runtime_runs() {
    let receiver = GrpcReceiver::start();
    let post = post_to(&receiver);
    assert_eq!(post(&message(1)), Posted::Taken);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async move { drop(post) });
}
