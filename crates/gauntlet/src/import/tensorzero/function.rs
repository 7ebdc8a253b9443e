//! `functions`: a route each; of its variants the heaviest, since this version runs no experiments.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::{Read, models::Models};
use crate::import::{
    draft::{self, Draft, Model},
    emit::{self, Value},
    notes::Place,
    tables::Pick,
    walk::{Fields, Item, Known},
};

const FUNCTION: [Known; 8] = [
    ("user_schema", USER, USER_CURE),
    ("assistant_schema", USER, USER_CURE),
    ("schemas", USER, USER_CURE),
    (
        "tools",
        "tools are declared by callers, call by call",
        "let callers send them; `tools` at the route says which may be called",
    ),
    ("tool_choice", "tools are declared by callers, call by call", "let callers send it"),
    ("parallel_tool_calls", "tools are declared by callers, call by call", "let callers send it"),
    ("description", "it only describes the function", "nothing"),
    ("evaluators", "evaluations are not read", "write datasets under evals/"),
];
const USER: &str = "only the system text is a prompt here; callers write the other messages themselves";
const USER_CURE: &str =
    "let callers render it, or make a prompt with `messages` of it (docs/configuration.md)";

const VARIANT: [Known; 19] = [
    ("user_template", USER, USER_CURE),
    ("assistant_template", USER, USER_CURE),
    ("input_wrappers", USER, USER_CURE),
    ("templates", USER, USER_CURE),
    (
        "json_mode",
        "the shape of an answer is asked for by callers, and checked by the route's schema",
        "let callers send `response_format`",
    ),
    ("temperature", DEFAULTS, DEFAULTS_CURE),
    ("top_p", DEFAULTS, DEFAULTS_CURE),
    ("presence_penalty", DEFAULTS, DEFAULTS_CURE),
    ("frequency_penalty", DEFAULTS, DEFAULTS_CURE),
    ("seed", DEFAULTS, DEFAULTS_CURE),
    ("stop_sequences", DEFAULTS, DEFAULTS_CURE),
    ("reasoning_effort", DEFAULTS, DEFAULTS_CURE),
    ("service_tier", DEFAULTS, DEFAULTS_CURE),
    ("thinking_budget_tokens", DEFAULTS, DEFAULTS_CURE),
    ("verbosity", DEFAULTS, DEFAULTS_CURE),
    ("extra_body", DEFAULTS, DEFAULTS_CURE),
    ("extra_headers", DEFAULTS, DEFAULTS_CURE),
    ("namespace", "who may use what stands at keys here", "write `routes: [...]` at the keys"),
    ("include_*", "it is not a setting of a call here", "nothing"),
];
const DEFAULTS: &str = "a default of requests is not put into calls here: same bytes in, same bytes out";
const DEFAULTS_CURE: &str = "let callers send it";

/// A variant as far as it is needed before the route is made.
struct Variant<'a> {
    name: &'a str,
    item: Item<'a>,
    fields: Fields<'a>,
    weight: Option<f64>,
    weighed: Option<Place>,
    model: String,
    template: Option<(&'a str, Place)>,
}

