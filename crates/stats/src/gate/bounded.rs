//! Bounds of the mean of independent values with a known least and greatest value, and of no known distribution.
//!
//! The bound is Gaffke's: put one more value at the end of the support that hurts, give all values random weights that add
//! up to 1 (the spacings of uniform numbers, that is a flat Dirichlet distribution), and take the quantile of the weighted mean.
//! For scores of 0 and 1 it is exactly Clopper and Pearson's bound; for many values it is the normal one; when all values are the
//! same it still allows for what was not seen. It is the narrowest bound known that never covered too little: proven for
//! two values, conjectured for all and not refuted in twenty years of search (Gaffke 2005, "Three test statistics for a
//! nonparametric one-sided hypothesis on the mean of a nonnegative variable"; Learned-Miller & Thomas 2019, "A new confidence
//! interval for the mean of a bounded random variable"). `operating.rs` simulates it where it is tightest.
//!
//! The weighted mean is at most `t` when Σ Eᵢ·(sᵢ − t·nᵢ) ≤ 0 for independent exponential Eᵢ, with sᵢ and nᵢ the sum and the
//! number of values of cluster i. That chance comes from the characteristic function (Imhof 1961, "Computing the distribution
//! of quadratic forms in normal variables"), so nothing is drawn and the answer is the same everywhere.

use std::f64::consts::PI;

use crate::clusters::{Total, Totals};

/// That the true mean is at most `mean`, when no value is below `least`.
pub fn p_at_most(totals: &Totals, mean: f64, least: f64) -> f64 {
    let pulls = pulls(totals, mean, least);
    chance_not_above_zero(&pulls)
}

/// That the true mean is at least `mean`, when no value is above `greatest`.
pub fn p_at_least(totals: &Totals, mean: f64, greatest: f64) -> f64 {
    let mut pulls = pulls(totals, mean, greatest);
    for pull in &mut pulls {
        pull.0 = -pull.0;
    }
    chance_not_above_zero(&pulls)
}

/// The mean that `p_at_most` gives `alpha` for.
pub fn lower(totals: &Totals, alpha: f64, least: f64) -> f64 {
    let high = totals.totals.iter().map(|total| total.sum / total.count).fold(least, f64::max);
    solve(least, high, |mean| p_at_most(totals, mean, least) - alpha)
}

pub fn upper(totals: &Totals, alpha: f64, greatest: f64) -> f64 {
    let low = totals.totals.iter().map(|total| total.sum / total.count).fold(greatest, f64::min);
    solve(greatest, low, |mean| p_at_least(totals, mean, greatest) - alpha)
}

/// What each cluster adds when it has weight one, equal ones counted together; with the cluster that was not seen, of mean size.
fn pulls(totals: &Totals, mean: f64, unseen: f64) -> Vec<(f64, f64)> {
    let size = totals.n as f64 / totals.clusters() as f64;
    let unseen = Total { sum: unseen * size, count: size };
    let all = totals.totals.iter().chain([&unseen]);
    let mut single: Vec<f64> = all.map(|total| total.sum - mean * total.count).collect();
    single.sort_by(f64::total_cmp);
    single.chunk_by(|one, other| one == other).map(|same| (same[0], same.len() as f64)).collect()
}

/// Where the integral over y begins: below, the integrand is a straight line in e^y.
const FROM: f64 = -12.0;
/// The first step; at half of it the error is the square of what is seen here.
const STEP: f64 = 0.25;
const HALVINGS_MAX: usize = 8;
/// When halving the step changes the chance by less, the next halving would change no digit that counts.
const SETTLED: f64 = 1e-7;
/// What is left when the integrand has fallen to e^−34 is past the last digit of a double.
const FALLEN: f64 = 34.0;
/// Past any need: the integrand falls at least as fast as e^−y.
const POINTS_MAX: usize = 50_000;

/// P(Σ G·a ≤ 0) for pairs of `a` and the shape of an independent gamma variable G of scale 1.
///
/// ½ − 1/π ∫ sin θ(u)/(u ρ(u)) du with θ = Σ m·atan(u·a) and ρ = Π (1 + u²a²)^(m/2). With u = e^y the integrand is smooth over
/// the whole line, where the trapezoid rule doubles its digits with each halving of its step.
fn chance_not_above_zero(pulls: &[(f64, f64)]) -> f64 {
    if pulls.iter().all(|(a, _)| *a <= 0.0) {
        return 1.0;
    }
    if pulls.iter().all(|(a, _)| *a > 0.0) {
        return 0.0;
    }
    let scale = pulls.iter().map(|(a, m)| m * a * a).sum::<f64>().sqrt();
    let scaled: Vec<(f64, f64)> = pulls.iter().map(|(a, m)| (a / scale, *m)).collect();
    let drift = scaled.iter().map(|(a, m)| m * a).sum::<f64>();
    // Below `FROM` the integrand is drift·e^y, whose trapezoids are a geometric series.
    let chance = |sum: f64, step: f64| 0.5 - (sum + drift * FROM.exp() / step.exp_m1()) * step / PI;
    let mut step = STEP;
    let mut sum = sum_of_points(&scaled, FROM, step);
    let mut found = chance(sum, step);
    for _ in 0..HALVINGS_MAX {
        sum += sum_of_points(&scaled, FROM + step / 2.0, step);
        step /= 2.0;
        let before = found;
        found = chance(sum, step);
        if (found - before).abs() < SETTLED {
            break;
        }
    }
    found.clamp(0.0, 1.0)
}

fn sum_of_points(pulls: &[(f64, f64)], from: f64, step: f64) -> f64 {
    let mut sum = 0.0;
    for at in 0..POINTS_MAX {
        let u = (from + at as f64 * step).exp();
        let (mut angle, mut fallen) = (0.0, 0.0);
        for (a, m) in pulls {
            let x = u * a;
            angle += m * x.atan();
            fallen += m * (x * x).ln_1p();
        }
        fallen /= 2.0;
        if fallen > FALLEN {
            break;
        }
        sum += angle.sin() * (-fallen).exp();
    }
    sum
}

/// Between `outer`, where the function is below 0, and `inner`, where it is above: the Illinois form of false position, whose
/// bracket never loses the root. It returns the outer end, so that a bound errs to the careful side.
fn solve(mut outer: f64, mut inner: f64, f: impl Fn(f64) -> f64) -> f64 {
    let (mut at_outer, mut at_inner) = (f(outer), f(inner));
    if !(at_outer < 0.0 && at_inner > 0.0) {
        return outer;
    }
    let enough = 1e-11 * (inner - outer).abs();
    // It gains a digit every step or two; a hundred are far past the last.
    for _ in 0..100 {
        if (inner - outer).abs() <= enough {
            break;
        }
        let mut between = outer + (inner - outer) * at_outer / (at_outer - at_inner);
        // A step that stays at the outer end would not move it any more.
        if between == outer || between == inner {
            between = outer + (inner - outer) / 2.0;
        }
        let value = f(between);
        if value < 0.0 {
            (outer, at_outer) = (between, value);
            at_inner /= 2.0;
        } else {
            (inner, at_inner) = (between, value);
            at_outer /= 2.0;
        }
    }
    outer
}

#[cfg(test)]
mod tests;
