//! The built-in price table, `data/prices.tsv`: facts of the genai-prices project in a form that is searched as text.
//!
//! Its own library decodes 780 KB of JSON and compiles dozens of patterns before the first answer (26 ms, and several
//! megabytes that stay); the program must start in 50 ms. This form needs next to no start and memory, and less than a
//! millisecond for a model, once. `tests/config_price_table.rs` checks it against the library, model by model, and can
//! write it anew.
//!
//! Tab-separated lines:
//! ```text
//! P  vendor  further vendors to look at
//! M  model   context window   patterns   prices   [condition prices]…
//! ```
//! Patterns are parted by `|`, parts that must all hold by `&`: `=` equals, `^` begins, `$` ends, `~` contains, `!` does
//! not contain a word; `#` is a digit. Prices are pico-dollars a token: `i` input, `r` cache read, `w` cache write, `h`
//! cache write for an hour, `o` output, `t` reasoning; `q` is nano-dollars a request; `>200000:…` is a tier. Conditions
//! are `@` a day from which the prices hold, or `%` a span of seconds in the day (UTC).

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
};

use gauntlet_types::{Day, NanoUsd, PicoUsdPerToken, TokenCount};

use super::{Price, Rates, Sheet, Tier, When};

const TABLE: &str = include_str!("../../data/prices.tsv");

/// Where the built-in prices come from; recorded with every call.
pub const TABLE_VERSION: &str = "genai-prices-0.2.1";

/// Where each vendor's lines stand; the one thing that is worked out at the first question (0.1 ms, 47 entries).
static SECTIONS: LazyLock<Vec<Section>> = LazyLock::new(|| {
    let sections = TABLE.split("\nP\t").skip(1).filter_map(|text| {
        let (head, models) = text.split_once('\n')?;
        let (vendor, others) = head.split_once('\t')?;
        Some(Section { vendor, others, models })
    });
    sections.collect()
});

struct Section {
    vendor: &'static str,
    /// Vendors to look at after this one, parted by commas.
    others: &'static str,
    models: &'static str,
}

/// The vendors of the table.
pub fn vendors() -> impl Iterator<Item = &'static str> {
    SECTIONS.iter().map(|section| section.vendor)
}

pub fn is_vendor(name: &str) -> bool {
    section(name).is_some()
}

fn section(vendor: &str) -> Option<&'static Section> {
    SECTIONS.iter().find(|section| section.vendor == vendor)
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

/// The first model of the vendor whose patterns fit, then of the vendors that its line names. A date written
/// `-20251211` is tried as `-2025-12-11` too, since both are in use.
pub(super) fn find(vendor: &str, model: &str) -> Option<Sheet> {
    let model = model.to_ascii_lowercase();
    find_exactly(vendor, &model).or_else(|| match with_dashed_dates(&model) {
        Cow::Owned(dashed) => find_exactly(vendor, &dashed),
        Cow::Borrowed(_) => None,
    })
}

fn find_exactly(vendor: &str, model: &str) -> Option<Sheet> {
    let own = section(vendor)?;
    let others = own.others.split(',').filter_map(section);
    let find =
        |section: &Section| section.models.lines().filter_map(Line::parse).find(|line| line.matches(model));
    std::iter::once(own).chain(others).find_map(find)?.sheet()
}

struct Line {
    context_window: &'static str,
    patterns: &'static str,
    prices: &'static str,
}

impl Line {
    fn parse(line: &'static str) -> Option<Line> {
        let mut parts = line.strip_prefix("M\t")?.splitn(4, '\t').skip(1);
        Some(Line { context_window: parts.next()?, patterns: parts.next()?, prices: parts.next()? })
    }

    fn matches(&self, model: &str) -> bool {
        self.patterns.split('|').any(|all| all.split('&').all(|pattern| fits(pattern, model)))
    }

