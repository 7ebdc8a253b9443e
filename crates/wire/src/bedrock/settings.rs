//! What hangs on the model behind Converse: fields of its own, beside the common ones.

use serde_json::{Map, Value, json};

use crate::ask::{Ask, Effort, Reasoning, ToolChoice};

/// Least tokens of thought that Claude takes.
const THINKING_MIN: u32 = 1_024;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Family {
    Claude,
    Nova,
    /// Nova 2 thinks.
    Nova2,
    /// OpenAI's open-weight models.
    GptOss,
    Other,
}

impl Family {
    /// By an id or an inference profile: `anthropic.claude-…`, `eu.amazon.nova-pro-v1:0`, an ARN with either in it.
    pub(super) fn of(model: &str) -> Family {
        if model.contains("claude") {
            Family::Claude
        } else if model.contains("nova-2") {
            Family::Nova2
        } else if model.contains("nova") {
            Family::Nova
        } else if model.contains("gpt-oss") {
            Family::GptOss
        } else {
            Family::Other
        }
    }
}

/// `additionalModelRequestFields`. What a family has no field for is listed.
pub(super) fn additional(ask: &mut Ask, model: &str, dropped: &mut Vec<String>) -> Map<String, Value> {
    let family = Family::of(model);
    let mut fields = Map::new();
    // Claude may not be forced to a tool while it thinks, and a caller who forces one relies on it.
    let is_forced = matches!(ask.tool_choice, Some(ToolChoice::Any | ToolChoice::Named(_)));
    if family == Family::Claude && is_forced && !ask.tools.is_empty() && ask.reasoning.take().is_some() {
        dropped.push("reasoning".into());
    }
    if let Some(reasoning) = ask.reasoning {
        match reasoned(reasoning, ask.limit, family) {
            Reasoned::Field(key, value) => {
                fields.insert(key.into(), value);
                if family == Family::Claude {
                    unlike_thinking(ask, dropped);
                }
            }
            // No thought is how these models answer unasked.
            Reasoned::Not => {}
            Reasoned::Unknown => dropped.push("reasoning".into()),
        }
    }
    if family == Family::Claude && !is_early(model) && ask.temperature.is_some() && ask.top_p.take().is_some()
    {
        dropped.push("top_p".into());
    }
    if let Some(top_k) = ask.top_k {
        match family {
            Family::Claude => drop(fields.insert("top_k".into(), top_k.into())),
            Family::Nova | Family::Nova2 => {
                fields.insert("inferenceConfig".into(), json!({"topK": top_k}));
            }
            Family::GptOss | Family::Other => dropped.push("top_k".into()),
        }
    }
    fields
}

/// Claude from 4 on refuses `temperature` and `top_p` together.
fn is_early(model: &str) -> bool {
    ["claude-3", "claude-v2", "claude-instant"].iter().any(|early| model.contains(early))
}

enum Reasoned {
    Field(&'static str, Value),
    Not,
    Unknown,
}

fn reasoned(reasoning: Reasoning, limit: Option<u32>, family: Family) -> Reasoned {
    let effort = reasoning.effort.or(reasoning.budget.map(Effort::of_budget));
    let Some(effort) = effort else { return Reasoned::Not };
    let is_none = effort == Effort::None;
    let word = match effort {
        Effort::None | Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High | Effort::Most => "high",
    };
    match family {
        Family::Claude if is_none => Reasoned::Not,
        Family::Claude => {
            let wanted = reasoning.budget.or(effort.budget()).unwrap_or(THINKING_MIN).max(THINKING_MIN);
            // Thoughts count towards the limit of the output and must leave room in it.
            let budget = limit.map_or(wanted, |limit| wanted.min(limit.saturating_sub(1)));
            if budget < THINKING_MIN {
                return Reasoned::Unknown;
            }
            Reasoned::Field("thinking", json!({"type": "enabled", "budget_tokens": budget}))
        }
        Family::Nova2 if is_none => Reasoned::Not,
        Family::Nova2 => {
            Reasoned::Field("reasoningConfig", json!({"type": "enabled", "maxReasoningEffort": word}))
        }
        Family::GptOss => Reasoned::Field("reasoning_effort", word.into()),
        Family::Nova | Family::Other if is_none => Reasoned::Not,
        Family::Nova | Family::Other => Reasoned::Unknown,
    }
}

/// Claude refuses these beside its thinking (Anthropic API, "Extended thinking").
fn unlike_thinking(ask: &mut Ask, dropped: &mut Vec<String>) {
    if ask.temperature.take().is_some_and(|temperature| temperature != 1.0) {
        dropped.push("temperature".into());
    }
    if ask.top_p.is_some_and(|top_p| top_p < 0.95) {
        ask.top_p = None;
        dropped.push("top_p".into());
    }
    if ask.top_k.take().is_some() {
        dropped.push("top_k".into());
    }
}
