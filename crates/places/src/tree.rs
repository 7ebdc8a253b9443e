//! The tree, and how a text becomes one.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_saphyr::{Location, Spanned};

use crate::{At, NotYaml};

#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// Where it is written.
    pub at: At,
    /// Where it is used: elsewhere for what an alias stands for.
    pub used: At,
    pub value: Value,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    Null,
    Bool(Plain<bool>),
    /// Finite; beyond 64 bits only about as large as written.
    Number(Plain<Number>),
    /// Quoted, in a block, or a plain one that is nothing else.
    Text(String),
    List(Vec<Node>),
    /// In the order of the file, no key twice.
    Map(Vec<(Label, Node)>),
}

impl Node {
    /// The values alone.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(plain) => plain.value.into(),
            Value::Number(plain) => plain.value.clone().into(),
            Value::Text(text) => text.as_str().into(),
            Value::List(items) => items.iter().map(Node::to_json).collect(),
            Value::Map(entries) => {
                let fields = entries.iter().map(|(label, node)| (label.text.clone(), node.to_json()));
                serde_json::Value::Object(fields.collect())
            }
        }
    }
}

/// A value without quotes: what YAML takes it for, and as it was typed, since `1.20` may be a version and `no` a country.
#[derive(Clone, PartialEq, Debug)]
pub struct Plain<T> {
    pub typed: String,
    pub value: T,
}

/// A name with its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Label {
    pub text: String,
    pub at: At,
}

/// Reads a text to its end. An empty one is null.
pub fn parse(text: &str) -> Result<Node, NotYaml> {
    let options = serde_saphyr::options! { with_snippet: false };
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options) {
        Ok(raw) => Ok(build(raw, text)),
        Err(error) => Err(NotYaml::new(&error, text)),
    }
}

/// A value before it is known how it was typed: a parser gives `1.20` as a number alone.
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
            fn visit_i128<E: Error>(self, value: i128) -> Result<Raw, E> {
                self.visit_f64(value as f64)
            }
            fn visit_u128<E: Error>(self, value: u128) -> Result<Raw, E> {
                self.visit_f64(value as f64)
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Raw, E> {
                // The parser refuses `.nan` and `.inf` before they come here.
                Number::from_f64(value).map(Raw::Number).ok_or_else(|| E::custom("a number must be finite"))
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

fn build(raw: Spanned<Raw>, text: &str) -> Node {
    let typed = || cut(text, raw.defined);
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Bool(value) => Value::Bool(Plain { typed: typed(), value }),
        Raw::Number(value) => Value::Number(Plain { typed: typed(), value }),
        Raw::Text(text) => Value::Text(text),
        Raw::List(items) => Value::List(items.into_iter().map(|item| build(item, text)).collect()),
        Raw::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| (Label { text: key.value, at: at(key.defined) }, build(value, text)))
                .collect(),
        ),
    };
    Node { at: at(raw.defined), used: at(raw.referenced), value }
}

fn at(place: Location) -> At {
    At { line: place.line() as usize, column: place.column() as usize }
}

/// A parser of a whole text knows the bytes of everything it read.
fn cut(text: &str, place: Location) -> String {
    let span = place.span();
    let range = span.byte_offset().zip(span.byte_len()).map(|(start, length)| {
        let (start, length) = (start as usize, length as usize);
        start..start + length
    });
    let cut = range.and_then(|range| text.get(range));
    debug_assert!(cut.is_some(), "a plain value has its bytes in the text");
    cut.unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Problem;

    fn shown(node: &Node) -> String {
        let inner = match &node.value {
            Value::Null => "null".to_owned(),
            Value::Bool(plain) => format!("{}={}", plain.typed, plain.value),
            Value::Number(plain) => format!("{}={}", plain.typed, plain.value),
            Value::Text(text) => format!("{text:?}"),
            Value::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(" ")),
            Value::Map(entries) => {
                let entries = entries
                    .iter()
                    .map(|(key, node)| format!("{}@{}: {}", key.text, key.at.column, shown(node)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
            }
        };
        let used = if node.used == node.at { String::new() } else { format!("<{}", node.used.line) };
        format!("{}:{}{used} {inner}", node.at.line, node.at.column)
    }

    #[test]
    fn values_are_told_with_their_place_and_as_typed() {
        let check = |text: &str, wanted: &str| assert_eq!(shown(&parse(text).unwrap()), wanted, "{text}");
        check("", "1:1 null");
        check("a: 1.20\nb: ~", "1:1 {a@1: 1:4 1.20=1.2, b@1: 2:4 null}");
        check("[yes, 0x10, 3e-07]", "1:1 [1:2 yes=true 1:7 0x10=16 1:13 3e-07=3e-7]");
        check("- 99999999999999999999", "1:1 [1:3 99999999999999999999=1e+20]");
        check("ä: \"1\"\nö:   |\n  é\n", "1:1 {ä@1: 1:4 \"1\", ö@1: 3:3 \"é\\n\"}");
        check("- &x {c: 1}\n- *x", "1:1 [1:6 {c@7: 1:10 1=1} 1:6<2 {c@7: 1:10<2 1=1}]");
    }

    #[test]
    fn what_is_not_yaml_is_told_with_its_place_and_cure() {
        let check = |text: &str, line: usize, message: &str, cure: &str| {
            let error = parse(text).unwrap_err();
            assert!(error.at.line == line && error.message().starts_with(message), "{error:?}");
            assert!(error.cure().starts_with(cure), "{}", error.cure());
        };
        check("a: 1\na: 2", 2, "`a` is given twice", "keep one");
        check("a: [1\nb: 2", 2, "not valid YAML: ", "check indentation");
        check("a: .nan", 1, "not valid YAML: non-finite", "check indentation");
        check("a:\n\t- [1", 2, "not valid YAML: ", "indent with spaces");
        let error = parse(&format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000))).unwrap_err();
        assert!(matches!(error.problem, Problem::TooMuch(_)), "{error:?}");
    }
}
