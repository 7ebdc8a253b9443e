//! What so many cases could have shown, and how many more would decide.

use crate::{clusters::Totals, distributions::normal_quantile};

use super::{Bound, NonInferiority};

/// More than anyone runs for one decision: a wider margin is the better advice then.
const MORE_MAX: usize = 100_000;

/// How far from the mean a limit must be, to be crossed with the power asked for.
struct Reach {
    sd: f64,
    z_alpha: f64,
    z_power: f64,
    /// How many times 1/n the bound is from the mean when all values are the same: −ln alpha.
    rare: f64,
}

impl Reach {
    /// `None` for a single cluster, which has no spread.
    fn of(totals: &Totals, question: &NonInferiority) -> Option<Reach> {
        Some(Reach {
            sd: totals.sd()?,
            z_alpha: normal_quantile(1.0 - question.alpha),
            z_power: normal_quantile(question.power),
            rare: -question.alpha.ln(),
        })
    }

    /// The bound's distance and that of the mean's own chance. `unseen` is how far from the mean the value that was not seen is put.
    ///
    /// It meets the bound where all values are the same and where there are many, and goes evenly between.
    fn with(&self, n: usize, unseen: f64) -> f64 {
        let n = n as f64;
        let (error, unseen) = (self.sd / n.sqrt(), unseen / n);
        unseen
            + ((self.z_alpha * error).powi(2) + ((self.rare - 1.0) * unseen).powi(2)).sqrt()
            + self.z_power * error
    }
}

/// The smallest drop that is shown with the power asked for.
pub fn detectable(totals: &Totals, question: &NonInferiority) -> Option<f64> {
    let reach = Reach::of(totals, question)?;
    Some(reach.with(totals.clusters(), unseen(question, question.support.1, 0.0)))
}

/// The least number of further clusters with which the nearer of the two decisions comes with the power asked for.
pub fn cases(totals: &Totals, question: &NonInferiority) -> Option<u32> {
    let reach = Reach::of(totals, question)?;
    let (least, greatest) = question.support;
    let is_enough = |n: usize| {
        reach.with(n, unseen(question, totals.mean, least)) <= totals.mean + question.margin
            || reach.with(n, unseen(question, greatest, totals.mean)) <= -totals.mean
    };
    let (mut low, mut high) = (1, MORE_MAX);
    if !is_enough(totals.clusters() + high) {
        return None;
    }
    // What must be reached shrinks with every case, so halving finds the first number that is enough.
    while low < high {
        let middle = low + (high - low) / 2;
        if is_enough(totals.clusters() + middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(low as u32)
}

fn unseen(question: &NonInferiority, high: f64, low: f64) -> f64 {
    match question.bound {
        Bound::Bounded => high - low,
        Bound::Student => 0.0,
    }
}
