//! What there is: lists, one version with all that is known of it, two beside each other, and a render that calls nobody.

use gauntlet_ports::{Approval, EvalGate, GateFilter, LabelMove, StoredPrompt};
use gauntlet_prompts::{Change, Prompt, diff, shape};
use gauntlet_types::{Code, Fault, Name, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Catalog, short};
use crate::{
    admin::{Admin, control_fault},
    evals::evals_fault,
};

/// A page of a prompt shows so many gates of a version.
const GATES_SHOWN: u32 = 20;

/// Every version and every label.
#[derive(Serialize)]
pub struct Listed {
    pub versions: Vec<Line>,
    pub labels: Vec<LabelLine>,
}

/// One version, in short.
#[derive(Serialize)]
pub struct Line {
    pub name: Name,
    pub version: Name,
    pub hash: Name,
    pub labels: Vec<Name>,
    pub description: Option<String>,
    pub owner: Option<String>,
    pub risk: &'static str,
    pub author: Option<Name>,
    pub app_sha: Option<Name>,
    pub created: Option<Timestamp>,
    /// The canonical form.
    pub source: String,
}

#[derive(Serialize)]
pub struct LabelLine {
    pub name: Name,
    pub label: Name,
    pub version: Name,
    /// By a file; nobody has set it yet.
    pub is_proposed: bool,
    /// Has a rule under `promotion`.
    pub is_guarded: bool,
}

/// A variable as typed wrappers need it.
#[derive(Serialize)]
pub struct VariableLine {
    pub name: String,
    /// `any`, `string`, `integer`, `number`, `boolean`, `array`, `object`.
    pub r#type: &'static str,
    pub required: bool,
    pub max_length: Option<usize>,
    pub default: Option<Value>,
    pub description: Option<String>,
}

/// One version with all that is known of it.
#[derive(Serialize)]
pub struct Shown {
    #[serde(flatten)]
    pub line: Line,
    /// How it was found, if by a label.
    pub label: Option<Name>,
    pub model_hint: Option<Name>,
    pub model: Option<Name>,
    pub engine: &'static str,
    pub variables: Vec<VariableLine>,
    pub messages: Vec<Value>,
    /// What it puts into the body of a chat call: `tools`, `temperature` and so on.
    pub fields: Map<String, Value>,
    /// Of all labels of the prompt, newest first.
    pub history: Vec<LabelMove>,
    /// Of this version.
    pub approvals: Vec<Approval>,
    pub gates: Vec<EvalGate>,
    /// The body of a call that uses it.
    pub example: Value,
}

/// Two versions beside each other.
#[derive(Serialize)]
pub struct Compared {
    pub a: Name,
    pub b: Name,
    /// How far the number must rise from the one to the other, and why.
    pub changes: Vec<Change>,
    /// A unified diff; empty where nothing differs.
    pub diff: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RenderAsk {
    prompt: String,
    #[serde(default)]
    variables: Map<String, Value>,
}

#[derive(Serialize)]
pub struct RenderedPrompt {
    pub prompt: Name,
    pub label: Option<Name>,
    pub hash: Name,
    pub model: Option<Name>,
    pub messages: Vec<Value>,
    pub fields: Map<String, Value>,
}

impl Admin {
    pub fn prompt_list(&self) -> Result<Listed, Fault> {
        let catalog = self.prompt_catalog()?;
        let set = self.control.label_list().map_err(control_fault)?;
        let snapshot = self.snapshot();
        let is_guarded = |label: &Name| {
            snapshot.as_ref().is_some_and(|snapshot| snapshot.policy.config().promotion.contains_key(label))
        };
        let labels = catalog.registry.labels().into_iter().map(|(name, label, version)| LabelLine {
            is_proposed: !set.iter().any(|(of, known, _)| *of == name && *known == label),
            is_guarded: is_guarded(&label),
            name,
            label,
            version,
        });
        Ok(Listed {
            labels: labels.collect(),
            versions: catalog.registry.prompts().map(|prompt| catalog.line(prompt)).collect(),
        })
    }

