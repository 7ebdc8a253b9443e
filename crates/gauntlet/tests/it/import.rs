//! Somebody moves here from another gateway: a folder is made, passes the check, and what is missing is told.
//!
//! `GAUNTLET_GOLDEN=write` writes the golden folders anew, to be looked over as any other change.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use gauntlet_testkit::{Ended, Launch};
use serde_json::{Value, json};

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/import");

fn launch(folder: &Path, words: &[&str]) -> Launch {
    Launch::new(env!("CARGO_BIN_EXE_gauntlet")).args(words).folder(folder)
}

fn import(folder: &Path, words: &[&str]) -> Ended {
    launch(folder, &[&["import"], words].concat()).run()
}

/// Every file of a folder by its path, folders in it included.
fn files(folder: &Path) -> BTreeMap<PathBuf, String> {
    let (mut found, mut open) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).unwrap_or_else(|error| panic!("{}: {error}", next.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert(
                    path.strip_prefix(folder).unwrap().to_owned(),
                    fs::read_to_string(&path).unwrap(),
                );
            }
        }
    }
    found
}

/// Imports a sample, checks the folder with every variable set, and compares folder and report with the golden ones.
fn check(gateway: &str, sample: &str, golden: &str) {
    let folder = tempfile::tempdir().unwrap();
    let source = format!("{SAMPLES}/{gateway}/{sample}");
    let report = import(folder.path(), &[gateway, &source, "--out", "out", "--json"]).expect_ok().json();
    let out = folder.path().join("out");
    let made = files(&out);
    let written: Vec<String> = made.keys().map(|path| format!("out/{}", path.display())).collect();
    let mut told: Vec<&str> =
        report["written"].as_array().unwrap().iter().map(|path| path.as_str().unwrap()).collect();
    told.sort_unstable();
    assert_eq!(told, written);
    for one in report["unmapped"].as_array().unwrap() {
        assert!(one["line"].as_u64() > Some(0), "{one}");
        assert!(
            ["from", "why", "cure"]
                .iter()
                .all(|field| one[field].as_str().is_some_and(|text| !text.is_empty())),
            "{one}"
        );
    }
    let all = format!("{report}{made:?}");
    assert!(!all.contains("stays-behind"), "a secret was copied: {all}");

    let mut checking = launch(folder.path(), &["check", "out", "--json"]);
    for variable in report["variables"].as_array().unwrap() {
        let name = variable["name"].as_str().unwrap();
        checking = checking.env(name, &format!("https://{}.example", name.to_lowercase()));
    }
    assert_eq!(checking.run().expect_ok().json()["ok"], json!(true));

    let mut made = made;
    let shown = format!("{}\n", serde_json::to_string_pretty(&report).unwrap());
    made.insert("report.json".into(), shown);
    let golden = PathBuf::from(format!("{SAMPLES}/{gateway}/{golden}"));
    if std::env::var("GAUNTLET_GOLDEN").is_ok_and(|word| word == "write") {
        let _ = fs::remove_dir_all(&golden);
        for (path, text) in &made {
            let path = golden.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }
    let expected = files(&golden);
    for (path, text) in &made {
        assert_eq!(Some(text), expected.get(path), "{} of {}", path.display(), golden.display());
    }
    assert_eq!(made.len(), expected.len(), "files of {}", golden.display());
}

#[test]
fn a_config_of_litellm_becomes_a_folder_that_passes_the_check() {
    check("litellm", "team.yaml", "team");
    check("litellm", "anchors.yaml", "anchors");
}

#[test]
fn a_tensorzero_toml_becomes_a_folder_with_prompts_and_schemas() {
    check("tensorzero", "tensorzero.toml", "made");
}

#[test]
fn a_config_of_portkey_becomes_a_route_and_its_model() {
    check("portkey", "support.json", "support");
    check("portkey", "tiers.json", "tiers");
}

#[test]
fn a_config_of_promptfoo_becomes_a_suite_with_its_dataset_and_prompts() {
    let folder = tempfile::tempdir().unwrap();
    let source = format!("{SAMPLES}/promptfoo/support.yaml");
    let words = ["eval", "import", &source, "--out", "out", "--json"];
    let report = launch(folder.path(), &words).run().expect_ok().json();
    let made = files(&folder.path().join("out"));
    let golden = files(Path::new(&format!("{SAMPLES}/promptfoo/support")));
    for (path, text) in golden.iter().filter(|(path, _)| !path.ends_with("report.json")) {
        assert_eq!(Some(text), made.get(path), "{}", path.display());
    }
    assert!(
        report["unmapped"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["why"].to_string().contains("javascript"))
    );
    assert!(!format!("{report}{made:?}").contains("stays-behind"));
    // A folder with files in it is left alone.
    let again = launch(folder.path(), &words).run();
    assert!(again.code == Some(2) && again.stderr.contains("--force"), "{again}");
    let mut checking = launch(folder.path(), &["check", "out", "--json"]);
    for variable in report["variables"].as_array().unwrap() {
        checking = checking.env(variable["name"].as_str().unwrap(), "a-key-of-nobody-at-all");
    }
    assert_eq!(checking.run().expect_ok().json()["ok"], json!(true));
}

#[test]
fn the_documented_import_makes_what_is_shown() {
    let document = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/import.md")).unwrap();
    let blocks: Vec<&str> =
        document.split("```yaml\n").skip(1).map(|part| part.split("```").next().unwrap()).collect();
    let [source, made] = blocks[..] else {
        panic!("a source and what it becomes are shown, not {}", blocks.len())
    };
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.yaml"), source).unwrap();
    import(folder.path(), &["litellm", "config.yaml"]).expect_ok();
    let files = files(&folder.path().join("gauntlet-imported"));
    assert_eq!(files[Path::new("gauntlet.yml")], made);
    assert!(files[Path::new("budgets.yml")].contains("everything:\n  monthly_usd: 100"), "{files:?}");
}

#[test]
fn a_folder_with_files_in_it_is_left_alone_unless_forced() {
    let folder = tempfile::tempdir().unwrap();
    let source = format!("{SAMPLES}/portkey/tiers.json");
    let out = folder.path().join("gauntlet-imported");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("notes.txt"), "mine").unwrap();
    let refused = import(folder.path(), &["portkey", &source]);
    assert!(refused.code == Some(2) && refused.stderr.contains("has files in it"), "{refused}");
    assert_eq!(files(&out).len(), 1);
    import(folder.path(), &["portkey", &source, "--force"]).expect_ok();
    let names: Vec<PathBuf> = files(&out).into_keys().collect();
    assert_eq!(names, [PathBuf::from("gauntlet.yml"), PathBuf::from("notes.txt")]);
    fs::write(folder.path().join("file"), "x").unwrap();
    let refused = import(folder.path(), &["portkey", &source, "--out", "file"]);
    assert!(refused.code == Some(2) && refused.stderr.contains("cannot write into file"), "{refused}");
}

