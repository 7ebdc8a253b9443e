//! A YAML file as a tree in which every value knows its place, and `${…}` is replaced.
//!
//! Typed reading stops at the first mistake; a tree can be walked to the end, so that all mistakes are told at once.

use std::fmt as std_fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Error as YamlError, Spanned};

use super::{Mistake, Severity, Source, read::Report};
use crate::price::import::Tree;

/// A place in a file, both from 1, the column in characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub(super) struct At {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// A name with its place.
#[derive(Clone, Debug)]
pub(super) struct Label {
    pub(super) text: String,
    pub(super) at: At,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: At,
    pub(super) value: Value,
}

impl Node {
    /// The values alone.
    pub(super) fn into_tree(self) -> Tree {
        match self.value {
            Value::Null | Value::Broken => Tree::Null,
            Value::Text(text) => Tree::Text(text.text),
            Value::List(items) => Tree::List(items.into_iter().map(Node::into_tree).collect()),
            Value::Map(entries) => {
                Tree::Map(entries.into_iter().map(|(key, node)| (key.text, node.into_tree())).collect())
            }
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Text(Text),
    List(Vec<Node>),
    Map(Vec<(Label, Node)>),
    /// Reported already; whoever meets it says nothing more.
    Broken,
}

#[derive(Clone, Debug)]
pub(super) struct Text {
    /// As typed, for messages: never holds what a variable stood for.
    pub(super) typed: String,
    /// With `${…}` replaced.
    pub(super) text: String,
}

/// Reads a file. Nothing comes back when it is not YAML, or when it is empty.
pub(super) fn parse(
    source: &Source,
    env: &dyn Fn(&str) -> Option<String>,
    report: &mut Report,
) -> Option<Node> {
    let options = serde_saphyr::options! { with_snippet: false };
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(&source.text, options) {
        Ok(raw) => {
            let node = build(raw, source, env, report);
            (!matches!(node.value, Value::Null)).then_some(node)
        }
        Err(error) => {
            report.push(not_yaml(&error, source));
            None
        }
    }
}

fn not_yaml(error: &YamlError, source: &Source) -> Mistake {
    let inner = error.without_snippet();
    let (line, column) =
        inner.location().map_or((0, 0), |place| (place.line() as usize, place.column() as usize));
    let (message, cure) = match inner {
        YamlError::DuplicateMappingKey { key, .. } => (
            match key {
                Some(key) => format!("`{key}` is given twice"),
                None => "a key is given twice".to_owned(),
            },
            "keep one of them".to_owned(),
        ),
        other => {
            let text = other.to_string();
            // The place is told in front of the message.
            let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
            let cure = if source.text.contains('\t') {
                "indent with spaces, not tabs"
            } else {
                "check indentation, colons and quotes on this line and the one before"
            };
            (format!("not valid YAML: {text}"), cure.to_owned())
        }
    };
    Mistake { file: source.file.clone(), line, column, message, cure, severity: Severity::Error }
}

/// A value before its text is known: of plain scalars only their kind arrives here, since YAML would make a number of
/// `1.20`; the text as typed is cut out of the file.
enum Raw {
    Null,
    Plain,
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Raw, D::Error> {
        struct Shape;
        impl<'de> Visitor<'de> for Shape {
            type Value = Raw;
            fn expecting(&self, f: &mut std_fmt::Formatter<'_>) -> std_fmt::Result {
                f.write_str("a value")
            }
            fn visit_unit<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
                Ok(Raw::Plain)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
                Ok(Raw::Plain)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
                Ok(Raw::Plain)
            }
            fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
                Ok(Raw::Plain)
            }
            fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
                Ok(Raw::Plain)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
                Ok(Raw::Plain)
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

fn build(
    raw: Spanned<Raw>,
    source: &Source,
    env: &dyn Fn(&str) -> Option<String>,
    report: &mut Report,
) -> Node {
    let place = raw.defined;
    let at = At { line: place.line() as usize, column: place.column() as usize };
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Plain => {
            let span = place.span();
            let cut = span
                .byte_offset()
                .zip(span.byte_len())
                .and_then(|(start, length)| source.text.get(start as usize..(start + length) as usize));
            match cut {
                Some(text) => Value::Text(Text { typed: text.to_owned(), text: text.to_owned() }),
                None => {
                    report.error(at, "this value cannot be read", "put it in quotes");
                    Value::Broken
                }
            }
        }
        Raw::Text(typed) => match replace(&typed, env) {
            Ok(text) => Value::Text(Text { typed, text }),
            Err(problem) => {
                let (message, cure) = problem.words();
                report.error(at, message, cure);
                Value::Broken
            }
        },
        Raw::List(items) => {
            Value::List(items.into_iter().map(|item| build(item, source, env, report)).collect())
        }
        Raw::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| {
                    let at = At { line: key.defined.line() as usize, column: key.defined.column() as usize };
                    (Label { text: key.value, at }, build(value, source, env, report))
                })
                .collect(),
        ),
    };
    Node { at, value }
}

#[derive(PartialEq, Eq, Debug)]
enum BadReplacement {
    Missing(String),
    Unclosed,
    NotAName(String),
}

impl BadReplacement {
    fn words(&self) -> (String, String) {
        match self {
            BadReplacement::Missing(name) => (
                format!("environment variable `{name}` is not set"),
                format!("set it, or give a default: `${{{name}:-…}}`"),
            ),
            BadReplacement::Unclosed => (
                "`${` without its `}`".to_owned(),
                "close it, or write `$${` for the characters themselves".to_owned(),
            ),
            BadReplacement::NotAName(name) => (
                format!("`{name}` is not the name of an environment variable"),
                "write `${NAME}`, or `$${` for the characters themselves".to_owned(),
            ),
        }
    }
}

/// Replaces `${NAME}` and `${NAME:-default}` (also when the variable is empty, as in a shell); `$$` stands for `$`.
/// What a variable holds is not looked through again.
fn replace(typed: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, BadReplacement> {
    let mut out = String::with_capacity(typed.len());
    let mut rest = typed;
    while let Some(start) = rest.find('$') {
        out.push_str(&rest[..start]);
        rest = &rest[start + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let end = after.find('}').ok_or(BadReplacement::Unclosed)?;
            let (name, default) = match after[..end].split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (&after[..end], None),
            };
            let is_name = !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                && !name.as_bytes()[0].is_ascii_digit();
            if !is_name {
                return Err(BadReplacement::NotAName(name.to_owned()));
            }
            match (env(name), default) {
                (Some(value), None) => out.push_str(&value),
                (Some(value), Some(_)) if !value.is_empty() => out.push_str(&value),
                (_, Some(default)) => out.push_str(default),
                (None, None) => return Err(BadReplacement::Missing(name.to_owned())),
            }
            rest = &after[end + 1..];
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_once() {
        let env = |name: &str| match name {
            "KEY" => Some("sk-${NOT_AGAIN}".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let check = |typed: &str, text: Result<&str, BadReplacement>| {
            assert_eq!(replace(typed, &env), text.map(str::to_owned), "{typed}");
        };
        check("a ${KEY} b", Ok("a sk-${NOT_AGAIN} b"));
        check("${NONE:-x:-y}", Ok("x:-y"));
        check("${EMPTY:-x}", Ok("x"));
        check("${EMPTY}", Ok(""));
        check("$${KEY} costs $5 or 5$$", Ok("${KEY} costs $5 or 5$"));
        check("${NONE}", Err(BadReplacement::Missing("NONE".into())));
        check("${KEY", Err(BadReplacement::Unclosed));
        check("${a b}", Err(BadReplacement::NotAName("a b".into())));
    }
}
