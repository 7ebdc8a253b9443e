//! What checks of answers and tools need to know: hosts, contracts, citations, the tools that may be called. Compiled here,
//! so that a pattern that cannot be used is told with its line.

use std::sync::Arc;

use gauntlet_guard::{
    Bounds, CitationRules, Citations, Contract, ContractRules, FieldRules, Script, Spotlight, Test,
    ToolConfig, ToolRules, ToolsConfig, ValueRule,
};
use gauntlet_places::near::did_you_mean;
use gauntlet_types::{Direction, Rule};
use serde_json::Value as Json;

use super::{
    guards::{self, RulesShape},
    node::{At, Node, Value},
    read::{self, Fields, Report},
    routes::Schemas,
    rules::{self, CANARY, CITATIONS, CONTRACT, EXFILTRATION, LEAK, LINKS, REFUSAL, TAINT, TOOLS, TOXICITY},
    scalar,
};

/// Reads what `output` may ask of an answer besides its data and its schema.
pub(super) fn output(fields: &mut Fields<'_>, place: &str, shape: &mut RulesShape, report: &mut Report) {
    for spec in [&LEAK, &CANARY, &REFUSAL, &TOXICITY, &EXFILTRATION] {
        shape.output.extend(rules::rule(fields, spec.name, spec, Direction::Output, place, report));
    }
    if let Some(node) = fields.get(LINKS.name) {
        links(node, place, shape, report);
    }
    if let Some(node) = fields.get(CONTRACT.name) {
        contract(node, place, shape, report);
    }
    if let Some(node) = fields.get(CITATIONS.name) {
        citations(node, place, shape, report);
    }
}

/// Fields of a rule and of its check, read together: `{action: redact, hosts: [example.com]}`.
fn of_map<'a>(
    node: &'a Node,
    spec: &rules::KindSpec,
    place: &str,
    report: &mut Report,
) -> Option<(Fields<'a>, Rule, String)> {
    let place = format!("`{}` of {place}", spec.name);
    let mut fields = Fields::of(node, &place, report)?;
    let rule = rules::of_fields(&mut fields, node.at, &place, spec, Direction::Output, report)?;
    Some((fields, rule, place))
}

/// `links: {action: redact, hosts: [example.com, "*.example.com"]}`; data in links to elsewhere is treated alike, unless
/// `exfiltration` says otherwise.
fn links(node: &Node, place: &str, shape: &mut RulesShape, report: &mut Report) {
    let (rule, hosts) = if matches!(node.value, Value::Map(_)) {
        let Some((mut fields, rule, _)) = of_map(node, &LINKS, place, report) else { return };
        let hosts = owned(fields.texts("hosts", report));
        fields.finish(report);
        (rule, hosts)
    } else {
        let Some(rule) = rules::of_node(node, LINKS.name, &LINKS, Direction::Output, place, report) else {
            return;
        };
        (rule, Vec::new())
    };
    if shape.output.iter().all(|other| other.kind != EXFILTRATION.name) {
        shape.output.push(Rule { kind: EXFILTRATION.name, ..rule.clone() });
    }
    shape.output.push(rule);
    shape.hosts = Some(hosts);
}

fn owned(texts: Vec<(&str, At)>) -> Vec<String> {
    texts.into_iter().map(|(text, _)| text.to_owned()).collect()
}

fn contract(node: &Node, place: &str, shape: &mut RulesShape, report: &mut Report) {
    let Some((mut fields, rule, place)) = of_map(node, &CONTRACT, place, report) else { return };
    let bounds = |fields: &mut Fields<'_>, min, max, report: &mut Report| Bounds {
        min: fields.read(min, report, scalar::COUNT).map(|count| count as usize),
        max: fields.read(max, report, scalar::COUNT).map(|count| count as usize),
    };
    let wanted = ContractRules {
        one_of: owned(fields.texts("one_of", report)),
        is_json: fields.read("json", report, scalar::BOOL).unwrap_or(false),
        chars: bounds(&mut fields, "min_chars", "max_chars", report),
        words: bounds(&mut fields, "min_words", "max_words", report),
        lines: bounds(&mut fields, "min_lines", "max_lines", report),
        must_match: owned(fields.texts("matches", report)),
        must_not_match: owned(fields.texts("not_matches", report)),
        phrases: owned(fields.texts("contains", report)),
        banned_phrases: owned(fields.texts("lacks", report)),
        scripts: scripts(&mut fields, report),
        fields: at_pointers(&mut fields, report),
    };
    fields.finish(report);
    match Contract::compile(&wanted) {
        Ok(contract) => {
            shape.output.push(rule);
            shape.contract = Some(Arc::new(contract));
        }
        Err(error) => report.error(node.at, format!("{place} cannot be used: {error}"), "mend it there"),
    }
}

