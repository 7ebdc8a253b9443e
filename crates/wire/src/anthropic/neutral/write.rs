//! The neutral form written as a Messages request.

use base64::{Engine, prelude::BASE64_STANDARD};
use gauntlet_types::ServiceTier;
use serde_json::{Map, Value, json};

use super::{
    model::Generation,
    turns::{self, cache_control},
};
use crate::{
    anthropic::ask::BUDGET_MIN,
    ask::{Ask, Effort, Media, Reasoning, Shape, Source, Speaker, Tool, ToolChoice, ToolKind, What, Written},
    openai::chat::ask::value,
};

/// Tokens of an answer for which nobody gave a limit: the dialect demands one, and every model has as many.
const LIMIT_DEFAULT: u32 = 4_096;

/// What is written, and what is told of it.
pub(super) struct Draft {
    pub(super) body: Map<String, Value>,
    pub(super) dropped: Vec<String>,
    pub(super) injected: Vec<String>,
}

impl Draft {
    pub(super) fn put(&mut self, key: &str, value: Option<Value>) {
        if let Some(value) = value {
            self.body.insert(key.into(), value);
        }
    }

    fn drop_if(&mut self, is_given: bool, name: &str) {
        if is_given {
            self.dropped.push(name.into());
        }
    }
}

/// Writes a request for the model of this name.
pub(crate) fn write(mut ask: Ask, model: &str) -> Written {
    let mut draft = Draft { body: Map::new(), dropped: Vec::new(), injected: Vec::new() };
    let generation = Generation::of(model);
    draft.put("model", Some(model.into()));
    let thinking = thinking(&ask, generation, &mut draft);
    draft.put("max_tokens", Some(thinking.limit.into()));
    // Marks beyond the fourth are refused; the last ones stand for the longest prefixes.
    let marks = turns::marks(&ask);
    let mut spare = marks.saturating_sub(turns::MARKS_MAX);
    draft.drop_if(spare > 0, "cache_control");
    let offered = std::mem::take(&mut ask.tools);
    let tools: Vec<Value> =
        offered.into_iter().filter_map(|tool| write_tool(tool, generation, &mut spare, &mut draft)).collect();
    turns::write(std::mem::take(&mut ask.turns), &mut spare, &mut draft);
    write_tools(tools, &ask, &mut draft);
    draft.put("thinking", thinking.member);
    write_sampling(&ask, generation, thinking.is_on, &mut draft);
    let shape = ask.shape.take().filter(|shape| {
        let is_lost = generation.lacks_schemas() && matches!(shape, Shape::Schema { .. });
        draft.drop_if(is_lost, "response_format");
        !is_lost
    });
    write_output(shape, thinking.effort, &mut draft);
    write_rest(ask, &mut draft);
    Written {
        body: Value::Object(draft.body).to_string().into_bytes(),
        dropped: draft.dropped,
        injected: draft.injected,
        ..Written::default()
    }
}

/// What is said of thinking.
struct Thinking {
    member: Option<Value>,
    effort: Option<&'static str>,
    is_on: bool,
    limit: u32,
}

