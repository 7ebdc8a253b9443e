//! The vectors of questions that differ in nothing but their words, and the nearest of them to a new one.
//!
//! Only what is very near is of use, so that most vectors are passed over by a signature of 256 bits: the signs of a fixed
//! random rotation. Two vectors at an angle differ in that share of the bits which the angle is of a half turn, and a
//! signature is compared in some nanoseconds. What comes near by its signature is compared as it is, to one part in a
//! thousand: stored numbers have eight bits, those of the question sixteen. A graph index would be quicker beyond a million
//! entries, and costs more memory and a slow removal; tenants are bounded below that.

/// Words of a signature.
const WORDS: usize = 4;
const BITS: usize = WORDS * 64;
/// Vectors that are compared as they are: those whose signatures are nearest. Bounds the look where all questions are alike.
const COMPARED_MAX: usize = 128;
/// How many standard deviations of a signature's distance are allowed for: one pair at the threshold in 30,000 is missed.
const DEVIATIONS: f32 = 4.0;
/// Rounds of the rotation: three are as good as a dense random matrix.
const ROUNDS: u64 = 3;
/// The longest vectors sold have 4,096 numbers.
pub const DIMENSIONS_MAX: usize = 8_192;
/// Products that are summed in 32 bits: 512 × 32,767 × 127 is just below their end.
const CHUNK: usize = 512;

type Signature = [u64; WORDS];

/// The vector of a question, made ready to be looked up or stored.
#[derive(Clone, Debug)]
pub struct Probe {
    numbers: Vec<i16>,
    /// What a number of it stands for.
    scale: f32,
    signature: Signature,
}

impl Probe {
    /// None for a vector without a direction: empty, all zero, not finite, or absurdly long.
    pub fn new(mut vector: Vec<f32>) -> Option<Probe> {
        let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
        if !length.is_finite() || length <= f32::MIN_POSITIVE || vector.len() > DIMENSIONS_MAX {
            return None;
        }
        vector.iter_mut().for_each(|number| *number /= length);
        let scale = largest(&vector) / f32::from(i16::MAX);
        let numbers = vector.iter().map(|number| (number / scale).round() as i16).collect();
        Some(Probe { numbers, scale, signature: signature(&vector) })
    }

    pub fn dimensions(&self) -> usize {
        self.numbers.len()
    }
}

fn largest(vector: &[f32]) -> f32 {
    vector.iter().fold(f32::MIN_POSITIVE, |largest, number| largest.max(number.abs()))
}

/// A stored vector that is near.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Near {
    pub owner: u32,
    /// The cosine.
    pub similarity: f32,
}

/// Vectors of one length. Each has an owner, a number that whoever keeps the shelf gives it.
#[derive(Debug)]
pub struct Shelf {
    dimensions: usize,
    signatures: Vec<Signature>,
    numbers: Vec<i8>,
    scales: Vec<f32>,
    owners: Vec<u32>,
}

impl Shelf {
    pub fn new(dimensions: usize) -> Shelf {
        let (signatures, numbers, scales, owners) = Default::default();
        Shelf { dimensions, signatures, numbers, scales, owners }
    }

    pub fn len(&self) -> usize {
        self.owners.len()
    }

    pub fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    /// Bytes that one vector takes.
    pub fn bytes_each(dimensions: usize) -> usize {
        dimensions + size_of::<Signature>() + size_of::<f32>() + size_of::<u32>()
    }

    /// The place it stands at; none for a vector of another length, which an embedder that was exchanged makes.
    pub fn push(&mut self, probe: &Probe, owner: u32) -> Option<u32> {
        if probe.dimensions() != self.dimensions {
            return None;
        }
        let fine = probe.scale;
        let coarse = probe.numbers.iter().map(|number| number.unsigned_abs()).max().unwrap_or(1).max(1);
        let step = f32::from(coarse) / f32::from(i8::MAX);
        self.numbers.extend(probe.numbers.iter().map(|number| (f32::from(*number) / step).round() as i8));
        self.scales.push(step * fine);
        self.signatures.push(probe.signature);
        self.owners.push(owner);
        u32::try_from(self.owners.len() - 1).ok()
    }

    /// Takes a vector out. The last one takes its place; gives that one's owner, if it was another.
    pub fn remove(&mut self, place: u32) -> Option<u32> {
        let (place, last) = (place as usize, self.owners.len().checked_sub(1)?);
        if place > last {
            return None;
        }
        let (from, to) = (last * self.dimensions, place * self.dimensions);
        self.numbers.copy_within(from.., to);
        self.numbers.truncate(from);
        self.signatures.swap_remove(place);
        self.scales.swap_remove(place);
        self.owners.swap_remove(place);
        (place < last).then(|| self.owners[place])
    }

