//! A conversation request free of dialect: what one dialect's request is read into so that another can be written.
//!
//! Used only where the caller and the model speak differently. What a dialect has and this form has not is listed in
//! `dropped` by its path in the body, so that nothing is lost unsaid.

pub(crate) mod members;

use gauntlet_types::{Seal, ServiceTier};
use serde_json::value::RawValue;

/// A conversation and what is wanted of it.
#[derive(Clone, Default, Debug)]
pub struct Ask {
    pub model: String,
    pub turns: Vec<Turn>,
    pub tools: Vec<Tool>,
    pub tool_choice: Option<ToolChoice>,
    /// Whether the model may call several tools at once.
    pub parallel_tools: Option<bool>,
    /// Tokens of the output at most.
    pub limit: Option<u32>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<u32>,
    pub seed: Option<i64>,
    pub presence_penalty: Option<f64>,
    pub frequency_penalty: Option<f64>,
    pub stop: Vec<String>,
    /// Answers wanted.
    pub choices: Option<u32>,
    /// Alternatives of each token whose likelihood is wanted; 0 for the tokens alone.
    pub logprobs: Option<u32>,
    pub shape: Option<Shape>,
    pub reasoning: Option<Reasoning>,
    /// `low`, `medium`, `high`.
    pub verbosity: Option<String>,
    pub user: Option<String>,
    pub metadata: Vec<(String, String)>,
    pub service_tier: Option<ServiceTier>,
    /// OpenAI's `prompt_cache_key`.
    pub cache_key: Option<String>,
    /// Whether the provider may keep the answer (`store`).
    pub store: Option<bool>,
    pub stream: bool,
    /// The caller wants to be told what was used, where its dialect leaves that open.
    pub include_usage: bool,
    /// Paths of the body that have no place here.
    pub dropped: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Speaker {
    System,
    User,
    Assistant,
}

/// One message. What tools gave back stands in turns of the user, in parts of its own; neighbours of one speaker may
/// stand in one turn or in several.
#[derive(Clone, Debug)]
pub struct Turn {
    pub speaker: Speaker,
    pub parts: Vec<Part>,
    pub name: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Part {
    pub what: What,
    /// The provider shall cache what stands up to here.
    pub cache: Option<CacheMark>,
}

impl From<What> for Part {
    fn from(what: What) -> Part {
        Part { what, cache: None }
    }
}

#[derive(Clone, Debug)]
pub enum What {
    Text(String),
    Refusal(String),
    Media {
        kind: Media,
        source: Source,
        /// A file's name or title.
        name: Option<String>,
        /// OpenAI's `detail` of an image.
        detail: Option<String>,
    },
    /// `arguments` is JSON text, or plain text for a custom tool.
    ToolCall {
        id: String,
        name: String,
        arguments: String,
        is_custom: bool,
        seal: Option<Seal>,
    },
    ToolResult {
        /// Of the call.
        id: String,
        /// Of the tool, where the dialect repeats it; see [`Ask::name_results`].
        name: Option<String>,
        parts: Vec<Part>,
        is_error: bool,
    },
    /// What the model thought before; text that nobody may read is empty. Without a seal no provider takes it back.
    Reasoning {
        text: String,
        seal: Option<Seal>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Media {
    Image,
    Audio,
    Video,
    Document,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    Url {
        url: String,
        mime: Option<String>,
    },
    /// Bytes in base64.
    Inline {
        mime: String,
        data: String,
    },
    /// The provider's own id of a file: it means nothing elsewhere.
    File(String),
    Text(String),
}

/// How long a provider shall keep what stands before the mark.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CacheMark {
    FiveMinutes,
    Hour,
}

#[derive(Clone, Debug)]
pub struct Tool {
    pub name: String,
    pub description: Option<String>,
    pub kind: ToolKind,
    pub strict: Option<bool>,
    pub cache: Option<CacheMark>,
}

#[derive(Clone, Debug)]
pub enum ToolKind {
    /// With the JSON Schema of its arguments.
    Function { schema: Option<Box<RawValue>> },
    /// Takes plain text (OpenAI's custom tools); the format as it is written.
    Custom { format: Option<Box<RawValue>> },
    /// Done by the provider (`web_search`, `code_execution` …): its definition as it is written, which means nothing
    /// to another dialect.
    Builtin { raw: Box<RawValue> },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ToolChoice {
    Auto,
    None,
    /// Some tool, whichever.
    Any,
    Named(String),
}

#[derive(Clone, Debug)]
pub enum Shape {
    Text,
    /// Any JSON object.
    Json,
    Schema {
        name: Option<String>,
        description: Option<String>,
        schema: Box<RawValue>,
        strict: Option<bool>,
    },
}

/// How much a model shall think.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Reasoning {
    pub effort: Option<Effort>,
    /// Tokens of thought at most.
    pub budget: Option<u32>,
    /// Whether thoughts (or their summary) shall be told.
    pub is_told: Option<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    /// `xhigh`, `max`.
    Most,
}

impl Effort {
    pub fn of_word(word: &str) -> Option<Effort> {
        Some(match word {
            "none" => Effort::None,
            "minimal" => Effort::Minimal,
            "low" => Effort::Low,
            "medium" => Effort::Medium,
            "high" => Effort::High,
            "xhigh" | "max" => Effort::Most,
            _ => return None,
        })
    }

