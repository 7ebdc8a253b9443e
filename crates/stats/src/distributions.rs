//! Normal, t, binomial and beta probabilities, as tails where tails are wanted: 1 − p loses the digits that a small p lives on.

use std::f64::consts::SQRT_2;

use libm::{erfc, lgamma};

use crate::Alternative;

pub fn normal_cdf(z: f64) -> f64 {
    0.5 * erfc(-z / SQRT_2)
}

/// 1 − [`normal_cdf`].
pub fn normal_sf(z: f64) -> f64 {
    0.5 * erfc(z / SQRT_2)
}

/// The `z` that a standard normal is below with probability `p`.
pub fn normal_quantile(p: f64) -> f64 {
    if p > 0.5 {
        return -normal_quantile(1.0 - p);
    }
    // Past 38.5 the tail is below the least double.
    bisect(-40.0, 0.0, |z| normal_cdf(z) >= p)
}

/// The probability that a standard normal is at least as far out as `z`, on the side that is asked for.
pub fn normal_p(z: f64, alternative: Alternative) -> f64 {
    match alternative {
        Alternative::TwoSided => (2.0 * normal_sf(z.abs())).min(1.0),
        Alternative::Less => normal_cdf(z),
        Alternative::Greater => normal_sf(z),
    }
}

/// The probability that Student's t with `df` degrees of freedom is above `t`.
pub fn t_sf(t: f64, df: f64) -> f64 {
    if t.is_infinite() {
        return if t > 0.0 { 0.0 } else { 1.0 };
    }
    // P(|T| > t) = I_x(df/2, 1/2) with x = df/(df+t²): Abramowitz & Stegun 26.7.1 with 26.5.27.
    let beyond = 0.5 * beta_cdf(df / (df + t * t), df / 2.0, 0.5);
    if t >= 0.0 { beyond } else { 1.0 - beyond }
}

pub fn t_p(t: f64, df: f64, alternative: Alternative) -> f64 {
    match alternative {
        Alternative::TwoSided => (2.0 * t_sf(t.abs(), df)).min(1.0),
        Alternative::Less => t_sf(-t, df),
        Alternative::Greater => t_sf(t, df),
    }
}

/// The `t` that Student's t with `df` degrees of freedom is below with probability `p`.
pub fn t_quantile(p: f64, df: f64) -> f64 {
    if p < 0.5 {
        return -t_quantile(1.0 - p, df);
    }
    let mut high = 2.0;
    // Doubling: 2^1000 is past every quantile that doubles can tell from 1.
    for _ in 0..1000 {
        if t_sf(high, df) < 1.0 - p {
            break;
        }
        high *= 2.0;
    }
    bisect(0.0, high, |t| t_sf(t, df) < 1.0 - p)
}

/// The regularized incomplete beta function I_x(a, b): the probability that Beta(a, b) is at most `x`.
pub fn beta_cdf(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x.is_nan() {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    // Either side's fraction converges fast on one side of the mode.
    if x < (a + 1.0) / (a + b + 2.0) { beta_tail(x, a, b) } else { 1.0 - beta_tail(1.0 - x, b, a) }
}

/// The continued fraction of I_x(a, b), in the form of Lentz: DLMF 8.17.22, 8.17.23.
fn beta_tail(x: f64, a: f64, b: f64) -> f64 {
    // √(a + b) steps are enough (Press et al., "Numerical Recipes", §6.4); columns have up to a million values.
    const STEPS_MAX: u32 = 100_000;
    const TINY: f64 = 1e-300;
    let away = |value: f64| if value.abs() < TINY { TINY } else { value };
    let front = (a * x.ln() + b * (-x).ln_1p() + lgamma(a + b) - lgamma(a) - lgamma(b)).exp() / a;
    let mut numerator = 1.0;
    let mut denominator = 1.0 / away(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = denominator;
    for m in 1..STEPS_MAX {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        for term in [even, odd] {
            denominator = 1.0 / away(1.0 + term * denominator);
            numerator = away(1.0 + term / numerator);
            fraction *= denominator * numerator;
        }
        if (denominator * numerator - 1.0).abs() < 1e-16 {
            break;
        }
    }
    front * fraction
}

pub fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    bisect(0.0, 1.0, |x| beta_cdf(x, a, b) >= p)
}

/// P(X ≤ k) for X binomial(n, ½).
pub fn fair_binomial_cdf(k: u64, n: u64) -> f64 {
    if k >= n { 1.0 } else { beta_cdf(0.5, (n - k) as f64, k as f64 + 1.0) }
}

/// Where a claim that is false at `low` and true at `high` becomes true.
///
/// 200 halvings: more than the 64 bits of a double ask for, from any start.
pub fn bisect(mut low: f64, mut high: f64, is_reached: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..200 {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            break;
        }
        if is_reached(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    low + (high - low) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_and_tails_are_those_of_the_tables() {
        let check = |found: f64, table: f64| {
            assert!((found - table).abs() <= 1e-12 * table.abs().max(1e-3), "{found} {table}");
        };
        check(normal_quantile(0.975), 1.959_963_984_540_054);
        check(normal_sf(6.0), 9.865_876_450_376_946e-10);
        check(t_quantile(0.975, 1.0), 12.706_204_736_174_694);
        check(t_quantile(0.975, 10.0), 2.228_138_851_986_274);
        check(t_quantile(0.05, 30.0), -1.697_260_886_593_957);
        check(t_sf(2.0, 5.0), 0.050_969_739_414_929_14);
        check(beta_quantile(0.05, 1.0, 99.0), 1.0 - 0.95f64.powf(1.0 / 99.0));
        check(fair_binomial_cdf(1, 4), 5.0 / 16.0);
        check(fair_binomial_cdf(4, 4), 1.0);
    }
}
