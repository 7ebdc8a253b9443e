use super::*;

/// Checks the first mistake of a file, as people see it.
fn check(text: &str, wanted: &str) {
    let error = parse("p.yaml", text).err().map(|error| error.to_string());
    assert_eq!(error.as_deref(), Some(format!("p.yaml:{wanted}").as_str()), "{text}");
}

fn warnings(text: &str) -> Vec<String> {
    parse("p.yaml", text).unwrap().warnings.iter().map(PromptError::to_string).collect()
}

const HEAD: &str = "name: p\nversion: 1.0.0\n";

fn with(rest: &str) -> String {
    format!("{HEAD}{rest}")
}

#[test]
fn mistakes_are_told_with_place_and_cure() {
    check(&with("templat: x\n"), "3:1: unknown field `templat`; did you mean `template`?");
    check("version: 1.0.0\ntemplate: x\n", "2:1: field `name` is missing; add a line `name: …`");
    check("name: p\nversion: 3.2\ntemplate: x\n", "2:10: `3.2` is not a version; write `3.2.0`");
    check("name: p\nversion: 3\ntemplate: x\n", "2:10: `3` is not a version; write `3.0.0`");
    check(
        "name: p\nversion: new\ntemplate: x\n",
        "2:10: `new` is not a version; write three numbers, such as `1.0.0`",
    );
    let letters = "use letters, digits, `-`, `_`, `.` and `/`, at most 128";
    check(
        "name: p q\nversion: 1.0.0\ntemplate: x\n",
        &format!("1:7: the prompt cannot be named `p q`; {letters}"),
    );
    check(
        "name: p@1\nversion: 1.0.0\ntemplate: x\n",
        &format!("1:7: the prompt cannot be named `p@1`; {letters}"),
    );
    for name in ["../../etc", "a//b", "/a", ".", "a/.."] {
        check(
            &format!("version: 1.0.0\nname: {name}\ntemplate: x\n"),
            &format!(
                "2:1: the prompt cannot be named `{name}`; its parts between `/` are neither empty nor dots alone"
            ),
        );
    }
    check(&with("template: ' '\n"), "3:11: the text is empty; write one");
    check(HEAD, " there is neither `template` nor `messages`; add `template: |` and the text below it");
    check(
        &with("messages: []\n"),
        "3:11: `messages` is empty; add a message, such as `- {role: system, content: …}`",
    );
    check(
        &with("messages:\n- role: sytem\n  content: x\n"),
        "4:9: unknown role `sytem`; did you mean `system`?",
    );
    check(&with("template: x\nengine: jinjja\n"), "4:9: unknown value `jinjja`; did you mean `jinja`?");
    check(
        &with("template: x\nlabels: [latest]\n"),
        "4:10: `latest` is no label to set; it is always the highest version: leave it out",
    );
    check(
        &with("template: x\nlabels: [1.0.0]\n"),
        "4:10: label `1.0.0` looks like a version; choose a word, such as `production`",
    );
    check(
        &with("template: x\nmodel: ''\n"),
        "4:8: `model` is empty; name a target or alias, or leave the line out",
    );
}

#[test]
fn a_files_own_words_are_shown_as_they_stand() {
    let error = parse("p.yaml", "name: p\nversion: 1.0.0\ntemplate: - x\n").unwrap_err();
    assert!(!error.to_string().contains('\\'), "{error}");
    check(&with("template: x\n\"tem'pl\": y\n"), &{
        let fields = parse("p.yaml", &with("x_y_z: 1\n")).unwrap_err().cure;
        format!("4:1: unknown field `tem'pl`; {fields}")
    });
    let error = parse("p.yaml", &"x".repeat(FILE_BYTES_MAX + 1)).unwrap_err().to_string();
    assert!(error.starts_with("p.yaml: the file has"), "the file as a whole has no line: {error}");
}

