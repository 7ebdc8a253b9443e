//! What is known of a call, an attempt and a tool, as values for attributes.

use bytes::Bytes;
use gauntlet_types::{
    Attempt, AttemptEnd, CacheUse, CallRecord, Dialect, Door, Finish, NanoUsd, Outcome, Target, Timestamp,
    ToolCall,
};
use serde_json::{Map, Value as Json, json};

use super::{
    Finished, Servers, bound,
    conversation::{Input, Message, Output, Part},
    profile::{AttemptField, CallField, ToolField},
    proto::{KeyValue, Value},
};
use crate::translate;

pub(super) struct Facts<'a> {
    pub record: &'a CallRecord,
    input: Input,
    output: Output,
    servers: &'a Servers,
}

impl<'a> Facts<'a> {
    pub(super) fn new(call: &Finished<'a>, servers: &'a Servers) -> Facts<'a> {
        let is_foreign = call.record.door.dialect().is_some_and(|dialect| dialect != Dialect::Chat);
        let (input, output) = match is_foreign && !call.input.is_empty() {
            true => {
                let bytes = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
                let (input, output) =
                    translate::in_chat(call.record, &bytes(call.input), &bytes(call.output));
                (Input::read(&input), Output::read(&output))
            }
            false => (Input::read(call.input), Output::read(call.output)),
        };
        Facts { record: call.record, input, output, servers }
    }

    /// Adds a fact under a name, or several under names that begin with it; nothing where nothing is known.
    pub(super) fn push(&self, key: &str, field: CallField, out: &mut Vec<KeyValue>) {
        match field {
            CallField::InputFlat => {
                flat(key, self.input.messages.iter(), out);
            }
            CallField::OutputFlat => flat(key, self.output.choices.iter().map(|(message, _)| message), out),
            CallField::ToolsFlat => {
                for (at, tool) in self.input.tools.iter().enumerate() {
                    out.push(KeyValue::new(format!("{key}.{at}.tool.json_schema"), tool.as_str()));
                }
            }
            CallField::EmbeddedFlat => {
                for (at, text) in self.input.embedded.iter().enumerate() {
                    out.push(KeyValue::new(format!("{key}.{at}.embedding.text"), text.as_str()));
                }
            }
            _ => out.extend(self.value(field).map(|value| KeyValue::new(key, value))),
        }
    }

    fn value(&self, field: CallField) -> Option<Value> {
        use CallField as F;
        let record = self.record;
        let caller = &record.caller;
        let usage = &record.usage;
        // A call that asked no model used nothing, which is not the same as zero tokens.
        let tokens = |count: u32| (usage.total().0 > 0).then(|| count.into());
        let some_tokens = |count: u32| (count > 0).then(|| Value::from(count));
        let name = |name: &Option<gauntlet_types::Name>| name.as_ref().map(|name| bound::line(name).into());
        let setting = |name: &str| self.input.settings.get(name);
        let number = |name: &str| setting(name).and_then(Json::as_f64).map(Value::from);
        let whole = |name: &str| setting(name).and_then(Json::as_i64).map(Value::from);
        let prompt = record.prompt.as_ref();
        let model = || record.target.as_ref().map_or(&record.model_asked, |target| &target.model);
        let cost_known = || usage.total().0 > 0 || record.cost != NanoUsd::ZERO;
        match field {
            F::Operation => Some(record.door.operation().into()),
            F::Kind => Some(
                match record.door {
                    Door::Embeddings | Door::EmbedContent => "EMBEDDING",
                    Door::Rerank => "RERANKER",
                    Door::Moderations => "GUARDRAIL",
                    _ => "LLM",
                }
                .into(),
            ),
            F::LangfuseKind => Some(
                match record.door {
                    Door::Embeddings | Door::EmbedContent => "embedding",
                    _ => "generation",
                }
                .into(),
            ),
            F::Provider => record.target.as_ref().map(|target| provider(&target.provider).into()),
            F::ModelAsked => Some(bound::line(&record.model_asked).into()),
            F::ModelRequested => Some(bound::line(model()).into()),
            F::ModelAnswered => name(&record.model_answered),
            F::ModelBest => Some(bound::line(record.model_answered.as_ref().unwrap_or(model())).into()),
            F::ResponseId => self.output.id.as_deref().map(Value::from),
            F::FinishReasons => record.finish.map(|finish| vec![finish.as_str().to_owned()].into()),
            F::Finish => record.finish.map(|finish| finish.as_str().into()),
            F::IsStreaming => Some(record.is_streaming.into()),
            F::FirstToken => record.first_token_us.map(|us| (us as f64 / 1e6).into()),
            F::FirstTokenTime => record
                .first_token_us
                .map(|us| Timestamp(record.started.0.saturating_add_unsigned(us)).to_string().into()),
            F::Temperature => number("temperature"),
            F::TopP => number("top_p"),
            F::TopK => number("top_k"),
            F::Seed => whole("seed"),
            F::MaxTokens => whole("max_completion_tokens").or_else(|| whole("max_tokens")),
            F::FrequencyPenalty => number("frequency_penalty"),
            F::PresencePenalty => number("presence_penalty"),
            F::ChoiceCount => whole("n").filter(|count| *count != Value::Int(1)),
            F::StopSequences => setting("stop").map(|stop| {
                match stop {
                    Json::Array(texts) => texts.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
                    one => vec![one.as_str().unwrap_or_default().to_owned()],
                }
                .into()
            }),
            F::Settings => (!self.input.settings.is_empty())
                .then(|| Json::Object(self.input.settings.clone()).to_string().into()),
            F::TokensIn => tokens(usage.input_total().0),
            F::TokensOut => tokens(usage.output_total().0),
            F::TokensTotal => tokens(usage.total().0),
            F::CacheRead => some_tokens(usage.cache_read_total().0),
            F::CacheWrite => some_tokens(usage.cache_write_5m.0.saturating_add(usage.cache_write_1h.0)),
            F::Reasoning => some_tokens(usage.reasoning.0),
            F::AudioIn => some_tokens(usage.audio_input.0.saturating_add(usage.audio_cache_read.0)),
            F::AudioOut => some_tokens(usage.audio_output.0),
            F::Cost => cost_known().then(|| usd(record.cost).into()),
            F::CostDetails => cost_known().then(|| json!({"total": usd(record.cost)}).to_string().into()),
            F::Wasted => (record.wasted != NanoUsd::ZERO).then(|| usd(record.wasted).into()),
            F::UsageEstimated => usage.estimated.then(|| true.into()),
            F::InputMessages => messages(self.input.messages.iter().map(Message::json)),
            F::OutputMessages => messages(self.output.choices.iter().map(|(message, finish)| {
                let mut message = message.json();
                let finish =
                    finish.as_deref().map(|word| if word == "tool_calls" { "tool_call" } else { word });
                if let Some(finish) = finish {
                    message.insert("finish_reason".to_owned(), finish.into());
                }
                message
            })),
            F::MessagesLeftOut => (self.input.left_out > 0).then(|| (self.input.left_out as i64).into()),
            F::Tools => {
                (!self.input.tools.is_empty()).then(|| format!("[{}]", self.input.tools.join(",")).into())
            }
            F::InputShown => self.input.shown().map(Value::from),
            F::OutputShown => self.output.shown().map(Value::from),
            F::InputType => self.input.shown().map(|_| "text/plain".into()),
            F::OutputType => self.output.shown().map(|_| "text/plain".into()),
            F::Tenant => Some(bound::line(&caller.tenant).into()),
            F::Team => name(&caller.team),
            F::User => name(&caller.user),
            F::Session => name(&caller.session),
            F::TraceWithoutSession => caller.session.is_none().then(|| record.trace_id.to_string().into()),
            F::Key => name(&caller.key),
            F::Environment => Some(caller.environment.as_str().into()),
            F::AppSha => name(&caller.app_sha),
            F::EvalId => name(&caller.eval_id),
            F::Tags => (!caller.tags.is_empty())
                .then(|| caller.tags.iter().take(32).map(|tag| bound::line(tag)).collect::<Vec<_>>().into()),
            F::Route => Some(bound::line(&record.route).into()),
            F::Sdk => name(&record.sdk),
            F::PromptName => prompt.map(|prompt| bound::line(&prompt.name).into()),
            F::PromptVersion => prompt.map(|prompt| bound::line(&prompt.version).into()),
            F::PromptVersionNumber => prompt?.version.parse::<i64>().ok().map(Value::from),
            F::PromptLabel => prompt.and_then(|prompt| name(&prompt.label)),
            F::PromptHash => prompt.map(|prompt| bound::line(&prompt.hash).into()),
            F::Decision => Some(record.decision.as_str().into()),
            F::Cache => Some(record.cache.as_str().into()),
            F::Outcome => Some(record.outcome.as_str().into()),
            F::Status => (record.status > 0).then(|| u32::from(record.status).into()),
            F::ErrorType => error_type(record).map(Value::from),
            F::Level => Some(if is_error(record) { "ERROR" } else { "DEFAULT" }.into()),
            F::ErrorMessage => record
                .error_message
                .as_deref()
                .filter(|_| is_error(record))
                .map(|text| bound::line(text).into()),
            F::BudgetAction => record.budget.as_ref().map(|budget| budget.action.as_str().into()),
            F::Attempts => Some((record.attempts.len() as i64).into()),
            F::CallId => Some(record.id.to_string().into()),
            F::ConfigVersion => Some(bound::line(&record.config_version).into()),
            F::ServerAddress => self.server(record.target.as_ref()?).map(|(host, _)| host.as_str().into()),
            F::ServerPort => self.server(record.target.as_ref()?).map(|(_, port)| u32::from(*port).into()),
            F::InputFlat | F::OutputFlat | F::ToolsFlat | F::EmbeddedFlat => None,
        }
    }

    pub(super) fn attempt(&self, number: usize, attempt: &Attempt, field: AttemptField) -> Option<Value> {
        use AttemptField as F;
        let billed = attempt.billed.as_ref();
        match field {
            F::Const(text) => Some(text.into()),
            F::Number => Some((number as i64 + 1).into()),
            F::Target => Some(bound::line(&attempt.target.to_string()).into()),
            F::Provider => Some(provider(&attempt.target.provider).into()),
            F::End => Some(end(attempt.end).into()),
            F::Status => attempt.status.map(|status| u32::from(status).into()),
            F::ErrorType => attempt_error(attempt).map(Value::from),
            F::ServerAddress => self.server(&attempt.target).map(|(host, _)| host.as_str().into()),
            F::ServerPort => self.server(&attempt.target).map(|(_, port)| u32::from(*port).into()),
            F::BilledIn => billed.map(|billed| billed.usage.input_total().0.into()),
            F::BilledOut => billed.map(|billed| billed.usage.output_total().0.into()),
            F::BilledCost => billed.map(|billed| usd(billed.cost).into()),
        }
    }

    fn server(&self, target: &Target) -> Option<&(String, u16)> {
        self.servers.get(&target.provider)
    }
}

