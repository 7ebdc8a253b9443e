//! The suite and its dataset, written.

use std::collections::{BTreeSet, HashMap};

use gauntlet_evals::template::Template;
use serde_json::{Map, Value as Json, json};

use super::{Gathered, assertion::Metric, kinds::Slot, number, providers};
use crate::import::{
    draft::Draft,
    emit,
    notes::Place,
    walk::{Item, Known},
};

/// Of one suite: more are not read.
const METRICS_MAX: usize = 64;
/// Fields of a dataset's line that mean something: a variable of that name cannot stand beside them.
const TAKEN: [&str; 30] = [
    "id",
    "prompt",
    "vars",
    "variables",
    "messages",
    "body",
    "input",
    "question",
    "query",
    "user_input",
    "expected",
    "reference",
    "ground_truth",
    "ground_truths",
    "expected_output",
    "ideal",
    "output",
    "response",
    "actual_output",
    "contexts",
    "context",
    "documents",
    "retrieved",
    "relevant",
    "tags",
    "golden",
    "cluster",
    "extra",
    "tools",
    "stop",
];

#[derive(Default)]
pub(super) struct Options {
    pub(super) description: Option<String>,
    repeats: Option<u64>,
    concurrency: Option<u64>,
}

impl Options {
    pub(super) fn read(&mut self, item: &Item<'_>, draft: &mut Draft) {
        let mut fields = item.fields(&mut draft.notes);
        for (theirs, ours) in [("repeat", "repeats"), ("maxConcurrency", "concurrency")] {
            let Some(item) = fields.take(theirs) else { continue };
            let Some(count) = item.whole().filter(|count| (1..=1_000).contains(count)) else {
                draft.notes.unmapped(
                    &item.place,
                    "it is not a whole number from 1 to 1000",
                    format!("write `{ours}: …`"),
                );
                continue;
            };
            draft.notes.mapped(&item.place, format!("the suite's `{ours}`"), "");
            *(if ours == "repeats" { &mut self.repeats } else { &mut self.concurrency }) = Some(count);
        }
        const KNOWN: [Known; 5] = [
            ("cache", "answers are cached where the route says so, and judges' always", "nothing"),
            ("showProgressBar", "progress is shown on a terminal", "nothing"),
            (
                "delay",
                "rates are a limit of the model's",
                "write `limits` in gauntlet.yml, or `concurrency: 1`",
            ),
            ("timeoutMs", "time limits are a route's", "write `default: {timeouts: …}` in gauntlet.yml"),
            ("*", "the importer does not know this option", "see docs/evals.md"),
        ];
        fields.finish(&KNOWN, &mut draft.notes);
    }
}

/// A metric of the suite, with the cases that are scored by it and their values.
struct Column {
    metric: Metric,
    name: String,
    uses: Vec<(usize, Option<Json>)>,
}

/// `used` are the variables that prompts take; none where there is no prompt.
pub(super) fn write(options: &Options, used: &Option<BTreeSet<String>>, gathered: &mut Gathered<'_>) {
    let (mut columns, repeats) = columns(gathered);
    for (place, name) in repeats {
        let to = format!("evals/{}.yaml: metrics, {name}", gathered.name);
        gathered.draft.notes.mapped(&place, to, "the same as another assertion of the test");
    }
    if columns.len() > METRICS_MAX {
        for column in columns.split_off(METRICS_MAX) {
            let why = format!("a suite has at most {METRICS_MAX} metrics");
            gathered.draft.notes.unmapped(&column.metric.place, why, "import the tests in parts");
        }
    }
    let mut rows = rows(used, gathered);
    let mut metrics = String::new();
    for column in &columns {
        metrics.push_str(&line(column, used, &mut rows, gathered));
        let note = column.metric.note.clone();
        let to = format!("evals/{}.yaml: metrics, {}", gathered.name, column.name);
        gathered.draft.notes.mapped(&column.metric.place, to, note);
    }
    for test in &gathered.tests {
        let to = format!("evals/{}.jsonl", gathered.name);
        gathered.draft.notes.mapped(&test.place, to, "");
    }
    // A list of values makes several cases of one place.
    gathered.draft.notes.mapped.dedup();
    let text = head(options, used, &columns, gathered) + &metrics;
    let dataset: String = rows.iter().map(|row| format!("{}\n", Json::Object(row.clone()))).collect();
    gathered.draft.files.push((format!("evals/{}.yaml", gathered.name), text));
    gathered.draft.files.push((format!("evals/{}.jsonl", gathered.name), dataset));
}

