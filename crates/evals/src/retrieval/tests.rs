use super::*;

fn ids(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn relevant(text: &str) -> Vec<(String, f64)> {
    let one = |part: &str| match part.split_once(':') {
        Some((id, grade)) => (id.to_owned(), grade.parse().unwrap()),
        None => (part.to_owned(), 1.0),
    };
    text.split_whitespace().map(one).collect()
}

#[test]
fn measures_are_those_of_the_textbooks() {
    let check = |measure: Measure, ranking: &str, good: &str, wanted: Option<f64>| {
        let found = measure.of(&ids(ranking), &relevant(good));
        let is_near = match (found, wanted) {
            (Some(found), Some(wanted)) => (found - wanted).abs() < 1e-9,
            (found, wanted) => found == wanted,
        };
        assert!(is_near, "{} of {ranking} for {good}: {found:?}, not {wanted:?}", measure.name());
    };
    check(Measure::Hit(1), "a b c", "b", Some(0.0));
    check(Measure::Hit(2), "a b c", "b", Some(1.0));
    check(Measure::Recall(3), "a b c", "b c d e", Some(0.5));
    check(Measure::Precision(5), "a b c", "b c", Some(0.4));
    check(Measure::ReciprocalRank, "a b c", "c", Some(1.0 / 3.0));
    check(Measure::ReciprocalRank, "a b c", "z", Some(0.0));
    check(Measure::AveragePrecision, "a b c", "a c z", Some((1.0 + 2.0 / 3.0) / 3.0));
    check(Measure::ContextPrecision, "a b c", "a c z", Some((1.0 + 2.0 / 3.0) / (2.0 + 1e-10)));
    // scikit-learn 1.9.1: ndcg_score([[0, 3, 2, 1]], [[4, 3, 2, 1]], k=3), and the same over the whole ranking.
    check(Measure::Ndcg(3), "a b c d", "b:3 c:2 d:1", Some(0.607_491_518_045_652_5));
    check(Measure::Ndcg(4), "a b c d", "b:3 c:2 d:1", Some(0.697_934_454_765_513_1));
    for measure in Measure::all(&[3]) {
        check(measure, "a b", "", None);
        check(measure, "", "a b", Some(0.0));
    }
}

#[test]
fn measures_are_those_of_scikit_learn() {
    // Made by the functions that it names, over random grades; nth document, nth grade.
    let golden: serde_json::Value = serde_json::from_str(include_str!("sklearn.json")).unwrap();
    let rows = golden["rows"].as_array().unwrap();
    for row in rows {
        let grades: Vec<f64> =
            row["grades"].as_array().unwrap().iter().map(|one| one.as_f64().unwrap()).collect();
        let ranking: Vec<String> = (0..grades.len()).map(|at| format!("d{at}")).collect();
        let relevant: Vec<(String, f64)> = ranking.iter().cloned().zip(grades).collect();
        let check = |measure: Measure, wanted: &serde_json::Value| {
            let found = measure.of(&ranking, &relevant).unwrap();
            assert!((found - wanted.as_f64().unwrap()).abs() < 1e-12, "{} of {row}: {found}", measure.name());
        };
        for (k, wanted) in row["ndcg"].as_object().unwrap() {
            check(Measure::Ndcg(k.parse().unwrap()), wanted);
        }
        check(Measure::AveragePrecision, &row["average_precision"]);
    }
    assert_eq!(rows.len(), 40);
}

fn query(id: usize, good: &str) -> Query {
    Query { id: format!("q{id}"), relevant: relevant(good), ..Query::default() }
}

#[test]
fn a_report_counts_what_it_could_not_measure() {
    let queries = [query(1, "a"), query(2, "b"), query(3, ""), query(4, "d")];
    let rankings = [Ok(ids("a b")), Ok(ids("a c")), Ok(ids("a")), Err("timed out".to_owned())];
    let made = report(&queries, &rankings, &[2]);
    assert_eq!((made.queries, made.scored, made.without_relevant, made.errors), (4, 2, 1, 1));
    assert_eq!(made.error_examples, [("q4".to_owned(), "timed out".to_owned())]);
    assert_eq!(made.never_found, [("q2".to_owned(), "b".to_owned())]);
    let hit = &made.figures[0];
    assert_eq!((hit.measure.as_str(), hit.mean, hit.n), ("hit@2", Some(0.5), 2));
}

#[test]
fn two_retrievers_are_told_apart_when_the_interval_says_so() {
    let queries: Vec<Query> = (0..40).map(|at| query(at, "x")).collect();
    let ranked = |is_first: &dyn Fn(usize) -> bool| -> Vec<Ranked> {
        (0..40).map(|at| Ok(ids(if is_first(at) { "x y z" } else { "y z x" }))).collect()
    };
    let (poor, good) = (ranked(&|at| at % 4 == 0), ranked(&|at| at % 4 != 0));
    let stand = |first: &[Ranked], second: &[Ranked]| {
        let made = compare(&queries, first, second, &[1, 3]);
        let of = |name: &str| made.measures.iter().find(|one| one.measure == name).unwrap().clone();
        (of("mrr").stand, of("hit@3").stand, of("hit@1").difference)
    };
    assert_eq!(stand(&poor, &good), (Stand::Better, Stand::Same, 0.5));
    assert_eq!(stand(&good, &poor), (Stand::Worse, Stand::Same, -0.5));
    let almost = ranked(&|at| at % 4 != 0 && at != 1);
    assert_eq!(stand(&good, &almost).0, Stand::NotToldApart);
    let made = compare(&queries, &good, &almost, &[3]);
    assert_eq!(made.lost.len(), 1);
    assert_eq!(made.lost[0].0, "q1");
}

#[test]
fn a_ranking_without_entries_scores_nothing_and_one_that_is_missing_is_unscored() {
    let rows = "{\"id\": \"a\", \"input\": \"q\", \"relevant\": [\"d1\"], \"retrieved\": [\"d1\"]}\n\
                {\"id\": \"b\", \"input\": \"q\", \"relevant\": [\"d1\"], \"retrieved\": []}\n\
                {\"id\": \"c\", \"input\": \"q\", \"relevant\": [\"d1\"]}\n";
    let text = "suite: s\ndataset: d.jsonl\nmetrics: [hit_at_k, mrr, ndcg]\n";
    let suite = crate::suite::read("s.yaml", text, &mut |_| Ok(rows.to_owned())).suite;
    let scorers = crate::metrics::make(&suite).unwrap();
    let lacks = |at: usize| scorers.iter().filter(|scorer| scorer.lacks(&suite.cases[at]).is_some()).count();
    assert_eq!((lacks(0), lacks(1), lacks(2)), (0, 0, 3));
    let mean = |ranking: Ranked| {
        let made = report(&[query(1, "d1"), query(2, "d1")], &[Ok(ids("d1")), ranking], &[5]);
        (made.scored, made.figures[0].mean)
    };
    assert_eq!(mean(Ok(Vec::new())), (2, Some(0.5)), "live rankings too");
    assert_eq!(mean(Err("timed out".to_owned())), (1, Some(1.0)));
}
