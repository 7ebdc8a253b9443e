//! Two real models against other implementations: Hugging Face's tokenizers, numpy, ONNX Runtime.
//!
//! They come from two Python packages (`tests-env/requirements-encoders.txt`), which `cargo xtask test` installs and names in
//! `GAUNTLET_TEST_ENCODERS`.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use gauntlet_testkit::parts;
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

/// Sums in single precision against the same in double: some ten-millionths were seen. The vectors are of length one.
const APART_MAX: f32 = 1e-5;
/// Two runtimes in single precision; logits are some ten large, and a hundred-thousandth was seen.
const LOGITS_APART_MAX: f32 = 1e-3;

/// What the reference says of one model or tokenizer.
#[derive(Deserialize)]
struct Told {
    path: PathBuf,
    texts: Vec<Text>,
}

#[derive(Deserialize)]
struct Text {
    ids: Vec<i32>,
    places: Vec<(u32, u32)>,
    #[serde(default)]
    numbers: Vec<f32>,
}

/// Asks the reference for `what`; tokenizers are written to `folder`.
fn ask(what: &str, folder: &Path) -> Option<Vec<Told>> {
    let python = parts::encoders()?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/reference/reference.py");
    let mut command = Command::new(python);
    command.arg(script).arg(what).arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
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
fn an_encoder_of_sentences_gives_the_tokens_and_vectors_of_its_reference() {
    let Some(told) = ask("sentences", Path::new("")) else { return };
    let Told { path, texts } = &told[0];
    let reader = Opening::at(path).unwrap().load(Head::Hidden, Options::default(), 512).unwrap();
    let embedder = Embedder::open(path).unwrap();
    for (text, expected) in TEXTS.into_iter().zip(texts) {
        check_tokens(&reader.tokens(text).unwrap(), text, expected);
        let apart = furthest(&embedder.embed(text).unwrap(), &expected.numbers);
        assert!(apart < APART_MAX, "{apart} for {text:?}");
    }
}

#[test]
fn a_tagger_in_four_bits_gives_the_tokens_and_logits_of_its_reference_and_names_people_and_places() {
    let Some(told) = ask("names", Path::new("")) else { return };
    let Told { path, texts } = &told[0];
    let reader =
        Opening::at(path).unwrap().load(Head::Tokens { labels: 35 }, Options::default(), 512).unwrap();
    for (text, expected) in TEXTS.into_iter().zip(texts) {
        let tokens = reader.tokens(text).unwrap();
        check_tokens(&tokens, text, expected);
        reader
            .run(&tokens, |_, output| {
                let apart = furthest(&output.numbers, &expected.numbers);
                assert!(apart < LOGITS_APART_MAX, "{apart} for {text:?}");
            })
            .unwrap();
    }
    let text = TEXTS[6];
    let found = Tagger::open(path).unwrap().entities(text).unwrap();
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

#[test]
fn every_kind_of_tokenizer_cuts_as_its_reference_does() {
    let folder = tempfile::tempdir().unwrap();
    let Some(told) = ask("tokenizers", folder.path()) else { return };
    assert_eq!(told.len(), 5);
    for Told { path, texts } in told {
        println!("{}", path.display());
        let tokenizer = Tokenizer::parse(&path, &fs::read(&path).unwrap()).unwrap();
        for (text, expected) in TEXTS.into_iter().zip(&texts) {
            check_tokens(&tokenizer.tokens(text), text, expected);
        }
    }
}
