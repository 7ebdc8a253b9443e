use bytes::Bytes;
use gauntlet_types::{Dialect, Seal, Sealed};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::without_foreign;
use crate::{
    conversation::{Conversation, LimitField, PathAsk, parse},
    gemini::NO_SIGNATURE,
    json::Malformed,
    seal,
    splice::{Edit, splice},
};

fn path() -> PathAsk {
    PathAsk { model: "gemini-3-pro".into(), stream: false, batch: false }
}

fn read(body: &Bytes) -> Result<Conversation, Malformed> {
    parse(Dialect::Gemini, body, &path())
}

fn value(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|error| panic!("{}: {error}", String::from_utf8_lossy(body)))
}

#[test]
fn mistakes_name_the_field() {
    let check = |body: &'static str, param: &str| {
        let error = read(&Bytes::from(body)).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param), "{body}: {error}");
        assert!(error.at.is_some(), "{body}");
    };
    check(r#"{}"#, "contents");
    check(r#"{"contents":null}"#, "contents");
    check(r#"{"contents":[]}"#, "contents");
    check(r#"{"contents":"hi"}"#, "contents");
    check(r#"{"contents":["hi"]}"#, "contents[0]");
    check(r#"{"contents":[{"parts":["hi"]}]}"#, "contents[0].parts[0]");
    check(r#"{"contents":[{"parts":[{"text":7}]}]}"#, "contents[0].parts[0].text");
    check(r#"{"contents":[{"parts":[{"text":"a","text":"b"}]}]}"#, "contents[0].parts[0].text");
    check(r#"{"contents":[{"parts":[{"text":"a","Text":"b"}]}]}"#, "Text");
    check(r#"{"contents":[{"parts":[{"functionCall":{"args":{},"args":{}}}]}]}"#, "functionCall.args");
    check(r#"{"contents":[{"parts":[],"role":7}]}"#, "contents[0].role");
    check(r#"{"contents":[{"parts":[]}],"systemInstruction":"be"}"#, "systemInstruction");
    check(r#"{"system_instruction":{},"systemInstruction":{},"contents":[]}"#, "systemInstruction");
    check(r#"{"contents":[{}],"Contents":[]}"#, "Contents");
    check(r#"{"contents":[{}],"generationConfig":[]}"#, "generationConfig");
    check(
        r#"{"contents":[{}],"generationConfig":{"maxOutputTokens":-1}}"#,
        "generationConfig.maxOutputTokens",
    );
    check(r#"{"contents":[{}],"generationConfig":{"top_p":1,"topP":1}}"#, "generationConfig.topP");
    check(r#"{"contents":[{}],"generationConfig":{"candidateCount":0}}"#, "generationConfig.candidateCount");
    check(r#"{"contents":[{}],"model":"models/gemini-ultra"}"#, "model");
    check(r#"{"contents":[{}],"gauntlet":7}"#, "gauntlet");
    check(r#"{"gauntlet":{"prompt":"p"}}"#, "contents");
}

#[test]
fn googles_looser_forms_are_read() {
    let check = |body: &'static str, limit: Option<u32>, messages: usize| {
        let asked = read(&Bytes::from(body)).unwrap();
        assert_eq!(
            (asked.max_tokens.map(|limit| limit.value), asked.message_count),
            (limit, messages),
            "{body}"
        );
    };
    check(r#"{"contents":{"parts":{"text":"hi"}}}"#, None, 1);
    check(r#"{"contents":[{"parts":[{"text":"hi"}],"role":null}],"model":"models/gemini-3-pro"}"#, None, 1);
    check(r#"{"contents":[{}],"generation_config":{"max_output_tokens":"12"}}"#, Some(12), 1);
    check(r#"{"contents":[{}],"generationConfig":{"maxOutputTokens":1e2}}"#, Some(100), 1);
    check(r#"{"contents":[{}],"generationConfig":{"maxOutputTokens":null}}"#, None, 1);
}

#[test]
fn edits_fit_whatever_form_the_body_has() {
    let check = |body: &'static str, expected: Value| {
        let body = Bytes::from(body);
        let asked = read(&body).unwrap();
        let mut edits = asked.with_prompt(&body, &[("system", "S"), ("user", "U"), ("assistant", "A")]);
        edits.push(asked.with_max_tokens(9, LimitField::MaxTokens));
        edits.extend(asked.without_gauntlet());
        assert_eq!(value(&splice(&body, edits)), expected, "{body:?}");
    };
    let first =
        || json!([{"role": "user", "parts": [{"text": "U"}]}, {"role": "model", "parts": [{"text": "A"}]}]);
    let with = |content: Value| {
        let mut all = first();
        all.as_array_mut().unwrap().push(content);
        all
    };
    let system = || json!({"parts": [{"text": "S"}]});
    let limit = || json!({"maxOutputTokens": 9});
    check(
        r#"{"contents":[{"a":1}]}"#,
        json!({"systemInstruction": system(), "generationConfig": limit(), "contents": with(json!({"a": 1}))}),
    );
    check(
        r#"{"contents":{"a":1},"systemInstruction":null,"generationConfig":null}"#,
        json!({"systemInstruction": system(), "generationConfig": limit(), "contents": with(json!({"a": 1}))}),
    );
    check(
        r#"{"system_instruction":{},"generation_config":{},"gauntlet":{"prompt":"p"},"contents":[]}"#,
        json!({"system_instruction": system(), "generation_config": limit(), "contents": first()}),
    );
    check(
        r#"{"contents":null,"systemInstruction":{"role":"user"},"gauntlet":{},"generationConfig":{"topK":1}}"#,
        json!({"systemInstruction": {"parts": [{"text": "S"}], "role": "user"},
            "generationConfig": {"maxOutputTokens": 9, "topK": 1}, "contents": first()}),
    );
    check(
        r#"{"gauntlet":{"prompt":"p"},"labels":{},"systemInstruction":{"parts":{"text":"T"}}}"#,
        json!({"labels": {}, "systemInstruction": {"parts": [{"text": "S"}, {"text": "T"}]}, "contents": first(),
            "generationConfig": limit()}),
    );
    check(
        r#"{"contents":[{}],"systemInstruction":{"parts":[]},"generationConfig":{"maxOutputTokens":"5"}}"#,
        json!({"systemInstruction": system(), "generationConfig": limit(), "contents": with(json!({}))}),
    );
}

#[test]
fn more_goes_behind_a_list_and_nowhere_else() {
    let check = |body: &'static str, expected: Option<&str>| {
        let body = Bytes::from(body);
        let edit = read(&body).unwrap().with_more(&body, &[("user", "x"), ("assistant", "y")]);
        assert_eq!(edit.map(|edit| splice(&body, vec![edit])).as_deref(), expected.map(str::as_bytes));
    };
    check(
        r#"{"contents":[{}]}"#,
        Some(
            r#"{"contents":[{},{"role":"user","parts":[{"text":"x"}]},{"role":"model","parts":[{"text":"y"}]}]}"#,
        ),
    );
    check(r#"{"contents":{}}"#, None);
    check(r#"{"contents":[],"gauntlet":{}}"#, None);
}

#[test]
fn foreign_seals_are_cut_and_all_else_stays() {
    let mark = |by: Dialect, on: Sealed| {
        seal::write(&Seal { by, on, id: None, data: "AbC+/=".into() }, Dialect::Gemini)
    };
    let check = |parts: Value, expected: Value| {
        let words = json!({"parts": [{"text": "hi"}]});
        let body =
            json!({"contents": [words, {"role": "model", "parts": parts}, words], "labels": {"a": "b"}});
        let mut wanted = body.clone();
        match expected {
            Value::Null => drop(wanted["contents"].as_array_mut().unwrap().remove(1)),
            expected => wanted["contents"][1]["parts"] = expected,
        }
        for body in [serde_json::to_string(&body).unwrap(), serde_json::to_string_pretty(&body).unwrap()] {
            let body = Bytes::from(body);
            assert_eq!(value(&splice(&body, without_foreign(&body))), wanted);
        }
    };
    let (foreign, own) = (mark(Dialect::Messages, Sealed::Reasoning), "EgQBAgME");
    let thought = || json!({"text": "hm", "thought": true, "thoughtSignature": foreign});
    let text = || json!({"text": "a"});
    let call = |seal: &str| json!({"functionCall": {"name": "f"}, "thoughtSignature": seal});
    check(json!([text()]), json!([text()]));
    check(json!([thought(), text()]), json!([text()]));
    check(json!([text(), thought()]), json!([text()]));
    check(json!([thought(), text(), thought(), thought(), text(), thought()]), json!([text(), text()]));
    check(json!([thought(), thought()]), Value::Null);
    check(json!([call(&foreign)]), json!([call(NO_SIGNATURE)]));
    check(json!([call(own), call(seal::void(Dialect::Gemini))]), json!([call(own), call(NO_SIGNATURE)]));
    check(json!([{"text": "a", "thoughtSignature": foreign}]), json!([text()]));
    check(json!([{"thought_signature": seal::VOID, "text": "a"}]), json!([text()]));
    check(json!([{"text": "", "thoughtSignature": foreign}, text()]), json!([text()]));
    check(json!([{"text": "", "thoughtSignature": own}]), json!([{"text": "", "thoughtSignature": own}]));
}

#[test]
fn hostile_bodies_are_linear() {
    let many = 40_000;
    let bodies = [
        format!(r#"{{"contents":[{{"parts":[{}{{}}]}}]}}"#, r#"{"text":"a"},"#.repeat(many)),
        format!(r#"{{"contents":[{{}}],{}"a_b":1}}"#, r#""a_b":{"c_d":1},"#.repeat(many)),
        format!(
            r#"{{"contents":[{{"parts":[{}{{}}]}}]}}"#,
            r#"{"thought":true,"thoughtSignature":"gauntlet-seal.void"},"#.repeat(many)
        ),
        format!(r#"{{"contents":[{{"parts":[{{"text":"{}"}}]}}]}}"#, r"\u00e9".repeat(many)),
    ];
    for body in bodies {
        let body = Bytes::from(body);
        let start = std::time::Instant::now();
        let asked = read(&body).unwrap();
        assert!(asked.segments(&body).len() <= many + 1);
        splice(&body, without_foreign(&body));
        assert!(start.elapsed().as_millis() < 3_000, "{:?}", &body[..60]);
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map("z.{0,6}", inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn unknown_fields_survive_at_any_depth(
        top in any_value(), content in any_value(), part in any_value(), config in any_value(), is_pretty in any::<bool>()
    ) {
        let document = json!({
            "zz": top, "contents": [{"zz": content, "parts": [{"zz": part, "text": "hi"}]}],
            "generationConfig": {"zz": config}, "safetySettings": [{"threshold": "OFF"}],
        });
        let body = if is_pretty { serde_json::to_string_pretty(&document) } else { serde_json::to_string(&document) };
        let body = Bytes::from(body.unwrap());
        let asked = read(&body).unwrap();
        let mut edits = asked.with_system(&body, "S");
        edits.push(asked.with_max_tokens(3, LimitField::MaxTokens));
        let result = splice(&body, edits.clone());
        let mut wanted = document;
        wanted["systemInstruction"] = json!({"parts": [{"text": "S"}]});
        wanted["generationConfig"]["maxOutputTokens"] = 3.into();
        prop_assert_eq!(value(&result), wanted);
        // Outside the edits the bytes are the same.
        let mut kept = body.to_vec();
        edits.sort_by_key(|edit| std::cmp::Reverse(edit.range.start));
        for edit in edits {
            kept.splice(edit.range.clone(), edit.with.iter().copied());
        }
        prop_assert_eq!(result, kept);
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let body = Bytes::from(body);
        let _ = read(&body);
        prop_assert!(without_foreign(&body).is_empty());
    }

    #[test]
    fn any_mutation_is_read_or_refused(at in any::<prop::sample::Index>(), byte in any::<u8>(), drop in 0usize..4) {
        let mut body = br#"{"contents":[{"role":"model","parts":[{"text":"\u00e9","thought":true,"thoughtSignature":
            "gauntlet-seal.void"},{"functionCall":{"name":"f","args":{"a":["b"]}},"thought_signature":"gauntlet-seal.void"}]},
            {"parts":[{"functionResponse":{"name":"f","response":{"a":"b"}}},{"inline_data":{"data":"AA=="}}]}],
            "systemInstruction":{"parts":[{"text":"s"}]},"generationConfig":{"maxOutputTokens":5,"seed":1},
            "tools":[{"functionDeclarations":[{"name":"f","description":"d"}]}],"gauntlet":{"prompt":"p"}}"#.to_vec();
        let at = at.index(body.len() - 4);
        body[at] = byte;
        body.drain(at + 1..at + 1 + drop);
        let body = Bytes::from(body);
        if let Ok(asked) = read(&body) {
            let mut edits = vec![asked.with_max_tokens(1, LimitField::MaxTokens)];
            edits.extend(asked.with_system(&body, "s"));
            edits.extend(asked.with_more(&body, &[("user", "m")]));
            edits.extend(asked.without_gauntlet());
            let segments = asked.segments(&body);
            edits.extend(segments.iter().map(|segment| segment.replaced("x")));
            let result = crate::splice::splice_checked(&body, edits).unwrap();
            prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&result).is_ok());
            prop_assert!(read(&result).is_ok());
            let cut: Vec<Edit> = without_foreign(&body);
            let result = crate::splice::splice_checked(&body, cut).unwrap();
            prop_assert!(read(&result).is_ok());
        }
    }
}
