//! One entry of `model_list`: the provider it is at, its target, prices and limits.

use std::collections::HashMap;

use super::{
    groups::{Groups, Member, seconds},
    secret, variable,
};
use crate::import::{
    draft::{self, Draft, Refused, refused},
    emit::Words,
    tables::{self, Gateway, Reach, Row},
    walk::{Fields, Item, Known},
};

/// `credential_list`: keys and addresses that deployments name.
pub struct Credentials<'a>(HashMap<&'a str, Item<'a>>);

impl<'a> Credentials<'a> {
    pub fn read(list: Option<Item<'a>>, draft: &mut Draft) -> Credentials<'a> {
        let mut found = HashMap::new();
        for entry in list.iter().flat_map(Item::items) {
            let mut fields = entry.fields(&mut draft.notes);
            let name = fields.text("credential_name", &mut draft.notes);
            if let (Some((name, _)), Some(values)) = (name, fields.take("credential_values")) {
                draft.notes.mapped(&entry.place, "gauntlet.yml: providers", "where a deployment names it");
                found.insert(name, values);
            } else {
                draft.notes.unmapped(
                    &entry.place,
                    "it has no `credential_name` and `credential_values`",
                    "write the provider by hand",
                );
            }
            fields.finish(
                &[("credential_info", "it only describes the credential", "nothing")],
                &mut draft.notes,
            );
        }
        Credentials(found)
    }
}

/// Fields of `litellm_params` without a counterpart.
const PARAMS: [Known; 36] = [
    (
        "api_version",
        "the address `/openai/v1` of Azure asks for no version",
        "nothing, unless the deployment is older than that address: then test it",
    ),
    ("aws_*", "calls are not signed for AWS", "see the deployment"),
    ("vertex_*", "Vertex is not spoken to", "see the deployment"),
    ("region_name", "no target is chosen by its region", "make a route for each region"),
    ("temperature", DEFAULTS, DEFAULTS_CURE),
    ("top_p", DEFAULTS, DEFAULTS_CURE),
    ("max_tokens", DEFAULTS, "write `max_tokens` at a route, which is a bound as well"),
    ("max_completion_tokens", DEFAULTS, "write `max_tokens` at a route, which is a bound as well"),
    ("seed", DEFAULTS, DEFAULTS_CURE),
    ("stop", DEFAULTS, DEFAULTS_CURE),
    ("presence_penalty", DEFAULTS, DEFAULTS_CURE),
    ("frequency_penalty", DEFAULTS, DEFAULTS_CURE),
    ("response_format", DEFAULTS, DEFAULTS_CURE),
    ("reasoning_effort", DEFAULTS, DEFAULTS_CURE),
    ("thinking", DEFAULTS, DEFAULTS_CURE),
    ("extra_body", DEFAULTS, DEFAULTS_CURE),
    (
        "drop_params",
        "what another dialect cannot say is always left out, and listed in the record",
        "nothing",
    ),
    (
        "additional_drop_params",
        "fields are left out by dialect here, not by name",
        "let callers not send them",
    ),
    (
        "mock_response",
        "a fixed answer is a provider of its own here",
        "write `providers: {sim: {dialect: sim, answer: …}}`",
    ),
    ("tags", "targets are not chosen by tags", "make a route for each, with a `model` of its own"),
    (
        "cache_control_injection_points",
        "nothing is put into a caller's messages for caching",
        "let callers mark what is to be cached",
    ),
    ("use_in_pass_through", "there are no open pass-through routes here", "nothing: every door is metered"),
    ("rpm", OF_PATTERN, OF_PATTERN_CURE),
    ("tpm", OF_PATTERN, OF_PATTERN_CURE),
    ("max_parallel_requests", OF_PATTERN, OF_PATTERN_CURE),
    ("timeout", OF_PATTERN, OF_PATTERN_CURE),
    ("stream_timeout", OF_PATTERN, OF_PATTERN_CURE),
    ("max_retries", OF_PATTERN, OF_PATTERN_CURE),
    ("num_retries", OF_PATTERN, OF_PATTERN_CURE),
    ("input_cost_*", OF_PATTERN, OF_PATTERN_CURE),
    ("output_cost_*", OF_PATTERN, OF_PATTERN_CURE),
    ("weight", OF_PATTERN, OF_PATTERN_CURE),
    ("order", OF_PATTERN, OF_PATTERN_CURE),
    ("max_budget", OF_PATTERN, OF_PATTERN_CURE),
    ("budget_duration", OF_PATTERN, OF_PATTERN_CURE),
    ("rpm_*", "rates are a minute's here", "write `limits.models`"),
];
const DEFAULTS: &str = "a default of requests is not put into calls here: same bytes in, same bytes out";
const DEFAULTS_CURE: &str = "let callers send it";

/// They are taken for a deployment of one name.
const OF_PATTERN: &str =
    "it stands at a pattern of names, and such a setting is a model's, a provider's or a route's here";
const OF_PATTERN_CURE: &str =
    "write it for the models that are asked for: `limits.models`, prices.yml, budgets.yml, `routes`";

const INFO: [Known; 8] = [
    ("id", DESCRIBES, "nothing"),
    ("mode", DESCRIBES, "nothing"),
    (
        "max_*",
        "windows and bounds of models come from the price table",
        "write `context_window` or `output_max` in prices.yml where it has none",
    ),
    (
        "base_model",
        "a deployment is priced by the model that its name speaks of",
        "write the price in prices.yml if `gauntlet prices check` finds none",
    ),
    ("supports_*", DESCRIBES, "nothing"),
    ("description", DESCRIBES, "nothing"),
    ("access_groups", "who may use a model stands at its keys here", "write `models: [...]` at the keys"),
    ("team_*", "who may use a model stands at its keys here", "write `models: [...]` at the keys"),
];
const DESCRIBES: &str = "it only describes the deployment";

pub fn read(entry: &Item<'_>, credentials: &Credentials<'_>, groups: &mut Groups, draft: &mut Draft) {
    let mut fields = entry.fields(&mut draft.notes);
    let name = fields.text("model_name", &mut draft.notes);
    let params = fields.take("litellm_params");
    let info = fields.take("model_info");
    fields.finish(&[], &mut draft.notes);
    groups.count += 1;
    let (Some((name, _)), Some(params)) = (name, params) else {
        let cure = "each entry has both; add them";
        return draft.notes.unmapped(&entry.place, "it has no `model_name` or no `litellm_params`", cure);
    };
    let mut params_of = params.fields(&mut draft.notes);
    let mut info_of = info.as_ref().map(|info| info.fields(&mut draft.notes));
    if let Err(bad) = draft::name(name) {
        return draft.refuse(&entry.place, bad);
    }
    groups.of(name, &entry.place).count += 1;
    match target(name, &params, &mut params_of, credentials, draft) {
        Ok(Target::One(target)) => {
            draft.notes.mapped(&entry.place, format!("gauntlet.yml: models.{name}"), "");
            rest(name, &target, &mut params_of, info_of.as_mut(), groups, draft);
        }
        Ok(Target::All { said: true }) => draft.notes.mapped(&entry.place, "gauntlet.yml: providers", ""),
        Ok(Target::All { said: false }) => draft.notes.mapped(
            &entry.place,
            "gauntlet.yml: providers",
            "`provider/model` needs no entry: callers ask for any of its models by that name",
        ),
        Err(refused) => {
            // Its settings would only repeat that it was not taken over.
            return draft.refuse(&entry.place, refused);
        }
    }
    params_of.finish(&PARAMS, &mut draft.notes);
    if let Some(info) = info_of {
        info.finish(&INFO, &mut draft.notes);
    }
}

enum Target {
    One(String),
    /// Every model of a provider; `said` when a note says already what callers must change.
    All {
        said: bool,
    },
}

fn target(
    name: &str,
    params: &Item<'_>,
    fields: &mut Fields<'_>,
    credentials: &Credentials<'_>,
    draft: &mut Draft,
) -> Result<Target, Refused> {
    let model = fields.text("model", &mut draft.notes);
    let (model, item) = model
        .ok_or_else(|| refused("its `litellm_params` name no `model`", "write `model: provider/model`"))?;
    let said = fields.take("custom_llm_provider");
    let (row, model) = split(model, said.as_ref().and_then(Item::text))?;
    // `o_series/` and `responses/` say how LiteLLM is to speak, not what to.
    let model = ["o_series/", "gpt5_series/", "responses/"]
        .iter()
        .find_map(|start| model.strip_prefix(start))
        .unwrap_or(model);
    if model.is_empty() {
        return Err(refused("its `model` names a provider and no model", "write `model: provider/model`"));
    }

    let named = fields.take("litellm_credential_name");
    let shared = match named.as_ref().and_then(Item::text) {
        None => None,
        Some(credential) => Some(credentials.0.get(credential).ok_or_else(|| {
            refused(
                "its `litellm_credential_name` is not in `credential_list`",
                "give the provider its key by hand",
            )
        })?),
    };
    let mut shared = shared.map(|item| item.fields(&mut draft.notes));
    let mut take =
        |names: &[&str]| fields.any(names).or_else(|| shared.as_mut().and_then(|shared| shared.any(names)));
    let (key, url) = (take(&["api_key"]), take(&["api_base", "base_url"]));
    let (organization, extra) = (take(&["organization"]), take(&["extra_headers", "headers"]));

    let url = url.map(|item| address(draft, &item)).transpose()?;
    // Before its key is asked for, so that no variable is wanted for nothing.
    draft::account(row, url.clone(), None, Vec::new())?;
    let host = url.as_ref().map(Words::as_str).and_then(resource);
    let key = match key {
        Some(item) => secret(draft, &item, row.variable),
        // LiteLLM takes the vendor's usual variable where no key is given; a server of one's own may need none.
        None if matches!(row.reach, Reach::Server(_)) || row.variable.is_empty() => None,
        None => draft.variables.named(row.variable, &params.place).map(|name| Words::variable(&name)),
    };
    let mut given: Vec<(&str, Item<'_>)> =
        organization.into_iter().map(|item| ("openai-organization", item)).collect();
    given.extend(extra.iter().flat_map(Item::entries));
    let headers = draft::headers(draft, row.ours, &given, &variable);
    let account = draft::account(row, url, key, headers)?;

    let Some(start) = model.strip_suffix('*') else {
        let wanted = match (row.reach, host) {
            (Reach::Azure, Some(resource)) => format!("{}-{resource}", row.ours),
            _ => row.ours.to_owned(),
        };
        let provider = draft.provider(&wanted, account, &params.place);
        return Ok(Target::One(format!("{provider}/{model}")));
    };
    // `team/*` for `openai/*`: a provider of that name takes just such calls.
    let wanted = name.strip_suffix("/*").filter(|wanted| !wanted.contains(['/', '*'])).unwrap_or(row.ours);
    let provider = draft.provider(wanted, account, &params.place);
    let is_exact = start.is_empty() && name == format!("{provider}/*");
    if !is_exact {
        let why = "names are not taken by a pattern here: any model of a provider may be asked for as `provider/model`";
        let cure = format!("let callers ask for `{provider}/…`, and name at the keys what they may use");
        draft.notes.unmapped(&item.place, why, cure);
    }
    Ok(Target::All { said: !is_exact })
}

/// Whose model it is, and its name there.
fn split<'m>(model: &'m str, said: Option<&str>) -> Result<(&'static Row, &'m str), Refused> {
    let find = |name: &str| tables::provider(Gateway::Litellm, name);
    if let Some(said) = said {
        let row = find(said).ok_or_else(|| stranger(said))?;
        let bare = model.strip_prefix(said).and_then(|rest| rest.strip_prefix('/'));
        return Ok((row, bare.unwrap_or(model)));
    }
    match model.split_once('/') {
        Some((provider, rest)) => Ok((find(provider).ok_or_else(|| stranger(provider))?, rest)),
        None => match tables::of_bare(model) {
            Some(row) => Ok((row, model)),
            None => Err(refused(
                "whose model it is cannot be told from its name",
                "write `model: provider/model`",
            )),
        },
    }
}

fn stranger(name: &str) -> Refused {
    refused(
        format!("the importer knows no provider `{name}`"),
        "if it speaks OpenAI's dialect, add it under `providers` with its address",
    )
}

/// An address, or the variable it stands in.
fn address(draft: &mut Draft, item: &Item<'_>) -> Result<Words, Refused> {
    let text = item.text().unwrap_or_default();
    match variable(text) {
        None => draft::address(text),
        Some(name) => {
            draft.variables.named(name, &item.place).map(|name| Words::variable(&name)).ok_or_else(|| {
                refused("its address stands in a variable that cannot be", "write the address")
            })
        }
    }
}

/// The first word of a host.
fn resource(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let word = rest.split(['.', '/', ':']).next()?;
    (!word.is_empty()).then(|| word.to_owned())
}

/// What a deployment that was taken over says besides: limits, prices, its place among the others.
fn rest(
    name: &str,
    target: &str,
    params: &mut Fields<'_>,
    mut info: Option<&mut Fields<'_>>,
    groups: &mut Groups,
    draft: &mut Draft,
) {
    let mut costs = params.drain(|key| key.contains("cost"));
    let mode = info.as_mut().and_then(|info| info.take("mode"));
    if let Some(info) = &mut info {
        costs.extend(info.drain(|key| key.contains("cost")));
    }
    let is_embedding =
        mode.as_ref().and_then(Item::text).is_some_and(|mode| mode == "embedding" || mode == "rerank");
    draft.price(target, &costs, is_embedding);

    let budget = (params.take("max_budget"), params.take("budget_duration"));
    match budget {
        (Some(amount), period) => draft.cap(&["models", target], &amount, period.as_ref()),
        (None, Some(period)) => {
            draft.notes.unmapped(&period.place, "it belongs to a `max_budget` that is not there", "nothing")
        }
        (None, None) => {}
    }
    let mut times = |field, item: Option<Item<'_>>, value: Option<String>| match (item, value) {
        (Some(item), Some(value)) => groups.times.push((field, value, item.place)),
        (Some(item), None) => {
            draft.notes.unmapped(&item.place, "it is not a number of that kind", "write it at a route")
        }
        (None, _) => {}
    };
    for (field, names) in
        [("attempt", ["timeout", "request_timeout"]), ("first_token", ["stream_timeout", ""])]
    {
        let item = params.any(&names);
        let value = item.as_ref().and_then(seconds);
        times(field, item, value);
    }
    let tries = params.any(&["max_retries", "num_retries"]);
    let attempts =
        tries.as_ref().and_then(Item::whole).map(|tries| tries.saturating_add(1).min(10).to_string());
    times("attempts", tries, attempts);

    let order = params.take("order").and_then(|order| order.whole()).unwrap_or(u64::MAX);
    let weight = params.take("weight").map(|weight| (weight.number(), weight.place));
    let group =
        groups.groups.iter_mut().find(|group| group.name == name).expect("it was made for this entry");
    for (field, theirs) in [("rpm", "rpm"), ("tpm", "tpm"), ("max_concurrency", "max_parallel_requests")] {
        let Some(item) = params.take(theirs) else { continue };
        match item.whole() {
            Some(rate) => group.rates.push((field, rate, item.place)),
            None => draft.notes.unmapped(
                &item.place,
                "it is not a whole number",
                "write it under `limits.models`",
            ),
        }
    }
    group.members.push(Member { target: target.to_owned(), order, weight });
}
