//! Judges that are told in words what to look for: rubric, aspect, factuality, and which of two answers is better.

use std::collections::HashMap;

use futures_util::future::{BoxFuture, join};
use gauntlet_ports::{Direction, EvalResult};
use gauntlet_types::Name;
use serde_json::{Map, Value, json};

use super::{
    fence::fence,
    g_eval::text_of,
    json,
    measure::{Draw, Finding, Measure, lacks_reference},
    prompt::Text,
    schema,
    settings::Prompts,
};
use crate::{Case, template::Template};

/// A rubric in words; the judge says whether it is met and how far (promptfoo's `llm-rubric`: `{pass, score, reason}`).
pub(super) struct Rubric {
    pub(super) prompts: Prompts,
    pub(super) rubric: Template,
}

impl Measure for Rubric {
    fn implementation(&self) -> &'static str {
        "promptfoo/0.121:llm-rubric"
    }

    fn has_own_word(&self) -> bool {
        true
    }

    fn calls(&self, _: u32) -> u32 {
        1
    }

    fn lacks(&self, case: &Case) -> Option<String> {
        self.rubric.of(case).err()
    }

    fn texts(&self) -> Vec<Text<'_>> {
        vec![self.prompts.get("prompt")]
    }

    fn draw<'a>(&'a self, draw: Draw<'a>) -> BoxFuture<'a, Result<Finding, String>> {
        Box::pin(async move {
            let rubric = text_of(&self.rubric, draw.seen.case)?;
            let variables = vec![("rubric", fence("rubric", &rubric)), ("material", draw.material())];
            let read = |value: &Value| {
                // Some judges give only one of the two.
                let passed = if value["pass"].is_null() { None } else { Some(json::truth(value, "pass")?) };
                let score = match (&value["score"], passed) {
                    (Value::Null, Some(passed)) => f64::from(u8::from(passed)),
                    _ => json::number(value, "score", 0.0, 1.0)?,
                };
                // Small models fill in the form: `true` beside `0.0` is no verdict, and whoever took one half of it would be wrong half the time.
                if matches!((passed, score), (Some(true), 0.0) | (Some(false), 1.0)) {
                    return Err("\"pass\" and \"score\" contradict each other".to_owned());
                }
                Ok((passed, score, json::reason(value)))
            };
            let (passed, value, reason) = draw
                .ask(self.prompts.get("prompt"), &schema::RUBRIC, variables, Some("answer"), &read)
                .await?;
            Ok(Finding {
                value,
                passed,
                reason,
                evidence: json!({"rubric": rubric, "pass": passed, "score": value}),
            })
        })
    }
}

/// A statement about the answer that is true or not; the majority of an odd number of votes (RAGAS 0.4, `_aspect_critic.py`).
pub(super) struct Aspect {
    pub(super) prompts: Prompts,
    pub(super) definition: Template,
    pub(super) direction: Direction,
}

impl Measure for Aspect {
    fn implementation(&self) -> &'static str {
        "ragas/0.4:aspect_critic"
    }

    fn direction(&self) -> Direction {
        self.direction
    }

    fn calls(&self, _: u32) -> u32 {
        1
    }

    fn lacks(&self, case: &Case) -> Option<String> {
        self.definition.of(case).err()
    }

    fn texts(&self) -> Vec<Text<'_>> {
        vec![self.prompts.get("prompt")]
    }

    fn draw<'a>(&'a self, draw: Draw<'a>) -> BoxFuture<'a, Result<Finding, String>> {
        Box::pin(async move {
            let definition = text_of(&self.definition, draw.seen.case)?;
            let variables =
                vec![("definition", fence("definition", &definition)), ("material", draw.material())];
            let read = |value: &Value| Ok((json::truth(value, "verdict")?, json::reason(value)));
            let (is_so, reason) = draw
                .ask(self.prompts.get("prompt"), &schema::VERDICT, variables, Some("answer"), &read)
                .await?;
            Ok(Finding {
                value: f64::from(u8::from(is_so)),
                passed: Some(is_so == (self.direction == Direction::HigherIsBetter)),
                reason,
                evidence: json!({"definition": definition, "verdict": u8::from(is_so)}),
            })
        })
    }
}

/// The facts of an answer against those of a right one, by letter (OpenAI's `closedqa`/`fact` evals, as promptfoo has them).
pub(super) struct Factuality {
    pub(super) prompts: Prompts,
    /// Score of each letter; D contradicts and is 0 unless said, all others 1.
    pub(super) scores: [f64; 5],
}

pub(super) const CATEGORIES: [&str; 5] = ["A", "B", "C", "D", "E"];