    pub fn prompt_show(&self, reference: &str) -> Result<Shown, Fault> {
        let catalog = self.prompt_catalog()?;
        let (prompt, label) = catalog.resolve(reference)?;
        let approvals = self.control.approval_list(&prompt.name).map_err(control_fault)?;
        let filter = GateFilter {
            prompt_hash: Some(prompt.hash.clone()),
            limit: Some(GATES_SHOWN),
            ..GateFilter::default()
        };
        Ok(Shown {
            line: catalog.line(&prompt),
            label,
            model_hint: prompt.model_hint.clone(),
            model: prompt.model.clone(),
            engine: prompt.engine.as_str(),
            variables: variables(&prompt),
            messages: prompt
                .messages
                .iter()
                .map(|message| json!({"role": message.role, "content": message.content}))
                .collect(),
            fields: prompt.fields.missing(|_| false),
            history: self.control.label_history(&prompt.name).map_err(control_fault)?,
            approvals: approvals.into_iter().filter(|approval| approval.hash == prompt.hash).collect(),
            gates: self.evals.gate_list(&filter).map_err(evals_fault)?,
            example: example(&prompt),
        })
    }

    /// The second may leave the name out: a version or label alone is of the same prompt.
    pub fn prompt_diff(&self, a: &str, b: &str) -> Result<Compared, Fault> {
        let catalog = self.prompt_catalog()?;
        let b = match (b.contains('@'), a.split_once('@')) {
            (false, Some((name, _))) => format!("{name}@{b}"),
            _ => b.to_owned(),
        };
        Ok(compared(&*catalog.find(a)?, &*catalog.find(&b)?))
    }

    /// Fills the variables in as a call would, and calls nobody.
    pub(crate) fn prompt_render(&self, asked: &RenderAsk) -> Result<RenderedPrompt, Fault> {
        let (prompt, label) = self.prompt_catalog()?.resolve(&asked.prompt)?;
        let rendered = prompt.render(&asked.variables)?;
        let messages = rendered.messages.into_iter();
        Ok(RenderedPrompt {
            prompt: named(&prompt),
            label,
            hash: prompt.hash.clone(),
            model: prompt.model.clone(),
            messages: messages.map(|(role, content)| json!({"role": role, "content": content})).collect(),
            fields: prompt.fields.missing(|_| false),
        })
    }

    /// Moves of the labels of a prompt, or of one of them, newest first.
    pub fn prompt_history(&self, name: &str, label: Option<&str>) -> Result<Value, Fault> {
        let mut moves = self.control.label_history(name).map_err(control_fault)?;
        if moves.is_empty() && self.prompt_catalog()?.registry.prompts().all(|prompt| prompt.name != name) {
            let message =
                format!("there is no prompt `{}`; `gauntlet prompt list` shows those there are", short(name));
            return Err(Fault::caller(Code::NotFound, message));
        }
        moves.retain(|step| label.is_none_or(|label| step.label == label));
        Ok(json!({"name": name, "moves": moves}))
    }
}

impl Catalog {
    fn line(&self, prompt: &Prompt) -> Line {
        let kept: Option<&StoredPrompt> = self.kept(prompt);
        Line {
            name: prompt.name.clone(),
            hash: prompt.hash.clone(),
            labels: self.labels.get(&prompt.hash).cloned().unwrap_or_default(),
            version: prompt.version.to_string().into(),
            description: prompt.description.clone(),
            owner: prompt.owner.clone(),
            risk: prompt.risk.as_str(),
            author: kept.and_then(|kept| kept.author.clone()),
            app_sha: kept.and_then(|kept| kept.app_sha.clone()),
            created: kept.map(|kept| kept.created),
            source: prompt.canonical().to_owned(),
        }
    }
}

pub(super) fn compared(a: &Prompt, b: &Prompt) -> Compared {
    Compared { a: named(a), b: named(b), changes: shape::changes(a, b), diff: diff::unified(a, b) }
}

pub(super) fn named(prompt: &Prompt) -> Name {
    format!("{}@{}", prompt.name, prompt.version).into()
}

fn variables(prompt: &Prompt) -> Vec<VariableLine> {
    let line = |(name, variable): (&String, &gauntlet_prompts::Variable)| VariableLine {
        name: name.clone(),
        r#type: variable.kind.as_str(),
        required: variable.required,
        max_length: variable.max_length,
        default: variable.default.clone(),
        description: variable.description.clone(),
    };
    prompt.variables.iter().map(line).collect()
}

fn example(prompt: &Prompt) -> Value {
    let value = |(name, _): (&str, &gauntlet_prompts::Variable)| (name.to_owned(), Value::from("…"));
    let variables: Map<String, Value> = prompt.required().map(value).collect();
    // What the author had in mind is no model that must be there.
    let model = prompt.model.clone().unwrap_or_else(|| "MODEL".into());
    json!({"model": model, "gauntlet": {"prompt": named(prompt), "variables": variables}})
}
