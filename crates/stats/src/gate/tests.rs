use super::*;
use crate::{Rng, unclustered};

fn ask(differences: &[f64], margin: f64) -> Verdict {
    non_inferiority(&unclustered(differences), &NonInferiority::with_margin(margin)).unwrap()
}

/// `n` differences of mean `mean`, evenly around it.
fn around(mean: f64, spread: f64, n: usize) -> Vec<f64> {
    (0..n).map(|at| mean + if at % 2 == 0 { spread } else { -spread }).collect()
}

#[test]
fn the_three_verdicts_go_by_the_bounds() {
    let check = |differences: Vec<f64>, wanted: Outcome| {
        let found = ask(&differences, 0.03);
        assert_eq!(found.outcome, wanted, "{found:?}");
        assert!(found.lower <= found.mean && found.mean <= found.upper, "{found:?}");
        match wanted {
            Outcome::Pass => assert!(found.lower > -0.03),
            Outcome::Fail => assert!(found.lower <= -0.03 && found.upper < 0.0),
            Outcome::Inconclusive => assert!(found.lower <= -0.03 && found.upper >= 0.0),
        }
    };
    check(around(0.0, 0.1, 400), Outcome::Pass);
    check(around(-0.1, 0.1, 400), Outcome::Fail);
    check(around(0.0, 0.1, 20), Outcome::Inconclusive);
    check(around(-0.03, 0.1, 30), Outcome::Inconclusive);
    // Worse, and by less than the margin: that is what a margin is for.
    check(around(-0.01, 0.02, 2_000), Outcome::Pass);
}

#[test]
fn three_cases_without_a_difference_do_not_pass() {
    for n in [1, 3, 10, 50, 98] {
        let found = ask(&vec![0.0; n], 0.03);
        assert_eq!(found.outcome, Outcome::Inconclusive, "{found:?}");
        assert!(found.upper > found.lower);
    }
    assert_eq!(ask(&[0.0; 99], 0.03).outcome, Outcome::Pass);
}

#[test]
fn more_cases_are_about_what_it_takes() {
    let few = ask(&around(0.0, 0.1, 20), 0.03);
    let more = few.more_cases.unwrap() as usize;
    // With the power asked for and the same mean it passes clearly; at half the number it would not be sure to.
    assert_eq!(ask(&around(0.0, 0.1, 20 + more), 0.03).outcome, Outcome::Pass);
    assert!((60..=300).contains(&more), "{more}");
    assert_eq!(ask(&around(0.0, 0.1, 400), 0.03).more_cases, None);
    let none = ask(&[0.0; 3], 0.03).more_cases.unwrap();
    assert!((50..=200).contains(&none), "{none}");
}

#[test]
fn thirty_cases_do_not_see_less_than_some_points() {
    let found = ask(&around(0.0, 0.18, 30), 0.03);
    let mde = found.mde.unwrap();
    assert!((0.10..0.18).contains(&mde), "{mde}");
    let student = NonInferiority { bound: Bound::Student, ..NonInferiority::with_margin(0.03) };
    let found = non_inferiority(&unclustered(&around(0.0, 0.18, 30)), &student).unwrap();
    assert!((found.mde.unwrap() - 0.083).abs() < 2e-3, "{found:?}");
}

#[test]
fn repeats_add_cases_to_none() {
    let once = unclustered(&around(0.0, 0.1, 100));
    let repeated: Vec<Clustered> = once.iter().flat_map(|one| [*one; 5]).collect();
    let question = NonInferiority::with_margin(0.03);
    let (once, repeated) =
        (non_inferiority(&once, &question).unwrap(), non_inferiority(&repeated, &question).unwrap());
    assert!((once.lower - repeated.lower).abs() < 1e-9 && (once.p_worse - repeated.p_worse).abs() < 1e-9);
    assert_eq!((repeated.n, repeated.clusters), (500, 100));
}

