//! Pydantic 2.

use std::{collections::BTreeSet, fmt::Write};

use super::{HEAD, Wrapped, field_name, quoted};
use crate::{Kind, Variable};

pub(super) fn file(prompts: &[(String, &Wrapped)]) -> String {
    let mut out = String::new();
    for line in HEAD {
        out.push_str(&format!("# {line}\n"));
    }
    out.push_str(
        r#"
from __future__ import annotations

from typing import Annotated, Any, ClassVar, Dict, List, Optional, Union

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _not_none(value: Any) -> Any:
    if value is None:
        raise ValueError("must not be None")
    return value


Given = Annotated[Any, AfterValidator(_not_none)]
# What a gateway takes as an integer: more digits arrive as a number with a fraction.
Int = Annotated[int, Field(strict=True, ge=-(2**63), le=2**64 - 1)]


class GauntletPrompt(BaseModel):
    """What all wrappers have in common."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, populate_by_name=True, allow_inf_nan=False, protected_namespaces=()
    )

    PROMPT: ClassVar[str]
    VERSION: ClassVar[str]
    HASH: ClassVar[str]

    def gauntlet_variables(self) -> Dict[str, Any]:
        """Those that are given; the gateway fills in the others."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def extra_body(self) -> Dict[str, Any]:
        """For `client.chat.completions.create(…, extra_body=…)`."""
        return {"gauntlet": {"prompt": self.PROMPT, "variables": self.gauntlet_variables()}}
"#,
    );
    for (name, wrapped) in prompts {
        class(&mut out, name, wrapped);
    }
    out
}

fn class(out: &mut String, name: &str, wrapped: &Wrapped) {
    let prompt = wrapped.prompt;
    let doc = prompt.description.clone().unwrap_or_else(|| format!("The prompt {}.", prompt.name));
    let version = prompt.version.to_string();
    let _ = write!(
        out,
        "\n\nclass {name}(GauntletPrompt):\n    {}\n\n    PROMPT: ClassVar[str] = {}\n    VERSION: ClassVar[str] = {}\n    HASH: ClassVar[str] = {}\n",
        quoted(&doc),
        quoted(wrapped.reference),
        quoted(&version),
        quoted(&prompt.hash),
    );
    let mut taken = BTreeSet::new();
    if !prompt.variables.is_empty() {
        out.push('\n');
    }
    // Required ones first: they are what a reader must know.
    for (variable_name, variable) in prompt.required().chain(prompt.optional()) {
        let field = field_name(variable_name, &is_reserved, &mut taken);
        let _ = writeln!(out, "    {field}: {}", declared(variable_name, &field, variable));
    }
}

fn declared(name: &str, field: &str, variable: &Variable) -> String {
    let kind = match variable.kind {
        Kind::Any => "Given",
        Kind::String => "str",
        Kind::Integer => "Int",
        // An integer stays one: 1 is not 1.0 in a text.
        Kind::Number => "Union[int, float]",
        Kind::Boolean => "bool",
        Kind::Array => "List[Any]",
        Kind::Object => "Dict[str, Any]",
    };
    let kind = match (variable.required, variable.kind) {
        (true, _) => kind.to_owned(),
        (false, Kind::Any) => "Any".to_owned(),
        (false, _) => format!("Optional[{kind}]"),
    };
    let mut told = Vec::new();
    if !variable.required {
        told.push("default=None".to_owned());
    }
    if field != name {
        told.push(format!("alias={}", quoted(name)));
    }
    // A length of anything else is not looked at by the gateway either.
    if let (Some(max), Kind::String | Kind::Array) = (variable.max_length, variable.kind) {
        told.push(format!("max_length={max}"));
    }
    if let Some(description) = &variable.description {
        told.push(format!("description={}", quoted(description)));
    }
    if told.is_empty() { kind } else { format!("{kind} = Field({})", told.join(", ")) }
}

/// Keywords, private names (Pydantic's leading underscore), and the names that `BaseModel` and the wrapper have themselves.
fn is_reserved(name: &str) -> bool {
    const RESERVED: &str = "False None True and as assert async await break class continue def del elif else except finally \
        for from global if import in is lambda nonlocal not or pass raise return try while with yield \
        copy dict json construct parse_file parse_obj parse_raw schema schema_json from_orm validate \
        update_forward_refs PROMPT VERSION HASH extra_body gauntlet_variables Any Dict List Optional \
        Field Given Int ClassVar Annotated Union str int float bool";
    name.starts_with('_') || name.starts_with("model_") || RESERVED.split(' ').any(|word| word == name)
}
