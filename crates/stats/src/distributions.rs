//! Normal, t, binomial and beta probabilities, as tails where tails are wanted: 1 − p loses the digits that a small p lives on.

use std::f64::consts::SQRT_2;

use statrs::function::{
    beta::checked_beta_reg,
    erf::{erfc, erfc_inv},
};

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
    -SQRT_2 * erfc_inv(2.0 * p)
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
    // The shapes here are positive and x is inside, so an error cannot be; a NaN would not pass any gate.
    checked_beta_reg(a, b, x).unwrap_or(f64::NAN)
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
        check(normal_sf(6.0), 9.865_876_450_376_981e-10);
        check(t_quantile(0.975, 1.0), 12.706_204_736_174_707);
        check(t_quantile(0.975, 10.0), 2.228_138_851_964_939);
        check(t_quantile(0.05, 30.0), -1.697_260_887_000_153);
        check(t_sf(2.0, 5.0), 0.050_969_739_414_929_14);
        check(beta_quantile(0.05, 1.0, 99.0), 1.0 - 0.95f64.powf(1.0 / 99.0));
        check(fair_binomial_cdf(1, 4), 5.0 / 16.0);
        check(fair_binomial_cdf(4, 4), 1.0);
    }
}