pub(super) fn tool(call: &ToolCall, field: ToolField) -> Option<Value> {
    use ToolField as F;
    Some(match field {
        F::Const(text) => text.into(),
        F::Name => bound::line(&call.name).into(),
        F::Id => bound::line(&call.id).into(),
        F::Arguments => bound::text(&call.arguments).into(),
        F::IsRequested => true.into(),
    })
}

/// The caller got an error, by whoever's fault.
pub(super) fn is_error(record: &CallRecord) -> bool {
    match record.outcome {
        Outcome::Refused | Outcome::Blocked | Outcome::Failed | Outcome::Interrupted => true,
        // A canned answer is one; and who goes away is no error of ours.
        Outcome::Ok | Outcome::Canned | Outcome::Cancelled => false,
    }
}

fn error_type(record: &CallRecord) -> Option<&'static str> {
    match record.error {
        Some(code) => Some(code.as_str()),
        None => is_error(record).then_some("_OTHER"),
    }
}

/// The status, where one was answered, else what happened.
pub(super) fn attempt_error(attempt: &Attempt) -> Option<String> {
    match (attempt.end, attempt.status) {
        (AttemptEnd::Ok, _) => None,
        (AttemptEnd::Status, Some(status)) => Some(status.to_string()),
        (other, _) => Some(end(other).to_owned()),
    }
}

