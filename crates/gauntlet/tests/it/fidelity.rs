//! What an application sends is what its provider gets, and what the provider answers is what the application gets,
//! byte for byte but for the places that the gateway is there to change.

use gauntlet_testkit::{Step, http};
use serde_json::{Value, json};

use crate::app::TestApp;

/// White space, key order, numbers and escapes as no serializer would write them, and fields that nobody knows.
const ODD: &str = "{ \"zeta\" : [1e3, 0.10, -0.0, 1E+2],\n\t\"model\":\"prov/test-model\" ,\"messages\":[ {\"role\":\"user\",\
    \"content\":\"h\\u00e9 \\/ \\ud83d\\ude00\",\"x_marks\":{\"b\":1,\"a\":2.50}} ], \"x_new\":{\"z\":null,\"deep\":[{\"k\":1e-7}]},\
    \"temperature\":0.10,\"alpha\":true }\r\n";

fn streamed(body: &str) -> String {
    body.replacen('{', "{\"stream\":true,", 1)
}

#[test]
fn a_request_reaches_the_provider_as_it_was_written_but_for_the_model() {
    let app = TestApp::start("models: {quick: {targets: [prov/test-model]}}");
    let check = |sent: &str, wanted: &str| {
        let reply = app.chat_bytes(&[], sent.as_bytes());
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(String::from_utf8_lossy(&app.provider.last_request().body), wanted);
    };
    let named = |body: &str| body.replace("prov/test-model", "test-model");
    check(ODD, &named(ODD));
    check(&ODD.replace("prov/test-model", "quick"), &named(ODD));
    let asking =
        |options: &str| streamed(ODD).replacen('{', &format!("{{ \"stream_options\" :{options} ,"), 1);
    check(
        &streamed(ODD),
        &named(&ODD.replacen('{', "{\"stream_options\":{\"include_usage\":true},\"stream\":true,", 1)),
    );
    let with = r#"{"x_nested": {"y":[1.0]}, "include_usage" :true}"#;
    check(&asking(with), &named(&asking(with)));
    let refused = r#"{"x_nested": {"y":[1.0]}, "include_usage" :false}"#;
    check(&asking(refused), &named(&asking(with)));
    let without = r#"{ "x_nested": {"y":[1.0]} }"#;
    check(&asking(without), &named(&asking(r#"{"include_usage":true, "x_nested": {"y":[1.0]} }"#)));
    check(&asking("{}"), &named(&asking(r#"{"include_usage":true}"#)));
    check(&asking("null"), &named(&asking(r#"{"include_usage":true}"#)));
}

#[test]
fn a_plain_answer_reaches_the_caller_as_it_was_written() {
    let app = TestApp::start("");
    let answer = "{ \"choices\" :[{\"finish_reason\":\"stop\",\"index\":0,\"x_more\":1e3,\"message\":{\"content\":\"\\u0068i \\/\",\
        \"role\":\"assistant\",\"annotations\":[]}}],\n \"usage\":{\"total_tokens\":3,\"prompt_tokens\":2,\"completion_tokens\":1},\
        \"x_new\":{\"a\":0.10} , \"model\":\"m-2\",\"id\":\"x\" }\n";
    app.provider.script([Step::text("").body(answer), Step::text("").body(answer).gzip()]);
    for _ in 0..2 {
        let reply = app.chat(&[], &TestApp::body("hi"));
        assert_eq!(reply.text(), answer);
        assert_eq!(reply.header("content-encoding"), None);
    }
    assert_eq!(app.trace_of(&app.chat(&[], &TestApp::body("hi")))["record"]["outcome"], "ok");
}

#[test]
fn a_streamed_answer_reaches_the_caller_as_it_was_written() {
    let app = TestApp::start("");
    let begin = [
        ": a comment\n\n",
        "data: { \"choices\" : [ {\"delta\":{\"role\":\"assistant\"},\"index\":0} ],\"x\":1e3 }\n\n",
        "event: message\r\nid: 7\r\ndata:{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\\u0068i \\/\"}}],\"usage\":null}\r\n\r\n",
        "data: {\"choices\":\ndata: [{\"index\":0,\"delta\":{\"content\":\" there\"}}]}\n\n",
        ": keep-alive\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    ];
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":1}}\n\n";
    let end = "data: [DONE]\n\n";
    let frames: Vec<&str> = begin.into_iter().chain([usage, end]).collect();
    app.provider.default(Step::frames(&frames));
    let mut body = TestApp::body("hi");
    body["stream"] = true.into();
    let reply = app.chat(&[], &body);
    assert_eq!(
        reply.text(),
        begin.concat() + end,
        "the usage that nobody asked for is taken out, and nothing else"
    );
    assert_eq!(app.trace_of(&reply)["record"]["cost"], 2 * 1_000 + 2_000);
    body["stream_options"] = json!({"include_usage": true});
    assert_eq!(app.chat(&[], &body).text(), frames.concat(), "the usage that was asked for is kept");
}

#[test]
fn credentials_and_our_own_headers_stay_here_and_the_rest_travels() {
    let app = TestApp::start("");
    let headers = [
        ("authorization", "Bearer caller-secret"),
        ("x-api-key", "caller-secret"),
        ("api-key", "caller-secret"),
        ("cookie", "session=caller-secret"),
        ("proxy-authorization", "Basic caller-secret"),
        ("x-gauntlet-user", "ann"),
        ("x-gauntlet-tags", "one"),
        ("x-forwarded-for", "10.1.2.3"),
        ("accept-encoding", "br"),
        ("openai-beta", "assistants=v2"),
        ("openai-organization", "org-1"),
        ("user-agent", "OpenAI/Python 2.0"),
        ("x-stainless-lang", "python"),
        ("x-client-request-id", "mine"),
    ];
    let reply = app.chat(&headers, &TestApp::body("hi"));
    assert_eq!(reply.status, 200);
    let seen = app.provider.last_request();
    assert_eq!(seen.header("authorization"), Some("Bearer upstream-secret"));
    assert_eq!(seen.header("openai-beta"), Some("assistants=v2"));
    assert_eq!(seen.header("openai-organization"), Some("org-1"));
    assert_eq!(seen.header("user-agent"), Some("OpenAI/Python 2.0"));
    assert_eq!(seen.header("x-stainless-lang"), Some("python"));
    assert_eq!(seen.header("x-client-request-id"), Some("mine"));
    assert_eq!(seen.header("accept-encoding"), Some("identity"));
    let all = format!("{:?}", seen.headers);
    for private in ["caller-secret", "x-gauntlet", "10.1.2.3"] {
        assert!(!all.contains(private), "{private} travelled: {all}");
    }
    let answer = format!("{:?}", reply.headers);
    assert!(!answer.contains("upstream-secret"), "{answer}");
}

#[test]
fn parallel_tool_calls_arrive_plain_and_streamed() {
    let app = TestApp::start("");
    let tools: [(&str, &[&str]); 2] =
        [("get_weather", &["{\"city\":", " \"Z\u{fc}rich\"}"]), ("get_time", &["{\"zone\"", ":\"CET\"}"])];
    app.provider.default(Step::tool_calls(&tools));
    let mut body = TestApp::body("weather and time?");
    let function = |name: &str| json!({"type": "function", "function": {"name": name, "parameters": {"type": "object"}}});
    body["tools"] = json!([function("get_weather"), function("get_time")]);
    body["parallel_tool_calls"] = true.into();

    let reply = app.chat(&[], &body);
    let message = &reply.json()["choices"][0]["message"];
    assert_eq!(message["tool_calls"][1]["function"]["arguments"], "{\"zone\":\"CET\"}");
    assert_eq!(app.trace_of(&reply)["record"]["finish"], "tool_calls");
    assert_eq!(app.provider.last_request().json()["tools"], body["tools"]);

    let streamed = app.stream(&[], &body).collect();
    let mut arguments = [String::new(), String::new()];
    for chunk in streamed.chunks() {
        for call in chunk["choices"][0]["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let index = call["index"].as_u64().unwrap() as usize;
            arguments[index].push_str(call["function"]["arguments"].as_str().unwrap());
        }
    }
    assert_eq!(arguments, ["{\"city\": \"Z\u{fc}rich\"}", "{\"zone\":\"CET\"}"]);
    assert!(streamed.has_done());
    let trace = app.trace(streamed.header("x-gauntlet-request-id").unwrap());
    let kept = &trace["output"]["choices"][0]["message"]["tool_calls"];
    assert_eq!(kept[0]["function"]["name"], "get_weather", "{trace:#}");
    assert_eq!(kept[1]["function"]["arguments"], "{\"zone\":\"CET\"}");
}

#[test]
fn a_refusal_is_passed_on_and_kept() {
    let app = TestApp::start("");
    app.provider.default(Step::refusal(&["I cannot ", "do that."]));
    let reply = app.chat(&[], &TestApp::body("do it"));
    assert_eq!(reply.json()["choices"][0]["message"]["refusal"], "I cannot do that.");
    let streamed = app.stream(&[], &TestApp::body("do it")).collect();
    let refusal: String = streamed
        .chunks()
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["refusal"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(refusal, "I cannot do that.");
    let trace = app.trace(streamed.header("x-gauntlet-request-id").unwrap());
    assert_eq!(trace["output"]["choices"][0]["message"]["refusal"], "I cannot do that.");
}

#[test]
fn embeddings_pass_in_every_form_of_input() {
    let app = TestApp::start("");
    for input in [json!("one two"), json!(["one", "two three"]), json!([1, 2, 3]), json!([[1, 2], [3]])] {
        let body = format!(
            "{{\"input\" : {input}, \"model\":\"prov/test-model\",\"x_new\":1e3,\"encoding_format\":\"base64\"}}"
        );
        let reply = http::post(&app.url("/v1/embeddings"), &[], body.as_bytes()).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert!(reply.json()["data"][0]["embedding"].is_string());
        let seen = app.provider.last_request();
        assert!(seen.path.ends_with("/embeddings"));
        assert_eq!(String::from_utf8_lossy(&seen.body), body.replace("prov/", ""));
        let record = app.trace_of(&reply)["record"].clone();
        assert_eq!(record["outcome"], "ok");
        assert_eq!(record["cost"], json!(reply.json()["usage"]["prompt_tokens"].as_i64().unwrap() * 1_000));
        assert_eq!(record["attempts"][0]["end"], Value::from("ok"));
    }
}
