//! The pages of prompts: versions, what differs, where labels point, and moving them.

use std::collections::BTreeMap;

use axum::{
    Form, Router,
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use gauntlet_console::{
    self as console, Change, DiffView, MoveLine, PromptLine, PromptView, ShownVersion, VersionLine,
};
use gauntlet_ports::{Approval, EvalGate, GateFilter};
use gauntlet_types::{Code, Fault, Name};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::{Frame, page};
use crate::{
    admin::{Admin, control_fault},
    api::blocking,
    error,
    evals::evals_fault,
    prompts::{Compared, Line, Listed, PromoteAsk, RollbackAsk, Shown},
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
        .route("/prompts/show", get(show))
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
    name: String,
    version: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

async fn show(State(admin): State<Admin>, headers: HeaderMap, Query(which): Query<Which>) -> Response {
    let frame = Frame::new(&admin, &headers);
    one(&frame, &admin, which, None).await
}

/// What the page of one prompt is made of.
struct Fetched {
    line: PromptLine,
    versions: Vec<Line>,
    shown: Shown,
    compared: Option<Compared>,
    gates: Vec<EvalGate>,
    approvals: Vec<Approval>,
}

fn fetch(admin: &Admin, which: &Which) -> Result<Fetched, Fault> {
    let mut listed = admin.prompt_list()?;
    listed.versions.retain(|line| *line.name == *which.name);
    listed.labels.retain(|label| *label.name == *which.name);
    let Some(line) = lines(&listed).pop() else {
        return Err(Fault::caller(Code::NotFound, "there is no such prompt any more".to_owned()));
    };
    let reference = |version: &str| format!("{}@{version}", which.name);
    let shown = admin.prompt_show(&reference(which.version.as_deref().unwrap_or(&line.latest)))?;
    let compared = match (&which.from, &which.to) {
        (Some(from), Some(to)) => Some(admin.prompt_diff(&reference(from), &reference(to))?),
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
            why: moved.why.clone(),
        })
        .collect();
    let mut labels = USUAL.map(str::to_owned).to_vec();
    let own = fetched.line.labels.iter().map(|(label, _)| label.clone());
    labels.extend(own.filter(|label| !USUAL.contains(&label.as_str())));
    let diff = fetched.compared.as_ref().map(diff_view);
    let shown = shown_version(&fetched.shown);
    let view = PromptView {
        line: &fetched.line,
        versions: &versions,
        history: &history,
        // A comparison is read by itself, unless a version was asked for as well.
        shown: (diff.is_none() || has_version).then_some(&shown),
        diff: diff.as_ref(),
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
        (variable.name.clone(), format!("{}{bound}", variable.r#type), variable.required)
    });
    ShownVersion {
        version: shown.line.version.to_string(),
        messages: shown
            .messages
            .iter()
            .map(|message| (text(&message["role"]), text(&message["content"])))
            .collect(),
        variables: variables.collect(),
        model: shown.model.as_ref().map(ToString::to_string),
    }
}

#[derive(Deserialize)]
struct PromoteForm {
    name: String,
    version: String,
    label: String,
}

async fn promote(State(admin): State<Admin>, headers: HeaderMap, Form(form): Form<PromoteForm>) -> Response {
    let name = form.name.clone();
    let done = blocking(&admin, move |admin| {
        let asked = PromoteAsk {
            prompt: format!("{}@{}", form.name, form.version),
            label: form.label,
            by: None,
            reason: None,
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
}

async fn rollback(
    State(admin): State<Admin>,
    headers: HeaderMap,
    Form(form): Form<RollbackForm>,
) -> Response {
    let name = form.name.clone();
    let done = blocking(&admin, move |admin| {
        let asked = RollbackAsk { name: form.name, label: form.label, by: None, reason: None };
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
