//! What is known about a call beside its words: who, which prompt, what guards said, what it cost. Each fact that a
//! list can be narrowed by is a link to that list.

use gauntlet_ports::TraceFilter;
use gauntlet_types::{Action, CallRecord, Decision, Direction, RunOutcome, TokenCount};
use maud::{Markup, html};

use crate::{
    figures::{count, usd},
    query::link_to,
    text::Line,
    traces::decision,
};

const NOTES_MAX: usize = 30;
const LIST_MAX: usize = 40;

pub fn facts(record: &CallRecord) -> Markup {
    html! {
        (guard(record))
        (prompt(record))
        (documents(record))
        (cost(record))
        (caller(record))
        (request(record))
    }
}

fn guard(record: &CallRecord) -> Markup {
    html! {
        section.panel {
            h2 { "Guard " (decision(record.decision.as_str())) }
            @if record.guard.is_empty() {
                p.muted {
                    @if record.decision != Decision::Allow { "No reason was recorded." }
                    @else if record.guard_runs.iter().any(|run| has_looked(run.outcome)) { "Nothing was found." }
                    @else { "No guard has looked at this call." }
                }
            }
            ul.notes { @for note in record.guard.iter().take(NOTES_MAX) { li {
                p {
                    @if note.shadow { span.pill { "on trial: " (note.action.as_str()) } }
                    @else { span class=(class_of(note.action)) { (note.action.as_str()) } }
                    " " b { (Line(&note.kind)) } " " (Line(&note.label))
                    @if note.count > 1 { " × " (note.count) }
                    span.muted {
                        " on " (direction(note.direction))
                        ", score " (format!("{:.2}", note.score))
                    }
                }
                @if !note.reason.is_empty() { p.small { (Line(&note.reason)) } }
                @if let Some(rule) = &note.rule { p.small.muted { "by " (Line(rule)) } }
            } } }
            @if record.guard.len() > NOTES_MAX { p.muted { "and " (record.guard.len() - NOTES_MAX) " more." } }
            (runs(record))
        }
    }
}

/// Which guards ran, on what; what did not run says why.
fn runs(record: &CallRecord) -> Markup {
    html! {
        @if !record.guard_runs.is_empty() {
            details {
                summary { "What was looked for" }
                table {
                    thead { tr { th { "Guard" } th { "Outcome" } th { "On" } th.num { "µs" } } }
                    tbody { @for run in record.guard_runs.iter().take(NOTES_MAX) { tr {
                        td { (direction(run.direction)) " " (Line(&run.kind)) }
                        td {
                            (run.outcome.as_str().replace('_', " "))
                            @if run.excepted > 0 { ", " (run.excepted) " let pass" }
                            @if let Some(reason) = &run.reason { span.muted { ": " (Line(reason)) } }
                        }
                        td { @if let Some(on) = &run.on { (Line(on)) } }
                        td.num { (run.took_us) }
                    } } }
                }
                @if !record.guard_policy.is_empty() {
                    p.small.muted { "Rules of: " (Line(&record.guard_policy.join("; "))) }
                }
            }
        }
    }
}

fn has_looked(outcome: RunOutcome) -> bool {
    matches!(outcome, RunOutcome::Passed | RunOutcome::Found)
}

fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Input => "input",
        Direction::Output => "output",
    }
}

fn class_of(action: Action) -> &'static str {
    match action {
        Action::Allow | Action::Log => "pill",
        Action::Review | Action::Block => "pill bad",
        _ => "pill warn",
    }
}

fn prompt(record: &CallRecord) -> Markup {
    html! {
        @if let Some(prompt) = &record.prompt {
            section.panel {
                h2 { "Prompt" }
                dl.facts {
                    (linked("Name", &prompt.name, |f, v| f.prompt_name = Some(v)))
                    dt { "Version" }
                    dd {
                        a href=(link_to(|f| {
                            f.prompt_name = Some(prompt.name.to_string());
                            f.prompt_version = Some(prompt.version.to_string());
                        })) { (Line(&prompt.version)) }
                        @if let Some(label) = &prompt.label { " " span.pill { (Line(label)) } }
                    }
                    (plain("SHA-256", &prompt.hash))
                }
            }
        }
    }
}

fn documents(record: &CallRecord) -> Markup {
    html! {
        @if !record.documents.is_empty() {
            section.panel {
                h2 { "Retrieved documents" }
                table.plain { tbody {
                    @for document in record.documents.iter().take(LIST_MAX) {
                        tr {
                            th scope="row" { (Line(&document.id)) }
                            td.n { @if let Some(score) = document.score { (format!("{score:.3}")) } }
                        }
                    }
                } }
                @if record.documents.len() > LIST_MAX {
                    p.muted { "and " (record.documents.len() - LIST_MAX) " more." }
                }
            }
        }
    }
}

