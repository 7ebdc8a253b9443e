//! Ranks of numbers, ties sharing the mean of theirs.

pub struct Ranks {
    pub ranks: Vec<f64>,
    /// Sizes of the groups that share a value, groups of one left out.
    pub ties: Vec<f64>,
}

/// Ranks from 1; the numbers must not be NaN.
pub fn average_ranks(values: &[f64]) -> Ranks {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut ties = Vec::new();
    // `==` and not the order's own comparison, which tells -0.0 from 0.0.
    for group in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let from = order.partition_point(|&at| values[at] < values[group[0]]);
        let shared = from as f64 + (group.len() as f64 + 1.0) / 2.0;
        for &at in group {
            ranks[at] = shared;
        }
        if group.len() > 1 {
            ties.push(group.len() as f64);
        }
    }
    Ranks { ranks, ties }
}

/// Σ(t³ − t) over the groups of ties.
pub fn tie_term(ties: &[f64]) -> f64 {
    ties.iter().map(|t| t * t * t - t).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_share_the_mean_rank() {
        let check = |values: &[f64], ranks: &[f64], ties: &[f64]| {
            let found = average_ranks(values);
            assert_eq!(found.ranks, ranks, "{values:?}");
            assert_eq!(found.ties, ties, "{values:?}");
        };
        check(&[], &[], &[]);
        check(&[3.0, 1.0, 2.0], &[3.0, 1.0, 2.0], &[]);
        check(&[1.0, 1.0, 2.0], &[1.5, 1.5, 3.0], &[2.0]);
        check(&[0.0, -0.0, 5.0, 5.0, 5.0], &[1.5, 1.5, 4.0, 4.0, 4.0], &[2.0, 3.0]);
    }
}
