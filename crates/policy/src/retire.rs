//! Models come to an end: which of them are known to, and when.
//!
//! The table holds what vendors have published; a provider that hosts another's models may keep its own days. `retires:`
//! beside a target overrules it.

use gauntlet_types::{Day, Target};

use crate::{
    config::{Choice, Config},
    plan::{self, Resolved},
};

/// Up to when the vendors' pages were read for the table.
pub const TABLE_DAY: &str = "2026-09-15";

/// How long before its end a model is warned of: vendors give at least as long a notice for models in general use.
pub const AHEAD_DAYS: i32 = 60;

/// The last day on which models of vendors answer, as the vendor calls them. Vendors named as in the price table.
///
/// Sources: OpenAI, "Deprecations"; Anthropic, "Model deprecations"; Google, "Gemini deprecations", whose days are the
/// earliest possible.
#[rustfmt::skip] // a table reads best a line each
const TABLE: &[(&str, &str, &str)] = &[
    ("openai", "codex-mini-latest", "2026-01-16"),
    ("openai", "chatgpt-4o-latest", "2026-02-17"),
    ("openai", "computer-use-preview", "2026-07-23"),
    ("openai", "computer-use-preview-2025-03-11", "2026-07-23"),
    ("openai", "gpt-4o-audio-preview-2024-12-17", "2026-07-23"),
    ("openai", "gpt-4o-mini-audio-preview-2024-12-17", "2026-07-23"),
    ("openai", "gpt-4o-mini-realtime-preview-2024-12-17", "2026-07-23"),
    ("openai", "gpt-4o-search-preview-2025-03-11", "2026-07-23"),
    ("openai", "gpt-4o-mini-search-preview-2025-03-11", "2026-07-23"),
    ("openai", "gpt-4o-mini-tts-2025-03-20", "2026-07-23"),
    ("openai", "gpt-5-chat-latest", "2026-07-23"),
    ("openai", "gpt-5-codex", "2026-07-23"),
    ("openai", "gpt-5.1-chat-latest", "2026-07-23"),
    ("openai", "gpt-5.1-codex", "2026-07-23"),
    ("openai", "gpt-5.1-codex-max", "2026-07-23"),
    ("openai", "gpt-5.1-codex-mini", "2026-07-23"),
    ("openai", "gpt-5.2-codex", "2026-07-23"),
    ("openai", "o3-deep-research", "2026-07-23"),
    ("openai", "o3-deep-research-2025-06-26", "2026-07-23"),
    ("openai", "o4-mini-deep-research", "2026-07-23"),
    ("openai", "o4-mini-deep-research-2025-06-26", "2026-07-23"),
    ("openai", "gpt-3.5-turbo", "2026-10-23"),
    ("openai", "gpt-3.5-turbo-0125", "2026-10-23"),
    ("openai", "gpt-4", "2026-10-23"),
    ("openai", "gpt-4-0613", "2026-10-23"),
    ("anthropic", "claude-3-5-sonnet-20240620", "2025-10-28"),
    ("anthropic", "claude-3-5-sonnet-20241022", "2025-10-28"),
    ("anthropic", "claude-3-opus-20240229", "2026-01-05"),
    ("anthropic", "claude-3-7-sonnet-20250219", "2026-02-19"),
    ("google", "gemini-2.5-pro-preview-03-25", "2025-12-02"),
    ("google", "gemini-2.5-pro-preview-05-06", "2025-12-02"),
    ("google", "gemini-2.5-pro-preview-06-05", "2025-12-02"),
    ("google", "gemini-3-pro-preview", "2026-03-09"),
    ("google", "gemini-3-pro-image-preview", "2026-06-25"),
    ("google", "gemini-3.1-flash-image-preview", "2026-06-25"),
    ("google", "gemini-3.1-flash-lite", "2027-05-07"),
];

/// Since or until when a model answers no more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retiring {
    pub day: Day,
    /// Below 0: it is over.
    pub days_left: i32,
}

impl Retiring {
    /// Ends the sentence "`openai/gpt-4` …".
    pub fn words(&self) -> String {
        let date = self.day;
        match self.days_left {
            1 => format!("retires on {date}, tomorrow"),
            left @ 2.. => format!("retires on {date}, in {left} days"),
            0 => format!("retires today, {date}"),
            _ => format!("has been retired since {date}"),
        }
    }
}

/// When a target ends, if that is known and near, or over.
pub fn retiring(config: &Config, choice: &Choice, today: Day) -> Option<Retiring> {
    let day = choice.retires.or_else(|| published(config, &choice.target))?;
    let days_left = day.0 - today.0;
    (days_left <= AHEAD_DAYS).then_some(Retiring { day, days_left })
}

fn published(config: &Config, target: &Target) -> Option<Day> {
    let vendor = config.providers.get(&target.provider)?.vendor.as_deref()?;
    let (.., day) = TABLE.iter().find(|(of, model, _)| *of == vendor && **model == *target.model)?;
    Day::parse(day)
}

