//! Prompts: each becomes a version of one prompt, in the order in which they stand.

use std::collections::BTreeSet;

use gauntlet_evals::template::Template;
use serde_json::Value as Json;

use super::{Gathered, is_code, jinja};
use crate::import::{emit, notes::Place, source, walk::Item};

/// Of one configuration; each is a version.
const PROMPTS_MAX: usize = 100;
const BY_HAND: &str = "write prompts/NAME.yaml by hand";

/// A role and a text for each message.
type Messages = Vec<(String, String)>;

struct Prompt {
    place: Place,
    label: Option<String>,
    messages: Messages,
    /// Variables that its texts take.
    names: BTreeSet<String>,
}

/// Writes the prompts' files; gives the variables that any of them takes, none where there is no prompt.
pub(super) fn read(item: Option<&Item<'_>>, gathered: &mut Gathered<'_>) -> Option<BTreeSet<String>> {
    let item = item?;
    let all =
        if item.text().is_some() || !item.entries().is_empty() { vec![item.clone()] } else { item.items() };
    let mut prompts: Vec<Prompt> = Vec::new();
    for item in all.iter().take(PROMPTS_MAX) {
        match gather(item, gathered) {
            Ok(found) => prompts.extend(found),
            Err((why, cure)) => gathered.draft.notes.unmapped(&item.place, why, cure),
        }
    }
    let names: BTreeSet<String> = prompts.iter().flat_map(|prompt| prompt.names.iter().cloned()).collect();
    let given = |name: &&String| gathered.tests.iter().all(|test| test.vars.contains_key(*name));
    let everywhere: BTreeSet<String> = names.iter().filter(given).cloned().collect();
    let mut written = 0;
    for (at, prompt) in prompts.iter().enumerate() {
        let file = format!("prompts/{}-{}.yaml", gathered.name, at + 1);
        // All versions are given the same variables, so each has to know those of the others.
        let is_needed = |name: &String| prompt.names.contains(name) && everywhere.contains(name);
        let (needed, optional): (Vec<String>, Vec<String>) = names.iter().cloned().partition(is_needed);
        let text = rendered(&gathered.name, at, prompt, &needed, &optional);
        match gauntlet_prompts::parse(&file, &text) {
            Ok(_) => {
                let version = format!("{}@{}.0.0", gathered.name, at + 1);
                let note =
                    if at == 0 { String::new() } else { format!("asked with `--candidate {version}`") };
                gathered.draft.notes.mapped(&prompt.place, &file, note);
                gathered.draft.files.push((file, text));
                written += 1;
            }
            Err(error) => {
                let why = format!("the text is not a prompt here: {}", error.message);
                gathered.draft.notes.unmapped(&prompt.place, why, format!("{}; {BY_HAND}", error.cure));
            }
        }
    }
    (written > 0).then_some(names)
}

fn gather(item: &Item<'_>, gathered: &mut Gathered<'_>) -> Result<Vec<Prompt>, (String, String)> {
    let refuse = |why: &str| Err((why.to_owned(), BY_HAND.to_owned()));
    let (text, label) = match item.text() {
        Some(text) => (text.to_owned(), None),
        None => {
            let mut fields = item.fields(&mut gathered.draft.notes);
            let label = fields.any(&["label", "display"]).and_then(|label| label.text().map(str::to_owned));
            let text = fields.any(&["raw", "id"]).and_then(|text| text.text().map(str::to_owned));
            fields.finish(&[("*", "a prompt has no such setting", BY_HAND)], &mut gathered.draft.notes);
            match text {
                Some(text) => (text, label),
                None => return refuse("it has no text"),
            }
        }
    };
    let path = text.strip_prefix("file://").or_else(|| is_path(&text).then_some(text.as_str()));
    let bodies = match path {
        None => vec![text.clone()],
        Some(path) if path.contains(['*', '?']) => return refuse("patterns of files are not followed"),
        Some(path) => {
            if is_code(path) {
                return refuse("it is code, which is not run");
            }
            if path.ends_with(".csv") {
                return refuse("lists of prompts are not read");
            }
            let body = (gathered.file)(path).map_err(|why| (why, BY_HAND.to_owned()))?;
            if path.ends_with(".txt") {
                // Several prompts in one file stand between lines of three strokes.
                body.split("\n---\n")
                    .map(|body| body.trim().to_owned())
                    .filter(|body| !body.is_empty())
                    .collect()
            } else {
                vec![body.trim().to_owned()]
            }
        }
    };
    bodies.iter().map(|body| prompt(body, item.place.clone(), label.clone())).collect()
}

/// A file's name without `file://`, as older configurations have it.
fn is_path(text: &str) -> bool {
    !text.contains(['\n', ' ', '{'])
        && [".txt", ".json", ".yaml", ".yml", ".md", ".j2"].iter().any(|end| text.ends_with(end))
}

fn prompt(body: &str, place: Place, label: Option<String>) -> Result<Prompt, (String, String)> {
    let messages = messages(body).unwrap_or_else(|| vec![("user".to_owned(), jinja(body))]);
    let mut names = BTreeSet::new();
    for (_, text) in &messages {
        let template = Template::text(text).map_err(|why| (why, BY_HAND.to_owned()))?;
        names.extend(template.names().iter().cloned());
    }
    if names.contains("env") || names.contains("_conversation") {
        return Err(("it takes the environment or the conversation so far".to_owned(), BY_HAND.to_owned()));
    }
    Ok(Prompt { place, label, messages, names })
}

/// The messages of a chat, where the text is a list of them in JSON or YAML.
fn messages(body: &str) -> Option<Messages> {
    let list: Json = match serde_json::from_str(body) {
        Ok(list) => list,
        Err(_) if body.starts_with("- role:") => super::json(&source::yaml(body).ok()?),
        Err(_) => return None,
    };
    let message = |message: &Json| {
        let text = |name: &str| Some(message[name].as_str()?.to_owned());
        Some((text("role")?, jinja(&text("content")?)))
    };
    let messages: Option<Messages> = list.as_array()?.iter().map(message).collect();
    messages.filter(|messages| !messages.is_empty())
}

fn rendered(name: &str, at: usize, prompt: &Prompt, needed: &[String], optional: &[String]) -> String {
    let list = |names: &[String]| names.iter().map(|name| emit::quoted(name)).collect::<Vec<_>>().join(", ");
    let mut out = format!("name: {}\nversion: {}.0.0\n", emit::quoted(name), at + 1);
    if let Some(label) = &prompt.label {
        out.push_str(&format!("description: {}\n", emit::quoted(label)));
    }
    out.push_str("engine: jinja\n");
    if at == 0 {
        out.push_str("labels: [production]\n");
    }
    for (field, names) in [("required_vars", needed), ("optional_vars", optional)] {
        if !names.is_empty() {
            out.push_str(&format!("{field}: [{}]\n", list(names)));
        }
    }
    out.push_str("messages:\n");
    for (role, text) in &prompt.messages {
        out.push_str(&format!("  - role: {}\n", emit::quoted(role)));
        let body = emit::block_text(text).map(|block| block.replace("\n  ", "\n      "));
        out.push_str(&format!("    content: {}\n", body.unwrap_or_else(|| emit::quoted(text)).trim_end()));
    }
    out
}
