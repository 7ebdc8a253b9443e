//! What so many cases could have shown, and how many more would decide.

use crate::{clusters::Totals, distributions::normal_quantile};

use super::{Bound, NonInferiority};

/// More than anyone runs for one decision: a wider margin is the better advice then.
const MORE_MAX: usize = 100_000;

/// How far from the mean a limit must be, to be crossed with the power asked for.
#[derive(Clone, Copy)]
struct Reach {
    sd: f64,
    z_alpha: f64,
    z_power: f64,
    alpha: f64,
}

impl Reach {
    /// `None` for a single cluster, which has no spread.
    fn of(totals: &Totals, question: &NonInferiority) -> Option<Reach> {
        Some(Reach {
            sd: totals.sd()?,
            z_alpha: normal_quantile(1.0 - question.alpha),
            z_power: normal_quantile(question.power),
            alpha: question.alpha,
        })
    }

    /// How far the bound is from the mean. `unseen` is how far the value that was not seen is put.
    ///
    /// It meets the bound where all values are the same and where there are many, and goes evenly between.
    fn bound(&self, n: usize, unseen: f64) -> f64 {
        let n = n as f64;
        let (error, one) = (self.sd / n.sqrt(), unseen / n);
        // A share of the cases that all n of them miss with a chance of alpha.
        let alike = unseen * (1.0 - self.alpha.powf(1.0 / n));
        one + ((self.z_alpha * error).powi(2) + (alike - one).powi(2)).sqrt()
    }

    /// How far the mean may be off, with the power asked for.
    fn chance(&self, n: usize) -> f64 {
        self.z_power * self.sd / (n as f64).sqrt()
    }

    fn with(&self, n: usize, unseen: f64) -> f64 {
        self.bound(n, unseen) + self.chance(n)
    }
}

/// The smallest drop that is shown with the power asked for; `None` where not even the greatest possible one is.
///
/// What did not differ yet says nothing of how it would: 60 cases that are all the same have no spread, and a candidate that loses one in ten
/// has. So the spread at a drop is that which the drop itself brings, see [`Losses`], on top of what is there.
pub fn detectable(totals: &Totals, question: &NonInferiority) -> Option<f64> {
    let greatest = -question.support.0;
    let reach = Reach::of(totals, question)?;
    if question.bound == Bound::Student {
        return Some(reach.with(totals.clusters(), 0.0)).filter(|drop| *drop <= greatest);
    }
    let (n, losses) = (totals.clusters(), Losses::of(totals, question)?);
    let at = |drop: f64| Reach { sd: losses.sd(drop), ..reach };
    // The least mean whose upper bound is below 0, and the least drop that brings such a mean as often as asked for.
    let shown = first(greatest, |mean| at(mean).bound(n, question.support.1 + mean) <= mean)?;
    first(greatest, |drop| drop - at(drop).chance(n) >= shown - losses.size / (2 * n) as f64)
}

/// The smallest distance below a floor: scores have their spread, whether they are above it or below.
pub fn below_floor(totals: &Totals, question: &NonInferiority) -> Option<f64> {
    let reach = Reach::of(totals, question)?;
    let drop = reach.with(totals.clusters(), unseen(question, question.support.1, 0.0));
    Some(drop).filter(|drop| *drop <= -question.support.0)
}

/// How a drop comes about: some of the cases lose, each about as much as those that differ now.
struct Losses {
    /// Of the mean differences of clusters without what their present mean explains.
    noise: f64,
    /// What a case loses.
    size: f64,
}

impl Losses {
    fn of(totals: &Totals, question: &NonInferiority) -> Option<Losses> {
        let size = totals.n as f64 / totals.clusters() as f64;
        let (mut differing, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for (total, times) in totals.grouped.iter().filter(|(total, _)| total.sum != 0.0) {
            let change = (total.sum / size).abs();
            differing += times;
            sum += times * change;
            squares += times * change * change;
        }
        // A loss of everything counts for one case where none differs, and for little where many do: few say little of the others.
        let (all, weight) = (-question.support.0, 1.0 / (1.0 + differing));
        let size = (squares + weight * all * all) / (sum + weight * all);
        let mean = totals.mean.abs();
        let noise = (totals.sd()?.powi(2) - mean * (size - mean).max(0.0)).max(0.0);
        Some(Losses { noise, size })
    }

    /// A share drop/size of the cases loses `size`, and the others nothing.
    fn sd(&self, drop: f64) -> f64 {
        (self.noise + drop * (self.size - drop).max(0.0)).sqrt()
    }
}

/// The least number up to `greatest` that is enough, where all beyond it are.
fn first(greatest: f64, is_enough: impl Fn(f64) -> bool) -> Option<f64> {
    if !is_enough(greatest) {
        return None;
    }
    let (mut low, mut high) = (0.0, greatest);
    // Past the digits that anyone reads.
    for _ in 0..40 {
        let middle = low + (high - low) / 2.0;
        match is_enough(middle) {
            true => high = middle,
            false => low = middle,
        }
    }
    Some(high)
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
