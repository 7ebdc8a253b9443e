//! The tree of a file with `${…}` replaced, and every plain value as the text that was typed: a price is never read through
//! a float.

use gauntlet_places as places;
pub(super) use gauntlet_places::{At, Label};

use super::{Source, read::Report};
use crate::price::import::Tree;

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
    match places::parse(&source.text) {
        Ok(read) => {
            let node = build(read, env, report);
            (!matches!(node.value, Value::Null)).then_some(node)
        }
        Err(error) => {
            report.error(error.at, error.message(), error.cure());
            None
        }
    }
}

fn build(read: places::Node, env: &dyn Fn(&str) -> Option<String>, report: &mut Report) -> Node {
    let at = read.at;
    let value = match read.value {
        places::Value::Null => Value::Null,
        places::Value::Bool(places::Plain { typed, .. })
        | places::Value::Number(places::Plain { typed, .. }) => {
            Value::Text(Text { text: typed.clone(), typed })
        }
        places::Value::Text(typed) => match replace(&typed, env) {
            Ok(text) => Value::Text(Text { typed, text }),
            Err(problem) => {
                let (message, cure) = problem.words();
                report.error(at, message, cure);
                Value::Broken
            }
        },
        places::Value::List(items) => {
            Value::List(items.into_iter().map(|item| build(item, env, report)).collect())
        }
        places::Value::Map(entries) => {
            Value::Map(entries.into_iter().map(|(label, item)| (label, build(item, env, report))).collect())
        }
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
