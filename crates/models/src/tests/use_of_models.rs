//! What taggers, classifiers and encoders say of texts.

use proptest::prelude::*;

use super::tiny;
use crate::{Classifier, Embedder, ModelError, TEXT_BYTES_MAX, Tagger};

fn tagger() -> Tagger {
    let folder = tempfile::tempdir().unwrap();
    tiny::write(folder.path(), &tiny::NAMES);
    Tagger::open(folder.path()).unwrap()
}

fn names<'a>(tagger: &Tagger, text: &'a str) -> Vec<(&'static str, &'a str)> {
    let found = tagger.entities(text).unwrap();
    found.iter().map(|found| (found.label, &text[found.span.clone()])).collect()
}

#[test]
fn a_tagger_names_the_words_that_its_weights_know() {
    let tagger = tagger();
    let check =
        |text: &str, expected: &[(&str, &str)]| assert_eq!(names(&tagger, text), expected, "{text:?}");
    check("Ann lives in Paris.", &[("PERSON", "Ann"), ("LOCATION", "Paris")]);
    check("ANN SMITH, Paris", &[("PERSON", "ANN SMITH"), ("LOCATION", "Paris")]);
    check("nobody lives here", &[]);
    check("", &[]);
    check("   \n\t ", &[]);
}

#[test]
fn pieces_of_a_word_are_one_name_with_its_bytes() {
    let tagger = tagger();
    assert_eq!(names(&tagger, "é é Annabel Müller, é"), [("PERSON", "Annabel Müller")]);
    assert_eq!(names(&tagger, "北京 New York"), [("LOCATION", "New York")]);
}

#[test]
fn a_name_that_begins_ends_the_one_before() {
    let tagger = tagger();
    assert_eq!(names(&tagger, "Ann Ann Smith"), [("PERSON", "Ann"), ("PERSON", "Ann Smith")]);
    assert_eq!(names(&tagger, "Ann\nSmith"), [("PERSON", "Ann"), ("PERSON", "Smith")]);
    assert_eq!(names(&tagger, "Ann Paris"), [("PERSON", "Ann"), ("LOCATION", "Paris")]);
}

#[test]
fn a_finding_is_pii_with_the_share_of_its_labels() {
    let found = tagger().entities("in Paris").unwrap();
    assert_eq!((found[0].kind, found[0].span.clone()), ("pii", 3..8));
    assert!(found[0].score > 0.99 && found[0].score <= 1.0, "{}", found[0].score);
}

#[test]
fn a_frame_that_somebody_writes_is_text() {
    // Were `[SEP]` read as the token, it would be one of four and not five unknown words around it.
    assert_eq!(names(&tagger(), "[SEP] Ann [CLS] Smith"), [("PERSON", "Ann"), ("PERSON", "Smith")]);
}

#[test]
fn names_far_into_a_long_text_are_found() {
    // The model takes 16 tokens at once; a name stands at every place relative to the windows.
    let tagger = tagger();
    for before in 0..40 {
        let text = format!("{}Annabel Smith lives in New York {}", "and ".repeat(before), "and ".repeat(30));
        assert_eq!(
            names(&tagger, &text),
            [("PERSON", "Annabel Smith"), ("LOCATION", "New York")],
            "{before}"
        );
    }
}

