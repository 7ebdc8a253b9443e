//! Tests: written in place, or in a file of YAML, JSON, JSON lines or CSV.

use serde_json::{Map, Value as Json};

use super::{Gathered, Test, assertion, csv, is_code, json, providers};
use crate::import::{
    draft::Draft,
    notes::Place,
    source::{self, Node},
    walk::{Item, Known},
};

/// Of one dataset, lists of values multiplied out.
const CASES_MAX: usize = 10_000;

const KNOWN: [Known; 6] = [
    ("provider", "one model is asked in a run", "make another suite for that test"),
    ("providers", "one model is asked in a run", "make another suite for those tests"),
    ("prompts", "one prompt is asked in a run", "make another suite for those tests"),
    ("assertScoringFunction", "code is not run", "use the metric `weighted`"),
    ("options", "options of single tests are not read", "write them at the metric"),
    ("*", "the importer does not know this field", "look for its like in docs/scorers.md"),
];

/// What all tests begin with.
#[derive(Default)]
struct Beginning {
    vars: Map<String, Json>,
    metadata: Map<String, Json>,
    metrics: Vec<assertion::Metric>,
    threshold: Option<f64>,
}

pub(super) fn read(
    default: Option<&Item<'_>>,
    tests: Option<&Item<'_>>,
    templates: Option<&Item<'_>>,
    gathered: &mut Gathered<'_>,
) {
    let mut beginning = Beginning::default();
    if let Some(item) = default {
        gather_default(item, templates, gathered, &mut beginning);
    }
    let Some(tests) = tests else {
        // Without tests each prompt is asked once, as it stands.
        let place = default.map_or_else(Place::default, |item| item.place.clone());
        return add(Test { place, ..Test::default() }, &beginning, None, gathered);
    };
    let all = if tests.text().is_some() { vec![tests.clone()] } else { tests.items() };
    for item in &all {
        match item.text() {
            Some(path) => of_file(path, item, templates, &beginning, gathered),
            None => one(item, templates, &beginning, gathered),
        }
    }
}

fn gather_default(
    item: &Item<'_>,
    templates: Option<&Item<'_>>,
    gathered: &mut Gathered<'_>,
    out: &mut Beginning,
) {
    let parsed;
    let item = match item.text() {
        None => item.clone(),
        Some(path) => {
            let file = path.trim_start_matches("file://");
            let read =
                (gathered.file)(file).and_then(|text| source::yaml(&text).map_err(|error| error.to_string()));
            match read {
                Ok(node) => parsed = node,
                Err(why) => return gathered.draft.notes.unmapped(&item.place, why, "write it in place"),
            }
            Item { node: &parsed, place: Place { path: file.to_owned(), line: 1 } }
        }
    };
    let mut fields = item.fields(&mut gathered.draft.notes);
    out.vars = vars(fields.take("vars").as_ref(), gathered);
    out.metadata = object(fields.take("metadata").as_ref());
    out.threshold = fields.take("threshold").and_then(|item| item.number());
    for item in fields.take("assert").iter().flat_map(Item::items) {
        assertion::read(&item, templates, gathered, &mut out.metrics);
    }
    if let Some(options) = fields.take("options") {
        graders(&options, gathered);
    }
    let _ = fields.take("description");
    fields.finish(&KNOWN, &mut gathered.draft.notes);
}

