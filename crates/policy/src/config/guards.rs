//! `guardrails:`, the folder `guardrails/`, and the `input:` and `output:` of a route: which rules hold at which level.

use std::{collections::HashMap, sync::Arc, time::Duration};

use gauntlet_guard::{Citations, Contract, Spotlight, ToolRules};
use gauntlet_places::near::did_you_mean;
use gauntlet_types::{Action, Direction, Exception, Name, Rule};

use super::{
    Source, checks,
    node::{self, At, Node, Value},
    read::{self, Fields, Report},
    routes::Schemas,
    rules::{self, CLASSIFIER, INJECTION, JUDGE, NAMES, PII, SCHEMA, SECRETS, TOXICITY},
    scalar,
    shape::Schema,
};
use crate::guard::{GuardPolicy, Judge, Level, LevelKind, PolicyId, Ruleset};

/// How long the guards of one call may look at its texts unless `scan_time` says otherwise: a hundred times what they need
/// for a long prompt, so that only a starved machine or a hostile text comes to it.
const SCAN_TIME: Duration = Duration::from_secs(2);

/// Rules as typed, where a missing one may come from elsewhere.
#[derive(Clone, Default)]
pub(super) struct RulesShape {
    pub(super) input: Vec<Rule>,
    pub(super) output: Vec<Rule>,
    size_max: Option<usize>,
    /// The inner none is a written `off`.
    schema: Option<Option<Arc<Schema>>>,
    on_invalid: Option<Rule>,
    judges: [Option<Arc<Judge>>; 2],
    answers_blocked: Option<bool>,
    classes: [Option<Name>; 2],
    /// The inner none is a written `off`.
    spotlight: Option<Option<Spotlight>>,
    pub(super) hosts: Option<Vec<String>>,
    pub(super) contract: Option<Arc<Contract>>,
    pub(super) citations: Option<Arc<Citations>>,
    pub(super) tools: Option<Arc<ToolRules>>,
}

impl RulesShape {
    /// Takes from `base` what is not written here, kind by kind.
    pub(super) fn or(mut self, base: &RulesShape) -> RulesShape {
        let fill = |own: &mut Vec<Rule>, base: &[Rule]| {
            for rule in base {
                if own.iter().all(|other| other.kind != rule.kind) {
                    own.push(rule.clone());
                }
            }
        };
        fill(&mut self.input, &base.input);
        fill(&mut self.output, &base.output);
        self.size_max = self.size_max.or(base.size_max);
        self.schema = self.schema.or_else(|| base.schema.clone());
        self.on_invalid = self.on_invalid.or_else(|| base.on_invalid.clone());
        for (own, base) in self.judges.iter_mut().zip(&base.judges) {
            *own = own.take().or_else(|| base.clone());
        }
        for (own, base) in self.classes.iter_mut().zip(&base.classes) {
            *own = own.take().or_else(|| base.clone());
        }
        self.answers_blocked = self.answers_blocked.or(base.answers_blocked);
        self.spotlight = self.spotlight.or(base.spotlight);
        self.hosts = self.hosts.or_else(|| base.hosts.clone());
        self.contract = self.contract.or_else(|| base.contract.clone());
        self.citations = self.citations.or_else(|| base.citations.clone());
        self.tools = self.tools.or_else(|| base.tools.clone());
        self
    }

    /// Of a route, where what nobody has set is flagged.
    pub(super) fn flagging(self) -> RulesShape {
        let flag = |spec: &rules::KindSpec| Rule::of(spec.name, Action::Flag);
        self.or(&RulesShape {
            input: vec![flag(&PII), flag(&SECRETS), flag(&INJECTION)],
            output: vec![flag(&PII), flag(&SECRETS)],
            ..RulesShape::default()
        })
    }

    pub(super) fn resolve(mut self) -> Ruleset {
        let schema = self.schema.flatten();
        if schema.is_some() {
            self.output.push(self.on_invalid.unwrap_or_else(|| Rule::of(SCHEMA.name, Action::Block)));
        }
        Ruleset {
            input: self.input,
            output: self.output,
            size_max: self.size_max,
            schema,
            judges: self.judges,
            classes: self.classes,
            answers_blocked: self.answers_blocked.unwrap_or(false),
            spotlight: self.spotlight.flatten(),
            hosts: self.hosts,
            contract: self.contract,
            citations: self.citations,
            tools: self.tools,
        }
    }
}

