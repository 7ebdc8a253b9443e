//! Prompts: their versions, what differs between two of them, where labels point, and the buttons that move them.

use gauntlet_ports::Verdict;
use gauntlet_types::Timestamp;
use maud::{Markup, html};

use crate::{
    evals::verdict,
    figures::time,
    paths,
    shell::{Place, Shell, csrf, page},
    text::{Line, Room},
};

/// Bytes for the texts of one page.
const TEXTS_ROOM: usize = 400_000;

/// What the management API takes of a reason or a note, and of a name.
const WORDS_MAX: usize = 2_000;
const NAME_MAX: usize = 128;

/// A prompt in the list.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct PromptLine {
    pub name: String,
    pub description: Option<String>,
    pub owner: Option<String>,
    pub versions: usize,
    pub latest: String,
    /// (label, version)
    pub labels: Vec<(String, String)>,
    pub is_high_risk: bool,
}

/// A version of one prompt, newest first.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct VersionLine {
    pub version: String,
    pub hash: String,
    pub created: Option<Timestamp>,
    pub author: Option<String>,
    pub labels: Vec<String>,
    /// (suite, verdict, run) of the newest gate of each suite.
    pub gates: Vec<(String, Verdict, String)>,
    /// Who approved it.
    pub approved_by: Vec<String>,
}

/// A label that was moved.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct MoveLine {
    pub label: String,
    pub from: Option<String>,
    pub to: String,
    pub by: Option<String>,
    pub at: Timestamp,
    /// What kind of move it was, where it was no promotion by the rules.
    pub how: Option<&'static str>,
    pub why: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    Same,
    Added,
    Removed,
}

/// Two versions, line by line.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct DiffView {
    pub from: String,
    pub to: String,
    /// What the change means for callers, in words.
    pub shape: Vec<String>,
    pub lines: Vec<(Change, String)>,
}

/// One version as it stands.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ShownVersion {
    pub version: String,
    /// (role, content)
    pub messages: Vec<(String, String)>,
    pub variables: Vec<VariableRow>,
    pub model: Option<String>,
    pub model_hint: Option<String>,
    /// What it puts into the body of a chat call: (name, JSON).
    pub fields: Vec<(String, String)>,
}

/// What a version asks of its callers.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct VariableRow {
    pub name: String,
    /// Type and bounds, in words.
    pub kind: String,
    pub is_required: bool,
    /// As JSON.
    pub default: Option<String>,
    pub description: Option<String>,
}

/// What a promotion would do.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct PlanView {
    pub version: String,
    pub label: String,
    /// Where the label points now.
    pub from: Option<String>,
    /// What is missing, and how it comes about.
    pub lacks: Vec<(String, String)>,
    /// (suite, run of what the label points to now, run of this one)
    pub runs: Vec<(String, Option<String>, String)>,
    /// The command that takes it back.
    pub rollback: Option<String>,
}

pub struct PromptView<'a> {
    pub line: &'a PromptLine,
    pub versions: &'a [VersionLine],
    pub history: &'a [MoveLine],
    pub shown: Option<&'a ShownVersion>,
    pub diff: Option<&'a DiffView>,
    pub plan: Option<&'a PlanView>,
    /// Labels that can be moved: those there are, and the usual ones.
    pub labels: &'a [String],
    /// Why the last change was refused.
    pub refused: Option<&'a str>,
}

pub fn prompts(shell: &Shell, lines: &[PromptLine]) -> String {
    let body = html! {
        div.title { h1 { "Prompts" } }
        @if lines.is_empty() {
            section.panel.empty {
                h2 { "No prompt yet" }
                p { "Put files into " code { "prompts/" } " of the configuration folder, or push them from CI:" }
                pre { code { "gauntlet prompt push prompts/" } }
            }
        } @else {
            section.panel { div.scroll { table.groups {
                thead { tr { th scope="col" { "Prompt" } th scope="col" { "Labels" } th scope="col" { "Latest" } th.n scope="col" { "Versions" } th scope="col" { "Owner" } } }
                tbody { @for line in lines { tr data-row {
                    th scope="row" {
                        a href=(paths::prompt(&line.name)) data-open { (Line(&line.name)) }
                        @if line.is_high_risk { " " span.pill.warn { "high risk" } }
                        @if let Some(description) = &line.description { span.sub { (Line(description)) } }
                    }
                    td { @for (label, version) in &line.labels { span.metric { span.pill { (Line(label)) } " " (Line(version)) } " " } }
                    td { (Line(&line.latest)) }
                    td.n { (line.versions) }
                    td { @if let Some(owner) = &line.owner { (Line(owner)) } @else { span.muted { "–" } } }
                } } }
            } } }
        }
    };
    page(shell, Place::Prompts, "Prompts", body)
}

