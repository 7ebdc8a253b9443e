//! Reads a suite's file and its datasets; every mistake of all of them is told at once.

use std::collections::HashMap;

use gauntlet_places::{At, Node};
use serde_json::{Value, json};

use super::{GateSpec, JudgeSpec, Suite, gate, metric};
use crate::{
    Case, Mistake, dataset, golden, hash,
    report::Report,
    tree::{self, Fields},
};

/// A longer file is refused unread: it holds metrics, not cases.
pub const SUITE_BYTES_MAX: usize = 1 << 20;
/// More calls at once than a provider lets one key have.
const CONCURRENCY_MAX: u32 = 1_000;
/// More answers to one case tell nothing that more cases would not tell better.
const REPEATS_MAX: u32 = 100;
const FAST_MAX: u32 = 10_000;
const NAME_LETTERS_MAX: usize = 100;
const DATASETS_MAX: usize = 32;

/// Gives the text of a file beside the suite's, by its path from there. Errors: why it cannot be read.
pub type Load<'a> = dyn FnMut(&str) -> Result<String, String> + 'a;

/// What reading came to.
#[derive(Debug)]
pub struct Reading {
    /// Also there when something is wrong, as far as it could be read.
    pub suite: Suite,
    pub mistakes: Vec<Mistake>,
    /// The golden cases are not the frozen ones: apart, since freezing them anew mends it.
    pub thawed: Option<Mistake>,
}

impl Reading {
    /// The suite with its warnings. Errors: all mistakes.
    pub fn good(self) -> Result<(Suite, Vec<Mistake>), Vec<Mistake>> {
        let mistakes: Vec<Mistake> = self.mistakes.into_iter().chain(self.thawed).collect();
        let is_good = mistakes.iter().all(|mistake| mistake.is_warning);
        if is_good { Ok((self.suite, mistakes)) } else { Err(mistakes) }
    }
}

/// Reads a suite. `file` is named in messages; datasets are named by it and their own path.
pub fn read(file: &str, text: &str, load: &mut Load<'_>) -> Reading {
    let mut report = Report::new(file);
    let mut suite = Suite { file: file.to_owned(), ..Suite::default() };
    let (mut mistakes, mut thawed) = (Vec::new(), None);
    if text.len() > SUITE_BYTES_MAX {
        let cure = format!("a suite has at most {SUITE_BYTES_MAX}; cases belong into its dataset");
        report.error(At::default(), format!("the file has {} bytes", text.len()), cure);
    } else if let Some(node) = tree::parse(text, &mut report) {
        let datasets = shape(&node, &mut suite, &mut report);
        suite.hash = suite_hash(&node);
        mistakes = cases(&mut suite, &datasets, load, &mut report);
        let lock = load(&golden::lock_name(&suite.file)).ok();
        thawed = golden::mistake(&suite, lock.as_deref());
    } else if !report.has_errors() {
        report.error(At::default(), "the file is empty", "write at least `suite`, `dataset` and `metrics`");
    }
    let mut all = report.finish();
    all.append(&mut mistakes);
    Reading { suite, mistakes: all, thawed }
}

/// Of what decides over answers and scores. How fast they come, what they may cost, what a gate asks of them and which cases are
/// golden makes no other suite.
fn suite_hash(node: &Node) -> gauntlet_types::Name {
    let mut value = node.to_json();
    if let Value::Object(fields) = &mut value {
        for name in
            ["description", "golden", "concurrency", "budget_usd", "answer_limit", "score_limit", "gate"]
        {
            fields.shift_remove(name);
        }
    }
    hash::sha256(&hash::canonical(&value))
}

/// Reads everything but the cases; gives the datasets with their places.
fn shape(node: &Node, suite: &mut Suite, report: &mut Report) -> Vec<(String, At)> {
    let Some(mut fields) = Fields::of(node, "", report) else { return Vec::new() };
    match fields.text("suite", report) {
        Some(name) => {
            let is_letter =
                |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
            if name.len() > NAME_LETTERS_MAX || !name.chars().all(is_letter) {
                let cure = format!("use letters, digits, `-`, `_` and `.`, at most {NAME_LETTERS_MAX}");
                report.error(
                    fields.at("suite"),
                    format!("a suite cannot be named `{}`", name.escape_debug()),
                    cure,
                );
            }
            suite.name = name.into();
        }
        None => report.error(node.at, "field `suite` is missing", "add a line `suite: NAME`"),
    }
    suite.description = fields.text("description", report);
    suite.route = fields.text("route", report).map(Into::into);
    suite.prompt = fields.text("prompt", report).map(Into::into);
    suite.model = fields.text("model", report).map(Into::into);
    suite.params = fields.object("params", report);
    suite.vars = fields.object("vars", report);
    for name in ["messages", "model", "stream", "gauntlet"] {
        if suite.params.contains_key(name) {
            let cure =
                if name == "model" { "write it beside `params`" } else { "leave it out: the runner sets it" };
            report.error(fields.at("params"), format!("`params` has `{name}`"), cure);
        }
    }
    suite.repeats = fields.count("repeats", report, REPEATS_MAX).unwrap_or(1);
    suite.concurrency = fields.count("concurrency", report, CONCURRENCY_MAX).unwrap_or(Suite::CONCURRENCY);
    suite.answer_limit = fields.duration("answer_limit", report).unwrap_or(Suite::ANSWER_LIMIT);
    suite.score_limit = fields.duration("score_limit", report).unwrap_or(Suite::SCORE_LIMIT);
    suite.fast = fields.count("fast", report, FAST_MAX).unwrap_or(Suite::FAST_CASES);
    budget(&mut fields, suite, report);
    golden_hash(&mut fields, suite, report);
    if let Some(node) = fields.get("judge") {
        suite.judge = judge(node, report);
    }
    match fields.get("metrics") {
        Some(node) => suite.metrics = metric::read(node, report),
        None => report.error(
            node.at,
            "field `metrics` is missing",
            "add `metrics: [exact]`, or others (docs/scorers.md)",
        ),
    }
    suite.gate = fields.get("gate").map_or_else(GateSpec::default, |node| gate::read(node, report));
    let mut datasets = fields.texts("dataset", report);
    datasets.extend(fields.texts("datasets", report));
    if datasets.is_empty() {
        report.error(
            node.at,
            "no dataset is named",
            "add a line `dataset: NAME.jsonl`, a file beside this one",
        );
    }
    if datasets.len() > DATASETS_MAX {
        report.error(
            fields.at("dataset"),
            format!("there are {} datasets", datasets.len()),
            format!("a suite has at most {DATASETS_MAX}"),
        );
        datasets.truncate(DATASETS_MAX);
    }
    fields.finish(report);
    datasets
}

