//! The pages of prompts: versions, what differs, where labels point, and moving them.

use std::collections::BTreeMap;

use axum::{
    Form, Router,
    extract::{Path, Query, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use gauntlet_console::{
    self as console, Change, DiffView, MoveLine, PlanView, PromptLine, PromptView, ShownVersion, VariableRow,
    VersionLine,
};
use gauntlet_places::near;
use gauntlet_ports::{Approval, EvalGate, GateFilter, MoveKind};
use gauntlet_types::{Code, Fault, Name};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::{Frame, page};
use crate::{
    admin::{Admin, control_fault},
    api::blocking,
    error,
    evals::evals_fault,
    prompts::{ApproveAsk, Compared, Line, Listed, Plan, PromoteAsk, RollbackAsk, Shown, actor},
};

/// Gates of one prompt that its page looks through: the newest of each suite and version is among them, unless it has been
/// run this often since.
const GATES_MAX: u32 = 500;
/// Moves on the page; `gauntlet prompt history` shows all.
const MOVES_MAX: usize = 20;
/// What people call labels, before others that there are.
const USUAL: [&str; 3] = ["production", "staging", "canary"];

pub(super) fn router() -> Router<Admin> {
    Router::new()
        .route(console::paths::PROMPTS, get(list))
        .route(console::paths::PROMPT, get(show))
        .route("/prompts/{*name}", get(by_path))
        .route(console::paths::PROMPT_APPROVE, post(approve))
        .route(console::paths::PROMPT_PROMOTE, post(promote))
        .route(console::paths::PROMPT_ROLLBACK, post(rollback))
}

async fn list(State(admin): State<Admin>, headers: HeaderMap) -> Response {
    let frame = Frame::new(&admin, &headers);
    match blocking(&admin, |admin| admin.prompt_list()).await {
        Ok(listed) => page(StatusCode::OK, console::prompts(&frame.shell(), &lines(&listed))),
        Err(fault) => frame.fault(&fault),
    }
}

/// By name; versions come in their order, so that the last is the highest.
fn lines(listed: &Listed) -> Vec<PromptLine> {
    let mut lines: BTreeMap<&str, PromptLine> = BTreeMap::new();
    for version in &listed.versions {
        let line = lines.entry(version.name.as_str()).or_default();
        line.name = version.name.to_string();
        line.versions += 1;
        line.latest = version.version.to_string();
        line.description.clone_from(&version.description);
        line.owner.clone_from(&version.owner);
        line.is_high_risk = version.risk == "high";
    }
    for label in &listed.labels {
        if let Some(line) = lines.get_mut(label.name.as_str()) {
            line.labels.push((label.label.to_string(), label.version.to_string()));
        }
    }
    lines.into_values().collect()
}

#[derive(Clone, Default, Deserialize)]
struct Which {
    #[serde(default)]
    name: String,
    version: Option<String>,
    from: Option<String>,
    to: Option<String>,
    /// The version whose promotion is looked at, under `label`.
    plan: Option<String>,
    label: Option<String>,
}

/// Whoever guesses the address of a prompt gets to its page.
async fn by_path(Path(name): Path<String>) -> Redirect {
    Redirect::to(&console::paths::prompt(&name))
}

async fn show(State(admin): State<Admin>, headers: HeaderMap, Query(which): Query<Which>) -> Response {
    if which.name.is_empty() {
        return Redirect::to(console::paths::PROMPTS).into_response();
    }
    let frame = Frame::new(&admin, &headers);
    one(&frame, &admin, which, None).await
}

/// What the page of one prompt is made of.
struct Fetched {
    line: PromptLine,
    versions: Vec<Line>,
    shown: Shown,
    compared: Option<Compared>,
    plan: Option<Plan>,
    gates: Vec<EvalGate>,
    approvals: Vec<Approval>,
}

fn fetch(admin: &Admin, which: &Which) -> Result<Fetched, Fault> {
    let mut listed = admin.prompt_list()?;
    let names: Vec<Name> = listed.versions.iter().map(|line| line.name.clone()).collect();
    listed.versions.retain(|line| *line.name == *which.name);
    listed.labels.retain(|label| *label.name == *which.name);
    let Some(line) = lines(&listed).pop() else {
        let shown: String = which.name.chars().take(64).collect();
        let cure = near::cure(
            &which.name,
            names.iter().map(Name::as_str),
            "the list of prompts has those there are",
        );
        return Err(Fault::caller(Code::NotFound, format!("there is no prompt `{shown}`: {cure}")));
    };
    let reference = |version: &str| format!("{}@{version}", which.name);
    let shown = admin.prompt_show(&reference(which.version.as_deref().unwrap_or(&line.latest)))?;
    let compared = match (&which.from, &which.to) {
        (Some(from), Some(to)) => Some(admin.prompt_diff(&reference(from), &reference(to))?),
        _ => None,
    };
    let plan = match (&which.plan, &which.label) {
        (Some(version), Some(label)) => Some(admin.prompt_plan(&reference(version), label)?),
        _ => None,
    };
    let name = Name::from(which.name.as_str());
    let filter =
        GateFilter { prompt_name: Some(name.clone()), limit: Some(GATES_MAX), ..GateFilter::default() };
    Ok(Fetched {
        gates: admin.evals.gate_list(&filter).map_err(evals_fault)?,
        approvals: admin.control.approval_list(&name).map_err(control_fault)?,
        versions: listed.versions,
        line,
        shown,
        compared,
        plan,
    })
}

async fn one(frame: &Frame, admin: &Admin, which: Which, refused: Option<Fault>) -> Response {
    let has_version = which.version.is_some();
    let fetched = match blocking(admin, move |admin| fetch(admin, &which)).await {
        Ok(fetched) => fetched,
        Err(fault) => return frame.fault(&fault),
    };
    let versions: Vec<VersionLine> =
        fetched.versions.iter().rev().map(|version| version_line(version, &fetched)).collect();
    let history: Vec<MoveLine> = fetched
        .shown
        .history
        .iter()
        .take(MOVES_MAX)
        .map(|moved| MoveLine {
            label: moved.label.to_string(),
            from: moved.from.as_ref().map(ToString::to_string),
            to: moved.to.to_string(),
            by: Some(moved.by.to_string()),
            at: moved.at,
            how: match moved.kind {
                MoveKind::Promote => None,
                MoveKind::Rollback => Some("rolled back"),
                MoveKind::Force => Some("forced"),
            },
            why: moved.why.clone(),
        })
        .collect();
    let mut labels = USUAL.map(str::to_owned).to_vec();
    let own = fetched.line.labels.iter().map(|(label, _)| label.clone());
    labels.extend(own.filter(|label| !USUAL.contains(&label.as_str())));
    let diff = fetched.compared.as_ref().map(diff_view);
    let shown = shown_version(&fetched.shown);
    let plan = fetched.plan.as_ref().map(plan_view);
    let view = PromptView {
        line: &fetched.line,
        versions: &versions,
        history: &history,
        // A comparison is read by itself, unless a version was asked for as well.
        shown: (diff.is_none() || has_version).then_some(&shown),
        diff: diff.as_ref(),
        plan: plan.as_ref(),
        labels: &labels,
        refused: refused.as_ref().map(|fault| fault.message.as_str()),
    };
    let status = refused.as_ref().map_or(StatusCode::OK, error::status);
    page(status, console::prompt(&frame.shell(), &view))
}

fn version_line(line: &Line, fetched: &Fetched) -> VersionLine {
    let mut gates: Vec<(String, gauntlet_ports::Verdict, String)> = Vec::new();
    // Newest first, so that the first of a suite counts.
    for gate in &fetched.gates {
        let is_of_it = gate.prompt.as_ref().is_some_and(|prompt| prompt.hash == line.hash);
        if is_of_it && !gates.iter().any(|(suite, _, _)| *suite == *gate.suite) {
            gates.push((gate.suite.to_string(), gate.verdict, gate.run.to_string()));
        }
    }
    let approved = fetched.approvals.iter().filter(|approval| approval.hash == line.hash);
    VersionLine {
        version: line.version.to_string(),
        hash: line.hash.to_string(),
        created: line.created,
        author: line.author.as_ref().map(ToString::to_string),
        labels: line.labels.iter().map(ToString::to_string).collect(),
        gates,
        approved_by: approved.map(|approval| format!("{} for {}", approval.by, approval.label)).collect(),
    }
}

fn diff_view(compared: &Compared) -> DiffView {
    // The head of a unified diff names what the heading says already.
    let lines = compared.diff.lines().skip_while(|line| !line.starts_with("@@"));
    let line = |line: &str| match line.split_at_checked(1) {
        Some(("+", text)) => (Change::Added, text.to_owned()),
        Some(("-", text)) => (Change::Removed, text.to_owned()),
        Some((" ", text)) => (Change::Same, text.to_owned()),
        _ => (Change::Same, line.to_owned()),
    };
    DiffView {
        from: compared.a.to_string(),
        to: compared.b.to_string(),
        shape: compared
            .changes
            .iter()
            .map(|change| format!("{}: {}", change.bump.as_str(), change.what))
            .collect(),
        lines: lines.map(line).collect(),
    }
}

fn shown_version(shown: &Shown) -> ShownVersion {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let variables = shown.variables.iter().map(|variable| {
        let bound = variable.max_length.map(|max| format!(", at most {max}")).unwrap_or_default();
        VariableRow {
            name: variable.name.clone(),
            kind: format!("{}{bound}", variable.r#type),
            is_required: variable.required,
            default: variable.default.as_ref().map(ToString::to_string),
            description: variable.description.clone(),
        }
    });
    let pretty = |value: &serde_json::Value| serde_json::to_string_pretty(value).unwrap_or_default();
    ShownVersion {
        version: shown.line.version.to_string(),
        messages: shown
            .messages
            .iter()
            .map(|message| (text(&message["role"]), text(&message["content"])))
            .collect(),
        variables: variables.collect(),
        model: shown.model.as_ref().map(ToString::to_string),
        model_hint: shown.model_hint.as_ref().map(ToString::to_string),
        fields: shown.fields.iter().map(|(name, value)| (name.clone(), pretty(value))).collect(),
    }
}

fn plan_view(plan: &Plan) -> PlanView {
    PlanView {
        version: plan.to.to_string(),
        label: plan.label.to_string(),
        from: plan.from.as_ref().map(ToString::to_string),
        lacks: plan.lacks.iter().map(|lack| (lack.what.clone(), lack.cure.clone())).collect(),
        runs: plan
            .evals
            .iter()
            .map(|suite| {
                let before = suite.from_run.as_ref().map(ToString::to_string);
                (suite.suite.to_string(), before, suite.to_run.to_string())
            })
            .collect(),
        rollback: plan.rollback.clone(),
    }
}

#[derive(Deserialize)]
struct PromoteForm {
    name: String,
    version: String,
    label: String,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
struct ApproveForm {
    name: String,
    version: String,
    label: String,
    /// There is one token so far, so that a name is what whoever is signed in says it is.
    #[serde(default)]
    by: String,
    #[serde(default)]
    note: String,
}

async fn approve(State(admin): State<Admin>, headers: HeaderMap, Form(form): Form<ApproveForm>) -> Response {
    let name = form.name.clone();
    let done = blocking(&admin, move |admin| {
        let by = actor(&HeaderMap::new(), Some(&form.by))?;
        let asked = ApproveAsk {
            prompt: format!("{}@{}", form.name, form.version),
            label: form.label,
            by: None,
            note: Some(form.note),
        };
        admin.prompt_approve(&asked, by).map(drop)
    });
    answer(&admin, &headers, name, done.await).await
}

async fn promote(State(admin): State<Admin>, headers: HeaderMap, Form(form): Form<PromoteForm>) -> Response {
    let name = form.name.clone();
    let done = blocking(&admin, move |admin| {
        let asked = PromoteAsk {
            prompt: format!("{}@{}", form.name, form.version),
            label: form.label,
            by: None,
            reason: Some(form.reason),
            force: false,
        };
        admin.prompt_promote(&asked, None).map(drop)
    });
    answer(&admin, &headers, name, done.await).await
}

#[derive(Deserialize)]
struct RollbackForm {
    name: String,
    label: String,
    #[serde(default)]
    reason: String,
}

async fn rollback(
    State(admin): State<Admin>,
    headers: HeaderMap,
    Form(form): Form<RollbackForm>,
) -> Response {
    let name = form.name.clone();
    let done = blocking(&admin, move |admin| {
        let asked = RollbackAsk { name: form.name, label: form.label, by: None, reason: Some(form.reason) };
        admin.prompt_rollback(&asked, None).map(drop)
    });
    answer(&admin, &headers, name, done.await).await
}

/// Back to the page of the prompt; what was refused stands on top of it.
async fn answer(admin: &Admin, headers: &HeaderMap, name: String, done: Result<(), Fault>) -> Response {
    match done {
        Ok(()) => Redirect::to(&console::paths::prompt(&name)).into_response(),
        Err(fault) => {
            let frame = Frame::new(admin, headers);
            one(&frame, admin, Which { name, ..Which::default() }, Some(fault)).await
        }
    }
}
