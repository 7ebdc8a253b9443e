//! Walking the tree: fields of a map by name, values by kind, and the mistakes on the way.

use gauntlet_places::near::did_you_mean;

use super::{
    Mistake, Severity,
    node::{At, Label, Node, Text, Value},
    scalar::Scalar,
};

/// The mistakes of one file.
pub(super) struct Report {
    file: String,
    pub(super) mistakes: Vec<Mistake>,
}

impl Report {
    pub(super) fn new(file: &str) -> Report {
        Report { file: file.to_owned(), mistakes: Vec::new() }
    }

    pub(super) fn error(&mut self, at: At, message: impl Into<String>, cure: impl Into<String>) {
        self.add(Severity::Error, at, message.into(), cure.into());
    }

    pub(super) fn warn(&mut self, at: At, message: impl Into<String>, cure: impl Into<String>) {
        self.add(Severity::Warning, at, message.into(), cure.into());
    }

    fn add(&mut self, severity: Severity, at: At, message: String, cure: String) {
        let At { line, column } = at;
        self.mistakes.push(Mistake { file: self.file.clone(), line, column, message, cure, severity });
    }
}

/// The fields of a map. Whoever reads it asks for each field it knows and then calls `finish`, which reports the rest.
pub(super) struct Fields<'a> {
    /// Ends the sentence "unknown field `x` in …"; empty for the file itself.
    what: String,
    entries: &'a [(Label, Node)],
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Reports a value that is not a map.
    pub(super) fn of(node: &'a Node, what: impl Into<String>, report: &mut Report) -> Option<Fields<'a>> {
        let what = what.into();
        let entries = map(node, &what, report)?;
        Some(Fields { what, entries, known: Vec::new() })
    }

    /// The field's value; none when it is missing, empty or broken.
    pub(super) fn get(&mut self, name: &'static str) -> Option<&'a Node> {
        // Some are read for two things.
        if !self.known.contains(&name) {
            self.known.push(name);
        }
        let (_, node) = self.entries.iter().find(|(label, _)| label.text == name)?;
        (!matches!(node.value, Value::Null | Value::Broken)).then_some(node)
    }

    /// Whether the field is written at all, even if it is empty or broken.
    pub(super) fn is_written(&self, name: &str) -> bool {
        self.entries.iter().any(|(label, _)| label.text == name)
    }

    /// Whether the field is not there, or has no value. A broken one is there.
    pub(super) fn is_missing(&self, name: &str) -> bool {
        !self.entries.iter().any(|(label, node)| label.text == name && !matches!(node.value, Value::Null))
    }

    pub(super) fn read<T>(
        &mut self,
        name: &'static str,
        report: &mut Report,
        scalar: Scalar<T>,
    ) -> Option<T> {
        read(self.get(name)?, name, report, scalar)
    }

    /// A text with its place; empty texts count as missing.
    pub(super) fn text(&mut self, name: &'static str, report: &mut Report) -> Option<(&'a str, At)> {
        let node = self.get(name)?;
        let text = text(node, name, report)?;
        (!text.text.is_empty()).then_some((text.text.as_str(), node.at))
    }

    /// One of some words.
    pub(super) fn choice<T: Clone>(
        &mut self,
        name: &'static str,
        report: &mut Report,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        choice(self.get(name)?, name, report, choices)
    }

    /// A list of texts with their places; a single text counts as a list of one.
    pub(super) fn texts(&mut self, name: &'static str, report: &mut Report) -> Vec<(&'a str, At)> {
        let Some(node) = self.get(name) else { return Vec::new() };
        match &node.value {
            Value::List(items) => items
                .iter()
                .filter_map(|item| Some((text(item, name, report)?.text.as_str(), item.at)))
                .collect(),
            _ => text(node, name, report).map(|text| (text.text.as_str(), node.at)).into_iter().collect(),
        }
    }

    /// Reports the fields that nobody asked for.
    pub(super) fn finish(self, report: &mut Report) {
        for (label, _) in self.entries {
            if self.known.contains(&label.text.as_str()) {
                continue;
            }
            let place = if self.what.is_empty() { String::new() } else { format!(" in {}", self.what) };
            let cure = did_you_mean(&label.text, self.known.iter().copied())
                .unwrap_or_else(|| format!("known here: {}", self.known.join(", ")));
            report.error(label.at, format!("unknown field `{}`{place}", label.text), cure);
        }
    }
}

/// The entries of a map, in their order.
pub(super) fn map<'a>(node: &'a Node, what: &str, report: &mut Report) -> Option<&'a [(Label, Node)]> {
    let what = if what.is_empty() { "the file" } else { what };
    match &node.value {
        Value::Map(entries) => Some(entries),
        Value::Null => Some(&[]),
        Value::Broken => None,
        Value::Text(_) | Value::List(_) => {
            report.error(
                node.at,
                format!("{what} must be a map of fields"),
                "write `name: value` lines, or `{name: value}`",
            );
            None
        }
    }
}

pub(super) fn text<'a>(node: &'a Node, what: &str, report: &mut Report) -> Option<&'a Text> {
    match &node.value {
        Value::Text(text) => Some(text),
        Value::Null | Value::Broken => None,
        Value::List(_) | Value::Map(_) => {
            report.error(
                node.at,
                format!("`{what}` must be a single value"),
                "write it without brackets or sub-fields",
            );
            None
        }
    }
}

pub(super) fn read<T>(node: &Node, what: &str, report: &mut Report, scalar: Scalar<T>) -> Option<T> {
    let text = text(node, what, report)?;
    let value = (scalar.parse)(text.text.trim());
    if value.is_none() {
        report.error(node.at, format!("`{what}: {}` is not {}", text.typed, scalar.expected), scalar.example);
    }
    value
}

pub(super) fn choice<T: Clone>(
    node: &Node,
    what: &str,
    report: &mut Report,
    choices: &[(&'static str, T)],
) -> Option<T> {
    let text = text(node, what, report)?;
    if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text.text) {
        return Some(value.clone());
    }
    let names = || choices.iter().map(|(name, _)| *name);
    let known = names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let near = did_you_mean(&text.text, names()).map(|near| format!("; {near}")).unwrap_or_default();
    report.error(
        node.at,
        format!("`{what}: {}` is not known", text.typed),
        format!("write one of {known}{near}"),
    );
    None
}
