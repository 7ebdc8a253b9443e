//! What can be measured of an answer without reading it: words, time, money, tokens, how it ended.

use gauntlet_ports::Direction::{HigherIsBetter, LowerIsBetter};
use serde_json::{Value, json};

use super::{
    Measure, Measured, Sheet,
    options::Options,
    sheet::{Plain, Range},
};
use crate::{Mistake, Scorer, Seen};

struct Counted<F>(F);

impl<F: Fn(&Seen<'_>) -> Measured + Send + Sync> Measure for Counted<F> {
    fn measure(&self, seen: &Seen<'_>) -> Measured {
        (self.0)(seen)
    }
}

/// The number of words, parted by white space; with `min` or `max`, whether it lies between them.
pub(super) fn word_count(options: &mut Options<'_>) -> Result<Box<dyn Scorer>, Mistake> {
    let (min, max) = (options.amount("min")?, options.amount("max")?);
    let words = |seen: &Seen<'_>| seen.text.split_whitespace().count() as f64;
    if min.is_none() && max.is_none() {
        let sheet = Sheet::new(options, "gauntlet/1:word_count", LowerIsBetter, Range::Amount)?;
        return Plain::boxed(options, sheet, Counted(move |seen: &Seen<'_>| Measured::value(words(seen))));
    }
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        return Err(options.mistake(format!("`min` is {min} and `max` is {max}"), "swap them"));
    }
    let measure = move |seen: &Seen<'_>| {
        let count = words(seen);
        let is_within = min.is_none_or(|min| count >= min) && max.is_none_or(|max| count <= max);
        let measured = Measured::yes(is_within).with(json!({"words": count}));
        if is_within { measured } else { measured.because(format!("the answer has {count} words")) }
    };
    let sheet = Sheet::new(options, "gauntlet/1:word_count_within", HigherIsBetter, Range::YesNo)?;
    Plain::boxed(options, sheet, Counted(measure))
}

/// Milliseconds from the question to the whole answer, as the gateway saw it.
pub(super) fn latency(options: &mut Options<'_>) -> Result<Box<dyn Scorer>, Mistake> {
    let sheet = Sheet::new(options, "gauntlet/1:latency_ms", LowerIsBetter, Range::Amount)?;
    let measure = |seen: &Seen<'_>| match seen.told.latency_us {
        // Recorded answers have none.
        0 => Measured::none("nothing was measured"),
        micros => Measured::value(micros as f64 / 1_000.0).with(json!({"cache": seen.told.cache})),
    };
    Plain::boxed(options, sheet, Counted(measure))
}

/// USD that the answer cost, by the ledger's prices.
pub(super) fn cost(options: &mut Options<'_>) -> Result<Box<dyn Scorer>, Mistake> {
    let sheet = Sheet::new(options, "gauntlet/1:cost_usd", LowerIsBetter, Range::Amount)?;
    let measure = |seen: &Seen<'_>| match seen.told.call {
        None if seen.told.cost.as_usd() == 0.0 => {
            Measured::none("the answer is not of a call, and cost nothing")
        }
        _ => Measured::value(seen.told.cost.as_usd()).with(json!({"cache": seen.told.cache})),
    };
    Plain::boxed(options, sheet, Counted(measure))
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Tokens {
    Total,
    Prompt,
    Completion,
}

/// Tokens by the door's `usage`.
pub(super) fn tokens(options: &mut Options<'_>) -> Result<Box<dyn Scorer>, Mistake> {
    let known = [("total", Tokens::Total), ("prompt", Tokens::Prompt), ("completion", Tokens::Completion)];
    let of = options.word("of", &known)?;
    let sheet = Sheet::new(options, "gauntlet/1:tokens", LowerIsBetter, Range::Amount)?;
    let measure = move |seen: &Seen<'_>| {
        if !seen.told.body["usage"].is_object() {
            return Measured::none("the answer has no `usage`");
        }
        let (prompt, completion) = seen.told.tokens();
        let count = match of {
            Tokens::Total => prompt.saturating_add(completion),
            Tokens::Prompt => prompt,
            Tokens::Completion => completion,
        };
        Measured::value(count as f64).with(json!({"prompt": prompt, "completion": completion}))
    };
    Plain::boxed(options, sheet, Counted(measure))
}

/// exp(−mean log-probability of the answer's tokens), where the model tells them (`logprobs: true` in `params`).
pub(super) fn perplexity(options: &mut Options<'_>) -> Result<Box<dyn Scorer>, Mistake> {
    let sheet = Sheet::new(options, "gauntlet/1:perplexity", LowerIsBetter, Range::Amount)?;
    let measure = |seen: &Seen<'_>| {
        let tokens = seen.told.body["choices"][0]["logprobs"]["content"].as_array();
        let known: Vec<f64> =
            tokens.into_iter().flatten().filter_map(|token| token["logprob"].as_f64()).collect();
        if known.is_empty() {
            return Measured::none("the answer has no `logprobs`: write `logprobs: true` under `params`");
        }
        let mean = known.iter().sum::<f64>() / known.len() as f64;
        Measured::value((-mean).exp()).with(json!({"tokens": known.len()}))
    };
    Plain::boxed(options, sheet, Counted(measure))
}

/// 1 where the answer ended as it should: `stop` unless said.
pub(super) fn finish_reason(options: &mut Options<'_>) -> Result<Box<dyn Scorer>, Mistake> {
    let wanted = options.texts("value")?.unwrap_or_else(|| vec!["stop".to_owned()]);
    let known = ["stop", "length", "tool_calls", "content_filter", "function_call"];
    if let Some(unknown) = wanted.iter().find(|word| !known.contains(&word.as_str())) {
        let message = format!("`{}` is no reason to finish", unknown.escape_debug());
        return Err(options.mistake(message, super::options::cure(unknown, &known)));
    }
    let sheet = Sheet::new(options, "gauntlet/1:finish_reason", HigherIsBetter, Range::YesNo)?;
    let measure = move |seen: &Seen<'_>| match &seen.told.body["choices"][0]["finish_reason"] {
        Value::String(reason) => {
            let measured = Measured::yes(wanted.contains(reason));
            if wanted.contains(reason) {
                measured
            } else {
                measured.because(format!("it ended by `{reason}`"))
            }
        }
        _ => Measured::none("the answer does not say why it ended"),
    };
    Plain::boxed(options, sheet, Counted(measure))
}