/// Equal assertions of several tests are one column; those of one test are several where their values differ. Beside them the places
/// of assertions that say again what another of their test says, and its metric.
fn columns(gathered: &Gathered<'_>) -> (Vec<Column>, Vec<(Place, String)>) {
    let mut columns: Vec<Column> = Vec::new();
    let mut repeats: Vec<(Place, String)> = Vec::new();
    let mut counts: HashMap<String, usize> = HashMap::new();
    for (at, test) in gathered.tests.iter().enumerate() {
        for metric in &test.metrics {
            let value = metric.value.as_ref().map(|(_, value)| value.clone());
            let is_there = |column: &Column| {
                column.metric.is_like(metric) && column.uses.last() == Some(&(at, value.clone()))
            };
            if let Some(column) = columns.iter().position(is_there) {
                // The same twice asks nothing more.
                let repeat = (metric.place.clone(), columns[column].name.clone());
                if !repeats.contains(&repeat) {
                    repeats.push(repeat);
                }
                continue;
            }
            let free = |column: &&mut Column| {
                column.metric.is_like(metric) && column.uses.last().is_none_or(|(used, _)| *used != at)
            };
            if let Some(column) = columns.iter_mut().find(free) {
                column.uses.push((at, value));
                continue;
            }
            let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
            let wanted: String =
                metric.label.as_ref().unwrap_or(&metric.kind).chars().take(60).map(letter).collect();
            let count = counts.entry(wanted.clone()).or_default();
            *count += 1;
            let name = if *count == 1 { wanted } else { format!("{wanted}_{count}") };
            columns.push(Column { metric: metric.clone(), name, uses: vec![(at, value)] });
        }
    }
    (columns, repeats)
}

/// The dataset's lines without what metrics add to them.
fn rows(used: &Option<BTreeSet<String>>, gathered: &Gathered<'_>) -> Vec<Map<String, Json>> {
    let digits = gathered.tests.len().to_string().len().max(3);
    let wants_contexts = |metric: &Metric| ["faithfulness", "context_recall"].contains(&metric.kind.as_str());
    let row = |(at, test): (usize, &super::Test)| {
        let mut row = Map::new();
        row.insert("id".to_owned(), json!(format!("case-{:0digits$}", at + 1)));
        let is_asked = |name: &String| used.as_ref().is_none_or(|used| used.contains(name));
        let (asked, other): (Map<_, _>, Map<_, _>) =
            test.vars.clone().into_iter().partition(|(name, _)| is_asked(name));
        if !asked.is_empty() {
            row.insert("vars".to_owned(), Json::Object(asked));
        }
        for (name, value) in other {
            if !TAKEN.contains(&name.as_str()) && !name.starts_with("assert_") {
                row.insert(name, value);
            }
        }
        if test.metrics.iter().any(wants_contexts) {
            let contexts = match test.vars.get("context") {
                Some(Json::Array(contexts)) => Json::Array(contexts.clone()),
                Some(context) => json!([context]),
                None => json!([]),
            };
            row.insert("contexts".to_owned(), contexts);
        }
        if let Some(description) = &test.description {
            row.insert("description".to_owned(), json!(description));
        }
        if !test.metadata.is_empty() {
            row.insert("metadata".to_owned(), Json::Object(test.metadata.clone()));
        }
        row
    };
    gathered.tests.iter().enumerate().map(row).collect()
}

/// The metric's line of the suite; what differs from case to case goes into the rows.
fn line(
    column: &Column,
    used: &Option<BTreeSet<String>>,
    rows: &mut [Map<String, Json>],
    gathered: &mut Gathered<'_>,
) -> String {
    let Column { metric, name, uses } = column;
    let mut options = Map::new();
    if *name != metric.kind {
        options.insert("name".to_owned(), json!(name));
    }
    let field = format!("assert_{name}");
    let is_everywhere = uses.len() == rows.len();
    let first = &uses[0].1;
    let is_same = uses.iter().all(|(_, value)| value == first);
    let stays = is_same && first.as_ref().is_none_or(|value| keeps(value, used));
    match &metric.value {
        Some((Slot::Option(option), value)) if stays => {
            options.insert((*option).to_owned(), translated(value));
        }
        Some((Slot::Option(option), _)) => {
            options.insert((*option).to_owned(), json!(format!("{{{{ {field} }}}}")));
        }
        Some((Slot::Expected, _)) | None => {}
    }
    for (at, value) in uses {
        let Some(value) = value else {
            if !is_everywhere {
                rows[*at].insert(field.clone(), json!(true));
            }
            continue;
        };
        let is_expected = matches!(metric.value, Some((Slot::Expected, _)));
        if stays && !is_expected {
            if !is_everywhere {
                rows[*at].insert(field.clone(), json!(true));
            }
            continue;
        }
        let template = Template::new(translated(value));
        match template.and_then(|template| template.with(&gathered.tests[*at].vars)) {
            Ok(value) if is_expected => {
                if rows[*at].get("expected").is_some_and(|known| *known != value) {
                    let place = gathered.tests[*at].place.clone();
                    let why = format!("`{}` expects another answer than a metric before it", metric.kind);
                    gathered.draft.notes.unmapped(&place, why, "write the test twice");
                    continue;
                }
                rows[*at].insert("expected".to_owned(), value);
                if !is_everywhere {
                    rows[*at].insert(field.clone(), json!(true));
                }
            }
            Ok(value) => drop(rows[*at].insert(field.clone(), value)),
            Err(why) => {
                let place: Place = gathered.tests[*at].place.clone();
                gathered.draft.notes.unmapped(
                    &place,
                    format!("a value cannot be made: the case lacks {why}"),
                    "write the value in place",
                );
            }
        }
    }
    options.extend(metric.options.clone());
    if let Some(threshold) = metric.threshold {
        options.insert("threshold".to_owned(), number(threshold));
    }
    let is_in_rows = !stays && matches!(metric.value, Some((Slot::Option(_), _)));
    if !is_everywhere || is_in_rows {
        options.insert("when_present".to_owned(), json!(field));
    }
    if options.is_empty() {
        return format!("  - {}\n", metric.kind);
    }
    format!("  - {}: {}\n", metric.kind, flow(&Json::Object(options)))
}

