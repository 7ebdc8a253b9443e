//! Values that come in clusters: repeats of one case, cases of one conversation.
//!
//! They are not independent of each other, so a cluster counts as one observation with a weight: the number of its values. A mean
//! is the mean of all values; how sure it is comes from how clusters differ.

use std::collections::BTreeMap;

use crate::{Column, StatsError, check};

/// A value and the cluster it belongs to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Clustered {
    pub cluster: u32,
    pub value: f64,
}

/// Numbers the clusters by their keys, such as case ids: equal keys are one cluster.
pub fn cluster_by<K: Ord>(values: impl IntoIterator<Item = (K, f64)>) -> Vec<Clustered> {
    let mut numbers = BTreeMap::new();
    values
        .into_iter()
        .map(|(key, value)| {
            let next = numbers.len() as u32;
            Clustered { cluster: *numbers.entry(key).or_insert(next), value }
        })
        .collect()
}

/// Each value a cluster of its own.
pub fn unclustered(values: &[f64]) -> Vec<Clustered> {
    values.iter().zip(0..).map(|(&value, cluster)| Clustered { cluster, value }).collect()
}

/// Second minus first, each pair a cluster of its own.
///
/// Errors: columns of different lengths; a value that is not finite.
pub fn paired_differences(first: &[f64], second: &[f64]) -> Result<Vec<Clustered>, StatsError> {
    check::paired(first, second)?;
    let differences: Vec<f64> = first.iter().zip(second).map(|(first, second)| second - first).collect();
    check::finite(&differences, Column::Differences)?;
    Ok(unclustered(&differences))
}

/// A cluster as one observation.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Total {
    pub sum: f64,
    pub count: f64,
}

/// Sums of clusters, in the order of their first values.
#[derive(Clone, Debug)]
pub(crate) struct Totals {
    pub totals: Vec<Total>,
    /// Equal ones together, each with how often it is there.
    pub grouped: Vec<(Total, f64)>,
    pub n: usize,
    pub mean: f64,
}

/// The squares of a million larger numbers would not fit a double.
const SIZE_MAX: f64 = 1e140;

pub(crate) fn totals(values: &[Clustered], column: Column) -> Result<Totals, StatsError> {
    let plain: Vec<f64> = values.iter().map(|value| value.value).collect();
    check::finite(&plain, column)?;
    check::at_least(values.len(), 1, "values", "a mean")?;
    if let Some(at) = plain.iter().position(|value| value.abs() > SIZE_MAX) {
        return Err(StatsError::OutOfSupport {
            column,
            position: at + 1,
            value: plain[at],
            low: -SIZE_MAX,
            high: SIZE_MAX,
            cure: "scale the column",
        });
    }
    let mut places = BTreeMap::new();
    let mut totals: Vec<Total> = Vec::new();
    for value in values {
        let at = *places.entry(value.cluster).or_insert_with(|| {
            totals.push(Total { sum: 0.0, count: 0.0 });
            totals.len() - 1
        });
        totals[at].sum += value.value;
        totals[at].count += 1.0;
    }
    let mean = plain.iter().map(|value| value / plain.len() as f64).sum();
    let grouped = grouped(&totals);
    Ok(Totals { totals, grouped, n: plain.len(), mean })
}

fn grouped(totals: &[Total]) -> Vec<(Total, f64)> {
    let mut sorted = totals.to_vec();
    sorted.sort_by(|one, other| one.sum.total_cmp(&other.sum).then(one.count.total_cmp(&other.count)));
    sorted.chunk_by(|one, other| one == other).map(|same| (same[0], same.len() as f64)).collect()
}

impl Totals {
    pub fn clusters(&self) -> usize {
        self.totals.len()
    }

    /// The standard deviation of one cluster's pull on the mean: √(Σ(Sᵢ − nᵢ·m)² / (k − 1)) / n̄.
    ///
    /// With clusters of one value it is the ordinary standard deviation. The mean's standard error is this by √k: the
    /// linearized ratio estimator with the correction k/(k − 1) (Cochran, "Sampling Techniques", 3rd ed., §6.5 and §9A).
    /// `None` for a single cluster.
    pub fn sd(&self) -> Option<f64> {
        let k = self.clusters() as f64;
        if k < 2.0 {
            return None;
        }
        let size = self.n as f64 / k;
        let squares: f64 =
            self.totals.iter().map(|total| ((total.sum - total.count * self.mean) / size).powi(2)).sum();
        Some((squares / (k - 1.0)).sqrt())
    }
}
