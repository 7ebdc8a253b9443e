//! A past call made again: the same body, model, prompt and parameters, or another model or prompt, and what came out
//! otherwise.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use gauntlet_pipeline::{Gate, Gone, Incoming, Operator, Purpose};
use gauntlet_ports::StoredCall;
use gauntlet_types::{Action, Caller, Code, Direction, Door, Environment, Fault, NanoUsd};
use gauntlet_wire::conversation::PathAsk;
use http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    admin::Admin,
    api::{blocking, fault, in_chat, trace_get},
};

/// What shall be otherwise; nothing for the exact call again.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Changes {
    model: Option<String>,
    /// `name@label` or `name@version`, rendered with the variables of the call in the place of its own prompt.
    prompt: Option<String>,
}

/// One of the two calls.
#[derive(Serialize)]
struct Side {
    id: String,
    model: Option<String>,
    model_answered: Option<String>,
    prompt: Option<String>,
    outcome: &'static str,
    error: Option<String>,
    decision: &'static str,
    finish: Option<Value>,
    tokens_in: u32,
    tokens_out: u32,
    cost: NanoUsd,
    latency_us: u64,
    text: String,
}

pub(crate) async fn replay(
    State(admin): State<Admin>,
    Extension(gate): Extension<Arc<Gate>>,
    Path(id): Path<String>,
    changes: Option<Json<Changes>>,
) -> Response {
    let changes = changes.map(|Json(changes)| changes).unwrap_or_default();
    match run(admin, gate, id, changes).await {
        Ok(answer) => Json(answer).into_response(),
        Err(why) => fault(&why),
    }
}

async fn run(admin: Admin, gate: Arc<Gate>, id: String, changes: Changes) -> Result<Value, Fault> {
    let original = blocking(&admin, move |admin| trace_get(admin, &id)).await?;
    let incoming = again(&original, &changes)?;
    let answer = gauntlet_pipeline::run(gate, incoming, Gone::default()).await;
    let id = answer.headers.get("x-gauntlet-request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let id = id.ok_or_else(|| Fault::us(Code::Internal, "the call made again has no record"))?;
    let made = blocking(&admin, move |admin| trace_get(admin, &id)).await?;
    let unlike = unlike(&original, &made);
    Ok(json!({"original": side(&original), "replay": side(&made), "not_the_same": unlike}))
}

/// The call to make. Its body is the one that was sent, less what is private; a stream is not asked for, since nobody
/// waits for its first word.
fn again(original: &StoredCall, changes: &Changes) -> Result<Incoming, Fault> {
    let record = &original.record;
    let refuse = |message: &str| Err(Fault::caller(Code::InvalidRequest, message.to_owned()));
    if record.door.dialect().is_none() {
        return refuse("only conversations can be made again; of embeddings no vectors are kept");
    }
    if changes.prompt.is_some() && record.door != Door::ChatCompletions {
        return refuse("another prompt can be put only into a call that came in by /v1/chat/completions");
    }
    let Ok(Value::Object(mut body)) = serde_json::from_slice::<Value>(&original.input) else {
        return refuse(
            "the texts of this call were not kept (its route says so, or it was refused before it was read)",
        );
    };
    let model = match (&changes.model, &record.target) {
        (Some(model), _) => model.clone(),
        (None, Some(target)) => target.to_string(),
        (None, None) => record.model_asked.to_string(),
    };
    let rendered = body.remove("gauntlet");
    if let Some(prompt) = &changes.prompt {
        unrender(&mut body, rendered, prompt);
    }
    let path = PathAsk { model: model.clone(), stream: false, ..PathAsk::default() };
    if record.door != Door::GenerateContent {
        body.insert("model".to_owned(), model.into());
    }
    body.remove("stream");
    body.remove("stream_options");
    let mut headers = HeaderMap::new();
    let mut set = |name: &'static str, value: &str| match HeaderValue::from_str(value) {
        Ok(value) => {
            headers.insert(name, value);
            Ok(())
        }
        Err(_) => Err(Fault::caller(Code::InvalidRequest, format!("`{value}` cannot be a header's value"))),
    };
    set("x-gauntlet-route", &record.route)?;
    let caller = Caller {
        tenant: record.caller.tenant.clone(),
        team: record.caller.team.clone(),
        environment: Environment::Eval,
        app_sha: record.caller.app_sha.clone(),
        eval_id: Some(format!("replay:{}", record.id).into()),
        ..Caller::default()
    };
    let prompt = record.prompt.clone().filter(|_| changes.prompt.is_none());
    let operator = Operator { caller, prompt, purpose: Purpose::Replay };
    let body = Value::Object(body).to_string();
    let operator = Some(Box::new(operator));
    Ok(Incoming { door: record.door, path, pass: None, headers, body: Ok(body.into()), operator })
}

