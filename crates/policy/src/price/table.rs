//! The built-in price table, `data/prices.tsv`: facts of the genai-prices project in a form that is searched as text; and
//! `data/prices_own.tsv`: what that project lacks, by hand, with sources.
//!
//! Its own library decodes 780 KB of JSON and compiles dozens of patterns before the first answer (26 ms, and several
//! megabytes that stay); the program must start in 50 ms. This form needs next to no start and memory, and less than a
//! millisecond for a model, once. `tests/config_price_table.rs` checks it against the library, model by model, and can
//! write it anew.
//!
//! Tab-separated lines:
//! ```text
//! P  vendor  further vendors to look at
//! M  model   context window   patterns   prices   [condition prices]…   [*tier[@day] prices]…
//! O  most output tokens   patterns
//! ```
//! Patterns are parted by `|`, parts that must all hold by `&`: `=` equals, `^` begins, `$` ends, `~` contains, `!` does
//! not contain a word; `#` is a digit. Prices are pico-dollars a token, each after the letter of its kind in
//! `kinds::LETTERS`; `q` is nano-dollars a request, `s` a search; `>200000:…` is a tier of length. Conditions are `@` a day from
//! which the prices hold, or `%` a span of seconds in the day (UTC). A service tier (`*batch`, `*flex`, `*priority`) names
//! the kinds that cost something else in it; of two that hold, the first counts.

use std::sync::{Arc, LazyLock};

use gauntlet_types::{Day, TokenCount};

use super::{
    Price, Sheet, When,
    find::{deployed, names},
    kinds::{Kinds, Service, assemble},
};

const TABLE: &str = include_str!("../../data/prices.tsv");
const OWN: &str = include_str!("../../data/prices_own.tsv");

/// Where the built-in prices come from; recorded with every call.
pub const TABLE_VERSION: &str = "genai-prices-0.2.1+own-1";

/// The day of the newest fact in the table: prices that changed later are not in it.
pub const TABLE_DAY: &str = "2026-10-26";

/// The sections of both files, found once.
static SECTIONS: LazyLock<Vec<Section>> = LazyLock::new(|| {
    let sections = [(TABLE, false), (OWN, true)].into_iter().flat_map(|(file, is_own)| {
        file.split("\nP\t").skip(1).filter_map(move |text| {
            let (head, lines) = text.split_once('\n')?;
            let (vendor, others) = head.split_once('\t')?;
            Some(Section { vendor, others, lines, is_own })
        })
    });
    sections.collect()
});

struct Section {
    vendor: &'static str,
    /// Vendors to look at after this one, parted by commas.
    others: &'static str,
    lines: &'static str,
    is_own: bool,
}

/// A model of the table.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub vendor: &'static str,
    pub model: &'static str,
    /// Added by hand: not from genai-prices.
    pub is_own: bool,
    line: Line,
}

/// The vendors of the table.
pub fn vendors() -> impl Iterator<Item = &'static str> {
    SECTIONS.iter().filter(|section| !section.is_own).map(|section| section.vendor)
}

/// All models of the table, vendor by vendor.
pub fn entries() -> impl Iterator<Item = Entry> {
    SECTIONS.iter().flat_map(Section::entries)
}

/// The names by which the table calls a vendor's models.
pub(super) fn ids(vendor: &str) -> impl Iterator<Item = &'static str> {
    SECTIONS
        .iter()
        .filter(move |section| section.vendor == vendor)
        .flat_map(Section::entries)
        .map(|entry| entry.model)
}

impl Section {
    fn entries(&self) -> impl Iterator<Item = Entry> + use<> {
        let (vendor, is_own) = (self.vendor, self.is_own);
        self.lines.lines().filter_map(Line::parse).map(move |(model, line)| Entry {
            vendor,
            model,
            is_own,
            line,
        })
    }
}

/// The first model of the vendor whose patterns fit, then of the vendors that its line names; under the name as it is,
/// then under other ways to write it.
fn find(vendor: &str, model: &str) -> Option<Entry> {
    let by_name = |name: &str| find_exactly(vendor, name);
    names(vendor, model).iter().find_map(|name| by_name(name)).or_else(|| by_name(deployed(vendor, model)?))
}

fn find_exactly(vendor: &str, model: &str) -> Option<Entry> {
    let own = SECTIONS.iter().find(|section| section.vendor == vendor)?;
    let vendors = std::iter::once(own.vendor).chain(own.others.split(','));
    let sections = vendors.flat_map(|vendor| SECTIONS.iter().filter(move |section| section.vendor == vendor));
    sections.flat_map(Section::entries).find(|entry| matches(entry.line.patterns, model))
}

/// The most output of a vendor's model; of several lines the first that fits.
fn output_max(vendor: &str, model: &str) -> Option<TokenCount> {
    let sections = SECTIONS.iter().filter(|section| section.is_own && section.vendor == vendor);
    let lines = sections.flat_map(|section| section.lines.lines());
    let mut fitting = lines.filter_map(|line| {
        let (most, patterns) = line.strip_prefix("O\t")?.split_once('\t')?;
        matches(patterns, model).then(|| most.parse().ok().map(TokenCount))?
    });
    fitting.next()
}

#[derive(Clone, Copy, Debug)]
struct Line {
    context_window: &'static str,
    patterns: &'static str,
    prices: &'static str,
}

impl Line {
    fn parse(line: &'static str) -> Option<(&'static str, Line)> {
        let mut parts = line.strip_prefix("M\t")?.splitn(4, '\t');
        let model = parts.next()?;
        Some((model, Line { context_window: parts.next()?, patterns: parts.next()?, prices: parts.next()? }))
    }
}

impl Entry {
    /// The vendor's model of that name; none when it is not in the table.
    pub fn find(vendor: &str, model: &str) -> Option<Entry> {
        find(vendor, model)
    }

    /// The prices over time. A line that cannot be read gives no rows; a test reads them all.
    pub fn sheet(&self) -> Sheet {
        Sheet::new(self.rows().unwrap_or_default())
    }

    fn rows(&self) -> Option<Vec<(When, Arc<Price>)>> {
        let (mut standard, mut services) = (Vec::new(), Vec::new());
        for column in self.line.prices.split('\t') {
            if let Some(service) = column.strip_prefix('*') {
                services.push(Service::parse(service)?);
            } else {
                let (condition, prices) = match column.split_once(' ') {
                    Some((condition, prices)) if condition.starts_with(['@', '%']) => {
                        (when(condition)?, prices)
                    }
                    _ => (When::Always, column),
                };
                standard.push((condition, Kinds::parse(prices)?));
            }
        }
        let context_window = self.line.context_window.parse().ok().map(TokenCount);
        let output_max = output_max(self.vendor, self.model);
        let with_limits =
            |(when, price): (When, Price)| (when, Arc::new(Price { context_window, output_max, ..price }));
        Some(assemble(&standard, &services).into_iter().map(with_limits).collect())
    }
}

fn when(condition: &str) -> Option<When> {
    if let Some(day) = condition.strip_prefix('@') {
        return Day::parse(day).map(|day| When::From(day.start()));
    }
    let (start, end) = condition.strip_prefix('%')?.split_once('-')?;
    Some(When::TimeOfDay(start.parse().ok()?, end.parse().ok()?))
}

fn matches(patterns: &str, model: &str) -> bool {
    patterns.split('|').any(|all| all.split('&').all(|pattern| fits(pattern, model)))
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
