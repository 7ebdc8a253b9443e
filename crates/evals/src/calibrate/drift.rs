//! What changed of a judge since it was last compared with people.

use gauntlet_stats::{mean_difference, unclustered};
use gauntlet_types::Name;
use serde::{Deserialize, Serialize};

use super::{CONFIDENCE, Calibration};

/// The judge of today and of the last time, on the rows that both rated.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Drift {
    /// The last judge's hash: another than today's says that its texts or parameters were changed on purpose.
    pub last_hash: Name,
    pub same_judge: bool,
    pub rows: usize,
    /// Share of rows with the same score as before.
    pub unchanged: Option<f64>,
    /// Mean of today's score minus the last, with its interval of 95 %.
    pub mean: Option<f64>,
    pub ci_low: Option<f64>,
    pub ci_high: Option<f64>,
    /// Value of the agreement that counts, then and today.
    pub agreement_was: Option<f64>,
    pub agreement_is: Option<f64>,
    /// The scores moved further than chance explains, or the agreement is below what was its lower bound.
    pub has_drifted: bool,
}

/// Scores nearer than this are the same.
const SAME: f64 = 1e-9;

pub(super) fn since(last: &Calibration, now: &Calibration) -> Drift {
    let both = now.scores.iter().filter_map(|(case, score)| Some(score - last.scores.get(case)?));
    let moved: Vec<f64> = both.collect();
    let rows = moved.len();
    let unchanged = moved.iter().filter(|difference| difference.abs() < SAME).count();
    let found = mean_difference(&unclustered(&moved), CONFIDENCE).ok();
    let mean = (rows > 0).then(|| moved.iter().sum::<f64>() / rows as f64);
    let (was, is) = (last.agreed(), now.agreed());
    let scores_moved = match &found {
        Some(found) => found.interval.low > 0.0 || found.interval.high < 0.0,
        // All moved by the same: no interval, and no doubt either.
        None => rows > 1 && mean.is_some_and(|mean| mean.abs() > SAME),
    };
    let is_worse = was.zip(is).is_some_and(|(was, is)| last.missing == 0 && is.value < was.low);
    Drift {
        last_hash: last.judge_hash.clone(),
        same_judge: last.judge_hash == now.judge_hash,
        rows,
        unchanged: (rows > 0).then(|| unchanged as f64 / rows as f64),
        mean,
        ci_low: found.as_ref().map(|found| found.interval.low),
        ci_high: found.as_ref().map(|found| found.interval.high),
        agreement_was: was.map(|was| was.value),
        agreement_is: is.map(|is| is.value),
        has_drifted: scores_moved || is_worse,
    }
}
