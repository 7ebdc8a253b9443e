//! Options of a metric that are made from a case: `value: "{{ expected }}"`.
//!
//! A text that is one `{{ expression }}` and nothing else keeps the kind of its value (a list stays a list); anything else
//! becomes a text. What comes out of a case is data and never read as a template again.

use std::{borrow::Cow, fmt};

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value as Jinja, value::Serde};
use serde_json::{Map, Value};

use crate::Case;

/// Steps of one rendering. Suites are written by whoever runs them, so this only ends a loop that was not meant.
const FUEL: u64 = 100_000;
/// No expected answer is longer.
const BYTES_MAX: usize = 1 << 20;

/// A value with templates in its texts, at any depth.
pub struct Template {
    environment: Environment<'static>,
    node: Node,
    /// What the templates take from outside.
    names: Vec<String>,
}

impl fmt::Debug for Template {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Template").field("node", &self.node).field("names", &self.names).finish()
    }
}

#[derive(Debug)]
enum Node {
    Fixed(Value),
    /// The text between the braces.
    Expression(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Template {
    /// Errors: a text in it is no good template; says which and why.
    pub fn new(value: Value) -> Result<Template, String> {
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        let mut names = Vec::new();
        let node = node(value, &environment, &mut names)?;
        names.sort();
        names.dedup();
        Ok(Template { environment, node, names })
    }

    pub fn text(text: &str) -> Result<Template, String> {
        Template::new(Value::String(text.to_owned()))
    }

    /// What the templates take from outside, sorted.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The value where no case changes it.
    pub fn fixed(&self) -> Option<&Value> {
        match &self.node {
            Node::Fixed(value) => Some(value),
            Node::Expression(_) | Node::Text(_) | Node::List(_) | Node::Map(_) => None,
        }
    }

    /// Errors: what is missing of the case, to be said behind `lacks`.
    pub fn of<'a>(&'a self, case: &Case) -> Result<Cow<'a, Value>, String> {
        if let Node::Fixed(value) = &self.node {
            return Ok(Cow::Borrowed(value));
        }
        let names = self.names.iter();
        let known = names.filter_map(|name| Some((name.clone(), look_up(case, name)?)));
        self.render(&self.node, &Jinja::from(Serde(known.collect::<Map<_, _>>()))).map(Cow::Owned)
    }

    /// The same with variables alone.
    pub fn with(&self, variables: &Map<String, Value>) -> Result<Value, String> {
        self.render(&self.node, &Jinja::from(Serde(variables)))
    }

    fn render(&self, node: &Node, context: &Jinja) -> Result<Value, String> {
        let cannot = |source: &str, error: minijinja::Error| {
            let why = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
            format!("what the template `{}` takes ({why})", shown(source))
        };
        Ok(match node {
            Node::Fixed(value) => value.clone(),
            Node::Expression(source) => {
                let made = self.environment.compile_expression(source);
                let value = made
                    .and_then(|made| made.eval(context.clone()))
                    .map_err(|error| cannot(source, error))?;
                if value.is_undefined() {
                    return Err(format!("what the template `{}` takes", shown(source)));
                }
                serde_json::to_value(&value).unwrap_or_else(|_| Value::String(value.to_string()))
            }
            Node::Text(source) => {
                let text = self.environment.render_str(source, context.clone());
                let text = text.map_err(|error| cannot(source, error))?;
                if text.len() > BYTES_MAX {
                    return Err(format!("a text of at most {BYTES_MAX} bytes for `{}`", shown(source)));
                }
                Value::String(text)
            }
            Node::List(items) => {
                items.iter().map(|item| self.render(item, context)).collect::<Result<_, _>>()?
            }
            Node::Map(entries) => {
                let entry = |(name, node): &(String, Node)| Ok((name.clone(), self.render(node, context)?));
                Value::Object(entries.iter().map(entry).collect::<Result<_, String>>()?)
            }
        })
    }
}

