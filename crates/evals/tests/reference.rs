//! BLEU, GLEU, ROUGE and edit distance give the figures of the packages that they are named after, on published examples and
//! on 1,500 random pairs (`reference.py`). The packages are pinned in `tests-env/requirements-scores.txt`.

use std::process::Command;

use gauntlet_evals::score::{Bleu, Rouge, Smoothing, edit_distance, gleu, rouge, similarity};
use gauntlet_testkit::parts;
use serde_json::Value;

/// Sums in another order, nothing more.
const TOLERANCE: f64 = 1e-9;

#[test]
fn scores_are_those_of_the_reference_packages() {
    let Some(python) = parts::scores() else { return };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference.py");
    let told = Command::new(python).arg(script).output().expect("the reference runs");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let bleu = |smoothing| Bleu::new(smoothing, false);
    let bleus = [
        ("bleu exp", bleu(Smoothing::Exp)),
        ("bleu floor", bleu(Smoothing::Floor(0.1))),
        ("bleu add-k", bleu(Smoothing::AddK(1.0))),
        ("bleu none", bleu(Smoothing::None)),
        ("bleu lower", Bleu::new(Smoothing::Exp, true)),
    ];
    let (mut pairs, mut worst) = (0, 0.0_f64);
    for line in String::from_utf8(told.stdout).unwrap().lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let answer = row["answer"].as_str().unwrap();
        let references: Vec<&str> =
            row["references"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
        let first = references[0];
        let mut check = |name: &str, got: f64| {
            let wanted = row["scores"][name].as_f64().unwrap();
            worst = worst.max((got - wanted).abs());
            assert!(
                (got - wanted).abs() <= TOLERANCE,
                "{name}: {got} for {wanted}: {answer:?} {references:?}"
            );
        };
        for (name, bleu) in &bleus {
            check(name, bleu.score(answer, &references));
        }
        check("gleu", gleu(answer, &references));
        check("rouge1", rouge(Rouge::One, answer, first));
        check("rouge2", rouge(Rouge::Two, answer, first));
        check("rougeL", rouge(Rouge::L, answer, first));
        check("distance", edit_distance(answer, first) as f64);
        check("similarity", similarity(answer, first));
        pairs += 1;
    }
    assert!(pairs > 1_500, "{pairs}");
    println!("{pairs} pairs, 11 scores each, largest difference {worst:e}");
}
