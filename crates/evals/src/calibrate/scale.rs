//! What people rated on, and how the judge's values are brought to it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Confusion, HUMAN, Pair, Rated, Wanted};
use crate::Case;

/// Where people said yes or no, and the metric has no threshold.
const YES_FROM: f64 = 0.5;
/// Steps of a scale that is taken for a list of levels; beyond it only the order counts.
const LEVELS_MAX: usize = 11;

/// Words for the ends of a scale.
const YES: [&str; 9] = ["pass", "yes", "true", "good", "correct", "faithful", "relevant", "win", "better"];
const NO: [&str; 9] =
    ["fail", "no", "false", "bad", "incorrect", "unfaithful", "irrelevant", "loss", "worse"];
const BETWEEN: [&str; 2] = ["tie", "draw"];

/// What people said of an answer.
#[derive(Clone, PartialEq, Debug)]
pub enum Human {
    Number(f64),
    Label(String),
}

impl Human {
    /// What the case holds under `human`; `{"human": {"faithfulness": 1}}` is no rating of one metric.
    ///
    /// Errors: what is missing or wrong.
    pub fn of(case: &Case) -> Result<Human, String> {
        let cure = "write what people said, such as `\"human\": 4` or `\"human\": \"pass\"`";
        match case.extra.get(HUMAN) {
            Some(Value::Number(number)) => match number.as_f64().filter(|number| number.is_finite()) {
                Some(number) => Ok(Human::Number(number)),
                None => Err(format!("`{HUMAN}` is no number that could be compared; {cure}")),
            },
            Some(Value::Bool(yes)) => Ok(Human::Number(f64::from(u8::from(*yes)))),
            Some(Value::String(word)) if !word.trim().is_empty() => {
                let word = word.trim();
                let is_in = |words: &[&str]| words.iter().any(|known| word.eq_ignore_ascii_case(known));
                Ok(match word.parse::<f64>() {
                    Ok(number) if number.is_finite() => Human::Number(number),
                    _ if is_in(&YES) => Human::Number(1.0),
                    _ if is_in(&NO) => Human::Number(0.0),
                    _ if is_in(&BETWEEN) => Human::Number(0.5),
                    _ => Human::Label(word.to_ascii_uppercase()),
                })
            }
            None | Some(Value::Null) => Err(format!("the field `{HUMAN}` is missing; {cure}")),
            Some(_) => Err(format!("`{HUMAN}` is neither a number nor a word; {cure}")),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        match self {
            Human::Number(number) => json!(number),
            Human::Label(label) => json!(label),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Human::Number(number) => Some(*number),
            Human::Label(_) => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScaleKind {
    /// Yes or no.
    Binary,
    /// A few levels in order: 1 to 5, or loss, tie, win.
    Ordinal,
    /// Numbers of any size: only their order is compared.
    Continuous,
    /// Words without an order: the letters of `factuality`.
    Categories,
}

pub(super) struct Scale {
    pub(super) kind: ScaleKind,
    /// In their order, as people read them.
    pub(super) labels: Vec<String>,
    levels: Vec<f64>,
    min: f64,
    max: f64,
    yes_from: f64,
    pub(super) notes: Vec<String>,
}

impl Scale {
    /// Errors: numbers and words in one column, words that the judge does not use, numbers off the scale that was said.
    pub(super) fn of(rows: &[&Rated], wanted: &Wanted<'_>) -> Result<Scale, String> {
        let labels = rows.iter().filter(|row| row.human.number().is_none()).count();
        if labels > 0 {
            return Scale::of_categories(rows, labels);
        }
        let numbers: Vec<f64> = rows.iter().filter_map(|row| row.human.number()).collect();
        let (lowest, highest) =
            numbers.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), number| {
                (low.min(*number), high.max(*number))
            });
        if let Some((min, max)) = wanted.scale {
            let off = rows
                .iter()
                .find(|row| row.human.number().is_some_and(|number| !(min..=max).contains(&number)));
            if let Some(off) = off {
                return Err(format!(
                    "`{HUMAN}` of case `{}` is not on the scale from {min} to {max}",
                    off.case
                ));
            }
        }
        let is_share = lowest >= 0.0 && highest <= 1.0 && wanted.scale.is_none();
        let (min, max) = wanted.scale.unwrap_or(if is_share || numbers.is_empty() {
            (0.0, 1.0)
        } else {
            (lowest, highest)
        });
        let mut notes = Vec::new();
        let steps = max - min;
        let are_whole = numbers.iter().chain([&min, &max]).all(|number| number.fract() == 0.0);
        let mut distinct = numbers.clone();
        distinct.sort_by(f64::total_cmp);
        distinct.dedup();
        let (kind, levels) = if min == 0.0 && max == 1.0 && are_whole {
            (ScaleKind::Binary, vec![0.0, 1.0])
        } else if are_whole && steps < LEVELS_MAX as f64 && steps > 0.0 {
            (ScaleKind::Ordinal, (0..=steps as u32).map(|step| min + f64::from(step)).collect())
        } else if is_share && distinct.len() <= 5 {
            (ScaleKind::Ordinal, with_ends(&distinct))
        } else {
            (ScaleKind::Continuous, Vec::new())
        };
        if wanted.scale.is_none() && !is_share {
            notes.push(format!("the scale is taken to be from {min} to {max}, the lowest and highest rating; `--scale` says another"));
        }
        let labels = levels.iter().map(f64::to_string).collect();
        Ok(Scale { kind, labels, levels, min, max, yes_from: wanted.threshold.unwrap_or(YES_FROM), notes })
    }

    fn of_categories(rows: &[&Rated], labels: usize) -> Result<Scale, String> {
        if labels < rows.len() {
            let word = rows.iter().find(|row| row.human.number().is_none());
            let word = word.map(|row| (row.human.to_json(), row.case.clone())).unwrap_or_default();
            return Err(format!(
                "`{HUMAN}` is a number in some rows and {} in case `{}`; use one kind of rating in all",
                word.0, word.1
            ));
        }
        let mut all = BTreeSet::new();
        for row in rows {
            let Some(category) = row.score.evidence["category"].as_str() else {
                return Err(format!(
                    "`{HUMAN}` of case `{}` is {}, and this judge gives numbers; rate with a number, pass or fail",
                    row.case,
                    row.human.to_json()
                ));
            };
            all.insert(category.to_owned());
            if let Human::Label(label) = &row.human {
                all.insert(label.clone());
            }
        }
        Ok(Scale {
            kind: ScaleKind::Categories,
            labels: all.into_iter().collect(),
            levels: Vec::new(),
            min: 0.0,
            max: 1.0,
            yes_from: YES_FROM,
            notes: Vec::new(),
        })
    }

    pub(super) fn pairs<'a>(&self, rows: &[&'a Rated]) -> Vec<Pair<'a>> {
        rows.iter().filter_map(|row| self.pair(row)).collect()
    }

    fn pair<'a>(&self, row: &'a Rated) -> Option<Pair<'a>> {
        let judge = row.score.value?;
        let label = |label: &str| self.labels.iter().position(|known| known == label).map(|at| at as f64);
        Some(match &row.human {
            Human::Label(said) => {
                let (human_place, judge_place) =
                    (label(said)?, label(row.score.evidence["category"].as_str()?)?);
                // Without an order, only same and other can be told.
                let human = if human_place == judge_place { judge } else { 1.0 - judge };
                Pair { row, human, judge, human_place, judge_place }
            }
            Human::Number(said) => {
                let human = if self.max > self.min { (said - self.min) / (self.max - self.min) } else { 0.0 };
                let (human_place, judge_place) = match self.kind {
                    ScaleKind::Binary => (*said, f64::from(u8::from(judge >= self.yes_from))),
                    ScaleKind::Ordinal => {
                        let judged = self.min + judge.clamp(0.0, 1.0) * (self.max - self.min);
                        (self.nearest(*said), self.nearest(judged))
                    }
                    ScaleKind::Continuous | ScaleKind::Categories => (human, judge),
                };
                Pair { row, human, judge, human_place, judge_place }
            }
        })
    }

    /// The place of the nearest level; the lower of two.
    fn nearest(&self, value: f64) -> f64 {
        let places = self.levels.iter().enumerate();
        let nearest = places.min_by(|(_, a), (_, b)| (*a - value).abs().total_cmp(&(*b - value).abs()));
        nearest.map_or(0.0, |(place, _)| place as f64)
    }

    pub(super) fn confusion(&self, pairs: &[Pair<'_>]) -> Confusion {
        if self.kind == ScaleKind::Continuous {
            return Confusion::default();
        }
        let size = self.labels.len();
        let mut counts = vec![vec![0; size]; size];
        for pair in pairs {
            let (human, judge) = (pair.human_place as usize, pair.judge_place as usize);
            if let Some(count) = counts.get_mut(human).and_then(|row| row.get_mut(judge)) {
                *count += 1;
            }
        }
        Confusion { labels: self.labels.clone(), counts }
    }
}

/// Shares that occur, and the ends of their scale.
fn with_ends(distinct: &[f64]) -> Vec<f64> {
    let mut levels: Vec<f64> = distinct.iter().copied().chain([0.0, 1.0]).collect();
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    levels
}
