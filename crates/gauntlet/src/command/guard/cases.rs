//! The cases of findings that were none: kept by `guard allow`, run by `guard test`; and the exceptions themselves, as `guard
//! list` shows them.

use std::{
    fs::{self, File},
    io::{Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use gauntlet_guard::{Kinds, Rulebook, Scanner, Trust};
use gauntlet_policy::{
    Policy,
    guard::explain::{ExceptionShown, holds},
};
use gauntlet_types::{Caller, Direction, ExceptedValue, Exception, Finding, Scope, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{configuration, explain};
use crate::{
    cli::Place,
    config_dir,
    show::{self, Column},
    wiring,
};

/// A larger file is no set of cases.
const CASES_MAX: u64 = 64 << 20;

pub fn list(place: &Place) -> Result<()> {
    let (_, loaded) = configuration(place)?;
    let now = wiring::now();
    let all: Vec<ExceptionShown> =
        loaded.policy.config().guards.exceptions.iter().map(|one| ExceptionShown::of(one, now)).collect();
    if place.json {
        show::json(&json!({"exceptions": all}));
        return Ok(());
    }
    explain::exceptions(&all);
    let over = all.iter().filter(|one| one.days_left <= 0).count();
    if over > 0 {
        println!(
            "\n{over} have ended and hold for nothing; take them out of exceptions.yml, or give them another day"
        );
    }
    Ok(())
}

/// The file of cases, held by this process so that two do not write into each other.
pub struct Cases {
    path: PathBuf,
    file: File,
    ids: Vec<String>,
    ends_with_line: bool,
    added: usize,
}

impl Cases {
    pub fn open(folder: &Path) -> Result<Cases> {
        let path = path_of(folder);
        let cannot = || format!("cannot write {}", path.display());
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(cannot)?;
        }
        let file = File::options().read(true).append(true).create(true).open(&path).with_context(cannot)?;
        file.lock().with_context(cannot)?;
        let text = text_of(&file, &path)?;
        let ids = read(&text, &path)?.into_iter().map(|case| case.id).collect();
        let ends_with_line = text.is_empty() || text.ends_with('\n');
        Ok(Cases { path, file, ids, ends_with_line, added: 0 })
    }

    /// Appends a case, unless it is there: an exception that is made anew has its case already.
    pub fn add(&mut self, case: &Value) -> Result<()> {
        let id = show::text(&case["id"]);
        if self.ids.contains(&id) {
            return Ok(());
        }
        // One write: a reader sees the whole line or nothing of it.
        let begin = if self.ends_with_line { "" } else { "\n" };
        let written = self.file.write_all(format!("{begin}{case}\n").as_bytes());
        written.with_context(|| format!("cannot write {}", self.path.display()))?;
        self.ids.push(id);
        (self.ends_with_line, self.added) = (true, self.added + 1);
        Ok(())
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn added(&self) -> usize {
        self.added
    }

    pub fn added_words(&self) -> &'static str {
        if self.added > 0 { "kept as a case" } else { "is a case already" }
    }
}

fn path_of(folder: &Path) -> PathBuf {
    folder.join("evals").join("guard-exceptions.jsonl")
}

fn text_of(file: &File, path: &Path) -> Result<String> {
    let mut text = String::new();
    let read = file.take(CASES_MAX + 1).read_to_string(&mut text);
    let read = read.with_context(|| format!("{} is no text", path.display()))?;
    if read as u64 > CASES_MAX {
        bail!("{} is larger than {} MB", path.display(), CASES_MAX >> 20);
    }
    Ok(text)
}

#[derive(Deserialize)]
struct Case {
    id: String,
    tenant: String,
    route: String,
    direction: Direction,
    kind: String,
    #[serde(rename = "type")]
    label: String,
    #[serde(default)]
    scope: Option<Scope>,
    value_hash: String,
    /// Redacted.
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    value: Option<String>,
}

fn read(text: &str, path: &Path) -> Result<Vec<Case>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(i, line)| {
            let place = || format!("{}:{}: this line is no case of `guard allow`", path.display(), i + 1);
            serde_json::from_str(line).with_context(place)
        })
        .collect()
}

/// What became of a case.
enum Ended {
    LetPass,
    /// No guard acts on it any more, so that the exception could go.
    NotFound,
    Found {
        action: &'static str,
        rule: String,
    },
    /// Nothing of it is kept that could be looked at.
    NotRun,
}

impl Ended {
    const fn as_str(&self) -> &'static str {
        match self {
            Ended::LetPass => "let_pass",
            Ended::NotFound => "not_found",
            Ended::Found { .. } => "found",
            Ended::NotRun => "not_run",
        }
    }

    fn words(&self) -> String {
        match self {
            Ended::LetPass => "found, and an exception lets it pass".to_owned(),
            Ended::NotFound => "no guard acts on it any more; its exception could go".to_owned(),
            Ended::Found { action, rule } => {
                format!("FOUND AGAIN: {action} by {rule}, and nothing lets it pass")
            }
            Ended::NotRun => "not run: its value was not kept; `guard allow --value` keeps it".to_owned(),
        }
    }
}

