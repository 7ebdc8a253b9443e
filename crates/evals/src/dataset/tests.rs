use serde_json::json;

use super::*;

fn read_all(text: &str) -> (Vec<Case>, Vec<String>) {
    let mut report = Report::new("d.jsonl");
    let cases = read("d.jsonl", text, &mut report);
    (cases, report.finish().iter().map(ToString::to_string).collect())
}

fn one(line: &str) -> Case {
    let (cases, mistakes) = read_all(line);
    assert_eq!(mistakes, Vec::<String>::new(), "{line}");
    cases.into_iter().next().expect("a case")
}

#[test]
fn rows_of_other_tools_are_read_as_they_are() {
    let ragas = one(
        r#"{"user_input": "When?", "response": "In May.", "retrieved_contexts": ["It was May."], "reference": "May",
            "retrieved_context_ids": [7], "reference_context_ids": ["7", "9"]}"#
            .replace('\n', " ")
            .as_str(),
    );
    assert_eq!((ragas.question(), ragas.expected_text()), ("When?".to_owned(), Some("May".to_owned())));
    assert_eq!(
        (ragas.contexts, ragas.retrieved),
        (vec!["It was May.".to_owned()], Some(vec!["7".to_owned()]))
    );
    assert_eq!(ragas.relevant, [("7".to_owned(), 1.0), ("9".to_owned(), 1.0)]);
    assert_eq!(ragas.output, Some(json!("In May.")));
    assert!(ragas.id.starts_with("case-"), "{}", ragas.id);

    let founding = one(r#"{"question": "q", "answer": "a", "contexts": ["c"], "ground_truth": "g"}"#);
    assert_eq!((founding.output, founding.expected), (Some(json!("a")), Some(json!("g"))));

    let promptfoo =
        one(r#"{"vars": {"state": "Texas"}, "assert": [{"type": "equals"}], "description": "capital"}"#);
    assert_eq!(promptfoo.vars["state"], json!("Texas"));
    assert!(promptfoo.extra.contains_key("assert"));

    let deepeval = one(
        r#"{"id": 3, "input": "q", "actual_output": "a", "expected_output": "e", "retrieval_context": ["c"]}"#,
    );
    assert_eq!((&*deepeval.id, deepeval.expected), ("3", Some(json!("e"))));
}

#[test]
fn a_promoted_call_is_a_case() {
    let case = one(
        r#"{"id": "c1", "prompt": "greet", "vars": {"who": "Bo"}, "messages": [{"role": "user", "content": "shortly"}], "tools": [], "documents": [{"id": "kb-1", "score": 0.8}, {"id": "kb-2"}], "output": "Hello Bo", "tags": ["golden"], "source": {"route": "bot"}}"#,
    );
    assert_eq!((case.prompt.as_deref(), case.is_golden), (Some("greet"), true));
    assert_eq!(case.retrieved, Some(vec!["kb-1".to_owned(), "kb-2".to_owned()]));
    assert_eq!((case.body.contains_key("tools"), case.extra.contains_key("source")), (true, true));
}

#[test]
fn each_mistake_has_its_line_and_cure() {
    let check = |line: &str, wanted: &str| {
        let (_, mistakes) = read_all(&format!("{{\"id\": \"ok\", \"input\": \"x\"}}\n{line}\n"));
        assert!(mistakes.iter().any(|said| said.contains(wanted)), "{line}: {mistakes:?}");
        assert!(mistakes.iter().all(|said| said.starts_with("d.jsonl:2")), "{mistakes:?}");
    };
    check("{\"id\": \"a\", \"input\": \"x\"", "d.jsonl:2:24: this line is no JSON");
    check("{\"id\": \"a\" \"input\": \"x\"}", "expected `,` or `}`");
    check("[1]", "this line is no object");
    check("{\"id\": \"a\"}", "nothing is asked; add `input`");
    check("{\"id\": \"\", \"input\": \"x\"}", "the `id` cannot be one");
    check("{\"id\": [1], \"input\": \"x\"}", "the `id` is no text");
    check("{\"input\": \"x\", \"vars\": [1]}", "`vars` is no object");
    check("{\"input\": 7}", "`input` is neither a text nor messages");
    check("{\"messages\": [{\"content\": \"x\"}]}", "message 1 of `messages` has no role");
    check("{\"input\": \"x\", \"expected\": \"a\", \"reference\": \"b\"}", "two names for one thing");
    check("{\"input\": \"x\", \"answer\": \"a\"}", "call it `expected` or `output`");
    check("{\"input\": \"x\", \"contexts\": [1]}", "entry 1 of `contexts` is no text");
    check("{\"input\": \"x\", \"relevant\": {\"a\": -1}}", "`relevant` says no ids");
    check("{\"input\": \"x\", \"tags\": {}}", "`tags` is no list of texts");
    check("{\"input\": \"x\", \"golden\": \"yes\"}", "`golden` is neither true nor false");
    check("{\"input\": \"x\", \"body\": {\"model\": \"m\"}}", "`body` has `model`; leave it out");
    check("{\"input\": \"x\", \"expcted\": \"a\"}", "did you mean `expected`?");
}

#[test]
fn files_that_are_no_datasets_say_what_they_are() {
    let check = |text: &str, wanted: &str| {
        let (_, mistakes) = read_all(text);
        assert!(mistakes.len() == 1 && mistakes[0].contains(wanted), "{mistakes:?}");
    };
    check("", "the dataset has no cases; write a line such as");
    check("\n# nothing yet\n", "the dataset has no cases");
    check("[{\"id\": 1}]", "rewrite it: jq -c '.[]' d.jsonl");
}

#[test]
fn mistakes_that_repeat_are_told_up_to_a_bound() {
    let (_, mistakes) = read_all(&"{\n".repeat(500));
    assert_eq!(mistakes.len(), crate::MISTAKES_MAX + 1);
    assert!(mistakes.last().unwrap().contains("there are 450 more mistakes"), "{mistakes:?}");
}

#[test]
fn layout_makes_no_other_case_and_words_do() {
    let check = |a: &str, b: &str, is_same: bool| assert_eq!(one(a).hash == one(b).hash, is_same, "{a} {b}");
    check(r#"{"id": "a", "input": "x"}"#, r#"{"input":"x","id":"a"}"#, true);
    check(r#"{"id": "a", "input": "x"}"#, r#"{"id": "a", "input": "y"}"#, false);
}
