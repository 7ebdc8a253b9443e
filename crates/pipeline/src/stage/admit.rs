//! Who asks, for what, and may they: key, context, route, kill switches.
//!
//! The key is looked at before the body is read, so that a stranger's megabytes are never parsed.

use std::sync::Arc;

use gauntlet_guard::Rulebook;
use gauntlet_policy::{
    config::{KillEntry, Policy},
    guard::{Level, explain},
    keys::KeyGrant,
};
use gauntlet_types::{
    Caller, Code, Direction, Door, Environment, Exception, Fault, Name, SpanId, Stage, Timestamp, TraceId,
};
use gauntlet_wire::{
    conversation::{self, PathAsk},
    gemini::embed,
    openai::embeddings,
    pass,
};
use http::{HeaderMap, header};

use crate::{
    answer::Purpose,
    call::{Call, Request},
    gate::Shared,
};

/// Longest value of a context field. Longer ones are mistakes, and would make every list unreadable.
const FIELD_MAX: usize = 256;
/// The policies that a call asks for on top of those that hold for it, with commas between.
const GUARD_HEADER: &str = "x-gauntlet-guard";
/// The kind of work, for rules and `tasks`.
const TASK_HEADER: &str = "x-gauntlet-task";
/// Most tags of a call: each may carry a budget, and a list of them must stay readable.
const TAGS_MAX: usize = 32;
/// Whoever names no tenant while no key exists.
const DEFAULT_TENANT: &str = "default";

pub(crate) fn run(call: &mut Call) -> Result<(), Fault> {
    call.enter(Stage::Admit);
    call.record.sdk = sdk(&call.headers);
    if let Some(operator) = &call.operator {
        call.record.caller = operator.caller.clone();
        let purpose = operator.purpose;
        read(call)?;
        route(call, None)?;
        call.choose_model(None)?;
        if purpose != Purpose::Judge {
            guards(call)?;
        }
        return stop(call);
    }
    let grant = authenticate(call.policy(), &call.headers, call.record.started)?;
    // Whatever becomes of it, the record stands under the tenant that the call came from.
    call.record.caller =
        grant.as_deref().map_or_else(|| Caller { tenant: DEFAULT_TENANT.into(), ..Caller::default() }, bound);
    trace_context(call);
    if let Some(fault) = call.body_fault.take() {
        if let Ok(caller) = caller(call, grant.as_deref()) {
            call.record.caller = caller;
        }
        return Err(fault);
    }
    let read = read(call);
    let caller = caller(call, grant.as_deref());
    // Whoever it is, a call that cannot be read has its record under the right tenant.
    if let Ok(caller) = &caller {
        call.record.caller = caller.clone();
    }
    read?;
    caller?;
    call.record.documents = crate::documents::of(call)?;
    route(call, grant.as_deref())?;
    call.choose_model(field(&call.headers, TASK_HEADER)?)?;
    guards(call)?;
    call.grant = grant;
    stop(call)
}

