//! A file of YAML, TOML or JSON as one kind of tree, in which every value knows its line.
//!
//! Numbers stay the text they were written as, so that a price is never read through a float.

use std::{cell::Cell, collections::HashSet};

use gauntlet_places::{self as places, NotYaml, Plain, Problem};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use toml::de::{DeTable, DeValue};

/// Deeper than anybody nests strategies of Portkey or anchors of YAML, and far from the end of the stack.
const DEPTH_MAX: usize = 64;
/// Aliases of YAML multiply what a short file holds; a configuration of a thousand models has some 20,000 values.
const VALUES_MAX: usize = 200_000;

#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// From 1.
    pub line: usize,
    pub value: Value,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    Null,
    Bool(bool),
    /// As written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// Why a file cannot be read at all. Holds nothing of the file's values: they may be secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unreadable {
    /// From 1; 0 when it concerns no line.
    pub line: usize,
    pub why: String,
    pub cure: String,
}

impl Unreadable {
    pub fn new(line: usize, why: impl Into<String>, cure: impl Into<String>) -> Unreadable {
        Unreadable { line, why: why.into(), cure: cure.into() }
    }
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        write!(f, "{}; {}", self.why, self.cure)
    }
}

impl std::error::Error for Unreadable {}

/// Counts what is read, so that a small file cannot become a large tree.
struct Bounds {
    left: Cell<usize>,
}

impl Bounds {
    fn new() -> Bounds {
        Bounds { left: Cell::new(VALUES_MAX) }
    }

    fn enter(&self, line: usize, depth: usize) -> Result<(), Unreadable> {
        if depth > DEPTH_MAX {
            let why = format!("it is nested deeper than {DEPTH_MAX} levels");
            return Err(Unreadable::new(line, why, "no configuration is; check brackets and indentation"));
        }
        let left = self.left.get().checked_sub(1).ok_or_else(|| {
            let why = format!("it holds more than {VALUES_MAX} values, aliases followed");
            Unreadable::new(line, why, "import it in parts")
        })?;
        self.left.set(left);
        Ok(())
    }
}

pub fn yaml(text: &str) -> Result<Node, Unreadable> {
    of_yaml(places::parse(text).map_err(|error| not_yaml(&error))?, &Bounds::new(), 0)
}

fn not_yaml(error: &NotYaml) -> Unreadable {
    let (why, cure) = match &error.problem {
        Problem::Twice(_) => (error.message(), error.cure()),
        Problem::TooMuch(_) => (
            "it holds more values than a configuration does, aliases followed".to_owned(),
            "write out what its aliases stand for, or import it in parts",
        ),
        Problem::Syntax(_) => (format!("it is {}", error.message()), error.cure()),
    };
    Unreadable::new(error.at.line, why, cure)
}

fn of_yaml(read: places::Node, bounds: &Bounds, depth: usize) -> Result<Node, Unreadable> {
    // An alias is told where it stands, not where its anchor is.
    let line = read.used.line;
    bounds.enter(line, depth)?;
    let value = match read.value {
        places::Value::Null => Value::Null,
        places::Value::Bool(Plain { value, .. }) => Value::Bool(value),
        places::Value::Number(Plain { typed, .. }) => Value::Number(typed),
        places::Value::Text(text) => Value::Text(text),
        places::Value::List(items) => Value::List(
            items.into_iter().map(|item| of_yaml(item, bounds, depth + 1)).collect::<Result<_, _>>()?,
        ),
        places::Value::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(label, item)| Ok((label.text, of_yaml(item, bounds, depth + 1)?)))
                .collect::<Result<_, Unreadable>>()?,
        ),
    };
    Ok(Node { line, value })
}

pub fn toml(text: &str) -> Result<Node, Unreadable> {
    let lines = Lines::of(text);
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(0, |span| lines.at(span.start));
        let why = format!("it is not valid TOML: {}", error.message());
        Unreadable::new(line, why, "check brackets, quotes and equal signs on this line and the one before")
    })?;
    let value = of_table(table.get_ref(), &lines, &Bounds::new(), 0)?;
    Ok(Node { line: 1, value })
}

fn of_table(
    table: &DeTable<'_>,
    lines: &Lines<'_>,
    bounds: &Bounds,
    depth: usize,
) -> Result<Value, Unreadable> {
    let mut entries = Vec::new();
    for (key, value) in table {
        // A table's own place is its first header, or its first key where it has none.
        let line = lines.at(key.span().start);
        bounds.enter(line, depth)?;
        let node = Node { line, value: of_toml(value.get_ref(), lines, bounds, line, depth + 1)? };
        entries.push((key.span().start, key.get_ref().to_string(), node));
    }
    entries.sort_by_key(|(start, ..)| *start);
    Ok(Value::Map(entries.into_iter().map(|(_, key, node)| (key, node)).collect()))
}

fn of_toml(
    value: &DeValue<'_>,
    lines: &Lines<'_>,
    bounds: &Bounds,
    line: usize,
    depth: usize,
) -> Result<Value, Unreadable> {
    Ok(match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => Value::Number(number.to_string()),
        DeValue::Float(number) => Value::Number(number.to_string()),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(time) => Value::Text(time.to_string()),
        DeValue::Table(table) => of_table(table, lines, bounds, depth)?,
        DeValue::Array(items) => {
            let mut list = Vec::new();
            for item in items {
                let line = if item.span().is_empty() { line } else { lines.at(item.span().start) };
                bounds.enter(line, depth)?;
                list.push(Node { line, value: of_toml(item.get_ref(), lines, bounds, line, depth + 1)? });
            }
            Value::List(list)
        }
    })
}

