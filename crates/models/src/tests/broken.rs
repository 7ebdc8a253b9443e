//! Directories that are broken, and what is said of them: the file, what is wrong, and the cure.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::tiny;
use crate::{Classifier, Embedder, ModelError, Tagger};

/// A sound directory in which `spoil` changes something; gives the message of opening it as a tagger.
fn message(spoil: impl FnOnce(&Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    tiny::write(folder.path(), &tiny::NAMES);
    spoil(folder.path());
    match Tagger::open(folder.path()) {
        Ok(_) => panic!("it opened"),
        Err(error) => error.to_string(),
    }
}

fn check(spoil: impl FnOnce(&Path), parts: &[&str]) {
    let message = message(spoil);
    for part in parts {
        assert!(message.contains(part), "{message}");
    }
}

fn edit(folder: &Path, name: &str, change: impl FnOnce(&mut Value)) {
    let path = folder.join(name);
    let mut file: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut file);
    fs::write(path, file.to_string()).unwrap();
}

#[test]
fn a_missing_file_is_named() {
    for name in ["config.json", "tokenizer.json"] {
        check(|folder| fs::remove_file(folder.join(name)).unwrap(), &[name, "give the folder"]);
    }
    check(
        |folder| fs::remove_file(folder.join("model.safetensors")).unwrap(),
        &["has no weights", "model.onnx or model.safetensors"],
    );
}

#[test]
fn a_folder_in_the_place_of_a_file_is_refused() {
    check(
        |folder| {
            fs::remove_file(folder.join("tokenizer.json")).unwrap();
            fs::create_dir(folder.join("tokenizer.json")).unwrap();
        },
        &["tokenizer.json", "cannot read"],
    );
}

#[test]
fn a_file_that_breaks_off_anywhere_is_an_error() {
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        let folder = tempfile::tempdir().unwrap();
        tiny::write(folder.path(), &tiny::NAMES);
        let whole = fs::read(folder.path().join(name)).unwrap();
        for part in 0..40 {
            fs::write(folder.path().join(name), &whole[..whole.len() * part / 40]).unwrap();
            let error =
                Tagger::open(folder.path()).err().unwrap_or_else(|| panic!("{part} of 40 of {name} opened"));
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}

#[test]
fn a_graph_that_breaks_off_or_is_none_is_an_error() {
    // The last two hold a number that never ends, outside and as the length of a node.
    let endless = [&[0x3A, 0x0C, 0x0A][..], &[0xFF; 11]].concat();
    for bytes in [&b""[..], b"not a graph", b"\x08\x09\x3a\x02\x0a", &[0xFF; 64], &endless] {
        check(|folder| fs::write(folder.join("model.onnx"), bytes).unwrap(), &["model.onnx", "is broken"]);
    }
}

#[test]
fn a_graph_that_breaks_off_anywhere_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    tiny::write(folder.path(), &tiny::NAMES);
    tiny::export(folder.path());
    let path = folder.path().join("model.onnx");
    let whole = fs::read(&path).unwrap();
    for part in 0..60 {
        fs::write(&path, &whole[..whole.len() * part / 60]).unwrap();
        let error = Tagger::open(folder.path()).err().unwrap_or_else(|| panic!("{part} of 60 opened"));
        assert!(error.to_string().contains("model.onnx"), "{error}");
    }
    fs::write(&path, whole).unwrap();
    fs::write(folder.path().join("0.data"), [0; 12]).unwrap();
    let error = Tagger::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("file too short"), "{error}");
}

#[test]
fn a_changed_byte_never_panics() {
    let folder = tempfile::tempdir().unwrap();
    tiny::write(folder.path(), &tiny::NAMES);
    let mut opened = 0;
    let mut spoil = |name: &str, step: usize| {
        let path = folder.path().join(name);
        let whole = fs::read(&path).unwrap();
        for at in (0..whole.len().min(4000)).step_by(step) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(&path, bytes).unwrap();
            // A letter of a label or a number may change unseen; then the model has to run.
            if let Ok(tagger) = Tagger::open(folder.path()) {
                opened += 1;
                let _ = tagger.entities("Ann lives in Paris");
            }
        }
        fs::write(&path, whole).unwrap();
    };
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        spoil(name, 17);
    }
    tiny::export(folder.path());
    spoil("model.onnx", 13);
    assert!(opened > 0, "every change was found, so none of what follows was tried");
    assert!(Tagger::open(folder.path()).is_ok());
}

