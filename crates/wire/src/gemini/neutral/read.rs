//! A request of Gemini's in the neutral form.

use gauntlet_types::ServiceTier;
use serde_json::{Value, json};

use super::{
    BUILTIN,
    calls::Calls,
    list, object,
    parts::{self, CONTENT_KEYS},
    schema,
};
use crate::{
    ask::{
        Ask, Effort, Reasoning, Shape, Speaker, Tool, ToolChoice, ToolKind, Turn,
        members::{Members, raw},
    },
    conversation::PathAsk,
    gemini::names::camel,
    json::Malformed,
};

const KEYS: &[&str] = &[
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "generationConfig",
    "labels",
    "serviceTier",
    "model",
    "gauntlet",
];

const CONFIG_KEYS: &[&str] = &[
    "maxOutputTokens",
    "temperature",
    "topP",
    "topK",
    "candidateCount",
    "stopSequences",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "seed",
    "presencePenalty",
    "frequencyPenalty",
    "responseLogprobs",
    "logprobs",
    "thinkingConfig",
];

/// Reads a request.
pub(crate) fn read(body: &[u8], path: &PathAsk) -> Result<Ask, Malformed> {
    let value = serde_json::from_slice(body)
        .map_err(|error| Malformed::new(format!("the body is not JSON: {error}")))?;
    if !matches!(value, Value::Object(_)) {
        return Err(Malformed::new("the body must be a JSON object"));
    }
    let mut members = object(value, "", KEYS)?;
    let mut ask =
        Ask { model: path.model.clone(), stream: path.stream, include_usage: true, ..Ask::default() };
    if let Some(system) = members.take("systemInstruction") {
        let content = object(system, "systemInstruction", CONTENT_KEYS)?;
        let parts = parts::read(content, &mut Calls::default(), &mut ask.dropped)?.1;
        ask.turns.push(Turn { speaker: Speaker::System, parts, name: None });
    }
    let contents = list(members.take("contents"));
    let mut calls = Calls::of(&contents);
    for (index, content) in contents.into_iter().enumerate() {
        let content = object(content, format!("contents[{index}]"), CONTENT_KEYS)?;
        let (speaker, parts) = parts::read(content, &mut calls, &mut ask.dropped)?;
        ask.turns.push(Turn { speaker, parts, name: None });
    }
    for (index, tool) in list(members.take("tools")).into_iter().enumerate() {
        read_tools(tool, &format!("tools[{index}]"), &mut ask)?;
    }
    if let Some(config) = members.take("toolConfig") {
        read_choice(object(config, "toolConfig", &["functionCallingConfig"])?, &mut ask)?;
    }
    if let Some(config) = members.take("generationConfig") {
        read_config(object(config, "generationConfig", CONFIG_KEYS)?, &mut ask)?;
    }
    if let Some(Value::Object(labels)) = members.take("labels") {
        let pair = |(key, value): (String, Value)| Some((key, value.as_str()?.to_owned()));
        ask.metadata = labels.into_iter().filter_map(pair).collect();
    }
    ask.service_tier = members.text("serviceTier")?.as_deref().and_then(tier);
    // The model is the path's, and the extension ours.
    members.ignore(&["model", "gauntlet"]);
    members.rest(&mut ask.dropped);
    Ok(ask)
}

fn tier(word: &str) -> Option<ServiceTier> {
    ServiceTier::of_word(&word.to_ascii_lowercase())
}

/// Each member of a tool is a tool, or a list of them.
fn read_tools(tool: Value, path: &str, ask: &mut Ask) -> Result<(), Malformed> {
    let Value::Object(members) = tool else {
        return Err(Malformed::field(path, "must be an object"));
    };
    for (key, value) in members {
        let name = camel(&key).into_owned();
        if name == "functionDeclarations" {
            for (index, function) in list(Some(value)).into_iter().enumerate() {
                let path = format!("{path}.{key}[{index}]");
                ask.tools.push(read_function(function, &path, &mut ask.dropped)?);
            }
        } else if !value.is_null() {
            let raw = raw(&json!({&name: value}));
            let kind = ToolKind::Builtin { raw };
            ask.tools.push(Tool { name, description: None, kind, strict: None, cache: None });
        }
    }
    Ok(())
}

fn read_function(value: Value, path: &str, dropped: &mut Vec<String>) -> Result<Tool, Malformed> {
    let mut function = object(value, path, &["parametersJsonSchema"])?;
    let name = function.needed("name")?;
    let description = function.text("description")?;
    let schema = match (function.take("parametersJsonSchema"), function.take("parameters")) {
        (Some(schema), _) => Some(raw(&schema)),
        (None, Some(schema)) => Some(raw(&schema::of_openapi(schema))),
        (None, None) => None,
    };
    function.rest(dropped);
    Ok(Tool { name, description, kind: ToolKind::Function { schema }, strict: None, cache: None })
}

