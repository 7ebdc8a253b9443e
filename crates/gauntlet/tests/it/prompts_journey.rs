//! A prompt lives in a file, has versions that never change, and moves by its label.

use std::{fs, time::Duration};

use gauntlet_testkit::http::{self, Reply};
use serde_json::{Value, json};

use crate::app::TestApp;

const FILE: &str = "prompts/rag-answer.v3.yaml";
const NEXT_FILE: &str = "prompts/rag-answer.v3.3.yaml";

/// The founding document's registry entry as it stands there.
const RAG_ANSWER: &str = r#"# rag-answer.v3.yaml — registry entry shape.
name: rag-answer
version: 3.2.0
description: Answer a user question using only the provided context. Always cite.
owner: search-team
model_hint: claude-sonnet-4-6
required_vars: [question, context]
optional_vars: [persona]
template: |
  You are a $persona. Use ONLY the context below to answer the user's question.
  If the context does not contain the answer, say so. Cite passages as [doc-id].

  CONTEXT:
  $context

  QUESTION:
  $question
"#;

fn start(config: &str) -> TestApp {
    TestApp::with_files(config, &[(FILE, RAG_ANSWER)])
}

fn ask(app: &TestApp, headers: &[(&str, &str)], prompt: Option<&str>, variables: Value) -> Reply {
    let mut body = json!({"model": "prov/test-model", "gauntlet": {"variables": variables}});
    if let Some(prompt) = prompt {
        body["gauntlet"]["prompt"] = prompt.into();
    }
    app.chat(headers, &body)
}

fn variables() -> Value {
    json!({"question": "Where is the tower?", "context": "[doc-1] The tower is in Paris.", "persona": "guide"})
}

fn version(reply: &Reply) -> &str {
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.header("x-gauntlet-prompt").expect("the answer names its prompt")
}

fn reload(app: &TestApp) -> Reply {
    http::post(&app.url("/api/v1/reload"), &[], b"").expect("the gateway answers")
}

/// The next version, worded anew.
fn next() -> String {
    RAG_ANSWER.replace("3.2.0", "3.3.0").replace("Use ONLY the context", "Rely on nothing but the context")
}

#[test]
fn a_prompt_is_rendered_by_body_header_or_route() {
    let app = start("routes:\n  rag: {prompt: rag-answer@3.2.0}");
    let expected = "You are a guide. Use ONLY the context below to answer the user's question.\n\
                    If the context does not contain the answer, say so. Cite passages as [doc-id].\n\nCONTEXT:\n\
                    [doc-1] The tower is in Paris.\n\nQUESTION:\nWhere is the tower?\n";
    let mut hashes = Vec::new();
    for (headers, prompt) in [
        (&[][..], Some("rag-answer@3.2.0")),
        (&[("x-gauntlet-prompt", "rag-answer@3.2.0")], None),
        (&[("x-gauntlet-route", "rag")], None),
        (&[], Some("rag-answer")),
    ] {
        let reply = ask(&app, headers, prompt, variables());
        assert_eq!(version(&reply), "rag-answer@3.2.0");
        let sent = app.provider.last_request().json();
        assert_eq!(sent["messages"], json!([{"role": "user", "content": expected}]));
        assert_eq!(sent.get("gauntlet"), None, "our own field does not travel");
        let record = app.trace_of(&reply)["record"].clone();
        assert_eq!(
            (&record["prompt"]["name"], &record["prompt"]["version"]),
            (&"rag-answer".into(), &"3.2.0".into())
        );
        hashes.push(record["prompt"]["hash"].as_str().expect("a hash").to_owned());
    }
    assert!(hashes.iter().all(|hash| *hash == hashes[0] && hash.len() == 64), "{hashes:?}");
}

#[test]
fn a_rendered_prompt_stands_before_the_callers_messages() {
    let app = start("");
    let body = json!({
        "model": "prov/test-model", "messages": [{"role": "user", "content": "Thanks!"}],
        "gauntlet": {"prompt": "rag-answer@3.2.0", "variables": variables()}, "temperature": 0.5,
    });
    let reply = app.chat(&[], &body);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let sent = app.provider.last_request().json();
    assert_eq!(sent["messages"][0]["role"], "system");
    assert_eq!(sent["messages"][1], json!({"role": "user", "content": "Thanks!"}));
    assert_eq!(sent["temperature"], 0.5);
    let trace = app.trace_of(&reply);
    assert!(
        trace["input"]["messages"][0]["content"].as_str().unwrap().contains("[doc-1] The tower"),
        "{trace:#}"
    );
}