fn thinking(ask: &Ask, generation: Generation, draft: &mut Draft) -> Thinking {
    let wished = ask.reasoning.unwrap_or_default();
    let is_off = wished.effort == Some(Effort::None);
    let is_wanted = ask.reasoning.is_some() && !is_off;
    // A model that thinks is not to be forced to a tool.
    let is_forced =
        !ask.tools.is_empty() && matches!(ask.tool_choice, Some(ToolChoice::Any | ToolChoice::Named(_)));
    let budget = wished.budget.or(wished.effort.unwrap_or(Effort::Medium).budget()).unwrap_or(0);
    let room = if is_wanted || (generation.thinks_unasked() && !is_off) { budget } else { 0 };
    let limit = ask.limit.unwrap_or_else(|| {
        draft.injected.push("max_tokens".into());
        LIMIT_DEFAULT.saturating_add(room)
    });
    let none = Thinking { member: None, effort: None, is_on: false, limit };
    let disabled = || generation.thinks_unasked().then(|| json!({"type": "disabled"}));
    if is_forced && !is_off && (is_wanted || generation.thinks_unasked()) {
        draft.drop_if(is_wanted, "reasoning");
        if !is_wanted {
            draft.injected.push("thinking".into());
        }
        return Thinking { member: disabled(), ..none };
    }
    if is_off {
        return Thinking { member: disabled(), ..none };
    }
    if !is_wanted {
        return Thinking { is_on: generation.thinks_unasked(), ..none };
    }
    if generation.is_adaptive() {
        return adaptive(wished, none);
    }
    // Half of what may be said is for the thoughts at most, so that an answer follows them. A limit of ours has its room.
    let most = if ask.limit.is_some() { limit / 2 } else { budget };
    let budget = budget.min(most).max(BUDGET_MIN);
    if budget >= limit || lacks_seals(ask) || generation.lacks_thinking() {
        draft.dropped.push("reasoning".into());
        return none;
    }
    Thinking { member: Some(json!({"type": "enabled", "budget_tokens": budget})), is_on: true, ..none }
}

fn adaptive(wished: Reasoning, none: Thinking) -> Thinking {
    let mut member = json!({"type": "adaptive"});
    // Whether thoughts are told by default changed between the generations.
    if let Some(is_told) = wished.is_told {
        member["display"] = if is_told { "summarized" } else { "omitted" }.into();
    }
    let effort = wished.effort.or(wished.budget.map(Effort::of_budget));
    Thinking { member: Some(member), effort: effort.map(effort_word), is_on: true, ..none }
}

/// Models that are told a budget want back the thoughts that led to the calls whose results the request brings. Where
/// another model called, there are none, and the request would be refused.
fn lacks_seals(ask: &Ask) -> bool {
    let mut turns = ask.turns.iter().rev().filter(|turn| turn.speaker != Speaker::System);
    let mut has_results = false;
    let calling = turns.find(|turn| {
        has_results |= turn.parts.iter().any(|part| matches!(part.what, What::ToolResult { .. }));
        turn.speaker == Speaker::Assistant
    });
    let is_thought =
        |what: &What| matches!(what, What::Reasoning { seal, .. } if turns::is_own(seal.as_ref()));
    has_results && calling.is_some_and(|turn| !turn.parts.iter().any(|part| is_thought(&part.what)))
}

const fn effort_word(effort: Effort) -> &'static str {
    match effort {
        Effort::None | Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::Most => "max",
    }
}

fn write_tool(tool: Tool, generation: Generation, spare: &mut usize, draft: &mut Draft) -> Option<Value> {
    let cache = turns::kept(tool.cache, spare);
    let mut written = match tool.kind {
        ToolKind::Function { schema } => {
            let mut schema = schema.map_or_else(|| json!({}), |schema| value(&schema));
            if let Value::Object(members) = &mut schema
                && !members.contains_key("type")
            {
                members.insert("type".into(), "object".into());
            }
            let mut written = json!({"name": tool.name});
            if let Some(description) = tool.description {
                written["description"] = description.into();
            }
            written["input_schema"] = schema;
            if tool.strict == Some(true) {
                match generation.lacks_schemas() {
                    true => draft.dropped.push("strict".into()),
                    false => written["strict"] = true.into(),
                }
            }
            written
        }
        ToolKind::Builtin { raw } if is_anthropics(&raw) => {
            let mut written = value(&raw);
            if let Value::Object(members) = &mut written {
                members.shift_remove("cache_control");
            }
            written
        }
        ToolKind::Builtin { .. } | ToolKind::Custom { .. } => {
            draft.dropped.push(format!("tools.{}", tool.name));
            return None;
        }
    };
    if let Some(mark) = cache {
        written["cache_control"] = cache_control(mark);
    }
    Some(written)
}

/// Tools that Anthropic runs or defines are told by a date at the end of their type: `web_search_20250305`.
fn is_anthropics(raw: &serde_json::value::RawValue) -> bool {
    let tool = value(raw);
    let date = tool["type"].as_str().and_then(|kind| kind.rsplit_once('_')).map(|(_, date)| date);
    date.is_some_and(|date| date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit()))
}

