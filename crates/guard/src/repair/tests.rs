use serde_json::{Value, json};

use super::*;

fn schema() -> OutputSchema {
    OutputSchema::compile(&json!({
        "type": "object",
        "required": ["answer"],
        "additionalProperties": false,
        "properties": {
            "answer": {"type": "string"},
            "count": {"type": "integer"},
            "share": {"anyOf": [{"type": "number"}, {"type": "null"}]},
            "is_new": {"type": "boolean"},
            "mood": {"enum": ["very calm", "cross"]},
            "items": {"type": "array", "items": {"$ref": "#/$defs/item"}}
        },
        "$defs": {"item": {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}}
    }))
    .unwrap()
}

fn check(text: &str, expected: Value, steps: &[Step]) {
    let repaired = schema().repair(text).unwrap_or_else(|| panic!("not repaired: {text}"));
    assert_eq!(serde_json::from_str::<Value>(&repaired.text).unwrap(), expected, "{text}");
    assert_eq!(repaired.steps, steps, "{text}");
    assert!(schema().check(&repaired.text).is_ok());
}

#[test]
fn what_is_around_the_json_goes() {
    let answer = json!({"answer": "yes"});
    check(r#" {"answer": "yes"} "#, answer.clone(), &[]);
    check("```json\n{\"answer\": \"yes\"}\n```", answer.clone(), &[Step::Fence]);
    check("```\n{\"answer\": \"yes\"}```", answer.clone(), &[Step::Fence]);
    check("Sure! Here it is: {\"answer\": \"yes\"} Anything else?", answer.clone(), &[Step::Prose]);
    check("Here:\n```json\n{\"answer\": \"yes\"}\n```\nDone.", answer.clone(), &[Step::Fence, Step::Prose]);
    check("In set {a, b} [1]: {\"answer\": \"yes\"}", answer, &[Step::Prose]);
}

#[test]
fn slips_of_the_pen_are_mended() {
    let answer = json!({"answer": "yes"});
    check(r#"{"answer": "yes",}"#, answer.clone(), &[Step::Comma]);
    check(r#"{'answer': 'yes'}"#, answer.clone(), &[Step::Quotes]);
    check("{“answer”: “yes”}", answer.clone(), &[Step::Quotes]);
    check("{\"answer\": \"yes\" // so\n}", answer.clone(), &[Step::Comment]);
    check("{answer: \"yes\"}", answer, &[Step::Name]);
    check(
        r#"{"answer": "a", "is_new": True, "share": None}"#,
        json!({"answer": "a", "is_new": true, "share": null}),
        &[Step::Constant],
    );
    check("{\"answer\": \"a\"\n\"count\": 2}", json!({"answer": "a", "count": 2}), &[Step::Comma]);
    check("{\"answer\": \"a\nb\"}", json!({"answer": "a\nb"}), &[Step::Escape]);
    check(r#"{"answer": "he said "no" to it"}"#, json!({"answer": "he said \"no\" to it"}), &[Step::Escape]);
    check(r#"{"answer": "it\'s"}"#, json!({"answer": "it's"}), &[Step::Escape]);
    check(r#"{"answer": "a", "share": .5}"#, json!({"answer": "a", "share": 0.5}), &[Step::Number]);
}

#[test]
fn an_end_that_was_cut_off_is_closed_and_nothing_is_invented() {
    check(
        r#"{"answer": "yes", "items": [{"id": 1}, {"id": 2}"#,
        json!({"answer": "yes", "items": [{"id": 1}, {"id": 2}]}),
        &[Step::Closed],
    );
    check(r#"{"answer": "ye"#, json!({"answer": "ye"}), &[Step::Closed]);
    check(r#"{"answer": "yes", "count": 12"#, json!({"answer": "yes"}), &[Step::Closed, Step::CutDropped]);
    check(r#"{"answer": "yes", "is_new": tr"#, json!({"answer": "yes"}), &[Step::Closed, Step::CutDropped]);
    check(r#"{"answer": "yes", "cou"#, json!({"answer": "yes"}), &[Step::Closed, Step::CutDropped]);
    for text in
        [r#"{"count": 1"#, "{}", r#"{"answer"#, r#"{"answer": "yes", "items": [{"#, "nothing of the sort", ""]
    {
        assert_eq!(schema().repair(text), None, "{text}");
    }
}

#[test]
fn values_take_the_type_that_the_schema_asks_for() {
    check(r#"{"answer": 7}"#, json!({"answer": "7"}), &[Step::Type]);
    check(r#"{"answer": "a", "count": "12"}"#, json!({"answer": "a", "count": 12}), &[Step::Type]);
    check(r#"{"answer": "a", "count": "12.0"}"#, json!({"answer": "a", "count": 12}), &[Step::Type]);
    check(r#"{"answer": "a", "is_new": "False"}"#, json!({"answer": "a", "is_new": false}), &[Step::Type]);
    check(r#"{"answer": "a", "share": "0.25"}"#, json!({"answer": "a", "share": 0.25}), &[Step::Type]);
    check(
        r#"{"answer": "a", "items": [{"id": "3"}]}"#,
        json!({"answer": "a", "items": [{"id": 3}]}),
        &[Step::Type],
    );
    check(
        r#"{"answer": "a", "mood": "Very_Calm"}"#,
        json!({"answer": "a", "mood": "very calm"}),
        &[Step::Listed],
    );
    check(r#"{"answer": "a", "extra": 1}"#, json!({"answer": "a"}), &[Step::MemberDropped]);
    for text in [
        r#"{"answer": "a", "count": "12 or so"}"#,
        r#"{"answer": "a", "count": 1.5}"#,
        r#"{"answer": "a", "mood": "calm"}"#,
    ] {
        assert_eq!(schema().repair(text), None, "{text}");
    }
}

#[test]
fn what_needs_no_mending_inside_keeps_its_digits() {
    let any = OutputSchema::compile(&json!({"type": "object"})).unwrap();
    let repaired = any.repair("Result: {\"a\": 1.10, \"b\": 12345678901234567890123} ok");
    assert_eq!(repaired, None, "the integer would lose digits");
    assert_eq!(any.repair("Result: {\"a\": 1.10} ok").unwrap().text, "{\"a\": 1.10}");
}

#[test]
fn circles_in_a_schema_end() {
    let circle = OutputSchema::compile(&json!({
        "$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}},
        "properties": {"x": {"type": "integer"}}, "required": ["x"]
    }))
    .unwrap();
    assert_eq!(circle.repair(r#"{"x": "1"}"#).unwrap().text, r#"{"x":1}"#);
}

#[test]
fn names_that_stand_twice_are_seen() {
    for (text, expected) in [
        (r#"{"a": 1, "b": {"a": 2}}"#, false),
        (r#"{"a": 1, "b": [{"c": 1, "c": 2}]}"#, true),
        (r#"{"a": 1, "\u0061": 2}"#, true),
    ] {
        assert_eq!(has_double_names(text), expected, "{text}");
    }
}

#[test]
fn hostile_answers_stay_linear() {
    let schema = schema();
    for unit in [
        "{",
        "[",
        "{\"a\":",
        "[[],",
        "\"",
        "'",
        "{a:1}",
        "// ",
        "/*",
        ",",
        "\\u",
        "```",
        "{\"a\" \"",
        "# \n",
        "[1,",
    ] {
        let text = unit.repeat(400_000 / unit.len());
        for text in
            [text.clone(), format!("{{\"answer\": \"{text}"), format!("{{\"answer\": \"a\", \"x\": [{text}")]
        {
            let begun = std::time::Instant::now();
            if let Some(repaired) = schema.repair(&text) {
                assert!(schema.check(&repaired.text).is_ok());
            }
            assert!(begun.elapsed().as_secs() < 10, "`{unit}` took {:?}", begun.elapsed());
        }
    }
}

proptest::proptest! {
    #[test]
    fn any_cut_of_a_right_answer_is_repaired_or_refused(cut in 0usize..200) {
        let whole = r#"{"answer": "yes \u00e9 and \"so\"", "count": 12, "share": 0.5, "is_new": true, "mood": "cross", "items": [{"id": 1}]}"#;
        let cut = (0..=cut.min(whole.len())).rev().find(|at| whole.is_char_boundary(*at)).unwrap_or(0);
        if let Some(repaired) = schema().repair(&whole[..cut]) {
            let value: Value = serde_json::from_str(&repaired.text).unwrap();
            let whole: Value = serde_json::from_str(whole).unwrap();
            for (name, member) in value.as_object().unwrap() {
                let full = &whole[name];
                let is_part = match (member, full) {
                    (Value::String(part), Value::String(full)) => full.starts_with(part.as_str()),
                    (Value::Array(part), Value::Array(full)) => full.starts_with(part),
                    _ => member == full,
                };
                proptest::prop_assert!(is_part, "{} of {}", member, full);
            }
        }
    }
}
