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

use crate::clusters::Totals;

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

/// What each cluster adds when it has weight one, with the cluster that was not seen, of mean size.
///
/// Clusters of equal sum and size are counted together, so that scores of few steps cost the same however many they are.
fn pulls(totals: &Totals, mean: f64, unseen: f64) -> Vec<(f64, f64)> {
    let size = totals.n as f64 / totals.clusters() as f64;
    let seen = totals.grouped.iter().map(|(total, times)| (total.sum - mean * total.count, *times));
    seen.chain([((unseen - mean) * size, 1.0)]).collect()
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
    let phases = Phases::of(&scaled);
    // Below `FROM` the integrand is drift·e^y, whose trapezoids are a geometric series.
    let chance = |sum: f64, step: f64| 0.5 - (sum + drift * FROM.exp() / step.exp_m1()) * step / PI;
    let mut step = STEP;
    let mut sum = sum_of_points(&phases, FROM, step);
    let mut found = chance(sum, step);
    for _ in 0..HALVINGS_MAX {
        sum += sum_of_points(&phases, FROM + step / 2.0, step);
        step /= 2.0;
        let before = found;
        found = chance(sum, step);
        if (found - before).abs() < SETTLED {
            break;
        }
    }
    found.clamp(0.0, 1.0)
}

fn sum_of_points(phases: &Phases, from: f64, step: f64) -> f64 {
    let mut sum = 0.0;
    for at in 0..POINTS_MAX {
        let (angle, fallen) = phases.at((from + at as f64 * step).exp());
        if fallen > FALLEN {
            break;
        }
        sum += angle.sin() * (-fallen).exp();
    }
    sum
}

/// Up to here atan(x) and ln(1 + x²) are taken from their series.
///
/// What is left off is below Σ m·x²·(¼)^18/20, and Σ m·x² is below 71 while the integrand counts: the error of a phase is below 1e-10.
const SERIES_MAX: f64 = 0.25;
/// Powers of x that the series have.
const POWERS: usize = 19;
/// Pulls are told apart by powers of two, down to so many below the largest.
const OCTAVES: usize = 40;

/// θ(u) and ln ρ(u) of many pulls, at the price of few.
///
/// Pulls with u·|a| ≤ ⅛ are summed by their power sums, made once for each octave of |a|, and those above ¼ one by one; between, it
/// depends on the octave. One by one are 4,400 at most where the integrand counts: each adds 0.0155 to what ends at 68.
struct Phases {
    largest: f64,
    /// From the largest octave down.
    octaves: Vec<Vec<(f64, f64)>>,
    /// Σ m·a^k of an octave and all below it.
    sums: Vec<[f64; POWERS]>,
}

impl Phases {
    fn of(pulls: &[(f64, f64)]) -> Phases {
        let largest = pulls.iter().fold(0.0f64, |largest, (a, _)| largest.max(a.abs()));
        let mut octaves = vec![Vec::new(); OCTAVES];
        let mut sums = vec![[0.0; POWERS]; OCTAVES];
        for (a, m) in pulls {
            // 0 by a negative number is no octave: the cast takes what is beyond the last for the last.
            let octave = ((largest / a.abs()).log2() as usize).min(OCTAVES - 1);
            octaves[octave].push((*a, *m));
            let mut term = *m;
            for sum in &mut sums[octave] {
                term *= a;
                *sum += term;
            }
        }
        for octave in (1..OCTAVES).rev() {
            let (above, below) = sums.split_at_mut(octave);
            let all = above[octave - 1].iter_mut().zip(&below[0]);
            all.for_each(|(sum, below)| *sum += below);
        }
        Phases { largest, octaves, sums }
    }

    fn at(&self, u: f64) -> (f64, f64) {
        // An octave holds what is at most `largest` by its power of two.
        let reach = (u * self.largest / SERIES_MAX).log2().ceil().max(0.0) as usize;
        let one_by_one = &self.octaves[..reach.min(OCTAVES)];
        let (mut angle, mut fallen) = (0.0, 0.0);
        for (a, m) in one_by_one.iter().flatten() {
            let x = u * a;
            angle += m * x.atan();
            fallen += m * (x * x).ln_1p();
        }
        if let Some(sums) = self.sums.get(reach) {
            let mut power = u;
            for (at, sum) in sums.iter().enumerate() {
                let (k, sign) = ((at + 1) as f64, if at % 4 < 2 { 1.0 } else { -1.0 });
                match at % 2 {
                    // x − x³/3 + x⁵/5 …
                    0 => angle += sign * power * sum / k,
                    // x² − x⁴/2 + x⁶/3 …
                    _ => fallen += sign * power * sum * 2.0 / k,
                }
                power *= u;
            }
        }
        (angle, fallen / 2.0)
    }
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
