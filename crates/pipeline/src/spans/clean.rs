//! Takes what is private out of every text of a span, before anything is derived from it.

use std::collections::HashSet;

use gauntlet_guard::{Kinds, redact};
use gauntlet_types::Finding;
use gauntlet_wire::otlp::{
    proto::{AnyValue, KeyValue, Resource, Scope, Span, Value},
    understand,
};
use serde_json::{Map, Value as Json};

use crate::{gate::Shared, stage::admit};

/// Bytes of one text. A conversation is rarely longer; a file that was put into an attribute is cut, and says so.
const TEXT_MAX: usize = 256 << 10;
/// JSON in a text of JSON in a text …; further in, a text is searched as it stands.
const LAYERS_MAX: usize = 4;
/// Names that were found clean are not searched again. SDKs use a few hundred.
const NAMES_MAX: usize = 4096;
/// Longer values are no passwords.
const NAMED_MAX: usize = 512;
/// What a name has in it whose value is a secret whatever it looks like; the scanner decides by the whole name.
const TELLING: [&str; 8] = ["pass", "pwd", "secret", "token", "key", "auth", "credential", "cookie"];

pub(super) struct Cleaner<'a> {
    shared: &'a Shared,
    found: Vec<Finding>,
    clean_names: HashSet<String>,
}

