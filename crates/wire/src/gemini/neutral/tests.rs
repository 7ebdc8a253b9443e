use gauntlet_types::{Dialect, Seal, Sealed};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{read, write};
use crate::{
    ask::{Ask, Speaker, Turn, What, Written},
    conversation::PathAsk,
    gemini::NO_SIGNATURE,
    seal,
};

fn path() -> PathAsk {
    PathAsk { model: "gemini-2.5-pro".into(), stream: true, batch: false }
}

fn body(written: &Written) -> Value {
    serde_json::from_slice(&written.body).unwrap()
}

fn ask(turns: Vec<(Speaker, Vec<What>)>) -> Ask {
    let turn = |(speaker, parts): (Speaker, Vec<What>)| Turn {
        speaker,
        parts: parts.into_iter().map(Into::into).collect(),
        name: None,
    };
    Ask { turns: turns.into_iter().map(turn).collect(), ..Ask::default() }
}

fn call(id: &str, seal: Option<Seal>) -> What {
    let (id, name, arguments) = (id.to_owned(), "f".to_owned(), "{}".to_owned());
    What::ToolCall { id, name, arguments, is_custom: false, seal }
}

fn result(id: &str) -> What {
    let parts = vec![What::Text("ok".into()).into()];
    What::ToolResult { id: id.to_owned(), name: None, parts, is_error: false }
}

fn own(on: Sealed) -> Seal {
    Seal { by: Dialect::Gemini, on, id: None, data: "EgQB".into() }
}

#[test]
fn both_spellings_are_read_and_together_they_are_a_mistake() {
    let camel = json!({"contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": "AA=="}}]}],
        "generationConfig": {"topK": 3, "thinkingConfig": {"includeThoughts": true}}});
    let snake = json!({"contents": [{"parts": [{"inline_data": {"mime_type": "image/png", "data": "AA=="}}]}],
        "generation_config": {"top_k": 3, "thinking_config": {"include_thoughts": true}}});
    let written = |value: &Value| body(&write(read(value.to_string().as_bytes(), &path()).unwrap(), "m"));
    assert_eq!(written(&camel), camel);
    assert_eq!(written(&snake), camel);
    let both = json!({"contents": [], "generationConfig": {"topK": 3, "top_k": 3}});
    let error = read(both.to_string().as_bytes(), &path()).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("generationConfig.topK"));
}

