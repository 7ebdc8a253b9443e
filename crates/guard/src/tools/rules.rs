//! Which tools may be called, and with what arguments.

use regex::Regex;
use serde_json::Value;

use super::{path, sql};
use crate::{
    host::{Address, Hosts},
    misfit::Misfit,
    output::contract::{at_pointer, is_pointer},
    pattern, repair,
    schema::{OutputSchema, SchemaError},
};

const TOOLS: &str = "tools";

/// Arguments longer than this are refused, in bytes: they are an upload, not a call.
const ARGUMENTS_MAX: usize = 1 << 20;

/// What to ask of calls. Nothing here is asked of a tool that is not allowed in the first place.
#[derive(Clone, Debug, Default)]
pub struct ToolsConfig {
    /// Names of tools that may be called, `search*` for all that begin so. `None` allows any, an empty list none.
    pub allow: Option<Vec<String>>,
    /// Names of tools that may not be called, whatever `allow` says; without regard to case.
    pub deny: Vec<String>,
    pub tools: Vec<ToolConfig>,
}

/// What to ask of the arguments of one tool.
#[derive(Clone, Debug, Default)]
pub struct ToolConfig {
    /// Exact, or `search*`. All entries that fit a name are asked.
    pub name: String,
    /// A JSON Schema of the arguments.
    pub schema: Option<Value>,
    pub values: Vec<ValueRule>,
}

/// A test of the value at a JSON pointer, of which the step `*` stands for each item. Of a list each item is tested. A value
/// that is not there passes: that it is there is for the schema to ask. A value of another type does not.
#[derive(Clone, Debug)]
pub struct ValueRule {
    pub pointer: String,
    pub test: Test,
}

#[derive(Clone, Debug)]
pub enum Test {
    /// A path in one of these folders once `..` and escapes are gone; lexical, links are not followed.
    PathUnder(Vec<String>),
    /// An address of `http` or `https` on one of these hosts (`example.com`, `*.example.com`; none for any). Hosts of this
    /// machine and network, and metadata services, only where `hosts` names them.
    UrlHosts(Vec<String>),
    /// SQL that does no more than these verbs say, in so many statements.
    Sql {
        verbs: Vec<String>,
        statements_max: usize,
    },
    Number {
        min: Option<f64>,
        max: Option<f64>,
    },
    OneOf(Vec<Value>),
    /// The whole value matches.
    Matches(String),
    CharsMax(usize),
}

#[derive(Debug, thiserror::Error)]
pub enum ToolRulesError {
    #[error("the schema of tool `{tool}` cannot be used")]
    Schema {
        tool: String,
        #[source]
        source: SchemaError,
    },
    #[error("pattern `{pattern}` cannot be used: {reason}")]
    Pattern { pattern: String, reason: String },
    #[error("`{0}` is not a JSON pointer: it begins with `/` or is empty")]
    Pointer(String),
    #[error("`{0}` is no folder that a path can be compared with")]
    Folder(String),
}

/// Compiled rules for calls of tools.
#[derive(Debug)]
pub struct ToolRules {
    allow: Option<Vec<Name>>,
    deny: Vec<Name>,
    tools: Vec<Tool>,
}

#[derive(Debug)]
struct Tool {
    name: Name,
    schema: Option<OutputSchema>,
    values: Vec<(String, Compiled)>,
}

#[derive(Debug)]
enum Compiled {
    PathUnder(Vec<String>),
    UrlHosts { hosts: Hosts, is_any: bool },
    Sql { verbs: Vec<String>, statements_max: usize },
    Number { min: Option<f64>, max: Option<f64> },
    OneOf(Vec<Value>),
    Matches(Regex),
    CharsMax(usize),
}

#[derive(Clone, Debug)]
enum Name {
    Exact(String),
    Prefix(String),
}

impl Name {
    fn new(text: &str) -> Name {
        match text.strip_suffix('*') {
            Some(prefix) => Name::Prefix(prefix.to_owned()),
            None => Name::Exact(text.to_owned()),
        }
    }

    fn fits(&self, name: &str) -> bool {
        match self {
            Name::Exact(exact) => exact == name,
            Name::Prefix(prefix) => name.starts_with(prefix),
        }
    }
}

impl ToolRules {
    pub fn compile(config: &ToolsConfig) -> Result<ToolRules, ToolRulesError> {
        let names = |list: &[String]| list.iter().map(|name| Name::new(name)).collect::<Vec<_>>();
        let lower: Vec<String> = config.deny.iter().map(|name| name.to_lowercase()).collect();
        Ok(ToolRules {
            allow: config.allow.as_deref().map(names),
            deny: names(&lower),
            tools: config.tools.iter().map(Tool::compile).collect::<Result<_, _>>()?,
        })
    }

