//! Answers that rest on retrieved passages: RAGAS's four metrics and hallucination.
//!
//! Formulas are RAGAS 0.4's (`src/ragas/metrics/_faithfulness.py`, `_answer_relevance.py`, `_context_precision.py`,
//! `_context_recall.py`), the words of the prompts are ours. Where RAGAS has NaN there is no score.

use futures_util::future::{BoxFuture, join_all};
use gauntlet_ports::Direction;
use gauntlet_stats::context_precision;
use gauntlet_types::Name;
use serde_json::{Value, json};

use super::{
    ask::Bill,
    fence::{fence, fence_numbered},
    json,
    measure::{Draw, Finding, Measure, lacks_contexts, lacks_reference, share},
    prompt::Text,
    schema,
    settings::Prompts,
};
use crate::{Case, embed::embed, score::cosine};

/// Claims of one answer beyond which a judge is not asked: no answer makes so many.
const STATEMENTS_MAX: usize = 200;
/// Passages of one case that are asked about one by one.
pub(super) const CONTEXTS_MAX: usize = 100;
/// Questions that are made for one answer: RAGAS's `strictness`.
pub(super) const QUESTIONS: u32 = 3;

/// Σ verdicts / N over the claims of the answer, each 1 where it follows from the passages.
pub(super) struct Faithfulness {
    pub(super) prompts: Prompts,
}

impl Measure for Faithfulness {
    fn implementation(&self) -> &'static str {
        "ragas/0.4:faithfulness"
    }

    fn calls(&self, _: u32) -> u32 {
        2
    }

    fn lacks(&self, case: &Case) -> Option<String> {
        lacks_contexts(case)
    }

    fn texts(&self) -> Vec<Text<'_>> {
        vec![self.prompts.get("statements"), self.prompts.get("verdicts")]
    }

    fn draw<'a>(&'a self, draw: Draw<'a>) -> BoxFuture<'a, Result<Finding, String>> {
        Box::pin(async move {
            if draw.seen.text.trim().is_empty() {
                return Err("the answer is empty, so it claims nothing".to_owned());
            }
            let variables = vec![("question", draw.asked()), ("answer", draw.answer())];
            let statements = draw.ask(
                self.prompts.get("statements"),
                &schema::STATEMENTS,
                variables,
                Some("answer"),
                &statements,
            );
            let statements = statements.await?;
            if statements.is_empty() {
                return Err("the answer makes no claim that could be checked".to_owned());
            }
            // The claims are part of this prompt's hash: other claims are another question.
            let numbered = fence_numbered("statements", statements.iter().map(String::as_str));
            let variables = vec![("contexts", draw.contexts()), ("statements", numbered)];
            let read = |value: &Value| verdicts(value, "verdict", statements.len());
            let verdicts =
                draw.ask(self.prompts.get("verdicts"), &schema::VERDICTS, variables, None, &read).await?;
            let good = verdicts.iter().filter(|verdict| verdict.is_yes).count();
            let against =
                verdicts.iter().find(|verdict| !verdict.is_yes).map(|verdict| verdict.reason.as_str());
            let evidence = verdicts.iter().map(|verdict| {
                let statement = &statements[verdict.at];
                json!({"statement": statement, "verdict": u8::from(verdict.is_yes), "reason": verdict.reason})
            });
            Ok(Finding {
                value: good as f64 / verdicts.len() as f64,
                passed: None,
                reason: share(good, verdicts.len(), "claims follow from the passages", against),
                evidence: json!({"claims": evidence.collect::<Vec<_>>(), "without_verdict": statements.len() - verdicts.len()}),
            })
        })
    }
}

/// Mean cosine of the question with three that the answer would fit, 0 where all of them find it noncommittal.
pub(super) struct AnswerRelevancy {
    pub(super) prompts: Prompts,
    pub(super) embedding_model: Name,
}