pub fn read(name: &str, item: &Item<'_>, file: Read<'_>, models: &mut Models, draft: &mut Draft) {
    let mut fields = item.fields(&mut draft.notes);
    let _ = fields.take("type");
    let (list, schema, output) =
        (fields.take("variants"), fields.take("system_schema"), fields.take("output_schema"));
    let weights = fields.take("experimentation").map(|item| weights(&item, draft)).unwrap_or_default();
    fields.finish(&FUNCTION, &mut draft.notes);
    match draft::name(name) {
        Ok("default") => {
            let cure = "write its settings under the top-level `default:`";
            return draft.notes.unmapped(&item.place, "no route can be called `default`", cure);
        }
        Ok(_) => {}
        Err(bad) => return draft.refuse(&item.place, bad),
    }
    let mut variants: Vec<Variant<'_>> = list
        .iter()
        .flat_map(Item::entries)
        .filter_map(|(name, item)| variant(name, item, &weights, models, draft))
        .collect();
    // The heaviest first; of equal ones the first that is written.
    let weight = |variant: &Variant<'_>| variant.weight.unwrap_or(-1.0);
    variants.sort_by(|one, other| weight(other).total_cmp(&weight(one)));
    let mut variants = variants.into_iter();
    let Some(mut first) = variants.next() else {
        let cure = "write a route with a `model` by hand";
        return draft.notes.unmapped(&item.place, "none of its variants was taken over", cure);
    };
    let others: Vec<Variant<'_>> = variants.collect();

    let note = "callers name it by `x-gauntlet-route`, not by `tensorzero::function_name::`";
    draft.notes.mapped(&item.place, format!("gauntlet.yml: routes.{name}"), note);
    draft.notes.mapped(&first.item.place, format!("gauntlet.yml: routes.{name}"), "");
    route_model(name, &first, &others, draft);
    let schema = schema.and_then(|item| Some((text_of(&item, file, draft)?, item)));
    prompts(name, &first, &others, schema.as_ref().map(|(text, _)| text.as_str()), file, draft);
    if let Some((_, item)) = &schema {
        draft.notes.mapped(&item.place, "prompts: variables", "names, and which are required; types are not");
    }
    if let Some(item) = output
        && let Some(text) = text_of(&item, file, draft)
    {
        output_schema(name, &item, &text, draft);
    }
    settings(name, &mut first.fields, draft);
    first.fields.finish(&VARIANT, &mut draft.notes);
}

/// `experimentation`: how calls are spread over variants.
fn weights<'a>(item: &Item<'a>, draft: &mut Draft) -> HashMap<&'a str, (f64, Place)> {
    let mut fields = item.fields(&mut draft.notes);
    let _ = fields.take("type");
    let candidates = fields.take("candidate_variants");
    let mut weights = HashMap::new();
    for (name, item) in candidates.iter().flat_map(Item::entries) {
        weights.insert(name, (item.number().unwrap_or(0.0), item.place));
    }
    for (name, item) in candidates.iter().flat_map(Item::texts) {
        weights.insert(name, (1.0, item.place));
    }
    let known = [("*", "this version runs no experiments", "nothing")];
    fields.finish(&known, &mut draft.notes);
    weights
}

fn variant<'a>(
    name: &'a str,
    item: Item<'a>,
    weights: &HashMap<&str, (f64, Place)>,
    models: &Models,
    draft: &mut Draft,
) -> Option<Variant<'a>> {
    let mut fields = item.fields(&mut draft.notes);
    let kind = fields.take("type");
    let kind = kind.as_ref().and_then(Item::text).unwrap_or("chat_completion");
    if kind != "chat_completion" {
        let cure = "let the application do it, with a route for each call";
        draft.notes.unmapped(&item.place, "a variant of several calls has no counterpart here", cure);
        return None;
    }
    let own = fields.take("weight");
    let (weight, weighed) = match (weights.get(name), own) {
        (Some((weight, place)), _) => (Some(*weight), Some(place.clone())),
        (None, Some(own)) => (own.number(), Some(own.place)),
        (None, None) => (None, None),
    };
    let Some((model, at)) = fields.text("model", &mut draft.notes) else {
        draft.notes.unmapped(&item.place, "it names no model", "write a route with a `model` by hand");
        return None;
    };
    let model = match models.find(model, &at.place, draft) {
        Ok(model) => model,
        Err(bad) => {
            draft.refuse(&at.place, bad);
            return None;
        }
    };
    let template = fields.take("system_template").or_else(|| system_of(&mut fields, draft));
    let template = template.and_then(|template| {
        // Newer files write `{path = …}`.
        let path = template
            .text()
            .or_else(|| template.entries().into_iter().find(|(key, _)| *key == "path")?.1.text());
        Some((path?, template.place))
    });
    Some(Variant { name, item, fields, weight, weighed, model, template })
}

/// `templates.system`, whose neighbours are told.
fn system_of<'a>(fields: &mut Fields<'a>, draft: &mut Draft) -> Option<Item<'a>> {
    let mut templates = fields.take("templates")?.fields(&mut draft.notes);
    let system = templates.take("system");
    templates.finish(&[("*", USER, USER_CURE)], &mut draft.notes);
    system
}