    fn sheet(&self) -> Option<Sheet> {
        let context_window = self.context_window.parse().ok().map(TokenCount);
        let mut rows = Vec::new();
        for row in self.prices.split('\t') {
            let (when, prices) = match row.split_once(' ') {
                Some((condition, prices)) if condition.starts_with(['@', '%']) => (when(condition)?, prices),
                _ => (When::Always, row),
            };
            rows.push((when, Arc::new(price(prices, context_window)?)));
        }
        Some(Sheet { rows })
    }
}

fn when(condition: &str) -> Option<When> {
    if let Some(day) = condition.strip_prefix('@') {
        return Day::parse(day).map(|day| When::From(day.start()));
    }
    let (start, end) = condition.strip_prefix('%')?.split_once('-')?;
    Some(When::TimeOfDay(start.parse().ok()?, end.parse().ok()?))
}

/// One kind of tokens: its price, and its prices of longer input.
struct Kind(u64, Vec<(u32, u64)>);

impl Kind {
    fn parse(text: &str) -> Option<Kind> {
        let mut parts = text.split('>');
        let base = parts.next()?.parse().ok()?;
        let tiers = parts.map(|tier| {
            let (over, price) = tier.split_once(':')?;
            Some((over.parse().ok()?, price.parse().ok()?))
        });
        Some(Kind(base, tiers.collect::<Option<_>>()?))
    }

    /// The price when the input is longer than `over`; none for the plain price.
    fn at(&self, over: Option<u32>) -> u64 {
        let tier = self.1.iter().rev().find(|(start, _)| over.is_some_and(|over| over >= *start));
        tier.map_or(self.0, |(_, price)| *price)
    }
}

fn price(text: &str, context_window: Option<TokenCount>) -> Option<Price> {
    let mut kinds: [Option<Kind>; 6] = Default::default();
    let mut per_request = NanoUsd::ZERO;
    for part in text.split_whitespace() {
        let (name, value) = part.split_at_checked(1)?;
        if name == "q" {
            per_request = NanoUsd(value.parse().ok()?);
            continue;
        }
        kinds["irwhot".find(name)?] = Some(Kind::parse(value)?);
    }
    let [input, read, write, hour, output, reasoning] = &kinds;
    // What has no price of its own costs what it is a part of.
    let rates = |over: Option<u32>| {
        let at = |kinds: &[&Option<Kind>]| {
            let kind = kinds.iter().find_map(|kind| kind.as_ref());
            PicoUsdPerToken(kind.map_or(0, |kind| kind.at(over)))
        };
        Rates {
            input: at(&[input]),
            cache_read: at(&[read, input]),
            cache_write_5m: at(&[write, input]),
            cache_write_1h: at(&[hour, write, input]),
            output: at(&[output]),
            reasoning: at(&[reasoning, output]),
        }
    };
    let mut starts: Vec<u32> =
        kinds.iter().flatten().flat_map(|kind| kind.1.iter().map(|(start, _)| *start)).collect();
    starts.sort_unstable();
    starts.dedup();
    let tiers = starts.into_iter().map(|over| Tier { over: TokenCount(over), rates: rates(Some(over)) });
    Some(Price { rates: rates(None), tiers: tiers.collect(), per_request, context_window })
}

fn fits(pattern: &str, model: &str) -> bool {
    let Some((kind, text)) = pattern.split_at_checked(1) else { return false };
    match kind {
        "=" => model.len() == text.len() && begins(model, text),
        "^" => begins(model, text),
        "$" => model.ends_with(text),
        "~" => model.contains(text),
        "!" => !format!("{model}-").contains(&format!("{text}-")),
        _ => false,
    }
}

fn begins(model: &str, pattern: &str) -> bool {
    model.len() >= pattern.len()
        && model
            .bytes()
            .zip(pattern.bytes())
            .all(|(byte, wanted)| if wanted == b'#' { byte.is_ascii_digit() } else { byte == wanted })
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
