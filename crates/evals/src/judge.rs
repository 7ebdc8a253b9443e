//! Judges: models that score answers.
//!
//! Each kind is a [`measure::Measure`]: one look at one answer, made of one call or several. What all share is in
//! [`scorer`]: several looks and their median, thresholds, and that what a judge fails to say is *unscored*, never 0. Calls go
//! through [`ask`], which knows what was answered before. Formulas are those of RAGAS, DeepEval and promptfoo, cited at each; the
//! texts are our own, kept as prompts ([`prompt`]). `docs/judges.md` says what a judge can be trusted with.

mod ask;
mod fence;
mod form;
mod g_eval;
mod json;
mod measure;
mod prompt;
mod rag;
mod schema;
mod scorer;
mod settings;
mod tokens;
mod words;

#[cfg(test)]
mod tests;

use gauntlet_ports::Direction;
use gauntlet_types::Name;
use serde_json::Value;

pub use ask::NoCache;
pub use form::Forms;
pub use prompt::{built_in as built_in_prompts, names as built_in_prompt_names};
pub use words::{BASELINE, with_baseline};

use g_eval::{Basis, GEval};
use rag::{AnswerRelevancy, ContextPrecision, ContextRecall, Faithfulness, Hallucination, UsefulFor};
use scorer::JudgeScorer;
use settings::Prompts;
use words::{Against, Aspect, Factuality, Pairwise, Rubric};

use crate::{
    MetricSpec, Mistake, Scorer, Suite, retrieval,
    score::{Options, Range},
    template::Template,
    when,
};

/// Kinds of metrics that [`make`] makes: judges, and the measures of rankings, which need none.
pub const KINDS: &[&str] = &[
    "faithfulness",
    "answer_relevancy",
    "context_precision",
    "context_utilization",
    "context_recall",
    "hallucination",
    "g_eval",
    "rubric",
    "factuality",
    "aspect",
    "pairwise",
    "hit_at_k",
    "recall_at_k",
    "precision_at_k",
    "mrr",
    "ndcg",
    "average_precision",
];

/// A scorer for a metric of a suite; none where its kind is not one of [`KINDS`].
///
/// Errors: an option that is unknown, missing or wrong, with the line of the metric and the cure.
pub fn make(spec: &MetricSpec, suite: &Suite) -> Result<Option<Box<dyn Scorer>>, Mistake> {
    if !KINDS.contains(&spec.kind.as_str()) {
        return Ok(None);
    }
    when::with(spec, suite, |spec| {
        if retrieval::KINDS.contains(&spec.kind.as_str()) {
            return retrieval::make(Options::new(spec, suite)).map(Some);
        }
        let scorer = judge(Options::new(spec, suite))?;
        Ok(Some(Box::new(scorer) as Box<dyn Scorer>))
    })
}

/// What tells one judge from another: model, draws, parameters, formula, and the exact texts it is asked by. Two metrics with the
/// same fingerprint judge alike, so that what was learnt of one (its agreement with people) holds for the other. None for a
/// metric that is no judge, and for one that cannot be made.
pub fn fingerprint(spec: &MetricSpec, suite: &Suite) -> Option<Fingerprint> {
    let is_judge = KINDS.contains(&spec.kind.as_str()) && !retrieval::KINDS.contains(&spec.kind.as_str());
    let mut bare = spec.clone();
    // Which cases are asked, and what is done with the score, does not change the judge.
    for name in ["when_present", "tags", "not"] {
        bare.options.shift_remove(name);
    }
    let judge = is_judge.then(|| judge(Options::new(&bare, suite)).ok()).flatten()?;
    // What the judge says of itself holds wherever in the suite it was written.
    for name in ["judge", "samples", "params", "prompt", "prompts", "embedding_model"] {
        bare.options.shift_remove(name);
    }
    Some(judge.fingerprint(&bare))
}

/// A judge, as calibrations are kept by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Fingerprint {
    pub kind: Name,
    pub model: Name,
    /// Of everything else that it judges by (SHA-256, hexadecimal).
    pub hash: Name,
}

