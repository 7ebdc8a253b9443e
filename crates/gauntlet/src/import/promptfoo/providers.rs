//! Providers: `openai:chat:gpt-4o` becomes a provider of ours and a target.

use serde_json::Value as Json;

use super::{Gathered, json};
use crate::import::{
    draft::{self, Refused, refused},
    emit::Words,
    notes::Place,
    tables::{self, Gateway, Reach, Row},
    variables,
    walk::{Item, Known},
};

/// Their names where LiteLLM has others.
const ALIASES: [(&str, &str); 9] = [
    ("azureopenai", "azure"),
    ("google", "gemini"),
    ("palm", "gemini"),
    ("together", "together_ai"),
    ("togetherai", "together_ai"),
    ("fireworks", "fireworks_ai"),
    ("fireworksai", "fireworks_ai"),
    ("localai", "vllm"),
    ("vertex", "vertex_ai"),
];
/// Kinds of call that stand between provider and model, and are asked at the chat door here.
const ASKED: [&str; 5] = ["chat", "messages", "completion", "responses", "text"];
const EMBEDDED: [&str; 2] = ["embedding", "embeddings"];
/// Fields of a provider's `config` that are fields of the body.
const PARAMS: [(&str, &str); 16] = [
    ("logprobs", "logprobs"),
    ("top_logprobs", "top_logprobs"),
    ("temperature", "temperature"),
    ("max_tokens", "max_tokens"),
    ("max_completion_tokens", "max_completion_tokens"),
    ("maxOutputTokens", "max_tokens"),
    ("top_p", "top_p"),
    ("topP", "top_p"),
    ("seed", "seed"),
    ("stop", "stop"),
    ("presence_penalty", "presence_penalty"),
    ("frequency_penalty", "frequency_penalty"),
    ("response_format", "response_format"),
    ("tools", "tools"),
    ("tool_choice", "tool_choice"),
    ("reasoning_effort", "reasoning_effort"),
];

/// The variable that a text of the source stands for: `{{env.NAME}}` or `${NAME}`.
pub(super) fn variable(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
    let env = inner.and_then(|inner| inner.trim().strip_prefix("env."));
    env.or_else(|| text.strip_prefix("${")?.strip_suffix('}'))
}

pub(super) fn read(item: &Item<'_>, gathered: &mut Gathered<'_>) {
    let all = if item.text().is_some() { vec![item.clone()] } else { item.items() };
    for item in &all {
        // `{openai:gpt-4o: {config: …}}` is another way to write it.
        let entries = item.entries();
        let keyed = match entries.as_slice() {
            [(id, inner)] if *id != "id" && id.contains(':') => Some((*id, inner.clone())),
            _ => None,
        };
        let is_first = gathered.targets.is_empty();
        let made = match &keyed {
            Some((id, inner)) => target(id, Some(inner), &item.place, is_first, gathered),
            None => one(item, is_first, gathered),
        };
        match made {
            Ok(target) => {
                let note = if is_first {
                    "the suite asks it".to_owned()
                } else {
                    format!("the suite asks the first one: run it with `--model {target}` for this")
                };
                let to = format!("evals/{}.yaml: model", gathered.name);
                gathered.draft.notes.mapped(&item.place, to, note);
                gathered.targets.push(target);
            }
            Err(refused) => gathered.draft.refuse(&item.place, refused),
        }
    }
}

/// `id`, or `{id, label, config}`, as the target that is asked for it. With `has_params` its parameters become the suite's.
pub(super) fn one(item: &Item<'_>, has_params: bool, gathered: &mut Gathered<'_>) -> Result<String, Refused> {
    if let Some(id) = item.text() {
        return target(id, None, &item.place, has_params, gathered);
    }
    let id = item.entries().into_iter().find(|(name, _)| *name == "id").and_then(|(_, id)| id.text());
    match id {
        Some(id) => target(id, Some(item), &item.place, has_params, gathered),
        None => Err(refused("it has no `id`", "write the provider and its model by hand")),
    }
}

/// What promptfoo takes for embeddings where nobody names a model.
pub(super) fn usual_embedder(place: &Place, gathered: &mut Gathered<'_>) -> Option<String> {
    let row = tables::PROVIDERS.iter().find(|row| row.ours == "openai")?;
    let key = gathered.draft.variables.named(row.variable, place).map(|name| Words::variable(&name));
    let account = draft::account(row, None, key, Vec::new()).ok()?;
    Some(format!("{}/text-embedding-3-large", gathered.draft.provider(row.ours, account, place)))
}

const KNOWN: [Known; 5] = [
    ("label", "targets are called provider/model here", "nothing"),
    ("prompts", "all prompts are asked of every model", "make another suite for that prompt"),
    ("delay", "rates are a limit of the model's", "write `limits` in gauntlet.yml, or `concurrency: 1`"),
    ("transform", "code is not run on answers", "use options of the metric, such as `anywhere: true`"),
    ("env", "variables are those of the environment", "set them before the start"),
];

