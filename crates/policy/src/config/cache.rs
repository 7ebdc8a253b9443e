//! `cache:` — of a route, which answers are given again; of the file, how much memory they may take.

use std::{sync::Arc, time::Duration};

use gauntlet_types::Name;

use super::{
    node::{At, Node, Value},
    read::{self, Fields, Report},
    scalar,
};

/// Which answers of a route are kept, and who gets them.
#[derive(Clone, PartialEq, Debug)]
pub struct CachePolicy {
    pub ttl: Duration,
    pub share: CacheShare,
    /// Also calls that offer tools, and answers that call them. Default no: a tool acts on the world of its moment.
    pub tools: bool,
    /// Also calls that ask for several answers. Default no: who asks for several wants them to differ.
    pub choices: bool,
    /// Calls that ask for a higher temperature want answers that differ. Default 0.3; a call that says nothing is kept.
    pub temperature_max: f64,
    pub semantic: Option<Arc<SemanticCache>>,
}

impl CachePolicy {
    /// Exact repeats, shared by a tenant.
    pub fn exact(ttl: Duration) -> CachePolicy {
        CachePolicy {
            ttl,
            share: CacheShare::Tenant,
            tools: false,
            choices: false,
            temperature_max: TEMPERATURE_MAX,
            semantic: None,
        }
    }
}

/// Who may get an answer that was made for another. Never another tenant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CacheShare {
    /// Whoever calls for the same tenant (default).
    Tenant,
    /// The same user alone; a call that names no user is not kept.
    User,
}

/// Questions that mean the same, by how near their vectors are.
#[derive(Clone, PartialEq, Debug)]
pub struct SemanticCache {
    /// The least cosine. Default 0.95.
    pub threshold: f32,
    pub embedder: EmbedBy,
    /// Numbers, dates, names, quotations and negations of both questions must agree. Default yes.
    pub check: bool,
}

/// What makes a vector of a question.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum EmbedBy {
    /// A provider's model, as a caller would name it.
    Model(Name),
    /// A folder with a model that runs in this process.
    Folder(Name),
}

/// How much may be kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CacheBounds {
    /// Of all tenants together. Default 256 MB.
    pub bytes: usize,
    /// Of one tenant, so that none pushes the others out. Default half of that.
    pub tenant_bytes: usize,
    /// Default 100,000: up to there a look for the nearest question stays under a millisecond.
    pub tenant_entries: usize,
}

impl Default for CacheBounds {
    fn default() -> Self {
        CacheBounds { bytes: 256 << 20, tenant_bytes: 128 << 20, tenant_entries: 100_000 }
    }
}

const TEMPERATURE_MAX: f64 = 0.3;
const THRESHOLD: f64 = 0.95;
/// Below it unrelated questions come near, whatever the model.
const THRESHOLD_MIN: f64 = 0.5;
/// Beyond it the look would take milliseconds of the worker that serves calls.
const TENANT_ENTRIES_MAX: u64 = 1_000_000;

/// `10m`, `{ttl: 10m, …}`, or `off`, which is the inner none.
pub(super) fn of_route(node: &Node, what: &str, report: &mut Report) -> Option<Option<CachePolicy>> {
    let Value::Map(_) = &node.value else {
        if let Value::Text(text) = &node.value
            && matches!(text.text.as_str(), "off" | "false" | "no")
        {
            return Some(None);
        }
        let ttl = read::read(node, "cache", report, scalar::DURATION)?;
        return Some((!ttl.is_zero()).then(|| CachePolicy::exact(ttl)));
    };
    let mut fields = Fields::of(node, format!("`cache` of {what}"), report)?;
    let ttl = fields.read("ttl", report, scalar::DURATION);
    if !fields.is_written("ttl") {
        report.error(node.at, format!("`cache` of {what} has no `ttl`"), "write for example `cache: 10m`");
    }
    let share = [("tenant", CacheShare::Tenant), ("user", CacheShare::User)];
    let share = fields.choice("share", report, &share);
    let tools = fields.read("tools", report, scalar::BOOL);
    let choices = fields.read("choices", report, scalar::BOOL);
    let temperature = fields.read("temperature_max", report, scalar::NUMBER);
    if let Some(wrong) = temperature.filter(|temperature| !(0.0..=2.0).contains(temperature)) {
        let cure = "write a number from 0 to 2, for example `0.3`";
        report.error(node.at, format!("`temperature_max: {wrong}` of {what} is no temperature"), cure);
    }
    let semantic = fields.get("semantic").and_then(|node| semantic(node, what, report));
    fields.finish(report);
    let ttl = ttl?;
    let policy = CachePolicy {
        share: share.unwrap_or(CacheShare::Tenant),
        tools: tools.unwrap_or(false),
        choices: choices.unwrap_or(false),
        temperature_max: temperature.unwrap_or(TEMPERATURE_MAX),
        semantic: semantic.map(Arc::new),
        ..CachePolicy::exact(ttl)
    };
    Some((!ttl.is_zero()).then_some(policy))
}

