use serde_json::json;

use super::*;

fn judge() -> Fingerprint {
    Fingerprint { kind: "rubric".into(), model: "test/gpt-4o".into(), hash: "h1".into() }
}

fn row(at: usize, human: Human, value: Option<f64>) -> Rated {
    let score =
        Score { metric: "rubric".into(), implementation: "x/1:rubric".into(), value, ..Score::default() };
    Rated { case: format!("c{at:03}").into(), human, score, length: 10 + at, answered_by: None }
}

fn compared(rows: &[Rated]) -> Calibration {
    let judge = judge();
    let wanted = Wanted { judge: &judge, threshold: None, scale: None, minimum: AGREEMENT_MIN };
    calibrate(rows, &wanted, None).unwrap()
}

/// `n` rows of yes and no by turns, of which the judge gets the first `wrong` wrong.
fn verdicts(n: usize, wrong: usize) -> Vec<Rated> {
    let one = |at: usize| {
        let human = (at % 2) as f64;
        let judge = if at < wrong { 1.0 - human } else { human };
        row(at, Human::Number(human), Some(0.2 + 0.6 * judge))
    };
    (0..n).map(one).collect()
}

#[test]
fn a_judge_that_agrees_on_enough_ratings_may_gate_and_another_may_not() {
    let check = |n: usize, wrong: usize, wanted: Verdict, said: &str| {
        let found = compared(&verdicts(n, wrong));
        assert_eq!(found.verdict(), wanted, "{}", found.summary());
        assert!(found.summary().contains(said), "{}", found.summary());
    };
    check(60, 3, Verdict::Pass, "it may gate");
    check(30, 0, Verdict::Inconclusive, "20 more ratings are needed");
    check(60, 16, Verdict::Inconclusive, "is not proven");
    check(60, 30, Verdict::Fail, "it may not gate");
}

#[test]
fn kappa_accuracy_and_confusion_are_those_of_the_table() {
    // 40 of 60 agree on each half but 6: kappa = (0.9 − 0.5) / 0.5 = 0.8.
    let found = compared(&verdicts(60, 6));
    assert_eq!(found.scale, ScaleKind::Binary);
    assert!((found.kappa.unwrap().value - 0.8).abs() < 1e-9);
    assert!((found.accuracy.unwrap().0 - 0.9).abs() < 1e-9);
    assert_eq!(found.confusion.counts, [[27, 3], [3, 27]]);
    assert_eq!(found.confusion.labels, ["0", "1"]);
    assert_eq!(found.disagreements.len(), 6);
}

#[test]
fn scales_are_understood_as_people_use_them() {
    let check = |human: &[f64], value: &dyn Fn(f64) -> f64, kind: ScaleKind, levels: usize| {
        let rows: Vec<Rated> = (0..60)
            .map(|at| {
                let said = human[at % human.len()];
                row(at, Human::Number(said), Some(value(said)))
            })
            .collect();
        let found = compared(&rows);
        assert_eq!((found.scale, found.levels.len()), (kind, levels), "{human:?}");
        assert!(found.agreed().unwrap().value > 0.99, "{human:?}");
    };
    check(&[0.0, 1.0], &|said| said, ScaleKind::Binary, 2);
    check(&[1.0, 2.0, 3.0, 4.0, 5.0], &|said| (said - 1.0) / 4.0, ScaleKind::Ordinal, 5);
    check(&[0.0, 0.5, 1.0], &|said| said, ScaleKind::Ordinal, 3);
    check(&[12.0, 55.5, 81.0, 99.0], &|said| said / 100.0, ScaleKind::Continuous, 0);
    check(&[0.1, 0.15, 0.3, 0.4, 0.77, 0.9], &|said| said, ScaleKind::Continuous, 0);
}