pub fn prompt(shell: &Shell, view: &PromptView) -> String {
    let line = view.line;
    let mut room = Room::of(TEXTS_ROOM);
    let body = html! {
        nav.crumbs aria-label="Where this is" { a href=(paths::PROMPTS) { "Prompts" } }
        div.title {
            h1 { (Line(&line.name)) }
            @if line.is_high_risk { span.pill.warn { "high risk" } }
            @if let Some(owner) = &line.owner { span.muted { (Line(owner)) } }
            a href=(paths::traces_of_prompt(&line.name)) { "Its calls" }
        }
        @if let Some(description) = &line.description { p.lead { (Line(description)) } }
        @if let Some(refused) = view.refused { div.banner.bad role="alert" { (room.block(refused)) } }
        div.columns {
            div {
                (versions(shell, view))
                @if let Some(plan) = view.plan { (promotion(&line.name, plan, &mut room)) }
                @if let Some(diff) = view.diff { (difference(diff, &mut room)) }
                @if let Some(shown) = view.shown { (text(shown, &mut room)) }
            }
            div {
                (labels(shell, view))
                (history(shell, view.history))
            }
        }
    };
    page(shell, Place::Prompts, &line.name, body)
}

fn versions(shell: &Shell, view: &PromptView) -> Markup {
    let name = &view.line.name;
    html! {
        section.panel {
            h2 { "Versions" }
            div.scroll { table.groups {
                thead { tr { th scope="col" { "Version" } th scope="col" { "Labels" } th scope="col" { "Gates" } th scope="col" { "Since" } th scope="col" { "Look" } } }
                tbody { @for (at, version) in view.versions.iter().enumerate() {
                    @let before = view.versions.get(at + 1);
                    tr {
                        th scope="row" { (Line(&version.version)) span.sub { code title=(Line(&version.hash)) { (crate::evals::short(&version.hash)) } } }
                        td { @for label in &version.labels { span.pill { (Line(label)) } " " } }
                        td {
                            @for (suite, said, run) in &version.gates { a href=(paths::eval_run(run)) { (Line(suite)) } " " (verdict(*said)) " " }
                            @if version.gates.is_empty() { span.muted { "not evaluated" } }
                            @for by in &version.approved_by { span.sub { "approved by " (Line(by)) } }
                        }
                        td { @if let Some(created) = version.created { (time(created, shell.now)) } @else { "–" } @if let Some(author) = &version.author { span.sub { (Line(author)) } } }
                        td {
                            a href=(paths::prompt_version(name, &version.version)) { "text" }
                            @if let Some(before) = before { " · " a href=(paths::prompt_diff(name, &before.version, &version.version)) { "diff" } }
                        }
                    }
                } }
            } }
        }
    }
}

fn difference(diff: &DiffView, room: &mut Room) -> Markup {
    html! {
        section.panel #diff {
            h2 { (Line(&diff.from)) " → " (Line(&diff.to)) }
            @for change in &diff.shape { p { (Line(change)) } }
            @if diff.lines.is_empty() { p.muted { "The texts are the same." } } @else {
                pre.diff { @for (change, line) in &diff.lines {
                    @let (class, sign) = match change { Change::Same => ("same", " "), Change::Added => ("added", "+"), Change::Removed => ("removed", "-") };
                    @let (shown, cut) = room.take(line, 2_000);
                    span.(class) { (sign) " " (shown) @if cut { "…" } "\n" }
                } }
            }
        }
    }
}

fn text(shown: &ShownVersion, room: &mut Room) -> Markup {
    html! {
        section.panel #text {
            h2 { "Version " (Line(&shown.version)) }
            @if let Some(model) = &shown.model { p.muted { "Pinned to " (Line(model)) } }
            @if let Some(hint) = &shown.model_hint { p.muted { "Written with " (Line(hint)) " in mind" } }
            @for (role, content) in &shown.messages { h3 { (Line(role)) } (room.block(content)) }
            @if !shown.variables.is_empty() {
                h3 { "Variables" }
                table.plain { tbody { @for variable in &shown.variables { tr {
                    th scope="row" { code { (Line(&variable.name)) } }
                    td { (Line(&variable.kind)) @if let Some(description) = &variable.description { span.sub { (Line(description)) } } }
                    td {
                        @if variable.is_required { "required" } @else { "optional" }
                        @if let Some(default) = &variable.default { span.sub { "else " code { (Line(default)) } } }
                    }
                } } } }
            }
            @if !shown.fields.is_empty() {
                h3 { "Put into the call" }
                @for (name, value) in &shown.fields { h4 { code { (Line(name)) } } (room.code(value)) }
            }
        }
    }
}