impl Measure for Factuality {
    fn implementation(&self) -> &'static str {
        "promptfoo/0.121:factuality"
    }

    fn calls(&self, _: u32) -> u32 {
        1
    }

    fn lacks(&self, case: &Case) -> Option<String> {
        lacks_reference(case)
    }

    fn texts(&self) -> Vec<Text<'_>> {
        vec![self.prompts.get("prompt")]
    }

    fn draw<'a>(&'a self, draw: Draw<'a>) -> BoxFuture<'a, Result<Finding, String>> {
        Box::pin(async move {
            let reference = draw.seen.case.expected_text().unwrap_or_default();
            let variables = vec![
                ("question", draw.asked()),
                ("answer", draw.answer()),
                ("reference", fence("reference", &reference)),
            ];
            let read = |value: &Value| Ok((category(value)?, json::reason(value)));
            let (at, reason) = draw
                .ask(self.prompts.get("prompt"), &schema::FACTUALITY, variables, Some("answer"), &read)
                .await?;
            Ok(Finding {
                value: self.scores[at],
                passed: Some(self.scores[at] > 0.0),
                reason,
                evidence: json!({"category": CATEGORIES[at]}),
            })
        })
    }
}

/// The letter, also where words follow it: `(C)`, `C: the same facts`.
fn category(value: &Value) -> Result<usize, String> {
    let said = value["category"].as_str().unwrap_or_default().trim().trim_start_matches(['(', '"', '\'']);
    let mut letters = said.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase().to_string());
    let is_alone = letters.next().is_none_or(|next| !next.is_alphanumeric());
    let at = CATEGORIES.iter().position(|letter| Some(*letter) == first.as_deref());
    at.filter(|_| is_alone).ok_or_else(|| "field \"category\" must be A, B, C, D or E".to_owned())
}

/// Which answer the candidate's is compared with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Against {
    Expected,
    /// The answer that the line of the dataset holds (`output`).
    Recorded,
    /// The baseline's answer to the same case, which whoever runs both puts into the field [`BASELINE`] of the case.
    Baseline,
}

/// The field of a case that holds the baseline's answer.
pub const BASELINE: &str = "baseline_output";

/// Puts the answers of a baseline's run beside the cases, for `pairwise` with `against: baseline`. Of several repeats the first counts.
pub fn with_baseline(cases: &mut [Case], results: &[EvalResult]) {
    let firsts = results.iter().filter(|result| result.repeat == 0);
    let outputs: HashMap<&Name, &String> =
        firsts.filter_map(|result| Some((&result.case, result.output.as_ref()?))).collect();
    for case in cases {
        if let Some(output) = outputs.get(&case.id) {
            case.extra.insert(BASELINE.to_owned(), output.as_str().into());
        }
    }
}

impl Against {
    fn of(self, case: &Case) -> Option<String> {
        let value = match self {
            Against::Expected => case.expected.as_ref(),
            Against::Recorded => case.output.as_ref(),
            Against::Baseline => case.extra.get(BASELINE),
        };
        value.filter(|value| !value.is_null()).map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    }
}

/// 1 the candidate is better, 0 the other, 0.5 neither. Asked in both orders; orders that disagree are a tie, since then it was
/// the place that decided (Zheng et al. 2023, "Judging LLM-as-a-Judge", §3.4).
pub(super) struct Pairwise {
    pub(super) prompts: Prompts,
    pub(super) criteria: Template,
    pub(super) against: Against,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Winner {
    Candidate,
    Other,
    Neither,
}

impl Winner {
    const fn as_str(self) -> &'static str {
        match self {
            Winner::Candidate => "candidate",
            Winner::Other => "other",
            Winner::Neither => "tie",
        }
    }
}

impl Pairwise {
    async fn compare(
        &self,
        draw: &Draw<'_>,
        other: &str,
        is_first: bool,
    ) -> Result<(Winner, String), String> {
        let criteria = text_of(&self.criteria, draw.seen.case)?;
        let (mine, theirs) = if is_first { ("first", "second") } else { ("second", "first") };
        let variables = vec![
            ("question", draw.asked()),
            ("criteria", fence("criteria", &criteria)),
            (mine, fence(mine, draw.seen.text)),
            (theirs, fence(theirs, other)),
        ];
        let read = |value: &Value| {
            let winner = match json::text(value, "winner")?.to_ascii_lowercase().as_str() {
                "tie" | "neither" | "both" => Winner::Neither,
                "first" | "1" => {
                    if is_first {
                        Winner::Candidate
                    } else {
                        Winner::Other
                    }
                }
                "second" | "2" => {
                    if is_first {
                        Winner::Other
                    } else {
                        Winner::Candidate
                    }
                }
                _ => return Err("field \"winner\" must be first, second or tie".to_owned()),
            };
            Ok((winner, json::reason(value)))
        };
        draw.ask(self.prompts.get("prompt"), &schema::PAIRWISE, variables, Some(mine), &read).await
    }
}

