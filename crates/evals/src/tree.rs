//! A YAML file as a tree in which every value knows its place.
//!
//! Typed reading stops at the first mistake; a tree can be walked to the end, so that all mistakes are told at once.

use std::fmt;

use gauntlet_prompts::near;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Error as YamlError, Spanned};

use crate::report::{At, Report};

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) at: At,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Label, Node)>),
}

/// A name with its place.
#[derive(Clone, Debug)]
pub(crate) struct Label {
    pub(crate) text: String,
    pub(crate) at: At,
}

/// Reads a file. Nothing comes back when it is not YAML, which is reported, or empty.
pub(crate) fn parse(text: &str, report: &mut Report) -> Option<Node> {
    let options = serde_saphyr::options! { with_snippet: false };
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options) {
        Ok(raw) => {
            let node = build(raw);
            (!matches!(node.kind, Kind::Null)).then_some(node)
        }
        Err(error) => {
            not_yaml(&error, text, report);
            None
        }
    }
}

fn not_yaml(error: &YamlError, text: &str, report: &mut Report) {
    let inner = error.without_snippet();
    let at = inner
        .location()
        .map_or(At::default(), |place| At { line: place.line() as usize, column: place.column() as usize });
    if let YamlError::DuplicateMappingKey { key, .. } = inner {
        let message =
            key.as_ref().map_or("a key is given twice".to_owned(), |key| format!("`{key}` is given twice"));
        return report.error(at, message, "keep one of them");
    }
    let words = inner.to_string();
    // The place is told in front of the message.
    let words = words.rsplit_once(" at line ").map_or(words.as_str(), |(words, _)| words);
    let cure = if text.contains('\t') {
        "indent with spaces, not tabs"
    } else {
        "check indentation, colons and quotes on this line and the one before"
    };
    report.error(at, format!("not valid YAML: {words}"), cure);
}

enum Raw {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Raw, D::Error> {
        struct Shape;
        impl<'de> Visitor<'de> for Shape {
            type Value = Raw;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_unit<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
                Ok(Raw::Bool(value))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
                Ok(Raw::Number(value.into()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
                Ok(Raw::Number(value.into()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
                // YAML knows `.nan` and `.inf`; no field here does, and as a text it is named in the message.
                Ok(Number::from_f64(value).map_or_else(|| Raw::Text(value.to_string()), Raw::Number))
            }
            fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
                Ok(Raw::Text(text.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Raw::List(list))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
                let mut map = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    map.push(entry);
                }
                Ok(Raw::Map(map))
            }
        }
        deserializer.deserialize_any(Shape)
    }
}

fn build(raw: Spanned<Raw>) -> Node {
    let at = At { line: raw.defined.line() as usize, column: raw.defined.column() as usize };
    let kind = match raw.value {
        Raw::Null => Kind::Null,
        Raw::Bool(value) => Kind::Bool(value),
        Raw::Number(value) => Kind::Number(value),
        Raw::Text(text) => Kind::Text(text),
        Raw::List(items) => Kind::List(items.into_iter().map(build).collect()),
        Raw::Map(entries) => Kind::Map(
            entries
                .into_iter()
                .map(|(key, value)| {
                    let at = At { line: key.defined.line() as usize, column: key.defined.column() as usize };
                    (Label { text: key.value, at }, build(value))
                })
                .collect(),
        ),
    };
    Node { at, kind }
}

impl Node {
    /// The values alone.
    pub(crate) fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Number(value) => Value::Number(value.clone()),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(items) => items.iter().map(Node::to_json).collect(),
            Kind::Map(entries) => {
                let fields = entries.iter().map(|(key, node)| (key.text.clone(), node.to_json()));
                Value::Object(fields.collect())
            }
        }
    }

    /// As typed, in short, for messages.
    fn shown(&self) -> String {
        const LETTERS_MAX: usize = 60;
        let text = match &self.kind {
            Kind::Text(text) => text.clone(),
            _ => self.to_json().to_string(),
        };
        text.chars().take(LETTERS_MAX).collect::<String>().escape_debug().to_string()
    }
}

/// The fields of a map. Whoever reads it asks for each field it knows and then calls `finish`, which reports the rest.
pub(crate) struct Fields<'a> {
    /// Ends the sentence "unknown field `x` in …"; empty for the file itself.
    what: &'a str,
    entries: &'a [(Label, Node)],
    known: Vec<&'static str>,
}

/// What a value must be, to tell those who wrote something else.
struct Wanted {
    is: &'static str,
    example: &'static str,
}