#[test]
fn mistakes_are_told_and_never_panic() {
    let check = |body: &str, shown: &str| {
        assert_eq!(read(body.as_bytes(), &path()).unwrap_err().message, shown, "{body}");
    };
    check("[]", "the body must be a JSON object");
    check(r#"{"contents":["x"]}"#, "`contents[0]` must be an object");
    check(r#"{"contents":[{"parts":["x"]}]}"#, "`contents[0].parts[0]` must be an object");
    check(
        r#"{"contents":[{"parts":[{"functionCall":{}}]}]}"#,
        "`contents[0].parts[0].functionCall.name` is missing",
    );
    check(r#"{"contents":[],"tools":[7]}"#, "`tools[0]` must be an object");
    let limit = r#"{"contents":[],"generationConfig":{"maxOutputTokens":"many"}}"#;
    check(limit, "`generationConfig.maxOutputTokens` must be a whole number from 0 to 4294967295");
}

#[test]
fn made_up_ids_keep_clear_of_given_ones_and_results_find_their_call() {
    let body = json!({"contents": [
        {"role": "model", "parts": [{"functionCall": {"name": "f"}}, {"functionCall": {"name": "f", "id": "call_0"}},
            {"functionCall": {"name": "f"}}]},
        {"parts": [{"functionResponse": {"name": "f", "id": "call_0"}}, {"functionResponse": {"name": "f"}},
            {"functionResponse": {"name": "f"}}, {"functionResponse": {"name": "g"}}]}]});
    let ask = read(body.to_string().as_bytes(), &path()).unwrap();
    let ids: Vec<&str> = ask
        .turns
        .iter()
        .flat_map(|turn| &turn.parts)
        .map(|part| match &part.what {
            What::ToolCall { id, .. } | What::ToolResult { id, .. } => id.as_str(),
            _ => "",
        })
        .collect();
    assert_eq!(ids, ["call_1", "call_0", "call_2", "call_0", "call_1", "call_2", "call_3"]);
}

#[test]
fn gemini_3_gets_a_signature_for_each_step_of_the_present_turn() {
    let words = |text: &str| (Speaker::User, vec![What::Text(text.into())]);
    let turns = || {
        ask(vec![
            words("a"),
            (Speaker::Assistant, vec![call("1", None)]),
            (Speaker::User, vec![result("1")]),
            words("b"),
            (Speaker::Assistant, vec![call("2", Some(own(Sealed::ToolCall(0)))), call("3", None)]),
            (Speaker::User, vec![result("3"), result("2")]),
            (
                Speaker::Assistant,
                vec![call("4", Some(Seal { by: Dialect::Messages, ..own(Sealed::ToolCall(0)) }))],
            ),
            (Speaker::User, vec![result("4")]),
        ])
    };
    let signatures = |written: &Written| {
        let contents = body(written)["contents"].as_array().unwrap().clone();
        let parts = contents.iter().flat_map(|content| content["parts"].as_array().unwrap().clone());
        let calls = parts.filter(|part| part.get("functionCall").is_some());
        calls.map(|part| part["thoughtSignature"].as_str().unwrap_or("").to_owned()).collect::<Vec<_>>()
    };
    let third = write(turns(), "gemini-3-pro-preview");
    assert_eq!(signatures(&third), ["", "EgQB", "", NO_SIGNATURE]);
    assert_eq!(third.injected, ["thoughtSignature"]);
    let second = write(turns(), "gemini-2.5-pro");
    assert_eq!(signatures(&second), ["", "EgQB", "", ""]);
    assert!(second.injected.is_empty());
    // Results stand in one content, in the order of their calls.
    assert_eq!(body(&third)["contents"][5]["parts"][0]["functionResponse"]["id"], "2");
}

#[test]
fn only_own_reasoning_goes_back() {
    let check = |text: &str, seal: Option<Seal>, expected: Value, dropped: &[&str]| {
        let said = vec![What::Reasoning { text: text.into(), seal }, What::Text("Blue.".into())];
        let turns = vec![(Speaker::Assistant, said)];
        let written = write(ask(turns), "gemini-3-pro");
        assert_eq!(&body(&written)["contents"][0]["parts"], &expected);
        assert_eq!(written.dropped, dropped);
    };
    let text = json!({"text": "Blue."});
    let sealed = |data: &str| Seal { data: data.to_owned(), ..own(Sealed::Reasoning) };
    check("hm", None, json!([text]), &["reasoning"]);
    check("hm", Some(Seal { by: Dialect::Messages, ..sealed("x") }), json!([text]), &["reasoning"]);
    check("hm", Some(sealed(seal::VOID)), json!([text]), &["reasoning"]);
    check("hm", Some(sealed(seal::void(Dialect::Gemini))), json!([text]), &["reasoning"]);
    check(
        "hm",
        Some(sealed("EgQB")),
        json!([{"text": "hm", "thought": true, "thoughtSignature": "EgQB"}, text]),
        &[],
    );
    check("", Some(own(Sealed::Text)), json!([{"text": "Blue.", "thoughtSignature": "EgQB"}]), &[]);
}

#[test]
fn a_choice_among_functions_goes_with_functions_only() {
    let check = |tools: Value, expected: bool| {
        let request = json!({"contents": [], "tools": tools, "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}}});
        let written = write(read(request.to_string().as_bytes(), &path()).unwrap(), "m");
        assert_eq!(body(&written).get("toolConfig").is_some(), expected, "{request}");
    };
    check(json!([{"googleSearch": {}}]), false);
    check(json!([{"googleSearch": {}}, {"functionDeclarations": [{"name": "f"}]}]), true);
    check(json!([]), false);
}

#[test]
fn a_lone_instruction_becomes_the_users() {
    let written = write(ask(vec![(Speaker::System, vec![What::Text("Go.".into())])]), "m");
    assert_eq!(body(&written), json!({"contents": [{"role": "user", "parts": [{"text": "Go."}]}]}));
}

/// A request in the form in which we write one.
fn any_request() -> impl Strategy<Value = Value> {
    let text = "[a-zäß\"\\\\\n€😀]{1,8}";
    let user = prop_oneof![
        text.prop_map(|text| json!({"text": text})),
        text.prop_map(|data| json!({"inlineData": {"mimeType": "image/png", "data": data}})),
        Just(json!({"fileData": {"mimeType": "image/png", "fileUri": "https://a.b/c.png"}})),
    ];
    let turn = (prop::collection::vec(user, 1..3), text, prop::option::of(text), prop::option::of(text));
    let turns = prop::collection::vec(turn, 1..4).prop_map(|turns| {
        let mut contents = Vec::new();
        for (number, (user, words, thought, called)) in turns.into_iter().enumerate() {
            contents.push(json!({"role": "user", "parts": user}));
            let mut parts = Vec::new();
            if let Some(thought) = thought {
                parts.push(json!({"text": thought, "thought": true, "thoughtSignature": "EgQB"}));
            }
            parts.push(json!({"text": words, "thoughtSignature": "EgQC"}));
            let Some(said) = called else {
                contents.push(json!({"role": "model", "parts": parts}));
                continue;
            };
            let id = format!("id_{number}");
            let call = json!({"id": id, "name": "f", "args": {"a": said, "n": [1, 2.5, null]}});
            parts.push(json!({"functionCall": call, "thoughtSignature": "EgQD"}));
            contents.push(json!({"role": "model", "parts": parts}));
            let result = json!({"id": id, "name": "f", "response": {"output": said}});
            contents.push(json!({"role": "user", "parts": [{"functionResponse": result}]}));
        }
        contents
    });
    let limits = (any::<u32>(), 0u32..8, prop::option::of(0u32..9), any::<i64>());
    (turns, prop::option::of(text), limits).prop_map(|(contents, system, (limit, eighths, top_k, seed))| {
        let mut request = json!({"contents": contents});
        if let Some(system) = system {
            request["systemInstruction"] = json!({"parts": [{"text": system}]});
        }
        request["tools"] = json!([{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]},
            {"googleSearch": {}}]);
        request["toolConfig"] = json!({"functionCallingConfig": {"mode": "AUTO"}});
        let mut config = json!({"maxOutputTokens": limit, "temperature": f64::from(eighths) / 8.0, "seed": seed,
            "stopSequences": ["x"], "responseMimeType": "application/json", "responseJsonSchema": {"type": "object"},
            "thinkingConfig": {"thinkingBudget": 77, "includeThoughts": false}});
        if let Some(top_k) = top_k {
            config["topK"] = top_k.into();
        }
        request["generationConfig"] = config;
        request
    })
}

proptest! {
    #[test]
    fn a_request_through_the_neutral_form_keeps_its_meaning(request in any_request()) {
        let ask = read(request.to_string().as_bytes(), &path()).unwrap();
        prop_assert!(ask.dropped.is_empty(), "{:?}", ask.dropped);
        let written = write(ask, "gemini-3-pro-preview");
        prop_assert_eq!(body(&written), request);
        prop_assert!(written.dropped.is_empty() && written.injected.is_empty());
    }

    #[test]
    fn any_mutation_is_read_or_refused(request in any_request(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = request.to_string().into_bytes();
        let at = at.index(body.len());
        body[at] = byte;
        if let Ok(ask) = read(&body, &path()) {
            for dialect in [Dialect::Gemini, Dialect::Chat, Dialect::Converse] {
                let written = crate::translate::write_ask(dialect, ask.clone(), "claude", gauntlet_types::Quirks::default());
                prop_assert!(serde_json::from_slice::<Value>(&written.body).is_ok());
            }
        }
    }
}
