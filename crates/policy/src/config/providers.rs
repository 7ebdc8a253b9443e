//! `providers:` — where models are.

use std::{collections::HashMap, sync::Arc, time::Duration};

use gauntlet_types::Name;

use super::{
    node::{At, Node, Value},
    read::{self, Fields, Report},
    routing, scalar,
    shape::{Secret, Timeouts},
};
use crate::{breaker::BreakerPolicy, price};

/// What a provider speaks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Dialect {
    Openai,
    Anthropic,
    Gemini,
    /// The simulated model inside Gauntlet.
    Sim,
}

impl Dialect {
    pub const fn as_str(self) -> &'static str {
        match self {
            Dialect::Openai => "openai",
            Dialect::Anthropic => "anthropic",
            Dialect::Gemini => "gemini",
            Dialect::Sim => "sim",
        }
    }

    /// Where the vendor of a dialect answers; a provider without `url` is taken for that vendor.
    const fn url(self) -> &'static str {
        match self {
            Dialect::Openai => "https://api.openai.com/v1",
            Dialect::Anthropic => "https://api.anthropic.com",
            Dialect::Gemini => "https://generativelanguage.googleapis.com",
            Dialect::Sim => "",
        }
    }

    const CHOICES: [(&'static str, Dialect); 4] = [
        ("openai", Dialect::Openai),
        ("anthropic", Dialect::Anthropic),
        ("gemini", Dialect::Gemini),
        ("sim", Dialect::Sim),
    ];
}

/// How a provider's models are priced, where `prices.yml` does not say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Priced {
    /// By this provider of the built-in table.
    Table(Name),
    /// Said to be free of charge.
    Free,
    /// By the stated prices of the simulated model.
    Simulated,
    /// Nobody knows: the route's `unpriced` rule decides.
    Unknown,
}

#[derive(Clone, Debug)]
pub struct Provider {
    pub name: Name,
    pub dialect: Dialect,
    /// Without a slash at its end; empty for `sim`.
    pub url: Name,
    pub key: Option<Secret>,
    /// Sent along with every call; they may hold credentials.
    pub headers: Vec<(Name, Secret)>,
    pub priced: Priced,
    /// Whose models it sells, as the price table calls them; none for a stranger's server.
    pub vendor: Option<Name>,
    /// Default 5 s.
    pub connect_timeout: Duration,
    /// Settings of the simulated model, if this is one.
    pub sim: Option<SimSettings>,
    /// Not written anywhere: its key was found in the environment.
    pub is_found: bool,
    /// Where its models run (`eu`, `us-east-1`), as the operator says; none: nobody said.
    pub region: Option<Name>,
    pub breaker: BreakerPolicy,
}

/// How the simulated model behaves.
#[derive(Clone, PartialEq, Debug)]
pub struct SimSettings {
    /// Before the first token. Default 50 ms.
    pub latency: Duration,
    /// Between pieces of a streamed answer. Default 5 ms.
    pub chunk_delay: Duration,
    /// Tokens in an answer. Default 50.
    pub tokens: u32,
    /// Share of calls that fail, from 0 to 1. Default 0.
    pub fault_rate: f64,
    /// Decides, with the request, which calls fail and what is answered. Default 0.
    pub seed: u64,
    /// A fixed answer instead of generated words.
    pub answer: Option<Name>,
}

impl Default for SimSettings {
    fn default() -> SimSettings {
        SimSettings {
            latency: Duration::from_millis(50),
            chunk_delay: Duration::from_millis(5),
            tokens: 50,
            fault_rate: 0.0,
            seed: 0,
            answer: None,
        }
    }
}

/// The usual variables of well-known vendors, in the order in which they are looked for.
const FOUND: [(&str, Dialect, &str); 4] = [
    ("OPENAI_API_KEY", Dialect::Openai, "openai"),
    ("ANTHROPIC_API_KEY", Dialect::Anthropic, "anthropic"),
    ("GEMINI_API_KEY", Dialect::Gemini, "gemini"),
    ("GOOGLE_API_KEY", Dialect::Gemini, "gemini"),
];