pub fn test(place: &Place, file: Option<&Path>) -> Result<ExitCode> {
    let (_, loaded) = configuration(place)?;
    let path = match (file, config_dir::find(place.config.as_deref())?) {
        (Some(path), _) => path.to_owned(),
        (None, Some(folder)) => path_of(&folder),
        (None, None) => {
            bail!("there is no configuration folder; name it by --config, or name a file of cases")
        }
    };
    let text = match File::open(&path) {
        Ok(file) => text_of(&file, &path)?,
        Err(error) if file.is_none() && error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let cases = read(&text, &path)?;
    let scanner = Scanner::new();
    let now = wiring::now();
    let ended: Vec<(&Case, Ended)> =
        cases.iter().map(|case| (case, run(case, &loaded.policy, &scanner, now))).collect();
    let failed = ended.iter().filter(|(_, end)| matches!(end, Ended::Found { .. })).count();
    if place.json {
        let shown =
            ended.iter().map(|(case, end)| json!({"id": case.id, "end": end.as_str(), "says": end.words()}));
        show::json(&json!({"cases": shown.collect::<Vec<_>>(), "failed": failed}));
    } else {
        let columns = [Column::Whole("case"), Column::Left("")];
        let rows = ended.iter().map(|(case, end)| vec![case.id.clone(), end.words()]);
        show::table(&columns, rows.collect(), "No cases yet; `gauntlet guard allow` keeps them.");
        let not_run = ended.iter().filter(|(_, end)| matches!(end, Ended::NotRun)).count();
        println!("{} cases, {failed} found again, {not_run} not run", ended.len());
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Looks at a case as at a call of its tenant and route.
fn run(case: &Case, policy: &Policy, scanner: &Scanner, now: Timestamp) -> Ended {
    let Some(text) = case.words() else { return Ended::NotRun };
    let route = policy.route(&case.route).unwrap_or_else(|| policy.default_route());
    let caller = Caller { tenant: case.tenant.as_str().into(), ..Caller::default() };
    let chain = policy.guards(&caller, route, std::iter::empty()).unwrap_or_default();
    let all = policy.config().guards.exceptions.iter();
    let exceptions: Arc<[Exception]> = all
        .filter(|exception| holds(exception, &case.tenant, &case.route, now))
        .filter_map(|exception| match &exception.value {
            // The key of the hashes is the gateway's; which value it is was checked when the case was made.
            ExceptedValue::Hash(hash) => (**hash == *case.value_hash)
                .then(|| Exception { value: ExceptedValue::Any, ..exception.clone() }),
            ExceptedValue::Text(_) | ExceptedValue::Any => Some(exception.clone()),
        })
        .collect();
    let rules = Rulebook::new(chain.voices(case.direction), exceptions, [0; 32], 0.0).with_scanner(scanner);
    let scope = case.scope.unwrap_or(match case.direction {
        Direction::Input => Scope::User,
        Direction::Output => Scope::Assistant,
    });
    let trust = match scope {
        Scope::System => Trust::Author,
        Scope::ToolResult | Scope::Document => Trust::Untrusted,
        Scope::User | Scope::Assistant | Scope::ToolArguments => Trust::User,
    };
    let mut found: Vec<Finding> = Vec::new();
    scanner.scan_from(&text, trust, Kinds { injection: false, ..Kinds::ALL }, &mut found);
    let usual = scanner.injection_threshold(trust);
    let threshold = rules.threshold("injection").map_or(usual, |threshold| threshold.min(usual));
    scanner.scan_injection_at(&text, trust, threshold, &mut found);
    let mut end = Ended::NotFound;
    // Which phrase speaks for an injection changes with the model.
    let is_it =
        |one: &&Finding| one.kind == case.kind && (one.kind == "injection" || one.label == case.label);
    for finding in found.iter().filter(is_it) {
        let ruling = rules.rule(finding, &text, scope);
        if ruling.is_excepted {
            end = Ended::LetPass;
        } else if let Some(voice) = ruling.voice.filter(|_| ruling.action != gauntlet_types::Action::Allow) {
            return Ended::Found { action: ruling.action.as_str(), rule: voice.level.to_string() };
        }
    }
    end
}

impl Case {
    /// The text as it was, as far as it is known.
    fn words(&self) -> Option<String> {
        let placeholder = format!("[REDACTED:{}]", self.label);
        match (&self.value, &self.text) {
            (Some(value), Some(text)) if text.contains(&placeholder) => {
                Some(text.replacen(&placeholder, value, 1))
            }
            (Some(value), _) => Some(value.clone()),
            // What is private stands there as a placeholder, in which nothing can be found.
            (None, Some(text)) if !matches!(self.kind.as_str(), "pii" | "secrets") => Some(text.clone()),
            (None, _) => None,
        }
    }
}