#[test]
fn labels_that_are_missing_or_say_nothing_are_named_with_their_cure() {
    check(
        |folder| {
            edit(folder, "config.json", |config| drop(config.as_object_mut().unwrap().remove("id2label")))
        },
        &["config.json", "no `id2label`", "name every label"],
    );
    check(
        |folder| {
            edit(folder, "config.json", |config| {
                drop(config["id2label"].as_object_mut().unwrap().remove("3"))
            })
        },
        &["`id2label` lacks 3"],
    );
    let bare = json!({"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2", "3": "LABEL_3", "4": "LABEL_4"});
    check(
        |folder| edit(folder, "config.json", |config| config["id2label"] = bare),
        &["none of its labels (LABEL_0, LABEL_1", "PER, LOC"],
    );
}

#[test]
fn a_head_with_another_number_of_labels_is_found_when_opened() {
    check(
        |folder| edit(folder, "config.json", |config| config["id2label"]["5"] = "B-ORG".into()),
        &["classifier.weight", "shape [5, 8], not [6, 8]"],
    );
}

#[test]
fn a_vocabulary_larger_than_the_table_is_found_when_opened() {
    check(
        |folder| edit(folder, "tokenizer.json", |file| file["model"]["vocab"]["extra"] = 19.into()),
        &["model.safetensors", "does not fit its use", "one and the same export"],
    );
}

#[test]
fn more_positions_than_the_table_has_are_found_when_opened() {
    check(
        |folder| edit(folder, "config.json", |config| config["max_position_embeddings"] = 17.into()),
        &["model.safetensors", "does not fit its use"],
    );
}

#[test]
fn sizes_that_cannot_be_are_refused_before_anything_is_held() {
    for (field, value) in [
        ("hidden_size", json!(1u64 << 40)),
        ("hidden_size", json!(0)),
        ("num_hidden_layers", json!(1_000_000)),
        ("num_attention_heads", json!(3)),
        ("num_attention_heads", json!(0)),
        ("max_position_embeddings", json!(2)),
    ] {
        check(
            |folder| edit(folder, "config.json", |config| config[field] = value),
            &["config.json", "cannot be"],
        );
    }
    check(|folder| edit(folder, "config.json", |config| config["hidden_size"] = json!(-1)), &["config.json"]);
}

