//! What the model does on rows that it did not learn from.

use std::collections::BTreeMap;

use gauntlet_guard::{
    injection::{
        Model,
        train::{Recipe, calibrate, train},
    },
    quality::ranked::{auc, cut as quantile, over},
};
use serde_json::{Value, json};

use crate::data::{Row, Set};

const FOLDS: usize = 5;
/// Sources with attacks or harmless rows that are judged.
#[rustfmt::skip]
const FAMILIES: [&str; 14] = [
    "s-labs", "hackaprompt", "neuralchemy", "multilingual", "wild", "sysprompt", "bastion", "piguard", "bipia",
    "wildguard", "xstest", "cse", "notinject", "own",
];

/// Scores of rows, each from a model that learnt without its fold.
type Scores = Vec<Option<f32>>;

fn held_out(set: &Set, recipe: &Recipe, folds: usize, fold: impl Fn(&Row) -> Option<usize>) -> Scores {
    let mut scores = vec![None; set.rows.len()];
    for out in 0..folds {
        let rest: Vec<_> = set
            .rows
            .iter()
            .filter(|row| fold(row) != Some(out) && row.weight > 0.0)
            .map(|row| (&row.bag, row.is_attack, row.weight))
            .collect();
        let weights = train(&rest, recipe);
        for (row, score) in set.rows.iter().zip(&mut scores) {
            if fold(row) == Some(out) {
                *score = Some(weights.score(&row.bag));
            }
        }
    }
    scores
}

