//! Whatever the numbers, there is an answer that makes sense or an error; nothing panics and no loop is for ever.

use std::collections::HashMap;

use proptest::{collection::vec, num::f64::ANY, prelude::*};

use super::*;

/// Any doubles at all, infinities and NaN among them, or scores of few steps, which tie.
fn column() -> impl Strategy<Value = Vec<f64>> {
    prop_oneof![vec(ANY, 0..12), vec((0u8..4).prop_map(|step| f64::from(step) / 3.0), 0..40)]
}

fn is_share(value: f64) -> bool {
    (0.0..=1.0).contains(&value)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn tests_of_two_columns_give_a_probability_or_an_error(first in column(), second in column()) {
        // Most pairs of columns are of two lengths; the shorter part of both is one.
        let n = first.len().min(second.len());
        for (first, second) in [(&first[..], &second[..]), (&first[..n], &second[..n])] {
            for zeros in [Zeros::Wilcox, Zeros::Pratt, Zeros::Zsplit] {
                for method in [Method::Auto, Method::Exact, Method::Approx] {
                    let options = Options { zeros, method, continuity: true, ..Options::default() };
                    if let Ok(found) = wilcoxon(first, second, options) {
                        prop_assert!(is_share(found.p_value), "{found:?} {first:?} {second:?}");
                    }
                }
            }
            if let Ok(found) = mcnemar(first, second, McnemarMethod::Exact) {
                prop_assert!(is_share(found.p_value), "{found:?}");
            }
            let correlations = [
                pearson(first, second, 0.9),
                spearman(first, second, CorrelationMethod::T, 0.9),
                kendall(first, second, 0.9),
            ];
            for found in correlations.into_iter().flatten() {
                prop_assert!(is_share(found.p_value) && found.coefficient.abs() <= 1.0, "{found:?}");
                prop_assert!(found.interval.low <= found.interval.high, "{found:?}");
            }
            let _ = seed_rule(first, second, 0.05);
            if let Ok(found) = judge_allowed(first, second, &Requirement::default()) {
                prop_assert!(found.lower <= found.value + 1e-9, "{found:?}");
            }
        }
    }

    #[test]
    fn intervals_of_clusters_hold_their_mean_or_are_an_error(values in column(), size in 1u32..5) {
        let clustered: Vec<Clustered> =
            values.iter().zip(0..).map(|(&value, at)| Clustered { cluster: at / size, value }).collect();
        if let Ok(found) = mean_difference(&clustered, 0.95) {
            prop_assert!(found.interval.low <= found.mean && found.mean <= found.interval.high, "{found:?}");
            prop_assert!(is_share(found.p_value), "{found:?}");
        }
        if let Ok(found) = bootstrap(&clustered, &Bootstrap { resamples: 100, ..Bootstrap::default() }) {
            prop_assert!(found.low <= found.high, "{found:?} {values:?}");
        }
        for found in [
            non_inferiority(&clustered, &NonInferiority::with_margin(0.05)),
            floor(&clustered, 0.5, 0.05),
        ].into_iter().flatten() {
            prop_assert!(found.lower <= found.mean + 1e-9 && found.mean <= found.upper + 1e-9, "{found:?}");
            prop_assert!(is_share(found.p_inferior) && is_share(found.p_worse), "{found:?}");
        }
        let _ = holm(&values);
        let _ = benjamini_hochberg(&values);
        let points: Vec<TrendPoint> = values
            .iter()
            .zip(clustered.iter().rev())
            .map(|(&mean, other)| TrendPoint { day: other.value, mean, standard_error: 0.01 })
            .collect();
        let _ = trend_drop(&points, 0.05, 7.0, 0.05);
    }

    #[test]
    fn ranking_measures_are_from_0_to_1(ranking in vec(0u8..9, 0..20), graded in vec((0u8..9, ANY), 0..6), k in 0usize..25) {
        let relevance: HashMap<u8, f64> = graded.into_iter().collect();
        let found = [
            hit_at(&ranking, &relevance, k),
            recall_at(&ranking, &relevance, k),
            precision_at(&ranking, &relevance, k),
            reciprocal_rank(&ranking, &relevance),
            average_precision(&ranking, &relevance),
        ];
        for measure in found.into_iter().flatten() {
            prop_assert!(is_share(measure), "{measure}");
        }
        let ones: HashMap<u8, f64> = relevance.keys().map(|id| (*id, 1.0)).collect();
        if let Some(gain) = ndcg_at(&ranking, &ones, k) {
            prop_assert!((0.0..=1.0 + 1e-12).contains(&gain), "{gain}");
        }
    }
}
