//! Typed wrappers compile in their languages, and take exactly the variables that the gateway takes.

#[allow(dead_code)]
#[rustfmt::skip]
mod wrappers;

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
};

use gauntlet_prompts::{
    Prompt,
    codegen::{Language, Wrapped, generate},
    parse,
};
use gauntlet_testkit::parts;
use serde_json::{Map, Value, json};

/// Every type, required and optional, and names that each language keeps for itself.
const ALL_KINDS: &str = r#"
name: all-kinds
version: 3.2.0
description: "Every type: \"quoted\", */ and ''' too"
variables:
  question: {type: string, max_length: 5, required: true, description: What the "user" asks}
  context: {required: true}
  count: {type: integer, required: true}
  is_new: {type: boolean, required: true}
  score: {type: number, required: false}
  tags: {type: array, max_length: 2, required: false}
  meta: {type: object, required: false}
  note: {required: false}
  class: {type: string, required: false}
  type: {type: string, max_length: 3, required: false}
  self: {type: string, required: false}
  _private: {type: string, required: false}
  model_name: {type: string, default: sonnet}
  schema: {type: string, required: false}
template: "$question $context $count $is_new $score $tags $meta $note $class $type $self $_private $model_name $schema"
"#;
const NO_VARIABLES: &str = "name: all_kinds\nversion: 1.0.0\ntemplate: Hello\n";

fn prompts() -> [Prompt; 2] {
    [ALL_KINDS, NO_VARIABLES].map(|text| parse("p.yaml", text).expect("a prompt"))
}

fn generated(language: Language) -> String {
    let [all, none] = prompts();
    generate(
        language,
        &[
            Wrapped { prompt: &all, reference: "all-kinds@production" },
            Wrapped { prompt: &none, reference: "all_kinds@1.0.0" },
        ],
    )
}

/// Variables, each a change of a set that is right.
fn tried() -> Vec<Map<String, Value>> {
    let right = json!({"question": "héé", "context": {"a": [1]}, "count": 3, "is_new": true});
    let changes = [
        json!({}),
        json!({"question": "12345"}),
        json!({"question": "👩👩👩👩👩"}),
        json!({"question": "123456"}),
        json!({"question": "👩👩👩👩👩👩"}),
        json!({"question": 5}),
        json!({"question": null}),
        json!({"context": "text"}),
        json!({"context": 0}),
        json!({"context": null}),
        json!({"count": 1.5}),
        json!({"count": "3"}),
        json!({"count": true}),
        json!({"is_new": 1}),
        json!({"score": 1}),
        json!({"score": 0.25}),
        json!({"score": "1"}),
        json!({"score": null}),
        json!({"tags": ["a", 2]}),
        json!({"tags": [1, 2, 3]}),
        json!({"tags": "a"}),
        json!({"meta": {"deep": {"er": []}}}),
        json!({"meta": []}),
        json!({"note": null}),
        json!({"note": [false]}),
        json!({"class": "c", "type": "abc", "self": "s", "_private": "p", "schema": "x"}),
        json!({"type": "abcd"}),
        json!({"_private": 1}),
        json!({"model_name": "haiku"}),
        json!({"model_name": 4}),
        json!({"questoin": "misspelt"}),
    ];
    let merged = changes.into_iter().map(|change| {
        let mut all = right.as_object().expect("an object").clone();
        all.extend(change.as_object().expect("an object").clone());
        all
    });
    let mut lacking = right.as_object().expect("an object").clone();
    lacking.remove("count");
    merged.chain([lacking]).collect()
}

/// What a wrapper made of each set must be what the gateway says of it, and render to the same words.
fn compare(language: &str, made: &[Value]) {
    let [prompt, _] = prompts();
    let tried = tried();
    assert_eq!(made.len(), tried.len(), "{language}");
    let mut taken = 0;
    for (variables, made) in tried.iter().zip(made) {
        let rendered = prompt.render(variables);
        assert_eq!(made.is_object(), rendered.is_ok(), "{language}: {variables:?} made {made}: {rendered:?}");
        if let (Ok(rendered), Some(body)) = (rendered, made.as_object()) {
            taken += 1;
            assert_eq!(body["gauntlet"]["prompt"], "all-kinds@production", "{language}");
            let sent = body["gauntlet"]["variables"].as_object().expect("variables");
            let again = prompt.render(sent).expect("what the wrapper sends is taken");
            // A float of Rust is written as one: 1 is 1.0.
            if language != "rust" || !variables.get("score").is_some_and(Value::is_i64) {
                assert_eq!(again, rendered, "{language}");
            }
        }
    }
    assert!(
        taken > 10 && taken < tried.len() - 10,
        "{language}: both verdicts are tried, {taken} were taken"
    );
}

fn run(mut command: Command, folder: &Path) -> String {
    let output = command.current_dir(folder).stdin(Stdio::null()).output().expect("the program runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{out}\n{err}");
    out.into_owned()
}

fn write(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).expect("written");
}

