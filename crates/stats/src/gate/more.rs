//! What so many cases could have shown, and how many more would decide.

use crate::{clusters::Totals, distributions::normal_quantile};

use super::{Bound, NonInferiority};

/// More than anyone runs for one decision: a wider margin is the better advice then.
const MORE_MAX: f64 = 100_000.0;

/// The smallest drop that is shown with the power asked for.
pub fn detectable(totals: &Totals, question: &NonInferiority) -> Option<f64> {
    let clusters = totals.clusters() as f64;
    let (sd, unseen) = (planning_sd(totals, question)?, unseen(question, question.support.1, 0.0));
    let z = normal_quantile(1.0 - question.alpha) + normal_quantile(question.power);
    Some(z * sd / clusters.sqrt() + unseen / (clusters + 1.0))
}

/// The least number of further clusters with which the nearer of the two decisions comes with the power asked for.
pub fn cases(totals: &Totals, question: &NonInferiority) -> Option<u32> {
    let sd = planning_sd(totals, question)?;
    let z = normal_quantile(1.0 - question.alpha) + normal_quantile(question.power);
    let needed = |distance: f64, unseen: f64| -> Option<f64> {
        // z·sd/√n + unseen/n ≤ distance, solved for √n.
        let (spread, root) = (z * sd, (z * sd).powi(2) + 4.0 * distance * unseen);
        (distance > 0.0).then(|| ((spread + root.sqrt()) / (2.0 * distance)).powi(2).ceil())
    };
    let mean = totals.mean;
    let to_pass = needed(mean + question.margin, unseen(question, -question.support.0, -mean));
    let to_fail = needed(-mean, unseen(question, question.support.1, mean));
    let nearest = to_pass.into_iter().chain(to_fail).fold(f64::INFINITY, f64::min);
    let more = (nearest - totals.clusters() as f64).max(1.0);
    (more <= MORE_MAX).then_some(more as u32)
}

/// How far the value that was not seen may pull, in values: its distance from the mean.
fn unseen(question: &NonInferiority, end: f64, mean: f64) -> f64 {
    match question.bound {
        Bound::Bounded => end - mean,
        Bound::Student => 0.0,
    }
}

/// The standard deviation to plan with. Where all cases agreed it is not 0 for good: one of n + 1 may lie at the far end.
fn planning_sd(totals: &Totals, question: &NonInferiority) -> Option<f64> {
    let sd = totals.sd()?;
    match question.bound {
        Bound::Bounded if sd == 0.0 => {
            let n = totals.clusters() as f64 + 1.0;
            Some((totals.mean - question.support.0) / n.sqrt())
        }
        Bound::Bounded | Bound::Student => Some(sd),
    }
}