/// The key's grant; none while the gateway is open.
pub(crate) fn authenticate(
    policy: &Policy,
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<Option<Arc<KeyGrant>>, Fault> {
    let secret = secret(headers);
    if policy.is_open() {
        // Whoever is on this machine may call; a page from elsewhere in a browser on it may not. Browsers send Origin
        // with every POST, also where a page has pointed its own name at this machine.
        return match headers.get(header::ORIGIN).filter(|origin| !is_local(origin.to_str().unwrap_or(""))) {
            None => Ok(None),
            Some(_) => {
                let message = "a page of another site may not call a gateway without keys; \
                               make one with `gauntlet key create NAME`";
                Err(Fault::caller(Code::Forbidden, message))
            }
        };
    }
    let Some(secret) = secret else {
        let message =
            "no key was given; send `Authorization: Bearer gk_…` (make one with `gauntlet key create NAME`)";
        return Err(Fault::caller(Code::Unauthorized, message));
    };
    let Some(grant) = policy.keys().find(secret) else {
        let message = "this key opens nothing: nobody knows it (`gauntlet key list` shows the valid ones)";
        return Err(Fault::caller(Code::Unauthorized, message));
    };
    grant.check(now)?;
    Ok(Some(grant))
}

/// Whether a page's origin (`http://localhost:3000`) is on this machine.
fn is_local(origin: &str) -> bool {
    let Ok(uri) = origin.parse::<http::Uri>() else { return false };
    let host = uri.host().unwrap_or("");
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The key as each SDK sends it.
fn secret(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| {
        let (scheme, secret) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
    });
    bearer
        .or_else(|| headers.get("x-api-key").and_then(|value| value.to_str().ok()))
        .or_else(|| headers.get("x-goog-api-key").and_then(|value| value.to_str().ok()))
        .filter(|secret| !secret.is_empty())
}

fn read(call: &mut Call) -> Result<(), Fault> {
    let malformed = |bad: gauntlet_wire::Malformed| {
        let at = bad.at.map(|(line, column)| format!(" (line {line}, column {column})")).unwrap_or_default();
        let fault = Fault::caller(Code::InvalidRequest, format!("{}{at}", bad.message));
        match bad.param {
            Some(param) => fault.param(param),
            None => fault,
        }
    };
    let dialect = call.door().dialect().filter(|_| call.pass.is_none());
    if call.door() == Door::GeminiCountTokens {
        let asked = gauntlet_wire::gemini::count::request(&call.body).map_err(malformed)?;
        call.body = call.body.slice(asked);
    }
    match (call.door(), dialect) {
        (_, Some(dialect)) => {
            let asked = conversation::parse(dialect, &call.body, &call.path).map_err(malformed)?;
            call.record.is_streaming = asked.stream;
            call.record.model_asked = asked.model.value.as_str().into();
            call.request = Request::Conversation(Box::new(asked));
        }
        (Door::Embeddings, None) => {
            let embeddings = embeddings::parse(&call.body).map_err(malformed)?;
            call.record.model_asked = embeddings.model.value.as_str().into();
            call.request = Request::Embeddings(Box::new(embeddings));
        }
        (Door::EmbedContent, None) => {
            let asked = embed::parse(&call.body, embed_form(&call.path), &call.path.model);
            call.record.model_asked = call.path.model.as_str().into();
            call.request = Request::Embed(Box::new(asked.map_err(malformed)?));
        }
        (_, None) => {
            let kind = call.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
            let asked = pass::parse(kind, &call.body).map_err(malformed)?;
            if asked.stream {
                let message = "this door gives whole answers only: leave `stream` out";
                return Err(Fault::caller(Code::InvalidRequest, message).param("stream"));
            }
            if let Some(model) = &asked.model {
                call.record.model_asked = model.value.as_str().into();
            }
            call.request = Request::Pass(Box::new(asked));
        }
    }
    Ok(())
}

pub(crate) fn embed_form(path: &PathAsk) -> embed::Form {
    if path.batch { embed::Form::Batch } else { embed::Form::One }
}

/// What a key says of its caller, whatever the call claims.
fn bound(grant: &KeyGrant) -> Caller {
    Caller {
        tenant: grant.tenant.clone(),
        team: grant.team.clone(),
        user: grant.user.clone(),
        key: Some(grant.name.clone()),
        environment: grant.environment.unwrap_or_default(),
        ..Caller::default()
    }
}

/// Who sends spans: what the key binds, and else what our headers say of all of them.
pub(crate) fn sender(headers: &HeaderMap, grant: Option<&KeyGrant>) -> Result<Caller, Fault> {
    let claim = |name: &'static str| field(headers, name);
    let mut caller = grant.map(bound).unwrap_or_default();
    caller.tenant = tenant(headers, grant)?;
    caller.team = caller.team.or(claim("x-gauntlet-team")?);
    caller.user = caller.user.or(claim("x-gauntlet-user")?);
    caller.session = claim("x-gauntlet-session")?;
    environment(headers, grant, &mut caller)?;
    Ok(caller)
}

/// The key's own tenant; while there are no keys, the one that is claimed.
fn tenant(headers: &HeaderMap, grant: Option<&KeyGrant>) -> Result<Name, Fault> {
    let claimed = field(headers, "x-gauntlet-tenant")?;
    match grant.map(|grant| grant.tenant.clone()) {
        Some(own) => match claimed.filter(|other| *other != own) {
            Some(other) => {
                let message = format!("this key belongs to tenant `{own}` and cannot call for `{other}`");
                Err(Fault::caller(Code::Forbidden, message))
            }
            None => Ok(own),
        },
        None => Ok(claimed.unwrap_or_else(|| DEFAULT_TENANT.into())),
    }
}

fn environment(headers: &HeaderMap, grant: Option<&KeyGrant>, caller: &mut Caller) -> Result<(), Fault> {
    if grant.is_none_or(|grant| grant.environment.is_none())
        && let Some(text) = field(headers, "x-gauntlet-env")?
    {
        caller.environment = Environment::parse(&text).ok_or_else(|| {
            let message = format!("`{text}` is not an environment; use prod, staging, dev or eval");
            Fault::caller(Code::InvalidRequest, message).param("x-gauntlet-env")
        })?;
    }
    Ok(())
}

/// Puts together who is calling: what is bound to the key, else our headers, else what the SDK's own fields and W3C
/// baggage say.
fn caller(call: &Call, grant: Option<&KeyGrant>) -> Result<Caller, Fault> {
    let headers = &call.headers;
    let claim = |name: &'static str| field(headers, name);
    let body = |key: &str| match &call.request {
        Request::Conversation(chat) => {
            chat.metadata.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
        }
        _ => None,
    };
    let body_user = call.request.user();
    let mut caller = grant.map(bound).unwrap_or_default();
    caller.tenant = tenant(headers, grant)?;
    if caller.team.is_none() {
        caller.team = claim("x-gauntlet-team")?;
    }
    if caller.user.is_none() {
        let found = claim("x-gauntlet-user")?;
        let found = found.or_else(|| given(call, body_user)).or_else(|| given(call, body("user_id")));
        caller.user = found.or_else(|| given(call, baggage(headers, &["user.id", "enduser.id"]).as_deref()));
    }
    let session = claim("x-gauntlet-session")?;
    let session =
        session.or_else(|| given(call, body("session_id"))).or_else(|| given(call, body("conversation_id")));
    caller.session = session
        .or_else(|| given(call, baggage(headers, &["session.id", "gen_ai.conversation.id"]).as_deref()));
    environment(headers, grant, &mut caller)?;
    caller.app_sha = claim("x-gauntlet-app-sha")?;
    caller.eval_id = claim("x-gauntlet-eval-id")?;
    if let Some(tags) = claim("x-gauntlet-tags")? {
        caller.tags = tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(Name::from).collect();
        if caller.tags.len() > TAGS_MAX {
            let message = format!("{} tags are too many; at most {TAGS_MAX} are taken", caller.tags.len());
            return Err(Fault::caller(Code::InvalidRequest, message).param("x-gauntlet-tags"));
        }
    }
    Ok(caller)
}

/// A context header, refused where it could not stand in a list or a URL.
fn field(headers: &HeaderMap, name: &'static str) -> Result<Option<Name>, Fault> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = std::str::from_utf8(value.as_bytes()).ok().map(str::trim);
    match text.filter(|text| text.len() <= FIELD_MAX && !text.chars().any(char::is_control)) {
        Some("") => Ok(None),
        Some(text) => Ok(Some(text.into())),
        None => {
            let message = format!("header {name} must be at most {FIELD_MAX} bytes of printable UTF-8");
            Err(Fault::caller(Code::InvalidRequest, message).param(name))
        }
    }
}

/// A value of the body that is taken as context if it fits; it was not meant for us, so it is no error if it does not.
fn named(text: Option<&str>) -> Option<Name> {
    text.filter(|text| is_nameable(text)).map(Name::from)
}

pub(crate) fn is_nameable(text: &str) -> bool {
    !text.is_empty() && text.len() <= FIELD_MAX && !text.chars().any(char::is_control)
}

/// As `named`, for fields that were written for someone else. Our own headers are taken as they are, since whoever sets
/// them means this record.
pub(crate) fn given(call: &Call, text: Option<&str>) -> Option<Name> {
    Some(identity(call.shared(), &named(text)?))
}

/// A name that was not meant for us. An address or a number of a person is kept as its keyed hash: the same person still
/// has one budget and one page, and the record names nobody.
pub(crate) fn identity(shared: &Shared, name: &str) -> Name {
    let mut found = Vec::new();
    shared.scanner.scan(
        name,
        gauntlet_guard::Kinds { injection: false, ..gauntlet_guard::Kinds::ALL },
        &mut found,
    );
    // Ordinary ids of digits look like telephone numbers.
    let telling = |finding: &&gauntlet_types::Finding| {
        finding.kind == "secrets"
            || matches!(finding.label, "EMAIL_ADDRESS" | "US_SSN" | "CREDIT_CARD" | "IBAN_CODE")
    };
    let Some(finding) = found.iter().find(telling) else { return name.into() };
    let hash = blake3::keyed_hash(&shared.hash_key, name.as_bytes()).to_hex();
    format!("{}:{}", finding.label.to_ascii_lowercase(), &hash[..16]).into()
}

/// A member of W3C baggage (`key=value;properties, …`), percent-decoded.
fn baggage(headers: &HeaderMap, keys: &[&str]) -> Option<Name> {
    let text = headers.get("baggage")?.to_str().ok()?;
    let member = text.split(',').find_map(|member| {
        let (key, value) = member.split(';').next()?.split_once('=')?;
        keys.contains(&key.trim()).then(|| value.trim())
    })?;
    named(Some(&percent_decoded(member)?))
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            bytes.push((digit(rest.next())? * 16 + digit(rest.next())?) as u8);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// W3C Trace Context: the caller's trace goes on here.
fn trace_context(call: &mut Call) {
    let Some(text) = call.headers.get("traceparent").and_then(|value| value.to_str().ok()) else { return };
    if let Some((trace, parent)) = traceparent(text) {
        call.record.trace_id = trace;
        call.record.parent_span_id = Some(parent);
    }
}

/// `00-<32 hex>-<16 hex>-<2 hex>`; all zeros are invalid, and so is what is not lower-case hexadecimal.
fn traceparent(text: &str) -> Option<(TraceId, SpanId)> {
    let mut parts = text.trim().split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    if !is_hex(version, 2) || version == "ff" || !is_hex(trace, 32) || !is_hex(span, 16) || !is_hex(flags, 2)
    {
        return None;
    }
    let (trace, span): (TraceId, SpanId) = (trace.parse().ok()?, span.parse().ok()?);
    (trace.0 != 0 && span.0 != 0).then_some((trace, span))
}

fn sdk(headers: &HeaderMap) -> Option<Name> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let version = text("x-stainless-package-version");
    match (text("x-stainless-lang"), version) {
        (Some(language), Some(version)) => named(Some(&format!("openai-{language}/{version}"))),
        _ => named(text("user-agent").map(|agent| agent.get(..FIELD_MAX).unwrap_or(agent))),
    }
}

/// The route: as the call says, else the only one its key opens, else the default.
fn route(call: &mut Call, grant: Option<&KeyGrant>) -> Result<(), Fault> {
    let asked = field(&call.headers, "x-gauntlet-route")?;
    let allowed = grant.map_or(&[][..], |grant| &grant.routes[..]);
    let name = match (asked, allowed) {
        (Some(name), _) => Some(name),
        (None, [only]) => Some(only.clone()),
        (None, _) => None,
    };
    if let Some(name) = name {
        let route = call.policy().route(&name).cloned();
        // Named in the record even when it is refused, so that whoever looks finds the mistake.
        call.record.route = name.clone();
        call.route = route.ok_or_else(|| {
            let mut known: Vec<&str> = call.policy().config().routes.keys().map(Name::as_str).collect();
            known.sort_unstable();
            let message = format!("there is no route `{name}`; the configuration has: {}", known.join(", "));
            Fault::caller(Code::UnknownRoute, message).param("x-gauntlet-route")
        })?;
    }
    let route = &call.route.name;
    if grant.is_some_and(|grant| !grant.allows_route(route)) {
        let message = format!("this key may not use route `{route}`; it may use: {}", list(allowed));
        return Err(Fault::caller(Code::Forbidden, message));
    }
    // Which models it may use depends on the targets: `plan` looks at that.
    Ok(())
}

/// The rules that hold: the operator's, the tenant's, the route's, the key's, and what the call itself asks for on top.
fn guards(call: &mut Call) -> Result<(), Fault> {
    let asked = field(&call.headers, GUARD_HEADER)?;
    let asked =
        asked.iter().flat_map(|names| names.split(',')).map(str::trim).filter(|name| !name.is_empty());
    let caller = &call.record.caller;
    let chain = call.policy().guards(caller, &call.route, asked).map_err(|unknown| {
        let message = format!("there is no guardrail policy `{unknown}`");
        Fault::caller(Code::InvalidRequest, message).param(GUARD_HEADER)
    })?;
    let shared = call.shared();
    let now = call.record.started;
    let exceptions = &call.policy().config().guards.exceptions;
    let holds = |exception: &&Exception| explain::holds(exception, &caller.tenant, &call.route.name, now);
    let exceptions: Arc<[Exception]> = exceptions.iter().filter(holds).cloned().collect();
    let key = gauntlet_guard::tenant_key(&shared.hash_key, &caller.tenant);
    // Of the trace, so that all calls of one conversation are looked at, or none.
    let draw = (call.record.trace_id.0 as u32 as f64) / (f64::from(u32::MAX) + 1.0);
    call.rules = [Direction::Input, Direction::Output].map(|direction| {
        let rules = Rulebook::new(chain.voices(direction), Arc::clone(&exceptions), key, draw);
        rules.with_scanner(&shared.scanner)
    });
    let is_on = |level: &&Arc<Level>| {
        [Direction::Input, Direction::Output].iter().any(|direction| !level.voices(*direction).is_empty())
    };
    call.record.guard_policy =
        chain.levels().iter().filter(is_on).map(|level| level.label().clone()).collect();
    call.chain = chain;
    Ok(())
}

fn list(names: &[Name]) -> String {
    names.iter().map(Name::as_str).collect::<Vec<_>>().join(", ")
}

/// Kill switches of tenant, key, route and the model as asked for; those of targets are looked at by `plan`.
fn stop(call: &Call) -> Result<(), Fault> {
    let caller = &call.record.caller;
    let model = &call.model_wanted();
    let hit = call.policy().kills().hit(&caller.tenant, &call.route.name, model, None, caller.key.as_deref());
    match hit {
        None => Ok(()),
        Some(kill) => Err(killed(kill)),
    }
}

pub(crate) fn killed(kill: &KillEntry) -> Fault {
    let why = if kill.reason.is_empty() { String::new() } else { format!(": {}", kill.reason) };
    let message =
        format!("{} `{}` has been switched off by the operator{why}", kill.scope.as_str(), kill.name);
    Fault::policy(Code::Killed, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn traceparent_is_read_strictly() {
        let (trace, span) = traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        assert_eq!(trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(span.to_string(), "00f067aa0ba902b7");
        for bad in [
            "",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        ] {
            assert_eq!(traceparent(bad), None, "{bad}");
        }
    }

    #[test]
    fn keys_come_as_each_sdk_sends_them() {
        let check = |name: &'static str, value: &'static str, want: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            assert_eq!(secret(&headers), want, "{name}: {value}");
        };
        check("authorization", "Bearer gk_1", Some("gk_1"));
        check("authorization", "bearer gk_1", Some("gk_1"));
        check("authorization", "Basic abc", None);
        check("authorization", "Bearer ", None);
        check("x-api-key", "gk_2", Some("gk_2"));
        check("x-goog-api-key", "gk_3", Some("gk_3"));
    }

    #[test]
    fn only_pages_of_this_machine_are_local() {
        for (origin, expected) in [
            ("http://localhost:3000", true),
            ("http://127.0.0.1:8787", true),
            ("http://[::1]:8787", true),
            ("https://evil.example", false),
            ("http://localhost.evil.example", false),
            ("http://localhost@evil.example", false),
            ("null", false),
            ("", false),
        ] {
            assert_eq!(is_local(origin), expected, "{origin}");
        }
    }

    #[test]
    fn baggage_gives_user_and_session() {
        let mut headers = HeaderMap::new();
        headers.insert("baggage", HeaderValue::from_static("a=b, session.id=s%201;p=q,user.id=ann"));
        assert_eq!(baggage(&headers, &["session.id"]).as_deref(), Some("s 1"));
        assert_eq!(baggage(&headers, &["user.id"]).as_deref(), Some("ann"));
        assert_eq!(baggage(&headers, &["nobody"]), None);
        assert_eq!(percent_decoded("%zz"), None);
    }
}
