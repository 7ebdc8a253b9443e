//! `gauntlet guard scan`: the guards on lines of text, for tests, tuning and scripts.

use std::{
    io::{BufRead, Write},
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use gauntlet_guard::{Found, Kinds, Rulebook, Scanner, Trust};
use gauntlet_policy::guard::{Chain, Level, LevelKind};
use gauntlet_types::{Action, Direction, Finding, Name, Rule, Scope, Voice};
use serde::Deserialize;
use serde_json::{Value, json};

use super::configuration;
use crate::cli::Place;

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    id: Value,
    text: String,
    /// Who wrote it; a user, unless said otherwise.
    #[serde(default)]
    from: From,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum From {
    System,
    #[default]
    User,
    Tool,
    Document,
}

impl From {
    fn trust(self) -> Trust {
        match self {
            From::System => Trust::Author,
            From::User => Trust::User,
            From::Tool | From::Document => Trust::Untrusted,
        }
    }

    fn scope(self) -> Scope {
        match self {
            From::System => Scope::System,
            From::User => Scope::User,
            From::Tool => Scope::ToolResult,
            From::Document => Scope::Document,
        }
    }
}

pub fn run(place: &Place, policy: Option<&str>, direction: &str) -> Result<()> {
    let direction = if direction == "output" { Direction::Output } else { Direction::Input };
    let rules = rules(place, policy, direction)?;
    let scanner = Scanner::new();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for (number, read) in std::io::stdin().lock().lines().enumerate() {
        let read =
            read.with_context(|| format!("line {} of standard input cannot be read as UTF-8", number + 1))?;
        if read.trim().is_empty() {
            continue;
        }
        let line: Line = serde_json::from_str(&read).with_context(|| {
            format!("line {} of standard input is not {{\"id\": …, \"text\": \"…\"}}", number + 1)
        })?;
        writeln!(out, "{}", scan(&scanner, &rules, direction, &line))?;
    }
    out.flush()?;
    Ok(())
}

/// The rules of a route or of a policy; without a name those that are sensible for looking at texts.
fn rules(place: &Place, named: Option<&str>, direction: Direction) -> Result<Rulebook> {
    let book = |voices| Rulebook::new(voices, Arc::new([]), [0; 32], 0.0);
    let Some(name) = named else {
        let usual = [("pii", Action::Redact), ("secrets", Action::Block), ("injection", Action::Flag)];
        let voice = |(kind, action)| Voice { level: "default".into(), rule: Rule::of(kind, action) };
        return Ok(book(vec![usual.into_iter().map(voice).collect()]));
    };
    let (_, loaded) = configuration(place)?;
    let config = loaded.policy.config();
    let mut chain = Chain::default();
    if let Some(route) = loaded.policy.route(name) {
        chain.extend(config.guards.floor.iter().cloned());
        chain.extend(route.guards.iter().cloned());
    } else if let Some(policy) = config.guards.policies.find(name) {
        chain.push(Arc::new(Level::of_policy(LevelKind::Request, Name::default(), policy)));
    } else {
        let routes = config.routes.keys().map(Name::as_str);
        let policies = config.guards.policies.iter().map(|policy| policy.id.name.as_str());
        let mut known: Vec<&str> = routes.chain(policies).collect();
        known.sort_unstable();
        bail!("there is no route and no policy `{name}`; there are: {}", known.join(", "));
    }
    Ok(book(chain.voices(direction)))
}

fn scan(scanner: &Scanner, rules: &Rulebook, direction: Direction, line: &Line) -> Value {
    let mut found: Vec<Finding> = Vec::new();
    let kinds = Kinds { injection: direction == Direction::Input, ..Kinds::ALL };
    scanner.scan_from(&line.text, line.from.trust(), kinds, &mut found);
    let place = gauntlet_guard::Where::Other("text");
    let parts = [Found { place, scope: line.from.scope(), text: &line.text, findings: found.clone() }];
    let decision = gauntlet_guard::decide(direction, rules, &parts).decision;
    let mut findings: Vec<Value> = found
        .iter()
        .map(|finding| {
            let span = gauntlet_guard::code_points(&line.text, finding.span.clone());
            json!({
                "kind": finding.kind, "type": finding.label, "start": span.start, "end": span.end,
                "score": rounded(finding.score),
            })
        })
        .collect();
    // The score is shown also where it reaches no threshold, so that thresholds can be chosen and canaries watched.
    if kinds.injection && found.iter().all(|finding| finding.kind != "injection") {
        findings.push(json!({
            "kind": "injection", "type": "score", "start": 0, "end": line.text.chars().count(),
            "score": rounded(scanner.injection_score(&line.text)),
        }));
    }
    json!({
        "id": line.id, "decision": decision.as_str(), "findings": findings,
        "text": gauntlet_guard::redact(&line.text, &found),
    })
}

fn rounded(score: f32) -> f64 {
    (f64::from(score) * 1e4).round() / 1e4
}