fn cost(record: &CallRecord) -> Markup {
    let usage = &record.usage;
    let kinds = [
        ("Input, fresh", usage.input_fresh),
        ("Input, read from cache", usage.cache_read),
        ("Input, cached for 5 min", usage.cache_write_5m),
        ("Input, cached for 1 h", usage.cache_write_1h),
        ("Output", usage.output),
        ("Reasoning", usage.reasoning),
        ("Audio in", usage.audio_input),
        ("Audio, read from cache", usage.audio_cache_read),
        ("Audio out", usage.audio_output),
        ("Images in", usage.image_input),
        ("Images, read from cache", usage.image_cache_read),
        ("Images out", usage.image_output),
    ];
    html! {
        section.panel {
            h2 { "Cost" }
            table.plain {
                tbody {
                    @for (kind, tokens) in kinds.iter().filter(|(_, tokens)| *tokens != TokenCount(0)) {
                        tr { th scope="row" { (kind) } td.n { (count(tokens.0.into())) } }
                    }
                    tr.sum { th scope="row" { "Tokens" } td.n { (count(usage.total().0.into())) } }
                    tr.sum { th scope="row" { "Cost" } td.n title={ (record.cost) " USD" } { (usd(record.cost)) } }
                    @if record.held.0 > 0 {
                        tr { th scope="row" { "Held before the call" } td.n { (usd(record.held)) } }
                    }
                    @if record.wasted.0 > 0 {
                        tr { th scope="row" { "Spent on output nobody read" } td.n.bad { (usd(record.wasted)) } }
                    }
                }
            }
            @if usage.estimated { p.small.muted { "Counted by the gateway, since the provider did not say." } }
            @if !record.charges.is_empty() {
                h3 { "Budgets charged" }
                ul.notes { @for charge in record.charges.iter().take(LIST_MAX) { li {
                    (Line(&charge.key)) " " span.muted {
                        (Line(&charge.scope)) @if let Some(day) = charge.period { " on " (day) }
                    }
                } } }
            }
        }
    }
}

fn caller(record: &CallRecord) -> Markup {
    let caller = &record.caller;
    html! {
        section.panel {
            h2 { "Caller" }
            dl.facts {
                (linked("Tenant", &caller.tenant, |f, v| f.tenant = Some(v)))
                (linked_if("Team", &caller.team, |f, v| f.team = Some(v)))
                (linked_if("User", &caller.user, |f, v| f.user = Some(v)))
                (linked_if("Session", &caller.session, |f, v| f.session = Some(v)))
                (linked_if("Key", &caller.key, |f, v| f.key = Some(v)))
                (linked("Environment", caller.environment.as_str(), |f, v| f.environment = Some(v)))
                (linked_if("App commit", &caller.app_sha, |f, v| f.app_sha = Some(v)))
                (linked_if("Eval", &caller.eval_id, |f, v| f.eval_id = Some(v)))
                @if !caller.tags.is_empty() {
                    dt { "Tags" }
                    dd { @for tag in caller.tags.iter().take(LIST_MAX) { span.pill { (Line(tag)) } " " } }
                }
            }
        }
    }
}

fn request(record: &CallRecord) -> Markup {
    let names = |names: &[gauntlet_types::Name]| {
        html! {
            @for name in names.iter().take(LIST_MAX) { code { (Line(name)) } " " }
        }
    };
    html! {
        section.panel {
            h2 { "Request" }
            dl.facts {
                dt { "Door" } dd { (record.door.as_str()) @if record.is_streaming { ", streamed" } }
                dt { "Status" } dd { (record.status) }
                (plain("Model asked for", &record.model_asked))
                @if let Some(target) = &record.target { (plain("Target", &target.to_string())) }
                @if let Some(model) = &record.model_answered { (plain("Model that answered", model)) }
                @if let Some(finish) = record.finish { (plain("Finish", finish.as_str())) }
                @if let Some(why) = &record.routing { (plain("Routing", why)) }
                (plain("Cache", record.cache.as_str()))
                @if let Some(score) = record.judge_score { (plain("Judge score", &format!("{score:.2}"))) }
                @if let Some(sdk) = &record.sdk { (plain("SDK", sdk)) }
                @if !record.dropped.is_empty() { dt { "Fields left out" } dd { (names(&record.dropped)) } }
                @if !record.injected.is_empty() { dt { "Fields added" } dd { (names(&record.injected)) } }
                (plain("Span", &record.span_id.to_string()))
                @if let Some(parent) = record.parent_span_id { (plain("Parent span", &parent.to_string())) }
                (plain("Prices", &record.price_version))
                (plain("Configuration", &record.config_version))
            }
        }
    }
}

fn plain(name: &str, value: &str) -> Markup {
    html! { @if !value.is_empty() { dt { (name) } dd { (Line(value)) } } }
}

fn linked(name: &str, value: &str, set: fn(&mut TraceFilter, String)) -> Markup {
    html! {
        @if !value.is_empty() {
            dt { (name) }
            dd { a href=(link_to(|filter| set(filter, value.to_owned()))) { (Line(value)) } }
        }
    }
}

fn linked_if(name: &str, value: &Option<gauntlet_types::Name>, set: fn(&mut TraceFilter, String)) -> Markup {
    html! { @if let Some(value) = value { (linked(name, value, set)) } }
}