/// The model of the heaviest variant; behind it those of variants that have the same prompt, as TensorZero tries them.
fn route_model(name: &str, first: &Variant<'_>, others: &[Variant<'_>], draft: &mut Draft) {
    let mut fallbacks = Vec::new();
    for other in others {
        if other.template.as_ref().map(|(path, _)| path) == first.template.as_ref().map(|(path, _)| path) {
            fallbacks.push(other.model.clone());
            let to = format!("gauntlet.yml: models.{name}");
            draft.notes.mapped(
                &other.item.place,
                to,
                "asked when the first one fails; its own settings are not taken over",
            );
        } else {
            let why = "another prompt than the heaviest variant's: one route has one";
            let cure = format!("callers may name it: `x-gauntlet-prompt: {name}@{}`", other.name);
            draft.notes.unmapped(&other.item.place, why, cure);
        }
        if let Some(place) = other.weighed.as_ref().filter(|_| other.weight != Some(0.0)) {
            let why = format!("this version runs no experiments: all calls go to `{}`", first.name);
            draft.notes.unmapped(place, why, "make routes of both, and let callers choose");
        }
    }
    if let Some(place) = first.weighed.as_ref().filter(|_| !others.is_empty()) {
        draft.notes.mapped(
            place,
            format!("gauntlet.yml: routes.{name}"),
            "the heaviest variant gets all calls",
        );
    }
    let from = &first.item.place;
    if fallbacks.is_empty() {
        return draft.main.set(&["routes", name, "model"], Value::text(&first.model), &from.path);
    }
    let alias = format!("{name}-model");
    let model = Model {
        targets: vec![(first.model.clone(), None)],
        fallbacks,
        weights: Vec::new(),
        place: from.clone(),
    };
    draft.model(&alias, &model, (Pick::InOrder, None));
    draft.main.set(&["routes", name, "model"], Value::text(&alias), &from.path);
}

/// Each template as a version: the heaviest variant's in production, each to be had by its variant's name.
fn prompts(
    name: &str,
    first: &Variant<'_>,
    others: &[Variant<'_>],
    schema: Option<&str>,
    file: Read<'_>,
    draft: &mut Draft,
) {
    let mut seen: Vec<&str> = Vec::new();
    for variant in std::iter::once(first).chain(others) {
        let Some((path, place)) = &variant.template else { continue };
        if seen.contains(path) {
            continue;
        }
        let is_first = seen.is_empty() && variant.name == first.name;
        let text = match file(path) {
            Ok(text) => text,
            Err(why) => {
                draft.notes.unmapped(place, why, format!("write prompts/{name}.yaml by hand"));
                continue;
            }
        };
        let made = prompt(name, variant.name, seen.len(), is_first, &text, schema);
        seen.push(path);
        let shown = format!("prompts/{}-{}.yaml", file_name(name), file_name(variant.name));
        match gauntlet_prompts::parse(&shown, &made) {
            Ok(_) => {
                draft.notes.mapped(place, &shown, "");
                if is_first {
                    draft.main.set(
                        &["routes", name, "prompt"],
                        Value::text(&format!("{name}@production")),
                        &place.path,
                    );
                }
                draft.files.push((shown, made));
            }
            Err(error) => {
                let why = format!("the template is not a prompt here: {}", error.message);
                draft.notes.unmapped(
                    place,
                    why,
                    format!("{}; write prompts/{name}.yaml by hand", error.cure),
                );
            }
        }
    }
}

fn prompt(
    name: &str,
    variant: &str,
    number: usize,
    is_first: bool,
    text: &str,
    schema: Option<&str>,
) -> String {
    let schema: Json = schema.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    let declared = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    // What a template does not use is not asked for.
    let (needed, optional): (Vec<&str>, Vec<&str>) =
        declared.filter(|variable| uses(text, variable)).partition(|variable| required.contains(variable));
    let mut labels = if is_first { vec!["production"] } else { Vec::new() };
    if !["production", "latest"].contains(&variant) {
        labels.push(variant);
    }
    let list = |names: &[&str]| names.iter().map(|name| emit::quoted(name)).collect::<Vec<_>>().join(", ");
    let body = emit::block_text(text).unwrap_or_else(|| format!("{}\n", emit::quoted(text)));
    let mut out = format!(
        "name: {}\nversion: 1.{number}.0\nengine: jinja\nlabels: [{}]\n",
        emit::quoted(name),
        list(&labels)
    );
    for (field, names) in [("required_vars", &needed), ("optional_vars", &optional)] {
        if !names.is_empty() {
            out.push_str(&format!("{field}: [{}]\n", list(names)));
        }
    }
    out + "template: " + &body
}

/// Whether a text has the word in it.
fn uses(text: &str, word: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c: char| !is_letter(c)).any(|part| part == word)
}