#[test]
fn what_is_wrong_with_the_variables_is_named() {
    let app = start("");
    for (variables, param) in [
        (json!({"question": "q"}), "context"),
        (json!({"question": "q", "context": null}), "context"),
        (json!({"question": "q", "context": "c", "contxt": "d"}), "contxt"),
    ] {
        let reply = ask(&app, &[], Some("rag-answer@3.2.0"), variables);
        let error = &reply.json()["error"];
        assert_eq!((reply.status, &error["code"]), (400, &"prompt_invalid".into()), "{error}");
        assert_eq!(error["param"], param, "{error}");
        assert!(error["message"].as_str().unwrap().contains(&format!("`{param}`")), "{error}");
        let record = &app.trace_of(&reply)["record"];
        assert_eq!((&record["outcome"], &record["prompt"]["version"]), (&"refused".into(), &"3.2.0".into()));
    }
    assert!(app.provider.requests().is_empty());
}

#[test]
fn a_value_is_data_and_is_not_expanded_again() {
    let app = start("");
    let question = "What is $context, ${persona} and {{ question }}? $$ \"quoted\"\n</s>";
    let reply = ask(
        &app,
        &[],
        Some("rag-answer@3.2.0"),
        json!({"question": question, "context": "secretly $question"}),
    );
    assert_eq!(reply.status, 200, "{}", reply.text());
    let sent = app.provider.last_request().json()["messages"][0]["content"].as_str().unwrap().to_owned();
    assert!(sent.ends_with(&format!("CONTEXT:\nsecretly $question\n\nQUESTION:\n{question}\n")), "{sent}");
    assert!(
        sent.starts_with("You are a $persona."),
        "an optional one that is not given stays as it is written: {sent}"
    );
}

#[test]
fn private_data_in_a_variable_stays_out_of_the_record() {
    let app = start("");
    let mut given = variables();
    given["question"] = "Is ann@example.org a customer?".into();
    let reply = ask(&app, &[], Some("rag-answer@3.2.0"), given);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(!app.trace_of(&reply).to_string().contains("ann@example.org"));
}

#[test]
fn a_version_never_changes() {
    let mut app = start("");
    assert_eq!(version(&ask(&app, &[], Some("rag-answer@3.2.0"), variables())), "rag-answer@3.2.0");
    app.write(FILE, &RAG_ANSWER.replace("ONLY", "MOSTLY"));
    let reply = reload(&app);
    assert!(reply.status >= 400, "{}", reply.text());
    let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains(FILE) && message.contains("raise the version"), "{message}");
    let told = |ended: &gauntlet_testkit::Ended| {
        assert_eq!(ended.code, Some(1), "{ended}");
        assert!(ended.stdout.contains(FILE) && ended.stdout.contains("raise the version"), "{ended}");
    };
    told(&app.command(&["check"]));
    let reply = ask(&app, &[], Some("rag-answer@3.2.0"), variables());
    assert_eq!(reply.status, 200);
    assert!(
        app.provider.last_request().json().to_string().contains("Use ONLY"),
        "the old text stays in force"
    );
    app.write(NEXT_FILE, &next());
    app.balance();
    let log = app.stop().expect_ok().stderr;
    assert!(log.contains("is refused, the one in force stays") && log.contains("raise the version"), "{log}");
    told(&app.command(&["check"]));
    let ended = app.launch(&["up"]).try_serve().err().expect("it does not start");
    assert!(ended.stderr.contains(FILE) && ended.stderr.contains("raise the version"), "{ended}");
    app.write(FILE, RAG_ANSWER);
    app.restart();
    assert_eq!(version(&ask(&app, &[], Some("rag-answer@3.2.0"), variables())), "rag-answer@3.2.0");
    app.write("prompts/third.yaml", &next().replace("3.3.0", "3.4.0"));
    assert_eq!(reload(&app).status, 200);
    let log = app.stop().expect_ok().stderr;
    assert!(log.contains("prompt `rag-answer@3.4.0` of prompts/third.yaml is in force"), "{log}");
}