/// Every target that ends soon among those that the configuration names: by `models`, and by routes, rules and tasks
/// without an entry there.
pub fn all_retiring(config: &Config, today: Day) -> Vec<(Target, Retiring)> {
    let direct = config.model_names().filter(|name| !config.models.contains_key(*name));
    let direct = direct.filter_map(|name| match plan::resolve(config, name) {
        Resolved::Targets(targets) => Some(Choice::new(targets.into_iter().next()?)),
        Resolved::Ambiguous(_) | Resolved::Unknown => None,
    });
    let choices = config.models.values().flat_map(|model| &model.choices).cloned();
    let mut all: Vec<(Target, Retiring)> = choices
        .chain(direct)
        .filter_map(|choice| Some((choice.target.clone(), retiring(config, &choice, today)?)))
        .collect();
    all.sort_by_cached_key(|(target, retiring)| (retiring.day, target.to_string()));
    all.dedup_by(|a, b| a.0 == b.0);
    all
}

/// Whether a model's name says which of its versions is meant: a date (`2024-08-06`, `20241022`, `0613`, `05-06`), or a
/// version behind it (`-001`, `@003`, `-v1:0`, `:7b`). `gpt-4o` and `gpt-5.1` are families whose vendors move on; names
/// of Anthropic's from 4.6 on have no date and are versions all the same.
pub fn has_version(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    let parts: Vec<&str> = name.split(['-', '@', ':', '_']).skip(1).collect();
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_version = |part: &&str| {
        let part = part.strip_prefix('v').unwrap_or(part);
        is_number(part) && part.len() >= 3
    };
    let is_date = |pair: &[&str]| pair.iter().all(|part| is_number(part) && part.len() == 2);
    let has_tag = name.contains('@') || name.rsplit_once(':').is_some_and(|(_, tag)| tag != "latest");
    let is_whole = match (name.starts_with("claude-"), &parts[..]) {
        (true, [.., major, minor]) => {
            major.parse().ok().zip(minor.parse().ok()).is_some_and(|version: (u32, u32)| version >= (4, 6))
        }
        _ => false,
    };
    is_whole || parts.iter().any(is_version) || parts.windows(2).any(is_date) || has_tag
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, LoadOptions, Source, Sources};

    #[test]
    fn every_day_of_the_table_is_one_and_every_model_stands_once() {
        assert!(Day::parse(TABLE_DAY).is_some());
        for (at, (vendor, model, day)) in TABLE.iter().enumerate() {
            assert!(Day::parse(day).is_some(), "{model}: {day}");
            assert!(crate::price::is_vendor(vendor), "{vendor}");
            let again = TABLE[..at].iter().any(|(other, name, _)| other == vendor && name == model);
            assert!(!again, "{model}");
        }
    }

    #[test]
    fn versions_are_told_from_families() {
        for model in [
            "gpt-4o-2024-08-06",
            "claude-3-7-sonnet-20250219",
            "gpt-4-0613",
            "gemini-2.0-flash-001",
            "gemini-2.5-pro-preview-05-06",
            "anthropic.claude-3-haiku-20240307-v1:0",
            "llama3.1:8b",
            "org/model@3",
            "claude-sonnet-4-6",
        ] {
            assert!(has_version(model), "{model}");
        }
        for model in ["gpt-4o", "gpt-5.1", "claude-sonnet-4-5", "gemini-2.5-pro", "o3", "llama3:latest"] {
            assert!(!has_version(model), "{model}");
        }
    }

    #[test]
    fn models_are_warned_of_from_sixty_days_before_their_end() {
        let text = "providers: {openai: {}, azure: {dialect: openai, url: \"http://a:1\"}}\n\
            models: {old: [openai/gpt-4-0613], own: [{target: azure/x, retires: 2027-03-01}], new: [openai/gpt-4o]}\n\
            routes: {r: {model: new, rules: [{if: {tools: true}, model: openai/gpt-4}]}}\n";
        let gauntlet = Some(Source { file: "gauntlet.yml".into(), text: text.into() });
        let sources = Sources { gauntlet, ..Sources::default() };
        let policy = config::load(&sources, &|_| None, &LoadOptions::default()).unwrap().policy;
        let check = |today: &str, expected: &[&str]| {
            let all = all_retiring(policy.config(), Day::parse(today).unwrap());
            let words: Vec<String> =
                all.iter().map(|(target, retiring)| format!("{target} {}", retiring.words())).collect();
            assert_eq!(words, expected, "{today}");
        };
        check("2026-08-01", &[]);
        check(
            "2026-08-24",
            &[
                "openai/gpt-4 retires on 2026-10-23, in 60 days",
                "openai/gpt-4-0613 retires on 2026-10-23, in 60 days",
            ],
        );
        check(
            "2026-10-23",
            &["openai/gpt-4 retires today, 2026-10-23", "openai/gpt-4-0613 retires today, 2026-10-23"],
        );
        check(
            "2027-02-28",
            &[
                "openai/gpt-4 has been retired since 2026-10-23",
                "openai/gpt-4-0613 has been retired since 2026-10-23",
                "azure/x retires on 2027-03-01, tomorrow",
            ],
        );
    }
}