impl Measure for AnswerRelevancy {
    fn implementation(&self) -> &'static str {
        "ragas/0.4:answer_relevancy"
    }

    fn calls(&self, _: u32) -> u32 {
        // The question's embedding, and for each that is made one answer and one embedding.
        1 + 2 * QUESTIONS
    }

    fn draws(&self) -> u32 {
        QUESTIONS
    }

    fn by(&self) -> Option<&Name> {
        Some(&self.embedding_model)
    }

    fn lacks(&self, _: &Case) -> Option<String> {
        None
    }

    fn texts(&self) -> Vec<Text<'_>> {
        vec![self.prompts.get("prompt")]
    }

    fn draw<'a>(&'a self, draw: Draw<'a>) -> BoxFuture<'a, Result<Finding, String>> {
        Box::pin(async move {
            let made = join_all((0..QUESTIONS).map(|at| async move {
                let draw = Draw { sample: draw.sample * QUESTIONS + at, ..draw };
                let variables = vec![("answer", draw.answer())];
                let read =
                    |value: &Value| Ok((json::text(value, "question")?, json::truth(value, "noncommittal")?));
                draw.ask(self.prompts.get("prompt"), &schema::RELEVANCY, variables, Some("answer"), &read)
                    .await
            }));
            let made: Vec<(String, bool)> = made.await.into_iter().collect::<Result<_, _>>()?;
            if made.iter().all(|(question, _)| question.is_empty()) {
                return Err("the judge found no question for the answer".to_owned());
            }
            let asked = draw.seen.case.question();
            let texts: Vec<&str> = std::iter::once(asked.as_str())
                .chain(made.iter().map(|(question, _)| question.as_str()))
                .collect();
            let embedded = embed(draw.bench.asker, &self.embedding_model, &texts).await;
            draw.bench.add(Bill { cost: embedded.cost, calls: embedded.calls, cached: embedded.cached });
            let vectors = embedded.vectors?;
            let like =
                |vector: &Vec<f64>| cosine(&vectors[0], vector).ok_or("the embeddings cannot be compared");
            let cosines: Vec<f64> = vectors[1..].iter().map(like).collect::<Result<_, _>>()?;
            let is_evasive = made.iter().all(|(_, is_evasive)| *is_evasive);
            let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
            let questions = made.iter().zip(&cosines).map(|((question, is_evasive), cosine)| {
                json!({"question": question, "noncommittal": u8::from(*is_evasive), "cosine": cosine})
            });
            Ok(Finding {
                value: if is_evasive { 0.0 } else { mean },
                passed: None,
                reason: if is_evasive {
                    "the answer commits to nothing".to_owned()
                } else {
                    format!("questions that the answer fits are like the one asked by {mean:.2}")
                },
                evidence: json!({"questions": questions.collect::<Vec<_>>(), "noncommittal": is_evasive}),
            })
        })
    }
}

/// Whose answer a passage is to be useful for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum UsefulFor {
    /// `context_precision`.
    Reference,
    /// `context_utilization`.
    Answer,
}

/// Average precision of the passages in their order: Σₖ(P@k·vₖ) / (Σv + 1e-10).
pub(super) struct ContextPrecision {
    pub(super) prompts: Prompts,
    pub(super) useful_for: UsefulFor,
}