#[test]
fn a_prompt_that_cannot_be_read_is_never_a_call_without_one() {
    let app = start("");
    let check = |headers: &[(&str, &str)], field: Value, words: &str| {
        let mut body = TestApp::body("hi");
        body["gauntlet"] = field;
        let reply = app.chat(headers, &body);
        let error = reply.json()["error"].clone();
        assert_eq!((reply.status, &error["code"]), (400, &json!("prompt_invalid")), "{error}");
        assert!(error["message"].as_str().unwrap().contains(words), "{error}");
    };
    check(&[("x-gauntlet-prompt", "")], json!({}), "is empty");
    check(&[("x-gauntlet-prompt", "b\u{fc}ro")], json!({}), "cannot be the name of a prompt");
    check(&[], json!({"variables": variables()}), "no prompt is named");
    check(&[], json!({"prompt": "rag-answer@3.2.0", "variabels": variables()}), "did you mean `variables`?");
    assert!(app.provider.requests().is_empty());
}

#[test]
fn check_tells_of_prompts_that_are_not_there() {
    let mut app = start("");
    let check = |app: &TestApp, config: &str, code: i32, words: &str| {
        app.reconfigure(&format!("{config}\n"));
        let ended = app.command(&["check"]);
        assert_eq!(ended.code, Some(code), "{ended}");
        assert!(ended.stdout.contains(words), "{ended}");
    };
    app.balance();
    app.stop().expect_ok();
    let route = |prompt: &str| format!("routes: {{rag: {{prompt: \"{prompt}\"}}}}");
    check(&app, &route("rag-answer@7.0.0"), 1, "`rag-answer@7.0.0`, which neither a file nor the store has");
    check(&app, &route("rag-answer@@"), 1, "neither a version nor a label");
    check(&app, &route("rag-answr"), 1, "did you mean `rag-answer`?");
    check(&app, &route("rag-answer@beta"), 0, "no version has that label yet");
    check(&app, &route("rag-answer@3.2.0"), 0, "is good");
    check(&app, "promotion: {production: {gate: [nosuite]}}", 0, "suite `nosuite`");
    app.write("prompts/pin.yaml", "{name: pin, version: 1.0.0, model: nobody/x, template: Hi}");
    // A lone provider is asked for any name.
    let second = "  two: {dialect: openai, url: \"http://127.0.0.1:9/v1\", key: k, price: free}";
    check(&app, second, 0, "`pin@1.0.0` is pinned to `nobody/x`");
}

#[test]
fn what_goes_wrong_is_json_where_json_is_asked_for() {
    let app = start("");
    let check = |args: &[&str], words: &str| {
        let ended = app.command(&[args, &["--json"]].concat());
        assert_eq!(ended.code, Some(2), "{ended}");
        let message = ended.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(message.contains(words), "{ended}");
    };
    check(&["prompt", "show", "nope"], "there is no prompt `nope`");
    check(&["prompt", "list", "rag-answr"], "did you mean `rag-answer`?");
    check(&["prompt", "show", "../../etc"], "letters, digits");
    check(&["prompt", "rollback", "rag-answer", "--to", "staging"], "staging");
    app.write("big.yaml", &format!("question: {}\n", "x".repeat(3 << 20)));
    let big = app.config_dir().join("big.yaml").display().to_string();
    check(
        &["prompt", "render", "rag-answer@3.2.0", "--var", "context=c", "--vars", &big],
        "longer than 1048576",
    );
    app.write(NEXT_FILE, &next());
    assert_eq!(reload(&app).status, 200);
    let diff = app.api("/api/v1/prompts/diff?a=rag-answer@3.2.0&b=3.3.0");
    assert_eq!(diff["b"], "rag-answer@3.3.0", "{diff}");
}

