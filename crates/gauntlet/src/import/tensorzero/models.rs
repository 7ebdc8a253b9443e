//! `models` and `embedding_models`: providers in the order of `routing`.

use std::collections::HashMap;

use super::variable;
use crate::import::{
    draft::{self, Draft, Model, Refused, refused},
    emit::Words,
    notes::Place,
    tables::{self, Gateway, Pick, Reach, Row},
    variables,
    walk::{Fields, Item, Known},
};

/// Targets of each model that was taken over.
#[derive(Default)]
pub struct Models(HashMap<String, Vec<String>>);

const MODEL: [Known; 4] = [
    ("timeouts", ROUTES, "write `timeouts: {attempt: …, first_token: …}` at the routes that use it"),
    ("retries", ROUTES, "write `retry` at the routes that use it"),
    ("skip_relay", "calls are not passed to another gateway", "nothing"),
    ("namespace", "who may use a model stands at its keys here", "write `models: [...]` at the keys"),
];
const ROUTES: &str = "time limits and retries are a route's here, not a model's";

const PROVIDER: [Known; 14] = [
    ("timeouts", ROUTES, "write `timeouts` at the routes that use it"),
    ("extra_body", "nothing is put into calls here: same bytes in, same bytes out", "let callers send it"),
    ("discard_unknown_chunks", "what is not known is passed on", "nothing"),
    ("api_type", "a call goes out by the door it came in by, where the provider has it", "nothing"),
    ("include_encrypted_reasoning", "reasoning is passed on as it is", "nothing"),
    ("provider_tools", "tools are declared by callers, call by call", "let callers send them"),
    ("tools", "tools are declared by callers, call by call", "let callers send them"),
    (
        "beta_structured_outputs",
        "callers name what they want of a vendor themselves",
        "let callers send the header",
    ),
    ("batch_cost", "prices by the batch stand in prices.yml", "write `tiers: {batch: …}` there"),
    (
        "cost",
        "prices are not read from here",
        "write them in prices.yml if `gauntlet prices check` finds none",
    ),
    ("region", "the provider was not taken over", "nothing"),
    ("location", "the provider was not taken over", "nothing"),
    ("project_id", "the provider was not taken over", "nothing"),
    ("dimensions", "callers say what they want", "let callers send it"),
];

impl Models {
    pub fn read(&mut self, name: &str, item: &Item<'_>, draft: &mut Draft) {
        let mut fields = item.fields(&mut draft.notes);
        let (routing, providers) = (fields.take("routing"), fields.take("providers"));
        fields.finish(&MODEL, &mut draft.notes);
        if let Err(bad) = draft::name(name) {
            return draft.refuse(&item.place, bad);
        }
        let known: HashMap<&str, Item<'_>> = providers.iter().flat_map(Item::entries).collect();
        let mut targets = Vec::new();
        for (provider, place) in routing.iter().flat_map(Item::texts) {
            let target = match known.get(provider) {
                Some(item) => self::provider(item, draft).map_err(|bad| (item.place.clone(), bad)),
                None => short(provider, &place.place, draft).map_err(|bad| (place.place.clone(), bad)),
            };
            match target {
                Ok(target) => targets.push(target),
                Err((place, bad)) => draft.refuse(&place, bad),
            }
        }
        let routed: Vec<&str> = routing.iter().flat_map(Item::texts).map(|(name, _)| name).collect();
        for (provider, item) in
            providers.iter().flat_map(Item::entries).filter(|(name, _)| !routed.contains(name))
        {
            draft.notes.unmapped(
                &item.place,
                format!("`routing` does not name `{provider}`"),
                "nothing, unless it was forgotten",
            );
        }
        if targets.is_empty() {
            let cure = "add a target of another provider under `models`";
            return draft.notes.unmapped(&item.place, "none of its providers was taken over", cure);
        }
        let place = item.place.clone();
        let model = Model {
            targets: targets.iter().map(|target| (target.clone(), None)).collect(),
            fallbacks: Vec::new(),
            weights: Vec::new(),
            place,
        };
        draft.model(name, &model, (Pick::InOrder, None));
        draft.notes.mapped(
            &item.place,
            format!("gauntlet.yml: models.{name}"),
            "callers leave `tensorzero::model_name::` out",
        );
        self.0.insert(name.to_owned(), targets);
    }

    /// What a variant's `model` asks for: a name of `models`, or `provider/model`.
    pub fn find(&self, name: &str, place: &Place, draft: &mut Draft) -> Result<String, Refused> {
        if self.0.contains_key(name) { Ok(name.to_owned()) } else { short(name, place, draft) }
    }
}