/// `{threshold: 0.95, model: openai/text-embedding-3-small}`, or with `embedder: FOLDER`.
fn semantic(node: &Node, what: &str, report: &mut Report) -> Option<SemanticCache> {
    let place = format!("`semantic` of the `cache` of {what}");
    let mut fields = Fields::of(node, &place, report)?;
    let threshold = fields.read("threshold", report, scalar::SHARE).unwrap_or(THRESHOLD);
    if threshold < THRESHOLD_MIN {
        let message = format!("`threshold: {threshold}` of {place} is below {THRESHOLD_MIN}");
        report.error(
            node.at,
            message,
            "unrelated questions come that near; `gauntlet cache quality` advises one",
        );
    }
    let model = fields.text("model", report);
    let folder = fields.text("embedder", report);
    let check = fields.read("check", report, scalar::BOOL).unwrap_or(true);
    fields.finish(report);
    let embedder = match (model, folder) {
        (Some((model, _)), None) => EmbedBy::Model(model.into()),
        (None, Some((folder, _))) => EmbedBy::Folder(folder.into()),
        (Some(_), Some((_, at))) => {
            report.error(at, format!("{place} has both `model` and `embedder`"), "take one of them out");
            return None;
        }
        (None, None) => {
            let cure = "write `model: openai/text-embedding-3-small`, or `embedder: FOLDER` with a model of your own";
            report.error(node.at, format!("{place} has neither `model` nor `embedder`"), cure);
            return None;
        }
    };
    Some(SemanticCache { threshold: threshold as f32, embedder, check })
}

/// The model that embeds, as it stands there; whether anybody knows it is seen when all sections are read.
pub(super) fn model_of(node: &Node) -> Option<(Name, At)> {
    let member = |node: &Node, name: &str| match &node.value {
        Value::Map(entries) => {
            entries.iter().find(|(label, _)| label.text == name).map(|(_, node)| node.clone())
        }
        _ => None,
    };
    let model = member(&member(node, "semantic")?, "model")?;
    match &model.value {
        Value::Text(text) if !text.text.is_empty() => Some((text.text.as_str().into(), model.at)),
        _ => None,
    }
}