    /// Tokens of thought that stand for it where a dialect counts them: the steps that LiteLLM and OpenRouter users know
    /// (1 k, 4 k, 16 k, 32 k), none for no thought.
    pub const fn budget(self) -> Option<u32> {
        match self {
            Effort::None => None,
            Effort::Minimal | Effort::Low => Some(1_024),
            Effort::Medium => Some(4_096),
            Effort::High => Some(16_384),
            Effort::Most => Some(32_768),
        }
    }

    /// The word that comes nearest to a number of tokens.
    pub const fn of_budget(tokens: u32) -> Effort {
        match tokens {
            0 => Effort::None,
            1..=2_048 => Effort::Low,
            2_049..=8_192 => Effort::Medium,
            _ => Effort::High,
        }
    }
}

/// A request as another dialect writes it.
#[derive(Clone, Default, Debug)]
pub struct Written {
    pub body: Vec<u8>,
    /// What of the request has no counterpart, by its name in the neutral form or the caller's path.
    pub dropped: Vec<String>,
    /// What the dialect demands and the caller did not say (`max_tokens`).
    pub injected: Vec<String>,
    /// Names of the caller's tools that take plain text: a call of one is answered so, whatever the model's dialect made
    /// of it (see `translate::Head`).
    pub custom_tools: Vec<String>,
}

/// Longest id of a tool call that every provider takes.
const TOOL_ID_MAX: usize = 40;

impl Ask {
    /// Offers tools that take plain text as functions of one member, `input`, which is all that other dialects know; calls
    /// that were made before likewise. The format of such a text (a grammar) is told in the description.
    pub fn without_custom(&mut self) {
        for tool in &mut self.tools {
            let ToolKind::Custom { format } = &tool.kind else { continue };
            if let Some(format) = format {
                let told = tool.description.get_or_insert_default();
                told.push_str(&format!("\n\nThe format of `input`: {}", format.get()));
            }
            let schema = serde_json::json!({
                "type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"],
            });
            tool.kind = ToolKind::Function { schema: Some(members::raw(&schema)) };
        }
        for part in self.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
            if let What::ToolCall { arguments, is_custom, .. } = &mut part.what
                && std::mem::take(is_custom)
            {
                *arguments = serde_json::json!({"input": arguments}).to_string();
            }
        }
    }

    /// Names of the tools that take plain text.
    pub fn custom_tools(&self) -> Vec<String> {
        let is_custom = |tool: &&Tool| matches!(tool.kind, ToolKind::Custom { .. });
        self.tools.iter().filter(is_custom).map(|tool| tool.name.clone()).collect()
    }

    /// Puts into each tool result the name of the tool it is of, for dialects that want it.
    pub fn name_results(&mut self) {
        let mut names: std::collections::HashMap<String, String> = std::collections::HashMap::new();
        for part in self.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
            match &mut part.what {
                What::ToolCall { id, name, .. } => {
                    names.insert(id.clone(), name.clone());
                }
                What::ToolResult { id, name, .. } if name.is_none() => *name = names.get(id).cloned(),
                _ => {}
            }
        }
    }
}

/// The id of a tool call in a form that every provider takes: letters, digits, `_` and `-`, at most 40. An id that is in
/// it already stays; another becomes a hash of itself, the same for the call and for its result.
pub fn tool_id(id: &str) -> String {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !id.is_empty() && id.len() <= TOOL_ID_MAX && id.bytes().all(fits) {
        return id.to_owned();
    }
    // FNV-1a, twice with different seeds: no secret hangs on it, only that equal ids stay equal.
    let hash =
        |seed: u64| id.bytes().fold(seed, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("call_{:016x}{:016x}", hash(0xcbf2_9ce4_8422_2325), hash(0x9e37_79b9_7f4a_7c15))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_id_that_fits_stays_and_another_is_always_the_same() {
        assert_eq!(tool_id("call_a-1"), "call_a-1");
        let long = "x".repeat(100);
        assert_eq!(tool_id(&long), tool_id(&long));
        assert!(tool_id(&long).len() <= TOOL_ID_MAX && tool_id("ä").len() <= TOOL_ID_MAX);
        assert_ne!(tool_id("functions.f:0"), tool_id("functions.f:1"));
        assert_ne!(tool_id(""), "");
    }
}
