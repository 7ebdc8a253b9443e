//! Several metrics as one: the weighted mean of their values.
//!
//! ```yaml
//! - weighted:
//!     threshold: 0.7            # without one, a case passes where all parts pass
//!     of:
//!       - contains: {value: Austin, weight: 2}
//!       - latency: {threshold: 2000}
//! ```
//! A part of which less is better counts as 1 where it holds its threshold, and as 0 where it does not. A part may be a judge's: what it
//! takes for a judge to gate is asked of each such part ([`parts`]).

use futures_util::future::{BoxFuture, join_all};
use gauntlet_ports::Direction::{self, HigherIsBetter, LowerIsBetter};
use gauntlet_types::Name;
use serde_json::{Value, json};

use super::{Measured, Sheet, options::Options, sheet::Range};
use crate::{Asker, Case, MetricSpec, Mistake, Scored, Scorer, Seen, Suite, metrics};

/// Nobody reads a mean of more.
const PARTS_MAX: usize = 64;

struct Part {
    scorer: Box<dyn Scorer>,
    weight: f64,
}

struct Weighted {
    sheet: Sheet,
    parts: Vec<Part>,
}

pub(super) fn weighted(options: &mut Options<'_>) -> Result<Box<dyn Scorer>, Mistake> {
    let sheet = Sheet::new(options, "gauntlet/1:weighted", HigherIsBetter, Range::Share)?;
    let Some(Value::Array(entries)) = options.take("of") else {
        return Err(options.mistake(
            "`of` is not a list of metrics",
            "write `of: [is_json, {contains: {value: …, weight: 2}}]`",
        ));
    };
    if entries.is_empty() || entries.len() > PARTS_MAX {
        return Err(
            options.mistake(format!("`of` has {} metrics", entries.len()), format!("list 1 to {PARTS_MAX}"))
        );
    }
    let parts: Vec<Part> = entries.iter().map(|entry| part(entry, options)).collect::<Result<_, _>>()?;
    for (at, part) in parts.iter().enumerate() {
        let name = part.scorer.metric();
        let is_judged = part.scorer.calls_max() > 0;
        if is_judged && parts[..at].iter().any(|other| other.scorer.metric() == name) {
            let cure =
                "give each a name, as `- rubric: {name: tone, …}`: what is known of a judge is kept by it";
            return Err(options.mistake(format!("two parts are called `{name}`"), cure));
        }
    }
    if parts.iter().map(|part| part.weight).sum::<f64>() <= 0.0 {
        return Err(options.mistake("all weights are 0", "give one of them a `weight` above 0"));
    }
    options.finish()?;
    Ok(Box::new(Weighted { sheet, parts }))
}

/// The metrics that a weighted one is made of, those within others too, by the names that their scores have; none of another kind, and
/// none that cannot be made.
pub(crate) fn parts(spec: &MetricSpec, suite: &Suite) -> Vec<MetricSpec> {
    if spec.kind != *"weighted" {
        return Vec::new();
    }
    let options = Options::new(spec, suite);
    let entries = spec.options.get("of").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let direct = entries.iter().take(PARTS_MAX).filter_map(|entry| described(entry, &options).ok());
    direct
        .flat_map(|(part, _)| {
            let within = parts(&part, suite);
            std::iter::once(part).chain(within)
        })
        .collect()
}

/// A part as a metric of its own, and its weight.
fn described(entry: &Value, options: &Options<'_>) -> Result<(MetricSpec, f64), Mistake> {
    let (kind, mut given) = match entry {
        Value::String(kind) => (kind.clone(), serde_json::Map::new()),
        Value::Object(map) if map.len() == 1 => match map.iter().next() {
            Some((kind, Value::Object(given))) => (kind.clone(), given.clone()),
            Some((kind, Value::Null)) => (kind.clone(), serde_json::Map::new()),
            _ => {
                return Err(options.mistake(
                    "an entry of `of` is not a metric with its options",
                    "write `- contains: {value: …}`",
                ));
            }
        },
        _ => {
            return Err(options.mistake(
                "an entry of `of` is not a metric",
                "write `- is_json` or `- contains: {value: …}`",
            ));
        }
    };
    let mut number = |name: &str| match given.shift_remove(name) {
        None => Ok(None),
        Some(value) => match value.as_f64().filter(|number| number.is_finite()) {
            Some(number) => Ok(Some(number)),
            None => Err(options.mistake(format!("`{name}` of `{kind}` is not a number"), "write a number")),
        },
    };
    let (weight, threshold) = (number("weight")?.unwrap_or(1.0), number("threshold")?);
    if weight < 0.0 {
        return Err(options.mistake(format!("`weight` of `{kind}` is below 0"), "write a number from 0 up"));
    }
    let name = match given.shift_remove("name") {
        None => kind.clone(),
        Some(Value::String(name)) if !name.is_empty() => name,
        Some(_) => {
            return Err(options.mistake(format!("`name` of `{kind}` is not a text"), "write it in quotes"));
        }
    };
    let spec = MetricSpec {
        name: format!("{}.{name}", options.spec.name).into(),
        kind: kind.as_str().into(),
        options: given,
        threshold,
        line: options.spec.line,
        ..MetricSpec::default()
    };
    Ok((spec, weight))
}

