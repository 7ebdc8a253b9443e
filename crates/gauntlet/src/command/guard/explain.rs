//! `gauntlet guard explain`: the effective policy of a call, and where each rule of it comes from.

use anyhow::Result;
use gauntlet_policy::guard::explain::{self, Asked, ExceptionShown, Explained, Holding, VoiceShown};
use gauntlet_types::{Direction, Name, Scope};
use serde_json::json;

use super::configuration;
use crate::{
    cli::{Explain, Place},
    show::{self, Column},
    wiring,
};

pub fn run(place: &Place, asked: &Explain) -> Result<()> {
    let (_, loaded) = configuration(place)?;
    let asked = Asked {
        tenant: asked.tenant.as_deref(),
        route: asked.route.as_deref(),
        key: asked.key.as_deref(),
        policies: &asked.policies,
    };
    let explained = explain::explain(&loaded.policy, &asked, wiring::now())?;
    if place.json {
        show::json(&json!(explained));
    } else {
        print(&explained);
    }
    Ok(())
}

fn print(explained: &Explained) {
    let key = explained.key.as_ref().map(|key| format!(", key {key}")).unwrap_or_default();
    println!("Guards of tenant {}, route {}{key}\n", explained.tenant, explained.route);
    let columns =
        [Column::Left("level"), Column::Left("of"), Column::Left("policy"), Column::Left("written in")];
    let rows = explained.levels.iter().map(|level| {
        let policy = match (&level.policy, &level.version, &level.hash) {
            (Some(policy), Some(version), Some(hash)) => format!("{policy}@{version} ({hash})"),
            _ => "–".to_owned(),
        };
        vec![level.level.to_owned(), level.of.to_string(), policy, level.file.to_string()]
    });
    show::table(&columns, rows.collect(), "No level has a rule.");
    for direction in [Direction::Input, Direction::Output] {
        let rules: Vec<&Holding> =
            explained.rules.iter().filter(|rule| rule.direction == direction).collect();
        let name = if direction == Direction::Input { "Input" } else { "Output" };
        if rules.is_empty() {
            println!("\n{name}: nothing is looked for");
            continue;
        }
        println!("\n{name}");
        holdings(&rules);
    }
    if let Some(size) = &explained.size_max {
        println!("\nRequests have at most {} bytes, by {}", size.bytes, size.by);
    }
    if !explained.exceptions.is_empty() {
        println!("\nLet pass");
        exceptions(&explained.exceptions);
    }
    for note in &explained.notes {
        println!("\nnote: {note}");
    }
}

/// One line for what holds, then one for each scope and type about which something else is done, and for each level's word.
fn holdings(rules: &[&Holding]) {
    let columns = [
        Column::Left("kind"),
        Column::Left("action"),
        Column::Left("by"),
        Column::Right("from score"),
        Column::Left("if it cannot look"),
    ];
    let by = |by: &Option<Name>| by.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string);
    let mut rows = Vec::new();
    for rule in rules {
        rows.push(vec![
            rule.kind.to_owned(),
            rule.action.as_str().to_owned(),
            by(&rule.by),
            rule.threshold.map_or_else(|| "the detector's".to_owned(), |threshold| threshold.to_string()),
            if rule.on_error == "closed" { "stopped" } else { "passes" }.to_owned(),
        ]);
        let more = |what: String, action: &str, who: String| {
            vec![format!("  {what}"), action.to_owned(), who, String::new(), String::new()]
        };
        for other in &rule.scopes {
            rows.push(more(format!("in {}", other.scope.as_str()), other.action.as_str(), by(&other.by)));
        }
        for of_type in &rule.types {
            rows.push(more(of_type.label.to_string(), of_type.action.as_str(), by(&of_type.by)));
        }
    }
    show::table(&columns, rows, "");
    for rule in rules {
        for voice in rule.voices.iter().filter(|_| rule.voices.len() > 1 || says_more(rule)) {
            println!("  {}: {} says {}", rule.kind, voice.level, words(voice));
        }
    }
}

/// Whether one level alone has something to say that the table does not.
fn says_more(rule: &Holding) -> bool {
    let voice = |voice: &VoiceShown| {
        voice.shadow
            || voice.sample < 1.0
            || voice.scopes.is_some()
            || voice.to.is_some()
            || voice.or_else.is_some()
    };
    rule.voices.iter().any(voice)
}

/// `redact, decides`, `flag from 0.8 in user on 10 % of calls, milder, loosens nothing`
fn words(voice: &VoiceShown) -> String {
    let mut words = voice.action.as_str().to_owned();
    if let Some(threshold) = voice.threshold {
        words.push_str(&format!(" from {threshold}"));
    }
    if let Some(scopes) = &voice.scopes {
        let names: Vec<&str> = scopes.iter().copied().map(Scope::as_str).collect();
        words
            .push_str(&format!(" in {}", if names.is_empty() { "nothing".into() } else { names.join(", ") }));
    }
    if voice.sample < 1.0 {
        words.push_str(&format!(" on {} % of calls", (voice.sample * 1e4).round() / 1e2));
    }
    for (label, action) in &voice.types {
        words.push_str(&format!(", {label} {}", action.as_str()));
    }
    if let Some(to) = &voice.to {
        words.push_str(&format!(" to {to}"));
    }
    if let Some(or_else) = voice.or_else {
        words.push_str(&format!(", else {}", or_else.as_str()));
    }
    format!("{words}: {}", voice.effect.words())
}

pub(super) fn exceptions(all: &[ExceptionShown]) {
    let columns = [
        Column::Left("kind"),
        Column::Left("type"),
        Column::Left("value"),
        Column::Left("tenant"),
        Column::Left("route"),
        Column::Left("until"),
        Column::Right("days left"),
        Column::Left("why"),
    ];
    let any = |name: &Option<Name>| name.as_ref().map_or_else(|| "all".to_owned(), ToString::to_string);
    let rows = all.iter().map(|one| {
        let value = match (&one.value, &one.text) {
            (Some(hash), _) => format!("hash {hash}"),
            (None, Some(text)) => format!("`{text}`"),
            (None, None) => "any".to_owned(),
        };
        let left = if one.days_left > 0 { one.days_left.to_string() } else { "ended".to_owned() };
        vec![
            one.kind.to_string(),
            any(&one.label),
            value,
            any(&one.tenant),
            any(&one.route),
            one.until.clone(),
            left,
            one.why.as_ref().map(ToString::to_string).unwrap_or_default(),
        ]
    });
    show::table(&columns, rows.collect(), "No exceptions.");
}
