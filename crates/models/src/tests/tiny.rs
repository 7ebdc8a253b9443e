//! A tiny BERT whose weights are put there by hand, so that what it says of a text is known beforehand.
//!
//! Eight numbers for each token: even ones carry a feature, odd ones its negative, so that the mean of a row is zero and
//! normalising changes only its size. There is one layer. Its queries and keys are zero, so every token attends to all alike;
//! in a classifier its values carry what one token is (a trigger) to all others, the first among them.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Value, json};

use crate::{
    config::Config,
    encoder::{self, Head},
};

pub(super) const WIDTH: usize = 8;

/// The vocabulary, each piece with the features that its vector carries.
const PIECES: [(&str, &[Feature]); 19] = [
    ("[PAD]", &[]),
    ("[UNK]", &[]),
    ("[CLS]", &[]),
    ("[SEP]", &[]),
    ("ignore", &[Feature::Trigger]),
    ("ann", &[Feature::Person]),
    ("##ab", &[Feature::Person, Feature::Inside]),
    ("##el", &[Feature::Person, Feature::Inside]),
    ("smith", &[Feature::Person, Feature::Inside]),
    ("müller", &[Feature::Person, Feature::Inside]),
    ("paris", &[Feature::Place]),
    ("new", &[Feature::Place]),
    ("york", &[Feature::Place, Feature::Inside]),
    ("lives", &[]),
    ("in", &[]),
    ("and", &[]),
    (".", &[]),
    (",", &[]),
    ("é", &[]),
];

/// A feature is at twice its number.
#[derive(Clone, Copy)]
enum Feature {
    Trigger = 0,
    Person = 1,
    Place = 2,
    Inside = 3,
}

pub(super) type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

pub(super) fn tokenizer() -> Value {
    let vocabulary: serde_json::Map<String, Value> =
        PIECES.iter().enumerate().map(|(id, (piece, _))| ((*piece).to_owned(), json!(id))).collect();
    json!({
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": false, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "vocab": vocabulary},
    })
}

pub(super) fn config(labels: &[&str]) -> Value {
    let labels: serde_json::Map<String, Value> =
        labels.iter().enumerate().map(|(id, label)| (id.to_string(), json!(label))).collect();
    json!({
        "model_type": "bert", "hidden_size": WIDTH, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 4, "hidden_act": "gelu", "layer_norm_eps": 1e-12, "max_position_embeddings": 16,
        "id2label": labels,
    })
}

