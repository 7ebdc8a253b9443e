//! The share of an expected object's fields that an answer has right.
//!
//! Counted are leaves: texts, numbers, truth values, `null`, and empty lists and objects. Lists are compared place by place
//! (`arrays: ordered`) or in any order (`arrays: set`: each expected entry, the largest first, takes the entry left over
//! that has most of it right). Fields that nobody expected count only with `strict`, as wrong ones.

use std::collections::BTreeSet;

use gauntlet_ports::Direction::HigherIsBetter;
use serde_json::{Value, json};

use super::{
    Measure, Measured, Sheet,
    json::find,
    options::Options,
    sheet::{Plain, Range},
    wanted::Wanted,
};
use crate::{Case, Mistake, Scorer, Seen};

/// Leaves of one comparison; no answer has more, and lists in any order take its square.
const LEAVES_MAX: usize = 5_000;
/// Fields that evidence names.
const SHOWN_MAX: usize = 200;
/// Entries of lists that are compared in any order.
const SET_MAX: usize = 200;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lists {
    Ordered,
    Set,
}

struct Fields {
    wanted: Wanted,
    lists: Lists,
    tolerance: f64,
    ignore_case: bool,
    is_strict: bool,
    /// Paths that do not count, those below them included.
    ignored: Vec<String>,
}

pub(super) fn json_fields(options: &mut Options<'_>) -> Result<Box<dyn Scorer>, Mistake> {
    let measure = Fields {
        wanted: Wanted::take(options)?,
        lists: options.word("arrays", &[("ordered", Lists::Ordered), ("set", Lists::Set)])?,
        tolerance: options.amount("tolerance")?.unwrap_or(0.0),
        ignore_case: options.flag("ignore_case")?,
        is_strict: options.flag("strict")?,
        ignored: options.texts("ignore_fields")?.unwrap_or_default(),
    };
    let sheet = Sheet::new(options, "gauntlet/1:json_fields", HigherIsBetter, Range::Share)?;
    Plain::boxed(options, sheet, measure)
}

/// A leaf, and whether it is right. `got` is none where it is missing.
struct Leaf {
    path: String,
    is_right: bool,
    expected: Option<Value>,
    got: Option<Value>,
}

impl Fields {
    fn wanted(&self, case: &Case) -> Result<Value, String> {
        let value = self.wanted.of(case)?.into_owned();
        let value = match value {
            Value::String(text) => find(&text).ok_or("an object in `expected`")?,
            other => other,
        };
        match value {
            Value::Object(_) | Value::Array(_) => {}
            _ => return Err("an object in `expected`".to_owned()),
        }
        if count(&value) > LEAVES_MAX {
            return Err(format!("an `expected` of at most {LEAVES_MAX} fields"));
        }
        Ok(value)
    }

