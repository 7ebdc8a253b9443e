//! What is sent for a token, and what comes back. Plain values: sending is the caller's.

use std::{fs::File, io::Read, time::Duration};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use gauntlet_ports::TokenGrant;
use gauntlet_types::Timestamp;
use http::HeaderValue;
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use serde_json::{Value, json};

use super::Fetched;
use crate::percent::encode;

/// A credentials file has some two kilobytes.
const FILE_MAX: u64 = 64 << 10;
/// Of what a token server says about a failure.
const SAID_MAX: usize = 200;
/// Google takes no assertion that is good for longer.
const ASSERTION_SECONDS: i64 = 3600;
/// For an answer that says no lifetime, which RFC 6749 allows.
const LIFETIME: Duration = Duration::from_secs(300);
/// No server gives tokens for longer; a larger number is a slip.
const LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);

const GOOGLE_SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const GOOGLE_TOKENS: &str = "https://oauth2.googleapis.com/token";
const AZURE_SCOPE: &str = "https://cognitiveservices.azure.com/.default";
/// RFC 7523.
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// A request for a token. It holds secrets, and so cannot be shown.
pub(crate) struct Ask {
    pub url: String,
    /// A form to be posted; none for a GET.
    pub form: Option<String>,
    pub header: Option<(&'static str, &'static str)>,
}

/// What to send for a grant. Errors say what is wrong with the credentials, and show none of them.
pub(crate) fn ask(grant: &TokenGrant, now: Timestamp) -> Result<Ask, String> {
    match grant {
        TokenGrant::Entra { authority, tenant, client_id, client_secret } => Ok(post(
            format!("{authority}/{}/oauth2/v2.0/token", encode(tenant, b"")),
            &[
                ("grant_type", "client_credentials"),
                ("client_id", client_id),
                ("client_secret", client_secret.expose()),
                ("scope", AZURE_SCOPE),
            ],
        )),
        TokenGrant::Google { account } => google(&Account::read(account.expose())?, now),
        TokenGrant::Machine { url, header } => {
            Ok(Ask { url: url.to_string(), form: None, header: Some(*header) })
        }
    }
}

fn post(url: String, fields: &[(&str, &str)]) -> Ask {
    let fields: Vec<String> =
        fields.iter().map(|(name, value)| format!("{name}={}", encode(value, b""))).collect();
    Ask { url, form: Some(fields.join("&")), header: None }
}

/// A credentials file of Google's, read for each token: so a file that is replaced is in use within the hour.
struct Account(Value);

impl Account {
    /// `from` is the JSON itself or the path of a file.
    fn read(from: &str) -> Result<Account, String> {
        let text = if from.trim_start().starts_with('{') { from.to_owned() } else { file(from)? };
        let value = serde_json::from_str(&text);
        let value = value.map_err(|error| {
            // The error's own words may quote the text.
            let (line, column) = (error.line(), error.column());
            format!(
                "the credentials are not JSON (line {line} column {column}); use the file as Google made it"
            )
        })?;
        Ok(Account(value))
    }

    fn text(&self, name: &str) -> Result<&str, String> {
        let text = self.0[name].as_str().filter(|text| !text.is_empty());
        text.ok_or_else(|| format!("the credentials have no `{name}`; use the file as Google made it"))
    }
}

fn file(path: &str) -> Result<String, String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(FILE_MAX).read_to_string(&mut text));
    read.map(|_| text).map_err(|error| format!("cannot read the credentials file `{path}`: {error}"))
}

fn google(account: &Account, now: Timestamp) -> Result<Ask, String> {
    match account.text("type")? {
        "service_account" => {
            let url = account.0["token_uri"].as_str().unwrap_or(GOOGLE_TOKENS);
            let assertion = assertion(account, url, now)?;
            Ok(post(url.to_owned(), &[("grant_type", JWT_BEARER), ("assertion", &assertion)]))
        }
        "authorized_user" => Ok(post(
            GOOGLE_TOKENS.to_owned(),
            &[
                ("grant_type", "refresh_token"),
                ("client_id", account.text("client_id")?),
                ("client_secret", account.text("client_secret")?),
                ("refresh_token", account.text("refresh_token")?),
            ],
        )),
        other => Err(format!(
            "credentials of type `{}` are not known; use a service account's key or `gcloud auth application-default login`",
            cut(other)
        )),
    }
}

/// A signed claim to be the service account (RFC 7523, RS256).
fn assertion(account: &Account, audience: &str, now: Timestamp) -> Result<String, String> {
    let key = key(account.text("private_key")?)?;
    let issued = now.0.div_euclid(1_000_000);
    let head = json!({"alg": "RS256", "typ": "JWT", "kid": account.0["private_key_id"]});
    let claims = json!({
        "iss": account.text("client_email")?,
        "scope": GOOGLE_SCOPE,
        "aud": audience,
        "iat": issued,
        "exp": issued + ASSERTION_SECONDS,
    });
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claimed = format!("{}.{}", part(head), part(claims));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), claimed.as_bytes(), &mut signature)
        .map_err(|_| "the credentials' `private_key` cannot sign".to_owned())?;
    Ok(format!("{claimed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// The key of a PEM text.
fn key(pem: &str) -> Result<RsaKeyPair, String> {
    let bad =
        || "the credentials' `private_key` is no RSA key in PEM; use the file as Google made it".to_owned();
    let lines = pem.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
    let der = STANDARD.decode(lines.collect::<String>()).map_err(|_| bad())?;
    RsaKeyPair::from_pkcs8(&der).map_err(|_| bad())
}

/// The token of an answer with status 200. Errors: what the server says instead, cut short.
pub(crate) fn read(status: u16, body: &[u8]) -> Result<Fetched, String> {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    if status != 200 {
        let said = |name: &str| answer[name].as_str().map(cut);
        let says = [said("error"), said("error_description")].into_iter().flatten().collect::<Vec<_>>();
        let says = if says.is_empty() { String::new() } else { format!(": {}", says.join(": ")) };
        return Err(format!("the token server answers with status {status}{says}"));
    }
    let Some(token) = answer["access_token"].as_str().filter(|token| !token.is_empty()) else {
        return Err("the token server's answer has no `access_token`".to_owned());
    };
    let mut header = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| "the token server's token cannot stand in a header".to_owned())?;
    header.set_sensitive(true);
    // Azure's machine server writes the number as a text.
    let expires = &answer["expires_in"];
    let seconds = expires.as_u64().or_else(|| expires.as_str().and_then(|text| text.parse().ok()));
    let lifetime = seconds.map_or(LIFETIME, Duration::from_secs).min(LIFETIME_MAX);
    Ok(Fetched { header, lifetime })
}

/// The first line, up to a length.
fn cut(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(SAID_MAX).collect()
}

#[cfg(test)]
pub(crate) mod tests;
