//! What all judges share: several looks and their median, what it took, and what is told where there is no value.

use futures_util::future::{BoxFuture, join_all};
use gauntlet_ports::Direction;
use gauntlet_types::Name;
use serde_json::{Value, json};

use super::{
    Fingerprint,
    ask::{self, Judge},
    measure::{Draw, Finding, Measure},
    rag::CONTEXTS_MAX,
    settings,
};
use crate::{
    Asker, Case, MetricSpec, Mistake, Scored, Scorer, Seen,
    hash::sha256,
    score::{Measured, Options, Range, Sheet},
};

pub(super) struct JudgeScorer {
    sheet: Sheet,
    /// Whether the suite says when a case passes; else the judge may.
    has_threshold: bool,
    judge: Judge,
    samples: u32,
    /// The most passages of any case, for the estimate.
    contexts_max: u32,
    measure: Box<dyn Measure>,
}

impl JudgeScorer {
    pub(super) fn new(
        options: &mut Options<'_>,
        measure: impl Measure + 'static,
        range: Range,
    ) -> Result<JudgeScorer, Mistake> {
        let sheet = Sheet::new(options, measure.implementation(), measure.direction(), range)?;
        let seat = settings::Seat::take(options)?;
        options.finish()?;
        let contexts = options.suite.cases.iter().map(|case| case.contexts.len().min(CONTEXTS_MAX)).max();
        Ok(JudgeScorer {
            sheet,
            has_threshold: options.spec.threshold.is_some(),
            judge: Judge::new(seat.model, &seat.params, seat.samples.max(measure.draws())),
            samples: seat.samples,
            contexts_max: contexts.and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
            measure: Box::new(measure),
        })
    }

    /// A vote that cannot be even, as RAGAS makes it.
    pub(super) fn with_odd_votes(self) -> JudgeScorer {
        JudgeScorer { samples: self.samples | 1, ..self }
    }

    pub(super) fn fingerprint(&self, spec: &MetricSpec) -> Fingerprint {
        let texts: Vec<String> = self.measure.texts().iter().map(super::prompt::Text::identity).collect();
        let implementation = &self.sheet.implementation;
        let judged_by =
            json!([implementation, texts, self.measure.by(), self.samples, self.judge.params, spec.options]);
        Fingerprint {
            kind: spec.kind.clone(),
            model: self.judge.model.clone(),
            hash: sha256(&judged_by.to_string()),
        }
    }

    async fn scored(&self, seen: &Seen<'_>, asker: &Asker<'_>) -> Scored {
        let bench = ask::Bench::new(asker);
        let draw = |sample| self.measure.draw(Draw { judge: &self.judge, bench: &bench, seen, sample });
        let findings = join_all((0..self.samples).map(draw)).await;
        let (measured, passed) = together(findings);
        let mut score = self.sheet.score(measured);
        if !self.has_threshold {
            // The judge's own word; a share alone says nothing of good enough.
            score.passed = passed;
        } else if passed == Some(false) && self.measure.has_own_word() {
            score.passed = Some(false);
        }
        let bill = bench.bill();
        Scored { score, cost: bill.cost, calls: bill.calls, cached: bill.cached }
    }
}

/// The median of the draws that have a value, and the majority of the judge's own words. With fewer than half of the draws there is
/// none: what a judge can say only sometimes is chance.
fn together(findings: Vec<Result<Finding, String>>) -> (Measured, Option<bool>) {
    let draws = findings.len();
    let mut why = String::new();
    let mut found = Vec::with_capacity(draws);
    for finding in findings {
        match finding {
            Ok(finding) if finding.value.is_finite() => found.push(finding),
            Ok(_) => why = "the formula has no value here".to_owned(),
            Err(reason) => why = reason,
        }
    }
    if found.is_empty() || found.len() * 2 < draws {
        return (Measured::none(why), None);
    }
    let words: Vec<bool> = found.iter().filter_map(|finding| finding.passed).collect();
    let yes = words.iter().filter(|passed| **passed).count();
    let passed = (!words.is_empty()).then_some(yes * 2 > words.len());
    found.sort_by(|a, b| a.value.total_cmp(&b.value));
    let values: Vec<f64> = found.iter().map(|finding| finding.value).collect();
    let middle = (values.len() - 1) / 2;
    let median = (values[middle] + values[values.len() / 2]) / 2.0;
    let Finding { reason, evidence, .. } = found.swap_remove(middle);
    let evidence = if draws == 1 { evidence } else { with_draws(evidence, &values, draws) };
    (Measured::value(median).because(reason).with(evidence), passed)
}

/// The evidence of the draw in the middle, with what the others said.
fn with_draws(evidence: Value, values: &[f64], draws: usize) -> Value {
    let mut evidence = match evidence {
        Value::Object(map) => map,
        other => [("of".to_owned(), other)].into_iter().collect(),
    };
    evidence.insert("draws".to_owned(), json!(values));
    evidence.insert("draws_without_value".to_owned(), json!(draws - values.len()));
    Value::Object(evidence)
}

impl Scorer for JudgeScorer {
    fn metric(&self) -> &Name {
        &self.sheet.metric
    }

    fn implementation(&self) -> &str {
        &self.sheet.implementation
    }

    fn direction(&self) -> Direction {
        self.sheet.direction
    }

    fn calls_max(&self) -> u32 {
        self.measure.calls(self.contexts_max).saturating_mul(self.samples)
    }

    fn lacks(&self, case: &Case) -> Option<String> {
        self.measure.lacks(case)
    }

    fn score<'a>(&'a self, seen: &'a Seen<'a>, asker: &'a Asker<'a>) -> BoxFuture<'a, Scored> {
        Box::pin(self.scored(seen, asker))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_the_draws_counts_and_half_of_them_must_have_a_value() {
        let of = |values: &[Option<f64>]| {
            let one = |value: &Option<f64>| match value {
                Some(value) => {
                    Ok(Finding { value: *value, passed: Some(*value > 0.5), ..Finding::default() })
                }
                None => Err("nonsense".to_owned()),
            };
            let (measured, passed) = together(values.iter().map(one).collect());
            (measured.value, passed)
        };
        assert_eq!(of(&[Some(0.2)]), (Some(0.2), Some(false)));
        assert_eq!(of(&[Some(1.0), Some(0.0), Some(0.8)]), (Some(0.8), Some(true)));
        assert_eq!(of(&[Some(0.25), Some(0.75)]), (Some(0.5), Some(false)));
        assert_eq!(of(&[Some(1.0), None]), (Some(1.0), Some(true)));
        assert_eq!(of(&[Some(1.0), None, None]), (None, None));
        assert_eq!(of(&[None]), (None, None));
        assert_eq!(of(&[Some(f64::NAN)]), (None, None));
    }
}