/// Providers whose key stands in the environment, and the simulated one, which must be asked for by name.
pub(super) fn found(env: &dyn Fn(&str) -> Option<String>) -> HashMap<Name, Arc<Provider>> {
    let sim = Provider {
        name: "sim".into(),
        dialect: Dialect::Sim,
        url: Name::default(),
        key: None,
        headers: Vec::new(),
        priced: Priced::Simulated,
        vendor: None,
        connect_timeout: Timeouts::default().connect,
        sim: Some(SimSettings::default()),
        is_found: true,
        region: None,
        breaker: BreakerPolicy::default(),
    };
    let mut providers = HashMap::from([(sim.name.clone(), Arc::new(sim))]);
    for (variable, dialect, name) in FOUND {
        let Some(key) = env(variable).filter(|key| !key.trim().is_empty()) else { continue };
        let name = Name::from(name);
        providers.entry(name.clone()).or_insert_with(|| {
            let vendor = price::vendor(&name, None, dialect.as_str()).map(Name::from);
            Arc::new(Provider {
                name: name.clone(),
                dialect,
                url: dialect.url().into(),
                key: Some(Secret::new(key.trim())),
                headers: Vec::new(),
                priced: vendor.clone().map_or(Priced::Unknown, Priced::Table),
                vendor,
                connect_timeout: Timeouts::default().connect,
                sim: None,
                is_found: true,
                region: None,
                breaker: BreakerPolicy::default(),
            })
        });
    }
    providers
}

pub(super) fn read(node: &Node, report: &mut Report) -> HashMap<Name, Arc<Provider>> {
    let mut providers = HashMap::new();
    for (label, node) in read::map(node, "`providers`", report).unwrap_or_default() {
        if label.text.is_empty() || label.text.contains('/') {
            let message = format!("`{}` cannot name a provider", label.text);
            report.error(label.at, message, "leave the slash out: it parts provider and model");
            continue;
        }
        if let Some(provider) = one(&label.text, label.at, node, report) {
            providers.insert(provider.name.clone(), Arc::new(provider));
        }
    }
    providers
}

fn one(name: &str, at: At, node: &Node, report: &mut Report) -> Option<Provider> {
    let what = format!("provider `{name}`");
    let mut fields = Fields::of(node, &what, report)?;

    let mut dialect = fields.choice("dialect", report, &Dialect::CHOICES);
    if !fields.is_written("dialect") {
        // A provider called `openai` speaks it.
        dialect = Dialect::CHOICES.iter().find(|(known, _)| *known == name).map(|(_, dialect)| *dialect);
        if dialect.is_none() {
            let cure =
                "write `dialect: openai` for any OpenAI-compatible server, or `anthropic`, `gemini`, `sim`";
            report.error(at, format!("{what} has no `dialect`"), cure);
        }
    }
    let url = fields.get("url").and_then(|node| url(node, "url", &what, report));
    let key = match fields.get("key") {
        Some(node) => {
            let key = read::text(node, "key", report).map(|text| text.text.trim());
            if key == Some("") {
                report.error(
                    node.at,
                    format!("{what} has an empty `key`"),
                    "set the variable, or leave `key` out",
                );
            }
            key.filter(|key| !key.is_empty()).map(Secret::new)
        }
        None => None,
    };
    let headers = fields.get("headers").map(|node| headers(node, &what, report)).unwrap_or_default();
    let is_free = fields.choice("price", report, &[("free", ())]).is_some();
    let prices_as = fields.text("prices_as", report);
    let connect_timeout = fields.read("connect_timeout", report, scalar::DURATION);
    let region = fields.get("region").and_then(|node| routing::region(node, &what, report));
    let breaker = fields.get("breaker").map(|node| routing::breaker(node, &what, report)).unwrap_or_default();

    let sim = SimSettings {
        latency: fields.read("latency", report, scalar::DURATION).unwrap_or(Duration::from_millis(50)),
        chunk_delay: fields.read("chunk_delay", report, scalar::DURATION).unwrap_or(Duration::from_millis(5)),
        tokens: fields.read("tokens", report, scalar::POSITIVE_SMALL).unwrap_or(50),
        fault_rate: fields.read("fault_rate", report, scalar::SHARE).unwrap_or(0.0),
        seed: fields.read("seed", report, scalar::SEED).unwrap_or(0),
        answer: fields.text("answer", report).map(|(text, _)| text.into()),
    };
    if dialect.is_some_and(|dialect| dialect != Dialect::Sim) {
        for field in ["latency", "chunk_delay", "tokens", "fault_rate", "seed", "answer"] {
            if fields.is_written(field) {
                let message = format!("`{field}` in {what} is only for the simulated model");
                report.error(at, message, "leave it out, or write `dialect: sim`");
            }
        }
    }
    fields.finish(report);

    let dialect = dialect?;
    if let Some((vendor, at)) = prices_as
        && !price::is_vendor(vendor)
    {
        let near = crate::config::near::did_you_mean(vendor, price::vendors());
        let cure =
            near.unwrap_or_else(|| "write for example `openai`, `anthropic`, `google`, `openrouter`".into());
        report.error(at, format!("the built-in price table has no provider `{vendor}`"), cure);
    }
    let vendor = match prices_as {
        Some((vendor, _)) => Some(Name::from(vendor)),
        None => price::vendor(name, url.as_deref(), dialect.as_str()).map(Name::from),
    };
    let priced = match (is_free, dialect, vendor.clone()) {
        (true, _, _) => Priced::Free,
        (false, Dialect::Sim, _) => Priced::Simulated,
        (false, _, Some(vendor)) => Priced::Table(vendor),
        (false, _, None) => Priced::Unknown,
    };
    Some(Provider {
        name: name.into(),
        dialect,
        url: url.map_or_else(|| dialect.url().into(), Name::from),
        key,
        headers,
        priced,
        vendor,
        connect_timeout: connect_timeout.unwrap_or(Timeouts::default().connect),
        sim: (dialect == Dialect::Sim).then_some(sim),
        is_found: false,
        region,
        breaker,
    })
}

