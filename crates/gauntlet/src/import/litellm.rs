//! A `config.yaml` of the LiteLLM proxy.
//!
//! Keys, teams and budgets that LiteLLM keeps in its database are not in that file, and not here.

mod deployment;
mod groups;
mod guards;
mod settings;

use super::{
    draft::Draft,
    emit::Words,
    source::{Node, Unreadable, Value},
    variables,
    walk::{Item, Known},
};
use deployment::Credentials;

/// Sections by which the file is told from any other.
const SECTIONS: [&str; 4] = ["model_list", "litellm_settings", "router_settings", "general_settings"];

pub fn read(root: &Node) -> Result<Draft, Unreadable> {
    let Value::Map(entries) = &root.value else {
        let cure = "name the config.yaml of the proxy";
        return Err(Unreadable::new(
            root.line,
            "it is not a configuration of LiteLLM: it is not a map of fields",
            cure,
        ));
    };
    if !entries.iter().any(|(key, _)| SECTIONS.contains(&key.as_str())) {
        let why = format!("it is not a configuration of LiteLLM: it has none of `{}`", SECTIONS.join("`, `"));
        return Err(Unreadable::new(root.line, why, "name the config.yaml of the proxy"));
    }
    if let Some((_, list)) = entries.iter().find(|(key, _)| key == "model_list")
        && !matches!(list.value, Value::List(_) | Value::Null)
    {
        return Err(Unreadable::new(
            list.line,
            "`model_list` is not a list",
            "begin each model with `- model_name:`",
        ));
    }

    let mut draft = Draft::new(root, &variable);
    let mut fields = Item::root(root).fields(&mut draft.notes);
    let models = fields.take("model_list");
    let credentials = Credentials::read(fields.take("credential_list"), &mut draft);
    let router = fields.take("router_settings");
    let litellm = fields.take("litellm_settings");
    let general = fields.take("general_settings");

    let plan = groups::Plan::read(models.as_ref(), router.as_ref(), litellm.as_ref());
    draft.reserved = plan.reserved();
    let mut found = groups::Groups::default();
    for entry in models.iter().flat_map(Item::items) {
        deployment::read(&entry, &credentials, &mut found, &mut draft);
    }
    settings::general(general, &mut draft);
    let litellm = settings::litellm(litellm, &mut draft);
    let router = settings::router(router, &mut draft);
    found.write(router.or(litellm), &mut draft);
    guards::read(fields.take("guardrails"), &mut draft);
    settings::environment(fields.take("environment_variables"), &mut draft);
    fields.finish(&TOP, &mut draft.notes);
    Ok(draft)
}

const TOP: [Known; 8] = [
    ("include", "only the one file is read", "import each of the files it names"),
    ("mcp_servers", "servers of tools are not set up from a file here", "see docs/api.md"),
    ("mcp_tools", "servers of tools are not set up from a file here", "see docs/api.md"),
    (
        "vector_store_registry",
        "Gauntlet looks nothing up for a call",
        "let the application ask its vector store",
    ),
    ("prompts", "prompts of LiteLLM are not read", "write each as prompts/NAME.yaml (docs/configuration.md)"),
    (
        "finetune_settings",
        "models are not trained through the gateway",
        "let the application ask the provider",
    ),
    ("files_settings", "files go to the provider of the call", "nothing, unless there are several"),
    ("search_tools", "Gauntlet searches nothing for a call", "let the application search"),
];

/// The variable that a text of the source stands for.
fn variable(text: &str) -> Option<&str> {
    text.strip_prefix("os.environ/")
}

/// A secret as a variable: the one that the source names, else one of ours, and then the value stays behind.
fn secret(draft: &mut Draft, item: &Item<'_>, wanted: &str) -> Option<Words> {
    let text = item.word().unwrap_or_default();
    if text.is_empty() {
        return None;
    }
    let name = match variable(&text) {
        Some(name) => draft.variables.named(name, &item.place),
        None => Some(draft.variables.clear(&variables::name_of(wanted), &text, &item.place)),
    };
    if name.is_none() {
        draft.notes.unmapped(&item.place, "no variable can be called so", "write `${NAME}` in its place");
    }
    name.map(|name| Words::variable(&name))
}