/// Reads the sections that a route and a policy have in common.
pub(super) fn sections(
    fields: &mut Fields<'_>,
    what: &str,
    schemas: &Schemas<'_>,
    report: &mut Report,
) -> RulesShape {
    let mut shape = RulesShape::default();
    if let Some(node) = fields.get("input") {
        input(node, what, &mut shape, report);
    }
    if let Some(node) = fields.get("output") {
        output(node, what, schemas, &mut shape, report);
    }
    if let Some(node) = fields.get("tools") {
        checks::tools(node, what, schemas, &mut shape, report);
    }
    shape
}

fn input(node: &Node, what: &str, shape: &mut RulesShape, report: &mut Report) {
    let place = format!("`input` of {what}");
    let Some(mut fields) = Fields::of(node, &place, report) else { return };
    for spec in [&PII, &SECRETS, &NAMES, &INJECTION, &TOXICITY] {
        shape.input.extend(rules::rule(&mut fields, spec.name, spec, Direction::Input, &place, report));
    }
    judge(&mut fields, Direction::Input, &place, shape, report);
    classifier(&mut fields, Direction::Input, &place, shape, report);
    shape.answers_blocked = fields.choice("on_block", report, &[("error", false), ("fallback", true)]);
    shape.spotlight = fields.choice("spotlight", report, &checks::SPOTLIGHTS);
    shape.size_max = fields.read("max_size", report, scalar::SIZE);
    fields.finish(report);
}

fn output(node: &Node, what: &str, schemas: &Schemas<'_>, shape: &mut RulesShape, report: &mut Report) {
    let place = format!("`output` of {what}");
    let Some(mut fields) = Fields::of(node, &place, report) else { return };
    for spec in [&PII, &SECRETS, &NAMES, &INJECTION] {
        shape.output.extend(rules::rule(&mut fields, spec.name, spec, Direction::Output, &place, report));
    }
    judge(&mut fields, Direction::Output, &place, shape, report);
    classifier(&mut fields, Direction::Output, &place, shape, report);
    checks::output(&mut fields, &place, shape, report);
    shape.schema =
        fields.text("schema", report).and_then(|(path, at)| schema(path, at, what, schemas, report));
    shape.on_invalid = rules::rule(&mut fields, "on_invalid", &SCHEMA, Direction::Output, &place, report);
    fields.finish(report);
}

/// `classifier: {action: block, label: INJECTION, threshold: 0.9}`
fn classifier(
    fields: &mut Fields<'_>,
    direction: Direction,
    place: &str,
    shape: &mut RulesShape,
    report: &mut Report,
) {
    let Some(node) = fields.get(CLASSIFIER.name) else { return };
    let place = format!("`classifier` of {place}");
    let Some(mut own) = Fields::of(node, &place, report) else { return };
    let label = own.text("label", report);
    let rule = rules::of_fields(&mut own, node.at, &place, &CLASSIFIER, direction, report);
    if own.is_missing("label") {
        report.error(
            node.at,
            format!("{place} has no `label`"),
            "name the label of the model that is feared",
        );
    }
    own.finish(report);
    let (Some((label, _)), Some(mut rule)) = (label, rule) else { return };
    // More likely than not, unless the rule says otherwise.
    rule.threshold.get_or_insert(0.5);
    shape.classes[direction as usize] = Some(label.into());
    match direction {
        Direction::Input => shape.input.push(rule),
        Direction::Output => shape.output.push(rule),
    }
}

/// `judge: {action: block, model: openai/gpt-4o-mini}`
fn judge(
    fields: &mut Fields<'_>,
    direction: Direction,
    place: &str,
    shape: &mut RulesShape,
    report: &mut Report,
) {
    let Some(node) = fields.get(JUDGE.name) else { return };
    let place = format!("`judge` of {place}");
    let Some(mut own) = Fields::of(node, &place, report) else { return };
    let model = own.text("model", report);
    let ask = own.text("ask", report);
    let is_alongside = own.read("alongside", report, scalar::BOOL);
    let rule = rules::of_fields(&mut own, node.at, &place, &JUDGE, direction, report);
    if own.is_missing("model") {
        report.error(node.at, format!("{place} has no `model`"), "name the model that is asked");
    }
    if let (Some(_), Direction::Output) = (is_alongside, direction) {
        let cure = "take it out: an answer cannot be judged before it is there";
        report.error(node.at, format!("`alongside` of {place} is for the input"), cure);
    }
    let reroutes = rule.as_ref().is_some_and(|rule| rule.most() == Action::Reroute);
    if is_alongside == Some(true) && reroutes {
        let cure = "take `alongside` out: the first model is at work before the judge is heard";
        report.error(node.at, format!("{place} cannot reroute alongside"), cure);
    }
    own.finish(report);
    let (Some((model, _)), Some(rule)) = (model, rule) else { return };
    match direction {
        Direction::Input => shape.input.push(rule),
        Direction::Output => shape.output.push(rule),
    }
    shape.judges[direction as usize] = Some(Arc::new(Judge {
        model: model.into(),
        ask: ask.map(|(text, _)| text.into()),
        is_alongside: is_alongside.unwrap_or(false),
    }));
}

