//! Every kind of assertion, and the metric that is its like here: the facts of promptfoo 0.121.

use serde_json::{Map, Value as Json, json};

use crate::import::draft::{Refused, refused};

/// Where an assertion's value goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Slot {
    Option(&'static str),
    /// The field `expected` of the dataset's line.
    Expected,
}

/// A metric that does what an assertion did.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Like {
    pub(super) kind: &'static str,
    pub(super) options: Map<String, Json>,
    pub(super) threshold: Option<f64>,
    pub(super) slot: Option<Slot>,
    /// What is not quite the same.
    pub(super) note: &'static str,
    /// What `not-` becomes.
    pub(super) negation: Negation,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Negation {
    /// `not: true`, and the threshold turned round.
    Not,
    /// By an option of its own.
    Never,
}

impl Like {
    fn new(kind: &'static str) -> Like {
        Like { kind, options: Map::new(), threshold: None, slot: None, note: "", negation: Negation::Not }
    }

    fn valued(kind: &'static str) -> Like {
        Like { slot: Some(Slot::Option("value")), ..Like::new(kind) }
    }

    fn with(mut self, name: &str, value: impl Into<Json>) -> Like {
        self.options.insert(name.to_owned(), value.into());
        self
    }

    fn least(self, threshold: f64) -> Like {
        Like { threshold: Some(threshold), ..self }
    }

    fn noting(self, note: &'static str) -> Like {
        Like { note, ..self }
    }

    fn measured(kind: &'static str) -> Like {
        Like { negation: Negation::Never, ..Like::new(kind) }
    }
}

const OWN: &str = "write a program that scores and name it by the metric `command` (docs/scorers.md)";
const RAGAS: &str = "the formula is RAGAS's, not promptfoo's: look at the threshold again";

/// The like of an assertion by its name without `not-`. Errors: there is none; why, and what to do.
pub(super) fn like(name: &str, value: Option<&Json>, is_negated: bool) -> Result<Like, Refused> {
    Ok(match name {
        "equals" => Like::valued("exact"),
        "contains" => Like::valued("contains"),
        "icontains" => Like::valued("contains").with("ignore_case", true),
        "contains-all" => Like::valued("contains").with("of", "all"),
        "contains-any" => Like::valued("contains").with("of", "any"),
        "icontains-all" => Like::valued("contains").with("of", "all").with("ignore_case", true),
        "icontains-any" => Like::valued("contains").with("of", "any").with("ignore_case", true),
        "starts-with" => Like::valued("starts_with"),
        "ends-with" => Like::valued("ends_with"),
        "regex" => Like::valued("regex"),
        "is-json" | "contains-json" => {
            let like = match value {
                None => Like::new("is_json"),
                Some(_) => Like { slot: Some(Slot::Option("schema")), ..Like::new("json_schema") },
            };
            if name == "is-json" { like } else { like.with("anywhere", true) }
        }
        "is-refusal" => {
            let expect = if is_negated { "answer" } else { "refusal" };
            Like { negation: Negation::Never, ..Like::new("refusal").with("expect", expect) }
        }
        "is-valid-function-call" | "is-valid-openai-function-call" | "is-valid-openai-tools-call" => {
            Like::new("tools_valid").noting("the tools are those under `params` or in the dataset's line")
        }
        "tool-call-f1" => Like::valued("tool_call").with("arguments", "ignore").least(1.0),
        "finish-reason" => Like::valued("finish_reason"),
        "latency" => Like::measured("latency"),
        "cost" => Like::measured("cost"),
        "perplexity" => Like::measured("perplexity"),
        "word-count" => word_count(value)?,
        "levenshtein" => {
            Like { slot: Some(Slot::Option("value")), ..Like::measured("edit_distance").least(5.0) }
        }
        "bleu" => {
            Like::valued("bleu").least(0.5).noting("words are parted as sacreBLEU does it, not at spaces")
        }
        "gleu" => Like::valued("gleu").least(0.5),
        "rouge-n" => Like::valued("rouge_1").least(0.75).noting("words are parted as rouge-score does it"),
        "similar" | "similar:cosine" => Like::valued("similar").least(0.75),
        "similar:dot" => Like::valued("similar").with("by", "dot").least(0.75),
        "similar:euclidean" => {
            let like = Like::valued("similar").with("by", "euclidean").least(0.75);
            Like { negation: Negation::Never, ..like }
                .noting("the threshold is the greatest distance; promptfoo's is of 1 / (1 + distance)")
        }
        "guardrails" => {
            Like::measured("policy").with("kinds", json!([])).with("decisions", json!(["block", "flag"]))
        }
        "llm-rubric" => rubric(),
        "model-graded-closedqa" => {
            rubric().noting("the judge is asked by our own text, not by that of OpenAI's evals")
        }
        "g-eval" => Like { slot: Some(Slot::Option("criteria")), ..Like::new("g_eval") }.least(0.7),
        "factuality" | "model-graded-factuality" => {
            Like { slot: Some(Slot::Expected), ..Like::new("factuality") }
        }
        "answer-relevance" => Like::new("answer_relevancy").least(0.0).noting(RAGAS),
        "context-faithfulness" => Like::new("faithfulness").least(0.0).noting(RAGAS),
        "context-recall" => {
            Like { slot: Some(Slot::Expected), ..Like::new("context_recall") }.least(0.0).noting(RAGAS)
        }
        _ => return Err(none(name)),
    })
}

