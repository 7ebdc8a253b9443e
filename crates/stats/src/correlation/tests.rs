use super::*;

/// Iris setosa would do as well; these are Anscombe's first and fourth sets (1973), both with r = 0.816.
const X1: [f64; 11] = [10.0, 8.0, 13.0, 9.0, 11.0, 14.0, 6.0, 4.0, 12.0, 7.0, 5.0];
const Y1: [f64; 11] = [8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68];
const X4: [f64; 11] = [8.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0, 19.0, 8.0, 8.0, 8.0];
const Y4: [f64; 11] = [6.58, 5.76, 7.71, 8.84, 8.47, 7.04, 5.25, 12.50, 5.56, 7.91, 6.89];

fn close(found: f64, wanted: f64, what: &str) {
    assert!((found - wanted).abs() < 1e-9, "{what}: {found} {wanted}");
}

#[test]
fn anscombes_quartet_comes_out() {
    close(pearson(&X1, &Y1, 0.95).unwrap().coefficient, 0.816_420_516_344_84, "set 1");
    close(pearson(&X4, &Y4, 0.95).unwrap().coefficient, 0.816_521_436_888_502_6, "set 4");
    close(pearson(&X1, &Y1, 0.95).unwrap().p_value, 0.002_169_628_873_078_806, "p of set 1");
    close(spearman(&X1, &Y1, CorrelationMethod::T, 0.95).unwrap().coefficient, 0.818_181_818_181_818, "rho");
    close(spearman(&X4, &Y4, CorrelationMethod::T, 0.95).unwrap().coefficient, 0.5, "rho of set 4");
}

#[test]
fn exact_p_values_of_rho_are_those_of_the_table() {
    // Zar (1972): for n = 5, |rho| = 1 has two-sided p = 2/120 and |rho| ≥ 0.9 has 10/120.
    let first = [1.0, 2.0, 3.0, 4.0, 5.0];
    let p = |second: [f64; 5]| spearman(&first, &second, CorrelationMethod::Exact, 0.95).unwrap().p_value;
    close(p([1.0, 2.0, 3.0, 4.0, 5.0]), 2.0 / 120.0, "1");
    close(p([2.0, 1.0, 3.0, 4.0, 5.0]), 10.0 / 120.0, "0.9");
    close(p([5.0, 4.0, 3.0, 2.0, 1.0]), 2.0 / 120.0, "-1");
}

#[test]
fn kendalls_tau_is_that_of_scipy() {
    // scipy.stats.kendalltau(X1, Y1, method="exact") and of set 4, which is full of ties.
    let first = kendall(&X1, &Y1, 0.95).unwrap();
    close(first.coefficient, 0.636_363_636_363_636_4, "tau");
    close(first.p_value, 0.005707170915504249, "p");
    assert!(first.exact && !kendall(&X4, &Y4, 0.95).unwrap().exact);
    let fourth = kendall(&X4, &Y4, 0.95).unwrap();
    close(fourth.coefficient, 0.426_401_432_711_220_84, "tau-b");
}

#[test]
fn orders_are_counted_exactly_up_to_fifty_pairs() {
    // Kendall's own table: of the 3! = 6 orders all reach a score of 1, and 2 the score of 3.
    close(p_by_inversions(3, 1), 1.0, "3, 1");
    close(p_by_inversions(3, -3), 2.0 / 6.0, "3, -3");
    close(p_by_inversions(4, 4), 8.0 / 24.0, "4, 4");
    close(p_by_inversions(2, 1), 1.0, "2, 1");
    let rising: Vec<f64> = (0..51).map(f64::from).collect();
    let falling: Vec<f64> = rising.iter().rev().copied().collect();
    let exact = |n: usize| kendall(&rising[..n], &falling[..n], 0.95).unwrap().exact;
    assert!(exact(50) && !exact(51));
}

#[test]
fn the_interval_is_fishers() {
    // r = 0.5, n = 28: atanh 0.549306 ± 1.959964/5.
    let found = fisher(0.5, 28, 1.0, 0.95);
    assert!((found.low - 0.155_98).abs() < 1e-4 && (found.high - 0.735_9).abs() < 1e-3, "{found:?}");
    assert_eq!(fisher(0.5, 3, 1.0, 0.95), Interval { low: -1.0, high: 1.0 });
}

#[test]
fn columns_without_variation_and_odd_numbers_are_refused() {
    let check = |first: &[f64], second: &[f64]| {
        assert!(pearson(first, second, 0.95).is_err(), "{first:?}");
        assert!(spearman(first, second, CorrelationMethod::T, 0.95).is_err(), "{first:?}");
        assert!(kendall(first, second, 0.95).is_err(), "{first:?}");
    };
    check(&[], &[]);
    check(&[1.0, 2.0], &[1.0, 2.0]);
    check(&[1.0, 1.0, 1.0], &[1.0, 2.0, 3.0]);
    check(&[1.0, 2.0, 3.0], &[2.0, 2.0, 2.0]);
    check(&[1.0, 2.0, f64::NAN], &[1.0, 2.0, 3.0]);
    check(&[1.0, 2.0, 3.0], &[1.0, f64::INFINITY, 3.0]);
    check(&[1.0, 2.0, 3.0], &[1.0, 2.0]);
}

#[test]
fn huge_and_tiny_numbers_do_not_overflow() {
    for scale in [1e-300, 1e300] {
        let first: Vec<f64> = X1.iter().map(|x| x * scale).collect();
        close(pearson(&first, &Y1, 0.95).unwrap().coefficient, 0.816_420_516_344_84, "scaled");
    }
}
