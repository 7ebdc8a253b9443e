use gauntlet_policy::config::{LoadOptions, Source, Sources, load, rows};
use gauntlet_types::Dialect as Spoken;

use super::*;

/// The endpoints of `providers:`, by name.
fn endpoints_of(providers: &str) -> HashMap<Name, Arc<Endpoint>> {
    let text = format!("providers:\n{providers}");
    let gauntlet = Some(Source { file: "gauntlet.yml".into(), text });
    let sources = Sources { gauntlet, ..Sources::default() };
    let loaded = load(&sources, &|_| None, &LoadOptions::default()).expect("a sound configuration");
    endpoints(&loaded.policy).expect("every provider has an endpoint")
}

#[test]
fn every_row_becomes_an_endpoint_that_speaks_its_dialect() {
    let line = |name: &str, dialect: Dialect| match dialect {
        Dialect::Sim => format!("  {name}: {{}}\n"),
        Dialect::Azure => format!("  {name}: {{key: k, url: \"https://r.openai.azure.com\"}}\n"),
        Dialect::Vertex => format!("  {name}: {{project: p, service_account: machine}}\n"),
        Dialect::Bedrock => format!("  {name}: {{key: k, region: us-east-1}}\n"),
        _ if name == "compatible" => format!("  {name}: {{url: \"http://h/v1\"}}\n"),
        Dialect::Openai | Dialect::Anthropic | Dialect::Gemini => format!("  {name}: {{key: k}}\n"),
    };
    let all = endpoints_of(&rows().iter().map(|row| line(row.name, row.dialect)).collect::<String>());
    for row in rows() {
        let endpoint = &all[row.name];
        let native = match row.dialect {
            Dialect::Openai | Dialect::Azure | Dialect::Sim => Spoken::Chat,
            Dialect::Anthropic => Spoken::Messages,
            Dialect::Gemini | Dialect::Vertex => Spoken::Gemini,
            Dialect::Bedrock => Spoken::Converse,
        };
        assert_eq!(endpoint.native("m"), native, "{}", row.name);
        assert!(endpoint.speaks(native, "m"), "{}", row.name);
        assert!(!format!("{endpoint:?}").contains("Bearer k"), "{endpoint:?}");
    }
}

#[test]
fn credentials_become_the_header_signature_or_token_of_the_dialect() {
    let all = endpoints_of(
        "  groq: {key: k1}\n  anthropic: {key: k2}\n  gemini: {key: k3}\n  ollama: {}\n\
         \x20 azure: {url: \"https://r.openai.azure.com\", key: k4, headers: {x-more: k5}}\n\
         \x20 bedrock: {region: us-east-1, access_key: A, secret_key: s}\n\
         \x20 vertex: {project: p, service_account: machine}\n",
    );
    let check = |name: &str, expected: Option<(&str, &str)>| {
        let EndpointKind::Http(http) = &all[name].kind else { panic!("{name} is reached over HTTP") };
        let header = match &http.auth {
            Auth::Header(name, value) => Some((name.as_str(), value.to_str().expect("text"))),
            _ => None,
        };
        assert_eq!(header, expected, "{name}");
        if let Auth::Header(_, value) = &http.auth {
            assert!(value.is_sensitive(), "{name}");
        }
    };
    check("groq", Some(("authorization", "Bearer k1")));
    check("anthropic", Some(("x-api-key", "k2")));
    check("gemini", Some(("x-goog-api-key", "k3")));
    check("azure", Some(("api-key", "k4")));
    check("ollama", None);
    check("bedrock", None);
    assert_eq!(all["azure"].secrets(), ["k5", "k4"]);
    assert_eq!(all["bedrock"].secrets(), ["A", "s"]);
    let EndpointKind::Http(vertex) = &all["vertex"].kind else { panic!("it is reached over HTTP") };
    assert!(matches!(vertex.auth, Auth::Token(TokenGrant::Machine { .. })));
    assert_eq!(vertex.layout, Layout::Vertex { project: "p".into(), region: "global".into() });
}

#[test]
fn a_key_that_cannot_be_sent_is_told_without_showing_it() {
    let gauntlet = Some(Source {
        file: "gauntlet.yml".into(),
        text: "providers: {groq: {key: \"a\\u0001s3cr3t\"}}".into(),
    });
    let sources = Sources { gauntlet, ..Sources::default() };
    let loaded = load(&sources, &|_| None, &LoadOptions::default()).expect("a sound configuration");
    let error = endpoints(&loaded.policy).expect_err("no header holds a control character").to_string();
    assert_eq!(
        error,
        "provider `groq` has a key or header that cannot be sent (it holds control characters)"
    );
}
