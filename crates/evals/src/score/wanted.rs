//! The reference that an answer is compared with: the option `value`, else the case's `expected`.

use std::borrow::Cow;

use serde_json::Value;

use super::options::Options;
use crate::{Case, Mistake, template::Template};

pub(crate) struct Wanted {
    template: Option<Template>,
}

impl Wanted {
    pub(crate) fn take(options: &mut Options<'_>) -> Result<Wanted, Mistake> {
        Ok(Wanted { template: options.template("value")? })
    }

    /// What is the same for all cases.
    pub(crate) fn fixed(&self) -> Option<&Value> {
        self.template.as_ref().and_then(Template::fixed)
    }

    /// Errors: what the case lacks.
    pub(crate) fn of<'a>(&'a self, case: &'a Case) -> Result<Cow<'a, Value>, String> {
        match (&self.template, &case.expected) {
            (Some(template), _) => template.of(case),
            (None, Some(expected)) => Ok(Cow::Borrowed(expected)),
            (None, None) => Err("`expected`, the answer that is right".to_owned()),
        }
    }

    /// One text or several that are each as good; what is no text stands as JSON.
    pub(crate) fn texts(&self, case: &Case) -> Result<Vec<String>, String> {
        let value = self.of(case)?;
        let all = match &*value {
            Value::Array(items) => items.iter().map(text_of).collect(),
            one => vec![text_of(one)],
        };
        if all.is_empty() { Err("an expected text: its list is empty".to_owned()) } else { Ok(all) }
    }

    pub(crate) fn lacks(&self, case: &Case) -> Option<String> {
        self.of(case).err()
    }

    pub(crate) fn lacks_texts(&self, case: &Case) -> Option<String> {
        self.texts(case).err()
    }
}

pub(crate) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
