//! Whose model it is, and under which names it may be in the table.

use std::borrow::Cow;

use gauntlet_types::Day;

use super::table::{self, vendors};

pub fn is_vendor(name: &str) -> bool {
    vendors().any(|vendor| vendor == name)
}

/// Hosts of vendors, as the end of a host name.
const HOSTS: [(&str, &str); 24] = [
    ("api.openai.com", "openai"),
    ("api.anthropic.com", "anthropic"),
    ("googleapis.com", "google"),
    ("openai.azure.com", "azure"),
    ("services.ai.azure.com", "azure"),
    ("cognitiveservices.azure.com", "azure"),
    ("amazonaws.com", "aws"),
    ("api.mistral.ai", "mistral"),
    ("api.groq.com", "groq"),
    ("api.deepseek.com", "deepseek"),
    ("api.cohere.com", "cohere"),
    ("api.cohere.ai", "cohere"),
    ("api.together.xyz", "together"),
    ("api.fireworks.ai", "fireworks"),
    ("api.cerebras.ai", "cerebras"),
    ("api.x.ai", "x-ai"),
    ("api.perplexity.ai", "perplexity"),
    ("openrouter.ai", "openrouter"),
    ("api.moonshot.ai", "moonshotai"),
    ("api.moonshot.cn", "moonshotai"),
    ("api.novita.ai", "novita"),
    ("api.voyageai.com", "voyageai"),
    ("api.z.ai", "zai"),
    ("open.bigmodel.cn", "zhipuai"),
];

/// Other names by which people call vendors.
const ALIASES: [(&str, &str); 8] = [
    ("gemini", "google"),
    ("vertex", "google"),
    ("bedrock", "aws"),
    ("xai", "x-ai"),
    ("grok", "x-ai"),
    ("together-ai", "together"),
    ("moonshot", "moonshotai"),
    ("voyage", "voyageai"),
];

/// The vendor behind a configured provider: by its address, else by its name, else (without an address) by its
/// dialect. None for a stranger's server.
pub fn vendor(name: &str, url: Option<&str>, dialect: &str) -> Option<&'static str> {
    let by_name = |name: &str| {
        let alias = ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, vendor)| *vendor);
        alias.or_else(|| vendors().find(|vendor| *vendor == name))
    };
    if dialect == "sim" {
        return None;
    }
    match url {
        Some(url) => {
            let host = url
                .split_once("://")
                .map_or(url, |(_, rest)| rest)
                .split(['/', ':'])
                .next()
                .unwrap_or_default();
            let is_of =
                |end: &str| host.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
            let by_host = HOSTS.iter().find(|(end, _)| is_of(end)).map(|(_, vendor)| *vendor);
            by_host.or_else(|| by_name(name))
        }
        None => by_name(dialect),
    }
}

/// The names under which to look for a model, the most exact first: as it is, then without what some doors put before
/// it, then with dates written `-2025-12-11` for `-20251211`, since both are in use.
pub(super) fn names(vendor: &str, model: &str) -> Vec<String> {
    let model = model.to_ascii_lowercase();
    let mut names = vec![model.clone()];
    // Bedrock takes ARNs: `arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-…`. Gemini's
    // models are resources: `models/gemini-…`, `publishers/google/models/gemini-…`.
    let is_path = (vendor == "aws" && model.starts_with("arn:"))
        || (vendor == "google"
            && ["models/", "publishers/", "projects/", "google/"].iter().any(|p| model.starts_with(p)));
    if let Some((_, last)) = model.rsplit_once('/').filter(|_| is_path) {
        names.push(last.to_owned());
    }
    for at in 0..names.len() {
        if let Cow::Owned(dashed) = with_dashed_dates(&names[at]) {
            names.push(dashed);
        }
    }
    names
}

/// The model that the name of a deployment speaks of: `gpt-4o-mini` for `support-gpt-4o-mini-prod`. Azure's customers name
/// their deployments as they like, and most say what is in them. None where the rest of the name holds a word that
/// models are told apart by (`gpt-4o-nano-eu` is no `gpt-4o`).
pub(super) fn deployed(vendor: &str, name: &str) -> Option<&'static str> {
    // A deployment's name has no other characters.
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if vendor != "azure" || !is_name {
        return None;
    }
    let name = name.to_ascii_lowercase().replace('_', "-");
    let ids = || ["azure", "openai"].into_iter().flat_map(table::ids);
    let (start, id) = ids()
        .filter_map(|id| {
            let start = name.match_indices(id).map(|(start, _)| start).find(|start| {
                let after = name.as_bytes().get(start + id.len());
                (*start == 0 || name.as_bytes()[start - 1] == b'-') && after.is_none_or(|byte| *byte == b'-')
            })?;
            // Names of one word such as `ada` stand in too many other names.
            id.contains('-').then_some((start, id))
        })
        .max_by_key(|(_, id)| id.len())?;
    let rest = [&name[..start], &name[start + id.len()..]];
    let words = rest.into_iter().flat_map(|text| text.split('-')).filter(|word| !word.is_empty());
    let tells_apart = |word: &str| ids().any(|id| id.split(['-', ':', '/', '.']).any(|part| part == word));
    let mut words = words.filter(|word| tells_apart(word) || word.starts_with(|c: char| c.is_ascii_digit()));
    words.next().is_none().then_some(id)
}

/// Writes dates such as `-20251211` as `-2025-12-11`, where no digit follows.
fn with_dashed_dates(model: &str) -> Cow<'_, str> {
    let bytes = model.as_bytes();
    let mut out = String::new();
    let mut copied = 0;
    for start in 0..bytes.len() {
        if bytes[start] != b'-' || bytes.len() < start + 9 {
            continue;
        }
        let digits = &bytes[start + 1..start + 9];
        let ends = bytes.get(start + 9).is_none_or(|byte| matches!(byte, b'-' | b':'));
        if !ends || !digits.starts_with(b"20") || !digits.iter().all(u8::is_ascii_digit) {
            continue;
        }
        let date = &model[start + 1..start + 9];
        let dashed = format!("{}-{}-{}", &date[..4], &date[4..6], &date[6..]);
        if Day::parse(&dashed).is_none() {
            continue;
        }
        out.push_str(&model[copied..=start]);
        out.push_str(&dashed);
        copied = start + 9;
    }
    if copied == 0 {
        return Cow::Borrowed(model);
    }
    out.push_str(&model[copied..]);
    Cow::Owned(out)
}