fn budget(fields: &mut Fields<'_>, suite: &mut Suite, report: &mut Report) {
    let at = fields.at("budget_usd");
    let Some(text) = fields.text("budget_usd", report) else { return };
    match text.parse::<gauntlet_types::NanoUsd>() {
        Ok(amount) if amount > gauntlet_types::NanoUsd::ZERO => suite.budget = Some(amount),
        Ok(_) => report.error(
            at,
            format!("`budget_usd: {text}` leaves nothing to spend"),
            "give an amount above 0, or leave the line out for no limit",
        ),
        Err(error) => report.error(at, error.to_string(), "write for example `budget_usd: 2.00`"),
    }
}

fn golden_hash(fields: &mut Fields<'_>, suite: &mut Suite, report: &mut Report) {
    let at = fields.at("golden");
    let Some(text) = fields.text("golden", report) else { return };
    let hex = text.strip_prefix("sha256:").unwrap_or(&text);
    if hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        suite.golden = Some(hex.to_ascii_lowercase().into());
    } else {
        let cure = format!("let `gauntlet eval freeze {}` write it", suite.name);
        report.error(at, "`golden` is no hash of the form `sha256:…` with 64 digits", cure);
    }
}

fn judge(node: &Node, report: &mut Report) -> Option<JudgeSpec> {
    let mut fields = Fields::of(node, "`judge`", report)?;
    let model = fields.text("model", report);
    let judge = JudgeSpec {
        samples: fields.count("samples", report, 25).unwrap_or(1),
        embedding_model: fields.text("embedding_model", report).map(Into::into),
        params: fields.object("params", report),
        min_agreement: fields.number("min_agreement", report, 0.0, 1.0),
        model: model.clone().unwrap_or_default().into(),
    };
    fields.finish(report);
    if model.is_none() && judge.embedding_model.is_none() {
        report.error(node.at, "`judge` names no model", "add `model: provider/model` to it");
    }
    Some(judge)
}

/// Reads the datasets; their mistakes come back, each with its own file.
fn cases(
    suite: &mut Suite,
    datasets: &[(String, At)],
    load: &mut Load<'_>,
    report: &mut Report,
) -> Vec<Mistake> {
    let folder = suite.file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut mistakes = Vec::new();
    let mut seen: HashMap<gauntlet_types::Name, (usize, usize)> = HashMap::new();
    for (index, (path, at)) in datasets.iter().enumerate() {
        let shown = if folder.is_empty() || path.starts_with('/') {
            path.clone()
        } else {
            format!("{folder}/{path}")
        };
        suite.datasets.push(shown.clone());
        let text = match load(path) {
            Ok(text) => text,
            Err(why) => {
                report.error(
                    *at,
                    format!("the dataset `{path}` cannot be read: {why}"),
                    "name a file of JSON lines beside this one",
                );
                continue;
            }
        };
        let mut own = Report::new(&shown);
        let found = dataset::read(&shown, &text, &mut own);
        for case in found {
            match seen.get(&case.id) {
                Some(&(first, line)) => {
                    let place = if first == index {
                        format!("line {line}")
                    } else {
                        format!("{}:{line}", suite.datasets[first])
                    };
                    own.error(
                        At::line(case.line),
                        format!("the id `{}` is taken by {place}", case.id),
                        "give each case an id of its own",
                    );
                }
                None => {
                    seen.insert(case.id.clone(), (index, case.line));
                    suite.cases.push(case);
                }
            }
        }
        mistakes.append(&mut own.finish());
    }
    mistakes
}

/// The hash over cases, in their order: two runs with the same asked the same.
pub(crate) fn dataset_hash<'a>(cases: impl Iterator<Item = &'a Case>) -> gauntlet_types::Name {
    let hashes: Vec<Value> = cases.map(|case| json!([case.id, case.hash])).collect();
    hash::sha256(&hash::canonical(&Value::Array(hashes)))
}
