//! Texts that are equal, hold, begin, end or match.

use gauntlet_ports::Direction::HigherIsBetter;
use regex::{Regex, RegexBuilder};
use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization;

use super::{
    Measure, Measured, Sheet,
    options::Options,
    sheet::{Plain, Range},
    wanted::Wanted,
};
use crate::{Case, Mistake, Scorer, Seen};

/// A compiled pattern may take so many bytes: more is a mistake, and matching stays linear whatever the pattern.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// So much of a text stands in a reason.
const SHOWN_MAX: usize = 80;

/// What does not count when texts are compared.
#[derive(Clone, Copy, Default, Debug)]
struct Loose {
    case: bool,
    whitespace: bool,
    punctuation: bool,
    articles: bool,
    /// How letters are put together: an `é` of one character, or of two.
    unicode: bool,
}

impl Loose {
    fn take(options: &mut Options<'_>) -> Result<Loose, Mistake> {
        let mut loose = Loose { case: options.flag("ignore_case")?, ..Loose::default() };
        for word in options.texts("ignore")?.unwrap_or_default() {
            match word.as_str() {
                "case" => loose.case = true,
                "whitespace" => loose.whitespace = true,
                "punctuation" => loose.punctuation = true,
                "articles" => loose.articles = true,
                "unicode" => loose.unicode = true,
                other => {
                    let message = format!("`ignore` cannot be `{}`", other.escape_debug());
                    let known = ["case", "whitespace", "punctuation", "articles", "unicode"];
                    return Err(options.mistake(message, super::options::cure(other, &known)));
                }
            }
        }
        Ok(loose)
    }

    /// Spaces at either end never count. The order is that of SQuAD's script: case, punctuation, articles, spaces.
    fn apply(self, text: &str) -> String {
        let mut text = if self.unicode { text.nfc().collect() } else { text.to_owned() };
        if self.case {
            text = text.to_lowercase();
        }
        if self.punctuation {
            text.retain(|c| c.is_alphanumeric() || c.is_whitespace());
        }
        if self.articles {
            let is_article =
                |word: &&str| ["a", "an", "the"].iter().any(|article| word.eq_ignore_ascii_case(article));
            text = text.split_whitespace().filter(|word| !is_article(word)).collect::<Vec<_>>().join(" ");
        }
        if self.whitespace {
            text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        }
        text.trim().to_owned()
    }
}

struct Exact {
    wanted: Wanted,
    loose: Loose,
}

/// 1 where the answer is the reference, or one of a list.
pub(super) fn exact(options: &mut Options<'_>) -> Result<Box<dyn Scorer>, Mistake> {
    let measure = Exact { wanted: Wanted::take(options)?, loose: Loose::take(options)? };
    let sheet = Sheet::new(options, "gauntlet/1:exact", HigherIsBetter, Range::YesNo)?;
    Plain::boxed(options, sheet, measure)
}

impl Exact {
    /// A number or an object is compared as JSON, so that `{"a": 1}` is `{ "a":1.0 }`.
    fn is_equal(&self, wanted: &Value, text: &str) -> bool {
        match wanted {
            Value::String(wanted) => self.loose.apply(wanted) == self.loose.apply(text),
            other => {
                let told = serde_json::from_str::<Value>(text.trim());
                told.is_ok_and(|told| super::fields::is_same(other, &told))
            }
        }
    }
}

impl Measure for Exact {
    fn lacks(&self, case: &Case) -> Option<String> {
        self.wanted.lacks(case)
    }

    fn measure(&self, seen: &Seen<'_>) -> Measured {
        let wanted = match self.wanted.of(seen.case) {
            Ok(wanted) => wanted,
            Err(lacks) => return Measured::none(format!("the case lacks {lacks}")),
        };
        let is_one = match &*wanted {
            // The list itself may be what is asked for.
            Value::Array(items) => {
                items.iter().any(|item| self.is_equal(item, seen.text)) || self.is_equal(&wanted, seen.text)
            }
            one => self.is_equal(one, seen.text),
        };
        let measured = Measured::yes(is_one);
        if is_one {
            return measured;
        }
        let text = super::wanted::text_of(&wanted);
        let why = format!("the answer is not `{}`", shown(&text));
        let composed = Loose { unicode: true, ..self.loose };
        // They look the same, so nobody would find out why.
        let is_alike = !self.loose.unicode && composed.apply(&text) == composed.apply(seen.text);
        measured.because(if is_alike {
            format!(
                "{why} by the composition of its letters alone; `ignore: [unicode]` takes them for the same"
            )
        } else {
            why
        })
    }
}

/// How many of several texts an answer must hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Holds {
    All,
    Any,
    /// The share that it holds is the value.
    Share,
}

struct Contains {
    wanted: Wanted,
    loose: Loose,
    holds: Holds,
}

/// 1 where the answer holds the reference; of a list all, any, or the share of them.
pub(super) fn contains(options: &mut Options<'_>) -> Result<Box<dyn Scorer>, Mistake> {
    let measure = Contains {
        wanted: Wanted::take(options)?,
        loose: Loose::take(options)?,
        holds: options.word("of", &[("all", Holds::All), ("any", Holds::Any), ("share", Holds::Share)])?,
    };
    let range = if measure.holds == Holds::Share { Range::Share } else { Range::YesNo };
    let sheet = Sheet::new(options, "gauntlet/1:contains", HigherIsBetter, range)?;
    Plain::boxed(options, sheet, measure)
}

impl Measure for Contains {
    fn lacks(&self, case: &Case) -> Option<String> {
        self.wanted.lacks_texts(case)
    }