/// An address of scheme, host, optional port and path. Credentials, queries and fragments are refused: they would end
/// up in logs, or be lost when the path of an endpoint is added.
pub(super) fn url(node: &Node, field: &str, what: &str, report: &mut Report) -> Option<String> {
    let text = read::text(node, field, report)?;
    let problem = |text: &str| -> Option<&'static str> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let Some(rest) = rest else { return Some("it must begin with `https://` or `http://`") };
        let host = rest.split('/').next().unwrap_or_default();
        let port = match host.rsplit_once(':') {
            // The colons of an IPv6 address stand inside brackets.
            Some((_, port)) if !port.ends_with(']') => Some(port),
            _ => None,
        };
        if host.is_empty() || host.starts_with(':') {
            Some("it names no host")
        } else if host.contains('@') {
            Some("credentials belong into `key` or `headers`")
        } else if rest.contains(['?', '#']) {
            Some("it must end with its path, without `?` or `#`")
        } else if rest.chars().any(|c| c.is_whitespace() || c.is_control()) {
            Some("it contains a space")
        } else if port.is_some_and(|port| port.parse::<u16>().is_err()) {
            Some("its port is not a number")
        } else {
            None
        }
    };
    let value = text.text.trim();
    match problem(value) {
        None => Some(value.trim_end_matches('/').to_owned()),
        Some(problem) => {
            let message = format!("`{field}: {}` in {what} is not an address", text.typed);
            report.error(
                node.at,
                message,
                format!("{problem}; write for example `http://127.0.0.1:8080/v1`"),
            );
            None
        }
    }
}

pub(super) fn headers(node: &Node, what: &str, report: &mut Report) -> Vec<(Name, Secret)> {
    let mut headers = Vec::new();
    for (label, node) in read::map(node, &format!("`headers` of {what}"), report).unwrap_or_default() {
        let is_token = !label.text.is_empty()
            && label
                .text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
        if !is_token {
            report.error(
                label.at,
                format!("`{}` cannot name a header", label.text),
                "use letters, digits and `-`",
            );
            continue;
        }
        let Value::Text(text) = &node.value else {
            let _ = read::text(node, &label.text, report);
            continue;
        };
        if text.text.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f) {
            let message = format!("header `{}` has a line break or control character in it", label.text);
            report.error(node.at, message, "write it on one line");
            continue;
        }
        headers.push((label.text.to_ascii_lowercase().into(), Secret::new(text.text.trim())));
    }
    headers
}