impl<'a> Fields<'a> {
    /// Reports a value that is not a map.
    pub(crate) fn of(node: &'a Node, what: &'a str, report: &mut Report) -> Option<Fields<'a>> {
        match &node.kind {
            Kind::Map(entries) => Some(Fields { what, entries, known: Vec::new() }),
            _ => {
                let what = if what.is_empty() { "the file" } else { what };
                report.error(
                    node.at,
                    format!("{what} must be a map of fields"),
                    "write `name: value` lines, or `{name: value}`",
                );
                None
            }
        }
    }

    pub(crate) fn over(entries: &'a [(Label, Node)], what: &'a str) -> Fields<'a> {
        Fields { what, entries, known: Vec::new() }
    }

    /// The field's value; none when it is missing or empty.
    pub(crate) fn get(&mut self, name: &'static str) -> Option<&'a Node> {
        self.known.push(name);
        let (_, node) = self.entries.iter().find(|(label, _)| label.text == name)?;
        (!matches!(node.kind, Kind::Null)).then_some(node)
    }

    pub(crate) fn at(&self, name: &str) -> At {
        self.entries.iter().find(|(label, _)| label.text == name).map_or(At::default(), |(label, _)| label.at)
    }

    fn read<T>(
        &mut self,
        name: &'static str,
        report: &mut Report,
        wanted: Wanted,
        read: impl Fn(&Kind) -> Option<T>,
    ) -> Option<T> {
        let node = self.get(name)?;
        let value = read(&node.kind);
        if value.is_none() {
            report.error(node.at, format!("`{name}: {}` is not {}", node.shown(), wanted.is), wanted.example);
        }
        value
    }

    /// A text; numbers count as one, since `model: 4` is a name as well. Empty is missing.
    pub(crate) fn text(&mut self, name: &'static str, report: &mut Report) -> Option<String> {
        let wanted = Wanted { is: "a text", example: "write a single value, without brackets or sub-fields" };
        let text = self.read(name, report, wanted, |kind| match kind {
            Kind::Text(text) => Some(text.trim().to_owned()),
            Kind::Number(number) => Some(number.to_string()),
            _ => None,
        });
        text.filter(|text| !text.is_empty())
    }

    pub(crate) fn yes(&mut self, name: &'static str, report: &mut Report) -> Option<bool> {
        let wanted = Wanted { is: "yes or no", example: "write `true` or `false`" };
        self.read(name, report, wanted, |kind| match kind {
            Kind::Bool(yes) => Some(*yes),
            _ => None,
        })
    }

    /// A finite number within bounds, both included.
    pub(crate) fn number(
        &mut self,
        name: &'static str,
        report: &mut Report,
        low: f64,
        high: f64,
    ) -> Option<f64> {
        let node = self.get(name)?;
        let number = match &node.kind {
            Kind::Number(number) => number.as_f64(),
            _ => None,
        };
        let good = number.filter(|number| (low..=high).contains(number));
        if good.is_none() {
            let range =
                if high == f64::MAX { format!("of {low} or more") } else { format!("from {low} to {high}") };
            report.error(
                node.at,
                format!("`{name}: {}` is not a number {range}", node.shown()),
                "write one, without quotes or a unit",
            );
        }
        good
    }

    /// A whole number from 1.
    pub(crate) fn count(&mut self, name: &'static str, report: &mut Report, max: u32) -> Option<u32> {
        let node = self.get(name)?;
        let number = match &node.kind {
            Kind::Number(number) => number.as_u64(),
            _ => None,
        };
        let good =
            number.and_then(|number| u32::try_from(number).ok()).filter(|number| (1..=max).contains(number));
        if good.is_none() {
            report.error(
                node.at,
                format!("`{name}: {}` is not a whole number from 1 to {max}", node.shown()),
                "write for example `5`",
            );
        }
        good
    }

    /// `90s`, `2m`, `500ms`.
    pub(crate) fn duration(
        &mut self,
        name: &'static str,
        report: &mut Report,
    ) -> Option<std::time::Duration> {
        let wanted =
            Wanted { is: "a duration up to 1h", example: "write for example `90s`, `500ms` or `2m`" };
        self.read(name, report, wanted, |kind| match kind {
            Kind::Text(text) => duration(text.trim()),
            _ => None,
        })
    }

    /// A map as it stands.
    pub(crate) fn object(&mut self, name: &'static str, report: &mut Report) -> Map<String, Value> {
        let wanted = Wanted { is: "a map of fields", example: "write for example `{temperature: 0}`" };
        let is_map =
            self.read(name, report, wanted, |kind| matches!(kind, Kind::Map(_)).then_some(())).is_some();
        let node = self.entries.iter().find(|(label, _)| label.text == name);
        match (is_map, node.map(|(_, node)| node.to_json())) {
            (true, Some(Value::Object(map))) => map,
            _ => Map::new(),
        }
    }

    /// A list of texts; a single text is a list of one.
    pub(crate) fn texts(&mut self, name: &'static str, report: &mut Report) -> Vec<(String, At)> {
        let Some(node) = self.get(name) else { return Vec::new() };
        let items = match &node.kind {
            Kind::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut texts = Vec::new();
        for item in items {
            match &item.kind {
                Kind::Text(text) if !text.trim().is_empty() => texts.push((text.trim().to_owned(), item.at)),
                _ => report.error(
                    item.at,
                    format!("`{name}` has `{}`, which is no text", item.shown()),
                    "write names, one or a list",
                ),
            }
        }
        texts
    }

    /// Reports the fields that nobody asked for.
    pub(crate) fn finish(self, report: &mut Report) {
        let place = if self.what.is_empty() { String::new() } else { format!(" in {}", self.what) };
        for (label, _) in self.entries.iter().filter(|(label, _)| !self.known.contains(&label.text.as_str()))
        {
            let listed = format!("known here: {}", self.known.join(", "));
            let cure = near::cure(&label.text, self.known.iter().copied(), &listed);
            report.error(label.at, format!("unknown field `{}`{place}", label.text.escape_debug()), cure);
        }
    }
}

fn duration(text: &str) -> Option<std::time::Duration> {
    const SECONDS_MAX: f64 = 3600.0;
    let end = text.find(|letter: char| !(letter.is_ascii_digit() || letter == '.')).unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let seconds = match text[end..].trim() {
        "ms" => number * 1e-3,
        "s" => number,
        "m" | "min" => number * 60.0,
        "h" => number * 3600.0,
        _ => return None,
    };
    (seconds > 0.0 && seconds <= SECONDS_MAX).then(|| std::time::Duration::from_secs_f64(seconds))
}
