//! Many tests at once.

use crate::{StatsError, check};

fn checked(p_values: &[f64]) -> Result<Vec<usize>, StatsError> {
    check::finite(p_values, crate::Column::Values)?;
    for (at, &p) in p_values.iter().enumerate() {
        if !(0.0..=1.0).contains(&p) {
            return Err(StatsError::OutOfSupport {
                column: crate::Column::Values,
                position: at + 1,
                value: p,
                low: 0.0,
                high: 1.0,
                cure: "give p-values",
            });
        }
    }
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    Ok(order)
}

/// Adjusts p-values so that the chance of any false alarm among them stays below the level they are compared with.
///
/// In the order given; each in `0..=1`. Valid whatever the dependence. Source: Holm (1979), "A simple sequentially rejective multiple test procedure".
pub fn holm(p_values: &[f64]) -> Result<Vec<f64>, StatsError> {
    let order = checked(p_values)?;
    let mut adjusted = vec![0.0; p_values.len()];
    let mut highest: f64 = 0.0;
    for (rank, &at) in order.iter().enumerate() {
        highest = highest.max((p_values.len() - rank) as f64 * p_values[at]).min(1.0);
        adjusted[at] = highest;
    }
    Ok(adjusted)
}

/// Adjusts p-values so that the expected share of false alarms among alarms stays below the level they are compared with.
///
/// In the order given; each in `0..=1`. Valid for independent or positively dependent tests. Source: Benjamini & Hochberg (1995).
pub fn benjamini_hochberg(p_values: &[f64]) -> Result<Vec<f64>, StatsError> {
    let order = checked(p_values)?;
    let mut adjusted = vec![0.0; p_values.len()];
    let mut lowest: f64 = 1.0;
    for (rank, &at) in order.iter().enumerate().rev() {
        lowest = lowest.min(p_values[at] * p_values.len() as f64 / (rank + 1) as f64);
        adjusted[at] = lowest;
    }
    Ok(adjusted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjusted_p_values_are_those_of_the_papers() {
        let check = |found: Vec<f64>, wanted: &[f64]| {
            for (found, wanted) in found.iter().zip(wanted) {
                assert!((found - wanted).abs() < 1e-12, "{found} {wanted}");
            }
        };
        // R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") and "BH".
        check(holm(&[0.01, 0.04, 0.03, 0.005]).unwrap(), &[0.03, 0.06, 0.06, 0.02]);
        check(benjamini_hochberg(&[0.01, 0.04, 0.03, 0.005]).unwrap(), &[0.02, 0.04, 0.04, 0.02]);
        check(holm(&[0.7, 0.8]).unwrap(), &[1.0, 1.0]);
        assert_eq!(holm(&[]).unwrap(), Vec::<f64>::new());
    }

    #[test]
    fn what_is_no_p_value_is_refused() {
        for bad in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(holm(&[0.5, bad]).is_err(), "{bad}");
            assert!(benjamini_hochberg(&[0.5, bad]).is_err(), "{bad}");
        }
    }
}