    /// Whether a tool of that name may be called at all.
    pub fn is_allowed(&self, name: &str) -> bool {
        self.refusal(name).is_none()
    }

    fn refusal(&self, name: &str) -> Option<Misfit> {
        if self.deny.iter().any(|denied| denied.fits(name.trim().to_lowercase().as_str())) {
            return Some(Misfit::new(TOOLS, "tool_denied", "the tool is on the list of denied tools"));
        }
        let is_listed =
            self.allow.as_ref().is_none_or(|allow| allow.iter().any(|allowed| allowed.fits(name)));
        (!is_listed)
            .then(|| Misfit::new(TOOLS, "tool_not_allowed", "the tool is not on the list of allowed tools"))
    }

    /// What is wrong with a call; nothing when it may go ahead. Arguments that cannot be read are wrong.
    pub fn check_call(&self, name: &str, arguments: &str) -> Vec<Misfit> {
        if let Some(refusal) = self.refusal(name) {
            return vec![refusal];
        }
        let tools: Vec<&Tool> = self.tools.iter().filter(|tool| tool.name.fits(name)).collect();
        if tools.is_empty() {
            return Vec::new();
        }
        let wrong = |label, reason: &str| vec![Misfit::new(TOOLS, label, reason)];
        if arguments.len() > ARGUMENTS_MAX {
            return wrong("arguments_too_long", "the arguments are longer than 1 MiB");
        }
        // Providers send nothing where a tool takes no arguments.
        let arguments = if arguments.trim().is_empty() { "{}" } else { arguments };
        let Ok(value) = serde_json::from_str::<Value>(arguments) else {
            return wrong("arguments_not_json", "the arguments are not JSON");
        };
        // Of two values for one name we would look at one, and the tool may take the other.
        if repair::has_double_names(arguments) {
            return wrong("name_twice", "an object in the arguments has one name twice");
        }
        let mut misfits = Vec::new();
        for tool in tools {
            if let Some(Err(messages)) = tool.schema.as_ref().map(|schema| schema.check(arguments)) {
                misfits.extend(
                    messages.into_iter().map(|message| Misfit::new(TOOLS, "arguments_schema", message)),
                );
            }
            for (pointer, test) in &tool.values {
                for value in at_pointer(&value, pointer) {
                    misfits.extend(test.check_each(value).into_iter().map(|(label, reason)| {
                        Misfit::new(TOOLS, label, format!("at `{pointer}`: {reason}"))
                    }));
                }
            }
        }
        misfits
    }
}

impl Tool {
    fn compile(config: &ToolConfig) -> Result<Tool, ToolRulesError> {
        let schema = config.schema.as_ref().map(OutputSchema::compile).transpose();
        let mut values = Vec::with_capacity(config.values.len());
        for rule in &config.values {
            if !is_pointer(&rule.pointer) {
                return Err(ToolRulesError::Pointer(rule.pointer.clone()));
            }
            values.push((rule.pointer.clone(), Compiled::compile(&rule.test)?));
        }
        let failed = |source| ToolRulesError::Schema { tool: config.name.clone(), source };
        Ok(Tool { name: Name::new(&config.name), schema: schema.map_err(failed)?, values })
    }
}