#[test]
fn letters_are_compared_as_letters() {
    let letters = ["A", "C", "D"];
    let rows: Vec<Rated> = (0..60)
        .map(|at| {
            let mut row = row(at, Human::Label(letters[at % 3].to_owned()), Some(1.0));
            let said = if at == 0 { "C" } else { letters[at % 3] };
            row.score.evidence = json!({"category": said});
            row
        })
        .collect();
    let found = compared(&rows);
    assert_eq!(found.scale, ScaleKind::Categories);
    assert_eq!(found.levels, letters);
    assert_eq!(found.confusion.counts, [[19, 1, 0], [0, 20, 0], [0, 0, 20]]);
    assert!(found.kappa.unwrap().value > 0.97);
    assert!(found.rho.is_none());
}

#[test]
fn ratings_that_cannot_be_compared_are_refused_with_the_case() {
    let judge = judge();
    let check = |rows: &[Rated], scale: Option<(f64, f64)>, wanted: &str| {
        let wanted_of = Wanted { judge: &judge, threshold: None, scale, minimum: 0.4 };
        let error = calibrate(rows, &wanted_of, None).unwrap_err();
        assert!(error.contains(wanted), "{error}");
    };
    let word = |at| row(at, Human::Label("SO-SO".to_owned()), Some(1.0));
    check(&[word(1)], None, "case `c001` is \"SO-SO\", and this judge gives numbers");
    check(&[row(0, Human::Number(1.0), Some(1.0)), word(1)], None, "use one kind of rating");
    check(&[row(0, Human::Number(7.0), Some(1.0))], Some((1.0, 5.0)), "not on the scale from 1 to 5");
}

#[test]
fn what_people_said_is_read_in_words_and_numbers() {
    let check = |value: Value, wanted: Result<Human, &str>| {
        let mut case = Case::default();
        case.extra.insert(HUMAN.to_owned(), value.clone());
        match (Human::of(&case), wanted) {
            (Ok(found), Ok(wanted)) => assert_eq!(found, wanted, "{value}"),
            (Err(found), Err(wanted)) => assert!(found.contains(wanted), "{found}"),
            (found, _) => panic!("{value}: {found:?}"),
        }
    };
    check(json!(4), Ok(Human::Number(4.0)));
    check(json!("4.5"), Ok(Human::Number(4.5)));
    check(json!(true), Ok(Human::Number(1.0)));
    check(json!("Pass"), Ok(Human::Number(1.0)));
    check(json!("loss"), Ok(Human::Number(0.0)));
    check(json!("tie"), Ok(Human::Number(0.5)));
    check(json!("d"), Ok(Human::Label("D".to_owned())));
    check(json!(null), Err("is missing"));
    check(json!([1]), Err("neither a number nor a word"));
    check(json!("nan"), Ok(Human::Label("NAN".to_owned())));
}

#[test]
fn rows_without_a_score_are_counted_and_no_verdict() {
    let mut rows = verdicts(60, 0);
    for row in &mut rows[..15] {
        row.score.value = None;
    }
    let found = compared(&rows);
    assert_eq!((found.n, found.unscored, found.missing), (45, 15, 5));
    assert_eq!(found.verdict(), Verdict::Inconclusive);
}

#[test]
fn people_of_one_opinion_prove_nothing() {
    let rows: Vec<Rated> = (0..60).map(|at| row(at, Human::Number(1.0), Some(1.0))).collect();
    let found = compared(&rows);
    assert_eq!((found.kappa, found.verdict()), (None, Verdict::Inconclusive));
    assert!(!found.notes.is_empty());
    let found = compared(&[]);
    assert_eq!((found.n, found.verdict()), (0, Verdict::Inconclusive));
}