fn node(value: Value, environment: &Environment<'_>, names: &mut Vec<String>) -> Result<Node, String> {
    let bad = |text: &str, error: minijinja::Error| {
        let why = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        format!("`{}` is no good template: {why}", shown(text))
    };
    Ok(match value {
        Value::String(text) if text.contains("{{") || text.contains("{%") => {
            if let Some(inner) = only_expression(&text) {
                let made = environment.compile_expression(inner).map_err(|error| bad(&text, error))?;
                names.extend(made.undeclared_variables(false));
                return Ok(Node::Expression(inner.to_owned()));
            }
            let made = environment.template_from_str(&text).map_err(|error| bad(&text, error))?;
            names.extend(made.undeclared_variables(false));
            drop(made);
            Node::Text(text)
        }
        Value::Array(items) => {
            let items: Vec<Node> =
                items.into_iter().map(|item| node(item, environment, names)).collect::<Result<_, _>>()?;
            if items.iter().all(|item| matches!(item, Node::Fixed(_))) {
                let fixed = |item| if let Node::Fixed(value) = item { value } else { Value::Null };
                return Ok(Node::Fixed(items.into_iter().map(fixed).collect()));
            }
            Node::List(items)
        }
        Value::Object(map) => {
            let entry = |(name, value)| Ok((name, node(value, environment, names)?));
            let entries: Vec<(String, Node)> = map.into_iter().map(entry).collect::<Result<_, String>>()?;
            if entries.iter().all(|(_, value)| matches!(value, Node::Fixed(_))) {
                let fixed =
                    |(name, item)| (name, if let Node::Fixed(value) = item { value } else { Value::Null });
                return Ok(Node::Fixed(Value::Object(entries.into_iter().map(fixed).collect())));
            }
            Node::Map(entries)
        }
        fixed => Node::Fixed(fixed),
    })
}

/// What stands between the braces where nothing else stands in the text.
fn only_expression(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let is_one = !["{{", "}}", "{%"].iter().any(|mark| inner.contains(mark));
    is_one.then(|| inner.trim_matches(['-', '+']).trim())
}

/// Fields of the case first, then its variables, then whatever else its line holds.
fn look_up(case: &Case, name: &str) -> Option<Value> {
    let own = match name {
        "id" => Some(Value::String(case.id.to_string())),
        "vars" => Some(Value::Object(case.vars.clone())),
        "extra" => Some(Value::Object(case.extra.clone())),
        "expected" => case.expected.clone(),
        "contexts" if !case.contexts.is_empty() => Some(case.contexts.clone().into()),
        "messages" if !case.messages.is_empty() => Some(case.messages.clone().into()),
        "tags" => Some(case.tags.iter().map(|tag| Value::String(tag.to_string())).collect()),
        _ => None,
    };
    own.or_else(|| case.vars.get(name).cloned())
        .or_else(|| case.extra.get(name).cloned())
        .or_else(|| ["question", "input"].contains(&name).then(|| Value::String(case.question())))
}

/// As much of a template as a message may hold.
fn shown(text: &str) -> String {
    const LETTERS_MAX: usize = 60;
    match text.char_indices().nth(LETTERS_MAX) {
        Some((end, _)) => format!("{}…", text[..end].escape_debug()),
        None => text.escape_debug().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn case() -> Case {
        let object = |value: Value| value.as_object().cloned().unwrap_or_default();
        Case {
            id: "c1".into(),
            vars: object(json!({"name": "Ada", "expected": "shadowed", "n": 3})),
            expected: Some(json!(["a", "b"])),
            extra: object(json!({"assert_1": "{{ n }}", "list": [1, 2]})),
            ..Case::default()
        }
    }

    #[test]
    fn templates_take_what_they_name_from_the_case() {
        let check = |template: Value, expected: Value| {
            let made = Template::new(template.clone()).unwrap();
            assert_eq!(*made.of(&case()).unwrap(), expected, "{template}");
        };
        check(json!("plain"), json!("plain"));
        check(json!("{{ expected }}"), json!(["a", "b"]));
        check(json!("{{ vars.expected }}"), json!("shadowed"));
        check(json!("Hello {{ name }}!"), json!("Hello Ada!"));
        check(json!("{{ name }}{{ n }}"), json!("Ada3"));
        check(json!("{{ n + 1 }}"), json!(4));
        check(json!({"a": ["{{ id }}", 1], "b": "{{ extra.list }}"}), json!({"a": ["c1", 1], "b": [1, 2]}));
        // What comes out of a case is not a template.
        check(json!("{{ extra.assert_1 }}"), json!("{{ n }}"));
        check(json!("{% if n > 2 %}many{% endif %}"), json!("many"));
    }

    #[test]
    fn what_a_case_lacks_and_what_is_no_template_is_said() {
        for template in ["{{ nobody }}", "x {{ nobody }}", "{{ extra.nobody }}"] {
            let lacks = Template::text(template).unwrap().of(&case()).unwrap_err();
            assert!(lacks.contains("nobody"), "{lacks}");
        }
        for template in ["{{ a b }}", "x {% if %}", "{{ x"] {
            assert!(Template::text(template).unwrap_err().contains("no good template"));
        }
        let endless =
            Template::text("a{% for i in range(9999) %}{% for j in range(9999) %}x{% endfor %}{% endfor %}");
        assert!(endless.unwrap().of(&case()).is_err());
    }
}
