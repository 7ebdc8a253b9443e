//! Providers as an operator meets them: named by a row of the table, and asked with their own credentials.

use gauntlet_testkit::{Provider, Step};

use crate::app::TestApp;

#[test]
fn doctor_asks_clouds_with_their_tokens_and_signatures() {
    let (cloud, tokens) = (Provider::start(), Provider::start());
    let root = |provider: &Provider| provider.url().trim_end_matches("/v1").to_owned();
    tokens.script([Step::status(200).body(r#"{"access_token":"t-1","expires_in":3600}"#)]);
    tokens.default(Step::status(400).body(r#"{"error":"invalid_client"}"#));
    let app = TestApp::start("routes:\n  support_bot: {}");
    let entra = |name: &str| {
        let (url, authority) = (root(&cloud), root(&tokens));
        format!(
            "  {name}: {{dialect: azure, url: \"{url}\", entra: {{tenant: t, client_id: {name}, client_secret: s3cr3t, authority: \"{authority}\"}}}}\n"
        )
    };
    let bedrock = format!(
        "  c: {{dialect: bedrock, url: \"{}\", region: us-east-1, access_key: AKID, secret_key: s3cr3t}}\n",
        root(&cloud)
    );
    app.write("gauntlet.yml", &format!("providers:\n{}{}{bedrock}", entra("a"), entra("b")));
    let looked = app.command(&["doctor"]);
    assert_eq!(looked.code, Some(1), "{looked}");
    assert!(looked.stdout.contains(&format!("answers at {}", root(&cloud))), "{looked}");
    assert!(looked.stdout.contains("the token server answers with status 400: invalid_client"), "{looked}");
    assert!(!looked.stdout.contains("s3cr3t"), "{looked}");
}
