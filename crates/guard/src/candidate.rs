//! What detectors propose, and which of several overlapping proposals is kept.

use std::ops::Range;

use gauntlet_types::Finding;

pub(crate) const PII: &str = "pii";
pub(crate) const SECRETS: &str = "secrets";
pub(crate) const INJECTION: &str = "injection";
pub(crate) const LINKS: &str = "links";
pub(crate) const EXFILTRATION: &str = "exfiltration";
pub(crate) const CANARY: &str = "canary";
pub(crate) const TOXICITY: &str = "toxicity";

/// Overlapping candidates are settled in clusters. A cluster takes in candidates that start within this many bytes of
/// its first, so that a chain of overlaps cannot hold a stream back for ever.
pub(crate) const CLUSTER_MAX: usize = 64;

/// A value that a detector believes in.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) kind: &'static str,
    pub(crate) label: &'static str,
    pub(crate) score: f32,
    /// How much of it is proven; the higher wins an overlap.
    pub(crate) proof: Proof,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Proof {
    /// The shape alone, or a generic rule.
    Shape,
    /// The shape, and a label that names the type.
    Labelled,
    /// A checksum or an unmistakable structure.
    Checked,
    /// Both.
    CheckedAndLabelled,
}

impl Candidate {
    /// The finding at `span` of the original text.
    pub(crate) fn finding(&self, span: Range<usize>) -> Finding {
        Finding { kind: self.kind, label: self.label, span, score: self.score }
    }
}

/// Walks candidates in order of their start and keeps the best of each cluster.
///
/// `known` is the position before which every candidate is known. Returns what was kept, in order, and the position
/// up to which the text is settled: no kept or future span reaches across it.
pub(crate) fn settle(candidates: &mut Vec<Candidate>, known: usize) -> (Vec<Candidate>, usize) {
    candidates.sort_by_key(|candidate| (candidate.start, candidate.end));
    let mut kept = Vec::new();
    let mut settled = 0;
    let mut rest = candidates.as_slice();
    while let Some(first) = rest.first() {
        if first.start >= known {
            break;
        }
        if first.start < settled {
            rest = &rest[1..];
            continue;
        }
        let mut end = first.end;
        let mut count = 1;
        for next in &rest[1..] {
            if next.start >= end || next.start >= first.start + CLUSTER_MAX {
                break;
            }
            end = end.max(next.end);
            count += 1;
        }
        if known < end.min(first.start + CLUSTER_MAX) {
            return (kept, first.start);
        }
        let (cluster, after) = rest.split_at(count);
        if let [only] = cluster {
            kept.push(only.clone());
        } else {
            kept.extend(best_of(cluster));
        }
        settled = end;
        rest = after;
    }
    (kept, settled.max(known))
}

/// The better proven, then the longer, then the surer, then the earlier.
fn best_of(cluster: &[Candidate]) -> Vec<Candidate> {
    let mut order: Vec<&Candidate> = cluster.iter().collect();
    order.sort_by(|a, b| {
        let key = |c: &Candidate| (c.proof, c.end - c.start);
        key(b).cmp(&key(a)).then(b.score.total_cmp(&a.score)).then(a.start.cmp(&b.start))
    });
    let mut kept: Vec<Candidate> = Vec::new();
    for candidate in order {
        if kept.iter().all(|k| candidate.end <= k.start || k.end <= candidate.start) {
            kept.push(candidate.clone());
        }
    }
    kept.sort_by_key(|candidate| candidate.start);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(start: usize, end: usize, proof: Proof) -> Candidate {
        Candidate { start, end, kind: PII, label: "X", score: 1.0, proof }
    }

    #[test]
    fn the_proven_then_the_longer_wins() {
        let check = |mut given: Vec<Candidate>, expected: &[(usize, usize)]| {
            let (kept, _) = settle(&mut given, 1000);
            let spans: Vec<_> = kept.iter().map(|c| (c.start, c.end)).collect();
            assert_eq!(spans, expected);
        };
        check(vec![candidate(0, 9, Proof::Shape), candidate(4, 8, Proof::Checked)], &[(4, 8)]);
        check(vec![candidate(0, 9, Proof::Shape), candidate(4, 8, Proof::Shape)], &[(0, 9)]);
        check(vec![candidate(0, 5, Proof::Shape), candidate(5, 8, Proof::Shape)], &[(0, 5), (5, 8)]);
    }

    #[test]
    fn a_cluster_waits_until_all_of_it_is_known() {
        let mut given = vec![candidate(10, 30, Proof::Shape)];
        assert_eq!(settle(&mut given, 20).1, 10);
        assert_eq!(settle(&mut given, 30).1, 30);
    }
}
