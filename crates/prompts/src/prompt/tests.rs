use serde_json::json;

use super::*;
use crate::parse;

/// The registry entry of the founding document on LLMOps, as it stands there.
pub(crate) const SEED: &str = r#"# rag-answer.v3.yaml — registry entry shape.
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

fn read(text: &str) -> Prompt {
    parse("prompts/test.yaml", text).unwrap()
}

fn render(prompt: &Prompt, variables: Value) -> Result<Vec<(&'static str, String)>, String> {
    let variables = variables.as_object().cloned().unwrap();
    let fault = |fault: Fault| {
        assert_eq!((fault.code, fault.blame), (Code::PromptInvalid, gauntlet_types::Blame::Caller));
        fault.message
    };
    prompt.render(&variables).map(|rendered| rendered.messages).map_err(fault)
}

/// Renders a prompt of one system message.
fn text(prompt: &Prompt, variables: Value) -> Result<String, String> {
    render(prompt, variables).map(|mut messages| {
        assert_eq!((messages.len(), messages[0].0), (1, "system"));
        messages.remove(0).1
    })
}

#[test]
fn the_founding_entry_loads_and_renders_as_it_stands() {
    let prompt = read(SEED);
    assert_eq!(prompt.name, "rag-answer");
    assert_eq!(prompt.version, Version::new(3, 2, 0));
    assert_eq!(prompt.owner.as_deref(), Some("search-team"));
    assert_eq!(prompt.model_hint.as_deref(), Some("claude-sonnet-4-6"));
    assert!(prompt.description.as_deref().unwrap().ends_with("Always cite."));
    assert_eq!((prompt.model.as_ref(), prompt.engine), (None, Engine::String));
    assert_eq!(prompt.required().map(|(name, _)| name).collect::<Vec<_>>(), ["context", "question"]);
    assert_eq!(prompt.optional().map(|(name, _)| name).collect::<Vec<_>>(), ["persona"]);
    let values = json!({"question": "Why?", "context": "[doc-1] Because.", "persona": "clerk"});
    let wanted = "You are a clerk. Use ONLY the context below to answer the user's question.\n\
                  If the context does not contain the answer, say so. Cite passages as [doc-id].\n\n\
                  CONTEXT:\n[doc-1] Because.\n\nQUESTION:\nWhy?\n";
    assert_eq!(text(&prompt, values).unwrap(), wanted);
}

#[test]
fn an_optional_variable_without_default_stays_as_safe_substitute_leaves_it() {
    let rendered = text(&read(SEED), json!({"question": "q", "context": "c", "persona": null})).unwrap();
    assert!(rendered.starts_with("You are a $persona. Use"), "{rendered}");
    let with_default =
        SEED.replace("optional_vars: [persona]", "variables: {persona: {type: string, default: clerk}}");
    let rendered = text(&read(&with_default), json!({"question": "q", "context": "c"})).unwrap();
    assert!(rendered.starts_with("You are a clerk. Use"), "{rendered}");
}

#[test]
fn what_is_missing_wrong_or_unknown_is_named_all_at_once() {
    let check = |variables: Value, wanted: &str| {
        assert_eq!(text(&read(SEED), variables).unwrap_err(), format!("prompt `rag-answer@3.2.0` {wanted}"));
    };
    check(json!({"question": "q"}), "needs variable `context` (any)");
    check(json!({}), "needs variable `context` (any); needs variable `question` (any)");
    check(json!({"question": null, "context": "c"}), "needs variable `question` (any)");
    check(
        json!({"question": "q", "context": "c", "perosna": "x"}),
        "has no variable `perosna`: did you mean `persona`?",
    );
    check(
        json!({"question": "q", "context": "c", "zzz": 1}),
        "has no variable `zzz`; it has context, persona, question",
    );
    check(
        json!({"question": "q", "context": "c", "zzz": 1, "contxet": 1}),
        "has no variable `zzz`; has no variable `contxet`: did you mean `context`?; \
         it has context, persona, question",
    );
    let fault = read(SEED).render(&Map::new()).unwrap_err();
    assert_eq!(fault.param.as_deref(), Some("context"));
}

const TYPED: &str = "
name: typed
version: 1.0.0
variables:
  text: {type: string, max_length: 5}
  count: {type: integer}
  share: {type: number}
  is_new: {type: boolean}
  entries: {type: array, max_length: 2}
  more: {type: object}
