//! Which tools an answer calls, and with what.

use gauntlet_guard::OutputSchema;
use gauntlet_ports::Direction::HigherIsBetter;
use serde_json::{Map, Value, json};

use super::{
    Measure, Measured, Sheet,
    fields::is_same,
    options::Options,
    sheet::{Plain, Range},
    wanted::Wanted,
};
use crate::{Case, Mistake, Scorer, Seen};

/// Calls of one answer, or expected of it; providers allow 128 tools.
const CALLS_MAX: usize = 128;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Arguments {
    Exact,
    /// Those expected, and perhaps more.
    Subset,
    Ignored,
}

/// A call that is expected; without arguments any will do.
struct Expected {
    name: String,
    arguments: Option<Value>,
}

struct ToolCall {
    wanted: Wanted,
    arguments: Arguments,
}

/// F1 of the calls made against those expected, each matched once by name and arguments.
///
/// Expected are names, or `{name, arguments}`, or calls as a model makes them; an empty list expects none.
pub(super) fn tool_call(options: &mut Options<'_>) -> Result<Box<dyn Scorer>, Mistake> {
    let known = [("exact", Arguments::Exact), ("subset", Arguments::Subset), ("ignore", Arguments::Ignored)];
    let measure = ToolCall { wanted: Wanted::take(options)?, arguments: options.word("arguments", &known)? };
    let sheet = Sheet::new(options, "gauntlet/1:tool_call_f1", HigherIsBetter, Range::Share)?;
    Plain::boxed(options, sheet, measure)
}

fn expected(value: &Value) -> Option<Vec<Expected>> {
    let one = |value: &Value| match value {
        Value::String(name) => Some(Expected { name: name.trim().to_owned(), arguments: None }),
        Value::Object(fields) => {
            let call = fields.get("function").and_then(Value::as_object).unwrap_or(fields);
            let arguments = call.get("arguments").or_else(|| call.get("args")).cloned();
            let name = call.get("name")?.as_str()?.to_owned();
            Some(Expected { name, arguments: arguments.map(parsed) })
        }
        _ => None,
    };
    match value {
        Value::Array(items) if items.len() <= CALLS_MAX => items.iter().map(one).collect(),
        Value::Array(_) => None,
        // As people write it: `search, book`.
        Value::String(names) if names.contains(',') => Some(
            names.split(',').map(|name| Expected { name: name.trim().to_owned(), arguments: None }).collect(),
        ),
        other => Some(vec![one(other)?]),
    }
}

/// Arguments travel as a text of JSON.
fn parsed(arguments: Value) -> Value {
    match &arguments {
        Value::String(text) if text.trim().is_empty() => json!({}),
        Value::String(text) => serde_json::from_str(text).unwrap_or(arguments),
        _ => arguments,
    }
}

/// Name and arguments of the calls of the first choice.
fn calls(seen: &Seen<'_>) -> Vec<(String, Value)> {
    let message = &seen.told.body["choices"][0]["message"];
    let made = message["tool_calls"].as_array().into_iter().flatten().map(|call| &call["function"]);
    let old = Some(&message["function_call"]).filter(|call| call.is_object());
    let call = |call: &Value| Some((call["name"].as_str()?.to_owned(), parsed(call["arguments"].clone())));
    made.chain(old).filter_map(call).take(CALLS_MAX).collect()
}

impl ToolCall {
    fn expected(&self, case: &Case) -> Result<Vec<Expected>, String> {
        let wanted = self.wanted.of(case)?;
        expected(&wanted).ok_or_else(|| {
            format!("names of tools, or at most {CALLS_MAX} of `{{name, arguments}}`, in `expected`")
        })
    }

    fn is_met(&self, expected: &Expected, (name, arguments): &(String, Value)) -> bool {
        let fits = match (&expected.arguments, self.arguments) {
            (None, _) | (_, Arguments::Ignored) => true,
            (Some(wanted), Arguments::Exact) => is_same(wanted, arguments),
            (Some(wanted), Arguments::Subset) => holds(arguments, wanted),
        };
        expected.name == *name && fits
    }
}

/// Whether a value has everything that another has.
fn holds(value: &Value, part: &Value) -> bool {
    match (value, part) {
        (Value::Object(value), Value::Object(part)) => {
            part.iter().all(|(name, part)| value.get(name).is_some_and(|value| holds(value, part)))
        }
        _ => is_same(value, part),
    }
}