    /// The owner of the vector at a place is another from now on.
    pub fn set_owner(&mut self, place: u32, owner: u32) {
        if let Some(known) = self.owners.get_mut(place as usize) {
            *known = owner;
        }
    }

    /// Those at least as near as the threshold, nearest first.
    pub fn nearest(&self, probe: &Probe, threshold: f32) -> Vec<Near> {
        if probe.dimensions() != self.dimensions {
            return Vec::new();
        }
        let mut near: Vec<Near> = self
            .alike(&probe.signature, differing_max(threshold))
            .into_iter()
            .map(|place| Near { owner: self.owners[place], similarity: self.similarity(probe, place) })
            .filter(|near| near.similarity >= threshold)
            .collect();
        near.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
        near
    }

    /// Places whose signatures differ in at most so many bits; of more than enough the nearest.
    fn alike(&self, wanted: &Signature, differing_max: u32) -> Vec<usize> {
        let mut limit = differing_max;
        let mut counts = [0_usize; BITS + 1];
        let (mut found, mut within) = (Vec::new(), 0);
        for (place, signature) in self.signatures.iter().enumerate() {
            let differing = differing(signature, wanted);
            if differing > limit {
                continue;
            }
            found.push((differing, place));
            counts[differing as usize] += 1;
            within += 1;
            // With enough that are nearer, the farthest are of no use any more.
            while within - counts[limit as usize] >= COMPARED_MAX {
                within -= counts[limit as usize];
                limit -= 1;
            }
        }
        found.retain(|(differing, _)| *differing <= limit);
        found.sort_unstable();
        found.truncate(COMPARED_MAX);
        found.into_iter().map(|(_, place)| place).collect()
    }

    fn similarity(&self, probe: &Probe, place: usize) -> f32 {
        let stored = &self.numbers[place * self.dimensions..][..self.dimensions];
        let chunks = stored.chunks(CHUNK).zip(probe.numbers.chunks(CHUNK));
        let sum: i64 = chunks
            .map(|(stored, asked)| {
                let products =
                    stored.iter().zip(asked).map(|(a, b)| i32::from(i16::from(*a)) * i32::from(*b));
                i64::from(products.sum::<i32>())
            })
            .sum();
        sum as f32 * self.scales[place] * probe.scale
    }
}

#[inline]
fn differing(a: &Signature, b: &Signature) -> u32 {
    (a[0] ^ b[0]).count_ones()
        + (a[1] ^ b[1]).count_ones()
        + (a[2] ^ b[2]).count_ones()
        + (a[3] ^ b[3]).count_ones()
}

/// Bits in which two vectors at the threshold may differ.
fn differing_max(threshold: f32) -> u32 {
    let share = threshold.clamp(-1.0, 1.0).acos() / std::f32::consts::PI;
    let bits = BITS as f32;
    let spread = (bits * share * (1.0 - share)).sqrt();
    // At a cosine of one the formula allows for nothing, and rounding still turns the signs of numbers near zero.
    (bits * share + DEVIATIONS * spread.max(1.0)).min(bits) as u32
}

/// The signs of the first numbers after a random rotation.
fn signature(vector: &[f32]) -> Signature {
    let length = vector.len().max(BITS).next_power_of_two();
    let mut turned = vec![0.0; length];
    turned[..vector.len()].copy_from_slice(vector);
    for round in 0..ROUNDS {
        for (block, numbers) in turned.chunks_mut(64).enumerate() {
            let signs = mixed(round << 32 | block as u64);
            for (bit, number) in numbers.iter_mut().enumerate() {
                if signs >> bit & 1 == 1 {
                    *number = -*number;
                }
            }
        }
        hadamard(&mut turned);
    }
    let mut signature = [0; WORDS];
    for (bit, number) in turned[..BITS].iter().enumerate() {
        signature[bit / 64] |= u64::from(*number > 0.0) << (bit % 64);
    }
    signature
}

