//! The look for the nearest of 100,000 questions of one tenant, on one core: `cargo bench -p gauntlet-pipeline --bench cache`.
//!
//! Three kinds of neighbours: vectors that have nothing to do with each other; topics, as the questions of one feature have,
//! which are as near to each other as 0.6 or 0.8; and the worst case, in which every kept question is nearly the one asked.

#![allow(clippy::unwrap_used)] // A bench stops where it cannot go on.

use divan::{Bencher, black_box};
use gauntlet_pipeline::cache::{
    agree,
    shelf::{Probe, Shelf},
};

fn main() {
    divan::main();
}

const ENTRIES: u32 = 100_000;

struct Chance(u64);

impl Chance {
    /// Nearly normal.
    fn number(&mut self) -> f32 {
        let mut sum = 0.0;
        for _ in 0..4 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            sum += (self.0 >> 40) as f32 / 16_777_216.0 - 0.5;
        }
        sum
    }

    fn unit(&mut self, dimensions: usize) -> Vec<f32> {
        let vector: Vec<f32> = (0..dimensions).map(|_| self.number()).collect();
        let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
        vector.into_iter().map(|number| number / length).collect()
    }

    /// Two made with the same centre have about this cosine.
    fn around(&mut self, centre: &[f32], cosine: f32) -> Vec<f32> {
        let other = self.unit(centre.len());
        centre.iter().zip(other).map(|(a, b)| cosine.sqrt() * a + (1.0 - cosine).sqrt() * b).collect()
    }
}

/// Entries about so many topics, which are so near within each; the question is about the first.
fn shelf(dimensions: usize, topics: usize, cosine: f32) -> (Shelf, Probe) {
    let mut chance = Chance(7);
    let centres: Vec<Vec<f32>> = (0..topics).map(|_| chance.unit(dimensions)).collect();
    let mut shelf = Shelf::new(dimensions);
    for entry in 0..ENTRIES {
        let vector = chance.around(&centres[entry as usize % topics], cosine);
        shelf.push(&Probe::new(vector).unwrap(), entry).unwrap();
    }
    (shelf, Probe::new(chance.around(&centres[0], cosine)).unwrap())
}

const DIMENSIONS: [usize; 2] = [384, 1536];

#[divan::bench(args = DIMENSIONS, sample_count = 200)]
fn nearest_of_unrelated(bencher: Bencher, dimensions: usize) {
    let (shelf, asked) = shelf(dimensions, ENTRIES as usize / 10, 0.6);
    bencher.bench_local(|| black_box(shelf.nearest(black_box(&asked), 0.95)));
}

#[divan::bench(args = DIMENSIONS, sample_count = 200)]
fn nearest_of_one_topic_at_0_8(bencher: Bencher, dimensions: usize) {
    let (shelf, asked) = shelf(dimensions, 1, 0.8);
    bencher.bench_local(|| black_box(shelf.nearest(black_box(&asked), 0.95)));
}

#[divan::bench(args = DIMENSIONS, sample_count = 200)]
fn nearest_of_one_topic_at_a_low_threshold(bencher: Bencher, dimensions: usize) {
    let (shelf, asked) = shelf(dimensions, 1, 0.6);
    bencher.bench_local(|| black_box(shelf.nearest(black_box(&asked), 0.8)));
}

#[divan::bench(args = DIMENSIONS, sample_count = 200)]
fn nearest_where_all_are_near(bencher: Bencher, dimensions: usize) {
    let (shelf, asked) = shelf(dimensions, 1, 0.97);
    bencher.bench_local(|| black_box(shelf.nearest(black_box(&asked), 0.95)));
}

#[divan::bench(args = DIMENSIONS)]
fn making_a_probe(bencher: Bencher, dimensions: usize) {
    let vector = Chance(7).unit(dimensions);
    bencher.bench_local(|| Probe::new(black_box(vector.clone())));
}

#[divan::bench]
fn comparing_the_words_of_two_questions() -> Option<agree::Difference> {
    agree::difference(
        black_box("How do I reset the password of my account in Berlin within 30 days?"),
        black_box("How can I reset my account's password in Berlin within thirty days?"),
    )
}
