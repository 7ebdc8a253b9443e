//! Providers as an operator and a caller meet them: named by a row of the table, and asked with their own credentials.

use gauntlet_testkit::{Provider, Step};
use serde_json::json;

use crate::app::TestApp;

/// The address without the path of OpenAI's interface.
fn root(provider: &Provider) -> String {
    provider.url().trim_end_matches("/v1").to_owned()
}

/// A provider of Azure's kind, whose tokens come from a server of the test's.
fn azure(name: &str, cloud: &Provider, tokens: &Provider) -> String {
    let (url, authority) = (root(cloud), root(tokens));
    format!(
        "  {name}: {{dialect: azure, url: \"{url}\", price: free, entra: {{tenant: t, client_id: {name}, \
         client_secret: s3cr3t-of-entra, authority: \"{authority}\"}}}}\n"
    )
}

fn token(number: u32) -> Step {
    let body = format!(r#"{{"access_token":"token-{number}","expires_in":3600}}"#);
    Step::status(200).body(body)
}

#[test]
fn doctor_asks_clouds_with_their_tokens_and_signatures() {
    let (cloud, tokens) = (Provider::start(), Provider::start());
    tokens.script([token(1)]);
    tokens.default(Step::status(400).body(r#"{"error":"invalid_client"}"#));
    let app = TestApp::start("routes:\n  support_bot: {}");
    let bedrock = format!(
        "  c: {{dialect: bedrock, url: \"{}\", region: us-east-1, access_key: AKID, secret_key: s3cr3t-of-aws}}\n",
        root(&cloud)
    );
    let azures = [azure("a", &cloud, &tokens), azure("b", &cloud, &tokens)].concat();
    app.write("gauntlet.yml", &format!("providers:\n{azures}{bedrock}"));
    let looked = app.command(&["doctor"]);
    assert_eq!(looked.code, Some(1), "{looked}");
    assert_eq!(looked.stdout.matches(&format!("answers at {}", root(&cloud))).count(), 2, "{looked}");
    assert!(looked.stdout.contains("the token server answers with status 400: invalid_client"), "{looked}");
    assert!(!looked.stdout.contains("s3cr3t"), "{looked}");
    let asked = cloud.last_request();
    assert_eq!(asked.path, "/foundation-models");
    assert!(asked.header("authorization").is_some_and(|value| value.starts_with("AWS4-HMAC-SHA256 ")));
}

#[test]
fn calls_to_azure_carry_a_token_that_is_fetched_once() {
    let (cloud, tokens) = (Provider::start(), Provider::start());
    tokens.default(token(1));
    let app = TestApp::start(&azure("cloud", &cloud, &tokens));
    let body = json!({"model": "cloud/my-deployment", "messages": [{"role": "user", "content": "hi"}]});
    for _ in 0..5 {
        assert_eq!(app.chat(&[], &body).status, 200);
    }
    let streamed = app.stream(&[], &body);
    assert_eq!(streamed.status, 200);
    drop(streamed);
    let seen = cloud.requests();
    assert_eq!(seen.len(), 6);
    assert!(seen.iter().all(|seen| seen.path == "/openai/v1/chat/completions"));
    assert!(seen.iter().all(|seen| seen.header("authorization") == Some("Bearer token-1")));
    assert_eq!(tokens.requests().len(), 1);
}

#[test]
fn a_call_without_a_token_fails_without_a_word_of_the_credentials() {
    let (cloud, tokens) = (Provider::start(), Provider::start());
    let says = r#"{"error":"invalid_client","error_description":"s3cr3t-of-entra is not known"}"#;
    tokens.default(Step::status(401).body(says));
    let config = azure("cloud", &cloud, &tokens);
    let app = TestApp::start(&format!("{config}default: {{retry: {{attempts: 1}}}}"));
    let body = json!({"model": "cloud/d", "messages": [{"role": "user", "content": "hi"}]});
    let reply = app.chat(&[], &body);
    assert_eq!(reply.status, 502, "{}", reply.text());
    let record = app.trace_of(&reply)["record"].clone();
    let attempt = &record["attempts"][0];
    let error = attempt["error"].as_str().expect("the record says why");
    assert!(
        error.contains("the token server answers with status 401: invalid_client: *** is not known"),
        "{error}"
    );
    assert!(!reply.text().contains("s3cr3t") && !record.to_string().contains("s3cr3t"), "{record:#}");
    assert_eq!((cloud.requests().len(), &record["cost"]), (0, &json!(0)), "{record:#}");
}