impl Measure for ToolCall {
    fn lacks(&self, case: &Case) -> Option<String> {
        self.expected(case).err()
    }

    fn measure(&self, seen: &Seen<'_>) -> Measured {
        let mut expected = match self.expected(seen.case) {
            Ok(expected) => expected,
            Err(lacks) => return Measured::none(format!("the case lacks {lacks}")),
        };
        // Those that say most take their call first, so that a bare name does not take it from them.
        expected.sort_by_key(|call| {
            std::cmp::Reverse(call.arguments.as_ref().map_or(0, |value| value.to_string().len()))
        });
        let made = calls(seen);
        let mut left: Vec<&(String, Value)> = made.iter().collect();
        let mut missed = Vec::new();
        for wanted in &expected {
            match left.iter().position(|call| self.is_met(wanted, call)) {
                Some(at) => drop(left.remove(at)),
                None => missed.push(wanted.name.as_str()),
            }
        }
        let met = expected.len() - missed.len();
        let all = expected.len() + made.len();
        let value = if all == 0 { 1.0 } else { 2.0 * met as f64 / all as f64 };
        let surplus: Vec<&str> = left.iter().map(|(name, _)| name.as_str()).collect();
        let reason = match (missed.is_empty(), surplus.is_empty()) {
            (true, true) => None,
            (false, true) => Some(format!("not called as expected: {}", missed.join(", "))),
            (true, false) => Some(format!("called and not expected: {}", surplus.join(", "))),
            (false, false) => Some(format!(
                "not called as expected: {}; called instead: {}",
                missed.join(", "),
                surplus.join(", ")
            )),
        };
        let evidence = json!({"met": met, "expected": expected.len(), "made": made.len(), "missed": missed, "surplus": surplus});
        Measured { value: Some(value), reason, evidence }
    }
}

struct ToolsValid {
    /// `tools` of every body, where the suite gives them.
    tools: Value,
}

/// 1 where every call names a tool that was offered, with arguments that fit its schema. Without a call there is no score.
pub(super) fn tools_valid(options: &mut Options<'_>) -> Result<Box<dyn Scorer>, Mistake> {
    let tools =
        options.take("tools").or_else(|| options.suite.params.get("tools").cloned()).unwrap_or_default();
    let sheet = Sheet::new(options, "gauntlet/1:tools_valid", HigherIsBetter, Range::YesNo)?;
    Plain::boxed(options, sheet, ToolsValid { tools })
}

impl ToolsValid {
    fn tools<'a>(&'a self, case: &'a Case) -> Option<&'a Vec<Value>> {
        let of_case = case.body.get("tools").unwrap_or(&self.tools);
        of_case.as_array().filter(|tools| !tools.is_empty())
    }
}

impl Measure for ToolsValid {
    fn lacks(&self, case: &Case) -> Option<String> {
        self.tools(case)
            .is_none()
            .then(|| "`tools`, here, under `params` or as an option of the metric".to_owned())
    }

    fn measure(&self, seen: &Seen<'_>) -> Measured {
        let Some(tools) = self.tools(seen.case) else {
            return Measured::none("it is not known which tools there are");
        };
        let made = calls(seen);
        if made.is_empty() {
            return Measured::none("the answer calls no tool");
        }
        let mistakes: Vec<String> = made.iter().filter_map(|call| mistake(call, tools)).collect();
        let measured =
            Measured::yes(mistakes.is_empty()).with(json!({"calls": made.len(), "mistakes": mistakes}));
        if mistakes.is_empty() { measured } else { measured.because(mistakes.join("; ")) }
    }
}

fn mistake((name, arguments): &(String, Value), tools: &[Value]) -> Option<String> {
    let functions =
        tools.iter().map(|tool| if tool["function"].is_object() { &tool["function"] } else { tool });
    let Some(tool) = functions.into_iter().find(|tool| tool["name"] == **name) else {
        return Some(format!("no tool is named `{}`", super::words::shown(name)));
    };
    if !arguments.is_object() {
        return Some(format!("the arguments of `{name}` are not an object"));
    }
    let empty = Value::Object(Map::new());
    let schema = tool.get("parameters").filter(|schema| schema.is_object()).unwrap_or(&empty);
    match OutputSchema::compile(schema) {
        Ok(schema) => schema
            .check(&arguments.to_string())
            .err()
            .map(|messages| format!("`{name}`: {}", messages.join("; "))),
        Err(error) => Some(format!("`{name}`: {error}")),
    }
}
