//! What models cost, from the command line.

use std::fs;

use gauntlet_testkit::Launch;
use serde_json::json;

const CONFIG: &str = "providers: {openai: {key: k}, mine: {dialect: openai, url: \"http://127.0.0.1:1/v1\"}}\n\
                      models: {support: {targets: [openai/gpt-4o-mini, mine/gpt-x]}}\n";

fn launch(folder: &tempfile::TempDir, words: &[&str]) -> Launch {
    Launch::new(env!("CARGO_BIN_EXE_gauntlet")).args(words).folder(folder.path())
}

#[test]
fn a_missing_price_is_found_imported_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("gauntlet.yml"), CONFIG).unwrap();
    let missing = launch(&folder, &["prices", "check", "--json"]).run();
    assert_eq!((missing.code, &missing.json()["unpriced"]), (Some(1), &json!(["mine/gpt-x"])), "{missing}");

    let list = json!({"gpt-x": {"litellm_provider": "openai", "input_cost_per_token": 1.5e-7, "output_cost_per_token": 6e-7,
        "input_cost_per_token_batches": 7.5e-8, "odd_cost": 1}});
    fs::write(folder.path().join("list.json"), list.to_string()).unwrap();
    let import =
        ["prices", "import", "list.json", "--from", "litellm", "--as", "mine", "--output", "prices.yml"];
    let said = launch(&folder, &import).run().expect_ok();
    assert!(said.stdout.starts_with("1 added, 0 changed"), "{said}");
    assert!(said.stdout.contains("odd_cost (1)"), "{said}");
    assert_eq!(
        fs::read_to_string(folder.path().join("prices.yml")).unwrap(),
        "mine/gpt-x: {input: 0.15, output: 0.6, tiers: {batch: {input: 0.075}}}  # imported from litellm\n"
    );

    launch(&folder, &["prices", "check"]).run().expect_ok();
    let shown = launch(&folder, &["prices", "show", "mine/gpt-x", "--json"]).run().expect_ok().json();
    assert_eq!(shown[0]["from"], json!({"source": "prices.yml", "line": 1}));
    assert_eq!((&shown[0]["input"], &shown[0]["tiers"]["batch"]["input"]), (&json!(0.15), &json!(0.075)));
    let table = launch(&folder, &["prices", "show", "gpt-4o-mini"]).run().expect_ok();
    assert!(table.stdout.contains("built-in table genai-prices-"), "{table}");
}

#[test]
fn both_the_file_and_the_table_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("gauntlet.yml"), CONFIG).unwrap();
    fs::write(folder.path().join("prices.yml"), "openai/gpt-4o: {input: 9, output: 9}\n").unwrap();
    let list = ["prices", "list", "--provider", "openai", "--model", "gpt-4o", "--json"];
    let rows = launch(&folder, &list).run().expect_ok().json();
    let inputs: Vec<_> =
        rows.as_array().unwrap().iter().filter(|row| row["model"] == "openai/gpt-4o").collect();
    assert_eq!((&inputs[0]["from"], &inputs[0]["input"]), (&json!("prices.yml:1"), &json!(9.0)));
    assert_eq!((&inputs[1]["from"], &inputs[1]["input"]), (&json!("built in"), &json!(2.5)));
    let nobody = launch(&folder, &["prices", "list", "--provider", "nobody"]).run();
    assert!(nobody.code == Some(2) && nobody.stderr.contains("the table has: anthropic"), "{nobody}");
}
