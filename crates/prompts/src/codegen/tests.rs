//! What is generated compiles and runs in `gauntlet`'s tests (`it/codegen.rs`); here its shape is looked at.

use super::*;
use crate::parse;

fn prompt(text: &str) -> Prompt {
    parse("p.yaml", text).unwrap()
}

#[test]
fn types_are_named_after_prompts_and_never_twice() {
    let mut taken = BTreeSet::new();
    let mut check = |name: &str, expected: &str| assert_eq!(type_name(name, &mut taken), expected);
    check("rag-answer", "RagAnswer");
    check("rag_answer", "RagAnswer2");
    check("rag/answer", "RagAnswer3");
    check("3d", "Prompt3d");
    check("é", "Prompt");
}

#[test]
fn names_that_a_language_keeps_for_itself_are_changed_and_stay_apart() {
    let mut taken = BTreeSet::new();
    let is_reserved = |name: &str| name == "class" || name.starts_with('_');
    let mut check =
        |name: &str, expected: &str| assert_eq!(field_name(name, &is_reserved, &mut taken), expected);
    check("class_", "class_");
    check("class", "class__");
    check("_x", "x_");
    check("_9", "var_9");
    check("question", "question");
}

#[test]
fn text_of_people_stays_within_its_literal() {
    let text = "name: p\nversion: 1.0.0\ndescription: \"ends \\\"\\\"\\\" here */ \\n import os # \\\\\"\n\
                variables:\n  q: {type: string, description: 'a \"quote\" and a \\ back'}\ntemplate: $q\n";
    let prompt = prompt(text);
    let wrapped = [Wrapped { prompt: &prompt, reference: "p@production" }];
    for language in Language::ALL {
        let made = generate(language, &wrapped);
        // No line begins with what the text brought in.
        assert!(!made.lines().any(|line| line.trim_start().starts_with("import os")), "{made}");
        assert!(made.contains("a \\\"quote\\\" and a \\\\ back"), "{made}");
    }
}

#[test]
fn a_wrapper_says_what_it_was_made_of() {
    let prompt = prompt("name: p\nversion: 1.2.0\ntemplate: Hello\n");
    for language in Language::ALL {
        let made = generate(language, &[Wrapped { prompt: &prompt, reference: "p@staging" }]);
        for part in ["\"p@staging\"", "\"1.2.0\"", &*prompt.hash, "gauntlet prompt codegen"] {
            assert!(made.contains(part), "{part} in {made}");
        }
        assert!(!made.contains("Hello"), "the text stays at the gateway: {made}");
        assert_eq!(Language::parse(language.as_str()), Some(language));
    }
}

#[test]
fn an_integer_in_python_is_one_that_the_gateway_reads_as_such() {
    let prompt = prompt("name: p\nversion: 1.0.0\nvariables: {n: {type: integer}}\ntemplate: $n\n");
    let made = generate(Language::Python, &[Wrapped { prompt: &prompt, reference: "p@production" }]);
    assert!(made.contains("    n: Int\n") && made.contains("le=2**64 - 1"), "{made}");
    let past: serde_json::Value = serde_json::from_str("18446744073709551616").unwrap();
    assert!(prompt.render(&[("n".to_owned(), past)].into_iter().collect()).is_err());
    assert!(prompt.render(&[("n".to_owned(), u64::MAX.into())].into_iter().collect()).is_ok());
}
