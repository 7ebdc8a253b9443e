use super::*;

fn p(first: &[f64], second: &[f64], options: Options) -> (f64, f64, bool) {
    let found = wilcoxon(first, second, options).unwrap();
    (found.statistic, found.p_value, found.exact)
}

/// Hollander & Wolfe, table 3.1: depression factors of nine patients before and after therapy.
const BEFORE: [f64; 9] = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30];
#[allow(clippy::approx_constant)] // 3.14 is a patient, not a circle
const AFTER: [f64; 9] = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29];

#[test]
fn the_worked_example_of_hollander_and_wolfe_comes_out() {
    // The book: T+ = 5, P(T+ ≤ 5) = 0.0195.
    let options = Options { alternative: Alternative::Less, ..Options::default() };
    let (statistic, p_value, exact) = p(&BEFORE, &AFTER, options);
    assert_eq!((statistic, exact), (5.0, true));
    assert!((p_value - 10.0 / 512.0).abs() < 1e-15, "{p_value}");
    let two_sided = p(&BEFORE, &AFTER, Options::default());
    assert!((two_sided.1 - 20.0 / 512.0).abs() < 1e-15, "{two_sided:?}");
}

#[test]
fn the_second_column_being_higher_is_the_greater_side() {
    let (low, high) = ([0.1, 0.2, 0.3, 0.4, 0.5], [0.2, 0.4, 0.6, 0.8, 1.0]);
    let greater = Options { alternative: Alternative::Greater, ..Options::default() };
    assert!(p(&low, &high, greater).1 < 0.05);
    assert!(p(&high, &low, greater).1 > 0.95);
}

#[test]
fn exact_and_approximate_go_by_scipys_rule() {
    let column = |n: usize| -> Vec<f64> { (0..n).map(|at| (at + 1) as f64).collect() };
    let check = |n: usize, shift: &dyn Fn(usize) -> f64, exact: bool| {
        let first = vec![0.0; n];
        let second: Vec<f64> = column(n).iter().enumerate().map(|(at, value)| value * shift(at)).collect();
        assert_eq!(wilcoxon(&first, &second, Options::default()).unwrap().exact, exact, "{n}");
    };
    check(50, &|_| 1.0, true);
    check(51, &|_| 1.0, false);
    check(13, &|at| f64::from(at != 0), true);
    check(14, &|at| f64::from(at != 0), false);
}

#[test]
fn zeros_are_taken_in_three_ways() {
    // SciPy 1.17: wilcoxon([0, 0, 1, -2, 3, 4, 5, 6, 7, -8, 9, 10, 11, 12, 13], zero_method=…).
    let second = [0.0, 0.0, 1.0, -2.0, 3.0, 4.0, 5.0, 6.0, 7.0, -8.0, 9.0, 10.0, 11.0, 12.0, 13.0];
    let first = [0.0; 15];
    let check = |zeros: Zeros, statistic: f64| {
        let found = wilcoxon(&first, &second, Options { zeros, ..Options::default() }).unwrap();
        assert_eq!((found.statistic, found.n, found.n_nonzero), (statistic, 15, 13), "{zeros:?}");
    };
    check(Zeros::Wilcox, 10.0);
    check(Zeros::Pratt, 14.0);
    check(Zeros::Zsplit, 15.5);
}

#[test]
fn columns_that_are_the_same_show_no_difference() {
    for n in [1, 13, 60] {
        for zeros in [Zeros::Wilcox, Zeros::Pratt, Zeros::Zsplit] {
            let column = vec![0.5; n];
            let found = wilcoxon(&column, &column, Options { zeros, ..Options::default() }).unwrap();
            assert_eq!((found.p_value, found.n_nonzero), (1.0, 0), "{n} {zeros:?}");
        }
    }
}

#[test]
fn bad_columns_are_refused_with_a_cure() {
    let check = |first: &[f64], second: &[f64], wanted: &str| {
        let error = wilcoxon(first, second, Options::default()).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    };
    check(&[], &[], "at least 1 pairs");
    check(&[1.0], &[1.0, 2.0], "leave out cases");
    check(&[1.0, f64::NAN], &[1.0, 2.0], "value 2 of the first column is NaN");
    check(&[1.0, 1.0], &[f64::INFINITY, 2.0], "value 1 of the second column is inf");
    check(&[f64::MAX], &[f64::MIN], "the differences");
    let long = vec![0.0; 1_001];
    let exact = Options { method: Method::Exact, ..Options::default() };
    assert!(wilcoxon(&long, &long, exact).unwrap_err().to_string().contains("take the approximation"));
}