#[test]
fn a_header_that_lies_about_the_file_is_refused() {
    let header = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let entry = |dtype: &str, shape: &str, end: u64| {
        let name = "bert.embeddings.word_embeddings.weight";
        header(&format!(r#"{{"{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,{end}]}}}}"#))
    };
    let cases = [
        (u64::MAX.to_le_bytes().to_vec(), "does not fit"),
        (header("{}"), "is missing"),
        (header("[]"), "header"),
        (entry("F32", "[19,8]", 608), "does not lie within the file"),
        (entry("F32", "[18446744073709551615,8]", 0), "does not lie within the file"),
        (entry("F32", "[19,9]", 0), "has the shape"),
        (entry("I64", "[19,8]", 0), "of the type I64"),
        (entry("F32", "[-1,8]", 0), "word_embeddings"),
    ];
    for (bytes, part) in cases {
        check(
            |folder| fs::write(folder.join("model.safetensors"), bytes).unwrap(),
            &["model.safetensors", part],
        );
    }
}

#[test]
fn numbers_that_are_none_are_not_passed_on() {
    let folder = tempfile::tempdir().unwrap();
    tiny::write_with(folder.path(), &tiny::NAMES, |tensors| {
        tensors.get_mut("classifier.bias").unwrap().1[0] = f32::NAN;
    });
    let error = Tagger::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("not all finite"), "{error}");
}

#[test]
fn what_is_not_supported_says_so_instead_of_being_nearly_right() {
    check(
        |folder| edit(folder, "config.json", |config| config["model_type"] = "deberta-v2".into()),
        &["the architecture `deberta-v2`", "export the model to ONNX"],
    );
    check(
        |folder| edit(folder, "tokenizer.json", |file| file["normalizer"] = json!({"type": "Bogus"})),
        &["the normalizer `Bogus`"],
    );
    let split = json!({"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated"});
    check(
        |folder| edit(folder, "tokenizer.json", |file| file["pre_tokenizer"] = split),
        &["words cut by the pattern `(a+)+$`"],
    );
}

#[test]
fn parts_of_a_tokenizer_that_are_broken_are_errors() {
    let model =
        |model: Value| move |folder: &Path| edit(folder, "tokenizer.json", |file| file["model"] = model);
    for (broken, part) in [
        (json!(null), "no vocabulary"),
        (json!({"type": "WordPiece", "unk_token": "[UNK]", "vocab": {}}), "vocabulary is empty"),
        (json!({"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"a": -1}}), "has no number"),
        (json!({"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"a": 1}}), "lacks `[UNK]`"),
        (json!({"type": "Unigram", "unk_id": 7, "vocab": [["a", -1.0]]}), "`unk_id`"),
        (json!({"type": "Unigram", "unk_id": 0, "vocab": [["a"]]}), "no text and score"),
        (json!({"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]}), "merge 0"),
        (json!({"type": "Other", "vocab": {"a": 0}}), "of the kind `Other`"),
    ] {
        check(model(broken), &["tokenizer.json", part]);
    }
    let charsmap = |map: &str| json!({"type": "Precompiled", "precompiled_charsmap": map});
    for map in ["", "!", "AAAA", "/////w=="] {
        let map = charsmap(map);
        check(
            |folder| edit(folder, "tokenizer.json", |file| file["normalizer"] = map),
            &["table of characters"],
        );
    }
}

#[test]
fn a_table_of_characters_that_points_nowhere_changes_nothing() {
    // Eight units that all point far beyond the table.
    let table = [&32u32.to_le_bytes()[..], &[0xFF; 32]].concat();
    let table = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, table);
    let folder = tempfile::tempdir().unwrap();
    tiny::write(folder.path(), &tiny::NAMES);
    edit(folder.path(), "tokenizer.json", |file| {
        let own = file["normalizer"].take();
        let map = json!({"type": "Precompiled", "precompiled_charsmap": table});
        file["normalizer"] = json!({"type": "Sequence", "normalizers": [map, own]});
    });
    assert_eq!(Tagger::open(folder.path()).unwrap().entities("in Paris").unwrap().len(), 1);
}

#[test]
fn a_model_for_another_use_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    tiny::write(folder.path(), &tiny::NAMES);
    let error = Classifier::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("pooler.dense.weight` is missing"), "{error}");
    tiny::write(folder.path(), &["SAFE", "INJECTION"]);
    let error = Tagger::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("none of its labels"), "{error}");
}

#[test]
fn several_graphs_of_which_none_is_meant_are_an_error() {
    check(
        |folder| {
            for name in ["model_quantized.onnx", "model_fp16.onnx"] {
                fs::write(folder.join(name), b"").unwrap();
            }
        },
        &["holds 2 graphs", "rename the one"],
    );
}

#[test]
fn a_pooling_that_is_not_known_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    tiny::write(folder.path(), &tiny::NAMES);
    fs::create_dir(folder.path().join("1_Pooling")).unwrap();
    fs::write(folder.path().join("1_Pooling/config.json"), r#"{"pooling_mode_max_tokens": true}"#).unwrap();
    assert!(matches!(Embedder::open(folder.path()), Err(ModelError::Unsupported { .. })));
}
