//! serde.

use std::{collections::BTreeSet, fmt::Write};

use super::{HEAD, Wrapped, field_name};
use crate::{Kind, Variable};

pub(super) fn file(prompts: &[(String, &Wrapped)]) -> String {
    let mut out = String::new();
    for line in HEAD {
        out.push_str(&format!("// {line}\n"));
    }
    out.push_str("// Needs `serde` (with `derive`) and `serde_json`.\n");
    for (name, wrapped) in prompts {
        wrapper(&mut out, name, wrapped);
    }
    out
}

struct Field<'a> {
    name: &'a str,
    /// As it stands in the struct.
    field: String,
    variable: &'a Variable,
}

fn wrapper(out: &mut String, name: &str, wrapped: &Wrapped) {
    let prompt = wrapped.prompt;
    let mut taken = BTreeSet::new();
    let fields: Vec<Field> = prompt
        .required()
        .chain(prompt.optional())
        .map(|(name, variable)| {
            let field = field_name(name, &is_impossible, &mut taken);
            Field { name, field, variable }
        })
        .collect();
    let doc = prompt.description.clone().unwrap_or_else(|| format!("The prompt {}.", prompt.name));
    let _ = write!(
        out,
        "\n#[doc = {doc:?}]\n#[derive(Clone, PartialEq, Debug, ::serde::Serialize, ::serde::Deserialize)]\n\
         #[serde(deny_unknown_fields)]\n#[allow(non_snake_case)]\npub struct {name} {{\n"
    );
    for Field { name, field, variable } in &fields {
        if let Some(description) = &variable.description {
            let _ = writeln!(out, "    #[doc = {description:?}]");
        }
        if field != name {
            let _ = writeln!(out, "    #[serde(rename = {name:?})]");
        }
        if !variable.required {
            out.push_str("    #[serde(default, skip_serializing_if = \"Option::is_none\")]\n");
        }
        let _ = writeln!(out, "    pub {}: {},", shown(field), kind_of(variable));
    }
    out.push_str("}\n");
    let required: Vec<&Field> = fields.iter().filter(|field| field.variable.required).collect();
    let arguments: Vec<String> = required
        .iter()
        .map(|field| format!("{}: {}", shown(&field.field), kind_of(field.variable)))
        .collect();
    let inits: Vec<String> = fields
        .iter()
        .map(|field| match field.variable.required {
            true => shown(&field.field),
            false => format!("{}: None", shown(&field.field)),
        })
        .collect();
    let version = prompt.version.to_string();
    let hash = &*prompt.hash;
    let reference = wrapped.reference;
    let _ = write!(
        out,
        "\n#[allow(non_snake_case, clippy::too_many_arguments, clippy::new_without_default)]\nimpl {name} {{\n    pub const PROMPT: &'static str = {reference:?};\n    \
         pub const VERSION: &'static str = {version:?};\n    pub const HASH: &'static str = {hash:?};\n\n    \
         /// With what is required; the rest is the gateway's default until it is set.\n    \
         pub fn new({}) -> {name} {{\n        {name} {{ {} }}\n    }}\n\n    \
         /// Says which variable the gateway would refuse.\n    \
         pub fn check(&self) -> ::std::result::Result<(), ::std::string::String> {{\n",
        arguments.join(", "),
        inits.join(", "),
    );
    for field in &fields {
        check(out, field);
    }
    let _ = write!(
        out,
        "        Ok(())\n    }}\n\n    \
         /// The field `gauntlet` of a chat completion's body.\n    \
         pub fn to_gauntlet(&self) -> ::std::result::Result<::serde_json::Value, ::std::string::String> {{\n        \
         self.check()?;\n        \
         let variables = ::serde_json::to_value(self).map_err(|error| error.to_string())?;\n        \
         Ok(::serde_json::json!({{\"prompt\": Self::PROMPT, \"variables\": variables}}))\n    }}\n}}\n"
    );
}

fn check(out: &mut String, field: &Field) {
    let variable = field.variable;
    let name = field.name;
    let (wrong, message): (&dyn Fn(&str) -> String, String) = match (variable.kind, variable.max_length) {
        (Kind::String, Some(max)) => (
            &move |value| format!("{value}.chars().count() > {max}"),
            format!("variable `{name}` may have {max} characters"),
        ),
        (Kind::Array, Some(max)) => (
            &move |value| format!("{value}.len() > {max}"),
            format!("variable `{name}` may have {max} entries"),
        ),
        (Kind::Any, _) => {
            (&|value| format!("{value}.is_null()"), format!("variable `{name}` must not be null"))
        }
        // JSON has no such numbers: they would go out as null.
        (Kind::Number, _) => {
            (&|value| format!("!{value}.is_finite()"), format!("variable `{name}` must be finite"))
        }
        _ => return,
    };
    let held = format!("self.{}", shown(&field.field));
    let condition = match (variable.required, variable.kind) {
        (true, _) => wrong(&held),
        // None is what null means.
        (false, Kind::Any) => return,
        (false, _) => format!("{held}.as_ref().is_some_and(|value| {})", wrong("value")),
    };
    let _ = write!(
        out,
        "        if {condition} {{\n            return Err({message:?}.to_owned());\n        }}\n"
    );
}

fn kind_of(variable: &Variable) -> String {
    let kind = match variable.kind {
        Kind::Any => "::serde_json::Value",
        Kind::String => "::std::string::String",
        Kind::Integer => "i64",
        Kind::Number => "f64",
        Kind::Boolean => "bool",
        Kind::Array => "::std::vec::Vec<::serde_json::Value>",
        Kind::Object => "::serde_json::Map<::std::string::String, ::serde_json::Value>",
    };
    if variable.required { kind.to_owned() } else { format!("::std::option::Option<{kind}>") }
}

/// As an identifier: keywords are raw ones, which serde writes without the `r#`.
fn shown(field: &str) -> String {
    const KEYWORDS: &str = "abstract as async await become box break const continue do dyn else enum extern false final fn \
        for gen if impl in let loop macro match mod move mut override priv pub ref return static struct \
        trait true try type typeof unsafe unsized use virtual where while yield union";
    if KEYWORDS.split(' ').any(|word| word == field) { format!("r#{field}") } else { field.to_owned() }
}

/// What cannot even be a raw identifier.
fn is_impossible(name: &str) -> bool {
    matches!(name, "self" | "Self" | "super" | "crate") || name.chars().all(|char| char == '_')
}
