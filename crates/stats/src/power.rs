//! What a number of cases can show, and how many a question needs.

use crate::{
    StatsError, check,
    distributions::{normal_quantile, t_quantile},
};

/// More cases than anyone would run for one decision.
const CASES_MAX: f64 = 1e9;

/// The smallest true mean difference that `n` independent cases show with probability `power`.
///
/// `sd` is the standard deviation of the paired differences (see `paired_sd`), `alpha` the one-sided level: for a two-sided test
/// give half of it. (t₁₋α + t_power)·sd/√n with n − 1 degrees of freedom, within 1% of the noncentral t from n = 10 on.
/// Source: Chow, Shao, Wang, "Sample Size Calculations in Clinical Research", ch. 3.
pub fn minimum_detectable_effect(n: usize, sd: f64, alpha: f64, power: f64) -> Result<f64, StatsError> {
    checked(sd, alpha, power)?;
    check::at_least(n, 2, "cases", "a detectable effect")?;
    let df = n as f64 - 1.0;
    Ok((t_quantile(1.0 - alpha, df) + t_quantile(power, df)) * sd / (n as f64).sqrt())
}

/// The least number of cases with which a difference of `effect` shows with probability `power`.
///
/// The other direction of [`minimum_detectable_effect`], with the same `sd` and one-sided `alpha`. For non-inferiority `effect` is
/// the distance between the true difference and −margin.
pub fn cases_needed(effect: f64, sd: f64, alpha: f64, power: f64) -> Result<usize, StatsError> {
    checked(sd, alpha, power)?;
    check::positive(effect, "the effect")?;
    let normal = (normal_quantile(1.0 - alpha) + normal_quantile(power)) * sd / effect;
    if normal * normal > CASES_MAX {
        return Err(StatsError::Parameter {
            name: "the effect",
            value: effect,
            range: "that a billion cases can show: take a larger one",
        });
    }
    // The t needs more than the normal, and never as much as three times and twenty more.
    let (mut low, mut high) = (2usize, 20 + 3 * (normal * normal).ceil() as usize);
    while low < high {
        let middle = low + (high - low) / 2;
        if minimum_detectable_effect(middle, sd, alpha, power)? <= effect {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(low)
}

fn checked(sd: f64, alpha: f64, power: f64) -> Result<(), StatsError> {
    check::positive(sd, "the standard deviation")?;
    check::open_share(alpha, "alpha")?;
    check::open_share(power, "power")?;
    if alpha >= 0.5 || power < 0.5 {
        let (name, value) = if alpha >= 0.5 { ("alpha", alpha) } else { ("power", power) };
        return Err(StatsError::Parameter {
            name,
            value,
            range: "with alpha below and power above one half",
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_and_numbers_of_cases_are_those_of_the_books() {
        // G*Power 3.1, t test of matched pairs, two-sided 0.05, power 0.8: dz = 0.5 needs 34 pairs, 0.2 needs 199.
        assert_eq!(cases_needed(0.5, 1.0, 0.025, 0.8).unwrap(), 34);
        assert_eq!(cases_needed(0.2, 1.0, 0.025, 0.8).unwrap(), 199);
        let effect = minimum_detectable_effect(30, 0.18, 0.05, 0.8).unwrap();
        assert!((effect - 0.0839).abs() < 5e-4, "{effect}");
    }

    #[test]
    fn the_two_directions_agree() {
        for effect in [0.01, 0.03, 0.1, 0.5, 2.0] {
            let n = cases_needed(effect, 0.2, 0.05, 0.8).unwrap();
            assert!(minimum_detectable_effect(n, 0.2, 0.05, 0.8).unwrap() <= effect, "{effect} {n}");
            if n > 2 {
                assert!(minimum_detectable_effect(n - 1, 0.2, 0.05, 0.8).unwrap() > effect, "{effect} {n}");
            }
        }
    }

    #[test]
    fn what_cannot_be_planned_is_refused() {
        assert!(minimum_detectable_effect(1, 0.2, 0.05, 0.8).is_err());
        for (effect, sd, alpha, power) in [
            (0.0, 0.2, 0.05, 0.8),
            (f64::NAN, 0.2, 0.05, 0.8),
            (0.1, 0.0, 0.05, 0.8),
            (0.1, 0.2, 0.0, 0.8),
            (0.1, 0.2, 0.6, 0.8),
            (0.1, 0.2, 0.05, 0.3),
            (1e-9, 0.2, 0.05, 0.8),
        ] {
            assert!(cases_needed(effect, sd, alpha, power).is_err(), "{effect} {sd} {alpha} {power}");
        }
    }
}
