//! Which names a fact goes by, in the order in which they are believed: tables, read from the left.
//!
//! Sources: OpenTelemetry GenAI semantic conventions up to 1.36 and 1.37 to 1.41 with the fragments after it,
//! OpenInference, OpenLLMetry (Traceloop), Vercel's AI SDK, and what Langfuse, LangSmith, MLflow and Pydantic write.
//! Our own `gauntlet.*` come first where they say the same.

use gauntlet_types::SpanKind;

pub(super) type Names = &'static [&'static str];

pub(super) const PROVIDER: Names = &[
    "gen_ai.provider.name",
    "gen_ai.system",
    "llm.provider",
    "llm.system",
    "ai.model.provider",
    "embedding.provider",
];

/// What answered, before what was asked for: the dated name is the one that has a price.
pub(super) const MODEL: Names = &[
    "langfuse.observation.model.name",
    "gen_ai.response.model",
    "llm.response.model_name",
    "ai.response.model",
    "llm.model_name",
    "gen_ai.request.model",
    "llm.request.model_name",
    "ai.model.id",
    "embedding.model_name",
    "reranker.model_name",
];

pub(super) const TOOL: Names = &["gen_ai.tool.name", "tool.name", "ai.toolCall.name"];
/// Of spans that are known to be a tool's by other names.
pub(super) const TOOL_ENTITY: Names = &["traceloop.entity.name"];

pub(super) const TENANT: Names = &["gauntlet.tenant"];
pub(super) const TEAM: Names = &["gauntlet.team"];
pub(super) const USER: Names = &[
    "gauntlet.user",
    "user.id",
    "enduser.id",
    "langfuse.user.id",
    "traceloop.association.properties.user_id",
    "ai.telemetry.metadata.userId",
];
pub(super) const SESSION: Names = &[
    "gauntlet.session",
    "session.id",
    "gen_ai.conversation.id",
    "langfuse.session.id",
    "traceloop.association.properties.session_id",
    "ai.telemetry.metadata.sessionId",
    "langsmith.trace.session_id",
];
pub(super) const ENVIRONMENT: Names = &[
    "gauntlet.environment",
    "deployment.environment.name",
    "deployment.environment",
    "langfuse.environment",
];
pub(super) const APP_SHA: Names = &["gauntlet.app_sha", "vcs.ref.head.revision"];
pub(super) const EVAL_ID: Names = &["gauntlet.eval_id"];
pub(super) const TAGS: Names = &[
    "gauntlet.tags",
    "tag.tags",
    "langfuse.trace.tags",
    "ai.telemetry.metadata.tags",
    "langsmith.span.tags",
];

/// Input tokens of every kind, those of a cache included.
pub(super) const TOKENS_IN: Names = &[
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.token_count.prompt",
    "llm.usage.prompt_tokens",
    "ai.usage.inputTokens",
    "ai.usage.promptTokens",
    "ai.usage.tokens",
];
/// Output tokens of every kind, those of reasoning included.
pub(super) const TOKENS_OUT: Names = &[
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.token_count.completion",
    "llm.usage.completion_tokens",
    "ai.usage.outputTokens",
    "ai.usage.completionTokens",
];
pub(super) const TOKENS_TOTAL: Names =
    &["gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total", "ai.usage.totalTokens"];
pub(super) const CACHE_READ: Names = &[
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.cached_tokens",
    "gen_ai.usage.details.cache_read_tokens",
    "llm.token_count.prompt_details.cache_read",
    "llm.usage.cache_read_input_tokens",
    "ai.usage.cachedInputTokens",
];
pub(super) const CACHE_WRITE: Names = &[
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.details.cache_write_tokens",
    "llm.token_count.prompt_details.cache_write",
    "llm.usage.cache_creation_input_tokens",
];
pub(super) const REASONING: Names = &[
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.details.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
    "llm.usage.reasoning_tokens",
    "ai.usage.reasoningTokens",
];
pub(super) const AUDIO_IN: Names =
    &["gen_ai.usage.audio.input_tokens", "llm.token_count.prompt_details.audio"];
