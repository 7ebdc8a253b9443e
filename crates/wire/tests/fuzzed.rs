//! What cargo-fuzz drives, driven here by mutated golden files: a few seconds of it in every run.

#![allow(clippy::unwrap_used)] // All of it is tests; the lint exempts only functions marked so.

#[path = "../../../fuzz/entries.rs"]
mod entries;

use std::{fs, path::PathBuf};

/// Every golden request, answer and stream.
fn corpus() -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
            match path.is_dir() {
                true => folders.push(path),
                false if matches!(extension, "json" | "sse" | "txt" | "bin") => {
                    files.push((path.display().to_string(), fs::read(&path).unwrap()));
                }
                false => {}
            }
        }
    }
    files.sort();
    assert!(files.len() > 40, "{} golden files", files.len());
    files
}

/// A small generator of its own, so that a failure is found again.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

/// One change of the kind that finds most: a byte, a piece gone, a piece twice, a piece of another file.
fn mutated(data: &[u8], other: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut data = data.to_vec();
    for _ in 0..=chance.below(3) {
        let at = chance.below(data.len());
        let end = (at + 1 + chance.below(40)).min(data.len());
        match chance.below(5) {
            0 if !data.is_empty() => data[at] = b"{}[]\",:0\\n\x00\xffe"[chance.below(13)],
            1 => drop(data.drain(at..end)),
            2 => {
                let piece = data[at..end].to_vec();
                data.splice(at..at, piece);
            }
            3 => {
                let from = chance.below(other.len());
                let piece = other[from..(from + 60).min(other.len())].to_vec();
                data.splice(at..at, piece);
            }
            _ => data.truncate(at),
        }
    }
    data
}

#[test]
fn no_mutation_of_a_golden_file_makes_a_reader_panic() {
    let corpus = corpus();
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let rounds = std::env::var("FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(6);
    for (name, data) in &corpus {
        for round in 0..rounds {
            let other = &corpus[chance.below(corpus.len())].1;
            let data = if round == 0 { data.clone() } else { mutated(data, other, &mut chance) };
            let run = std::panic::catch_unwind(|| {
                entries::request(&data);
                entries::translation(&data);
                entries::answer(&data);
                entries::stream(&data);
                entries::messages(&data);
            });
            assert!(run.is_ok(), "{name}, round {round}: {}", String::from_utf8_lossy(&data));
        }
    }
}