/// Takes the messages out that a stored prompt was rendered to, so that another can be in their place. A call that named
/// none keeps its messages, and the prompt goes before them.
fn unrender(body: &mut Map<String, Value>, rendered: Option<Value>, prompt: &str) {
    let mut field = json!({"prompt": prompt});
    if let Some(rendered) = rendered {
        let count = rendered["rendered_messages"].as_u64().and_then(|count| usize::try_from(count).ok());
        if let (Some(count), Some(Value::Array(messages))) = (count, body.get_mut("messages")) {
            messages.drain(..count.min(messages.len()));
        }
        field["variables"] = rendered["variables"].clone();
    }
    body.insert("gauntlet".to_owned(), field);
}

/// What could not be the same, or was not.
fn unlike(original: &StoredCall, made: &StoredCall) -> Vec<String> {
    let (was, is) = (&original.record, &made.record);
    let mut unlike = Vec::new();
    let is_hidden = |note: &&gauntlet_types::GuardNote| {
        note.direction == Direction::Input && matches!(note.kind.as_str(), "pii" | "secrets")
    };
    if was.guard.iter().any(|note| is_hidden(&note) && !note.shadow && note.action != Action::Redact) {
        unlike.push("what is private in the input was not kept, so it was not sent again".to_owned());
    }
    if was.target != is.target {
        let show = |target: &Option<gauntlet_types::Target>| {
            target.as_ref().map_or("none".to_owned(), ToString::to_string)
        };
        unlike.push(format!("the model was {}, and is {}", show(&was.target), show(&is.target)));
    } else if was.model_answered != is.model_answered {
        let show = |name: &Option<gauntlet_types::Name>| name.as_deref().unwrap_or("unknown").to_owned();
        unlike.push(format!(
            "the provider answered as {}, and answers as {} now",
            show(&was.model_answered),
            show(&is.model_answered)
        ));
    }
    if was.prompt.as_ref().map(|prompt| &prompt.hash) != is.prompt.as_ref().map(|prompt| &prompt.hash) {
        unlike.push("the prompt is another version".to_owned());
    }
    if was.is_streaming {
        unlike.push("the answer was a stream, and is whole".to_owned());
    }
    if was.config_version != is.config_version {
        unlike.push(format!("the configuration was {}, and is {}", was.config_version, is.config_version));
    }
    if was.price_version != is.price_version {
        unlike.push(format!("prices were {}, and are {}", was.price_version, is.price_version));
    }
    unlike
}

fn side(call: &StoredCall) -> Side {
    let record = &call.record;
    Side {
        id: record.id.to_string(),
        model: record.target.as_ref().map(ToString::to_string),
        model_answered: record.model_answered.as_ref().map(ToString::to_string),
        prompt: record.prompt.as_ref().map(|prompt| format!("{}@{}", prompt.name, prompt.version)),
        outcome: record.outcome.as_str(),
        error: record.error_message.clone(),
        decision: record.decision.as_str(),
        finish: record.finish.and_then(|finish| serde_json::to_value(finish).ok()),
        tokens_in: record.usage.input_total().0,
        tokens_out: record.usage.output_total().0,
        cost: record.cost,
        latency_us: record.latency_us,
        text: text(&in_chat(call).output),
    }
}

/// The words of the first choice, and the tools that it calls.
fn text(output: &[u8]) -> String {
    let answer: Value = serde_json::from_slice(output).unwrap_or_default();
    let message = &answer["choices"][0]["message"];
    let mut text = message["content"].as_str().unwrap_or_default().to_owned();
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let function = &call["function"];
        let (name, arguments) = (function["name"].as_str(), function["arguments"].as_str());
        text.push_str(&format!("\n{}({})", name.unwrap_or("?"), arguments.unwrap_or("")));
    }
    text
}
