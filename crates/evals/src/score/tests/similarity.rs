//! Published examples of BLEU, ROUGE and edit distance, and embeddings that are asked for once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use gauntlet_types::NanoUsd;
use proptest::prelude::*;

use super::*;

#[test]
fn published_figures_come_out() {
    let near = |got: f64, wanted: f64, what: &str| {
        assert!((got - wanted).abs() < 1e-9, "{what}: {got} for {wanted}")
    };
    // Levenshtein 1966's usual examples.
    for (a, b, wanted) in
        [("kitten", "sitting", 3), ("saturday", "sunday", 3), ("", "abc", 3), ("été", "ete", 2)]
    {
        assert_eq!(edit_distance(a, b), wanted, "{a} {b}");
        assert_eq!(edit_distance(b, a), wanted);
    }
    near(similarity("kitten", "sitting"), 4.0 / 7.0, "similarity");
    // Lin 2004, section 3.1: S1 against S2 and S3 by the longest common subsequence.
    near(rouge(Rouge::L, "police kill the gunman", "police killed the gunman"), 0.75, "rouge-l");
    near(rouge(Rouge::L, "the gunman kill police", "police killed the gunman"), 0.5, "rouge-l");
    // The README of rouge-score: precision and recall of ROUGE-1 are 6/8 and 6/9, of ROUGE-L 5/8 and 5/9.
    let (target, prediction) =
        ("The quick brown fox jumps over the lazy dog", "The quick brown dog jumps on the log.");
    near(rouge(Rouge::One, prediction, target), 12.0 / 17.0, "rouge-1");
    near(rouge(Rouge::L, prediction, target), 10.0 / 17.0, "rouge-l");
    // Papineni et al. 2002, example 1, candidate 1: 17 of 18 unigrams, 10 of 17 bigrams, 7 of 16, 4 of 15.
    let references = [
        "It is a guide to action that ensures that the military will forever heed Party commands",
        "It is the guiding principle which guarantees the military forces always being under the command of the Party",
        "It is the practical guide for the army always to heed the directions of the party",
    ];
    let candidate =
        "It is a guide to action which ensures that the military always obeys the commands of the party";
    let wanted = (17.0 / 18.0 * 10.0 / 17.0 * 7.0 / 16.0 * 4.0 / 15.0_f64).powf(0.25);
    near(Bleu::new(Smoothing::Exp, false).score(candidate, &references), wanted, "bleu");
    // The same paper's example 2: clipped, 2 of 7 unigrams.
    let the = "the the the the the the the";
    let clipped = Bleu::new(Smoothing::None, true).score(the, &["The cat is on the mat."]);
    near(clipped, 0.0, "clipped");
    assert_eq!(gleu("the cat", &["the cat"]), 1.0);
}

proptest! {
    #[test]
    fn a_text_is_most_like_itself_and_no_score_leaves_its_range(a in "[a-c ,.&\\-]{0,40}", b in "[a-c ,.&\\-]{0,40}") {
        let bleu = Bleu::new(Smoothing::Exp, false);
        for (score, own) in [
            (similarity(&a, &b), similarity(&a, &a)),
            (rouge(Rouge::One, &a, &b), 1.0),
            (rouge(Rouge::Two, &a, &b), 1.0),
            (rouge(Rouge::L, &a, &b), 1.0),
            (bleu.score(&a, &[&b]), 1.0),
            (gleu(&a, &[&b]), 1.0),
        ] {
            prop_assert!((0.0..=1.0 + 1e-9).contains(&score) && score <= own + 1e-9, "{score} {own}");
        }
        prop_assert_eq!(edit_distance(&a, &b), edit_distance(&b, &a));
    }
}

/// Counts letters as a vector, and the calls that are made.
#[derive(Default)]
struct Letters {
    asked: Mutex<Vec<Vec<String>>>,
    kept: Mutex<HashMap<JudgeKey, Judged>>,
    refuses: bool,
}

impl Runner for Letters {
    fn ask(&self, ask: Ask) -> BoxFuture<'_, Result<Told, RunnerError>> {
        let texts: Vec<String> = ask.body["input"]
            .as_array()
            .unwrap()
            .iter()
            .map(|text| text.as_str().unwrap().to_owned())
            .collect();
        self.asked.lock().unwrap().push(texts.clone());
        let count = |text: &String, c: char| text.matches(c).count() as f64;
        let mut data: Vec<Value> = (texts.iter().enumerate())
            .map(|(at, text)| json!({"index": at, "embedding": [count(text, 'a'), count(text, 'b')]}))
            .collect();
        // Providers do not promise an order.
        data.reverse();
        let mut told = Told { cost: NanoUsd(100), ..told(json!({"data": data})) };
        if self.refuses {
            told.status = 429;
            told.body = json!({"error": {"code": "budget_exceeded"}});
        }
        Box::pin(async move { Ok(told) })
    }
}

impl JudgeCache for Letters {
    fn get<'a>(&'a self, key: &'a JudgeKey) -> BoxFuture<'a, Option<Judged>> {
        Box::pin(async move { self.kept.lock().unwrap().get(key).cloned() })
    }

    fn put(&self, judged: Judged) -> BoxFuture<'_, ()> {
        self.kept.lock().unwrap().insert(judged.key.clone(), judged);
        Box::pin(async {})
    }
}

fn ask(letters: &Letters, options: Value, expected: Value, text: &str) -> Scored {
    let (scorer, case, told) = (scorer("similar", options), case(expected), said(text));
    let asker = Asker {
        runner: letters,
        cache: letters,
        eval_id: "e".into(),
        app_sha: None,
        forms: Arc::default(),
        waits: Arc::default(),
    };
    let seen = Seen { case: &case, text, told: &told, output_hash: "h" };
    scorer.score(&seen, &asker).now_or_never().unwrap()
}

#[test]
fn a_text_is_embedded_once_and_a_rerun_asks_for_none() {
    let letters = Letters::default();
    let model = || json!({"model": "openai/e", "threshold": 0.7});
    let first = ask(&letters, model(), json!(["bbb", "ab"]), "a");
    assert!((first.score.value.unwrap() - 0.5_f64.sqrt()).abs() < 1e-12, "{first:?}");
    assert_eq!((first.calls, first.cached, first.cost, first.score.passed), (1, 0, NanoUsd(100), Some(true)));
    let again = ask(&letters, model(), json!(["bbb", "ab"]), "a");
    assert_eq!((again.calls, again.cached, again.cost), (0, 3, NanoUsd(0)));
    assert_eq!(again.score, first.score);
    let other = ask(&letters, model(), json!("ab"), "aa");
    assert_eq!((other.calls, other.cached), (1, 1));
    assert_eq!(*letters.asked.lock().unwrap(), [vec!["a", "bbb", "ab"], vec!["aa"]]);
    let far = ask(&letters, json!({"model": "openai/e", "by": "euclidean"}), json!("ab"), "aab");
    assert_eq!(far.score.value, Some(1.0));
}

#[test]
fn an_embedding_that_is_refused_leaves_the_answer_unscored() {
    let letters = Letters { refuses: true, ..Letters::default() };
    let refused = ask(&letters, json!({"model": "openai/e"}), json!("ab"), "a");
    assert_eq!(refused.score.value, None);
    assert!(refused.score.reason.unwrap().contains("budget_exceeded"));
    let without = ask(&Letters::default(), json!({"model": "openai/e"}), json!("zz"), "a");
    assert!(without.score.value.is_none(), "a vector without direction has no cosine");
}
