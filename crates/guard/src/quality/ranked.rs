//! How well the score of injection tells attacks from harmless text.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Row, rounded};
use crate::{Scanner, Trust};

/// Shares of harmless rows that are flagged where recall is read.
pub const SHARES: [(&str, f64); 2] = [("at_1", 0.01), ("at_5", 0.05)];

/// The chance that an attack scores above a harmless row; an attack that scores the same counts as below.
pub fn auc(ranked: &mut [(f32, bool)]) -> f64 {
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
    let (mut below, mut sum, mut attacks) = (0.0, 0.0, 0.0);
    for (_, is_attack) in ranked.iter() {
        if *is_attack {
            sum += below;
            attacks += 1.0;
        } else {
            below += 1.0;
        }
    }
    if below * attacks == 0.0 { 0.0 } else { sum / (below * attacks) }
}

/// The score that this share of harmless rows passes; 1 without any, which nothing passes.
pub fn cut(mut others: Vec<f32>, share: f64) -> f32 {
    others.sort_by(|a, b| b.total_cmp(a));
    others.get((others.len() as f64 * share) as usize).copied().unwrap_or(1.0)
}

/// The share of scores over a cut.
pub fn over(all: &[f32], cut: f32) -> f64 {
    rounded(all.iter().filter(|score| **score > cut).count() as f64 / all.len().max(1) as f64)
}

fn reached(all: &[f32], threshold: f32) -> f64 {
    rounded(all.iter().filter(|score| **score >= threshold).count() as f64 / all.len().max(1) as f64)
}

/// Scores of three kinds of rows.
pub struct Ranked<'r> {
    attacks: Vec<(&'r Row, f32)>,
    benign: Vec<(&'r Row, f32)>,
    clean: Vec<f32>,
    /// The shipped thresholds: for a user's words, and for text from elsewhere.
    thresholds: [f32; 2],
}

fn scores(of: &[(&Row, f32)]) -> Vec<f32> {
    of.iter().map(|(_, score)| *score).collect()
}

impl<'r> Ranked<'r> {
    /// `attacks` and `benign` set the cuts; `clean` is only looked at.
    pub fn score(scanner: &Scanner, attacks: &'r [Row], benign: &'r [Row], clean: &'r [Row]) -> Ranked<'r> {
        let judged = |rows: &'r [Row]| -> Vec<(&'r Row, f32)> {
            rows.iter().map(|row| (row, scanner.injection_score(&row.text))).collect()
        };
        Ranked {
            attacks: judged(attacks),
            benign: judged(benign),
            clean: scores(&judged(clean)),
            thresholds: [Trust::User, Trust::Untrusted].map(|trust| scanner.injection_threshold(trust)),
        }
    }

    pub fn json(&self) -> Value {
        let (attacks, benign) = (scores(&self.attacks), scores(&self.benign));
        let mut ranked: Vec<(f32, bool)> = attacks.iter().map(|score| (*score, true)).collect();
        ranked.extend(benign.iter().map(|score| (*score, false)));
        let cuts = SHARES.map(|(name, share)| (name, cut(benign.clone(), share)));
        let [user, untrusted] = self.thresholds;
        let mut recall = Map::new();
        let mut on_clean = Map::new();
        for (name, cut) in cuts {
            recall.insert(name.to_owned(), over(&attacks, cut).into());
            on_clean.insert(name.to_owned(), over(&self.clean, cut).into());
        }
        json!({
            "rows": {"attacks": attacks.len(), "benign": benign.len(), "clean": self.clean.len()},
            "auc": rounded(auc(&mut ranked)), "recall": recall, "clean_text_over": on_clean,
            "shipped": {
                "threshold": {"user": user, "untrusted": untrusted},
                "recall": {"user": reached(&attacks, user), "untrusted": reached(&attacks, untrusted)},
                "benign": {"rows": benign.len(), "flagged": reached(&benign, user),
                    "flagged_untrusted": reached(&benign, untrusted)},
                "clean": {"rows": self.clean.len(), "flagged": reached(&self.clean, user)},
            },
            "attacks": by_slice(&self.attacks, |all| json!({
                "rows": all.len(), "recall_at_1": over(all, cuts[0].1), "recall_at_5": over(all, cuts[1].1),
                "recall_shipped": reached(all, user),
            })),
            "benign": by_slice(&self.benign, |all| json!({
                "rows": all.len(), "flagged": reached(all, user), "flagged_untrusted": reached(all, untrusted),
            })),
        })
    }
}

fn by_slice(rows: &[(&Row, f32)], figures: impl Fn(&[f32]) -> Value) -> Value {
    let mut slices: BTreeMap<&str, Vec<f32>> = BTreeMap::new();
    for (row, score) in rows {
        slices.entry(&row.slice).or_default().push(*score);
    }
    slices
        .into_iter()
        .map(|(slice, scores)| (slice.to_owned(), figures(&scores)))
        .collect::<Map<_, _>>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_equal_score_is_no_credit() {
        assert_eq!(auc(&mut [(0.9, true), (0.1, false)]), 1.0);
        assert_eq!(auc(&mut [(0.5, true), (0.5, false)]), 0.0);
        assert_eq!(auc(&mut [(0.1, true), (0.9, false), (0.5, true), (0.2, false)]), 0.25);
        assert_eq!(auc(&mut [(0.9, true)]), 0.0);
    }

    #[test]
    fn a_cut_lets_no_more_than_its_share_over() {
        let others: Vec<f32> = (0..200).map(|i| i as f32 / 200.0).collect();
        for (_, share) in SHARES {
            let cut = cut(others.clone(), share);
            assert!(over(&others, cut) <= share, "{share}");
        }
        assert_eq!(cut(Vec::new(), 0.01), 1.0);
    }
}