impl<'a> Cleaner<'a> {
    pub(super) fn new(shared: &'a Shared) -> Cleaner<'a> {
        Cleaner { shared, found: Vec::new(), clean_names: HashSet::new() }
    }

    pub(super) fn resource(&mut self, resource: &mut Option<Resource>) {
        if let Some(resource) = resource {
            self.attributes(&mut resource.attributes);
        }
    }

    pub(super) fn scope(&mut self, scope: &mut Option<Scope>) {
        if let Some(scope) = scope {
            self.name(&mut scope.name);
            self.name(&mut scope.version);
            self.attributes(&mut scope.attributes);
        }
    }

    pub(super) fn span(&mut self, span: &mut Span) {
        self.name(&mut span.name);
        self.name(&mut span.trace_state);
        self.attributes(&mut span.attributes);
        for event in &mut span.events {
            self.name(&mut event.name);
            self.attributes(&mut event.attributes);
        }
        for link in &mut span.links {
            self.name(&mut link.trace_state);
            self.attributes(&mut link.attributes);
        }
        if let Some(status) = &mut span.status {
            self.text(&mut status.message, 0);
        }
    }

    fn attributes(&mut self, attributes: &mut [KeyValue]) {
        for one in attributes {
            let KeyValue { key, value: Some(AnyValue { value: Some(value) }) } = one else {
                self.name(&mut one.key);
                continue;
            };
            match value {
                // Joined by, and so not blanked out: as a call's user and session.
                Value::Text(text) if understand::is_identity(key) && admit::is_nameable(text) => {
                    *text = admit::identity(self.shared, text).to_string();
                }
                Value::Text(text) => self.named_text(key, text, 0),
                value => self.value(value),
            }
            self.name(key);
        }
    }

    fn value(&mut self, value: &mut Value) {
        match value {
            Value::Text(text) => self.text(text, 0),
            Value::List(list) => {
                list.values
                    .iter_mut()
                    .filter_map(|item| item.value.as_mut())
                    .for_each(|item| self.value(item));
            }
            Value::Map(map) => self.attributes(&mut map.values),
            Value::Bytes(bytes) => {
                if let Ok(text) = std::str::from_utf8(bytes) {
                    let mut text = text.to_owned();
                    self.text(&mut text, 0);
                    *bytes = text.into_bytes();
                } else if bytes.len() > TEXT_MAX {
                    bytes.truncate(TEXT_MAX);
                }
            }
            Value::Int(number) => {
                if let Some(text) = self.card(*number) {
                    *value = Value::Text(text);
                }
            }
            Value::Bool(_) | Value::Double(_) => {}
        }
    }

    /// Names come again with every span; one that is clean once stays so.
    fn name(&mut self, name: &mut String) {
        if name.is_empty() || self.clean_names.contains(name) {
            return;
        }
        let before = name.len();
        self.text(name, LAYERS_MAX);
        if name.len() == before && self.found.is_empty() && self.clean_names.len() < NAMES_MAX {
            self.clean_names.insert(name.clone());
        }
    }

    /// The text of a name that may give it away: `db.password` and what it is.
    fn named_text(&mut self, name: &str, text: &mut String, layer: usize) {
        if text.len() <= NAMED_MAX && is_telling(name) {
            let last = name.rsplit('.').next().unwrap_or(name);
            let before = format!("{last}=\"");
            self.scan(&format!("{before}{text}\""));
            let spans = self.found.iter().filter(|finding| finding.span.start >= before.len());
            let spans: Vec<Finding> = spans
                .map(|finding| {
                    let span = finding.span.start - before.len()
                        ..finding.span.end.min(before.len() + text.len()) - before.len();
                    Finding { span, ..finding.clone() }
                })
                .collect();
            if !spans.is_empty() {
                *text = redact(text, &spans);
            }
        }
        self.text(text, layer);
    }

    /// Searched before it is cut, so that no half of a secret stands at the cut.
    fn text(&mut self, text: &mut String, layer: usize) {
        self.found.clear();
        let is_json = layer < LAYERS_MAX && text.trim_start().starts_with(['{', '[', '"']);
        let parsed = if is_json { serde_json::from_str::<Json>(text).ok() } else { None };
        match parsed {
            // Escapes hide what they spell; and a placeholder must not break what it stands in.
            Some(mut json) if !json.is_number() => {
                if self.json(&mut json, layer + 1) {
                    *text = json.to_string();
                }
            }
            _ => self.plain(text),
        }
        cut(text);
    }

    fn plain(&mut self, text: &mut String) {
        if text.contains("\\u00") {
            let spelt = unescaped(text);
            self.scan(&spelt);
            if !self.found.is_empty() {
                *text = redact(&spelt, &self.found);
            }
        }
        self.scan(text);
        if !self.found.is_empty() {
            *text = redact(text, &self.found);
        }
    }

    /// True when something was taken out.
    fn json(&mut self, json: &mut Json, layer: usize) -> bool {
        match json {
            Json::String(text) => self.json_text(None, text, layer),
            Json::Array(items) => items.iter_mut().fold(false, |any, item| self.json(item, layer) | any),
            Json::Object(members) => self.members(members, layer),
            Json::Number(number) => match number.as_i64().and_then(|number| self.card(number)) {
                Some(text) => {
                    *json = text.into();
                    true
                }
                None => false,
            },
            Json::Null | Json::Bool(_) => false,
        }
    }

    fn members(&mut self, members: &mut Map<String, Json>, layer: usize) -> bool {
        let mut is_changed = false;
        let mut renamed = Vec::new();
        for (name, value) in members.iter_mut() {
            is_changed |= match value {
                Json::String(text) => self.json_text(Some(name), text, layer),
                value => self.json(value, layer),
            };
            let mut clean = name.clone();
            self.name(&mut clean);
            if clean != *name {
                renamed.push((name.clone(), clean));
            }
        }
        for (name, clean) in renamed {
            is_changed = true;
            if let Some(value) = members.remove(&name) {
                members.insert(clean, value);
            }
        }
        is_changed
    }

    fn json_text(&mut self, name: Option<&str>, text: &mut String, layer: usize) -> bool {
        let before = text.clone();
        match name {
            Some(name) => self.named_text(name, text, layer),
            None => self.text(text, layer),
        }
        *text != before
    }

    /// A number that is a card's, as what stands for it.
    fn card(&mut self, number: i64) -> Option<String> {
        if number.checked_ilog10()? < 12 {
            return None;
        }
        let text = number.to_string();
        self.scan(&text);
        self.found.retain(|finding| finding.label == "CREDIT_CARD");
        (!self.found.is_empty()).then(|| redact(&text, &self.found))
    }

    fn scan(&mut self, text: &str) {
        self.found.clear();
        self.shared.scanner.scan(text, Kinds { injection: false, ..Kinds::ALL }, &mut self.found);
    }
}

fn is_telling(name: &str) -> bool {
    let name = name.rsplit('.').next().unwrap_or(name).to_ascii_lowercase();
    TELLING.iter().any(|word| name.contains(word))
}

fn cut(text: &mut String) {
    if text.len() > TEXT_MAX {
        let bytes = text.len();
        let mut end = TEXT_MAX;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(&format!(" …[cut: {bytes} bytes in all]"));
    }
}

/// What `\u0040` and its like spell, in a text that is no whole JSON.
fn unescaped(text: &str) -> String {
    let mut spelt = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\u") {
        let (before, escape) = rest.split_at(at);
        spelt.push_str(before);
        let letter =
            escape.get(2..6).and_then(|digits| u32::from_str_radix(digits, 16).ok()).and_then(char::from_u32);
        spelt.push_str(letter.map_or("\\u".to_owned(), String::from).as_str());
        rest = &escape[if letter.is_some() { 6 } else { 2 }..];
    }
    spelt.push_str(rest);
    spelt
}
