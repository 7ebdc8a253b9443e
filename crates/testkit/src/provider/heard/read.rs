//! Reading of each vendor's requests.

use serde_json::Value;

use super::{Format, Heard, HeardCall, HeardResult, list, text, texts};

pub(super) fn read(format: Format, body: &Value) -> Heard {
    match format {
        Format::Chat => chat(body),
        Format::Completions => Heard { user: texts(&body["prompt"]), ..Heard::default() },
        Format::Responses => responses(body),
        Format::Messages => messages(body),
        Format::Gemini => gemini(body),
        Format::Converse => converse(body),
    }
}

fn parsed(arguments: &Value) -> Value {
    arguments.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(|| arguments.clone())
}

fn some(value: &Value) -> Option<Value> {
    (!value.is_null()).then(|| value.clone())
}

fn either<'a>(value: &'a Value, first: &str, second: &str) -> &'a Value {
    if value[first].is_null() { &value[second] } else { &value[first] }
}

fn chat(body: &Value) -> Heard {
    let mut heard = Heard {
        tools: list(body, "tools")
            .iter()
            .map(|tool| text(&either(tool, "function", "custom")["name"]))
            .collect(),
        schema: some(&body["response_format"]["json_schema"]["schema"]),
        limit: body["max_completion_tokens"].as_u64().or(body["max_tokens"].as_u64()),
        ..Heard::default()
    };
    for message in list(body, "messages") {
        let said = texts(&message["content"]);
        match message["role"].as_str() {
            Some("system" | "developer") => heard.system += &said.concat(),
            Some("user") => heard.user.extend(said),
            Some("tool") => heard.results.push(HeardResult {
                id: text(&message["tool_call_id"]),
                name: String::new(),
                text: said.concat(),
            }),
            _ => {
                heard.assistant.extend(said);
                heard.calls.extend(list(message, "tool_calls").iter().map(|call| {
                    let called = either(call, "function", "custom");
                    HeardCall {
                        id: text(&call["id"]),
                        name: text(&called["name"]),
                        arguments: parsed(either(called, "arguments", "input")),
                    }
                }));
            }
        }
    }
    heard
}

fn responses(body: &Value) -> Heard {
    let mut heard = Heard {
        system: text(&body["instructions"]),
        tools: list(body, "tools").iter().map(|tool| text(&tool["name"])).collect(),
        schema: some(&body["text"]["format"]["schema"]),
        limit: body["max_output_tokens"].as_u64(),
        ..Heard::default()
    };
    if let Some(prompt) = body["input"].as_str() {
        heard.user.push(prompt.to_owned());
    }
    for item in list(body, "input") {
        let said = texts(&item["content"]);
        match item["type"].as_str().unwrap_or("message") {
            "function_call" => heard.calls.push(HeardCall {
                id: text(&item["call_id"]),
                name: text(&item["name"]),
                arguments: parsed(&item["arguments"]),
            }),
            "function_call_output" => heard.results.push(HeardResult {
                id: text(&item["call_id"]),
                name: String::new(),
                text: texts(&item["output"]).concat(),
            }),
            "reasoning" => {
                heard.thoughts.push((texts(&item["summary"]).concat(), text(&item["encrypted_content"])));
            }
            _ => match item["role"].as_str() {
                Some("system" | "developer") => heard.system += &said.concat(),
                Some("assistant") => heard.assistant.extend(said),
                _ => heard.user.extend(said),
            },
        }
    }
    heard
}

