//! Teaches and validates the injection model: `injection (card|train|check|rows) --data DIR [--file FILE]`.
//!
//! `DIR` holds the development sets as JSON lines, plain or gzipped. `card` prints what held-out folds say, or writes it to
//! FILE: grouped (no fold has a near-duplicate in another), by source (nothing of the source was learnt from), and with
//! attacks alone left out by source; and attacks under encodings in which nothing was taught. `rows` prints the judged rows with
//! their score when their source is left out. `check` compares with the card in FILE and fails on a drop. `train` writes the weights,
//! calibrated on the grouped folds.

mod authored;
mod data;
mod encode;
mod validate;

use std::path::PathBuf;

use gauntlet_guard::injection::{Reader, train::Recipe};
use serde_json::Value;

const USAGE: &str = "usage: injection (card|train|check|rows) --data DIR [--file FILE]";
/// What a figure may lose before `check` fails: less than what a change of seed does.
const DROP_MAX: f64 = 0.02;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let command = args.next().ok_or(USAGE)?;
    let (mut dir, mut file, mut recipe) = (None, None, Recipe::default());
    while let Some(flag) = args.next() {
        let value = args.next().ok_or_else(|| format!("{flag} wants a value"))?;
        match flag.as_str() {
            "--data" => dir = Some(PathBuf::from(value)),
            "--file" => file = Some(PathBuf::from(value)),
            // To try other recipes; what is shipped is the default.
            "--epochs" => recipe.epochs = value.parse()?,
            "--rate" => recipe.rate = value.parse()?,
            "--ridge" => recipe.ridge = value.parse()?,
            "--seed" => recipe.seed = value.parse()?,
            _ => return Err(format!("unknown flag {flag}").into()),
        }
    }
    let set = data::read(&dir.ok_or(USAGE)?, &Reader::new())?;
    println!("{} rows, {} groups of near-duplicates", set.rows.len(), set.groups());
    match (command.as_str(), file) {
        ("rows", None) => validate::rows(&set, &recipe),
        ("card", None) => println!("{:#}", validate::card(&set, &recipe)),
        ("card", Some(file)) => std::fs::write(file, format!("{:#}\n", validate::card(&set, &recipe)))?,
        ("train", Some(file)) => std::fs::write(file, validate::fit(&set, &recipe).to_bytes())?,
        ("check", Some(file)) => {
            let committed: Value = serde_json::from_str(&std::fs::read_to_string(file)?)?;
            let dropped = compare(&committed, &validate::card(&set, &recipe));
            if !dropped.is_empty() {
                return Err(format!("the card shows a drop: {}", dropped.join(", ")).into());
            }
        }
        _ => return Err(USAGE.into()),
    }
    Ok(())
}

/// The figures of the headline that fell.
fn compare(committed: &Value, now: &Value) -> Vec<String> {
    ["grouped_5_fold", "leave_one_source_out", "attack_source_unseen", "encodings_not_taught"]
        .iter()
        .flat_map(|part| ["/auc", "/recall/at_1", "/recall/at_5"].map(|figure| format!("/{part}{figure}")))
        .filter_map(|path| {
            let (before, after) = (committed.pointer(&path)?.as_f64()?, now.pointer(&path)?.as_f64()?);
            (after < before - DROP_MAX).then(|| format!("{path} from {before} to {after}"))
        })
        .collect()
}