/// `options.provider`: who judges, and who makes embeddings.
fn graders(item: &Item<'_>, gathered: &mut Gathered<'_>) {
    let mut fields = item.fields(&mut gathered.draft.notes);
    if let Some(provider) = fields.take("provider") {
        let mut inner: Vec<(bool, Item<'_>)> = Vec::new();
        for (name, item) in provider.entries() {
            match name {
                "text" => inner.push((false, item)),
                "embedding" => inner.push((true, item)),
                _ => {}
            }
        }
        if inner.is_empty() {
            inner.push((false, provider.clone()));
        }
        for (is_embedding, item) in inner {
            let field = if is_embedding { "embedding_model" } else { "model" };
            match providers::one(&item, false, gathered) {
                Ok(target) => {
                    let to = format!("evals/{}.yaml: judge.{field}", gathered.name);
                    gathered.draft.notes.mapped(&item.place, to, "");
                    *(if is_embedding { &mut gathered.embedder } else { &mut gathered.judge }) = Some(target);
                }
                Err(refused) => gathered.draft.refuse(&item.place, refused),
            }
        }
    }
    const OPTIONS: [Known; 2] = [
        ("transform*", "code is not run on answers", "use options of the metric, such as `anywhere: true`"),
        ("*", "the importer does not know this option", "look for its like in docs/scorers.md"),
    ];
    fields.finish(&OPTIONS, &mut gathered.draft.notes);
}

fn of_file(
    path: &str,
    item: &Item<'_>,
    templates: Option<&Item<'_>>,
    beginning: &Beginning,
    gathered: &mut Gathered<'_>,
) {
    let file = path.trim_start_matches("file://").to_owned();
    let tell = |draft: &mut Draft, why: String| {
        draft.notes.unmapped(&item.place, why, "write the tests in place, or as JSON lines")
    };
    if file.starts_with("http") || file.contains("://") {
        return tell(&mut gathered.draft, "nothing is fetched from elsewhere".to_owned());
    }
    if file.contains(['*', '?']) {
        return tell(&mut gathered.draft, "patterns of files are not followed".to_owned());
    }
    let (_, end) = file.rsplit_once('.').unwrap_or((&file, ""));
    if !["yaml", "yml", "json", "jsonl", "csv"].contains(&end) {
        return tell(&mut gathered.draft, "code that makes tests is not run".to_owned());
    }
    let text = match (gathered.file)(&file) {
        Ok(text) => text,
        Err(why) => return tell(&mut gathered.draft, why),
    };
    gathered.draft.notes.mapped(&item.place, format!("evals/{}.jsonl", gathered.name), "");
    let nodes: Result<Vec<Node>, _> = match end {
        "csv" => return of_csv(&file, &text, item, beginning, gathered),
        "jsonl" => {
            let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
            let moved = |(at, line): (usize, &str)| {
                source::json(line).map(|mut node| {
                    node.line = at + 1;
                    node
                })
            };
            lines.map(moved).collect()
        }
        "json" => source::json(&text).map(|node| vec![node]),
        _ => source::yaml(&text).map(|node| vec![node]),
    };
    let nodes = match nodes {
        Ok(nodes) => nodes,
        Err(error) => return tell(&mut gathered.draft, format!("{file}: {error}")),
    };
    for node in &nodes {
        let path = if end == "jsonl" { format!("{file}:{}", node.line) } else { file.clone() };
        let root = Item { node, place: Place { path, line: node.line } };
        let items = root.items();
        if items.is_empty() {
            one(&root, templates, beginning, gathered);
        }
        for item in &items {
            one(item, templates, beginning, gathered);
        }
    }
}

fn one(item: &Item<'_>, templates: Option<&Item<'_>>, beginning: &Beginning, gathered: &mut Gathered<'_>) {
    let mut fields = item.fields(&mut gathered.draft.notes);
    let vars = vars(fields.take("vars").as_ref(), gathered);
    let description = fields.take("description").and_then(|item| item.text()).map(str::to_owned);
    let metadata = object(fields.take("metadata").as_ref());
    let threshold = fields.take("threshold").and_then(|item| item.number());
    let mut metrics = Vec::new();
    for item in fields.take("assert").iter().flat_map(Item::items) {
        assertion::read(&item, templates, gathered, &mut metrics);
    }
    fields.finish(&KNOWN, &mut gathered.draft.notes);
    let test = Test { place: item.place.clone(), description, vars, metadata, metrics };
    add(test, beginning, threshold, gathered);
}

/// The test with what all begin with, once for each combination of its lists of values.
fn add(mut test: Test, beginning: &Beginning, threshold: Option<f64>, gathered: &mut Gathered<'_>) {
    let merged = |first: &Map<String, Json>, then: Map<String, Json>| {
        let mut all = first.clone();
        all.extend(then);
        all
    };
    test.vars = merged(&beginning.vars, test.vars);
    test.metadata = merged(&beginning.metadata, test.metadata);
    test.metrics = beginning.metrics.iter().cloned().chain(test.metrics).collect();
    if let Some(threshold) = threshold.or(beginning.threshold) {
        match assertion::set(test.metrics.clone(), Some(threshold), 1.0, None, &test.place) {
            Ok(metrics) => test.metrics = metrics,
            Err((why, cure)) => {
                let place = Place { path: format!("{}.threshold", test.place.path), line: test.place.line };
                gathered.draft.notes.unmapped(&place, why, cure);
            }
        }
    } else if let Some(weighed) = test.metrics.iter().find(|metric| metric.weight != 1.0) {
        let place = Place { path: format!("{}.weight", weighed.place.path), line: weighed.place.line };
        if !gathered.draft.notes.unmapped.iter().any(|one| one.from == place) {
            let why = "without a threshold of the test all assertions must hold, whatever they weigh; only its mean is another";
            let cure =
                "nothing, or use the metric `weighted` with a threshold; for weight 0 write `gates: false`";
            gathered.draft.notes.unmapped(&place, why, cure);
        }
    }
    let mut rows = vec![test];
    let lists: Vec<String> =
        rows[0].vars.iter().filter(|(_, value)| value.is_array()).map(|(name, _)| name.clone()).collect();
    for name in lists {
        let grown = rows.iter().flat_map(|row| {
            let values = row.vars[&name].as_array().cloned().unwrap_or_default();
            let name = name.clone();
            values.into_iter().map(move |value| {
                let mut row = row.clone();
                row.vars.insert(name.clone(), value);
                row
            })
        });
        rows = grown.take(CASES_MAX + 1).collect();
    }
    let room = CASES_MAX.saturating_sub(gathered.tests.len());
    if rows.len() > room {
        let place = rows[0].place.clone();
        rows.truncate(room);
        let why = format!("there are more than {CASES_MAX} cases");
        gathered.draft.notes.unmapped(&place, why, "import the tests in parts");
    }
    gathered.tests.append(&mut rows);
}

/// Values of variables; a file that one names is read, and so are files that hold several.
fn vars(item: Option<&Item<'_>>, gathered: &mut Gathered<'_>) -> Map<String, Json> {
    let mut vars = Map::new();
    let Some(item) = item else { return vars };
    for (path, item) in item.texts() {
        vars_of_file(path, &item, gathered, &mut vars);
    }
    for (name, item) in item.entries() {
        let value = json(item.node);
        tell_of_environment(&value, &item.place, gathered);
        let Some(path) = value.as_str().and_then(|text| text.strip_prefix("file://")) else {
            vars.insert(name.to_owned(), value);
            continue;
        };
        match (gathered.file)(path) {
            Ok(text) if !is_code(path) => {
                vars.insert(name.to_owned(), Json::String(text.trim_end().to_owned()));
            }
            Ok(_) => gathered.draft.notes.unmapped(
                &item.place,
                "its value is made by code, which is not run",
                "write the value in place",
            ),
            Err(why) => gathered.draft.notes.unmapped(&item.place, why, "write the value in place"),
        }
    }
    vars
}

/// `vars: file://vars.yaml`: a file of names and values; of several the later one counts.
fn vars_of_file(path: &str, item: &Item<'_>, gathered: &mut Gathered<'_>, vars: &mut Map<String, Json>) {
    let file = path.trim_start_matches("file://");
    let end = file.rsplit_once('.').map_or("", |(_, end)| end);
    let read = if file.contains(['*', '?']) {
        Err("patterns of files are not followed, so these variables are missing".to_owned())
    } else if !["yaml", "yml", "json"].contains(&end) {
        Err("variables are read from files of YAML and JSON alone".to_owned())
    } else {
        // JSON is YAML too.
        (gathered.file)(file).and_then(|text| source::yaml(&text).map_err(|error| format!("{file}: {error}")))
    };
    match read.as_ref().map(json) {
        Ok(Json::Object(read)) => {
            for value in read.values() {
                tell_of_environment(value, &item.place, gathered);
            }
            vars.extend(read);
        }
        Ok(_) => {
            let why = format!("{file} holds no names with values");
            gathered.draft.notes.unmapped(&item.place, why, "write `name: value` lines");
        }
        Err(why) => gathered.draft.notes.unmapped(&item.place, why, "write the variables in place"),
    }
}

/// What a variable holds is data here, and stays as it stands.
fn tell_of_environment(value: &Json, place: &Place, gathered: &mut Gathered<'_>) {
    let text = value.to_string();
    let is_asked = text.split("{{").skip(1).any(|rest| rest.trim_start().starts_with("env."));
    if is_asked {
        gathered.draft.notes.unmapped(
            place,
            "`{{ env.… }}` is not filled in: the environment is not read, and the value keeps these words",
            "write the value in place",
        );
    }
}

fn object(item: Option<&Item<'_>>) -> Map<String, Json> {
    match item.map(|item| json(item.node)) {
        Some(Json::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// A column is a variable, but for those that begin with two strokes.
fn of_csv(file: &str, text: &str, item: &Item<'_>, beginning: &Beginning, gathered: &mut Gathered<'_>) {
    let records = match csv::read(text) {
        Ok(records) => records,
        Err((line, why)) => {
            return gathered.draft.notes.unmapped(
                &item.place,
                format!("{file}:{line}: {why}"),
                "put the file right",
            );
        }
    };
    let Some(((_, header), rows)) = records.split_first() else { return };
    for (line, fields) in rows {
        let place = Place { path: format!("{file}:{line}"), line: item.place.line };
        let mut test = Test { place: place.clone(), ..Test::default() };
        let mut threshold = None;
        for (name, field) in header.iter().map(|name| name.trim()).zip(fields) {
            match name {
                _ if field.trim().is_empty() && name.starts_with("__") => {}
                "__description" => test.description = Some(field.clone()),
                "__threshold" => threshold = field.trim().parse().ok(),
                _ if name.starts_with("__expected") => match expectation(field, gathered, &place) {
                    Ok(metric) => test.metrics.push(metric),
                    Err(refused) => gathered.draft.refuse(&place, refused),
                },
                _ if name.starts_with("__metadata:") => {
                    test.metadata.insert(name["__metadata:".len()..].to_owned(), Json::String(field.clone()));
                }
                _ if name.starts_with("__") => {
                    let place = Place { path: format!("{file}: {name}"), line: item.place.line };
                    if !gathered.draft.notes.unmapped.iter().any(|one| one.from == place) {
                        gathered.draft.notes.unmapped(
                            &place,
                            "the importer does not know this column",
                            "nothing",
                        );
                    }
                }
                "" => {}
                _ => drop(test.vars.insert(name.to_owned(), Json::String(field.clone()))),
            }
        }
        add(test, beginning, threshold, gathered);
    }
}

/// `Paris`, `contains: Paris`, `similar(0.8): Paris`.
fn expectation(
    text: &str,
    gathered: &mut Gathered<'_>,
    place: &Place,
) -> Result<assertion::Metric, crate::import::draft::Refused> {
    let text = text.trim();
    let (head, rest) = match text.split_once(':') {
        Some((head, rest)) => (head.trim(), Some(rest.trim())),
        None => (text, None),
    };
    let (kind, threshold) = match head.strip_suffix(')').and_then(|head| head.split_once('(')) {
        Some((kind, threshold)) => (kind.trim(), threshold.trim().parse::<f64>().ok()),
        None => (head, None),
    };
    let kind = match kind {
        "grade" => "llm-rubric",
        "fn" | "eval" => "javascript",
        other => other,
    };
    let bare = kind.strip_prefix("not-").unwrap_or(kind);
    let is_kind = !bare.is_empty()
        && bare.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-' || byte.is_ascii_digit())
        && (bare.contains('-') || KINDS_OF_ONE_WORD.contains(&bare));
    if !is_kind
        || (rest.is_none() && !["is-json", "contains-json", "is-refusal", "latency", "cost"].contains(&bare))
    {
        return assertion::one("equals", Some(Json::String(text.to_owned())), None, gathered, place);
    }
    let value = rest.map(|rest| Json::String(rest.to_owned()));
    let (value, threshold) = match (bare, value) {
        ("latency" | "cost", Some(Json::String(number))) => (None, threshold.or(number.parse().ok())),
        (_, value) => (value, threshold),
    };
    assertion::one(kind, value, threshold, gathered, place)
}

/// Any other word before a colon is part of the answer that is expected.
const KINDS_OF_ONE_WORD: [&str; 17] = [
    "equals",
    "contains",
    "icontains",
    "regex",
    "similar",
    "levenshtein",
    "bleu",
    "gleu",
    "meteor",
    "latency",
    "cost",
    "factuality",
    "javascript",
    "python",
    "webhook",
    "perplexity",
    "moderation",
];

impl Default for Test {
    fn default() -> Test {
        Test {
            place: Place::default(),
            description: None,
            vars: Map::new(),
            metadata: Map::new(),
            metrics: Vec::new(),
        }
    }
}