const fn end(end: AttemptEnd) -> &'static str {
    match end {
        AttemptEnd::Ok => "ok",
        AttemptEnd::Status => "status",
        AttemptEnd::Connect => "connect",
        AttemptEnd::FirstTokenTimeout => "first_token_timeout",
        AttemptEnd::IdleTimeout => "idle_timeout",
        AttemptEnd::TotalTimeout => "total_timeout",
        AttemptEnd::Malformed => "malformed",
        AttemptEnd::Cut => "cut",
        AttemptEnd::StreamError => "stream_error",
        AttemptEnd::Abandoned => "abandoned",
        AttemptEnd::Outrun => "outrun",
    }
}

/// The conventions' name of a provider that is configured under a usual one.
fn provider(name: &str) -> String {
    let known = match name {
        "azure" => "azure.ai.openai",
        "bedrock" => "aws.bedrock",
        "gemini" | "google" => "gcp.gemini",
        "vertex" => "gcp.vertex_ai",
        "mistral" => "mistral_ai",
        "xai" => "x_ai",
        "watsonx" => "ibm.watsonx.ai",
        other => return bound::line(other),
    };
    known.to_owned()
}

/// For showing; what counts is in the store, to the nano-dollar.
fn usd(amount: NanoUsd) -> f64 {
    amount.0 as f64 / 1e9
}

