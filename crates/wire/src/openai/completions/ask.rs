//! A completion in the neutral form, as one turn of the user; and a conversation as one prompt.

use gauntlet_types::ServiceTier;
use serde_json::{Map, Value, json};

use crate::{
    ask::{Ask, Shape, Speaker, Turn, What, Written, members::Members},
    json::Malformed,
    openai::chat::ask::tier_word,
};

/// Reads a request. One prompt of words is a question; several, or tokens, are none that another dialect could ask.
pub(crate) fn read(body: &[u8]) -> Result<Ask, Malformed> {
    let mut members = Members::of_body(body)?;
    let mut ask = Ask { model: members.needed("model")?, ..Ask::default() };
    if let Some(text) = prompt(members.take("prompt"))? {
        ask.turns.push(Turn { speaker: Speaker::User, parts: vec![What::Text(text).into()], name: None });
    }
    ask.limit = members.whole("max_tokens")?;
    ask.temperature = members.float("temperature")?;
    ask.top_p = members.float("top_p")?;
    ask.top_k = members.whole("top_k")?;
    ask.seed = members.take("seed").and_then(|seed| seed.as_i64());
    ask.presence_penalty = members.float("presence_penalty")?;
    ask.frequency_penalty = members.float("frequency_penalty")?;
    ask.stop = match members.take("stop") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(all)) => {
            all.into_iter().filter_map(|stop| Some(stop.as_str()?.to_owned())).collect()
        }
        _ => Vec::new(),
    };
    ask.choices = members.whole("n")?;
    ask.logprobs = members.whole("logprobs")?;
    if members.flag("echo")?.unwrap_or(false) {
        ask.dropped.push("echo".into());
    }
    ask.user = members.text("user")?;
    ask.service_tier = members.text("service_tier")?.as_deref().and_then(ServiceTier::of_word);
    ask.stream = members.flag("stream")?.unwrap_or(false);
    if let Some(mut options) = members.object("stream_options")? {
        ask.include_usage = options.flag("include_usage")?.unwrap_or(false);
        options.rest(&mut ask.dropped);
    }
    members.rest(&mut ask.dropped);
    Ok(ask)
}

fn prompt(prompt: Option<Value>) -> Result<Option<String>, Malformed> {
    const CURE: &str = "send one prompt of text, or choose a model that speaks completions";
    match prompt {
        None | Some(Value::Object(_)) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Array(mut items)) => match (items.pop(), items.is_empty()) {
            (Some(Value::String(text)), true) => Ok(Some(text)),
            (Some(Value::String(_)), false) => {
                Err(Malformed::field("prompt", format_args!("has several prompts; {CURE}")))
            }
            _ => Err(Malformed::field("prompt", format_args!("has tokens, not text; {CURE}"))),
        },
        Some(_) => Err(Malformed::field("prompt", "must be a string or an array")),
    }
}

/// Writes a request for the model of this name. A lone question is the prompt as it is; a conversation is written out,
/// with the speakers' names before their words.
pub(crate) fn write(ask: Ask, model: &str) -> Written {
    let mut written = Written::default();
    let dropped = &mut written.dropped;
    for (name, is_lost) in [
        ("tools", !ask.tools.is_empty()),
        ("response_format", ask.shape.as_ref().is_some_and(|shape| !matches!(shape, Shape::Text))),
        ("reasoning", ask.reasoning.is_some()),
        ("verbosity", ask.verbosity.is_some()),
        ("top_k", ask.top_k.is_some()),
        ("metadata", !ask.metadata.is_empty()),
        ("prompt_cache_key", ask.cache_key.is_some()),
        ("store", ask.store.is_some()),
    ] {
        if is_lost {
            dropped.push(name.into());
        }
    }
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    body.insert("prompt".into(), transcript(ask.turns, dropped).into());
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(key.into(), value);
        }
    };
    put("max_tokens", ask.limit.map(Value::from));
    put("temperature", ask.temperature.map(Value::from));
    put("top_p", ask.top_p.map(Value::from));
    put("seed", ask.seed.map(Value::from));
    put("presence_penalty", ask.presence_penalty.map(Value::from));
    put("frequency_penalty", ask.frequency_penalty.map(Value::from));
    put("stop", (!ask.stop.is_empty()).then(|| ask.stop.into()));
    put("n", ask.choices.map(Value::from));
    put("logprobs", ask.logprobs.map(Value::from));
    put("user", ask.user.map(Value::from));
    put("service_tier", ask.service_tier.map(|tier| tier_word(tier).into()));
    if ask.stream {
        put("stream", Some(true.into()));
        // Money hangs on it, whatever the caller's dialect says of it.
        put("stream_options", Some(json!({"include_usage": true})));
    }
    written.body = Value::Object(body).to_string().into_bytes();
    written
}

fn transcript(turns: Vec<Turn>, dropped: &mut Vec<String>) -> String {
    let mut said: Vec<(Speaker, String)> = Vec::new();
    for turn in turns {
        let mut texts = Vec::new();
        for part in turn.parts {
            match part.what {
                What::Text(text) | What::Refusal(text) => texts.push(text),
                What::Media { .. } => dropped.push("media".into()),
                What::ToolCall { .. } | What::ToolResult { .. } => dropped.push("tool_calls".into()),
                What::Reasoning { .. } => dropped.push("reasoning".into()),
            }
        }
        if !texts.is_empty() {
            said.push((turn.speaker, texts.join("\n\n")));
        }
    }
    let is_lone = said.iter().filter(|(speaker, _)| *speaker != Speaker::System).count() <= 1;
    let mut lines: Vec<String> = Vec::new();
    for (speaker, text) in said {
        lines.push(match speaker {
            Speaker::User if !is_lone => format!("User: {text}"),
            Speaker::Assistant if !is_lone => format!("Assistant: {text}"),
            _ => text,
        });
    }
    if !is_lone {
        lines.push("Assistant:".into());
    }
    lines.join("\n\n")
}