/// Walsh and Hadamard's transform, without its factor: only signs are looked at, and three rounds stay within `f32`.
fn hadamard(numbers: &mut [f32]) {
    let mut half = 1;
    while half < numbers.len() {
        for block in numbers.chunks_exact_mut(half * 2) {
            let (low, high) = block.split_at_mut(half);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
}

/// SplitMix64: 64 bits that look random, the same in every process.
fn mixed(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(seed: u64, dimensions: usize) -> Vec<f32> {
        let number = |at: usize| {
            // The sum of some even numbers is nearly normal.
            (0..8)
                .map(|part| (mixed(seed << 24 | (at as u64) << 3 | part) >> 40) as f32 / 16_777_216.0 - 0.5)
                .sum()
        };
        unit((0..dimensions).map(number).collect())
    }

    fn unit(vector: Vec<f32>) -> Vec<f32> {
        let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
        vector.into_iter().map(|number| number / length).collect()
    }

    fn dot(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    /// A vector at this cosine to another.
    fn beside(vector: &[f32], cosine: f32, seed: u64) -> Vec<f32> {
        let other = random(seed, vector.len());
        let along = dot(vector, &other);
        let across: Vec<f32> = other.iter().zip(vector).map(|(other, own)| other - along * own).collect();
        let across = unit(across);
        let sine = (1.0 - cosine * cosine).sqrt();
        vector.iter().zip(across).map(|(own, across)| cosine * own + sine * across).collect()
    }

    #[test]
    fn the_nearest_are_found_with_their_cosine() {
        for dimensions in [3, 384, 1536] {
            let asked = random(1, dimensions);
            let mut shelf = Shelf::new(dimensions);
            for seed in 2..60 {
                shelf.push(&Probe::new(random(seed, dimensions)).unwrap(), seed as u32).unwrap();
            }
            for (owner, cosine) in [(1000, 0.99_f32), (1001, 0.96), (1002, 0.93)] {
                shelf.push(&Probe::new(beside(&asked, cosine, u64::from(owner))).unwrap(), owner).unwrap();
            }
            let found = shelf.nearest(&Probe::new(asked).unwrap(), 0.95);
            let ours: Vec<&Near> = found.iter().filter(|near| near.owner >= 1000).collect();
            assert_eq!(ours.iter().map(|near| near.owner).collect::<Vec<_>>(), [1000, 1001], "{dimensions}");
            assert!((ours[0].similarity - 0.99).abs() < 0.002, "{dimensions}: {found:?}");
            assert!(found.is_sorted_by(|a, b| a.similarity >= b.similarity), "{found:?}");
        }
    }

    #[test]
    fn hardly_any_pair_at_the_threshold_is_missed() {
        let (mut found, pairs) = (0, 400);
        for seed in 0..pairs {
            let asked = random(seed * 2 + 1, 384);
            let mut shelf = Shelf::new(384);
            shelf.push(&Probe::new(beside(&asked, 0.955, seed * 2 + 2)).unwrap(), 0).unwrap();
            found += shelf.nearest(&Probe::new(asked).unwrap(), 0.95).len();
        }
        assert!(found as u64 >= pairs - 1, "{found} of {pairs}");
    }

    #[test]
    fn of_many_that_are_alike_the_nearest_is_still_found() {
        let asked = random(1, 384);
        let mut shelf = Shelf::new(384);
        for seed in 2..500 {
            shelf.push(&Probe::new(beside(&asked, 0.96, seed)).unwrap(), seed as u32).unwrap();
        }
        shelf.push(&Probe::new(asked.clone()).unwrap(), 1).unwrap();
        let found = shelf.nearest(&Probe::new(asked).unwrap(), 0.9);
        assert_eq!((found[0].owner, found.len()), (1, COMPARED_MAX));
        assert!(found[0].similarity > 0.999);
    }

    #[test]
    fn what_is_taken_out_is_not_found_and_the_rest_is() {
        let mut shelf = Shelf::new(64);
        let probe = |seed| Probe::new(random(seed, 64)).unwrap();
        for seed in 0..5 {
            assert_eq!(shelf.push(&probe(u64::from(seed) + 1), seed), Some(seed));
        }
        assert_eq!(shelf.remove(1), Some(4), "the last has moved");
        assert_eq!(shelf.remove(3), None, "the last was taken itself");
        assert_eq!(shelf.remove(9), None);
        let found = |seed: u64| shelf.nearest(&probe(seed + 1), 0.99).first().map(|near| near.owner);
        assert_eq!((0..5).map(found).collect::<Vec<_>>(), [Some(0), None, Some(2), None, Some(4)]);
        assert_eq!(shelf.len(), 3);
    }

    #[test]
    fn a_vector_without_a_direction_is_none() {
        for vector in
            [vec![], vec![0.0; 8], vec![f32::NAN, 1.0], vec![f32::INFINITY], vec![1.0; DIMENSIONS_MAX + 1]]
        {
            assert!(Probe::new(vector).is_none());
        }
        let mut shelf = Shelf::new(8);
        assert_eq!(
            shelf.push(&Probe::new(vec![1.0; 4]).unwrap(), 0),
            None,
            "another length has no place here"
        );
        assert!(shelf.nearest(&Probe::new(vec![1.0; 4]).unwrap(), 0.5).is_empty());
    }
}
