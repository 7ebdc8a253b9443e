mod distance;
mod options;
mod sheet;
pub(crate) use options::Options;
pub(crate) use sheet::{Measure, Measured, Plain, Range, Sheet};
pub fn cosine(a: &[f64], b: &[f64]) -> Option<f64> {
    let norm = |vector: &[f64]| vector.iter().map(|x| x * x).sum::<f64>().sqrt();
    let (na, nb) = (norm(a), norm(b));
    if a.len() != b.len() || na == 0.0 || nb == 0.0 {
        return None;
    }
    Some((a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / (na * nb)).clamp(-1.0, 1.0))
}