fn part(entry: &Value, options: &Options<'_>) -> Result<Part, Mistake> {
    let (spec, weight) = described(entry, options)?;
    let MetricSpec { kind, threshold, .. } = &spec;
    let Some(scorer) = metrics::one(&spec, options.suite)? else {
        let kinds: Vec<&str> = metrics::kinds().collect();
        let cure = super::options::cure(kind, &kinds);
        return Err(options.mistake(format!("`{}` cannot be a part of it", kind.escape_debug()), cure));
    };
    if scorer.direction() == LowerIsBetter
        && threshold.is_none()
        && !matches!(kind.as_str(), "policy" | "toxicity")
    {
        let cure = format!("write `{kind}: {{threshold: …}}`");
        return Err(
            options.mistake(format!("of `{kind}` less is better, and it has no threshold to hold"), cure)
        );
    }
    Ok(Part { scorer, weight })
}

impl Weighted {
    async fn scored(&self, seen: &Seen<'_>, asker: &Asker<'_>) -> Scored {
        let mut all = Scored::default();
        let (mut sum, mut weights, mut has_all_passed) = (0.0, 0.0, true);
        let (mut missing, mut failed, mut evidence) = (Vec::new(), Vec::new(), Vec::new());
        let asked: Vec<&Part> = self.parts.iter().filter(|part| part.scorer.applies(seen.case)).collect();
        let scored = join_all(asked.iter().map(|part| part.scorer.score(seen, asker))).await;
        for (Part { scorer, weight }, scored) in asked.into_iter().zip(scored) {
            let Scored { score, cost, calls, cached } = scored;
            all.cost = all.cost.plus(cost);
            all.calls += calls;
            all.cached += cached;
            let value = match scorer.direction() {
                HigherIsBetter => score.value,
                LowerIsBetter => score.passed.map(|passed| f64::from(u8::from(passed))),
            };
            evidence.push(json!({"metric": score.metric, "value": score.value, "passed": score.passed,
                "weight": weight, "reason": score.reason, "evidence": score.evidence}));
            // As promptfoo has it, what weighs nothing can be read and fails nobody.
            if score.passed == Some(false) && *weight > 0.0 {
                has_all_passed = false;
                failed.push(score.metric.to_string());
            }
            match value {
                Some(value) => {
                    sum += weight * value;
                    weights += weight;
                }
                None if *weight > 0.0 => missing.push(score.metric.to_string()),
                None => {}
            }
        }
        let measured = if !missing.is_empty() {
            Measured::none(format!("unscored: {}", missing.join(", ")))
        } else if weights == 0.0 {
            Measured::none("no part of it is asked of this case")
        } else {
            let measured = Measured::value(sum / weights);
            if failed.is_empty() {
                measured
            } else {
                measured.because(format!("failed: {}", failed.join(", ")))
            }
        };
        all.score = self.sheet.score(measured.with(Value::Array(evidence)));
        if self.sheet.threshold.is_none() && all.score.value.is_some() {
            all.score.passed = Some(has_all_passed);
        }
        all
    }
}

impl Scorer for Weighted {
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
        self.parts.iter().map(|part| part.scorer.calls_max()).sum()
    }

    fn applies(&self, case: &Case) -> bool {
        self.parts.iter().any(|part| part.scorer.applies(case))
    }

    fn lacks(&self, case: &Case) -> Option<String> {
        let asked = self.parts.iter().filter(|part| part.scorer.applies(case));
        asked.filter_map(|part| part.scorer.lacks(case)).next()
    }

    fn score<'a>(&'a self, seen: &'a Seen<'a>, asker: &'a Asker<'a>) -> BoxFuture<'a, Scored> {
        Box::pin(self.scored(seen, asker))
    }
}
