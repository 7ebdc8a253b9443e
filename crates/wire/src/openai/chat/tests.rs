use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    conversation::{LimitField, MESSAGES_MAX},
    json::Malformed,
    splice::splice,
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
        r#" {"model":"gpt-4o\u002dmini","stream":true,"max_completion_tokens":50,"n":2,"user":"ann","seed":-7,
        "metadata":{"team":"a","count":3,"deep":{"x":1}},"temperature":0.5,"top_p":1,"service_tier":"flex",
        "messages":[{"role":"user","content":"hi"}],"stream_options":{"include_usage":true,"x":1},"tools":[
        {"type":"function","function":{"name":"f","description":"d","parameters":{"description":"p"}}},{"name":"g"}]}"#,
    );
    assert_eq!(request.model.value, "gpt-4o-mini");
    assert_eq!(&body[request.model.span.clone()], br#""gpt-4o\u002dmini""#);
    assert!(request.stream && request.include_usage && request.has_tools);
    assert_eq!(request.max_tokens.as_ref().map(|limit| limit.value), Some(50));
    assert_eq!(
        (request.n, request.seed, request.temperature, request.top_p),
        (2, Some(-7), Some(0.5), Some(1.0))
    );
    assert_eq!(request.metadata, [("team".into(), "a".into()), ("count".into(), "3".into())]);
    assert_eq!(request.tools, ["f", "g"]);
    assert_eq!(&body[request.messages.clone()], br#"[{"role":"user","content":"hi"}]"#);
    assert_eq!(request.message_count, 1);
}

#[test]
fn null_counts_as_absent() {
    let (_, request) = read(&with(
        r#""stream":null,"max_tokens":null,"n":null,"user":null,"metadata":null,"temperature":null,"tools":null,
        "stream_options":null,"seed":null,"response_format":null,"prompt":null"#,
    ));
    assert!(!request.stream && request.max_tokens.is_none() && request.n == 1 && request.gauntlet.is_none());
}

#[test]
fn mistakes_name_the_field_and_the_place() {
    let check = |body: &str, param: Option<&str>, shown: &str| {
        let error = fails(body);
        assert_eq!((error.param.as_deref(), error.to_string().as_str()), (param, shown), "{body}");
    };
    check("", None, "the JSON ends too early at line 1 column 1");
    check("[]", None, "the body must be a JSON object at line 1 column 1");
    check("{}", Some("model"), "`model` is missing at line 1 column 3");
    check(r#"{"model":"m"}"#, Some("messages"), "`messages` is missing at line 1 column 14");
    check(r#"{"model":"m","messages":[]}"#, Some("messages"), "`messages` is empty at line 1 column 25");
    check(r#"{"model":7}"#, Some("model"), "`model` must be a string, not a number at line 1 column 10");
    check(r#"{"model":""}"#, Some("model"), "`model` is empty at line 1 column 11");
    let check = |members: &str, param: &str| {
        assert_eq!(fails(&with(members)).param.as_deref(), Some(param), "{members}");
    };
    check(r#""stream":"yes""#, "stream");
    check(r#""max_tokens":-1"#, "max_tokens");
    check(r#""max_tokens":1.5"#, "max_tokens");
    check(r#""max_tokens":4294967296"#, "max_tokens");
    check(r#""max_tokens":1,"max_completion_tokens":2"#, "max_completion_tokens");
    check(r#""n":0"#, "n");
    check(r#""n":129"#, "n");
    check(r#""temperature":"hot""#, "temperature");
    check(r#""temperature":1e999"#, "temperature");
    check(r#""metadata":[]"#, "metadata");
    check(r#""stream_options":7"#, "stream_options");
    check(r#""stream_options":{"include_usage":1}"#, "stream_options.include_usage");
    check(r#""tools":{}"#, "tools");
    check(r#""tools":[1]"#, "tools[0]");
    check(r#""gauntlet":"x""#, "gauntlet");
    check(r#""gauntlet":{"prompt":7}"#, "gauntlet.prompt");
    check(r#""gauntlet":{"variables":[]}"#, "gauntlet.variables");
    check(r#""prompt":{}"#, "prompt.id");
    check(r#""prompt":{"id":"a"},"gauntlet":{"prompt":"b"}"#, "gauntlet");
    let check = |messages: &str, param: &str| {
        let body = format!(r#"{{"model":"m","messages":{messages}}}"#);
        assert_eq!(fails(&body).param.as_deref(), Some(param), "{messages}");
    };
    check("7", "messages");
    check("null", "messages");
    check("[7]", "messages[0]");
    check(r#"[{"content":"x"}]"#, "messages[0].role");
    check(r#"[{"role":"user"},{"role":1}]"#, "messages[1].role");
    check(r#"[{"role":"user","content":7}]"#, "messages[0].content");
    check(r#"[{"role":"user","content":[7]}]"#, "messages[0].content[0]");
    check(r#"[{"role":"user","content":[{"text":7}]}]"#, "messages[0].content[0].text");
    check(r#"[{"role":"user","tool_calls":{}}]"#, "messages[0].tool_calls");
}

#[test]
fn keys_that_two_readers_may_take_differently_are_refused() {
    let check = |body: &str, param: &str| assert_eq!(fails(body).param.as_deref(), Some(param), "{body}");
    check(&with(r#""model":"other""#), "model");
    check(&with(r#""mod\u0065l":"other""#), "model");
    check(&with(r#""Model":"other""#), "Model");
    check(&with(r#""messages":[]"#), "messages");
    check(&with(r#""stream":true,"stream":false"#), "stream");
    check(r#"{"model":"m","messages":[{"role":"user","content":"a","content":"b"}]}"#, "messages[0].content");
    check(r#"{"model":"m","messages":[{"role":"user","content":"a","Content":"b"}]}"#, "Content");
    check(
        r#"{"model":"m","messages":[{"role":"user","content":[{"text":"a","text":"b"}]}]}"#,
        "messages[0].content[0].text",
    );
    read(&with(r#""unknown":1,"unknown":2"#));
}

#[test]
fn every_text_that_reaches_the_model_is_found() {
    let (body, request) = read(
        r#"{"model":"m","tools":[{"type":"function","function":{"name":"f","description":"tool d","parameters":
        {"properties":{"x":{"description":"param d"}}}}}],"messages":[
        {"content":"be\tkind","role":"system","name":"not a text"},
        {"role":"developer","content":["plain part"]},
        {"role":"user","content":[{"type":"text","text":"look"},{"type":"image_url","image_url":{"url":"data:x"}},
            {"type":"odd","body":{"deep":["words"]}}]},
        {"role":"assistant","content":null,"refusal":"no","reasoning_content":"hm","tool_calls":[
            {"id":"c1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},
            {"id":"c2","type":"custom","custom":{"name":"g","input":"raw"}}]},
        {"role":"assistant","content":"","function_call":{"name":"f","arguments":"old"}},
        {"role":"tool","tool_call_id":"c1","content":"result"},
        {"role":"critic","content":"?"}],
        "prediction":{"type":"content","content":[{"type":"text","text":"guess"}]},
        "response_format":{"type":"json_schema","json_schema":{"description":"shape"}}}"#,
    );
    let found: Vec<String> = request
        .segments(&body)
        .iter()
        .map(|s| format!("{} {:?} {:?} {:?}", s.place, s.role, s.kind, s.as_str(&body)))
        .collect();
    insta::assert_snapshot!(found.join("\n"));
    assert_eq!((request.media_count, request.image_count), (1, 1));
}

#[test]
fn the_model_is_replaced() {
    edited(
        r#"{ "model" : "a" , "messages":[{"role":"user"}], "x":1e3}"#,
        |request, _| request.with_model("b/\"c\"").into_iter().collect(),
        r#"{ "model" : "b/\"c\"" , "messages":[{"role":"user"}], "x":1e3}"#,
    );
}

#[test]
fn usage_is_asked_for_beside_other_stream_options() {
    let check = |members: &str, wanted: &str| {
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user"}}],"stream":true{members}}}"#);
        let front = if members.is_empty() { wanted } else { "" };
        let back = if members.is_empty() { "" } else { wanted };
        let wanted = format!(r#"{{{front}"model":"m","messages":[{{"role":"user"}}],"stream":true{back}}}"#);
        edited(&body, |request, _| request.with_usage().into_iter().collect(), &wanted);
    };
    check("", r#""stream_options":{"include_usage":true},"#);
    check(r#","stream_options":{}"#, r#","stream_options":{"include_usage":true}"#);
    check(
        r#","stream_options":{ "x":{"y":1} }"#,
        r#","stream_options":{"include_usage":true, "x":{"y":1} }"#,
    );
    check(
        r#","stream_options":{"include_usage":false,"x":1}"#,
        r#","stream_options":{"include_usage":true,"x":1}"#,
    );
    check(r#","stream_options":{"include_usage":null}"#, r#","stream_options":{"include_usage":true}"#);
    check(r#","stream_options":null"#, r#","stream_options":{"include_usage":true}"#);
    check(r#","stream_options":{"include_usage":true}"#, r#","stream_options":{"include_usage":true}"#);
    assert_eq!(read(&with(r#""stream":false"#)).1.with_usage(), None);
}

#[test]
fn our_own_extension_is_read_and_cut_out() {
    let message = r#""messages":[{"role":"user"}]"#;
    let check = |body: &str, wanted: &str| edited(body, |request, _| request.without_gauntlet(), wanted);
    let field = r#""gauntlet" : {"prompt":"p@live","variables":{"a":[1]}}"#;
    let bare = format!(r#"{{"model":"m",{message}}}"#);
    check(&format!(r#"{{{field} ,"model":"m",{message}}}"#), &bare);
    check(&format!(r#"{{"model":"m",{field},{message}}}"#), &bare);
    check(&format!(r#"{{"model":"m",{message} , {field} }}"#), &format!(r#"{{"model":"m",{message}  }}"#));
    check(&bare, &bare);
    let (_, request) = read(&format!(r#"{{"model":"m",{field}}}"#));
    let gauntlet = request.gauntlet.unwrap();
    assert_eq!(gauntlet.prompt.as_deref(), Some("p@live"));
    assert_eq!(Value::Object(gauntlet.variables), json!({"a": [1]}));
    assert!(request.messages.is_empty() && request.message_count == 0);

    let prompt = |members: &str| read(&with(members)).1.gauntlet.and_then(|field| field.prompt);
    assert_eq!(prompt(r#""prompt":{"id":"p","version":"2.0.0"}"#).as_deref(), Some("p@2.0.0"));
    assert_eq!(prompt(r#""prompt":{"name":"p","version":null,"variables":{}}"#).as_deref(), Some("p"));
    assert_eq!(prompt(r#""prompt":"legacy text""#), None);
}

#[test]
fn a_system_message_comes_first() {
    let check = |messages: &str, wanted: &str| {
        let body = format!(r#"{{"model":"m"{messages},"gauntlet":{{"prompt":"p"}}}}"#);
        edited(
            &body,
            |request, body| {
                let mut edits = request.without_gauntlet();
                edits.extend(request.with_system(body, "be \"kind\""));
                edits
            },
            wanted,
        );
    };
    check(
        r#","messages":[ {"role":"user","content":"hi"}]"#,
        r#"{"model":"m","messages":[{"role":"system","content":"be \"kind\""}, {"role":"user","content":"hi"}]}"#,
    );
    check(r#","messages":[ ]"#, r#"{"model":"m","messages":[{"role":"user","content":"be \"kind\""} ]}"#);
    check("", r#"{"messages":[{"role":"user","content":"be \"kind\""}],"model":"m"}"#);
}

#[test]
fn the_output_limit_is_set_under_the_callers_own_name() {
    let check = |members: &str, wanted: &str| {
        edited(&with(members), |request, _| vec![request.with_max_tokens(9, LimitField::MaxTokens)], wanted);
    };
    let base = r#""model":"m","messages":[{"role":"user","content":"hi"}]"#;
    check(r#""max_completion_tokens": 50"#, &format!(r#"{{{base},"max_completion_tokens": 9}}"#));
    check(r#""max_tokens":null"#, &format!(r#"{{{base},"max_tokens":9}}"#));
    check(r#""x":1"#, &format!(r#"{{"max_tokens":9,{base},"x":1}}"#));
}

#[test]
fn all_edits_go_together() {
    edited(
        r#"{"gauntlet":{"prompt":"p"},"model":"m","stream":true,"messages":[{"role":"user","content":"call 555"}]}"#,
        |request, body| {
            let mut edits = vec![request.with_max_tokens(9, LimitField::MaxCompletionTokens)];
            edits.extend(request.with_model("n"));
            edits.extend(request.with_system(body, "s"));
            edits.extend(request.with_usage());
            edits.extend(request.without_gauntlet());
            edits.extend(request.segments(body)[0].edits(body, &[(5..8, "[PHONE]")]));
            edits
        },
        concat!(
            r#"{"max_completion_tokens":9,"stream_options":{"include_usage":true},"model":"n","stream":true,"#,
            r#""messages":[{"role":"system","content":"s"},{"role":"user","content":"call [PHONE]"}]}"#
        ),
    );
}

#[test]
fn too_many_messages_are_refused() {
    let messages = |count: usize| {
        let list = vec![r#"{"role":"user"}"#; count].join(",");
        Bytes::from(format!(r#"{{"model":"m","messages":[{list}]}}"#))
    };
    assert!(parse(&messages(MESSAGES_MAX)).is_ok());
    assert_eq!(parse(&messages(MESSAGES_MAX + 1)).unwrap_err().param.as_deref(), Some("messages"));
}

/// Ten times the input may not take a hundred times the steps. Measured in time, so with a wide margin.
#[test]
fn hostile_bodies_are_linear() {
    // `n` is about the number of things in it.
    let bodies = |n: usize| -> Vec<String> {
        vec![
            with(&format!(r#""x":{}"#, "[".repeat(2 * n))),
            with(&format!(r#""x":{}1"#, r#"{"a":"#.repeat(n / 2))),
            with(&format!(r#""x":"{}""#, "\\u0041".repeat(n / 4))),
            with(&format!(r#""x":[{}1]"#, "1,".repeat(n))),
            with(&format!(r#""metadata":{{{}"z":1}}"#, r#""a":"b","#.repeat(n / 4))),
            with(&format!(r#""tools":[{}{{}}]"#, r#"{"name":"a"},"#.repeat(n / 8))),
            with(&r#""y":1,"#.repeat(n / 4)),
            format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{}"}}]}}"#, "\\n".repeat(n)),
            format!(
                r#"{{"model":"m","messages":[{{"role":"user","content":[{}"a"]}}]}}"#,
                r#""a","#.repeat(n / 2)
            ),
            "\n".repeat(2 * n),
            "é".repeat(n),
        ]
    };
    let work = |body: &Bytes| {
        let start = std::time::Instant::now();
        if let Ok(request) = parse(body) {
            for segment in request.segments(body).iter().take(1) {
                let every_char: Vec<_> =
                    (0..segment.as_str(body).len()).map(|at| (at..at + 1, "x")).collect();
                segment.edits(body, &every_char);
            }
        }
        start.elapsed()
    };
    let best = |body: &str| {
        let body = Bytes::copy_from_slice(body.as_bytes());
        (0..3).map(|_| work(&body)).min().unwrap()
    };
    // Sixteen times the size, so that what is quadratic takes 256 times as long, and what is linear far less, on
    // whatever machine.
    for (small, large) in bodies(1 << 14).iter().zip(bodies(1 << 18)) {
        let (short, long) = (best(small), best(&large));
        let limit = short * 80 + std::time::Duration::from_millis(50);
        let shown: String = small.chars().take(100).collect();
        assert!(long < limit, "{short:?} becomes {long:?}: {shown:?}");
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // Eighths, since `serde_json` does not read every float back exactly; we keep the spelling.
        any::<i32>().prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
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
    fn unknown_fields_survive_at_any_depth(
        top in any_value(), message in any_value(), options in any_value(), tool in any_value(), is_pretty in any::<bool>(),
    ) {
        let document = json!({
            "zz": top, "model": "m", "stream": true,
            "messages": [{"zz": message, "role": "user", "content": "hi", "cache_control": {"ttl": "1h"}}],
            "stream_options": {"zz": options}, "tools": [{"zz": tool}],
        });
        let body = if is_pretty { serde_json::to_string_pretty(&document) } else { serde_json::to_string(&document) };
        let body = Bytes::from(body.unwrap());
        let request = parse(&body).unwrap();
        let edits: Vec<Edit> = request.with_model("n").into_iter().chain(request.with_usage()).collect();
        let result = splice(&body, edits.clone());
        let mut wanted = document;
        wanted["model"] = "n".into();
        wanted["stream_options"]["include_usage"] = true.into();
        prop_assert_eq!(serde_json::from_slice::<Value>(&result).unwrap(), wanted);
        // Outside the edits the bytes are the same.
        let mut kept = body.to_vec();
        let mut sorted = edits;
        sorted.sort_by_key(|edit| std::cmp::Reverse(edit.range.start));
        for edit in sorted {
            kept.splice(edit.range.clone(), edit.with.iter().copied());
        }
        prop_assert_eq!(result, kept);
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&Bytes::from(body));
    }

    #[test]
    fn any_mutation_is_read_or_refused(at in any::<prop::sample::Index>(), byte in any::<u8>(), drop in 0usize..4) {
        let mut body = with(r#""stream":true,"stream_options":{"a":"\u00e9"},"tools":[{"function":{"name":"f"}}],
            "gauntlet":{"prompt":"p","variables":{"a":"b"}},"metadata":{"k":"v"},"max_tokens":5"#).into_bytes();
        let at = at.index(body.len() - 4);
        body[at] = byte;
        body.drain(at + 1..at + 1 + drop);
        let body = Bytes::from(body);
        if let Ok(request) = parse(&body) {
            let mut edits = vec![request.with_max_tokens(1, LimitField::MaxTokens)];
            edits.extend(request.with_model("n"));
            edits.extend(request.with_system(&body, "s"));
            edits.extend(request.with_usage());
            edits.extend(request.without_gauntlet());
            for segment in request.segments(&body) {
                edits.push(segment.replaced("x"));
            }
            let result = crate::splice::splice_checked(&body, edits).unwrap();
            prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&result).is_ok());
            prop_assert!(parse(&result).is_ok());
        }
    }
}