fn messages(body: &Value) -> Heard {
    let mut heard = Heard {
        system: texts(&body["system"]).concat(),
        tools: list(body, "tools").iter().map(|tool| text(&tool["name"])).collect(),
        schema: some(&body["output_config"]["format"]["schema"]),
        limit: body["max_tokens"].as_u64(),
        ..Heard::default()
    };
    for message in list(body, "messages") {
        let is_user = message["role"] == "user";
        let said = texts(&message["content"]);
        if is_user {
            heard.user.extend(said)
        } else {
            heard.assistant.extend(said)
        }
        for block in list(message, "content") {
            match block["type"].as_str() {
                Some("thinking") => {
                    heard.thoughts.push((text(&block["thinking"]), text(&block["signature"])));
                }
                Some("tool_use") => heard.calls.push(HeardCall {
                    id: text(&block["id"]),
                    name: text(&block["name"]),
                    arguments: block["input"].clone(),
                }),
                Some("tool_result") => heard.results.push(HeardResult {
                    id: text(&block["tool_use_id"]),
                    name: String::new(),
                    text: texts(&block["content"]).concat(),
                }),
                _ => {}
            }
        }
    }
    heard
}

fn gemini(body: &Value) -> Heard {
    let config = &body["generationConfig"];
    let system = &body["systemInstruction"];
    let declared = list(body, "tools").iter().flat_map(|tool| list(tool, "functionDeclarations"));
    let schema = some(&config["responseJsonSchema"]).or_else(|| some(&config["responseSchema"]));
    let mut heard = Heard {
        system: texts(&system["parts"]).concat(),
        tools: declared.map(|tool| text(&tool["name"])).collect(),
        schema: schema.or_else(|| some(&config["responseFormat"]["text"]["schema"])),
        limit: config["maxOutputTokens"].as_u64(),
        ..Heard::default()
    };
    for content in list(body, "contents") {
        let said = texts(&content["parts"]).into_iter().filter(|said| !said.is_empty());
        if content["role"] == "model" {
            heard.assistant.extend(said)
        } else {
            heard.user.extend(said)
        }
        let mut thought = String::new();
        for part in list(content, "parts") {
            if part["thought"] == true {
                thought = text(&part["text"]);
            }
            if let Some(signature) = part["thoughtSignature"].as_str() {
                heard.thoughts.push((std::mem::take(&mut thought), signature.to_owned()));
            }
            let (call, result) = (&part["functionCall"], &part["functionResponse"]);
            if call.is_object() {
                let (id, name) = (text(&call["id"]), text(&call["name"]));
                heard.calls.push(HeardCall { id, name, arguments: call["args"].clone() });
            }
            if result.is_object() {
                let (id, name) = (text(&result["id"]), text(&result["name"]));
                heard.results.push(HeardResult { id, name, text: result["response"].to_string() });
            }
        }
    }
    heard
}

fn converse(body: &Value) -> Heard {
    let mut heard = Heard {
        system: texts(&body["system"]).concat(),
        tools: list(&body["toolConfig"], "tools")
            .iter()
            .map(|tool| text(&tool["toolSpec"]["name"]))
            .collect(),
        // The one place where a schema is JSON within a string.
        schema: some(&parsed(&body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"])),
        limit: body["inferenceConfig"]["maxTokens"].as_u64(),
        ..Heard::default()
    };
    for message in list(body, "messages") {
        let said = texts(&message["content"]);
        if message["role"] == "user" {
            heard.user.extend(said)
        } else {
            heard.assistant.extend(said)
        }
        for block in list(message, "content") {
            let thought = &block["reasoningContent"]["reasoningText"];
            if thought.is_object() {
                heard.thoughts.push((text(&thought["text"]), text(&thought["signature"])));
            }
            let (call, result) = (&block["toolUse"], &block["toolResult"]);
            if call.is_object() {
                heard.calls.push(HeardCall {
                    id: text(&call["toolUseId"]),
                    name: text(&call["name"]),
                    arguments: call["input"].clone(),
                });
            }
            if result.is_object() {
                let said = list(result, "content").iter().map(|part| match &part["json"] {
                    Value::Null => text(&part["text"]),
                    json => json.to_string(),
                });
                heard.results.push(HeardResult {
                    id: text(&result["toolUseId"]),
                    name: String::new(),
                    text: said.collect(),
                });
            }
        }
    }
    heard
}
