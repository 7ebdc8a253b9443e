//! What all scorers share: who they are, which values they give, and when a case passes.

use futures_util::future::BoxFuture;
use gauntlet_ports::{Direction, Score};
use gauntlet_types::Name;
use serde_json::Value;

use super::options::Options;
use crate::{Asker, Case, Mistake, Scored, Scorer, Seen};

/// Which values a metric takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Range {
    /// 0 or 1: a case passes at 1 unless its threshold says otherwise.
    YesNo,
    /// From 0 to 1.
    Share,
    /// From −1 to 1.
    Cosine,
    /// From 0 up.
    Amount,
}

impl Range {
    const fn bounds(self) -> (f64, f64) {
        match self {
            Range::YesNo | Range::Share => (0.0, 1.0),
            Range::Cosine => (-1.0, 1.0),
            Range::Amount => (0.0, f64::INFINITY),
        }
    }
}

/// Name, formula, direction and threshold of one metric.
#[derive(Clone, Debug)]
pub(crate) struct Sheet {
    pub(crate) metric: Name,
    pub(crate) implementation: String,
    pub(crate) direction: Direction,
    pub(crate) threshold: Option<f64>,
    /// `not: true`: 1 − value.
    is_negated: bool,
}

/// A value that was measured, or why there is none.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Measured {
    pub(crate) value: Option<f64>,
    pub(crate) reason: Option<String>,
    pub(crate) evidence: Value,
}

impl Measured {
    pub(crate) fn value(value: f64) -> Measured {
        Measured { value: Some(value), ..Measured::default() }
    }

    pub(crate) fn yes(is_so: bool) -> Measured {
        Measured::value(f64::from(u8::from(is_so)))
    }

    /// Unscored.
    pub(crate) fn none(reason: impl Into<String>) -> Measured {
        Measured { reason: Some(reason.into()), ..Measured::default() }
    }

    #[must_use]
    pub(crate) fn because(self, reason: impl Into<String>) -> Measured {
        Measured { reason: Some(reason.into()), ..self }
    }

    #[must_use]
    pub(crate) fn with(self, evidence: Value) -> Measured {
        Measured { evidence, ..self }
    }
}

impl Sheet {
    /// Takes `threshold`, `floor` and, where values are shares, `not`, and finds them possible.
    pub(crate) fn new(
        options: &mut Options<'_>,
        implementation: impl Into<String>,
        direction: Direction,
        range: Range,
    ) -> Result<Sheet, Mistake> {
        let has_opposite = matches!(range, Range::YesNo | Range::Share);
        let is_negated = has_opposite && options.flag("not")?;
        let spec = options.spec;
        let (low, high) = range.bounds();
        for (name, bound) in [("threshold", spec.threshold), ("floor", spec.floor)] {
            let Some(bound) = bound else { continue };
            if !(low..=high).contains(&bound) {
                let message =
                    format!("`{name}` is {bound}, and `{}` has values from {low} to {high}", spec.kind);
                let cure = if high == 1.0 && (0.0..=100.0).contains(&bound) {
                    format!("for {bound} percent write `{name}: {}`", bound / 100.0)
                } else {
                    format!("write a `{name}` in that range")
                };
                return Err(options.mistake(message, cure));
            }
        }
        let usual = match (range, direction) {
            (Range::YesNo, Direction::HigherIsBetter) => Some(1.0),
            _ => None,
        };
        Ok(Sheet {
            metric: spec.name.clone(),
            implementation: implementation.into(),
            direction,
            threshold: spec.threshold.or(usual),
            is_negated,
        })
    }

    /// The same with a threshold where the suite has none.
    #[must_use]
    pub(crate) fn threshold_or(self, usual: f64) -> Sheet {
        Sheet { threshold: self.threshold.or(Some(usual)), ..self }
    }

    /// Never lets a value through that is no number.
    pub(crate) fn score(&self, measured: Measured) -> Score {
        let Measured { value, reason, evidence } = measured;
        let value = value.filter(|value| value.is_finite());
        let value = if self.is_negated { value.map(|value| 1.0 - value) } else { value };
        let holds = |value: f64, threshold: f64| match self.direction {
            // Sums of shares such as 0.1 + 0.2 are not less than what they are meant to be.
            Direction::HigherIsBetter => value >= threshold - 1e-12,
            Direction::LowerIsBetter => value <= threshold + 1e-12,
        };
        Score {
            metric: self.metric.clone(),
            implementation: self.implementation.as_str().into(),
            value,
            passed: value.zip(self.threshold).map(|(value, threshold)| holds(value, threshold)),
            reason: match value {
                None => Some(reason.unwrap_or_else(|| "the formula has no value here".to_owned())),
                Some(_) => reason,
            },
            evidence,
        }
    }
}

/// A score that is a pure function of the answer.
pub(crate) trait Measure: Send + Sync {
    fn lacks(&self, _case: &Case) -> Option<String> {
        None
    }

    fn measure(&self, seen: &Seen<'_>) -> Measured;
}

/// A [`Measure`] as a scorer.
pub(crate) struct Plain<M> {
    pub(crate) sheet: Sheet,
    pub(crate) measure: M,
}

impl<M: Measure + 'static> Plain<M> {
    /// The last step of a maker: all options must have been asked for.
    pub(crate) fn boxed(options: &Options<'_>, sheet: Sheet, measure: M) -> Result<Box<dyn Scorer>, Mistake> {
        options.finish()?;
        Ok(Box::new(Plain { sheet, measure }))
    }
}

impl<M: Measure> Scorer for Plain<M> {
    fn metric(&self) -> &Name {
        &self.sheet.metric
    }

    fn implementation(&self) -> &str {
        &self.sheet.implementation
    }

    fn direction(&self) -> Direction {
        self.sheet.direction
    }

    fn lacks(&self, case: &Case) -> Option<String> {
        self.measure.lacks(case)
    }

    fn score<'a>(&'a self, seen: &'a Seen<'a>, _asker: &'a Asker<'a>) -> BoxFuture<'a, Scored> {
        Box::pin(async move {
            let score = self.sheet.score(self.measure.measure(seen));
            Scored { score, ..Scored::default() }
        })
    }
}
