use crate::{
    Clustered, Column, Rng,
    clusters::{Totals, totals},
    distributions::{beta_quantile, normal_quantile},
    unclustered,
};

use super::*;

fn of(values: &[f64]) -> Totals {
    totals(&unclustered(values), Column::Values).unwrap()
}

fn close(found: f64, wanted: f64, within: f64, what: &str) {
    assert!((found - wanted).abs() <= within, "{what}: {found} {wanted}");
}

#[test]
fn for_yes_and_no_it_is_clopper_and_pearson() {
    for (yes, n) in [(0, 1), (1, 1), (0, 3), (3, 3), (1, 10), (9, 10), (30, 40), (399, 400), (0, 400)] {
        let values: Vec<f64> = (0..n).map(|at| f64::from(u8::from(at < yes))).collect();
        let (yes, no) = (f64::from(yes), f64::from(n - yes));
        let low = if yes == 0.0 { 0.0 } else { beta_quantile(0.05, yes, no + 1.0) };
        let high = if no == 0.0 { 1.0 } else { beta_quantile(0.95, yes + 1.0, no) };
        close(lower(&of(&values), 0.05, 0.0), low, 1e-8, &format!("lower of {yes} of {n}"));
        close(upper(&of(&values), 0.05, 1.0), high, 1e-8, &format!("upper of {yes} of {n}"));
    }
}

#[test]
fn differences_that_are_all_zero_prove_little_when_they_are_few() {
    let bound = |n: usize| lower(&of(&vec![0.0; n]), 0.05, -1.0);
    // A loss of everything in a share s of the cases is not seen in n of them with probability (1 − s)^n.
    for n in [1, 3, 10, 98, 99] {
        close(bound(n), -(1.0 - 0.05f64.powf(1.0 / n as f64)), 1e-8, "all zero");
    }
    assert!(bound(3) < -0.6 && bound(98) < -0.03 && bound(99) > -0.03);
}

#[test]
fn for_many_values_it_is_the_normal_bound() {
    let mut rng = Rng::new(11);
    let values: Vec<f64> = (0..5_000).map(|_| (0.1 * rng.normal()).clamp(-1.0, 1.0)).collect();
    let totals = of(&values);
    let half = normal_quantile(0.95) * totals.sd().unwrap() / 5_000f64.sqrt();
    close(lower(&totals, 0.05, -1.0), totals.mean - half, 4e-4, "lower");
    close(upper(&totals, 0.05, 1.0), totals.mean + half, 4e-4, "upper");
}

#[test]
fn the_integral_is_what_drawing_gives() {
    let mut rng = Rng::new(5);
    for (values, mean) in [
        (vec![0.3, -0.2, 0.1], -0.2),
        (vec![0.3, -0.2, 0.1, 0.1, 0.5, -0.9, 0.0], -0.1),
        (vec![0.01; 30], -0.03),
        ((0..60).map(|at| (f64::from(at) * 1.7).sin() / 3.0).collect(), -0.05),
    ] {
        let draws = 40_000;
        let drawn = (0..draws)
            .filter(|_| {
                let mut draw = || -(1.0 - rng.unit()).ln();
                values.iter().map(|value| draw() * (value - mean)).sum::<f64>() + draw() * (-1.0 - mean)
                    <= 0.0
            })
            .count();
        let found = p_at_most(&of(&values), mean, -1.0);
        close(found, drawn as f64 / f64::from(draws), 0.011, &format!("{values:?}"));
    }
}

#[test]
fn far_from_the_values_chances_are_zero_and_one() {
    let values: Vec<f64> = (0..400).map(|at| f64::from(at % 7) / 10.0).collect();
    let totals = of(&values);
    for mean in [-0.99, -0.5, -0.1] {
        assert!(p_at_most(&totals, mean, -1.0) < 1e-9, "{mean}");
        assert!(p_at_least(&totals, mean, 1.0) > 1.0 - 1e-9, "{mean}");
    }
    assert!(p_at_most(&totals, 0.6, -1.0) > 1.0 - 1e-9);
    let chances: Vec<f64> =
        (0..=100).map(|at| p_at_most(&totals, -1.0 + f64::from(at) / 50.0, -1.0)).collect();
    assert!(chances.windows(2).all(|pair| pair[1] > pair[0] - 1e-10), "{chances:?}");
}

#[test]
fn repeats_of_a_case_do_not_narrow_the_bound() {
    let once = unclustered(&[0.1, -0.2, 0.0, 0.3, 0.1]);
    let repeated: Vec<Clustered> = once.iter().flat_map(|value| [*value; 4]).collect();
    let bound = |values: &[Clustered]| lower(&totals(values, Column::Values).unwrap(), 0.05, -1.0);
    close(bound(&once), bound(&repeated), 1e-9, "repeated");
}

#[test]
fn values_at_the_ends_of_the_support_are_no_trouble() {
    close(lower(&of(&[-1.0; 5]), 0.05, -1.0), -1.0, 1e-9, "all at the low end");
    close(upper(&of(&[1.0; 5]), 0.05, 1.0), 1.0, 1e-9, "all at the high end");
    close(upper(&of(&[-1.0; 5]), 0.05, 1.0), -1.0 + 2.0 * (1.0 - 0.05f64.powf(0.2)), 1e-8, "all low");
    assert!(lower(&of(&[1e-300; 5]), 0.05, -1.0).is_finite());
}

#[test]
fn series_and_single_terms_give_the_same_phase() {
    let mut rng = Rng::new(21);
    let mixed: Vec<(f64, f64)> = (0..3_000)
        .map(|at| (rng.normal() * 10f64.powi(-(at % 9)), 1.0 + f64::from(at % 3)))
        .chain([(0.0, 5.0), (1e-300, 1.0), (-40.0, 1.0)])
        .collect();
    let phases = Phases::of(&mixed);
    for y in -60..10 {
        let u = (f64::from(y) / 4.0).exp();
        let (angle, fallen) = phases.at(u);
        let plain: f64 = mixed.iter().map(|(a, m)| m * (u * a).atan()).sum();
        let plain_fallen: f64 = mixed.iter().map(|(a, m)| m * (u * a).powi(2).ln_1p()).sum::<f64>() / 2.0;
        close(angle, plain, 1e-9 * (1.0 + plain.abs()), &format!("angle at {u}"));
        close(fallen, plain_fallen, 1e-9 * (1.0 + plain_fallen), &format!("fall at {u}"));
    }
}

#[test]
fn of_many_different_values_few_are_summed_one_by_one() {
    let mut rng = Rng::new(22);
    let values: Vec<f64> = (0..20_000).map(|_| (0.2 * rng.normal()).clamp(-1.0, 1.0)).collect();
    let pulls = pulls(&of(&values), -0.003, -1.0);
    assert_eq!(pulls.len(), 20_001, "all differ");
    let scale = pulls.iter().map(|(a, m)| m * a * a).sum::<f64>().sqrt();
    let phases = Phases::of(&pulls.iter().map(|(a, m)| (a / scale, *m)).collect::<Vec<_>>());
    let mut u = FROM.exp();
    while phases.at(u).1 <= FALLEN {
        let reach = (u * phases.largest / SERIES_MAX).log2().ceil().max(0.0) as usize;
        let single: usize = phases.octaves[..reach].iter().map(Vec::len).sum();
        assert!(single <= 4_400, "{single} at {u}");
        u *= 1.1;
    }
    assert!(u > 1.0, "it goes on to where the values count: {u}");
}