fn read_choice(mut config: Members, ask: &mut Ask) -> Result<(), Malformed> {
    if let Some(calling) = config.take("functionCallingConfig") {
        let path = config.path("functionCallingConfig");
        let mut calling = object(calling, path, &["allowedFunctionNames"])?;
        let mode = calling.text("mode")?.map(|mode| mode.to_ascii_uppercase());
        let names = calling.list("allowedFunctionNames")?;
        let mut names: Vec<String> =
            names.into_iter().filter_map(|name| Some(name.as_str()?.to_owned())).collect();
        ask.tool_choice = match (mode.as_deref(), names.len()) {
            (Some("NONE"), _) => Some(ToolChoice::None),
            (Some("ANY"), 1) => names.pop().map(ToolChoice::Named),
            (Some("ANY"), _) => Some(ToolChoice::Any),
            (Some("AUTO" | "VALIDATED"), _) => Some(ToolChoice::Auto),
            _ => None,
        };
        if !names.is_empty() {
            ask.dropped.push(calling.path("allowedFunctionNames"));
        }
        calling.rest(&mut ask.dropped);
    }
    config.rest(&mut ask.dropped);
    Ok(())
}

fn read_config(mut config: Members, ask: &mut Ask) -> Result<(), Malformed> {
    ask.limit = whole(&mut config, "maxOutputTokens")?;
    ask.temperature = config.float("temperature")?;
    ask.top_p = config.float("topP")?;
    ask.top_k = whole(&mut config, "topK")?;
    ask.choices = whole(&mut config, "candidateCount")?;
    ask.seed = config.take("seed").and_then(|seed| seed.as_i64());
    ask.presence_penalty = config.float("presencePenalty")?;
    ask.frequency_penalty = config.float("frequencyPenalty")?;
    let stop = list(config.take("stopSequences"));
    ask.stop = stop.into_iter().filter_map(|stop| Some(stop.as_str()?.to_owned())).collect();
    let wants_logprobs = config.flag("responseLogprobs")?.unwrap_or(false);
    let top = whole(&mut config, "logprobs")?;
    ask.logprobs = wants_logprobs.then(|| top.unwrap_or(0));
    read_shape(&mut config, ask)?;
    if let Some(thinking) = config.take("thinkingConfig") {
        let path = config.path("thinkingConfig");
        let known = ["thinkingBudget", "thinkingLevel", "includeThoughts"];
        ask.reasoning = Some(read_thinking(object(thinking, path, &known)?, &mut ask.dropped)?);
    }
    config.rest(&mut ask.dropped);
    Ok(())
}

/// A count, which proto's JSON also allows with an empty fraction or in quotes.
fn whole(members: &mut Members, key: &str) -> Result<Option<u32>, Malformed> {
    let Some(value) = members.take(key) else { return Ok(None) };
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let float = text.parse::<f64>().ok().filter(|float| float.fract() == 0.0);
    let fits = float.filter(|float| (0.0..=f64::from(u32::MAX)).contains(float));
    let wrong = || Malformed::field(members.path(key), "must be a whole number from 0 to 4294967295");
    fits.map(|float| Some(float as u32)).ok_or_else(wrong)
}

fn read_shape(config: &mut Members, ask: &mut Ask) -> Result<(), Malformed> {
    let mime = config.text("responseMimeType")?;
    let schema = match (config.take("responseJsonSchema"), config.take("responseSchema")) {
        (Some(schema), _) => Some(schema),
        (None, Some(schema)) => Some(schema::of_openapi(schema)),
        (None, None) => None,
    };
    ask.shape = match (schema, mime.as_deref()) {
        (Some(schema), mime) => {
            // One of a list of words, which others know as a schema of a whole answer only.
            if mime == Some("text/x.enum") {
                ask.dropped.push(config.path("responseMimeType"));
            }
            Some(Shape::Schema { name: None, description: None, schema: raw(&schema), strict: None })
        }
        (None, Some("application/json")) => Some(Shape::Json),
        (None, Some("text/plain")) => Some(Shape::Text),
        (None, Some(_)) => {
            ask.dropped.push(config.path("responseMimeType"));
            None
        }
        (None, None) => None,
    };
    Ok(())
}

fn read_thinking(mut thinking: Members, dropped: &mut Vec<String>) -> Result<Reasoning, Malformed> {
    let mut reasoning = Reasoning { is_told: thinking.flag("includeThoughts")?, ..Reasoning::default() };
    if let Some(level) = thinking.text("thinkingLevel")? {
        reasoning.effort = Effort::of_word(&level.to_ascii_lowercase());
    }
    match thinking.take("thinkingBudget").and_then(|budget| budget.as_i64()) {
        Some(0) => reasoning.effort = Some(Effort::None),
        // -1 leaves it to the model.
        Some(budget) => reasoning.budget = u32::try_from(budget).ok(),
        None => {}
    }
    thinking.rest(dropped);
    Ok(reasoning)
}

/// Whether a tool of Google's own is told as Google tells it.
pub(super) fn is_builtin(raw: &Value) -> bool {
    let members = raw.as_object().filter(|members| members.len() == 1);
    members.is_some_and(|members| members.keys().all(|key| BUILTIN.contains(&key.as_str())))
}