/// `cache: {memory: 256mb, tenant_memory: 128mb, tenant_entries: 100000}` of the file.
pub(super) fn bounds(node: &Node, report: &mut Report) -> Option<CacheBounds> {
    let mut fields = Fields::of(node, "`cache`", report)?;
    let bytes = fields.read("memory", report, scalar::SIZE);
    let tenant_bytes = fields.read("tenant_memory", report, scalar::SIZE);
    let entries = fields.read("tenant_entries", report, scalar::POSITIVE);
    if let Some(many) = entries.filter(|entries| *entries > TENANT_ENTRIES_MAX) {
        let message = format!("`tenant_entries: {many}` is more than {TENANT_ENTRIES_MAX}");
        report.error(node.at, message, "the nearest of so many is not found in time; write less");
    }
    fields.finish(report);
    let bytes = bytes.unwrap_or(CacheBounds::default().bytes);
    if let Some(more) = tenant_bytes.filter(|more| *more > bytes) {
        let message = format!("`tenant_memory: {more}` is more than the {bytes} bytes of all tenants");
        report.error(node.at, message, "write less, or a larger `memory`");
    }
    Some(CacheBounds {
        bytes,
        tenant_bytes: tenant_bytes.unwrap_or(bytes / 2),
        tenant_entries: entries.map_or(CacheBounds::default().tenant_entries, |entries| entries as usize),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, LoadOptions, Source, Sources};

    const PROVIDERS: &str = "providers:\n  openai: {dialect: openai, key: k}\n  groq: {dialect: openai, url: \"http://127.0.0.1:1/v1\", key: k}\n";

    fn load(text: &str) -> Result<config::Policy, String> {
        let text = format!("{PROVIDERS}{text}");
        let sources = Sources {
            gauntlet: Some(Source { file: "gauntlet.yml".to_owned(), text }),
            ..Sources::default()
        };
        let options = LoadOptions { loopback: true, find_provider_keys: false };
        let loaded = config::load(&sources, &|_| None, &options);
        loaded.map(|loaded| loaded.policy).map_err(|mistakes| mistakes[0].message.clone())
    }

    #[test]
    fn a_route_says_what_is_kept_and_for_whom() {
        let check = |cache: &str, expected: Option<CachePolicy>| {
            let policy = load(&format!("routes:\n  r: {{cache: {cache}}}\n")).expect("it loads");
            assert_eq!(policy.route("r").unwrap().cache, expected, "{cache}");
        };
        let minute = CachePolicy::exact(Duration::from_secs(60));
        let by = |embedder, threshold, check| {
            Some(CachePolicy {
                semantic: Some(Arc::new(SemanticCache { threshold, embedder, check })),
                ..minute.clone()
            })
        };
        check("1m", Some(minute.clone()));
        check("off", None);
        check("0s", None);
        check("{ttl: 1m}", Some(minute.clone()));
        check(
            "{ttl: 1m, share: user, tools: yes, choices: true, temperature_max: 2}",
            Some(CachePolicy {
                share: CacheShare::User,
                tools: true,
                choices: true,
                temperature_max: 2.0,
                ..minute.clone()
            }),
        );
        let model = EmbedBy::Model("openai/text-embedding-3-small".into());
        check("{ttl: 1m, semantic: {model: openai/text-embedding-3-small}}", by(model, 0.95, true));
        let folder = EmbedBy::Folder("models/minilm".into());
        check(
            "{ttl: 1m, semantic: {embedder: models/minilm, threshold: 0.9, check: no}}",
            by(folder, 0.9, false),
        );
    }

    #[test]
    fn mistakes_of_a_cache_say_what_is_wrong() {
        let check = |text: &str, expected: &str| {
            let error = load(text).map(|_| ()).expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        };
        let route = |cache: &str| format!("routes:\n  r: {{cache: {cache}}}\n");
        check(&route("{share: user}"), "has no `ttl`");
        check(&route("{ttl: 1m, share: all}"), "`share: all` is not known");
        check(&route("{ttl: 1m, temperature_max: 3}"), "is no temperature");
        check(&route("{ttl: 1m, semantic: {threshold: 0.9}}"), "neither `model` nor `embedder`");
        check(&route("{ttl: 1m, semantic: {model: openai/m, embedder: d}}"), "both `model` and `embedder`");
        check(&route("{ttl: 1m, semantic: {model: openai/m, threshold: 0.3}}"), "is below 0.5");
        check(&route("{ttl: 1m, semantic: {model: m}}"), "the `cache` of route `r` names");
        check(&route("{ttl: 1m, semantics: {}}"), "unknown field `semantics`");
        check("cache: {memory: 1mb, tenant_memory: 2mb}\n", "is more than the 1048576 bytes");
        check("cache: {tenant_entries: 2000000}\n", "is more than 1000000");
    }

    #[test]
    fn bounds_are_those_of_the_file() {
        let bounds = |text: &str| load(text).expect("it loads").config().server.cache;
        assert_eq!(bounds(""), CacheBounds::default());
        let small = bounds("cache: {memory: 10mb, tenant_entries: 50}\n");
        assert_eq!((small.bytes, small.tenant_bytes, small.tenant_entries), (10 << 20, 5 << 20, 50));
    }
}
