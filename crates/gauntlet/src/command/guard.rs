//! `gauntlet guard scan`: the guards on lines of text, for tests, tuning and scripts.

use std::io::{BufRead, Write};

use anyhow::{Context, Result, bail};
use gauntlet_guard::{Kinds, Rules, Scanner, Trust};
use gauntlet_types::{Action, Direction, Finding};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    cli::{Guard, Place},
    config_dir, wiring,
};

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
}

pub fn run(place: &Place, command: Guard) -> Result<()> {
    let Guard::Scan { policy, direction, jsonl: _ } = command;
    let direction = if direction == "output" { Direction::Output } else { Direction::Input };
    let rules = rules(place, policy.as_deref(), direction)?;
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

fn rules(place: &Place, route: Option<&str>, direction: Direction) -> Result<Rules> {
    let Some(name) = route else {
        return Ok(Rules {
            pii: Action::Redact,
            secrets: Action::Block,
            injection: Action::Flag,
            max_bytes: None,
        });
    };
    let dir = config_dir::read(config_dir::find(place.config.as_deref())?.as_deref())?;
    let loaded = match wiring::load(&dir, true) {
        Ok(loaded) => loaded,
        Err(_) => bail!("the configuration has mistakes; `gauntlet check` shows them"),
    };
    let Some(route) = loaded.policy.route(name) else {
        let known: Vec<&str> = loaded.policy.config().routes.keys().map(|name| name.as_str()).collect();
        bail!("there is no route `{name}` to take the policy of; there are: {}", known.join(", "));
    };
    Ok(match direction {
        Direction::Input => Rules {
            pii: route.input.pii,
            secrets: route.input.secrets,
            injection: route.input.injection,
            max_bytes: None,
        },
        Direction::Output => Rules {
            pii: route.output.pii,
            secrets: route.output.secrets,
            injection: Action::Allow,
            max_bytes: None,
        },
    })
}

fn scan(scanner: &Scanner, rules: &Rules, direction: Direction, line: &Line) -> Value {
    let mut found: Vec<Finding> = Vec::new();
    let kinds = Kinds { injection: direction == Direction::Input, ..Kinds::ALL };
    scanner.scan_from(&line.text, line.from.trust(), kinds, &mut found);
    let parts = [(gauntlet_guard::Where::Other("text"), line.text.as_str(), found.clone())];
    // The hash of values is of no use here: nothing is joined with it.
    let (decision, _) = gauntlet_guard::decide(direction, rules, &parts, &[0; 32]);
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
