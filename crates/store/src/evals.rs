//! What both adapters of the evals' store have in common: ids of results, the founding columns, limits.

use gauntlet_ports::{EVAL_BATCH_MAX, EvalResult, EvalStoreError, RUNS_MAX, Score};
use gauntlet_types::Name;
use serde_json::Value;
use uuid::Uuid;

/// Judges' answers kept, the oldest going first: some twenty runs of a thousand cases with ten calls of judges each, and some
/// hundreds of megabytes at the most.
pub(crate) const JUDGED_MAX: i64 = 200_000;

/// Reports looked through at once: each may quote a hundred cases, some hundred kilobytes.
pub(crate) const REPORTS_AT_ONCE: usize = 100;

/// The row of a result. It follows from what makes the result unique, so that adding it again finds the same row.
///
/// FNV-1a over 128 bits: ids collide by chance never, and whoever makes them collide on purpose overwrites a result of a
/// suite of his own. Written to disk, so it never changes.
pub(crate) fn result_id(result: &EvalResult) -> Uuid {
    const START: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let repeat = result.repeat.to_be_bytes();
    let parts = [result.run.as_bytes(), &[0xff], result.case.as_bytes(), &[0xff], &repeat];
    let bytes = parts.into_iter().flatten();
    let hash = bytes.fold(START, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME));
    uuid::Builder::from_custom_bytes(hash.to_be_bytes()).into_uuid()
}

/// `faith`, `relevance` and `exact` of the founding table: of the first metric of each kind, whatever its name in the suite.
pub(crate) fn founding(scores: &[Score]) -> [Option<f64>; 3] {
    [":faithfulness", ":answer_relevancy", ":exact"].map(|kind| {
        let of_kind = scores.iter().find(|score| score.implementation.contains(kind));
        of_kind.and_then(value)
    })
}

/// What is no number is unscored: one store would keep it, and the other not.
pub(crate) fn value(score: &Score) -> Option<f64> {
    score.value.filter(|value| value.is_finite())
}

pub(crate) fn evidence(score: &Score) -> Option<String> {
    (!score.evidence.is_null()).then(|| score.evidence.to_string())
}

/// Fields of a quoted case that hold its words; ids and figures are the others.
const QUOTED: [&str; 5] = ["input", "expected", "output", "baseline_output", "reason"];

/// Takes the words of cases out of a gate's report. Whether it held any.
pub(crate) fn unquote(report: &mut Value, is_meant: impl Fn(&str) -> bool) -> bool {
    let mut held = false;
    let quoted = report.get_mut("regressions").and_then(Value::as_array_mut);
    for case in quoted.into_iter().flatten() {
        if !case["case"].as_str().is_some_and(&is_meant) {
            continue;
        }
        for name in QUOTED {
            if let Some(words) = case.get_mut(name).filter(|words| !words.is_null()) {
                *words = Value::Null;
                held = true;
            }
        }
    }
    held
}

/// The metrics that a report's checks are about, each once, in their order.
pub(crate) fn gated(report: &Value) -> Vec<Name> {
    let mut gated: Vec<Name> = Vec::new();
    for check in report["checks"].as_array().into_iter().flatten() {
        if let Some(metric) = check["metric"].as_str()
            && gated.iter().all(|known| **known != *metric)
        {
            gated.push(metric.into());
        }
    }
    gated
}

/// As it is stored beside the report.
pub(crate) fn gated_text(report: &Value) -> String {
    serde_json::json!(gated(report)).to_string()
}

/// Of a gate from before it was stored beside the report there is none.
pub(crate) fn gated_of(text: Option<&str>) -> Vec<Name> {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

pub(crate) fn limit(asked: Option<u32>) -> i64 {
    asked.unwrap_or(RUNS_MAX).min(RUNS_MAX).into()
}

pub(crate) fn bounded(given: usize) -> Result<(), EvalStoreError> {
    if given > EVAL_BATCH_MAX { Err(EvalStoreError::TooMany { given }) } else { Ok(()) }
}

/// Figures beyond what a column holds stay at its end.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn failed<E>(what: &'static str) -> impl Fn(E) -> EvalStoreError
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    move |error| EvalStoreError::Store { what, source: error.into() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_result_has_one_row_and_no_other_has_it() {
        let of = |run: &str, case: &str, repeat: u32| {
            result_id(&EvalResult { run: run.into(), case: case.into(), repeat, ..EvalResult::default() })
        };
        assert_eq!(of("nightly", "c1", 0), of("nightly", "c1", 0));
        // On disk already: another id would leave two rows of one result.
        assert_eq!(of("nightly", "c1", 0).to_string(), "1d25f742-b788-8baf-a5c1-e56b0e2b4d10");
        let mut all = vec![of("a", "bc", 0), of("ab", "c", 0), of("abc", "", 0), of("a", "bc", 1)];
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 4);
    }

    #[test]
    fn a_report_loses_the_words_of_the_cases_that_are_meant() {
        let check = |mut report: Value, wanted: Value, held: bool| {
            assert_eq!(unquote(&mut report, |case| case == "mine"), held);
            assert_eq!(report, wanted);
        };
        let quote = |case: &str| json!({"case": case, "metric": "exact", "change": -1.0, "call": "r_1", "input": "words", "output": null, "reason": "words"});
        let mut bare = quote("mine");
        (bare["input"], bare["reason"]) = (Value::Null, Value::Null);
        check(
            json!({"regressions": [quote("mine"), quote("other")], "summary": "fell"}),
            json!({"regressions": [bare, quote("other")], "summary": "fell"}),
            true,
        );
        check(json!({"regressions": [quote("other")]}), json!({"regressions": [quote("other")]}), false);
        for odd in [
            json!(null),
            json!([1]),
            json!({"regressions": "mine"}),
            json!({"regressions": [7, {"case": 7}]}),
        ] {
            check(odd.clone(), odd, false);
        }
    }

    #[test]
    fn the_metrics_of_a_gate_are_those_of_its_checks() {
        let report = json!({"checks": [{"metric": "b"}, {"metric": null}, {"metric": "a"}, {"metric": "b"}]});
        assert_eq!(gated_of(Some(&gated_text(&report))), ["b", "a"]);
        assert_eq!(gated(&json!("odd")), [""; 0]);
        assert_eq!(gated_of(None), [""; 0]);
    }

    #[test]
    fn founding_columns_are_filled_by_the_kind_of_a_metric() {
        let score = |implementation: &str, value: Option<f64>| Score {
            metric: "any".into(),
            implementation: implementation.into(),
            value,
            ..Score::default()
        };
        let check = |scores: &[Score], wanted: [Option<f64>; 3]| assert_eq!(founding(scores), wanted);
        check(&[], [None; 3]);
        check(
            &[
                score("gauntlet/1:exact", Some(1.0)),
                score("ragas/0.4:faithfulness", Some(0.5)),
                score("ragas/0.4:faithfulness", Some(0.9)),
                score("ragas/0.4:answer_relevancy", None),
                score("gauntlet/1:contains", Some(0.1)),
            ],
            [Some(0.5), None, Some(1.0)],
        );
        check(&[score("gauntlet/1:exact", Some(f64::NAN))], [None; 3]);
    }
}