fn messages(messages: impl Iterator<Item = Map<String, Json>>) -> Option<Value> {
    let all: Vec<Json> = messages.map(Json::Object).collect();
    (!all.is_empty()).then(|| Json::Array(all).to_string().into())
}

/// OpenInference's way: a name for each leaf.
fn flat<'m>(key: &str, messages: impl Iterator<Item = &'m Message>, out: &mut Vec<KeyValue>) {
    for (at, message) in messages.enumerate() {
        let mut add = |rest: String, text: &str| {
            if !text.is_empty() {
                out.push(KeyValue::new(format!("{key}.{at}.message.{rest}"), text));
            }
        };
        add("role".to_owned(), &message.role);
        add("content".to_owned(), &message.text());
        let mut calls = 0;
        for part in &message.parts {
            match part {
                Part::ToolCall { id, name, arguments } => {
                    let call = format!("tool_calls.{calls}.tool_call");
                    add(format!("{call}.id"), id);
                    add(format!("{call}.function.name"), name);
                    add(format!("{call}.function.arguments"), arguments);
                    calls += 1;
                }
                Part::ToolResult { id, .. } => add("tool_call_id".to_owned(), id),
                Part::Text(_) | Part::Reasoning(_) | Part::Media { .. } => {}
            }
        }
    }
}

/// The event of a cache that was asked.
pub(super) fn cache_event(record: &CallRecord) -> Option<&'static str> {
    (record.cache != CacheUse::Off).then(|| record.cache.as_str())
}

/// A finished word for what the span's name says of the model.
pub(super) fn span_name(record: &CallRecord) -> String {
    let model = record.target.as_ref().map_or(&record.model_asked, |target| &target.model);
    bound::line(&format!("{} {model}", record.door.operation())).trim_end().to_owned()
}

/// Whether the model stopped to have tools called.
pub(super) fn wants_tools(record: &CallRecord) -> bool {
    !record.tool_calls.is_empty() && record.finish != Some(Finish::ContentFilter)
}