fn write_tools(mut tools: Vec<Value>, ask: &Ask, draft: &mut Draft) {
    let choice = match &ask.tool_choice {
        _ if tools.is_empty() => {
            // Calls in the conversation are refused where no tool is told of.
            tools = turns::called(draft.body.get("messages"))
                .into_iter()
                .map(|name| json!({"name": name, "input_schema": {"type": "object"}}))
                .collect();
            if tools.is_empty() {
                return;
            }
            draft.injected.push("tools".into());
            Some(json!({"type": "none"}))
        }
        None if ask.parallel_tools == Some(false) => Some(json!({"type": "auto"})),
        None => None,
        Some(ToolChoice::Auto) => Some(json!({"type": "auto"})),
        Some(ToolChoice::None) => Some(json!({"type": "none"})),
        Some(ToolChoice::Any) => Some(json!({"type": "any"})),
        Some(ToolChoice::Named(name)) if tools.iter().any(|tool| tool["name"] == name.as_str()) => {
            Some(json!({"type": "tool", "name": name}))
        }
        // The tool has no counterpart here.
        Some(ToolChoice::Named(_)) => {
            draft.dropped.push("tool_choice".into());
            None
        }
    };
    draft.put("tools", Some(tools.into()));
    let choice = choice.map(|mut choice| {
        if ask.parallel_tools == Some(false) && choice["type"] != "none" {
            choice["disable_parallel_tool_use"] = true.into();
        }
        choice
    });
    draft.put("tool_choice", choice);
}

/// A model that thinks takes no temperature but 1, no `top_k`, and of `top_p` only what hardly matters.
fn write_sampling(ask: &Ask, generation: Generation, is_thinking: bool, draft: &mut Draft) {
    let is_fixed = is_thinking || generation.has_fixed_sampling();
    let mut temperature = ask.temperature.filter(|_| !is_fixed);
    draft.drop_if(is_fixed && ask.temperature.is_some_and(|temperature| temperature != 1.0), "temperature");
    if temperature.is_some_and(|temperature| temperature > 1.0) {
        // OpenAI's scale goes to 2, this one to 1.
        temperature = Some(1.0);
        draft.dropped.push("temperature".into());
    }
    let has_no_room = is_fixed || (temperature.is_some() && generation.takes_one_of_sampling());
    let top_p = ask.top_p.filter(|_| !has_no_room);
    draft.drop_if(has_no_room && ask.top_p.is_some_and(|top| top != 1.0), "top_p");
    draft.drop_if(is_fixed && ask.top_k.is_some(), "top_k");
    draft.put("temperature", temperature.map(Value::from));
    draft.put("top_p", top_p.map(Value::from));
    draft.put("top_k", ask.top_k.filter(|_| !is_fixed).map(Value::from));
}

fn write_output(shape: Option<Shape>, effort: Option<&str>, draft: &mut Draft) {
    let mut config = Map::new();
    if let Some(effort) = effort {
        config.insert("effort".into(), effort.into());
    }
    match shape {
        None | Some(Shape::Text) => {}
        // Any object at all cannot be asked for here.
        Some(Shape::Json) => draft.dropped.push("response_format".into()),
        Some(Shape::Schema { schema, .. }) => {
            let mut schema = value(&schema);
            if seal_objects(&mut schema) {
                draft.injected.push("response_format.additionalProperties".into());
            }
            config.insert("format".into(), json!({"type": "json_schema", "schema": schema}));
        }
    }
    draft.put("output_config", (!config.is_empty()).then_some(Value::Object(config)));
}