    fn is_ignored(&self, path: &str) -> bool {
        let covers = |known: &String| {
            path.strip_prefix(known.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.ignored.iter().any(covers)
    }

    fn is_right(&self, expected: &Value, got: &Value) -> bool {
        match (expected, got) {
            (Value::String(expected), Value::String(got)) if self.ignore_case => {
                expected.trim().to_lowercase() == got.trim().to_lowercase()
            }
            (Value::String(expected), Value::String(got)) => expected.trim() == got.trim(),
            (Value::Number(_), Value::Number(_)) => {
                let (Some(expected), Some(got)) = (expected.as_f64(), got.as_f64()) else {
                    return expected == got;
                };
                (expected - got).abs() <= self.tolerance.max(1e-9 * expected.abs())
            }
            _ => expected == got,
        }
    }

    fn compare(&self, path: &str, expected: &Value, got: Option<&Value>, out: &mut Vec<Leaf>) {
        if self.is_ignored(path) {
            return;
        }
        match (expected, got) {
            (Value::Object(fields), _) if !fields.is_empty() => {
                for (name, value) in fields {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    self.compare(&path, value, got.and_then(|got| got.get(name)), out);
                }
            }
            (Value::Array(items), Some(Value::Array(given)))
                if !items.is_empty() && self.lists == Lists::Set =>
            {
                self.in_any_order(path, items, given, out);
            }
            (Value::Array(items), _) if !items.is_empty() => {
                for (at, value) in items.iter().enumerate() {
                    self.compare(&format!("{path}[{at}]"), value, got.and_then(|got| got.get(at)), out);
                }
            }
            _ => out.push(Leaf {
                path: path.to_owned(),
                is_right: got.is_some_and(|got| self.is_right(expected, got)),
                expected: Some(expected.clone()),
                got: got.cloned(),
            }),
        }
    }

    fn in_any_order(&self, path: &str, items: &[Value], given: &[Value], out: &mut Vec<Leaf>) {
        let mut order: Vec<usize> = (0..items.len().min(SET_MAX)).collect();
        order.sort_by_key(|at| std::cmp::Reverse(count(&items[*at])));
        let mut left: Vec<&Value> = given.iter().take(SET_MAX).collect();
        for at in order {
            let path = format!("{path}[{at}]");
            let right = |given: &Value| {
                let mut leaves = Vec::new();
                self.compare(&path, &items[at], Some(given), &mut leaves);
                leaves.iter().filter(|leaf| leaf.is_right).count()
            };
            let best = left.iter().enumerate().map(|(place, given)| (right(given), place));
            // Of equals the first.
            let best = best.max_by_key(|(right, place)| (*right, std::cmp::Reverse(*place)));
            let best = best.filter(|(right, _)| *right > 0).map(|(_, place)| left.remove(place));
            self.compare(&path, &items[at], best, out);
        }
    }

    /// Fields of objects that nobody expected; entries of lists beyond those expected.
    fn surplus(&self, path: &str, expected: &Value, got: &Value, out: &mut Vec<Leaf>) {
        let add = |path: String, value: &Value, out: &mut Vec<Leaf>| {
            if !self.is_ignored(&path) {
                let leaf =
                    || Leaf { path: path.clone(), is_right: false, expected: None, got: Some(value.clone()) };
                out.extend((0..count(value).min(LEAVES_MAX)).map(|_| leaf()));
            }
        };
        match (expected, got) {
            (Value::Object(expected), Value::Object(got)) => {
                for (name, value) in got {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    match expected.get(name) {
                        None => add(path, value, out),
                        Some(expected) => self.surplus(&path, expected, value, out),
                    }
                }
            }
            (Value::Array(expected), Value::Array(got)) => {
                for (at, value) in got.iter().enumerate().skip(expected.len()) {
                    add(format!("{path}[{at}]"), value, out);
                }
                if self.lists == Lists::Ordered {
                    for (at, (expected, value)) in expected.iter().zip(got).enumerate() {
                        self.surplus(&format!("{path}[{at}]"), expected, value, out);
                    }
                }
            }
            _ => {}
        }
    }
}

impl Measure for Fields {
    fn lacks(&self, case: &Case) -> Option<String> {
        self.wanted(case).err()
    }

    fn measure(&self, seen: &Seen<'_>) -> Measured {
        let wanted = match self.wanted(seen.case) {
            Ok(wanted) => wanted,
            Err(lacks) => return Measured::none(format!("the case lacks {lacks}")),
        };
        let got = find(seen.text);
        let mut leaves = Vec::new();
        self.compare("", &wanted, got.as_ref(), &mut leaves);
        if let Some(got) = got.as_ref().filter(|_| self.is_strict) {
            self.surplus("", &wanted, got, &mut leaves);
        }
        if leaves.is_empty() {
            return Measured::none("all of its fields are ignored");
        }
        let right = leaves.iter().filter(|leaf| leaf.is_right).count();
        let wrong: BTreeSet<&str> = leaves
            .iter()
            .filter(|leaf| !leaf.is_right)
            .map(|leaf| leaf.path.as_str())
            .take(SHOWN_MAX)
            .collect();
        let shown = leaves.iter().take(SHOWN_MAX).map(|leaf| {
            json!({"path": leaf.path, "right": leaf.is_right, "expected": leaf.expected, "got": leaf.got})
        });
        let evidence = json!({"right": right, "of": leaves.len(), "fields": shown.collect::<Vec<_>>()});
        let measured = Measured::value(right as f64 / leaves.len() as f64).with(evidence);
        match (got.is_some(), wrong.is_empty()) {
            (false, _) => measured.because("there is no JSON in the answer"),
            (true, true) => measured,
            (true, false) => {
                let names: Vec<&str> = wrong.iter().copied().take(5).collect();
                measured.because(format!("wrong or missing: {}", names.join(", ")))
            }
        }
    }
}

/// Leaves of a value; an empty list or object is one.
fn count(value: &Value) -> usize {
    match value {
        Value::Object(fields) if !fields.is_empty() => fields.values().map(count).sum(),
        Value::Array(items) if !items.is_empty() => items.iter().map(count).sum(),
        _ => 1,
    }
}

/// Whether two values are the same, where 1 is 1.0.
pub(super) fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| is_same(a, b)))
        }
        _ => a == b,
    }
}
