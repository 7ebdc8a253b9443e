//! `generationConfig` and `toolConfig` of a request that is written.

use serde_json::{Map, Value, json};

use crate::{
    ask::{Ask, Effort, Reasoning, Shape, ToolChoice},
    openai::chat::ask::value,
};

/// Stop sequences that Gemini takes.
const STOP_MAX: usize = 5;

/// The number in `gemini-3-pro`, `models/gemini-2.5-flash`; none in a name without one.
fn generation(model: &str) -> Option<u32> {
    let rest = &model[model.find("gemini-")? + "gemini-".len()..];
    let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// Whether the model thinks by levels and refuses a call without a signature, as Gemini does from 3 on. Names that move
/// along (`gemini-flash-latest`) stand for the newest.
pub(super) fn is_third(model: &str) -> bool {
    match generation(model) {
        Some(generation) => generation >= 3,
        None => model.contains("gemini-") && model.ends_with("-latest"),
    }
}

pub(super) fn generation_config(ask: &mut Ask, model: &str, dropped: &mut Vec<String>) -> Map<String, Value> {
    let mut config = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            config.insert(key.into(), value);
        }
    };
    put("maxOutputTokens", ask.limit.map(Value::from));
    put("temperature", ask.temperature.map(Value::from));
    put("topP", ask.top_p.map(Value::from));
    put("topK", ask.top_k.map(Value::from));
    put("candidateCount", ask.choices.map(Value::from));
    put("seed", ask.seed.map(Value::from));
    put("presencePenalty", ask.presence_penalty.map(Value::from));
    put("frequencyPenalty", ask.frequency_penalty.map(Value::from));
    if ask.stop.len() > STOP_MAX {
        ask.stop.truncate(STOP_MAX);
        dropped.push("stop".into());
    }
    put("stopSequences", (!ask.stop.is_empty()).then(|| std::mem::take(&mut ask.stop).into()));
    if let Some(top) = ask.logprobs {
        put("responseLogprobs", Some(true.into()));
        put("logprobs", (top > 0).then(|| top.into()));
    }
    match ask.shape.take() {
        Some(Shape::Json) => put("responseMimeType", Some("application/json".into())),
        Some(Shape::Schema { schema, .. }) => {
            put("responseMimeType", Some("application/json".into()));
            put("responseJsonSchema", Some(value(&schema)));
        }
        Some(Shape::Text) | None => {}
    }
    put("thinkingConfig", ask.reasoning.and_then(|reasoning| thinking(reasoning, model)));
    config
}

/// Gemini 3 thinks by levels and cannot be kept from it; before, it counted tokens.
fn thinking(reasoning: Reasoning, model: &str) -> Option<Value> {
    let mut config = Map::new();
    match (reasoning.budget, reasoning.effort) {
        (Some(budget), _) => drop(config.insert("thinkingBudget".into(), budget.into())),
        (None, Some(effort)) if is_third(model) => {
            let is_small = model.contains("flash");
            let level = match effort {
                Effort::None | Effort::Minimal if is_small => "minimal",
                Effort::None | Effort::Minimal | Effort::Low => "low",
                Effort::Medium => "medium",
                Effort::High | Effort::Most => "high",
            };
            config.insert("thinkingLevel".into(), level.into());
        }
        (None, Some(effort)) => {
            // 2.5 Pro always thinks: 128 is its least.
            let least = if model.contains("pro") { 128 } else { 0 };
            config.insert("thinkingBudget".into(), effort.budget().unwrap_or(least).into());
        }
        (None, None) => {}
    }
    if let Some(is_told) = reasoning.is_told {
        config.insert("includeThoughts".into(), is_told.into());
    }
    (!config.is_empty()).then_some(Value::Object(config))
}

pub(super) fn tool_config(choice: ToolChoice) -> Value {
    let calling = match choice {
        ToolChoice::Auto => json!({"mode": "AUTO"}),
        ToolChoice::None => json!({"mode": "NONE"}),
        ToolChoice::Any => json!({"mode": "ANY"}),
        ToolChoice::Named(name) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
    };
    json!({"functionCallingConfig": calling})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generation_of_a_model_is_told_by_its_name() {
        let check = |model: &str, expected: bool| assert_eq!(is_third(model), expected, "{model}");
        check("gemini-3-pro-preview", true);
        check("models/gemini-3.1-flash", true);
        check("publishers/google/models/gemini-10-ultra", true);
        check("gemini-flash-latest", true);
        check("gemini-2.5-pro", false);
        check("gemini-1.5-flash-latest", false);
        check("gemini-exp", false);
        check("gemma-3-27b", false);
        check("ein-modell", false);
    }

    #[test]
    fn effort_is_told_as_the_generation_counts_it() {
        let check = |effort: Effort, model: &str, expected: Value| {
            let reasoning = Reasoning { effort: Some(effort), ..Reasoning::default() };
            assert_eq!(thinking(reasoning, model), Some(expected), "{effort:?} {model}");
        };
        check(Effort::None, "gemini-2.5-flash", json!({"thinkingBudget": 0}));
        check(Effort::None, "gemini-2.5-pro", json!({"thinkingBudget": 128}));
        check(Effort::Medium, "gemini-2.5-pro", json!({"thinkingBudget": 4096}));
        check(Effort::None, "gemini-3-pro", json!({"thinkingLevel": "low"}));
        check(Effort::Minimal, "gemini-3-flash", json!({"thinkingLevel": "minimal"}));
        check(Effort::Most, "gemini-3-pro", json!({"thinkingLevel": "high"}));
    }
}
