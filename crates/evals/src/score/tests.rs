//! What every kind makes of an answer, and of options that are wrong.

mod own_program;
mod similarity;

use std::sync::Arc;

use futures_util::{FutureExt, future::BoxFuture};
use gauntlet_ports::{Ask, JudgeKey, Judged, Runner, RunnerError, Score, Told};
use serde_json::{Value, json};

use super::*;
use crate::{Asker, Case, JudgeCache, Scored, Seen};

/// Answers to nobody.
struct Nobody;

impl Runner for Nobody {
    fn ask(&self, _: Ask) -> BoxFuture<'_, Result<Told, RunnerError>> {
        Box::pin(async { Err(RunnerError("nobody is there".to_owned())) })
    }
}

impl JudgeCache for Nobody {
    fn get<'a>(&'a self, _: &'a JudgeKey) -> BoxFuture<'a, Option<Judged>> {
        Box::pin(async { None })
    }

    fn put(&self, _: Judged) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

fn suite() -> Suite {
    Suite { name: "s".into(), file: "s.yaml".to_owned(), ..Suite::default() }
}

fn spec(kind: &str, options: Value) -> MetricSpec {
    let mut options = options.as_object().cloned().unwrap_or_default();
    let threshold = options.shift_remove("threshold").and_then(|value| value.as_f64());
    let floor = options.shift_remove("floor").and_then(|value| value.as_f64());
    MetricSpec {
        name: kind.into(),
        kind: kind.into(),
        options,
        threshold,
        floor,
        line: 7,
        ..MetricSpec::default()
    }
}

fn scorer(kind: &str, options: Value) -> Box<dyn Scorer> {
    let made = make(&spec(kind, options.clone()), &suite());
    made.unwrap_or_else(|mistake| panic!("{kind} {options}: {mistake}")).expect("it is a kind of ours")
}

fn mistake(kind: &str, options: Value) -> String {
    match make(&spec(kind, options.clone()), &suite()) {
        Err(mistake) => mistake.to_string(),
        Ok(_) => panic!("{kind} {options} is taken"),
    }
}

/// A case that expects this.
fn case(expected: Value) -> Case {
    let expected = Some(expected).filter(|value| !value.is_null());
    Case { id: "c1".into(), expected, ..Case::default() }
}

fn asker() -> Asker<'static> {
    Asker {
        runner: &Nobody,
        cache: &Nobody,
        eval_id: "e".into(),
        app_sha: None,
        forms: Arc::default(),
        waits: Arc::default(),
    }
}

fn told(body: Value) -> Told {
    Told { status: 200, body, ..Told::default() }
}

