//! G-Eval: a criterion, steps of evaluation, a score, weighted by how sure the judge was (Liu et al. 2023).

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::{
    ask::Question,
    fence::fence,
    json,
    measure::{Draw, Finding, Measure},
    prompt::Text,
    schema,
    settings::Prompts,
    tokens,
};
use crate::{Case, template::Template};

/// More steps than a judge follows.
const STEPS_MAX: usize = 20;

/// What is judged by.
pub(super) enum Basis {
    /// The judge makes steps of it, once.
    Criteria(Template),
    Steps(Template),
}

/// (g − min) / (max − min), where g is the score, or its expectation over the tokens that might have stood in its place.
pub(super) struct GEval {
    pub(super) prompts: Prompts,
    pub(super) basis: Basis,
    pub(super) min: u32,
    pub(super) max: u32,
    pub(super) is_weighted: bool,
}

impl GEval {
    async fn steps(&self, draw: &Draw<'_>) -> Result<Vec<String>, String> {
        let case = draw.seen.case;
        match &self.basis {
            Basis::Steps(template) => match template.of(case)?.as_ref() {
                Value::Array(steps) => Ok(steps
                    .iter()
                    .map(|step| step.as_str().map_or_else(|| step.to_string(), str::to_owned))
                    .collect()),
                Value::String(step) => Ok(vec![step.clone()]),
                other => Err(format!("`steps` came out as {other}, which is no list")),
            },
            Basis::Criteria(template) => {
                let criteria = text_of(template, case)?;
                let variables = vec![("criteria", fence("criteria", &criteria))];
                let read = |value: &Value| {
                    let steps = json::list(value, "steps")?.iter().take(STEPS_MAX);
                    let steps: Vec<String> = steps.filter_map(json::phrase).map(str::to_owned).collect();
                    if steps.is_empty() {
                        Err("field \"steps\" must be a list of texts".to_owned())
                    } else {
                        Ok(steps)
                    }
                };
                // One set of steps for all draws: they are part of the measure, not of the look.
                let once = Draw { sample: 0, ..*draw };
                once.ask(self.prompts.get("steps"), &schema::STEPS, variables, None, &read).await
            }
        }
    }
}

impl Measure for GEval {
    fn implementation(&self) -> &'static str {
        "deepeval/4.1:g_eval"
    }

    fn calls(&self, _: u32) -> u32 {
        // The steps are made once for all cases, and looked up from then on.
        1
    }

    fn lacks(&self, case: &Case) -> Option<String> {
        let (Basis::Criteria(template) | Basis::Steps(template)) = &self.basis;
        template.of(case).err()
    }

    fn texts(&self) -> Vec<Text<'_>> {
        match self.basis {
            Basis::Criteria(_) => vec![self.prompts.get("steps"), self.prompts.get("prompt")],
            Basis::Steps(_) => vec![self.prompts.get("prompt")],
        }
    }

    fn draw<'a>(&'a self, draw: Draw<'a>) -> BoxFuture<'a, Result<Finding, String>> {
        Box::pin(async move {
            let steps = self.steps(&draw).await?;
            let numbered: Vec<String> =
                steps.iter().enumerate().map(|(at, step)| format!("{}. {}", at + 1, step.trim())).collect();
            let (min, max) = (f64::from(self.min), f64::from(self.max));
            let question = Question {
                text: self.prompts.get("prompt"),
                variables: vec![
                    ("steps", numbered.join("\n")),
                    ("range_min", self.min.to_string()),
                    ("range_max", self.max.to_string()),
                    ("material", draw.material()),
                ],
                output: draw.output(Some("answer")),
                schema: &schema::SCORE,
                sample: draw.sample,
                with_tokens: self.is_weighted,
            };
            let read = |value: &Value| Ok((json::number(value, "score", min, max)?, json::reason(value)));
            let ((raw, reason), said) = draw.judge.ask(draw.bench, &question, &read).await?;
            let weighted = tokens::expected(&said.tokens, raw).map(|score| score.clamp(min, max));
            Ok(Finding {
                value: (weighted.unwrap_or(raw) - min) / (max - min),
                passed: None,
                reason,
                evidence: json!({"steps": steps, "score": raw, "weighted": weighted, "range": [self.min, self.max]}),
            })
        })
    }
}

/// A template's value as a text.
pub(super) fn text_of(template: &Template, case: &Case) -> Result<String, String> {
    Ok(match template.of(case)?.as_ref() {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    })
}