/// `openai::gpt-4o`
fn short(text: &str, place: &Place, draft: &mut Draft) -> Result<String, Refused> {
    let Some((kind, model)) = text.split_once("::").filter(|(_, model)| !model.is_empty()) else {
        return Err(refused("it names no model that was taken over", "add it under `models`"));
    };
    let row = row(kind)?;
    draft::account(row, None, None, Vec::new())?;
    let key = draft.variables.named(row.variable, place).map(|name| Words::variable(&name));
    let provider = draft.provider(row.ours, draft::account(row, None, key, Vec::new())?, place);
    Ok(format!("{provider}/{model}"))
}

fn row(kind: &str) -> Result<&'static Row, Refused> {
    tables::provider(Gateway::Tensorzero, kind).ok_or_else(|| {
        let cure = "if it speaks OpenAI's dialect, add it under `providers` with its address";
        refused(format!("the importer knows no provider of type `{}`", kind.escape_debug()), cure)
    })
}

/// The target that a provider of a model is.
fn provider(item: &Item<'_>, draft: &mut Draft) -> Result<String, Refused> {
    let mut fields = item.fields(&mut draft.notes);
    let kind = fields.text("type", &mut draft.notes);
    let (kind, _) =
        kind.ok_or_else(|| refused("it has no `type`", "write `type = \"openai\"` or another"))?;
    let row = row(kind)?;
    let model = fields.any(&["model_name", "deployment_id", "model_id"]);
    let url = fields.any(&["api_base", "endpoint"]);
    let url = match url.as_ref().and_then(|url| Some((url.text()?, url))) {
        None => None,
        Some((text, item)) => Some(match variable(text) {
            Some(name) => draft.variables.named(name, &item.place).map(|name| Words::variable(&name)),
            None => Some(draft::address(text)?),
        }),
    };
    let url = url.flatten();
    draft::account(row, url.clone(), None, Vec::new())?;
    let model = match model.as_ref().and_then(Item::text) {
        Some(model) if !model.is_empty() => model,
        // One server, one model: TGI is not asked by name.
        _ if matches!(row.reach, Reach::Server(_)) => "default",
        _ => return Err(refused("it names no model", "write `model_name`")),
    };
    let key = key(row, item, &mut fields, draft);
    let headers = headers(row, &mut fields, draft);
    let wanted =
        match url.as_ref().and_then(|url| url.as_str().split_once("://")?.1.split(['.', '/', ':']).next()) {
            Some(resource) if row.reach == Reach::Azure => format!("{}-{resource}", row.ours),
            _ => row.ours.to_owned(),
        };
    let provider = draft.provider(&wanted, draft::account(row, url, key, headers)?, &item.place);
    fields.finish(&PROVIDER, &mut draft.notes);
    draft.notes.mapped(&item.place, format!("gauntlet.yml: models, target {provider}/{model}"), "");
    Ok(format!("{provider}/{model}"))
}

fn key(row: &Row, item: &Item<'_>, fields: &mut Fields<'_>, draft: &mut Draft) -> Option<Words> {
    let Some(location) = fields.take("api_key_location") else {
        // Unsaid, it is the vendor's usual variable; a server of one's own may need none.
        let is_server = matches!(row.reach, Reach::Server(_));
        return (!is_server)
            .then(|| draft.variables.named(row.variable, &item.place))
            .flatten()
            .map(|name| Words::variable(&name));
    };
    let text = location.text().unwrap_or_default();
    let place = &location.place;
    let wanted = || variables::name_of(row.variable);
    match text.split_once("::") {
        Some(("env", name)) => draft.variables.named(name, place).map(|name| Words::variable(&name)),
        Some(("path" | "path_from_env" | "file", _)) => {
            draft.notes.unmapped(
                place,
                "keys are read from variables here, not from files",
                "set the variable from the file, or let your system do it",
            );
            Some(Words::variable(&draft.variables.elsewhere(&wanted(), text, place)))
        }
        Some(("dynamic", _)) => {
            draft.notes.unmapped(
                place,
                "a caller does not bring the provider's key here",
                "give the provider a `key`; callers show keys of Gauntlet's",
            );
            Some(Words::variable(&draft.variables.elsewhere(&wanted(), text, place)))
        }
        None if text == "none" => None,
        _ => {
            draft.notes.unmapped(
                place,
                "the importer does not know where that key is",
                "write `key` at the provider",
            );
            None
        }
    }
}

fn headers(row: &Row, fields: &mut Fields<'_>, draft: &mut Draft) -> Vec<(String, Words)> {
    let list = fields.take("extra_headers");
    let mut given = Vec::new();
    for entry in list.iter().flat_map(Item::items) {
        let mut of = entry.fields(&mut draft.notes);
        let (name, value) = (of.take("name"), of.take("value"));
        match (name.as_ref().and_then(Item::text), value) {
            (Some(name), Some(value)) => given.push((name, value)),
            _ => draft.notes.unmapped(
                &entry.place,
                "it is not a name and a value",
                "write it under `headers` of the provider",
            ),
        }
        of.finish(&[], &mut draft.notes);
    }
    draft::headers(draft, row.ours, &given, &variable)
}
