//! Calibration: how far a judge agrees with people, and where it leans.
//!
//! People rate answers (`human` beside the case and its `output`), the judge rates the same ones, and this compares both: kappa,
//! Spearman's rho, confusion, leanings by length, by place and towards its own kind, and what changed since the last time. What
//! comes out is kept as an [`EvalGate`] of the suite `calibration:<kind>`, so that a gate finds the newest agreement of exactly the
//! judge it has before it: same model, same texts, same parameters ([`agreement_of`]).
//!
//! Pure: rows come in, a report goes out.

mod agreement;
mod bias;
mod drift;
mod scale;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use gauntlet_ports::{EvalGate, Score, Verdict};
use gauntlet_stats::{self as stats, Requirement, Weights, judge_allowed, wilson};
use gauntlet_types::{Name, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use agreement::{Agreement, agreement_of, filter, last_of};
pub use bias::{Bias, Length, Own, Position};
pub use drift::Drift;
pub use scale::{Human, ScaleKind};

use crate::{Case, judge::Fingerprint};
use scale::Scale;

/// Ratings by people below which nothing is proven. Source: the founding document on judges.
pub const RATINGS_MIN: usize = 50;
/// The lower bound of the agreement that a judge needs where a suite does not say another: the beginning of "moderate" by Landis and
/// Koch (1977).
pub const AGREEMENT_MIN: f64 = 0.4;
/// Of intervals and of one-sided lower bounds.
const CONFIDENCE: f64 = 0.95;
/// Rows whose scores are kept for the next comparison; more need not be rated to see a judge move.
const SCORES_KEPT_MAX: usize = 10_000;
/// Of the rows where both differ most.
const DISAGREEMENTS_MAX: usize = 10;
/// The shape of a kept calibration.
const FORMAT: &str = "gauntlet/1:calibration";
/// The field of a case that holds what people said.
pub const HUMAN: &str = "human";

/// An answer that people and the judge have rated.
#[derive(Clone, PartialEq, Debug)]
pub struct Rated {
    pub case: Name,
    pub human: Human,
    pub score: Score,
    /// Characters of the answer.
    pub length: usize,
    /// The model that answered, where the row says it.
    pub answered_by: Option<Name>,
}

impl Rated {
    /// Errors: what is wrong with the rating of the case.
    pub fn new(case: &Case, output: &str, score: Score) -> Result<Rated, String> {
        let human = Human::of(case)?;
        let answered_by = ["answered_by", "model"].iter().find_map(|name| case.extra.get(*name)?.as_str());
        Ok(Rated {
            case: case.id.clone(),
            human,
            score,
            length: output.chars().count(),
            answered_by: answered_by.map(Name::from),
        })
    }
}

/// What is compared, and how.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    pub judge: &'a Fingerprint,
    /// Of the metric: the judge's verdict is yes from there on, where people said yes or no.
    pub threshold: Option<f64>,
    /// The ends of the scale that people rated on, where they are not the lowest and highest that occur.
    pub scale: Option<(f64, f64)>,
    /// The lower bound that is asked for.
    pub minimum: f64,
}

/// Kappa or rho, with its one-sided lower bound of 95 %.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Agreed {
    pub value: f64,
    pub low: f64,
}

/// Which verdicts of people met which of the judge.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Confusion {
    pub labels: Vec<String>,
    /// `counts[human][judge]`.
    pub counts: Vec<Vec<u32>>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Disagreement {
    pub case: Name,
    pub human: Value,
    /// The judge's value.
    pub judge: f64,
    pub reason: Option<String>,
}

