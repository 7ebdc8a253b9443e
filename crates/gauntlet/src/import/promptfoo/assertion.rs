//! One assertion, or a set of them, as a metric.

use serde_json::{Map, Value as Json, json};

use gauntlet_evals::{MetricSpec, Suite, score};

use super::{
    Gathered, is_code, json as json_of,
    kinds::{self, Negation, Slot},
    number, providers,
};
use crate::import::{
    draft::{Refused, refused},
    notes::Place,
    walk::{Item, Known},
};

/// A metric as it will stand in the suite, but for its value, which may differ from case to case.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Metric {
    pub(super) kind: String,
    pub(super) options: Map<String, Json>,
    pub(super) threshold: Option<f64>,
    pub(super) value: Option<(Slot, Json)>,
    pub(super) label: Option<String>,
    pub(super) weight: f64,
    pub(super) note: String,
    pub(super) place: Place,
}

impl Metric {
    /// Whether two are one metric of the suite, whatever their values.
    pub(super) fn is_like(&self, other: &Metric) -> bool {
        self.kind == other.kind
            && self.options == other.options
            && self.threshold == other.threshold
            && self.label == other.label
            && self.value.as_ref().map(|(slot, _)| *slot) == other.value.as_ref().map(|(slot, _)| *slot)
    }

    pub(super) fn is_judge(&self) -> bool {
        !score::KINDS.contains(&self.kind.as_str())
    }

    /// With the value among the options: what `weighted` has in its list.
    fn whole(&self) -> Json {
        let mut options = self.options.clone();
        if let Some((Slot::Option(name), value)) = &self.value {
            options.insert((*name).to_owned(), value.clone());
        }
        if let Some(threshold) = self.threshold {
            options.insert("threshold".to_owned(), number(threshold));
        }
        if self.weight != 1.0 {
            options.insert("weight".to_owned(), number(self.weight));
        }
        json!({ self.kind.as_str(): options })
    }
}

const KNOWN: [Known; 5] = [
    ("transform", "code is not run on answers", "use options of the metric, such as `anywhere: true`"),
    (
        "contextTransform",
        "code is not run on answers",
        "put the passages into `contexts` of the dataset's line",
    ),
    (
        "rubricPrompt",
        "the judge is asked by a prompt of the registry",
        "write it as a prompt and name it by `prompt`",
    ),
    ("config", "it is for code or for a service", "nothing"),
    ("*", "the importer does not know this field", "look for its like in docs/scorers.md"),
];

/// Adds the metrics of an assertion. What has no like is told.
pub(super) fn read(
    item: &Item<'_>,
    templates: Option<&Item<'_>>,
    gathered: &mut Gathered<'_>,
    out: &mut Vec<Metric>,
) {
    match metrics(item, templates, gathered) {
        Ok(mut made) => out.append(&mut made),
        Err(refused) => gathered.draft.refuse(&item.place, refused),
    }
}

fn metrics(
    item: &Item<'_>,
    templates: Option<&Item<'_>>,
    gathered: &mut Gathered<'_>,
) -> Result<Vec<Metric>, Refused> {
    let mut fields = item.fields(&mut gathered.draft.notes);
    if let Some(reference) = fields.take("$ref") {
        let name = reference.text().unwrap_or_default().trim_start_matches("#/assertionTemplates/");
        let found = templates.and_then(|item| item.entries().into_iter().find(|(key, _)| *key == name));
        return match found {
            // A template does not name another, so this does not go on.
            Some((_, template)) if !template.entries().iter().any(|(key, _)| *key == "$ref") => {
                metrics(&template, None, gathered)
            }
            _ => Err(refused(
                format!("there is no assertion template `{}`", name.escape_debug()),
                "write the assertion out",
            )),
        };
    }
    let Some(kind) = fields.take("type").and_then(|item| item.text()) else {
        return Err(refused("it has no `type`", "write which kind of assertion it is"));
    };
    let (value, threshold) = (fields.take("value"), fields.take("threshold"));
    let (weight, label) = (fields.take("weight"), fields.take("metric"));
    let (judge, inner) = (fields.take("provider"), fields.take("assert"));
    fields.finish(&KNOWN, &mut gathered.draft.notes);
    let weight = weight.and_then(|item| item.number()).unwrap_or(1.0);
    let label = label.and_then(|item| item.text()).filter(|text| !text.contains("{{")).map(str::to_owned);
    let threshold = threshold.and_then(|item| item.number());
    if kind == "assert-set" {
        let mut parts = Vec::new();
        for item in inner.iter().flat_map(Item::items) {
            read(&item, templates, gathered, &mut parts);
        }
        return set(parts, threshold, weight, label, &item.place);
    }
    let value = value.map(|item| json_of(item.node));
    let mut metric = one(kind, value, threshold, gathered, &item.place)?;
    (metric.weight, metric.label) = (weight, label);
    if let Some(judge) = judge {
        let option = if metric.kind == "similar" { "model" } else { "judge" };
        match providers::one(&judge, false, gathered) {
            Ok(target) => {
                metric.options.insert(option.to_owned(), Json::String(target));
            }
            Err(refused) => gathered.draft.refuse(&judge.place, refused),
        }
    }
    Ok(vec![metric])
}

