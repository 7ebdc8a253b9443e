use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    conversation::LimitField,
    json::Malformed,
    splice::{Edit, splice, splice_checked},
    text::{Kind, Role},
};

fn read(body: &str) -> (Bytes, Conversation) {
    let body = Bytes::from(body.to_owned());
    let asked = parse(&body).unwrap_or_else(|error| panic!("{body:?}: {error}"));
    (body, asked)
}

fn refused(body: &str) -> Malformed {
    parse(&Bytes::from(body.to_owned())).map(drop).expect_err(body)
}

/// As Codex writes it, with white space of its own.
const CODEX: &str = include_str!("../../../tests/golden/responses/request_codex.json");

#[test]
fn a_prompt_of_ours_goes_before_whatever_input_there_is() {
    let check = |body: &str, expected: &str| {
        let (bytes, asked) = read(body);
        let edits = asked.with_prompt(&bytes, &[("system", "be \"kind\""), ("user", "hi")]);
        assert_eq!(splice(&bytes, edits), expected, "{body}");
        read(expected);
    };
    check(
        r#"{"model":"m","input":"a\n"}"#,
        r#"{"model":"m","input":[{"role":"system","content":"be \"kind\""},{"role":"user","content":"hi"},{"role":"user","content":"a\n"}]}"#,
    );
    check(
        r#"{"model":"m","input":[ {"role":"user","content":"a"}]}"#,
        r#"{"model":"m","input":[{"role":"system","content":"be \"kind\""},{"role":"user","content":"hi"}, {"role":"user","content":"a"}]}"#,
    );
    check(
        r#"{"gauntlet":{},"model":"m","input":[]}"#,
        r#"{"gauntlet":{},"model":"m","input":[{"role":"system","content":"be \"kind\""},{"role":"user","content":"hi"}]}"#,
    );
    check(
        r#"{"gauntlet":{},"model":"m"}"#,
        r#"{"input":[{"role":"system","content":"be \"kind\""},{"role":"user","content":"hi"}],"gauntlet":{},"model":"m"}"#,
    );
}

