//! What tools gave back, out of a request for the next answer: the messages of role `tool` that it ends with, and what each was
//! called with by the message of the assistant before them.

use std::borrow::Cow;

use gauntlet_types::ToolResult;
use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Results of one request that are told apart; agents that call more at once are rare.
const RESULTS_MAX: usize = 64;
/// Bytes of arguments, and of an output. The whole is in the request's text.
const TEXT_MAX: usize = 16 * 1024;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    messages: Vec<Message<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow, default)]
    tool_call_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<Vec<Call<'a>>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    arguments: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    text: String,
}

/// In the order of the request; none of a body that is no chat, or cannot be read.
pub fn of(body: &[u8]) -> Vec<ToolResult> {
    // Nearly all calls end here: reading a body costs some microseconds a kilobyte.
    if memmem::find(body, b"\"tool_call_id\"").is_none() {
        return Vec::new();
    }
    let Ok(Body { messages }) = serde_json::from_slice(body) else { return Vec::new() };
    let first = messages.iter().rposition(|message| message.role != "tool").map_or(0, |at| at + 1);
    let (before, results) = messages.split_at(first);
    let asked = before.last().and_then(|message| message.tool_calls.as_deref()).unwrap_or_default();
    let result = |message: &Message<'_>| {
        let id = message.tool_call_id.as_deref().unwrap_or_default();
        let function = asked.iter().find(|call| call.id == id).and_then(|call| call.function.as_ref());
        ToolResult {
            id: id.to_owned(),
            name: function.map(|function| function.name.to_string()).unwrap_or_default(),
            arguments: function.map(|function| cut(&function.arguments)).unwrap_or_default(),
            output: message.content.map(text).unwrap_or_default(),
        }
    };
    results.iter().take(RESULTS_MAX).map(result).collect()
}

fn text(content: &RawValue) -> String {
    match serde_json::from_str(content.get()) {
        Ok(Content::Text(text)) => cut(&text),
        Ok(Content::Parts(parts)) => {
            cut(&parts.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join("\n"))
        }
        Err(_) => cut(content.get()),
    }
}

fn cut(text: &str) -> String {
    if text.len() <= TEXT_MAX {
        return text.to_owned();
    }
    let end = (0..=TEXT_MAX).rfind(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: &[[&str; 4]]) {
        let found: Vec<_> = of(body.as_bytes())
            .into_iter()
            .map(|one| [one.id, one.name, one.arguments, one.output])
            .collect();
        assert_eq!(found, expected, "{body}");
    }

    #[test]
    fn only_what_is_new_is_told() {
        let call = |id: &str| {
            format!(
                r#"{{"role":"assistant","content":null,"tool_calls":[{{"id":"{id}","type":"function","function":{{"name":"look","arguments":"{{\"n\":1}}"}}}}]}}"#
            )
        };
        let tool = |id: &str, content: &str| {
            format!(r#"{{"role":"tool","tool_call_id":"{id}","content":{content}}}"#)
        };
        let body = |messages: &[String]| format!(r#"{{"model":"m","messages":[{}]}}"#, messages.join(","));
        let user = r#"{"role":"user","content":"and now?"}"#.to_owned();
        check(&body(&[call("a"), tool("a", "\"one\"")]), &[["a", "look", "{\"n\":1}", "one"]]);
        // An older one is the older call's to tell.
        check(
            &body(&[call("a"), tool("a", "\"one\""), call("b"), tool("b", "\"two\"")]),
            &[["b", "look", "{\"n\":1}", "two"]],
        );
        check(&body(&[call("a"), tool("a", "\"one\""), user]), &[]);
        check(
            &body(&[tool("x", r#"[{"type":"text","text":"p"},{"type":"text","text":"q"}]"#), tool("y", "7")]),
            &[["x", "", "", "p\nq"], ["y", "", "", "7"]],
        );
        check(r#"{"messages": [{"tool_call_id": 7}]}"#, &[]);
        check(r#"{"messages": "tool_call_id""#, &[]);
    }

    #[test]
    fn long_outputs_are_cut_at_a_character() {
        let body = format!(
            r#"{{"messages":[{{"role":"tool","tool_call_id":"a","content":"x{}"}}]}}"#,
            "é".repeat(TEXT_MAX)
        );
        let found = of(body.as_bytes());
        assert_eq!(found[0].output.len(), TEXT_MAX - 1 + "…".len());
        assert!(found[0].output.ends_with("é…"));
    }
}