fn rubric() -> Like {
    Like { slot: Some(Slot::Option("criteria")), ..Like::new("rubric") }
}

fn word_count(value: Option<&Json>) -> Result<Like, Refused> {
    let like = Like::new("word_count");
    match value {
        Some(Json::Number(count)) => {
            let (min, max) = (Json::Number(count.clone()), Json::Number(count.clone()));
            Ok(like.with("min", min).with("max", max))
        }
        Some(Json::Object(bounds)) => {
            let mut like = like;
            for name in ["min", "max"] {
                if let Some(bound) = bounds.get(name) {
                    like = like.with(name, bound.clone());
                }
            }
            Ok(like)
        }
        _ => {
            Err(refused("its value is neither a number nor `min` and `max`", "write `word_count: {max: …}`"))
        }
    }
}

/// Why there is no like.
fn none(name: &str) -> Refused {
    let starts = |start: &str| name.starts_with(start);
    match name {
        "javascript" | "python" | "ruby" | "webhook" => {
            refused(format!("`{name}` is code of one's own, which an import does not run"), OWN)
        }
        "is-xml" | "contains-xml" | "is-html" | "contains-html" | "is-sql" | "contains-sql" => {
            refused("no metric reads that language", format!("use `regex`, or {OWN}"))
        }
        "perplexity-score" => {
            refused("it is 1 / (1 + perplexity)", "use `perplexity: {threshold: …}`, of which less is better")
        }
        "meteor" => refused("it needs a list of synonyms", "use `rouge_l` or `similar`"),
        "f-score" => refused("it is of the whole run, not of an answer", "use `exact`, and look at its mean"),
        "classifier" => refused("no classifier is asked", format!("use `toxicity` or `rubric`, or {OWN}")),
        "moderation" => refused(
            "no provider's moderation is asked",
            "use `toxicity` and `policy`, or a guard at the route",
        ),
        "pi" => refused("it asks a service of its own", "use `rubric`"),
        "human" => {
            refused("people do not rate during a run", "rate answers and use `gauntlet eval calibrate`")
        }
        "select-best" | "max-score" => refused(
            "answers of several models are not judged together",
            "run both and use `gauntlet eval compare`, or `pairwise`",
        ),
        "search-rubric" | "agent-rubric" => refused("a judge has no tools", "use `rubric`"),
        "conversation-relevance" => refused("whole conversations are not judged", "use `rubric`"),
        "context-relevance" => refused(
            "it counts sentences of the context that the judge names",
            "`context_utilization` is the nearest",
        ),
        "noise-sensitivity" => refused("there is no such metric", "use `faithfulness`"),
        "skill-used" => refused("skills of agents are not seen", "use `tool_call`"),
        "assert-set" => refused("it is a set within a set", "write its assertions one by one"),
        _ if starts("trajectory:") || starts("trace-") => refused(
            "steps of agents are looked at in traces, not by metrics",
            "use `tool_call` for the answer's own calls",
        ),
        _ => refused(
            format!("the importer knows no assertion `{}`", name.escape_debug()),
            "look for its like in docs/scorers.md",
        ),
    }
}
