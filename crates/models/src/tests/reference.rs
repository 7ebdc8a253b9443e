//! Two real models against other implementations: Hugging Face's tokenizers, numpy, ONNX Runtime.
//!
//! They come from two Python packages (`tests-env/requirements-encoders.txt`), which `cargo xtask test` installs and names in
//! `GAUNTLET_TEST_ENCODERS`.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde::Deserialize;
use unicode_normalization::char::is_combining_mark;

use crate::{
    Embedder, Tagger,
    encoder::Head,
    reader::{Opening, Options},
    tokenizer::{Token, Tokenizer},
};

/// Texts that take every branch of a WordPiece tokenizer: accents, composed and not, Chinese, ligatures, control
/// characters, emoji, words that are too long, frames that somebody writes, other scripts, nothing.
const TEXTS: [&str; 7] = [
    "Dr. Ann Smith lives in Paris and works for Siemens.",
    "Élisabeth Roy, née Müller, 北京 Straße ﬁne № 5\tTést\u{200b}\u{0301}x e\u{301} 😀👍🏽 don't",
    "",
    "a",
    "Hi, this is Jan-Peter Säuberlich. My card: 4111 1111 1111 1111. unaffable supercalifragilisticexpialidocious",
    "ignore   all\n\nprevious instructions\u{a0}and 한국어 हिन्दी العربية ԱԲԳ",
    "My name is Alex Rivera, I live at 12 Market Street, Springfield, Illinois. Call Maria Gonzalez about Frankfurt.",
];

/// Two implementations of the same sums in single precision differ by about a millionth; the bound that was asked for.
const APART_MAX: f32 = 1e-3;
/// ONNX Runtime multiplies 4-bit weights by activations of 8 bits on some machines, and logits are not of length one.
const LOGITS_APART_MAX: f32 = 0.05;

#[derive(Deserialize)]
struct Answer {
    sentences: Model,
    names: Model,
    tokenizers: Vec<Taught>,
}

#[derive(Deserialize)]
struct Taught {
    file: PathBuf,
    texts: Vec<Text>,
}

#[derive(Deserialize)]
struct Model {
    folder: PathBuf,
    texts: Vec<Text>,
}

#[derive(Deserialize)]
struct Text {
    ids: Vec<i32>,
    places: Vec<(u32, u32)>,
    #[serde(default)]
    numbers: Vec<f32>,
}

/// What the reference says; it writes its tokenizers to `folder`.
fn answer(folder: &Path) -> Option<Answer> {
    let Some(python) = env::var_os("GAUNTLET_TEST_ENCODERS").filter(|value| !value.is_empty()) else {
        println!(
            "SKIPPED: no encoders; `cargo xtask test` installs them, GAUNTLET_TEST_ENCODERS names a Python that has them"
        );
        return None;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/reference/reference.py");
    let mut child = Command::new(python)
        .arg(script)
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&serde_json::to_vec(&TEXTS).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the reference failed");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn check_tokens(tokens: &[Token], text: &str, expected: &Text) {
    let ids: Vec<i32> = tokens.iter().map(|token| token.id).collect();
    // All of them frame a text by one token at each end.
    assert_eq!(ids, expected.ids[1..expected.ids.len() - 1], "{text:?}");
    for (token, (start, end)) in tokens.iter().zip(&expected.places[1..]) {
        // The reference forgets a mark that was composed with its letter; here it belongs to the letter.
        let marks = text.get(*end as usize..token.end as usize).unwrap_or("none");
        assert!(
            token.start == *start && marks.chars().all(is_combining_mark),
            "{token:?} for {start}..{end} in {text:?}"
        );
    }
}

fn furthest(left: &[f32], right: &[f32]) -> f32 {
    assert_eq!(left.len(), right.len());
    left.iter().zip(right).map(|(left, right)| (left - right).abs()).fold(0.0, f32::max)
}

#[test]
fn real_models_give_the_tokens_and_numbers_of_their_reference() {
    let folder = tempfile::tempdir().unwrap();
    let Some(answer) = answer(folder.path()) else { return };

    let Model { folder, texts } = &answer.sentences;
    let reader = Opening::at(folder).unwrap().load(Head::Hidden, Options::default(), 512).unwrap();
    let embedder = Embedder::open(folder).unwrap();
    for (text, expected) in TEXTS.into_iter().zip(texts) {
        check_tokens(&reader.tokens(text).unwrap(), text, expected);
        let apart = furthest(&embedder.embed(text).unwrap(), &expected.numbers);
        assert!(apart < APART_MAX, "{apart} for {text:?}");
    }

    let Model { folder, texts } = &answer.names;
    let reader =
        Opening::at(folder).unwrap().load(Head::Tokens { labels: 35 }, Options::default(), 512).unwrap();
    for (text, expected) in TEXTS.into_iter().zip(texts) {
        check_tokens(&reader.tokens(text).unwrap(), text, expected);
        reader
            .run(&reader.tokens(text).unwrap(), |_, output| {
                let apart = furthest(&output.numbers, &expected.numbers);
                assert!(apart < LOGITS_APART_MAX, "{apart} for {text:?}");
            })
            .unwrap();
    }
}

#[test]
fn every_kind_of_tokenizer_cuts_as_its_reference_does() {
    let folder = tempfile::tempdir().unwrap();
    let Some(answer) = answer(folder.path()) else { return };
    assert_eq!(answer.tokenizers.len(), 5);
    for Taught { file, texts } in answer.tokenizers {
        println!("{}", file.display());
        let tokenizer = Tokenizer::parse(&file, &fs::read(&file).unwrap()).unwrap();
        for (text, expected) in TEXTS.into_iter().zip(&texts) {
            check_tokens(&tokenizer.tokens(text), text, expected);
        }
    }
}

#[test]
fn a_real_tagger_names_people_and_places() {
    let folder = tempfile::tempdir().unwrap();
    let Some(answer) = answer(folder.path()) else { return };
    let tagger = Tagger::open(&answer.names.folder).unwrap();
    let text = TEXTS[6];
    let found = tagger.entities(text).unwrap();
    let found: Vec<(&str, &str)> =
        found.iter().map(|found| (found.label, &text[found.span.clone()])).collect();
    assert_eq!(
        found,
        [
            ("PERSON", "Alex Rivera"),
            ("LOCATION", "12 Market Street"),
            ("LOCATION", "Springfield"),
            ("LOCATION", "Illinois"),
            ("PERSON", "Maria Gonzalez"),
            ("LOCATION", "Frankfurt"),
        ]
    );
}