#[test]
fn a_jinja_variable_that_may_be_missing_where_it_is_used_is_warned_of() {
    let check = |text: &str, wanted: Option<&str>| {
        let text = with(&format!(
            "variables:\n  who: {{required: false}}\n  docs: {{type: array}}\ntemplate: |\n  {text}\n"
        ));
        let found = warnings(&text);
        assert_eq!(
            found.first().map(|found| found.contains("has no default")),
            wanted.map(|_| true),
            "{found:?}"
        );
        if let Some(wanted) = wanted {
            assert!(found.len() == 1 && found[0].contains(wanted), "{found:?}");
        }
    };
    check("Hello {{ who }} {{ docs }}", Some("p.yaml:4:8: optional variable `who`"));
    check("{% if who %}Hello {{ who }}{% endif %} {{ docs }}", None);
    check("{{ who | default('you') }} {{ docs }}", None);
    check("{% if who is defined %}{{ who }}{% endif %} {{ docs }}", None);
    check("{{ who }} {{ docs[0].title.text }}", None);
    let of_self = with("variables:\n  self: {default: me}\ntemplate: |\n  I am {{ self }}\n");
    assert_eq!(warnings(&of_self), Vec::<String>::new());
}

#[test]
fn mistakes_in_variables_are_told() {
    let check =
        |declared: &str, wanted: &str| check(&with(&format!("{declared}\ntemplate: $a $b\n")), wanted);
    check("required_vars: [a, a]", "3:20: variable `a` is listed twice; leave one out");
    check(
        "required_vars: [a]\noptional_vars: [a]",
        "4:17: variable `a` is both required and optional; leave it out of one of the two lists",
    );
    check(
        "required_vars: [a-b]",
        "3:17: a variable cannot be named `a-b`; use letters, digits and `_`, not beginning with a digit",
    );
    check("variables:\n  a: {type: sting}", "4:13: unknown value `sting`; did you mean `string`?");
    check(
        "variables:\n  a: {max_len: 3}",
        "4:7: unknown field `max_len`; there are type, description, max_length, required, default",
    );
    check(
        "variables:\n  a: {required: true, default: x}",
        "4:6: variable `a` is required and has a default; leave one of the two out",
    );
    check(
        "variables:\n  a: {type: integer, default: x}",
        "4:6: the default of variable `a` must be integer, not string; make the default fit the type",
    );
    check(
        "variables:\n  a: {type: integer, max_length: 3}",
        "4:6: variable `a` has a `max_length` and is of type integer; only strings and arrays have a length: leave it out",
    );
    check(
        "required_vars: [a]\nvariables:\n  a: {required: false}",
        "5:6: variable `a` is in `required_vars` and says `required: false`; make the two agree",
    );
    check(
        "required_vars: [a, c]",
        "3:20: required variable `c` is not used in the text; write `$c` where it belongs, or leave it out",
    );
}

#[test]
fn what_looks_wrong_in_a_text_is_shown_where_it_is() {
    assert_eq!(
        warnings(&with("required_vars: [name]\ntemplate: |\n  Hello $name,\n  you are $naem.\n")),
        ["p.yaml:6:11: the text names `$naem`, which no variable is called; did you mean `name`?"]
    );
    assert_eq!(
        warnings(&with("template: go to $HOME\n")),
        [
            "p.yaml:3:17: the text names `$HOME`, which no variable is called; declare it, or write `$$` for a dollar"
        ]
    );
    assert_eq!(
        warnings(&with("optional_vars: [a, b]\ntemplate: $a\n")),
        [
            "p.yaml:3:20: optional variable `b` is not used in the text; write `$b` where it belongs, or leave it out",
            "p.yaml:3:17: optional variable `a` has no default: where it is not given, `$a` stays in the text; \
             give it one under `variables`: `a: {default: …}`",
        ]
    );
    let nothing: [&str; 0] = [];
    assert_eq!(warnings(&with("template: US$$5 and $5\n")), nothing);
}

#[test]
fn mistakes_in_jinja_are_shown_where_they_are() {
    check(
        &with("required_vars: [name]\ntemplate: |\n  {{ name }}\n  and {{ naem }}\n"),
        "6:10: the template uses `naem`, which is not declared; did you mean `name`?",
    );
    let cure = "put the template right, or say `engine: string` if `{{` is meant as text";
    let broken = parse("p.yaml", &with("template: |\n  fine\n  {% if %}\n")).unwrap_err();
    assert_eq!((broken.line, broken.column, broken.cure.as_str()), (5, 3, cure));
    check(
        &with("required_vars: [q]\ntemplate: '{{ 1 }} $q'\n"),
        "3:17: required variable `q` is not used in the text; write `{{ q }}` where it belongs, or leave it out",
    );
}

