//! Which cases a metric is asked of: options that every kind of metric has, judges too.
//!
//! ```yaml
//! - contains: {value: "{{ city }}", when_present: city}   # only cases that have it
//! - rubric: {criteria: …, tags: [tone]}                    # only cases with one of these tags
//! ```

use futures_util::future::BoxFuture;
use gauntlet_ports::{Direction, Score};
use gauntlet_types::Name;
use serde_json::Value;

use crate::{Asker, Case, MetricSpec, Mistake, Scored, Scorer, Seen, Suite};

/// Option: the name of a variable or of a field of the line, and the metric is asked only of cases that have it.
const PRESENT: &str = "when_present";
/// Option: the metric is asked only of cases with one of these tags.
const TAGS: &str = "tags";

/// What `make` makes of the metric without those options, asked only of the cases that they name.
pub fn with(
    spec: &MetricSpec,
    suite: &Suite,
    make: impl FnOnce(&MetricSpec) -> Result<Option<Box<dyn Scorer>>, Mistake>,
) -> Result<Option<Box<dyn Scorer>>, Mistake> {
    let mut bare = spec.clone();
    let (present, tags) = (bare.options.shift_remove(PRESENT), bare.options.shift_remove(TAGS));
    if present.is_none() && tags.is_none() {
        return make(spec);
    }
    let bad = |message: String, cure: &str| Mistake {
        file: suite.file.clone(),
        line: spec.line,
        column: 0,
        message: format!("metric `{}`: {message}", spec.name),
        cure: cure.to_owned(),
        is_warning: false,
    };
    let present = match present {
        None => None,
        Some(Value::String(name)) if !name.is_empty() => Some(name),
        Some(_) => {
            return Err(bad(
                format!("`{PRESENT}` is not a name"),
                "name a variable or field of the dataset's lines",
            ));
        }
    };
    let tags = match tags {
        None => Vec::new(),
        Some(Value::String(tag)) => vec![Name::from(tag)],
        Some(Value::Array(tags)) if !tags.is_empty() && tags.iter().all(Value::is_string) => {
            tags.iter().filter_map(Value::as_str).map(Name::from).collect()
        }
        Some(_) => return Err(bad(format!("`{TAGS}` is not a list of tags"), "write `tags: [one, two]`")),
    };
    Ok(make(&bare)?.map(|inner| Box::new(Conditional { inner, present, tags }) as Box<dyn Scorer>))
}

struct Conditional {
    inner: Box<dyn Scorer>,
    present: Option<String>,
    tags: Vec<Name>,
}

impl Scorer for Conditional {
    fn metric(&self) -> &Name {
        self.inner.metric()
    }

    fn implementation(&self) -> &str {
        self.inner.implementation()
    }

    fn direction(&self) -> Direction {
        self.inner.direction()
    }

    fn calls_max(&self) -> u32 {
        self.inner.calls_max()
    }

    fn applies(&self, case: &Case) -> bool {
        let has = |name: &String| {
            let value = case.vars.get(name).or_else(|| case.extra.get(name));
            value.is_some_and(|value| !value.is_null()) || (name == "expected" && case.expected.is_some())
        };
        self.present.as_ref().is_none_or(has)
            && (self.tags.is_empty() || self.tags.iter().any(|tag| case.tags.contains(tag)))
            && self.inner.applies(case)
    }

    fn lacks(&self, case: &Case) -> Option<String> {
        if self.applies(case) { self.inner.lacks(case) } else { None }
    }

    fn score<'a>(&'a self, seen: &'a Seen<'a>, asker: &'a Asker<'a>) -> BoxFuture<'a, Scored> {
        if self.applies(seen.case) {
            return self.inner.score(seen, asker);
        }
        let score = Score {
            metric: self.metric().clone(),
            implementation: self.implementation().into(),
            reason: Some("not asked of this case".to_owned()),
            ..Score::default()
        };
        Box::pin(std::future::ready(Scored { score, ..Scored::default() }))
    }
}
