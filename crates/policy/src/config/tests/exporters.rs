//! `exporters:`, and the mistakes in it.

use gauntlet_types::{ExportProfile, ExportProtocol};

use super::*;

#[test]
fn receivers_of_spans_are_read_with_their_defaults() {
    let text = "exporters:\n  phoenix: {otlp: \"http://127.0.0.1:6006/v1/traces\"}\n  langfuse: {otlp: \"https://cloud.langfuse.com/api/public/otel/v1/traces\", headers: {Authorization: \"Basic ${APP_KEY}\"}, profile: langfuse, queue: 1gb, texts: no, resource: {deployment.environment.name: prod}}\n";
    let policy = policy(&gauntlet(text));
    let [phoenix, langfuse] = policy.config().exporters.as_slice() else { panic!("two exporters") };
    assert_eq!(phoenix.url, "http://127.0.0.1:6006/v1/traces");
    assert_eq!((phoenix.profile, phoenix.queue, phoenix.texts), (ExportProfile::Default, 64 << 20, true));
    assert_eq!((langfuse.profile, langfuse.queue, langfuse.texts), (ExportProfile::Langfuse, 1 << 30, false));
    let (name, value) = &langfuse.headers[0];
    assert_eq!((name.as_str(), value.expose()), ("authorization", "Basic an-app-key-of-good-length"));
    assert!(!format!("{langfuse:?}").contains("an-app-key"), "headers are secrets");
    assert_eq!(langfuse.resource, [("deployment.environment.name".into(), "prod".into())]);
    assert_eq!(langfuse.protocol, ExportProtocol::HttpProtobuf);
}

#[test]
fn spans_travel_by_the_protocol_that_is_named() {
    for protocol in ExportProtocol::ALL {
        let url =
            if protocol == ExportProtocol::Grpc { "https://h:4317/" } else { "https://h:4318/v1/traces" };
        let text = format!("exporters:\n  a: {{otlp: \"{url}\", protocol: {}}}\n", protocol.as_str());
        let policy = policy(&gauntlet(&text));
        assert_eq!(policy.config().exporters[0].protocol, protocol);
        assert_eq!(policy.config().exporters[0].url, url.trim_end_matches('/'));
    }
}

#[test]
fn an_address_of_another_protocol_is_told() {
    let grpc = |url: &str, more: &str| format!("exporters:\n  a: {{otlp: \"{url}\", protocol: grpc{more}}}");
    check(
        &grpc("http://h:4317/v1/traces", ""),
        &[
            "gauntlet.yml:2:13: `otlp: http://h:4317/v1/traces` of exporter `a` has a path, which gRPC has no use for; write `otlp: \"http://h:4317\"`",
        ],
    );
    check(&grpc("http://h:4318", ""), &["port 4318 is the usual one of OTLP over HTTP"]);
    check(
        &grpc("http://[::1]", ""),
        &["`http://[::1]` names no port, so it is port 80; OTLP over gRPC usually has port 4317"],
    );
    check(&grpc("https://h", ""), &[]);
    check(
        &grpc("http://h:4317", ", headers: {Grpc-Timeout: 1S}"),
        &["header `Grpc-Timeout` of exporter `a` is not yours to set"],
    );
    check(&grpc("http://h:4317", ", headers: {te: x}"), &["header `te` of exporter `a`"]);
    check(
        "exporters:\n  a: {otlp: \"http://h:4317\"}",
        &[
            "port 4317 is the usual one of OTLP over gRPC, and HTTP is to be spoken there; write `otlp: \"http://h:4317\"` with `protocol: grpc`",
        ],
    );
    check(
        "exporters:\n  a: {otlp: \"http://h:4318/v1/traces\", protocol: grcp}",
        &[
            "gauntlet.yml:2:50: `protocol: grcp` is not known; write one of `http/protobuf`, `http/json`, `grpc`; did you mean `grpc`",
        ],
    );
}

#[test]
fn mistakes_of_exporters_name_their_line_and_cure() {
    let url = "otlp: \"http://h:4318/v1/traces\"";
    check("exporters:\n  a: {}", &["gauntlet.yml:2:3: exporter `a` has no `otlp`"]);
    check(
        "exporters:\n  a: {otlp: \"h:4317\"}",
        &["gauntlet.yml:2:13: `otlp: h:4317` in exporter `a` is not an address"],
    );
    check("exporters:\n  a: {otlp: \"http://h:4318\"}", &["`http://h:4318` has no path"]);
    check("exporters:\n  a: {otlp: \"http://u:p@h/v1/traces\"}", &["credentials belong into"]);
    check(&format!("exporters:\n  a: {{{url}, profile: phoenix}}"), &["`profile: phoenix` is not known"]);
    check(
        &format!("exporters:\n  a: {{{url}, profle: semconv}}"),
        &["unknown field `profle` in exporter `a`"],
    );
    check(&format!("exporters:\n  a: {{{url}, headers: {{\"a b\": x}}}}"), &["`a b` cannot name a header"]);
    check(
        &format!("exporters:\n  a: {{{url}, headers: {{Content-Type: x}}}}"),
        &["header `Content-Type` of exporter `a` is not yours to set"],
    );
    check(&format!("exporters:\n  a: {{{url}, headers: {{x-key: \"${{NOT_SET}}\"}}}}"), &["NOT_SET"]);
    check(&format!("exporters:\n  a: {{{url}, queue: 5}}"), &["`queue` of exporter `a` is too small"]);
    check(&format!("exporters:\n  ../a: {{{url}}}"), &["`../a` cannot name an exporter"]);
}