/// `off` takes an inherited schema away.
pub(super) fn schema(
    path: &str,
    at: At,
    what: &str,
    schemas: &Schemas<'_>,
    report: &mut Report,
) -> Option<Option<Arc<Schema>>> {
    if path == "off" {
        return Some(None);
    }
    let Some(text) = schemas.get(path) else {
        let cure = did_you_mean(path, schemas.keys().copied())
            .unwrap_or_else(|| "the path is taken from the configuration folder".to_owned());
        report.error(at, format!("schema `{path}` of {what} was not found"), cure);
        return None;
    };
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(value @ (serde_json::Value::Object(_) | serde_json::Value::Bool(_))) => {
            Some(Some(Arc::new(Schema { path: path.into(), value })))
        }
        Ok(_) => {
            report.error(
                at,
                format!("schema `{path}` of {what} is not a JSON object"),
                "write a JSON schema",
            );
            None
        }
        Err(error) => {
            let message = format!("schema `{path}` of {what} is not JSON: {error}");
            report.error(at, message, "mend the schema file");
            None
        }
    }
}

/// The policies of the folder `guardrails/`, by name and version.
#[derive(Clone, Default, Debug)]
pub struct GuardPolicies(Vec<Arc<GuardPolicy>>);

impl GuardPolicies {
    pub fn iter(&self) -> impl Iterator<Item = &Arc<GuardPolicy>> {
        self.0.iter()
    }

    /// `strict` for its newest version, or `strict@1.2.0`.
    pub fn find(&self, reference: &str) -> Option<&Arc<GuardPolicy>> {
        let (name, version) = match reference.split_once('@') {
            Some((name, version)) => (name, Some(version.parse::<semver::Version>().ok()?)),
            None => (reference, None),
        };
        let named = self.0.iter().filter(|policy| policy.id.name == *name);
        named
            .filter(|policy| version.as_ref().is_none_or(|version| policy.id.version == *version))
            .max_by(|left, right| left.id.version.cmp(&right.id.version))
    }

    /// Reports a reference that leads nowhere.
    pub(super) fn named(
        &self,
        text: &str,
        at: At,
        what: &str,
        report: &mut Report,
    ) -> Option<&Arc<GuardPolicy>> {
        let found = self.find(text);
        if found.is_none() {
            let cure = did_you_mean(text, self.0.iter().map(|policy| policy.id.name.as_str()))
                .unwrap_or_else(|| "write it as a file of the folder `guardrails/`".to_owned());
            report.error(at, format!("{what} names the unknown policy `{text}`"), cure);
        }
        found
    }
}

/// Reads a file of the folder `guardrails/`.
pub(super) fn policy(
    source: &Source,
    env: &dyn Fn(&str) -> Option<String>,
    schemas: &Schemas<'_>,
    report: &mut Report,
) -> Option<GuardPolicy> {
    let root = node::parse(source, env, report)?;
    let mut fields = Fields::of(&root, "", report)?;
    let name = fields.text("name", report);
    let version = fields.text("version", report);
    let description = fields.text("description", report);
    let what = name.map_or_else(|| "the policy".to_owned(), |(name, _)| format!("policy `{name}`"));
    let shape = sections(&mut fields, &what, schemas, report);
    fields.finish(report);
    if name.is_none() {
        report.error(root.at, "the policy has no `name`", "write `name: strict`");
    }
    let parsed = version.and_then(|(text, _)| text.parse::<semver::Version>().ok());
    match version {
        None => report.error(root.at, format!("{what} has no `version`"), "write `version: 1.0.0`"),
        Some((text, at)) if parsed.is_none() => {
            report.error(
                at,
                format!("`version: {text}` is not a version"),
                "write three numbers, as in `1.2.0`",
            );
        }
        Some(_) => {}
    }
    let hash = blake3::hash(source.text.as_bytes()).to_hex()[..8].into();
    Some(GuardPolicy {
        id: PolicyId { name: name?.0.into(), version: parsed?, hash },
        file: source.file.as_str().into(),
        description: description.map(|(text, _)| text.into()),
        rules: Arc::new(shape.resolve()),
    })
}

