//! Providers by rows of data: what a name alone says, and what the environment adds.

use std::sync::Arc;

use gauntlet_types::Service;

use super::*;
use crate::config::{Credentials, KeyHeader, Provider};

const ENV: [(&str, &str); 9] = [
    ("GROQ_API_KEY", " gsk-1 "),
    ("GEMINI_API_KEY", "g-1"),
    ("GOOGLE_API_KEY", "g-2"),
    ("GITHUB_TOKEN", "ghp-1"),
    ("AZURE_OPENAI_API_KEY", "az-1"),
    ("AWS_ACCESS_KEY_ID", "AKID"),
    ("AWS_SECRET_ACCESS_KEY", "aws-s3cr3t"),
    ("AWS_REGION", "eu-central-1"),
    ("MISTRAL_API_KEY", "  "),
];

fn env(name: &str) -> Option<String> {
    ENV.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
}

fn load_with(text: Option<&str>, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Vec<Mistake>> {
    let sources = Sources { gauntlet: text.and_then(|text| source(FILE, text)), ..Sources::default() };
    load(&sources, env, &LoadOptions::default())
}

/// The one provider of a configuration.
fn provider(text: &str) -> Arc<Provider> {
    let loaded = load_with(Some(&format!("providers: {{{text}}}")), &env).expect(text);
    loaded.policy.config().providers.values().next().expect("one provider").clone()
}

fn key(header: KeyHeader, key: &str) -> Credentials {
    Credentials::Key { header, key: Secret::new(key) }
}

#[test]
fn a_name_of_the_table_needs_only_its_key() {
    let groq = provider("groq: {}");
    assert_eq!(groq.url, "https://api.groq.com/openai/v1");
    assert_eq!(groq.credentials, key(KeyHeader::Bearer, "gsk-1"));
    assert_eq!(groq.vendor.as_deref(), Some("groq"));
    assert!(groq.services.has(Service::Responses) && !groq.services.has(Service::Embeddings));
    assert!(!groq.is_found);
    let mistral = provider("mistral: {key: m}");
    assert!(mistral.quirks.has_old_limit);
    assert!(mistral.quirks.has_no_stream_options && mistral.quirks.sends_usage_unasked);
    assert_eq!(provider("gemini: {}").credentials, key(KeyHeader::XGoogApiKey, "g-1"));
    assert_eq!(provider("anthropic: {key: a}").credentials, key(KeyHeader::XApiKey, "a"));
    assert_eq!(provider("github: {}").credentials, key(KeyHeader::Bearer, "ghp-1"));
    assert_eq!(provider("ollama: {}").url, "http://127.0.0.1:11434/v1");
    let cohere = provider("cohere: {key: c}");
    assert!(cohere.elsewhere.contains(&("/rerank".into(), "https://api.cohere.com/v2/rerank".into())));
}

#[test]
fn a_row_is_found_by_like_name_host_and_dialect() {
    let check = |text: &str, url: &str, services: &[Service]| {
        let provider = provider(text);
        assert_eq!(provider.url, url, "{text}");
        for service in Service::ALL {
            assert_eq!(provider.services.has(service), services.contains(&service), "{text} {service:?}");
        }
    };
    use Service::{Chat, Completions, Embeddings, Models, Rerank, Responses};
    let local = "http://10.0.0.7:8000/v1";
    let llamacpp = [Chat, Completions, Embeddings, Rerank, Models];
    check(&format!("mine: {{like: llamacpp, url: \"{local}\"}}"), local, &llamacpp);
    check(&format!("llamacpp: {{dialect: openai, url: \"{local}\"}}"), local, &llamacpp);
    let cerebras = "https://api.cerebras.ai/v1";
    check(&format!("mine: {{dialect: openai, url: \"{cerebras}\"}}"), cerebras, &[Chat, Completions, Models]);
    check(
        "xai: {dialect: openai, key: k, serves: [chat, responses]}",
        "https://api.x.ai/v1",
        &[Chat, Responses],
    );
    check(&format!("mine: {{like: vllm, url: \"{local}\", serves: chat}}"), local, &[Chat]);
    // A stranger's server may serve anything but what has a form of its own.
    let stranger = provider(&format!("mine: {{dialect: openai, url: \"{local}\"}}"));
    assert!(stranger.services.has(Service::Images) && !stranger.services.has(Responses));
    assert_eq!(provider("mine: {dialect: openai, key: k}").url, "https://api.openai.com/v1");
}

#[test]
fn a_key_of_the_environment_goes_to_the_vendors_own_address_alone() {
    let check = |text: &str, has_key: bool| {
        assert_eq!(provider(text).credentials != Credentials::None, has_key, "{text}");
    };
    check("groq: {}", true);
    check("groq: {url: \"https://api.groq.com/openai/v1\"}", true);
    check("groq: {url: \"http://proxy.example/v1\"}", false);
    check("groq: {url: \"https://api.groq.com.evil.example/v1\"}", false);
    check("mine: {like: groq, url: \"http://proxy.example/v1\"}", false);
    check("mine: {like: groq}", true);
    check("bedrock: {url: \"http://proxy.example\"}", false);
    // Nobody but its owner knows this one, so the written one is the vendor's own.
    check("azure: {url: \"https://r.openai.azure.com\"}", true);
    // What stands beside a vendor's address is not asked with the key of another.
    assert!(provider("cohere: {url: \"http://proxy.example/v1\", key: k}").elsewhere.is_empty());
}

#[test]
fn addresses_may_be_written_with_or_without_what_the_dialect_adds() {
    let check = |text: &str, expected: &str| assert_eq!(provider(text).url, expected, "{text}");
    check("anthropic: {key: k, url: \"https://api.anthropic.com/v1/\"}", "https://api.anthropic.com");
    check("gemini: {key: k, url: \"http://h/v1beta\"}", "http://h");
    check("azure: {key: k, url: \"https://r.openai.azure.com/openai/v1\"}", "https://r.openai.azure.com");
    check("azure: {key: k, url: \"https://r.openai.azure.com/openai\"}", "https://r.openai.azure.com");
    check("openai: {key: k, url: \"http://h/v1\"}", "http://h/v1");
}

#[test]
fn regions_make_the_hosts_of_clouds() {
    let check = |text: &str, expected: &str| assert_eq!(provider(text).url, expected, "{text}");
    check("bedrock: {}", "https://bedrock-runtime.eu-central-1.amazonaws.com");
    check("bedrock: {region: us-east-1}", "https://bedrock-runtime.us-east-1.amazonaws.com");
    check("bedrock: {region: cn-north-1}", "https://bedrock-runtime.cn-north-1.amazonaws.com.cn");
    let vertex = |more: &str| format!("vertex: {{project: p, service_account: machine{more}}}");
    check(&vertex(""), "https://aiplatform.googleapis.com");
    check(&vertex(", region: europe-west1"), "https://europe-west1-aiplatform.googleapis.com");
    check(&vertex(", region: eu"), "https://aiplatform.eu.rep.googleapis.com");
}

#[test]
fn clouds_take_credentials_of_several_kinds() {
    assert_eq!(
        provider("bedrock: {}").credentials,
        Credentials::Aws {
            access_key: "AKID".into(),
            secret_key: Secret::new("aws-s3cr3t"),
            session_token: None
        }
    );
    assert_eq!(provider("bedrock: {key: b}").credentials, key(KeyHeader::Bearer, "b"));
    let written = provider("bedrock: {access_key: A, secret_key: s, session_token: t}").credentials.clone();
    let session_token = Some(Secret::new("t"));
    assert_eq!(
        written,
        Credentials::Aws { access_key: "A".into(), secret_key: Secret::new("s"), session_token }
    );
    let azure = |more: &str| {
        provider(&format!("azure: {{url: \"https://r.openai.azure.com\"{more}}}")).credentials.clone()
    };
    assert_eq!(azure(""), key(KeyHeader::ApiKey, "az-1"));
    assert!(matches!(azure(", entra: machine"), Credentials::Machine { .. }));
    let entra = azure(", entra: {tenant: t, client_id: c, client_secret: entra-s3cr3t}");
    assert!(
        matches!(&entra, Credentials::Entra { authority, .. } if authority == "https://login.microsoftonline.com")
    );
    let inline = r#"vertex: {service_account: '{"type": "service_account", "project_id": "of-file"}'}"#;
    assert_eq!(provider(inline).project, "of-file");
    for text in ["bedrock: {}", "azure: {url: \"https://r.openai.azure.com\"}", "groq: {}"] {
        let shown = format!("{:?}", provider(text));
        assert!(!["aws-s3cr3t", "az-1", "gsk-1"].iter().any(|secret| shown.contains(secret)), "{shown}");
    }
}

#[test]
fn mistakes_in_providers_are_told_with_their_cure() {
    let check = |text: &str, expected: &[&str]| {
        let told = match load_with(Some(&format!("providers: {{{text}}}")), &|_| None) {
            Ok(loaded) => loaded.warnings,
            Err(mistakes) => mistakes,
        };
        compare(told.iter().map(ToString::to_string).collect(), expected, text);
    };
    check(
        "grok: {}",
        &["provider `grok` has no `dialect`; did you mean `groq`? Else write `dialect: openai`"],
    );
    check(
        "mine: {like: vlm, url: \"http://h\"}",
        &["`like: vlm` in provider `mine` is not known; did you mean `vllm`?"],
    );
    check(
        "mine: {like: vllm, dialect: gemini}",
        &["`vllm` speaks `openai`, and provider `mine` says otherwise; leave"],
    );
    check(
        "groq: {}",
        &[
            "provider `groq` has no credentials, so its calls will be refused; set GROQ_API_KEY, or write `key`",
        ],
    );
    check(
        "azure: {key: k}",
        &["provider `azure` has no `url`; write the resource's: `url: https://NAME.openai.azure.com`"],
    );
    check("mine: {like: compatible}", &["provider `mine` has no `url`; write for example"]);
    check(
        "bedrock: {key: k}",
        &["provider `bedrock` has no `region`; write for example `region: eu-central-1`, or set AWS_REGION"],
    );
    check(
        "bedrock: {key: k, region: \"evil.example/\"}",
        &["`evil.example/` of provider `bedrock` does not name a region"],
    );
    check("vertex: {service_account: /k.json}", &["provider `vertex` has no `project`; write `project: ID"]);
    check("bedrock: {region: r, access_key: a}", &["only a part of its AWS credentials"]);
    check(
        "bedrock: {region: r, key: k, access_key: a, secret_key: s}",
        &["provider `bedrock` has credentials of several kinds; leave all but one out"],
    );
    check("groq: {key: k, project: p}", &["`project` in provider `groq` is only for `vertex`; leave it out"]);
    check(
        "groq: {key: k, serves: [chat, embedings]}",
        &["`serves: embedings` is not known; did you mean `embeddings`?"],
    );
    check("groq: {key: k, quirks: no_usag}", &["`quirks: no_usag` is not known; did you mean `no_usage`?"]);
    check(
        "azure: {url: \"https://r.example\", entra: {tenant: t, client: c}}",
        &[
            "`entra` of provider `azure` has no `client_id`, no `client_secret`; write `entra: {tenant",
            "unknown field `client`",
        ],
    );
    check(
        "azure: {url: \"https://r.example\", entra: {tenant: t, client_id: c, client_secret: \"\"}}",
        &["has an empty `client_secret`"],
    );
}

#[test]
fn vendors_come_in_by_their_own_variables_alone() {
    let names = |env: &dyn Fn(&str) -> Option<String>| {
        let loaded = load_with(None, env).expect("nothing is written");
        let mut names: Vec<String> =
            loaded.policy.config().providers.keys().map(ToString::to_string).collect();
        names.sort();
        names
    };
    // GITHUB_TOKEN and AWS's pair are set for other purposes, Azure has no address, Mistral's key is empty.
    assert_eq!(names(&env), ["gemini", "groq", "sim"]);
    let more = |name: &str| match name {
        "AZURE_OPENAI_ENDPOINT" => Some("https://r.openai.azure.com/".to_owned()),
        "AWS_BEARER_TOKEN_BEDROCK" => Some("b-1".to_owned()),
        name => env(name),
    };
    assert_eq!(names(&more), ["azure", "bedrock", "gemini", "groq", "sim"]);
    let loaded = load_with(None, &more).expect("nothing is written");
    let azure = loaded.policy.provider("azure").expect("it is found").clone();
    assert!(azure.is_found && azure.url == "https://r.openai.azure.com");
}
