//! Answers that are JSON, and of a given form.

use gauntlet_guard::OutputSchema;
use gauntlet_ports::Direction::HigherIsBetter;
use serde_json::{Deserializer, Value, json};

use super::{
    Measure, Measured, Sheet,
    options::Options,
    sheet::{Plain, Range},
};
use crate::{Mistake, Scorer, Seen};

/// Places of a text where a document may begin; each takes one pass over what follows.
const STARTS_MAX: usize = 64;

/// The document that an answer is, or holds: all of it, else what stands in a fence, else the first object or list.
pub(crate) fn find(text: &str) -> Option<Value> {
    let text = text.trim();
    if let Ok(value) = serde_json::from_str(text) {
        return Some(value);
    }
    let fenced = text.split("```").skip(1).step_by(2).take(STARTS_MAX);
    for block in fenced {
        // Behind the fence stands the language.
        let body = block.split_once('\n').map_or(block, |(_, body)| body);
        if let Ok(value) = serde_json::from_str(body.trim()) {
            return Some(value);
        }
    }
    let starts = text.char_indices().filter(|(_, c)| matches!(c, '{' | '['));
    starts.take(STARTS_MAX).find_map(|(at, _)| {
        let mut values = Deserializer::from_str(&text[at..]).into_iter::<Value>();
        values.next()?.ok()
    })
}

/// Whether the answer must be the document, or may hold it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Where {
    Whole,
    Anywhere,
}

impl Where {
    fn take(options: &mut Options<'_>) -> Result<Where, Mistake> {
        Ok(if options.flag("anywhere")? { Where::Anywhere } else { Where::Whole })
    }

    fn read(self, text: &str) -> Option<Value> {
        match self {
            Where::Whole => serde_json::from_str(text.trim()).ok(),
            Where::Anywhere => find(text),
        }
    }
}

struct IsJson(Where);

/// 1 where the answer is JSON; with `anywhere`, where it holds a JSON document.
pub(super) fn is_json(options: &mut Options<'_>) -> Result<Box<dyn Scorer>, Mistake> {
    let measure = IsJson(Where::take(options)?);
    let sheet = Sheet::new(options, "gauntlet/1:is_json", HigherIsBetter, Range::YesNo)?;
    Plain::boxed(options, sheet, measure)
}

impl Measure for IsJson {
    fn measure(&self, seen: &Seen<'_>) -> Measured {
        if self.0.read(seen.text).is_some() {
            return Measured::yes(true);
        }
        let parsed = serde_json::from_str::<Value>(seen.text.trim());
        Measured::yes(false).because(match (self.0, parsed) {
            // The parser's words name the place and quote nothing.
            (Where::Whole, Err(_)) if find(seen.text).is_some() => {
                "the answer is not JSON but holds some; `anywhere: true` looks for it".to_owned()
            }
            (Where::Whole, Err(error)) => format!("the answer is not JSON: {error}"),
            _ => "the answer holds no JSON".to_owned(),
        })
    }
}

struct Fits {
    schema: OutputSchema,
    place: Where,
}

/// 1 where the answer satisfies a JSON Schema, by the same validator as the guard of outputs.
pub(super) fn json_schema(options: &mut Options<'_>) -> Result<Box<dyn Scorer>, Mistake> {
    let schema = match options.take("schema") {
        Some(Value::String(text)) => serde_json::from_str(&text).map_err(|error| {
            options.mistake(format!("`schema` is not JSON: {error}"), "write the schema as YAML, in place")
        })?,
        Some(schema) => schema,
        None => return Err(options.mistake("`schema` is missing", "write `schema: {type: object, …}`")),
    };
    let schema = OutputSchema::compile(&schema)
        .map_err(|error| options.mistake(format!("`schema`: {error}"), "mend the schema"))?;
    let measure = Fits { schema, place: Where::take(options)? };
    let sheet = Sheet::new(options, "gauntlet/1:json_schema", HigherIsBetter, Range::YesNo)?;
    Plain::boxed(options, sheet, measure)
}

impl Measure for Fits {
    fn measure(&self, seen: &Seen<'_>) -> Measured {
        let checked = match self.place {
            Where::Whole => self.schema.check(seen.text),
            Where::Anywhere => match find(seen.text) {
                Some(value) => self.schema.check(&value.to_string()),
                None => Err(vec!["at /: not JSON: there is none in the answer".to_owned()]),
            },
        };
        match checked {
            Ok(()) => Measured::yes(true),
            Err(messages) => {
                Measured::yes(false).because(messages.join("; ")).with(json!({"mistakes": messages}))
            }
        }
    }
}