/// How far a judge agrees with people.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Calibration {
    pub format: Name,
    pub kind: Name,
    pub judge: Name,
    /// See [`crate::judge::fingerprint`].
    pub judge_hash: Name,
    pub implementation: Name,
    /// Rows that both have rated.
    pub n: usize,
    /// Rows that the judge left without a score.
    pub unscored: usize,
    /// Further ratings that are needed before anything is proven.
    pub missing: usize,
    pub scale: ScaleKind,
    /// What people and judge could say, where that is a list.
    pub levels: Vec<String>,
    /// Weighted by squares where the levels have an order.
    pub kappa: Option<Agreed>,
    pub rho: Option<Agreed>,
    /// Share of the same verdict, and its interval of 95 %.
    pub accuracy: Option<(f64, f64, f64)>,
    pub confusion: Confusion,
    pub bias: Bias,
    pub drift: Option<Drift>,
    /// The lower bound that was asked for.
    pub minimum: f64,
    pub disagreements: Vec<Disagreement>,
    /// What should be known besides, in sentences.
    pub notes: Vec<String>,
    /// The judge's values by case, for the next comparison.
    pub scores: BTreeMap<Name, f64>,
}

/// Compares a judge with people. `last` is the newest calibration before of the same kind and model, whatever its texts were.
///
/// Errors: the ratings cannot be compared at all, such as words that the judge does not use.
pub fn calibrate(
    rows: &[Rated],
    wanted: &Wanted<'_>,
    last: Option<&Calibration>,
) -> Result<Calibration, String> {
    let rated: Vec<&Rated> = rows.iter().filter(|row| row.score.value.is_some()).collect();
    let scale = Scale::of(&rated, wanted)?;
    let pairs = scale.pairs(&rated);
    let mut notes = scale.notes.clone();
    let (human, judge): (Vec<f64>, Vec<f64>) =
        pairs.iter().map(|pair| (pair.human_place, pair.judge_place)).unzip();
    let kappa = match scale.kind {
        ScaleKind::Continuous => None,
        ScaleKind::Binary | ScaleKind::Categories => {
            agreed(&human, &judge, stats::Agreement::Kappa(Weights::Unweighted), &mut notes)
        }
        ScaleKind::Ordinal => agreed(&human, &judge, stats::Agreement::Kappa(Weights::Quadratic), &mut notes),
    };
    let rho = match scale.kind {
        ScaleKind::Categories => None,
        ScaleKind::Binary | ScaleKind::Ordinal | ScaleKind::Continuous => {
            let people: Vec<f64> = pairs.iter().map(|pair| pair.human).collect();
            let values: Vec<f64> = pairs.iter().map(|pair| pair.judge).collect();
            agreed(&people, &values, stats::Agreement::Rho, &mut notes)
        }
    };
    let same = pairs.iter().filter(|pair| pair.human_place == pair.judge_place).count();
    let accuracy = (scale.kind != ScaleKind::Continuous)
        .then(|| wilson(same as u64, pairs.len() as u64, CONFIDENCE).ok());
    let accuracy = accuracy.flatten().map(|ends| (same as f64 / pairs.len() as f64, ends.low, ends.high));
    if rho.is_some_and(|rho| rho.value < 0.0) {
        notes.push("people and judge go opposite ways: a rating says the metric's own value, high where that is high".to_owned());
    }
    let mut calibration = Calibration {
        format: FORMAT.into(),
        kind: wanted.judge.kind.clone(),
        judge: wanted.judge.model.clone(),
        judge_hash: wanted.judge.hash.clone(),
        implementation: rows.first().map(|row| row.score.implementation.clone()).unwrap_or_default(),
        n: rated.len(),
        unscored: rows.len() - rated.len(),
        missing: RATINGS_MIN.saturating_sub(rated.len()),
        scale: scale.kind,
        confusion: scale.confusion(&pairs),
        levels: scale.labels,
        kappa,
        rho,
        accuracy,
        bias: bias::of(&rated, &pairs, &wanted.judge.model),
        drift: None,
        minimum: wanted.minimum,
        disagreements: disagreements(&pairs),
        notes,
        scores: rated
            .iter()
            .take(SCORES_KEPT_MAX)
            .filter_map(|row| Some((row.case.clone(), row.score.value?)))
            .collect(),
    };
    calibration.drift = last.map(|last| drift::since(last, &calibration));
    Ok(calibration)
}