#[test]
fn leanings_are_found() {
    // The longer the answer, the milder the judge.
    let rows: Vec<Rated> = (0..60)
        .map(|at| row(at, Human::Number(f64::from(u8::from(at % 2 == 0))), Some(at as f64 / 60.0)))
        .collect();
    let found = compared(&rows).bias;
    assert!(found.length.unwrap().rho > 0.3 && found.length.unwrap().ci_low > 0.0);
    assert!(found.mildness.unwrap().abs() < 0.02);
    assert!(found.position.is_none() && found.own.is_none());
    // The judge is milder with its own kind.
    let mut rows = verdicts(60, 0);
    for (at, row) in rows.iter_mut().enumerate() {
        let is_own = at % 3 == 0;
        row.answered_by = Some(if is_own { "openai/gpt-4o-mini" } else { "anthropic/claude-haiku" }.into());
        row.score.value = row.score.value.map(|value| if is_own { value + 0.1 } else { value });
    }
    let own = compared(&rows).bias.own.unwrap();
    assert_eq!((own.kind.as_str(), own.own, own.others), ("gpt", 20, 40));
    assert!((own.difference - 0.1).abs() < 0.02, "{}", own.difference);
}

#[test]
fn a_judge_that_prefers_the_first_place_is_seen() {
    let mut rows = verdicts(60, 0);
    for (at, row) in rows.iter_mut().enumerate() {
        let (one, two) = if at < 40 { ("candidate", "other") } else { ("candidate", "candidate") };
        row.score.evidence = json!({"orders": [{"candidate_is": "first", "winner": one}, {"candidate_is": "second", "winner": two}]});
    }
    let found = compared(&rows).bias.position.unwrap();
    assert_eq!((found.first, found.second, found.ties, found.turned), (100, 20, 0, 40));
    assert!(found.ci_low > 0.5);
}

#[test]
fn a_gate_finds_the_newest_agreement_of_exactly_its_judge() {
    let judge = judge();
    let keep = |wrong: usize, hash: &str, at: i64| {
        let judge = Fingerprint { hash: hash.into(), ..judge.clone() };
        let wanted = Wanted { judge: &judge, threshold: None, scale: None, minimum: AGREEMENT_MIN };
        let found = calibrate(&verdicts(60, wrong), &wanted, None).unwrap();
        found.to_gate(format!("gate-{at}").into(), "run".into(), None, Timestamp(at))
    };
    let gates = [keep(30, "h1", 1), keep(0, "h2", 3), keep(3, "h1", 2)];
    let found = agreement_of(&gates, &judge).unwrap();
    assert_eq!((found.id.as_str(), found.n), ("gate-2", 60));
    assert!(found.is_proven(AGREEMENT_MIN) && !found.is_proven(0.95));
    assert_eq!(found.low(), found.kappa_low);
    assert!(agreement_of(&gates, &Fingerprint { model: "test/other".into(), ..judge.clone() }).is_none());
    assert_eq!(last_of(&gates, &judge).unwrap().judge_hash, *"h2");
    assert_eq!(filter("rubric").suite.as_deref(), Some("calibration:rubric"));
}

#[test]
fn drift_is_told_from_chance() {
    let judge = judge();
    let wanted = Wanted { judge: &judge, threshold: None, scale: None, minimum: AGREEMENT_MIN };
    let last = calibrate(&verdicts(60, 3), &wanted, None).unwrap();
    let again = |change: &dyn Fn(usize, f64) -> f64| {
        let mut rows = verdicts(60, 3);
        for (at, row) in rows.iter_mut().enumerate() {
            row.score.value = row.score.value.map(|value| change(at, value));
        }
        calibrate(&rows, &wanted, Some(&last)).unwrap().drift.unwrap()
    };
    let same = again(&|_, value| value);
    assert_eq!((same.has_drifted, same.unchanged, same.rows, same.same_judge), (false, Some(1.0), 60, true));
    let noisy = again(&|at, value| value + if at % 2 == 0 { 0.05 } else { -0.05 });
    assert!(!noisy.has_drifted && noisy.unchanged == Some(0.0));
    let milder = again(&|at, value| value + 0.05 + (at % 3) as f64 * 0.01);
    assert!(milder.has_drifted && milder.ci_low.unwrap() > 0.0);
    let worse = again(&|at, value| if at % 3 == 0 { 1.0 - value } else { value });
    assert!(worse.has_drifted && worse.agreement_is < worse.agreement_was);
}
