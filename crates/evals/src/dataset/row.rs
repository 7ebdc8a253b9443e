//! A line's fields, by our names and by those of other tools.

use std::mem;

use gauntlet_places::{At, near};
use gauntlet_types::Name;
use serde_json::{Map, Value, json};

use crate::{Case, report::Report};

const ID_LETTERS_MAX: usize = 200;
/// Of one case; a retriever that gives more was asked for the wrong thing.
const CONTEXTS_MAX: usize = 1_000;

/// What the user asked, as one message; RAGAS says `user_input`.
pub(crate) const ASKED: [&str; 4] = ["input", "question", "query", "user_input"];
/// RAGAS, DeepEval and OpenAI's evals have their own names for the answer that is right.
const EXPECTED: [&str; 6] =
    ["expected", "reference", "ground_truth", "expected_output", "ideal", "ground_truths"];
const OUTPUT: [&str; 3] = ["output", "response", "actual_output"];
/// `documents` is what `gauntlet trace promote` writes.
const CONTEXTS: [&str; 5] = ["contexts", "retrieved_contexts", "retrieval_context", "documents", "context"];
const RETRIEVED: [&str; 2] = ["retrieved", "retrieved_context_ids"];
const RELEVANT: [&str; 2] = ["relevant", "reference_context_ids"];
/// Fields of the call's body that may stand in the line itself.
const BODY: [&str; 11] = [
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "reasoning_effort",
    "seed",
    "stop",
];
/// For misspelt names.
const NAMES: [&str; 16] = [
    "id",
    "prompt",
    "vars",
    "messages",
    "input",
    "question",
    "query",
    "expected",
    "reference",
    "contexts",
    "retrieved",
    "relevant",
    "output",
    "tags",
    "golden",
    "cluster",
];

/// None where nothing can be asked or scored; everything wrong is reported.
pub(super) fn read(fields: Map<String, Value>, at: At, report: &mut Report) -> Option<Case> {
    let mut row = Row { fields, at, report, is_good: true };
    let mut case = Case { id: row.id(), ..Case::default() };
    case.prompt = row.text("prompt").map(Into::into);
    case.vars = row.object("vars", "variables");
    case.body = row.object("body", "body");
    case.messages = row.messages();
    for name in ["model", "messages", "stream", "gauntlet"] {
        if case.body.contains_key(name) {
            row.bad(format!("`body` has `{name}`"), "leave it out: the runner sets it");
        }
    }
    for name in BODY {
        if let Some(value) = row.fields.shift_remove(name) {
            case.body.insert(name.to_owned(), value);
        }
    }
    row.asked(&mut case);
    case.expected = row.one_of(&EXPECTED).map(|(name, value)| match value {
        // Several right answers; the list of one is that one.
        Value::Array(mut all) if name == "ground_truths" && all.len() == 1 => all.remove(0),
        value => value,
    });
    case.output = row.one_of(&OUTPUT).map(|(_, value)| value);
    row.answer(&mut case);
    row.contexts(&mut case);
    row.ranking(&mut case);
    row.tags(&mut case);
    case.cluster = row.text("cluster").map(Into::into);
    let is_empty =
        case.messages.is_empty() && case.vars.is_empty() && case.prompt.is_none() && case.output.is_none();
    let is_asked_from_extra = row.fields.keys().any(|name| name != "source");
    if is_empty && !is_asked_from_extra {
        row.bad("nothing is asked".to_owned(), "add `input`, `messages`, or `vars` of a prompt");
    }
    row.misspelt();
    case.extra.extend(mem::take(&mut row.fields));
    row.is_good.then_some(case)
}

struct Row<'a> {
    fields: Map<String, Value>,
    at: At,
    report: &'a mut Report,
    is_good: bool,
}