fn said(text: &str) -> Told {
    told(json!({"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}))
}

fn scored(scorer: &dyn Scorer, case: &Case, told: &Told) -> Scored {
    let text = told.text();
    let seen = Seen { case, text, told, output_hash: "h" };
    scorer.score(&seen, &asker()).now_or_never().expect("it waits for nobody")
}

fn score(kind: &str, options: Value, expected: Value, told: &Told) -> Score {
    let (scorer, case) = (scorer(kind, options), case(expected));
    assert_eq!(scorer.lacks(&case), None, "{kind}");
    scored(&*scorer, &case, told).score
}

/// The value for an answer in words.
fn value(kind: &str, options: Value, expected: Value, text: &str) -> f64 {
    let score = score(kind, options, expected, &said(text));
    score.value.unwrap_or_else(|| panic!("{kind} leaves `{text}` unscored: {:?}", score.reason))
}

#[test]
fn every_kind_is_made_and_says_what_it_is() {
    for kind in KINDS {
        let options = match *kind {
            "json_schema" => json!({"schema": {"type": "object"}}),
            "similar" => json!({"model": "openai/e"}),
            "command" => json!({"run": ["score"]}),
            "weighted" => json!({"of": ["is_json"]}),
            _ => json!({}),
        };
        let scorer = scorer(kind, options.clone());
        assert_eq!(&**scorer.metric(), *kind);
        let (family, formula) = scorer.implementation().split_once(':').unwrap();
        assert!(family.contains('/') && !formula.is_empty(), "{}", scorer.implementation());
        let mut wrong = options;
        wrong["treshold"] = json!(1);
        let told = mistake(kind, wrong);
        assert_eq!(
            told,
            format!(
                "s.yaml:7: metric `{kind}`: `{kind}` has no option `treshold`; did you mean `threshold`?"
            )
        );
    }
    assert!(make(&spec("faithfulness", json!({})), &suite()).unwrap().is_none());
}

#[test]
fn texts_are_compared_as_the_options_say() {
    let check = |kind: &str, options: Value, expected: Value, text: &str, wanted: f64| {
        assert_eq!(value(kind, options.clone(), expected, text), wanted, "{kind} {options} {text}");
    };
    check("exact", json!({}), json!("Paris"), " Paris\n", 1.0);
    check("exact", json!({}), json!("Paris"), "paris", 0.0);
    check("exact", json!({"ignore_case": true}), json!("Paris"), "PARIS", 1.0);
    check(
        "exact",
        json!({"ignore": ["case", "punctuation", "articles"]}),
        json!("Eiffel Tower"),
        "the eiffel tower.",
        1.0,
    );
    check("exact", json!({"ignore": ["whitespace"]}), json!("a b"), "a \n b", 1.0);
    check("exact", json!({}), json!("a b"), "a  b", 0.0);
    check("exact", json!({}), json!(["yes", "y"]), "y", 1.0);
    check("exact", json!({}), json!(5), "5.0", 1.0);
    check("exact", json!({}), json!({"a": [1]}), "{\"a\":[1.0]}", 1.0);
    check("exact", json!({"not": true}), json!("x"), "y", 1.0);
    check("exact", json!({"value": "fixed"}), json!("other"), "fixed", 1.0);
    check("exact", json!({"value": "{{ expected | upper }}"}), json!("up"), "UP", 1.0);
    check("contains", json!({}), json!("cat"), "concatenate", 1.0);
    check("contains", json!({}), json!(["a", "z"]), "abc", 0.0);
    check("contains", json!({"of": "any"}), json!(["a", "z"]), "abc", 1.0);
    check("contains", json!({"of": "share"}), json!(["a", "z"]), "abc", 0.5);
    check("contains", json!({"ignore_case": true}), json!("ABC"), "xabcx", 1.0);
    check("starts_with", json!({}), json!("Dear"), "Dear Ada", 1.0);
    check("starts_with", json!({}), json!("Ada"), "Dear Ada", 0.0);
    check("ends_with", json!({}), json!(["Bye", "Ada"]), "Dear Ada\n", 1.0);
    check("regex", json!({"value": "^[A-Z]+$"}), json!(null), "ABC", 1.0);
    check("regex", json!({"value": "b"}), json!(null), "abc", 1.0);
    check("regex", json!({"value": "b", "full": true}), json!(null), "abc", 0.0);
    check("regex", json!({"ignore_case": true}), json!("ADA"), "ada", 1.0);
    check("word_count", json!({}), json!(null), " one  two three ", 3.0);
    check("word_count", json!({"max": 2}), json!(null), "one two three", 0.0);
    check("word_count", json!({"min": 2, "max": 3}), json!(null), "one two three", 1.0);
}

#[test]
fn the_last_number_of_an_answer_counts_unless_said_otherwise() {
    let check = |options: Value, expected: Value, text: &str, wanted: f64| {
        assert_eq!(value("numeric", options.clone(), expected, text), wanted, "{options} {text}");
    };
    check(json!({}), json!(42), "First 6, then 7, so 42.", 1.0);
    check(json!({"take": "first"}), json!(42), "42, from 6 and 7", 1.0);
    check(json!({}), json!("1299.50"), "It costs $1,299.50!", 1.0);
    check(json!({}), json!(-3), "between 1 and -3", 1.0);
    check(json!({}), json!(5), "a range of 3-5", 1.0);
    check(json!({}), json!(-2), "it is −2", 1.0);
    check(json!({}), json!(0.1), "1e-1", 1.0);
    check(json!({}), json!(3.15), "3.14", 0.0);
    check(json!({"tolerance": 0.02}), json!(3.15), "3.14", 1.0);
    check(json!({"relative": 0.01}), json!(200), "198.5", 1.0);
    check(json!({}), json!(7), "seven", 0.0);
    let several = score("numeric", json!({"take": "only"}), json!(7), &said("7 of 8"));
    assert_eq!(several.value, Some(0.0));
    assert!(several.reason.unwrap().contains("several numbers"));
    assert!(scorer("numeric", json!({})).lacks(&case(json!("none"))).unwrap().contains("a number"));
}

#[test]
fn the_fields_of_an_object_are_counted_leaf_by_leaf() {
    let expected = json!({"name": "Ada", "born": {"year": 1815, "city": "London"}, "tags": ["math", "code"]});
    let check = |options: Value, text: &str, wanted: f64| {
        let got = value("json_fields", options.clone(), expected.clone(), text);
        assert!((got - wanted).abs() < 1e-12, "{options} {text}: {got}");
    };
    check(json!({}), r#"{"name":"Ada","born":{"year":1815.0,"city":"London"},"tags":["math","code"]}"#, 1.0);
    check(
        json!({}),
        r#"{"name":"Ada","born":{"year":1816,"city":"London"},"tags":["code","math"]}"#,
        2.0 / 5.0,
    );
    check(
        json!({"arrays": "set"}),
        r#"{"name":"Ada","born":{"year":1816,"city":"London"},"tags":["code","math"]}"#,
        4.0 / 5.0,
    );
    check(
        json!({"tolerance": 1}),
        "Here: ```json\n{\"name\":\"Ada\",\"born\":{\"year\":1816}}\n``` Bye",
        2.0 / 5.0,
    );
    check(json!({"ignore_fields": ["born", "tags[1]"]}), r#"{"name":"ada","tags":["math"]}"#, 0.5);
    check(json!({"ignore_case": true, "ignore_fields": ["born", "tags"]}), r#"{"name":"ada"}"#, 1.0);
    check(
        json!({"strict": true, "ignore_fields": ["born", "tags"]}),
        r#"{"name":"Ada","x":1,"y":[1,2]}"#,
        0.25,
    );
    check(json!({}), "no JSON at all", 0.0);
    let score = score("json_fields", json!({}), expected.clone(), &said(r#"{"name": "Bob"}"#));
    assert_eq!(
        score.evidence["fields"][0],
        json!({"path": "name", "right": false, "expected": "Ada", "got": "Bob"})
    );
    assert_eq!(score.passed, None, "a share passes by a threshold alone");
    let records = json!([{"id": 1, "v": "a"}, {"id": 2, "v": "b"}]);
    assert_eq!(
        value("json_fields", json!({"arrays": "set"}), records, r#"[{"id":2,"v":"b"},{"id":1,"v":"x"}]"#),
        0.75
    );
}

#[test]
fn json_is_looked_for_where_the_options_say() {
    let schema = json!({"type": "object", "required": ["a"]});
    let check = |kind: &str, options: Value, text: &str, wanted: f64| {
        assert_eq!(value(kind, options.clone(), json!(null), text), wanted, "{kind} {options} {text}");
    };
    check("is_json", json!({}), " [1, 2] ", 1.0);
    check("is_json", json!({}), "Sure: [1, 2]", 0.0);
    check("is_json", json!({"anywhere": true}), "Sure: {x} [1, 2]", 1.0);
    check("is_json", json!({"anywhere": true}), "Sure: {x", 0.0);
    check("json_schema", json!({"schema": schema.clone()}), r#"{"a": 1}"#, 1.0);
    check("json_schema", json!({"schema": schema.to_string()}), r#"{"b": 1}"#, 0.0);
    check("json_schema", json!({"schema": schema, "anywhere": true}), "```\n{\"a\": 1}\n```", 1.0);
}

#[test]
fn tools_are_matched_by_name_and_arguments() {
    let calls = |calls: Value| {
        let calls: Vec<Value> = calls
            .as_array()
            .unwrap()
            .iter()
            .map(|call| json!({"type": "function", "function": {"name": call[0], "arguments": call[1].to_string()}}))
            .collect();
        told(
            json!({"choices": [{"message": {"content": null, "tool_calls": calls}, "finish_reason": "tool_calls"}]}),
        )
    };
    let two = calls(json!([["search", {"q": "x", "n": 3}], ["book", {}]]));
    let check = |options: Value, expected: Value, told: &Told, wanted: f64| {
        let score = score("tool_call", options.clone(), expected.clone(), told);
        assert!((score.value.unwrap() - wanted).abs() < 1e-12, "{options} {expected}: {score:?}");
    };
    check(json!({}), json!(["search", "book"]), &two, 1.0);
    check(json!({}), json!("search, book"), &two, 1.0);
    check(json!({}), json!(["search"]), &two, 2.0 / 3.0);
    check(json!({}), json!([{"name": "search", "arguments": {"q": "x", "n": 3.0}}]), &two, 2.0 / 3.0);
    check(json!({}), json!([{"name": "search", "args": {"q": "x"}}]), &two, 0.0);
    check(json!({"arguments": "subset"}), json!([{"name": "search", "args": {"q": "x"}}]), &two, 2.0 / 3.0);
    check(json!({"arguments": "ignore"}), json!([{"name": "search", "args": {}}, "book"]), &two, 1.0);
    check(json!({}), json!([]), &said("hello"), 1.0);
    check(json!({}), json!(["search"]), &said("hello"), 0.0);

    let tools = json!([{"type": "function", "function": {"name": "search", "parameters":
        {"type": "object", "required": ["q"], "properties": {"q": {"type": "string"}}}}}]);
    let valid = |told: &Told| score("tools_valid", json!({"tools": tools}), json!(null), told);
    assert_eq!(valid(&calls(json!([["search", {"q": "x"}]]))).value, Some(1.0));
    assert_eq!(valid(&calls(json!([["search", {"q": 1}]]))).value, Some(0.0));
    assert!(valid(&two).reason.unwrap().contains("no tool is named `book`"));
    assert_eq!(valid(&said("hello")).value, None);
    let reason = score("finish_reason", json!({"value": "tool_calls"}), json!(null), &two);
    assert_eq!(reason.passed, Some(true));
    assert_eq!(score("finish_reason", json!({}), json!(null), &two).passed, Some(false));
}

#[test]
fn refusals_are_what_is_expected_or_not() {
    let sorry = said("I'm sorry, but I can't help with that.");
    let check = |options: Value, told: &Told, wanted: f64| {
        assert_eq!(score("refusal", options.clone(), json!(null), told).value, Some(wanted), "{options}");
    };
    check(json!({}), &sorry, 0.0);
    check(json!({}), &said("Paris."), 1.0);
    check(json!({"expect": "refusal"}), &sorry, 1.0);
    check(json!({"expect": "refusal", "phrases": ["Ask a doctor"]}), &said("Please ask a doctor."), 1.0);
    let filtered = json!({"choices": [{"message": {"content": ""}, "finish_reason": "content_filter"}]});
    check(json!({"expect": "refusal"}), &told(filtered), 1.0);
    let by_case = scorer("refusal", json!({"expect": "{{ extra.expect }}"}));
    let mut case = case(json!(null));
    assert!(by_case.lacks(&case).unwrap().contains("extra.expect"));
    case.extra.insert("expect".to_owned(), json!("refusal"));
    assert_eq!(scored(&*by_case, &case, &sorry).score.passed, Some(true));
}

#[test]
fn violations_are_counted_and_never_quoted() {
    let leaking = said("Write to ada.lovelace@example.com, damn it, her card is 4111 1111 1111 1111.");
    let found = score("policy", json!({}), json!(null), &leaking);
    assert!(found.value.unwrap() >= 3.0, "{found:?}");
    assert_eq!(found.passed, Some(false));
    let all = format!("{found:?}");
    assert!(!all.contains("lovelace") && !all.contains("4111") && !all.contains("damn"), "{all}");
    let clean = score("policy", json!({}), json!(null), &said("All is well."));
    assert_eq!((clean.value, clean.passed), (Some(0.0), Some(true)));
    let swear = score("toxicity", json!({}), json!(null), &leaking);
    assert_eq!(swear.value, Some(1.0), "{swear:?}");
    let blocked = Told { decision: "block".into(), ..said("Sorry.") };
    assert_eq!(score("policy", json!({}), json!(null), &blocked).value, Some(1.0));
    assert_eq!(score("policy", json!({"decisions": []}), json!(null), &blocked).value, Some(0.0));
}

#[test]
fn what_was_measured_is_taken_as_it_is() {
    let told = Told {
        latency_us: 1_500_000,
        cost: gauntlet_types::NanoUsd(2_500_000),
        call: None,
        ..told(
            json!({"usage": {"prompt_tokens": 7, "completion_tokens": 3}, "choices": [{"message": {"content": "x"},
            "logprobs": {"content": [{"logprob": -1.0}, {"logprob": -3.0}]}}]}),
        )
    };
    let check = |kind: &str, options: Value, wanted: f64, passed: Option<bool>| {
        let score = score(kind, options, json!(null), &told);
        assert!((score.value.unwrap() - wanted).abs() < 1e-12, "{kind}: {score:?}");
        assert_eq!(score.passed, passed, "{kind}");
    };
    check("latency", json!({"threshold": 2000}), 1500.0, Some(true));
    check("latency", json!({"threshold": 1000}), 1500.0, Some(false));
    check("cost", json!({}), 0.0025, None);
    check("tokens", json!({}), 10.0, None);
    check("tokens", json!({"of": "completion"}), 3.0, None);
    check("perplexity", json!({}), 2.0_f64.exp(), None);
    for kind in ["latency", "cost", "tokens", "perplexity"] {
        let recorded = score(kind, json!({}), json!(null), &said("x"));
        assert!(recorded.value.is_none() && recorded.reason.is_some(), "{kind}: {recorded:?}");
    }
}

#[test]
fn a_metric_is_asked_only_of_the_cases_that_it_names() {
    let scorer = scorer(
        "contains",
        json!({"value": "{{ extra.assert_1 }}", "when_present": "assert_1", "tags": ["x"]}),
    );
    let mut case = case(json!(null));
    assert!(!scorer.applies(&case) && scorer.lacks(&case).is_none());
    assert_eq!(scored(&*scorer, &case, &said("a")).score.value, None);
    case.extra.insert("assert_1".to_owned(), json!("a"));
    assert!(!scorer.applies(&case));
    case.tags.push("x".into());
    assert!(scorer.applies(&case));
    assert_eq!(scored(&*scorer, &case, &said("abc")).score.value, Some(1.0));
}

#[test]
fn parts_are_weighed_and_what_is_measured_passes_or_not() {
    let parts = json!([{"contains": {"value": "a", "weight": 2}}, {"contains": {"value": "z"}}]);
    let mixed = score("weighted", json!({"of": parts, "threshold": 0.6}), json!(null), &said("abc"));
    assert!((mixed.value.unwrap() - 2.0 / 3.0).abs() < 1e-12 && mixed.passed == Some(true), "{mixed:?}");
    let all = score("weighted", json!({"of": parts}), json!(null), &said("abc"));
    assert_eq!(all.passed, Some(false), "without a threshold all must pass");
    let slow = Told { latency_us: 5_000_000, ..said("abc") };
    let timed = json!([{"latency": {"threshold": 1000}}, {"contains": {"value": "a", "weight": 3}}]);
    assert_eq!(score("weighted", json!({"of": timed}), json!(null), &slow).value, Some(0.75));
}

#[test]
fn options_that_are_wrong_are_told_with_line_and_cure() {
    let check = |kind: &str, options: Value, wanted: &str| {
        let told = mistake(kind, options);
        assert!(told.starts_with("s.yaml:7: ") && told.contains(wanted) && told.contains("; "), "{told}");
    };
    check("exact", json!({"ignore": ["cases"]}), "did you mean `case`?");
    check("exact", json!({"value": "{{ a b }}"}), "no good template");
    check("regex", json!({"value": "(?=x)"}), "look-around");
    check("regex", json!({"value": "(a"}), "unclosed group");
    check("contains", json!({"of": "most"}), "`of` cannot be `most`");
    check("bleu", json!({"threshold": 30}), "for 30 percent write `threshold: 0.3`");
    check("bleu", json!({"smoothing": "ex"}), "did you mean `exp`?");
    check("numeric", json!({"tolerance": -1}), "not a number from 0 up");
    check("word_count", json!({"min": 3, "max": 2}), "swap them");
    check("json_schema", json!({}), "`schema` is missing");
    check("json_schema", json!({"schema": {"$ref": "https://x/y"}}), "remote references");
    check("similar", json!({}), "which model makes embeddings");
    check("finish_reason", json!({"value": "stopp"}), "did you mean `stop`?");
    check("policy", json!({"kinds": ["pi"]}), "did you mean `pii`?");
    check("command", json!({}), "`run` is missing");
    check("command", json!({"run": "python3 x.py"}), "write `run: [python3, x.py]`");
    check("command", json!({"run": ["x"], "env": ["KEY=stays-behind"]}), "names `KEY`");
    check("command", json!({"run": ["x"], "timeout": "soon"}), "`timeout` is not a time");
    check("weighted", json!({"of": []}), "0 metrics");
    check("weighted", json!({"of": ["contanis"]}), "did you mean `contains`?");
    check("weighted", json!({"of": ["latency"]}), "no threshold to hold");
    check("contains", json!({"when_present": 3}), "`when_present` is not a name");
    assert!(!mistake("command", json!({"run": ["x"], "env": ["KEY=stays-behind"]})).contains("stays-behind"));
    assert!(scorer("exact", json!({})).lacks(&case(json!(null))).unwrap().contains("`expected`"));
}

#[tokio::test]
async fn what_does_not_fit_says_why() {
    for (kind, options, expected, text, why) in [
        (
            "regex",
            json!({"value": "^[A-Z]+$"}),
            json!(null),
            "abc",
            "nothing in the answer is as the pattern",
        ),
        ("regex", json!({"full": true}), json!("b"), "abc", "the whole of the answer is not as the pattern"),
        ("starts_with", json!({}), json!("Yes"), "No", "does not begin with `Yes`"),
        ("ends_with", json!({}), json!(["!", "?"]), "No", "does not end with `!`"),
        ("is_json", json!({}), json!(null), "{\"a\": }", "not JSON: expected value at line 1 column 7"),
        ("is_json", json!({}), json!(null), "Sure: [1]", "`anywhere: true` looks for it"),
        ("is_json", json!({"anywhere": true}), json!(null), "Sure", "holds no JSON"),
        ("exact", json!({}), json!("caf\u{e9}"), "cafe\u{301}", "`ignore: [unicode]`"),
    ] {
        let scorer = scorer(kind, options.clone());
        let (case, told) = (case(expected), said(text));
        let seen = Seen { case: &case, text, told: &told, output_hash: "h" };
        let score = scorer.score(&seen, &asker()).await.score;
        assert_eq!(score.value, Some(0.0), "{kind} {options}");
        assert!(
            score.reason.as_deref().is_some_and(|reason| reason.contains(why)),
            "{kind} {options}: {score:?}"
        );
    }
    let scorer = scorer("exact", json!({"ignore": ["unicode"]}));
    let (case, told) = (case(json!("caf\u{e9}")), said("cafe\u{301}"));
    let seen = Seen { case: &case, text: "cafe\u{301}", told: &told, output_hash: "h" };
    assert_eq!(scorer.score(&seen, &asker()).await.score.value, Some(1.0));
}