    fn measure(&self, seen: &Seen<'_>) -> Measured {
        let wanted = match self.wanted.texts(seen.case) {
            Ok(wanted) => wanted,
            Err(lacks) => return Measured::none(format!("the case lacks {lacks}")),
        };
        let text = self.loose.apply(seen.text);
        let (held, missed): (Vec<&String>, Vec<&String>) =
            wanted.iter().partition(|wanted| text.contains(&self.loose.apply(wanted)));
        let value = match self.holds {
            Holds::All => f64::from(u8::from(missed.is_empty())),
            Holds::Any => f64::from(u8::from(!held.is_empty())),
            Holds::Share => held.len() as f64 / wanted.len() as f64,
        };
        let measured = Measured::value(value);
        match missed.first() {
            Some(missed) if value < 1.0 => {
                measured.because(format!("the answer does not hold `{}`", shown(missed)))
            }
            _ => measured,
        }
        .with(json!({"held": held.len(), "of": wanted.len()}))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Edge {
    Start,
    End,
}

struct AtEdge {
    wanted: Wanted,
    loose: Loose,
    edge: Edge,
}

/// 1 where the answer begins (or ends) with the reference, or with one of a list.
pub(super) fn edge(options: &mut Options<'_>, edge: Edge) -> Result<Box<dyn Scorer>, Mistake> {
    let measure = AtEdge { wanted: Wanted::take(options)?, loose: Loose::take(options)?, edge };
    let name = if edge == Edge::Start { "gauntlet/1:starts_with" } else { "gauntlet/1:ends_with" };
    let sheet = Sheet::new(options, name, HigherIsBetter, Range::YesNo)?;
    Plain::boxed(options, sheet, measure)
}

impl Measure for AtEdge {
    fn lacks(&self, case: &Case) -> Option<String> {
        self.wanted.lacks_texts(case)
    }

    fn measure(&self, seen: &Seen<'_>) -> Measured {
        let wanted = match self.wanted.texts(seen.case) {
            Ok(wanted) => wanted,
            Err(lacks) => return Measured::none(format!("the case lacks {lacks}")),
        };
        let text = self.loose.apply(seen.text);
        let is_there = |wanted: &String| {
            let wanted = self.loose.apply(wanted);
            match self.edge {
                Edge::Start => text.starts_with(&wanted),
                Edge::End => text.ends_with(&wanted),
            }
        };
        if wanted.iter().any(is_there) {
            return Measured::yes(true);
        }
        let does = if self.edge == Edge::Start { "begin" } else { "end" };
        let first = wanted.first().map(String::as_str).unwrap_or_default();
        Measured::yes(false).because(format!("the answer does not {does} with `{}`", shown(first)))
    }
}

struct Matches {
    wanted: Wanted,
    /// Where it is the same for all cases.
    compiled: Option<Regex>,
    ignore_case: bool,
    is_full: bool,
}

/// 1 where the pattern is found in the answer; with `full`, where it is all of it.
pub(super) fn regex(options: &mut Options<'_>) -> Result<Box<dyn Scorer>, Mistake> {
    let mut measure = Matches {
        wanted: Wanted::take(options)?,
        compiled: None,
        ignore_case: options.flag("ignore_case")?,
        is_full: options.flag("full")?,
    };
    if let Some(value) = measure.wanted.fixed() {
        let Some(pattern) = value.as_str() else {
            return Err(
                options.mistake("`value` is not a pattern", "write it in single quotes: value: '^[A-Z]+$'")
            );
        };
        let compiled = measure.compile(pattern).map_err(|why| {
            let cure = "look-around and back-references are not available; other syntax is that of the Rust crate regex";
            options.mistake(format!("`value` is no good pattern: {why}"), cure)
        })?;
        measure.compiled = Some(compiled);
    }
    let sheet = Sheet::new(options, "gauntlet/1:regex", HigherIsBetter, Range::YesNo)?;
    Plain::boxed(options, sheet, measure)
}

impl Matches {
    fn compile(&self, pattern: &str) -> Result<Regex, String> {
        let pattern = if self.is_full { format!(r"\A(?:{pattern})\z") } else { pattern.to_owned() };
        let built = RegexBuilder::new(&pattern)
            .case_insensitive(self.ignore_case)
            .size_limit(PATTERN_BYTES_MAX)
            .build();
        // The message draws an arrow below the pattern; its last line says what is wrong.
        built.map_err(|error| {
            error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        })
    }
}

impl Matches {
    fn found(&self, pattern: &Regex, text: &str) -> Measured {
        if pattern.is_match(text) {
            return Measured::yes(true);
        }
        let what = if self.is_full { "the whole of the answer is not" } else { "nothing in the answer is" };
        Measured::yes(false).because(format!("{what} as the pattern `{}` has it", shown(pattern.as_str())))
    }
}

impl Measure for Matches {
    fn lacks(&self, case: &Case) -> Option<String> {
        if self.compiled.is_some() {
            return None;
        }
        match self.wanted.of(case) {
            Ok(value) => match value.as_str().map(|pattern| self.compile(pattern)) {
                Some(Ok(_)) => None,
                Some(Err(why)) => Some(format!("a good pattern: {why}")),
                None => Some("a pattern: `expected` is not a text".to_owned()),
            },
            Err(lacks) => Some(lacks),
        }
    }

    fn measure(&self, seen: &Seen<'_>) -> Measured {
        if let Some(compiled) = &self.compiled {
            return self.found(compiled, seen.text);
        }
        let pattern = self.wanted.texts(seen.case).and_then(|texts| self.compile(&texts[0]));
        match pattern {
            Ok(pattern) => self.found(&pattern, seen.text),
            Err(why) => Measured::none(format!("the case has no good pattern: {why}")),
        }
    }
}

pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