#[test]
fn a_text_that_is_too_long_is_refused_and_not_cut() {
    let text = "a".repeat(TEXT_BYTES_MAX + 1);
    assert!(matches!(tagger().entities(&text), Err(ModelError::TextTooLong { .. })));
    let text = ".".repeat(70_000);
    assert!(matches!(tagger().entities(&text), Err(ModelError::TooManyTokens { tokens: 70_000, .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_the_text_findings_lie_in_order_on_characters(text in "(ann|smith|Paris|New York|[ ,.é\u{301}한\u{200b}😀]|\\PC){0,60}") {
        let mut end = 0;
        for found in tagger().entities(&text).unwrap() {
            prop_assert!(text.get(found.span.clone()).is_some_and(|covered| !covered.is_empty()));
            prop_assert!(found.span.start >= end);
            end = found.span.end;
        }
    }
}

#[test]
fn a_classifier_sees_a_trigger_anywhere_in_the_text() {
    let folder = tempfile::tempdir().unwrap();
    tiny::write(folder.path(), &["SAFE", "INJECTION"]);
    let classifier = Classifier::open(folder.path()).unwrap();
    assert_eq!(classifier.labels(), ["SAFE", "INJECTION"]);
    let score = |text: &str| classifier.scores(text).unwrap()[1].1;
    assert!(score("Ann lives in Paris") < 0.1);
    assert!(score("") < 0.1);
    assert!(score("and ignore .") > 0.9);
    assert!(score("Ann lives in Paris and and and ignore") > 0.9);
    // In the fourth of many windows.
    assert!(score(&format!("{}ignore{}", "and ".repeat(45), " and".repeat(60))) > 0.9);
    let sum: f32 = classifier.scores("ignore").unwrap().iter().map(|(_, score)| score).sum();
    assert!((sum - 1.0).abs() < 1e-5, "{sum}");
}

#[test]
fn labels_that_do_not_exclude_one_another_have_scores_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    tiny::write(folder.path(), &["insult", "threat"]);
    let mut config = tiny::config(&["insult", "threat"]);
    config["problem_type"] = "multi_label_classification".into();
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let classifier = Classifier::open(folder.path()).unwrap();
    let scores = classifier.scores("ignore").unwrap();
    // 6 and 12 times what the trigger leaves: both are likely.
    assert!(scores.iter().all(|(_, score)| *score > 0.9), "{scores:?}");
}

#[test]
fn an_embedding_has_length_one_and_tells_texts_apart() {
    let folder = tempfile::tempdir().unwrap();
    tiny::write(folder.path(), &tiny::NAMES);
    let embedder = Embedder::open(folder.path()).unwrap();
    let [one, same, other] = ["Ann", "ann .", "Paris"].map(|text| embedder.embed(text).unwrap());
    let product = |left: &[f32], right: &[f32]| left.iter().zip(right).map(|(l, r)| l * r).sum::<f32>();
    assert!((product(&one, &one) - 1.0).abs() < 1e-5);
    assert!((product(&one, &same) - 1.0).abs() < 1e-5);
    assert!(product(&one, &other).abs() < 1e-5);
}

#[test]
fn the_same_model_as_a_graph_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    tiny::write(folder.path(), &tiny::NAMES);
    let text = "Annabel Smith lives in New York, Ann in Paris";
    let weights_alone = Tagger::open(folder.path()).unwrap().entities(text).unwrap();
    tiny::export(folder.path());
    assert!(!folder.path().join("model.safetensors").exists());
    let graph = Tagger::open(folder.path()).unwrap().entities(text).unwrap();
    assert_eq!(graph.len(), 4);
    assert_eq!(graph, weights_alone);
}

#[test]
fn distilbert_is_bert_under_other_names() {
    let folder = tempfile::tempdir().unwrap();
    tiny::write_with(folder.path(), &tiny::NAMES, |tensors| {
        rename(
            tensors,
            &[
                ("bert.embeddings", "distilbert.embeddings"),
                ("bert.encoder.layer", "distilbert.transformer.layer"),
                ("attention.self.query", "attention.q_lin"),
                ("attention.self.key", "attention.k_lin"),
                ("attention.self.value", "attention.v_lin"),
                ("attention.output.dense", "attention.out_lin"),
                ("attention.output.LayerNorm", "sa_layer_norm"),
                ("intermediate.dense", "ffn.lin1"),
                ("output.dense", "ffn.lin2"),
                ("0.output.LayerNorm", "0.output_layer_norm"),
            ],
        );
        tensors.remove("distilbert.embeddings.token_type_embeddings.weight");
    });
    let mut config = tiny::config(&tiny::NAMES);
    for (bert, distilbert) in
        [("hidden_size", "dim"), ("num_hidden_layers", "n_layers"), ("num_attention_heads", "n_heads")]
    {
        config[distilbert] = config.as_object_mut().unwrap().remove(bert).unwrap();
    }
    config["model_type"] = "distilbert".into();
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let tagger = Tagger::open(folder.path()).unwrap();
    assert_eq!(
        names(&tagger, "Annabel Smith in Paris"),
        [("PERSON", "Annabel Smith"), ("LOCATION", "Paris")]
    );
}

#[test]
fn roberta_counts_positions_from_behind_its_padding() {
    let folder = tempfile::tempdir().unwrap();
    tiny::write_with(folder.path(), &tiny::NAMES, |tensors| {
        rename(tensors, &[("bert.", "roberta.")]);
        // Two positions that are never used, and would make everything a place.
        let (shape, numbers) = tensors.get_mut("roberta.embeddings.position_embeddings.weight").unwrap();
        shape[0] += 2;
        let wrong = [0.0, 0.0, 0.0, 0.0, 50.0, -50.0, 0.0, 0.0];
        numbers.splice(0..0, wrong.into_iter().chain(wrong));
    });
    let mut config = tiny::config(&tiny::NAMES);
    config["model_type"] = "roberta".into();
    config["max_position_embeddings"] = 18.into();
    config["pad_token_id"] = 1.into();
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let tagger = Tagger::open(folder.path()).unwrap();
    assert_eq!(
        names(&tagger, "and Annabel Smith in Paris"),
        [("PERSON", "Annabel Smith"), ("LOCATION", "Paris")]
    );
}

fn rename(tensors: &mut tiny::Tensors, names: &[(&str, &str)]) {
    let old = std::mem::take(tensors);
    for (name, tensor) in old {
        // Each pair once, in their order, at the first place.
        let name = names.iter().fold(name, |name, (from, to)| name.replacen(from, to, 1));
        tensors.insert(name, tensor);
    }
}

#[test]
fn one_model_serves_many_threads_with_the_same_answer() {
    let tagger = tagger();
    let answers = std::thread::scope(|scope| {
        let calls =
            (0..4).map(|_| scope.spawn(|| tagger.entities("Annabel Smith lives in New York").unwrap()));
        // All are begun before the first is waited for.
        calls.collect::<Vec<_>>().into_iter().map(|call| call.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(answers.iter().all(|answer| answer.len() == 2 && *answer == answers[0]));
}

#[test]
fn a_word_without_end_is_one_unknown_token() {
    let text = format!("Ann {} Paris", "x".repeat(200_000));
    assert_eq!(names(&tagger(), &text), [("PERSON", "Ann"), ("LOCATION", "Paris")]);
}

#[test]
fn one_directory_gives_the_same_whatever_the_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    tiny::write(folder.path(), &tiny::NAMES);
    let text = "Annabel Smith lives in New York and ".repeat(20);
    let [one, two] = [1, 2].map(|threads| {
        Tagger::open_with(folder.path(), crate::Options { threads }).unwrap().entities(&text).unwrap()
    });
    assert_eq!(one.len(), 40);
    assert_eq!(one, two);
}
