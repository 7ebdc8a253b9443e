//! Which fact goes under which name, for whom: tables, read in their order.
//!
//! What each product reads was looked up in its code or documents in 2026. The traps: Phoenix leaves its lists blank
//! without `input.value`; Langfuse counts `cache_write` tokens twice, so only `cache_creation` is ever sent, and takes
//! prompt versions only as whole numbers; Honeycomb wants a conversation and an agent on every call; costs are
//! nowhere in OpenTelemetry yet. Attempts carry no `gen_ai` usage, or their tokens would count twice.

use gauntlet_types::ExportProfile;

#[derive(Clone, Copy)]
pub(super) enum CallField {
    Operation,
    Kind,
    LangfuseKind,
    Provider,
    ModelAsked,
    ModelRequested,
    ModelAnswered,
    ModelBest,
    ResponseId,
    FinishReasons,
    Finish,
    IsStreaming,
    FirstToken,
    FirstTokenTime,
    Temperature,
    TopP,
    TopK,
    Seed,
    MaxTokens,
    FrequencyPenalty,
    PresencePenalty,
    ChoiceCount,
    StopSequences,
    Settings,
    TokensIn,
    TokensOut,
    TokensTotal,
    CacheRead,
    CacheWrite,
    Reasoning,
    AudioIn,
    AudioOut,
    Cost,
    CostDetails,
    Wasted,
    UsageEstimated,
    InputMessages,
    OutputMessages,
    MessagesLeftOut,
    Tools,
    InputShown,
    OutputShown,
    InputType,
    OutputType,
    /// OpenInference's messages, tools and embedded texts: a name for each leaf, beginning with the row's.
    InputFlat,
    OutputFlat,
    ToolsFlat,
    EmbeddedFlat,
    Tenant,
    Team,
    User,
    Session,
    TraceWithoutSession,
    Key,
    Environment,
    AppSha,
    EvalId,
    Tags,
    Route,
    Sdk,
    PromptName,
    PromptVersion,
    PromptVersionNumber,
    PromptLabel,
    PromptHash,
    Decision,
    Cache,
    Outcome,
    Status,
    ErrorType,
    Level,
    ErrorMessage,
    BudgetAction,
    Attempts,
    CallId,
    ConfigVersion,
    ServerAddress,
    ServerPort,
}

#[derive(Clone, Copy)]
pub(super) enum AttemptField {
    Const(&'static str),
    Number,
    Target,
    Provider,
    End,
    Status,
    ErrorType,
    ServerAddress,
    ServerPort,
    BilledIn,
    BilledOut,
    BilledCost,
}

#[derive(Clone, Copy)]
pub(super) enum ToolField {
    Const(&'static str),
    Name,
    Id,
    Arguments,
    IsRequested,
}

type Rows<F> = &'static [(&'static str, F)];

/// What a receiver is told of each kind of span.
pub(super) struct Table {
    pub call: &'static [Rows<CallField>],
    pub attempt: &'static [Rows<AttemptField>],
    pub tool: &'static [Rows<ToolField>],
}

pub(super) const fn table(profile: ExportProfile) -> &'static Table {
    match profile {
        ExportProfile::Default => &DEFAULT,
        ExportProfile::Semconv => &SEMCONV,
        ExportProfile::OpenInference => &OPEN_INFERENCE,
        ExportProfile::Langfuse => &LANGFUSE,
        ExportProfile::Datadog => &DATADOG,
        ExportProfile::Honeycomb => &HONEYCOMB,
        ExportProfile::Mlflow => &MLFLOW,
    }
}

static SEMCONV: Table =
    Table { call: &[GEN_AI, OWN], attempt: &[OWN_ATTEMPT], tool: &[GEN_AI_TOOL, OWN_TOOL] };

static DEFAULT: Table = Table {
    call: &[
        GEN_AI,
        &[
            ("openinference.span.kind", CallField::Kind),
            ("input.value", CallField::InputShown),
            ("input.mime_type", CallField::InputType),
            ("output.value", CallField::OutputShown),
            ("output.mime_type", CallField::OutputType),
            ("session.id", CallField::Session),
            ("user.id", CallField::User),
            ("llm.cost.total", CallField::Cost),
        ],
        OWN,
    ],
    attempt: &[OWN_ATTEMPT, &[("openinference.span.kind", AttemptField::Const("CHAIN"))]],
    tool: &[
        GEN_AI_TOOL,
        &[("openinference.span.kind", ToolField::Const("TOOL")), ("input.value", ToolField::Arguments)],
        OWN_TOOL,
    ],
};