fn judge(mut options: Options<'_>) -> Result<JudgeScorer, Mistake> {
    let kind = options.kind().to_owned();
    let options = &mut options;
    match kind.as_str() {
        "faithfulness" => {
            let roles = &[
                ("statements", "judge-faithfulness-statements"),
                ("verdicts", "judge-faithfulness-verdicts"),
            ];
            let prompts = Prompts::take(options, roles)?;
            JudgeScorer::new(options, Faithfulness { prompts }, Range::Share)
        }
        "answer_relevancy" => answer_relevancy(options),
        "context_precision" => context_precision(options, UsefulFor::Reference),
        "context_utilization" => context_precision(options, UsefulFor::Answer),
        "context_recall" => {
            let prompts = Prompts::take(options, &[("prompt", "judge-context-recall")])?;
            JudgeScorer::new(options, ContextRecall { prompts }, Range::Share)
        }
        "hallucination" => {
            let prompts = Prompts::take(options, &[("prompt", "judge-hallucination")])?;
            JudgeScorer::new(options, Hallucination { prompts }, Range::Share)
        }
        "g_eval" => g_eval(options),
        "rubric" => {
            let prompts = Prompts::take(options, &[("prompt", "judge-rubric")])?;
            let rubric = needed(options, &["rubric", "criteria", "value"], "what the answer must be like")?;
            JudgeScorer::new(options, Rubric { prompts, rubric }, Range::Share)
        }
        "factuality" => {
            let prompts = Prompts::take(options, &[("prompt", "judge-factuality")])?;
            let given = settings::object(options, "scores")?.unwrap_or_default();
            let scores = words::scores(&given).map_err(|why| {
                options.mistake(why, "write letters from A to E, each with a number from 0 to 1")
            })?;
            JudgeScorer::new(options, Factuality { prompts, scores }, Range::Share)
        }
        "aspect" => {
            let prompts = Prompts::take(options, &[("prompt", "judge-aspect")])?;
            let definition = needed(options, &["definition", "criteria"], "the statement that is checked")?;
            let is_bad = options.flag("lower_is_better")?;
            let direction = if is_bad { Direction::LowerIsBetter } else { Direction::HigherIsBetter };
            JudgeScorer::new(options, Aspect { prompts, definition, direction }, Range::Share)
                .map(JudgeScorer::with_odd_votes)
        }
        "pairwise" => pairwise(options),
        other => unreachable!("`{other}` stands in KINDS and is made by nobody"),
    }
}

fn answer_relevancy(options: &mut Options<'_>) -> Result<JudgeScorer, Mistake> {
    let prompts = Prompts::take(options, &[("prompt", "judge-answer-relevancy")])?;
    let of_suite = options.suite.judge.as_ref().and_then(|judge| judge.embedding_model.clone());
    let Some(embedding_model) = options.text("embedding_model")?.map(Name::from).or(of_suite) else {
        let cure = "write `embedding_model: provider/model` here, or in `judge:` of the suite";
        return Err(options.mistake("it is not said which model makes embeddings", cure));
    };
    JudgeScorer::new(options, AnswerRelevancy { prompts, embedding_model }, Range::Cosine)
}

fn context_precision(options: &mut Options<'_>, useful_for: UsefulFor) -> Result<JudgeScorer, Mistake> {
    let prompts = Prompts::take(options, &[("prompt", "judge-context-precision")])?;
    JudgeScorer::new(options, ContextPrecision { prompts, useful_for }, Range::Share)
}

fn g_eval(options: &mut Options<'_>) -> Result<JudgeScorer, Mistake> {
    /// A provider gives probabilities of single tokens, and a score beyond two digits is rarely one.
    const SCORE_MAX: u64 = 100;
    let prompts = Prompts::take(options, &[("prompt", "judge-g-eval"), ("steps", "judge-g-eval-steps")])?;
    let steps = options.template("steps")?;
    let criteria = options.template("criteria")?;
    let basis = match (criteria, steps) {
        (_, Some(steps)) => Basis::Steps(steps),
        (Some(criteria), None) => Basis::Criteria(criteria),
        (None, None) => {
            let cure = "write `criteria: …` in a sentence, or `steps: [first, second]`";
            return Err(options.mistake("it is not said what is judged", cure));
        }
    };
    let (min, max) = match options.take("range") {
        None => (0, 10),
        Some(value) => {
            let ends: Option<Vec<u64>> =
                value.as_array().and_then(|ends| ends.iter().map(Value::as_u64).collect());
            match ends.as_deref() {
                Some([min, max]) if min < max && *max <= SCORE_MAX => (*min as u32, *max as u32),
                _ => {
                    let cure =
                        format!("write two whole numbers from 0 to {SCORE_MAX}, such as `range: [1, 5]`");
                    return Err(options.mistake(format!("`range` is {value}"), cure));
                }
            }
        }
    };
    let is_weighted = options.word("weighted", &[("auto", true), ("off", false)])?;
    JudgeScorer::new(options, GEval { prompts, basis, min, max, is_weighted }, Range::Share)
}

fn pairwise(options: &mut Options<'_>) -> Result<JudgeScorer, Mistake> {
    let prompts = Prompts::take(options, &[("prompt", "judge-pairwise")])?;
    let usual = "Which answer is more correct, more helpful and more to the point?";
    let criteria = match options.template("criteria")? {
        Some(criteria) => criteria,
        None => Template::text(usual).map_err(|why| options.mistake(why, "report this"))?,
    };
    let words =
        [("expected", Against::Expected), ("recorded", Against::Recorded), ("baseline", Against::Baseline)];
    let against = options.word("against", &words)?;
    JudgeScorer::new(options, Pairwise { prompts, criteria, against }, Range::Share)
}

/// The first of several names for the same thing that is there.
fn needed(options: &mut Options<'_>, names: &[&'static str], what: &str) -> Result<Template, Mistake> {
    let mut found = None;
    for name in names {
        let template = options.template(name)?;
        found = found.or(template);
    }
    found.ok_or_else(|| {
        options.mistake(format!("`{}` is missing: {what}", names[0]), format!("write `{}: …`", names[0]))
    })
}