pub fn json(text: &str) -> Result<Node, Unreadable> {
    let lines = Lines::of(text);
    // A byte-order mark is what some editors put in front.
    let whole: &RawValue = serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| {
        let said = error.to_string();
        let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(said, _)| said);
        let cure = "check commas, quotes and brackets on this line and the one before; JSON has no comments";
        Unreadable::new(error.line(), format!("it is not valid JSON: {said}"), cure)
    })?;
    of_json(whole.get(), &lines, &Bounds::new(), 0)
}

/// `text` is a part of the file, so that its place is known.
fn of_json(text: &str, lines: &Lines<'_>, bounds: &Bounds, depth: usize) -> Result<Node, Unreadable> {
    let line = lines.of_part(text);
    bounds.enter(line, depth)?;
    let bad = |error: serde_json::Error| {
        Unreadable::new(line, format!("it is not valid JSON: {error}"), "check quotes and brackets here")
    };
    let value = match text.bytes().next() {
        Some(b'{') => {
            let Entries(entries) = serde_json::from_str(text).map_err(bad)?;
            let (mut map, mut seen) = (Vec::new(), HashSet::new());
            for (key, raw) in entries {
                let node = of_json(raw.get(), lines, bounds, depth + 1)?;
                if !seen.insert(key.clone()) {
                    let why = format!("`{}` is given twice", key.escape_debug());
                    return Err(Unreadable::new(node.line, why, "keep one of them"));
                }
                map.push((key, node));
            }
            Value::Map(map)
        }
        Some(b'[') => {
            let list: Vec<&RawValue> = serde_json::from_str(text).map_err(bad)?;
            let read = |raw: &RawValue| of_json(raw.get(), lines, bounds, depth + 1);
            Value::List(list.into_iter().map(read).collect::<Result<_, _>>()?)
        }
        Some(b'"') => Value::Text(serde_json::from_str(text).map_err(bad)?),
        Some(b'n') => Value::Null,
        Some(b't') => Value::Bool(true),
        Some(b'f') => Value::Bool(false),
        _ => Value::Number(text.to_owned()),
    };
    Ok(Node { line, value })
}

/// The entries of a JSON object as they stand, doubled keys included.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Entries<'de>, D::Error> {
        struct Shape;
        impl<'de> Visitor<'de> for Shape {
            type Value = Entries<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Entries<'de>, A::Error> {
                let mut map = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    map.push(entry);
                }
                Ok(Entries(map))
            }
        }
        deserializer.deserialize_map(Shape)
    }
}

/// Where the lines of a text begin.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Lines<'a> {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Lines { text, starts: std::iter::once(0).chain(breaks).collect() }
    }

    fn at(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }

    fn of_part(&self, part: &str) -> usize {
        self.at(part.as_ptr() as usize - self.text.as_ptr() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(node: &Node) -> String {
        let inner = match &node.value {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Number(text) => text.clone(),
            Value::Text(text) => format!("{text:?}"),
            Value::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(" ")),
            Value::Map(entries) => {
                let entries = entries.iter().map(|(key, node)| format!("{key}={}", shown(node)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(" "))
            }
        };
        format!("{}:{inner}", node.line)
    }

    #[test]
    fn every_format_gives_values_as_written_with_their_lines() {
        let check =
            |node: Result<Node, Unreadable>, expected: &str| assert_eq!(shown(&node.unwrap()), expected);
        check(
            yaml("a: 1.50\nb:\n  - &x {c: yes, d: 3e-07}\n  - *x\ne: ~\n"),
            "1:{a=1:1.50 b=3:[3:{c=3:true d=3:3e-07} 4:{c=4:true d=4:3e-07}] e=5:null}",
        );
        check(
            toml("a = 1_000\n[b]\nc = [\n  \"x\",\n  true]\n[[d]]\ne = 0.10\n"),
            "1:{a=1:1000 b=2:{c=3:[4:\"x\" 5:true]} d=6:[6:{e=7:0.10}]}",
        );
        check(
            json("{\"a\": 1e-7,\n \"b\": [null,\n  \"\\ud83d\\ude00\"]}"),
            "1:{a=1:1e-7 b=2:[2:null 3:\"😀\"]}",
        );
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_line_and_without_its_values() {
        let check = |node: Result<Node, Unreadable>, line: usize, why: &str| {
            let error = node.unwrap_err();
            assert!(error.line == line && error.why.contains(why), "{error}");
            assert!(!error.to_string().contains("sk-") && !error.cure.is_empty(), "{error}");
        };
        check(yaml("a: [1\nkey: sk-1"), 2, "not valid YAML");
        check(yaml("a: 1\na: sk-2"), 2, "`a` is given twice");
        check(yaml("a: &x [*x]"), 1, "not valid YAML");
        check(toml("a = 1\nkey = sk-1"), 2, "not valid TOML");
        check(toml("a = 1\na = 2"), 2, "not valid TOML");
        check(json("{\"a\": 1,\n\"key\": sk-1}"), 2, "not valid JSON");
        check(json("{\"a\": 1,\n\"a\": \"sk-2\"}"), 2, "`a` is given twice");
        check(json(&format!("{}{}", "[".repeat(100), "]".repeat(100))), 1, "nested deeper");
        assert!(yaml(&format!("{}1{}", "[".repeat(500), "]".repeat(500))).is_err());
        assert!(toml(&format!("a = {}1{}", "[".repeat(500), "]".repeat(500))).is_err());
        assert!(json(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn aliases_that_multiply_come_to_an_end() {
        let mut text = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
        for level in 1..9 {
            let ten = vec![format!("*a{}", level - 1); 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{ten}]\n"));
        }
        let error = yaml(&text).unwrap_err();
        assert!(error.why.contains("more values") && error.line > 0, "{error}");
    }
}