template: $text $count $share $is_new $entries $more
";

#[test]
fn types_are_held_and_values_show_as_json() {
    let good = json!({"text": "a\"b", "count": 3, "share": 0.5, "is_new": true, "entries": ["x", 1], "more": {"z": 1, "a": null}});
    assert_eq!(text(&read(TYPED), good.clone()).unwrap(), r#"a"b 3 0.5 true ["x",1] {"z":1,"a":null}"#);
    let check = |name: &str, value: Value, wanted: &str| {
        let mut values = good.clone();
        values[name] = value;
        let message = text(&read(TYPED), values).unwrap_err();
        assert_eq!(message, format!("prompt `typed@1.0.0` variable `{name}` {wanted}"));
    };
    check("text", json!(1), "must be string, not integer");
    check("text", json!("123456"), "has 6 characters and may have 5");
    check("count", json!("secret"), "must be integer, not string");
    check("count", json!(1.5), "must be integer, not number");
    check("share", json!(true), "must be number, not boolean");
    check("is_new", json!(0), "must be boolean, not integer");
    check("entries", json!({}), "must be array, not object");
    check("entries", json!([1, 2, 3]), "has 3 entries and may have 2");
    check("more", json!([]), "must be object, not array");
}

#[test]
fn values_are_never_read_as_templates() {
    let hostile = "$question ${context} $$ {{ question }} {% for x in range(9) %}x{% endfor %}";
    let rendered = text(&read(SEED), json!({"question": "SECRET", "context": hostile})).unwrap();
    assert!(rendered.contains(&format!("CONTEXT:\n{hostile}\n")), "{rendered}");
    assert_eq!(rendered.matches("SECRET").count(), 1);

    let jinja = read("{name: j, version: 1.0.0, required_vars: [a, b], template: '{{ a }}|{{ b }}'}");
    assert_eq!(jinja.engine, Engine::Jinja);
    let rendered = text(&jinja, json!({"a": hostile, "b": "<b> & 'SECRET'"})).unwrap();
    assert_eq!(rendered, format!("{hostile}|<b> & 'SECRET'"));
}

#[test]
fn messages_keep_their_roles_and_order() {
    let prompt = read(
        "{name: m, version: 1.0.0, required_vars: [q], messages: [
            {role: system, content: Be brief.}, {role: user, content: 'Hi $q'},
            {role: assistant, content: Hello.}, {role: developer, content: $q}]}",
    );
    let wanted = [("system", "Be brief."), ("user", "Hi Ann"), ("assistant", "Hello."), ("developer", "Ann")];
    let rendered = render(&prompt, json!({"q": "Ann"})).unwrap();
    assert_eq!(rendered.iter().map(|(role, text)| (*role, text.as_str())).collect::<Vec<_>>(), wanted);
}

#[test]
fn jinja_has_loops_conditions_and_json_and_misses_what_was_not_given() {
    let prompt = read(
        "
name: j
version: 1.0.0
required_vars: [docs]
optional_vars: [tone]
template: |
  {% for doc in docs %}[{{ doc.id }}] {{ doc.text | upper }}
  {% endfor %}{% if tone %}Tone: {{ tone }}{% endif %}{{ docs[0] | tojson }}
",
    );
    let docs = json!([{"id": 1, "text": "a<b"}, {"id": 2, "text": "c"}]);
    let wanted = "[1] A<B\n[2] C\n{\"id\":1,\"text\":\"a<b\"}\n";
    assert_eq!(text(&prompt, json!({"docs": docs})).unwrap(), wanted);
    let wanted = "[1] A<B\n[2] C\nTone: dry{\"id\":1,\"text\":\"a<b\"}\n";
    assert_eq!(text(&prompt, json!({"docs": docs, "tone": "dry"})).unwrap(), wanted);

    let bare = read("{name: j, version: 1.0.0, optional_vars: [tone], template: 'Tone: {{ tone }}'}");
    let message = text(&bare, json!({})).unwrap_err();
    let wanted =
        "prompt `j@1.0.0` cannot be rendered: undefined value in line 1 of message 1; not given: `tone`";
    assert_eq!(message, wanted);
}

