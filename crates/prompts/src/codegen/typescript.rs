//! zod, 3 or 4.

use std::fmt::Write;

use super::{HEAD, Wrapped, quoted};
use crate::{Kind, Variable};

pub(super) fn file(prompts: &[(String, &Wrapped)]) -> String {
    let mut out = String::new();
    for line in HEAD {
        out.push_str(&format!("// {line}\n"));
    }
    out.push_str("\nimport { z } from \"zod\";\n");
    out.push_str(
        "\nconst given = z.custom<NonNullable<unknown>>((value) => value !== undefined && value !== null, \"must be given\");\n",
    );
    // The gateway counts characters, not UTF-16 units.
    out.push_str("const characters = (max: number) => (text: string) => [...text].length <= max;\n");
    for (name, wrapped) in prompts {
        wrapper(&mut out, name, wrapped);
    }
    out
}

fn wrapper(out: &mut String, name: &str, wrapped: &Wrapped) {
    let prompt = wrapped.prompt;
    let version = prompt.version.to_string();
    let mut schema = String::from("z.object({");
    for (variable_name, variable) in prompt.required().chain(prompt.optional()) {
        let _ = write!(schema, "\n    {}: {},", quoted(variable_name), declared(variable));
    }
    // Of zod 3 and 4 alike.
    schema.push_str(if prompt.variables.is_empty() { "}).strict()" } else { "\n  }).strict()" });
    if let Some(description) = &prompt.description {
        let _ = write!(schema, ".describe({})", quoted(description));
    }
    let _ = write!(
        out,
        r#"
export const {name} = {{
  prompt: {},
  version: {},
  hash: {},
  variables: {schema},
}} as const;
export type {name}Variables = z.input<typeof {name}.variables>;
/** Fields for the body of a chat completion; throws a `ZodError` where the shape is wrong. */
export function to{name}(variables: {name}Variables) {{
  return {{ gauntlet: {{ prompt: {name}.prompt, variables: {name}.variables.parse(variables) }} }};
}}
"#,
        quoted(wrapped.reference),
        quoted(&version),
        quoted(&prompt.hash),
    );
}

fn declared(variable: &Variable) -> String {
    let mut schema = match variable.kind {
        Kind::Any => "given".to_owned(),
        Kind::String => "z.string()".to_owned(),
        Kind::Integer => "z.number().int()".to_owned(),
        Kind::Number => "z.number().finite()".to_owned(),
        Kind::Boolean => "z.boolean()".to_owned(),
        Kind::Array => "z.array(z.unknown())".to_owned(),
        Kind::Object => "z.record(z.string(), z.unknown())".to_owned(),
    };
    match (variable.max_length, variable.kind) {
        (Some(max), Kind::String) => {
            let _ = write!(
                schema,
                ".refine(characters({max}), {})",
                quoted(&format!("at most {max} characters"))
            );
        }
        (Some(max), Kind::Array) => {
            let _ = write!(schema, ".max({max})");
        }
        _ => {}
    }
    if !variable.required {
        // The gateway takes null for what is not given.
        schema.push_str(".nullish()");
    }
    if let Some(description) = &variable.description {
        let _ = write!(schema, ".describe({})", quoted(description));
    }
    schema
}