#[test]
fn the_engine_follows_the_text_unless_it_is_said() {
    let engine = |rest: &str| parse("p.yaml", &with(rest)).unwrap().engine;
    assert_eq!(engine("template: plain\n"), Engine::String);
    assert_eq!(engine("template: '{ \"a\": { \"b\": 1 } }'\n"), Engine::String);
    assert_eq!(engine("template: '{{ 1 }}'\n"), Engine::Jinja);
    assert_eq!(engine("template: '{% if true %}x{% endif %}'\n"), Engine::Jinja);
    assert_eq!(engine("engine: string\ntemplate: '{{ literally }}'\n"), Engine::String);
    assert_eq!(engine("engine: string.Template\ntemplate: x\n"), Engine::String);
    assert_eq!(engine("engine: jinja\ntemplate: x\n"), Engine::Jinja);
}

#[test]
fn files_that_are_no_prompts_are_refused_without_harm() {
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned()
        + &(b'b'..=b'i')
            .map(|c| {
                format!(
                    "{0}: &{0} [*{1},*{1},*{1},*{1},*{1},*{1},*{1},*{1},*{1}]\n",
                    c as char,
                    (c - 1) as char
                )
            })
            .collect::<String>();
    let deep = "[".repeat(100_000);
    let many = format!("{HEAD}template: x\n---\n{HEAD}template: y\n");
    for text in [
        "",
        "just words",
        "- a\n- b",
        "name: [",
        "\u{0}",
        "name: p\nname: q\nversion: 1.0.0\ntemplate: x",
        &bomb,
        &deep,
        &many,
    ] {
        assert!(parse("p.yaml", text).is_err(), "{}", text.chars().take(40).collect::<String>());
    }
    let long = format!("{HEAD}template: {}", "x".repeat(FILE_BYTES_MAX));
    assert!(parse("p.yaml", &long).unwrap_err().message.contains("bytes"));
}

#[test]
fn what_a_prompt_says_of_the_call_is_checked() {
    let check_line = |line: &str, wanted: &str| check(&with(&format!("template: x\n{line}\n")), wanted);
    check_line(
        "tools: [{name: f}]",
        "4:8: tool 1 has no `type`; write `- {type: function, function: {name: …, parameters: {…}}}`",
    );
    check_line(
        "tools: [{type: function, function: {}}]",
        "4:8: tool 1 has no name; write `function: {name: …, description: …, parameters: {…}}`",
    );
    check_line(
        "tool_choice: auto",
        "4:14: there is a `tool_choice` and there are no `tools`; add `tools`, or leave it out",
    );
    check_line(
        "tools: [{type: function, function: {name: f}}]\ntool_choice: always",
        "5:14: unknown `tool_choice: always`; there are auto, none, required, or an object",
    );
    check_line(
        "response_format: {schema: {}}",
        "4:18: `response_format` has no `type`; write for example `response_format: {type: json_object}`",
    );
    check_line(
        "parameters: {temperature: 3}",
        "4:27: `temperature` must be a number from 0 to 2; mend it, or leave it out",
    );
    check_line(
        "parameters: {max_tokens: 0}",
        "4:26: `max_tokens` must be a whole number from 1; mend it, or leave it out",
    );
    check_line(
        "parameters: {model: m}",
        "4:21: `model` is no parameter; it is a line of its own: `model: …`",
    );
    check_line(
        "parameters: {max_tokens: 5, max_completion_tokens: 6}",
        "4:52: both `max_tokens` and `max_completion_tokens` are set; they are one limit: leave one out",
    );
    check_line("risk: hihg", "4:7: unknown value `hihg`; did you mean `high`?");
    let odd = warnings(&with("template: x\nparameters: {temprature: 1, foo_bar: 2}\n"));
    assert_eq!(
        odd,
        [
            "p.yaml:4:38: parameter `foo_bar` is not known here; it is sent as it stands, and the provider may refuse it",
            "p.yaml:4:26: parameter `temprature` is not known here; did you mean `temperature`?",
        ]
    );
}