impl Row<'_> {
    fn bad(&mut self, message: String, cure: &str) {
        self.is_good = false;
        self.report.error(self.at, message, cure);
    }

    /// The field's value unless it is null.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.fields.shift_remove(name).filter(|value| !value.is_null())
    }

    /// The first of several names for one thing. Two that say different things are a mistake.
    fn one_of(&mut self, names: &[&'static str]) -> Option<(&'static str, Value)> {
        let found: Vec<(&'static str, Value)> =
            names.iter().filter_map(|name| Some((*name, self.take(name)?))).collect();
        let mut found = found.into_iter();
        let first = found.next()?;
        if let Some((other, _)) = found.find(|(_, value)| *value != first.1) {
            self.bad(
                format!("`{}` and `{other}` are two names for one thing, and differ", first.0),
                "keep one of them",
            );
        }
        Some(first)
    }

    fn id(&mut self) -> Name {
        match self.take("id") {
            None => Name::default(),
            Some(Value::Number(number)) => number.to_string().into(),
            Some(Value::String(id)) => {
                let is_good = !id.trim().is_empty()
                    && id.chars().count() <= ID_LETTERS_MAX
                    && !id.chars().any(char::is_control);
                if !is_good {
                    let cure = format!("write 1 to {ID_LETTERS_MAX} letters on one line, or leave it out");
                    self.bad("the `id` cannot be one".to_owned(), &cure);
                }
                id.into()
            }
            Some(_) => {
                self.bad("the `id` is no text".to_owned(), "write a text or a number");
                Name::default()
            }
        }
    }

    fn text(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) if !text.trim().is_empty() => Some(text),
            Value::Number(number) => Some(number.to_string()),
            _ => {
                self.bad(format!("`{name}` is no text"), "write it in quotes, or leave it out");
                None
            }
        }
    }

    fn object(&mut self, name: &str, what: &str) -> Map<String, Value> {
        match self.take(name) {
            None => Map::new(),
            Some(Value::Object(map)) => map,
            Some(_) => {
                self.bad(
                    format!("`{name}` is no object"),
                    &format!("write the {what} as {{\"name\": value}}"),
                );
                Map::new()
            }
        }
    }

    fn messages(&mut self) -> Vec<Value> {
        let Some(value) = self.take("messages") else { return Vec::new() };
        self.conversation("messages", value)
    }

    fn conversation(&mut self, name: &str, value: Value) -> Vec<Value> {
        let Value::Array(messages) = value else {
            self.bad(format!("`{name}` is no list"), "write [{\"role\": \"user\", \"content\": \"…\"}]");
            return Vec::new();
        };
        let bad = messages.iter().position(|message| !message["role"].is_string());
        if let Some(bad) = bad {
            let cure = "write {\"role\": \"user\", \"content\": \"…\"}";
            self.bad(format!("message {} of `{name}` has no role", bad + 1), cure);
        }
        messages
    }

    /// `input` and its other names: a user's message after `messages`. It stays known by its name too, for prompts with a
    /// variable of that name.
    fn asked(&mut self, case: &mut Case) {
        let Some((name, value)) = self.one_of(&ASKED) else { return };
        match value {
            Value::String(text) => {
                case.messages.push(json!({"role": "user", "content": text}));
                case.extra.insert(name.to_owned(), text.into());
            }
            // RAGAS's conversations of several turns.
            Value::Array(turns) => {
                let turn = |turn: Value| match turn["type"].as_str() {
                    Some("human") => json!({"role": "user", "content": turn["content"]}),
                    Some("ai") => json!({"role": "assistant", "content": turn["content"]}),
                    _ => turn,
                };
                let turns = self.conversation(name, turns.into_iter().map(turn).collect());
                case.messages.extend(turns);
            }
            _ => self.bad(format!("`{name}` is neither a text nor messages"), "write the question as a text"),
        }
    }

    /// `answer` is what was answered beside RAGAS's `ground_truth`, and what is right in sets of questions and answers.
    fn answer(&mut self, case: &mut Case) {
        let Some(answer) = self.take("answer") else { return };
        match (&case.expected, &case.output) {
            (Some(_), None) => case.output = Some(answer),
            (None, Some(_)) => case.expected = Some(answer),
            _ => self.bad(
                "`answer` may be the right answer or the one that was given".to_owned(),
                "call it `expected` or `output`",
            ),
        }
    }

    fn contexts(&mut self, case: &mut Case) {
        let Some((name, value)) = self.one_of(&CONTEXTS) else { return };
        let entries = match value {
            Value::Array(entries) => entries,
            Value::String(text) if name == "context" => {
                // A variable of most prompts for retrieval; the prompt gets it as it stands.
                case.extra.insert(name.to_owned(), text.clone().into());
                vec![text.into()]
            }
            _ => return self.bad(format!("`{name}` is no list"), "write the passages as [\"…\", \"…\"]"),
        };
        if entries.len() > CONTEXTS_MAX {
            return self.bad(
                format!("`{name}` has {} passages", entries.len()),
                &format!("a case has at most {CONTEXTS_MAX}"),
            );
        }
        for (index, entry) in entries.into_iter().enumerate() {
            match entry {
                Value::String(text) => case.contexts.push(text),
                Value::Object(document) => {
                    let text = ["text", "content", "page_content"]
                        .iter()
                        .find_map(|name| document.get(*name)?.as_str());
                    let id = document.get("id").and_then(Value::as_str);
                    case.contexts.extend(text.map(str::to_owned));
                    if let Some(id) = id {
                        case.retrieved.get_or_insert_default().push(id.to_owned());
                    }
                    if text.is_none() && id.is_none() {
                        self.bad(
                            format!("entry {} of `{name}` has neither `text` nor `id`", index + 1),
                            "write the passage as a text",
                        );
                    }
                }
                _ => self.bad(
                    format!("entry {} of `{name}` is no text", index + 1),
                    "write each passage as a text",
                ),
            }
        }
    }

    fn ranking(&mut self, case: &mut Case) {
        if let Some((name, value)) = self.one_of(&RETRIEVED) {
            match ids(&value) {
                Some(ids) => case.retrieved = Some(ids),
                None => self.bad(
                    format!("`{name}` is no list of ids"),
                    "write [\"doc-1\", \"doc-2\"] in the order found",
                ),
            }
        }
        let Some((name, value)) = self.one_of(&RELEVANT) else { return };
        let grades = match &value {
            Value::Object(grades) => grades
                .iter()
                .map(|(id, grade)| Some((id.clone(), grade.as_f64().filter(|grade| *grade >= 0.0)?)))
                .collect::<Option<Vec<_>>>(),
            value => ids(value).map(|ids| ids.into_iter().map(|id| (id, 1.0)).collect()),
        };
        match grades {
            Some(grades) => case.relevant = grades,
            None => self.bad(
                format!("`{name}` says no ids"),
                "write [\"doc-1\"], or {\"doc-1\": 3} with grades from 0 up",
            ),
        }
    }

    fn tags(&mut self, case: &mut Case) {
        let tags = match self.take("tags") {
            None => Vec::new(),
            Some(Value::String(tag)) => vec![tag],
            Some(value) => match ids(&value) {
                Some(tags) => tags,
                None => {
                    return self.bad("`tags` is no list of texts".to_owned(), "write [\"fast\", \"golden\"]");
                }
            },
        };
        case.tags = tags.iter().map(|tag| Name::from(tag.trim())).collect();
        case.is_golden = case.tags.iter().any(|tag| **tag == *"golden");
        match self.take("golden") {
            None | Some(Value::Bool(false)) => {}
            Some(Value::Bool(true)) => case.is_golden = true,
            Some(_) => {
                self.bad("`golden` is neither true nor false".to_owned(), "write true, or the tag `golden`")
            }
        }
    }

    /// Fields of one's own are welcome; those that are nearly one of ours were probably meant to be.
    fn misspelt(&mut self) {
        for name in self.fields.keys() {
            if let Some(near) = near::nearest(name, NAMES)
                && near.len() > 3
            {
                let message = format!("`{}` is taken for a field of your own", name.escape_debug());
                self.report.warn(self.at, message, format!("did you mean `{near}`?"));
            }
        }
    }
}

/// Texts or numbers, as texts.
fn ids(value: &Value) -> Option<Vec<String>> {
    let id = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    value.as_array()?.iter().map(id).collect()
}
