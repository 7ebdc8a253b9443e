//! A `promptfooconfig.yaml`: a suite with its dataset, prompts, and the providers that are asked.
//!
//! Each assertion becomes a metric; equal ones of several tests are one metric, and what differs from test to test (the
//! text to hold, the rubric) stands in the dataset's lines, where the metric's template takes it from. A test without the
//! assertion is not scored by it. Prompts become versions of one prompt, so that they can be compared by
//! `--candidate`. Code (`javascript`, `python` …) is told and never run.

mod assertion;
mod csv;
mod kinds;
mod prompts;
mod providers;
mod suite;
mod tests_of;

use serde_json::{Map, Value as Json};

use self::assertion::Metric;
use super::{
    draft::Draft,
    notes::Place,
    source::{Node, Unreadable, Value as Source},
    tensorzero::Read,
    walk::{Item, Known},
};

/// Fields by which the file is told from any other.
const SECTIONS: [&str; 5] = ["prompts", "providers", "tests", "defaultTest", "scenarios"];

/// What is gathered of a configuration.
struct Gathered<'a> {
    draft: Draft,
    file: Read<'a>,
    /// Of the suite, its prompt and its files.
    name: String,
    tests: Vec<Test>,
    /// `provider/model`, the first of which is asked, and its parameters.
    targets: Vec<String>,
    params: Map<String, Json>,
    /// Who judges, and who makes embeddings.
    judge: Option<String>,
    embedder: Option<String>,
}

/// One test, or one of those that a list of values makes of it.
#[derive(Clone, Debug)]
struct Test {
    place: Place,
    description: Option<String>,
    vars: Map<String, Json>,
    metadata: Map<String, Json>,
    metrics: Vec<Metric>,
}

/// `stem` is the file's name without its end.
pub fn read(root: &Node, stem: &str, file: Read<'_>) -> Result<Draft, Unreadable> {
    let Source::Map(entries) = &root.value else {
        let why = "it is not a configuration of promptfoo";
        return Err(Unreadable::new(root.line, why, "name its promptfooconfig.yaml"));
    };
    if !entries.iter().any(|(key, _)| SECTIONS.contains(&key.as_str())) {
        let why =
            format!("it is not a configuration of promptfoo: it has none of `{}`", SECTIONS.join("`, `"));
        return Err(Unreadable::new(root.line, why, "name its promptfooconfig.yaml"));
    }
    let mut gathered = Gathered {
        draft: Draft::new(root, &providers::variable),
        file,
        name: name_of(stem),
        tests: Vec::new(),
        targets: Vec::new(),
        params: Map::new(),
        judge: None,
        embedder: None,
    };
    let mut fields = Item::root(root).fields(&mut gathered.draft.notes);
    let description = fields.take("description");
    let templates = fields.take("assertionTemplates");
    for item in fields.any(&["providers", "targets"]).iter() {
        providers::read(item, &mut gathered);
    }
    let default = fields.take("defaultTest");
    let tests = fields.take("tests");
    tests_of::read(default.as_ref(), tests.as_ref(), templates.as_ref(), &mut gathered);
    if let Some(item) = &templates {
        gathered.draft.notes.mapped(&item.place, "where they are used", "");
    }
    let prompts = fields.take("prompts");
    let used = prompts::read(prompts.as_ref(), &mut gathered);
    let mut options = suite::Options::default();
    if let Some(item) = fields.take("evaluateOptions") {
        options.read(&item, &mut gathered.draft);
    }
    if let Some(item) = &description {
        options.description = item.text().map(str::to_owned);
        gathered.draft.notes.mapped(&item.place, format!("evals/{}.yaml: description", gathered.name), "");
    }
    suite::write(&options, &used, &mut gathered);
    fields.finish(&TOP, &mut gathered.draft.notes);
    Ok(gathered.draft)
}

const TOP: [Known; 12] = [
    ("outputPath", "reports are asked for at the run", "use `--json`, `--junit FILE` or `--markdown FILE`"),
    ("scenarios", "combinations of data and tests are not read", "write each as a test"),
    ("sharing", "nothing is uploaded", "nothing"),
    ("commandLineOptions", "they are those of the other command", "use those of `gauntlet eval run`"),
    ("nunjucksFilters", "code is not run", "put the finished text into the variable"),
    ("extensions", "code is not run", "nothing"),
    ("derivedMetrics", "metrics are not made of metrics by formulas", "use the metric `weighted`"),
    ("redteam", "attacks are not made up here", "write them as tests"),
    ("env", "variables are those of the environment", "set them before the start"),
    ("tags", "a suite has no tags", "put them into `description`"),
    ("writeLatestResults", "runs are always kept", "nothing"),
    ("metadata", "a suite has no fields of its own", "put them into `description`"),
];

/// A name for a suite, a prompt and their files: `promptfooconfig` says nothing.
fn name_of(stem: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let name: String = stem.chars().take(80).map(|c| if is_part(c) { c } else { '-' }).collect();
    let name = name.trim_matches(['-', '.']).to_owned();
    if name.is_empty() || name == "promptfooconfig" { "promptfoo".to_owned() } else { name }
}

/// A value of the source as JSON.
fn json(node: &Node) -> Json {
    match &node.value {
        Source::Null => Json::Null,
        Source::Bool(value) => Json::Bool(*value),
        Source::Number(text) => serde_json::from_str(text).unwrap_or_else(|_| Json::String(text.clone())),
        Source::Text(text) => Json::String(text.clone()),
        Source::List(items) => items.iter().map(json).collect(),
        Source::Map(entries) => {
            Json::Object(entries.iter().map(|(name, node)| (name.clone(), json(node))).collect())
        }
    }
}

/// Whether a file is a program: `file://check.py:score` names a function of one.
fn is_code(path: &str) -> bool {
    let file = path.rsplit_once(':').map_or(path, |(file, _)| file);
    let end = file.rsplit_once('.').map_or("", |(_, end)| end);
    ["js", "cjs", "mjs", "ts", "mts", "cts", "py", "rb", "go", "sh", "exe"].contains(&end)
}

/// A number as people write it: 5000, not 5000.0.
fn number(value: f64) -> Json {
    // Whole numbers of this size are exact as floats.
    if value.fract() == 0.0 && value.abs() < 1e15 { Json::from(value as i64) } else { Json::from(value) }
}

/// Nunjucks as Jinja has it: filters that are called otherwise.
fn jinja(text: &str) -> String {
    text.replace("| dump", "| tojson").replace("|dump", "|tojson").replace("| safe", "").replace("|safe", "")
}

#[cfg(test)]
mod tests;
