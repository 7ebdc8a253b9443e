//! A client of a stream, as strict as the official SDKs and somewhat more.

use serde_json::Value;

/// Reads frames as the official SDKs accumulate them, and checks what they rely on: numbers that ascend by one, places
/// that are those of a list, and tellings that agree. Gives the last frame.
pub(super) fn client(frames: &[Value]) -> Value {
    let mut output: Vec<Value> = Vec::new();
    let last = frames.last().expect("a stream has frames");
    for (number, frame) in frames.iter().enumerate() {
        assert_eq!(frame["sequence_number"], number, "{frame}");
        let kind = frame["type"].as_str().unwrap();
        let at = frame["output_index"].as_u64().unwrap_or(0) as usize;
        let part = frame["content_index"].as_u64().or(frame["summary_index"].as_u64()).unwrap_or(0) as usize;
        let list = |item: &Value| match (item["type"].as_str(), frame["summary_index"].is_null()) {
            (Some("reasoning"), false) => "summary",
            _ => "content",
        };
        let field = if kind.contains("refusal") { "refusal" } else { "text" };
        match kind {
            "response.created" => assert_eq!(number, 0),
            "response.output_item.added" => {
                assert_eq!(at, output.len(), "{frame}");
                output.push(frame["item"].clone());
            }
            "response.output_item.done" => {
                let (item, mut known) = (&frame["item"], output[at].clone());
                if !matches!(
                    item["type"].as_str(),
                    Some("message" | "reasoning" | "function_call" | "custom_tool_call")
                ) {
                    output[at] = item.clone();
                    continue;
                }
                for key in ["status", "encrypted_content"] {
                    known[key] = item[key].clone();
                }
                assert_eq!(item["id"], known["id"]);
                for key in ["content", "summary", "arguments", "input"] {
                    assert_eq!(item[key], known[key], "{frame}");
                }
                output[at] = item.clone();
            }
            "response.content_part.added" | "response.reasoning_summary_part.added" => {
                let key = list(&output[at]);
                if output[at][key].is_null() {
                    output[at][key] = serde_json::json!([]);
                }
                let parts = output[at][key].as_array_mut().unwrap();
                assert_eq!(part, parts.len(), "{frame}");
                parts.push(frame["part"].clone());
            }
            "response.content_part.done" | "response.reasoning_summary_part.done" => {
                assert_eq!(output[at][list(&output[at])][part], frame["part"], "{frame}");
            }
            "response.output_text.annotation.added" => {
                let known = output[at]["content"][part]["annotations"].as_array_mut().unwrap();
                known.push(frame["annotation"].clone());
            }
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                let key = if kind.contains("custom") { "input" } else { "arguments" };
                let all = output[at][key].as_str().unwrap().to_owned() + frame["delta"].as_str().unwrap();
                output[at][key] = all.into();
            }
            "response.function_call_arguments.done" => {
                assert_eq!(output[at]["arguments"], frame["arguments"]);
            }
            "response.custom_tool_call_input.done" => assert_eq!(output[at]["input"], frame["input"]),
            // What is told of other items is for the eye.
            _ if !matches!(
                output.get(at).and_then(|item| item["type"].as_str()),
                Some("message" | "reasoning")
            ) => {}
            _ if kind.ends_with(".delta") => {
                let (key, added) = (list(&output[at]), frame["delta"].as_str().unwrap());
                let text = &mut output[at][key][part][field];
                *text = (text.as_str().unwrap().to_owned() + added).into();
            }
            _ if kind.ends_with("text.done") || kind.ends_with("refusal.done") => {
                assert_eq!(output[at][list(&output[at])][part][field], frame[field], "{frame}");
            }
            _ => {}
        }
    }
    let status = last["response"]["status"].as_str().unwrap();
    assert_eq!(last["type"], format!("response.{status}"));
    if status == "completed" {
        assert_eq!(last["response"]["output"], Value::from(output));
    }
    last.clone()
}
