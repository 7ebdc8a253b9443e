//! The options of a metric, each asked for by name; what nobody asked for is a mistake.

use gauntlet_places::near;
use serde_json::{Map, Value};

use crate::{MetricSpec, Mistake, Suite, template::Template};

pub(crate) struct Options<'a> {
    pub(crate) spec: &'a MetricSpec,
    pub(crate) suite: &'a Suite,
    left: Map<String, Value>,
    /// Names that were asked for, to say what there is.
    known: Vec<&'static str>,
}

impl<'a> Options<'a> {
    pub(crate) fn new(spec: &'a MetricSpec, suite: &'a Suite) -> Options<'a> {
        Options { spec, suite, left: spec.options.clone(), known: Vec::new() }
    }

    pub(crate) fn kind(&self) -> &str {
        &self.spec.kind
    }

    pub(crate) fn mistake(&self, message: impl AsRef<str>, cure: impl Into<String>) -> Mistake {
        Mistake {
            file: self.suite.file.clone(),
            line: self.spec.line,
            column: 0,
            message: format!("metric `{}`: {}", self.spec.name, message.as_ref()),
            cure: cure.into(),
            is_warning: false,
        }
    }

    pub(crate) fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.left.shift_remove(name).filter(|value| !value.is_null())
    }

    pub(crate) fn flag(&mut self, name: &'static str) -> Result<bool, Mistake> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(value)) => Ok(value),
            Some(_) => {
                Err(self
                    .mistake(format!("`{name}` is neither true nor false"), format!("write `{name}: true`")))
            }
        }
    }

    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<String>, Mistake> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.mistake(format!("`{name}` is not a text"), "write it in quotes")),
        }
    }

    /// A finite number from 0 up.
    pub(crate) fn amount(&mut self, name: &'static str) -> Result<Option<f64>, Mistake> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match value.as_f64().filter(|number| number.is_finite() && *number >= 0.0) {
                Some(number) => Ok(Some(number)),
                None => Err(self.mistake(
                    format!("`{name}` is not a number from 0 up"),
                    format!("write such as `{name}: 1`"),
                )),
            },
        }
    }

    /// One of the words that there are; the first where nothing stands.
    pub(crate) fn word<T: Copy>(&mut self, name: &'static str, words: &[(&str, T)]) -> Result<T, Mistake> {
        let said = self.text(name)?;
        let Some(said) = said else { return Ok(words[0].1) };
        if let Some((_, meant)) = words.iter().find(|(word, _)| *word == said) {
            return Ok(*meant);
        }
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        Err(self.mistake(format!("`{name}` cannot be `{}`", said.escape_debug()), cure(&said, &all)))
    }

    /// A list of texts, or one text.
    pub(crate) fn texts(&mut self, name: &'static str) -> Result<Option<Vec<String>>, Mistake> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(vec![text])),
            Some(Value::Array(items)) if items.iter().all(Value::is_string) => {
                Ok(Some(items.iter().filter_map(Value::as_str).map(str::to_owned).collect()))
            }
            Some(_) => Err(self
                .mistake(format!("`{name}` is not a list of texts"), format!("write `{name}: [one, two]`"))),
        }
    }

    pub(crate) fn template(&mut self, name: &'static str) -> Result<Option<Template>, Mistake> {
        let Some(value) = self.take(name) else { return Ok(None) };
        Template::new(value)
            .map(Some)
            .map_err(|why| self.mistake(format!("`{name}`: {why}"), "see docs/scorers.md, Templates"))
    }

    /// Errors: an option that nobody asked for.
    pub(crate) fn finish(&self) -> Result<(), Mistake> {
        let Some(name) = self.left.keys().next() else { return Ok(()) };
        let message = format!("`{}` has no option `{}`", self.spec.kind, name.escape_debug());
        let mut known = self.known.clone();
        known.extend(["name", "threshold", "floor", "margin", "when_present", "tags"]);
        Err(self.mistake(message, cure(name, &known)))
    }
}

/// What was probably meant, or what there is.
pub(crate) fn cure(said: &str, known: &[&str]) -> String {
    near::cure(said, known.iter().copied(), &format!("there are {}", known.join(", ")))
}