/// A name as part of a file's.
fn file_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '-' }).collect()
}

fn text_of(item: &Item<'_>, file: Read<'_>, draft: &mut Draft) -> Option<String> {
    let path = item.text().or_else(|| item.entries().into_iter().find(|(key, _)| *key == "path")?.1.text());
    let read = path.ok_or_else(|| "it names no file".to_owned()).and_then(file);
    read.map_err(|why| draft.notes.unmapped(&item.place, why, "bring the schema over by hand")).ok()
}

fn output_schema(name: &str, item: &Item<'_>, text: &str, draft: &mut Draft) {
    if serde_json::from_str::<Json>(text).is_err() {
        return draft.notes.unmapped(
            &item.place,
            "the schema is not JSON",
            "put it right, then write `output: {schema: schemas/NAME.json}`",
        );
    }
    let path = format!("schemas/{}.json", file_name(name));
    draft.set(&["routes", name, "output", "schema"], Value::text(&path), &item.place, "");
    // TensorZero hands an answer that does not fit on, and says so.
    draft.main.set(&["routes", name, "output", "on_invalid"], Value::plain("flag"), "");
    draft.files.push((path, text.to_owned()));
}

fn settings(name: &str, fields: &mut Fields<'_>, draft: &mut Draft) {
    let route: &[&str] = &["routes", name];
    if let Some(item) = fields.take("max_tokens") {
        match item.whole().filter(|count| (1..=u64::from(u32::MAX)).contains(count)) {
            Some(count) => draft.set(
                &["routes", name, "max_tokens"],
                Value::plain(count),
                &item.place,
                "callers may ask for less",
            ),
            None => draft.notes.unmapped(
                &item.place,
                "it is not a number of tokens",
                "write `max_tokens` at the route",
            ),
        }
    }
    if let Some(item) = fields.take("retries") {
        let mut of = item.fields(&mut draft.notes);
        if let Some(item) = of.take("num_retries") {
            draft.retries(route, &item);
        }
        if let Some(item) = of.take("max_delay_s") {
            match item.number().and_then(|seconds| crate::import::units::duration(seconds * 1000.0)) {
                Some(most) => {
                    draft.set(&["routes", name, "retry", "max"], Value::plain(most), &item.place, "")
                }
                None => draft.notes.unmapped(&item.place, "it is not a time", "write `retry: {max: 8s}`"),
            }
        }
        of.finish(&[], &mut draft.notes);
    }
    let Some(item) = fields.take("timeouts") else { return };
    let mut of = item.fields(&mut draft.notes);
    for (theirs, field, ours) in [
        ("non_streaming", "total_ms", "attempt"),
        ("streaming", "ttft_ms", "first_token"),
        ("streaming", "total_ms", "attempt"),
    ] {
        // `take` would hide the second field of one map.
        let Some(inner) = item.entries().into_iter().find(|(key, _)| *key == theirs) else { continue };
        let _ = of.take(theirs);
        let Some((_, value)) = inner.1.entries().into_iter().find(|(key, _)| *key == field) else { continue };
        if draft.main.get(&["routes", name, "timeouts", ours]).is_some() {
            draft.notes.unmapped(
                &value.place,
                "calls with and without streaming share one limit of an attempt",
                "put the longer one there",
            );
        } else {
            draft.timeout(route, ours, value.number(), &value, "");
        }
    }
    of.finish(&[], &mut draft.notes);
}