/// All policies; of two files with the same name and version the second is a mistake.
pub(super) fn policies(
    sources: &[Source],
    env: &dyn Fn(&str) -> Option<String>,
    schemas: &Schemas<'_>,
    reports: &mut Vec<Report>,
) -> GuardPolicies {
    let mut policies = GuardPolicies::default();
    for source in sources {
        let mut report = Report::new(&source.file);
        if let Some(policy) = policy(source, env, schemas, &mut report) {
            let same = |other: &&Arc<GuardPolicy>| {
                other.id.name == policy.id.name && other.id.version == policy.id.version
            };
            match policies.0.iter().find(same) {
                Some(other) => report.error(
                    At { line: 1, column: 1 },
                    format!("{}@{} stands in {} already", policy.id.name, policy.id.version, other.file),
                    "give one of them another version: a version never changes",
                ),
                None => policies.0.push(Arc::new(policy)),
            }
        }
        reports.push(report);
    }
    policies
}

/// `guardrails:` of the main file.
#[derive(Clone, Debug)]
pub struct Guards {
    pub floor: Vec<Arc<Level>>,
    pub tenants: HashMap<Name, Vec<Arc<Level>>>,
    pub keys: HashMap<Name, Vec<Arc<Level>>>,
    pub policies: GuardPolicies,
    /// The folder of a model that finds names, and of one that classifies texts; none for the rules without a model, and for
    /// no classifier.
    pub names: Option<Name>,
    pub classifier: Option<Name>,
    /// Findings that are let pass.
    pub exceptions: Arc<[Exception]>,
    /// How long the guards of one call may look at its texts.
    pub scan_time: Duration,
}

impl Default for Guards {
    fn default() -> Guards {
        Guards {
            floor: Vec::new(),
            tenants: HashMap::new(),
            keys: HashMap::new(),
            policies: GuardPolicies::default(),
            names: None,
            classifier: None,
            exceptions: Arc::new([]),
            scan_time: SCAN_TIME,
        }
    }
}

pub(super) fn read(
    node: Option<&Node>,
    policies: GuardPolicies,
    exceptions: Vec<Exception>,
    schemas: &Schemas<'_>,
    report: &mut Report,
) -> Guards {
    let mut guards = Guards { policies, exceptions: exceptions.into(), ..Guards::default() };
    let Some(mut fields) = node.and_then(|node| Fields::of(node, "`guardrails`", report)) else {
        return guards;
    };
    if let Some(node) = fields.get("floor") {
        guards.floor = levels(node, LevelKind::Floor, "", &guards.policies, schemas, report);
    }
    for (field, kind) in [("tenants", LevelKind::Tenant), ("keys", LevelKind::Key)] {
        let Some(node) = fields.get(field) else { continue };
        let mut found = HashMap::new();
        for (label, node) in read::map(node, &format!("`{field}`"), report).unwrap_or_default() {
            let of = levels(node, kind, &label.text, &guards.policies, schemas, report);
            found.insert(Name::from(label.text.as_str()), of);
        }
        match kind {
            LevelKind::Tenant => guards.tenants = found,
            _ => guards.keys = found,
        }
    }
    if let Some(node) = fields.get("models")
        && let Some(mut models) = Fields::of(node, "`models` of `guardrails`", report)
    {
        guards.names = models.text("names", report).map(|(text, _)| text.into());
        guards.classifier = models.text("classifier", report).map(|(text, _)| text.into());
        models.finish(report);
    }
    if let Some(time) = fields.read("scan_time", report, scalar::DURATION) {
        guards.scan_time = time;
    }
    fields.finish(report);
    guards
}

/// The levels that one place writes: a policy by its name, or rules, or both (`{guard: strict, input: …}`).
pub(super) fn levels(
    node: &Node,
    kind: LevelKind,
    of: &str,
    policies: &GuardPolicies,
    schemas: &Schemas<'_>,
    report: &mut Report,
) -> Vec<Arc<Level>> {
    let what =
        if of.is_empty() { format!("`{}`", kind.as_str()) } else { format!("{} `{of}`", kind.as_str()) };
    let mut levels = Vec::new();
    if let Value::Text(text) = &node.value {
        let policy = policies.named(&text.text, node.at, &what, report);
        levels.extend(policy.map(|policy| Arc::new(Level::of_policy(kind, of.into(), policy))));
        return levels;
    }
    let Some(mut fields) = Fields::of(node, &what, report) else { return levels };
    for (text, at) in fields.texts("guard", report) {
        let policy = policies.named(text, at, &what, report);
        levels.extend(policy.map(|policy| Arc::new(Level::of_policy(kind, of.into(), policy))));
    }
    let shape = sections(&mut fields, &what, schemas, report);
    fields.finish(report);
    levels.push(Arc::new(Level::new(kind, of.into(), None, Arc::new(shape.resolve()))));
    levels
}