/// A template of the value takes the same from a case as it took from the test.
fn keeps(value: &Json, used: &Option<BTreeSet<String>>) -> bool {
    const OTHERS: [&str; 8] = ["id", "vars", "extra", "expected", "contexts", "messages", "tags", "env"];
    let is_var = |name: &String| {
        !OTHERS.contains(&name.as_str()) && used.as_ref().is_none_or(|used| used.contains(name))
    };
    Template::new(translated(value)).is_ok_and(|template| template.names().iter().all(is_var))
}

/// Nunjucks in any text of a value as Jinja.
fn translated(value: &Json) -> Json {
    match value {
        Json::String(text) => Json::String(super::jinja(text)),
        Json::Array(items) => items.iter().map(translated).collect(),
        Json::Object(fields) => {
            Json::Object(fields.iter().map(|(name, value)| (name.clone(), translated(value))).collect())
        }
        other => other.clone(),
    }
}

fn head(
    options: &Options,
    used: &Option<BTreeSet<String>>,
    columns: &[Column],
    gathered: &mut Gathered<'_>,
) -> String {
    let name = gathered.name.clone();
    let mut out = format!(
        "# Made by `gauntlet eval import`. What became of each setting is told by that command.\n\nsuite: {}\n",
        emit::quoted(&name)
    );
    if let Some(description) = &options.description {
        out.push_str(&format!("description: {}\n", emit::quoted(description)));
    }
    out.push_str(&format!("dataset: {}\n", emit::quoted(&format!("{name}.jsonl"))));
    if used.is_some() {
        out.push_str(&format!("prompt: {}\n", emit::quoted(&format!("{name}@1.0.0"))));
    }
    if let Some(target) = gathered.targets.first() {
        out.push_str(&format!("model: {}\n", emit::quoted(target)));
    }
    if !gathered.params.is_empty() {
        out.push_str(&format!("params: {}\n", flow(&Json::Object(gathered.params.clone()))));
    }
    for (field, count) in [("repeats", options.repeats), ("concurrency", options.concurrency.or(Some(4)))] {
        if let Some(count) = count {
            out.push_str(&format!("{field}: {count}\n"));
        }
    }
    let judges = columns.iter().filter(|column| column.metric.is_judge());
    let bare: Vec<&Column> = judges.filter(|column| !column.metric.options.contains_key("judge")).collect();
    let mut judge = Map::new();
    let model = gathered.judge.clone().or_else(|| {
        let (first, target) = (bare.first()?, gathered.targets.first()?.clone());
        let place =
            Place { path: format!("{} (no grader)", first.metric.place.path), line: first.metric.place.line };
        let why =
            "no grader is named: promptfoo takes a model of OpenAI's, here the tested model judges itself";
        gathered.draft.notes.unmapped(
            &place,
            why,
            format!("write another model under `judge` in evals/{name}.yaml"),
        );
        Some(target)
    });
    if let Some(model) = model {
        judge.insert("model".to_owned(), json!(model));
    }
    let needs_vectors = |column: &&Column| {
        let has_own =
            ["model", "embedding_model"].iter().any(|name| column.metric.options.contains_key(*name));
        ["similar", "answer_relevancy"].contains(&column.metric.kind.as_str()) && !has_own
    };
    let embedder = gathered.embedder.clone().or_else(|| {
        let first = columns.iter().find(needs_vectors)?;
        providers::usual_embedder(&first.metric.place, gathered)
    });
    if let Some(embedder) = embedder {
        judge.insert("embedding_model".to_owned(), json!(embedder));
    }
    if !judge.is_empty() {
        if !judge.contains_key("model") {
            judge.insert("model".to_owned(), json!(gathered.targets.first().cloned().unwrap_or_default()));
        }
        out.push_str(&format!("judge: {}\n", flow(&Json::Object(judge))));
    }
    out.push_str(if columns.is_empty() { "metrics: []\n" } else { "metrics:\n" });
    out
}

/// A value as YAML on one line.
fn flow(value: &Json) -> String {
    match value {
        Json::String(text) => emit::quoted(text),
        Json::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Json::Object(fields) => {
            let entry = |(name, value): (&String, &Json)| format!("{}: {}", emit::quoted(name), flow(value));
            format!("{{{}}}", fields.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}