impl Measure for ContextPrecision {
    fn implementation(&self) -> &'static str {
        match self.useful_for {
            UsefulFor::Reference => "ragas/0.4:context_precision",
            UsefulFor::Answer => "ragas/0.4:context_utilization",
        }
    }

    fn calls(&self, contexts: u32) -> u32 {
        contexts.max(1)
    }

    fn lacks(&self, case: &Case) -> Option<String> {
        let reference = match self.useful_for {
            UsefulFor::Reference => lacks_reference(case),
            UsefulFor::Answer => None,
        };
        lacks_contexts(case).or(reference)
    }

    fn texts(&self) -> Vec<Text<'_>> {
        vec![self.prompts.get("prompt")]
    }

    fn draw<'a>(&'a self, draw: Draw<'a>) -> BoxFuture<'a, Result<Finding, String>> {
        Box::pin(async move {
            let contexts = &draw.seen.case.contexts;
            if contexts.len() > CONTEXTS_MAX {
                return Err(format!(
                    "the case has {} passages; at most {CONTEXTS_MAX} are judged",
                    contexts.len()
                ));
            }
            // Without the candidate's output the verdict is the same for every candidate, and known from the first.
            let (answer, output) = match self.useful_for {
                UsefulFor::Reference => (draw.seen.case.expected_text().unwrap_or_default(), None),
                UsefulFor::Answer => (draw.seen.text.to_owned(), Some("answer")),
            };
            let answer = &fence("answer", &answer);
            let verdicts = join_all(contexts.iter().map(|context| async move {
                let variables = vec![
                    ("question", draw.asked()),
                    ("context", fence("context", context)),
                    ("answer", answer.clone()),
                ];
                let read = |value: &Value| Ok((json::truth(value, "verdict")?, json::reason(value)));
                draw.ask(self.prompts.get("prompt"), &schema::VERDICT, variables, output, &read).await
            }));
            let verdicts: Vec<(bool, String)> = verdicts.await.into_iter().collect::<Result<_, _>>()?;
            let good = verdicts.iter().filter(|(is_useful, _)| *is_useful).count();
            let evidence = verdicts.iter().enumerate().map(|(at, (is_useful, reason))| {
                json!({"context": at + 1, "verdict": u8::from(*is_useful), "reason": reason})
            });
            Ok(Finding {
                value: context_precision(
                    &verdicts.iter().map(|(is_useful, _)| *is_useful).collect::<Vec<_>>(),
                ),
                passed: None,
                reason: share(good, verdicts.len(), "passages are useful", None),
                evidence: json!({"contexts": evidence.collect::<Vec<_>>()}),
            })
        })
    }
}

/// Share of the sentences of the right answer that the passages hold.
pub(super) struct ContextRecall {
    pub(super) prompts: Prompts,
}

impl Measure for ContextRecall {
    fn implementation(&self) -> &'static str {
        "ragas/0.4:context_recall"
    }

    fn calls(&self, _: u32) -> u32 {
        1
    }

    fn lacks(&self, case: &Case) -> Option<String> {
        lacks_contexts(case).or_else(|| lacks_reference(case))
    }

    fn texts(&self) -> Vec<Text<'_>> {
        vec![self.prompts.get("prompt")]
    }

    fn draw<'a>(&'a self, draw: Draw<'a>) -> BoxFuture<'a, Result<Finding, String>> {
        Box::pin(async move {
            let reference = draw.seen.case.expected_text().unwrap_or_default();
            let variables = vec![
                ("question", draw.asked()),
                ("contexts", draw.contexts()),
                ("reference", fence("reference", &reference)),
            ];
            let read = |value: &Value| {
                let one = |one: &Value| {
                    let sentence = json::phrase(one).unwrap_or_default();
                    Ok((sentence.to_owned(), json::truth(one, "attributed")?, json::reason(one)))
                };
                json::list(value, "sentences")?
                    .iter()
                    .take(STATEMENTS_MAX)
                    .map(one)
                    .collect::<Result<Vec<_>, String>>()
            };
            let sentences =
                draw.ask(self.prompts.get("prompt"), &schema::SENTENCES, variables, None, &read).await?;
            if sentences.is_empty() {
                return Err("the judge found no sentence in the expected answer".to_owned());
            }
            let good = sentences.iter().filter(|(_, is_there, _)| *is_there).count();
            let against =
                sentences.iter().find(|(_, is_there, _)| !is_there).map(|(_, _, reason)| reason.as_str());
            let evidence = sentences.iter().map(|(sentence, is_there, reason)| {
                json!({"statement": sentence, "verdict": u8::from(*is_there), "reason": reason})
            });
            Ok(Finding {
                value: good as f64 / sentences.len() as f64,
                passed: None,
                reason: share(
                    good,
                    sentences.len(),
                    "sentences of the expected answer are in the passages",
                    against,
                ),
                evidence: json!({"claims": evidence.collect::<Vec<_>>()}),
            })
        })
    }
}

/// Share of the passages that the answer contradicts: lower is better (DeepEval 4.1, `metrics/hallucination/`).
pub(super) struct Hallucination {
    pub(super) prompts: Prompts,
}

