//! Walking the source: fields by name, values by kind. Whoever reads a map finishes it, and what he did not ask for is
//! told as not mapped.

use std::borrow::Cow;

use super::{
    notes::{Notes, Place},
    source::{Node, Value},
};

/// A value with its place.
#[derive(Clone, Debug)]
pub struct Item<'a> {
    pub node: &'a Node,
    pub place: Place,
}

/// A field that is known and has no counterpart: its name, why, and what to do by hand.
pub type Known = (&'static str, &'static str, &'static str);

impl<'a> Item<'a> {
    pub fn root(node: &'a Node) -> Item<'a> {
        Item { node, place: Place { path: String::new(), line: node.line } }
    }

    fn child(&self, name: &str, node: &'a Node) -> Item<'a> {
        let path =
            if self.place.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place.path) };
        Item { node, place: Place { path, line: node.line } }
    }

    /// A text, or a number or truth value as written.
    pub fn word(&self) -> Option<Cow<'a, str>> {
        match &self.node.value {
            Value::Text(text) => Some(Cow::Borrowed(text.trim())),
            Value::Number(text) => Some(Cow::Borrowed(text)),
            Value::Bool(value) => Some(Cow::Owned(value.to_string())),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    pub fn text(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) => Some(text.trim()),
            _ => None,
        }
    }

    pub fn is_true(&self) -> bool {
        match &self.node.value {
            Value::Bool(value) => *value,
            Value::Text(text) => text.eq_ignore_ascii_case("true"),
            _ => false,
        }
    }

    /// A whole number from 0 up; one that has a fraction of zero counts.
    pub fn whole(&self) -> Option<u64> {
        let text = self.word()?;
        let text = text.split_once('.').filter(|(_, rest)| rest.bytes().all(|byte| byte == b'0'));
        let whole = self.word()?;
        text.map_or(&*whole, |(head, _)| head).parse().ok()
    }

    /// A finite number from 0 up.
    pub fn number(&self) -> Option<f64> {
        self.word()?.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)
    }

    pub fn items(&self) -> Vec<Item<'a>> {
        let Value::List(items) = &self.node.value else { return Vec::new() };
        let item = |(at, node): (usize, &'a Node)| {
            let path = format!("{}[{at}]", self.place.path);
            Item { node, place: Place { path, line: node.line } }
        };
        items.iter().enumerate().map(item).collect()
    }

    pub fn entries(&self) -> Vec<(&'a str, Item<'a>)> {
        let Value::Map(entries) = &self.node.value else { return Vec::new() };
        entries.iter().map(|(key, node)| (key.as_str(), self.child(key, node))).collect()
    }

    /// The texts of a list, or of a single text.
    pub fn texts(&self) -> Vec<(&'a str, Item<'a>)> {
        let all = if self.text().is_some() { vec![self.clone()] } else { self.items() };
        all.into_iter().filter_map(|item| Some((item.text()?, item))).collect()
    }

    /// The fields of a map; anything else is told, and has none.
    pub fn fields(&self, notes: &mut Notes) -> Fields<'a> {
        if !matches!(self.node.value, Value::Map(_) | Value::Null) {
            notes.unmapped(
                &self.place,
                "it is not a map of fields",
                "write it as the other gateway's documentation shows",
            );
        }
        let entries = self.entries().into_iter().filter(|(_, item)| item.node.value != Value::Null);
        Fields { entries: entries.map(|(key, item)| (key, Some(item))).collect() }
    }
}

/// The fields of a map that nobody has asked for yet. Empty ones count as not written.
pub struct Fields<'a> {
    entries: Vec<(&'a str, Option<Item<'a>>)>,
}

impl<'a> Fields<'a> {
    pub fn take(&mut self, name: &str) -> Option<Item<'a>> {
        self.entries.iter_mut().find(|(key, item)| *key == name && item.is_some())?.1.take()
    }

    /// The first that is written of fields that mean the same.
    pub fn any(&mut self, names: &[&str]) -> Option<Item<'a>> {
        names.iter().find_map(|name| self.take(name))
    }

    /// A text; another kind of value is told.
    pub fn text(&mut self, name: &str, notes: &mut Notes) -> Option<(&'a str, Item<'a>)> {
        let item = self.take(name)?;
        match item.text().filter(|text| !text.is_empty()) {
            Some(text) => Some((text, item)),
            None => {
                notes.unmapped(&item.place, "it is not a text", "write the text in quotes");
                None
            }
        }
    }

    /// The fields left over for which `is_wanted` holds.
    pub fn drain(&mut self, is_wanted: impl Fn(&str) -> bool) -> Vec<(&'a str, Item<'a>)> {
        let wanted = self.entries.iter_mut().filter(|(key, _)| is_wanted(key));
        wanted.filter_map(|(key, item)| Some((*key, item.take()?))).collect()
    }

    /// Tells of every field that nobody asked for: with the words of `known`, or as one that is not known at all.
    pub fn finish(self, known: &[Known], notes: &mut Notes) {
        for (key, item) in self.entries {
            let Some(item) = item else { continue };
            let is_meant =
                |name: &str| name.strip_suffix('*').map_or(name == key, |start| key.starts_with(start));
            match known.iter().find(|(name, ..)| is_meant(name)) {
                Some((_, why, cure)) => notes.unmapped(&item.place, *why, *cure),
                None => notes.unmapped(
                    &item.place,
                    "the importer does not know this field",
                    "look for its like in docs/configuration.md",
                ),
            }
        }
    }
}