/// A version, under the name that the form gives it, and a label.
fn choice(version: &str, view: &PromptView) -> Markup {
    html! {
        label { span.sub { "Version" } select name=(version) { @for version in view.versions { option value=(version.version) { (Line(&version.version)) } } } }
        label { span.sub { "Label" } select name="label" { @for label in view.labels { option value=(label) { (Line(label)) } } } }
    }
}

/// What stands between a version and a label.
fn promotion(name: &str, plan: &PlanView, room: &mut Room) -> Markup {
    html! {
        section.panel #plan {
            h2 { (Line(&plan.version)) " under " (Line(&plan.label)) }
            @match &plan.from {
                Some(from) if *from == plan.version => p { "It is there already." },
                Some(from) => p {
                    "Now " (Line(from)) ": " a href=(paths::prompt_diff(name, from, &plan.version)) { "what differs" }
                },
                None => p { "The label points nowhere yet." },
            }
            @for (suite, before, after) in &plan.runs { p {
                (Line(suite)) ": "
                @match before {
                    Some(before) => a href=(paths::eval_compare(before, after)) { "both runs side by side" },
                    None => a href=(paths::eval_run(after)) { "its run" },
                }
            } }
            @if plan.lacks.is_empty() { p { "Nothing is missing." } } @else {
                ul.notes { @for (what, cure) in &plan.lacks { li { "Missing: " (room.block(what)) span.sub { (Line(cure)) } } } }
            }
            @if let Some(rollback) = &plan.rollback { p.muted { "Back afterwards: " code { (Line(rollback)) } } }
        }
    }
}

fn labels(shell: &Shell, view: &PromptView) -> Markup {
    let name = &view.line.name;
    html! {
        section.panel {
            h2 { "Labels" }
            ul.notes {
                @for (label, version) in &view.line.labels { li.line {
                    span { span.pill { (Line(label)) } " " (Line(version)) }
                    @if shell.csrf.is_some() && view.history.iter().any(|moved| moved.label == *label && moved.from.is_some()) {
                        form method="post" action=(paths::PROMPT_ROLLBACK) {
                            (csrf(shell))
                            input type="hidden" name="name" value=(name);
                            input type="hidden" name="label" value=(label);
                            input name="reason" maxlength=(WORDS_MAX) placeholder="Why" aria-label="Why it is rolled back";
                            button.quiet { "Roll back" }
                        }
                    }
                } }
                @if view.line.labels.is_empty() { li.muted { "None: a bare name means the latest version." } }
            }
            @if !view.versions.is_empty() {
                h3 { "What is missing" }
                form.stack method="get" action=(paths::PROMPT) {
                    input type="hidden" name="name" value=(name);
                    (choice("plan", view))
                    button.quiet { "Look" }
                }
            }
            @if shell.csrf.is_some() && !view.versions.is_empty() {
                h3 { "Promote" }
                form.stack method="post" action=(paths::PROMPT_PROMOTE) {
                    (csrf(shell))
                    input type="hidden" name="name" value=(name);
                    (choice("version", view))
                    label { span.sub { "Why (for the history)" } input name="reason" maxlength=(WORDS_MAX); }
                    button { "Promote" }
                }
                h3 { "Approve" }
                form.stack method="post" action=(paths::PROMPT_APPROVE) {
                    (csrf(shell))
                    input type="hidden" name="name" value=(name);
                    (choice("version", view))
                    label { span.sub { "Who you are" } input name="by" required maxlength=(NAME_MAX); }
                    label { span.sub { "What you looked at" } input name="note" maxlength=(WORDS_MAX); }
                    button.quiet { "Approve" }
                }
            }
        }
    }
}

fn history(shell: &Shell, moves: &[MoveLine]) -> Markup {
    html! {
        @if !moves.is_empty() {
            section.panel {
                h2 { "History" }
                ul.notes { @for moved in moves { li {
                    span.pill { (Line(&moved.label)) } " "
                    @if let Some(from) = &moved.from { (Line(from)) " → " }
                    b { (Line(&moved.to)) }
                    @if let Some(how) = moved.how { " " span.pill.warn { (how) } }
                    span.sub { (time(moved.at, shell.now)) @if let Some(by) = &moved.by { " by " (Line(by)) } @if let Some(why) = &moved.why { ": " (Line(why)) } }
                } } }
            }
        }
    }
}
