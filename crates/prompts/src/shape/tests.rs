use std::sync::Arc;

use super::*;
use crate::parse;

fn prompt(version: &str, rest: &str) -> Prompt {
    parse("p.yaml", &format!("name: p\nversion: {version}\n{rest}")).unwrap()
}

/// What is told of a change between two files.
fn check(old: &str, new: &str, wanted: &[(Bump, &str)]) {
    let found = changes(&prompt("1.0.0", old), &prompt("2.0.0", new));
    let found: Vec<(Bump, &str)> = found.iter().map(|change| (change.bump, change.what.as_str())).collect();
    assert_eq!(found, wanted, "{old} → {new}");
}

/// The same of the variable `a`.
fn check_variable(old: &str, new: &str, wanted: &[(Bump, &str)]) {
    let file = |variable: &str| format!("variables: {{a: {variable}}}\ntemplate: Hi $a\n");
    check(&file(old), &file(new), wanted);
}

#[test]
fn what_breaks_a_call_is_major() {
    use Bump::Major;
    let none = "template: Hi\n";
    let required = "required_vars: [a]\ntemplate: Hi $a\n";
    let optional = "optional_vars: [a]\ntemplate: Hi $a\n";
    let text = (Bump::Patch, "the text changed");
    check(none, required, &[(Major, "required variable `a` was added"), text]);
    check(required, none, &[(Major, "required variable `a` was removed"), text]);
    check(optional, none, &[(Major, "optional variable `a` was removed"), text]);
    check(optional, required, &[(Major, "variable `a` was optional, and is required")]);
    check_variable("{}", "{type: string}", &[(Major, "variable `a` was of type any, and is of type string")]);
    check_variable(
        "{type: number}",
        "{type: integer}",
        &[(Major, "variable `a` was of type number, and is of type integer")],
    );
    let shorter = "the length of variable `a` was without bound, and is at most 9";
    check_variable("{}", "{max_length: 9}", &[(Major, shorter)]);
}

#[test]
fn what_asks_otherwise_and_breaks_no_call_is_minor() {
    use Bump::{Minor, Patch};
    let none = "template: Hi\n";
    let optional = "optional_vars: [a]\ntemplate: Hi $a\n";
    check(none, optional, &[(Minor, "optional variable `a` was added"), (Patch, "the text changed")]);
    check_variable("{type: string}", "{}", &[(Minor, "variable `a` was of type string, and is of type any")]);
    check_variable(
        "{type: integer}",
        "{type: number}",
        &[(Minor, "variable `a` was of type integer, and is of type number")],
    );
    check_variable(
        "{default: x}",
        "{default: z}",
        &[(Minor, "the default of variable `a` was \"x\", and is \"z\"")],
    );
    check(none, "model: m\ntemplate: Hi\n", &[(Minor, "the pinned model was none, and is m")]);
    check(
        none,
        "parameters: {temperature: 0.5}\ntemplate: Hi\n",
        &[(Minor, "`temperature` was not set, and is 0.5")],
    );
    check(
        none,
        "tools: [{type: function, function: {name: f}}]\ntemplate: Hi\n",
        &[(Minor, "the tools were none, and are f")],
    );
    check(
        none,
        "response_format: {type: json_object}\ntemplate: Hi\n",
        &[(Minor, "`response_format` was not set, and is {\"type\":\"json_object\"}")],
    );
    check(
        none,
        "messages: [{role: system, content: Hi}, {role: user, content: x}]\n",
        &[(Minor, "the messages were system, and are system, user")],
    );
}

#[test]
fn a_text_alone_is_taken_with_a_patch() {
    check("template: Hi\n", "template: Hello\n", &[(Bump::Patch, "the text changed")]);
    check("template: Hi\n", "description: new\nowner: o\ntemplate: Hi\n", &[]);
    check(
        "template: Hi\n",
        "risk: high\ntemplate: Hi\n",
        &[(Bump::Patch, "the risk was normal, and is high")],
    );
}

#[test]
fn the_number_must_rise_with_the_weightiest_change() {
    let breaking = "required_vars: [a]\ntemplate: Hi $a\n";
    let behaving = "model: m\ntemplate: Hi\n";
    let check = |from: &str, to: &str, rest: &str, wanted: usize| {
        let heavy = too_heavy(&prompt(from, "template: Hi\n"), &prompt(to, rest));
        assert_eq!(heavy.len(), wanted, "{from} → {to}: {heavy:?}");
    };
    check("1.0.0", "1.0.1", breaking, 1);
    check("1.0.0", "1.1.0", breaking, 1);
    check("1.0.0", "2.0.0", breaking, 0);
    check("1.0.0", "2.0.0-rc.1", breaking, 0);
    check("0.1.0", "0.1.1", breaking, 1);
    check("0.1.0", "0.2.0", breaking, 0);
    check("1.0.0", "1.0.1", behaving, 1);
    check("1.0.0", "1.1.0", behaving, 0);
    check("1.0.0", "1.0.1", "template: Hello\n", 0);
    let next = |bump: Bump, from: &str| bump.after(&Version::parse(from).unwrap()).to_string();
    assert_eq!(next(Bump::Major, "1.2.3"), "2.0.0");
    assert_eq!(next(Bump::Major, "0.2.3"), "0.3.0");
    assert_eq!(next(Bump::Minor, "1.2.3"), "1.3.0");
    assert_eq!(next(Bump::Patch, "1.2.3"), "1.2.4");
}

#[test]
fn a_version_is_measured_by_the_release_before_it() {
    let known: Vec<Arc<Prompt>> = ["1.0.0", "1.2.0", "1.3.0-rc.1", "2.0.0"]
        .map(|version| Arc::new(prompt(version, "template: Hi\n")))
        .into();
    let check = |version: &str, wanted: Option<&str>| {
        let new = prompt(version, "template: Hello\n");
        let found = predecessor(&known, &new).map(|old| old.version.to_string());
        assert_eq!(found.as_deref(), wanted, "{version}");
    };
    check("0.9.0", None);
    check("1.0.1", Some("1.0.0"));
    check("1.3.0", Some("1.2.0"));
    check("1.3.0-rc.2", Some("1.2.0"));
    check("3.0.0", Some("2.0.0"));
    let other = parse("q.yaml", "{name: q, version: 9.0.0, template: x}").unwrap();
    assert!(predecessor(&known, &other).is_none(), "another prompt's versions do not count");
}
