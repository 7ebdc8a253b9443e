//! Who calls, for what, by which door.

use serde::{Deserialize, Serialize};

use crate::{id::Name, offer::Service};

/// The format that a conversation is written in, asked and answered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// OpenAI's chat completions, which most servers speak.
    Chat,
    /// OpenAI's legacy completions: a prompt and its continuation.
    Completions,
    /// OpenAI's Responses.
    Responses,
    /// Anthropic's Messages.
    Messages,
    /// Google's generateContent.
    Gemini,
    /// Bedrock's Converse: spoken upstream, at no door.
    Converse,
}

impl Dialect {
    pub const ALL: [Dialect; 6] = [
        Dialect::Chat,
        Dialect::Completions,
        Dialect::Responses,
        Dialect::Messages,
        Dialect::Gemini,
        Dialect::Converse,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Dialect::Chat => "chat",
            Dialect::Completions => "completions",
            Dialect::Responses => "responses",
            Dialect::Messages => "messages",
            Dialect::Gemini => "gemini",
            Dialect::Converse => "converse",
        }
    }
}

/// The endpoint a call came in by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    ChatCompletions,
    /// OpenAI's legacy completions.
    Completions,
    Responses,
    Messages,
    /// Gemini's generateContent and streamGenerateContent.
    GenerateContent,
    Embeddings,
    /// Gemini's embedContent and batchEmbedContents.
    EmbedContent,
    /// Anthropic's count_tokens.
    MessagesCountTokens,
    /// Gemini's countTokens.
    GeminiCountTokens,
    Moderations,
    Images,
    Speech,
    Transcriptions,
    Rerank,
    Files,
    Batches,
}

impl Door {
    pub const ALL: [Door; 16] = [
        Door::ChatCompletions,
        Door::Completions,
        Door::Responses,
        Door::Messages,
        Door::GenerateContent,
        Door::Embeddings,
        Door::EmbedContent,
        Door::MessagesCountTokens,
        Door::GeminiCountTokens,
        Door::Moderations,
        Door::Images,
        Door::Speech,
        Door::Transcriptions,
        Door::Rerank,
        Door::Files,
        Door::Batches,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Door::ChatCompletions => "chat_completions",
            Door::Completions => "completions",
            Door::Responses => "responses",
            Door::Messages => "messages",
            Door::GenerateContent => "generate_content",
            Door::Embeddings => "embeddings",
            Door::EmbedContent => "embed_content",
            Door::MessagesCountTokens => "messages_count_tokens",
            Door::GeminiCountTokens => "gemini_count_tokens",
            Door::Moderations => "moderations",
            Door::Images => "images",
            Door::Speech => "speech",
            Door::Transcriptions => "transcriptions",
            Door::Rerank => "rerank",
            Door::Files => "files",
            Door::Batches => "batches",
        }
    }

    /// `gen_ai.operation.name` of the OpenTelemetry GenAI conventions; where they have none, our own name.
    pub const fn operation(self) -> &'static str {
        match self {
            Door::ChatCompletions | Door::Responses | Door::Messages => "chat",
            Door::Completions => "text_completion",
            Door::GenerateContent => "generate_content",
            Door::Embeddings | Door::EmbedContent => "embeddings",
            other => other.as_str(),
        }
    }

    /// Whose manners hold at this door, above all in errors.
    pub const fn manners(self) -> Dialect {
        match self {
            Door::Messages | Door::MessagesCountTokens => Dialect::Messages,
            Door::GenerateContent | Door::EmbedContent | Door::GeminiCountTokens => Dialect::Gemini,
            Door::Responses => Dialect::Responses,
            _ => Dialect::Chat,
        }
    }

    /// The format of a conversation that comes in by this door; none where it is no conversation.
    pub const fn dialect(self) -> Option<Dialect> {
        match self {
            Door::ChatCompletions => Some(Dialect::Chat),
            Door::Completions => Some(Dialect::Completions),
            Door::Responses => Some(Dialect::Responses),
            Door::Messages | Door::MessagesCountTokens => Some(Dialect::Messages),
            Door::GenerateContent | Door::GeminiCountTokens => Some(Dialect::Gemini),
            _ => None,
        }
    }

    /// What a provider must serve for it.
    pub const fn service(self) -> Service {
        match self {
            Door::ChatCompletions
            | Door::Completions
            | Door::Responses
            | Door::Messages
            | Door::GenerateContent
            | Door::MessagesCountTokens
            | Door::GeminiCountTokens => Service::Chat,
            Door::Embeddings | Door::EmbedContent => Service::Embeddings,
            Door::Moderations => Service::Moderations,
            Door::Images => Service::Images,
            Door::Speech | Door::Transcriptions => Service::Audio,
            Door::Rerank => Service::Rerank,
            Door::Files => Service::Files,
            Door::Batches => Service::Batches,
        }
    }

    /// Whether a conversation is counted here, and not answered.
    pub const fn is_count(self) -> bool {
        matches!(self, Door::MessagesCountTokens | Door::GeminiCountTokens)
    }
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
