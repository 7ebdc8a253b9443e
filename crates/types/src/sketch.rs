//! Latency percentiles from log-spaced buckets that add up: sums of sketches are sketches of sums.

/// Each bucket is 10 % wider than the one before, so a percentile is off by at most 5 %.
const BASE: f64 = 1.1;

/// The bucket of a duration in microseconds: 0 for up to 1 µs, 242 for 10 s.
pub fn bucket_of(micros: u64) -> u16 {
    if micros <= 1 { 0 } else { (micros as f64).log(BASE).ceil() as u16 }
}

/// The middle of a bucket, in microseconds.
pub fn bucket_value(bucket: u16) -> u64 {
    let top = BASE.powi(i32::from(bucket));
    ((top + top / BASE) / 2.0).round() as u64
}

/// The `q` quantile (0 to 1) of counted buckets in ascending order; none if they are empty.
pub fn quantile(buckets: &[(u16, u64)], q: f64) -> Option<u64> {
    let total: u64 = buckets.iter().map(|(_, count)| count).sum();
    if total == 0 {
        return None;
    }
    let rank = ((q.clamp(0.0, 1.0) * total as f64).ceil() as u64).max(1);
    let mut seen = 0;
    for (bucket, count) in buckets {
        seen += count;
        if seen >= rank {
            return Some(bucket_value(*bucket));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn percentiles_are_within_five_percent() {
        let values: Vec<u64> = (1..=10_000).map(|n| n * 37).collect();
        let mut counts = BTreeMap::new();
        for value in &values {
            *counts.entry(bucket_of(*value)).or_insert(0u64) += 1;
        }
        let buckets: Vec<_> = counts.into_iter().collect();
        for (q, exact) in [(0.5, values[4999]), (0.95, values[9499]), (0.99, values[9899])] {
            let got = quantile(&buckets, q).unwrap() as f64;
            assert!((got / exact as f64 - 1.0).abs() < 0.05, "{q}: {got} for {exact}");
        }
        assert_eq!(quantile(&[], 0.5), None);
    }
}