pub(super) const AUDIO_OUT: Names =
    &["gen_ai.usage.audio.output_tokens", "llm.token_count.completion_details.audio"];
/// A JSON object; in it, Langfuse counts each token once.
pub(super) const USAGE_DETAILS: Names = &["langfuse.observation.usage_details"];

/// In USD.
pub(super) const COST: Names = &[
    "gauntlet.cost_usd",
    "gen_ai.usage.cost",
    "gen_ai.usage.cost.amount",
    "llm.cost.total",
    "operation.cost",
    "gen_ai.usage.total_cost",
];
pub(super) const COST_PARTS: Names = &["llm.cost.prompt", "llm.cost.completion"];
pub(super) const COST_CURRENCY: Names = &["gen_ai.usage.cost.currency"];
/// A JSON object with `total`.
pub(super) const COST_DETAILS: Names = &["langfuse.observation.cost_details"];

/// Messages as one value: JSON text, or a list.
pub(super) const MESSAGES_IN: Names = &["gen_ai.input.messages", "ai.prompt.messages"];
pub(super) const MESSAGES_OUT: Names = &["gen_ai.output.messages"];
pub(super) const SYSTEM: Names = &["gen_ai.system_instructions"];
/// Messages as a name for each leaf: what their names begin with.
pub(super) const FLAT_IN: Names = &["llm.input_messages", "gen_ai.prompt"];
pub(super) const FLAT_OUT: Names = &["llm.output_messages", "gen_ai.completion"];
/// Messages as an event each, with the role that the event's name says.
pub(super) const EVENTS_IN: &[(&str, &str)] = &[
    ("gen_ai.system.message", "system"),
    ("gen_ai.user.message", "user"),
    ("gen_ai.assistant.message", "assistant"),
    ("gen_ai.tool.message", "tool"),
];
pub(super) const EVENTS_OUT: &[(&str, &str)] = &[("gen_ai.choice", "assistant")];
/// Events whose attributes say what the span's own would.
pub(super) const EVENTS_OF_FACTS: Names =
    &["gen_ai.client.inference.operation.details", "gen_ai.content.prompt", "gen_ai.content.completion"];

pub(super) const TOOL_IN: Names = &["gen_ai.tool.call.arguments", "ai.toolCall.args", "tool_arguments"];
pub(super) const TOOL_OUT: Names = &["gen_ai.tool.call.result", "ai.toolCall.result", "tool_response"];
pub(super) const TEXT_IN: Names = &[
    "langfuse.observation.input",
    "input.value",
    "traceloop.entity.input",
    "gen_ai.tool.call.arguments",
    "gen_ai.retrieval.query.text",
    "ai.prompt",
    "gen_ai.prompt",
    "ai.value",
    "ai.values",
    "embedding.embeddings.0.embedding.text",
    "tool.parameters",
    "mlflow.spanInputs",
    "langfuse.trace.input",
];
pub(super) const TEXT_OUT: Names = &[
    "langfuse.observation.output",
    "output.value",
    "traceloop.entity.output",
    "gen_ai.tool.call.result",
    "ai.response.object",
    "gen_ai.completion",
    "mlflow.spanOutputs",
    "langfuse.trace.output",
];
/// Vercel's: the answer's words, and beside them the tools that it calls (JSON).
pub(super) const ANSWER_TEXT: Names = &["ai.response.text"];
pub(super) const ANSWER_TOOLS: Names = &["ai.response.toolCalls"];

pub(super) const DOCUMENTS: Names = &["gen_ai.retrieval.documents"];
pub(super) const FLAT_DOCUMENTS: Names = &["retrieval.documents", "reranker.output_documents"];

pub(super) const ERROR: Names = &["error.message", "langfuse.observation.status_message", "error.type"];
pub(super) const EXCEPTION: Names = &["exception.message", "exception.type"];