fn agreed(
    human: &[f64],
    judge: &[f64],
    measure: stats::Agreement,
    notes: &mut Vec<String>,
) -> Option<Agreed> {
    let requirement = Requirement { measure, minimum: 0.0, pairs_min: RATINGS_MIN, confidence: CONFIDENCE };
    match judge_allowed(human, judge, &requirement) {
        Ok(found) => Some(Agreed { value: found.value, low: found.lower }),
        Err(why) => {
            let note = why.to_string();
            if !notes.contains(&note) {
                notes.push(note);
            }
            None
        }
    }
}

/// A row as both see it.
struct Pair<'a> {
    row: &'a Rated,
    /// On the scale from 0 to 1.
    human: f64,
    judge: f64,
    /// Places among the levels.
    human_place: f64,
    judge_place: f64,
}

fn disagreements(pairs: &[Pair<'_>]) -> Vec<Disagreement> {
    let mut far: Vec<&Pair<'_>> = pairs
        .iter()
        .filter(|pair| pair.human_place != pair.judge_place || (pair.human - pair.judge).abs() > 0.5)
        .collect();
    let distance = |pair: &Pair<'_>| (pair.human - pair.judge).abs();
    far.sort_by(|a, b| distance(b).total_cmp(&distance(a)).then_with(|| a.row.case.cmp(&b.row.case)));
    let shown = far.into_iter().take(DISAGREEMENTS_MAX).map(|pair| Disagreement {
        case: pair.row.case.clone(),
        human: pair.row.human.to_json(),
        judge: pair.row.score.value.unwrap_or_default(),
        reason: pair.row.score.reason.clone(),
    });
    shown.collect()
}

impl Calibration {
    /// The agreement that counts: kappa, but for scores without levels rho.
    pub fn agreed(&self) -> Option<Agreed> {
        if self.scale == ScaleKind::Continuous { self.rho } else { self.kappa }
    }

    /// Pass: enough ratings, and the lower bound reaches the minimum. Fail: enough, and not even the value does. Else nothing is proven.
    pub fn verdict(&self) -> Verdict {
        match self.agreed() {
            _ if self.missing > 0 => Verdict::Inconclusive,
            Some(agreed) if agreed.low >= self.minimum => Verdict::Pass,
            Some(agreed) if agreed.value >= self.minimum => Verdict::Inconclusive,
            Some(_) => Verdict::Fail,
            None => Verdict::Inconclusive,
        }
    }

    pub fn summary(&self) -> String {
        let measure = if self.scale == ScaleKind::Continuous { "rho" } else { "kappa" };
        let agreed = match self.agreed() {
            Some(agreed) => format!("{measure} {:.2}, at least {:.2}", agreed.value, agreed.low),
            None => format!("no {measure}"),
        };
        let standing = match self.verdict() {
            Verdict::Pass => format!("it may gate ({:.2} is asked for)", self.minimum),
            Verdict::Fail => format!("it may not gate ({:.2} is asked for)", self.minimum),
            Verdict::Inconclusive if self.missing > 0 => {
                format!("{} more ratings are needed before it may gate", self.missing)
            }
            Verdict::Inconclusive => {
                format!("that it reaches {:.2} is not proven; more ratings would tell", self.minimum)
            }
        };
        format!("{} by {} on {} ratings by people: {agreed}; {standing}", self.kind, self.judge, self.n)
    }

    /// As it is kept. `run` has the judge's score of each row.
    pub fn to_gate(&self, id: Name, run: Name, app_sha: Option<Name>, at: Timestamp) -> EvalGate {
        EvalGate {
            id,
            suite: agreement::suite(&self.kind),
            run,
            baseline: None,
            app_sha,
            // No prompt is released by it; the judge's own texts are in its hash.
            prompt: None,
            verdict: self.verdict(),
            summary: self.summary(),
            report: serde_json::to_value(self).unwrap_or_default(),
            at,
        }
    }

    /// A kept calibration; none where the gate is of another kind.
    pub fn of_gate(gate: &EvalGate) -> Option<Calibration> {
        let found: Calibration = serde_json::from_value(gate.report.clone()).ok()?;
        (found.format == *FORMAT).then_some(found)
    }
}
