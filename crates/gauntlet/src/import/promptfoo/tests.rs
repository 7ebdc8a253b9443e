//! Claims about the import of promptfoo's configurations; `GAUNTLET_GOLDEN=write` writes the golden folders anew.

use std::{collections::BTreeMap, fs, path::PathBuf};

use gauntlet_evals::{MetricSpec, Suite, score};
use serde_json::{Value as Json, json};

use crate::import::{Imported, convert_suite};

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/import/promptfoo");

fn sample(name: &str) -> Imported {
    let text = fs::read_to_string(format!("{SAMPLES}/{name}.yaml")).unwrap();
    let read = |path: &str| {
        fs::read_to_string(format!("{SAMPLES}/{path}")).map_err(|_| "there is no such file".to_owned())
    };
    convert_suite(&format!("{name}.yaml"), &text, &read).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn import(text: &str) -> Imported {
    convert_suite("promptfooconfig.yaml", text, &|_| Err("there is none".to_owned()))
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn file<'a>(imported: &'a Imported, end: &str) -> &'a str {
    let found = imported.files.iter().find(|(path, _)| path.ends_with(end));
    &found.unwrap_or_else(|| panic!("no {end} in {:?}", imported.files)).1
}

fn suite_of(imported: &Imported) -> Json {
    let (_, text) = imported
        .files
        .iter()
        .find(|(path, _)| path.starts_with("evals/") && path.ends_with(".yaml"))
        .unwrap();
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn rows_of(imported: &Imported) -> Vec<Json> {
    file(imported, ".jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn why(imported: &Imported, path: &str) -> String {
    let found: Vec<_> = imported.unmapped.iter().filter(|one| one.from.path == path).collect();
    assert!(!found.is_empty(), "{path} is not told: {:#?}", imported.unmapped);
    found.iter().map(|one| format!("{}; {}", one.why, one.cure)).collect()
}

/// The metrics, each as the maker of scorers is given it.
fn specs(suite: &Json) -> Vec<MetricSpec> {
    let metric = |entry: &Json| {
        let (kind, mut options) = match entry {
            Json::String(kind) => (kind.clone(), serde_json::Map::new()),
            entry => {
                let (kind, options) = entry.as_object().unwrap().iter().next().unwrap();
                (kind.clone(), options.as_object().unwrap().clone())
            }
        };
        let name =
            options.shift_remove("name").map_or(kind.clone(), |name| name.as_str().unwrap().to_owned());
        let threshold = options.shift_remove("threshold").and_then(|value| value.as_f64());
        MetricSpec { name: name.into(), kind: kind.into(), options, threshold, ..MetricSpec::default() }
    };
    suite["metrics"].as_array().unwrap().iter().map(metric).collect()
}

#[test]
fn samples_become_the_golden_folders() {
    for name in ["support", "every"] {
        let imported = sample(name);
        let told = json!({
            "mapped": imported.mapped.iter().map(|one| json!([one.from.line, one.from.path, one.to, one.note])).collect::<Vec<_>>(),
            "unmapped": imported.unmapped.iter().map(|one| json!([one.from.line, one.from.path, one.why, one.cure])).collect::<Vec<_>>(),
            "variables": imported.variables.iter().map(|one| &one.name).collect::<Vec<_>>(),
        });
        let mut made: BTreeMap<String, String> = imported.files.iter().cloned().collect();
        made.insert("report.json".to_owned(), format!("{}\n", serde_json::to_string_pretty(&told).unwrap()));
        let folder = PathBuf::from(format!("{SAMPLES}/{name}"));
        for (path, text) in &made {
            let path = folder.join(path);
            if std::env::var("GAUNTLET_GOLDEN").is_ok_and(|word| word == "write") {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, text).unwrap();
            }
            assert_eq!(*text, fs::read_to_string(&path).unwrap_or_default(), "{}", path.display());
        }
        assert!(!format!("{imported:?}").contains("stays-behind"), "a secret was copied");
    }
}

#[test]
fn every_metric_that_is_made_is_taken_by_our_own_maker() {
    for name in ["support", "every"] {
        let imported = sample(name);
        let suite = suite_of(&imported);
        let judge = gauntlet_evals::JudgeSpec { embedding_model: Some("a/b".into()), ..Default::default() };
        let holder = Suite {
            judge: Some(judge),
            params: suite["params"].as_object().cloned().unwrap_or_default(),
            ..Suite::default()
        };
        let mut made = 0;
        for spec in specs(&suite) {
            match score::make(&spec, &holder) {
                Ok(Some(_)) => made += 1,
                Ok(None) => assert!(
                    ["rubric", "g_eval", "factuality", "answer_relevancy", "faithfulness", "context_recall"]
                        .contains(&&*spec.kind),
                    "{}",
                    spec.kind
                ),
                Err(mistake) => panic!("{mistake}"),
            }
        }
        assert!(made >= 8, "{made}");
    }
}

#[test]
fn every_assertion_is_told_as_mapped_or_not() {
    let imported = sample("every");
    let text = fs::read_to_string(format!("{SAMPLES}/every.yaml")).unwrap();
    let count = text.matches("- {type: ").count();
    assert!(count > 80, "{count}");
    for at in 0..count {
        let path = format!("tests[0].assert[{at}]");
        let speaks = |known: &str| {
            known.strip_prefix(&path).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
        };
        let is_told = imported.mapped.iter().any(|one| speaks(&one.from.path))
            || imported.unmapped.iter().any(|one| speaks(&one.from.path));
        assert!(is_told, "{path} of {count} is not told");
    }
    assert!(
        imported.unmapped.iter().all(|one| one.from.line > 0 && !one.cure.is_empty()),
        "{:#?}",
        imported.unmapped
    );
    for (at, expected) in
        [(11, "look-around"), (30, "no `threshold`"), (31, "less is better"), (51, "code of one's own")]
    {
        assert!(why(&imported, &format!("tests[0].assert[{at}]")).contains(expected), "{at}");
    }
}

#[test]
fn what_differs_from_test_to_test_stands_in_the_dataset() {
    let imported = import(
        "prompts: ['Capital of {{state}}?']\nproviders: [openai:gpt-4o-mini]\ndefaultTest: {assert: [{type: icontains, value: '{{state}}'}]}\n\
         tests:\n- {vars: {state: Texas}, assert: [{type: contains, value: Austin}]}\n\
         - {vars: {state: Ohio, note: 'x {{y}}'}, assert: [{type: contains, value: Columbus}, {type: contains, value: '{{note}}'}]}\n",
    );
    let (suite, rows) = (suite_of(&imported), rows_of(&imported));
    assert_eq!(
        suite["metrics"],
        json!([
            {"contains": {"value": "{{state}}", "ignore_case": true}},
            {"contains": {"name": "contains_2", "value": "{{ assert_contains_2 }}", "when_present": "assert_contains_2"}},
            {"contains": {"name": "contains_3", "value": "{{ assert_contains_3 }}", "when_present": "assert_contains_3"}},
        ])
    );
    assert_eq!(rows[0], json!({"id": "case-001", "vars": {"state": "Texas"}, "assert_contains_2": "Austin"}));
    // What a variable holds is data, braces and all.
    assert_eq!(rows[1]["assert_contains_3"], "x {{y}}");
    assert_eq!(
        (&suite["model"], &suite["prompt"]),
        (&json!("openai/gpt-4o-mini"), &json!("promptfoo@1.0.0"))
    );
    let prompt = gauntlet_prompts::parse("p", file(&imported, "prompts/promptfoo-1.yaml")).unwrap();
    assert_eq!((prompt.messages.len(), prompt.variables.len()), (1, 1));
}

#[test]
fn a_threshold_of_a_test_weighs_its_assertions() {
    let imported = import(
        "prompts: [x]\nproviders: [openai:gpt-4o]\ntests:\n- threshold: 0.6\n  assert: [{type: contains, value: a, weight: 3}, {type: is-json}]\n\
         - threshold: 0.5\n  assert: [{type: contains, value: a}, {type: llm-rubric, value: kind}]\n",
    );
    assert_eq!(
        suite_of(&imported)["metrics"][0],
        json!({"weighted": {"of": [{"contains": {"value": "a", "weight": 3}}, {"is_json": {}}], "threshold": 0.6, "when_present": "assert_weighted"}})
    );
    assert!(why(&imported, "tests[1].threshold").contains("a judge's"));
}

#[test]
fn what_is_no_configuration_of_promptfoo_is_refused_with_its_place_and_a_cure() {
    let check = |text: &str, expected: &str| {
        let error = convert_suite("x.yaml", text, &|_| Err(String::new())).unwrap_err();
        assert!(error.to_string().contains(expected) && !error.cure.is_empty(), "{error}");
    };
    check("  \n", "the file is empty");
    check("- a\n", "not a configuration of promptfoo");
    check("model_list: []\n", "has none of `prompts`");
    check("tests: [\n", "not valid YAML");
    check("tests: &a [*a]\n", "not valid YAML");
}

#[test]
fn variables_of_files_are_read_and_what_cannot_be_is_told() {
    let text = "prompts: ['{{a}} {{b}} {{c}}']\nproviders: [openai:gpt-4o]\ntests:\n- vars: file://one.yaml\n\
                - vars: [file://one.yaml, file://two.json]\n- vars: file://vars/*.yaml\n- vars: file://list.yaml\n\
                - vars: file://make.py\n- vars: {a: 'at {{ env.HOME }}', b: 1}\n";
    let read = |path: &str| match path {
        "one.yaml" => Ok("a: x\nb: w\n".to_owned()),
        "two.json" => Ok("{\"b\": \"z\", \"c\": 3}".to_owned()),
        "list.yaml" => Ok("- a\n".to_owned()),
        _ => Err("there is none".to_owned()),
    };
    let imported =
        convert_suite("promptfooconfig.yaml", text, &read).unwrap_or_else(|error| panic!("{error}"));
    let rows = rows_of(&imported);
    assert_eq!(rows[0]["vars"], json!({"a": "x", "b": "w"}));
    assert_eq!(rows[1]["vars"], json!({"a": "x", "b": "z", "c": 3}));
    for (path, expected) in [
        ("tests[2].vars", "patterns of files"),
        ("tests[3].vars", "list.yaml holds no names"),
        ("tests[4].vars", "YAML and JSON alone"),
        ("tests[5].vars.a", "the environment is not read"),
    ] {
        assert!(why(&imported, path).contains(expected), "{path}: {}", why(&imported, path));
    }
    assert!(
        imported.unmapped.iter().all(|one| !one.from.path.starts_with("tests[0]")),
        "{:?}",
        imported.unmapped
    );
}

#[test]
fn odd_values_are_told_and_the_rest_is_taken() {
    let imported = import(
        "prompts: [file://gone.txt, {raw: 'ok {{a}}', label: l}, file://p.js, 7]\nproviders: [nobody:x, openai:chat, 'http://h/x', openai:gpt-4o]\n\
         tests: [file://gone.yaml, 'file://*.csv', {vars: {a: [1, 2], b: [x, y]}, assert: [{value: 1}, {type: contains}, {type: cost, threshold: 1}]}]\n\
         evaluateOptions: {repeat: 0, delay: 5}\nmade_up: 1\n",
    );
    for (path, expected) in [
        ("prompts[0]", "there is none"),
        ("prompts[2]", "code"),
        ("providers[0]", "no provider `nobody`"),
        ("providers[1]", "names no model"),
        ("providers[2]", "address of one's own"),
        ("tests[0]", "there is none"),
        ("tests[1]", "patterns of files"),
        ("tests[2].assert[0]", "no `type`"),
        ("tests[2].assert[1]", "no `value`"),
        ("evaluateOptions.repeat", "not a whole number"),
        ("evaluateOptions.delay", "rates are a limit"),
        ("made_up", "does not know this field"),
    ] {
        assert!(why(&imported, path).contains(expected), "{path}: {}", why(&imported, path));
    }
    assert_eq!(rows_of(&imported).len(), 4, "lists of values are multiplied out");
}