static OPEN_INFERENCE: Table = Table {
    call: &[
        &[
            ("openinference.span.kind", CallField::Kind),
            ("llm.provider", CallField::Provider),
            ("llm.model_name", CallField::ModelBest),
            ("llm.request.model_name", CallField::ModelRequested),
            ("llm.response.model_name", CallField::ModelAnswered),
            ("llm.finish_reason", CallField::Finish),
            ("llm.invocation_parameters", CallField::Settings),
            ("llm.input_messages", CallField::InputFlat),
            ("llm.output_messages", CallField::OutputFlat),
            ("llm.tools", CallField::ToolsFlat),
            ("embedding.embeddings", CallField::EmbeddedFlat),
            ("llm.token_count.prompt", CallField::TokensIn),
            ("llm.token_count.completion", CallField::TokensOut),
            ("llm.token_count.total", CallField::TokensTotal),
            ("llm.token_count.prompt_details.cache_read", CallField::CacheRead),
            ("llm.token_count.prompt_details.cache_write", CallField::CacheWrite),
            ("llm.token_count.prompt_details.audio", CallField::AudioIn),
            ("llm.token_count.completion_details.reasoning", CallField::Reasoning),
            ("llm.token_count.completion_details.audio", CallField::AudioOut),
            ("llm.cost.total", CallField::Cost),
            ("input.value", CallField::InputShown),
            ("input.mime_type", CallField::InputType),
            ("output.value", CallField::OutputShown),
            ("output.mime_type", CallField::OutputType),
            ("session.id", CallField::Session),
            ("user.id", CallField::User),
            ("tag.tags", CallField::Tags),
            ("prompt.id", CallField::PromptName),
            ("error.type", CallField::ErrorType),
        ],
        OWN,
    ],
    attempt: &[&[("openinference.span.kind", AttemptField::Const("CHAIN"))], OWN_ATTEMPT],
    tool: &[
        &[
            ("openinference.span.kind", ToolField::Const("TOOL")),
            ("tool.name", ToolField::Name),
            ("tool_call.id", ToolField::Id),
            ("tool_call.function.name", ToolField::Name),
            ("tool_call.function.arguments", ToolField::Arguments),
            ("input.value", ToolField::Arguments),
        ],
        OWN_TOOL,
    ],
};

static LANGFUSE: Table = Table {
    call: &[
        GEN_AI,
        &[
            ("langfuse.observation.type", CallField::LangfuseKind),
            ("langfuse.observation.model.name", CallField::ModelBest),
            ("langfuse.observation.completion_start_time", CallField::FirstTokenTime),
            ("langfuse.observation.cost_details", CallField::CostDetails),
            ("langfuse.observation.prompt.name", CallField::PromptName),
            ("langfuse.observation.prompt.version", CallField::PromptVersionNumber),
            ("langfuse.observation.metadata.prompt_version", CallField::PromptVersion),
            ("langfuse.observation.metadata.tenant", CallField::Tenant),
            ("langfuse.observation.metadata.route", CallField::Route),
            ("langfuse.observation.metadata.decision", CallField::Decision),
            ("langfuse.observation.level", CallField::Level),
            ("langfuse.observation.status_message", CallField::ErrorMessage),
            ("langfuse.session.id", CallField::Session),
            ("langfuse.user.id", CallField::User),
            ("langfuse.trace.tags", CallField::Tags),
            ("langfuse.environment", CallField::Environment),
            ("langfuse.release", CallField::AppSha),
        ],
        OWN,
    ],
    attempt: &[&[("langfuse.observation.type", AttemptField::Const("span"))], OWN_ATTEMPT],
    tool: &[&[("langfuse.observation.type", ToolField::Const("tool"))], GEN_AI_TOOL, OWN_TOOL],
};

static DATADOG: Table = Table {
    call: &[GEN_AI, &[("session_id", CallField::Session), ("usr.id", CallField::User)], OWN],
    attempt: &[OWN_ATTEMPT],
    tool: &[GEN_AI_TOOL, OWN_TOOL],
};

static HONEYCOMB: Table = Table {
    call: &[
        GEN_AI,
        &[
            // Both are asked for on every call of a model.
            ("gen_ai.conversation.id", CallField::TraceWithoutSession),
            ("gen_ai.agent.name", CallField::Route),
            ("user.id", CallField::User),
        ],
        OWN,
    ],
    attempt: &[OWN_ATTEMPT],
    tool: &[GEN_AI_TOOL, OWN_TOOL],
};

static MLFLOW: Table = Table {
    call: &[GEN_AI, &[("user.id", CallField::User)], OWN],
    attempt: &[OWN_ATTEMPT],
    tool: &[GEN_AI_TOOL, OWN_TOOL],
};