const SCRIPTS: [(&str, Script); 10] = [
    ("latin", Script::Latin),
    ("greek", Script::Greek),
    ("cyrillic", Script::Cyrillic),
    ("arabic", Script::Arabic),
    ("hebrew", Script::Hebrew),
    ("devanagari", Script::Devanagari),
    ("thai", Script::Thai),
    ("han", Script::Han),
    ("kana", Script::Kana),
    ("hangul", Script::Hangul),
];

fn scripts(fields: &mut Fields<'_>, report: &mut Report) -> Vec<Script> {
    let mut scripts = Vec::new();
    for (text, at) in fields.texts("scripts", report) {
        match SCRIPTS.iter().find(|(name, _)| *name == text) {
            Some((_, script)) => scripts.push(*script),
            None => {
                let names = || SCRIPTS.iter().map(|(name, _)| *name);
                let cure = did_you_mean(text, names())
                    .unwrap_or_else(|| format!("known: {}", names().collect::<Vec<_>>().join(", ")));
                report.error(at, format!("`scripts: {text}` is not known"), cure);
            }
        }
    }
    scripts
}

/// `fields: {/mood: [good, bad]}`
fn at_pointers(fields: &mut Fields<'_>, report: &mut Report) -> Vec<FieldRules> {
    let Some(node) = fields.get("fields") else { return Vec::new() };
    let entries = read::map(node, "`fields`", report).unwrap_or_default();
    entries
        .iter()
        .map(|(label, node)| FieldRules {
            pointer: label.text.clone(),
            one_of: values(node, &label.text, report),
        })
        .collect()
}

/// A list of values as JSON has them: `1` is a number, `"1"` in quotes is one too, as YAML's kinds are not kept here.
fn values(node: &Node, what: &str, report: &mut Report) -> Vec<Json> {
    let value = |node: &Node, report: &mut Report| {
        let text = read::text(node, what, report)?;
        Some(serde_json::from_str(&text.text).unwrap_or_else(|_| Json::String(text.text.clone())))
    };
    match &node.value {
        Value::List(items) => items.iter().filter_map(|item| value(item, report)).collect(),
        _ => value(node, report).into_iter().collect(),
    }
}

fn citations(node: &Node, place: &str, shape: &mut RulesShape, report: &mut Report) {
    let Some((mut fields, rule, place)) = of_map(node, &CITATIONS, place, report) else { return };
    let wanted = CitationRules {
        has_ids: fields.read("ids", report, scalar::BOOL).unwrap_or(false),
        pattern: fields.text("pattern", report).map(|(text, _)| text.to_owned()),
        has_urls: fields.read("urls", report, scalar::BOOL).unwrap_or(false),
        hosts: owned(fields.texts("hosts", report)),
        has_quotes: fields.read("quotes", report, scalar::BOOL).unwrap_or(false),
    };
    fields.finish(report);
    if !wanted.has_ids && !wanted.has_urls && !wanted.has_quotes {
        report.error(
            node.at,
            format!("{place} checks nothing"),
            "write `ids: yes`, `urls: yes` or `quotes: yes`",
        );
        return;
    }
    match Citations::compile(&wanted) {
        Ok(citations) => {
            shape.output.push(rule);
            shape.citations = Some(Arc::new(citations));
        }
        Err(error) => report.error(node.at, format!("{place} cannot be used: {error}"), "mend it there"),
    }
}

pub(super) const SPOTLIGHTS: [(&str, Option<Spotlight>); 4] = [
    ("off", None),
    ("delimit", Some(Spotlight::Delimit)),
    ("datamark", Some(Spotlight::Datamark)),
    ("encode", Some(Spotlight::Encode)),
];