type Wrong = (&'static str, String);

impl Compiled {
    fn compile(test: &Test) -> Result<Compiled, ToolRulesError> {
        Ok(match test {
            Test::PathUnder(folders) => {
                let normal = |folder: &String| {
                    path::normal(folder).ok_or_else(|| ToolRulesError::Folder(folder.clone()))
                };
                Compiled::PathUnder(folders.iter().map(normal).collect::<Result<_, _>>()?)
            }
            Test::UrlHosts(hosts) => {
                Compiled::UrlHosts { hosts: Hosts::new(hosts), is_any: hosts.is_empty() }
            }
            Test::Sql { verbs, statements_max } => Compiled::Sql {
                verbs: verbs.iter().map(|verb| verb.to_uppercase()).collect(),
                statements_max: *statements_max,
            },
            Test::Number { min, max } => Compiled::Number { min: *min, max: *max },
            Test::OneOf(values) => Compiled::OneOf(values.clone()),
            Test::Matches(text) => {
                let failed = |reason| ToolRulesError::Pattern { pattern: text.clone(), reason };
                Compiled::Matches(pattern::compile(&format!("^(?:{text})$")).map_err(failed)?)
            }
            Test::CharsMax(max) => Compiled::CharsMax(*max),
        })
    }

    fn check_each(&self, value: &Value) -> Vec<Wrong> {
        match value {
            Value::Array(items) => items.iter().flat_map(|item| self.check(item)).collect(),
            value => self.check(value).into_iter().collect(),
        }
    }

    fn check(&self, value: &Value) -> Option<Wrong> {
        if let Compiled::OneOf(values) = self {
            return (!values.contains(value))
                .then(|| ("not_one_of", "the value is not one of those allowed".to_owned()));
        }
        if let Compiled::Number { min, max } = self {
            return check_number(value, *min, *max);
        }
        let Value::String(text) = value else {
            return Some(("wrong_type", "a text is expected".to_owned()));
        };
        let wrong = |label, reason: &str| Some((label, reason.to_owned()));
        match self {
            Compiled::OneOf(_) | Compiled::Number { .. } => None,
            Compiled::PathUnder(folders) => match path::normal(text) {
                None => wrong("path_unclear", "it cannot be told what the path leads to"),
                Some(path) if path::is_under(&path, folders) => None,
                Some(_) => wrong("path_outside", "the path leads out of the allowed folders"),
            },
            Compiled::UrlHosts { hosts, is_any } => {
                let Some(address) = Address::parse(text) else {
                    return wrong("url_unclear", "the value is no absolute address");
                };
                if !matches!(address.scheme.as_str(), "http" | "https") {
                    return wrong("url_scheme", "the address is neither http nor https");
                }
                match hosts.allow(&address.host) {
                    true => None,
                    false if address.host.is_private() => wrong(
                        "url_private",
                        "the address leads to this machine, its network or a metadata service",
                    ),
                    false if *is_any => None,
                    false => wrong("url_host", "the host of the address is on no list"),
                }
            }
            Compiled::Sql { verbs, statements_max } => match sql::deeds(text) {
                Err(sql::Unclear) => {
                    wrong("sql_unclear", "databases would read the SQL differently, or it does not end")
                }
                Ok(deeds) if deeds.statements > *statements_max => {
                    Some(("sql_statements", format!("the SQL has {} statements", deeds.statements)))
                }
                Ok(deeds) if deeds.reaches_out => {
                    wrong("sql_function", "the SQL calls a function that reaches out of the database")
                }
                Ok(deeds) => {
                    let other = deeds.verbs.iter().find(|verb| !verbs.contains(verb))?;
                    // First words are keywords as a rule, yet might be anything.
                    let other: String = other.chars().take(16).collect();
                    Some(("sql_verb", format!("`{other}` is not among the verbs that are allowed")))
                }
            },
            Compiled::Matches(pattern) if pattern.is_match(text) => None,
            Compiled::Matches(_) => wrong("pattern", "the value does not match the pattern"),
            Compiled::CharsMax(max) => {
                let count = text.chars().count();
                (count > *max).then(|| {
                    ("too_long", format!("the value has {count} characters, at most {max} are allowed"))
                })
            }
        }
    }
}

fn check_number(value: &Value, min: Option<f64>, max: Option<f64>) -> Option<Wrong> {
    // Tools take numbers in quotes for numbers.
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let Some(number) = number.filter(|number| number.is_finite()) else {
        return Some(("wrong_type", "a number is expected".to_owned()));
    };
    match (min, max) {
        (Some(min), _) if number < min => Some(("too_small", format!("the value is below {min}"))),
        (_, Some(max)) if number > max => Some(("too_large", format!("the value is above {max}"))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn labels(test: Test, value: Value) -> Vec<&'static str> {
        let values = vec![ValueRule { pointer: "/v".into(), test }];
        let tools = vec![ToolConfig { name: "t".into(), schema: None, values }];
        let rules = ToolRules::compile(&ToolsConfig { tools, ..ToolsConfig::default() }).unwrap();
        let misfits = rules.check_call("t", &json!({ "v": value }).to_string());
        misfits.into_iter().map(|misfit| misfit.label).collect()
    }

    #[test]
    fn tools_are_allowed_by_name_or_prefix_and_denied_before() {
        let config = ToolsConfig {
            allow: Some(vec!["search*".into(), "send_mail".into()]),
            deny: vec!["search_internal*".into()],
            tools: vec![],
        };
        let rules = ToolRules::compile(&config).unwrap();
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(rules.check_call(name, "{}").first().map(|misfit| misfit.label), expected, "{name}");
        };
        check("search_web", None);
        check("send_mail", None);
        check("send_mail2", Some("tool_not_allowed"));
        check("Send_Mail", Some("tool_not_allowed"));
        check("SEARCH_INTERNAL_db", Some("tool_denied"));
        check("search_internal", Some("tool_denied"));
        let none =
            ToolRules::compile(&ToolsConfig { allow: Some(vec![]), ..ToolsConfig::default() }).unwrap();
        assert!(!none.is_allowed("search"));
    }

    #[test]
    fn arguments_are_checked_by_schema() {
        let schema = json!({"type": "object", "required": ["q"], "properties": {"q": {"type": "string"}}});
        let tools = vec![ToolConfig { name: "search".into(), schema: Some(schema), values: vec![] }];
        let rules = ToolRules::compile(&ToolsConfig { tools, ..ToolsConfig::default() }).unwrap();
        let check = |arguments: &str, expected: &[&str]| {
            let misfits = rules.check_call("search", arguments);
            assert_eq!(
                misfits.iter().map(|misfit| misfit.label).collect::<Vec<_>>(),
                expected,
                "{arguments}"
            );
        };
        check(r#"{"q": "a"}"#, &[]);
        check(r#"{"q": 1}"#, &["arguments_schema"]);
        check("", &["arguments_schema"]);
        check("{q: 1", &["arguments_not_json"]);
        check(r#"{"q": "a", "q": "b"}"#, &["name_twice"]);
        assert!(rules.check_call("other", "nonsense").is_empty());
    }

    #[test]
    fn paths_stay_below_their_folders() {
        let check = |value: Value, expected: &[&str]| {
            assert_eq!(labels(Test::PathUnder(vec!["/data/".into()]), value.clone()), expected, "{value}");
        };
        check(json!("/data/a/../b.txt"), &[]);
        check(json!("/data/../etc/passwd"), &["path_outside"]);
        check(json!("/data/%2e%2e/etc/passwd"), &["path_outside"]);
        check(json!("~/.ssh/id"), &["path_unclear"]);
        check(json!(["/data/a", "/etc"]), &["path_outside"]);
        check(json!(7), &["wrong_type"]);
    }

    #[test]
    fn addresses_stay_on_their_hosts_and_out_of_the_network() {
        let check = |hosts: &[&str], value: &str, expected: &[&str]| {
            let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
            assert_eq!(labels(Test::UrlHosts(hosts), json!(value)), expected, "{value}");
        };
        check(&["example.com"], "https://example.com/a", &[]);
        check(&["example.com"], "https://example.com@evil.test/", &["url_host"]);
        check(&["*.example.com"], "http://a.example.com", &[]);
        check(&[], "https://anything.test/", &[]);
        check(&[], "http://169.254.169.254/latest/meta-data", &["url_private"]);
        check(&[], "http://2852039166/", &["url_private"]);
        check(&[], "http://localhost:8080/", &["url_private"]);
        check(&["localhost"], "http://localhost:8080/", &[]);
        check(&[], "file:///etc/passwd", &["url_unclear"]);
        check(&[], "ftp://example.com/", &["url_scheme"]);
        check(&[], "/relative", &["url_unclear"]);
    }

    #[test]
    fn sql_does_only_what_is_allowed() {
        let check = |value: &str, expected: &[&str]| {
            let test = Test::Sql { verbs: vec!["select".into()], statements_max: 1 };
            assert_eq!(labels(test, json!(value)), expected, "{value}");
        };
        check("SELECT * FROM orders WHERE id = 7;", &[]);
        check("SELECT 1; DROP TABLE orders", &["sql_statements"]);
        check("DROP/**/TABLE orders", &["sql_verb"]);
        check("WITH a AS (DELETE FROM orders RETURNING *) SELECT * FROM a", &["sql_verb"]);
        check("SELECT load_file('/etc/passwd')", &["sql_function"]);
        check("SELECT 'a\\' OR 1=1", &["sql_unclear"]);
    }

    #[test]
    fn numbers_values_patterns_and_lengths_are_bounded() {
        let check = |test: Test, value: Value, expected: &[&str]| {
            assert_eq!(labels(test, value.clone()), expected, "{value}")
        };
        let number = || Test::Number { min: Some(0.0), max: Some(100.0) };
        check(number(), json!(99.5), &[]);
        check(number(), json!("99"), &[]);
        check(number(), json!(101), &["too_large"]);
        check(number(), json!(-1), &["too_small"]);
        check(number(), json!("NaN"), &["wrong_type"]);
        check(number(), json!([1, 1000]), &["too_large"]);
        check(Test::OneOf(vec![json!("EUR")]), json!("USD"), &["not_one_of"]);
        check(Test::Matches("[A-Z]{3}".into()), json!("EUR"), &[]);
        check(Test::Matches("A|B".into()), json!("AX"), &["pattern"]);
        check(Test::CharsMax(3), json!("éééé"), &["too_long"]);
    }

    #[test]
    fn rules_that_cannot_be_kept_are_refused() {
        let tool = |rule: ValueRule| ToolsConfig {
            tools: vec![ToolConfig { name: "t".into(), schema: None, values: vec![rule] }],
            ..ToolsConfig::default()
        };
        for (pointer, test) in [
            ("v", Test::CharsMax(1)),
            ("/v", Test::Matches("(".into())),
            ("/v", Test::PathUnder(vec!["~/a".into()])),
        ] {
            assert!(
                ToolRules::compile(&tool(ValueRule { pointer: pointer.into(), test })).is_err(),
                "{pointer}"
            );
        }
    }
}