const GEN_AI: Rows<CallField> = &[
    ("gen_ai.operation.name", CallField::Operation),
    ("gen_ai.provider.name", CallField::Provider),
    ("gen_ai.request.model", CallField::ModelRequested),
    ("gen_ai.request.stream", CallField::IsStreaming),
    ("gen_ai.request.temperature", CallField::Temperature),
    ("gen_ai.request.top_p", CallField::TopP),
    ("gen_ai.request.top_k", CallField::TopK),
    ("gen_ai.request.seed", CallField::Seed),
    ("gen_ai.request.max_tokens", CallField::MaxTokens),
    ("gen_ai.request.frequency_penalty", CallField::FrequencyPenalty),
    ("gen_ai.request.presence_penalty", CallField::PresencePenalty),
    ("gen_ai.request.choice.count", CallField::ChoiceCount),
    ("gen_ai.request.stop_sequences", CallField::StopSequences),
    ("gen_ai.response.model", CallField::ModelAnswered),
    ("gen_ai.response.id", CallField::ResponseId),
    ("gen_ai.response.finish_reasons", CallField::FinishReasons),
    ("gen_ai.response.time_to_first_chunk", CallField::FirstToken),
    ("gen_ai.usage.input_tokens", CallField::TokensIn),
    ("gen_ai.usage.output_tokens", CallField::TokensOut),
    ("gen_ai.usage.cache_read.input_tokens", CallField::CacheRead),
    ("gen_ai.usage.cache_creation.input_tokens", CallField::CacheWrite),
    ("gen_ai.usage.reasoning.output_tokens", CallField::Reasoning),
    ("gen_ai.conversation.id", CallField::Session),
    ("gen_ai.prompt.name", CallField::PromptName),
    ("gen_ai.tool.definitions", CallField::Tools),
    ("gen_ai.input.messages", CallField::InputMessages),
    ("gen_ai.output.messages", CallField::OutputMessages),
    ("server.address", CallField::ServerAddress),
    ("server.port", CallField::ServerPort),
    ("error.type", CallField::ErrorType),
];

const GEN_AI_TOOL: Rows<ToolField> = &[
    ("gen_ai.operation.name", ToolField::Const("execute_tool")),
    ("gen_ai.tool.name", ToolField::Name),
    ("gen_ai.tool.type", ToolField::Const("function")),
    ("gen_ai.tool.call.id", ToolField::Id),
    ("gen_ai.tool.call.arguments", ToolField::Arguments),
];

const OWN: Rows<CallField> = &[
    ("gauntlet.call.id", CallField::CallId),
    ("gauntlet.outcome", CallField::Outcome),
    ("gauntlet.decision", CallField::Decision),
    ("gauntlet.cache", CallField::Cache),
    ("gauntlet.cost_usd", CallField::Cost),
    ("gauntlet.wasted_usd", CallField::Wasted),
    ("gauntlet.usage.estimated", CallField::UsageEstimated),
    ("gauntlet.tenant", CallField::Tenant),
    ("gauntlet.team", CallField::Team),
    ("gauntlet.user", CallField::User),
    ("gauntlet.key", CallField::Key),
    ("gauntlet.environment", CallField::Environment),
    ("gauntlet.route", CallField::Route),
    ("gauntlet.model_asked", CallField::ModelAsked),
    ("gauntlet.prompt.name", CallField::PromptName),
    ("gauntlet.prompt.version", CallField::PromptVersion),
    ("gauntlet.prompt.label", CallField::PromptLabel),
    ("gauntlet.prompt.hash", CallField::PromptHash),
    ("gauntlet.budget.action", CallField::BudgetAction),
    ("gauntlet.attempts", CallField::Attempts),
    ("gauntlet.messages_left_out", CallField::MessagesLeftOut),
    ("gauntlet.tags", CallField::Tags),
    ("gauntlet.eval_id", CallField::EvalId),
    ("gauntlet.app_sha", CallField::AppSha),
    ("gauntlet.sdk", CallField::Sdk),
    ("gauntlet.config_version", CallField::ConfigVersion),
    ("http.response.status_code", CallField::Status),
];

const OWN_ATTEMPT: Rows<AttemptField> = &[
    ("gauntlet.attempt.number", AttemptField::Number),
    ("gauntlet.attempt.target", AttemptField::Target),
    ("gauntlet.attempt.provider", AttemptField::Provider),
    ("gauntlet.attempt.end", AttemptField::End),
    ("gauntlet.attempt.billed_input_tokens", AttemptField::BilledIn),
    ("gauntlet.attempt.billed_output_tokens", AttemptField::BilledOut),
    ("gauntlet.attempt.billed_usd", AttemptField::BilledCost),
    ("http.response.status_code", AttemptField::Status),
    ("server.address", AttemptField::ServerAddress),
    ("server.port", AttemptField::ServerPort),
    ("error.type", AttemptField::ErrorType),
];

/// The gateway sees the wish; whether and how the application fulfils it, it does not.
const OWN_TOOL: Rows<ToolField> = &[("gauntlet.tool.is_requested", ToolField::IsRequested)];