/// An assertion by its kind, which a column of CSV names as well.
pub(super) fn one(
    kind: &str,
    value: Option<Json>,
    threshold: Option<f64>,
    gathered: &mut Gathered<'_>,
    place: &Place,
) -> Result<Metric, Refused> {
    let (name, is_negated) = match kind.strip_prefix("not-") {
        Some(name) => (name, true),
        None => (kind, false),
    };
    let value = match value {
        Some(Json::String(text)) if text.starts_with("file://") => Some(of_file(&text, gathered)?),
        other => other,
    };
    let like = kinds::like(name, value.as_ref(), is_negated)?;
    let mut metric = Metric {
        kind: like.kind.to_owned(),
        options: like.options,
        threshold: threshold.or(like.threshold),
        value: None,
        label: None,
        weight: 1.0,
        note: like.note.to_owned(),
        place: place.clone(),
    };
    if let Some(slot) = like.slot {
        let Some(value) = value else {
            return Err(refused("it has no `value`", "write what is compared with"));
        };
        let value = shaped(name, value);
        // These take no template, so that another value is another metric.
        match slot {
            Slot::Option(option) if option == "schema" || like.kind == "finish_reason" => {
                metric.options.insert(option.to_owned(), value);
            }
            slot => metric.value = Some((slot, value)),
        }
    }
    if is_negated && name != "is-refusal" {
        if like.negation == Negation::Never {
            return Err(refused(
                format!("`{kind}` has no like: of `{}` less is better", like.kind),
                format!("write `{}` with a threshold", like.kind),
            ));
        }
        metric.options.insert("not".to_owned(), Json::Bool(true));
        // It passed below its threshold.
        metric.threshold = metric.threshold.map(|threshold| 1.0 - threshold);
    }
    if ["latency", "cost", "perplexity"].contains(&like.kind) && metric.threshold.is_none() {
        return Err(refused("it has no `threshold`", format!("write `{}: {{threshold: …}}`", like.kind)));
    }
    is_good(&metric)?;
    Ok(metric)
}

/// Values that promptfoo takes as one text parted by commas.
fn shaped(name: &str, value: Json) -> Json {
    match (name, value) {
        ("contains-all" | "contains-any" | "icontains-all" | "icontains-any", Json::String(text))
            if !text.contains("{{") =>
        {
            text.split(',').map(|part| Json::String(part.trim().to_owned())).collect()
        }
        // `exact` takes a list as one of several.
        ("equals", Json::Array(items)) => Json::Array(vec![Json::Array(items)]),
        ("is-json" | "contains-json", Json::String(text)) => {
            serde_json::from_str(&text).unwrap_or(Json::String(text))
        }
        (_, value) => value,
    }
}

fn of_file(text: &str, gathered: &Gathered<'_>) -> Result<Json, Refused> {
    let path = text.trim_start_matches("file://");
    if is_code(path) {
        return Err(refused(
            "its value is code, which is not run",
            "use the metric `command` (docs/scorers.md)",
        ));
    }
    let body = (gathered.file)(path).map_err(|why| refused(why, "write the value in place"))?;
    if path.ends_with(".json") {
        return serde_json::from_str(&body)
            .map_err(|_| refused("its file is not JSON", "write the value in place"));
    }
    if path.ends_with(".yaml") || path.ends_with(".yml") {
        let node = crate::import::source::yaml(&body);
        return node
            .map(|node| json_of(&node))
            .map_err(|error| refused(error.why, "write the value in place"));
    }
    Ok(Json::String(body.trim_end().to_owned()))
}

/// Our own maker takes it. Judges are made by others, and their values checked when the suite is read.
fn is_good(metric: &Metric) -> Result<(), Refused> {
    let mut options = metric.options.clone();
    if let Some((Slot::Option(name), value)) = &metric.value {
        let is_pattern = metric.kind == "regex" && value.as_str().is_some_and(|text| text.contains("{{"));
        let value = if is_pattern { json!("{{ expected }}") } else { value.clone() };
        options.insert((*name).to_owned(), value);
    }
    if metric.kind == "similar" {
        options.insert("model".to_owned(), json!("any/model"));
    }
    let (name, kind) = (metric.kind.as_str().into(), metric.kind.as_str().into());
    let spec = MetricSpec { name, kind, options, threshold: metric.threshold, ..MetricSpec::default() };
    match score::make(&spec, &Suite::default()) {
        Ok(_) => Ok(()),
        Err(mistake) => Err(refused(mistake.message, mistake.cure)),
    }
}

/// The parts of a set: one by one where all must hold, else one `weighted` metric.
pub(super) fn set(
    parts: Vec<Metric>,
    threshold: Option<f64>,
    weight: f64,
    label: Option<String>,
    place: &Place,
) -> Result<Vec<Metric>, Refused> {
    if parts.is_empty() {
        return Ok(Vec::new());
    }
    let Some(threshold) = threshold else { return Ok(parts) };
    if parts.iter().any(Metric::is_judge) {
        return Err(refused(
            "its threshold is over several assertions of which one is a judge's",
            "write each as a metric with a threshold of its own",
        ));
    }
    let of: Vec<Json> = parts.iter().map(Metric::whole).collect();
    let options = Map::from_iter([("of".to_owned(), Json::Array(of))]);
    let metric = Metric {
        kind: "weighted".to_owned(),
        options,
        threshold: Some(threshold),
        value: None,
        label,
        weight,
        note: String::new(),
        place: place.clone(),
    };
    is_good(&metric)?;
    Ok(vec![metric])
}
