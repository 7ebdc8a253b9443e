//! Tools, the shape of the answer and parameters of a prompt file: checked as far as every provider agrees on them.

use std::collections::BTreeMap;

use gauntlet_places::near;
use serde_json::Value;
use serde_saphyr::Spanned;

use super::Page;
use crate::{CallFields, PromptError, error::printed};

/// Parameters of the chat door that are known by name. Others are sent as they stand, with a warning.
const KNOWN: [&str; 20] = [
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "min_p",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "reasoning_effort",
    "repetition_penalty",
    "seed",
    "service_tier",
    "stop",
    "temperature",
    "top_k",
    "top_logprobs",
    "top_p",
    "verbosity",
];

/// What is no parameter, and where it belongs.
const ELSEWHERE: [(&str, &str); 10] = [
    ("model", "it is a line of its own: `model: …`"),
    ("messages", "it is a line of its own: `messages: …`"),
    ("tools", "it is a line of its own: `tools: …`"),
    ("tool_choice", "it is a line of its own: `tool_choice: …`"),
    ("response_format", "it is a line of its own: `response_format: …`"),
    ("stream", "how an answer comes is the caller's choice: leave it out"),
    ("stream_options", "how an answer comes is the caller's choice: leave it out"),
    ("user", "who asks is said by each call: leave it out"),
    ("metadata", "what is said of a call is said by each call: leave it out"),
    ("gauntlet", "it is the caller's own field: leave it out"),
];

/// As written, each with its place.
pub(super) struct Written {
    pub(super) tools: Option<Spanned<Vec<Value>>>,
    pub(super) tool_choice: Option<Spanned<Value>>,
    pub(super) response_format: Option<Spanned<Value>>,
    pub(super) parameters: BTreeMap<String, Spanned<Value>>,
}

impl Page<'_> {
    pub(super) fn call_fields(
        &self,
        written: Written,
        warnings: &mut Vec<PromptError>,
    ) -> Result<CallFields, PromptError> {
        let Written { tools, tool_choice, response_format, parameters } = written;
        if let Some(tools) = &tools {
            self.tools(tools)?;
        }
        let has_tools = tools.as_ref().is_some_and(|tools| !tools.value.is_empty());
        if let Some(choice) = &tool_choice {
            self.tool_choice(choice, has_tools)?;
        }
        if let Some(format) = &response_format
            && !format.value["type"].is_string()
        {
            let cure = "write for example `response_format: {type: json_object}`".to_owned();
            return Err(self.at(format.referenced, "`response_format` has no `type`".into(), cure));
        }
        for (name, value) in &parameters {
            self.parameter(name, value, warnings)?;
        }
        if let (Some(_), Some(second)) =
            (parameters.get("max_tokens"), parameters.get("max_completion_tokens"))
        {
            let message = "both `max_tokens` and `max_completion_tokens` are set".to_owned();
            return Err(self.at(second.referenced, message, "they are one limit: leave one out".into()));
        }
        Ok(CallFields {
            tools: tools.map(|tools| tools.value).unwrap_or_default(),
            tool_choice: tool_choice.map(|choice| choice.value),
            response_format: response_format.map(|format| format.value),
            parameters: parameters.into_iter().map(|(name, value)| (name, value.value)).collect(),
        })
    }

    fn tools(&self, tools: &Spanned<Vec<Value>>) -> Result<(), PromptError> {
        for (at, tool) in tools.value.iter().enumerate() {
            let number = at + 1;
            let Some(kind) = tool["type"].as_str() else {
                let cure = "write `- {type: function, function: {name: …, parameters: {…}}}`".to_owned();
                return Err(self.at(tools.referenced, format!("tool {number} has no `type`"), cure));
            };
            if kind == "function" && tool["function"]["name"].as_str().is_none_or(str::is_empty) {
                let cure = "write `function: {name: …, description: …, parameters: {…}}`".to_owned();
                return Err(self.at(tools.referenced, format!("tool {number} has no name"), cure));
            }
        }
        Ok(())
    }

    fn tool_choice(&self, choice: &Spanned<Value>, has_tools: bool) -> Result<(), PromptError> {
        const WORDS: [&str; 3] = ["auto", "none", "required"];
        if !has_tools {
            let message = "there is a `tool_choice` and there are no `tools`".to_owned();
            return Err(self.at(choice.referenced, message, "add `tools`, or leave it out".into()));
        }
        match &choice.value {
            Value::String(word) if !WORDS.contains(&word.as_str()) => {
                let cure = near::cure(word, WORDS, &format!("there are {}, or an object", WORDS.join(", ")));
                Err(self.at(choice.referenced, format!("unknown `tool_choice: {}`", printed(word)), cure))
            }
            Value::String(_) | Value::Object(_) => Ok(()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
                let cure = format!("write {}, or an object that names a tool", WORDS.join(", "));
                Err(self.at(choice.referenced, "`tool_choice` is neither a word nor an object".into(), cure))
            }
        }
    }

    fn parameter(
        &self,
        name: &str,
        value: &Spanned<Value>,
        warnings: &mut Vec<PromptError>,
    ) -> Result<(), PromptError> {
        let place = value.referenced;
        let value = &value.value;
        if let Some((_, cure)) = ELSEWHERE.iter().find(|(known, _)| *known == name) {
            return Err(self.at(place, format!("`{name}` is no parameter"), (*cure).to_owned()));
        }
        let is_in = |low: f64, high: f64| value.as_f64().is_some_and(|number| (low..=high).contains(&number));
        let wanted = match name {
            "temperature" if !is_in(0.0, 2.0) => "a number from 0 to 2",
            "top_p" | "min_p" if !is_in(0.0, 1.0) => "a number from 0 to 1",
            "presence_penalty" | "frequency_penalty" if !is_in(-2.0, 2.0) => "a number from -2 to 2",
            "max_tokens" | "max_completion_tokens" | "n" | "top_k"
                if !value.as_u64().is_some_and(|number| (1..=u64::from(u32::MAX)).contains(&number)) =>
            {
                "a whole number from 1"
            }
            "seed" if !value.is_i64() && !value.is_u64() => "a whole number",
            _ => "",
        };
        if !wanted.is_empty() {
            return Err(self.at(
                place,
                format!("`{name}` must be {wanted}"),
                "mend it, or leave it out".into(),
            ));
        }
        if !KNOWN.contains(&name) {
            let message = format!("parameter `{}` is not known here", printed(name));
            let cure = near::cure(name, KNOWN, "it is sent as it stands, and the provider may refuse it");
            warnings.push(self.at(place, message, cure));
        }
        Ok(())
    }
}