impl Measure for Hallucination {
    fn implementation(&self) -> &'static str {
        "deepeval/4.1:hallucination"
    }

    fn direction(&self) -> Direction {
        Direction::LowerIsBetter
    }

    fn calls(&self, _: u32) -> u32 {
        1
    }

    fn lacks(&self, case: &Case) -> Option<String> {
        lacks_contexts(case)
    }

    fn texts(&self) -> Vec<Text<'_>> {
        vec![self.prompts.get("prompt")]
    }

    fn draw<'a>(&'a self, draw: Draw<'a>) -> BoxFuture<'a, Result<Finding, String>> {
        Box::pin(async move {
            let contexts = draw.seen.case.contexts.len();
            let variables = vec![("contexts", draw.contexts()), ("answer", draw.answer())];
            let read = |value: &Value| verdicts(value, "agrees", contexts);
            let text = self.prompts.get("prompt");
            let verdicts = draw.ask(text, &schema::AGREEMENTS, variables, Some("answer"), &read).await?;
            let bad = verdicts.iter().filter(|verdict| !verdict.is_yes).count();
            let against =
                verdicts.iter().find(|verdict| !verdict.is_yes).map(|verdict| verdict.reason.as_str());
            let evidence = verdicts.iter().map(|verdict| {
                json!({"context": verdict.at + 1, "agrees": u8::from(verdict.is_yes), "reason": verdict.reason})
            });
            Ok(Finding {
                value: bad as f64 / verdicts.len() as f64,
                passed: None,
                reason: share(bad, verdicts.len(), "passages are contradicted", against),
                evidence: json!({"contexts": evidence.collect::<Vec<_>>(), "without_verdict": contexts - verdicts.len()}),
            })
        })
    }
}

struct Verdict {
    /// Of what was numbered, from 0.
    at: usize,
    is_yes: bool,
    reason: String,
}

fn statements(value: &Value) -> Result<Vec<String>, String> {
    let texts = json::list(value, "statements")?.iter().take(STATEMENTS_MAX);
    // An empty one claims nothing; anything but a text is no claim that could be checked.
    let claims = texts.filter(|one| one.as_str().is_none_or(|text| !text.trim().is_empty()));
    let claims: Option<Vec<String>> = claims.map(|one| json::phrase(one).map(str::to_owned)).collect();
    claims.ok_or_else(|| "field \"statements\" must be a list of texts".to_owned())
}

/// One verdict for each of `count` numbered things, the first where there are two; by their place where no number stands.
///
/// Errors: none is there, which no share can be taken of.
fn verdicts(value: &Value, name: &str, count: usize) -> Result<Vec<Verdict>, String> {
    let mut found: Vec<Verdict> = Vec::new();
    for (place, one) in json::list(value, "verdicts")?.iter().enumerate().take(STATEMENTS_MAX) {
        let number = match &one["number"] {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => Some(place as u64 + 1),
        };
        let at = number.and_then(|number| usize::try_from(number).ok()?.checked_sub(1));
        let Some(at) = at.filter(|at| *at < count) else { continue };
        if !found.iter().any(|known| known.at == at) {
            found.push(Verdict { at, is_yes: json::truth(one, name)?, reason: json::reason(one) });
        }
    }
    if found.is_empty() {
        return Err(format!("field \"verdicts\" must have an entry for each number from 1 to {count}"));
    }
    found.sort_by_key(|verdict| verdict.at);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_find_their_claims_by_number_or_place() {
        let check = |value: Value, wanted: &[(usize, bool)]| {
            let found = verdicts(&value, "verdict", 3).unwrap();
            let found: Vec<(usize, bool)> = found.iter().map(|one| (one.at, one.is_yes)).collect();
            assert_eq!(found, wanted, "{value}");
        };
        check(
            json!({"verdicts": [{"number": 2, "verdict": 0}, {"number": 1, "verdict": 1}]}),
            &[(0, true), (1, false)],
        );
        check(json!([{"verdict": 1}, {"verdict": 0}, {"verdict": 1}]), &[(0, true), (1, false), (2, true)]);
        check(
            json!([{"number": 1, "verdict": 1}, {"number": 1, "verdict": 0}, {"number": 9, "verdict": 0}]),
            &[(0, true)],
        );
        assert!(verdicts(&json!({"verdicts": []}), "verdict", 3).is_err());
        assert!(verdicts(&json!([{"verdict": "perhaps"}]), "verdict", 3).is_err());
    }
}