#[test]
fn pydantic_takes_what_the_gateway_takes() {
    let Some(python) = parts::python() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "wrappers.py", &generated(Language::Python));
    write(folder.path(), "tried.json", &json!(tried()).to_string());
    let driver = "import json, sys\nsys.path.insert(0, '.')\nimport pydantic, wrappers\nmade = []\n\
                  for variables in json.load(open('tried.json')):\n    try:\n        made.append(wrappers.AllKinds(**variables).extra_body())\n    \
                  except pydantic.ValidationError:\n        made.append(None)\n\
                  assert wrappers.AllKinds2().extra_body() == {'gauntlet': {'prompt': 'all_kinds@1.0.0', 'variables': {}}}\n\
                  assert wrappers.AllKinds(question='a', context=1, count=1, is_new=False, class_='by name').gauntlet_variables()['class'] == 'by name'\n\
                  print(json.dumps(made))\n";
    write(folder.path(), "driver.py", driver);
    let mut command = Command::new(python);
    // A warning of Pydantic's about a shadowed name would be a mistake of ours.
    command.args(["-I", "-W", "error", "driver.py"]);
    let out = run(command, folder.path());
    compare("python", &serde_json::from_str::<Vec<Value>>(&out).expect("a list"));
}

#[test]
fn zod_takes_what_the_gateway_takes_and_its_types_refuse_the_rest() {
    let Some(modules) = parts::node_clients() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink(&modules, folder.path().join("node_modules")).expect("a link");
    write(folder.path(), "package.json", r#"{"type": "module"}"#);
    write(folder.path(), "wrappers.ts", &generated(Language::TypeScript));
    write(folder.path(), "tried.json", &json!(tried()).to_string());
    // Each `expect-error` fails the build where there is none.
    let driver = r#"import { readFileSync } from "node:fs";
import { ZodError } from "zod";
import { toAllKinds, toAllKinds2, type AllKindsVariables } from "./wrappers.js";
const right: AllKindsVariables = { question: "a", context: 1, count: 1, is_new: false };
toAllKinds(right);
// @ts-expect-error a required variable is missing
const lacking: AllKindsVariables = { question: "a", context: 1, is_new: false };
// @ts-expect-error of another type
const other: AllKindsVariables = { ...right, count: "1" };
// @ts-expect-error not declared
const more: AllKindsVariables = { question: "a", context: 1, count: 1, is_new: false, questoin: "a" };
const empty = JSON.stringify(toAllKinds2({}));
if (empty !== '{"gauntlet":{"prompt":"all_kinds@1.0.0","variables":{}}}') throw new Error(empty);
const made = JSON.parse(readFileSync("tried.json", "utf8")).map((variables: AllKindsVariables) => {
  try { return toAllKinds(variables); } catch (error) { if (error instanceof ZodError) return null; throw error; }
});
console.log(JSON.stringify(made));
"#;
    write(folder.path(), "driver.ts", driver);
    write(
        folder.path(),
        "node.d.ts",
        "declare module \"node:fs\" { export function readFileSync(path: string, encoding: string): string; }\ndeclare const console: { log(text: string): void };\n",
    );
    let options = json!({"strict": true, "module": "nodenext", "target": "es2022", "lib": ["es2022"], "types": [], "skipLibCheck": true});
    write(
        folder.path(),
        "tsconfig.json",
        &json!({"compilerOptions": options, "files": ["driver.ts", "node.d.ts"]}).to_string(),
    );
    let mut compile = Command::new("node");
    compile.arg(modules.join("typescript/bin/tsc")).args(["--project", "tsconfig.json"]);
    run(compile, folder.path());
    let mut command = Command::new("node");
    command.arg("driver.js");
    let out = run(command, folder.path());
    compare("typescript", &serde_json::from_str::<Vec<Value>>(&out).expect("a list"));
}

#[test]
fn serde_takes_what_the_gateway_takes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/codegen/wrappers.rs");
    let generated = generated(Language::Rust);
    if env::var("GAUNTLET_GOLDEN").is_ok_and(|mode| mode == "write") {
        fs::write(&path, &generated).expect("written");
    }
    let compiled = fs::read_to_string(&path).expect("what is compiled into this test");
    assert_eq!(
        compiled, generated,
        "what is compiled here is what is generated; GAUNTLET_GOLDEN=write renews it"
    );
    let made: Vec<Value> = tried()
        .into_iter()
        .map(|variables| {
            let read: Result<wrappers::AllKinds, _> = serde_json::from_value(variables.into());
            match read.ok().and_then(|wrapper| wrapper.to_gauntlet().ok()) {
                Some(gauntlet) => json!({"gauntlet": gauntlet}),
                None => Value::Null,
            }
        })
        .collect();
    compare("rust", &made);
    let mut by_hand = wrappers::AllKinds::new(json!(1), 1, false, "a".into());
    assert!(by_hand.check().is_ok());
    by_hand.score = Some(f64::NAN);
    assert_eq!(by_hand.check(), Err("variable `score` must be finite".to_owned()));
    assert_eq!(wrappers::AllKinds2::VERSION, "1.0.0");
}