fn weights(labels: usize) -> Tensors {
    let mut tensors = Tensors::new();
    let mut put = |name: &str, shape: &[usize], set: &[(usize, usize, f32)]| {
        let columns = shape.get(1).copied().unwrap_or(1);
        let mut numbers = vec![0.0; shape.iter().product()];
        for (row, column, number) in set {
            numbers[row * columns + column] = *number;
        }
        tensors.insert(name.to_owned(), (shape.to_vec(), numbers));
    };
    let rows: Vec<(usize, usize, f32)> = PIECES
        .iter()
        .enumerate()
        .flat_map(|(id, (_, features))| features.iter().map(move |feature| (id, 2 * *feature as usize)))
        .flat_map(|(id, at)| [(id, at, 1.0), (id, at + 1, -1.0)])
        .collect();
    put("bert.embeddings.word_embeddings.weight", &[PIECES.len(), WIDTH], &rows);
    put("bert.embeddings.position_embeddings.weight", &[16, WIDTH], &[]);
    put("bert.embeddings.token_type_embeddings.weight", &[2, WIDTH], &[]);
    let square = [WIDTH, WIDTH];
    let layer = "bert.encoder.layer.0";
    for part in ["query", "key", "value"] {
        put(&format!("{layer}.attention.self.{part}.bias"), &[WIDTH], &[]);
    }
    put(&format!("{layer}.attention.self.query.weight"), &square, &[]);
    put(&format!("{layer}.attention.self.key.weight"), &square, &[]);
    let same: Vec<(usize, usize, f32)> = (0..WIDTH).map(|at| (at, at, 1.0)).collect();
    put(&format!("{layer}.attention.self.value.weight"), &square, &same);
    let (trigger, inside) = (2 * Feature::Trigger as usize, 2 * Feature::Inside as usize);
    // The mean over a sentence is small, so it is made large: at most sixteen tokens share it.
    let copy = [(inside, trigger, 64.0), (inside + 1, trigger, -64.0)];
    let is_tagger = labels == NAMES.len();
    put(&format!("{layer}.attention.output.dense.weight"), &square, if is_tagger { &[] } else { &copy });
    put(&format!("{layer}.attention.output.dense.bias"), &[WIDTH], &[]);
    put(&format!("{layer}.intermediate.dense.weight"), &[4, WIDTH], &[]);
    put(&format!("{layer}.intermediate.dense.bias"), &[4], &[]);
    put(&format!("{layer}.output.dense.weight"), &[WIDTH, 4], &[]);
    put(&format!("{layer}.output.dense.bias"), &[WIDTH], &[]);
    let ones: Vec<(usize, usize, f32)> = (0..WIDTH).map(|at| (at, 0, 1.0)).collect();
    for norm in ["bert.embeddings", "bert.encoder.layer.0.attention.output", "bert.encoder.layer.0.output"] {
        put(&format!("{norm}.LayerNorm.weight"), &[WIDTH], &ones);
        put(&format!("{norm}.LayerNorm.bias"), &[WIDTH], &[]);
    }
    let (person, place) = (2 * Feature::Person as usize, 2 * Feature::Place as usize);
    if is_tagger {
        // What is inside carries two features, which normalising makes smaller each.
        let [begins, goes_on] = [16.0, 9.0];
        let rows = [
            (1, person, begins),
            (2, person, goes_on),
            (2, inside, goes_on),
            (3, place, begins),
            (4, place, goes_on),
            (4, inside, goes_on),
        ];
        put("classifier.weight", &[labels, WIDTH], &rows);
        put("classifier.bias", &[labels], &[(0, 0, 5.0)]);
    } else {
        put("bert.pooler.dense.weight", &square, &same);
        put("bert.pooler.dense.bias", &[WIDTH], &[]);
        put("classifier.weight", &[labels, WIDTH], &[(labels - 1, inside, 12.0)]);
        put("classifier.bias", &[labels], &[(0, 0, 6.0)]);
    }
    tensors
}

pub(super) fn safetensors(tensors: &Tensors) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, (shape, numbers)) in tensors {
        let start = data.len();
        data.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        header.insert(
            name.clone(),
            json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]}),
        );
    }
    let header = serde_json::to_vec(&header).unwrap();
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}

/// Writes a directory with these labels: `NAMES` make a tagger, fewer a classifier.
pub(super) fn write(folder: &Path, labels: &[&str]) {
    write_with(folder, labels, |_| {});
}

pub(super) fn write_with(folder: &Path, labels: &[&str], change: impl FnOnce(&mut Tensors)) {
    let mut tensors = weights(labels.len());
    change(&mut tensors);
    fs::write(folder.join("config.json"), config(labels).to_string()).unwrap();
    fs::write(folder.join("tokenizer.json"), tokenizer().to_string()).unwrap();
    fs::write(folder.join("model.safetensors"), safetensors(&tensors)).unwrap();
}

/// Makes a graph of a tagger's weights, with the numbers in files beside it, as large models are exported.
pub(super) fn export(folder: &Path) {
    let config_path = folder.join("config.json");
    let config = Config::parse(&config_path, &fs::read(&config_path).unwrap()).unwrap();
    let weights = folder.join("model.safetensors");
    let graph =
        encoder::build(&config_path, &config, &weights, Head::Tokens { labels: NAMES.len() }).unwrap();
    let (message, numbers) = graph.finish();
    fs::write(folder.join("model.onnx"), message).unwrap();
    for (name, bytes) in numbers {
        fs::write(folder.join(name), bytes).unwrap();
    }
    fs::remove_file(weights).unwrap();
}

pub(super) const NAMES: [&str; 5] = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"];
