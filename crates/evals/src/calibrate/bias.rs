//! Where a judge leans: to long answers, to the first of two, to its own kind.

use gauntlet_stats::{CorrelationMethod, spearman, wilson};
use gauntlet_types::Name;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{CONFIDENCE, Pair, Rated};

/// Answers of a kind of model below which a difference is chance.
const OWN_MIN: usize = 5;

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Bias {
    /// Mean of judge minus people, on the scale from 0 to 1: above 0 the judge is milder.
    pub mildness: Option<f64>,
    pub length: Option<Length>,
    pub position: Option<Position>,
    /// A hint, no proof: rows of one kind of model may differ in other ways as well.
    pub own: Option<Own>,
}

/// Spearman's rho of judge minus people with the length of the answer: above 0 the judge likes long ones more than people do.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Length {
    pub rho: f64,
    pub ci_low: f64,
    pub ci_high: f64,
    pub p_value: f64,
}

/// Pairwise comparisons, by the place of who won.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Position {
    pub first: u32,
    pub second: u32,
    pub ties: u32,
    /// Rows whose winner changed with the order.
    pub turned: u32,
    /// Share of the first among those that were decided; a half without a leaning.
    pub first_share: f64,
    pub ci_low: f64,
    pub ci_high: f64,
}

/// Judge minus people, for answers of the judge's own kind of model and for those of others.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Own {
    pub kind: String,
    pub own: usize,
    pub others: usize,
    /// Mean of the own minus mean of the others: above 0 the judge is milder with its own.
    pub difference: f64,
}

pub(super) fn of(rows: &[&Rated], pairs: &[Pair<'_>], judge: &Name) -> Bias {
    let leanings: Vec<f64> = pairs.iter().map(|pair| pair.judge - pair.human).collect();
    let lengths: Vec<f64> = pairs.iter().map(|pair| pair.row.length as f64).collect();
    let length = spearman(&lengths, &leanings, CorrelationMethod::T, CONFIDENCE).ok().map(|found| Length {
        rho: found.coefficient,
        ci_low: found.interval.low,
        ci_high: found.interval.high,
        p_value: found.p_value,
    });
    Bias {
        mildness: mean(leanings.iter().copied()),
        length,
        position: position(rows),
        own: own(pairs, judge),
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0_usize, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / count as f64)
}

fn position(rows: &[&Rated]) -> Option<Position> {
    let (mut first, mut second, mut ties, mut turned) = (0_u32, 0_u32, 0_u32, 0_u32);
    for row in rows {
        let Some(orders) = row.score.evidence["orders"].as_array() else { continue };
        for order in orders {
            let (place, winner) = (order["candidate_is"].as_str(), order["winner"].as_str());
            match (place, winner) {
                (Some("first"), Some("candidate")) | (Some("second"), Some("other")) => first += 1,
                (Some("second"), Some("candidate")) | (Some("first"), Some("other")) => second += 1,
                (_, Some("tie")) => ties += 1,
                _ => {}
            }
        }
        let winners: Vec<&Value> = orders.iter().map(|order| &order["winner"]).collect();
        turned += u32::from(winners.windows(2).any(|two| two[0] != two[1]));
    }
    let decided = first + second;
    let ends = wilson(first.into(), decided.into(), CONFIDENCE).ok()?;
    let first_share = f64::from(first) / f64::from(decided);
    first_share.is_finite().then_some(Position {
        first,
        second,
        ties,
        turned,
        first_share,
        ci_low: ends.low,
        ci_high: ends.high,
    })
}

fn own(pairs: &[Pair<'_>], judge: &Name) -> Option<Own> {
    let kind = kind_of(judge)?;
    let (mut own, mut others) = (Vec::new(), Vec::new());
    for pair in pairs {
        let Some(model) = &pair.row.answered_by else { continue };
        let leaning = pair.judge - pair.human;
        if kind_of(model).as_ref() == Some(&kind) { own.push(leaning) } else { others.push(leaning) }
    }
    if own.len() < OWN_MIN || others.len() < OWN_MIN {
        return None;
    }
    let difference = mean(own.iter().copied())? - mean(others.iter().copied())?;
    Some(Own { kind, own: own.len(), others: others.len(), difference })
}

/// `gpt` of `openai/gpt-4o-mini`: letters up to the first digit or sign of the model's own name.
fn kind_of(model: &Name) -> Option<String> {
    let name = model.rsplit('/').next().unwrap_or_default();
    let kind: String = name.chars().take_while(|c| c.is_alphabetic()).flat_map(char::to_lowercase).collect();
    (!kind.is_empty()).then_some(kind)
}
