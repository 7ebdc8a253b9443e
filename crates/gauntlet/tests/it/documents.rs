//! What the documents show can be used as it stands there.

use std::fs;

use gauntlet_testkit::Launch;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Keys that the documents take from the environment.
const VARIABLES: [&str; 10] = [
    "LANGFUSE_AUTH",
    "LANGSMITH_API_KEY",
    "DD_API_KEY",
    "HONEYCOMB_API_KEY",
    "GROQ_KEY",
    "ANOTHER_KEY",
    "AZURE_CLIENT_SECRET",
    "AZURE_OPENAI_API_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
];

/// The code blocks of a document in a language, in order.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let text = fs::read_to_string(format!("{ROOT}/{document}")).expect("the document is there");
    let fence = format!("```{language}\n");
    let parts = text.split(fence.as_str()).skip(1);
    parts.map(|part| part.split("```").next().expect("a block ends").to_owned()).collect()
}

/// Checks a folder with these files as `gauntlet check` does.
fn check(files: &[(&str, &str)]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    let launch = Launch::new(env!("CARGO_BIN_EXE_gauntlet"))
        .args(["check", "."])
        .env("OPENAI_API_KEY", "sk-of-nobody")
        .env("APP_KEY", "a-key-of-more-than-sixteen-characters")
        .folder(folder.path());
    VARIABLES.iter().fold(launch, |launch, name| launch.env(name, "of-nobody")).run().expect_ok();
}

#[test]
fn the_documented_retention_passes_the_check() {
    let yaml = blocks("docs/retention.md", "yaml");
    let [retention] = &yaml[..] else { panic!("one file is shown, not {}", yaml.len()) };
    check(&[("gauntlet.yml", retention)]);
}

#[test]
fn the_documented_exporters_pass_the_check() {
    let yaml = blocks("docs/export.md", "yaml");
    let [exporters] = &yaml[..] else { panic!("one file is shown, not {}", yaml.len()) };
    check(&[("gauntlet.yml", exporters)]);
}

#[test]
fn the_documented_providers_pass_the_check() {
    let yaml = blocks("docs/providers.md", "yaml");
    let [providers] = &yaml[..] else { panic!("one file is shown, not {}", yaml.len()) };
    check(&[("gauntlet.yml", providers)]);
}

#[test]
fn the_documented_caching_passes_the_check() {
    let yaml = blocks("docs/caching.md", "yaml");
    let [caching] = &yaml[..] else { panic!("one file is shown, not {}", yaml.len()) };
    check(&[("gauntlet.yml", caching)]);
}

#[test]
fn the_documented_routing_passes_the_check() {
    let yaml = blocks("docs/routing.md", "yaml");
    let [gauntlet] = &yaml[..] else { panic!("one file is shown, not {}", yaml.len()) };
    check(&[("gauntlet.yml", gauntlet)]);
}

#[test]
fn the_documented_prompt_and_promotion_pass_the_check() {
    let yaml = blocks("docs/prompts.md", "yaml");
    let [prompt, promotion] = &yaml[..] else { panic!("two files are shown, not {}", yaml.len()) };
    check(&[("gauntlet.yml", promotion), ("prompts/support-agent.yaml", prompt)]);
}

#[test]
fn the_documented_configuration_passes_its_own_check() {
    let yaml = blocks("docs/configuration.md", "yaml");
    let [gauntlet, budgets, shared, prices, prompt] = &yaml[..] else {
        panic!("four files and a part of one are shown, not {}", yaml.len())
    };
    check(&[
        ("gauntlet.yml", &format!("{gauntlet}\n{shared}")),
        ("budgets.yml", budgets),
        ("prices.yml", prices),
        ("prompts/rag-answer.yaml", prompt),
        ("schemas/reply.json", "{\"type\": \"object\"}"),
    ]);
}

#[test]
fn the_tour_of_the_readme_passes_its_own_check() {
    let yaml = blocks("README.md", "yaml");
    let [gauntlet, budgets] = &yaml[..] else { panic!("two files are shown, not {}", yaml.len()) };
    check(&[("gauntlet.yml", gauntlet), ("budgets.yml", budgets)]);
}

#[test]
fn every_error_code_is_documented() {
    let text = fs::read_to_string(format!("{ROOT}/docs/api.md")).expect("the document is there");
    for code in gauntlet_types::Code::ALL {
        assert!(
            text.contains(&format!("`{}`", code.as_str())),
            "docs/api.md does not name {}",
            code.as_str()
        );
    }
}
