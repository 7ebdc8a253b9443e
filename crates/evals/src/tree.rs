//! Walking a suite: fields of a map by name, values by kind, and the mistakes on the way.

use gauntlet_places::{self as places, At, Label, Node, Value as Kind, near};
use serde_json::{Map, Number, Value};

use crate::report::Report;

/// Reads a file. Nothing comes back when it is not YAML, which is reported, or empty.
pub(crate) fn parse(text: &str, report: &mut Report) -> Option<Node> {
    match places::parse(text) {
        Ok(node) => (node.value != Kind::Null).then_some(node),
        Err(error) => {
            report.error(error.at, error.message(), error.cure());
            None
        }
    }
}

/// As typed, in short, for messages.
fn shown(node: &Node) -> String {
    const LETTERS_MAX: usize = 60;
    let text = match &node.value {
        Kind::Text(text) => text.clone(),
        Kind::Number(plain) => plain.typed.clone(),
        Kind::Null | Kind::Bool(_) | Kind::List(_) | Kind::Map(_) => node.to_json().to_string(),
    };
    text.chars().take(LETTERS_MAX).collect::<String>().escape_debug().to_string()
}

fn number(kind: &Kind) -> Option<&Number> {
    match kind {
        Kind::Number(plain) => Some(&plain.value),
        _ => None,
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
        match &node.value {
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
        (!matches!(node.value, Kind::Null)).then_some(node)
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
        let value = read(&node.value);
        if value.is_none() {
            report.error(node.at, format!("`{name}: {}` is not {}", shown(node), wanted.is), wanted.example);
        }
        value
    }

    /// A text; numbers count as one, since `model: 4` is a name as well. Empty is missing.
    pub(crate) fn text(&mut self, name: &'static str, report: &mut Report) -> Option<String> {
        let wanted = Wanted { is: "a text", example: "write a single value, without brackets or sub-fields" };
        let text = self.read(name, report, wanted, |kind| match kind {
            Kind::Text(text) => Some(text.trim().to_owned()),
            Kind::Number(plain) => Some(plain.typed.clone()),
            _ => None,
        });
        text.filter(|text| !text.is_empty())
    }

    pub(crate) fn yes(&mut self, name: &'static str, report: &mut Report) -> Option<bool> {
        let wanted = Wanted { is: "yes or no", example: "write `true` or `false`" };
        self.read(name, report, wanted, |kind| match kind {
            Kind::Bool(plain) => Some(plain.value),
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
        let number = number(&node.value).and_then(Number::as_f64);
        let good = number.filter(|number| (low..=high).contains(number));
        if good.is_none() {
            let range =
                if high == f64::MAX { format!("of {low} or more") } else { format!("from {low} to {high}") };
            report.error(
                node.at,
                format!("`{name}: {}` is not a number {range}", shown(node)),
                "write one, without quotes or a unit",
            );
        }
        good
    }

    /// A whole number from 1.
    pub(crate) fn count(&mut self, name: &'static str, report: &mut Report, max: u32) -> Option<u32> {
        let node = self.get(name)?;
        let number = number(&node.value).and_then(Number::as_u64);
        let good =
            number.and_then(|number| u32::try_from(number).ok()).filter(|number| (1..=max).contains(number));
        if good.is_none() {
            report.error(
                node.at,
                format!("`{name}: {}` is not a whole number from 1 to {max}", shown(node)),
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
        let items = match &node.value {
            Kind::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut texts = Vec::new();
        for item in items {
            match &item.value {
                Kind::Text(text) if !text.trim().is_empty() => texts.push((text.trim().to_owned(), item.at)),
                _ => report.error(
                    item.at,
                    format!("`{name}` has `{}`, which is no text", shown(item)),
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
