//! Judges as parts of a `weighted` metric.

use super::*;
use crate::metrics;

fn weighted(of: Value) -> MetricSpec {
    MetricSpec { name: "overall".into(), ..metric("weighted", json!({"of": of})) }
}

fn parts() -> Value {
    json!([
        {"contains": {"value": "1889", "weight": 2}},
        {"rubric": {"name": "tone", "rubric": "polite", "weight": 1}},
        {"aspect": {"definition": "It is short."}},
    ])
}

#[test]
fn a_judge_weighs_as_any_part_and_its_calls_are_counted() {
    let model = Model::new(|ask: &Ask| match by(ask) {
        "judge-rubric" => says(r#"{"reason": "mild", "pass": true, "score": 0.5}"#),
        _ => says(r#"{"reason": "", "verdict": 1}"#),
    });
    let scorer = metrics::one(&weighted(parts()), &suite()).unwrap().unwrap();
    let run = Run { scorer: &*scorer, runner: &model, cache: &NoCache, case: case(), text: "In 1889." };
    let scored = block(run.scored());
    assert_eq!((scored.score.value, scored.calls), (Some((2.0 + 0.5 + 1.0) / 4.0), 2));
    assert_eq!(scored.score.evidence[1]["metric"], "overall.tone");
    assert_eq!(scored.score.evidence[1]["evidence"]["pass"], true);
    assert_eq!(scorer.calls_max(), 2);
}

#[test]
fn a_part_that_its_judge_leaves_unscored_leaves_the_whole_unscored() {
    let model = Model::new(|_: &Ask| says("Well."));
    let scorer = metrics::one(&weighted(parts()), &suite()).unwrap().unwrap();
    let run = Run { scorer: &*scorer, runner: &model, cache: &NoCache, case: case(), text: "In 1889." };
    let scored = block(run.scored());
    assert_eq!(scored.score.value, None);
    assert_eq!(scored.score.reason.as_deref(), Some("unscored: overall.tone, overall.aspect"));
}

#[test]
fn a_judge_within_is_the_judge_that_it_would_be_alone() {
    let suite = Suite { metrics: vec![weighted(parts())], ..suite() };
    let all = metrics::with_parts(&suite.metrics[0], &suite);
    let names: Vec<&str> = all.iter().map(|spec| spec.name.as_str()).collect();
    assert_eq!(names, ["overall", "overall.contains", "overall.tone", "overall.aspect"]);
    let alone = fingerprint(&metric("rubric", json!({"rubric": "polite"})), &suite);
    assert_eq!(fingerprint(&all[2], &suite), alone);
}

#[test]
fn parts_of_a_judge_need_names_that_differ() {
    let twice = json!([{"rubric": {"rubric": "polite"}}, {"rubric": {"rubric": "short"}}]);
    let mistake =
        metrics::one(&weighted(twice), &suite()).err().map(|mistake| mistake.to_string()).unwrap_or_default();
    assert!(
        mistake.contains("two parts are called `overall.rubric`") && mistake.contains("give each a name"),
        "{mistake}"
    );
}