fn target(
    id: &str,
    item: Option<&Item<'_>>,
    place: &Place,
    has_params: bool,
    gathered: &mut Gathered<'_>,
) -> Result<String, Refused> {
    let code =
        ["file:", "exec:", "python:", "golang:", "package:", "http", "webhook:", "ws", "browser", "script:"];
    if code.iter().any(|start| id.starts_with(start)) {
        return Err(refused(
            "it is a program or an address of one's own, which the gateway does not ask",
            "let it speak OpenAI's dialect and add it under `providers`, or score its answers as recorded (`output` in the dataset)",
        ));
    }
    let (vendor, rest) = id.split_once(':').unwrap_or((id, ""));
    let name = ALIASES.iter().find(|(theirs, _)| *theirs == vendor).map_or(vendor, |(_, name)| *name);
    let row = tables::provider(Gateway::Litellm, name).ok_or_else(|| {
        refused(
            format!("the importer knows no provider `{}`", vendor.escape_debug()),
            "if it speaks OpenAI's dialect, add it under `providers`, and its model as `model` in the suite",
        )
    })?;
    let model = match rest.split_once(':') {
        Some((kind, model)) if ASKED.contains(&kind) || EMBEDDED.contains(&kind) => model,
        None if ASKED.contains(&rest) || rest.is_empty() => "",
        _ => rest,
    };
    if model.is_empty() {
        return Err(refused(
            "it names no model",
            "write the model behind it, such as `openai:chat:gpt-4o-mini`",
        ));
    }
    if ["realtime", "image", "assistant", "moderation", "transcription"]
        .iter()
        .any(|kind| rest.starts_with(kind))
    {
        return Err(refused("its kind of call is no chat", "nothing"));
    }
    let (host, key) = config(row, item, has_params, gathered)?;
    draft::account(row, host.clone(), None, Vec::new())?;
    let key = match key {
        Some(name) => Some(Words::variable(&name)),
        None if matches!(row.reach, Reach::Server(_)) => None,
        // promptfoo takes it from the same variable.
        None => gathered.draft.variables.named(row.variable, place).map(|name| Words::variable(&name)),
    };
    let account = draft::account(row, host, key, Vec::new())?;
    let provider = gathered.draft.provider(row.ours, account, place);
    Ok(format!("{provider}/{model}"))
}

/// Address and variable of the key; the parameters of calls go to the suite.
fn config(
    row: &Row,
    item: Option<&Item<'_>>,
    has_params: bool,
    gathered: &mut Gathered<'_>,
) -> Result<(Option<Words>, Option<String>), Refused> {
    let default_host = (row.ours == "ollama").then(|| Words::literal("http://127.0.0.1:11434"));
    let Some(item) = item else { return Ok((default_host, None)) };
    let draft = &mut gathered.draft;
    let mut fields = item.fields(&mut draft.notes);
    let _ = fields.take("id");
    let config = fields.take("config");
    fields.finish(&KNOWN, &mut draft.notes);
    let Some(config) = config else { return Ok((default_host, None)) };
    let mut fields = config.fields(&mut draft.notes);
    let base = fields.any(&["apiBaseUrl", "baseUrl", "basePath"]);
    let host = match (base, fields.take("apiHost")) {
        (Some(base), _) => Some(draft::address(base.text().unwrap_or_default())?),
        (None, Some(host)) => Some(draft::address(&format!("https://{}", host.text().unwrap_or_default()))?),
        (None, None) => default_host,
    };
    let key = match (fields.take("apiKey"), fields.take("apiKeyEnvar")) {
        (Some(key), _) => {
            let text = key.text().unwrap_or_default();
            match variable(text) {
                Some(name) => draft.variables.named(name, &key.place),
                None => Some(draft.variables.clear(&variables::name_of(row.variable), text, &key.place)),
            }
        }
        (None, Some(name)) => draft.variables.named(name.text().unwrap_or_default(), &name.place),
        (None, None) => None,
    };
    for (theirs, ours) in PARAMS {
        let Some(item) = fields.take(theirs) else { continue };
        let value = json(item.node);
        let is_file = matches!(&value, Json::String(text) if text.starts_with("file://"));
        if !has_params {
            let why = "parameters of the first provider are the suite's";
            draft.notes.unmapped(
                &item.place,
                why,
                "make another suite, or put them into the prompt's `parameters`",
            );
        } else if is_file {
            draft.notes.unmapped(
                &item.place,
                "files of parameters are not read",
                "write it under `params` in the suite",
            );
        } else {
            let to = format!("evals/{}.yaml: params.{ours}", gathered.name);
            draft.notes.mapped(&item.place, to, "");
            gathered.params.insert(ours.to_owned(), value);
        }
    }
    const UNKNOWN: [Known; 1] = [(
        "*",
        "the importer does not know this parameter",
        "if the model takes it, write it under `params` in the suite",
    )];
    fields.finish(&UNKNOWN, &mut draft.notes);
    Ok((host, key))
}
