//! Arguments that Vertex streams in pieces, each with the path of the value it belongs to
//! (`streamFunctionCallArguments`): put together here, so that they are told as the JSON they are.

use serde_json::{Map, Value};

use crate::json::{Cursor, DEPTH_MAX, Literal, Scan, ValueKind};

/// Bytes of values and paths that are put together for one call: as many as one frame may have.
const SIZE_MAX: usize = crate::sse::FRAME_MAX;

/// Items of lists that the paths of one call may make: one could leap to any number.
const ITEMS_MAX: usize = 10_000;

#[derive(Debug)]
pub(super) struct Partial {
    whole: Value,
    size: usize,
    items_left: usize,
}

impl Default for Partial {
    fn default() -> Partial {
        Partial { whole: Value::Object(Map::new()), size: 0, items_left: ITEMS_MAX }
    }
}

/// One piece: `{"jsonPath": "$.city", "stringValue": "Par", "willContinue": true}`.
#[derive(Debug)]
pub(super) struct Piece {
    path: String,
    value: Value,
    /// The literal of a text.
    pub text: Option<Literal>,
}

impl Piece {
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Scan<Option<Piece>> {
        if cursor.kind()? != ValueKind::Object {
            cursor.skip()?;
            return Ok(None);
        }
        let (mut path, mut value, mut text) = (None, Value::Null, None);
        let mut object = cursor.enter()?;
        while let Some(key) = cursor.member(&mut object)? {
            match (&*key, cursor.kind()?) {
                ("jsonPath", ValueKind::String) => {
                    let literal = cursor.literal()?;
                    path = Some(cursor.text(literal).into_owned());
                }
                ("stringValue", ValueKind::String) => {
                    let literal = cursor.literal()?;
                    value = cursor.text(literal).into_owned().into();
                    text = Some(literal);
                }
                ("numberValue" | "boolValue", _) => {
                    let span = cursor.span()?;
                    value = serde_json::from_str(cursor.slice(span)).unwrap_or_default();
                }
                _ => cursor.skip()?,
            }
        }
        Ok(path.map(|path| Piece { path, value, text }))
    }
}

impl Partial {
    /// Adds a piece; text goes on where text stands. What cannot be placed is left out.
    pub(super) fn add(&mut self, piece: Piece) {
        self.size += piece.path.len() + piece.value.as_str().map_or(8, str::len);
        if self.size > SIZE_MAX {
            return;
        }
        let Some(steps) = steps(&piece.path) else { return };
        let Some(at) = place(&mut self.whole, steps, &mut self.items_left) else { return };
        match (at, piece.value) {
            (Value::String(text), Value::String(more)) => text.push_str(&more),
            (at, value) => *at = value,
        }
    }

    pub(super) fn json(&self) -> String {
        self.whole.to_string()
    }
}

enum Step {
    Member(String),
    Item(usize),
}

/// `$.a.b[0]['c']` as its steps; none for anything else (RFC 9535 knows more, which names no single place).
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if steps.len() == usize::from(DEPTH_MAX) {
            return None;
        }
        if let Some(named) = rest.strip_prefix('.') {
            let end = named.find(['.', '[']).unwrap_or(named.len());
            steps.push(Step::Member(named[..end].to_owned()));
            rest = &named[end..];
            continue;
        }
        let (inner, behind) = rest.strip_prefix('[')?.split_once(']')?;
        let quoted = inner.strip_prefix(['\'', '"']).and_then(|name| name.strip_suffix(['\'', '"']));
        steps.push(match quoted {
            Some(name) => Step::Member(name.to_owned()),
            None => Step::Item(inner.parse().ok()?),
        });
        rest = behind;
    }
    (!steps.is_empty()).then_some(steps)
}

/// The place in the tree, made where it is not there yet.
fn place<'t>(tree: &'t mut Value, steps: Vec<Step>, items_left: &mut usize) -> Option<&'t mut Value> {
    let mut at = tree;
    for step in steps {
        at = match step {
            Step::Member(name) => {
                if at.is_null() {
                    *at = Value::Object(Map::new());
                }
                at.as_object_mut()?.entry(name).or_insert(Value::Null)
            }
            Step::Item(index) => {
                if at.is_null() {
                    *at = Value::Array(Vec::new());
                }
                let items = at.as_array_mut()?;
                if items.len() <= index {
                    *items_left = items_left.checked_sub(index + 1 - items.len())?;
                    items.resize(index + 1, Value::Null);
                }
                &mut items[index]
            }
        };
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pieces_become_the_json_they_are_of() {
        let check = |pieces: &[(&str, Value)], expected: Value| {
            let mut partial = Partial::default();
            for (path, value) in pieces {
                partial.add(Piece { path: (*path).to_owned(), value: value.clone(), text: None });
            }
            assert_eq!(partial.json(), expected.to_string());
        };
        check(&[], json!({}));
        check(
            &[("$.a", json!("Par")), ("$.a", json!("is")), ("$.n", json!(2))],
            json!({"a": "Paris", "n": 2}),
        );
        check(
            &[("$.a[1].b", json!(true)), ("$['x y'][0]", json!("z"))],
            json!({"a": [null, {"b": true}], "x y": ["z"]}),
        );
        check(
            &[("$.a", json!(1)), ("$.a.b", json!(2)), ("$..a", json!(3)), ("a", json!(4))],
            json!({"a": 1, "": {"a": 3}}),
        );
        check(
            &[("$[0]", json!(1)), ("$.a[99999999]", json!(1)), ("$.b[", json!(1)), ("$", json!(1))],
            json!({"a": []}),
        );
    }
}