#[test]
fn the_table_says_what_became_of_what() {
    let folder = tempfile::tempdir().unwrap();
    let said = import(folder.path(), &["litellm", &format!("{SAMPLES}/litellm/team.yaml")]).expect_ok();
    for expected in [
        "written: gauntlet-imported/gauntlet.yml, gauntlet-imported/budgets.yml, gauntlet-imported/prices.yml",
        "NOT MAPPED, TO BE LOOKED AT",
        "NOT MAPPED, NOTHING TO DO",
        "SET BEFORE THE START",
        "LITELLM_MASTER_KEY",
        "gauntlet check gauntlet-imported",
    ] {
        assert!(said.stdout.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn a_file_that_cannot_be_read_ends_with_two_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let check = |gateway: &str, name: &str, bytes: &[u8], expected: &str| {
        fs::write(folder.path().join(name), bytes).unwrap();
        let ended = import(folder.path(), &[gateway, name]);
        assert!(ended.code == Some(2) && ended.stderr.contains(expected), "{expected}: {ended}");
        assert!(!ended.stderr.contains("sk-"), "{ended}");
        assert!(!folder.path().join("gauntlet-imported").exists());
    };
    check("litellm", "empty.yaml", b"", "the file is empty");
    check("litellm", "shape.yaml", b"hello: sk-1", "not a configuration of LiteLLM");
    check("litellm", "bad.yaml", b"model_list: [\nkey: sk-1", "not valid YAML");
    check("litellm", "circle.yaml", b"model_list: &a [*a]", "not valid YAML");
    check("litellm", "bytes.yaml", &[0xff, 0xfe, 0x00], "not text in UTF-8");
    check("tensorzero", "bad.toml", b"key = sk-1", "line 1: it is not valid TOML");
    check("portkey", "bad.json", b"{\"targets\": sk-1}", "line 1: it is not valid JSON");
    check("portkey", "deep.json", "[".repeat(100_000).as_bytes(), "not valid JSON");
    check("litellm", "huge.yaml", "#".repeat(5 << 20).as_bytes(), "the most is");
    let missing = import(folder.path(), &["litellm", "nowhere.yaml"]);
    assert!(missing.code == Some(2) && missing.stderr.contains("cannot read nowhere.yaml"), "{missing}");
    let unknown = import(folder.path(), &["kong", "bad.json"]);
    assert!(unknown.code == Some(2) && unknown.stderr.contains("[possible values: litellm"), "{unknown}");
}

#[test]
fn a_template_beyond_a_link_is_not_copied() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    fs::create_dir(&source).unwrap();
    fs::write(folder.path().join("secret"), "private words").unwrap();
    std::os::unix::fs::symlink(folder.path().join("secret"), source.join("link")).unwrap();
    let function = |name: &str, path: &str| {
        format!(
            "[functions.{name}]\ntype = \"chat\"\n[functions.{name}.variants.v]\ntype = \"chat_completion\"\nmodel = \"openai::m\"\n\
             system_template = {path:?}\n"
        )
    };
    let absolute = folder.path().join("secret");
    let text = [function("a", "link"), function("b", "../secret"), function("c", absolute.to_str().unwrap())]
        .concat();
    fs::write(source.join("tensorzero.toml"), text).unwrap();
    let report =
        import(folder.path(), &["tensorzero", "source/tensorzero.toml", "--json"]).expect_ok().json();
    let outside =
        |one: &&Value| one["why"].as_str().unwrap().contains("outside of the configuration's folder");
    assert_eq!(report["unmapped"].as_array().unwrap().iter().filter(outside).count(), 3, "{report:#}");
    assert_eq!(files(&folder.path().join("gauntlet-imported")).len(), 1);
}
