//! A step that an application traced itself and sent here: a chain, a retrieval, a tool, an agent, a model called directly.

use serde::{Deserialize, Serialize};

use crate::{
    call::Caller,
    id::{Name, SpanId, TraceId},
    money::NanoUsd,
    record::TextsGone,
    time::Timestamp,
    usage::Usage,
};

/// What a step is, in the words of OpenInference; `gen_ai.operation.name` and others are brought to these.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpanKind {
    Llm,
    Embedding,
    Chain,
    Retriever,
    Reranker,
    Tool,
    Agent,
    Guardrail,
    Evaluator,
    Prompt,
    /// Anything else that was traced: an HTTP request, a query of a database.
    #[default]
    Other,
}

impl SpanKind {
    pub const ALL: [SpanKind; 11] = [
        SpanKind::Llm,
        SpanKind::Embedding,
        SpanKind::Chain,
        SpanKind::Retriever,
        SpanKind::Reranker,
        SpanKind::Tool,
        SpanKind::Agent,
        SpanKind::Guardrail,
        SpanKind::Evaluator,
        SpanKind::Prompt,
        SpanKind::Other,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            SpanKind::Llm => "llm",
            SpanKind::Embedding => "embedding",
            SpanKind::Chain => "chain",
            SpanKind::Retriever => "retriever",
            SpanKind::Reranker => "reranker",
            SpanKind::Tool => "tool",
            SpanKind::Agent => "agent",
            SpanKind::Guardrail => "guardrail",
            SpanKind::Evaluator => "evaluator",
            SpanKind::Prompt => "prompt",
            SpanKind::Other => "other",
        }
    }

    pub fn parse(text: &str) -> Option<SpanKind> {
        SpanKind::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A document that a retrieval found, in the order found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Document {
    pub id: Name,
    /// As the retriever scores; on no common scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

/// What is known of a step but its texts, which travel beside it, redacted. Its ids are the sender's, and so is its clock.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SpanRecord {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_span_id: Option<SpanId>,
    pub name: Name,
    pub kind: SpanKind,
    pub started: Timestamp,
    pub took_us: u64,
    pub is_error: bool,
    /// Redacted and cut short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// `service.name` of the sender.
    pub service: Name,
    /// The instrumentation that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Name>,
    /// Tenant and whatever else is bound to the key that brought it; user, session, tags and the like as the span says.
    pub caller: Caller,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<Name>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<Document>,
    pub usage: Usage,
    /// As the sender says, else by our prices; never part of a budget or a bill, since no money went by here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<NanoUsd>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub texts_gone: Option<TextsGone>,
}
