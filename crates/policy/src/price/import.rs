//! Price lists of other projects, read into what `prices.yml` says.
//!
//! Prices are read as the decimals they are written as, never through a float. What a list says and Gauntlet cannot bill
//! (prices of seconds, pages, characters) is counted, so that nobody takes it for read; a model that is sold only so, or
//! that the list has at zero, is left out with the reason: what has no price here is refused, not free.

mod decimal;
mod genai;
mod litellm;
mod merge;
mod tree;
mod write;

use std::{collections::BTreeMap, sync::Arc};

use thiserror::Error;

use super::{Price, Sheet, When, kinds::Kinds};

pub(crate) use self::tree::Tree;
pub use self::{
    merge::{Merged, merge},
    write::entry,
};

/// Whose format a list has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// LiteLLM's `model_prices_and_context_window.json`.
    Litellm,
    /// `data.json` of genai-prices, or the YAML file of one of its providers.
    GenaiPrices,
}

#[derive(Debug, Error)]
pub enum ImportError {
    #[error("the price list is neither JSON nor YAML that can be read: {0}")]
    Unreadable(String),
    #[error("the price list is not {0}")]
    OtherFormat(&'static str),
    #[error("line {line} of the price file cannot be kept as it is: {why}")]
    Unmergeable { line: usize, why: String },
}

/// What a list says.
#[derive(Default, Debug)]
pub struct List {
    pub models: Vec<Imported>,
    pub skipped: Vec<Skipped>,
    /// Fields that are not understood, and how many models have them.
    pub unknown: BTreeMap<String, usize>,
}

/// A model's prices, by the list's names.
#[derive(Clone, PartialEq, Debug)]
pub struct Imported {
    pub provider: String,
    pub model: String,
    pub sheet: Sheet,
}

/// A model that is left out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Skipped {
    pub provider: String,
    pub model: String,
    pub why: String,
}

/// Reads a list. Errors: it is not of that format at all; what is odd about single models is told in the list.
pub fn read(format: Format, text: &str) -> Result<List, ImportError> {
    match format {
        Format::Litellm => litellm::read(&tree::json(text)?),
        Format::GenaiPrices if text.trim_start().starts_with(['[', '{']) => genai::read(&tree::json(text)?),
        Format::GenaiPrices => genai::read(&tree::yaml(text)?),
    }
}

impl List {
    fn unknown(&mut self, field: &str) {
        *self.unknown.entry(field.to_owned()).or_default() += 1;
    }

    /// Takes a model in, or leaves it out with the reason.
    fn add(&mut self, provider: &str, model: &str, rows: Result<Vec<(When, Price)>, String>) {
        let (provider, model) = (provider.to_owned(), model.to_owned());
        match rows.and_then(check) {
            Ok(sheet) => self.models.push(Imported { provider, model, sheet }),
            Err(why) => self.skipped.push(Skipped { provider, model, why }),
        }
    }
}

fn check(rows: Vec<(When, Price)>) -> Result<Sheet, String> {
    if rows.iter().any(|(when, _)| matches!(when, When::TimeOfDay(..))) {
        return Err("its price changes with the time of day, which prices.yml cannot say".to_owned());
    }
    if rows.iter().any(|(_, price)| price.is_free()) {
        return Err("it costs nothing there; write `free: true` yourself if that is so".to_owned());
    }
    Ok(Sheet::new(rows.into_iter().map(|(when, price)| (when, Arc::new(price))).collect()))
}

/// Whether these kinds are a price: of what goes in and of what comes out, if anything to pay for does.
fn complete(kinds: &Kinds, is_one_way: bool) -> Result<(), String> {
    let [input, output] = [0, 4].map(|kind| kinds.kinds[kind].is_some());
    match (input, output) {
        (true, true) => Ok(()),
        (true, false) if is_one_way => Ok(()),
        (false, false) => Err("it has no price of tokens".to_owned()),
        (false, true) => Err("it has no price of input".to_owned()),
        (true, false) => Err("it has no price of output".to_owned()),
    }
}

#[cfg(test)]
mod tests;
