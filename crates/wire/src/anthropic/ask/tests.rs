use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    conversation::{LimitField, MESSAGES_MAX},
    json::Malformed,
    seal,
    splice::{splice, splice_checked},
    text::{Kind, Role},
};

fn read(body: &str) -> (Bytes, Conversation) {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let request = parse(&body).unwrap_or_else(|error| panic!("{body:?}: {error}"));
    (body, request)
}

fn fails(body: &str) -> Malformed {
    parse(&Bytes::copy_from_slice(body.as_bytes())).expect_err(body)
}

/// A request with `members` beside a model and one message.
fn with(members: &str) -> String {
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}],{members}}}"#)
}

/// A request whose one message has these blocks.
fn blocks(role: &str, blocks: &str) -> String {
    format!(r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"{role}","content":[{blocks}]}}]}}"#)
}

#[track_caller]
fn edited(body: &str, edits: impl FnOnce(&Conversation, &Bytes) -> Vec<Edit>, wanted: &str) {
    let (body, request) = read(body);
    let result = splice(&body, edits(&request, &body));
    assert_eq!(result, wanted);
    serde_json::from_slice::<Value>(&result).unwrap();
}

#[test]
fn fields_are_read() {
    let (body, request) = read(
        r#"{"model":"claude-sonnet-4-5","stream":true,"max_tokens":50,"temperature":0.5,"top_p":1,"top_k":3,
        "service_tier":"auto","metadata":{"user_id":"ann","team":"a"},"container":{"id":"container_1","skills":[]},
        "output_config":{"effort":"high","format":{"type":"json_schema","schema":{"description":"d"}}},
        "messages":[{"role":"user","content":"hi"}],"tools":[{"name":"f","description":"d","input_schema":{}},
        {"type":"web_search_20250305","name":"web_search","max_uses":2}]}"#,
    );
    assert_eq!(
        (request.model.value.as_str(), request.stream, request.include_usage),
        ("claude-sonnet-4-5", true, true)
    );
    assert_eq!(request.max_tokens.as_ref().map(|limit| limit.value), Some(50));
    assert_eq!((request.temperature, request.top_p, request.n), (Some(0.5), Some(1.0), 1));
    assert_eq!(
        (request.user.as_deref(), request.metadata.as_slice()),
        (Some("ann"), &[("team".into(), "a".into())][..])
    );
    assert_eq!(request.service_tier.as_deref(), Some("auto"));
    assert_eq!(request.reasoning_effort.as_deref(), Some("high"));
    assert_eq!(
        (request.has_tools, &request.tools[..]),
        (true, &["f".to_owned(), "web_search".to_owned()][..])
    );
    assert_eq!(request.state.as_deref(), Some("container_1"));
    let format = request.response_format.clone().unwrap();
    assert_eq!(&body[format], br#"{"type":"json_schema","schema":{"description":"d"}}"#);
    assert_eq!(
        (&body[request.messages.clone()], request.message_count),
        (&br#"[{"role":"user","content":"hi"}]"#[..], 1)
    );
}

#[test]
fn null_counts_as_absent() {
    let (_, request) = read(&with(
        r#""stream":null,"max_tokens":null,"metadata":null,"temperature":null,"tools":null,"system":null,
        "output_config":{"effort":null,"format":null},"container":null,"mcp_servers":null,"context_management":null"#,
    ));
    assert!(!request.stream && request.max_tokens.is_none() && !request.has_tools && request.state.is_none());
    assert!(
        request.response_format.is_none() && request.reasoning_effort.is_none() && request.user.is_none()
    );
}

#[test]
fn every_text_that_a_model_reads_is_found_with_who_says_it() {
    let body = r#"{"model":"m","system":[{"type":"text","text":"sys","cache_control":{"type":"ephemeral","scope":"global"}}],
        "messages":[{"content":[{"type":"text","text":"ask"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}},
        {"type":"document","title":"doc title","context":"doc context","source":{"data":"plain words","type":"text","media_type":"text/plain"},"citations":{"enabled":true}},
        {"type":"document","source":{"type":"content","content":[{"type":"text","text":"chunk"}]}},
        {"type":"search_result","source":"https://found","title":"found title","content":[{"type":"text","text":"found"}]},
        {"type":"future_block","data":"odd","words":{"deep":["deeper"]}}],"role":"user"},
        {"role":"assistant","content":[{"type":"thinking","thinking":"hmm","signature":"c2ln"},{"type":"redacted_thinking","data":"c2VhbGVk"},
        {"type":"tool_use","id":"toolu_1","name":"weather","input":{"city":"Oslo","n":1,"more":["fast"]}},
        {"type":"server_tool_use","id":"srv_1","name":"web_search","input":{"query":"searched"}},
        {"type":"web_search_tool_result","tool_use_id":"srv_1","content":[{"type":"web_search_result","url":"https://hit","title":"hit title","encrypted_content":"RW5j"}]}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"sunny","is_error":false},
        {"type":"tool_result","content":[{"type":"text","text":"windy"},{"type":"image","source":{"type":"url","url":"https://picture"}}],"tool_use_id":"toolu_2"}]},
        {"role":"user","content":"more"}],
        "tools":[{"name":"weather","description":"tells","input_schema":{"properties":{"city":{"description":"where"}}},"input_examples":[{"city":"Rome"}]}],
        "context_management":{"edits":[{"type":"compact_20260112","instructions":"sum up"}]}}"#;
    let (body, request) = read(body);
    let shown: Vec<String> = request
        .segments(&body)
        .iter()
        .map(|segment| {
            let text = segment.as_str(&body);
            format!("{} {:?} {:?} {text}", segment.place, segment.role, segment.kind)
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
    assert_eq!((request.media_count, request.image_count), (2, 2));
    let others: Vec<String> =
        request.other_segments(&body).iter().map(|segment| segment.as_str(&body).to_owned()).collect();
    assert!(
        others.iter().any(|text| text == "weather") && others.iter().any(|text| text == "https://picture")
    );
    // Bytes of media and seals are nobody's words.
    for sealed in ["AAAA", "c2ln", "c2VhbGVk", "RW5j"] {
        assert!(
            !shown.iter().any(|text| text.ends_with(sealed)) && !others.iter().any(|text| text == sealed)
        );
    }
}

#[test]
fn a_key_given_twice_or_in_other_case_is_refused() {
    let check = |body: &str, param: &str| assert_eq!(fails(body).param.as_deref(), Some(param), "{body}");
    check(&with(r#""model":"n""#), "model");
    check(&with(r#""Model":"n""#), "Model");
    check(&with(r#""system":"a","system":"b""#), "system");
    check(&with(r#""SYSTEM":"a""#), "SYSTEM");
    check(&with(r#""metadata":{"user_id":"a","user_id":"b"}"#), "metadata.user_id");
    check(&with(r#""metadata":{"User_Id":"a"}"#), "User_Id");
    check(&with(r#""output_config":{"effort":"low","effort":"high"}"#), "output_config.effort");
    check(&with(r#""output_config":{"format":{}},"output_format":{}"#), "output_format");
    check(
        r#"{"model":"m","messages":[{"role":"user","role":"assistant","content":""}]}"#,
        "messages[0].role",
    );
    check(r#"{"model":"m","messages":[{"role":"user","Content":"x","content":""}]}"#, "Content");
    check(&blocks("user", r#"{"type":"text","text":"a","text":"b"}"#), "messages[0].content[0].text");
    check(&blocks("user", r#"{"type":"text","Text":"a"}"#), "Text");
    check(
        &blocks("user", r#"{"type":"document","source":{"type":"text","type":"base64","data":"x"}}"#),
        "messages[0].content[0].source.type",
    );
}

#[test]
fn bad_input_is_told_what_is_wrong_where() {
    let check = |body: &str, wanted: &str| assert_eq!(fails(body).to_string(), wanted, "{body}");
    check("[]", "the body must be a JSON object at line 1 column 1");
    check(r#"{"messages":[{"role":"user","content":"x"}]}"#, "`model` is missing at line 1 column 45");
    check(r#"{"model":"m"}"#, "`messages` is missing at line 1 column 14");
    check(r#"{"model":"m","messages":[]}"#, "`messages` is empty at line 1 column 25");
    check(
        r#"{"model":"m","messages":[{"content":"x"}]}"#,
        "`messages[0].role` is missing at line 1 column 27",
    );
    check(
        r#"{"model":"m","messages":[{"role":"user","content":{}}]}"#,
        "`messages[0].content` must be a string or an array, not an object at line 1 column 51",
    );
    check(&with(r#""system":7"#), "`system` must be a string or an array, not a number at line 1 column 67");
    check(
        &with(r#""max_tokens":-1"#),
        "`max_tokens` must be a whole number from 0 to 4294967295 at line 1 column 71",
    );
    check(&with(r#""gauntlet":"x""#), "`gauntlet` must be an object at line 1 column 69");
    let many = r#"{"role":"user","content":"a"},"#.repeat(MESSAGES_MAX);
    let body = format!(r#"{{"model":"m","messages":[{many}{{"role":"user","content":"a"}}]}}"#);
    assert_eq!(fails(&body).param.as_deref(), Some("messages"));
}

#[test]
fn edits_change_what_they_name_and_nothing_else() {
    let plain = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    let model = |asked: &Conversation, _: &Bytes| asked.with_model("n").into_iter().collect();
    edited(plain, model, r#"{"model":"n","messages":[{"role":"user","content":"hi"}]}"#);
    let limit = |asked: &Conversation, _: &Bytes| vec![asked.with_max_tokens(7, LimitField::MaxTokens)];
    edited(plain, limit, r#"{"max_tokens":7,"model":"m","messages":[{"role":"user","content":"hi"}]}"#);
    edited(
        r#"{"model":"m","max_tokens" : 1000,"messages":[{"role":"user","content":"hi"}]}"#,
        limit,
        r#"{"model":"m","max_tokens" : 7,"messages":[{"role":"user","content":"hi"}]}"#,
    );
    let more = |asked: &Conversation, body: &Bytes| {
        asked.with_more(body, &[("assistant", "a\"b"), ("system", "s")]).into_iter().collect()
    };
    edited(
        plain,
        more,
        r#"{"model":"m","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"a\"b"},{"role":"user","content":"s"}]}"#,
    );
    let cut = |asked: &Conversation, _: &Bytes| asked.without_gauntlet();
    edited(
        r#"{"model":"m", "gauntlet": {"prompt":"p"}, "messages":[{"role":"user","content":"hi"}]}"#,
        cut,
        r#"{"model":"m",  "messages":[{"role":"user","content":"hi"}]}"#,
    );
    let noted = |asked: &Conversation, _: &Bytes| vec![asked.with_noted(&json!({"prompt": "p@1"}))];
    edited(
        plain,
        noted,
        r#"{"gauntlet":{"prompt":"p@1"},"model":"m","messages":[{"role":"user","content":"hi"}]}"#,
    );
    // A stream always tells what was used.
    assert!(read(&with(r#""stream":true"#)).1.with_usage().is_none());
}

#[test]
fn thoughts_stay_below_a_limit_that_is_lowered() {
    let check = |thinking: &str, limit: u32, wanted: &str| {
        let body =
            |thinking: &str, limit: u32| with(&format!(r#""max_tokens":{limit},"thinking":{thinking}"#));
        let edits = |asked: &Conversation, _: &Bytes| {
            let less = asked.with_less_thinking(limit);
            std::iter::once(asked.with_max_tokens(limit, LimitField::MaxTokens)).chain(less).collect()
        };
        edited(&body(thinking, 9_000), edits, &body(wanted, limit));
    };
    let budget = |tokens: u32| format!(r#"{{"type":"enabled", "budget_tokens": {tokens}}}"#);
    check(&budget(5_000), 6_000, &budget(5_000));
    check(&budget(5_000), 5_000, &budget(2_500));
    check(&budget(5_000), 1_500, &budget(1_024));
    check(&budget(5_000), 1_024, r#"{"type":"disabled"}"#);
    check(r#"{"type":"adaptive"}"#, 100, r#"{"type":"adaptive"}"#);
    check("null", 100, "null");
    assert!(
        fails(&with(r#""thinking":{"budget_tokens":1,"budget_tokens":2}"#)).message.contains("given twice")
    );
}

#[test]
fn a_prompt_goes_before_what_the_caller_says() {
    let system = |asked: &Conversation, body: &Bytes| asked.with_prompt(body, &[("system", "be \"good\"")]);
    let check = |before: &str, after: &str| edited(&with(before), system, &with(after));
    check(r#""system":"old""#, r#""system":"be \"good\"\n\nold""#);
    check(r#""system":"""#, r#""system":"be \"good\"""#);
    check(r#""system":null"#, r#""system":"be \"good\"""#);
    check(r#""system":[]"#, r#""system":[{"type":"text","text":"be \"good\""}]"#);
    check(
        r#""system":[ {"type":"text","text":"old","cache_control":{"type":"ephemeral"}}]"#,
        r#""system":[{"type":"text","text":"be \"good\""}, {"type":"text","text":"old","cache_control":{"type":"ephemeral"}}]"#,
    );
    edited(
        r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#,
        |asked, body| {
            asked.with_prompt(body, &[("system", "s"), ("user", "u"), ("assistant", "a"), ("system", "t")])
        },
        r#"{"system":"s\n\nt","model":"m","messages":[{"role":"user","content":"u"},{"role":"assistant","content":"a"},{"role":"user","content":"hi"}]}"#,
    );
    // Without messages of the caller's the lone instruction is what the user asks.
    let body = r#"{"model":"m","gauntlet":{"prompt":"p"}}"#;
    edited(
        body,
        system,
        r#"{"messages":[{"role":"user","content":"be \"good\""}],"model":"m","gauntlet":{"prompt":"p"}}"#,
    );
    let body = r#"{"model":"m","gauntlet":{"prompt":"p"},"messages":[]}"#;
    edited(
        body,
        system,
        r#"{"model":"m","gauntlet":{"prompt":"p"},"messages":[{"role":"user","content":"be \"good\""}]}"#,
    );
}

#[test]
fn what_another_provider_sealed_is_cut_out() {
    let foreign = "gauntlet-seal.gemini.r..YQ==";
    let check = |content: &str, wanted: Option<&str>| {
        let message = |content: &str| format!(r#",{{"role":"assistant","content":{content}}}"#);
        let body = |rest: &str| {
            Bytes::from(format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}{rest}]}}"#))
        };
        let before = body(&message(content));
        assert!(seal::is_in(&before));
        let after = splice_checked(&before, without_foreign(&before)).unwrap();
        assert_eq!(after, body(&wanted.map(message).unwrap_or_default()));
        parse(&after).unwrap();
    };
    let thought = format!(r#"{{"type":"thinking","thinking":"t","signature":"{foreign}"}}"#);
    let void = format!(r#"{{"signature":"{}","type":"thinking","thinking":"t"}}"#, seal::VOID);
    let redacted = r#"{"type":"redacted_thinking","data":"gauntlet-seal.responses.x.rs_1.YQ=="}"#;
    let own = r#"{"type":"thinking","thinking":"t","signature":"EqQB"}"#;
    let text = r#"{"type":"text","text":"gauntlet-seal.void is only a word here"}"#;
    check(&format!("[{thought}, {text}]"), Some(&format!("[{text}]")));
    check(&format!("[{text}, {thought} ]"), Some(&format!("[{text} ]")));
    check(
        &format!("[{thought},{void},{own},{redacted},{text},{thought},{void}]"),
        Some(&format!("[{own},{text}]")),
    );
    check(&format!("[{own},{text}]"), Some(&format!("[{own},{text}]")));
    check(&format!("[{thought},{redacted}]"), None);
    let cited =
        |citations: &str| format!(r#"[{{"type":"text","text":"t","citations":[{citations}]}},{text}]"#);
    let ours = r#"{"type":"web_search_result_location","url":"u","encrypted_index":"gauntlet-seal.void"}"#;
    let theirs = r#"{"type":"web_search_result_location","url":"u","encrypted_index":"RW8="}"#;
    check(&cited(&format!("{ours},{theirs},{ours}")), Some(&cited(theirs)));
    check(&cited(ours), Some(&cited("")));
}

#[test]
fn a_body_that_cannot_be_read_is_left_alone() {
    for body in
        ["", "[", r#"{"messages":[{"content":[{"data":"gauntlet-seal.void"}"#, "7", r#"{"messages":7}"#]
    {
        assert_eq!(without_foreign(&Bytes::from(body)), [], "{body}");
    }
}

#[test]
fn the_request_of_a_coding_agent_is_read_and_passes_byte_for_byte() {
    let body =
        Bytes::from_static(include_bytes!("../../../tests/golden/anthropic/request_coding_agent.json"));
    let request = parse(&body).unwrap();
    assert!(request.stream && request.has_tools && request.tools.len() > 3);
    let user: Value = serde_json::from_str(request.user.as_deref().unwrap()).unwrap();
    assert_eq!(user["session_id"], "5f3c");
    assert!(request.segments(&body).iter().any(|segment| segment.role == Role::Tool));
    assert!(request.segments(&body).iter().any(|segment| segment.kind == Kind::Definition));
    assert_eq!(splice(&body, request.without_gauntlet()).as_ptr(), body.as_ptr());
    let other = splice(&body, request.with_model("claude-opus-5").into_iter().collect());
    let wanted = String::from_utf8(body.to_vec()).unwrap().replacen(&request.model.value, "claude-opus-5", 1);
    assert_eq!(other, wanted);
}

/// A scan that is quadratic would take minutes here. Measured in time, so with a wide margin.
#[test]
fn hostile_bodies_are_linear() {
    let many = |piece: &str, count: usize| piece.repeat(count);
    let bodies = [
        blocks("user", &format!(r#"{}"a""#, many(r#""a","#, 1 << 18))),
        blocks("user", &format!(r#"{}{{}}"#, many(r#"{"data":"x","type":"y"},"#, 1 << 15))),
        blocks("user", &format!("{}1{}", many(r#"{"content":["#, 60), many("]}", 60))),
        blocks(
            "user",
            &format!(r#"{{"type":"tool_result","content":[{}1]}}"#, many(r#"{"data":"x"},"#, 1 << 16)),
        ),
        blocks("assistant", &format!(r#"{}{{}}"#, many(r#"{"signature":"gauntlet-seal.void"},"#, 1 << 15))),
        blocks("user", &format!(r#"{{"content":{}"#, many(r#"{"content":"#, 1 << 16))),
        with(&format!(r#""tools":[{}{{}}]"#, many(r#"{"name":"a"},"#, 1 << 16))),
    ];
    for body in bodies {
        let body = Bytes::from(body);
        let start = std::time::Instant::now();
        let read = parse(&body).map(|request| request.segments(&body).len());
        let edits = without_foreign(&body);
        let cut = splice(&body, edits);
        assert!(read.is_err() || parse(&cut).is_ok() || cut.len() < body.len());
        assert!(start.elapsed().as_millis() < 3000, "{:?}", &body[..body.len().min(100)]);
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map("[x-z]{1,6}", inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

const RICH: &str = r#"{"model":"m","stream":true,"max_tokens":5,"system":[{"type":"text","text":"s\u00e9"}],"gauntlet":{"prompt":"p"},
    "metadata":{"user_id":"u"},"messages":[{"role":"user","content":[{"type":"text","text":"hi"},{"type":"document",
    "source":{"type":"text","data":"d"}}]},{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":
    "gauntlet-seal.void"},{"type":"tool_use","id":"a","name":"f","input":{"x":"y"}}]},{"role":"user","content":[{"type":
    "tool_result","tool_use_id":"a","content":"r"}]}],"tools":[{"name":"f","input_schema":{"description":"d"}}]}"#;

proptest! {
    #[test]
    fn unknown_fields_survive_at_any_depth(
        top in any_value(), message in any_value(), block in any_value(), tool in any_value(), is_pretty in any::<bool>(),
    ) {
        let document = json!({
            "zz": top, "model": "m", "max_tokens": 5, "system": "s",
            "messages": [{"zz": message, "role": "user", "content": [{"zz": block, "type": "text", "text": "hi",
                "cache_control": {"type": "ephemeral", "ttl": "1h", "scope": "x"}}]}],
            "tools": [{"zz": tool, "name": "f", "input_schema": {}}],
        });
        let body = if is_pretty { serde_json::to_string_pretty(&document) } else { serde_json::to_string(&document) };
        let body = Bytes::from(body.unwrap());
        let request = parse(&body).unwrap();
        let mut edits: Vec<Edit> = request.with_model("n").into_iter().collect();
        edits.push(request.with_max_tokens(7, LimitField::MaxTokens));
        edits.extend(request.with_system(&body, "first"));
        let result = splice(&body, edits);
        let mut wanted = document;
        wanted["model"] = "n".into();
        wanted["max_tokens"] = 7.into();
        wanted["system"] = "first\n\ns".into();
        prop_assert_eq!(serde_json::from_slice::<Value>(&result).unwrap(), wanted);
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let body = Bytes::from(body);
        let _ = parse(&body);
        let _ = without_foreign(&body);
    }

    #[test]
    fn any_mutation_is_read_or_refused(at in any::<prop::sample::Index>(), byte in any::<u8>(), drop in 0usize..4) {
        let mut body = RICH.as_bytes().to_vec();
        let at = at.index(body.len() - 4);
        body[at] = byte;
        body.drain(at + 1..at + 1 + drop);
        let body = Bytes::from(body);
        if let Ok(request) = parse(&body) {
            let mut edits = vec![request.with_max_tokens(1, LimitField::MaxTokens)];
            edits.extend(request.with_model("n"));
            edits.extend(request.with_prompt(&body, &[("system", "s"), ("user", "u")]));
            edits.extend(request.with_more(&body, &[("user", "more")]));
            edits.extend(request.without_gauntlet());
            for segment in request.segments(&body) {
                // Words of ours may stand at the beginning of the caller's.
                if segment.role != Role::System {
                    edits.push(segment.replaced("x"));
                }
            }
            let result = splice_checked(&body, edits).unwrap();
            prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&result).is_ok());
            prop_assert!(parse(&result).is_ok());
            let cut = splice_checked(&body, without_foreign(&body)).unwrap();
            prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&cut).is_ok());
        }
    }
}