#[test]
fn a_family_passes_when_all_do_and_one_false_alarm_in_many_does_not_fail_it() {
    let good = ask(&around(0.0, 0.1, 400), 0.03);
    let bad = ask(&around(-0.1, 0.1, 400), 0.03);
    let unsure = ask(&around(0.0, 0.1, 20), 0.03);
    let chance = Verdict { p_inferior: 0.9, p_worse: 0.03, ..unsure };
    let check = |family: &[Verdict], wanted: Outcome| {
        let mut family = family.to_vec();
        assert_eq!(decide_together(&mut family, 0.05).unwrap(), wanted, "{family:?}");
    };
    check(&[good], Outcome::Pass);
    check(&[good, good, good], Outcome::Pass);
    check(&[good, unsure], Outcome::Inconclusive);
    check(&[good, bad, unsure], Outcome::Fail);
    check(&[chance], Outcome::Fail);
    check(&[chance, good, good], Outcome::Inconclusive);
    assert!(decide_together(&mut [], 0.05).is_err());
    assert!(decide_together(&mut [Verdict { p_worse: f64::NAN, ..good }], 0.05).is_err());
}

#[test]
fn a_floor_is_asked_about_the_mean_score() {
    let scores = |share: f64, n: usize| -> Vec<Clustered> {
        unclustered(&(0..n).map(|at| f64::from(u8::from((at as f64) < share * n as f64))).collect::<Vec<_>>())
    };
    let check = |share: f64, n: usize, wanted: Outcome| {
        let found = floor(&scores(share, n), 0.8, 0.05).unwrap();
        assert_eq!(found.outcome, wanted, "{share} {n} {found:?}");
        assert!((found.mean - share).abs() < 1e-9 && found.lower >= 0.0 && found.upper <= 1.0 + 1e-9);
    };
    check(0.95, 100, Outcome::Pass);
    check(0.5, 100, Outcome::Fail);
    check(0.8, 100, Outcome::Inconclusive);
    check(1.0, 3, Outcome::Inconclusive);
    assert!(floor(&scores(1.0, 3), 1.5, 0.05).is_err());
    assert!(floor(&unclustered(&[1.5]), 0.8, 0.05).is_err());
}

#[test]
fn the_rule_of_the_p_value_ships_what_few_cases_cannot_show() {
    let baseline = vec![0.8; 10];
    let candidate: Vec<f64> = around(-0.05, 0.2, 10).iter().map(|difference| 0.8 + difference).collect();
    assert!(seed_rule(&baseline, &candidate, 0.05).unwrap().passes);
    assert_eq!(ask(&around(-0.05, 0.2, 10), 0.03).outcome, Outcome::Inconclusive);
    let worse = vec![0.5; 10];
    assert!(!seed_rule(&baseline, &worse, 0.05).unwrap().passes);
    assert!(seed_rule(&baseline, &worse, 2.0).is_err());
}

#[test]
fn the_rule_of_the_p_value_fails_what_is_worse_and_never_what_is_better() {
    let check = |change: f64, passes: bool| {
        let baseline = vec![0.5; 30];
        let candidate: Vec<f64> = (0..30).map(|at| 0.5 + change + f64::from(at) * 1e-4).collect();
        let found = seed_rule(&baseline, &candidate, 0.05).unwrap();
        assert!(found.p_value < 1e-4, "either way it is far from chance: {found:?}");
        assert_eq!((found.passes, found.is_lower), (passes, !passes), "{found:?}");
    };
    check(0.1, true);
    check(-0.1, false);
    // The ranks decide, which the p-value is of: nine in ten fell, and the mean rose.
    let candidate: Vec<f64> =
        (0..30).map(|at| if at < 27 { 0.49 - f64::from(at) * 1e-5 } else { 0.99 }).collect();
    let found = seed_rule(&[0.5; 30], &candidate, 0.05).unwrap();
    assert!(found.mean > 0.0 && found.is_lower && !found.passes, "{found:?}");
}

#[test]
fn where_no_case_differs_a_drop_must_be_seen_through_its_own_chance() {
    // Five of 60 lost are shown (2^-5 < 0.05); a drop d brings them four times in five from d = 0.109 on.
    let mde = ask(&[0.0; 60], 0.03).mde.unwrap();
    assert!((0.105..0.12).contains(&mde), "{mde}");
    for margin in [0.01, 0.03, 0.2] {
        assert_eq!(
            ask(&[0.0; 60], margin).mde,
            Some(mde),
            "a margin says what is let through, not what is seen"
        );
    }
    let mut before = f64::INFINITY;
    for n in [10, 30, 100, 400, 4_000] {
        let mde = ask(&vec![0.0; n], 0.03).mde.unwrap();
        assert!(mde < before && mde > 0.0, "{n}: {mde}");
        before = mde;
    }
}

