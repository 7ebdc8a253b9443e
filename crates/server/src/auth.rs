//! Who may manage. Callers' keys open the doors only; the management API and the console have their own access.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use gauntlet_types::{Code, Fault, Timestamp};
use http::{HeaderMap, Method, header};

use crate::admin::Admin;

/// Signed in for a working day; then the token is asked for again.
const SESSION_TIME: Duration = Duration::from_secs(12 * 3600);
/// Sessions kept at once; the oldest goes first. More people than will ever look after one gateway.
const SESSIONS_MAX: usize = 1000;
const COOKIE: &str = "gauntlet_session";

/// A random secret: 256 bits, shown as 64 hexadecimal digits.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    pub fn random() -> Result<Token, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Token(blake3::Hash::from_bytes(bytes).to_hex().to_string()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is kept instead of the secret. It has 256 random bits, so a plain hash cannot be searched.
    pub fn hash(secret: &str) -> String {
        blake3::hash(secret.as_bytes()).to_hex().to_string()
    }
}

/// How management is guarded.
pub struct Access {
    /// Bound to loopback: whoever is on this machine may look, without a login.
    pub is_open: bool,
    /// Hash of the operator's token.
    pub token_hash: String,
    /// Hash of the token that the command line finds in the data folder; new at each start.
    pub local_hash: String,
    sessions: Mutex<HashMap<String, Timestamp>>,
}

impl Access {
    pub fn new(is_open: bool, token_hash: String, local_hash: String) -> Access {
        Access { is_open, token_hash, local_hash, sessions: Mutex::default() }
    }

    /// Compares hashes, which an observer of the time taken cannot turn into the token.
    pub(crate) fn knows(&self, token: &str) -> bool {
        let hash = Token::hash(token);
        hash == self.token_hash || hash == self.local_hash
    }

    /// Begins a session and gives the cookie that stands for it.
    pub(crate) fn sign_in(&self, token: &Token, now: Timestamp) -> String {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, until| *until > now);
        if sessions.len() >= SESSIONS_MAX
            && let Some(oldest) =
                sessions.iter().min_by_key(|(_, until)| **until).map(|(hash, _)| hash.clone())
        {
            sessions.remove(&oldest);
        }
        sessions.insert(Token::hash(token.as_str()), now.plus(SESSION_TIME));
        let age = SESSION_TIME.as_secs();
        format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}", token.as_str())
    }

    pub(crate) fn sign_out(&self, headers: &HeaderMap) -> String {
        if let Some(token) = cookie(headers) {
            self.sessions.lock().unwrap_or_else(PoisonError::into_inner).remove(&Token::hash(token));
        }
        format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0")
    }

    pub(crate) fn is_signed_in(&self, headers: &HeaderMap, now: Timestamp) -> bool {
        let Some(token) = cookie(headers) else { return false };
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.get(&Token::hash(token)).is_some_and(|until| *until > now)
    }

    fn has_bearer(&self, headers: &HeaderMap) -> bool {
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        bearer.and_then(|value| value.strip_prefix("Bearer ")).is_some_and(|token| self.knows(token.trim()))
    }
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|line| line.split(';')).find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// Lets a management request through, or says why not: an API answer, or the login page for a browser.
pub(crate) async fn guard(State(admin): State<Admin>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let access = &admin.access;
    if access.has_bearer(headers) {
        return next.run(request).await;
    }
    if let Err(fault) = same_site(request.method(), headers, access.is_open) {
        return super::api::fault(&fault);
    }
    if access.is_open || access.is_signed_in(headers, admin.clock.now()) {
        return next.run(request).await;
    }
    if request.uri().path().starts_with("/api/") || request.uri().path() == "/metrics" {
        let message = "management needs the operator's token: `Authorization: Bearer …` (shown at the first start, \
                       or set by GAUNTLET_ADMIN_TOKEN)";
        return super::api::fault(&Fault::caller(Code::Unauthorized, message));
    }
    let next = request.uri().path_and_query().map_or("/", |path| path.as_str());
    Redirect::to(&format!("/login?next={}", super::pages::escape_query(next))).into_response()
}

/// A page elsewhere shall not manage the gateway through an operator's browser: neither by a form (other origin) nor by
/// pointing its own name at this machine (DNS rebinding).
fn same_site(method: &Method, headers: &HeaderMap, is_open: bool) -> Result<(), Fault> {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).unwrap_or("");
    if is_open && !is_loopback_host(host) {
        let message =
            format!("on loopback the console answers to 127.0.0.1 and localhost only, not to `{host}`");
        return Err(Fault::caller(Code::Forbidden, message));
    }
    if matches!(*method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    // Browsers send Origin with every POST; tools that are not browsers send none.
    match text(header::ORIGIN) {
        None if text(header::HeaderName::from_static("sec-fetch-site"))
            .is_none_or(|site| site == "same-origin") =>
        {
            Ok(())
        }
        Some(origin) if origin.split_once("://").is_some_and(|(_, from)| from == host) => Ok(()),
        _ => Err(Fault::caller(
            Code::Forbidden,
            "a change must come from the console itself, not from another site",
        )),
    }
}

fn is_loopback_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn other_sites_cannot_manage() {
        let check = |method: Method, pairs: &[(&'static str, &'static str)], allowed: bool| {
            assert_eq!(same_site(&method, &headers(pairs), true).is_ok(), allowed, "{method} {pairs:?}");
        };
        check(Method::GET, &[("host", "127.0.0.1:8787")], true);
        check(Method::GET, &[("host", "localhost")], true);
        check(Method::GET, &[("host", "[::1]:8787")], true);
        check(Method::GET, &[("host", "evil.example")], false);
        check(Method::GET, &[("host", "127.0.0.1.evil.example")], false);
        check(Method::GET, &[], false);
        check(Method::POST, &[("host", "localhost:1"), ("origin", "http://localhost:1")], true);
        check(Method::POST, &[("host", "localhost:1"), ("origin", "http://localhost:2")], false);
        check(Method::POST, &[("host", "localhost:1"), ("origin", "https://evil.example")], false);
        check(Method::POST, &[("host", "localhost:1"), ("origin", "null")], false);
        check(Method::POST, &[("host", "localhost:1"), ("sec-fetch-site", "cross-site")], false);
        check(Method::POST, &[("host", "localhost:1")], true);
    }

    #[test]
    fn a_session_lasts_until_it_is_over() {
        let access = Access::new(false, Token::hash("op"), Token::hash("local"));
        assert!(access.knows("op") && access.knows("local") && !access.knows("") && !access.knows("Op"));
        let now = Timestamp(0);
        let set = access.sign_in(&Token::random().unwrap(), now);
        let pair = set.split(';').next().unwrap().to_owned();
        let mut sent = HeaderMap::new();
        sent.insert(header::COOKIE, HeaderValue::from_str(&format!("a=b; {pair}")).unwrap());
        assert!(access.is_signed_in(&sent, now));
        assert!(!access.is_signed_in(&sent, now.plus(SESSION_TIME)));
        access.sign_out(&sent);
        assert!(!access.is_signed_in(&sent, now));
    }
}