impl Measure for Pairwise {
    fn implementation(&self) -> &'static str {
        "gauntlet/1:pairwise"
    }

    fn calls(&self, _: u32) -> u32 {
        2
    }

    fn lacks(&self, case: &Case) -> Option<String> {
        let other = match self.against {
            _ if self.against.of(case).is_some() => None,
            Against::Expected => lacks_reference(case),
            Against::Recorded => Some("`output`: the answer to compare with".to_owned()),
            // It comes with the run, not with the dataset.
            Against::Baseline => None,
        };
        other.or_else(|| self.criteria.of(case).err())
    }

    fn texts(&self) -> Vec<Text<'_>> {
        vec![self.prompts.get("prompt")]
    }

    fn draw<'a>(&'a self, draw: Draw<'a>) -> BoxFuture<'a, Result<Finding, String>> {
        Box::pin(async move {
            let Some(other) = self.against.of(draw.seen.case) else {
                return Err("there is no answer to compare with".to_owned());
            };
            if other.trim() == draw.seen.text.trim() {
                let evidence = json!({"same_text": true});
                return Ok(Finding {
                    value: 0.5,
                    passed: None,
                    reason: "both answers are the same".to_owned(),
                    evidence,
                });
            }
            let (one, two) =
                join(self.compare(&draw, &other, true), self.compare(&draw, &other, false)).await;
            let ((one, reason), (two, reason_swapped)) = (one?, two?);
            let value = match (one, two) {
                (Winner::Candidate, Winner::Candidate) => 1.0,
                (Winner::Other, Winner::Other) => 0.0,
                _ => 0.5,
            };
            let reason_told = match (one, two) {
                (one, two) if one == two => reason.clone(),
                _ => format!(
                    "a tie: the judge said {} in one order and {} in the other",
                    one.as_str(),
                    two.as_str()
                ),
            };
            let evidence = json!({"orders": [
                {"candidate_is": "first", "winner": one.as_str(), "reason": reason},
                {"candidate_is": "second", "winner": two.as_str(), "reason": reason_swapped},
            ]});
            Ok(Finding { value, passed: None, reason: reason_told, evidence })
        })
    }
}

/// Scores of letters from `scores: {A: 0.5}`.
///
/// Errors: what is wrong with it.
pub(super) fn scores(given: &Map<String, Value>) -> Result<[f64; 5], String> {
    let mut scores = [1.0, 1.0, 1.0, 0.0, 1.0];
    for (letter, value) in given {
        let at = CATEGORIES.iter().position(|known| letter == known);
        let score = value.as_f64().filter(|score| (0.0..=1.0).contains(score));
        match (at, score) {
            (Some(at), Some(score)) => scores[at] = score,
            _ => return Err(format!("`scores` has `{}: {value}`", letter.escape_debug())),
        }
    }
    Ok(scores)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_found_with_what_stands_beside_it() {
        let check = |said: &str, wanted: Option<usize>| {
            assert_eq!(category(&json!({"category": said})).ok(), wanted, "{said}");
        };
        check("C", Some(2));
        check("(d)", Some(3));
        check("A: fewer facts", Some(0));
        check("B.", Some(1));
        check("All good", None);
        check("F", None);
        check("", None);
    }

    #[test]
    fn a_baseline_brings_its_first_answers() {
        let of = |case: &str, repeat, output: Option<&str>| EvalResult {
            case: case.into(),
            repeat,
            output: output.map(str::to_owned),
            ..EvalResult::default()
        };
        let mut cases =
            [Case { id: "a".into(), ..Case::default() }, Case { id: "b".into(), ..Case::default() }];
        with_baseline(&mut cases, &[of("a", 1, Some("late")), of("a", 0, Some("first")), of("b", 0, None)]);
        assert_eq!(Against::Baseline.of(&cases[0]).as_deref(), Some("first"));
        assert_eq!(Against::Baseline.of(&cases[1]), None);
    }

    #[test]
    fn scores_of_letters_are_from_0_to_1() {
        let of = |value: Value| scores(value.as_object().unwrap());
        assert_eq!(of(json!({"A": 0.5})), Ok([0.5, 1.0, 1.0, 0.0, 1.0]));
        assert!(of(json!({"F": 1})).is_err());
        assert!(of(json!({"A": 2})).is_err());
    }
}