/// Groups are dealt out by a hash of their number.
fn fold(row: &Row) -> usize {
    ((row.group as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as usize % FOLDS
}

fn grouped(set: &Set, recipe: &Recipe) -> Scores {
    held_out(set, recipe, FOLDS, |row| Some(fold(row)))
}

fn by_source(set: &Set, recipe: &Recipe) -> Scores {
    held_out(set, recipe, FAMILIES.len(), |row| FAMILIES.iter().position(|family| *family == row.family))
}

/// The three validations, as the quality card has them.
pub fn card(set: &Set, recipe: &Recipe) -> Value {
    let grouped = grouped(set, recipe);
    let weights = learn(set, recipe, &grouped).to_bytes();
    json!({
        "what": "injection model, figures on rows that were not learnt from; development set only",
        "learnt_from": &set.hash.to_hex()[..32],
        "weights": &*blake3::hash(&weights).to_hex(),
        "grouped_5_fold": report(set, &grouped),
        "encodings_not_taught": encodings(set, &grouped),
        "leave_one_source_out": report(set, &by_source(set, recipe)),
        "attack_source_unseen": attacks_unseen(set, recipe),
    })
}

fn judged<'s>(set: &'s Set, scores: &'s Scores) -> impl Iterator<Item = (&'s Row, f32)> {
    set.rows
        .iter()
        .zip(scores)
        .filter(|(row, _)| row.is_judged)
        .filter_map(|(row, score)| Some((row, (*score)?)))
}

/// The sum that this share of harmless judged rows passes.
fn cut(set: &Set, scores: &Scores, share: f64) -> f32 {
    let others = judged(set, scores).filter(|(row, _)| !row.is_attack).map(|(_, score)| score);
    quantile(others.collect(), share)
}

fn rounded(share: f64) -> f64 {
    (share * 1e4).round() / 1e4
}

fn report(set: &Set, scores: &Scores) -> Value {
    let (one, five) = (cut(set, scores, 0.01), cut(set, scores, 0.05));
    let mut slices: BTreeMap<(bool, &str), Vec<f32>> = BTreeMap::new();
    let mut ranked = Vec::new();
    let mut attacks = Vec::new();
    for (row, score) in judged(set, scores) {
        slices.entry((row.is_attack, &row.slice)).or_default().push(score);
        ranked.push((score, row.is_attack));
        attacks.extend(row.is_attack.then_some(score));
    }
    let of = |wanted: &dyn Fn(&Row) -> bool| -> Vec<f32> {
        set.rows.iter().zip(scores).filter(|(row, _)| wanted(row)).filter_map(|(_, score)| *score).collect()
    };
    let table = |is_attack: bool| -> Value {
        let rows = slices.iter().filter(|(key, _)| key.0 == is_attack);
        rows.map(|((_, slice), all)| {
            ((*slice).to_owned(), json!({"rows": all.len(), "at_1": over(all, one), "at_5": over(all, five)}))
        })
        .collect::<serde_json::Map<_, _>>()
        .into()
    };
    let clean = of(&|row| row.is_clean);
    let told = of(&|row| row.slice == "mention");
    let pool = of(&|row| row.family == "multilingual");
    json!({
        "auc": rounded(auc(&mut ranked)),
        "recall": {"at_1": over(&attacks, one), "at_5": over(&attacks, five)},
        "clean_text_flagged": {"at_1": over(&clean, one), "at_5": over(&clean, five)},
        "mentions_flagged": {"at_1": over(&told, one), "at_5": over(&told, five)},
        "multilingual_pool_recall": {"at_1": over(&pool, one), "at_5": over(&pool, five)},
        "attacks": table(true),
        "harmless": table(false),
    })
}

/// Encodings in which nothing was taught, made of rows of the held-out fold: attacks found, and harmless rows flagged.
fn encodings(set: &Set, scores: &Scores) -> Value {
    let (one, two) = (cut(set, scores, 0.01), cut(set, scores, 0.02));
    let mut by_name: BTreeMap<&str, [Vec<f32>; 2]> = BTreeMap::new();
    for (row, score) in set.rows.iter().zip(scores) {
        if let (Some(name), Some(score)) = (row.encoding, score) {
            by_name.entry(name).or_default()[usize::from(row.is_attack)].push(*score);
        }
    }
    let all = |label: usize| by_name.values().flat_map(|both| both[label].clone()).collect::<Vec<f32>>();
    let table: serde_json::Map<_, _> = by_name
        .iter()
        .map(|(name, [harmless, attacks])| {
            let value =
                json!({"rows": attacks.len(), "recall": over(attacks, one), "flagged": over(harmless, one)});
            ((*name).to_owned(), value)
        })
        .collect();
    json!({
        "recall": {"at_1": over(&all(1), one), "at_2": over(&all(1), two)},
        "harmless_flagged": {"at_1": over(&all(0), one), "at_2": over(&all(0), two)},
        "by_encoding": table,
    })
}

/// Prints the rows of the sources left out, worst first of each label: what to look at next.
pub fn rows(set: &Set, recipe: &Recipe) {
    let scores = by_source(set, recipe);
    let mut all: Vec<_> = judged(set, &scores).collect();
    all.sort_by(|a, b| a.1.total_cmp(&b.1));
    for (row, score) in all {
        let text: String = row.text.chars().take(300).collect();
        println!("{}", json!({"score": score, "attack": row.is_attack, "slice": row.slice, "text": text}));
    }
}

/// Recall on attacks of a source that nothing was learnt from, at a cut that harmless rows of held-out folds set. The
/// nearest to new attacks among known kinds of traffic.
fn attacks_unseen(set: &Set, recipe: &Recipe) -> Value {
    let (mut hits, mut all) = ([0.0; 2], 0.0);
    let mut table = serde_json::Map::new();
    for family in FAMILIES {
        let of_family =
            |row: &Row| row.family == family && row.is_attack && (row.is_judged || family == "multilingual");
        let count = set.rows.iter().filter(|row| of_family(row)).count();
        if count == 0 {
            continue;
        }
        let (mut others, mut attacks) = (Vec::new(), Vec::new());
        for out in 0..FOLDS {
            let is_out = |row: &Row| fold(row) == out && !row.is_attack && row.is_judged;
            let is_left =
                |row: &&Row| !(is_out(row) || row.is_attack && row.family == family || row.weight == 0.0);
            let rest = set.rows.iter().filter(is_left).map(|row| (&row.bag, row.is_attack, row.weight));
            let weights = train(&rest.collect::<Vec<_>>(), recipe);
            others.extend(set.rows.iter().filter(|row| is_out(row)).map(|row| weights.score(&row.bag)));
            attacks.extend(set.rows.iter().filter(|row| of_family(row)).map(|row| weights.score(&row.bag)));
        }
        let one = over(&attacks, quantile(others.clone(), 0.01));
        let five = over(&attacks, quantile(others, 0.05));
        table.insert(family.to_owned(), json!({"rows": count, "at_1": one, "at_5": five}));
        if family != "multilingual" {
            hits[0] += one * count as f64;
            hits[1] += five * count as f64;
            all += count as f64;
        }
    }
    json!({"recall": {"at_1": rounded(hits[0] / all), "at_5": rounded(hits[1] / all)}, "attacks": table})
}

/// Shares of harmless rows of the development set that may be flagged when a user wrote them, and when a tool did.
const FLAGGED_USER: f64 = 0.01;
const FLAGGED_UNTRUSTED: f64 = 0.03;

/// Learns from everything; calibration and thresholds are those of the grouped folds.
pub fn fit(set: &Set, recipe: &Recipe) -> Model {
    learn(set, recipe, &grouped(set, recipe))
}

fn learn(set: &Set, recipe: &Recipe, scores: &Scores) -> Model {
    let sums: Vec<(f32, bool)> = judged(set, scores).map(|(row, score)| (score, row.is_attack)).collect();
    let rows = set.rows.iter().filter(|row| row.weight > 0.0);
    let all: Vec<_> = rows.map(|row| (&row.bag, row.is_attack, row.weight)).collect();
    let weights = train(&all, recipe);
    let mut taught = [0; 16];
    taught.copy_from_slice(&set.hash.as_bytes()[..16]);
    let cuts = (cut(set, scores, FLAGGED_USER), cut(set, scores, FLAGGED_UNTRUSTED));
    weights.quantise(calibrate(&sums), cuts, taught)
}
