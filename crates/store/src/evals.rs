//! What both adapters of the evals' store have in common: ids of results, the founding columns, limits.

use gauntlet_ports::{EVAL_BATCH_MAX, EvalResult, EvalStoreError, RUNS_MAX, Score};
use uuid::Uuid;

/// Judges' answers kept, the oldest going first: some twenty runs of a thousand cases with ten calls of judges each, and some
/// hundreds of megabytes at the most.
pub(crate) const JUDGED_MAX: i64 = 200_000;

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