/// Says of each object in a schema that it has no further members: Anthropic takes no other. True if it was not said.
fn seal_objects(schema: &mut Value) -> bool {
    let Value::Object(members) = schema else { return false };
    let is_object = match members.get("type") {
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        _ => false,
    };
    let mut is_changed = is_object && !members.contains_key("additionalProperties");
    if is_changed {
        members.insert("additionalProperties".into(), false.into());
    }
    for (key, inner) in members.iter_mut() {
        is_changed |= match (key.as_str(), inner) {
            // Names of the caller's, each with a schema.
            ("properties" | "$defs" | "definitions" | "patternProperties", Value::Object(named)) => {
                named.values_mut().fold(false, |is_changed, schema| seal_objects(schema) | is_changed)
            }
            ("anyOf" | "allOf" | "oneOf" | "prefixItems" | "items", Value::Array(schemas)) => {
                schemas.iter_mut().fold(false, |is_changed, schema| seal_objects(schema) | is_changed)
            }
            ("items" | "not" | "additionalProperties", schema) => seal_objects(schema),
            _ => false,
        };
    }
    is_changed
}

fn write_rest(ask: Ask, draft: &mut Draft) {
    // Stops of white space alone are refused.
    let all = ask.stop.len();
    let stops: Vec<String> = ask.stop.into_iter().filter(|stop| !stop.trim().is_empty()).collect();
    draft.drop_if(stops.len() < all, "stop");
    draft.put("stop_sequences", (!stops.is_empty()).then(|| stops.into()));
    draft.put("metadata", ask.user.map(|user| json!({"user_id": user})));
    match ask.service_tier {
        None => {}
        Some(ServiceTier::Standard) => draft.put("service_tier", Some("standard_only".into())),
        Some(ServiceTier::Priority) => draft.put("service_tier", Some("auto".into())),
        Some(ServiceTier::Flex | ServiceTier::Batch) => draft.dropped.push("service_tier".into()),
    }
    draft.put("stream", ask.stream.then(|| true.into()));
    draft.drop_if(ask.seed.is_some(), "seed");
    draft.drop_if(ask.presence_penalty.is_some_and(|penalty| penalty != 0.0), "presence_penalty");
    draft.drop_if(ask.frequency_penalty.is_some_and(|penalty| penalty != 0.0), "frequency_penalty");
    draft.drop_if(ask.choices.is_some_and(|choices| choices > 1), "n");
    draft.drop_if(ask.logprobs.is_some(), "logprobs");
    draft.drop_if(ask.verbosity.is_some(), "verbosity");
    draft.drop_if(!ask.metadata.is_empty(), "metadata");
    draft.drop_if(ask.cache_key.is_some(), "prompt_cache_key");
    draft.drop_if(ask.store == Some(true), "store");
}

/// A picture or a document; none, and said so, where the dialect has no place for it.
pub(super) fn write_media(
    kind: Media,
    source: Source,
    name: Option<String>,
    detail: Option<String>,
    draft: &mut Draft,
) -> Option<Value> {
    draft.drop_if(detail.is_some(), "detail");
    let (block, written) = match (kind, source) {
        (Media::Image, Source::Url { url, .. }) => ("image", json!({"type": "url", "url": url})),
        (Media::Image, Source::Inline { mime, data }) => {
            // A name that is often written and never taken.
            let mime = if mime == "image/jpg" { "image/jpeg".to_owned() } else { mime };
            ("image", json!({"type": "base64", "media_type": mime, "data": data}))
        }
        (Media::Document, Source::Url { url, .. }) => ("document", json!({"type": "url", "url": url})),
        (Media::Document, Source::Text(text)) => ("document", text_source(text)),
        (Media::Document, Source::Inline { mime, data }) if mime == "application/pdf" => {
            ("document", json!({"type": "base64", "media_type": mime, "data": data}))
        }
        // Plain words are taken as words only.
        (Media::Document, Source::Inline { mime, data }) if mime.starts_with("text/") => {
            let text = BASE64_STANDARD.decode(&data).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            match text {
                Some(text) => ("document", text_source(text)),
                None => {
                    draft.dropped.push("document".into());
                    return None;
                }
            }
        }
        (kind, _) => {
            draft.dropped.push(format!("{kind:?}").to_lowercase());
            return None;
        }
    };
    let mut block = json!({"type": block, "source": written});
    if let Some(name) = name.filter(|_| kind == Media::Document) {
        block["title"] = name.into();
    }
    Some(block)
}

fn text_source(text: String) -> Value {
    json!({"type": "text", "media_type": "text/plain", "data": text})
}