/// What a name's value says of the kind; compared without case.
pub(super) type Words = &'static [(&'static str, SpanKind)];

pub(super) const KINDS: &[(&str, Words)] = &[
    (
        "langfuse.observation.type",
        &[
            ("generation", SpanKind::Llm),
            ("embedding", SpanKind::Embedding),
            ("chain", SpanKind::Chain),
            ("retriever", SpanKind::Retriever),
            ("tool", SpanKind::Tool),
            ("agent", SpanKind::Agent),
            ("guardrail", SpanKind::Guardrail),
            ("evaluator", SpanKind::Evaluator),
        ],
    ),
    ("openinference.span.kind", BY_NAME),
    (
        "gen_ai.operation.name",
        &[
            ("chat", SpanKind::Llm),
            ("text_completion", SpanKind::Llm),
            ("generate_content", SpanKind::Llm),
            ("completion", SpanKind::Llm),
            ("embeddings", SpanKind::Embedding),
            ("execute_tool", SpanKind::Tool),
            ("invoke_agent", SpanKind::Agent),
            ("create_agent", SpanKind::Agent),
            ("invoke_workflow", SpanKind::Chain),
            ("plan", SpanKind::Chain),
            ("retrieval", SpanKind::Retriever),
            ("search_memory", SpanKind::Retriever),
            ("rerank", SpanKind::Reranker),
        ],
    ),
    (
        "traceloop.span.kind",
        &[
            ("workflow", SpanKind::Chain),
            ("task", SpanKind::Chain),
            ("agent", SpanKind::Agent),
            ("tool", SpanKind::Tool),
        ],
    ),
    (
        "llm.request.type",
        &[
            ("chat", SpanKind::Llm),
            ("completion", SpanKind::Llm),
            ("embedding", SpanKind::Embedding),
            ("rerank", SpanKind::Reranker),
        ],
    ),
    (
        "ai.operationId",
        &[
            ("ai.generateText", SpanKind::Chain),
            ("ai.streamText", SpanKind::Chain),
            ("ai.generateObject", SpanKind::Chain),
            ("ai.streamObject", SpanKind::Chain),
            ("ai.embed", SpanKind::Chain),
            ("ai.embedMany", SpanKind::Chain),
            ("ai.generateText.doGenerate", SpanKind::Llm),
            ("ai.streamText.doStream", SpanKind::Llm),
            ("ai.generateObject.doGenerate", SpanKind::Llm),
            ("ai.streamObject.doStream", SpanKind::Llm),
            ("ai.embed.doEmbed", SpanKind::Embedding),
            ("ai.embedMany.doEmbed", SpanKind::Embedding),
            ("ai.toolCall", SpanKind::Tool),
        ],
    ),
    ("langsmith.span.kind", BY_NAME),
    ("mlflow.spanType", BY_NAME),
    ("mcp.method.name", &[("tools/call", SpanKind::Tool)]),
];

const BY_NAME: Words = &[
    ("llm", SpanKind::Llm),
    ("chat_model", SpanKind::Llm),
    ("embedding", SpanKind::Embedding),
    ("chain", SpanKind::Chain),
    ("workflow", SpanKind::Chain),
    ("retriever", SpanKind::Retriever),
    ("reranker", SpanKind::Reranker),
    ("tool", SpanKind::Tool),
    ("agent", SpanKind::Agent),
    ("guardrail", SpanKind::Guardrail),
    ("evaluator", SpanKind::Evaluator),
    ("prompt", SpanKind::Prompt),
];

/// What the mere presence of a name says, where nothing says it outright.
pub(super) const KIND_HINTS: &[(&str, SpanKind)] = &[
    ("gen_ai.tool.call.id", SpanKind::Tool),
    ("gen_ai.tool.name", SpanKind::Tool),
    ("gen_ai.retrieval.documents", SpanKind::Retriever),
    ("gen_ai.request.model", SpanKind::Llm),
    ("llm.model_name", SpanKind::Llm),
];