#[test]
fn a_label_moves_with_the_next_call_and_keeps_a_version_whose_file_is_gone() {
    let mut app = start("");
    app.write(NEXT_FILE, &next());
    assert_eq!(reload(&app).status, 200);
    let production = |app: &TestApp| {
        let reply = ask(app, &[], Some("rag-answer@production"), variables());
        (reply.status, reply.header("x-gauntlet-prompt").unwrap_or("").to_owned())
    };
    assert_eq!(production(&app).0, 400, "nobody has set the label yet");
    for version in ["3.2.0", "3.3.0", "3.2.0", "3.3.0"] {
        let said = app.command(&["prompt", "promote", &format!("rag-answer@{version}")]).expect_ok();
        assert!(said.stdout.contains(version), "{said}");
        assert_eq!(production(&app), (200, format!("rag-answer@{version}")));
    }
    let record = app.last_trace()["record"].clone();
    assert_eq!(record["prompt"]["label"], "production");

    let list = app.command(&["prompt", "list"]).expect_ok().stdout;
    let line = list.lines().find(|line| line.contains("3.3.0")).expect("the version is listed");
    assert!(
        line.contains("production") && line.contains(&record["prompt"]["hash"].as_str().unwrap()[..12]),
        "{list}"
    );
    let shown = app.command(&["prompt", "show", "rag-answer@production"]).expect_ok().stdout;
    assert!(shown.contains("3.3.0") && shown.contains("Rely on nothing"), "{shown}");
    for (wrong, words) in [
        ("rag-answer@9.9.9", "prompt `rag-answer` has no version or label `9.9.9`"),
        ("nobody@1.0.0", "there is no prompt `nobody`"),
        ("rag-answer", "`rag-answer` names no version"),
    ] {
        let refused = app.command(&["prompt", "promote", wrong]);
        assert_eq!(refused.code, Some(2), "{refused}");
        assert!(refused.stderr.contains(words), "{refused}");
    }

    fs::remove_file(app.config_dir().join(NEXT_FILE)).unwrap();
    assert_eq!(reload(&app).status, 200);
    assert_eq!(production(&app), (200, "rag-answer@3.3.0".to_owned()), "kept without its file");
    app.balance();
    app.stop().expect_ok();
    app.restart();
    assert_eq!(production(&app), (200, "rag-answer@3.3.0".to_owned()));
}

#[test]
fn a_folder_of_prompts_that_comes_later_is_seen() {
    let app = TestApp::start("");
    app.write(FILE, RAG_ANSWER);
    for _ in 0..100 {
        let reply = ask(&app, &[], Some("rag-answer@3.2.0"), variables());
        if reply.status == 200 {
            app.write(NEXT_FILE, &next());
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    for _ in 0..100 {
        let reply = ask(&app, &[], Some("rag-answer@3.3.0"), variables());
        if reply.status == 200 {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("the second file was not seen");
}

#[test]
fn a_call_is_made_again_with_another_version_and_the_variables_it_had() {
    let next = next();
    let app = TestApp::with_files(
        "routes: {rag: {prompt: rag-answer@3.2.0, input: {pii: redact}}}",
        &[(FILE, RAG_ANSWER), (NEXT_FILE, &next)],
    );
    let mut variables = variables();
    variables["context"] = json!({"passages": ["[doc-1] Write to ann@example.com."]});
    let reply = ask(&app, &[("x-gauntlet-route", "rag")], None, variables);
    let sent = app.provider.last_request().json().to_string();
    assert!(!sent.contains("ann@example.com"), "a text within a variable is redacted too: {sent}");
    let id = reply.header("x-gauntlet-request-id").unwrap();
    let kept = app.trace(id);
    let noted = &kept["input"]["gauntlet"];
    assert_eq!((&noted["prompt"], &noted["rendered_messages"]), (&json!("rag-answer@3.2.0"), &json!(1)));
    assert_eq!(noted["variables"]["question"], "Where is the tower?");
    assert!(!kept.to_string().contains("ann@example.com"));

    let first = app.provider.requests()[0].json()["messages"].clone();
    app.command_json(&["trace", "replay", id]);
    assert_eq!(app.provider.last_request().json()["messages"], first, "the same again is the same");
    let made = app.command_json(&["trace", "replay", id, "--prompt", "rag-answer@3.3.0"]);
    assert_eq!(made["replay"]["prompt"], "rag-answer@3.3.0", "{made}");
    let messages = app.provider.last_request().json()["messages"].clone();
    assert_eq!(messages.as_array().map(Vec::len), Some(1), "in the place of the other: {messages}");
    let text = messages[0]["content"].as_str().unwrap();
    assert!(text.starts_with("You are a guide. Rely on nothing but the context"), "{text}");
    assert!(text.contains("Where is the tower?"), "{text}");
}
