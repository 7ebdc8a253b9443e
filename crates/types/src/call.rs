//! Who calls, for what, by which door.

use serde::{Deserialize, Serialize};

use crate::id::Name;

/// The endpoint a call came in by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    ChatCompletions,
    Embeddings,
}

impl Door {
    pub const fn as_str(self) -> &'static str {
        match self {
            Door::ChatCompletions => "chat_completions",
            Door::Embeddings => "embeddings",
        }
    }

    /// `gen_ai.operation.name` of the OpenTelemetry GenAI conventions.
    pub const fn operation(self) -> &'static str {
        match self {
            Door::ChatCompletions => "chat",
            Door::Embeddings => "embeddings",
        }
    }
}

/// The format of a conversation's bodies.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's Responses.
    Responses,
    /// Anthropic's Messages.
    Messages,
    /// Gemini's `generateContent`.
    Gemini,
    /// Bedrock's Converse.
    Converse,
}

/// Which ledger pays. Unknown names are refused at the door, so spend cannot hide under a misspelt environment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    #[default]
    Prod,
    Staging,
    Dev,
    Eval,
    /// Models that judge answers.
    Judge,
    /// Copies of real requests whose answers nobody sees.
    Shadow,
}

impl Environment {
    pub const ALL: [Environment; 6] = [
        Environment::Prod,
        Environment::Staging,
        Environment::Dev,
        Environment::Eval,
        Environment::Judge,
        Environment::Shadow,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Environment::Prod => "prod",
            Environment::Staging => "staging",
            Environment::Dev => "dev",
            Environment::Eval => "eval",
            Environment::Judge => "judge",
            Environment::Shadow => "shadow",
        }
    }

    /// Reads the short names and the long ones people write (`production`, `development`).
    pub fn parse(text: &str) -> Option<Environment> {
        match text {
            "prod" | "production" => Some(Environment::Prod),
            "staging" => Some(Environment::Staging),
            "dev" | "development" => Some(Environment::Dev),
            "eval" | "evaluation" => Some(Environment::Eval),
            "judge" => Some(Environment::Judge),
            "shadow" => Some(Environment::Shadow),
            _ => None,
        }
    }
}

/// Who is asking and on whose behalf; made by `admit` alone, so that later stages need not doubt it.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Caller {
    pub tenant: Name,
    pub team: Option<Name>,
    pub user: Option<Name>,
    /// Session or conversation.
    pub session: Option<Name>,
    /// The name of the virtual key; none while the gateway is open on loopback.
    pub key: Option<Name>,
    pub environment: Environment,
    pub app_sha: Option<Name>,
    pub eval_id: Option<Name>,
    pub tags: Vec<Name>,
}

/// Which prompt text was rendered. The hash is SHA-256 over the version's canonical form, in hexadecimal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PromptRef {
    pub name: Name,
    pub version: Name,
    pub label: Option<Name>,
    pub hash: Name,
}

/// One provider's model, written `provider/model`; the model may contain further slashes.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Target {
    pub provider: Name,
    pub model: Name,
}

impl Target {
    pub fn parse(text: &str) -> Option<Target> {
        let (provider, model) = text.split_once('/')?;
        (!provider.is_empty() && !model.is_empty())
            .then(|| Target { provider: provider.into(), model: model.into() })
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}