#[test]
fn a_lone_system_prompt_becomes_the_question_where_there_is_none() {
    let (body, asked) = read(r#"{"model":"m","gauntlet":{"prompt":"p"}}"#);
    let result = splice(&body, asked.with_system(&body, "hi"));
    assert_eq!(result, r#"{"input":[{"role":"user","content":"hi"}],"model":"m","gauntlet":{"prompt":"p"}}"#);
}

#[test]
fn more_goes_behind_a_list_and_nowhere_else() {
    let (body, asked) = read(r#"{"model":"m","input":[{"role":"user","content":"a"} ]}"#);
    let edit = asked.with_more(&body, &[("assistant", "b")]).unwrap();
    assert_eq!(
        splice(&body, vec![edit]),
        r#"{"model":"m","input":[{"role":"user","content":"a"} ,{"role":"assistant","content":"b"}]}"#
    );
    let (body, asked) = read(r#"{"model":"m","input":"a"}"#);
    assert_eq!(asked.with_more(&body, &[("assistant", "b")]), None);
}

#[test]
fn the_limit_is_replaced_where_it_stands() {
    let check = |body: &str, expected: &str| {
        let (bytes, asked) = read(body);
        let edit = asked.with_max_tokens(7, LimitField::MaxTokens);
        assert_eq!(splice(&bytes, vec![edit]), expected);
    };
    check(r#"{"model":"m","input":"a"}"#, r#"{"max_output_tokens":7,"model":"m","input":"a"}"#);
    check(
        r#"{"model":"m","max_output_tokens": 99 }"#.replace('}', r#","input":"a"}"#).as_str(),
        r#"{"model":"m","max_output_tokens": 7 ,"input":"a"}"#,
    );
    check(
        r#"{"max_output_tokens":null,"model":"m","input":"a"}"#,
        r#"{"max_output_tokens":7,"model":"m","input":"a"}"#,
    );
}

#[test]
fn our_own_prompt_is_cut_and_openais_stays() {
    let (body, asked) = read(r#"{"model":"m","input":"a","prompt":{"id":"refund","version":"2"}}"#);
    assert_eq!(asked.gauntlet.as_ref().unwrap().prompt.as_deref(), Some("refund@2"));
    assert_eq!(splice(&body, asked.without_gauntlet()), r#"{"model":"m","input":"a"}"#);
    let (body, asked) =
        read(r#"{"model":"m","prompt":{"variables":{"a":"Jane"},"id":"pmpt_1"},"gauntlet":{"x":1}}"#);
    assert_eq!(asked.state.as_deref(), Some("pmpt_1"));
    assert_eq!(asked.segments(&body)[0].as_str(&body), "Jane");
    assert_eq!(
        splice(&body, asked.without_gauntlet()),
        r#"{"model":"m","prompt":{"variables":{"a":"Jane"},"id":"pmpt_1"}}"#
    );
}

#[test]
fn what_the_provider_holds_is_state() {
    let check = |member: &str, state: Option<&str>| {
        let (_, asked) = read(&format!(r#"{{"model":"m",{member}}}"#));
        assert_eq!(asked.state.as_deref(), state, "{member}");
    };
    check(r#""previous_response_id":"resp_1""#, Some("resp_1"));
    check(r#""previous_response_id":null,"input":"a""#, None);
    check(r#""conversation":"conv_1","input":"a""#, Some("conv_1"));
    check(r#""conversation":{"id":"conv_2"},"input":"a""#, Some("conv_2"));
    check(r#""input":[{"type":"item_reference","id":"msg_1"}]"#, Some("msg_1"));
    check(r#""input":[{"id":"msg_2"}]"#, Some("msg_2"));
    check(r#""input":[{"id":"msg_2","role":"user","content":"a"}]"#, None);
}

#[test]
fn bad_requests_say_what_is_wrong_and_where() {
    let check = |body: &str, message: &str| assert_eq!(refused(body).to_string(), message, "{body}");
    check(r#"{"input":"a"}"#, "`model` is missing at line 1 column 14");
    check(r#"{"model":"m"}"#, "`input` is missing at line 1 column 14");
    check(r#"{"model":"m","input":[]}"#, "`input` is empty at line 1 column 22");
    check(r#"{"model":"m","input":7}"#, "`input` must be a string or an array at line 1 column 22");
    check(r#"{"model":"m","input":"a","input":"b"}"#, "`input` is given twice at line 1 column 26");
    check(r#"{"model":"m","Input":"a"}"#, "`Input` is spelt `input` at line 1 column 14");
    check(r#"{"model":"m","input":[{"content":"a"}]}"#, "`input[0].role` is missing at line 1 column 24");
    check(
        r#"{"model":"m","input":[{"role":"user","content":"a","content":"b"}]}"#,
        "`input[0].content` is given twice at line 1 column 52",
    );
    check(
        r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_text","Text":"a"}]}]}"#,
        "`Text` is spelt `text` at line 1 column 70",
    );
    check(
        r#"{"model":"m","input":"a","reasoning":{"effort":"low","effort":"high"}}"#,
        "`reasoning.effort` is given twice at line 1 column 54",
    );
    check(
        r#"{"model":"m","input":"a","max_output_tokens":1.5}"#,
        "`max_output_tokens` must be a whole number from 0 to 4294967295 at line 1 column 46",
    );
    check(
        r#"{"model":"m","prompt":{"id":"a"},"gauntlet":{},"input":"a"}"#,
        "`gauntlet` is a second prompt beside `gauntlet` or `prompt`: one is enough at line 1 column 34",
    );
}

#[test]
fn codex_passes_byte_for_byte_but_for_the_model() {
    let (body, asked) = read(CODEX);
    let result = splice(&body, asked.with_model("other").into_iter().collect());
    assert_eq!(std::str::from_utf8(&result).unwrap(), CODEX.replacen("\"gpt-5-codex\"", "\"other\"", 1));
    assert!(asked.without_gauntlet().is_empty() && asked.with_usage().is_none());
}

#[test]
fn a_text_is_found_whatever_the_order_of_its_members() {
    let (body, asked) = read(
        r#"{"input":[{"output":"o","call_id":"c","type":"function_call_output"},{"content":[{"text":"r","type":"reasoning_text"}],"type":"reasoning"},{"content":"d","role":"developer"}],"model":"m"}"#,
    );
    let found: Vec<_> = asked
        .segments(&body)
        .iter()
        .map(|segment| (segment.role, segment.kind, segment.as_str(&body).to_owned()))
        .collect();
    let expected = [
        (Role::Tool, Kind::Words, "o".to_owned()),
        (Role::Assistant, Kind::Reasoning, "r".to_owned()),
        (Role::Developer, Kind::Words, "d".to_owned()),
    ];
    assert_eq!(found, expected);
}

#[test]
fn foreign_and_void_seals_are_cut_with_their_items() {
    let item = |data: &str| format!(r#"{{"type":"reasoning","summary":[],"encrypted_content":"{data}"}}"#);
    let (void, foreign, own) =
        (item("gauntlet-seal.void"), item("gauntlet-seal.messages.r..Eq=="), item("gAAA"));
    let user = r#"{"role":"user","content":"a"}"#;
    let check = |before: &[&str], after: &[&str]| {
        let body = |items: &[&str]| format!(r#"{{"model":"m","input":[{}]}}"#, items.join(","));
        let bytes = Bytes::from(body(before));
        assert_eq!(splice(&bytes, ask::without_foreign(&bytes)), body(after));
    };
    check(&[user, &foreign, user], &[user, user]);
    check(&[&foreign, &void, user, &own], &[user, &own]);
    check(&[user, &foreign, &void], &[user]);
    check(&[&void], &[]);
    check(&[&foreign, user, &void, &foreign, user, &own, &void], &[user, user, &own]);
    check(&[user, &own], &[user, &own]);
    let string = Bytes::from_static(br#"{"model":"m","input":"gauntlet-seal.void"}"#);
    assert!(ask::without_foreign(&string).is_empty());
    assert!(ask::without_foreign(&Bytes::from_static(b"{")).is_empty());
}

#[test]
fn a_request_keeps_its_meaning_through_the_neutral_form() {
    let body = json!({
        "model": "m", "instructions": "be kind",
        "input": [
            {"role": "user", "content": [
                {"type": "input_text", "text": "see"},
                {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"},
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,BB=="},
                {"type": "input_file", "file_id": "file-1"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}],
             "encrypted_content": "gAAA"},
            {"role": "assistant", "content": "looking"},
            {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{\"a\":1}"},
            {"type": "custom_tool_call", "call_id": "call_2", "name": "sql", "input": "select 1"},
            {"type": "function_call_output", "call_id": "call_1", "output": "one"},
            {"type": "custom_tool_call_output", "call_id": "call_2", "output": "two"},
            {"role": "user", "content": "and?"}],
        "tools": [
            {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true},
            {"type": "custom", "name": "sql", "format": {"type": "text"}}],
        "tool_choice": {"type": "custom", "name": "sql"}, "parallel_tool_calls": false,
        "max_output_tokens": 99, "temperature": 0.5, "top_p": 0.25,
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": true},
                 "verbosity": "low"},
        "reasoning": {"effort": "high", "summary": "auto"}, "include": ["reasoning.encrypted_content"],
        "user": "u", "metadata": {"a": "b"}, "service_tier": "flex", "prompt_cache_key": "k", "store": false,
        "stream": true,
    });
    let asked = ask::read(body.to_string().as_bytes()).unwrap();
    assert_eq!(asked.dropped, Vec::<String>::new());
    assert_eq!(asked.custom_tools(), ["sql"]);
    let written = ask::write(asked, "m");
    assert_eq!((written.dropped, written.injected), (Vec::<String>::new(), Vec::<String>::new()));
    assert_eq!(serde_json::from_slice::<Value>(&written.body).unwrap(), body);
}

#[test]
fn what_has_no_counterpart_is_listed() {
    let owned = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    let check = |chat: Value, dropped: &[&str], injected: &[&str]| {
        let asked = crate::openai::chat::ask::read(chat.to_string().as_bytes()).unwrap();
        let written = ask::write(asked, "m");
        assert_eq!((written.dropped, written.injected), (owned(dropped), owned(injected)), "{chat}");
    };
    let user = json!([{"role": "user", "content": "a"}]);
    check(json!({"model": "m", "messages": user, "store": true}), &[], &[]);
    check(json!({"model": "m", "messages": user, "max_tokens": 5}), &[], &["max_output_tokens", "store"]);
    check(
        json!({"model": "m", "messages": user, "store": false, "top_k": 1, "seed": 1, "stop": "a", "n": 2}),
        &["top_k", "seed", "stop", "n"],
        &[],
    );
    let files = |id: &str| json!([{"role": "user", "content": [{"type": "file", "file": {"file_id": id}}]}]);
    check(json!({"model": "m", "messages": files("file-1"), "store": false}), &[], &[]);
    check(json!({"model": "m", "messages": files("file_011"), "store": false}), &["document"], &[]);
    let sound = json!([{"role": "user", "content": [
        {"type": "text", "text": "a"}, {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}]}]);
    check(json!({"model": "m", "messages": sound, "store": false}), &["audio"], &[]);
}

#[test]
fn what_only_the_provider_holds_is_refused_across_dialects() {
    let check = |member: &str, param: &str| {
        let error = ask::read(format!(r#"{{"model":"m",{member}}}"#).as_bytes()).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param));
        assert!(error.message.contains("send the whole conversation"), "{error}");
    };
    check(r#""previous_response_id":"resp_1","input":"a""#, "previous_response_id");
    check(r#""conversation":{"id":"conv_1"},"input":"a""#, "conversation");
    check(r#""prompt":{"id":"pmpt_1"}"#, "prompt");
    check(r#""input":[{"type":"item_reference","id":"msg_1"}]"#, "input[0].id");
}

#[test]
fn long_bodies_are_read_in_linear_time() {
    let bodies = [
        format!(r#"{{"model":"m","input":"{}"}}"#, "\\n".repeat(1 << 19)),
        format!(r#"{{"model":"m","input":[{}{{"id":"a"}}]}}"#, r#"{"id":"a"},"#.repeat(19_000)),
        format!(
            r#"{{"model":"m","input":[{{"role":"user","content":[{}"a"]}}]}}"#,
            r#""a","#.repeat(1 << 18)
        ),
        format!(r#"{{"model":"m","input":"a","tools":[{}{{}}]}}"#, r#"{"type":"a"},"#.repeat(1 << 16)),
        format!(r#"{{"model":"m","input":"a","x":{}1{}}}"#, "[".repeat(100), "]".repeat(100)),
    ];
    for body in bodies {
        let body = Bytes::from(body);
        let start = std::time::Instant::now();
        let read = parse(&body).map(|asked| asked.segments(&body).len());
        assert!(start.elapsed().as_millis() < 3000, "{:?} {read:?}", &body[..body.len().min(100)]);
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
            prop::collection::hash_map(".{0,8}", inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn unknown_members_survive_at_any_depth(
        top in any_value(), item in any_value(), tool in any_value(), text in any_value(), is_pretty in any::<bool>(),
    ) {
        let document = json!({
            "zz": top, "model": "m", "text": {"zz": text}, "tools": [{"zz": tool}],
            "input": [{"zz": item, "role": "user", "content": "hi"}],
        });
        let body = if is_pretty { serde_json::to_string_pretty(&document) } else { serde_json::to_string(&document) };
        let body = Bytes::from(body.unwrap());
        let asked = parse(&body).unwrap();
        let mut edits: Vec<Edit> = asked.with_model("n").into_iter().collect();
        edits.extend(asked.with_prompt(&body, &[("system", "s")]));
        edits.push(asked.with_max_tokens(9, LimitField::MaxTokens));
        let mut wanted = document;
        wanted["model"] = "n".into();
        wanted["max_output_tokens"] = 9.into();
        wanted["input"].as_array_mut().unwrap().insert(0, json!({"role": "system", "content": "s"}));
        let result = splice_checked(&body, edits).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Value>(&result).unwrap(), wanted);
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&Bytes::from(body.clone()));
        let _ = ask::read(&body);
    }

    #[test]
    fn any_mutation_is_read_or_refused_and_edits_leave_json(
        at in any::<prop::sample::Index>(), byte in any::<u8>(), drop in 0usize..4,
    ) {
        let mut body = CODEX.as_bytes().to_vec();
        let at = at.index(body.len() - 4);
        body[at] = byte;
        body.drain(at + 1..at + 1 + drop);
        let body = Bytes::from(body);
        let _ = ask::read(&body);
        if let Ok(asked) = parse(&body) {
            let mut edits = vec![asked.with_max_tokens(1, LimitField::MaxTokens)];
            edits.extend(asked.with_model("n"));
            edits.extend(asked.with_system(&body, "s"));
            edits.extend(asked.with_more(&body, &[("user", "t")]));
            edits.extend(asked.without_gauntlet());
            for segment in asked.segments(&body) {
                edits.push(segment.replaced("x"));
            }
            let result = splice_checked(&body, edits).unwrap();
            prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&result).is_ok());
            prop_assert!(parse(&result).is_ok());
        }
    }

    #[test]
    fn cutting_foreign_seals_leaves_the_rest(kinds in prop::collection::vec(0u8..4, 0..12)) {
        let item = |kind: &u8| match kind {
            0 => json!({"role": "user", "content": "a"}),
            1 => json!({"type": "reasoning", "encrypted_content": "gAAA"}),
            2 => json!({"type": "reasoning", "encrypted_content": "gauntlet-seal.gemini.x..AA"}),
            _ => json!({"encrypted_content": "gauntlet-seal.void", "type": "reasoning"}),
        };
        let items: Vec<Value> = kinds.iter().map(item).collect();
        let body = Bytes::from(json!({"model": "m", "input": items, "x": 1}).to_string());
        let kept: Vec<Value> = kinds.iter().filter(|kind| **kind < 2).map(item).collect();
        let edits: Vec<Edit> = ask::without_foreign(&body);
        let result: Value = serde_json::from_slice(&splice_checked(&body, edits).unwrap()).unwrap();
        prop_assert_eq!(result, json!({"model": "m", "input": kept, "x": 1}));
    }
}
