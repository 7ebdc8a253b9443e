//! The linear model: a weight for each hashed feature and a few for what the rules and the fold saw.

use super::{
    feature::{self, BITS, Sink},
    fold::Folded,
    lexicon::Lexicon,
};

/// Features that are not hashed.
pub(crate) const DENSE: usize = 16;
/// The first dense features are the phrase rules, by label.
pub(crate) const RULES: usize = 6;
/// Where the dense features of concepts that stand together begin.
pub(crate) const TOGETHER: usize = 12;
/// Tokens of a window, and how far the next one is. A window is about a paragraph: an attack in a long document is not
/// thinned out by the rest of it.
pub(crate) const WINDOW: usize = 96;
pub(crate) const STRIDE: usize = 48;
/// Keeps a text of three words from being as sure as one of thirty.
const SHRINK: f32 = 24.0;

/// Keeps the sums of a text of a hundred features as large as if they were divided by the root alone.
const NORM: f32 = 3.162_277_7;

/// What the sum over so many features is multiplied by: a power of −¾ of their number, between a mean, by which one odd word
/// would outweigh a page, and the root, by which a long harmless text with a little of everything would outweigh a short
/// attempt.
pub(crate) fn norm(features: usize) -> f32 {
    let features = features as f32 + SHRINK;
    NORM / (features.sqrt() * features.sqrt().sqrt())
}

/// The windows of so many tokens. The last one ends with the text.
pub(crate) fn windows(tokens: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let count = if tokens <= WINDOW + STRIDE { 1 } else { (tokens - WINDOW).div_ceil(STRIDE) + 1 };
    (0..count).map(move |i| {
        if count == 1 {
            return 0..tokens;
        }
        let start = (i * STRIDE).min(tokens - WINDOW);
        start..start + WINDOW
    })
}

/// What was learnt.
#[derive(Clone)]
pub struct Model {
    /// One for each hash, in units of `scale`.
    pub(crate) weights: Vec<i8>,
    pub(crate) scale: f32,
    pub(crate) bias: f32,
    pub(crate) dense: [f32; DENSE],
    /// From the sum to a probability: `1 / (1 + exp(-(a·sum + b)))`.
    pub(crate) platt: (f32, f32),
    /// Scores from which a text of a user, and one of a tool or a document, is flagged.
    pub(crate) thresholds: (f32, f32),
    /// The first bytes of the hash of what it was taught.
    pub(crate) taught: [u8; 16],
}

/// `GINJ`, then the version of the format.
const MAGIC: [u8; 8] = *b"GINJ\x01\0\0\0";
const HEADER: usize = 8 + 16 + 4 * (6 + DENSE);

impl Model {
    /// Little-endian: magic and version, the hash of the training set, scale, bias, calibration, thresholds and the dense
    /// weights as `f32`, then the hashed weights as `i8`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER + self.weights.len());
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.taught);
        let (a, b) = self.platt;
        let (user, untrusted) = self.thresholds;
        for value in [self.scale, self.bias, a, b, user, untrusted].iter().chain(&self.dense) {
            out.extend_from_slice(&value.to_le_bytes());
        }
        out.extend(self.weights.iter().map(|weight| *weight as u8));
        out
    }

    pub fn from_bytes(bytes: &[u8]) -> Option<Model> {
        let weights = bytes.get(HEADER..)?;
        if bytes[..8] != MAGIC || weights.len() != 1 << BITS {
            return None;
        }
        let mut floats = bytes[24..HEADER].as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four));
        let mut next = || floats.next().unwrap_or_default();
        let (scale, bias) = (next(), next());
        let (platt, thresholds) = ((next(), next()), (next(), next()));
        let dense = std::array::from_fn(|_| next());
        let mut taught = [0; 16];
        taught.copy_from_slice(&bytes[8..24]);
        let weights = weights.iter().map(|byte| *byte as i8).collect();
        Some(Model { weights, scale, bias, dense, platt, thresholds, taught })
    }

    /// The highest sum of any window of one reading of a text. Concepts that stand together are noted in `dense`.
    pub(crate) fn sum(&self, folded: &Folded, dense: &mut [f32; DENSE], lexicon: &Lexicon) -> f32 {
        let mut sink = Summing { weights: &self.weights, sum: 0, count: 0, tokens: vec![(0, 0)], dense };
        feature::extract(&folded.bytes, lexicon, &mut sink);
        let tokens = sink.tokens;
        let fixed =
            self.bias + self.dense.iter().zip(dense).map(|(weight, value)| weight * *value).sum::<f32>();
        windows(tokens.len() - 1)
            .map(|window| {
                let (from, to) = (tokens[window.start], tokens[window.end]);
                fixed + (to.0 - from.0) as f32 * self.scale * norm((to.1 - from.1) as usize)
            })
            .fold(f32::NEG_INFINITY, f32::max)
    }

    pub(crate) fn probability(&self, sum: f32) -> f32 {
        let (a, b) = self.platt;
        1.0 / (1.0 + exp(f64::from(-(a * sum + b)))) as f32
    }
}

struct Summing<'m> {
    weights: &'m [i8],
    sum: i64,
    count: u32,
    /// Sum and count of features up to the end of each token.
    tokens: Vec<(i64, u32)>,
    dense: &'m mut [f32; DENSE],
}

impl Sink for Summing<'_> {
    #[inline]
    fn feature(&mut self, hash: u32) {
        self.sum += i64::from(self.weights[hash as usize]);
        self.count += 1;
    }

    fn together(&mut self, what: feature::Together) {
        self.dense[TOGETHER + what as usize] = 1.0;
    }

    #[inline]
    fn token(&mut self) {
        self.tokens.push((self.sum, self.count));
    }
}

/// `e` to the power of `x`, the same to the last bit on every machine, which a system's library need not be.
pub(crate) fn exp(x: f64) -> f64 {
    let x = x.clamp(-60.0, 60.0);
    let k = (x * std::f64::consts::LOG2_E).round();
    let r = x - k * std::f64::consts::LN_2;
    let (mut term, mut sum) = (1.0, 1.0);
    for i in 1..14 {
        term *= r / f64::from(i);
        sum += term;
    }
    sum * f64::from_bits(((1023 + k as i64) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_every_token() {
        for tokens in [0, 1, 95, 144, 145, 200, 1000] {
            let all: Vec<_> = windows(tokens).collect();
            assert_eq!((all[0].start, all.last().unwrap().end), (0, tokens));
            assert!(all.windows(2).all(|two| two[1].start <= two[0].end));
        }
    }

    #[test]
    fn exp_agrees_with_the_library() {
        for x in [-40.0, -3.3, -0.1, 0.0, 0.7, 5.5, 30.0] {
            let expected = f64::exp(x);
            assert!((exp(x) / expected - 1.0).abs() < 1e-12, "{x}");
        }
    }
}