/// `tools:` — which tools may be called, with what, and whether with text from elsewhere.
pub(super) fn tools(
    node: &Node,
    what: &str,
    schemas: &Schemas<'_>,
    shape: &mut RulesShape,
    report: &mut Report,
) {
    let place = format!("`tools` of {what}");
    let Some(mut fields) = Fields::of(node, &place, report) else { return };
    shape.output.extend(rules::rule(&mut fields, TAINT.name, &TAINT, Direction::Output, &place, report));
    let allow = fields.get("allow").is_some().then(|| owned(fields.texts("allow", report)));
    let deny = owned(fields.texts("deny", report));
    let mut config = ToolsConfig { allow, deny, tools: Vec::new() };
    if let Some(node) = fields.get("arguments") {
        for (label, node) in read::map(node, "`arguments`", report).unwrap_or_default() {
            config.tools.extend(tool(&label.text, node, schemas, report));
        }
    }
    let is_empty = config.allow.is_none() && config.deny.is_empty() && config.tools.is_empty();
    let rule = if fields.is_missing("action") {
        (!is_empty).then(|| Rule::of(TOOLS.name, gauntlet_types::Action::Block))
    } else {
        rules::of_fields(&mut fields, node.at, &place, &TOOLS, Direction::Output, report)
    };
    fields.finish(report);
    let Some(rule) = rule else { return };
    match ToolRules::compile(&config) {
        Ok(tools) => {
            shape.output.push(rule);
            shape.tools = Some(Arc::new(tools));
        }
        Err(error) => report.error(node.at, format!("{place} cannot be used: {error}"), "mend it there"),
    }
}

fn tool(name: &str, node: &Node, schemas: &Schemas<'_>, report: &mut Report) -> Option<ToolConfig> {
    let what = format!("tool `{name}`");
    let mut schema = None;
    let mut tests = Vec::new();
    for (label, node) in read::map(node, &what, report)? {
        match label.text.as_str() {
            "schema" => {
                let text = read::text(node, "schema", report)?;
                let read = guards::schema(&text.text, node.at, &what, schemas, report).flatten();
                schema = read.map(|schema| schema.value.clone());
            }
            pointer if pointer.starts_with('/') => tests.extend(value_tests(pointer, node, report)),
            other => report.error(
                label.at,
                format!("unknown field `{other}` in {what}"),
                "write `schema`, or the JSON pointer of an argument, as `/path`",
            ),
        }
    }
    Some(ToolConfig { name: name.to_owned(), schema, values: tests })
}

/// `{under: [/srv/data], hosts: [example.com], sql: [select], min: 0, max: 100, one_of: [..], matches: .., max_chars: 200}`
fn value_tests(pointer: &str, node: &Node, report: &mut Report) -> Vec<ValueRule> {
    let place = format!("argument `{pointer}`");
    let Some(mut fields) = Fields::of(node, &place, report) else { return Vec::new() };
    let mut tests = Vec::new();
    let list = |fields: &mut Fields<'_>, name, report: &mut Report| {
        fields.get(name).is_some().then(|| owned(fields.texts(name, report)))
    };
    tests.extend(list(&mut fields, "under", report).map(Test::PathUnder));
    tests.extend(list(&mut fields, "hosts", report).map(Test::UrlHosts));
    let statements_max = fields.read("statements", report, scalar::POSITIVE).unwrap_or(1) as usize;
    tests.extend(list(&mut fields, "sql", report).map(|verbs| Test::Sql { verbs, statements_max }));
    let (min, max) = (fields.read("min", report, scalar::NUMBER), fields.read("max", report, scalar::NUMBER));
    if min.is_some() || max.is_some() {
        tests.push(Test::Number { min, max });
    }
    if let Some(node) = fields.get("one_of") {
        tests.push(Test::OneOf(values(node, "one_of", report)));
    }
    tests.extend(fields.text("matches", report).map(|(text, _)| Test::Matches(text.to_owned())));
    tests.extend(fields.read("max_chars", report, scalar::COUNT).map(|max| Test::CharsMax(max as usize)));
    fields.finish(report);
    if tests.is_empty() {
        report.error(
            node.at,
            format!("{place} is not tested for anything"),
            "write for example `max_chars: 200`",
        );
    }
    tests.into_iter().map(|test| ValueRule { pointer: pointer.to_owned(), test }).collect()
}