#[test]
fn hostile_templates_are_stopped() {
    let check = |template: &str, wanted: &str| {
        let entry = json!({"name": "h", "version": "1.0.0", "required_vars": ["v"], "template": format!("{template}{{{{ v }}}}")});
        let stopped = match parse("h.yaml", &entry.to_string()) {
            Ok(prompt) => text(&prompt, json!({"v": "x".repeat(500_000)})).unwrap_err(),
            Err(error) => error.to_string(),
        };
        assert!(stopped.contains(wanted), "{template}: {stopped}");
    };
    let started = std::time::Instant::now();
    check(
        "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
        "takes more than 100000 steps",
    );
    check("{% for a in range(9999) %}{{ v }}{% endfor %}", "more than 1048576 bytes");
    check("{{ v|replace('x', v) }}", "invalid operation");
    check("{{ range(99999)|join(v) }}", "invalid operation");
    check("{{ 'x' * 100000000 }}", "`*` is not available");
    check("{% raw %}{{ ' {% endraw %}{{ 'x' * 100000000 }}", "`*` is not available");
    check("{% set n = namespace() %}", "which is not declared");
    check("{{ v|indent(99999999) }}", "filter");
    check("{% include 'other' %}", "cannot be read");
    check("{% extends '/etc/passwd' %}", "cannot be read");
    check("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "cannot be read");
    check(&"{% if v %}".repeat(10_000), "cannot be read");
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[test]
fn huge_values_are_refused() {
    let half = "x".repeat(RENDERED_BYTES_MAX / 2);
    let values = |context: &str| json!({"question": half, "context": context});
    assert!(text(&read(SEED), values(&half[..1_000])).is_ok());
    let message = text(&read(SEED), values(&format!("{half}x"))).unwrap_err();
    assert_eq!(message, "prompt `rag-answer@3.2.0` with these variables is longer than 1048576 bytes");
    // Each fits, the text made of them does not.
    let twice = read(
        "{name: t, version: 1.0.0, required_vars: [v], messages: [{role: user, content: $v$v}, {role: user, content: $v}]}",
    );
    assert!(render(&twice, json!({"v": "x".repeat(RENDERED_BYTES_MAX / 3)})).is_ok());
    assert!(
        render(&twice, json!({"v": "x".repeat(RENDERED_BYTES_MAX / 3 + 1)}))
            .unwrap_err()
            .contains("longer than")
    );
    let nested = json!({"question": [half.clone(), {"a": half.clone()}], "context": ""});
    assert!(text(&read(SEED), nested).unwrap_err().contains("longer than"));
}

#[test]
fn the_hash_is_stable_and_tells_what_matters() {
    let prompt = read(SEED);
    let wanted = concat!(
        r#"{"engine":"string","messages":[{"content":"You are a $persona. Use ONLY the context below to answer the "#,
        r#"user's question.\nIf the context does not contain the answer, say so. Cite passages as [doc-id].\n\n"#,
        r#"CONTEXT:\n$context\n\nQUESTION:\n$question\n","role":"system"}],"name":"rag-answer","variables":"#,
        r#"{"context":{"required":true},"persona":{"required":false},"question":{"required":true}},"version":"3.2.0"}"#
    );
    assert_eq!(prompt.canonical(), wanted);
    assert_eq!(prompt.hash, "3550254a7b7ab6d61eedd22c0d9a07d332394e1d68ff94028bdcb762161e5285");
    let same = [
        SEED.replace("# rag-answer.v3.yaml — registry entry shape.\n", "\n\n# another comment\n"),
        SEED.replace("[question, context]", "\n- context\n- question"),
        SEED.replace("owner: search-team", "owner: someone-else\nlabels: [production]"),
        SEED.replace("description: Answer", "description: Answers"),
        SEED.replace("version: 3.2.0", "version: '3.2.0'"),
        SEED.replace(
            "required_vars: [question, context]",
            "variables: {context: {}, question: {description: what}}",
        ),
    ];
    for text in same {
        assert_eq!(read(&text).hash, prompt.hash, "{text}");
    }
    let other = [
        SEED.replace("Cite passages", "Cite the passages"),
        SEED.replace("version: 3.2.0", "version: 3.2.1"),
        SEED.replace("name: rag-answer", "name: rag-answers"),
        SEED.replace("owner: search-team", "model: anthropic/claude-sonnet-4-6"),
        SEED.replace("optional_vars: [persona]", "variables: {persona: {default: clerk}}"),
        SEED.replace("optional_vars: [persona]", "variables: {persona: {required: false, type: string}}"),
        SEED.replace("[question, context]", "[question, context, persona]")
            .replace("optional_vars: [persona]", ""),
    ];
    for text in other {
        assert_ne!(read(&text).hash, prompt.hash, "{text}");
    }
}

#[test]
fn a_version_comes_back_from_its_stored_form() {
    for text in [
        SEED,
        TYPED,
        "{name: j, version: 1.0.0-rc.1, model: m, variables: {a: {default: {z: [1.5, null], b: é}}}, messages: [{role: user, content: '{{ a }}'}]}",
    ] {
        let prompt = read(text);
        let stored = prompt.stored(Timestamp(7));
        assert_eq!((&stored.name, &stored.hash, stored.created), (&prompt.name, &prompt.hash, Timestamp(7)));
        let back = parse("store", &stored.source).unwrap();
        assert_eq!((back.canonical(), &back.hash), (prompt.canonical(), &prompt.hash));
        assert_eq!(back.reference(Some("production".into())), prompt.reference(Some("production".into())));
    }
}

const FULL: &str = "
name: full
version: 1.0.0
risk: high
required_vars: [q]
template: $q
tools: [{type: function, function: {name: look_up, parameters: {type: object}}}]
tool_choice: auto
response_format: {type: json_object}
parameters: {temperature: 0.2, max_tokens: 300, stop: [END]}
";

#[test]
fn tools_parameters_and_risk_belong_to_the_version() {
    let prompt = read(FULL);
    assert_eq!(prompt.risk, Risk::High);
    assert_eq!(prompt.fields.tool_names(), ["look_up"]);
    let names: Vec<&str> = prompt.fields.names().collect();
    assert_eq!(names, ["tools", "tool_choice", "response_format", "max_tokens", "stop", "temperature"]);
    let back = parse("store", &prompt.stored(Timestamp(1)).source).unwrap();
    assert_eq!((back.canonical(), &back.hash), (prompt.canonical(), &prompt.hash));
    assert_eq!((back.risk, &back.fields), (prompt.risk, &prompt.fields));
    for (from, to) in [
        ("risk: high", "risk: normal"),
        ("temperature: 0.2", "temperature: 0.3"),
        ("tool_choice: auto", "tool_choice: required"),
        ("json_object", "text"),
        ("look_up", "look_down"),
    ] {
        assert_ne!(read(&FULL.replace(from, to)).hash, prompt.hash, "{to}");
    }
    let reordered = FULL.replace(
        "{temperature: 0.2, max_tokens: 300, stop: [END]}",
        "\n  stop: [END]\n  max_tokens: 300\n  temperature: 0.2",
    );
    assert_eq!(read(&reordered).hash, prompt.hash, "order and layout do not count");
}

#[test]
fn what_is_said_about_a_version_comes_back_with_it() {
    let text = SEED.replace(
        "required_vars: [question, context]",
        "variables: {context: {}, question: {description: what is asked}}",
    );
    let prompt = read(&text);
    let back = Prompt::restored(&prompt.stored(Timestamp(1))).unwrap();
    assert_eq!(back.hash, prompt.hash);
    let about = |prompt: &Prompt| {
        (
            prompt.description.clone(),
            prompt.owner.clone(),
            prompt.model_hint.clone(),
            prompt.variables.clone(),
        )
    };
    assert_eq!(about(&back), about(&prompt));
    assert_eq!(read("{name: n, version: 1.0.0, template: x}").stored(Timestamp(1)).about, None);
}

#[test]
fn a_version_that_says_nothing_new_keeps_the_hash_it_had() {
    let plain = read(SEED);
    let said = format!("{SEED}tools: []\nparameters: {{}}\nrisk: normal\n");
    assert_eq!(read(&said).hash, plain.hash);
    let hash = |text: &str| read(text).hash.to_string();
    // As they were before tools, parameters and risk could be said.
    assert_eq!(hash(SEED), "3550254a7b7ab6d61eedd22c0d9a07d332394e1d68ff94028bdcb762161e5285");
    assert_eq!(hash(TYPED), "6ce0cc5947362c50345ccb583eeaea7c88943a491c73b13993eb9cfdbfffa3fb");
}