#[test]
fn cases_that_would_not_see_a_loss_of_everything_see_nothing() {
    for differences in [vec![0.0; 2], vec![0.0; 3], vec![0.5, -0.5], vec![-1.0, 1.0, 0.0]] {
        assert_eq!(ask(&differences, 0.03).mde, None, "{differences:?}");
    }
    for n in 4..40 {
        assert!(ask(&vec![0.0; n], 0.03).mde.is_none_or(|mde| mde <= 1.0), "{n}");
    }
}

#[test]
fn a_run_stops_when_it_is_decided_and_not_before() {
    let question = NonInferiority::with_margin(0.03);
    let mut run = Sequential::new(question, 400).unwrap();
    let bad = unclustered(&around(-0.15, 0.1, 400));
    let first = run.look(&bad[..100]).unwrap();
    assert!(first.stop && first.verdict.outcome == Outcome::Fail && first.level < 0.01, "{first:?}");
    assert!(!run.may_look(200) && run.look(&bad[..200]).is_err());

    let mut run = Sequential::new(question, 40).unwrap();
    let even = unclustered(&around(0.0, 0.1, 40));
    assert!(!run.look(&even[..20]).unwrap().stop);
    assert!(run.look(&even[..20]).is_err(), "no new cases");
    let last = run.look(&even).unwrap();
    assert!(last.stop && last.verdict.outcome == Outcome::Inconclusive, "{last:?}");
}

#[test]
fn a_question_that_makes_no_sense_is_refused() {
    let good = NonInferiority::with_margin(0.03);
    let differences = unclustered(&[0.1, -0.1]);
    for bad in [
        NonInferiority { margin: 0.0, ..good },
        NonInferiority { margin: f64::NAN, ..good },
        NonInferiority { margin: 2.0, ..good },
        NonInferiority { alpha: 0.0, ..good },
        NonInferiority { alpha: 0.7, ..good },
        NonInferiority { power: 0.2, ..good },
        NonInferiority { support: (0.0, 1.0), ..good },
        NonInferiority { support: (-1.0, f64::INFINITY), ..good },
    ] {
        assert!(non_inferiority(&differences, &bad).is_err(), "{bad:?}");
    }
    for bad in [vec![], vec![f64::NAN], vec![0.0, 1.5], vec![f64::NEG_INFINITY]] {
        assert!(non_inferiority(&unclustered(&bad), &good).is_err(), "{bad:?}");
    }
    let wide = NonInferiority::with_margin(2.0);
    let said = non_inferiority(&differences, &wide).unwrap_err().to_string();
    assert!(said.starts_with("the margin is 2: give a number below the greatest possible drop"), "{said}");
    let student = NonInferiority { bound: Bound::Student, ..good };
    assert!(
        non_inferiority(&unclustered(&[0.0; 9]), &student).unwrap_err().to_string().contains("all the same")
    );
    assert!(non_inferiority(&unclustered(&[0.1]), &student).is_err());
}

#[test]
fn no_numbers_make_it_panic() {
    let mut rng = Rng::new(3);
    for round in 0..300 {
        let n = 1 + rng.below(12);
        let steps = 1 + rng.below(5);
        let differences: Vec<Clustered> = (0..n)
            .map(|_| Clustered {
                cluster: rng.below(n) as u32,
                value: rng.below(2 * steps + 1) as f64 / steps as f64 - 1.0,
            })
            .collect();
        let found = non_inferiority(&differences, &NonInferiority::with_margin(0.05)).unwrap();
        assert!(
            found.lower <= found.mean + 1e-9 && found.mean <= found.upper + 1e-9,
            "round {round}: {found:?} {differences:?}"
        );
        assert!((0.0..=1.0).contains(&found.p_inferior) && (0.0..=1.0).contains(&found.p_worse));
    }
}
